//! OpenAI Chat Completions, and the error shape that all of OpenAI's API shares.

mod answer;
mod choice;
mod details;
pub mod error;
mod logprobs;
mod read_content;
mod read_error;
mod read_message;
mod read_request;
mod read_response;
mod read_stream;
mod read_tools;
mod usage;
mod words;
mod write_content;
mod write_message;
mod write_request;
mod write_response;
mod write_sampling;
mod write_stream;
mod write_tools;
mod write_user;

#[cfg(test)]
mod tests;

use crate::assembly::Assembly;
use crate::codec::{
    Address, Asked, ClientSide, EventReader, EventWriter, Malformed, Memo, Outgoing, Target, UpstreamSide,
};
use crate::ir::{Error, Request, Response};
use crate::loss::{Losses, Unsayable};

/// OpenAI Chat Completions, `POST /v1/chat/completions`, also as hundreds of other servers speak it.
#[derive(Debug)]
pub struct OpenaiChat;

impl ClientSide for OpenaiChat {
    fn read_request(&self, body: &[u8], _address: &Address<'_>) -> Result<Request, Malformed> {
        read_request::read(body)
    }

    fn write_response(&self, response: &Response, asked: &Asked, lost: &mut Losses) -> Vec<u8> {
        write_response::write(response, asked, lost)
    }

    fn write_error(&self, error: &Error, _request_id: &str) -> (u16, Vec<u8>) {
        (error::status_of(error.class), error::body(error).to_json())
    }

    fn event_writer(&self, asked: &Asked) -> Box<dyn EventWriter> {
        Box::new(write_stream::ChunkWriter::new(asked))
    }
}

impl UpstreamSide for OpenaiChat {
    fn write_request(&self, request: &Request, target: &Target<'_>, lost: &mut Losses) -> Result<Outgoing, Unsayable> {
        write_request::write(request, target, lost)
    }

    fn read_response(&self, body: &[u8], memo: &Memo, assembly: &mut Assembly) -> Result<(), Malformed> {
        read_response::read(body, memo, assembly)
    }

    fn read_error(&self, status: u16, body: &[u8]) -> Error {
        read_error::read(status, body)
    }

    fn event_reader(&self, memo: &Memo) -> Box<dyn EventReader> {
        Box::new(read_stream::ChunkReader::new(memo))
    }
}
