//! What a protocol must know to be translated: one implementation of each trait per protocol, and the one table of them.

use std::collections::HashMap;

use crate::assembly::Assembly;
use crate::dialect::Dialect;
use crate::frame::Frame;
use crate::ir::{Error, Event, Request, Response};
use crate::loss::{Losses, Unsayable};
use crate::protocol::Protocol;
use crate::quirks::Quirks;
use crate::tree::TreeFault;

/// The language that a caller speaks.
pub trait ClientSide: Sync {
    /// Reads a request. What the vocabulary has no word for is kept as [`crate::ir::Extra`] or
    /// [`crate::ir::Content::Foreign`].
    fn read_request(&self, body: &[u8], address: &Address<'_>) -> Result<Request, Malformed>;

    /// Writes a whole answer. What the protocol cannot say is noted as lost.
    fn write_response(&self, response: &Response, asked: &Asked, lost: &mut Losses) -> Vec<u8>;

    /// Writes an error: its HTTP status and its body. `request_id` is ours.
    fn write_error(&self, error: &Error, request_id: &str) -> (u16, Vec<u8>);

    /// A writer for one streamed answer.
    fn event_writer(&self, asked: &Asked) -> Box<dyn EventWriter>;

    /// Reads a request whose tokens shall be counted.
    fn read_count_request(&self, body: &[u8], address: &Address<'_>) -> Result<Request, Malformed> {
        self.read_request(body, address)
    }

    /// Writes a count of tokens; empty where the protocol has no such thing.
    fn write_count(&self, _tokens: u64) -> Vec<u8> {
        Vec::new()
    }
}

/// The language that a provider speaks.
pub trait UpstreamSide: Sync {
    /// Writes a request for a target. What is dropped or changed is noted as lost; what the model would silently not see,
    /// and what the caller relies on to read the answer, is refused.
    fn write_request(&self, request: &Request, target: &Target<'_>, lost: &mut Losses) -> Result<Outgoing, Unsayable>;

    /// Reads a whole answer, as steps: whole and streamed answers are understood by the same rules.
    fn read_response(&self, body: &[u8], memo: &Memo, assembly: &mut Assembly) -> Result<(), Malformed>;

    /// Reads an error. Total: whatever the body is, there is an error to tell.
    fn read_error(&self, status: u16, body: &[u8]) -> Error;

    /// A reader for one streamed answer.
    fn event_reader(&self, memo: &Memo) -> Box<dyn EventReader>;

    /// Writes the request to count a request's tokens; `None` where providers cannot be asked that.
    fn write_count_request(
        &self,
        _request: &Request,
        _target: &Target<'_>,
        _lost: &mut Losses,
    ) -> Option<Result<Outgoing, Unsayable>> {
        None
    }

    /// Reads a count of tokens.
    fn read_count(&self, _body: &[u8]) -> Option<u64> {
        None
    }
}

/// Understands one stream. Made for one request, with a memory of its own.
pub trait EventReader: Send {
    /// Takes one event. A line that cannot be read is passed over: the stream's end tells whether it mattered.
    fn read(&mut self, frame: &Frame<'_>, assembly: &mut Assembly);

    /// The stream is over, by its own word or by the connection's end. Only what the protocol says at its end is to be
    /// done here; a missing finish is [`Assembly::close`]'s business.
    fn end(&mut self, _assembly: &mut Assembly) {}
}

/// Speaks one stream. Made for one request, with a memory of its own.
pub trait EventWriter: Send {
    /// Writes what the event means at the end of `out`: whole server-sent events, or nothing yet.
    fn write(&mut self, event: &Event, out: &mut Vec<u8>);

    /// Writes a remark for people, which clients pass over; nothing where they cannot.
    fn remark(&mut self, text: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(b": ");
        out.extend(text.bytes().filter(|byte| !byte.is_ascii_control()));
        out.extend_from_slice(b"\n\n");
    }

