//! One HTTP exchange with a provider.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::http::header::PROXY_AUTHORIZATION;
use axum::http::{HeaderMap, HeaderName, Method, Request, StatusCode, Version};
use tokio::time::{Instant, timeout_at};

use super::base::BaseUrl;
pub use super::body::{BodyError, UpstreamBody};
pub use super::call_body::CallBody;
use super::call_headers::CallHeaders;
use super::call_path::CallPath;
use super::connect::causes;
use super::http1::exchange::{Answered, Exchange, NoAnswer, is_gone};
use super::http1::reading::Reading;
use super::http1::request::RequestHead;
use super::http1::sending::Sending;
use super::pool::{Http1, Http2, Leased, Pool};
use crate::alarm::{Alarm, after};
use crate::http::body::BrokenBody;

/// A body that can be sent only once goes over a connection that was used just now, or a new one: one that has been idle for
/// longer may be closed by its other side at any time, and the body would be lost.
const JUST_NOW: Duration = Duration::from_secs(1);

static PROXY: HeaderName = PROXY_AUTHORIZATION;

/// What is asked of a provider, once.
#[derive(Debug)]
pub struct Call<'a> {
    /// The method.
    pub method: &'a Method,
    /// Where to.
    pub base: &'a BaseUrl,
    /// The path and query on that host.
    pub path: &'a CallPath,
    /// Everything but `Host`, lengths and transfer encodings.
    pub headers: &'a CallHeaders<'a>,
    /// The body.
    pub body: &'a mut CallBody,
}

