//! The head of a request, as it is sent.

use axum::http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use axum::http::{HeaderName, HeaderValue, Method};

use crate::http1::head::push_content_length;
use crate::http1::scratch::Scratch;
use crate::upstream::base::BaseUrl;
use crate::upstream::call_headers::CallHeaders;

/// Bytes of a header, as a guess for the space of a head.
const HEADER: usize = 48;

/// A request, but for its body.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'a> {
    /// The method.
    pub method: &'a Method,
    /// The host.
    pub base: &'a BaseUrl,
    /// The path and query.
    pub path: &'a str,
    /// Everything but `Host`, lengths and transfer encodings.
    pub headers: &'a CallHeaders<'a>,
    /// The request goes to a proxy, which has to be told the whole URL.
    pub whole_url: bool,
}

/// How the server is told where a request body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// There is none.
    Nothing,
    /// By its length.
    Length(u64),
    /// In chunks.
    Chunked,
}

impl Extent {
    /// How a body of this length is announced. Without one these methods have no body, as chunks would be a surprise to most
    /// servers.
    pub fn of(length: Option<u64>, method: &Method) -> Self {
        let seldom_has_body = matches!(*method, Method::GET | Method::HEAD | Method::DELETE | Method::OPTIONS);
        match length {
            Some(0) if seldom_has_body => Self::Nothing,
            Some(length) => Self::Length(length),
            None if matches!(*method, Method::GET | Method::HEAD) => Self::Nothing,
            None => Self::Chunked,
        }
    }
}

impl RequestHead<'_> {
    /// The bytes of the head, with room for `more`.
    pub fn write(&self, extent: Extent, more: usize) -> Scratch {
        let mut text = Scratch::with_capacity(128 + self.path.len() + HEADER * self.headers.len() + more);
        text.extend_from_slice(self.method.as_str().as_bytes());
        text.push(b' ');
        if self.whole_url {
            text.extend_from_slice(self.base.scheme.as_str().as_bytes());
            text.extend_from_slice(b"://");
            text.extend_from_slice(self.base.authority.as_str().as_bytes());
        }
        text.extend_from_slice(self.path.as_bytes());
        text.extend_from_slice(b" HTTP/1.1\r\n");
        push(&mut text, &HOST, &self.base.host);
        for (name, value) in self.headers.iter() {
            if !matches!(*name, HOST | CONTENT_LENGTH | TRANSFER_ENCODING) {
                push(&mut text, name, value);
            }
        }
        match extent {
            Extent::Nothing => {}
            Extent::Chunked => text.extend_from_slice(b"transfer-encoding: chunked\r\n"),
            Extent::Length(length) => push_content_length(&mut text, length),
        }
        text.extend_from_slice(b"\r\n");
        text
    }
}

fn push(text: &mut Vec<u8>, name: &HeaderName, value: &HeaderValue) {
    text.extend_from_slice(name.as_str().as_bytes());
    text.extend_from_slice(b": ");
    text.extend_from_slice(value.as_bytes());
    text.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(method: &Method, whole_url: bool, extent: Extent) -> String {
        let base = BaseUrl::parse("http://host:81/v1", "").unwrap();
        let headers = [("x-a", "1"), ("content-length", "9"), ("host", "other"), ("x-b", "2")];
        let headers = headers.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        let headers = headers.into_iter().collect();
        let head = RequestHead {
            method,
            base: &base,
            path: "/v1/models?a=b",
            headers: &CallHeaders::from(&headers),
            whole_url,
        };
        String::from_utf8(head.write(extent, 0).to_vec()).unwrap()
    }

    #[test]
    fn heads() {
        assert_eq!(
            written(&Method::GET, false, Extent::Nothing),
            "GET /v1/models?a=b HTTP/1.1\r\nhost: host:81\r\nx-a: 1\r\nx-b: 2\r\n\r\n"
        );
        assert_eq!(
            written(&Method::PUT, true, Extent::Length(7)),
            "PUT http://host:81/v1/models?a=b HTTP/1.1\r\nhost: host:81\r\nx-a: 1\r\nx-b: 2\r\ncontent-length: 7\r\n\r\n"
        );
        assert!(written(&Method::POST, false, Extent::Chunked).ends_with("transfer-encoding: chunked\r\n\r\n"));
    }

    #[test]
    fn bodies_are_announced() {
        for (length, method, extent) in [
            (Some(3), Method::POST, Extent::Length(3)),
            (Some(3), Method::GET, Extent::Length(3)),
            (Some(0), Method::POST, Extent::Length(0)),
            (Some(0), Method::DELETE, Extent::Nothing),
            (None, Method::POST, Extent::Chunked),
            (None, Method::DELETE, Extent::Chunked),
            (None, Method::GET, Extent::Nothing),
        ] {
            assert_eq!(Extent::of(length, &method), extent, "{method} {length:?}");
        }
    }
}