    /// The media type of the stream.
    fn content_type(&self) -> &'static str {
        "text/event-stream; charset=utf-8"
    }
}

/// What the address of a request says, for protocols that say it there.
#[derive(Clone, Copy, Debug, Default)]
pub struct Address<'a> {
    /// The model (Gemini).
    pub model: Option<&'a str>,
    /// Whether a stream is asked for (Gemini); `None` where the body says so.
    pub stream: Option<bool>,
    /// The stream is wanted as events; else as a JSON array (Gemini without `alt=sse`).
    pub events: bool,
}

/// What of the request is needed to write its answer.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The request, without its messages.
    pub request: Request,
    /// The stream is wanted as events; else as a JSON array (Gemini without `alt=sse`).
    pub events: bool,
    /// Distinguishes the request: ids that the provider does not give are made of it. Letters and digits.
    pub id: String,
    /// The time in seconds since 1970.
    pub now: u64,
}

/// Whom a request is written for.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The provider's configured name: whose proofs of reasoning may be sent.
    pub provider: &'a str,
    /// The model as the provider names it.
    pub model: &'a str,
    /// How the provider deviates from its protocol.
    pub quirks: &'a Quirks,
}

/// A request as it goes to a provider.
#[derive(Clone, Debug, PartialEq)]
pub struct Outgoing {
    /// The path below the version segment, such as `/messages`, with its query if it needs one.
    pub path: String,
    /// Headers that the protocol demands beside the key and the content type.
    pub headers: Vec<(&'static str, String)>,
    /// The JSON body.
    pub body: Vec<u8>,
    /// What is needed to read the answer.
    pub memo: Memo,
}

/// What of the written request is needed to read its answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Memo {
    /// The provider's configured name, for proofs that it makes.
    pub provider: String,
    /// Tools whose name on the wire is not the caller's, by that name.
    pub tools: HashMap<String, ToolName>,
    /// The tool whose arguments are the answer: structured output for a provider that has none.
    pub answer_tool: Option<String>,
}

/// A tool as the caller knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolName {
    /// Its name.
    pub name: String,
    /// The group that it belongs to.
    pub namespace: Option<String>,
    /// It takes free text; on the wire it is a function with one argument, `input`.
    pub custom: bool,
}

/// A body that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// It is not JSON.
    #[error("{0}")]
    NotJson(#[from] TreeFault),
    /// A field is missing or is something else than it should be.
    #[error("`{field}` {reason}")]
    Field {
        /// The field, as the sender's protocol spells it.
        field: String,
        /// What is wrong, such as `must be a string` or `is missing`.
        reason: &'static str,
    },
}

impl Malformed {
    /// A field that is not as it should be.
    pub fn field(field: impl Into<String>, reason: &'static str) -> Self {
        Self::Field {
            field: field.into(),
            reason,
        }
    }
}

/// The codec of a protocol as its callers use it; `None` for one that only providers speak.
pub fn client_side(protocol: Protocol) -> Option<&'static dyn ClientSide> {
    match protocol {
        Protocol::OpenaiChat => Some(&crate::openai_chat::OpenaiChat),
        Protocol::OpenaiResponses => Some(&crate::openai_responses::OpenaiResponses),
        Protocol::Anthropic => Some(&crate::anthropic::Anthropic),
        Protocol::Gemini => Some(&crate::gemini::Gemini),
        Protocol::Cohere => None,
    }
}

/// The codec that writes errors, counts and the like for callers of a dialect, whatever they asked. Cohere's read OpenAI's.
pub fn caller_side(dialect: Dialect) -> &'static dyn ClientSide {
    match dialect {
        Dialect::OpenAi | Dialect::Cohere => &crate::openai_chat::OpenaiChat,
        Dialect::Anthropic => &crate::anthropic::Anthropic,
        Dialect::Gemini => &crate::gemini::Gemini,
    }
}

/// The codec of a protocol as its providers use it.
pub fn upstream_side(protocol: Protocol) -> &'static dyn UpstreamSide {
    match protocol {
        Protocol::OpenaiChat => &crate::openai_chat::OpenaiChat,
        Protocol::OpenaiResponses => &crate::openai_responses::OpenaiResponses,
        Protocol::Anthropic => &crate::anthropic::Anthropic,
        Protocol::Gemini => &crate::gemini::Gemini,
        Protocol::Cohere => &crate::cohere::Cohere,
    }
}