/// An answer of which the head has come.
#[derive(Debug)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Box<UpstreamBody>,
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
/// A request that meets a kept connection which the provider has just closed, or that the provider says it has not looked
/// at, is sent again on a fresh one, if its body can be.
pub async fn send(pool: &Arc<Pool>, mut call: Call<'_>, patience: Patience) -> Result<Reply, SendError> {
    let mut given_up = None;
    loop {
        let kept = match call.body {
            _ if given_up.is_some() => None,
            CallBody::Held(_) => pool.kept(Duration::MAX),
            CallBody::Streamed(_) => pool.kept(JUST_NOW),
        };
        let reused = kept.is_some();
        let leased = match kept {
            Some(leased) => leased,
            None => connect(pool, patience).await?,
        };
        if !call.body.can_be_sent() {
            return Err(SendError::Broken(
                given_up.unwrap_or_else(|| "the body was sent before".to_owned()),
            ));
        }
        let answered = match leased {
            Leased::Http1(connection) => {
                let mut on_its_way = OnItsWay::new(&mut call, connection);
                let answered = poll_fn(|cx| on_its_way.poll(patience.deadline, cx)).await;
                answered.map(|answered| on_its_way.answer(answered, pool, patience))
            }
            // In a box, which requests over HTTP/1.1 do not have to carry.
            Leased::Http2(stream) => Box::pin(over_http2(&mut call, stream, patience)).await,
        };
        match answered {
            Ok(response) => return Ok(response),
            Err(Trouble::Late) => return Err(SendError::Late),
            Err(Trouble::Gone(reason)) if reused => given_up = Some(reason),
            Err(Trouble::Unprocessed(reason)) if given_up.is_none() => given_up = Some(reason),
            Err(Trouble::Gone(reason) | Trouble::Unprocessed(reason) | Trouble::Broken(reason)) => {
                return Err(SendError::Broken(reason));
            }
            Err(Trouble::Callers(body)) => return Err(SendError::Callers(body)),
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

/// Why one connection brought no answer.
enum Trouble {
    /// Nothing came before the deadline.
    Late,
    /// The other side had given the connection up: it ended before the first byte of an answer.
    Gone(String),
    /// The other side guarantees that it has not processed the request (RFC 9113, section 8.7).
    Unprocessed(String),
    /// It broke, or what came was not HTTP.
    Broken(String),
    /// The caller's own body ended early.
    Callers(BrokenBody),
}

impl Trouble {
    fn of(error: &(dyn std::error::Error + 'static), is_gone: bool) -> Self {
        match callers_body(error) {
            Some(body) => Self::Callers(body),
            None if is_gone => Self::Gone(causes(error)),
            None => Self::Broken(causes(error)),
        }
    }
}

/// What made an exchange over HTTP/2 fail.
fn http2_trouble(error: &hyper::Error) -> Trouble {
    let cause = std::error::Error::source(error);
    if cause.and_then(|cause| cause.downcast_ref()).is_some_and(is_unprocessed) {
        return Trouble::Unprocessed(causes(error));
    }
    let io = cause.and_then(|cause| cause.downcast_ref::<io::Error>());
    let is_gone = error.is_canceled() || error.is_closed() || error.is_incomplete_message() || io.is_some_and(is_gone);
    Trouble::of(error, is_gone)
}

/// Whether the other side refused the stream, or said goodbye with the number of an earlier one (RFC 9113, section 8.7): a
/// stream that its goodbye includes does not end in it.
fn is_unprocessed(error: &h2::Error) -> bool {
    error.is_remote() && (error.is_go_away() || error.reason() == Some(h2::Reason::REFUSED_STREAM))
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

/// A request that is sent over HTTP/1.1.
struct OnItsWay {
    exchange: Exchange,
    connection: Http1,
}

impl OnItsWay {
    fn new(call: &mut Call<'_>, connection: Http1) -> Self {
        let authorization = connection.proxy.as_ref().and_then(|proxy| proxy.authorization.as_ref());
        let authorized = authorization.map(|authorization| {
            let mut headers = call.headers.clone();
            headers.insert(&PROXY, authorization);
            headers
        });
        let head = RequestHead {
            method: call.method,
            base: call.base,
            path: call.path.as_str(),
            headers: authorized.as_ref().unwrap_or(call.headers),
            whole_url: connection.proxy.is_some(),
        };
        let exchange = Exchange::new(Sending::new(&head, call.body), call.method);
        Self { exchange, connection }
    }

    fn poll(&mut self, deadline: Instant, cx: &mut Context<'_>) -> Poll<Result<Answered, Trouble>> {
        match self.exchange.poll(&mut self.connection.stream, cx) {
            Poll::Ready(answered) => {
                let trouble = |error| Trouble::of(&error, matches!(error, NoAnswer::Gone(_)));
                Poll::Ready(answered.map_err(trouble))
            }
            Poll::Pending => self.connection.alarm.poll(deadline, cx).map(|()| Err(Trouble::Late)),
        }
    }

    fn answer(self, answered: Answered, pool: &Arc<Pool>, patience: Patience) -> Reply {
        let (head, reading) = Reading::new(answered);
        Reply {
            status: head.status,
            headers: head.headers,
            body: Box::new(UpstreamBody::http1(reading, self.connection, pool.clone(), patience)),
        }
    }
}

async fn over_http2(call: &mut Call<'_>, mut stream: Http2, patience: Patience) -> Result<Reply, Trouble> {
    let url = call.base.url(call.path);
    let url = url.map_err(|error| Trouble::Broken(format!("there is no such address: {error}")))?;
    let body = call
        .body
        .outgoing()
        .ok_or_else(|| Trouble::Broken("the body was sent before".to_owned()))?;
    let mut request = Request::new(body);
    *request.version_mut() = Version::HTTP_2;
    *request.method_mut() = call.method.clone();
    *request.uri_mut() = url;
    *request.headers_mut() = call.headers.to_map();
    let sending = stream.requests.send_request(request);
    let answered = in_time(sending, &mut stream.alarm, patience.deadline).await;
    let response = answered.ok_or(Trouble::Late)?.map_err(|error| http2_trouble(&error))?;
    let (head, incoming) = response.into_parts();
    Ok(Reply {
        status: head.status,
        headers: head.headers,
        body: Box::new(UpstreamBody::http2(incoming, stream, patience)),
    })
}

async fn in_time<T>(sending: impl Future<Output = T>, alarm: &mut Alarm, deadline: Instant) -> Option<T> {
    let mut sending = pin!(sending);
    poll_fn(|cx| match sending.as_mut().poll(cx) {
        Poll::Ready(answered) => Poll::Ready(Some(answered)),
        Poll::Pending => alarm.poll(deadline, cx).map(|()| None),
    })
    .await
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::uri::Scheme;
    use bytes::Bytes;
    use http_body_util::BodyExt as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::sync::mpsc;

    use super::*;
    use crate::config::file::HttpVersion;
    use crate::config::{NetworkConfig, Proxies};
    use crate::upstream::connect::{Network, Origin};
    use crate::upstream::pool::Pools;

    const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

    /// A provider that answers each request of a connection in turn with what is said here, and then closes the connection.
    /// Every request is told with the number of its connection.
    async fn provider(
        connections: Vec<Vec<&'static str>>,
    ) -> (BaseUrl, Arc<Pool>, mpsc::Receiver<(usize, &'static str)>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = BaseUrl::parse(&format!("http://{}", listener.local_addr().unwrap()), "").unwrap();
        let (told, events) = mpsc::channel(100);
        tokio::spawn(async move {
            for (number, answers) in connections.into_iter().enumerate() {
                let (mut tcp, _) = listener.accept().await.unwrap();
                let told = told.clone();
                tokio::spawn(async move {
                    for answer in answers {
                        if !has_request(&mut tcp).await {
                            return told.send((number, "closed")).await.unwrap();
                        }
                        told.send((number, "request")).await.unwrap();
                        tcp.write_all(answer.as_bytes()).await.unwrap();
                    }
                    if !has_request(&mut tcp).await {
                        told.send((number, "closed")).await.unwrap();
                    }
                });
            }
        });
        let pool = pool(&base, HttpVersion::Http1);
        (base, pool, events)
    }

    /// A provider that speaks HTTP/2 and answers the only request of each connection in turn with this frame.
    async fn http2_provider(frames: Vec<Vec<u8>>) -> (BaseUrl, Arc<Pool>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = BaseUrl::parse(&format!("http://{}", listener.local_addr().unwrap()), "").unwrap();
        tokio::spawn(async move {
            for frame in frames {
                let (mut tcp, _) = listener.accept().await.unwrap();
                tcp.write_all(&http2_frame(4, 0, 0, &[])).await.unwrap();
                tcp.read_exact(&mut [0; 24]).await.unwrap();
                let mut kind = None;
                // HEADERS come after what is about the connection.
                while kind != Some(1) {
                    let mut head = [0; 9];
                    tcp.read_exact(&mut head).await.unwrap();
                    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
                    tcp.read_exact(&mut vec![0; length as usize]).await.unwrap();
                    kind = Some(head[3]);
                }
                tcp.write_all(&frame).await.unwrap();
                tokio::spawn(async move { tcp.read_to_end(&mut Vec::new()).await });
            }
        });
        let pool = pool(&base, HttpVersion::Http2);
        (base, pool)
    }

    /// A frame (RFC 9113, section 4.1).
    fn http2_frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
        let length = u8::try_from(payload.len()).unwrap();
        [&[0, 0, length, kind, flags, 0, 0, 0, stream], payload].concat()
    }

    fn pool(base: &BaseUrl, version: HttpVersion) -> Arc<Pool> {
        let origin = Origin {
            scheme: Scheme::HTTP,
            authority: base.authority.clone(),
            version,
        };
        let network = NetworkConfig {
            proxies: Proxies::default(),
            ca: Vec::new(),
            keep_alive: Duration::from_mins(1),
            max_idle: 8,
        };
        Pools::new(Network::new(network)).of(&origin)
    }

    /// Reads a request with the body `{}`.
    async fn has_request(tcp: &mut TcpStream) -> bool {
        let mut text = Vec::new();
        while !text.ends_with(b"\r\n\r\n{}") && !text.ends_with(b"2\r\n{}\r\n0\r\n\r\n") {
            if tcp.read_buf(&mut text).await.unwrap_or(0) == 0 {
                return false;
            }
        }
        true
    }

    async fn post(base: &BaseUrl, pool: &Arc<Pool>, mut body: CallBody) -> Result<Reply, SendError> {
        let patience = Patience {
            connect: Duration::from_mins(1),
            deadline: Instant::now() + Duration::from_secs(5),
            between_bytes: Duration::from_secs(5),
        };
        let call = Call {
            method: &Method::POST,
            base,
            path: &base.call("/v1", "").unwrap(),
            headers: &CallHeaders::default(),
            body: &mut body,
        };
        send(pool, call, patience).await
    }

    fn held() -> CallBody {
        CallBody::Held(vec![Bytes::from("{}")])
    }

    async fn text(response: Result<Reply, SendError>) -> String {
        let body = response.unwrap().body.collect().await.unwrap();
        String::from_utf8(body.to_bytes().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn a_connection_is_used_again_when_its_answer_was_read() {
        let (base, pool, mut events) = provider(vec![vec![OK, OK, OK]]).await;
        for _ in 0..3 {
            assert_eq!(text(post(&base, &pool, held()).await).await, "ok");
            assert_eq!(events.recv().await, Some((0, "request")));
        }
    }

    #[tokio::test]
    async fn a_request_that_meets_a_closed_connection_is_sent_again_if_it_can_be() {
        for (body, is_answered) in [(held(), true), (CallBody::Streamed(Some(Body::from("{}"))), false)] {
            // The first connection takes a second request, and is closed instead of an answer.
            let (base, pool, mut events) = provider(vec![vec![OK], vec![OK]]).await;
            assert_eq!(text(post(&base, &pool, held()).await).await, "ok");
            let second = post(&base, &pool, body).await;
            assert_eq!(events.recv().await, Some((0, "request")));
            match second {
                Ok(response) if is_answered => {
                    assert_eq!(text(Ok(response)).await, "ok");
                    assert_eq!(events.recv().await, Some((1, "request")));
                }
                Err(SendError::Broken(_)) if !is_answered => {}
                other => panic!("{other:?}"),
            }
        }
    }

    #[tokio::test]
    async fn a_fresh_connection_that_is_closed_is_a_failure() {
        let (base, pool, _events) = provider(vec![vec![]]).await;
        let sent = post(&base, &pool, held()).await;
        assert!(matches!(sent, Err(SendError::Broken(_))), "{sent:?}");
    }

    #[tokio::test]
    async fn a_body_that_can_be_sent_once_goes_over_a_connection_that_was_used_just_now() {
        for (milliseconds, connection) in [(10, 0), (2000, 1)] {
            let (base, pool, mut events) = provider(vec![vec![OK, OK], vec![OK]]).await;
            assert_eq!(text(post(&base, &pool, held()).await).await, "ok");
            assert_eq!(events.recv().await, Some((0, "request")));
            tokio::time::pause();
            tokio::time::advance(Duration::from_millis(milliseconds)).await;
            tokio::time::resume();
            let streamed = CallBody::Streamed(Some(Body::from("{}")));
            assert_eq!(text(post(&base, &pool, streamed).await).await, "ok");
            assert_eq!(events.recv().await, Some((connection, "request")));
        }
    }

    #[tokio::test]
    async fn a_request_that_was_not_processed_is_sent_again_once() {
        // `:status: 200` at index 8 of HPACK's static table, and the end of the stream.
        let ok = || http2_frame(1, 5, 1, &[0x88]);
        let goodbye = || http2_frame(7, 0, 0, &[0; 8]);
        let refused = || http2_frame(3, 0, 1, &[0, 0, 0, 7]);
        let internal_error = || http2_frame(3, 0, 1, &[0, 0, 0, 2]);
        for (frames, is_answered) in [
            (vec![goodbye(), ok()], true),
            (vec![refused(), ok()], true),
            (vec![refused(), goodbye(), ok()], false),
            (vec![internal_error(), ok()], false),
        ] {
            let (base, pool) = http2_provider(frames).await;
            match post(&base, &pool, held()).await {
                Ok(reply) => assert!(is_answered && reply.status == 200),
                Err(error) => assert!(!is_answered && matches!(error, SendError::Broken(_)), "{error}"),
            }
        }
    }

    #[tokio::test]
    async fn an_answer_that_is_dropped_ends_its_connection() {
        let part = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\npart";
        let (base, pool, mut events) = provider(vec![vec![part], vec![OK]]).await;
        drop(post(&base, &pool, held()).await.unwrap());
        assert_eq!(events.recv().await, Some((0, "request")));
        assert_eq!(events.recv().await, Some((0, "closed")));
        assert_eq!(text(post(&base, &pool, held()).await).await, "ok");
        assert_eq!(events.recv().await, Some((1, "request")));
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_answer_is_given_up() {
        let (base, pool, _events) = provider(vec![vec!["", ""]]).await;
        let begun = Instant::now();
        let sent = post(&base, &pool, held()).await;
        assert!(matches!(sent, Err(SendError::Late)), "{sent:?}");
        assert_eq!(begun.elapsed().as_secs(), 5);
    }
}
