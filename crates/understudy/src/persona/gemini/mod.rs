//! Gemini's `generateContent`, and what goes with it.

mod check;
mod contents;
mod embeddings;
mod errors;
mod models;
mod prompt;
mod reply;
mod schema;
mod spelling;
mod stream;

use serde_json::{Value, json};

use self::errors::ApiError;
use super::act::Act;
use super::delivery;
use super::key::{self, Key};
use super::scenario::Trouble;
use crate::received::Received;
use crate::reply::Reply;

/// The name that thought signatures bear.
const SEAL: &str = "gemini";

/// The answer to a request.
pub(super) fn answer(received: &Received, path: &str) -> Reply {
    let reply = routed(received, path).unwrap_or_else(|error| error.reply());
    reply
        .header("server-timing", "gfet4t7; dur=7")
        .header("x-gemini-service-tier", "standard")
}

fn routed(received: &Received, path: &str) -> Result<Reply, ApiError> {
    let key = key::in_header(received, "x-goog-api-key")
        .or(key::in_query(received, "key"))
        .or(key::bearer(received));
    match key {
        Key::Good => {}
        Key::Missing => return Err(ApiError::unregistered()),
        Key::Wrong => return Err(ApiError::wrong_key()),
    }
    let path = path.replace("%3A", ":").replace("%3a", ":");
    let rest = path.strip_prefix("/v1beta/").or_else(|| path.strip_prefix("/v1/"));
    let rest = rest.ok_or_else(ApiError::no_path)?;
    if received.method == "GET" {
        return match rest.strip_prefix("models/") {
            Some(name) => models::retrieve(name),
            None if rest == "models" => Ok(models::list()),
            None => Err(ApiError::no_path()),
        };
    }
    let (model, verb) = rest.rsplit_once(':').ok_or_else(ApiError::no_path)?;
    let model = model
        .strip_prefix("models/")
        .or_else(|| model.strip_prefix("tunedModels/"))
        .ok_or_else(ApiError::no_path)?;
    let body = received.json().ok_or_else(ApiError::bad_json)?;
    let body = spelling::camel(&body);
    match verb {
        "generateContent" => content(received, model, &body, false),
        "streamGenerateContent" => content(received, model, &body, true),
        "countTokens" => count(model, &body),
        "embedContent" => embeddings::one(&body),
        "batchEmbedContents" => embeddings::batch(&body),
        _ => Err(ApiError::no_path()),
    }
}

fn count(model: &str, body: &Value) -> Result<Reply, ApiError> {
    check::known_at("", body, &["contents", "generateContentRequest"])?;
    let request = body.get("generateContentRequest").unwrap_or(body);
    if request["contents"].is_null() {
        return Err(ApiError::invalid(
            "* CountTokensRequest.contents: contents is not specified\n",
        ));
    }
    contents::check(model, request)?;
    let act = Act::of(&prompt::read(request), false).map_err(ApiError::of_trouble)?;
    Ok(Reply::json(&json!({
        "totalTokens": act.numbers.input,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": act.numbers.input}],
    })))
}

fn content(received: &Received, model: &str, body: &Value, is_stream: bool) -> Result<Reply, ApiError> {
    check::request(model, body)?;
    let act = Act::of(&prompt::read(body), is_stream).map_err(ApiError::of_trouble)?;
    let content = Content {
        number: received.number,
        model,
        body,
        act: &act,
    };
    if !is_stream {
        return Ok(delivery::whole(&content.whole(), act.scenario));
    }
    let error = ApiError::of_trouble(Trouble::Unavailable).body();
    let asks_for_events = received
        .query()
        .is_some_and(|query| query.split('&').any(|pair| pair == "alt=sse"));
    if asks_for_events {
        let failure = stream::event(&error);
        return Ok(content
            .events()
            .reply(act.scenario, "text/event-stream", ": ping\n\n", |_| failure.clone()));
    }
    let failure = |count: usize| format!("{}{error}\n]", if count == 0 { "[" } else { "\n,\n" });
    Ok(content
        .array()
        .reply(act.scenario, "application/json; charset=UTF-8", "\n", failure))
}

/// A content to be put on the wire.
struct Content<'a> {
    number: u64,
    model: &'a str,
    body: &'a Value,
    act: &'a Act,
}
