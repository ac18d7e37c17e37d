//! Request bodies: bounded in size, and in the time for which they may pause.

use std::fmt::Display;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_LENGTH;
use bytes::{Bytes, BytesMut};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::Instant;

use crate::alarm::{Alarm, after};
use crate::failure::Failure;

/// However steadily it trickles, a body that is held must be there after this many pauses' worth of time.
const PATIENCE: u32 = 10;

/// Reads a body to its end.
pub async fn read_whole<B>(mut body: B, headers: &HeaderMap, limit: usize, pause: Duration) -> Result<Bytes, Failure>
where
    B: HttpBody<Data = Bytes, Error: Display> + Unpin,
{
    let too_large = || Failure::body_too_large(limit as u64);
    let announced = content_length(headers);
    if announced.is_some_and(|length| length > limit as u64) {
        return Err(too_large());
    }
    let mut patience = Patience::new(pause);
    let Some(first) = patience.next(&mut body).await? else {
        return Ok(Bytes::new());
    };
    if body.is_end_stream() && first.len() <= limit {
        return Ok(first);
    }
    let expected = announced.and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
    let mut whole = BytesMut::with_capacity(expected.max(first.len()));
    whole.extend_from_slice(&first);
    drop(first);
    while whole.len() <= limit {
        match patience.next(&mut body).await? {
            Some(piece) => whole.extend_from_slice(&piece),
            None => return Ok(whole.freeze()),
        }
    }
    Err(too_large())
}

/// How long a body may keep the gateway waiting.
struct Patience {
    pause: Duration,
    /// When all of it must be there; `None` as long as nothing was waited for.
    deadline: Option<Instant>,
    alarm: Alarm,
}

impl Patience {
    fn new(pause: Duration) -> Self {
        Self {
            pause,
            deadline: None,
            alarm: Alarm::default(),
        }
    }

    async fn next<B>(&mut self, body: &mut B) -> Result<Option<Bytes>, Failure>
    where
        B: HttpBody<Data = Bytes, Error: Display> + Unpin,
    {
        let mut since = None;
        loop {
            let frame = poll_fn(|cx| match Pin::new(&mut *body).poll_frame(cx) {
                Poll::Ready(frame) => Poll::Ready(Ok(frame)),
                Poll::Pending => self.poll_stalled(&mut since, cx).map(Err),
            });
            match frame.await? {
                None => return Ok(None),
                Some(Err(error)) => {
                    return Err(Failure::body_unreadable(
                        format!("The request body broke off: {error}."),
                        None,
                    ));
                }
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }

    fn poll_stalled(&mut self, since: &mut Option<Instant>, cx: &mut Context<'_>) -> Poll<Failure> {
        let since = *since.get_or_insert_with(Instant::now);
        let Some(deadline) = self.deadline else {
            // hyper hands out what has come already when it is asked for the second time: most bodies need no timer.
            self.deadline = Some(after(since, self.pause * PATIENCE));
            cx.waker().wake_by_ref();
            return Poll::Pending;
        };
        let limit = after(since, self.pause).min(deadline);
        self.alarm.poll(limit, cx).map(|()| Failure::body_stalled())
    }
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// A body that is passed through as it comes, within the same bounds.
pub fn limited(body: Body, headers: &HeaderMap, limit: u64, pause: Duration) -> Result<Body, Failure> {
    if content_length(headers).is_some_and(|length| length > limit) {
        return Err(Failure::body_too_large(limit));
    }
    Ok(Body::new(Limited {
        body,
        limit,
        left: limit,
        pause,
        waiting: None,
        alarm: Alarm::default(),
    }))
}

struct Limited {
    body: Body,
    limit: u64,
    left: u64,
    pause: Duration,
    /// Since when the next piece has been waited for.
    waiting: Option<Instant>,
    alarm: Alarm,
}

/// Why a body that is passed through ends early.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BrokenBody {
    /// It is larger than this many bytes.
    #[error("the request body is larger than {0} bytes")]
    TooLarge(u64),
    /// It paused for too long.
    #[error("the request body stopped coming")]
    Stalled,
    /// The caller broke off.
    #[error("{0}")]
    Read(String),
}

impl HttpBody for Limited {
    type Data = Bytes;
    type Error = BrokenBody;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenBody>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
            let since = *self.waiting.get_or_insert_with(Instant::now);
            let limit = after(since, self.pause);
            return self.alarm.poll(limit, cx).map(|()| Some(Err(BrokenBody::Stalled)));
        };
        self.waiting = None;
        Poll::Ready(frame.map(|frame| {
            let frame = frame.map_err(|error| BrokenBody::Read(error.to_string()))?;
            let length = frame.data_ref().map_or(0, Bytes::len) as u64;
            self.left = self.left.checked_sub(length).ok_or(BrokenBody::TooLarge(self.limit))?;
            Ok(frame)
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
