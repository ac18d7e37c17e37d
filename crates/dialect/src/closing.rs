//! Tells whether a stream of events has said that it is over.
//!
//! Needed where HTTP cannot say so: when a body ends with its connection, a provider that broke off looks like one that
//! had finished. Almost no event is an end, so an event is parsed only when it has words in it that an end must have.

use std::sync::LazyLock;

use memchr::memmem::Finder;
use serde_json::Value;

use crate::frame::{Frame, MAX_BLOCK, Splitter};

/// Watches a stream for its end, in whichever dialect it is: their events cannot be mistaken for one another's.
#[derive(Debug, Default)]
pub struct Finale {
    /// The beginning of an event whose end has not come.
    held: Vec<u8>,
    said: Option<Ending>,
}

impl Finale {
    /// Looks at the next chunk. Nothing is copied when it ends with an event.
    pub fn push(&mut self, chunk: &[u8]) {
        if self.said == Some(Ending::Last) {
            return;
        }
        if self.held.is_empty() {
            let (events, rest) = chunk.split_at(after_last_event(chunk, 0));
            self.said = self.said.max(ending_among(events));
            self.held.extend_from_slice(rest);
        } else {
            // A blank line may have begun in what is held.
            let searched = self.held.len().saturating_sub(3);
            self.held.extend_from_slice(chunk);
            let end = after_last_event(&self.held, searched);
            if end > 0 {
                let (events, rest) = self.held.split_at(end);
                self.said = self.said.max(ending_among(events));
                self.held = rest.to_vec();
            }
        }
        if self.held.len() > MAX_BLOCK {
            // Nobody could read such an event. The next blank line ends what is left of it.
            self.held = Vec::new();
        }
    }

    /// Whether the stream has said that it is over; to be asked once, at its end.
    pub fn seen(&mut self) -> bool {
        self.said = self.said.max(ending_among(&self.held));
        self.said.is_some()
    }

    /// Whether the event has come after which nothing more comes; to be asked at the end, too.
    pub fn is_last(&mut self) -> bool {
        self.seen() && self.said == Some(Ending::Last)
    }
}

/// Whether a stream that is all there has said that it is over, and nowhere that something failed.
pub fn ended_well(stream: &[u8]) -> bool {
    if !may_end(stream) {
        return false;
    }
    let mut splitter = Splitter::default();
    if splitter.push(stream).is_err() {
        return false;
    }
    let mut ended = false;
    while let Some(block) = splitter.next_block() {
        match ending(&block) {
            Some(Ending::Error) => return false,
            Some(Ending::Proper | Ending::Last) => ended = true,
            None => {}
        }
    }
    match ending(&splitter.take_rest()) {
        Some(ending) => ending != Ending::Error,
        None => ended,
    }
}

/// The same of Gemini's streams that are one JSON array, with a piece in each item. An array of something else is no stream,
/// and all there when it can be read.
pub fn array_ended_well(array: &[u8]) -> bool {
    let Ok(items) = serde_json::from_slice::<Vec<Value>>(array) else {
        return false;
    };
    let endings = || items.iter().map(ending_by);
    if endings().any(|ending| ending == Some(Ending::Error)) {
        return false;
    }
    endings().any(|ending| ending == Some(Ending::Proper)) || !items.iter().any(is_piece)
}

/// Whether it is a piece of a stream of Gemini's.
fn is_piece(item: &Value) -> bool {
    ["candidates", "promptFeedback", "usageMetadata"]
        .iter()
        .any(|member| !item[member].is_null())
}

/// What an event says about the end of its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Ending {
    /// Something failed.
    Error,
    /// The answer is all there, or one of several.
    Proper,
    /// The same, and it is the last event: `[DONE]` (<https://platform.openai.com/docs/api-reference/chat-streaming>),
    /// `message_stop` (<https://platform.claude.com/docs/en/build-with-claude/streaming>), `response.completed` or
    /// `response.incomplete` (<https://platform.openai.com/docs/api-reference/responses-streaming>).
    Last,
}

/// The offset after the last blank line that ends at `from` or later; zero when there is none.
fn after_last_event(bytes: &[u8], from: usize) -> usize {
    let (_, searched) = bytes.split_at(from.min(bytes.len()));
    memchr::memrchr2_iter(b'\n', b'\r', searched)
        .map(|at| from + at + 1)
        .find(|end| bytes.get(..*end).is_some_and(ends_with_blank_line))
        .unwrap_or(0)
}

fn ends_with_blank_line(bytes: &[u8]) -> bool {
    let line = [b"\r\n".as_slice(), b"\n", b"\r"]
        .into_iter()
        .find_map(|end| bytes.strip_suffix(end));
    line.is_some_and(|line| matches!(line.last(), Some(b'\n' | b'\r')))
}

