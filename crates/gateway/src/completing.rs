//! The older completions, answered by a model that only chats.

use mynah_dialect::Protocol;
use mynah_dialect::codec::{Address, Asked, ClientSide, EventWriter, Malformed, client_side};
use mynah_dialect::completions::{Completion, Heading};
use mynah_dialect::ir::{Error, Request, Response};
use mynah_dialect::loss::Losses;

use crate::exchange::{Question, heading};

/// A request with one prompt, and what its answer is called.
#[derive(Debug)]
pub struct Completing {
    completion: Completion,
    heading: Heading,
}

impl Completing {
    /// For a request that was read.
    pub fn new(completion: Completion, question: &Question<'_>) -> Self {
        Self {
            completion,
            heading: heading(question.id, question.now),
        }
    }
}

impl ClientSide for Completing {
    fn read_request(&self, _body: &[u8], _address: &Address<'_>) -> Result<Request, Malformed> {
        let request = self.completion.requests.first();
        request
            .cloned()
            .ok_or_else(|| Malformed::field("prompt", "must not be empty"))
    }

    fn write_response(&self, response: &Response, _asked: &Asked, _lost: &mut Losses) -> Vec<u8> {
        let written = self
            .completion
            .write_response(std::slice::from_ref(response), &self.heading);
        written.unwrap_or_else(|error| self.write_error(&error, &self.heading.id).1)
    }

    fn write_error(&self, error: &Error, request_id: &str) -> (u16, Vec<u8>) {
        client_side(Protocol::OpenaiChat).map_or_else(
            || (error.class.status(), Vec::new()),
            |codec| codec.write_error(error, request_id),
        )
    }

    fn event_writer(&self, _asked: &Asked) -> Box<dyn EventWriter> {
        self.completion.event_writer(self.heading.clone())
    }
}
