//! The head of an answer, as it is sent.

use std::cell::RefCell;

use axum::http::header::{CONNECTION, CONTENT_LENGTH, DATE, TRANSFER_ENCODING};
use axum::http::response::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version};

use crate::http1::head::push_content_length;
use crate::http1::scratch::Scratch;

/// Bytes of a header, as a guess for the space of a head.
const HEADER: usize = 48;

/// How the client is told where the body of an answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// By its length. These bytes are left.
    Length(u64),
    /// In chunks.
    Chunked,
    /// By the end of the connection.
    UntilClose,
}

/// What counts of a request for the head of its answer.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The method.
    pub method: Method,
    /// The version of HTTP of the request.
    pub version: Version,
    /// The connection is used again.
    pub keeps_connection: bool,
}

impl Asked {
    /// How the body of an answer ends, of which the length may be known.
    pub fn extent(&self, status: StatusCode, headers: &HeaderMap, length: Option<u64>) -> Extent {
        if self.method == Method::HEAD || has_no_body(status) || status == StatusCode::NOT_MODIFIED {
            return Extent::Length(0);
        }
        let stated = || headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok();
        match length.or_else(stated) {
            Some(length) => Extent::Length(length),
            None if self.version == Version::HTTP_10 => Extent::UntilClose,
            None => Extent::Chunked,
        }
    }

    /// The bytes of the head, with room for `more`. What belongs to the connection is said here alone.
    pub fn write(&self, answer: &Parts, length: Option<u64>, extent: Extent, more: usize) -> Scratch {
        let headers = &answer.headers;
        let mut text = Scratch::with_capacity(160 + HEADER * headers.len() + more);
        let version: &[u8] = if self.version == Version::HTTP_10 {
            b"HTTP/1.0 "
        } else {
            b"HTTP/1.1 "
        };
        text.extend_from_slice(version);
        text.extend_from_slice(answer.status.as_str().as_bytes());
        text.push(b' ');
        text.extend_from_slice(answer.status.canonical_reason().unwrap_or_default().as_bytes());
        text.extend_from_slice(b"\r\n");
        let (mut length, mut has_date) = (self.length(answer, length, extent), false);
        for (name, value) in headers {
            match *name {
                CONNECTION | TRANSFER_ENCODING => continue,
                CONTENT_LENGTH if self.method != Method::HEAD && answer.status != StatusCode::NOT_MODIFIED => continue,
                // That of what would have been the body.
                CONTENT_LENGTH => length = None,
                DATE => has_date = true,
                _ => {}
            }
            push(&mut text, name, value);
        }
        if extent == Extent::Chunked {
            text.extend_from_slice(b"transfer-encoding: chunked\r\n");
        }
        if let Some(length) = length {
            push_content_length(&mut text, length);
        }
        match (self.version, self.keeps_connection) {
            (Version::HTTP_10, true) => text.extend_from_slice(b"connection: keep-alive\r\n"),
            (Version::HTTP_10, false) | (_, true) => {}
            (_, false) => text.extend_from_slice(b"connection: close\r\n"),
        }
        if !has_date {
            push_date(&mut text);
        }
        text.extend_from_slice(b"\r\n");
        text
    }

    /// The length to state. Where the body is left out, its length is known only if it is not nothing.
    fn length(&self, answer: &Parts, length: Option<u64>, extent: Extent) -> Option<u64> {
        if has_no_body(answer.status) {
            return None;
        }
        if self.method == Method::HEAD || answer.status == StatusCode::NOT_MODIFIED {
            return length.filter(|length| *length > 0);
        }
        match extent {
            Extent::Length(length) => Some(length),
            Extent::Chunked | Extent::UntilClose => None,
        }
    }
}

/// Whether answers of this status have no body, and no length.
fn has_no_body(status: StatusCode) -> bool {
    status.is_informational() || status == StatusCode::NO_CONTENT
}

fn push(text: &mut Vec<u8>, name: &HeaderName, value: &HeaderValue) {
    text.extend_from_slice(name.as_str().as_bytes());
    text.extend_from_slice(b": ");
    text.extend_from_slice(value.as_bytes());
    text.extend_from_slice(b"\r\n");
}

thread_local! {
    /// The second that was written last, and how it is written.
    static DATE_LINE: RefCell<(i64, String)> = const { RefCell::new((i64::MIN, String::new())) };
}

