//! An answer as it comes.

use super::{Citation, Error, Finish, Part, ReasoningStyle, Signature, TokenLogprob, Usage};

/// One step of a streamed answer.
///
/// A sequence of events that [`crate::assembly::Assembly`] made is well formed: one [`Event::Start`] first; for each
/// candidate, parts one after the other, numbered from 0, each opened before its deltas and closed after them; one
/// [`Event::Finish`] per candidate after its last part; [`Event::Usage`] at any time; and at last either [`Event::End`] or
/// [`Event::Error`], once.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The answer begins.
    Start(Start),
    /// A part begins.
    PartStart {
        /// Whose part.
        candidate: u32,
        /// Its number among the candidate's parts.
        part: u32,
        /// What it is.
        opened: Opened,
    },
    /// A part goes on.
    Delta {
        /// Whose part.
        candidate: u32,
        /// Its number.
        part: u32,
        /// What is added.
        delta: Delta,
    },
    /// A part ends.
    PartEnd {
        /// Whose part.
        candidate: u32,
        /// Its number.
        part: u32,
    },
    /// A candidate ends.
    Finish {
        /// Which one.
        candidate: u32,
        /// Why.
        finish: Finish,
    },
    /// All counts so far.
    Usage(Usage),
    /// The provider is still there.
    Ping,
    /// The answer broke off. Nothing follows.
    Error(Error),
    /// The answer is whole. Nothing follows.
    End,
}

/// What is known when an answer begins.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Start {
    /// The provider's id; empty when it gave none.
    pub id: String,
    /// The model that answers; empty when the provider did not say.
    pub model: String,
    /// When, in seconds since 1970.
    pub created: Option<u64>,
    /// The counts that are known already.
    pub usage: Option<Usage>,
    /// The service tier, in OpenAI's words.
    pub service_tier: Option<String>,
}

/// What a part is, when it begins.
#[derive(Clone, Debug, PartialEq)]
pub enum Opened {
    /// Text; followed by [`Delta::Text`], [`Delta::Citation`] and [`Delta::Logprobs`].
    Text,
    /// A refusal; followed by [`Delta::Text`].
    Refusal,
    /// Reasoning; followed by [`Delta::Text`] and at most one [`Delta::Signature`].
    Reasoning {
        /// Whether it is told in full.
        style: ReasoningStyle,
    },
    /// A call; followed by [`Delta::Arguments`].
    ToolCall {
        /// Pairs the call with its result; never empty.
        id: String,
        /// The tool, as the caller named it.
        name: String,
        /// The group that the tool belongs to.
        namespace: Option<String>,
        /// The arguments are free text.
        custom: bool,
        /// The provider's proof of the call.
        signature: Option<Signature>,
    },
    /// A part that comes as a whole, such as an image; nothing follows but its end.
    Whole(Part),
}

/// What is added to a part.
#[derive(Clone, Debug, PartialEq)]
pub enum Delta {
    /// Text.
    Text(String),
    /// A piece of a call's arguments: JSON, or free text for a custom tool.
    Arguments(String),
    /// The proof of the part, whole.
    Signature(Signature),
    /// Something that the text rests on.
    Citation(Citation),
    /// How likely the tokens were.
    Logprobs(Vec<TokenLogprob>),
}
