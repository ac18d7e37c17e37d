//! An answer on its way out: what is there goes out in one write, and nothing is held back.

use std::io::{self, IoSlice, Write as _};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::{Buf as _, Bytes};
use http_body::Body as _;
use tokio::io::AsyncWrite;

use super::answer_head::Extent;
use crate::http1::scratch::Scratch;

/// Pieces up to this size are copied together: cheaper than to tell the kernel of each.
pub const SMALL: usize = 4096;

/// Once so much is copied together, it is written before more is asked for.
const ENOUGH: usize = 16 * 1024;

/// The most bytes around a chunk.
const FRAME: usize = 24;

const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// An answer that is being written.
#[derive(Debug)]
pub struct Writing {
    /// Where more comes from; `None` after its end.
    body: Option<Body>,
    extent: Extent,
    /// What is to be written next: heads, the frames of chunks, small pieces.
    text: Scratch,
    /// How much of it is written.
    written: usize,
    /// A large piece behind it.
    piece: Bytes,
    /// What comes behind that.
    behind: &'static [u8],
    /// Why there will not be more.
    broken: Option<Broken>,
}

/// Why an answer could not be written whole. The client must not take it for whole.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// The connection failed.
    #[error(transparent)]
    Connection(#[from] io::Error),
    /// The body failed.
    #[error("the answer broke off: {0}")]
    Body(axum::Error),
    /// The body has another length than was announced.
    #[error("the answer does not have the length that was announced")]
    Length,
}

impl Writing {
    /// Nothing is written yet.
    pub fn new(head: Scratch, extent: Extent, body: Body) -> Self {
        let has_body = extent != Extent::Length(0);
        Self {
            body: has_body.then_some(body),
            extent,
            text: head,
            written: 0,
            piece: Bytes::new(),
            behind: b"",
            broken: None,
        }
    }

    /// What became of the answer, once all that was collected is written; `None` while more may come.
    pub fn outcome(&mut self) -> Option<Result<(), Broken>> {
        self.body.is_none().then(|| self.broken.take().map_or(Ok(()), Err))
    }

