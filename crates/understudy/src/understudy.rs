//! The understudy as its user holds it.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpSocket;

use crate::persona::Persona;
use crate::received::{Outcome, Received};
use crate::record::{Counters, Record};
use crate::script::Script;
use crate::server::{self, Server};
use crate::stage::{EndObserver, Observer, Stage};

/// A fake provider that is listening. Dropping it closes the listener and all connections.
#[derive(Debug)]
pub struct Understudy {
    stage: Arc<Stage>,
    address: SocketAddr,
    is_secure: bool,
    /// Stops when dropped.
    _server: Server,
}

/// How an [`Understudy`] is to be started.
pub struct Builder {
    address: SocketAddr,
    script: Script,
    persona: Persona,
    certificate: Option<(String, String)>,
    is_http1_only: bool,
    is_record_off: bool,
    serves_control: bool,
    receive_buffer: Option<u32>,
    send_buffer: Option<u32>,
    observer: Option<Observer>,
    end_observer: Option<EndObserver>,
}

// === impl Understudy ===

impl Understudy {
    /// Starts one on a free port of 127.0.0.1, without TLS.
    ///
    /// HTTP/1.1 and, with prior knowledge, HTTP/2 are served.
    pub async fn start(script: impl Into<Script>) -> io::Result<Self> {
        Self::builder().script(script).start().await
    }

    /// Starts one on this address, without TLS.
    pub async fn start_on(address: SocketAddr, script: impl Into<Script>) -> io::Result<Self> {
        Self::builder().listen(address).script(script).start().await
    }

    /// More ways to start one.
    pub fn builder() -> Builder {
        Builder {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            script: Script::new(),
            persona: Persona::default(),
            certificate: None,
            is_http1_only: false,
            is_record_off: false,
            serves_control: false,
            receive_buffer: None,
            send_buffer: None,
            observer: None,
            end_observer: None,
        }
    }

    /// Where it listens, as in `http://127.0.0.1:4711`: no path, no slash at the end.
    pub fn url(&self) -> String {
        let scheme = if self.is_secure { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes the script for all requests that come from now on.
    pub fn set_script(&self, script: impl Into<Script>) {
        self.stage.set_script(script.into());
    }

    /// What came in since the start or the last [`clear`](Self::clear), the latest 10,000 requests at most.
    pub fn received(&self) -> Vec<Received> {
        self.stage.record.entries()
    }

    /// Empties the record and sets all counters to zero.
    pub fn clear(&self) {
        self.stage.record.clear();
    }

    /// What has happened since the start or the last [`clear`](Self::clear), in numbers.
    pub fn counters(&self) -> Counters {
        self.stage.record.counters()
    }

    /// Waits until so many requests are in the record, and returns it.
    ///
    /// Put a `tokio::time::timeout` around this if it is not certain that they come.
    pub async fn wait_received(&self, count: u64) -> Vec<Received> {
        self.wait_until(|counters| counters.requests >= count).await;
        self.received()
    }

    /// Waits until so many clients hung up before their request or the reply to it was complete.
    pub async fn wait_aborted(&self, count: u64) {
        self.wait_until(|counters| counters.aborted >= count).await;
    }

    /// Waits until so many replies were written to their end.
    pub async fn wait_completed(&self, count: u64) {
        self.wait_until(|counters| counters.completed >= count).await;
    }

    /// Waits until the counters are as wanted.
    pub async fn wait_until(&self, condition: impl FnMut(&Counters) -> bool) {
        self.stage.record.wait_until(condition).await;
    }
}

// === impl Builder ===

impl Builder {
    /// Listens on this address instead of a free port of 127.0.0.1.
    #[must_use]
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.address = address;
        self
    }

    /// What it answers.
    #[must_use]
    pub fn script(mut self, script: impl Into<Script>) -> Self {
        self.script = script.into();
        self
    }

    /// Who answers what no rule of the script does, unless the path begins with `/as/NAME`.
    #[must_use]
    pub fn persona(mut self, persona: Persona) -> Self {
        self.persona = persona;
        self
    }

    /// Serves TLS with this certificate chain and key, both in PEM.
    #[must_use]
    pub fn tls(mut self, certificate_chain: impl Into<String>, key: impl Into<String>) -> Self {
        self.certificate = Some((certificate_chain.into(), key.into()));
        self
    }

    /// Does not offer HTTP/2.
    #[must_use]
    pub fn http1_only(mut self) -> Self {
        self.is_http1_only = true;
        self
    }

    /// Counts requests but does not keep them, for benches.
    #[must_use]
    pub fn without_record(mut self) -> Self {
        self.is_record_off = true;
        self
    }

    /// Serves the record at `GET` and `DELETE /__understudy/received`, takes a script at `PUT /__understudy/script`.
    #[must_use]
    pub fn with_control(mut self) -> Self {
        self.serves_control = true;
        self
    }

    /// Sets the size of the receive buffer of connections: small ones let back-pressure be felt early.
    #[must_use]
    pub fn receive_buffer(mut self, bytes: u32) -> Self {
        self.receive_buffer = Some(bytes);
        self
    }

    /// Sets the size of the send buffer of connections.
    #[must_use]
    pub fn send_buffer(mut self, bytes: u32) -> Self {
        self.send_buffer = Some(bytes);
        self
    }

    /// Has this function called with each request as it enters the record.
    #[must_use]
    pub fn observe(mut self, observer: impl Fn(&Received) + Send + Sync + 'static) -> Self {
        self.observer = Some(Box::new(observer));
        self
    }

    /// Has this function called with each HTTP/1 request when its exchange has ended. Not with those that are under way when
    /// the understudy is dropped.
    #[must_use]
    pub fn observe_end(mut self, observer: impl Fn(&Received, Outcome) + Send + Sync + 'static) -> Self {
        self.end_observer = Some(Box::new(observer));
        self
    }

    /// Starts it. It runs on the runtime of the caller.
    #[expect(
        clippy::unused_async,
        reason = "shows that it must be called inside a runtime, and may come to wait"
    )]
    pub async fn start(self) -> io::Result<Understudy> {
        let serves_http2 = !self.is_http1_only;
        let tls = match &self.certificate {
            Some((chain, key)) => Some(server::tls_acceptor(chain, key, serves_http2)?),
            None => None,
        };
        let is_secure = tls.is_some();
        let listener = self.socket()?.listen(4096)?;
        let address = listener.local_addr()?;
        let stage = Stage::new(self.script, Record::new(self.is_record_off), serves_http2)
            .with_persona(self.persona)
            .with_control(self.serves_control)
            .with_observer(self.observer)
            .with_end_observer(self.end_observer);
        let stage = Arc::new(stage);
        let server = Server::start(listener, Arc::clone(&stage), tls);
        Ok(Understudy {
            stage,
            address,
            is_secure,
            _server: server,
        })
    }

    fn socket(&self) -> io::Result<TcpSocket> {
        let socket = if self.address.is_ipv4() {
            TcpSocket::new_v4()
        } else {
            TcpSocket::new_v6()
        }?;
        socket.set_reuseaddr(true)?;
        if let Some(bytes) = self.receive_buffer {
            socket.set_recv_buffer_size(bytes)?;
        }
        if let Some(bytes) = self.send_buffer {
            socket.set_send_buffer_size(bytes)?;
        }
        socket.bind(self.address)?;
        Ok(socket)
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Builder")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}
