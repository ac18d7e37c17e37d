//! Tells when a stream of events has begun to carry content.
//!
//! Until then nothing is lost by asking somebody else, and the status code is still open: lifecycle events (a role, a
//! `response.created`) are held back, and an error that comes first, something that is no event, or an end without content
//! is a failure like any other.

use serde_json::Value;

use crate::frame::{Frame, Splitter};
use crate::json::is_well_formed;
pub use crate::stream_error::StreamError;
use crate::stream_error::{error_status, event_status};

/// More than this is never held back.
const MAX_HELD: usize = 64 * 1024;

/// What the events so far amount to.
#[derive(Clone, Debug, PartialEq)]
pub enum Opening {
    /// Only lifecycle events.
    Waiting,
    /// Content, or something that is not for us to judge.
    Content,
    /// The provider reported an error instead of an answer.
    Error(StreamError),
    /// What came is not what a provider sends; the text says what it is instead.
    Malformed(&'static str),
    /// The stream ended, or said that it ends, without content. An event that was cut off is no content.
    Empty,
}

/// Watches the beginning of a stream, in whichever dialect it is: their events cannot be mistaken for one another's.
///
/// The first opening that is not [`Opening::Waiting`] counts, and does not depend on how the stream is cut into chunks.
#[derive(Debug, Default)]
pub struct Overture {
    splitter: Splitter,
    seen: usize,
}

impl Overture {
    /// Looks at the next chunk.
    pub fn push(&mut self, chunk: &[u8]) -> Opening {
        let room = MAX_HELD.saturating_sub(self.seen);
        self.seen = self.seen.saturating_add(chunk.len());
        if self.splitter.push(chunk.get(..room).unwrap_or(chunk)).is_err() {
            return Opening::Content;
        }
        while let Some(block) = self.splitter.next_block() {
            match judge(&block) {
                Opening::Waiting => {}
                opening => return opening,
            }
        }
        if self.seen <= MAX_HELD {
            return Opening::Waiting;
        }
        match foreign(&self.splitter.take_rest()) {
            Some(what) => Opening::Malformed(what),
            None => Opening::Content,
        }
    }

    /// What the stream amounts to if it ends here; never [`Opening::Waiting`].
    pub fn finish(&mut self) -> Opening {
        let rest = self.splitter.take_rest();
        match judge(&rest) {
            Opening::Waiting => Opening::Empty,
            Opening::Malformed(_) if foreign(&rest).is_none() => Opening::Empty,
            opening => opening,
        }
    }
}

fn judge(block: &[u8]) -> Opening {
    // The second half of a line's end, where the first half ended a chunk and a block.
    let block = block.strip_prefix(b"\n").unwrap_or(block);
    let frame = Frame::parse(block);
    let Some(data) = frame.data else {
        return match foreign(block) {
            Some(what) => misplaced(block, what),
            None => Opening::Waiting,
        };
    };
    match data.trim_ascii() {
        b"" => return Opening::Waiting,
        b"[DONE]" => return Opening::Empty,
        _ => {}
    }
    let Ok(event) = serde_json::from_slice::<Value>(&data) else {
        return if is_well_formed(&data) {
            // Half a surrogate pair, a huge number, and the like.
            Opening::Content
        } else {
            Opening::Malformed("an event that is not JSON")
        };
    };
    if let Some(status) = event_status(frame.event, &event) {
        return Opening::Error(StreamError::of_event(status, &event, data.into_owned()));
    }
    if !event.is_object() && !event.is_array() {
        Opening::Malformed("an event that is no object")
    } else if is_lifecycle(&event) {
        Opening::Waiting
    } else {
        Opening::Content
    }
}

/// What a block is that has no line of an event in it: its first line shows it.
fn foreign(block: &[u8]) -> Option<&'static str> {
    let block = block.trim_ascii();
    let block = block.strip_prefix("\u{feff}".as_bytes()).unwrap_or(block).trim_ascii();
    let line = block
        .split(|byte| matches!(byte, b'\n' | b'\r'))
        .next()
        .unwrap_or(block);
    let is_field = match memchr::memchr(b':', line) {
        Some(colon) => FIELDS.contains(&&line[..colon]),
        // A line may be cut off.
        None => FIELDS.iter().any(|field| field.starts_with(line)),
    };
    match line.first()? {
        _ if is_field => None,
        b'<' => Some("a page"),
        b'{' | b'[' => Some("JSON, but no events"),
        _ => Some("text, but no events"),
    }
}

/// The fields of an event (WHATWG, "Server-sent events", section 9.2.6); a comment has no name.
const FIELDS: [&[u8]; 5] = [b"", b"data", b"event", b"id", b"retry"];

/// A text that came in place of events may still be a proper error.
fn misplaced(block: &[u8], what: &'static str) -> Opening {
    let error = serde_json::from_slice(block).ok().and_then(|body| error_status(&body));
    match error {
        Some(status) => Opening::Error(StreamError {
            status,
            body: block.trim_ascii().to_vec(),
        }),
        None => Opening::Malformed(what),
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
            "response.reasoning_summary_part.added" => event["part"]["text"] == "",
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

#[cfg(test)]
mod tests;
