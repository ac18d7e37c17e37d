//! Request bodies: bounded in size, and in the time for which they may pause.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_LENGTH;
use bytes::{Bytes, BytesMut};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt as _;
use tokio::time::{Instant, Sleep, timeout, timeout_at};

use crate::failure::Failure;

/// However steadily it trickles, a body that is held must be there after this many pauses' worth of time.
const PATIENCE: u32 = 10;

/// Reads a body to its end.
pub async fn read_whole(mut body: Body, headers: &HeaderMap, limit: usize, pause: Duration) -> Result<Bytes, Failure> {
    let too_large = || Failure::body_too_large(limit as u64);
    let announced = content_length(headers);
    if announced.is_some_and(|length| length > limit as u64) {
        return Err(too_large());
    }
    let Some(first) = next(&mut body, pause).await? else {
        return Ok(Bytes::new());
    };
    if body.is_end_stream() {
        return if first.len() > limit {
            Err(too_large())
        } else {
            Ok(first)
        };
    }
    let deadline = Instant::now() + pause * PATIENCE;
    let expected = announced.and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
    let mut whole = BytesMut::with_capacity(expected.max(first.len()));
    whole.extend_from_slice(&first);
    while whole.len() <= limit {
        let piece = timeout_at(deadline, next(&mut body, pause))
            .await
            .map_err(|_| Failure::body_stalled())??;
        match piece {
            Some(piece) => whole.extend_from_slice(&piece),
            None => return Ok(whole.freeze()),
        }
    }
    Err(too_large())
}

async fn next(body: &mut Body, pause: Duration) -> Result<Option<Bytes>, Failure> {
    loop {
        let frame = timeout(pause, body.frame())
            .await
            .map_err(|_| Failure::body_stalled())?;
        match frame {
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
        timer: None,
    }))
}

struct Limited {
    body: Body,
    limit: u64,
    left: u64,
    pause: Duration,
    timer: Option<Pin<Box<Sleep>>>,
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
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        let Poll::Ready(frame) = polled else {
            let pause = self.pause;
            let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(pause)));
            return timer.as_mut().poll(cx).map(|()| Some(Err(BrokenBody::Stalled)));
        };
        self.timer = None;
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
