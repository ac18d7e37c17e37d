//! What the heads of requests and answers have in common, without any connection.

use axum::http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, GetAll, TRANSFER_ENCODING};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Version};
use bytes::{Bytes, BytesMut};

use super::Malformed;

/// The most headers of one head.
pub const MAX_HEADERS: usize = 100;

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

/// The headers of a head, with a note of those that are about the connection: most heads have one of them, and need not be
/// searched for the others.
#[derive(Debug, Default)]
pub struct Headers {
    /// All of them.
    pub map: HeaderMap,
    has_connection: bool,
    length: Length,
    has_encoding: bool,
    has_expectation: bool,
}

impl Headers {
    /// Those that were parsed, as parts of the text of the head, without a copy. With room for those that the gateway adds,
    /// the others need not be moved.
    pub fn of(text: &Bytes, parsed: &[httparse::Header<'_>], added: usize) -> Result<Self, Malformed> {
        let mut headers = Self {
            map: HeaderMap::with_capacity(parsed.len() + added),
            ..Self::default()
        };
        for header in parsed {
            let name = HeaderName::from_bytes(header.name.as_bytes()).map_err(|_| httparse::Error::HeaderName)?;
            match name {
                CONNECTION => headers.has_connection = true,
                CONTENT_LENGTH => headers.length = headers.length.and(header.value),
                TRANSFER_ENCODING => headers.has_encoding = true,
                EXPECT => headers.has_expectation = true,
                _ => {}
            }
            let value = HeaderValue::from_maybe_shared(text.slice_ref(header.value));
            headers
                .map
                .append(name, value.map_err(|_| httparse::Error::HeaderValue)?);
        }
        Ok(headers)
    }

    /// The length of a body, where it is said. It may be said several times, if it is the same.
    pub fn content_length(&self) -> Result<Option<u64>, Malformed> {
        match self.length {
            Length::Unsaid => Ok(None),
            Length::Said(length) => Ok(Some(length)),
            Length::Wrong => Err(Malformed::ContentLength),
        }
    }

    /// Takes the length of a body away that is not what follows.
    pub fn remove_length(&mut self) {
        self.map.remove(CONTENT_LENGTH);
        self.length = Length::Unsaid;
    }

    /// Whether a length is said, be it right or wrong.
    pub fn has_length(&self) -> bool {
        self.length != Length::Unsaid
    }

    /// How the body is encoded on its way, where that is said.
    pub fn transfer_encoding(&self) -> Option<GetAll<'_, HeaderValue>> {
        self.has_encoding.then(|| self.map.get_all(TRANSFER_ENCODING))
    }

    /// What is expected before the body is sent.
    pub fn expectation(&self) -> Option<&HeaderValue> {
        self.has_expectation.then(|| self.map.get(EXPECT)).flatten()
    }

    /// Whether the other side means to use the connection again.
    pub fn keep_connection(&self, version: Version) -> bool {
        if !self.has_connection {
            return version == Version::HTTP_11;
        }
        let says = |word: &str| {
            self.map.get_all(CONNECTION).iter().any(|value| {
                let mut words = value.as_bytes().split(|&byte| byte == b',');
                words.any(|said| said.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
            })
        };
        !says("close") && (version == Version::HTTP_11 || says("keep-alive"))
    }
}

/// The version of HTTP, as `httparse` tells it.
pub fn version(minor: Option<u8>) -> Version {
    if minor == Some(0) {
        Version::HTTP_10
    } else {
        Version::HTTP_11
    }
}

/// What is said of the length of a body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Length {
    #[default]
    Unsaid,
    Said(u64),
    /// No number, or several.
    Wrong,
}

impl Length {
    /// With what one more header says.
    fn and(self, value: &[u8]) -> Self {
        value
            .split(|&byte| byte == b',')
            .fold(self, |before, text| match (number(text.trim_ascii()), before) {
                (Some(length), Self::Unsaid) => Self::Said(length),
                (Some(length), Self::Said(other)) if length == other => before,
                _ => Self::Wrong,
            })
    }
}

/// A number without a sign, which `parse` would allow.
fn number(text: &[u8]) -> Option<u64> {
    let digit = |byte: &u8| byte.is_ascii_digit().then(|| u64::from(byte - b'0'));
    let first = text.first().and_then(digit)?;
    text[1..]
        .iter()
        .try_fold(first, |number, byte| number.checked_mul(10)?.checked_add(digit(byte)?))
}
