//! Accepts connections and serves them until the gateway stops.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use uuid::Uuid;

use super::head_timeout::{Busy, Limits, Sent, Watched, in_time};
use super::reply::REQUEST_ID;
use super::routes::Routes;
use crate::app::App;

static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// The most that is read at once or held of a head. More would save few system calls, and be held for each connection.
const MAX_BUFFER: usize = 64 * 1024;

/// What a client sends first that speaks HTTP/2 without having asked.
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

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
    let drain = site.load().app.server.drain;
    stopping.send_replace(());
    if tokio::time::timeout(drain, stopping.closed()).await.is_err() {
        tracing::warn!(?drain, "requests were still in flight; they are cut off");
    }
}

type ConnectionError = Box<dyn std::error::Error + Send + Sync>;

async fn connection(tcp: TcpStream, peer: SocketAddr, site: Arc<ArcSwap<Site>>, stop: watch::Receiver<()>) {
    // Without this, the first event of a stream waits for the acknowledgement of its head.
    if let Err(error) = tcp.set_nodelay(true) {
        tracing::debug!(%error, %peer, "connection lost");
        return;
    }
    let tls = site.load().tls.clone();
    let result = match tls {
        None => http(TokioIo::new(tcp), None, site, stop).await,
        // In a box, which connections without TLS do not have to carry.
        Some(tls) => Box::pin(https(tcp, tls, site, stop)).await,
    };
    if let Err(error) = result {
        tracing::debug!(%error, %peer, "connection ended");
    }
}

async fn https(
    tcp: TcpStream,
    tls: TlsAcceptor,
    site: Arc<ArcSwap<Site>>,
    stop: watch::Receiver<()>,
) -> Result<(), ConnectionError> {
    let stream = tokio::time::timeout(HANDSHAKE, tls.accept(tcp)).await??;
    let agreed = stream.get_ref().1.alpn_protocol().map(|protocol| protocol == b"h2");
    http(TokioIo::new(stream), agreed, site, stop).await
}

async fn http<T>(
    io: T,
    agreed_on_http2: Option<bool>,
    site: Arc<ArcSwap<Site>>,
    stop: watch::Receiver<()>,
) -> Result<(), ConnectionError>
where
    T: hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static,
{
    let limits = {
        let settings = &site.load().app.server;
        Limits {
            head: settings.header_timeout,
            idle: settings.keep_alive,
        }
    };
    let busy = Busy::default();
    let io = Watched::new(io, busy.clone());
    let serving = pin!(answer_all(io, agreed_on_http2, busy.clone(), site, stop));
    in_time(serving, busy, limits).await
}

/// Speaks HTTP/1.1, or HTTP/2 where TLS agreed on it or the client begins with it.
async fn answer_all<T>(
    mut io: Watched<T>,
    agreed_on_http2: Option<bool>,
    busy: Busy,
    site: Arc<ArcSwap<Site>>,
    stop: watch::Receiver<()>,
) -> Result<(), ConnectionError>
where
    T: hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static,
{
    let is_http2 = if let Some(agreed) = agreed_on_http2 {
        agreed
    } else {
        tokio::select! {
            begins = io.begins_with(HTTP2_PREFACE) => begins?,
            () = told(stop.clone()) => return Ok(()),
        }
    };
    let service = service_fn(move |request: Request<Incoming>| {
        let in_flight = busy.begin();
        if is_http2 {
            busy.for_ever();
        }
        let response = respond(&site.load(), request);
        async move {
            Ok::<_, Infallible>(response.await.map(|body| Sent {
                body,
                request: in_flight,
            }))
        }
    });
    if is_http2 {
        let mut connection = Box::pin(HTTP2.serve_connection(io, service));
        until_stopped(connection.as_mut(), stop).await?;
    } else {
        let connection = pin!(HTTP1.serve_connection(io, service));
        until_stopped(connection, stop).await?;
    }
    Ok(())
}

static HTTP1: LazyLock<http1::Builder> = LazyLock::new(|| {
    let mut builder = http1::Builder::new();
    builder.header_read_timeout(None).max_buf_size(MAX_BUFFER);
    builder
});

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

/// Runs a connection. When the gateway stops, the connection ends after what is in flight on it.
///
/// It is pinned by the caller, as a future that is handed over is kept twice, in each task.
async fn until_stopped<C: GracefulConnection>(mut connection: Pin<&mut C>, stop: watch::Receiver<()>) -> C::Output {
    let mut told = pin!(told(stop.clone()));
    let mut is_registered = false;
    let mut is_stopping = false;
    poll_fn(|cx| {
        // Asked once, to be woken, and then only when there is news: asking takes a lock that all connections share.
        if !is_registered || (!is_stopping && stop.has_changed().unwrap_or(true)) {
            is_registered = true;
            if told.as_mut().poll(cx).is_ready() {
                is_stopping = true;
                connection.as_mut().graceful_shutdown();
            }
        }
        connection.as_mut().poll(cx)
    })
    .await
}

/// Waits until the gateway stops.
async fn told(mut stop: watch::Receiver<()>) {
    // An error means that it has stopped already.
    let _ = stop.changed().await;
}

/// Answers one request, and gives it an id.
///
/// The id of the reply is the caller's own when it sent a sane one, else the provider's, else ours; where it is not
/// ours, ours is there under a name of its own.
fn respond(site: &Site, mut request: Request<Incoming>) -> impl Future<Output = Response<Body>> + use<> {
    let callers = request.headers().get(&X_REQUEST_ID).filter(|id| is_sane(id)).cloned();
    let ours = callers.clone().unwrap_or_else(new_id);
    request.headers_mut().insert(REQUEST_ID.clone(), ours.clone());
    let answer = site.routes.answer(request);
    async move {
        let mut response = answer.await;
        name(response.headers_mut(), callers, ours);
        response
    }
}

fn name(headers: &mut HeaderMap, callers: Option<HeaderValue>, ours: HeaderValue) {
    match callers {
        Some(id) => {
            headers.insert(X_REQUEST_ID.clone(), id);
        }
        None => {
            headers.entry(X_REQUEST_ID.clone()).or_insert_with(|| ours.clone());
        }
    }
    if headers.get(&X_REQUEST_ID) != Some(&ours) {
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

fn new_id() -> HeaderValue {
    let mut buffer = Uuid::encode_buffer();
    let id = Uuid::now_v7().hyphenated().encode_lower(&mut buffer);
    HeaderValue::from_str(id).unwrap_or(HeaderValue::from_static("unknown"))
}
