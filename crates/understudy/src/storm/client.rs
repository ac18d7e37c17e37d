//! A client of the gateway: one kept connection, one question after the other.

use std::io;
use std::net::SocketAddr;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::body_decoder::BodyDecoder;

/// No answer of a storm is longer.
const MOST_BODY: usize = 4 * 1024 * 1024;

/// A connection, opened when it is first needed and again after it broke.
#[derive(Debug)]
pub(super) struct Client {
    address: SocketAddr,
    stream: Option<TcpStream>,
    input: BytesMut,
}

/// An answer as it came.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) status: u16,
    headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    /// The body came to the end that HTTP announces.
    pub(super) is_whole: bool,
}

impl Client {
    pub(super) fn new(address: SocketAddr) -> Self {
        Self {
            address,
            stream: None,
            input: BytesMut::new(),
        }
    }

    /// Sends a request and reads the answer. An error if not even its head came. Dropped on its way, it hangs up.
    pub(super) async fn ask(&mut self, request: &[u8]) -> io::Result<Answer> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => self.open().await?,
        };
        stream.write_all(request).await?;
        let (mut answer, decoder, mut keeps) = self.head(&mut stream).await?;
        answer.is_whole = self.body(&mut stream, decoder, &mut answer.body).await.is_ok();
        keeps &= answer.is_whole && decoder != BodyDecoder::UntilClose;
        if keeps {
            self.stream = Some(stream);
        }
        Ok(answer)
    }

    async fn open(&mut self) -> io::Result<TcpStream> {
        self.input.clear();
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    async fn head(&mut self, stream: &mut TcpStream) -> io::Result<(Answer, BodyDecoder, bool)> {
        loop {
            if let Some(head) = parse_head(&mut self.input)? {
                return Ok(head);
            }
            self.read(stream).await?;
        }
    }

    async fn body(&mut self, stream: &mut TcpStream, mut decoder: BodyDecoder, body: &mut Vec<u8>) -> io::Result<()> {
        loop {
            decoder
                .decode(&mut self.input, |data| body.extend_from_slice(data))
                .map_err(|_| io::ErrorKind::InvalidData)?;
            if decoder.is_done() {
                return Ok(());
            }
            if body.len() > MOST_BODY {
                return Err(io::ErrorKind::FileTooLarge.into());
            }
            match self.read(stream).await {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && decoder == BodyDecoder::UntilClose => {
                    return Ok(());
                }
                read => read?,
            }
        }
    }

    async fn read(&mut self, stream: &mut TcpStream) -> io::Result<()> {
        self.input.reserve(8 * 1024);
        match stream.read_buf(&mut self.input).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

impl Answer {
    /// The first header of that name.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(own, _)| own.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// How many times the gateway asked somebody.
    pub(super) fn attempts(&self) -> u64 {
        self.header("x-mynah-attempts")
            .and_then(|attempts| attempts.parse().ok())
            .unwrap_or_default()
    }
}

/// Takes the head of an answer off `input`, if all of it is there: with how its body is framed, and whether the connection
/// can be used again.
fn parse_head(input: &mut BytesMut) -> io::Result<Option<(Answer, BodyDecoder, bool)>> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(length) = response.parse(input).map_err(|_| io::ErrorKind::InvalidData)? else {
        return Ok(None);
    };
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let answer = Answer {
        status: response.code.unwrap_or_default(),
        headers: response
            .headers
            .iter()
            .map(|header| (header.name.to_owned(), text(header.value)))
            .collect(),
        ..Answer::default()
    };
    let framing = BodyDecoder::for_headers(
        answer.header("transfer-encoding").map(str::as_bytes),
        answer.header("content-length").map(str::as_bytes),
    );
    let framing = framing.map_err(|_| io::ErrorKind::InvalidData)?;
    let is_closing = answer
        .header("connection")
        .is_some_and(|value| value.eq_ignore_ascii_case("close"));
    input.advance(length);
    Ok(Some((answer, framing.unwrap_or(BodyDecoder::UntilClose), !is_closing)))
}
