//! One HTTP exchange with a provider.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
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
use tokio::time::{Instant, timeout_at};

use super::base::BaseUrl;
use super::connect::causes;
use super::pool::{Leased, Pool, Sender1};
use crate::alarm::after;
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
    /// No answer before the deadline.
    #[error("no answer in time")]
    Late,
    /// The connection broke, or what came was not HTTP.
    #[error("the connection broke off: {0}")]
    Broken(String),
    /// The caller's own body ended early.
    #[error(transparent)]
    Callers(BrokenBody),
}

/// How long one exchange may take.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For a connection, TLS included.
    pub connect: Duration,
    /// Until the first content of the answer.
    pub deadline: Instant,
    /// Between two pieces of the answer.
    pub between_bytes: Duration,
}

/// Sends a call and waits for the head of its answer.
///
/// A request that meets a kept connection which the provider has just closed is sent again on a fresh one, if `call` can
/// make it again.
pub async fn send<'a>(
    pool: &Arc<Pool>,
    mut call: impl FnMut() -> Option<Call<'a>>,
    patience: Patience,
) -> Result<Response<UpstreamBody>, SendError> {
    let mut given_up = None;
    loop {
        let kept = if given_up.is_none() { pool.kept() } else { None };
        let reused = kept.is_some();
        let leased = match kept {
            Some(leased) => leased,
            None => connect(pool, patience).await?,
        };
        let Some(call) = call() else {
            return Err(SendError::Broken(
                given_up.unwrap_or_else(|| "the request cannot be made".to_owned()),
            ));
        };
        match exchange(pool, call, leased, patience).await.ok_or(SendError::Late)? {
            Ok(response) => return Ok(response),
            Err(error) if reused && met_a_closed_connection(&error) => given_up = Some(causes(&error)),
            Err(error) => {
                let callers = callers_body(&error).map(SendError::Callers);
                return Err(callers.unwrap_or_else(|| SendError::Broken(causes(&error))));
            }
        }
    }
}

async fn connect(pool: &Pool, patience: Patience) -> Result<Leased, SendError> {
    let limit = after(Instant::now(), patience.connect);
    // In a box, since it is seldom needed and larger than all the rest of a request.
    let connecting = Box::pin(pool.connect());
    match timeout_at(limit.min(patience.deadline), connecting).await {
        Ok(connected) => connected.map_err(SendError::Unreachable),
        Err(_) if patience.deadline < limit => Err(SendError::Late),
        Err(_) => Err(SendError::ConnectTimeout(patience.connect)),
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

/// The head of the answer, or `None` at the deadline.
async fn exchange(
    pool: &Arc<Pool>,
    call: Call<'_>,
    mut leased: Leased,
    patience: Patience,
) -> Option<hyper::Result<Response<UpstreamBody>>> {
    let answered = match &mut leased {
        Leased::Http1(sender) => {
            let request = http1_request(call, sender);
            let sending = sender.requests.send_request(request);
            in_time(sending, &mut leased, patience.deadline).await
        }
        Leased::Http2(stream) => {
            let sending = stream.requests.send_request(http2_request(call));
            in_time(sending, &mut leased, patience.deadline).await
        }
    };
    let keep = |incoming| UpstreamBody::new(incoming, leased, pool.clone(), patience);
    Some(answered?.map(|response| response.map(keep)))
}

async fn in_time<T>(sending: impl Future<Output = T>, leased: &mut Leased, deadline: Instant) -> Option<T> {
    let mut sending = pin!(sending);
    poll_fn(|cx| match sending.as_mut().poll(cx) {
        Poll::Ready(answered) => Poll::Ready(Some(answered)),
        Poll::Pending => leased.alarm().poll(deadline, cx).map(|()| None),
    })
    .await
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
    leased: Option<Leased>,
    pool: Arc<Pool>,
    /// When the first content must be there; `None` once it is.
    deadline: Option<Instant>,
    between_bytes: Duration,
    /// Since when the next piece has been waited for.
    waiting: Option<Instant>,
    ended: bool,
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
    /// No content before the deadline.
    #[error("no content came in time")]
    Late,
}

impl UpstreamBody {
    fn new(incoming: Incoming, leased: Leased, pool: Arc<Pool>, patience: Patience) -> Self {
        Self {
            incoming,
            leased: Some(leased),
            pool,
            deadline: Some(patience.deadline),
            between_bytes: patience.between_bytes,
            waiting: None,
            ended: false,
        }
    }

    /// Says that the first content has come: from now on only a pause is too long.
    pub fn has_begun(&mut self) {
        self.deadline = None;
    }

    fn poll_overdue(&mut self, cx: &mut Context<'_>) -> Poll<BodyError> {
        let since = *self.waiting.get_or_insert_with(Instant::now);
        let limit = after(since, self.between_bytes);
        let deadline = self.deadline.filter(|deadline| *deadline < limit);
        if let Some(leased) = &mut self.leased {
            ready!(leased.alarm().poll(deadline.unwrap_or(limit), cx));
        }
        Poll::Ready(match deadline {
            Some(_) => BodyError::Late,
            None => BodyError::Stalled(self.between_bytes),
        })
    }
}

impl HttpBody for UpstreamBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.incoming).poll_frame(cx) else {
            return self.poll_overdue(cx).map(|error| Some(Err(error)));
        };
        self.waiting = None;
        self.ended = frame.is_none();
        Poll::Ready(frame.map(|frame| frame.map_err(|error| BodyError::Cut(causes(&error)))))
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
        if (self.ended || self.incoming.is_end_stream())
            && let Some(Leased::Http1(sender)) = self.leased.take()
        {
            self.pool.give_back(sender);
        }
    }
}
