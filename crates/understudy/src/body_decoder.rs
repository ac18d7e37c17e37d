//! Taking the framing off the body of a message.

use bytes::{Buf, BytesMut};

/// How much of the body is to come, and in which framing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyDecoder {
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
    /// All that comes is body, until the connection ends.
    UntilClose,
}

/// The body is framed wrongly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

impl BodyDecoder {
    /// How the body is framed that comes after a head with these headers.
    ///
    /// `Ok(None)` if no header says so; an error if they make no sense.
    pub(crate) fn for_headers(
        transfer_encoding: Option<&[u8]>,
        length: Option<&[u8]>,
    ) -> Result<Option<Self>, Malformed> {
        if let Some(encoding) = transfer_encoding {
            let is_chunked = encoding.trim_ascii().to_ascii_lowercase().ends_with(b"chunked");
            return if is_chunked {
                Ok(Some(Self::ChunkSize))
            } else {
                Err(Malformed)
            };
        }
        let Some(length) = length else { return Ok(None) };
        let length = std::str::from_utf8(length).map_err(|_| Malformed)?;
        length
            .trim()
            .parse()
            .map(|missing| Some(Self::Length(missing)))
            .map_err(|_| Malformed)
    }

    /// Whether the whole body was decoded.
    pub(crate) fn is_done(self) -> bool {
        self == Self::Length(0)
    }

    /// Takes what `input` holds of the body, and hands it to `sink` piece by piece.
    pub(crate) fn decode(&mut self, input: &mut BytesMut, mut sink: impl FnMut(&[u8])) -> Result<(), Malformed> {
        while !self.is_done() && !input.is_empty() {
            match self {
                Self::Length(missing) => *missing -= take(input, &mut sink, *missing),
                Self::UntilClose => {
                    take(input, &mut sink, u64::MAX);
                }
                Self::ChunkData(missing) => {
                    *missing -= take(input, &mut sink, *missing);
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

/// Hands on at most `most` bytes and returns how many it were.
fn take(input: &mut BytesMut, sink: &mut impl FnMut(&[u8]), most: u64) -> u64 {
    let count = usize::try_from(most).unwrap_or(usize::MAX).min(input.len());
    sink(&input[..count]);
    input.advance(count);
    count as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_may_be_split_anywhere() {
        let wire = b"3\r\nabc\r\n4;ext=1\r\nde\r\n\r\n0\r\nTrailer: x\r\n\r\nGET";
        for step in 1..wire.len() {
            let (mut input, mut body) = (BytesMut::new(), Vec::new());
            let mut decoder = BodyDecoder::ChunkSize;
            for piece in wire.chunks(step) {
                input.extend_from_slice(piece);
                decoder
                    .decode(&mut input, |data| body.extend_from_slice(data))
                    .expect("well formed");
            }
            assert!(decoder.is_done());
            assert_eq!(&body[..], b"abcde\r\n");
            assert_eq!(&input[..], b"GET");
        }
    }

    #[test]
    fn a_wrong_chunk_is_found_out() {
        let mut decoder = BodyDecoder::ChunkSize;
        assert_eq!(
            decoder.decode(&mut BytesMut::from(&b"1\r\nab\r\n"[..]), |_| ()),
            Err(Malformed)
        );
    }
}
