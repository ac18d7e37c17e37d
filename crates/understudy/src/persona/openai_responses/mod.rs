//! OpenAI's responses, strict.

mod check;
mod items;
mod prompt;
mod stream;
mod whole;

use serde_json::{Value, json};

use super::act::Act;
use super::delivery;
use super::key;
use super::openai::errors::{ApiError, unknown_url};
use super::openai::{events, with_usual_headers};
use super::scenario::Trouble;
use crate::received::Received;
use crate::reply::Reply;

/// The name that encrypted reasoning bears.
const SEAL: &str = "openai";

/// The answer to a request.
pub(super) fn answer(received: &Received, path: &str) -> Reply {
    let reply = response(received, path).unwrap_or_else(|error| error.strict_reply());
    with_usual_headers(reply, received.number)
}

fn response(received: &Received, path: &str) -> Result<Reply, ApiError> {
    let is_count = path.ends_with("/responses/input_tokens");
    if received.method != "POST" || !(is_count || path.ends_with("/responses")) {
        return Err(unknown_url(received));
    }
    if let Some(error) = ApiError::of_key(key::bearer(received).or(key::in_header(received, "api-key"))) {
        return Err(error);
    }
    let body = received.json().ok_or_else(ApiError::bad_json)?;
    check::request(&body)?;
    let is_stream = body["stream"] == true;
    let act = Act::of(&prompt::read(&body), is_stream).map_err(ApiError::of_trouble)?;
    if is_count {
        return Ok(Reply::json(
            &json!({"object": "response.input_tokens", "input_tokens": act.numbers.input}),
        ));
    }
    let response = Response {
        number: received.number,
        body: &body,
        act: &act,
    };
    if !is_stream {
        return Ok(delivery::whole(&response.whole(), act.scenario));
    }
    let failure = |count: usize| events::named(&failed(&response, count));
    Ok(response
        .stream()
        .reply(act.scenario, "text/event-stream; charset=utf-8", ": ping\n\n", failure))
}

/// A response to be put on the wire.
struct Response<'a> {
    number: u64,
    body: &'a Value,
    act: &'a Act,
}

/// The event for an error after so many events.
fn failed(response: &Response<'_>, count: usize) -> Value {
    let mut failed = response.envelope("failed");
    let error = ApiError::of_trouble(Trouble::Internal);
    failed["error"] = json!({"code": "server_error", "message": error.message()});
    json!({"type": "response.failed", "sequence_number": count, "response": failed})
}
