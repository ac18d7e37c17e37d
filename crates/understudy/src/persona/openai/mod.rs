//! An easy-going provider with the whole API of OpenAI.

mod audio;
mod batches;
mod call;
mod chat;
mod completions;
mod conversation;
pub(super) mod embeddings;
pub(super) mod errors;
pub(super) mod events;
mod files;
mod images;
mod magic;
mod models;
mod moderations;
mod responses;
mod speech;
mod tools;
mod usage;

use self::batches::Batches;
use self::call::Call;
use self::files::Files;
use super::CREATED;
use crate::received::Received;
use crate::reply::Reply;

/// The persona, and what it remembers.
#[derive(Debug, Default)]
pub(super) struct Openai {
    files: Files,
    batches: Batches,
}

impl Openai {
    /// The answer to a request.
    pub(super) fn answer(&self, received: &Received, path: &str) -> Reply {
        let reply = match Call::new(received, path) {
            Ok(call) => self.answer_call(&call),
            Err(error) => error.reply(),
        };
        with_usual_headers(reply, received.number)
    }

    fn answer_call(&self, call: &Call<'_>) -> Reply {
        let method = call.received.method.as_str();
        let reply = match (method, &call.segments()[..]) {
            ("GET", ["models"]) => Ok(models::list()),
            ("GET", ["models", rest @ ..]) => models::retrieve(&rest.join("/")),
            ("POST", ["chat", "completions"]) => chat::answer(call),
            ("POST", ["completions"]) => completions::answer(call),
            ("POST", ["embeddings"]) => embeddings::answer(call),
            ("POST", ["responses"]) => responses::answer(call),
            ("POST", ["moderations"]) => moderations::answer(call),
            ("POST", ["images", "generations" | "edits" | "variations"]) => images::answer(call),
            ("POST", ["audio", "speech"]) => speech::answer(call),
            ("POST", ["audio", "transcriptions" | "translations"]) => audio::answer(call),
            (_, ["files", rest @ ..]) => self.files.answer(call, rest),
            (_, ["batches", rest @ ..]) => self.batches.answer(call, rest, &self.files),
            _ => Err(errors::unknown_url(call.received)),
        };
        match (reply, magic::effect(&call.model)) {
            (_, Some(magic::Effect::Instead(reply))) => *reply,
            (Ok(reply), Some(magic::Effect::Over(overlay))) => overlay.laid_over(reply),
            (Ok(reply), None) => reply,
            (Err(error), _) => error.reply(),
        }
    }
}

/// Adds the headers that OpenAI sends with everything.
pub(super) fn with_usual_headers(reply: Reply, number: u64) -> Reply {
    reply
        .header("x-request-id", format!("req_understudy_{number}"))
        .header("openai-processing-ms", "7")
        .header("openai-version", "2020-10-01")
        .header("x-ratelimit-limit-requests", "10000")
        .header("x-ratelimit-limit-tokens", "2000000")
        .header("x-ratelimit-remaining-requests", "9999")
        .header("x-ratelimit-remaining-tokens", "1999990")
        .header("x-ratelimit-reset-requests", "6ms")
        .header("x-ratelimit-reset-tokens", "17ms")
}
