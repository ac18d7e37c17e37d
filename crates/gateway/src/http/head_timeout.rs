//! Gives up on a client that keeps its connection waiting.
//!
//! hyper has one timer for the head of a request and for the time before it, and sets it anew for every request. Here the
//! two are told apart: an idle connection may wait long, a head that has begun may not.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http_body::{Body, Frame, SizeHint};
use hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};
use tokio::time::Instant;

use crate::alarm::{Alarm, after};

/// The most that is read ahead, to see what a client speaks.
const AHEAD: usize = 4096;

/// Pieces up to this size are copied and written as one: cheaper than to tell the kernel of each.
const TOGETHER: usize = 4096;

/// What a connection is doing.
#[derive(Clone, Debug, Default)]
pub struct Busy(Arc<Doing>);

#[derive(Debug, Default)]
struct Doing {
    begun: AtomicUsize,
    ended: AtomicUsize,
    /// Something has come since the last request ended.
    head_begun: AtomicBool,
}

impl Busy {
    /// One more request; it ends when the returned value is dropped.
    pub fn begin(&self) -> Request {
        self.0.begun.fetch_add(1, Ordering::Relaxed);
        self.0.head_begun.store(false, Ordering::Relaxed);
        Request(self.clone())
    }

    /// Leaves the connection alone from now on, as HTTP/2 needs it: there, bytes also come between requests, and hyper
    /// watches the connection with pings.
    pub fn for_ever(&self) {
        self.0.begun.fetch_add(1, Ordering::Relaxed);
    }

    /// What the client is waited for, and after how many requests; `None` while there is one.
    fn waits(&self) -> Option<(usize, Wait)> {
        let begun = self.0.begun.load(Ordering::Relaxed);
        let is_idle = begun == self.0.ended.load(Ordering::Relaxed);
        let wait = if self.0.head_begun.load(Ordering::Relaxed) {
            Wait::RestOfHead
        } else {
            Wait::NextRequest
        };
        is_idle.then_some((begun, wait))
    }
}

/// A request in flight on a connection.
#[derive(Debug)]
pub struct Request(Busy);

impl Drop for Request {
    fn drop(&mut self) {
        self.0.0.ended.fetch_add(1, Ordering::Relaxed);
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

/// Serves a connection as long as its client does not keep it waiting.
pub async fn in_time<E: From<io::Error>>(
    mut serving: Pin<&mut impl Future<Output = Result<(), E>>>,
    busy: Busy,
    limits: Limits,
) -> Result<(), E> {
    let mut patience = Patience {
        busy,
        limits,
        waiting: None,
        alarm: Alarm::default(),
    };
    poll_fn(|cx| match serving.as_mut().poll(cx) {
        Poll::Ready(served) => Poll::Ready(served),
        Poll::Pending => patience.poll_overdue(cx).map(|()| {
            let error = io::Error::new(io::ErrorKind::TimedOut, "no request came in time");
            Err(error.into())
        }),
    })
    .await
}

struct Patience {
    busy: Busy,
    limits: Limits,
    /// What the connection waits for, and since when.
    waiting: Option<((usize, Wait), Instant)>,
    /// One for the connection's whole life.
    alarm: Alarm,
}

impl Patience {
    /// Ready when the connection has waited for too long.
    fn poll_overdue(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(waits) = self.busy.waits() else {
            return Poll::Pending;
        };
        let since = match self.waiting {
            Some((before, since)) if before == waits => since,
            _ => Instant::now(),
        };
        self.waiting = Some((waits, since));
        let limit = match waits.1 {
            Wait::NextRequest => self.limits.idle,
            Wait::RestOfHead => self.limits.head,
        };
        self.alarm.poll(after(since, limit), cx)
    }
}

/// A connection that notes when something comes, and can be looked at before it is read.
pub struct Watched<T> {
    io: T,
    busy: Busy,
    /// What was read to see how the connection begins, and nobody has taken yet.
    ahead: Vec<u8>,
}

impl<T> Watched<T> {
    /// Watches `io`.
    pub fn new(io: T, busy: Busy) -> Self {
        let ahead = Vec::new();
        Self { io, busy, ahead }
    }
}

impl<T: Read + Unpin> Watched<T> {
    /// Whether the first bytes that come are these. They stay to be read.
    pub async fn begins_with(&mut self, expected: &[u8]) -> io::Result<bool> {
        while self.ahead.len() < expected.len() && expected.starts_with(&self.ahead) {
            if poll_fn(|cx| self.poll_ahead(cx)).await? == 0 {
                break;
            }
        }
        Ok(self.ahead.starts_with(expected))
    }

    fn poll_ahead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut space = [const { MaybeUninit::uninit() }; AHEAD];
        let mut buffer = ReadBuf::uninit(&mut space);
        ready!(self.poll_io(cx, buffer.unfilled()))?;
        self.ahead.extend_from_slice(buffer.filled());
        Poll::Ready(Ok(buffer.filled().len()))
    }

    fn poll_io(&mut self, cx: &mut Context<'_>, buffer: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let read = ready!(Pin::new(&mut self.io).poll_read(cx, buffer));
        // While a request is in flight, it is most likely its body.
        if self.busy.waits().is_some() {
            self.busy.0.head_begun.store(true, Ordering::Relaxed);
        }
        Poll::Ready(read)
    }
}

impl<T: Read + Unpin> Read for Watched<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() {
            return self.poll_io(cx, buffer);
        }
        let mut ahead = std::mem::take(&mut self.ahead);
        self.ahead = ahead.split_off(buffer.remaining().min(ahead.len()));
        buffer.put_slice(&ahead);
        Poll::Ready(Ok(()))
    }
}

impl<T: Write + Unpin> Write for Watched<T> {
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
        if slices.iter().map(|slice| slice.len()).sum::<usize>() > TOGETHER {
            return Pin::new(&mut self.io).poll_write_vectored(cx, slices);
        }
        let mut space = [const { MaybeUninit::uninit() }; TOGETHER];
        let mut together = ReadBuf::uninit(&mut space);
        for slice in slices {
            together.unfilled().put_slice(slice);
        }
        Pin::new(&mut self.io).poll_write(cx, together.filled())
    }
}
