//! Accepting connections and serving them.

mod connection;
mod exchange;
mod head;
mod http2;
mod tls;
mod transport;

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use self::connection::Connection;
use self::transport::Transport;
use crate::stage::Stage;

pub(crate) use tls::tls_acceptor;

/// A listener and the task that accepts from it.
#[derive(Debug)]
pub(crate) struct Server {
    /// Shared with the task, so that dropping the server closes it at once and not when the task is next polled.
    listener: Arc<Mutex<Option<TcpListener>>>,
    accepting: JoinHandle<()>,
}

impl Server {
    pub(crate) fn start(listener: TcpListener, stage: Arc<Stage>, tls: Option<TlsAcceptor>) -> Self {
        let listener = Arc::new(Mutex::new(Some(listener)));
        let accepting = tokio::spawn(accept_all(Arc::clone(&listener), stage, tls));
        Self { listener, accepting }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        *self.listener.lock().unwrap_or_else(PoisonError::into_inner) = None;
        // The connections are tasks of a set that the accepting task owns: they end with it.
        self.accepting.abort();
    }
}

async fn accept_all(listener: Arc<Mutex<Option<TcpListener>>>, stage: Arc<Stage>, tls: Option<TlsAcceptor>) {
    let mut connections = JoinSet::new();
    let mut number = 0;
    loop {
        let accepted = std::future::poll_fn(|context| poll_accept(&listener, context)).await;
        while connections.try_join_next().is_some() {}
        match accepted {
            None => return,
            // Out of file descriptors, or the client is gone already: the next one may do better.
            Some(Err(_)) => tokio::task::yield_now().await,
            Some(Ok(stream)) => {
                number += 1;
                stage.record.count(|counters| counters.connections += 1);
                connections.spawn(serve(stream, number, Arc::clone(&stage), tls.clone()));
            }
        }
    }
}

fn poll_accept(
    listener: &Mutex<Option<TcpListener>>,
    context: &mut Context<'_>,
) -> Poll<Option<io::Result<TcpStream>>> {
    match &*listener.lock().unwrap_or_else(PoisonError::into_inner) {
        Some(listener) => listener.poll_accept(context).map_ok(|(stream, _)| stream).map(Some),
        None => Poll::Ready(None),
    }
}

async fn serve(stream: TcpStream, number: u64, stage: Arc<Stage>, tls: Option<TlsAcceptor>) {
    // Best effort: without it replies are slower, not wrong.
    let _ = stream.set_nodelay(true);
    if let Ok(transport) = Transport::new(stream, tls).await {
        Connection::new(transport, number, Arc::clone(&stage)).serve().await;
    }
    stage.record.count(|counters| counters.connections_closed += 1);
}
