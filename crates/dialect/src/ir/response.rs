//! What a provider answered.

use super::{Part, Usage};
use crate::protocol::Protocol;

/// A whole answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Response {
    /// The provider's id; empty when it gave none.
    pub id: String,
    /// The model that answered, as the provider names it; empty when it did not say.
    pub model: String,
    /// When it was made, in seconds since 1970.
    pub created: Option<u64>,
    /// The answers; one unless more were asked for.
    pub candidates: Vec<Candidate>,
    /// The tokens; `None` when the provider did not say.
    pub usage: Option<Usage>,
    /// The service tier that answered, in OpenAI's words.
    pub service_tier: Option<String>,
}

/// One of the answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// Its number, from 0.
    pub index: u32,
    /// What it says.
    pub parts: Vec<Part>,
    /// Why it ends.
    pub finish: Finish,
    /// How likely each token was; empty when that was not asked for.
    pub logprobs: Vec<TokenLogprob>,
}

/// Why an answer ends.
#[derive(Clone, Debug, PartialEq)]
pub struct Finish {
    /// The reason.
    pub reason: FinishReason,
    /// The text at which it stopped, where the provider says so.
    pub stop_sequence: Option<String>,
    /// The reason in the provider's own word.
    pub word: Option<(Protocol, String)>,
    /// What the provider says about it.
    pub message: Option<String>,
}

impl From<FinishReason> for Finish {
    fn from(reason: FinishReason) -> Self {
        Self {
            reason,
            stop_sequence: None,
            word: None,
            message: None,
        }
    }
}

/// Why an answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinishReason {
    /// The model was done.
    Stop,
    /// A stop sequence came.
    StopSequence,
    /// The limit on the answer's length was reached.
    Length,
    /// The model's context was full.
    ContextWindow,
    /// The model waits for its tools.
    ToolCalls,
    /// A filter stepped in.
    ContentFilter,
    /// The model declined.
    Refusal,
    /// The provider paused a long turn, to be continued.
    Pause,
    /// The model called a tool in a way that cannot be read.
    MalformedToolCall,
    /// The provider failed.
    Error,
    /// Something else.
    Other,
}

/// A token and how likely it was.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenLogprob {
    /// The token that was drawn.
    pub chosen: TokenChance,
    /// The likeliest tokens at its place.
    pub top: Vec<TokenChance>,
}

/// One token that could have been drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenChance {
    /// Its text.
    pub token: String,
    /// The logarithm of its probability.
    pub logprob: f64,
    /// Its bytes, where the provider tells them.
    pub bytes: Option<Vec<u8>>,
}
