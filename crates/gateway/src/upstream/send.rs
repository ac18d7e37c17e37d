//! One HTTP exchange with a provider.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{HOST, PROXY_AUTHORIZATION};
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, Method, Request, Response, Uri, Version};
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

use super::base::BaseUrl;
use super::connect::causes;
use super::pool::{Leased, Pool, Sender1, Stream};
use crate::http::body::BrokenBody;

/// What is asked of a provider, once.
#[derive(Debug)]
pub struct Call<'a> {
    /// The method.
    pub method: Method,
    /// Where to.
    pub base: &'a BaseUrl,
    /// The path and query on that host.
    pub path: PathAndQuery,
    /// Everything but `Host`, lengths and transfer encodings.
    pub headers: HeaderMap,
    /// The body.
    pub body: Outgoing,
}

/// Why an exchange failed.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// No connection.
    #[error("cannot connect: {0}")]
    Unreachable(String),
    /// No connection in time.
    #[error("no connection within {0:?}")]
    ConnectTimeout(Duration),
    /// The connection broke, or what came was not HTTP.
    #[error("the connection broke off: {0}")]
    Broken(String),
    /// The caller's own body ended early.
    #[error(transparent)]
    Callers(BrokenBody),
}

/// Sends a call and waits for the head of its answer.
///
/// A request that meets a kept connection which the provider has just closed is sent again on a fresh one, if `call` can
/// make it again.
pub async fn send<'a>(
    pool: &Arc<Pool>,
    mut call: impl FnMut() -> Option<Call<'a>>,
    connect: Duration,
    idle: Duration,
) -> Result<Response<UpstreamBody>, SendError> {
    let mut given_up = None;
    loop {
        let lease = tokio::time::timeout(connect, pool.lease(given_up.is_some()))
            .await
            .map_err(|_| SendError::ConnectTimeout(connect))?
            .map_err(SendError::Unreachable)?;
        let reused = matches!(lease, Leased::Http1(_, true) | Leased::Http2(_, true));
        let Some(call) = call() else {
            return Err(SendError::Broken(
                given_up.unwrap_or_else(|| "the request cannot be made".to_owned()),
            ));
        };
        match exchange(pool, call, lease, idle).await {
            Ok(response) => return Ok(response),
            Err(error) if reused && met_a_closed_connection(&error) => given_up = Some(causes(&error)),
            Err(error) => {
                let callers = callers_body(&error).map(SendError::Callers);
                return Err(callers.unwrap_or_else(|| SendError::Broken(causes(&error))));
            }
        }
    }
}

/// The caller's body, if it is what made an exchange fail.
fn callers_body(error: &(dyn std::error::Error + 'static)) -> Option<BrokenBody> {
    let mut source = Some(error);
    while let Some(error) = source {
        if let Some(body) = error.downcast_ref::<BrokenBody>() {
            return Some(body.clone());
        }
        source = error.source();
    }
    None
}

/// Whether a request on a kept connection failed because the other side had given that connection up: it ended before
/// the first byte of an answer.
fn met_a_closed_connection(error: &hyper::Error) -> bool {
    let io = std::error::Error::source(error).and_then(|source| source.downcast_ref::<io::Error>());
    let gone = |error: &io::Error| {
        use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof};
        matches!(
            error.kind(),
            BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected | UnexpectedEof
        )
    };
    error.is_canceled() || error.is_closed() || error.is_incomplete_message() || io.is_some_and(gone)
}

async fn exchange(
    pool: &Arc<Pool>,
    call: Call<'_>,
    lease: Leased,
    idle: Duration,
) -> hyper::Result<Response<UpstreamBody>> {
    match lease {
        Leased::Http1(mut sender, _) => {
            let response = sender.requests.send_request(http1_request(call, &sender)).await?;
            let kept = Kept::Http1(Some((pool.clone(), sender)));
            Ok(response.map(|body| UpstreamBody::new(body, kept, idle)))
        }
        Leased::Http2(mut stream, _) => {
            let response = stream.requests.send_request(http2_request(call)).await?;
            Ok(response.map(|body| UpstreamBody::new(body, Kept::Http2(stream), idle)))
        }
    }
}