/// Appends the time of day, which is formatted once in a second.
fn push_date(text: &mut Vec<u8>) {
    let now = jiff::Timestamp::now();
    DATE_LINE.with_borrow_mut(|(second, line)| {
        if *second != now.as_second() {
            line.clear();
            *second = now.as_second();
            let printer = jiff::fmt::rfc2822::DateTimePrinter::new();
            if let Ok(date) = printer.timestamp_to_rfc9110_string(&now) {
                line.push_str("date: ");
                line.push_str(&date);
                line.push_str("\r\n");
            }
        }
        text.extend_from_slice(line.as_bytes());
    });
}

#[cfg(test)]
mod tests {
    use axum::response::Response;

    use super::*;

    /// The head of an answer to `METHOD VERSION`, but for its date.
    fn head(asked: &str, keeps_connection: bool, status: u16, headers: &[(&str, &str)], length: Option<u64>) -> String {
        let (method, version) = asked.split_once(' ').unwrap();
        let asked = Asked {
            method: method.parse().unwrap(),
            version: if version == "1.0" {
                Version::HTTP_10
            } else {
                Version::HTTP_11
            },
            keeps_connection,
        };
        let (mut parts, ()) = Response::new(()).into_parts();
        parts.status = StatusCode::from_u16(status).unwrap();
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            parts.headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        let extent = asked.extent(parts.status, &parts.headers, length);
        let text = String::from_utf8(asked.write(&parts, length, extent, 0).to_vec()).unwrap();
        let (text, date) = text.split_once("date: ").unwrap();
        assert!(date.ends_with("\r\n\r\n"));
        text.replace("\r\n", "|")
    }

    #[test]
    fn how_an_answer_ends_and_whether_another_one_may_follow() {
        let length = &[("content-length", "7")][..];
        let ours = &[("connection", "x"), ("transfer-encoding", "x"), ("a", "1"), ("a", "2")][..];
        for (asked, keeps, status, headers, known, expected) in [
            (
                "GET 1.1",
                true,
                200,
                &[][..],
                Some(5),
                "HTTP/1.1 200 OK|content-length: 5|",
            ),
            ("GET 1.1", true, 200, &[], Some(0), "HTTP/1.1 200 OK|content-length: 0|"),
            (
                "GET 1.1",
                true,
                200,
                &[],
                None,
                "HTTP/1.1 200 OK|transfer-encoding: chunked|",
            ),
            (
                "GET 1.1",
                false,
                200,
                &[],
                Some(5),
                "HTTP/1.1 200 OK|content-length: 5|connection: close|",
            ),
            ("GET 1.1", true, 200, length, None, "HTTP/1.1 200 OK|content-length: 7|"),
            (
                "GET 1.1",
                true,
                200,
                length,
                Some(5),
                "HTTP/1.1 200 OK|content-length: 5|",
            ),
            (
                "GET 1.1",
                true,
                599,
                ours,
                Some(5),
                "HTTP/1.1 599 |a: 1|a: 2|content-length: 5|",
            ),
            (
                "GET 1.0",
                true,
                200,
                &[],
                Some(5),
                "HTTP/1.0 200 OK|content-length: 5|connection: keep-alive|",
            ),
            ("GET 1.0", false, 200, &[], None, "HTTP/1.0 200 OK|"),
            (
                "HEAD 1.1",
                true,
                200,
                length,
                Some(0),
                "HTTP/1.1 200 OK|content-length: 7|",
            ),
            (
                "HEAD 1.1",
                true,
                200,
                &[],
                Some(5),
                "HTTP/1.1 200 OK|content-length: 5|",
            ),
            ("HEAD 1.1", true, 200, &[], None, "HTTP/1.1 200 OK|"),
            ("GET 1.1", true, 204, length, Some(0), "HTTP/1.1 204 No Content|"),
            (
                "GET 1.1",
                true,
                304,
                length,
                Some(0),
                "HTTP/1.1 304 Not Modified|content-length: 7|",
            ),
            ("GET 1.1", true, 304, &[], Some(0), "HTTP/1.1 304 Not Modified|"),
        ] {
            assert_eq!(head(asked, keeps, status, headers, known), expected, "{asked} {status}");
        }
    }

    #[test]
    fn a_date_that_is_there_stays() {
        let asked = Asked {
            method: Method::GET,
            version: Version::HTTP_11,
            keeps_connection: true,
        };
        let (mut parts, ()) = Response::new(()).into_parts();
        parts.headers.insert(DATE, HeaderValue::from_static("then"));
        let text = asked.write(&parts, Some(0), Extent::Length(0), 0);
        assert_eq!(*text, b"HTTP/1.1 200 OK\r\ndate: then\r\ncontent-length: 0\r\n\r\n");
        let mut text = Vec::new();
        push_date(&mut text);
        assert_eq!(text.len(), "date: Sat, 21 Nov 2026 09:00:00 GMT\r\n".len());
    }
}
