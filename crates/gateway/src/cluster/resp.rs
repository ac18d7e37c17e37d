//! Redis' protocol, RESP2, as pure functions over bytes (<https://redis.io/docs/latest/develop/reference/protocol-spec/>).

use std::io::Write as _;

/// Replies are nested no deeper than this.
const MAX_DEPTH: u8 = 4;
/// The longest text of a reply, in bytes, and the most values of one.
const MAX_LENGTH: usize = 16 * 1024 * 1024;

/// A command under way to be written.
#[derive(Clone, Debug, Default)]
pub struct Command {
    words: usize,
    body: Vec<u8>,
}

/// What Redis answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Nothing.
    Nil,
    /// A number.
    Integer(i64),
    /// A text.
    Text(Vec<u8>),
    /// Several values.
    List(Vec<Value>),
    /// The command has failed.
    Error(String),
}

/// What came is not RESP2, or is too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it does not speak Redis' protocol")]
pub struct Garbled;

// === impl Command ===

impl Command {
    /// A command of these words.
    pub fn of(words: &[&str]) -> Self {
        words.iter().fold(Self::default(), Self::word)
    }

    /// Adds a word.
    #[must_use]
    pub fn word(mut self, word: impl AsRef<[u8]>) -> Self {
        self.add(word);
        self
    }

    /// Adds a word.
    pub fn add(&mut self, word: impl AsRef<[u8]>) {
        let word = word.as_ref();
        self.words += 1;
        // Writing to memory does not fail.
        let _ = write!(self.body, "${}\r\n", word.len());
        self.body.extend_from_slice(word);
        self.body.extend_from_slice(b"\r\n");
    }

    /// Adds a number.
    pub fn number(&mut self, number: impl Into<i128>) {
        let mut digits = [0_u8; 40];
        let mut left = &mut digits[..];
        let _ = write!(left, "{}", number.into());
        let unused = left.len();
        self.add(&digits[..40 - unused]);
    }

    /// Its bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = format!("*{}\r\n", self.words).into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

// === impl Value ===

impl Value {
    /// A number, also where it is written as text; 0 where there is none.
    pub fn number(&self) -> i64 {
        match self {
            Self::Integer(number) => *number,
            Self::Text(text) => std::str::from_utf8(text)
                .ok()
                .and_then(|text| text.parse().ok())
                .unwrap_or(0),
            Self::Nil | Self::List(_) | Self::Error(_) => 0,
        }
    }

    /// A number that is not negative.
    pub fn count(&self) -> u64 {
        u64::try_from(self.number()).unwrap_or(0)
    }

    /// A text.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => std::str::from_utf8(text).ok(),
            _ => None,
        }
    }

    /// The values of a list.
    pub fn list(&self) -> &[Self] {
        match self {
            Self::List(values) => values,
            _ => &[],
        }
    }

    /// Reads one value from the start of what came, and tells how many bytes it has; `None` until it is whole.
    pub fn read(bytes: &[u8]) -> Result<Option<(Self, usize)>, Garbled> {
        let mut reader = Reader { bytes, at: 0 };
        Ok(reader.value(0)?.map(|value| (value, reader.at)))
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn value(&mut self, depth: u8) -> Result<Option<Value>, Garbled> {
        let Some(line) = self.line()? else { return Ok(None) };
        let (kind, rest) = line.split_first().ok_or(Garbled)?;
        let value = match kind {
            b'+' => Value::Text(rest.to_vec()),
            b'-' => Value::Error(String::from_utf8_lossy(rest).into_owned()),
            b':' => Value::Integer(number(rest)?),
            b'$' => match length(rest)? {
                None => Value::Nil,
                Some(length) => {
                    let Some(text) = self.bytes.get(self.at..self.at + length + 2) else {
                        return Ok(None);
                    };
                    self.at += length + 2;
                    Value::Text(text.strip_suffix(b"\r\n").ok_or(Garbled)?.to_vec())
                }
            },
            b'*' if depth < MAX_DEPTH => match length(rest)? {
                None => Value::Nil,
                Some(length) => {
                    let mut values = Vec::new();
                    for _ in 0..length {
                        let Some(value) = self.value(depth + 1)? else {
                            return Ok(None);
                        };
                        values.push(value);
                    }
                    Value::List(values)
                }
            },
            _ => return Err(Garbled),
        };
        Ok(Some(value))
    }

    fn line(&mut self) -> Result<Option<&'a [u8]>, Garbled> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        match memchr::memmem::find(rest, b"\r\n") {
            Some(end) => {
                self.at += end + 2;
                Ok(rest.get(..end))
            }
            None if rest.len() > MAX_LENGTH => Err(Garbled),
            None => Ok(None),
        }
    }
}

fn number(digits: &[u8]) -> Result<i64, Garbled> {
    let digits = std::str::from_utf8(digits).map_err(|_| Garbled)?;
    digits.parse().map_err(|_| Garbled)
}

fn length(digits: &[u8]) -> Result<Option<usize>, Garbled> {
    match number(digits)? {
        -1 => Ok(None),
        length => {
            let length = usize::try_from(length).map_err(|_| Garbled)?;
            (length <= MAX_LENGTH).then_some(Some(length)).ok_or(Garbled)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn commands_are_lists_of_texts() {
        let mut command = Command::of(&["GET", "a b"]);
        command.number(-12);
        assert_eq!(command.bytes(), b"*3\r\n$3\r\nGET\r\n$3\r\na b\r\n$3\r\n-12\r\n");
    }

    #[test]
    fn replies_are_read_however_they_are_cut() {
        let bytes = b"*5\r\n:-7\r\n$2\r\n\r\n\r\n$-1\r\n+OK\r\n*1\r\n-ERR no\r\n:1\r\n";
        for end in 0..bytes.len() - 4 {
            assert_eq!(Value::read(&bytes[..end]), Ok(None), "{end}");
        }
        let values = vec![
            Value::Integer(-7),
            Value::Text(b"\r\n".to_vec()),
            Value::Nil,
            Value::Text(b"OK".to_vec()),
            Value::List(vec![Value::Error("ERR no".into())]),
        ];
        assert_eq!(Value::read(bytes), Ok(Some((Value::List(values), bytes.len() - 4))));
        for garbled in [
            &b"HTTP/1.1 400\r\n"[..],
            b":x\r\n",
            b"$99999999999\r\n",
            b"$1\r\nabc",
            b"$-2\r\n",
        ] {
            assert_eq!(Value::read(garbled), Err(Garbled));
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_or_refused(bytes in prop::collection::vec(prop_oneof![
            Just(b'*'), Just(b'$'), Just(b':'), Just(b'1'), Just(b'3'), Just(b'\r'), Just(b'\n'), any::<u8>()], 0..60)) {
            if let Ok(Some((_, length))) = Value::read(&bytes) {
                prop_assert!(length <= bytes.len());
            }
        }
    }
}
