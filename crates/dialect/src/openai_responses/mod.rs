//! OpenAI Responses: requests and answers are lists of typed items, and streams tell each item's life.

mod count;
mod echo;
mod error;
mod items;
mod read_content;
mod read_input;
mod read_items;
mod read_request;
mod read_response;
mod read_stream;
mod read_tools;
mod schema;
#[cfg(test)]
mod tests;
mod tools;
mod usage;
mod words;
mod write_content;
mod write_deltas;
mod write_input;
mod write_items;
mod write_options;
mod write_parts;
mod write_request;
mod write_response;
mod write_stream;

use crate::assembly::Assembly;
use crate::codec::{
    Address, Asked, ClientSide, EventReader, EventWriter, Malformed, Memo, Outgoing, Target, UpstreamSide,
};
use crate::ir::{Error, Request, Response};
use crate::loss::{Losses, Unsayable};
use crate::protocol::Protocol;

/// The members of a request that refer to something that OpenAI keeps (a stored conversation, a template, a job in the
/// background). They are kept as [`Request::extra`] under these names; no other protocol has anything like them.
pub const STATE_FIELDS: [&str; 4] = ["previous_response_id", "conversation", "background", "prompt"];

/// This protocol, where extras and foreign parts are told apart.
const OWN: Protocol = Protocol::OpenaiResponses;

/// The codec of OpenAI Responses.
#[derive(Clone, Copy, Debug)]
pub struct OpenaiResponses;

impl ClientSide for OpenaiResponses {
    fn read_request(&self, body: &[u8], _address: &Address<'_>) -> Result<Request, Malformed> {
        read_request::read(body)
    }

    fn write_response(&self, response: &Response, asked: &Asked, lost: &mut Losses) -> Vec<u8> {
        write_response::write(response, asked, lost)
    }

    fn write_error(&self, error: &Error, _request_id: &str) -> (u16, Vec<u8>) {
        error::write(error)
    }

    fn event_writer(&self, asked: &Asked) -> Box<dyn EventWriter> {
        Box::new(write_stream::Writer::new(asked))
    }
}

impl UpstreamSide for OpenaiResponses {
    fn write_request(&self, request: &Request, target: &Target<'_>, lost: &mut Losses) -> Result<Outgoing, Unsayable> {
        write_request::write(request, target, lost)
    }

    fn read_response(&self, body: &[u8], memo: &Memo, assembly: &mut Assembly) -> Result<(), Malformed> {
        read_response::read(body, memo, assembly)
    }

    fn read_error(&self, status: u16, body: &[u8]) -> Error {
        error::read(status, body)
    }

    fn event_reader(&self, memo: &Memo) -> Box<dyn EventReader> {
        Box::new(read_stream::Reader::new(memo))
    }

    fn write_count_request(
        &self,
        request: &Request,
        target: &Target<'_>,
        lost: &mut Losses,
    ) -> Option<Result<Outgoing, Unsayable>> {
        let outgoing = self.write_request(request, target, lost);
        Some(outgoing.map(count::write_count_request))
    }

    fn read_count(&self, body: &[u8]) -> Option<u64> {
        count::read_count(body)
    }
}
