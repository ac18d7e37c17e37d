//! Cohere's chat API, version 2: `POST /v2/chat`. Only providers speak it here.
//!
//! <https://docs.cohere.com/reference/chat>

mod citations;
mod content;
mod error;
mod messages;
mod read_response;
mod read_stream;
mod tools;
mod usage;
mod words;
mod write_request;

use crate::assembly::Assembly;
use crate::codec::{EventReader, Malformed, Memo, Outgoing, Target, UpstreamSide};
use crate::ir::{Error, Request};
use crate::loss::{Losses, Unsayable};

/// Cohere's chat API, version 2.
#[derive(Clone, Copy, Debug)]
pub struct Cohere;

impl UpstreamSide for Cohere {
    fn write_request(&self, request: &Request, target: &Target<'_>, lost: &mut Losses) -> Result<Outgoing, Unsayable> {
        write_request::write(request, target, lost)
    }

    fn read_response(&self, body: &[u8], _memo: &Memo, assembly: &mut Assembly) -> Result<(), Malformed> {
        read_response::read(body, assembly)
    }

    fn read_error(&self, status: u16, body: &[u8]) -> Error {
        error::read(status, body)
    }

    fn event_reader(&self, _memo: &Memo) -> Box<dyn EventReader> {
        Box::new(read_stream::Reader::default())
    }
}

#[cfg(test)]
mod tests;
