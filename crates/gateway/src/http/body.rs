//! Request bodies: bounded in size, and in the time for which they may pause.

use std::fmt::Display;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
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

/// A request body that can be read straight to where it belongs.
pub trait RequestBody: HttpBody<Data = Bytes, Error: Display> + Unpin {
    /// All of it, where it is there already. It is taken.
    fn whole(&mut self) -> Option<Bytes> {
        None
    }

    /// Appends what comes next to what there is; `false` at the end.
    fn poll_into(&mut self, whole: &mut BytesMut, cx: &mut Context<'_>) -> Poll<Result<bool, Self::Error>>;
}

impl RequestBody for Body {
    fn poll_into(&mut self, whole: &mut BytesMut, cx: &mut Context<'_>) -> Poll<Result<bool, axum::Error>> {
        let Some(frame) = ready!(Pin::new(self).poll_frame(cx)).transpose()? else {
            return Poll::Ready(Ok(false));
        };
        if let Ok(piece) = frame.into_data() {
            whole.extend_from_slice(&piece);
        }
        Poll::Ready(Ok(true))
    }
}

/// Reads a body to its end.
pub async fn read_whole(mut body: impl RequestBody, limit: usize, pause: Duration) -> Result<Bytes, Failure> {
    let too_large = || Failure::body_too_large(limit as u64);
    let announced = body.size_hint().exact();
    if announced.is_some_and(|length| length > limit as u64) {
        return Err(too_large());
    }
    let mut patience = Patience::new(pause);
    let Some(first) = patience.wait(|cx| poll_piece(&mut body, cx)).await? else {
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
        if !patience.wait(|cx| body.poll_into(&mut whole, cx)).await? {
            return Ok(whole.freeze());
        }
    }
    Err(too_large())
}

fn poll_piece<B: RequestBody>(body: &mut B, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, B::Error>> {
    loop {
        let frame = ready!(Pin::new(&mut *body).poll_frame(cx)).transpose()?;
        match frame.map(Frame::into_data) {
            Some(Err(_trailers)) => {}
            piece => return Poll::Ready(Ok(piece.and_then(Result::ok))),
        }
    }
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

    /// Waits for what the body has next.
    async fn wait<R, E: Display>(
        &mut self,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<Result<R, E>>,
    ) -> Result<R, Failure> {
        let mut since = None;
        let next = poll_fn(|cx| match poll(cx) {
            Poll::Ready(next) => Poll::Ready(Ok(next)),
            Poll::Pending => self.poll_stalled(&mut since, cx).map(Err),
        });
        let broken = |error| Failure::body_unreadable(format!("The request body broke off: {error}."), None);
        next.await?.map_err(broken)
    }

    fn poll_stalled(&mut self, since: &mut Option<Instant>, cx: &mut Context<'_>) -> Poll<Failure> {
        let since = *since.get_or_insert_with(Instant::now);
        let Some(deadline) = self.deadline else {
            // What is on its way has mostly come when it is asked for again: most bodies need no timer.
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
