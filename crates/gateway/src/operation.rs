//! What can be asked of a model, by the path of the request.

mod kind;

use std::borrow::Cow;

use mynah_dialect::embeddings::Shape;
use mynah_dialect::{Dialect, Protocol};
use percent_encoding::percent_decode_str;

pub use self::kind::Kind;

/// What a route that names a model asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// The path of the request; for Gemini, where the model is in the path, the verb behind it.
    pub path: &'static str,
    /// The path below the version segment at a provider of the same dialect; for Gemini the verb behind the model.
    pub below: &'static str,
    /// What kind of question it is.
    pub speech: Speech,
    /// The path itself asks for a stream.
    pub streamed: bool,
}

/// The kinds of questions: how they can be put to a provider of another dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speech {
    /// For the next message of a conversation.
    Conversation(Protocol),
    /// For the length of a conversation in tokens.
    Count(Protocol),
    /// For the vectors of texts.
    Embeddings(Shape),
    /// For the documents that answer a question best.
    Rerank {
        /// In Cohere's second version.
        v2: bool,
    },
    /// For the continuation of texts.
    Completions,
    /// For pictures.
    Images,
    /// Something that is only passed on, to a provider of this dialect.
    Plain(Dialect),
}

impl Operation {
    const fn new(path: &'static str, below: &'static str, speech: Speech) -> Self {
        Self {
            path,
            below,
            speech,
            streamed: false,
        }
    }

    const fn streamed(self) -> Self {
        Self { streamed: true, ..self }
    }

    /// Whose route it is.
    pub fn dialect(self) -> Dialect {
        match self.speech {
            Speech::Conversation(protocol) | Speech::Count(protocol) => protocol.dialect(),
            Speech::Plain(dialect) => dialect,
            Speech::Embeddings(shape) => shape.dialect(),
            Speech::Rerank { v2: true } => Dialect::Cohere,
            Speech::Rerank { v2: false } | Speech::Completions | Speech::Images => Dialect::OpenAi,
        }
    }

    /// Whether the next message of a conversation is asked for.
    pub fn is_conversation(self) -> bool {
        matches!(self.speech, Speech::Conversation(_))
    }

    /// Whether pictures are asked for, which are paid by the piece.
    pub fn makes_pictures(self) -> bool {
        self.speech == Speech::Images || matches!(self.below, "/images/edits" | "/images/variations" | "predict")
    }

    /// Whether an answer in one piece says at its top which model gave it.
    pub fn names_model_in_answer(self) -> bool {
        match self.speech {
            Speech::Conversation(protocol) => protocol != Protocol::Gemini,
            Speech::Completions | Speech::Embeddings(Shape::OpenAi) => true,
            _ => false,
        }
    }

    /// Whether a stream ends with its usage only when `stream_options.include_usage` asks for it.
    pub fn usage_on_demand(self) -> bool {
        matches!(self.below, "/chat/completions" | "/completions")
    }

    /// Whether a stream ends with `data: [DONE]`.
    pub fn streams_end_with_done(self) -> bool {
        matches!(self.below, "/chat/completions" | "/completions")
    }

    /// What a path asks for. Only Gemini's paths name the model too.
    pub fn at(path: &str) -> Option<(Self, Option<Cow<'_, str>>)> {
        let known = OPERATIONS.iter().find(|operation| operation.path == path);
        if let Some(operation) = known {
            return Some((*operation, None));
        }
        let (operation, model) = gemini(path)?;
        Some((operation, Some(model)))
    }
}

/// What a path of Gemini's asks for: `/v1beta/models/MODEL:VERB`. The colon may be encoded, the model have slashes; Vercel's
/// SDK leaves `models/` out where it has.
fn gemini(path: &str) -> Option<(Operation, Cow<'_, str>)> {
    let below = path.strip_prefix("/v1beta/").or_else(|| {
        // Below `/v1` are also the routes of others.
        let path = path.strip_prefix("/v1")?;
        let is_geminis = path.starts_with("/models/") || Kind::of(path).is_none();
        path.strip_prefix('/').filter(|_| is_geminis)
    })?;
    let decoded = percent_decode_str(below).decode_utf8().ok()?;
    let (model, verb) = decoded.rsplit_once(':')?;
    let operation = GEMINI.into_iter().find(|operation| operation.path == verb)?;
    // The SDK puts `models/` before whatever it is given, also before a name that has it already.
    let mut model = model;
    while let Some(rest) = model.strip_prefix("models/") {
        model = rest;
    }
    Some((operation, Cow::Owned(model.to_owned())))
}

const CHAT: Speech = Speech::Conversation(Protocol::OpenaiChat);
const RESPONSES: Speech = Speech::Conversation(Protocol::OpenaiResponses);
const MESSAGES: Speech = Speech::Conversation(Protocol::Anthropic);
const GENERATE: Speech = Speech::Conversation(Protocol::Gemini);
const OPENAI: Speech = Speech::Plain(Dialect::OpenAi);

