//! The head of a request, without any connection.

use std::mem::MaybeUninit;

use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, Request, Uri, Version};
use bytes::{Buf as _, Bytes};
use httparse::Status;

use crate::failure::Failure;
use crate::http1::Malformed;
use crate::http1::body::Framing;
use crate::http1::head::{Gathering, Headers, MAX_HEADERS, version};

/// So many headers the gateway adds to those of a request: its id.
const ADDED: usize = 1;

/// The most bytes of a head.
pub const MAX_HEAD: usize = 64 * 1024;

/// The head of a request, and what it says about the rest.
#[derive(Debug)]
pub struct Head {
    /// The request, but for its body. In a box, as it goes through many hands.
    pub parts: Box<Parts>,
    /// How the body ends.
    pub framing: Framing,
    /// The client means to use the connection again.
    pub keeps_connection: bool,
    /// The client waits for a word before it sends the body.
    pub expects_continue: bool,
}

/// Takes the head of a request out of the bytes of a connection.
#[derive(Debug, Default)]
pub struct HeadReader {
    gathering: Gathering,
}

/// Why the bytes that came are no request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// They are not HTTP, or ambiguous.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The request line makes no sense.
    #[error("its target is no address")]
    Target,
    /// Another transfer encoding than chunks, or one beside a length.
    #[error("its transfer-encoding is not just `chunked`, or stands beside a content-length")]
    Encoding,
    /// The head has no end, or too many headers.
    #[error("its head is larger than {MAX_HEAD} bytes or has more than {MAX_HEADERS} headers")]
    TooLarge,
}

impl Refused {
    /// What the client is told.
    pub fn failure(self) -> Failure {
        match self {
            Self::TooLarge => Failure::head_too_large(&self),
            Self::Malformed(_) | Self::Target | Self::Encoding => Failure::head_unreadable(&self),
        }
    }
}

impl From<httparse::Error> for Refused {
    fn from(error: httparse::Error) -> Self {
        match error {
            httparse::Error::TooManyHeaders => Self::TooLarge,
            error => Self::Malformed(error.into()),
        }
    }
}

impl HeadReader {
    /// Whether a part of a head has come.
    pub fn has_begun(&self) -> bool {
        !self.gathering.is_empty()
    }

    /// Takes what has come. With a head comes what follows it.
    pub fn push(&mut self, mut piece: Bytes) -> Result<Option<(Head, Bytes)>, Refused> {
        if !self.has_begun() {
            // Some clients end a body with an empty line that is not a part of it.
            let blank = piece.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
            piece.advance(blank);
            if piece.is_empty() {
                return Ok(None);
            }
        }
        if let Some(mut come) = self.gathering.push(piece) {
            if let Some((length, head)) = parse(&come)? {
                if length > MAX_HEAD {
                    return Err(Refused::TooLarge);
                }
                // Also what is empty would hold the memory.
                let rest = if length == come.len() {
                    Bytes::new()
                } else {
                    come.split_off(length)
                };
                return Ok(Some((head, rest)));
            }
            self.gathering.put_back(come);
        }
        if self.gathering.len() >= MAX_HEAD {
            return Err(Refused::TooLarge);
        }
        Ok(None)
    }

    /// No more comes: what is wrong with the beginning of a head that has come, if anything is beside its missing end.
    pub fn end(&mut self) -> Result<(), Refused> {
        parse(&self.gathering.take()).map(drop)
    }
}

/// The length of a head and what it says; `None` if it is not whole.
fn parse(text: &Bytes) -> Result<Option<(usize, Head)>, Refused> {
    let mut space = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let mut parsed = httparse::Request::new(&mut []);
    let status = httparse::ParserConfig::default().parse_request_with_uninit_headers(&mut parsed, text, &mut space)?;
    let Status::Complete(length) = status else {
        return Ok(None);
    };
    let (Some(method), Some(target)) = (parsed.method, parsed.path) else {
        return Err(Refused::Target);
    };
    let (parts, ()) = Request::new(()).into_parts();
    let mut parts = Box::new(parts);
    parts.method = Method::from_bytes(method.as_bytes()).map_err(|_| httparse::Error::Token)?;
    parts.uri = Uri::from_maybe_shared(text.slice_ref(target.as_bytes())).map_err(|_| Refused::Target)?;
    let version = version(parsed.version);
    parts.version = version;
    let headers = Headers::of(text, parsed.headers, ADDED)?;
    let (framing, keeps_connection) = (framing(version, &headers)?, headers.keep_connection(version));
    let expects_continue = version == Version::HTTP_11 && expects_continue(&headers);
    parts.headers = headers.map;
    let head = Head {
        parts,
        framing,
        keeps_connection,
        expects_continue,
    };
    Ok(Some((length, head)))
}

/// How a body ends. What is ambiguous is refused, as somebody before us may have understood it in another way, and another
/// request may be hidden in it (RFC 9112, section 11.2).
fn framing(version: Version, headers: &Headers) -> Result<Framing, Refused> {
    let Some(encodings) = headers.transfer_encoding() else {
        return Ok(Framing::Length(headers.content_length()?.unwrap_or(0)));
    };
    let is_chunked = |encoding: &HeaderValue| encoding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked");
    let is_chunked = encodings.iter().all(is_chunked) && encodings.iter().nth(1).is_none();
    if !is_chunked || version == Version::HTTP_10 || headers.has_length() {
        return Err(Refused::Encoding);
    }
    Ok(Framing::Chunked)
}

