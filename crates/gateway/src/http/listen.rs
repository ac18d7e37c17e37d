//! Accepts connections and serves them until the gateway stops.

use std::future::{pending, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::BoxError;
use axum::body::Body;
use axum::http::header::Entry;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response};
use bytes::{Bytes, BytesMut};
use mynah_dialect::Dialect;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use uuid::Uuid;

use super::body::RequestBody;
use super::http2;
use super::reply::REQUEST_ID;
use super::routes::Routes;
use super::server1::connection::{self, Limits};
use super::server1::head::Refused;
use crate::alarm::{Alarm, after};
use crate::app::App;
use crate::ask::since_1970;
use crate::http1::reading::{SMALL_READ, poll_read};

static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How long what is cut off may take to say so.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// One configuration as it is served.
pub struct Site {
    /// What the routes work with.
    pub app: Arc<App>,
    /// The routes.
    pub routes: Routes,
    /// TLS for new connections.
    pub tls: Option<TlsAcceptor>,
}

/// Serves connections until `stopped` ends; then those that are open may finish within the `drain` of the site.
pub async fn serve(listener: TcpListener, site: Arc<ArcSwap<Site>>, stopped: impl Future<Output = ()>) {
    // Every connection holds a receiver, so that this also tells when the last one has ended.
    let (stopping, _) = watch::channel(());
    let places = Arc::new(Semaphore::new(site.load().app.server.max_connections));
    tokio::pin!(stopped);
    loop {
        let place = tokio::select! {
            () = &mut stopped => break,
            place = places.clone().acquire_owned() => place,
        };
        let accepted = tokio::select! {
            () = &mut stopped => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((tcp, peer)) => {
                let (site, stop) = (site.clone(), stopping.subscribe());
                tokio::spawn(async move {
                    connection(tcp, peer, site, stop).await;
                    drop(place);
                });
            }
            Err(error) => {
                // Out of file descriptors, most likely: more will be free when requests end.
                tracing::error!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);
    let app = site.load().app.clone();
    let drain = app.server.drain;
    stopping.send_replace(());
    if tokio::time::timeout(drain, stopping.closed()).await.is_err() {
        tracing::warn!(?drain, "requests were still in flight; they are cut off");
        app.process.cut_off();
        // Wakes them once more.
        stopping.send_replace(());
        let _ = tokio::time::timeout(LAST_WORDS, stopping.closed()).await;
    }
}

type ConnectionError = Box<dyn std::error::Error + Send + Sync>;

async fn connection(tcp: TcpStream, peer: SocketAddr, site: Arc<ArcSwap<Site>>, stop: watch::Receiver<()>) {
    // Without this, the first event of a stream waits for the acknowledgement of its head.
    if let Err(error) = tcp.set_nodelay(true) {
        tracing::debug!(%error, %peer, "connection lost");
        return;
    }
    let stopping = AtomicBool::new(false);
    let tls = site.load().tls.clone();
    let result = match tls {
        None => {
            let serving = pin!(in_clear(tcp, site, &stopping));
            until_stopped(serving, &stopping, stop).await
        }
        // In a box, which connections without TLS do not have to carry.
        Some(tls) => {
            let mut serving = Box::pin(over_tls(tcp, tls, site, &stopping));
            until_stopped(serving.as_mut(), &stopping, stop).await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, %peer, "connection ended");
    }
}

/// Runs a connection, tells it when the gateway stops, and wakes it when what it has in flight is cut off.
///
/// It is pinned by the caller, as a future that is handed over is kept twice.
async fn until_stopped<F: Future>(
    mut serving: Pin<&mut F>,
    stopping: &AtomicBool,
    stop: watch::Receiver<()>,
) -> F::Output {
    let mut listening = pin!(listen(stop.clone()));
    let mut is_registered = false;
    poll_fn(|cx| {
        // Asked once, to be woken, and then only once it stops: asking takes a lock that all connections share.
        if !is_registered || stop.has_changed().unwrap_or(true) {
            is_registered = true;
            let _ = listening.as_mut().poll(cx);
            // An error means that it has stopped already.
            stopping.store(stop.has_changed().unwrap_or(true), Ordering::Relaxed);
        }
        serving.as_mut().poll(cx)
    })
    .await
}

async fn over_tls(
    tcp: TcpStream,
    tls: TlsAcceptor,
    site: Arc<ArcSwap<Site>>,
    stopping: &AtomicBool,
) -> Result<(), ConnectionError> {
    let stream = tokio::time::timeout(HANDSHAKE, tls.accept(tcp)).await??;
    if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
        return http2(stream, Bytes::new(), site, stopping).await;
    }
    http1(stream, Bytes::new(), site, stopping).await
}

/// Speaks HTTP/1.1, or HTTP/2 where the client begins with it.
async fn in_clear(mut tcp: TcpStream, site: Arc<ArcSwap<Site>>, stopping: &AtomicBool) -> Result<(), ConnectionError> {
    let come = opening(&mut tcp, limits(&site), stopping).await?;
    if come.starts_with(http2::PREFACE) {
        return Box::pin(http2(tcp, come, site, stopping)).await;
    }
    http1(tcp, come, site, stopping).await
}

/// The first bytes that come, as many as it takes to see what the client speaks.
async fn opening(tcp: &mut TcpStream, limits: Limits, stopping: &AtomicBool) -> Result<Bytes, ConnectionError> {
    let mut alarm = Alarm::default();
    let mut come = BytesMut::new();
    let mut deadline = after(Instant::now(), limits.idle);
    loop {
        let piece = poll_fn(|cx| {
            let read = poll_read(tcp, SMALL_READ, cx);
            if read.is_ready() {
                return read;
            }
            if come.is_empty() && stopping.load(Ordering::Relaxed) {
                return Poll::Ready(Ok(Bytes::new()));
            }
            let late = || Err(io::Error::new(io::ErrorKind::TimedOut, "no request came in time"));
            alarm.poll(deadline, cx).map(|()| late())
        });
        let piece = piece.await?;
        let is_end = piece.is_empty();
        if come.is_empty() {
            deadline = after(Instant::now(), limits.head);
            come = piece.into();
        } else {
            come.extend_from_slice(&piece);
        }
        if is_end || come.len() >= http2::PREFACE.len() || !http2::PREFACE.starts_with(&come) {
            return Ok(come.freeze());
        }
    }
}

fn limits(site: &ArcSwap<Site>) -> Limits {
    let settings = &site.load().app.server;
    Limits {
        head: settings.header_timeout,
        idle: settings.keep_alive,
    }
}

async fn http1<T>(io: T, come: Bytes, site: Arc<ArcSwap<Site>>, stopping: &AtomicBool) -> Result<(), ConnectionError>
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let limits = limits(&site);
    let answer = |parts, body| respond(&site.load(), parts, body);
    Ok(connection::serve(io, come, limits, stopping, answer, refuse).await?)
}

