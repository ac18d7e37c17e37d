//! A connection that gives up on a request whose head does not arrive in time.
//!
//! hyper's own timer also runs while a kept connection waits for its next request. Here the two are told apart: an idle
//! connection may wait long (hyper's timer), a head that has begun may not (this one).

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http_body::{Body, Frame, SizeHint};
use hyper::rt::{Read, ReadBufCursor, Write};
use tokio::time::{Instant, Sleep};

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
    limit: Duration,
    /// When the head that is coming in began.
    begun: Option<Instant>,
    /// Set when a head does not come in one piece.
    timer: Option<Pin<Box<Sleep>>>,
}

impl<T> HeadTimeout<T> {
    /// Watches `io`, which counts its requests in `busy`.
    pub fn new(io: T, busy: Busy, limit: Duration) -> Self {
        Self {
            io,
            busy,
            limit,
            begun: None,
            timer: None,
        }
    }
}

impl<T: Read + Unpin> Read for HeadTimeout<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.io).poll_read(cx, buffer);
        if self.busy.is_busy() {
            (self.begun, self.timer) = (None, None);
            return polled;
        }
        let begun = match (self.begun, &polled) {
            (Some(begun), _) => begun,
            (None, Poll::Pending) => return polled,
            (None, Poll::Ready(_)) => {
                // Normally the whole head, so that the timer is never needed.
                self.begun = Some(Instant::now());
                return polled;
            }
        };
        let deadline = begun + self.limit;
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if timer.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "the head of a request took too long",
            )));
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
