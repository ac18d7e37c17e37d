//! The head of an answer, without any connection.

use std::mem::MaybeUninit;

use axum::http::{HeaderMap, Method, StatusCode, Version};
use bytes::{Buf as _, Bytes};
use httparse::Status;

use crate::http1::Malformed;
use crate::http1::body::Framing;
use crate::http1::head::{Gathering, Headers, MAX_HEADERS, version};

/// So many headers the gateway adds to those of an answer: its id, the length where it changes, and what it says itself.
const ADDED: usize = 5;

/// The most bytes of a head, with the interim answers before it.
pub const MAX_HEAD: usize = 400 * 1024;

/// The head of an answer, and what it says about the rest.
#[derive(Debug)]
pub struct Head {
    /// The status.
    pub status: StatusCode,
    /// The version of HTTP in which the server answers.
    pub version: Version,
    /// The headers.
    pub headers: HeaderMap,
    /// How the body ends.
    pub framing: Framing,
    /// The connection may be used again after the body.
    pub keeps_connection: bool,
}

/// Takes the head of an answer out of the bytes of a connection. Interim answers (100, 103) are passed over.
#[derive(Debug)]
pub struct HeadReader {
    /// Nothing but a head will come.
    asked_for_head: bool,
    gathering: Gathering,
    /// How much has come.
    taken: usize,
}

impl HeadReader {
    /// For the answer to a request of this method.
    pub fn new(method: &Method) -> Self {
        Self {
            asked_for_head: method == Method::HEAD,
            gathering: Gathering::default(),
            taken: 0,
        }
    }

    /// Whether a part of an answer has come.
    pub fn has_begun(&self) -> bool {
        self.taken > 0
    }

    /// Takes what has come. With a head comes what follows it.
    pub fn push(&mut self, piece: Bytes) -> Result<Option<(Head, Bytes)>, Malformed> {
        self.taken += piece.len();
        let Some(mut come) = self.gathering.push(piece) else {
            return self.wants_more();
        };
        while let Some((length, head)) = parse(&come, self.asked_for_head)? {
            come.advance(length);
            if let Some(head) = head {
                let is_bounded = self.taken - come.len() <= MAX_HEAD;
                return is_bounded
                    .then_some(Some((head, come)))
                    .ok_or(Malformed::HeadTooLarge(MAX_HEAD));
            }
        }
        self.gathering.put_back(come);
        self.wants_more()
    }

    fn wants_more(&self) -> Result<Option<(Head, Bytes)>, Malformed> {
        if self.taken >= MAX_HEAD {
            return Err(Malformed::HeadTooLarge(MAX_HEAD));
        }
        Ok(None)
    }
}

/// The length of a head and what it says, which is nothing if it is that of an interim answer; `None` if it is not whole.
fn parse(text: &Bytes, asked_for_head: bool) -> Result<Option<(usize, Option<Head>)>, Malformed> {
    if text.is_empty() {
        return Ok(None);
    }
    let mut space = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let mut answer = httparse::Response::new(&mut []);
    let parsed = httparse::ParserConfig::default().parse_response_with_uninit_headers(&mut answer, text, &mut space)?;
    let Status::Complete(length) = parsed else {
        return Ok(None);
    };
    let status = answer.code.and_then(|code| StatusCode::from_u16(code).ok());
    let status = status.ok_or(httparse::Error::Status)?;
    if status == StatusCode::SWITCHING_PROTOCOLS {
        return Err(Malformed::Switching);
    }
    if status.is_informational() {
        return Ok(Some((length, None)));
    }
    let version = version(answer.version);
    let mut headers = Headers::of(text, answer.headers, ADDED)?;
    let has_both = headers.transfer_encoding().is_some() && headers.has_length();
    let keeps_connection = headers.keep_connection(version) && !has_both;
    if has_both {
        // It is not the length of what comes (RFC 9112, section 6.3), and whoever says both may be deceiving somebody.
        headers.remove_length();
    }
    let has_no_body = asked_for_head || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let framing = if has_no_body {
        Framing::Length(0)
    } else {
        framing(version, &headers)?
    };
    let head = Head {
        status,
        version,
        headers: headers.map,
        framing,
        keeps_connection: keeps_connection && framing != Framing::UntilClose,
    };
    Ok(Some((length, Some(head))))
}

