//! Errors that come where an answer should be: as an event of a stream, or as a body whose status was 200.

use std::sync::LazyLock;

use memchr::memmem::Finder;
use serde_json::Value;

use crate::closing::is_null;
use crate::codec::{ClientSide as _, UpstreamSide as _};
use crate::frame::{Frame, Splitter};
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

/// Built once: for an event that takes longer than the search itself.
static ERROR: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("error"));
static FAILED: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"response.failed\""));

/// The status of the first error among some events of a stream, which are parsed only when one of them may be an error.
pub(crate) fn error_among(events: &[u8]) -> Option<u16> {
    let mut splitter = Splitter::default();
    if !may_hold_error(events) || splitter.push(events).is_err() {
        return None;
    }
    std::iter::from_fn(|| splitter.next_block())
        .find_map(|block| status_in(&block))
        .or_else(|| status_in(&splitter.take_rest()))
}

/// Whether one of some events has an error as a member that is not null, as its kind, or as its name. A quote inside a JSON
/// string is always escaped.
fn may_hold_error(events: &[u8]) -> bool {
    ERROR.find_iter(events).any(|at| {
        let (before, found) = events.split_at(at);
        let after = found.get(ERROR.needle().len()..).unwrap_or_default();
        match after.strip_prefix(b"\"") {
            Some(rest) if before.ends_with(b"\"") => !is_null(rest) || FAILED.find(events).is_some(),
            _ => before.trim_ascii_end().ends_with(b"event:"),
        }
    })
}

fn status_in(block: &[u8]) -> Option<u16> {
    let frame = Frame::parse(block);
    // One that is too long to be held is not all there, but has a name.
    let event = serde_json::from_slice(frame.data.as_deref()?).unwrap_or_default();
    event_status(frame.event, &event)
}

/// The status of an error event by its name and its data; `None` when the event is no error.
pub(crate) fn event_status(name: &[u8], event: &Value) -> Option<u16> {
    let is_named = matches!(name, b"error" | b"response.failed");
    error_status(event).or_else(|| is_named.then(|| status_of(event)))
}

/// The status of what is an error; `None` when it is none.
pub(crate) fn error_status(event: &Value) -> Option<u16> {
    // Google's endpoints put it into an array.
    let event = event.get(0).unwrap_or(event);
    let error = match responses_error(event) {
        // It has failed also where no error is told.
        Some(error) if event["type"] == "response.failed" => return Some(status_of(error)),
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
fn status_of(error: &Value) -> u16 {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The same, with every event parsed.
    fn parsed(events: &str) -> Option<u16> {
        let mut splitter = Splitter::default();
        splitter.push(events.as_bytes()).unwrap();
        std::iter::from_fn(|| splitter.next_block()).find_map(|block| status_in(&block))
    }

    #[test]
    fn an_error_is_found_among_events_wherever_it_is() {
        let text = "data: {\"choices\":[{\"delta\":{\"content\":\"error\"}}],\"error\":null}\n\n";
        for (event, status) in [
            ("data: {\"error\":{\"message\":\"m\",\"code\":503}}", 503),
            (
                "data: {\"id\":\"c\",\"choices\":[],\"error\" : {\"code\":\"429\"}}",
                429,
            ),
            ("data: {\"object\":\"error\",\"message\":\"m\",\"code\":400}", 400),
            (
                "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}",
                529,
            ),
            ("event: error\ndata: {\"message\":\"m\"}", 502),
            (
                "data: {\"type\":\"error\",\"code\":\"server_error\",\"message\":\"m\"}",
                502,
            ),
            (
                "data: {\"type\":\"response.failed\",\"response\":{\"error\":{\"code\":\"rate_limit_exceeded\"}}}",
                429,
            ),
            (
                "data: {\"type\":\"response.failed\",\"response\":{\"error\":null}}",
                502,
            ),
            (
                "event: response.failed\ndata: {\"response\":{\"error\":{\"code\":\"cut in a text that is too lo",
                502,
            ),
        ] {
            for events in [format!("{event}\n\n"), format!("{text}{event}\n\ndata: [DONE]\n\n")] {
                assert_eq!(error_among(events.as_bytes()), Some(status), "{events}");
                assert_eq!(parsed(&events), Some(status), "{events}");
            }
        }
    }

    #[test]
    fn what_only_speaks_of_errors_is_none() {
        for event in [
            "data: {\"choices\":[{\"delta\":{\"content\":\"an error, \\\"error\\\":{\\\"code\\\":500}\"}}]}",
            "data: {\"type\":\"response.incomplete\",\"response\":{\"error\":null}}",
            "data: {\"type\":\"response.output_item.done\",\"item\":{\"type\":\"mcp_call\",\"error\":{\"code\":500}}}",
            "data: {\"type\":\"content_block_start\",\"content_block\":{\"content\":{\"type\":\"web_search_tool_result_error\"}}}",
            "event: response.refusal.delta\ndata: {\"type\":\"response.refusal.delta\",\"delta\":\"error\"}",
            "event: error",
            ": error",
        ] {
            assert_eq!(error_among(format!("{event}\n\n").as_bytes()), None, "{event}");
        }
    }
}
