//! A request and the head of its answer, on one connection.

use std::io;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use axum::http::Method;
use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

use super::Malformed;
use super::head::{Head, HeadReader};
use super::sending::{NotSent, Sending};

/// Up to this size, what comes is read to the stack and copied, so that nothing is held for what has not come yet, and
/// nothing more than what has come.
pub const SMALL_READ: usize = 16 * 1024;

/// The most that is read at once.
pub const LARGE_READ: usize = 128 * 1024;

/// Sends a request and waits for the head of its answer, which may come before the request is sent whole.
#[derive(Debug)]
pub struct Exchange {
    sending: Option<Sending>,
    /// Why the request was not sent whole. There may be an answer that says more.
    not_sent: Option<io::Error>,
    reader: HeadReader,
}

/// An answer of which the head has come.
#[derive(Debug)]
pub struct Answered {
    /// The head.
    pub head: Head,
    /// What came behind the head.
    pub rest: Bytes,
    /// What is still to be sent of the request.
    pub sending: Option<Sending>,
    /// All of the request was sent, or still can be.
    pub is_sound: bool,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    /// The connection had ended, or ended before the first byte of an answer.
    #[error("the connection ended before an answer")]
    Gone(#[source] Option<io::Error>),
    /// It ended in the middle of the head.
    #[error("the connection ended in the middle of a head")]
    Cut,
    /// It failed.
    #[error("the connection failed")]
    Connection(#[source] io::Error),
    /// What came is no answer.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The request could not be sent whole, and not for the connection's fault.
    #[error("the request could not be sent")]
    NotSent(#[source] NotSent),
}

impl Exchange {
    /// Nothing is sent yet.
    pub fn new(sending: Sending, method: &Method) -> Self {
        Self {
            sending: Some(sending),
            not_sent: None,
            reader: HeadReader::new(method),
        }
    }

    /// Ready with the head of the answer.
    pub fn poll<T>(&mut self, io: &mut T, cx: &mut Context<'_>) -> Poll<Result<Answered, NoAnswer>>
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        loop {
            if let Some(sending) = &mut self.sending {
                match sending.poll(io, cx) {
                    Poll::Pending => {}
                    Poll::Ready(Ok(())) => self.sending = None,
                    Poll::Ready(Err(NotSent::Connection(error))) => {
                        (self.sending, self.not_sent) = (None, Some(error));
                    }
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(NoAnswer::NotSent(error))),
                }
            }
            let piece = match ready!(poll_read(io, SMALL_READ, cx)) {
                Ok(piece) if piece.is_empty() => return Poll::Ready(Err(self.ended(None))),
                Ok(piece) => piece,
                Err(error) => return Poll::Ready(Err(self.ended(Some(error)))),
            };
            if let Some((head, rest)) = self.reader.push(piece)? {
                return Poll::Ready(Ok(Answered {
                    head,
                    rest,
                    sending: self.sending.take(),
                    is_sound: self.not_sent.is_none(),
                }));
            }
        }
    }

    fn ended(&mut self, error: Option<io::Error>) -> NoAnswer {
        if self.reader.has_begun() {
            return error.map_or(NoAnswer::Cut, NoAnswer::Connection);
        }
        match self.not_sent.take().or(error) {
            Some(error) if !is_gone(&error) => NoAnswer::Connection(error),
            error => NoAnswer::Gone(error),
        }
    }
}

/// Whether the other side has given the connection up.
pub fn is_gone(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof};
    matches!(
        error.kind(),
        BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected | UnexpectedEof
    )
}

/// Reads what has come, up to `most`. Nothing means the end of the connection.
pub fn poll_read<T: AsyncRead + Unpin>(io: &mut T, most: usize, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
    if most <= SMALL_READ {
        return poll_read_small(io, cx);
    }
    let mut space = BytesMut::with_capacity(most);
    let length = ready!(pin!(io.read_buf(&mut space)).poll(cx))?;
    // A large piece of memory must not be held for a small piece of an answer.
    Poll::Ready(Ok(if length < most / 4 {
        Bytes::copy_from_slice(&space)
    } else {
        space.freeze()
    }))
}

fn poll_read_small<T: AsyncRead + Unpin>(io: &mut T, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
    let mut space = [const { MaybeUninit::uninit() }; SMALL_READ];
    let mut come = ReadBuf::uninit(&mut space);
    ready!(Pin::new(io).poll_read(cx, &mut come))?;
    Poll::Ready(Ok(Bytes::copy_from_slice(come.filled())))
}