fn expects_continue(headers: &Headers) -> bool {
    let expected = headers.expectation();
    expected.is_some_and(|expected| expected.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(pieces: &[&[u8]]) -> Result<Option<(Head, Bytes)>, Refused> {
        let mut reader = HeadReader::default();
        for (at, piece) in pieces.iter().enumerate() {
            if let Some((head, rest)) = reader.push(Bytes::copy_from_slice(piece))? {
                let rest = [&[&rest[..]], &pieces[at + 1..]].concat().concat();
                return Ok(Some((head, Bytes::from(rest))));
            }
        }
        Ok(None)
    }

    fn head(text: &str) -> Result<Head, Refused> {
        read(&[format!("{text}\r\n\r\n").as_bytes()]).map(|read| read.expect("a whole head").0)
    }

    #[test]
    fn how_a_body_ends_and_whether_the_connection_stays() {
        use Framing::{Chunked, Length};
        for (text, framing, keeps, expects) in [
            ("GET / HTTP/1.1", Length(0), true, false),
            ("GET / HTTP/1.0", Length(0), false, false),
            ("GET / HTTP/1.0\r\nConnection: x, Keep-Alive", Length(0), true, false),
            (
                "GET / HTTP/1.1\r\nConnection: x\r\nConnection: y,close",
                Length(0),
                false,
                false,
            ),
            (
                "POST / HTTP/1.1\r\nContent-Length: 7\r\ncontent-length:7",
                Length(7),
                true,
                false,
            ),
            ("GET / HTTP/1.1\r\nTransfer-Encoding: Chunked ", Chunked, true, false),
            (
                "POST / HTTP/1.1\r\nContent-Length: 7\r\nExpect: 100-Continue",
                Length(7),
                true,
                true,
            ),
            (
                "POST / HTTP/1.0\r\nContent-Length: 7\r\nExpect: 100-continue",
                Length(7),
                false,
                false,
            ),
        ] {
            let head = head(text).unwrap();
            let said = (head.framing, head.keeps_connection, head.expects_continue);
            assert_eq!(said, (framing, keeps, expects), "{text}");
        }
    }

    #[test]
    fn targets() {
        for (target, path) in [
            ("/a/b?c=d", Some("/a/b")),
            ("http://host:81/a?b", Some("/a")),
            ("*", Some("*")),
            ("host:443", Some("")),
            ("/\u{fc}", Some("/\u{fc}")),
            ("a b", None),
            ("http://", None),
            ("", None),
        ] {
            let head = head(&format!("OPTIONS {target} HTTP/1.1")).ok();
            assert_eq!(head.as_ref().map(|head| head.parts.uri.path()), path, "{target}");
        }
    }

    #[test]
    fn a_head_is_bounded() {
        let large = |count: usize| format!("GET / HTTP/1.1\r\na: {}", "b".repeat(count));
        assert!(head(&large(MAX_HEAD - 100)).is_ok());
        for text in [
            large(MAX_HEAD),
            format!("GET / HTTP/1.1{}", "\r\na: b".repeat(MAX_HEADERS + 1)),
        ] {
            assert_eq!(head(&text).unwrap_err(), Refused::TooLarge);
        }
        assert!(head(&format!("GET / HTTP/1.1{}", "\r\na: b".repeat(MAX_HEADERS))).is_ok());
        let mut reader = HeadReader::default();
        let mut pushed = 0;
        while let Ok(head) = reader.push(Bytes::from(large(10))) {
            assert!(head.is_none());
            pushed += 1;
        }
        assert!(pushed < MAX_HEAD / 20);
    }

    #[test]
    fn nothing_is_held_of_what_was_taken() {
        let (_, rest) = read(&[b"GET / HTTP/1.1\r\n\r\n"]).unwrap().unwrap();
        assert!(rest.is_empty());
        let (_, rest) = read(&[b"\r\n", b"\nGET / HTTP/1.1\r\n", b"\r\nrest"]).unwrap().unwrap();
        assert_eq!(rest, "rest");
    }

    proptest! {
        #[test]
        fn splits_do_not_matter(
            text in "(\r\n)?(GET|POST|\\PC{0,2}) (/|\\*|\\PC{0,3}) HTTP/1\\.[01]\r\n((Content-Length|transfer-encoding|x|\\PC{0,2}): ?(7|chunked|\\PC{0,3})\r?\n){0,3}\r?\n?[a-z]{0,3}",
            size in 1..30_usize,
        ) {
            let pieces: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
            let shown = |read: Result<Option<(Head, Bytes)>, Refused>| read.map(|read| read.map(|read| format!("{read:?}")));
            let (whole, split) = (read(&[text.as_bytes()]), read(&pieces));
            // What is wrong may be noticed later, but never becomes a head.
            match shown(whole) {
                Ok(whole) => prop_assert_eq!(shown(split), Ok(whole)),
                Err(_) => prop_assert!(!matches!(split, Ok(Some(_)))),
            }
        }

        #[test]
        fn nothing_that_comes_does_harm(text: Vec<u8>, size in 1..30_usize) {
            let pieces: Vec<&[u8]> = text.chunks(size).collect();
            let _ = read(&pieces);
        }
    }
}