    /// Asks the body for more, as long as there is room for it. Pending when there is room, and the body has nothing now.
    pub fn poll_collect(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_body(cx).map(|collected| {
            if let Err(broken) = collected {
                // What came before is still written.
                (self.body, self.broken) = (None, Some(broken));
            }
        })
    }

    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        while self.piece.is_empty() && self.text.len() < ENOUGH {
            let Some(body) = &mut self.body else { break };
            let piece = if body.is_end_stream() {
                None
            } else {
                ready!(Pin::new(body).poll_frame(cx))
            };
            match piece {
                None => self.end()?,
                Some(frame) => {
                    if let Ok(piece) = frame.map_err(Broken::Body)?.into_data() {
                        self.push(piece)?;
                    }
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    fn push(&mut self, piece: Bytes) -> Result<(), Broken> {
        if piece.is_empty() {
            return Ok(());
        }
        let is_small = piece.len() <= SMALL;
        self.make_room(if is_small { piece.len() + FRAME } else { FRAME });
        let behind: &[u8] = match &mut self.extent {
            Extent::Length(left) => {
                *left = left.checked_sub(piece.len() as u64).ok_or(Broken::Length)?;
                b""
            }
            Extent::UntilClose => b"",
            Extent::Chunked => {
                // Nothing goes wrong when a vector is written to.
                drop(write!(self.text, "{:x}\r\n", piece.len()));
                b"\r\n"
            }
        };
        if is_small {
            self.text.extend_from_slice(&piece);
            self.text.extend_from_slice(behind);
        } else {
            (self.piece, self.behind) = (piece, behind);
            let is_last = self.body.as_ref().is_some_and(Body::is_end_stream);
            if is_last {
                self.end()?;
            }
        }
        Ok(())
    }

    fn make_room(&mut self, length: usize) {
        if self.text.capacity() == 0 {
            self.text = Scratch::with_capacity(length);
        } else {
            self.text.reserve(length);
        }
    }

    fn end(&mut self) -> Result<(), Broken> {
        self.body = None;
        match self.extent {
            Extent::Length(0) | Extent::UntilClose => {}
            Extent::Length(_) => return Err(Broken::Length),
            Extent::Chunked if self.piece.is_empty() => self.text.extend_from_slice(LAST_CHUNK),
            Extent::Chunked => self.behind = b"\r\n0\r\n\r\n",
        }
        Ok(())
    }

    /// Ready when everything that was collected is written.
    pub fn poll_write<T: AsyncWrite + Unpin>(&mut self, io: &mut T, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let text = self.text.get(self.written..).unwrap_or_default();
            let written = if !self.piece.is_empty() || !self.behind.is_empty() {
                let slices = [text, &self.piece, self.behind].map(IoSlice::new);
                ready!(Pin::new(&mut *io).poll_write_vectored(cx, &slices))?
            } else if text.is_empty() {
                // Nothing is held while the body is waited for.
                (self.text, self.written) = (Scratch::default(), 0);
                return Pin::new(io).poll_flush(cx);
            } else {
                ready!(Pin::new(&mut *io).poll_write(cx, text))?
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(written);
        }
    }

    fn advance(&mut self, mut written: usize) {
        let of_text = written.min(self.text.len() - self.written);
        self.written += of_text;
        written -= of_text;
        let of_piece = written.min(self.piece.len());
        self.piece.advance(of_piece);
        if self.piece.is_empty() {
            self.piece = Bytes::new();
        }
        self.behind = self.behind.get(written - of_piece..).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use http_body::Frame;

    use super::*;
    use crate::http1::script::{Scripted, settled};

    fn text(bytes: &[u8]) -> Scratch {
        let mut text = Scratch::default();
        text.extend_from_slice(bytes);
        text
    }

    /// A body of these pieces. `"broken"` is an error, and after `"wait"` nothing comes.
    struct Trickle(VecDeque<String>);

    impl http_body::Body for Trickle {
        type Data = Bytes;
        type Error = &'static str;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
            if self.0.front().is_some_and(|piece| piece == "wait") {
                return Poll::Pending;
            }
            match self.0.pop_front() {
                None => Poll::Ready(None),
                Some(piece) if piece == "broken" => Poll::Ready(Some(Err("broken"))),
                Some(piece) => Poll::Ready(Some(Ok(Frame::data(Bytes::from(piece))))),
            }
        }

        fn is_end_stream(&self) -> bool {
            self.0.is_empty()
        }
    }

    /// Writes as far as it goes; `None` when it waits for ever.
    fn write(io: &mut Scripted, extent: Extent, pieces: &[&str]) -> Option<Result<(), Broken>> {
        let pieces = pieces.iter().map(|piece| (*piece).to_owned()).collect();
        let mut writing = Writing::new(text(b"head:"), extent, Body::new(Trickle(pieces)));
        loop {
            let collected = settled(|cx| writing.poll_collect(cx));
            let written = settled(|cx| writing.poll_write(io, cx))?;
            if let Some(outcome) = writing.outcome() {
                return Some(written.map_err(Broken::from).and(outcome));
            }
            collected?;
        }
    }

    #[test]
    fn what_is_there_goes_out_in_one_write() {
        let large = "x".repeat(SMALL + 1);
        for (extent, pieces, expected) in [
            (Extent::Length(0), &[][..], "head:".to_owned()),
            (
                Extent::Length(0),
                &["not for a question for the head"],
                "head:".to_owned(),
            ),
            (Extent::Length(3), &["ab", "", "c"], "head:abc".to_owned()),
            (Extent::UntilClose, &["ab", "c"], "head:abc".to_owned()),
            (Extent::Chunked, &[], "head:0\r\n\r\n".to_owned()),
            (
                Extent::Chunked,
                &["ab", "", "0123456789abcdef"],
                "head:2\r\nab\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n".to_owned(),
            ),
            (
                Extent::Chunked,
                &["ab", &large],
                format!("head:2\r\nab\r\n1001\r\n{large}\r\n0\r\n\r\n"),
            ),
            (Extent::Length(SMALL as u64 + 1), &[&large], format!("head:{large}")),
        ] {
            let mut io = Scripted::default();
            assert!(matches!(write(&mut io, extent, pieces), Some(Ok(()))));
            assert_eq!(io.writes, [expected.into_bytes()]);
        }
    }

    #[test]
    fn what_the_connection_does_not_take_at_once_follows() {
        let large = "x".repeat(SMALL + 1);
        let pieces = ["ab", &large, "c", &large, &large, "de"];
        let chunks = pieces.map(|piece| format!("{:x}\r\n{piece}\r\n", piece.len())).concat();
        for takes in [1, 2, 3, 7, 4096, 4099, 5000, 100_000] {
            let mut io = Scripted {
                takes: Some(takes),
                ..Scripted::default()
            };
            assert!(matches!(write(&mut io, Extent::Chunked, &pieces), Some(Ok(()))));
            assert_eq!(
                String::from_utf8(io.written()).unwrap(),
                format!("head:{chunks}0\r\n\r\n"),
                "{takes}"
            );
        }
    }

    #[test]
    fn nothing_is_held_back() {
        let mut io = Scripted::default();
        assert!(write(&mut io, Extent::Chunked, &["ab", "wait"]).is_none());
        assert_eq!(io.written(), b"head:2\r\nab\r\n");
    }

    #[test]
    fn what_is_not_whole_does_not_end() {
        for (extent, pieces, expected) in [
            (Extent::Length(4), &["abc"][..], "head:abc"),
            (Extent::Length(2), &["abc"], "head:"),
            (Extent::Length(4), &["abc", "broken"], "head:abc"),
            (Extent::Chunked, &["abc", "broken"], "head:3\r\nabc\r\n"),
        ] {
            let mut io = Scripted::default();
            assert!(matches!(write(&mut io, extent, pieces), Some(Err(_))), "{pieces:?}");
            assert_eq!(io.written(), expected.as_bytes());
        }
        let mut io = Scripted {
            room: Some((3, Some(io::ErrorKind::BrokenPipe))),
            ..Scripted::default()
        };
        assert!(matches!(
            settled(|cx| { Writing::new(text(b"head"), Extent::Length(0), Body::empty()).poll_write(&mut io, cx) }),
            Some(Err(_))
        ));
    }
}
