//! The body of an answer, as it is read from its connection.

use std::pin::pin;
use std::task::{Context, Poll, ready};

use bytes::{BufMut as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};

use super::exchange::Answered;
use super::sending::{NotSent, Sending};
use crate::http1::Malformed;
use crate::http1::body::{Decoder, Step};
use crate::http1::reading::{Appetite, poll_read};

/// A body that is being read.
#[derive(Debug)]
pub struct Reading {
    decoder: Decoder,
    /// What has come, and was not taken yet.
    come: Bytes,
    appetite: Appetite,
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
            appetite: Appetite::default(),
            sending: sending.map(Box::new),
            keeps_connection: head.keeps_connection && is_sound,
        };
        (head, reading)
    }

    /// Whether only the end of the connection tells where it ends.
    pub fn ends_with_connection(&self) -> bool {
        self.decoder.is_until_close()
    }

    /// All that is left, if it has come already.
    pub fn rest(&mut self) -> Option<Bytes> {
        self.decoder.rest(&mut self.come)
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
            match ready!(poll_read(io, self.appetite.most(self.decoder.next_bytes()), cx)) {
                Err(error) => return Poll::Ready(Some(Err(error.into()))),
                Ok(piece) if piece.is_empty() => {
                    self.keeps_connection = false;
                    if let Err(malformed) = self.decoder.close() {
                        return Poll::Ready(Some(Err(malformed.into())));
                    }
                }
                Ok(piece) => {
                    self.appetite.adapt(piece.len());
                    self.come = piece;
                }
            }
        }
    }

    /// Appends what comes next to what there is; `None` at the end. What has a length is read straight to where it belongs.
    pub fn poll_into<T>(
        &mut self,
        io: &mut T,
        whole: &mut BytesMut,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<(), Incomplete>>>
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        let counted = self.decoder.left().and_then(|left| usize::try_from(left).ok());
        let Some(left) = counted.filter(|left| *left > 0 && self.come.is_empty()) else {
            let piece = ready!(self.poll(io, cx));
            return Poll::Ready(piece.map(|piece| piece.map(|piece| whole.extend_from_slice(&piece))));
        };
        self.poll_sending(io, cx)?;
        let before = whole.len();
        // One byte more, as for a piece.
        let mut space = (&mut *whole).limit(left.saturating_add(1));
        let read = ready!(pin!(io.read_buf(&mut space)).poll(cx))?;
        if read == 0 {
            self.keeps_connection = false;
            self.decoder.close()?;
        }
        if read > left {
            self.keeps_connection = false;
            whole.truncate(before + left);
        }
        self.decoder.skip(read.min(left) as u64);
        Poll::Ready(Some(Ok(())))
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

#[cfg(test)]
mod tests {
    use axum::http::Method;

    use super::super::script::{Cue, Scripted};
    use super::*;
    use crate::http1::reading::{LARGE_READ, SMALL_READ};
    use crate::http1::script::settled;
    use crate::upstream::call_body::CallBody;

    fn get(mut io: Scripted, method: &Method) -> (Reading, Scripted) {
        let answered = io.send(method, CallBody::nothing()).unwrap().unwrap();
        (Reading::new(answered).1, io)
    }

    /// A body, whether it was whole, and whether its connection can be used again. `|` stands between two reads, and `$` for
    /// the end of the connection.
    fn read(text: &str, into_one_piece: bool) -> (String, bool, bool) {
        let cues = text.split_inclusive(['|', '$']).flat_map(|part| {
            let said = part.trim_end_matches(['|', '$']);
            let said = (!said.is_empty()).then(|| Cue::Says(Bytes::copy_from_slice(said.as_bytes())));
            said.into_iter().chain(part.ends_with('$').then_some(Cue::Closes))
        });
        let (mut reading, mut io) = get(Scripted::new(cues), &Method::GET);
        let (body, end) = if into_one_piece {
            io.read_into(&mut reading)
        } else {
            io.read(&mut reading)
        };
        let is_whole = matches!(end, Some(Ok(())));
        assert_eq!(is_whole, reading.is_at_end());
        (
            String::from_utf8(body).unwrap(),
            is_whole,
            reading.leaves_connection_clean(),
        )
    }

    #[test]
    fn bodies() {
        let length = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n";
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        for (text, body, is_whole, is_clean) in [
            (format!("{length}abcd"), "abcd", true, true),
            (format!("{length}|ab|cd"), "abcd", true, true),
            (format!("{length}ab|cd$"), "abcd", true, true),
            (format!("{length}abcde"), "abcd", true, false),
            (format!("{length}|abcde"), "abcd", true, false),
            (format!("{length}ab$"), "ab", false, false),
            (format!("{length}ab"), "ab", false, false),
            (format!("{chunked}4\r\nabcd\r\n0\r\n\r\n"), "abcd", true, true),
            (format!("{chunked}|4\r|\nab|cd|\r\n0\r\n|\r\n"), "abcd", true, true),
            (format!("{chunked}4\r\nabcd\r\n0\r\nT: x\r\n\r\n"), "abcd", true, true),
            (format!("{chunked}4\r\nabcd\r\n0\r\n\r\nHTTP/1.1"), "abcd", true, false),
            (format!("{chunked}4\r\nabcd\r\n$"), "abcd", false, false),
            (format!("{chunked}4\r\nabcd\r\n0\r\n$"), "abcd", false, false),
            (format!("{chunked}4\r\nabcdx"), "abcd", false, false),
            ("HTTP/1.1 200 OK\r\n\r\nab|cd$".to_owned(), "abcd", true, false),
            ("HTTP/1.1 200 OK\r\n\r\nab|cd".to_owned(), "abcd", false, false),
            ("HTTP/1.0 200 OK\r\n\r\nabcd$".to_owned(), "abcd", true, false),
            (
                "HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nabcd".to_owned(),
                "abcd",
                true,
                false,
            ),
            (
                "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 4\r\n\r\nabcd".to_owned(),
                "abcd",
                true,
                true,
            ),
            (
                "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\nabcd".to_owned(),
                "abcd",
                true,
                false,
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"
                    .to_owned(),
                "a",
                true,
                false,
            ),
            ("HTTP/1.1 204 No Content\r\n\r\n".to_owned(), "", true, true),
            ("HTTP/1.1 204 No Content\r\n\r\nabcd".to_owned(), "", true, false),
            (
                "HTTP/1.1 100 Continue\r\n\r\n|HTTP/1.1 304 Not Modified\r\n\r\n".to_owned(),
                "",
                true,
                true,
            ),
        ] {
            for into_one_piece in [false, true] {
                let expected = (body.to_owned(), is_whole, is_clean);
                assert_eq!(read(&text, into_one_piece), expected, "{text:?}");
            }
        }
    }

    #[test]
    fn a_question_for_the_head_has_no_body() {
        let text = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n";
        let (reading, _) = get(Scripted::says(text), &Method::HEAD);
        assert!(reading.leaves_connection_clean());
    }

    #[test]
    fn a_connection_that_fails_in_the_middle_is_no_end() {
        let head = Cue::Says(Bytes::from("HTTP/1.1 200 OK\r\n\r\nab"));
        let failure = Cue::Fails(std::io::ErrorKind::ConnectionReset);
        let (mut reading, mut io) = get(Scripted::new([head, failure]), &Method::GET);
        let (body, end) = io.read(&mut reading);
        assert_eq!(body, b"ab");
        assert!(matches!(end, Some(Err(Incomplete::Connection(_)))));
    }

    #[test]
    fn a_body_with_a_length_is_read_straight_to_where_it_belongs() {
        let length = 5 * LARGE_READ;
        let head = Bytes::from(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n"));
        let cues = [head, Bytes::from(vec![b'x'; length])].map(Cue::Says);
        let (mut reading, mut io) = get(Scripted::new(cues), &Method::GET);
        let mut body = BytesMut::with_capacity(length + 1);
        let read = settled(|cx| reading.poll_into(&mut io, &mut body, cx));
        assert!(matches!(read, Some(Some(Ok(())))));
        assert_eq!((body.len(), io.asked.last()), (length, Some(&(length + 1))));
        assert!(reading.leaves_connection_clean());
    }

    #[test]
    fn a_large_body_is_read_in_large_pieces() {
        let body = vec![b'x'; 5 * LARGE_READ];
        for head in [
            format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()),
            "HTTP/1.1 200 OK\r\n\r\n".to_owned(),
        ] {
            let cues = [Bytes::from(head), Bytes::from(body.clone())].map(Cue::Says);
            let (mut reading, mut io) = get(Scripted::new(cues.into_iter().chain([Cue::Closes])), &Method::GET);
            let (read, _) = io.read(&mut reading);
            assert!(read == body);
            assert!(io.asked.len() < 11, "{:?}", io.asked);
            assert!(io.asked.contains(&LARGE_READ) && io.asked.iter().max() == Some(&LARGE_READ));
        }
        // Events come in small pieces, each in memory of its own size.
        let events = (0..20).map(|_| Cue::Says(Bytes::from("data: x\n\n")));
        let head = Cue::Says(Bytes::from("HTTP/1.1 200 OK\r\n\r\n"));
        let (mut reading, mut io) = get(Scripted::new([head].into_iter().chain(events)), &Method::GET);
        io.read(&mut reading);
        assert!(io.asked.iter().all(|asked| *asked == SMALL_READ));
    }
}
