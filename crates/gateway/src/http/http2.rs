//! HTTP/2, which hyper speaks.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{Request, Response};
use bytes::Bytes;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use crate::alarm::{Alarm, after};

/// What a client sends first that speaks HTTP/2 without having asked.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

static HTTP2: LazyLock<http2::Builder<TokioExecutor>> = LazyLock::new(|| {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20))
        .max_concurrent_streams(1_000)
        .max_header_list_size(64 * 1024)
        .adaptive_window(true);
    builder
});

/// Why a connection ended otherwise than in peace.
#[derive(Debug, thiserror::Error)]
pub enum Ended {
    /// It failed.
    #[error(transparent)]
    Connection(#[from] hyper::Error),
    /// The first request did not come in time.
    #[error("no request came in time")]
    Late,
}

/// Serves a connection until its end. Once `stopping` is set, which has to wake the task, it ends after what is in flight on
/// it. The first request has to come within `patience`; after that, hyper watches the connection with pings.
pub async fn serve<T, F>(
    io: T,
    come: Bytes,
    patience: Duration,
    stopping: &AtomicBool,
    answer: impl Fn(Box<Parts>, Body) -> F,
) -> Result<(), Ended>
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let has_begun = AtomicBool::new(false);
    let service = service_fn(|request: Request<hyper::body::Incoming>| {
        has_begun.store(true, Ordering::Relaxed);
        let (parts, body) = request.into_parts();
        let answer = answer(Box::new(parts), Body::new(body));
        async { Ok::<_, Infallible>(answer.await) }
    });
    let mut connection = pin!(HTTP2.serve_connection(TokioIo::new(Resumed { come, io }), service));
    let mut alarm = Alarm::default();
    let deadline = after(Instant::now(), patience);
    let mut is_ending = false;
    poll_fn(|cx| {
        if !is_ending && stopping.load(Ordering::Relaxed) {
            is_ending = true;
            connection.as_mut().graceful_shutdown();
        }
        if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
            return Poll::Ready(ended.map_err(Ended::from));
        }
        if has_begun.load(Ordering::Relaxed) {
            return Poll::Pending;
        }
        alarm.poll(deadline, cx).map(|()| Err(Ended::Late))
    })
    .await
}

/// A connection of which the beginning was read already.
struct Resumed<T> {
    come: Bytes,
    io: T,
}

impl<T: AsyncRead + Unpin> AsyncRead for Resumed<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.come.is_empty() {
            return Pin::new(&mut self.io).poll_read(cx, buffer);
        }
        let length = buffer.remaining().min(self.come.len());
        buffer.put_slice(&self.come.split_to(length));
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Resumed<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
