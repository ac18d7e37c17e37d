//! Taking the framing off the body of a request.

use bytes::{Buf, BytesMut};

use crate::received::Received;

/// How much of the body is to come, and in which framing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyDecoder {
    /// So many bytes are missing.
    Length(u64),
    /// At the size of a chunk.
    ChunkSize,
    /// So many bytes of a chunk are missing.
    ChunkData(u64),
    /// At the line end after the data of a chunk.
    ChunkEnd,
    /// At a line after the last chunk.
    Trailer,
}

/// The body is framed wrongly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

impl BodyDecoder {
    /// How the body after this head is framed; `None` if the head contradicts itself.
    pub(super) fn for_head(head: &Received) -> Option<Self> {
        if let Some(encoding) = head.header_text("transfer-encoding") {
            return encoding
                .trim()
                .to_ascii_lowercase()
                .ends_with("chunked")
                .then_some(Self::ChunkSize);
        }
        match head.header("content-length") {
            None => Some(Self::Length(0)),
            Some(value) => std::str::from_utf8(value).ok()?.trim().parse().ok().map(Self::Length),
        }
    }

    /// Whether the whole body was decoded.
    pub(super) fn is_done(self) -> bool {
        self == Self::Length(0)
    }

    /// Moves what `input` holds of the body to `body`.
    pub(super) fn decode(&mut self, input: &mut BytesMut, body: &mut BytesMut) -> Result<(), Malformed> {
        while !self.is_done() && !input.is_empty() {
            match self {
                Self::Length(missing) => *missing -= take(input, body, *missing),
                Self::ChunkData(missing) => {
                    *missing -= take(input, body, *missing);
                    if *missing == 0 {
                        *self = Self::ChunkEnd;
                    }
                }
                Self::ChunkSize => match httparse::parse_chunk_size(input).map_err(|_| Malformed)? {
                    httparse::Status::Partial => return Ok(()),
                    httparse::Status::Complete((length, size)) => {
                        input.advance(length);
                        *self = if size == 0 {
                            Self::Trailer
                        } else {
                            Self::ChunkData(size)
                        };
                    }
                },
                Self::ChunkEnd if input.len() < 2 => return Ok(()),
                Self::ChunkEnd if input.starts_with(b"\r\n") => {
                    input.advance(2);
                    *self = Self::ChunkSize;
                }
                Self::ChunkEnd => return Err(Malformed),
                Self::Trailer => {
                    let Some(line_end) = input.iter().position(|byte| *byte == b'\n') else {
                        return Ok(());
                    };
                    if matches!(&input[..line_end], b"" | b"\r") {
                        *self = Self::Length(0);
                    }
                    input.advance(line_end + 1);
                }
            }
        }
        Ok(())
    }
}

/// Moves at most `most` bytes and returns how many it were.
fn take(input: &mut BytesMut, body: &mut BytesMut, most: u64) -> u64 {
    let count = usize::try_from(most).unwrap_or(usize::MAX).min(input.len());
    if body.is_empty() {
        *body = input.split_to(count);
    } else {
        body.extend_from_slice(&input[..count]);
        input.advance(count);
    }
    count as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_may_be_split_anywhere() {
        let wire = b"3\r\nabc\r\n4;ext=1\r\nde\r\n\r\n0\r\nTrailer: x\r\n\r\nGET";
        for step in 1..wire.len() {
            let (mut input, mut body) = (BytesMut::new(), BytesMut::new());
            let mut decoder = BodyDecoder::ChunkSize;
            for piece in wire.chunks(step) {
                input.extend_from_slice(piece);
                decoder.decode(&mut input, &mut body).expect("well formed");
            }
            assert!(decoder.is_done());
            assert_eq!(&body[..], b"abcde\r\n");
            assert_eq!(&input[..], b"GET");
        }
    }

    #[test]
    fn a_wrong_chunk_is_found_out() {
        let mut body = BytesMut::new();
        let mut decoder = BodyDecoder::ChunkSize;
        assert_eq!(
            decoder.decode(&mut BytesMut::from(&b"1\r\nab\r\n"[..]), &mut body),
            Err(Malformed)
        );
    }
}
