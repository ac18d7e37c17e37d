//! The strings of a JSON text that were generated, told by their names. The text may be cut anywhere.

use crate::estimate::Letters;

/// The names of generated text, in all protocols.
const NAMES: [&[u8]; 12] = [
    b"content",
    b"text",
    b"delta",
    b"arguments",
    b"partial_json",
    b"reasoning_content",
    b"reasoning",
    b"thinking",
    b"refusal",
    b"tool_plan",
    b"transcript",
    // Of a custom tool.
    b"input",
];

/// The longest of them.
const LONGEST: usize = 17;

/// Goes through a JSON text and counts the letters of what was generated.
#[derive(Clone, Debug, Default)]
pub(super) struct Strings {
    at: At,
    /// The next byte of the string belongs to the backslash before it.
    escaped: bool,
    /// So many bytes of the string are digits of an escape.
    digits: u8,
    /// The beginning of a string that may be a name, where a piece ended in it.
    name: [u8; LONGEST],
    length: usize,
    /// What the last name means: a number in [`NAMES`].
    known: Option<usize>,
    /// What was counted of the string that is open.
    open: Letters,
    /// The name of the last string that counted, as a number in [`NAMES`], and what it had.
    last: Option<(usize, Letters)>,
    counted: Letters,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    #[default]
    Outside,
    /// In a string that may be a name.
    Name,
    /// Behind it.
    AfterName,
    /// Behind the colon after a name.
    Value,
    /// In a string that was generated, by the number of its name.
    Generated(usize),
    /// In another one.
    Other,
}

impl Strings {
    /// What was counted so far.
    pub(super) fn letters(&self) -> Letters {
        self.counted + self.open
    }

    /// Counts what was generated elsewhere.
    pub(super) fn add(&mut self, letters: Letters) {
        self.counted = self.counted + letters;
    }

    /// Another text begins, even if the one before has not ended.
    pub(super) fn begin(&mut self) {
        self.counted = self.letters();
        self.open = Letters::default();
        (self.at, self.escaped, self.digits, self.last) = (At::Outside, false, 0, None);
    }

    /// Looks at the next piece.
    pub(super) fn push(&mut self, mut bytes: &[u8]) {
        while let Some((byte, rest)) = bytes.split_first() {
            bytes = match self.at {
                At::Outside => {
                    let Some(quote) = memchr::memchr(b'"', bytes) else {
                        return;
                    };
                    (self.at, self.length) = (At::Name, 0);
                    bytes.get(quote + 1..).unwrap_or_default()
                }
                At::Name | At::Generated(_) | At::Other => self.inside(bytes),
                At::AfterName | At::Value if byte.is_ascii_whitespace() => rest,
                At::AfterName if *byte == b':' => {
                    self.at = At::Value;
                    rest
                }
                At::Value if *byte == b'"' => {
                    self.at = self.known.map_or(At::Other, At::Generated);
                    rest
                }
                At::AfterName | At::Value => {
                    self.at = At::Outside;
                    bytes
                }
            };
        }
    }

    /// Goes on in a string, up to its end or an escape. What is left comes back.
    fn inside<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let (text, rest) = if std::mem::take(&mut self.escaped) {
            let (escape, rest) = bytes.split_at(1);
            if escape == b"u" {
                self.digits = 4;
                // Servers that escape write every letter so that is not of ASCII.
                ("é".as_bytes(), rest)
            } else {
                (escape, rest)
            }
        } else if self.digits > 0 {
            self.digits -= 1;
            (b"".as_slice(), bytes.get(1..).unwrap_or_default())
        } else {
            let (text, rest) = bytes.split_at(memchr::memchr2(b'"', b'\\', bytes).unwrap_or(bytes.len()));
            match rest.first() {
                // Nearly all: nothing is copied.
                Some(b'"') if self.at == At::Name && self.length == 0 => {
                    (self.at, self.known) = (At::AfterName, number(text));
                }
                Some(b'"') => {
                    self.read(text);
                    self.close();
                }
                end => {
                    self.read(text);
                    self.escaped = end.is_some();
                }
            }
            return rest.get(1..).unwrap_or_default();
        };
        self.read(text);
        rest
    }

    fn read(&mut self, text: &[u8]) {
        match self.at {
            At::Generated(_) => self.open = self.open + Letters::of(text),
            At::Name => {
                let end = self.length.saturating_add(text.len());
                if let Some(room) = self.name.get_mut(self.length..end) {
                    room.copy_from_slice(text);
                }
                // A string that does not fit is no name of these.
                self.length = end;
            }
            _ => {}
        }
    }

    fn close(&mut self) {
        let name = match std::mem::replace(&mut self.at, At::Outside) {
            At::Generated(name) => name,
            At::Name => {
                self.known = self.name.get(..self.length).and_then(number);
                self.at = At::AfterName;
                return;
            }
            _ => return,
        };
        let letters = std::mem::take(&mut self.open);
        // Some providers tell a thought twice, under two names.
        let is_told_again = self.last.is_some_and(|last| last.0 != name && last.1 == letters);
        if !is_told_again {
            self.counted = self.counted + letters;
        }
        self.last = Some((name, letters));
    }
}

/// What a name means: a number in [`NAMES`].
fn number(name: &[u8]) -> Option<usize> {
    NAMES.iter().position(|known| *known == name)
}
