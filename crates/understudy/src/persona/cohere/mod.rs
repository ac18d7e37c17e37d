//! Cohere's second API: chat, embed, rerank.

mod chat;
mod check;
mod embed;
mod errors;
mod messages;
mod prompt;
pub(super) mod rerank;
mod stream;

use serde_json::{Value, json};

use self::errors::ApiError;
use super::act::Act;
use super::delivery;
use super::key::{self, Key};
use crate::received::Received;
use crate::reply::Reply;

/// The answer to a request.
pub(super) fn answer(received: &Received, path: &str) -> Reply {
    let reply = routed(received, path).unwrap_or_else(|error| error.reply(received.number));
    reply
        .header("x-debug-trace-id", format!("understudy{}", received.number))
        .header("x-endpoint-monthly-call-limit", "1000")
        .header("x-trial-endpoint-call-limit", "40")
        .header("x-trial-endpoint-call-remaining", "39")
}

fn routed(received: &Received, path: &str) -> Result<Reply, ApiError> {
    match key::bearer(received) {
        Key::Good => {}
        Key::Missing => return Err(ApiError::unauthorized("no api key supplied")),
        Key::Wrong => return Err(ApiError::unauthorized("invalid api token")),
    }
    if received.method == "GET" && path == "/v1/models" {
        return Ok(models());
    }
    let answer: fn(&Received, &Value) -> Result<Reply, ApiError> = match (received.method.as_str(), path) {
        ("POST", "/v2/chat") => chat,
        ("POST", "/v2/embed") => embed::answer,
        ("POST", "/v2/rerank") => rerank::answer,
        _ => return Err(ApiError::new(404, "404 page not found")),
    };
    let body = received
        .json()
        .ok_or_else(|| ApiError::invalid("invalid json syntax"))?;
    answer(received, &body)
}

fn models() -> Reply {
    let model = |name: &str, endpoints: Value| json!({"name": name, "endpoints": endpoints, "finetuned": false, "context_length": 128_000, "features": ["tools"]});
    Reply::json(&json!({"models": [
        model("command-a-03-2025", json!(["chat"])),
        model("embed-v4.0", json!(["embed"])),
        model("rerank-v3.5", json!(["rerank"])),
    ]}))
}

fn chat(received: &Received, body: &Value) -> Result<Reply, ApiError> {
    check::request(body)?;
    let is_stream = body["stream"] == true;
    let act = Act::of(&prompt::read(body), is_stream).map_err(ApiError::of_trouble)?;
    let chat = Chat {
        number: received.number,
        body,
        act: &act,
    };
    if !is_stream {
        return Ok(delivery::whole(&chat.whole(), act.scenario));
    }
    let failure = stream::event(&chat.failure());
    Ok(chat
        .stream()
        .reply(act.scenario, "text/event-stream", ": ping\n\n", |_| failure.clone()))
}

/// An answer in a chat, to be put on the wire.
struct Chat<'a> {
    number: u64,
    body: &'a Value,
    act: &'a Act,
}
