//! One HTTP/1 connection, request after request.

use std::io;
use std::sync::Arc;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::exchange::{self, Ended};
use super::head::{self, Head, Parsed};
use super::http2;
use super::transport::Transport;
use crate::received::{Outcome, Received};
use crate::reply::Ending;
use crate::script::Reading;
use crate::stage::Stage;

const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const REFUSAL: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// One connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) transport: Transport,
    /// What was read and not yet used.
    pub(super) input: BytesMut,
    pub(super) stage: Arc<Stage>,
    number: u64,
    server_name: Option<String>,
}

/// What comes next on a connection.
enum Incoming {
    Request(Box<Head>),
    Http2,
    Malformed,
    Nothing,
}

/// How far the body of a request was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BodyRead {
    Whole,
    Left,
    Broken,
}

impl Connection {
    pub(super) fn new(transport: Transport, number: u64, stage: Arc<Stage>) -> Self {
        let server_name = transport.server_name();
        Self {
            transport,
            input: BytesMut::new(),
            stage,
            number,
            server_name,
        }
    }

    /// Serves the connection to its end.
    pub(super) async fn serve(mut self) {
        if self.transport.agreed_on_http2() {
            return self.serve_http2().await;
        }
        loop {
            match self.incoming().await {
                Incoming::Nothing => return,
                Incoming::Http2 => return self.serve_http2().await,
                Incoming::Malformed => {
                    // The client may be gone; there is nobody else to tell.
                    let _ = self.transport.write_all(REFUSAL).await;
                    return self.close(BodyRead::Left).await;
                }
                Incoming::Request(head) => match self.exchange(*head).await {
                    (Ending::Keep, BodyRead::Whole) => {}
                    (Ending::Keep | Ending::Close, body_read) => return self.close(body_read).await,
                    (Ending::Reset, _) => return self.transport.reset_on_drop(),
                    (Ending::DropNext, _) => return self.drop_next().await,
                },
            }
        }
    }

    /// Answers one request, and says what becomes of the connection.
    async fn exchange(&mut self, head: Head) -> (Ending, BodyRead) {
        let (request, keeps_connection) = (head.request, head.keeps_connection);
        self.stage.record.count(|counters| counters.heads += 1);
        let (mut received, body_read) = self.read_request(head).await;
        let is_control = self.stage.is_control(&received);
        if !is_control {
            self.stage.enter(&mut received);
        }
        let mut ended = Ended::CLIENT_GONE;
        if body_read != BodyRead::Broken {
            let answer = self.stage.answer(&received);
            ended = exchange::perform(self, &answer.plan(request)).await;
        }
        if !is_control {
            self.stage.leave(&received, ended.outcome);
        }
        let ending = if ended.ending == Ending::Keep && !keeps_connection {
            Ending::Close
        } else {
            ended.ending
        };
        (ending, body_read)
    }

    async fn incoming(&mut self) -> Incoming {
        loop {
            if self.stage.serves_http2 && self.input.starts_with(b"PRI ") {
                if self.input.starts_with(HTTP2_PREFACE) {
                    return Incoming::Http2;
                }
            } else if !self.input.is_empty() {
                match head::parse(&mut self.input) {
                    Parsed::Whole(head) => return Incoming::Request(head),
                    Parsed::Malformed => return Incoming::Malformed,
                    Parsed::Partial => {}
                }
            }
            if !matches!(self.read().await, Ok(1..)) {
                return Incoming::Nothing;
            }
        }
    }

    async fn read_request(&mut self, mut head: Head) -> (Received, BodyRead) {
        let mut body = BytesMut::new();
        head.received.connection = self.number;
        head.received.tls = self.transport.is_secure();
        head.received.server_name.clone_from(&self.server_name);
        let reading = self.stage.reading(&head.received);
        let body_read = self
            .read_body(&mut head, reading, &mut body)
            .await
            .unwrap_or(BodyRead::Broken);
        let mut received = head.received;
        received.body = body.freeze();
        received.body_complete = body_read == BodyRead::Whole;
        (received, body_read)
    }

    async fn read_body(&mut self, head: &mut Head, reading: Reading, body: &mut BytesMut) -> io::Result<BodyRead> {
        let most = if let Reading::UpTo(bytes) = reading {
            bytes
        } else {
            usize::MAX
        };
        if head.expects_continue && most > 0 {
            self.transport.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        loop {
            if most > 0
                && head
                    .body
                    .decode(&mut self.input, |data| body.extend_from_slice(data))
                    .is_err()
            {
                return Ok(BodyRead::Broken);
            }
            if body.len() > most || (body.len() == most && !head.body.is_done()) {
                body.truncate(most);
                return Ok(BodyRead::Left);
            }
            if head.body.is_done() {
                return Ok(BodyRead::Whole);
            }
            let count = match reading {
                Reading::Slowly { bytes, every } => {
                    tokio::time::sleep(every).await;
                    (&mut self.transport)
                        .take(bytes as u64)
                        .read_buf(&mut self.input)
                        .await?
                }
                Reading::Whole | Reading::UpTo(_) => self.read().await?,
            };
            if count == 0 {
                return Ok(BodyRead::Broken);
            }
        }
    }

    /// Reads some bytes; none at the end.
    pub(super) async fn read(&mut self) -> io::Result<usize> {
        self.input.reserve(16 * 1024);
        self.transport.read_buf(&mut self.input).await
    }

    /// Closes in an orderly way.
    async fn close(mut self, body_read: BodyRead) {
        if self.transport.shutdown().await.is_err() || body_read != BodyRead::Left {
            return;
        }
        // To close with unread bytes in the buffer is to reset, and the client might lose the reply to that.
        while matches!(self.read().await, Ok(1..)) {
            self.input.clear();
        }
    }

    /// Resets the connection as soon as another request begins to come in.
    async fn drop_next(mut self) {
        if !self.input.is_empty() || matches!(self.read().await, Ok(1..)) {
            self.transport.reset_on_drop();
        }
    }

    async fn serve_http2(self) {
        http2::serve(
            self.transport,
            self.input.freeze(),
            self.number,
            self.server_name,
            self.stage,
        )
        .await;
    }
}

impl Ended {
    /// The client hung up before there was anything to answer.
    const CLIENT_GONE: Self = Self {
        outcome: Outcome::Aborted,
        ending: Ending::Close,
    };
}
