//! What a caller asks for.

use super::{Extra, Message, Part, Tool, ToolChoice};
use crate::protocol::Protocol;
use crate::raw::Raw;

/// A request for the next message of a conversation.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The protocol that it came in; `extra` members belong to it.
    pub from: Protocol,
    /// The model as the caller named it.
    pub model: String,
    /// Whether the answer should come as a stream.
    pub stream: bool,
    /// Whether a stream should tell its usage (OpenAI Chat `stream_options.include_usage`; always true elsewhere).
    pub include_usage: bool,
    /// The instructions before the conversation: texts, with their boundaries and cache marks.
    pub system: Vec<Part>,
    /// The conversation.
    pub messages: Vec<Message>,
    /// The last message is the beginning of the answer, which has to go on from there word for word. A target that cannot
    /// be told so refuses it.
    pub prefilled: bool,
    /// The tools on offer.
    pub tools: Vec<Tool>,
    /// Which tool to use.
    pub tool_choice: Option<ToolChoice>,
    /// Whether several tools may be called at once.
    pub parallel_tools: Option<bool>,
    /// The most tokens that may be generated, reasoning included.
    pub max_tokens: Option<u64>,
    /// How tokens are drawn.
    pub sampling: Sampling,
    /// Texts at which to stop.
    pub stop: Vec<String>,
    /// How many answers are wanted; `None` means one.
    pub candidates: Option<u32>,
    /// The form of the answer.
    pub format: Format,
    /// How wordy the answer should be: `low`, `medium`, `high`.
    pub verbosity: Option<String>,
    /// Sound is wanted beside text.
    pub audio: Option<Audio>,
    /// How to think.
    pub reasoning: Option<Reasoning>,
    /// Whether to tell how likely each token was.
    pub logprobs: Option<Logprobs>,
    /// Who the end user is, as an opaque id.
    pub user: Option<String>,
    /// Pairs to store with the answer, an object.
    pub metadata: Option<Raw>,
    /// Requests with the same key share a prompt cache.
    pub cache_key: Option<String>,
    /// The whole prompt may be cached (Anthropic's top-level `cache_control`).
    pub cache: Option<super::CacheMark>,
    /// The service tier in OpenAI's words: `auto`, `default`, `flex`, `priority`, …
    pub service_tier: Option<String>,
    /// Whether the provider should store the answer.
    pub store: Option<bool>,
    /// What only the caller's protocol knows.
    pub extra: Extra,
}

impl Request {
    /// A request for a model with nothing in it.
    pub fn new(from: Protocol, model: impl Into<String>) -> Self {
        Self {
            from,
            model: model.into(),
            stream: false,
            include_usage: from != Protocol::OpenaiChat,
            system: Vec::new(),
            messages: Vec::new(),
            prefilled: false,
            tools: Vec::new(),
            tool_choice: None,
            parallel_tools: None,
            max_tokens: None,
            sampling: Sampling::default(),
            stop: Vec::new(),
            candidates: None,
            format: Format::Text,
            verbosity: None,
            audio: None,
            reasoning: None,
            logprobs: None,
            user: None,
            metadata: None,
            cache_key: None,
            cache: None,
            service_tier: None,
            store: None,
            extra: Extra::default(),
        }
    }
}

/// How tokens are drawn. The ranges are those of the caller's protocol: writers clamp.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sampling {
    /// Randomness.
    pub temperature: Option<f64>,
    /// Nucleus sampling.
    pub top_p: Option<f64>,
    /// Only the most likely tokens.
    pub top_k: Option<u64>,
    /// Only tokens at least this likely, relative to the likeliest.
    pub min_p: Option<f64>,
    /// Penalty by how often a token occurred.
    pub frequency_penalty: Option<f64>,
    /// Penalty for having occurred.
    pub presence_penalty: Option<f64>,
    /// A factor by which repeated tokens become less likely.
    pub repetition_penalty: Option<f64>,
    /// For repeatable sampling.
    pub seed: Option<i64>,
    /// Biases by token id, an object.
    pub logit_bias: Option<Raw>,
}