/// Built once: for an event that takes longer than the search itself.
static DONE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("[DONE]"));
static MESSAGE_STOP: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"message_stop\""));
static RESPONSE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"response."));
static ERROR: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"error\""));
/// The end of `finish_reason`, `finishReason` and `blockReason`.
static REASON: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("eason\""));

/// Whether one of some events may be an end. A quote inside a JSON string is always escaped, so what is found is a key or
/// a whole string, and only rarely another one.
fn may_end(events: &[u8]) -> bool {
    let after = |finder: &'static Finder<'static>| {
        let found = finder.find_iter(events);
        found.filter_map(|at| events.get(at + finder.needle().len()..))
    };
    let ends_response = |rest: &[u8]| {
        [b"completed".as_slice(), b"incomplete", b"failed"]
            .iter()
            .any(|kind| rest.starts_with(kind))
    };
    after(&REASON).any(|rest| !is_null(rest) && !is_value(rest))
        || after(&ERROR).any(|rest| !is_null(rest))
        || after(&RESPONSE).any(ends_response)
        || DONE.find(events).is_some()
        || MESSAGE_STOP.find(events).is_some()
}

/// Whether what follows a string shows that it is the key of a null.
pub(crate) fn is_null(rest: &[u8]) -> bool {
    let value = rest.trim_ascii_start().strip_prefix(b":");
    value.is_some_and(|value| value.trim_ascii_start().starts_with(b"null"))
}

/// Whether what follows a string shows that it is no key.
fn is_value(rest: &[u8]) -> bool {
    matches!(rest.trim_ascii_start().first(), Some(b',' | b'}' | b']'))
}

/// The furthest that some events go in saying that their stream is over.
fn ending_among(events: &[u8]) -> Option<Ending> {
    if !may_end(events) {
        return None;
    }
    let mut splitter = Splitter::default();
    splitter.push(events).ok()?;
    let said = std::iter::from_fn(|| splitter.next_block()).filter_map(|block| ending(&block));
    said.max().max(ending(&splitter.take_rest()))
}

fn ending(block: &[u8]) -> Option<Ending> {
    let data = Frame::parse(block).data?;
    let Ok(event) = serde_json::from_slice::<Value>(&data) else {
        return (data.trim_ascii() == b"[DONE]").then_some(Ending::Last);
    };
    ending_by(&event)
}

