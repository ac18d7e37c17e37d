//! A minimal client: one kept-alive connection.

use std::io;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::target::Target;
use crate::body_decoder::BodyDecoder;

/// A connection, opened when it is first needed and again after it broke.
#[derive(Debug, Default)]
pub(super) struct Connection {
    stream: Option<TcpStream>,
    input: BytesMut,
}

/// The head of a response.
#[derive(Clone, Copy, Debug)]
struct Head {
    status: u16,
    body: BodyDecoder,
    keeps_connection: bool,
}

impl Connection {
    /// Sends the request, hands the body of the response to `sink` as it comes, and returns the status.
    pub(super) async fn exchange(&mut self, target: &Target, sink: impl FnMut(&[u8])) -> io::Result<u16> {
        // Taken out, so that a broken connection, or one that was given up on the way, is not used again.
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => self.open(target).await?,
        };
        stream.write_all(&target.request).await?;
        let head = self.head(&mut stream).await?;
        self.body(&mut stream, head.body, sink).await?;
        if head.keeps_connection {
            self.stream = Some(stream);
        }
        Ok(head.status)
    }

    async fn open(&mut self, target: &Target) -> io::Result<TcpStream> {
        self.input.clear();
        let stream = TcpStream::connect(target.address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    async fn head(&mut self, stream: &mut TcpStream) -> io::Result<Head> {
        loop {
            if let Some(head) = parse_head(&mut self.input)? {
                return Ok(head);
            }
            self.read(stream).await?;
        }
    }

    async fn body(
        &mut self,
        stream: &mut TcpStream,
        mut decoder: BodyDecoder,
        mut sink: impl FnMut(&[u8]),
    ) -> io::Result<()> {
        loop {
            decoder
                .decode(&mut self.input, &mut sink)
                .map_err(|_| io::ErrorKind::InvalidData)?;
            if decoder.is_done() {
                return Ok(());
            }
            match self.read(stream).await {
                // Without a length the end of the connection is the end of the body.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && decoder == BodyDecoder::UntilClose => {
                    return Ok(());
                }
                read => read?,
            }
        }
    }

    async fn read(&mut self, stream: &mut TcpStream) -> io::Result<()> {
        self.input.reserve(16 * 1024);
        match stream.read_buf(&mut self.input).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

/// Takes the head of a response off `input`, if all of it is there.
fn parse_head(input: &mut BytesMut) -> io::Result<Option<Head>> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(length) = response.parse(input).map_err(|_| io::ErrorKind::InvalidData)? else {
        return Ok(None);
    };
    let header = |name: &str| {
        let found = response
            .headers
            .iter()
            .find(|header| header.name.eq_ignore_ascii_case(name));
        found.map(|header| header.value)
    };
    let framing = BodyDecoder::for_headers(header("transfer-encoding"), header("content-length"));
    let body = framing.map_err(|_| io::ErrorKind::InvalidData)?;
    let is_closing = header("connection").is_some_and(|value| value.eq_ignore_ascii_case(b"close"));
    let head = Head {
        status: response.code.unwrap_or_default(),
        body: body.unwrap_or(BodyDecoder::UntilClose),
        keeps_connection: body.is_some() && !is_closing && response.version == Some(1),
    };
    input.advance(length);
    Ok(Some(head))
}
