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
use crate::http1::scratch::Scratch;
use crate::upstream::call_body::CallBody;

/// A body up to this size is copied behind its head: cheaper than to tell the kernel of several pieces.
const SMALL: u64 = 16 * 1024;

/// The most pieces in one write.
const PIECES: usize = 16;

/// A request that is being sent.
#[derive(Debug)]
pub struct Sending {
    /// The head, and a small body behind it.
    head: Scratch,
    /// How much of it is written.
    written: usize,
    /// What comes after it; no piece is empty.
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
    /// Nothing is written yet. A body that comes as it is sent is taken out of `body`.
    pub fn new(head: &RequestHead<'_>, body: &mut CallBody) -> Self {
        let length = body.length();
        let extent = Extent::of(length, head.method);
        match body {
            CallBody::Held(pieces) => {
                if let Some(length @ ..=SMALL) = length {
                    let mut text = head.write(extent, usize::try_from(length).unwrap_or(0));
                    for piece in pieces {
                        text.extend_from_slice(piece);
                    }
                    return Self::begin(text, VecDeque::new(), None);
                }
                let pieces = pieces.iter().filter(|piece| !piece.is_empty());
                Self::begin(head.write(extent, 0), pieces.cloned().collect(), None)
            }
            CallBody::Streamed(body) => {
                let left = match extent {
                    Extent::Nothing | Extent::Length(0) => None,
                    Extent::Length(length) => Some(Some(length)),
                    Extent::Chunked => Some(None),
                };
                let source = left.and_then(|left| body.take().map(|body| Source { body, left }));
                Self::begin(head.write(extent, 0), VecDeque::new(), source)
            }
        }
    }

    fn begin(head: Scratch, queue: VecDeque<Bytes>, source: Option<Source>) -> Self {
        Self {
            head,
            written: 0,
            queue,
            source,
        }
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
            let head = self.head.get(self.written..).unwrap_or_default();
            let written = if !self.queue.is_empty() {
                let mut slices = [IoSlice::new(&[]); PIECES];
                let pieces = std::iter::once(head).chain(self.queue.iter().map(Bytes::as_ref));
                let mut count = 0;
                for (slice, piece) in slices.iter_mut().zip(pieces) {
                    *slice = IoSlice::new(piece);
                    count += 1;
                }
                ready!(Pin::new(&mut *io).poll_write_vectored(cx, &slices[..count]))?
            } else if head.is_empty() {
                return Poll::Ready(Ok(()));
            } else {
                ready!(Pin::new(&mut *io).poll_write(cx, head))?
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(written);
        }
    }

    fn advance(&mut self, mut written: usize) {
        let of_head = written.min(self.head.len() - self.written);
        self.written += of_head;
        written -= of_head;
        if self.written == self.head.len() {
            (self.head, self.written) = (Scratch::default(), 0);
        }
        while let Some(next) = self.queue.front_mut() {
            if written < next.len() {
                return next.advance(written);
            }
            written -= next.len();
            self.queue.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Method;

    use super::super::exchange::NoAnswer;
    use super::super::script::Scripted;
    use super::*;

    fn held(pieces: &[&str]) -> CallBody {
        let copied = |piece: &&str| Bytes::copy_from_slice(piece.as_bytes());
        CallBody::Held(pieces.iter().map(copied).collect())
    }

    /// A body that comes in these pieces; after the last it waits, or ends.
    struct Trickle {
        pieces: VecDeque<&'static str>,
        length: Option<u64>,
        ends: bool,
    }

    impl http_body::Body for Trickle {
        type Data = Bytes;
        type Error = &'static str;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<http_body::Frame<Bytes>, &'static str>>> {
            match self.pieces.pop_front() {
                Some("error") => Poll::Ready(Some(Err("the caller is gone"))),
                Some(piece) => Poll::Ready(Some(Ok(http_body::Frame::data(Bytes::from(piece))))),
                None if self.ends => Poll::Ready(None),
                None => Poll::Pending,
            }
        }

        fn size_hint(&self) -> http_body::SizeHint {
            self.length
                .map_or_else(http_body::SizeHint::default, http_body::SizeHint::with_exact)
        }
    }

    fn trickle(pieces: &[&'static str], length: Option<u64>, ends: bool) -> CallBody {
        let pieces = pieces.iter().copied().collect();
        CallBody::Streamed(Some(Body::new(Trickle { pieces, length, ends })))
    }

    #[test]
    fn head_and_body_go_out_in_one_write() {
        let large = "x".repeat(16 * 1024);
        for pieces in [&["{\"a\":", "1}"][..], &[&large, "y", &large], &[]] {
            let mut io = Scripted::default();
            assert!(io.send(&Method::POST, held(pieces)).is_none());
            let body = pieces.concat();
            let sent = format!(
                "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            assert_eq!(io.writes, [sent.into_bytes()]);
        }
    }

    #[test]
    fn what_the_connection_does_not_take_at_once_follows() {
        let pieces = ["abc".repeat(2000), "de".repeat(10), "f".repeat(15_000)];
        let pieces: Vec<&str> = pieces.iter().map(String::as_str).chain(["g"; 40]).collect();
        for takes in [1, 7, 6000, 6050, 100_000] {
            let mut io = Scripted {
                takes: Some(takes),
                ..Scripted::default()
            };
            assert!(io.send(&Method::POST, held(&pieces)).is_none());
            let written = String::from_utf8(io.written()).unwrap();
            assert!(
                written.ends_with(&format!("content-length: 21060\r\n\r\n{}", pieces.concat())),
                "{takes}"
            );
        }
    }

    #[test]
    fn a_body_that_comes_as_it_is_sent() {
        for (pieces, length, expected) in [
            (
                &["abc", "", "0123456789abcdef"][..],
                None,
                "3\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n",
            ),
            (&[], None, "0\r\n\r\n"),
            (&["abc", "d"], Some(4), "abcd"),
        ] {
            let mut io = Scripted::default();
            assert!(io.send(&Method::POST, trickle(pieces, length, true)).is_none());
            let written = String::from_utf8(io.written()).unwrap();
            assert_eq!(written.split_once("\r\n\r\n").unwrap().1, expected);
            assert_eq!(io.writes.len(), 1);
        }
        // What is there is not held back until the rest comes.
        let mut io = Scripted::default();
        assert!(io.send(&Method::POST, trickle(&["abc"], None, false)).is_none());
        assert!(io.written().ends_with(b"\r\n\r\n3\r\nabc\r\n"));
    }

    #[test]
    fn a_body_that_is_not_what_it_should_be_is_not_sent() {
        for (pieces, length) in [(&["abc"][..], 4), (&["abc", "de"], 4)] {
            let sent = Scripted::default().send(&Method::POST, trickle(pieces, Some(length), true));
            assert!(
                matches!(sent, Some(Err(NoAnswer::NotSent(NotSent::Length)))),
                "{sent:?}"
            );
        }
        let sent = Scripted::default().send(&Method::POST, trickle(&["abc", "error"], None, true));
        assert!(
            matches!(sent, Some(Err(NoAnswer::NotSent(NotSent::Body(_))))),
            "{sent:?}"
        );
    }
}
