//! Gemini `generateContent`.
//!
//! Facts are from the reference of the Gemini API (<https://ai.google.dev/api/generate-content>) and from what Google's
//! SDK (google-genai) sends and accepts.

mod citations;
mod compact;
mod count;
mod error;
mod logprobs;
mod models;
mod openapi;
mod place;
mod read_config;
mod read_content;
mod read_media;
mod read_request;
mod read_response;
mod read_stream;
mod read_tools;
mod schema;
mod shape;
mod spelling;
mod thinking;
mod turns;
mod usage;
mod words;
mod write_choice;
mod write_config;
mod write_content;
mod write_media;
mod write_request;
mod write_response;
mod write_result;
mod write_stream;
mod write_tools;

use crate::assembly::Assembly;
use crate::codec::{
    Address, Asked, ClientSide, EventReader, EventWriter, Malformed, Memo, Outgoing, Target, UpstreamSide,
};
use crate::ir::{Error, Request, Response};
use crate::loss::{Losses, Unsayable};

/// The codec of Gemini's `generateContent`.
#[derive(Debug)]
pub struct Gemini;

impl ClientSide for Gemini {
    fn read_request(&self, body: &[u8], address: &Address<'_>) -> Result<Request, Malformed> {
        read_request::read_request(body, address)
    }

    fn write_response(&self, response: &Response, asked: &Asked, lost: &mut Losses) -> Vec<u8> {
        write_response::write_response(response, asked, lost)
    }

    fn write_error(&self, error: &Error, request_id: &str) -> (u16, Vec<u8>) {
        error::write_error(error, request_id)
    }

    fn event_writer(&self, asked: &Asked) -> Box<dyn EventWriter> {
        Box::new(write_stream::Writer::new(asked))
    }

    fn read_count_request(&self, body: &[u8], address: &Address<'_>) -> Result<Request, Malformed> {
        count::read_count_request(body, address)
    }

    fn write_count(&self, tokens: u64) -> Vec<u8> {
        count::write_count(tokens)
    }
}

impl UpstreamSide for Gemini {
    fn write_request(&self, request: &Request, target: &Target<'_>, lost: &mut Losses) -> Result<Outgoing, Unsayable> {
        write_request::write_request(request, target, lost)
    }

    fn read_response(&self, body: &[u8], memo: &Memo, assembly: &mut Assembly) -> Result<(), Malformed> {
        read_response::read_response(body, memo, assembly)
    }

    fn read_error(&self, status: u16, body: &[u8]) -> Error {
        error::read_error(status, body)
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
        Some(count::write_count_request(request, target, lost))
    }

    fn read_count(&self, body: &[u8]) -> Option<u64> {
        count::read_count(body)
    }
}

#[cfg(test)]
mod tests;
