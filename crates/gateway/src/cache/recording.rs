//! An answer on its way to its caller, of which a copy is made.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use axum::http::HeaderMap;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::Slot;
use super::stored::Stored;

/// A body of which a copy is made. What is dropped before its end is not kept.
pub(super) struct Recording {
    body: Body,
    /// `None` when there is nothing to keep any more.
    copy: Option<Box<Copy>>,
}

/// What was passed on so far.
struct Copy {
    slot: Slot,
    headers: HeaderMap,
    bytes: Vec<u8>,
    /// How many there will be, where that is known.
    length: Option<u64>,
}

impl Recording {
    pub(super) fn new(slot: Slot, headers: &HeaderMap, body: Body) -> Self {
        let length = body.size_hint().exact();
        let fits = length.is_none_or(|length| length <= slot.rule.max_answer as u64);
        let copy = fits.then(|| {
            Box::new(Copy {
                slot,
                headers: Stored::headers_of(headers),
                bytes: Vec::new(),
                length,
            })
        });
        Self { body, copy }
    }

    /// Notes what is passed on. A reader that knows the length does not ask for more than that, so that this may be the end.
    fn note(&mut self, piece: &Bytes) {
        let Some(copy) = &mut self.copy else { return };
        if copy.bytes.len() + piece.len() > copy.slot.rule.max_answer {
            self.copy = None;
            return;
        }
        copy.bytes.extend_from_slice(piece);
        let is_whole = copy.length == Some(copy.bytes.len() as u64);
        if is_whole || self.body.is_end_stream() {
            self.end();
        }
    }

    /// All of it was passed on.
    fn end(&mut self) {
        let Some(copy) = self.copy.take() else { return };
        let Copy {
            slot, headers, bytes, ..
        } = *copy;
        let now = slot.cache.clock.now().steady;
        if let Some(stored) = Stored::new(headers, bytes, now, slot.rule.ttl) {
            slot.cache.keep(slot.key, stored, (now, slot.rule.ttl));
        }
    }
}

impl HttpBody for Recording {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let next = ready!(Pin::new(&mut self.body).poll_frame(cx));
        match &next {
            None => self.end(),
            Some(Err(_)) => self.copy = None,
            Some(Ok(frame)) => {
                if let Some(piece) = frame.data_ref() {
                    self.note(piece);
                }
            }
        }
        Poll::Ready(next)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
