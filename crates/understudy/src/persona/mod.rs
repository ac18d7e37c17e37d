//! The built-in personas: each answers as a correct provider would, always the same to the same request.
//!
//! Those that are strict have four steps in common: `check` refuses what the provider refuses, `prompt` reads what is
//! asked, [`act::Act`] decides what is answered, and `whole` or `stream` put it on the wire.

mod act;
mod anthropic;
mod cohere;
mod delivery;
mod fields;
mod gemini;
mod jina;
mod key;
mod numbers;
mod openai;
mod openai_chat;
mod openai_responses;
mod prompt;
mod run;
mod sample;
mod scenario;
mod seal;

use std::fmt;
use std::str::FromStr;

use self::openai::Openai;
use self::scenario::Scenario;
use crate::received::Received;
use crate::reply::Reply;

/// When everything was created, as far as the personas are concerned.
const CREATED: u64 = 1_700_000_000;

/// Who answers what no rule of the script does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Persona {
    /// All of them, by path. OpenAI's chat completions and responses are strict if the request names a scenario.
    #[default]
    Any,
    /// All of them, by path, and all strict.
    Strict,
    /// An easy-going provider with the whole API of OpenAI.
    Openai,
    /// OpenAI's chat completions.
    OpenaiChat,
    /// OpenAI's responses.
    OpenaiResponses,
    /// Anthropic's messages.
    Anthropic,
    /// Gemini's `generateContent` and what goes with it.
    Gemini,
    /// Cohere's second API: chat, embed, rerank.
    Cohere,
    /// A reranker in the manner of Jina.
    Jina,
}

/// All personas, and what they remember.
#[derive(Debug, Default)]
pub(crate) struct Cast {
    persona: Persona,
    openai: Openai,
}

const PERSONAS: [(&str, Persona); 9] = [
    ("any", Persona::Any),
    ("strict", Persona::Strict),
    ("openai", Persona::Openai),
    ("openai-chat", Persona::OpenaiChat),
    ("openai-responses", Persona::OpenaiResponses),
    ("anthropic", Persona::Anthropic),
    ("gemini", Persona::Gemini),
    ("cohere", Persona::Cohere),
    ("jina", Persona::Jina),
];

// === impl Cast ===

impl Cast {
    /// A cast of which this persona answers, where the path of a request does not say otherwise.
    pub(crate) fn new(persona: Persona) -> Self {
        Self {
            persona,
            openai: Openai::default(),
        }
    }

    /// The answer to a request.
    pub(crate) fn answer(&self, received: &Received) -> Reply {
        let (persona, path) = addressed(received.path()).unwrap_or((self.persona, received.path()));
        match persona {
            Persona::Any | Persona::Strict => {
                let is_strict = persona == Persona::Strict || Scenario::named_in(&received.text()).is_some();
                self.play(by_path(received, path, is_strict), received, path)
            }
            Persona::OpenaiChat | Persona::OpenaiResponses => self.play(strict_openai(persona, path), received, path),
            chosen => self.play(chosen, received, path),
        }
    }

    fn play(&self, persona: Persona, received: &Received, path: &str) -> Reply {
        match persona {
            Persona::OpenaiChat => openai_chat::answer(received, path),
            Persona::OpenaiResponses => openai_responses::answer(received, path),
            Persona::Anthropic => anthropic::answer(received, path),
            Persona::Gemini => gemini::answer(received, path),
            Persona::Cohere => cohere::answer(received, path),
            Persona::Jina => jina::answer(received, path),
            Persona::Any | Persona::Strict | Persona::Openai => self.openai.answer(received, path),
        }
    }
}

/// Who a path speaks to and the rest of it: `/as/anthropic/v1/messages`.
fn addressed(path: &str) -> Option<(Persona, &str)> {
    let rest = path.strip_prefix("/as/")?;
    let end = rest.find('/').unwrap_or(rest.len());
    let (name, rest) = rest.split_at(end);
    Some((name.parse().ok()?, rest))
}

/// Who has this path; for the list of models the headers decide.
fn by_path(received: &Received, path: &str, is_strict: bool) -> Persona {
    let has = |name: &str| received.header(name).is_some();
    let is_models = path == "/v1/models" || path.starts_with("/v1/models/");
    if path == "/v1/messages" || path.starts_with("/v1/messages/") {
        Persona::Anthropic
    } else if path.starts_with("/v2/") {
        Persona::Cohere
    } else if path == "/v1/rerank" || path == "/rerank" {
        Persona::Jina
    } else if path.starts_with("/v1beta/") || (is_models && (path.contains(':') || path.contains("%3A"))) {
        Persona::Gemini
    } else if is_models && has("anthropic-version") {
        Persona::Anthropic
    } else if is_models && (has("x-goog-api-key") || received.query().is_some_and(|query| query.contains("key="))) {
        Persona::Gemini
    } else if is_models && has("x-client-name") {
        Persona::Cohere
    } else if is_strict && path.ends_with("/chat/completions") {
        Persona::OpenaiChat
    } else if is_strict && (path.ends_with("/responses") || path.ends_with("/responses/input_tokens")) {
        Persona::OpenaiResponses
    } else {
        Persona::Openai
    }
}

/// The strict personas of OpenAI leave what they do not play to the easy-going one, except each other's part.
fn strict_openai(persona: Persona, path: &str) -> Persona {
    let is_other = path.ends_with("/embeddings")
        || path.ends_with("/completions") && !path.ends_with("/chat/completions")
        || path.contains("/models")
        || path.contains("/images/");
    if is_other { Persona::Openai } else { persona }
}

// === impl Persona ===

/// By its name, as in `openai-chat`.
impl FromStr for Persona {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = PERSONAS.iter().find(|(known, _)| *known == name);
        found.map(|(_, persona)| *persona).ok_or_else(|| {
            let names: Vec<&str> = PERSONAS.iter().map(|(name, _)| *name).collect();
            format!("there is no persona {name:?}; there are {}", names.join(", "))
        })
    }
}

impl fmt::Display for Persona {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = PERSONAS.iter().find(|(_, persona)| persona == self);
        formatter.write_str(found.map_or("any", |(name, _)| name))
    }
}
