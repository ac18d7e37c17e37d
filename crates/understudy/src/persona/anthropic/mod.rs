//! Anthropic's messages.

mod blocks;
mod check;
mod errors;
mod messages;
mod models;
mod prompt;
mod stream;
mod tools;
mod whole;

use serde_json::{Value, json};

use self::errors::ApiError;
use super::act::Act;
use super::delivery;
use super::key::{self, Key};
use super::scenario::Trouble;
use crate::received::Received;
use crate::reply::Reply;

/// The name that signatures of thinking bear.
const SEAL: &str = "anthropic";

/// The answer to a request.
pub(super) fn answer(received: &Received, path: &str) -> Reply {
    let reply = routed(received, path).unwrap_or_else(|error| error.reply(received.number));
    with_usual_headers(reply, received.number)
}

fn routed(received: &Received, path: &str) -> Result<Reply, ApiError> {
    match key::in_header(received, "x-api-key").or(key::bearer(received)) {
        Key::Good => {}
        Key::Missing => return Err(ApiError::unauthorized("x-api-key header is required")),
        Key::Wrong => return Err(ApiError::unauthorized("invalid x-api-key")),
    }
    if received.header("anthropic-version").is_none() {
        return Err(ApiError::invalid("anthropic-version: header is required"));
    }
    match (received.method.as_str(), path) {
        ("GET", "/v1/models") => Ok(models::list()),
        ("GET", path) if path.starts_with("/v1/models/") => models::retrieve(&path["/v1/models/".len()..]),
        ("POST", "/v1/messages") => message(received),
        ("POST", "/v1/messages/count_tokens") => count(received),
        _ => Err(ApiError::not_found("Not Found")),
    }
}

fn count(received: &Received) -> Result<Reply, ApiError> {
    let body = received.json().ok_or_else(ApiError::bad_json)?;
    check::request(&body, received.header("anthropic-beta").is_some(), true)?;
    let act = Act::of(&prompt::read(&body), false).map_err(ApiError::of_trouble)?;
    Ok(Reply::json(&json!({"input_tokens": act.numbers.input})))
}

fn message(received: &Received) -> Result<Reply, ApiError> {
    let body = received.json().ok_or_else(ApiError::bad_json)?;
    check::request(&body, received.header("anthropic-beta").is_some(), false)?;
    let is_stream = body["stream"] == true;
    let act = Act::of(&prompt::read(&body), is_stream).map_err(ApiError::of_trouble)?;
    let message = Message {
        number: received.number,
        body: &body,
        act: &act,
    };
    if !is_stream {
        return Ok(delivery::whole(&message.whole(), act.scenario));
    }
    let error = ApiError::of_trouble(Trouble::Overloaded).body(received.number);
    let failure = stream::event(&error);
    let ping = stream::event(&json!({"type": "ping"}));
    Ok(message
        .stream()
        .reply(act.scenario, "text/event-stream; charset=utf-8", &ping, |_| {
            failure.clone()
        }))
}

/// A message to be put on the wire.
struct Message<'a> {
    number: u64,
    body: &'a Value,
    act: &'a Act,
}

fn with_usual_headers(reply: Reply, number: u64) -> Reply {
    let reply = reply
        .header("request-id", errors::request_id(number))
        .header("anthropic-organization-id", "00000000-0000-4000-8000-000000000000");
    ["requests", "tokens", "input-tokens", "output-tokens"]
        .iter()
        .fold(reply, |reply, kind| {
            reply
                .header(format!("anthropic-ratelimit-{kind}-limit"), "1000")
                .header(format!("anthropic-ratelimit-{kind}-remaining"), "999")
                .header(format!("anthropic-ratelimit-{kind}-reset"), "2030-01-01T00:00:00Z")
        })
}
