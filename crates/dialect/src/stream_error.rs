//! Errors that come where an answer should be: as an event of a stream, or as a body whose status was 200.

use serde_json::Value;

use crate::codec::{ClientSide as _, UpstreamSide as _};
use crate::openai_responses::OpenaiResponses;

/// An error that arrived in place of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamError {
    /// The HTTP status that this error would have had.
    pub status: u16,
    /// Its JSON.
    pub body: Vec<u8>,
}

impl StreamError {
    /// The error that an event tells of; `data` is the event.
    pub(crate) fn of_event(status: u16, event: &Value, data: Vec<u8>) -> Self {
        let body = match responses_error(event) {
            Some(error) => {
                let error = OpenaiResponses.read_error(status, error.to_string().as_bytes());
                OpenaiResponses.write_error(&error, "").1
            }
            None => data,
        };
        Self { status, body }
    }
}

/// The error in an event of the Responses API, which outside of streams is told in another form
/// (<https://platform.openai.com/docs/api-reference/responses-streaming>).
fn responses_error(event: &Value) -> Option<&Value> {
    match event["type"].as_str() {
        Some("error") if event["error"].is_null() => Some(event),
        Some("response.failed") => Some(&event["response"]["error"]),
        _ => None,
    }
}

/// Anthropic's status for being overloaded, which its streams tell as an error without one
/// (<https://platform.claude.com/docs/en/api/errors>).
const ANTHROPIC_OVERLOADED: u16 = 529;

/// What an error is whose kind is not told.
pub(crate) const UNEXPLAINED: u16 = 502;

/// The status of an error event; `None` when the event is no error.
pub(crate) fn error_status(event: &Value) -> Option<u16> {
    // Google's endpoints put it into an array.
    let event = event.get(0).unwrap_or(event);
    let error = match responses_error(event) {
        Some(error) => error,
        // vLLM
        None if event["object"] == "error" => event,
        None => &event["error"],
    };
    if error.is_null() || error == false || error == "" {
        return None;
    }
    if event["type"] == "error" && error["type"] == "overloaded_error" {
        return Some(ANTHROPIC_OVERLOADED);
    }
    Some(status_of(error))
}

/// The status of an error object.
pub(crate) fn status_of(error: &Value) -> u16 {
    let number = |key: &str| error[key].as_u64().or_else(|| error[key].as_str()?.parse().ok());
    let stated = number("status")
        .or_else(|| number("code"))
        .and_then(|status| u16::try_from(status).ok());
    if let Some(status @ 400..=599) = stated {
        return status;
    }
    let words = format!(
        "{} {}",
        error["code"].as_str().unwrap_or(""),
        error["type"].as_str().unwrap_or("")
    );
    let any = |needles: &[&str]| needles.iter().any(|needle| words.contains(needle));
    match () {
        () if any(&["rate_limit", "insufficient_quota", "too_many_requests"]) => 429,
        () if any(&["authentication", "invalid_api_key"]) => 401,
        () if any(&["billing"]) => 402,
        () if any(&["permission"]) => 403,
        () if any(&["not_found"]) => 404,
        () if any(&["request_too_large"]) => 413,
        () if any(&["timeout"]) => 504,
        () if any(&["overloaded", "slow_down", "unavailable"]) => 503,
        () if any(&[
            "invalid_request",
            "invalid_prompt",
            "context_length",
            "content_policy",
            "invalid_image",
        ]) =>
        {
            400
        }
        () => UNEXPLAINED,
    }
}
