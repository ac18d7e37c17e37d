//! Tells when a stream of events has begun to carry content.
//!
//! Until then nothing is lost by asking somebody else, and the status code is still open: lifecycle events (a role, a
//! `response.created`) are held back, and an error that comes first is a failure like any other.

use serde_json::Value;

use crate::frame::{Frame, Splitter};

/// More than this is never held back.
const MAX_HELD: usize = 64 * 1024;

/// What the events so far amount to.
#[derive(Clone, Debug, PartialEq)]
pub enum Opening {
    /// Only lifecycle events.
    Waiting,
    /// Content, or the end of the stream, or something that is not for us to judge.
    Content,
    /// The provider reported an error instead of an answer.
    Error(StreamError),
}

/// An error that arrived as an event.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamError {
    /// The HTTP status that this error would have had.
    pub status: u16,
    /// The event's JSON.
    pub body: Vec<u8>,
}

/// Watches the beginning of a stream, in whichever dialect it is: their events cannot be mistaken for one another's.
#[derive(Debug, Default)]
pub struct Overture {
    splitter: Splitter,
    seen: usize,
}

impl Overture {
    /// Looks at the next chunk.
    pub fn push(&mut self, chunk: &[u8]) -> Opening {
        self.seen += chunk.len();
        if self.splitter.push(chunk).is_err() {
            return Opening::Content;
        }
        while let Some(block) = self.splitter.next_block() {
            match judge(&block) {
                Opening::Waiting => {}
                opening => return opening,
            }
        }
        if self.seen > MAX_HELD {
            Opening::Content
        } else {
            Opening::Waiting
        }
    }

    /// What the stream amounts to if it ends here.
    pub fn finish(&mut self) -> Opening {
        judge(&self.splitter.take_rest())
    }
}

fn judge(block: &[u8]) -> Opening {
    let Some(data) = Frame::parse(block).data else {
        return Opening::Waiting;
    };
    let Ok(event) = serde_json::from_slice::<Value>(&data) else {
        return Opening::Content;
    };
    if let Some(status) = error_status(&event) {
        return Opening::Error(StreamError {
            status,
            body: data.into_owned(),
        });
    }
    if is_lifecycle(&event) {
        Opening::Waiting
    } else {
        Opening::Content
    }
}

/// Whether an event carries nothing that a reader would see.
fn is_lifecycle(event: &Value) -> bool {
    if let Some(kind) = event["type"].as_str() {
        return match kind {
            // OpenAI Responses
            "response.created"
            | "response.queued"
            | "response.in_progress"
            | "response.output_item.added"
            | "response.content_part.added"
            // Anthropic
            | "message_start"
            | "ping" => true,
            "content_block_start" => matches!(event["content_block"]["type"].as_str(), Some("text" | "thinking")),
            _ => false,
        };
    }
    if let Some(candidates) = event["candidates"].as_array() {
        return candidates.iter().all(is_silent_candidate);
    }
    // Gemini's counts alone.
    if event["usageMetadata"].is_object() && event["promptFeedback"].is_null() {
        return true;
    }
    match event["choices"].as_array() {
        Some(choices) => event["usage"].is_null() && choices.iter().all(is_silent),
        None => false,
    }
}

/// A candidate of Gemini's that has said nothing yet.
fn is_silent_candidate(candidate: &Value) -> bool {
    let empty_text = |part: &Value| {
        part.as_object()
            .is_some_and(|part| part.len() == 1 && part.get("text").is_some_and(|text| text == ""))
    };
    let parts = candidate["content"]["parts"].as_array();
    candidate["finishReason"].is_null() && parts.is_none_or(|parts| parts.iter().all(empty_text))
}

/// A choice that has said nothing yet: at most a role, and empty texts.
fn is_silent(choice: &Value) -> bool {
    let empty = |value: &Value| value.is_null() || value == "" || value.as_array().is_some_and(Vec::is_empty);
    let silent_delta = match choice["delta"].as_object() {
        Some(delta) => delta.iter().all(|(key, value)| key == "role" || empty(value)),
        None => true,
    };
    silent_delta && empty(&choice["text"]) && choice["finish_reason"].is_null()
}

