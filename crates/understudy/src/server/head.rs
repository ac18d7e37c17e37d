//! Reading the head of a request.

use bytes::{Buf, Bytes, BytesMut};

use crate::body_decoder::BodyDecoder;
use crate::received::{Outcome, Received};
use crate::reply::Request;

/// Heads longer than this are refused.
const LONGEST_HEAD: usize = 1024 * 1024;
const MOST_HEADERS: usize = 256;

/// What is known of a request once its head is read.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) received: Received,
    pub(super) body: BodyDecoder,
    pub(super) request: Request,
    pub(super) keeps_connection: bool,
    pub(super) expects_continue: bool,
}

/// What the bytes at the beginning of a request are.
#[derive(Debug)]
pub(super) enum Parsed {
    Whole(Box<Head>),
    Partial,
    Malformed,
}

/// Takes the head off `input`, if all of it is there.
pub(super) fn parse(input: &mut BytesMut) -> Parsed {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let (length, received, is_newer) = match request.parse(input) {
        Ok(httparse::Status::Partial) if input.len() > LONGEST_HEAD => return Parsed::Malformed,
        Ok(httparse::Status::Partial) => return Parsed::Partial,
        Ok(httparse::Status::Complete(length)) => (length, received(&request), request.version == Some(1)),
        Err(_) => return Parsed::Malformed,
    };
    input.advance(length);
    let framing = BodyDecoder::for_headers(received.header("transfer-encoding"), received.header("content-length"));
    let Ok(body) = framing.map(|body| body.unwrap_or(BodyDecoder::Length(0))) else {
        return Parsed::Malformed;
    };
    let connection = received
        .header_text("connection")
        .unwrap_or_default()
        .to_ascii_lowercase();
    Parsed::Whole(Box::new(Head {
        request: Request {
            is_head: received.method == "HEAD",
            knows_chunks: is_newer,
        },
        keeps_connection: if is_newer {
            !connection.contains("close")
        } else {
            connection.contains("keep-alive")
        },
        expects_continue: received
            .header_text("expect")
            .is_some_and(|value| value.eq_ignore_ascii_case("100-continue")),
        body,
        received,
    }))
}

fn received(request: &httparse::Request<'_, '_>) -> Received {
    Received {
        number: 0,
        connection: 0,
        method: request.method.unwrap_or_default().to_owned(),
        target: request.path.unwrap_or_default().to_owned(),
        version: if request.version == Some(1) {
            "HTTP/1.1"
        } else {
            "HTTP/1.0"
        },
        tls: false,
        server_name: None,
        headers: request
            .headers
            .iter()
            .map(|header| (header.name.to_owned(), Bytes::copy_from_slice(header.value)))
            .collect(),
        body: Bytes::new(),
        body_complete: false,
        outcome: Outcome::Open,
    }
}