/// The form of an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Format {
    /// Free text.
    Text,
    /// Some JSON object.
    JsonObject,
    /// JSON that satisfies a schema.
    JsonSchema {
        /// The schema's name.
        name: Option<String>,
        /// What it is for.
        description: Option<String>,
        /// The schema.
        schema: Raw,
        /// Whether it must be satisfied exactly.
        strict: Option<bool>,
    },
}

/// Sound as an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Audio {
    /// The voice, as the caller's protocol spells it.
    pub voice: Option<Raw>,
    /// The format, such as `wav` or `mp3`.
    pub format: Option<String>,
}

/// How to think. All `None`: as the model likes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reasoning {
    /// Thinking is off (`Some(false)`) or on.
    pub enabled: Option<bool>,
    /// How hard to think.
    pub effort: Option<Effort>,
    /// How many tokens to think at most.
    pub budget: Option<u64>,
    /// The model decides itself how much to think (Anthropic `adaptive`, Gemini budget −1).
    pub adaptive: bool,
    /// What the caller wants to see of it.
    pub show: Show,
    /// The caller wants proofs that it can send back (OpenAI Responses `include: ["reasoning.encrypted_content"]`).
    pub encrypted: bool,
}

/// How hard to think.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effort {
    /// Not at all.
    None,
    /// Hardly.
    Minimal,
    /// A little.
    Low,
    /// The middle.
    Medium,
    /// Hard.
    High,
    /// Harder.
    XHigh,
    /// As hard as can be.
    Max,
}

impl Effort {
    /// Every effort, from the least to the most.
    pub const ALL: [Self; 7] = [
        Self::None,
        Self::Minimal,
        Self::Low,
        Self::Medium,
        Self::High,
        Self::XHigh,
        Self::Max,
    ];

    /// The word that OpenAI and Anthropic use.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::XHigh => "xhigh",
            Self::Max => "max",
        }
    }

    /// The effort of that name, in any case.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|effort| effort.name().eq_ignore_ascii_case(name))
    }

    /// A budget of tokens that amounts to this effort.
    pub fn budget(self) -> u64 {
        match self {
            Self::None => 0,
            Self::Minimal => 1024,
            Self::Low => 2048,
            Self::Medium => 8192,
            Self::High => 24_576,
            Self::XHigh => 32_768,
            Self::Max => 65_536,
        }
    }

    /// The effort that a budget of tokens amounts to.
    pub fn of_budget(tokens: u64) -> Self {
        match tokens {
            0 => Self::None,
            1..=1024 => Self::Minimal,
            1025..=4096 => Self::Low,
            4097..=16_384 => Self::Medium,
            16_385..=28_000 => Self::High,
            28_001..=49_152 => Self::XHigh,
            _ => Self::Max,
        }
    }
}

impl Reasoning {
    /// The effort that is asked for, in words or as a budget; `None` when the model is to decide.
    pub fn wanted_effort(&self) -> Option<Effort> {
        if self.enabled == Some(false) {
            return Some(Effort::None);
        }
        self.effort.or_else(|| self.budget.map(Effort::of_budget))
    }

    /// The budget that is asked for, in tokens or as an effort; `None` when the model is to decide.
    pub fn wanted_budget(&self) -> Option<u64> {
        if self.enabled == Some(false) {
            return Some(0);
        }
        self.budget.or_else(|| self.effort.map(Effort::budget))
    }
}

/// What a caller wants to see of the thoughts.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Show {
    /// What the provider shows by itself.
    #[default]
    Default,
    /// Nothing.
    Nothing,
    /// A summary: `auto`, `concise`, `detailed`.
    Summary(String),
    /// The thoughts.
    Everything,
}

/// How likely each token was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Logprobs {
    /// How many alternatives to tell for each token.
    pub top: Option<u32>,
}