/// Every operation whose body names the model, as JSON or as a form.
pub const OPERATIONS: [Operation; 24] = [
    Operation::new("/v1/chat/completions", "/chat/completions", CHAT),
    Operation::new("/v1/responses", "/responses", RESPONSES),
    Operation::new("/v1/messages", "/messages", MESSAGES),
    Operation::new("/v1/embeddings", "/embeddings", Speech::Embeddings(Shape::OpenAi)),
    Operation::new(
        "/v1/messages/count_tokens",
        "/messages/count_tokens",
        Speech::Count(Protocol::Anthropic),
    ),
    Operation::new("/v1/chat/completions-stream", "/chat/completions", CHAT).streamed(),
    Operation::new("/v1/chat/completions/stream", "/chat/completions", CHAT).streamed(),
    Operation::new("/v1/messages-stream", "/messages", MESSAGES).streamed(),
    Operation::new("/v1/messages/stream", "/messages", MESSAGES).streamed(),
    Operation::new("/v1/completions", "/completions", Speech::Completions),
    Operation::new("/v1/responses/input_tokens", "/responses/input_tokens", OPENAI),
    Operation::new("/v1/responses/compact", "/responses/compact", OPENAI),
    Operation::new("/v1/moderations", "/moderations", OPENAI),
    Operation::new("/v1/images/generations", "/images/generations", Speech::Images),
    Operation::new("/v1/images/edits", "/images/edits", OPENAI),
    Operation::new("/v1/images/variations", "/images/variations", OPENAI),
    Operation::new("/v1/audio/speech", "/audio/speech", OPENAI),
    Operation::new("/v1/audio/transcriptions", "/audio/transcriptions", OPENAI),
    Operation::new("/v1/audio/translations", "/audio/translations", OPENAI),
    Operation::new("/v1/videos", "/videos", OPENAI),
    Operation::new("/v1/rerank", "/rerank", Speech::Rerank { v2: false }),
    Operation::new("/rerank", "/rerank", Speech::Rerank { v2: false }),
    Operation::new("/v2/rerank", "/rerank", Speech::Rerank { v2: true }),
    Operation::new("/v2/embed", "/embed", Speech::Embeddings(Shape::Cohere)),
];

/// Gemini's operations, by the verb behind the model.
const GEMINI: [Operation; 6] = [
    Operation::new("generateContent", "generateContent", GENERATE),
    Operation::new("streamGenerateContent", "streamGenerateContent", GENERATE).streamed(),
    Operation::new("countTokens", "countTokens", Speech::Count(Protocol::Gemini)),
    Operation::new("embedContent", "embedContent", Speech::Embeddings(Shape::GeminiOne)),
    Operation::new(
        "batchEmbedContents",
        "batchEmbedContents",
        Speech::Embeddings(Shape::GeminiBatch),
    ),
    Operation::new("predict", "predict", Speech::Plain(Dialect::Gemini)),
];

/// Families of OpenAI's API whose requests name no model: they are passed through, whatever lies below them. Those that
/// manage an account (its members, keys, vaults and web hooks) are not among them: they are the operator's business.
pub const FAMILIES: [&str; 20] = [
    "/agents",
    "/assistants",
    "/batches",
    "/chat/completions",
    "/chatkit",
    "/containers",
    "/content_provenance_checks",
    "/conversations",
    "/decisions",
    "/evals",
    "/files",
    "/fine_tuning",
    "/live",
    "/realtime",
    "/responses",
    "/skills",
    "/threads",
    "/uploads",
    "/vector_stores",
    "/videos",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn geminis_paths_name_the_model() {
        for (path, verb, model) in [
            (
                "/v1beta/models/gemini-3-pro:generateContent",
                "generateContent",
                "gemini-3-pro",
            ),
            ("/v1/models/a:streamGenerateContent", "streamGenerateContent", "a"),
            ("/v1beta/models/claude/opus%3AcountTokens", "countTokens", "claude/opus"),
            ("/v1beta/models/models/a%2Fb:generateContent", "generateContent", "a/b"),
            (
                "/v1beta/tunedModels/t:generateContent",
                "generateContent",
                "tunedModels/t",
            ),
            (
                "/v1beta/models/llama3:8b:generateContent",
                "generateContent",
                "llama3:8b",
            ),
            (
                "/v1beta/openai/gpt-5:generateContent",
                "generateContent",
                "openai/gpt-5",
            ),
            (
                "/v1/openai%2Fgpt-5:streamGenerateContent",
                "streamGenerateContent",
                "openai/gpt-5",
            ),
            ("/v1/tunedModels/t:predict", "predict", "tunedModels/t"),
        ] {
            let (operation, named) = Operation::at(path).unwrap();
            assert_eq!((operation.path, named.as_deref()), (verb, Some(model)), "{path}");
        }
        assert_eq!(Operation::at("/v1beta/models/a:unheardOf"), None);
        assert_eq!(Operation::at("/v1/models/gemini-3-pro"), None);
        assert_eq!(Operation::at("/v1beta/openai/gpt-5:unheardOf"), None);
        assert_eq!(Operation::at("/v2/openai/gpt-5:generateContent"), None);
    }

    #[test]
    fn no_path_of_geminis_lies_below_another_route() {
        for family in FAMILIES {
            assert_eq!(Operation::at(&format!("/v1{family}/a:predict")), None, "{family}");
        }
        assert_eq!(Operation::at("/v1/messages/batches/a:predict"), None);
    }

    #[test]
    fn every_path_is_there_once() {
        for operation in OPERATIONS {
            let same = OPERATIONS.iter().filter(|other| other.path == operation.path);
            assert_eq!(same.count(), 1, "{}", operation.path);
        }
    }
}
