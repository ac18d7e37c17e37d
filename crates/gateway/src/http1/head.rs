//! What the heads of requests and answers have in common, without any connection.

use axum::http::header::{CONNECTION, CONTENT_LENGTH};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Version};
use bytes::{Bytes, BytesMut};

use super::Malformed;

/// The most headers of one head.
pub const MAX_HEADERS: usize = 100;

/// So many headers the gateway itself adds to a head. With room for them, the rest need not be moved.
const ADDED: usize = 5;

/// Gathers the bytes of a head that comes in pieces, and tells when it is worth reading them.
#[derive(Debug, Default)]
pub struct Gathering {
    partial: BytesMut,
}

impl Gathering {
    /// Takes what has come. All that is there, if there may be a whole head in it.
    pub fn push(&mut self, piece: Bytes) -> Option<Bytes> {
        if self.partial.is_empty() {
            return Some(piece);
        }
        // The end of a head may be spread over two pieces.
        let unseen = self.partial.len().saturating_sub(3);
        self.partial.extend_from_slice(&piece);
        has_empty_line(&self.partial[unseen..]).then(|| std::mem::take(&mut self.partial).freeze())
    }

    /// What is held, when no more comes.
    pub fn take(&mut self) -> Bytes {
        std::mem::take(&mut self.partial).freeze()
    }

    /// Takes back what was no whole head.
    pub fn put_back(&mut self, come: Bytes) {
        self.partial = BytesMut::from(come);
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.partial.is_empty()
    }

    /// How many bytes are held.
    pub fn len(&self) -> usize {
        self.partial.len()
    }
}

fn has_empty_line(text: &[u8]) -> bool {
    memchr::memchr_iter(b'\n', text).any(|at| {
        let next = &text[at + 1..];
        next.starts_with(b"\n") || next.starts_with(b"\r\n")
    })
}

/// Appends a `content-length`. Formatting macros would take longer than several other headers together.
pub fn push_content_length(text: &mut Vec<u8>, length: u64) {
    text.extend_from_slice(b"content-length: ");
    push_number(text, length);
    text.extend_from_slice(b"\r\n");
}

fn push_number(text: &mut Vec<u8>, number: u64) {
    if number >= 10 {
        push_number(text, number / 10);
    }
    text.push(b'0' + u8::try_from(number % 10).unwrap_or(0));
}

/// The headers of a head, as parts of its text, without a copy.
pub fn headers(text: &Bytes, parsed: &[httparse::Header<'_>]) -> Result<HeaderMap, Malformed> {
    let mut headers = HeaderMap::with_capacity(parsed.len() + ADDED);
    for header in parsed {
        let name = HeaderName::from_bytes(header.name.as_bytes()).map_err(|_| httparse::Error::HeaderName)?;
        let value = HeaderValue::from_maybe_shared(text.slice_ref(header.value));
        headers.append(name, value.map_err(|_| httparse::Error::HeaderValue)?);
    }
    Ok(headers)
}

/// The version of HTTP, as `httparse` tells it.
pub fn version(minor: Option<u8>) -> Version {
    if minor == Some(0) {
        Version::HTTP_10
    } else {
        Version::HTTP_11
    }
}

/// The length of a body, where it is said. It may be said several times, if it is the same.
pub fn content_length(headers: &HeaderMap) -> Result<Option<u64>, Malformed> {
    let mut length = None;
    for value in headers.get_all(CONTENT_LENGTH) {
        for text in value.as_bytes().split(|&byte| byte == b',') {
            let stated = digits(text.trim_ascii()).ok_or(Malformed::ContentLength)?;
            if *length.get_or_insert(stated) != stated {
                return Err(Malformed::ContentLength);
            }
        }
    }
    Ok(length)
}

/// A number without a sign, which `parse` would allow.
fn digits(text: &[u8]) -> Option<u64> {
    let is_number = text.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(text).ok().filter(|_| is_number)?.parse().ok()
}

/// Whether the other side means to use the connection again.
pub fn keeps_connection(version: Version, headers: &HeaderMap) -> bool {
    let says = |word: &str| {
        headers.get_all(CONNECTION).iter().any(|value| {
            let mut words = value.as_bytes().split(|&byte| byte == b',');
            words.any(|said| said.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
        })
    };
    !says("close") && (version == Version::HTTP_11 || says("keep-alive"))
}
