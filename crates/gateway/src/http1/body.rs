//! Where a body begins and ends, without any connection.

use bytes::{Buf as _, Bytes};

use super::Malformed;

/// The most bytes of extensions, and of trailers, in one body.
pub const MAX_EXTRAS: usize = 16 * 1024;

/// How a body shows its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// By its length.
    Length(u64),
    /// By a last chunk.
    Chunked,
    /// By the end of the connection.
    UntilClose,
}

/// Takes a body out of the bytes of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Decoder {
    state: State,
    /// Bytes that are still to come: of the body, or of the chunk.
    left: u64,
    /// Bytes that are nobody's business.
    extras: usize,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Counted,
    Chunk(Part),
    UntilClose,
    End,
    Broken(Malformed),
}

/// A part of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    FirstDigit,
    Digits,
    Space,
    Extension,
    SizeEnd,
    Data,
    DataReturn,
    DataEnd,
    /// The beginning of a line after the last chunk.
    LastLine,
    Trailer,
    TrailerEnd,
    LastEnd,
}

/// What could be taken.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// A piece of the body, which is not empty.
    Data(Bytes),
    /// Nothing before more bytes have come.
    Wanting,
    /// Nothing any more: the body is whole.
    End,
}

impl Decoder {
    /// At the beginning of a body.
    pub fn new(framing: Framing) -> Self {
        let (state, left) = match framing {
            Framing::Length(0) => (State::End, 0),
            Framing::Length(length) => (State::Counted, length),
            Framing::Chunked => (State::Chunk(Part::FirstDigit), 0),
            Framing::UntilClose => (State::UntilClose, 0),
        };
        Self { state, left, extras: 0 }
    }

    /// Whether only the end of the connection shows the end.
    pub fn is_until_close(&self) -> bool {
        self.state == State::UntilClose
    }

    /// Takes the next piece out of what has come.
    pub fn next(&mut self, come: &mut Bytes) -> Result<Step, Malformed> {
        self.skip_framing(come);
        match self.state {
            State::Broken(malformed) => Err(malformed),
            State::End => Ok(Step::End),
            _ if come.is_empty() => Ok(Step::Wanting),
            State::UntilClose => Ok(Step::Data(std::mem::take(come))),
            State::Counted | State::Chunk(_) => {
                let length = usize::try_from(self.left).map_or(come.len(), |left| left.min(come.len()));
                let piece = come.split_to(length);
                self.left -= length as u64;
                if self.left == 0 {
                    self.state = match self.state {
                        State::Counted => State::End,
                        _ => State::Chunk(Part::DataReturn),
                    };
                    // The end of the body mostly comes with its last piece.
                    self.skip_framing(come);
                }
                Ok(Step::Data(piece))
            }
        }
    }

    /// All that is left of a body of a known length, if that and nothing else has come.
    pub fn rest(&mut self, come: &mut Bytes) -> Option<Bytes> {
        let is_there = self.state == State::Counted && self.left == come.len() as u64;
        is_there.then(|| {
            (self.state, self.left) = (State::End, 0);
            std::mem::take(come)
        })
    }

    /// Says that the connection has ended.
    pub fn close(&mut self) -> Result<(), Malformed> {
        match self.state {
            State::Broken(malformed) => return Err(malformed),
            State::End => {}
            State::UntilClose => self.state = State::End,
            State::Counted | State::Chunk(_) => {
                self.state = State::Broken(Malformed::Cut);
                return Err(Malformed::Cut);
            }
        }
        Ok(())
    }

    /// Whether the body is whole.
    pub fn is_at_end(&self) -> bool {
        self.state == State::End
    }

    /// How many bytes the body still has, where that is known.
    pub fn left(&self) -> Option<u64> {
        match self.state {
            State::Counted => Some(self.left),
            State::End => Some(0),
            _ => None,
        }
    }

    /// How many bytes of the body are certain to come next.
    pub fn next_bytes(&self) -> u64 {
        self.left
    }

    /// Whether the rest of the body can never come.
    pub fn is_broken(&self) -> bool {
        matches!(self.state, State::Broken(_))
    }

    /// Says that this many bytes of a body with a length were taken past the decoder.
    pub fn skip(&mut self, taken: u64) {
        if self.state == State::Counted {
            self.left = self.left.saturating_sub(taken);
            if self.left == 0 {
                self.state = State::End;
            }
        }
    }

