//! The built-in persona: answers as a correct OpenAI-like provider would, always the same to the same request.

mod audio;
mod batches;
mod call;
mod chat;
mod completions;
mod conversation;
mod embeddings;
mod errors;
mod events;
mod files;
mod images;
mod magic;
mod models;
mod moderations;
mod responses;
mod sample;
mod speech;
mod tools;
mod usage;

use self::batches::Batches;
use self::call::Call;
use self::files::Files;
use crate::received::Received;
use crate::reply::Reply;

/// When everything was created, as far as the persona is concerned.
const CREATED: u64 = 1_700_000_000;

/// The built-in persona, and what it remembers.
#[derive(Debug, Default)]
pub(crate) struct Persona {
    files: Files,
    batches: Batches,
}

impl Persona {
    /// The answer to a request.
    pub(crate) fn answer(&self, received: &Received) -> Reply {
        let reply = match Call::new(received) {
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

fn with_usual_headers(reply: Reply, number: u64) -> Reply {
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