fn http1_request(call: Call<'_>, sender: &Sender1) -> Request<Outgoing> {
    let mut request = Request::new(call.body);
    *request.method_mut() = call.method;
    *request.headers_mut() = call.headers;
    request.headers_mut().insert(HOST, call.base.host.clone());
    match &sender.proxy {
        None => *request.uri_mut() = Uri::from(call.path),
        Some(proxy) => {
            *request.uri_mut() = call.base.url(call.path);
            if let Some(authorization) = &proxy.authorization {
                request.headers_mut().insert(PROXY_AUTHORIZATION, authorization.clone());
            }
        }
    }
    request
}

fn http2_request(call: Call<'_>) -> Request<Outgoing> {
    let mut request = Request::new(call.body);
    *request.version_mut() = Version::HTTP_2;
    *request.method_mut() = call.method;
    *request.uri_mut() = call.base.url(call.path);
    *request.headers_mut() = call.headers;
    request
}

/// A request body on its way out.
#[derive(Debug)]
pub enum Outgoing {
    /// Pieces, of which those from `next` on are `left` bytes.
    Held {
        /// All pieces.
        pieces: Vec<Bytes>,
        /// The next one to go.
        next: usize,
        /// The bytes still to go.
        left: u64,
    },
    /// What the caller sends, as it comes.
    Streamed(Body),
}

impl Outgoing {
    /// A body that is held in memory.
    pub fn held(pieces: Vec<Bytes>) -> Self {
        let left = pieces.iter().map(Bytes::len).sum::<usize>() as u64;
        Self::Held { pieces, next: 0, left }
    }
}

impl HttpBody for Outgoing {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        match self.get_mut() {
            Self::Held { pieces, next, left } => {
                let piece = pieces.get_mut(*next).map(std::mem::take);
                *next += 1;
                *left -= piece.as_ref().map_or(0, Bytes::len) as u64;
                Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
            }
            Self::Streamed(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Held { left, .. } => *left == 0,
            Self::Streamed(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Held { left, .. } => SizeHint::with_exact(*left),
            Self::Streamed(body) => body.size_hint(),
        }
    }
}

/// The body of an answer. Read to its end, its connection is kept for the next request; dropped before, the call is
/// cancelled.
#[derive(Debug)]
pub struct UpstreamBody {
    incoming: Incoming,
    kept: Kept,
    idle: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
    last: Option<Instant>,
    ended: bool,
}

#[derive(Debug)]
enum Kept {
    Http1(Option<(Arc<Pool>, Sender1)>),
    Http2(#[expect(dead_code, reason = "counts as one of the connection's streams until it is dropped")] Stream),
}

/// Why the rest of an answer does not come.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The connection broke.
    #[error("the answer was cut off: {0}")]
    Cut(String),
    /// Nothing came for too long.
    #[error("nothing more came within {0:?}")]
    Stalled(Duration),
}

impl UpstreamBody {
    fn new(incoming: Incoming, kept: Kept, idle: Duration) -> Self {
        Self {
            incoming,
            kept,
            idle,
            waiting: None,
            last: None,
            ended: false,
        }
    }

    /// Ready when nothing has come for too long. What comes does not touch the timer: when it rings, it is moved on
    /// from the time of the last piece.
    fn poll_stalled(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let last = *self.last.get_or_insert_with(Instant::now);
        let Some(deadline) = last.checked_add(self.idle) else {
            return Poll::Pending;
        };
        let timer = self
            .waiting
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        ready!(timer.as_mut().poll(cx));
        if timer.deadline() < deadline {
            timer.as_mut().reset(deadline);
            ready!(timer.as_mut().poll(cx));
        }
        Poll::Ready(())
    }
}

impl HttpBody for UpstreamBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match Pin::new(&mut self.incoming).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                if self.waiting.is_some() {
                    self.last = Some(Instant::now());
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(BodyError::Cut(causes(&error))))),
            Poll::Ready(None) => {
                self.ended = true;
                Poll::Ready(None)
            }
            Poll::Pending => {
                ready!(self.poll_stalled(cx));
                let idle = self.idle;
                Poll::Ready(Some(Err(BodyError::Stalled(idle))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl Drop for UpstreamBody {
    fn drop(&mut self) {
        if let Kept::Http1(kept) = &mut self.kept
            && (self.ended || self.incoming.is_end_stream())
            && let Some((pool, sender)) = kept.take()
        {
            pool.give_back(sender);
        }
    }
}