/// What the data of an event says about the end of its stream.
fn ending_by(event: &Value) -> Option<Ending> {
    let any_has = |list: &str, reason: &str| {
        let finished = |one: &Value| !one[reason].is_null();
        event[list].as_array().is_some_and(|many| many.iter().any(finished))
    };
    let gave_up = |choices: &Vec<Value>| choices.iter().any(|choice| choice["finish_reason"] == "error");
    let kind = event["type"].as_str().unwrap_or_default();
    let is_error = !event["error"].is_null()
        || matches!(kind, "response.failed" | "error")
        || event["choices"].as_array().is_some_and(gave_up);
    let is_proper = any_has("choices", "finish_reason")
        || any_has("candidates", "finishReason")
        || !event["promptFeedback"]["blockReason"].is_null();
    match kind {
        _ if is_error => Some(Ending::Error),
        "response.completed" | "response.incomplete" | "message_stop" => Some(Ending::Last),
        _ => is_proper.then_some(Ending::Proper),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn seen(stream: &str) -> bool {
        let mut finale = Finale::default();
        for byte in stream.as_bytes() {
            finale.push(std::slice::from_ref(byte));
        }
        finale.seen()
    }

    /// The same, with every event parsed.
    fn parsed(stream: &str) -> Option<Ending> {
        let mut splitter = Splitter::default();
        splitter.push(stream.as_bytes()).unwrap();
        let said: Vec<_> = std::iter::from_fn(|| splitter.next_block()).collect();
        let said = said.iter().filter_map(|block| ending(block));
        said.max().max(ending(&splitter.take_rest()))
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
    fn only_some_ends_are_the_last_event() {
        for (data, last) in [
            ("[DONE]", true),
            (r#"{"type":"response.completed","response":{}}"#, true),
            (r#"{"type":"message_stop"}"#, true),
            (r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#, false),
            (r#"{"candidates":[{"finishReason":"STOP"}]}"#, false),
            (r#"{"error":{"message":"m"}}"#, false),
        ] {
            let mut finale = Finale::default();
            finale.push(b"data: {\"choices\":[{\"finish_reason\":\"stop\"}]}\n\n");
            finale.push(format!("data: {data}\n\n").as_bytes());
            assert_eq!(finale.is_last(), last, "{data}");
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

    #[test]
    fn a_stream_ends_well_when_nothing_failed() {
        let content = "data: {\"choices\":[{\"delta\":{\"content\":\"[DONE]\"},\"finish_reason\":null}]}\n\n";
        for (rest, well) in [
            ("", false),
            ("data: [DONE]\n\n", true),
            ("data: [DONE]", true),
            ("data: {\"choices\":[{\"finish_reason\":\"length\"}]}\n\n", true),
            (
                "data: {\"choices\":[{\"finish_reason\":\"error\"}]}\n\ndata: [DONE]\n\n",
                false,
            ),
            ("data: {\"error\":{\"message\":\"m\"}}\n\ndata: [DONE]\n\n", false),
            ("data: [DONE]\n\ndata: {\"error\":{\"message\":\"m\"}}", false),
            ("event: error\ndata: {\"type\":\"error\"}\n\n", false),
            ("data: {\"type\":\"response.failed\"}\n\n", false),
            (
                "data: {\"type\":\"response.completed\",\"response\":{\"error\":null}}\n\n",
                true,
            ),
            ("data: {\"type\":\"message_stop\"}\n\n", true),
            ("data: {\"candidates\":[{\"finishReason\":\"STOP\"}]}\n\n", true),
        ] {
            assert_eq!(ended_well(format!("{content}{rest}").as_bytes()), well, "{rest}");
        }
    }

    #[test]
    fn an_array_ends_well_like_a_stream() {
        let content = r#"{"candidates":[{"content":{"parts":[{"text":"finishReason"}]}}]}"#;
        for (rest, well) in [
            ("", false),
            (r#",{"usageMetadata":{}}"#, false),
            (r#",{"candidates":[{"finishReason":"STOP"}]}"#, true),
            (
                r#",{"candidates":[{"finishReason":"STOP"}]},{"usageMetadata":{}}"#,
                true,
            ),
            (r#",{"promptFeedback":{"blockReason":"SAFETY"}}"#, true),
            (r#",{"error":{"code":503}}"#, false),
            (
                r#",{"candidates":[{"finishReason":"STOP"}]},{"error":{"code":503}}"#,
                false,
            ),
            (",", false),
        ] {
            assert_eq!(
                array_ended_well(format!("[{content}{rest}]").as_bytes()),
                well,
                "{rest}"
            );
        }
        for other in ["[[0.1,0.2]]", r#"[{"index":0,"score":0.9}]"#] {
            assert!(array_ended_well(other.as_bytes()), "{other}");
        }
    }

    const PIECES: [&str; 24] = [
        "data: {\"choices\":[{\"delta\":{\"content\":\"h\u{e9}\"},\"finish_reason\":null}]}",
        "data: {\"choices\":[{\"finish_reason\" : \"stop\",\"native_finish_reason\":null}]}",
        "data: {\"choices\":[{\"finish_reason\":",
        "data: \"length\"}]}",
        "data: {\"choices\":[{\"delta\":{\"content\":\"[DONE] \\\"finish_reason\\\":\\\"stop\\\"\"}}]}",
        "data: {\"choices\":[{\"delta\":{\"content\":\"error\"}},{\"delta\":{\"content\":\"reason\"}}]}",
        "data: {\"type\":\"message_start\",\"message\":{\"stop_reason\":null}}",
        "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"}}",
        "event: message_stop",
        "data: {\"type\":\"message_stop\"}",
        "data: {\"type\":\"error\",\"message\":\"m\"}",
        "data: {\"type\":\"response.created\",\"response\":{\"error\":null}}",
        "data: {\"type\":\"response.output_text.delta\",\"delta\":\"response.completed\"}",
        "data: {\"type\":\"response.failed\",\"response\":{\"error\": {}}}",
        "data: {\"candidates\":[{\"finishReason\":\"STOP\"}]}",
        "data: {\"promptFeedback\":{\"blockReason\":\"SAFETY\"}}",
        "data: {\"error\":\"m\"}",
        "data: [DONE]",
        "data:[DONE]",
        ": [DONE]",
        "data: {",
        "",
        "",
        "",
    ];

    proptest! {
        /// Law 2: any split of a stream into chunks gives the same, and so does parsing every event.
        #[test]
        fn chunking_does_not_matter(
            pieces in prop::collection::vec((0..PIECES.len(), prop_oneof![6 => Just("\n"), 2 => Just("\r\n"), 1 => Just("\r"), 1 => Just("")]), 0..10),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let stream: String = pieces.into_iter().flat_map(|(piece, end)| [PIECES[piece], end]).collect();
            let bytes = stream.as_bytes();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let mut finale = Finale::default();
            for cut in cuts.windows(2) {
                finale.push(&bytes[cut[0]..cut[1]]);
            }
            let expected = parsed(&stream);
            prop_assert_eq!(finale.seen(), expected.is_some());
            prop_assert_eq!(finale.is_last(), expected == Some(Ending::Last));
            prop_assert_eq!(seen(&stream), expected.is_some());
        }
    }

    #[test]
    fn what_is_held_is_bounded() {
        let mut finale = Finale::default();
        let chunk = vec![b'x'; MAX_BLOCK / 4 + 1];
        for _ in 0..4 {
            finale.push(&chunk);
        }
        assert!(finale.held.is_empty());
        finale.push(b"x\n\ndata: [DONE]\n\n");
        assert!(finale.seen());
    }
}
