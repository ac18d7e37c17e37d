//! The body of a request, as the one sees it who answers.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};

use super::wire::{Broken, Shared, Source, lock};
use crate::http::body::RequestBody;

/// The body of a request.
pub enum Incoming {
    /// It is there, or there is none.
    Whole(Bytes),
    /// It is read from the connection when it is asked for.
    Coming {
        /// The connection.
        wire: Shared<dyn Source>,
        /// The request on it.
        turn: u64,
    },
}

impl Body for Incoming {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let piece = match self.get_mut() {
            Self::Whole(whole) if whole.is_empty() => None,
            Self::Whole(whole) => Some(Ok(std::mem::take(whole))),
            Self::Coming { wire, turn } => ready!(lock(wire).poll_piece(*turn, cx)),
        };
        Poll::Ready(piece.map(|piece| piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.size_hint().exact() == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(whole) => SizeHint::with_exact(whole.len() as u64),
            Self::Coming { wire, turn } => lock(wire)
                .left(*turn)
                .map_or_else(SizeHint::default, SizeHint::with_exact),
        }
    }
}

impl RequestBody for Incoming {
    fn whole(&mut self) -> Option<Bytes> {
        match self {
            Self::Whole(whole) => Some(std::mem::take(whole)),
            Self::Coming { .. } => None,
        }
    }

    fn poll_into(&mut self, whole: &mut BytesMut, cx: &mut Context<'_>) -> Poll<Result<bool, Broken>> {
        match self {
            Self::Whole(piece) => {
                let is_more = !piece.is_empty();
                whole.extend_from_slice(&std::mem::take(piece));
                Poll::Ready(Ok(is_more))
            }
            Self::Coming { wire, turn } => lock(wire).poll_into(*turn, whole, cx),
        }
    }
}

impl fmt::Debug for Incoming {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Incoming").field(&self.size_hint()).finish()
    }
}
