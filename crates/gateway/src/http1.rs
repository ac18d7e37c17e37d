//! What both sides of HTTP/1.1 have in common: those of callers ([`crate::http::server1`]) and of providers
//! ([`crate::upstream::http1`]).

pub mod body;
pub mod head;
pub mod reading;
pub mod scratch;
#[cfg(test)]
pub(crate) mod script;

/// Why the bytes that came could not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Not a head.
    #[error("its head is not HTTP: {0}")]
    Head(#[from] httparse::Error),
    /// A head without an end.
    #[error("its head is larger than {0} bytes")]
    HeadTooLarge(usize),
    /// Another protocol, for which nobody asked.
    #[error("it switches to another protocol")]
    Switching,
    /// Lengths that are no numbers, or differ.
    #[error("its content-length makes no sense")]
    ContentLength,
    /// Chunks in HTTP/1.0, which has none.
    #[error("it has a transfer-encoding, but is HTTP/1.0")]
    TransferEncoding,
    /// Something else where the size or the end of a chunk should be.
    #[error("its chunks are malformed")]
    Chunk,
    /// Extensions of chunks or trailers without an end.
    #[error("it has more than {0} bytes of chunk extensions or trailers")]
    ExtrasTooLarge(usize),
    /// The connection ended before the body did.
    #[error("the connection ended before the body")]
    Cut,
}
