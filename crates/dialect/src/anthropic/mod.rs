//! Anthropic Messages: `POST /v1/messages`, spoken by its callers and by its providers.

mod cache;
mod choice;
mod citations;
mod count_tokens;
mod error;
mod extras;
mod models;
mod read_content;
mod read_request;
mod read_response;
mod read_stream;
mod schema;
mod thinking;
mod tools;
mod turns;
mod usage;
mod wire;
mod words;
mod write_content;
mod write_request;
mod write_response;
mod write_stream;

pub use extras::BILLING_HEADER;

use crate::assembly::Assembly;
use crate::codec::{
    Address, Asked, ClientSide, EventReader, EventWriter, Malformed, Memo, Outgoing, Target, UpstreamSide,
};
use crate::ir::{Error, Request, Response};
use crate::loss::{Losses, Unsayable};

/// The protocol, on either side.
#[derive(Clone, Copy, Debug)]
pub struct Anthropic;

impl ClientSide for Anthropic {
    fn read_request(&self, body: &[u8], _address: &Address<'_>) -> Result<Request, Malformed> {
        read_request::read(body)
    }

    fn write_response(&self, response: &Response, asked: &Asked, lost: &mut Losses) -> Vec<u8> {
        write_response::write(response, asked, lost)
    }

    fn write_error(&self, error: &Error, request_id: &str) -> (u16, Vec<u8>) {
        error::write(error, request_id)
    }

    fn event_writer(&self, asked: &Asked) -> Box<dyn EventWriter> {
        Box::new(write_stream::Writer::new(asked))
    }

    fn write_count(&self, tokens: u64) -> Vec<u8> {
        count_tokens::write_count(tokens)
    }
}

impl UpstreamSide for Anthropic {
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
        Some(count_tokens::write_count_request(request, target, lost))
    }

    fn read_count(&self, body: &[u8]) -> Option<u64> {
        count_tokens::read_count(body)
    }
}

#[cfg(test)]
mod tests;
