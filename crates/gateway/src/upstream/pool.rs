//! Connections that are kept to one origin.
//!
//! HTTP/1.1 connections are taken last in, first out, so that a small load uses few of them and the others grow old and
//! are closed. HTTP/2 connections are shared by many requests.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::Instant;

use super::connect::{Connection, ForwardProxy, Network, Origin};
use super::send::Outgoing;
use crate::alarm::Alarm;
use crate::config::file::HttpVersion;

/// Requests at a time on one HTTP/2 connection; the limit that most servers set themselves.
const MAX_STREAMS: usize = 100;

/// How long a connection that has just answered may take to be ready for the next request.
const SETTLE: Duration = Duration::from_secs(1);

/// All pools, by origin. They outlive a change of configuration.
#[derive(Debug)]
pub struct Pools {
    network: Arc<Network>,
    by_origin: Mutex<HashMap<Origin, Arc<Pool>>>,
}

/// The connections of one origin.
#[derive(Debug)]
pub struct Pool {
    origin: Origin,
    network: Arc<Network>,
    idle: Mutex<Vec<Idle>>,
    shared: Mutex<Vec<Shared>>,
}

/// An HTTP/1.1 connection without a request.
#[derive(Debug)]
struct Idle {
    sender: Sender1,
    since: Instant,
}

/// An HTTP/1.1 connection.
#[derive(Debug)]
pub struct Sender1 {
    /// Sends requests on it.
    pub requests: http1::SendRequest<Outgoing>,
    /// The proxy that relays the requests, if there is one.
    pub proxy: Option<ForwardProxy>,
    alarm: Alarm,
}

/// An HTTP/2 connection.
#[derive(Clone, Debug)]
struct Shared {
    requests: http2::SendRequest<Outgoing>,
    streams: Arc<AtomicUsize>,
}

/// One request on an HTTP/2 connection.
#[derive(Debug)]
pub struct Stream {
    /// Sends the request.
    pub requests: http2::SendRequest<Outgoing>,
    streams: Arc<AtomicUsize>,
    alarm: Alarm,
}

/// A connection for one request.
#[derive(Debug)]
pub enum Leased {
    /// HTTP/1.1.
    Http1(Sender1),
    /// HTTP/2.
    Http2(Stream),
}

impl Leased {
    /// What rings when the provider takes too long. That of an HTTP/1.1 connection serves all its requests.
    pub fn alarm(&mut self) -> &mut Alarm {
        match self {
            Self::Http1(sender) => &mut sender.alarm,
            Self::Http2(stream) => &mut stream.alarm,
        }
    }
}

// === impl Pools ===

impl Pools {
    /// No connection is made yet.
    pub fn new(network: Network) -> Self {
        Self {
            network: Arc::new(network),
            by_origin: Mutex::default(),
        }
    }

    /// How connections are made.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The pool of an origin.
    pub fn of(&self, origin: &Origin) -> Arc<Pool> {
        let mut pools = lock(&self.by_origin);
        let make = || {
            Arc::new(Pool {
                origin: origin.clone(),
                network: self.network.clone(),
                idle: Mutex::default(),
                shared: Mutex::default(),
            })
        };
        pools.entry(origin.clone()).or_insert_with(make).clone()
    }

    /// Closes connections that have been idle for too long, and forgets origins that nobody refers to any more.
    pub fn expire(&self, now: Instant) {
        lock(&self.by_origin).retain(|_, pool| {
            pool.expire(now, self.network.config().keep_alive);
            Arc::strong_count(pool) > 1 || !lock(&pool.idle).is_empty()
        });
    }
}

// === impl Pool ===

impl Pool {
    /// A kept connection, if there is one.
    pub fn kept(&self) -> Option<Leased> {
        let shared = || self.share().map(Leased::Http2);
        self.take_idle().map(Leased::Http1).or_else(shared)
    }

    /// A new connection.
    pub async fn connect(&self) -> Result<Leased, String> {
        let http2 = self.origin.version == HttpVersion::Http2;
        match self.network.connect(&self.origin).await? {
            Connection::Plain(io, _) if http2 => self.handshake2(io).await,
            Connection::Plain(io, proxy) => handshake1(io, proxy).await,
            Connection::Tls(io, true) => self.handshake2(*io).await,
            Connection::Tls(io, false) => handshake1(*io, None).await,
        }
    }

    /// Takes back an HTTP/1.1 connection whose answer was read to its end.
    pub fn give_back(self: &Arc<Self>, mut sender: Sender1) {
        if sender.requests.is_ready() {
            return self.keep(sender);
        }
        if sender.requests.is_closed() {
            return;
        }
        // The connection's own task has not come round yet, or is still sending a body that was answered early.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let pool = self.clone();
        runtime.spawn(async move {
            if let Ok(Ok(())) = tokio::time::timeout(SETTLE, sender.requests.ready()).await {
                pool.keep(sender);
            }
        });
    }

    fn keep(&self, sender: Sender1) {
        let mut idle = lock(&self.idle);
        if idle.len() < self.network.config().max_idle {
            idle.push(Idle {
                sender,
                since: Instant::now(),
            });
        }
    }

    fn take_idle(&self) -> Option<Sender1> {
        let keep_alive = self.network.config().keep_alive;
        let mut idle = lock(&self.idle);
        while let Some(Idle { sender, since }) = idle.pop() {
            if sender.requests.is_ready() && since.elapsed() < keep_alive {
                return Some(sender);
            }
        }
        None
    }

    fn share(&self) -> Option<Stream> {
        let mut shared = lock(&self.shared);
        if shared.is_empty() {
            return None;
        }
        shared.retain(|connection| !connection.requests.is_closed());
        shared
            .iter()
            .find(|connection| connection.streams.load(Ordering::Relaxed) < MAX_STREAMS)
            .map(Shared::stream)
    }

    fn expire(&self, now: Instant, keep_alive: Duration) {
        let old = |since: Instant| now.saturating_duration_since(since) >= keep_alive;
        lock(&self.idle).retain(|idle| !idle.sender.requests.is_closed() && !old(idle.since));
        lock(&self.shared).retain(|connection| !connection.requests.is_closed());
    }

    async fn handshake2<T>(&self, io: T) -> Result<Leased, String>
    where
        T: hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static,
    {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .keep_alive_interval(Duration::from_secs(30))
            .keep_alive_timeout(Duration::from_secs(20))
            .adaptive_window(true);
        let (requests, connection) = builder.handshake(io).await.map_err(|error| error.to_string())?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "HTTP/2 connection ended");
            }
        });
        let connection = Shared {
            requests,
            streams: Arc::default(),
        };
        let stream = connection.stream();
        lock(&self.shared).push(connection);
        Ok(Leased::Http2(stream))
    }
}

async fn handshake1<T>(io: T, proxy: Option<ForwardProxy>) -> Result<Leased, String>
where
    T: hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static,
{
    let (requests, mut connection) = http1::Builder::new()
        .handshake(io)
        .await
        .map_err(|error| error.to_string())?;
    tokio::spawn(async move {
        // By reference: what is awaited as a whole takes twice its memory.
        if let Err(error) = (&mut connection).await {
            tracing::debug!(%error, "HTTP/1.1 connection ended");
        }
    });
    Ok(Leased::Http1(Sender1 {
        requests,
        proxy,
        alarm: Alarm::default(),
    }))
}

// === impl Shared, Stream ===

impl Shared {
    fn stream(&self) -> Stream {
        self.streams.fetch_add(1, Ordering::Relaxed);
        Stream {
            requests: self.requests.clone(),
            streams: self.streams.clone(),
            alarm: Alarm::default(),
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
