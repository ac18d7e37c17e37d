//! OpenAI's chat completions, strict.

mod check;
mod messages;
mod prompt;
mod stream;
mod whole;

use serde_json::Value;

use super::act::Act;
use super::delivery;
use super::key;
use super::openai::errors::{ApiError, unknown_url};
use super::openai::{events, with_usual_headers};
use super::scenario::Trouble;
use crate::received::Received;
use crate::reply::Reply;

/// The answer to a request.
pub(super) fn answer(received: &Received, path: &str) -> Reply {
    let reply = completion(received, path).unwrap_or_else(|error| error.strict_reply());
    with_usual_headers(reply, received.number)
}

fn completion(received: &Received, path: &str) -> Result<Reply, ApiError> {
    if received.method != "POST" || !path.ends_with("/chat/completions") {
        return Err(unknown_url(received));
    }
    if let Some(error) = ApiError::of_key(key::bearer(received).or(key::in_header(received, "api-key"))) {
        return Err(error);
    }
    let body = received.json().ok_or_else(ApiError::bad_json)?;
    check::request(&body)?;
    let is_stream = body["stream"] == true;
    let act = Act::of(&prompt::read(&body), is_stream).map_err(ApiError::of_trouble)?;
    let completion = Completion {
        number: received.number,
        body: &body,
        act: &act,
    };
    if !is_stream {
        return Ok(delivery::whole(&completion.whole(), act.scenario));
    }
    let failure = events::data(&ApiError::of_trouble(Trouble::Internal).body());
    Ok(completion
        .stream()
        .reply(act.scenario, "text/event-stream; charset=utf-8", ": ping\n\n", |_| {
            failure.clone()
        }))
}

/// A completion to be put on the wire.
struct Completion<'a> {
    number: u64,
    body: &'a Value,
    act: &'a Act,
}

/// Whether it is one of OpenAI's own models: they show nothing of their thinking here.
fn is_openai_model(model: &str) -> bool {
    model.starts_with("gpt-") || is_reasoning_model(model)
}

/// Whether it is a model that thinks before it speaks, and so takes no sampling parameters.
fn is_reasoning_model(model: &str) -> bool {
    ["o1", "o3", "o4", "gpt-5"]
        .iter()
        .any(|family| model.starts_with(family))
}
