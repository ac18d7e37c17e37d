//! What is answered to one request, down to the byte.

mod body;
mod http1;
mod overlay;

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

pub(crate) use body::{BodyEnd, BodyStep};
pub(crate) use http1::{Ending, Plan, Request, Step};

/// What is answered to one request.
///
/// Without further ado a reply has status 200, no headers and an empty body, and the connection stays open.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    pub(crate) status: Option<u16>,
    pub(crate) reason: Option<String>,
    pub(crate) headers: Vec<(Bytes, Bytes)>,
    pub(crate) body: Option<Vec<Bytes>>,
    pub(crate) framing: Option<Framing>,
    pub(crate) before_head: Option<Duration>,
    pub(crate) after_head: Option<Duration>,
    pub(crate) pace: Option<Duration>,
    pub(crate) split: Option<Vec<usize>>,
    pub(crate) stop: Option<Stop>,
    pub(crate) after: Option<After>,
    pub(crate) raw: Option<Bytes>,
    pub(crate) persona: bool,
}

/// How the end of the body is made known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    Length,
    Chunked,
    UntilClose,
}

/// Where a reply stops short, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stop {
    pub(crate) place: StopPlace,
    pub(crate) manner: StopManner,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StopPlace {
    /// After so many bytes of the body, framing not counted.
    Body(usize),
    /// After so many bytes of all that is written.
    Whole(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StopManner {
    Close,
    Reset,
    Hang,
}

/// What becomes of the connection after the whole reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    Close,
    CloseIdle,
    DropNext,
}

/// Choosing what is said.
impl Reply {
    /// A reply with that status and an empty body.
    pub fn status(status: u16) -> Self {
        Self {
            status: Some(status),
            ..Self::default()
        }
    }

    /// A reply with status 200 and that body, without a content type.
    pub fn bytes(body: impl Into<Bytes>) -> Self {
        Self::default().body(body)
    }

    /// A reply with status 200 and that JSON body.
    pub fn json(value: &Value) -> Self {
        Self::default()
            .header("content-type", "application/json")
            .body(value.to_string())
    }

    /// A stream of server-sent events: chunked `text/event-stream`, one chunk per event.
    ///
    /// Events are written as they are given; the blank line that ends each is the caller's.
    pub fn stream<E: Into<Bytes>>(events: impl IntoIterator<Item = E>) -> Self {
        Self {
            body: Some(events.into_iter().map(Into::into).collect()),
            framing: Some(Framing::Chunked),
            ..Self::default()
        }
        .header("content-type", "text/event-stream; charset=utf-8")
        .header("cache-control", "no-cache")
    }

    /// Never answers, and keeps the connection open.
    pub fn hang() -> Self {
        Self::default().stopped(StopPlace::Whole(0), StopManner::Hang)
    }

    /// Resets the connection instead of an answer.
    pub fn reset() -> Self {
        Self::default().stopped(StopPlace::Whole(0), StopManner::Reset)
    }

    /// Closes the connection instead of an answer.
    pub fn hang_up() -> Self {
        Self::default().stopped(StopPlace::Whole(0), StopManner::Close)
    }

    /// Writes these bytes instead of an HTTP response, then closes.
    pub fn raw(bytes: impl Into<Bytes>) -> Self {
        Self {
            raw: Some(bytes.into()),
            ..Self::default()
        }
    }

    /// Answers as the built-in persona does.
    ///
    /// What is set on top (status, headers, delays, cuts, ...) is laid over the persona's reply.
    pub fn persona() -> Self {
        Self {
            persona: true,
            ..Self::default()
        }
    }

    /// Sets the status.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    /// Sets the reason phrase, which otherwise is the customary one.
    #[must_use]
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    /// Adds a header. Order, spelling and bytes are kept.
    ///
    /// If one of them is `content-length` or `transfer-encoding`, none is added by the understudy, and the body is written
    /// as it stands.
    #[must_use]
    pub fn header(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((
            Bytes::copy_from_slice(name.as_ref()),
            Bytes::copy_from_slice(value.as_ref()),
        ));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = Some(vec![body.into()]);
        self
    }

    /// Sends the body in chunks (one, unless it was [split](Self::split) or is a stream) instead of with a length.
    #[must_use]
    pub fn chunked(mut self) -> Self {
        self.framing = Some(Framing::Chunked);
        self
    }

    /// Sends the body with a length, also if it is a stream.
    #[must_use]
    pub fn with_length(mut self) -> Self {
        self.framing = Some(Framing::Length);
        self
    }

    /// Sends the body without length or chunks; closing the connection ends it.
    #[must_use]
    pub fn until_close(mut self) -> Self {
        self.framing = Some(Framing::UntilClose);
        self
    }
}

/// Choosing when it is said.
impl Reply {
    /// Waits before each event of the stream (or each piece of a body that was split).
    #[must_use]
    pub fn pace(mut self, delay: Duration) -> Self {
        self.pace = Some(delay);
        self
    }

    /// Waits before the head.
    #[must_use]
    pub fn first_after(mut self, delay: Duration) -> Self {
        self.before_head = Some(delay);
        self
    }

    /// Sends the head at once and waits before the body.
    #[must_use]
    pub fn head_then_wait(mut self, delay: Duration) -> Self {
        self.after_head = Some(delay);
        self
    }

    /// Writes the body in pieces of these sizes, used in turn until it is out, each in a write of its own.
    #[must_use]
    pub fn split(mut self, sizes: impl Into<Vec<usize>>) -> Self {
        self.split = Some(sizes.into());
        self
    }
}

/// Choosing where it goes wrong.
impl Reply {
    /// Goes silent after so many bytes of the body, and keeps the connection open.
    #[must_use]
    pub fn hang_after(self, body_bytes: usize) -> Self {
        self.stopped(StopPlace::Body(body_bytes), StopManner::Hang)
    }

    /// Closes the connection after exactly so many bytes of the body: short of the length, or without the final chunk.
    #[must_use]
    pub fn cut_at(self, body_bytes: usize) -> Self {
        self.stopped(StopPlace::Body(body_bytes), StopManner::Close)
    }

    /// Closes the connection after so many bytes of the whole response, head included.
    #[must_use]
    pub fn cut_head_at(self, bytes: usize) -> Self {
        self.stopped(StopPlace::Whole(bytes), StopManner::Close)
    }

    /// Resets the connection (RST) after so many bytes of the body.
    #[must_use]
    pub fn reset_at(self, body_bytes: usize) -> Self {
        self.stopped(StopPlace::Body(body_bytes), StopManner::Reset)
    }

    /// Resets the connection (RST) after so many bytes of the whole response, head included.
    #[must_use]
    pub fn reset_head_at(self, bytes: usize) -> Self {
        self.stopped(StopPlace::Whole(bytes), StopManner::Reset)
    }

    /// Announces `connection: close`, and closes after the reply.
    #[must_use]
    pub fn close(mut self) -> Self {
        self.after = Some(After::Close);
        self
    }

    /// Closes right after the reply without having announced it.
    #[must_use]
    pub fn then_close_idle(mut self) -> Self {
        self.after = Some(After::CloseIdle);
        self
    }

    /// Keeps the connection open after the reply, and resets it when the next request comes in on it.
    #[must_use]
    pub fn then_drop_next(mut self) -> Self {
        self.after = Some(After::DropNext);
        self
    }

    fn stopped(mut self, place: StopPlace, manner: StopManner) -> Self {
        self.stop = Some(Stop { place, manner });
        self
    }
}

impl Reply {
    /// The status, 200 if none was set.
    pub(crate) fn code(&self) -> u16 {
        self.status.unwrap_or(200)
    }

    /// Whether a response with this status has a body at all.
    pub(crate) fn may_have_body(&self) -> bool {
        !matches!(self.code(), 100..=199 | 204 | 304)
    }
}
