//! Tells whether a stream of events has said that it is over.
//!
//! Needed where HTTP cannot say so: when a body ends with its connection, a provider that broke off looks like one that
//! had finished.

use serde_json::Value;

use crate::frame::{Frame, Splitter};

/// Watches a stream for its end, in whichever dialect it is: their events cannot be mistaken for one another's.
#[derive(Debug, Default)]
pub struct Finale {
    splitter: Splitter,
    seen: bool,
}

impl Finale {
    /// Looks at the next chunk.
    pub fn push(&mut self, chunk: &[u8]) {
        if self.seen || self.splitter.push(chunk).is_err() {
            return;
        }
        while let Some(block) = self.splitter.next_block() {
            self.seen |= ends(&block);
        }
    }

    /// Whether the stream has said that it is over; to be asked once, at its end.
    pub fn seen(&mut self) -> bool {
        self.seen |= ends(&self.splitter.take_rest());
        self.seen
    }
}

fn ends(block: &[u8]) -> bool {
    let Some(data) = Frame::parse(block).data else {
        return false;
    };
    let Ok(event) = serde_json::from_slice::<Value>(&data) else {
        return data.trim_ascii() == b"[DONE]";
    };
    let any_has = |list: &str, reason: &str| {
        let finished = |one: &Value| !one[reason].is_null();
        event[list].as_array().is_some_and(|many| many.iter().any(finished))
    };
    let kind = event["type"].as_str().unwrap_or_default();
    !event["error"].is_null()
        || any_has("choices", "finish_reason")
        || any_has("candidates", "finishReason")
        || !event["promptFeedback"]["blockReason"].is_null()
        || matches!(
            kind,
            "response.completed" | "response.incomplete" | "response.failed" | "error" | "message_stop"
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(stream: &str) -> bool {
        let mut finale = Finale::default();
        for byte in stream.as_bytes() {
            finale.push(std::slice::from_ref(byte));
        }
        finale.seen()
    }

    #[test]
    fn every_kind_of_end_is_known() {
        for data in [
            "[DONE]",
            r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#,
            r#"{"type":"response.completed","response":{}}"#,
            r#"{"type":"response.incomplete","response":{}}"#,
            r#"{"type":"message_stop"}"#,
            r#"{"candidates":[{"finishReason":"STOP"}]}"#,
            r#"{"error":{"message":"m"}}"#,
        ] {
            assert!(
                seen(&format!("data: {{\"choices\":[]}}\n\ndata: {data}\n\n: bye\n\n")),
                "{data}"
            );
            assert!(seen(&format!("data: {data}")), "{data}");
        }
    }

    #[test]
    fn a_stream_that_just_stops_has_no_end() {
        let content = r#"{"choices":[{"delta":{"content":"say [DONE]"},"finish_reason":null}]}"#;
        for stream in [
            "",
            "data: {\"cho",
            &format!("data: {content}\n\n"),
            "data: {\"type\":\"response.created\"}\n\n",
        ] {
            assert!(!seen(stream), "{stream}");
        }
    }
}
