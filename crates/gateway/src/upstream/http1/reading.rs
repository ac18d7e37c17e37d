//! The body of an answer, as it is read from its connection.

use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};

use super::Malformed;
use super::body::{Decoder, Step};
use super::exchange::{Answered, LARGE_READ, SMALL_READ, poll_read};
use super::sending::{NotSent, Sending};

/// A body that is being read.
#[derive(Debug)]
pub struct Reading {
    decoder: Decoder,
    /// What has come, and was not taken yet.
    come: Bytes,
    /// How much is read at once.
    appetite: usize,
    /// What is still to be sent of the request.
    sending: Option<Box<Sending>>,
    keeps_connection: bool,
}

/// Why the rest of a body does not come.
#[derive(Debug, thiserror::Error)]
pub enum Incomplete {
    /// The connection failed.
    #[error("the connection failed: {0}")]
    Connection(#[from] std::io::Error),
    /// It ended too early, or what came is no body.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The request could not be sent whole, and not for the connection's fault.
    #[error("the request could not be sent: {0}")]
    NotSent(NotSent),
}

impl Reading {
    /// The body of an answer, with its head.
    pub fn new(answered: Answered) -> (super::head::Head, Self) {
        let Answered {
            head,
            rest,
            sending,
            is_sound,
        } = answered;
        let reading = Self {
            decoder: Decoder::new(head.framing),
            come: rest,
            appetite: SMALL_READ,
            sending: sending.map(Box::new),
            keeps_connection: head.keeps_connection && is_sound,
        };
        (head, reading)
    }

    /// The next piece; `None` at the end.
    pub fn poll<T>(&mut self, io: &mut T, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Incomplete>>>
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        if let Err(error) = self.poll_sending(io, cx) {
            return Poll::Ready(Some(Err(error)));
        }
        loop {
            match self.decoder.next(&mut self.come) {
                Err(malformed) => return Poll::Ready(Some(Err(malformed.into()))),
                Ok(Step::End) => return Poll::Ready(None),
                Ok(Step::Data(piece)) => return Poll::Ready(Some(Ok(piece))),
                Ok(Step::Wanting) => {}
            }
            match ready!(poll_read(io, self.most(), cx)) {
                Err(error) => return Poll::Ready(Some(Err(error.into()))),
                Ok(piece) if piece.is_empty() => {
                    self.keeps_connection = false;
                    if let Err(malformed) = self.decoder.close() {
                        return Poll::Ready(Some(Err(malformed.into())));
                    }
                }
                Ok(piece) => {
                    self.adapt(piece.len());
                    self.come = piece;
                }
            }
        }
    }

    /// Sends what is left of the request, if the answer came before its end.
    fn poll_sending<T: AsyncWrite + Unpin>(&mut self, io: &mut T, cx: &mut Context<'_>) -> Result<(), Incomplete> {
        let Some(sending) = &mut self.sending else {
            return Ok(());
        };
        match sending.poll(io, cx) {
            Poll::Pending => return Ok(()),
            Poll::Ready(Ok(())) => {}
            // The server does not want the rest. The answer is what counts.
            Poll::Ready(Err(NotSent::Connection(_))) => self.keeps_connection = false,
            Poll::Ready(Err(error)) => return Err(Incomplete::NotSent(error)),
        }
        self.sending = None;
        Ok(())
    }

    /// How much to read: what is certain to come, or else as much as came before. One byte more, so that what should not
    /// be there shows, and so that the connection is known to be empty.
    fn most(&self) -> usize {
        let certain = usize::try_from(self.decoder.next_bytes()).unwrap_or(usize::MAX);
        self.appetite.max(certain.saturating_add(1)).min(LARGE_READ)
    }

    fn adapt(&mut self, came: usize) {
        if came >= self.appetite {
            self.appetite = (self.appetite * 2).min(LARGE_READ);
        } else if came < self.appetite / 4 {
            self.appetite = (self.appetite / 2).max(SMALL_READ);
        }
    }

    /// Whether the body was read to its end.
    pub fn is_at_end(&self) -> bool {
        self.decoder.is_at_end()
    }

    /// Whether the connection is ready for another request.
    pub fn leaves_connection_clean(&self) -> bool {
        self.is_at_end() && self.keeps_connection && self.sending.is_none() && self.come.is_empty()
    }

    /// How many bytes of the body are still to be read, where that is known.
    pub fn left(&self) -> Option<u64> {
        self.decoder.left()
    }
}
