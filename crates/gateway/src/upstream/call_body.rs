//! The body of a call to a provider.

use axum::body::Body;
use bytes::Bytes;
use http_body::Body as _;

use super::outgoing::Outgoing;

/// The body of a call.
#[derive(Debug)]
pub enum CallBody {
    /// Pieces that are held in memory, and can be sent again.
    Held(Vec<Bytes>),
    /// What the caller sends, as it comes; `None` once it was taken to be sent.
    Streamed(Option<Body>),
}

impl CallBody {
    /// No body.
    pub fn nothing() -> Self {
        Self::Held(Vec::new())
    }

    /// The pieces that are held.
    pub fn held(&self) -> &[Bytes] {
        match self {
            Self::Held(pieces) => pieces,
            Self::Streamed(_) => &[],
        }
    }

    /// Whether it can be sent: one that comes from the caller only once.
    pub fn can_be_sent(&self) -> bool {
        !matches!(self, Self::Streamed(None))
    }

    /// Its length in bytes, where it is known.
    pub fn length(&self) -> Option<u64> {
        match self {
            Self::Held(pieces) => Some(pieces.iter().map(Bytes::len).sum::<usize>() as u64),
            Self::Streamed(body) => body.as_ref().and_then(|body| body.size_hint().exact()),
        }
    }

    /// The same for HTTP/2; `None` when it cannot be sent.
    pub fn outgoing(&mut self) -> Option<Outgoing> {
        match self {
            Self::Held(pieces) => Some(Outgoing::held(pieces.clone())),
            Self::Streamed(body) => body.take().map(Outgoing::Streamed),
        }
    }
}
