//! One connection to Redis, over which many commands are under way at a time.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio_rustls::TlsConnector;

use super::address::Address;
use super::resp::{Command, Garbled, Value};
use crate::upstream::tls::client_config;

/// Commands that wait to be written at most.
const MAX_WAITING: usize = 4096;
/// Commands that are written at a time at most.
const AT_A_TIME: usize = 256;
/// Replies that are under way at most; more commands are not written until some came.
const MAX_UNANSWERED: usize = 16_384;
/// The least room for replies, in bytes.
const ROOM: usize = 16 * 1024;
/// How long it may take to be connected, and how long what is asked then may take.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// Why Redis did not do what it was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be reached, or the connection broke.
    #[error("{0}")]
    Broken(String),
    /// It has not answered in time.
    #[error("it has not answered within {} ms", .0.as_millis())]
    Late(Duration),
    /// It has answered with an error.
    #[error("it says: {0}")]
    Refused(String),
    /// A request has found that it does not answer.
    #[error("it does not answer")]
    Lost,
    /// More is under way than it keeps up with.
    #[error("too much is under way")]
    Busy,
    /// What came is not an answer.
    #[error(transparent)]
    Garbled(#[from] Garbled),
}

/// A connection. When the last handle is dropped it is closed.
#[derive(Clone, Debug)]
pub struct Connection {
    calls: mpsc::Sender<Call>,
}

/// The answer to a command that is under way.
#[derive(Debug)]
pub struct Pending(oneshot::Receiver<Value>);

#[derive(Debug)]
struct Call {
    bytes: Vec<u8>,
    answer: oneshot::Sender<Value>,
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

impl Connection {
    /// Connects and says who it is.
    pub async fn open(address: &Address) -> Result<Self, Error> {
        let stream = tokio::time::timeout(PATIENCE, reach(address))
            .await
            .map_err(|_| Error::Late(PATIENCE))??;
        let (calls, waiting) = mpsc::channel(MAX_WAITING);
        tokio::spawn(drive(stream, waiting));
        let connection = Self { calls };
        for command in address.greeting() {
            connection.ask(&command, PATIENCE).await?;
        }
        Ok(connection)
    }

    /// Sends a command. What is sent first is done first.
    pub fn send(&self, command: &Command) -> Result<Pending, Error> {
        let (answer, pending) = oneshot::channel();
        let bytes = command.bytes();
        self.calls
            .try_send(Call { bytes, answer })
            .map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => Error::Busy,
                mpsc::error::TrySendError::Closed(_) => broken(),
            })?;
        Ok(Pending(pending))
    }

    /// Sends a command and waits for the answer.
    pub async fn ask(&self, command: &Command, timeout: Duration) -> Result<Value, Error> {
        self.send(command)?.within(timeout).await
    }
}

impl Pending {
    /// The answer, if it comes in time. An error is none.
    pub async fn within(self, timeout: Duration) -> Result<Value, Error> {
        let answer = tokio::time::timeout(timeout, self.0).await;
        match answer.map_err(|_| Error::Late(timeout))?.map_err(|_| broken())? {
            Value::Error(error) => Err(Error::Refused(error)),
            value => Ok(value),
        }
    }
}

fn broken() -> Error {
    Error::Broken("the connection broke".to_owned())
}

async fn reach(address: &Address) -> Result<Box<dyn Stream>, Error> {
    let failed = |error: std::io::Error| Error::Broken(error.to_string());
    if let Some(path) = &address.socket {
        return Ok(Box::new(tokio::net::UnixStream::connect(path).await.map_err(failed)?));
    }
    let tcp = TcpStream::connect((address.host.as_str(), address.port))
        .await
        .map_err(failed)?;
    tcp.set_nodelay(true).map_err(failed)?;
    if !address.tls {
        return Ok(Box::new(tcp));
    }
    let config = client_config(&address.authorities, &[]).map_err(Error::Broken)?;
    let name = ServerName::try_from(address.host.clone()).map_err(|error| Error::Broken(error.to_string()))?;
    let connector = TlsConnector::from(Arc::new(config));
    Ok(Box::new(connector.connect(name, tcp).await.map_err(failed)?))
}

/// Writes what is asked and hands out what is answered, until either side is gone. Whoever still waits then is told so by
/// the end of its channel.
async fn drive(mut stream: Box<dyn Stream>, mut waiting: mpsc::Receiver<Call>) {
    let mut unanswered: VecDeque<oneshot::Sender<Value>> = VecDeque::new();
    let (mut calls, mut out) = (Vec::new(), Vec::new());
    let mut came = bytes::BytesMut::new();
    loop {
        came.reserve(ROOM);
        tokio::select! {
            count = waiting.recv_many(&mut calls, AT_A_TIME), if unanswered.len() < MAX_UNANSWERED => {
                if count == 0 {
                    return;
                }
                out.clear();
                for call in calls.drain(..) {
                    out.extend_from_slice(&call.bytes);
                    unanswered.push_back(call.answer);
                }
                if stream.write_all(&out).await.is_err() || stream.flush().await.is_err() {
                    return;
                }
            }
            read = stream.read_buf(&mut came) => {
                if !matches!(read, Ok(1..)) {
                    return;
                }
                loop {
                    match Value::read(&came) {
                        Ok(None) => break,
                        Ok(Some((value, length))) => {
                            bytes::Buf::advance(&mut came, length);
                            let Some(answer) = unanswered.pop_front() else { return };
                            // Who has given up does not want it any more.
                            let _ = answer.send(value);
                        }
                        Err(Garbled) => return,
                    }
                }
            }
        }
    }
}