async fn http2<T>(io: T, come: Bytes, site: Arc<ArcSwap<Site>>, stopping: &AtomicBool) -> Result<(), ConnectionError>
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let patience = limits(&site).head;
    let answer = |parts, body| respond(&site.load(), parts, body);
    Ok(http2::serve(io, come, patience, stopping, answer).await?)
}

/// Is woken by everything that is told, for ever.
async fn listen(mut stop: watch::Receiver<()>) {
    while stop.changed().await.is_ok() {}
    pending::<()>().await;
}

/// Answers one request, and gives it an id.
///
/// The id of the reply is the caller's own when it sent a sane one, else the provider's, else ours; where it is not
/// ours, ours is there under a name of its own.
fn respond<B>(site: &Site, mut parts: Box<Parts>, body: B) -> impl Future<Output = Response<Body>> + use<B>
where
    B: RequestBody<Error: Into<BoxError>> + Send + 'static,
{
    let callers = parts.headers.get(&X_REQUEST_ID).filter(|id| is_sane(id)).cloned();
    let ours = callers.clone().unwrap_or_else(new_id);
    parts.headers.insert(REQUEST_ID.clone(), ours.clone());
    let answer = site.routes.answer(parts, body);
    async move {
        let mut response = answer.await;
        name(response.headers_mut(), callers, ours);
        response
    }
}

/// Answers what is no request, in OpenAI's shape: which dialect was meant nobody knows.
fn refuse(refused: Refused) -> Response<Body> {
    let mut response = refused.failure().reply_in(Dialect::OpenAi, "");
    name(response.headers_mut(), None, new_id());
    response
}

fn name(headers: &mut HeaderMap, callers: Option<HeaderValue>, ours: HeaderValue) {
    if let Some(id) = callers {
        headers.insert(X_REQUEST_ID.clone(), id);
        return;
    }
    let has_another = match headers.entry(X_REQUEST_ID.clone()) {
        Entry::Occupied(providers) => *providers.get() != ours,
        Entry::Vacant(place) => {
            place.insert(ours.clone());
            false
        }
    };
    if has_another {
        headers.insert(REQUEST_ID.clone(), ours);
    }
}

/// Whether a caller's request id can be repeated in logs and headers.
fn is_sane(id: &HeaderValue) -> bool {
    let id = id.as_bytes();
    (1..=128).contains(&id.len())
        && id
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.:+/=".contains(byte))
}

/// A UUID of version 7 (RFC 9562, section 5.7). It names a request and guards nothing, so its random bits come from a quick
/// generator.
fn new_id() -> HeaderValue {
    let milliseconds = u64::try_from(since_1970().as_millis()).unwrap_or(u64::MAX);
    let mut random = [0; 10];
    fastrand::fill(&mut random);
    let id = uuid::Builder::from_unix_timestamp_millis(milliseconds, &random).into_uuid();
    let mut buffer = Uuid::encode_buffer();
    let id = id.hyphenated().encode_lower(&mut buffer);
    HeaderValue::from_str(id).unwrap_or(HeaderValue::from_static("unknown"))
}
