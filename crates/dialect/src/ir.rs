//! The one vocabulary that every protocol is translated to and from.
//!
//! It is block-structured, the richer form: a message is a list of parts in their order, and tool calls, tool results,
//! reasoning and images are parts like text. What only one protocol knows is carried verbatim beside it
//! ([`Extra`], [`Content::Foreign`]) and comes out again where that protocol is spoken at the other end.

mod error;
mod event;
mod message;
mod request;
mod response;
mod tool;
mod usage;

pub use error::{Class, Error};
pub use event::{Delta, Event, Opened, Start};
pub use message::{CacheMark, Citation, Content, Media, Message, Part, ReasoningStyle, Role, Signature};
pub use request::{Audio, Effort, Format, Logprobs, Reasoning, Request, Sampling, Show};
pub use response::{Candidate, Finish, FinishReason, Response, TokenChance, TokenLogprob};
pub use tool::{Function, Tool, ToolChoice, ToolInput};
pub use usage::Usage;

use crate::raw::Raw;

/// Members of an object that the vocabulary has no word for, by name, as they were spelled.
///
/// They belong to the protocol that the request came in; a writer of the same protocol puts them back, every other one
/// declares them lost.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Extra(pub Vec<(String, Raw)>);

impl Extra {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Keeps a member.
    pub fn keep(&mut self, name: &str, value: Raw) {
        self.0.push((name.to_owned(), value));
    }

    /// The member of that name.
    pub fn get(&self, name: &str) -> Option<&Raw> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }
}