    /// Passes over what stands between pieces.
    fn skip_framing(&mut self, come: &mut Bytes) {
        let mut at = 0;
        while let (State::Chunk(part), Some(byte)) = (self.state, come.get(at)) {
            if part == Part::Data {
                break;
            }
            self.state = match self.after(part, *byte) {
                Ok(state) => state,
                Err(malformed) => State::Broken(malformed),
            };
            at += 1;
        }
        come.advance(at);
    }

    fn after(&mut self, part: Part, byte: u8) -> Result<State, Malformed> {
        let next = match (part, byte) {
            (Part::FirstDigit | Part::Digits, digit) if digit.is_ascii_hexdigit() => {
                self.push_digit(digit)?;
                Part::Digits
            }
            (Part::Digits | Part::Space, b' ' | b'\t') => Part::Space,
            (Part::Digits | Part::Space, b';') => Part::Extension,
            (Part::Digits | Part::Space | Part::Extension, b'\r') => Part::SizeEnd,
            (Part::Extension, other) if other != b'\n' => self.extra(Part::Extension)?,
            (Part::SizeEnd, b'\n') => self.after_size(),
            (Part::DataReturn, b'\r') => Part::DataEnd,
            (Part::DataEnd, b'\n') => Part::FirstDigit,
            (Part::LastLine, b'\r') => Part::LastEnd,
            (Part::LastEnd, b'\n') => return Ok(State::End),
            (Part::Trailer, b'\r') => Part::TrailerEnd,
            (Part::LastLine | Part::Trailer, other) if other != b'\n' => self.extra(Part::Trailer)?,
            (Part::TrailerEnd, b'\n') => self.extra(Part::LastLine)?,
            _ => return Err(Malformed::Chunk),
        };
        Ok(State::Chunk(next))
    }

    fn push_digit(&mut self, digit: u8) -> Result<(), Malformed> {
        let value = char::from(digit).to_digit(16).ok_or(Malformed::Chunk)?;
        let shifted = self.left.checked_mul(16).ok_or(Malformed::Chunk)?;
        self.left = shifted + u64::from(value);
        Ok(())
    }

    fn after_size(&mut self) -> Part {
        if self.left > 0 {
            return Part::Data;
        }
        // Trailers may be as long as extensions, not only as what those left over.
        self.extras = 0;
        Part::LastLine
    }

