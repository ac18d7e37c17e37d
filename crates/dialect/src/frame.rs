//! Cuts a byte stream into server-sent events, at any chunking.
//!
//! Lines may end in LF, CRLF or CR (WHATWG, "Server-sent events", section 9.2.5). Two levels: [`Splitter`] finds where
//! each block ends without interpreting it, [`Frame::parse`] reads the fields of one block.

use std::borrow::Cow;

use bytes::{Buf, Bytes, BytesMut};

/// The largest block that is held; a longer one is a fault of the sender.
pub const MAX_BLOCK: usize = 16 * 1024 * 1024;

/// A block grew beyond [`MAX_BLOCK`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event is larger than {MAX_BLOCK} bytes")]
pub struct Oversized;

/// Collects chunks and hands out whole blocks: the lines of one event with the blank line that ends it.
#[derive(Debug, Default)]
pub struct Splitter {
    held: BytesMut,
    /// How much of `held` was searched already.
    searched: usize,
    line: Line,
}

/// How far the current line has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Line {
    /// Nothing of it was seen, and the line before it was not empty or there was none.
    #[default]
    Fresh,
    /// As `Fresh`, and the line before ended in CR: an LF right now belongs to that end.
    AfterReturn,
    /// It has content.
    Begun,
}

impl Splitter {
    /// Adds a chunk.
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), Oversized> {
        if self.held.len() + chunk.len() > MAX_BLOCK {
            return Err(Oversized);
        }
        self.held.extend_from_slice(chunk);
        Ok(())
    }

    /// The next whole block, if there is one.
    pub fn next_block(&mut self) -> Option<Bytes> {
        let end = self.line.find_blank(&self.held[self.searched..]);
        let Some(end) = end else {
            self.searched = self.held.len();
            return None;
        };
        let block = self.held.split_to(self.searched + end).freeze();
        self.searched = 0;
        Some(block)
    }

    /// How many bytes are held back.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// Takes what is held back because its block has no end yet. At the end of a stream this is the last event, which
    /// some senders do not terminate; in the middle, the block's end is still found later.
    pub fn take_rest(&mut self) -> Bytes {
        self.searched = 0;
        self.held.split().freeze()
    }
}

impl Line {
    /// The offset after the first blank line in `bytes`. The state carries over to the next call.
    fn find_blank(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        while at < bytes.len() {
            match (*self, bytes[at]) {
                (Self::AfterReturn, b'\n') => {
                    *self = Self::Fresh;
                    at += 1;
                }
                (Self::Fresh, b'\n') => {
                    *self = Self::Fresh;
                    return Some(at + 1);
                }
                (Self::Fresh | Self::AfterReturn, b'\r') => {
                    let pair = bytes.get(at + 1) == Some(&b'\n');
                    *self = if pair { Self::Fresh } else { Self::AfterReturn };
                    return Some(at + 1 + usize::from(pair));
                }
                _ => {
                    let Some(end) = memchr::memchr2(b'\n', b'\r', &bytes[at..]) else {
                        *self = Self::Begun;
                        return None;
                    };
                    at += end + 1;
                    *self = if bytes[at - 1] == b'\r' {
                        Self::AfterReturn
                    } else {
                        Self::Fresh
                    };
                }
            }
        }
        None
    }
}

/// The fields of one event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The value of `event:`; empty when there is none.
    pub event: &'a [u8],
    /// The `data:` lines, joined by LF; `None` when there is none (a comment, a keep-alive).
    pub data: Option<Cow<'a, [u8]>>,
}

impl<'a> Frame<'a> {
    /// Reads the fields of a block. Comments, `id:`, `retry:` and unknown fields are passed over.
    pub fn parse(block: &'a [u8]) -> Self {
        let mut frame = Self::default();
        for line in Lines(block.strip_prefix("\u{feff}".as_bytes()).unwrap_or(block)) {
            let (name, value) = match memchr::memchr(b':', line) {
                Some(colon) => (&line[..colon], &line[colon + 1..]),
                None => (line, &[][..]),
            };
            let value = value.strip_prefix(b" ").unwrap_or(value);
            match name {
                b"event" => frame.event = value,
                b"data" => {
                    frame.data = Some(match frame.data.take() {
                        None => Cow::Borrowed(value),
                        Some(before) => Cow::Owned([before.as_ref(), b"\n", value].concat()),
                    });
                }
                _ => {}
            }
        }
        frame
    }
}

/// Iterates over lines that end in LF, CRLF or CR.
struct Lines<'a>(&'a [u8]);

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.0.is_empty() {
            return None;
        }
        let end = memchr::memchr2(b'\n', b'\r', self.0).unwrap_or(self.0.len());
        let (line, mut rest) = self.0.split_at(end);
        if rest.starts_with(b"\r\n") {
            rest.advance(2);
        } else if !rest.is_empty() {
            rest.advance(1);
        }
        self.0 = rest;
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// All events with data, for a given chunking.
    fn events(chunks: &[&[u8]]) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut splitter = Splitter::default();
        let mut found = Vec::new();
        let mut note = |block: &[u8]| {
            let frame = Frame::parse(block);
            if let Some(data) = frame.data {
                found.push((frame.event.to_vec(), data.into_owned()));
            }
        };
        for chunk in chunks {
            splitter.push(chunk).unwrap();
            while let Some(block) = splitter.next_block() {
                note(&block);
            }
        }
        note(&splitter.take_rest());
        found
    }

    #[test]
    fn reads_every_line_ending() {
        for end in ["\n", "\r\n", "\r"] {
            let stream =
                format!(": hi{end}{end}event: a{end}data: 1{end}data:2{end}id: 9{end}{end}data: [DONE]{end}{end}");
            let expected = vec![(b"a".to_vec(), b"1\n2".to_vec()), (Vec::new(), b"[DONE]".to_vec())];
            assert_eq!(events(&[stream.as_bytes()]), expected, "{end:?}");
        }
    }

    #[test]
    fn an_unfinished_last_event_is_not_lost() {
        assert_eq!(events(&[b"data: 1\n\ndata: 2"]).len(), 2);
        assert_eq!(
            events(&["\u{feff}data: 1\n".as_bytes()]),
            vec![(Vec::new(), b"1".to_vec())]
        );
    }

    #[test]
    fn a_block_is_bounded() {
        let mut splitter = Splitter::default();
        let chunk = vec![b'x'; MAX_BLOCK];
        splitter.push(&chunk).unwrap();
        assert_eq!(splitter.push(b"y"), Err(Oversized));
    }

    proptest! {
        /// Law 2: any split of a stream into chunks gives the same events.
        #[test]
        fn chunking_does_not_matter(
            stream in r"((data|event|id|x)(: ?|)[a-z\x{e9}]{0,4}(\n|\r\n|\r){1,3}|:c(\n|\r)){0,12}",
            cuts in prop::collection::vec(0_usize..200, 0..12),
        ) {
            let bytes = stream.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            prop_assert_eq!(events(&chunks), events(&[bytes]));
        }

        /// Laws 4 and 6: no bytes are lost, added or able to cause a panic.
        #[test]
        fn blocks_are_the_stream(chunks in prop::collection::vec(prop::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), any::<u8>()], 0..20), 0..10)) {
            let mut splitter = Splitter::default();
            let mut out = Vec::new();
            for chunk in &chunks {
                splitter.push(chunk).unwrap();
                while let Some(block) = splitter.next_block() {
                    Frame::parse(&block);
                    out.extend_from_slice(&block);
                }
            }
            out.extend_from_slice(&splitter.take_rest());
            prop_assert_eq!(out, chunks.concat());
        }
    }
}
