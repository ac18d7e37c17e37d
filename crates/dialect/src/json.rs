//! A strict JSON scanner that builds nothing: it walks over values and reports where they lie.
//!
//! It accepts what RFC 8259 accepts, except that bytes inside strings need not be valid UTF-8 (what is only
//! forwarded is the receiver's to judge). It never recurses, and nesting is bounded by [`MAX_DEPTH`].

use std::ops::Range;

use wide::u8x16;

use crate::signature::Envelopes;

/// The deepest nesting that is accepted; the same bound as `serde_json` has.
pub(crate) const MAX_DEPTH: u32 = 127;

/// Why some bytes are not JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{expected} expected at byte {at}")]
pub struct JsonFault {
    /// Offset of the first byte that does not fit.
    pub at: usize,
    /// What would have fitted there.
    pub expected: &'static str,
}

/// Whether some bytes are one JSON text.
pub(crate) fn is_well_formed(bytes: &[u8]) -> bool {
    let mut scanner = Scanner::new(bytes);
    scanner.value().and_then(|_| scanner.end()).is_ok()
}

/// A position in a JSON text.
pub(crate) struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Which kinds of envelopes began strings so far.
    envelopes: Envelopes,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self::starting_at(bytes, 0)
    }

    /// Scans from `at` on, with offsets that stay those of the whole text.
    pub(crate) fn starting_at(bytes: &'a [u8], at: usize) -> Self {
        let envelopes = Envelopes::default();
        Self { bytes, at, envelopes }
    }

    /// The byte after white space, which stays unread.
    pub(crate) fn next_byte(&mut self) -> Option<u8> {
        loop {
            let byte = *self.bytes.get(self.at)?;
            // Most bytes are told apart by the first comparison.
            if byte > b' ' || !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    /// Reads the opening brace of an object and returns its offset.
    pub(crate) fn open_object(&mut self) -> Result<usize, JsonFault> {
        self.take(b'{', "`{`")?;
        Ok(self.at - 1)
    }

    /// Reads the opening bracket of an array and returns its offset.
    pub(crate) fn open_array(&mut self) -> Result<usize, JsonFault> {
        self.take(b'[', "`[`")?;
        Ok(self.at - 1)
    }

    /// Moves to the next element of an array; `false` after the closing bracket, which is read.
    pub(crate) fn next_item(&mut self, first: bool) -> Result<bool, JsonFault> {
        match self.next_byte() {
            Some(b']') => {
                self.at += 1;
                Ok(false)
            }
            Some(b',') if !first => {
                self.at += 1;
                // A bracket after a comma is for the value to refuse.
                Ok(true)
            }
            _ if first => Ok(true),
            _ => Err(self.fault("`,` or `]`")),
        }
    }

    /// Fails when a container at this depth is deeper than is accepted.
    pub(crate) fn check_depth(&self, depth: u32) -> Result<(), JsonFault> {
        if depth > MAX_DEPTH {
            Err(self.fault("shallower nesting"))
        } else {
            Ok(())
        }
    }

    /// The envelopes that began strings which were walked over.
    pub(crate) fn envelopes(&self) -> Envelopes {
        self.envelopes
    }

    /// The offset of the next byte to be read.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// The span of the next member's key with its quotes, or `None` after the closing brace, which is read.
    pub(crate) fn next_key(&mut self, first: bool) -> Result<Option<Range<usize>>, JsonFault> {
        match self.next_byte() {
            Some(b'}') => {
                self.at += 1;
                return Ok(None);
            }
            Some(b',') if !first => self.at += 1,
            _ if first => {}
            _ => return Err(self.fault("`,` or `}`")),
        }
        self.next_byte();
        let start = self.at;
        self.string()?;
        let key = start..self.at;
        self.take(b':', "`:`")?;
        Ok(Some(key))
    }

    /// Walks over one value and returns its span.
    pub(crate) fn value(&mut self) -> Result<Range<usize>, JsonFault> {
        self.next_byte();
        let start = self.at;
        let mut nest = Nest::default();
        loop {
            match self.next_byte() {
                Some(b'{') => {
                    self.at += 1;
                    nest.enter(true).ok_or_else(|| self.fault("shallower nesting"))?;
                    if self.next_key(true)?.is_some() {
                        continue;
                    }
                    nest.leave();
                }
                Some(b'[') => {
                    self.at += 1;
                    nest.enter(false).ok_or_else(|| self.fault("shallower nesting"))?;
                    if self.next_byte() != Some(b']') {
                        continue;
                    }
                    self.at += 1;
                    nest.leave();
                }
                _ => self.scalar()?,
            }
            if !self.next_in(&mut nest)? {
                return Ok(start..self.at);
            }
        }
    }

    /// After a value: moves to the next one of the innermost container, closing those that end here.
    /// `false` when nothing is open any more.
    fn next_in(&mut self, nest: &mut Nest) -> Result<bool, JsonFault> {
        while let Some(object) = nest.innermost_is_object() {
            if object {
                if self.next_key(false)?.is_some() {
                    return Ok(true);
                }
            } else {
                match self.next_byte() {
                    Some(b',') => {
                        self.at += 1;
                        return Ok(true);
                    }
                    Some(b']') => self.at += 1,
                    _ => return Err(self.fault("`,` or `]`")),
                }
            }
            nest.leave();
        }
        Ok(false)
    }

    /// Checks that only white space is left.
    pub(crate) fn end(&mut self) -> Result<(), JsonFault> {
        match self.next_byte() {
            None => Ok(()),
            Some(_) => Err(self.fault("end of text")),
        }
    }

    fn take(&mut self, byte: u8, expected: &'static str) -> Result<(), JsonFault> {
        if self.next_byte() == Some(byte) {
            self.at += 1;
            Ok(())
        } else {
            Err(self.fault(expected))
        }
    }

    fn scalar(&mut self) -> Result<(), JsonFault> {
        match self.bytes.get(self.at) {
            Some(b'"') => self.string(),
            Some(b't') => self.word(b"true"),
            Some(b'f') => self.word(b"false"),
            Some(b'n') => self.word(b"null"),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => Err(self.fault("a value")),
        }
    }

    fn word(&mut self, word: &'static [u8]) -> Result<(), JsonFault> {
        if self.bytes[self.at..].starts_with(word) {
            self.at += word.len();
            Ok(())
        } else {
            Err(self.fault("`true`, `false` or `null`"))
        }
    }

    fn number(&mut self) -> Result<(), JsonFault> {
        if self.bytes[self.at] == b'-' {
            self.at += 1;
        }
        match self.bytes.get(self.at) {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.bytes.get(self.at) {
            self.at += 1;
            if let Some(b'+' | b'-') = self.bytes.get(self.at) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), JsonFault> {
        let count = self.bytes[self.at..]
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        if count == 0 {
            return Err(self.fault("a digit"));
        }
        self.at += count;
        Ok(())
    }

    /// Walks over a string, quotes included.
    fn string(&mut self) -> Result<(), JsonFault> {
        if self.bytes.get(self.at) != Some(&b'"') {
            return Err(self.fault("a string"));
        }
        let mut base = self.at + 1;
        // On the way, as a search of its own would go through the whole text once more.
        if let Some(b'm' | b'b') = self.bytes.get(base) {
            self.envelopes.look_at(&self.bytes[base..]);
        }
        // So most strings end: keys, names, and short texts.
        let specials = self.bytes[base..].first_chunk().map_or(0, specials);
        let first = base + specials.trailing_zeros() as usize;
        if specials != 0 && self.bytes[first] == b'"' {
            self.at = first + 1;
            return Ok(());
        }
        let mut is_escaped = false;
        loop {
            // So most of a long string is.
            if let Some(bytes) = self.bytes[base - 1..].first_chunk()
                && (bytes[0] == b'\\') == is_escaped
                && is_common(bytes)
            {
                is_escaped = bytes[BLOCK] == b'\\';
                base += BLOCK;
                continue;
            }
            let block = Block::of(&self.bytes[base..]);
            // So most strings end: without an escape in their last block.
            let first = base + block.specials.trailing_zeros() as usize;
            if !is_escaped && self.bytes.get(first) == Some(&b'"') {
                self.at = first + 1;
                return Ok(());
            }
            let (quotes, backslashes) = (block.all(b'"'), block.all(b'\\'));
            let escaped = after_backslash(backslashes, &mut is_escaped);
            let closing = quotes & !escaped;
            // All bits below the first closing quote; all bits where there is none.
            let inside = (closing & closing.wrapping_neg()).wrapping_sub(1);
            let known = quotes | backslashes;
            let common = known | block.all(b'n');
            let doubtful = ((block.specials & !known) | (escaped & !common)) & inside;
            if doubtful != 0 {
                self.check(base, doubtful, escaped)?;
            }
            if closing != 0 {
                self.at = base + closing.trailing_zeros() as usize + 1;
                return Ok(());
            }
            base += BLOCK;
        }
    }

    /// Looks closer at those bytes of a block that are control characters or uncommon escapes, or lie behind the end.
    fn check(&mut self, base: usize, mut doubtful: u64, escaped: u64) -> Result<(), JsonFault> {
        while doubtful != 0 {
            let bit = doubtful & doubtful.wrapping_neg();
            self.at = base + bit.trailing_zeros() as usize;
            match self.bytes.get(self.at) {
                byte if escaped & bit != 0 => self.check_escape(byte)?,
                Some(_) => return Err(self.fault("an escaped control character")),
                None => return Err(self.fault("a closing quote")),
            }
            doubtful ^= bit;
        }
        Ok(())
    }

    /// Checks what follows a backslash.
    fn check_escape(&self, byte: Option<&u8>) -> Result<(), JsonFault> {
        match byte {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(()),
            Some(b'u') => match self.bytes.get(self.at + 1..self.at + 5) {
                Some(digits) if digits.iter().all(u8::is_ascii_hexdigit) => Ok(()),
                _ => Err(self.fault("four hexadecimal digits after `\\u`")),
            },
            _ => Err(self.fault("a known escape")),
        }
    }

    fn fault(&self, expected: &'static str) -> JsonFault {
        JsonFault { at: self.at, expected }
    }
}

/// Which containers are open, one bit each: set for an object, clear for an array.
#[derive(Default)]
struct Nest {
    objects: u128,
    depth: u32,
}

impl Nest {
    fn enter(&mut self, object: bool) -> Option<()> {
        if self.depth == MAX_DEPTH {
            return None;
        }
        self.objects = self.objects << 1 | u128::from(object);
        self.depth += 1;
        Some(())
    }

    fn leave(&mut self) {
        self.objects >>= 1;
        self.depth -= 1;
    }

    fn innermost_is_object(&self) -> Option<bool> {
        (self.depth > 0).then_some(self.objects & 1 == 1)
    }
}

/// Bytes of a string that are looked at together.
const BLOCK: usize = 64;

/// What the bytes of a block are: one bit for each, lowest first.
///
/// Prompts are long strings with a line break or a quote every few words, so this is where a peek spends its time. A
/// block is looked at as a whole, without a branch for each escape in it: their places are as good as random, and a
/// processor that guesses them wrong would wait longer than all of this takes.
struct Block {
    vectors: [u8x16; 4],
    /// Quotes, backslashes and control characters.
    specials: u64,
}

impl Block {
    /// Looks at the start of `bytes`. What lies behind their end counts as control characters.
    fn of(bytes: &[u8]) -> Self {
        if let Some(block) = bytes.first_chunk() {
            return Self::of_whole(block);
        }
        let mut block = [0; BLOCK];
        block[..bytes.len()].copy_from_slice(bytes);
        Self::of_whole(&block)
    }

    fn of_whole(block: &[u8; BLOCK]) -> Self {
        let (chunks, _) = block.as_chunks::<16>();
        let vectors = std::array::from_fn(|index| u8x16::new(chunks[index]));
        Self {
            specials: bits(&vectors, special),
            vectors,
        }
    }

    fn all(&self, byte: u8) -> u64 {
        let byte = u8x16::splat(byte);
        bits(&self.vectors, |vector| vector.simd_eq(byte))
    }
}

/// Whether a block of a string holds nothing but text and the most common escapes, `\n` and `\"`. Before it stands the
/// byte that comes before it, which may be a backslash that escapes.
///
/// A byte behind a backslash is escaped, as long as no backslash is: then this is no common block.
fn is_common(bytes: &[u8; BLOCK + 1]) -> bool {
    let (before, here) = (&bytes[..BLOCK], &bytes[1..]);
    let pairs = before.as_chunks::<16>().0.iter().zip(here.as_chunks::<16>().0);
    let (mut uncommon, mut least) = (u8x16::ZERO, u8x16::MAX);
    for (before, here) in pairs {
        let (before, here) = (u8x16::new(*before), u8x16::new(*here));
        let escaped = before.simd_eq(u8x16::splat(b'\\'));
        let quotes = here.simd_eq(u8x16::splat(b'"'));
        let known = quotes | here.simd_eq(u8x16::splat(b'n'));
        uncommon |= (escaped & !known) | (quotes & !escaped);
        least = least.min(here);
    }
    (uncommon | control(least)).none()
}

/// Quotes, backslashes and control characters: one bit for each, lowest first.
fn specials(bytes: &[u8; 16]) -> u32 {
    special(u8x16::new(*bytes)).to_bitmask()
}

fn special(vector: u8x16) -> u8x16 {
    vector.simd_eq(u8x16::splat(b'"')) | vector.simd_eq(u8x16::splat(b'\\')) | control(vector)
}

fn control(vector: u8x16) -> u8x16 {
    vector.min(u8x16::splat(0x1f)).simd_eq(vector)
}

fn bits(vectors: &[u8x16; 4], found: impl Fn(u8x16) -> u8x16) -> u64 {
    let place = |(index, &vector)| u64::from(found(vector).to_bitmask()) << (16 * index);
    vectors.iter().enumerate().map(place).fold(0, |bits, more| bits | more)
}

/// The bytes that follow a backslash which is not itself escaped. `is_escaped` says so of the first byte, and then of the
/// first byte of the next block.
fn after_backslash(backslashes: u64, is_escaped: &mut bool) -> u64 {
    const ODD: u64 = 0xaaaa_aaaa_aaaa_aaaa;
    let first = u64::from(*is_escaped);
    let begins = backslashes & !first;
    // In a run of backslashes every other one escapes. The subtraction borrows through each run, so that the bits which
    // alternate by the place where the run begins come out, whatever its length.
    let alternating = ((begins << 1) | ODD).wrapping_sub(begins) ^ ODD;
    *is_escaped = (alternating & backslashes) >> (BLOCK - 1) == 1;
    alternating ^ (backslashes | first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn is_special(byte: u8) -> bool {
        byte == b'"' || byte == b'\\' || byte < 0x20
    }

    fn accepts(text: &[u8]) -> bool {
        let mut scanner = Scanner::new(text);
        scanner.value().and_then(|_| scanner.end()).is_ok()
    }

    #[test]
    fn agrees_with_serde_json_on_the_corners_of_the_grammar() {
        let texts: &[&str] = &[
            "",
            " ",
            "{}",
            "[]",
            "[[]]",
            "{\"a\":{}}",
            "[1,]",
            "[,1]",
            "{,}",
            "{\"a\":1,}",
            "{\"a\"}",
            "{\"a\":}",
            "{a:1}",
            "01",
            "-",
            "-0",
            "0.5",
            ".5",
            "5.",
            "1e5",
            "1e",
            "1E+5",
            "-1.5e-3",
            "+1",
            "NaN",
            "tru",
            "true",
            "falsely",
            "null",
            "\"\"",
            "\"a",
            "\"\\u12\"",
            "\"\\u12aF\"",
            "\"\\x\"",
            "\"\t\"",
            "\"\\t\"",
            "[1 2]",
            "{\"a\":1 \"b\":2}",
            "[}",
            "{]",
            "1 2",
            "{} x",
            "\u{feff}{}",
            "[\"\u{7f}\"]",
            "\"\\ud83d\\ude00\"",
            "[1,[2,{\"x\":[true,null]}],\"y\"]",
        ];
        for text in texts {
            let expected = serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
            assert_eq!(accepts(text.as_bytes()), expected, "{text:?}");
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(accepts(nested(MAX_DEPTH as usize).as_bytes()));
        for depth in [MAX_DEPTH as usize, MAX_DEPTH as usize + 1] {
            let serde_json = serde_json::from_str::<serde_json::Value>(&nested(depth)).is_ok();
            assert_eq!(accepts(nested(depth).as_bytes()), serde_json);
        }
        assert!(!accepts(nested(MAX_DEPTH as usize + 1).as_bytes()));
        assert!(!accepts("[".repeat(1_000_000).as_bytes()));
    }

    proptest! {
        #[test]
        fn agrees_with_serde_json_on_near_misses(text in r#"([\[\]{},:"\\ ]|"[a-z\\n"]*"|[0-9.eE+-]{1,4}|true|null){0,12}"#) {
            let expected = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
            prop_assert_eq!(accepts(text.as_bytes()), expected);
        }

        #[test]
        fn finds_every_special_byte(bytes in prop::collection::vec(prop_oneof![Just(b'x'), Just(b'"'), any::<u8>()], 0..100)) {
            let block = Block::of(&bytes);
            let found = (0..BLOCK).filter(|at| block.specials >> at & 1 == 1);
            let expected = |at: &usize| bytes.get(*at).is_none_or(|&byte| is_special(byte));
            prop_assert_eq!(found.collect::<Vec<_>>(), (0..BLOCK).filter(expected).collect::<Vec<_>>());
        }

        #[test]
        fn escapes_are_where_a_slow_look_finds_them(text in prop::collection::vec(prop_oneof![Just(b'\\'), Just(b'n')], 128)) {
            let (blocks, _) = text.as_chunks::<BLOCK>();
            let mut is_escaped = false;
            let bits = blocks.iter().map(|block| after_backslash(Block::of(block).all(b'\\'), &mut is_escaped)).collect::<Vec<_>>();
            let mut slow = false;
            for (at, &byte) in text.iter().enumerate() {
                prop_assert_eq!(bits[at / BLOCK] >> (at % BLOCK) & 1 == 1, slow, "byte {}", at);
                slow = byte == b'\\' && !slow;
            }
            prop_assert_eq!(is_escaped, slow);
        }

        #[test]
        fn agrees_with_serde_json_on_strings(text in r#"([a-z]{0,70}(\\\\{0,5}|\\["nt/x\n]|\\u[0-9a-g]{3,4})){0,6}"#, end in "[\"]?") {
            let json = format!("\"{text}{end}");
            let expected = serde_json::from_str::<&serde_json::value::RawValue>(&json).is_ok();
            prop_assert_eq!(accepts(json.as_bytes()), expected, "{}", json);
        }

        /// Nothing but escapes, common ones and others, so that they lie across blocks in every way.
        #[test]
        fn agrees_with_serde_json_on_escapes(text in r#"(xn?|\\n|\\"|(\\){1,4}[n"]|[n"]|\\t|\\x|\n){0,150}"#, common in r#"(x|n|\\n|\\"){0,150}"#) {
            for json in [format!("\"{text}\""), format!("\"{common}\""), format!("\"{common}{text}\"")] {
                let expected = serde_json::from_str::<&serde_json::value::RawValue>(&json).is_ok();
                prop_assert_eq!(accepts(json.as_bytes()), expected, "{}", json);
            }
        }

        #[test]
        fn strings_of_any_length_end_where_they_end(text in ".{0,150}", after in "[ ,}]{0,80}") {
            let literal = serde_json::to_string(&text).unwrap();
            let json = format!("{literal}{after}");
            prop_assert_eq!(Scanner::new(json.as_bytes()).value(), Ok(0..literal.len()));
            prop_assert!(!accepts(&json.as_bytes()[..literal.len() - 1]));
        }

        #[test]
        fn never_panics(text in prop::collection::vec(any::<u8>(), 0..300)) {
            accepts(&text);
        }
    }
}