    fn extra(&mut self, next: Part) -> Result<Part, Malformed> {
        self.extras += 1;
        if self.extras > MAX_EXTRAS {
            return Err(Malformed::ExtrasTooLarge(MAX_EXTRAS));
        }
        Ok(next)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The body, what is left behind it, and how it ends when the connection does.
    fn decoded(framing: Framing, pieces: &[&[u8]]) -> (Vec<u8>, Vec<u8>, Result<(), Malformed>) {
        let mut decoder = Decoder::new(framing);
        let (mut body, mut rest) = (Vec::new(), Vec::new());
        for piece in pieces {
            let mut come = Bytes::copy_from_slice(piece);
            loop {
                match decoder.next(&mut come) {
                    Ok(Step::Data(data)) => body.extend_from_slice(&data),
                    Ok(Step::Wanting) => break,
                    Ok(Step::End) => {
                        rest.extend_from_slice(&come);
                        break;
                    }
                    Err(malformed) => return (body, rest, Err(malformed)),
                }
            }
        }
        let ended = decoder.close();
        (body, rest, ended)
    }

    fn chunked(text: &str) -> (String, String, Result<(), Malformed>) {
        let (body, rest, ended) = decoded(Framing::Chunked, &[text.as_bytes()]);
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (text(body), text(rest), ended)
    }

    #[test]
    fn chunks() {
        for (text, body, rest) in [
            ("0\r\n\r\n", "", ""),
            ("3\r\nabc\r\n0\r\n\r\n", "abc", ""),
            ("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\nmore", "abcde", "more"),
            ("00A\r\n0123456789\r\n000\r\n\r\n", "0123456789", ""),
            ("a\r\n0123456789\r\n0\r\n\r\n", "0123456789", ""),
            ("3 \t\r\nabc\r\n0 ;x\r\n\r\n", "abc", ""),
            ("3;name=\"value\"\r\nabc\r\n0;last\r\n\r\n", "abc", ""),
            ("3\r\nabc\r\n0\r\nTrailer: x\r\nOther: y\r\n\r\n", "abc", ""),
        ] {
            assert_eq!(chunked(text), (body.to_owned(), rest.to_owned(), Ok(())), "{text:?}");
        }
    }

    #[test]
    fn what_is_no_chunk_is_refused() {
        for text in [
            "\r\n",
            "x",
            "-1\r\n",
            " 3\r\nabc",
            "3\nabc\r\n",
            "3\r\nabcd\r\n",
            "3\r\nabc\n0\r\n\r\n",
            "3\r\nabc\r\r",
            "3;a\nb\r\n",
            "3 4\r\n",
            "10000000000000000\r\n",
            "0\r\n\n",
            "0\r\nTrailer: x\n\r\n",
            "0\r\nTrailer: x\rx",
        ] {
            assert_eq!(chunked(text).2, Err(Malformed::Chunk), "{text:?}");
        }
    }

    #[test]
    fn a_body_that_is_cut_is_never_whole() {
        let whole = "3;x=y\r\nabc\r\n1\r\nd\r\n0\r\nTrailer: x\r\n\r\n";
        for end in 0..whole.len() {
            assert_eq!(chunked(&whole[..end]).2, Err(Malformed::Cut), "{:?}", &whole[..end]);
        }
        assert_eq!(decoded(Framing::Length(4), &[b"abc"]).2, Err(Malformed::Cut));
        assert_eq!(decoded(Framing::Length(4), &[b"abcde"]).1, b"e");
        assert_eq!(
            decoded(Framing::UntilClose, &[b"ab", b"c"]),
            (b"abc".to_vec(), vec![], Ok(()))
        );
    }

    #[test]
    fn the_end_is_seen_with_the_last_piece() {
        for (framing, text) in [(Framing::Chunked, "2\r\nab\r\n0\r\n\r\n"), (Framing::Length(2), "ab")] {
            let mut decoder = Decoder::new(framing);
            let step = decoder.next(&mut Bytes::from(text));
            assert_eq!(step, Ok(Step::Data(Bytes::from("ab"))));
            assert!(decoder.is_at_end());
        }
    }

    #[test]
    fn what_is_nobodys_business_is_bounded() {
        let too_large = Err(Malformed::ExtrasTooLarge(MAX_EXTRAS));
        let extension = format!("1;{}\r\na\r\n", "x".repeat(MAX_EXTRAS));
        assert_eq!(chunked(&format!("{extension}0\r\n\r\n")).2, Ok(()));
        assert_eq!(chunked(&extension.repeat(2)).2, too_large);
        assert_eq!(chunked(&format!("0\r\n{}", "X: y\r\n".repeat(MAX_EXTRAS))).2, too_large);
    }

    proptest! {
        #[test]
        fn splits_do_not_matter(
            text in "([0-3]{1,2}(;x)?\r\n[a-c]{0,3}(\r\n)?|0\r\n(T: x\r\n)?\r\n|[\\x00-\\xff]{0,4}){0,6}",
            length in 0..20_u64,
            size in 1..9_usize,
        ) {
            let pieces: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
            for framing in [Framing::Chunked, Framing::UntilClose, Framing::Length(length)] {
                let whole = decoded(framing, &[text.as_bytes()]);
                prop_assert!(whole.0.len() + whole.1.len() <= text.len());
                prop_assert_eq!(decoded(framing, &pieces), whole);
            }
        }

        #[test]
        fn what_was_cut_in_chunks_is_put_together(body: Vec<u8>, size in 1..40_usize, split in 1..40_usize) {
            let mut text = Vec::new();
            for chunk in body.chunks(size) {
                text.extend_from_slice(format!("{:X}\r\n", chunk.len()).as_bytes());
                text.extend_from_slice(chunk);
                text.extend_from_slice(b"\r\n");
            }
            text.extend_from_slice(b"0\r\n\r\n");
            let pieces: Vec<&[u8]> = text.chunks(split).collect();
            prop_assert_eq!(decoded(Framing::Chunked, &pieces), (body, vec![], Ok(())));
        }
    }
}
