//! The body of an answer, of either version of HTTP, with the patience that one has for it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::connect::causes;
use super::http1::reading::Reading;
use super::pool::{Http1, Http2, Pool};
use super::send::Patience;
use crate::alarm::{Alarm, after};

/// The body of an answer. Read to its end, its connection is kept for the next request; dropped before, the call is
/// cancelled.
#[derive(Debug)]
pub struct UpstreamBody {
    source: Source,
    /// When the first content must be there; `None` once it is.
    deadline: Option<Instant>,
    between_bytes: Duration,
    /// Since when the next piece has been waited for.
    waiting: Option<Instant>,
    /// Why the rest does not come, until that is told.
    cut: Option<String>,
}

/// Where it comes from.
#[derive(Debug)]
enum Source {
    /// A connection of its own, until it is given back.
    Http1(Reading, Option<Http1>, Arc<Pool>),
    /// One that it shares.
    Http2(Incoming, Http2),
}

/// Why the rest of an answer does not come.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The connection broke.
    #[error("the answer was cut off: {0}")]
    Cut(String),
    /// Nothing came for too long.
    #[error("nothing more came within {0:?}")]
    Stalled(Duration),
    /// No content before the deadline.
    #[error("no content came in time")]
    Late,
}

impl UpstreamBody {
    /// A body on a connection of its own.
    pub fn http1(reading: Reading, connection: Http1, pool: Arc<Pool>, patience: Patience) -> Self {
        let mut source = Source::Http1(reading, Some(connection), pool);
        source.give_back();
        Self::new(source, patience)
    }

    /// A body on a shared connection.
    pub fn http2(incoming: Incoming, connection: Http2, patience: Patience) -> Self {
        Self::new(Source::Http2(incoming, connection), patience)
    }

    fn new(source: Source, patience: Patience) -> Self {
        Self {
            source,
            deadline: Some(patience.deadline),
            between_bytes: patience.between_bytes,
            waiting: None,
            cut: None,
        }
    }

    /// Whether only the end of its connection tells where it ends.
    pub fn ends_with_connection(&self) -> bool {
        matches!(&self.source, Source::Http1(reading, ..) if reading.ends_with_connection())
    }

    /// All of it, if it has come already.
    pub fn whole(&mut self) -> Option<Bytes> {
        let Source::Http1(reading, ..) = &mut self.source else {
            return None;
        };
        let whole = reading.rest()?;
        self.source.give_back();
        Some(whole)
    }

    /// Says that the first content has come: from now on only a pause is too long.
    pub fn has_begun(&mut self) {
        self.deadline = None;
    }

    /// Appends what comes next to what there is; `None` at the end.
    pub fn poll_into(&mut self, whole: &mut BytesMut, cx: &mut Context<'_>) -> Poll<Option<Result<(), BodyError>>> {
        self.poll_patiently(cx, |source, cx| source.poll_into(whole, cx))
    }

    fn poll_patiently<T>(
        &mut self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut Source, &mut Context<'_>) -> Poll<Option<Result<T, String>>>,
    ) -> Poll<Option<Result<T, BodyError>>> {
        if let Some(reason) = self.cut.take() {
            return Poll::Ready(Some(Err(BodyError::Cut(reason))));
        }
        let Poll::Ready(next) = poll(&mut self.source, cx) else {
            return self.poll_overdue(cx).map(|error| Some(Err(error)));
        };
        self.waiting = None;
        match next {
            None => Poll::Ready(None),
            Some(Ok(next)) => Poll::Ready(Some(Ok(next))),
            Some(Err(reason)) => {
                // Later, as what came before the cut must be on its way to the caller first: the connection that is to
                // be cut there too sends nothing more of what it still holds.
                self.cut = Some(reason);
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }

    fn poll_overdue(&mut self, cx: &mut Context<'_>) -> Poll<BodyError> {
        let since = *self.waiting.get_or_insert_with(Instant::now);
        let limit = after(since, self.between_bytes);
        let deadline = self.deadline.filter(|deadline| *deadline < limit);
        if let Some(alarm) = self.source.alarm() {
            ready!(alarm.poll(deadline.unwrap_or(limit), cx));
        }
        Poll::Ready(match deadline {
            Some(_) => BodyError::Late,
            None => BodyError::Stalled(self.between_bytes),
        })
    }
}

impl Source {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, String>>> {
        match self {
            Self::Http1(reading, Some(connection), _) => {
                let piece = ready!(reading.poll(&mut connection.stream, cx));
                self.give_back();
                Poll::Ready(piece.map(|piece| piece.map(Frame::data).map_err(|error| error.to_string())))
            }
            Self::Http1(_, None, _) => Poll::Ready(None),
            Self::Http2(incoming, _) => Pin::new(incoming).poll_frame(cx).map_err(|error| causes(&error)),
        }
    }

    fn poll_into(&mut self, whole: &mut BytesMut, cx: &mut Context<'_>) -> Poll<Option<Result<(), String>>> {
        if let Self::Http1(reading, Some(connection), _) = self {
            let read = ready!(reading.poll_into(&mut connection.stream, whole, cx));
            self.give_back();
            return Poll::Ready(read.map(|read| read.map_err(|error| error.to_string())));
        }
        let frame = ready!(self.poll_frame(cx));
        Poll::Ready(frame.map(|frame| {
            let piece = frame?.into_data().unwrap_or_default();
            whole.extend_from_slice(&piece);
            Ok(())
        }))
    }

    /// Gives the connection back, or closes it, as soon as the last byte was read.
    fn give_back(&mut self) {
        if let Self::Http1(reading, connection, pool) = self
            && reading.is_at_end()
            && let Some(connection) = connection.take()
            && reading.leaves_connection_clean()
        {
            pool.give_back(connection);
        }
    }

    fn alarm(&mut self) -> Option<&mut Alarm> {
        match self {
            Self::Http1(_, connection, _) => connection.as_mut().map(|connection| &mut connection.alarm),
            Self::Http2(_, stream) => Some(&mut stream.alarm),
        }
    }
}

impl HttpBody for UpstreamBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.poll_patiently(cx, Source::poll_frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Http1(reading, ..) => reading.is_at_end(),
            Source::Http2(incoming, _) => incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Http1(reading, ..) => reading.left().map_or_else(SizeHint::default, SizeHint::with_exact),
            Source::Http2(incoming, _) => incoming.size_hint(),
        }
    }
}