fn framing(version: Version, headers: &Headers) -> Result<Framing, Malformed> {
    if let Some(last) = headers
        .transfer_encoding()
        .and_then(|encodings| encodings.iter().next_back())
    {
        if version == Version::HTTP_10 {
            return Err(Malformed::TransferEncoding);
        }
        let last = last.as_bytes().rsplit(|&byte| byte == b',').next().unwrap_or_default();
        let is_chunked = last.trim_ascii().eq_ignore_ascii_case(b"chunked");
        return Ok(if is_chunked {
            Framing::Chunked
        } else {
            Framing::UntilClose
        });
    }
    Ok(headers.content_length()?.map_or(Framing::UntilClose, Framing::Length))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(method: &Method, pieces: &[&[u8]]) -> Result<Option<(Head, Bytes)>, Malformed> {
        let mut reader = HeadReader::new(method);
        for (at, piece) in pieces.iter().enumerate() {
            if let Some((head, rest)) = reader.push(Bytes::copy_from_slice(piece))? {
                let rest = [&[&rest[..]], &pieces[at + 1..]].concat().concat();
                return Ok(Some((head, Bytes::from(rest))));
            }
        }
        Ok(None)
    }

    fn head(text: &str) -> Result<Head, Malformed> {
        read(&Method::POST, &[text.as_bytes()]).map(|read| read.expect("a whole head").0)
    }

    #[test]
    fn how_a_body_ends_and_whether_the_connection_stays() {
        use Framing::{Chunked, Length, UntilClose};
        for (text, framing, keeps) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 7", Length(7), true),
            (
                "HTTP/1.1 200 OK\r\ncontent-LENGTH:7\r\nContent-Length: 7, 7",
                Length(7),
                true,
            ),
            ("HTTP/1.1 200 OK\r\nContent-Length: 0", Length(0), true),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: close",
                Length(7),
                false,
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: x, Close\r\nConnection: keep-alive",
                Length(7),
                false,
            ),
            ("HTTP/1.0 200 OK\r\nContent-Length: 7", Length(7), false),
            (
                "HTTP/1.0 200 OK\r\nContent-Length: 7\r\nConnection: Keep-Alive",
                Length(7),
                true,
            ),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked", Chunked, true),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, CHUNKED", Chunked, true),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked",
                Chunked,
                true,
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 7",
                Chunked,
                false,
            ),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip", UntilClose, false),
            ("HTTP/1.1 200 OK\r\nConnection: keep-alive", UntilClose, false),
            ("HTTP/1.0 200 OK", UntilClose, false),
            ("HTTP/1.1 204 No Content\r\nContent-Length: 7", Length(0), true),
            (
                "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked",
                Length(0),
                true,
            ),
            ("HTTP/1.1 429", UntilClose, false),
            ("HTTP/1.1 200 \u{fc}ber\r\nContent-Length: 1", Length(1), true),
            ("\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1", Length(1), true),
        ] {
            let head = head(&format!("{text}\r\n\r\n")).unwrap();
            assert_eq!((head.framing, head.keeps_connection), (framing, keeps), "{text}");
        }
        let text = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n";
        let (head, _) = read(&Method::HEAD, &[text]).unwrap().unwrap();
        assert_eq!((head.framing, head.keeps_connection), (Length(0), true));
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        use Malformed::{ContentLength, Switching, TransferEncoding};
        use httparse::Error::{HeaderName, Status, TooManyHeaders, Version};
        for (text, expected) in [
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 7\r\nContent-Length: 8",
                ContentLength,
            ),
            ("HTTP/1.1 200 OK\r\nContent-Length: 7, 8", ContentLength),
            ("HTTP/1.1 200 OK\r\nContent-Length: +7", ContentLength),
            ("HTTP/1.1 200 OK\r\nContent-Length:", ContentLength),
            ("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999", ContentLength),
            ("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked", TransferEncoding),
            ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x", Switching),
            ("HTTP/1.1 099 Low", Malformed::Head(Status)),
            ("HTTP/2.0 200 OK", Malformed::Head(Version)),
            ("SSH-2.0-OpenSSH_9.6", Malformed::Head(Version)),
            ("HTTP/1.1 200 OK\r\na b: c", Malformed::Head(HeaderName)),
            ("HTTP/1.1 200 OK\r\na: b\r\n folded", Malformed::Head(HeaderName)),
            (
                &format!("HTTP/1.1 200 OK{}", "\r\na: b".repeat(MAX_HEADERS + 1)),
                Malformed::Head(TooManyHeaders),
            ),
        ] {
            assert_eq!(head(&format!("{text}\r\n\r\n")).unwrap_err(), expected, "{text}");
        }
        assert!(head(&format!("HTTP/1.1 200 OK{}\r\n\r\n", "\r\na: b".repeat(MAX_HEADERS))).is_ok());
    }

    #[test]
    fn a_head_without_an_end_is_given_up() {
        let mut reader = HeadReader::new(&Method::GET);
        let mut sent = 0;
        let mut piece = Bytes::from("HTTP/1.1 200 OK\r\nx: ");
        loop {
            sent += piece.len();
            match reader.push(piece) {
                Ok(head) => assert!(head.is_none() && sent < MAX_HEAD),
                Err(malformed) => break assert_eq!(malformed, Malformed::HeadTooLarge(MAX_HEAD)),
            }
            piece = Bytes::from(vec![b'x'; 10_000]);
        }
        assert!(sent < MAX_HEAD + 10_000);
    }

    #[test]
    fn interim_answers_are_passed_over() {
        let text = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nA: b\r\n\r\nrest";
        for size in 1..text.len() {
            let pieces: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
            let (head, rest) = read(&Method::GET, &pieces).unwrap().unwrap();
            assert_eq!(
                (head.status, head.headers.len(), &rest[..]),
                (StatusCode::OK, 1, &b"rest"[..])
            );
        }
    }

    proptest! {
        #[test]
        fn splits_do_not_matter(
            text in "(HTTP/1\\.[01] [12]0[0-3]( OK)?\r\n((Content-Length|transfer-encoding|x|\\PC{0,2}): ?(7|chunked|\\PC{0,3})\r?\n){0,3}\r?\n?[a-z]{0,3}){1,2}",
            size in 1..30_usize,
        ) {
            let pieces: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
            let shown = |read: Result<Option<(Head, Bytes)>, Malformed>| read.map(|read| read.map(|read| format!("{read:?}")));
            let (whole, split) = (read(&Method::GET, &[text.as_bytes()]), read(&Method::GET, &pieces));
            // What is wrong may be noticed later, but never becomes a head.
            match shown(whole) {
                Ok(whole) => prop_assert_eq!(shown(split), Ok(whole)),
                Err(_) => prop_assert!(!matches!(split, Ok(Some(_)))),
            }
        }

        #[test]
        fn nothing_that_comes_does_harm(text: Vec<u8>, size in 1..30_usize) {
            let pieces: Vec<&[u8]> = text.chunks(size).collect();
            let _ = read(&Method::GET, &pieces);
        }
    }
}
