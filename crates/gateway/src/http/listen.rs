//! Accepts connections and serves them until the gateway stops.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, Response, Version};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use uuid::Uuid;

use super::head_timeout::{Busy, HeadTimeout, Limits, Sent};
use super::reply::REQUEST_ID;
use super::routes::Routes;
use crate::app::App;

static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// The most that is read at once or held of a head. More would save few system calls, and be held for each connection.
const MAX_BUFFER: usize = 64 * 1024;

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
    let graceful = GracefulShutdown::new();
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
                let (site, watcher) = (site.clone(), graceful.watcher());
                tokio::spawn(async move {
                    connection(tcp, peer, site, watcher).await;
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
    if tokio::time::timeout(drain, graceful.shutdown()).await.is_err() {
        tracing::warn!(?drain, "requests were still in flight; they are cut off");
    }
}

async fn connection(tcp: TcpStream, peer: SocketAddr, site: Arc<ArcSwap<Site>>, watcher: Watcher) {
    // Without this, the first event of a stream waits for the acknowledgement of its head.
    if let Err(error) = tcp.set_nodelay(true) {
        tracing::debug!(%error, %peer, "connection lost");
        return;
    }
    let tls = site.load().tls.clone();
    let result = match tls {
        None => http(TokioIo::new(tcp), site, watcher).await,
        // In boxes, which connections without TLS do not have to carry.
        Some(tls) => match Box::pin(tokio::time::timeout(HANDSHAKE, tls.accept(tcp))).await {
            Ok(Ok(stream)) => Box::pin(http(TokioIo::new(stream), site, watcher)).await,
            Ok(Err(error)) => Err(error.into()),
            Err(elapsed) => Err(elapsed.into()),
        },
    };
    if let Err(error) = result {
        tracing::debug!(%error, %peer, "connection ended");
    }
}

fn http<T>(
    io: T,
    site: Arc<ArcSwap<Site>>,
    watcher: Watcher,
) -> impl Future<Output = Result<(), Box<dyn std::error::Error + Send + Sync>>>
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
    let io = HeadTimeout::new(io, busy.clone(), limits);
    let service = service_fn(move |request: Request<Incoming>| {
        let in_flight = busy.begin();
        if request.version() == Version::HTTP_2 {
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
    watcher.watch(BUILDER.serve_connection(io, service))
}

/// Speaks HTTP/1.1, or HTTP/2 where TLS agreed on it or the client begins with it.
static BUILDER: LazyLock<auto::Builder<TokioExecutor>> = LazyLock::new(|| {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .max_buf_size(MAX_BUFFER);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20))
        .max_concurrent_streams(1_000)
        .max_header_list_size(64 * 1024)
        .adaptive_window(true);
    builder
});

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
