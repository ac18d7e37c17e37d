//! Request bodies on their way out over HTTP/2.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};

/// A request body on its way out.
#[derive(Debug)]
pub enum Outgoing {
    /// Pieces, of which those from `next` on are `left` bytes.
    Held {
        /// All pieces.
        pieces: Vec<Bytes>,
        /// The next one to go.
        next: usize,
        /// The bytes still to go.
        left: u64,
    },
    /// What the caller sends, as it comes.
    Streamed(Body),
}

impl Outgoing {
    /// A body that is held in memory.
    pub fn held(pieces: Vec<Bytes>) -> Self {
        let left = pieces.iter().map(Bytes::len).sum::<usize>() as u64;
        Self::Held { pieces, next: 0, left }
    }
}

impl HttpBody for Outgoing {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        match self.get_mut() {
            Self::Held { pieces, next, left } => {
                let piece = pieces.get_mut(*next).map(std::mem::take);
                *next += 1;
                *left -= piece.as_ref().map_or(0, Bytes::len) as u64;
                Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
            }
            Self::Streamed(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Held { left, .. } => *left == 0,
            Self::Streamed(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Held { left, .. } => SizeHint::with_exact(*left),
            Self::Streamed(body) => body.size_hint(),
        }
    }
}
