//! An answer that is kept, and what it takes to be one.

use std::borrow::Cow;
use std::time::Duration;

use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use mynah_dialect::closing;
use mynah_dialect::whole::{self, Whole};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::answer::is_events;

/// The headers that describe an answer. All others are about one request: its id, its limits, its time.
const DESCRIBING: [&str; 5] = [
    "content-type",
    "x-mynah-model",
    "x-mynah-lossy",
    "x-mynah-usage-estimated",
    "openai-version",
];

/// What an entry takes beside its body and the text of its headers, in bytes: the key, the tables, the reference counts.
const OVERHEAD: u64 = 512;

/// An answer that is kept. Its status is 200.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// When it was kept, in milliseconds, on the clock of the cache.
    pub(super) since: u64,
    /// When it is too old, on the same clock.
    pub(super) until: u64,
}

impl Stored {
    /// Whether an answer may be kept, as far as its head tells. One that is compressed cannot be looked into.
    pub(super) fn may_be(response: &Response) -> bool {
        response.status() == StatusCode::OK && !response.headers().contains_key(CONTENT_ENCODING)
    }

    /// The headers of an answer that are kept.
    pub(super) fn headers_of(headers: &HeaderMap) -> HeaderMap {
        let mut kept = HeaderMap::with_capacity(DESCRIBING.len() + 3);
        for (name, value) in headers {
            if is_describing(name) {
                kept.append(name.clone(), value.clone());
            }
        }
        // Nobody is asked for it again.
        kept.insert("x-mynah-attempts", HeaderValue::from_static("0"));
        kept
    }

    /// An answer, unless it is none that anybody should get again.
    pub(super) fn new(mut headers: HeaderMap, body: Vec<u8>, now: u64, ttl: Duration) -> Option<Self> {
        if is_events(&headers) {
            if !closing::ended_well(&body) {
                return None;
            }
        } else {
            if !is_good(&headers, &body) {
                return None;
            }
            headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        }
        let ttl = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
        Some(Self {
            headers,
            body: Bytes::from(body.into_boxed_slice()),
            since: now,
            until: now.saturating_add(ttl),
        })
    }

    /// How old it is, in milliseconds.
    pub(super) fn age(&self, now: u64) -> u64 {
        now.saturating_sub(self.since)
    }

    /// What it takes, in bytes.
    pub(super) fn size(&self) -> u64 {
        let headers: usize = self.headers.values().map(|value| value.len() + 32).sum();
        OVERHEAD + (headers + self.body.len()) as u64
    }
}

/// Whether a header describes an answer.
pub(super) fn is_describing(name: &HeaderName) -> bool {
    DESCRIBING.contains(&name.as_str())
}

/// What tells that an answer is none yet, or will never be one.
#[derive(Deserialize)]
struct Outcome<'a> {
    /// OpenAI Responses'.
    #[serde(borrow)]
    status: Option<Cow<'a, str>>,
    error: Option<IgnoredAny>,
    #[serde(borrow, default)]
    choices: Vec<Choice<'a>>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow)]
    finish_reason: Option<Cow<'a, str>>,
}

/// Whether an answer that is no stream is whole and tells of no error.
fn is_good(headers: &HeaderMap, body: &[u8]) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if whole::judge(kind, body) != Whole::Fine {
        return false;
    }
    match body.trim_ascii_start().first() {
        Some(b'{') => is_done(body),
        Some(b'[') => closing::array_ended_well(body),
        _ => true,
    }
}

/// Whether an answer that is one JSON object is ready, and tells of no error.
fn is_done(body: &[u8]) -> bool {
    serde_json::from_slice(body).is_ok_and(|outcome: Outcome<'_>| {
        let failed = |choice: &Choice<'_>| choice.finish_reason.as_deref() == Some("error");
        outcome.error.is_none()
            && !outcome.choices.iter().any(failed)
            && matches!(outcome.status.as_deref(), None | Some("completed" | "incomplete"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(kind: &'static str, body: &str) -> bool {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(kind))]);
        Stored::new(headers, body.into(), 0, Duration::from_secs(1)).is_some()
    }

    #[test]
    fn answers_are_kept() {
        for body in [
            r#"{"choices":[{"index":0,"finish_reason":"length"}],"error":null}"#,
            r#"{"object":"response","status":"completed","output":[],"error":null}"#,
            r#"{"status":"incomplete","output":[]}"#,
            r#"{"type":"message","content":[],"stop_reason":"end_turn"}"#,
            r#"{"candidates":[{"finishReason":"STOP"}]}"#,
            r#"{"object":"list","data":[{"embedding":[0.1]}]}"#,
            r#"{"input_tokens":7}"#,
            "[[0.1,0.2]]",
            r#"[{"candidates":[{}]},{"candidates":[{"finishReason":"STOP"}]}]"#,
        ] {
            assert!(kept("application/json", body), "{body}");
        }
        assert!(kept("text/event-stream", "data: {\"choices\":[]}\n\ndata: [DONE]\n\n"));
    }

    #[test]
    fn what_is_no_answer_is_not_kept() {
        for body in [
            "",
            "<html>",
            r#"{"choices":[{"index":0"#,
            r#"{"error":{"message":"m"}}"#,
            r#"{"choices":[],"error":{"message":"m"}}"#,
            r#"{"choices":[{"error":{"code":502},"finish_reason":"error"}]}"#,
            r#"{"status":"queued","output":[]}"#,
            r#"{"status":"in_progress","output":[]}"#,
            r#"{"status":"failed","error":{"code":"server_error"},"output":[]}"#,
            r#"[{"candidates":[{}]},{"error":{"code":503}}]"#,
            r#"[{"candidates":[{}]}]"#,
            r#"[{"candidates":[{"finishReason":"STOP"}]}"#,
        ] {
            assert!(!kept("application/json", body), "{body}");
        }
        assert!(!kept("text/event-stream", "data: {\"choices\":[]}\n\n"));
    }
}
