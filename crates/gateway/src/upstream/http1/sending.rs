//! A request on its way out: as few writes as possible, and none before its bytes are there.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::{Buf as _, Bytes};
use http_body::Body as _;
use tokio::io::AsyncWrite;

use super::request::{Extent, RequestHead};
use crate::upstream::outgoing::Outgoing;

/// A body up to this size is copied behind its head: cheaper than to tell the kernel of several pieces.
const SMALL: usize = 4096;

/// The most pieces in one write.
const PIECES: usize = 16;

/// A request that is being sent.
#[derive(Debug)]
pub struct Sending {
    /// What is to be written next.
    front: Bytes,
    /// What comes after it.
    queue: VecDeque<Bytes>,
    /// Where more comes from.
    source: Option<Source>,
}

/// A body that comes as it is sent.
#[derive(Debug)]
struct Source {
    body: Body,
    /// How many bytes of it were announced; `None` when it goes in chunks.
    left: Option<u64>,
}

/// Why a request could not be sent whole.
#[derive(Debug, thiserror::Error)]
pub enum NotSent {
    /// The connection failed.
    #[error(transparent)]
    Connection(#[from] io::Error),
    /// The body failed.
    #[error(transparent)]
    Body(axum::Error),
    /// The body has another length than was announced.
    #[error("the request body does not have the length that was announced")]
    Length,
}

impl Sending {
    /// Nothing is written yet.
    pub fn new(head: &RequestHead<'_>, body: Outgoing) -> Self {
        let extent = Extent::of(&body, head.method);
        match body {
            Outgoing::Held { pieces, left, .. } if left <= SMALL as u64 => {
                let mut text = head.write(extent, SMALL.min(pieces.iter().map(Bytes::len).sum()));
                for piece in pieces {
                    text.extend_from_slice(&piece);
                }
                Self::begin(text, VecDeque::new(), None)
            }
            Outgoing::Held { pieces, .. } => Self::begin(head.write(extent, 0), pieces.into(), None),
            Outgoing::Streamed(body) => {
                let left = match extent {
                    Extent::Nothing | Extent::Length(0) => {
                        return Self::begin(head.write(extent, 0), VecDeque::new(), None);
                    }
                    Extent::Length(length) => Some(length),
                    Extent::Chunked => None,
                };
                let source = Source { body, left };
                Self::begin(head.write(extent, 0), VecDeque::new(), Some(source))
            }
        }
    }

    fn begin(head: Vec<u8>, queue: VecDeque<Bytes>, source: Option<Source>) -> Self {
        let front = Bytes::from(head);
        Self { front, queue, source }
    }

    /// Ready when everything is written.
    pub fn poll<T: AsyncWrite + Unpin>(&mut self, io: &mut T, cx: &mut Context<'_>) -> Poll<Result<(), NotSent>> {
        loop {
            // Before the first write, so that what is there of the body goes with the head.
            let more = self.poll_source(cx)?;
            ready!(self.poll_write(io, cx))?;
            ready!(Pin::new(&mut *io).poll_flush(cx))?;
            ready!(more);
            if self.source.is_none() {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// Takes the next piece of a body that comes as it is sent.
    fn poll_source(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), NotSent>> {
        while let Some(source) = &mut self.source {
            if self.queue.len() >= PIECES {
                break;
            }
            let Some(frame) = ready!(Pin::new(&mut source.body).poll_frame(cx)) else {
                match source.left {
                    None => self.queue.push_back(Bytes::from_static(b"0\r\n\r\n")),
                    Some(0) => {}
                    Some(_) => return Poll::Ready(Err(NotSent::Length)),
                }
                self.source = None;
                break;
            };
            let Ok(piece) = frame.map_err(NotSent::Body)?.into_data() else {
                continue;
            };
            if piece.is_empty() {
                continue;
            }
            if let Some(left) = &mut source.left {
                *left = left.checked_sub(piece.len() as u64).ok_or(NotSent::Length)?;
                self.queue.push_back(piece);
            } else {
                let size = Bytes::from(format!("{:x}\r\n", piece.len()));
                self.queue.extend([size, piece, Bytes::from_static(b"\r\n")]);
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write<T: AsyncWrite + Unpin>(&mut self, io: &mut T, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            while self.front.is_empty() {
                match self.queue.pop_front() {
                    Some(next) => self.front = next,
                    None => return Poll::Ready(Ok(())),
                }
            }
            let written = if self.queue.is_empty() {
                ready!(Pin::new(&mut *io).poll_write(cx, &self.front))?
            } else {
                let mut slices = [IoSlice::new(&[]); PIECES];
                let pieces = std::iter::once(&self.front).chain(&self.queue);
                let mut count = 0;
                for (slice, piece) in slices.iter_mut().zip(pieces) {
                    *slice = IoSlice::new(piece);
                    count += 1;
                }
                ready!(Pin::new(&mut *io).poll_write_vectored(cx, &slices[..count]))?
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(written);
        }
    }

    fn advance(&mut self, mut written: usize) {
        while written >= self.front.len() {
            written -= self.front.len();
            match self.queue.pop_front() {
                Some(next) => self.front = next,
                None => return self.front.clear(),
            }
        }
        self.front.advance(written);
    }
}
