//! A connection that gives up on a client that keeps it waiting.
//!
//! hyper has one timer for the head of a request and for the time before it, and sets it anew for every request. Here the
//! two are told apart: an idle connection may wait long, a head that has begun may not.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http_body::{Body, Frame, SizeHint};
use hyper::rt::{Read, ReadBufCursor, Write};
use tokio::time::Instant;

use crate::alarm::{Alarm, after};

/// Requests in flight on a connection.
#[derive(Clone, Debug, Default)]
pub struct Busy(Arc<AtomicUsize>);

impl Busy {
    /// One more request; it ends when the returned value is dropped.
    pub fn begin(&self) -> Request {
        self.0.fetch_add(1, Ordering::Relaxed);
        Request(self.clone())
    }

    /// Leaves the connection alone from now on, as HTTP/2 needs it: there, bytes also come between requests, and hyper
    /// watches the connection with pings.
    pub fn for_ever(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn is_busy(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }
}

/// A request in flight on a connection.
#[derive(Debug)]
pub struct Request(Busy);

impl Drop for Request {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A reply that ends its request when it is sent.
pub struct Sent<B> {
    /// The reply.
    pub body: B,
    /// Its request.
    pub request: Request,
}

impl<B: Body + Unpin> Body for Sent<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The connection.
pub struct HeadTimeout<T> {
    io: T,
    busy: Busy,
    limits: Limits,
    /// What the connection waits for, and since when; `None` while it is busy.
    waiting: Option<(Wait, Instant)>,
    /// One for the connection's whole life.
    alarm: Alarm,
}

/// How long a connection may wait.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For the rest of a head that has begun.
    pub head: Duration,
    /// For the next request.
    pub idle: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Wait {
    NextRequest,
    RestOfHead,
}

impl<T> HeadTimeout<T> {
    /// Watches `io`, which counts its requests in `busy`.
    pub fn new(io: T, busy: Busy, limits: Limits) -> Self {
        Self {
            io,
            busy,
            limits,
            waiting: None,
            alarm: Alarm::default(),
        }
    }

    /// Ready when the connection has waited for too long.
    fn poll_overdue(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (wait, since) = *self.waiting.get_or_insert_with(|| (Wait::NextRequest, Instant::now()));
        let limit = if wait == Wait::NextRequest {
            self.limits.idle
        } else {
            self.limits.head
        };
        self.alarm.poll(after(since, limit), cx)
    }
}

impl<T: Read + Unpin> Read for HeadTimeout<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.io).poll_read(cx, buffer);
        if self.busy.is_busy() {
            self.waiting = None;
            return polled;
        }
        if polled.is_ready() && !matches!(self.waiting, Some((Wait::RestOfHead, _))) {
            // Normally this is the whole head, and the next call finds the connection busy.
            self.waiting = Some((Wait::RestOfHead, Instant::now()));
            return polled;
        }
        if self.poll_overdue(cx).is_ready() {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "no request came in time")));
        }
        polled
    }
}

impl<T: Write + Unpin> Write for HeadTimeout<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, slices)
    }
}
