//! Request bodies that come compressed: Codex sends zstd, some SDKs gzip.

use std::io::Read;

use axum::http::header::CONTENT_ENCODING;
use axum::http::{HeaderMap, HeaderValue};
use bytes::Bytes;

use crate::failure::Failure;

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Not at all, though there is a header to say so.
    Identity,
    /// RFC 1952.
    Gzip,
    /// RFC 1950, which HTTP calls `deflate`.
    Zlib,
    /// RFC 8878.
    Zstd,
}

impl Encoding {
    /// What the headers say, if anything.
    pub fn of(headers: &HeaderMap) -> Result<Option<Self>, Failure> {
        let Some(value) = headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes) else {
            return Ok(None);
        };
        match value.trim_ascii().to_ascii_lowercase().as_slice() {
            b"" | b"identity" => Ok(Some(Self::Identity)),
            b"gzip" | b"x-gzip" => Ok(Some(Self::Gzip)),
            b"deflate" => Ok(Some(Self::Zlib)),
            b"zstd" => Ok(Some(Self::Zstd)),
            _ => Err(Failure::body_encoded()),
        }
    }

    /// The body as it was before; at most `limit` bytes of it, however small it came.
    pub fn decode(self, packed: Bytes, limit: usize) -> Result<Bytes, Failure> {
        let body = packed.as_ref();
        let broken = |error: &dyn std::fmt::Display| {
            Failure::body_unreadable(format!("The compressed request body cannot be read: {error}."), None)
        };
        let read = |reader: &mut dyn Read| {
            let mut whole = Vec::with_capacity(body.len().saturating_mul(2).min(limit));
            let taken = reader.take(limit as u64 + 1).read_to_end(&mut whole);
            taken.map(|_| whole).map_err(|error| broken(&error))
        };
        let whole = match self {
            Self::Identity => return Ok(packed),
            Self::Gzip => read(&mut flate2::read::MultiGzDecoder::new(body))?,
            Self::Zlib => read(&mut flate2::read::ZlibDecoder::new(body))?,
            Self::Zstd => {
                let mut decoder = ruzstd::decoding::StreamingDecoder::new(body).map_err(|error| broken(&error))?;
                read(&mut decoder)?
            }
        };
        if whole.len() > limit {
            return Err(Failure::body_too_large(limit as u64));
        }
        Ok(Bytes::from(whole))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn gzipped(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn zstandard(text: &[u8]) -> Vec<u8> {
        ruzstd::encoding::compress_to_vec(text, ruzstd::encoding::CompressionLevel::Fastest)
    }

    #[test]
    fn bodies_come_out_as_they_were() {
        let text = b"{\"model\":\"m\",\"input\":\"".repeat(50);
        assert_eq!(Encoding::Gzip.decode(gzipped(&text).into(), 10_000).unwrap(), text);
        let plain = Bytes::from(text.clone());
        assert_eq!(Encoding::Identity.decode(plain, 10).unwrap(), text);
        assert_eq!(Encoding::Zstd.decode(zstandard(&text).into(), 10_000).unwrap(), text);
    }

    #[test]
    fn a_small_body_cannot_become_a_huge_one() {
        let zeros = vec![0; 10_000_000];
        for (encoding, body) in [(Encoding::Gzip, gzipped(&zeros)), (Encoding::Zstd, zstandard(&zeros))] {
            assert!(body.len() < 20_000);
            assert_eq!(encoding.decode(body.into(), 1_000_000).unwrap_err().status, 413);
        }
    }

    #[test]
    fn what_is_not_compressed_that_way_is_refused() {
        for encoding in [Encoding::Gzip, Encoding::Zlib, Encoding::Zstd] {
            let body = Bytes::from_static(b"{\"model\":\"m\"}");
            assert_eq!(encoding.decode(body, 100).unwrap_err().status, 400);
        }
    }
}
