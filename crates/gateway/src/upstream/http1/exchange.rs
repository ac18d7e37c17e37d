//! A request and the head of its answer, on one connection.

use std::io;
use std::task::{Context, Poll, ready};

use axum::http::Method;
use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};

use super::head::{Head, HeadReader};
use super::sending::{NotSent, Sending};
use crate::http1::Malformed;
use crate::http1::reading::{SMALL_READ, poll_read};

/// Sends a request and waits for the head of its answer, which may come before the request is sent whole.
#[derive(Debug)]
pub struct Exchange {
    sending: Option<Sending>,
    /// Why the request was not sent whole. There may be an answer that says more.
    not_sent: Option<io::Error>,
    reader: HeadReader,
}

/// An answer of which the head has come.
#[derive(Debug)]
pub struct Answered {
    /// The head.
    pub head: Head,
    /// What came behind the head.
    pub rest: Bytes,
    /// What is still to be sent of the request.
    pub sending: Option<Sending>,
    /// All of the request was sent, or still can be.
    pub is_sound: bool,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    /// The connection had ended, or ended before the first byte of an answer.
    #[error("the connection ended before an answer")]
    Gone(#[source] Option<io::Error>),
    /// It ended in the middle of the head.
    #[error("the connection ended in the middle of a head")]
    Cut,
    /// It failed.
    #[error("the connection failed")]
    Connection(#[source] io::Error),
    /// What came is no answer.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The request could not be sent whole, and not for the connection's fault.
    #[error("the request could not be sent")]
    NotSent(#[source] NotSent),
}

impl Exchange {
    /// Nothing is sent yet.
    pub fn new(sending: Sending, method: &Method) -> Self {
        Self {
            sending: Some(sending),
            not_sent: None,
            reader: HeadReader::new(method),
        }
    }

    /// Ready with the head of the answer.
    pub fn poll<T>(&mut self, io: &mut T, cx: &mut Context<'_>) -> Poll<Result<Answered, NoAnswer>>
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        loop {
            if let Some(sending) = &mut self.sending {
                match sending.poll(io, cx) {
                    Poll::Pending => {}
                    Poll::Ready(Ok(())) => self.sending = None,
                    Poll::Ready(Err(NotSent::Connection(error))) => {
                        (self.sending, self.not_sent) = (None, Some(error));
                    }
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(NoAnswer::NotSent(error))),
                }
            }
            let piece = match ready!(poll_read(io, SMALL_READ, cx)) {
                Ok(piece) if piece.is_empty() => return Poll::Ready(Err(self.ended(None))),
                Ok(piece) => piece,
                Err(error) => return Poll::Ready(Err(self.ended(Some(error)))),
            };
            if let Some((head, rest)) = self.reader.push(piece)? {
                return Poll::Ready(Ok(Answered {
                    head,
                    rest,
                    sending: self.sending.take(),
                    is_sound: self.not_sent.is_none(),
                }));
            }
        }
    }

    fn ended(&mut self, error: Option<io::Error>) -> NoAnswer {
        if self.reader.has_begun() {
            return error.map_or(NoAnswer::Cut, NoAnswer::Connection);
        }
        match self.not_sent.take().or(error) {
            Some(error) if !is_gone(&error) => NoAnswer::Connection(error),
            error => NoAnswer::Gone(error),
        }
    }
}

/// Whether the other side has given the connection up.
pub fn is_gone(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof};
    matches!(
        error.kind(),
        BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected | UnexpectedEof
    )
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use super::super::reading::Reading;
    use super::super::script::{Cue, Scripted};
    use super::*;
    use crate::upstream::call_body::CallBody;

    const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

    fn body(length: usize) -> CallBody {
        CallBody::Held(vec![Bytes::from(vec![b'x'; length])])
    }

    fn says(text: &'static str) -> Cue {
        Cue::Says(Bytes::from(text))
    }

    #[test]
    fn a_head_and_what_comes_with_it() {
        let mut io = Scripted::new([Cue::Hears(50), says(OK)]);
        let answered = io.send(&Method::POST, body(10)).unwrap().unwrap();
        assert_eq!((answered.head.status, &answered.rest[..]), (StatusCode::OK, &b"ok"[..]));
        assert!(answered.sending.is_none() && answered.is_sound);
    }

    #[test]
    fn an_answer_before_the_end_of_the_request() {
        let refusal = "HTTP/1.1 413 Content Too Large\r\ncontent-length: 2\r\n\r\nno";
        for (then, is_sound) in [(None, true), (Some(io::ErrorKind::BrokenPipe), false)] {
            let mut io = Scripted::new([Cue::Hears(1000), says(refusal)]);
            io.room = Some((1000, then));
            let answered = io.send(&Method::POST, body(9000)).unwrap().unwrap();
            assert_eq!(answered.head.status, StatusCode::PAYLOAD_TOO_LARGE);
            assert_eq!((answered.sending.is_some(), answered.is_sound), (is_sound, is_sound));
            let (_, mut reading) = Reading::new(answered);
            let (text, end) = io.read(&mut reading);
            assert_eq!(text, b"no");
            assert!(matches!(end, Some(Ok(()))) && !reading.leaves_connection_clean());
        }
    }

    #[test]
    fn the_rest_of_a_request_is_sent_while_the_answer_is_read() {
        let early = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nok";
        let mut io = Scripted::new([Cue::Hears(1000), says(early), Cue::Hears(9000), says("ay")]);
        io.room = Some((1000, None));
        let answered = io.send(&Method::POST, body(9000)).unwrap().unwrap();
        io.room = None;
        let (_, mut reading) = Reading::new(answered);
        let (text, end) = io.read(&mut reading);
        assert_eq!(text, b"okay");
        assert!(matches!(end, Some(Ok(()))) && reading.leaves_connection_clean());
    }

    #[test]
    fn a_connection_that_was_given_up_is_told_from_one_that_broke() {
        use io::ErrorKind::{BrokenPipe, ConnectionReset, TimedOut};
        let gone = |mut io: Scripted| matches!(io.send(&Method::POST, body(10)), Some(Err(NoAnswer::Gone(_))));
        assert!(gone(Scripted::new([Cue::Closes])));
        assert!(gone(Scripted::new([Cue::Fails(ConnectionReset)])));
        assert!(gone(Scripted {
            room: Some((20, Some(BrokenPipe))),
            ..Scripted::new([Cue::Closes])
        }));
        assert!(!gone(Scripted::new([Cue::Fails(TimedOut)])));
        assert!(!gone(Scripted::new([says("H"), Cue::Closes])));
        assert!(!gone(Scripted::new([says("H"), Cue::Fails(ConnectionReset)])));
        assert!(!gone(Scripted::says("220 mail.example ESMTP\r\n")));
        assert!(!gone(Scripted::default()));
    }
}
