//! Connections that are kept to one origin.
//!
//! HTTP/1.1 connections are taken last in, first out, so that a small load uses few of them and the others grow old and
//! are closed. HTTP/2 connections are shared by many requests.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::time::Instant;

use super::connect::{ForwardProxy, Network, Origin};
use super::outgoing::Outgoing;
use super::stream::Stream;
use crate::alarm::Alarm;
use crate::config::file::HttpVersion;

/// Requests at a time on one HTTP/2 connection; the limit that most servers set themselves.
const MAX_STREAMS: usize = 100;

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
    connection: Http1,
    since: Instant,
}

/// An HTTP/1.1 connection. It holds no buffers.
#[derive(Debug)]
pub struct Http1 {
    /// It is read and written by the request that has it.
    pub stream: Stream,
    /// The proxy that relays the requests, if there is one.
    pub proxy: Option<ForwardProxy>,
    /// What rings when the provider takes too long. One for all its requests.
    pub alarm: Alarm,
}

/// An HTTP/2 connection.
#[derive(Clone, Debug)]
struct Shared {
    requests: http2::SendRequest<Outgoing>,
    streams: Arc<AtomicUsize>,
}

/// One request on an HTTP/2 connection.
#[derive(Debug)]
pub struct Http2 {
    /// Sends the request.
    pub requests: http2::SendRequest<Outgoing>,
    /// What rings when the provider takes too long.
    pub alarm: Alarm,
    streams: Arc<AtomicUsize>,
}

/// A connection for one request.
#[derive(Debug)]
pub enum Leased {
    /// HTTP/1.1.
    Http1(Http1),
    /// HTTP/2.
    Http2(Http2),
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
    /// A kept connection, if there is one that has not been idle for longer than this.
    pub fn kept(&self, longest_idle: Duration) -> Option<Leased> {
        let shared = || self.share().map(Leased::Http2);
        self.take_idle(longest_idle).map(Leased::Http1).or_else(shared)
    }

    /// A new connection.
    pub async fn connect(&self) -> Result<Leased, String> {
        let connected = self.network.connect(&self.origin).await?;
        if connected.agreed_on_http2 || self.origin.version == HttpVersion::Http2 {
            return self.shake_hands(connected.stream).await;
        }
        Ok(Leased::Http1(Http1 {
            stream: connected.stream,
            proxy: connected.proxy,
            alarm: Alarm::default(),
        }))
    }

    /// Takes back an HTTP/1.1 connection whose answer was read to its end.
    pub fn give_back(&self, connection: Http1) {
        let mut idle = lock(&self.idle);
        if idle.len() < self.network.config().max_idle {
            idle.push(Idle {
                connection,
                since: Instant::now(),
            });
        }
    }

    fn take_idle(&self, longest: Duration) -> Option<Http1> {
        let longest = longest.min(self.network.config().keep_alive);
        let mut idle = lock(&self.idle);
        // The last one was used last. Those that are too old for this request stay for another.
        while let Some(Idle { mut connection, .. }) = idle.pop_if(|idle| idle.since.elapsed() < longest) {
            if connection.stream.is_quiet() {
                return Some(connection);
            }
        }
        None
    }

    fn share(&self) -> Option<Http2> {
        let mut shared = lock(&self.shared);
        if shared.is_empty() {
            return None;
        }
        shared.retain(|connection| !connection.requests.is_closed());
        shared
            .iter()
            .find(|connection| connection.streams.load(Ordering::Relaxed) < MAX_STREAMS)
            .map(Shared::lease)
    }

    fn expire(&self, now: Instant, keep_alive: Duration) {
        let old = |since: Instant| now.saturating_duration_since(since) >= keep_alive;
        lock(&self.idle).retain_mut(|idle| !old(idle.since) && idle.connection.stream.is_quiet());
        lock(&self.shared).retain(|connection| !connection.requests.is_closed());
    }

    /// Begins to speak HTTP/2.
    async fn shake_hands(&self, stream: Stream) -> Result<Leased, String> {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .keep_alive_interval(Duration::from_secs(30))
            .keep_alive_timeout(Duration::from_secs(20))
            .adaptive_window(true);
        let handshake = builder.handshake(TokioIo::new(stream)).await;
        let (requests, connection) = handshake.map_err(|error| error.to_string())?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "HTTP/2 connection ended");
            }
        });
        let connection = Shared {
            requests,
            streams: Arc::default(),
        };
        let leased = connection.lease();
        lock(&self.shared).push(connection);
        Ok(Leased::Http2(leased))
    }
}

// === impl Shared, Http2 ===

impl Shared {
    fn lease(&self) -> Http2 {
        self.streams.fetch_add(1, Ordering::Relaxed);
        Http2 {
            requests: self.requests.clone(),
            streams: self.streams.clone(),
            alarm: Alarm::default(),
        }
    }
}

impl Drop for Http2 {
    fn drop(&mut self) {
        self.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
