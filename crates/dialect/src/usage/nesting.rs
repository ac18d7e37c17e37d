//! How deep in a JSON text a key stands. The text may be cut anywhere, and need not be well formed.

/// So many levels are told apart: usage stands no deeper.
const LEVELS: usize = 3;

/// So many bytes are looked at one by one before larger blocks are.
const NEAR: usize = 16;

/// So many bytes are looked at at once.
const BLOCK: usize = 64;

/// The objects and arrays that are open where a text ends, as far as it has been read.
#[derive(Clone, Debug, Default)]
pub(super) struct Nesting {
    depth: usize,
    /// Which of the outermost ones are arrays.
    arrays: [bool; LEVELS],
    in_string: bool,
    /// The next byte of the string belongs to the backslash before it.
    escaped: bool,
}

impl Nesting {
    /// Whether a provider may tell its usage here: as a member of the whole (in Gemini's array, of one of its elements), of
    /// an object in it (`response`, `message`, `delta`, `x_groq`), or of an element of a list in it (Moonshot's `choices`).
    /// What a model or a caller has written, such as a call's arguments or a schema, is deeper.
    pub(super) fn is_place_of_usage(&self) -> bool {
        let is_shallow = matches!(
            (self.depth, self.arrays),
            (1, [false, ..]) | (2, [_, false, _]) | (3, [false, true, false])
        );
        is_shallow && !self.in_string
    }

    /// Reads on.
    pub(super) fn read(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            bytes = if self.in_string {
                self.in_string(bytes)
            } else {
                self.between_strings(bytes)
            };
        }
    }

    /// Goes on in a string, up to its end or an escape. What is left comes back.
    fn in_string<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        if std::mem::take(&mut self.escaped) {
            return bytes.get(1..).unwrap_or_default();
        }
        let Some(at) = memchr::memchr2(b'"', b'\\', bytes) else {
            return &[];
        };
        self.escaped = bytes.get(at) == Some(&b'\\');
        self.in_string = self.escaped;
        bytes.get(at + 1..).unwrap_or_default()
    }

    /// Goes on up to a string, or behind a bracket or brace. What is left comes back.
    fn between_strings<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let Some(at) = first_structural(bytes) else {
            return &[];
        };
        match bytes.get(at) {
            Some(b'"') => self.in_string = true,
            Some(open @ (b'{' | b'[')) => {
                if let Some(is_array) = self.arrays.get_mut(self.depth) {
                    *is_array = *open == b'[';
                }
                self.depth += 1;
            }
            _ => self.depth = self.depth.saturating_sub(1),
        }
        bytes.get(at + 1..).unwrap_or_default()
    }
}

/// Where the first byte is that begins a string, or opens or closes something. Vectors have none for long.
fn first_structural(bytes: &[u8]) -> Option<usize> {
    let (near, far) = bytes.split_at(bytes.len().min(NEAR));
    if let Some(at) = near.iter().position(|byte| is_structural(*byte)) {
        return Some(at);
    }
    // Without an end in the middle, so that it is a few instructions for all of them.
    let has_one = |block: &[u8]| block.iter().fold(false, |found, byte| found | is_structural(*byte));
    let block = far.chunks(BLOCK).position(has_one)? * BLOCK;
    let at = far.get(block..)?.iter().position(|byte| is_structural(*byte))?;
    Some(near.len() + block + at)
}

fn is_structural(byte: u8) -> bool {
    matches!(byte, b'"' | b'{' | b'}' | b'[' | b']')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Nesting {
        let mut nesting = Nesting::default();
        nesting.read(text.as_bytes());
        nesting
    }

    #[test]
    fn usage_is_told_near_the_outside() {
        for text in [
            "{",
            "data: {\"object\":\"}{[\",\"choices\":[{\"delta\":{}}],",
            "{\"content\":\"a \\\"{\\\\\",",
            "[{",
            "[{\"a\":[[]]},\n{",
            "{\"response\":{",
            "{\"choices\":[{},{",
        ] {
            assert!(read(text).is_place_of_usage(), "{text}");
        }
        for text in [
            "",
            "[",
            "[[",
            "{\"content\":[",
            "{\"response\":{\"metadata\":{",
            "{\"candidates\":[{\"content\":{",
            "[{\"candidates\":[{",
            "{\"content\":[{\"input\":{",
            "{}",
            "{\"a key with \\",
        ] {
            assert!(!read(text).is_place_of_usage(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn it_is_known_at_every_cut(text in r#"([\[\]{}"\\ ,]|[0-9.]{1,90}){0,40}"#, cut in any::<prop::sample::Index>()) {
            let (one, other) = text.split_at(cut.index(text.len() + 1));
            let (mut nesting, mut bytewise) = (read(one), Nesting::default());
            nesting.read(other.as_bytes());
            for byte in text.as_bytes() {
                bytewise.read(std::slice::from_ref(byte));
            }
            let seen = |of: &Nesting| (of.depth, of.arrays, of.in_string, of.escaped);
            prop_assert_eq!(seen(&nesting), seen(&read(&text)));
            prop_assert_eq!(seen(&nesting), seen(&bytewise));
        }
    }
}