/// The status of an error event; `None` when the event is no error.
fn error_status(event: &Value) -> Option<u16> {
    let error = match event["type"].as_str() {
        Some("error") if event["error"].is_null() => event,
        Some("response.failed") => &event["response"]["error"],
        _ => &event["error"],
    };
    if error.is_null() || error == false || error == "" {
        return None;
    }
    let number = |key: &str| error[key].as_u64().or_else(|| error[key].as_str()?.parse().ok());
    let stated = number("status")
        .or_else(|| number("code"))
        .and_then(|status| u16::try_from(status).ok());
    if let Some(status @ 400..=599) = stated {
        return Some(status);
    }
    let words = format!(
        "{} {}",
        error["code"].as_str().unwrap_or(""),
        error["type"].as_str().unwrap_or("")
    );
    let any = |needles: &[&str]| needles.iter().any(|needle| words.contains(needle));
    Some(match () {
        () if any(&["rate_limit", "insufficient_quota", "too_many_requests"]) => 429,
        () if any(&["authentication", "invalid_api_key"]) => 401,
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
        () => 502,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opening(stream: &str) -> Opening {
        Overture::default().push(stream.as_bytes())
    }

    fn status(stream: &str) -> u16 {
        match opening(stream) {
            Opening::Error(error) => error.status,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn lifecycle_events_are_not_content() {
        let role = "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null}}]}\n\n";
        let created =
            "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"error\":null}}\n\n";
        for stream in [
            "",
            ": ping\n\n",
            role,
            created,
            "data: {\"choices\":[],\"prompt_filter_results\":[]}\n\n",
            "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":1}}}\n\n",
            "data: {\"type\":\"content_block_start\",\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
            "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"\"}]}}],\"usageMetadata\":{}}\n\n",
            "data: {\"usageMetadata\":{\"promptTokenCount\":3}}\n\n",
            "data: {\"cho",
        ] {
            assert_eq!(opening(stream), Opening::Waiting, "{stream}");
        }
    }

    #[test]
    fn content_is_whatever_a_reader_would_see() {
        for data in [
            r#"{"choices":[{"delta":{"content":"x"}}]}"#,
            r#"{"choices":[{"delta":{"tool_calls":[{"index":0}]}}]}"#,
            r#"{"choices":[{"delta":{"reasoning_content":"x"}}]}"#,
            r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#,
            r#"{"choices":[{"text":"x"}]}"#,
            r#"{"choices":[],"usage":{"prompt_tokens":1}}"#,
            r#"{"type":"response.output_text.delta","delta":"x"}"#,
            r#"{"type":"content_block_start","content_block":{"type":"tool_use"}}"#,
            r#"{"type":"content_block_delta","delta":{"type":"text_delta","text":"x"}}"#,
            r#"{"candidates":[{"content":{"parts":[{"text":"x"}]}}]}"#,
            r#"{"candidates":[{"finishReason":"SAFETY"}]}"#,
            r#"{"promptFeedback":{"blockReason":"SAFETY"}}"#,
            r#"{"something":"else"}"#,
            "[DONE]",
            "garbage",
        ] {
            assert_eq!(opening(&format!("data: {data}\n\n")), Opening::Content, "{data}");
        }
    }

    #[test]
    fn an_error_that_comes_first_has_a_status() {
        for (data, expected) in [
            (r#"{"error":{"message":"m","code":429}}"#, 429),
            (r#"{"error":{"message":"m","code":"503"}}"#, 503),
            (r#"{"error":{"message":"m","type":"rate_limit_error"}}"#, 429),
            (r#"{"error":"overloaded"}"#, 502),
            (
                r#"{"type":"error","error":{"type":"overloaded_error","message":"m"}}"#,
                503,
            ),
            (
                r#"{"type":"error","error":{"type":"not_found_error","message":"m"}}"#,
                404,
            ),
            (r#"{"error":{"code":503,"message":"m","status":"UNAVAILABLE"}}"#, 503),
            (
                r#"{"error":{"code":"context_length_exceeded","type":"invalid_request_error"}}"#,
                400,
            ),
            (r#"{"type":"error","code":"server_is_overloaded","message":"m"}"#, 503),
            (
                r#"{"type":"response.failed","response":{"error":{"code":"rate_limit_exceeded"}}}"#,
                429,
            ),
        ] {
            assert_eq!(status(&format!(": ping\n\ndata: {data}\n\n")), expected, "{data}");
        }
    }

    #[test]
    fn waiting_is_bounded_and_ends_with_the_stream() {
        let mut overture = Overture::default();
        assert_eq!(overture.push("x".repeat(MAX_HELD).as_bytes()), Opening::Waiting);
        assert_eq!(overture.push(b"x"), Opening::Content);
        let mut overture = Overture::default();
        overture.push(br#"data: {"error":{"code":500}}"#);
        assert!(matches!(
            overture.finish(),
            Opening::Error(StreamError { status: 500, .. })
        ));
    }
}
