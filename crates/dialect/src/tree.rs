//! A JSON text as a tree that borrows from it: every node knows its own spelling.
//!
//! Reading is lenient in what may be absent ([`Node::get`] answers null) and loses nothing: the raw text of any node
//! can be carried over verbatim, so numbers of any size, key order and escapes survive.

use std::borrow::Cow;

use crate::json::{JsonFault, MAX_DEPTH, Scanner};
use crate::raw::Raw;

/// One JSON value.
#[derive(Clone, Debug, PartialEq)]
pub struct Node<'a> {
    raw: &'a str,
    value: Value<'a>,
}

/// What a JSON value is.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// `null`, or nothing at all.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as it is spelled.
    Number,
    /// A string with its escapes resolved; half a surrogate pair on its own reads as U+FFFD.
    Text(Cow<'a, str>),
    /// An array.
    Array(Vec<Node<'a>>),
    /// An object, its members in order, duplicates included.
    Object(Vec<(Cow<'a, str>, Node<'a>)>),
}

/// A JSON text that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TreeFault {
    /// Not UTF-8.
    #[error("the JSON is not valid UTF-8")]
    NotUtf8,
    /// Not JSON.
    #[error("the JSON is malformed: {0}")]
    Malformed(#[from] JsonFault),
}

static NOTHING: Node<'static> = Node {
    raw: "null",
    value: Value::Null,
};

impl Default for Node<'_> {
    fn default() -> Self {
        NOTHING.clone()
    }
}

impl<'a> Node<'a> {
    /// Reads a whole JSON text.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, TreeFault> {
        let text = std::str::from_utf8(bytes).map_err(|_| TreeFault::NotUtf8)?;
        Self::parse_text(text)
    }

    /// Reads a whole JSON text.
    pub fn parse_text(text: &'a str) -> Result<Self, TreeFault> {
        let mut scanner = Scanner::new(text.as_bytes());
        let node = read(text, &mut scanner, 0)?;
        scanner.end()?;
        Ok(node)
    }

    /// The value as it is spelled.
    pub fn raw(&self) -> &'a str {
        self.raw
    }

    /// The value as it is spelled, to keep.
    pub fn to_raw(&self) -> Raw {
        Raw::of_valid(self.raw)
    }

    /// What the value is.
    pub fn value(&self) -> &Value<'a> {
        &self.value
    }

    /// The member of that name, the last one if there are several; null when this is no object or has no such member.
    pub fn get(&self, key: &str) -> &Node<'a> {
        self.members()
            .iter()
            .rev()
            .find(|(name, _)| name == key)
            .map_or(&NOTHING, |(_, node)| node)
    }

    /// The first member of these names that is not null.
    pub fn any(&self, keys: &[&str]) -> &Node<'a> {
        keys.iter()
            .map(|key| self.get(key))
            .find(|node| !node.is_null())
            .unwrap_or(&NOTHING)
    }

    /// The members of an object; none for everything else.
    pub fn members(&self) -> &[(Cow<'a, str>, Node<'a>)] {
        match &self.value {
            Value::Object(members) => members,
            _ => &[],
        }
    }

    /// The elements of an array; none for everything else.
    pub fn items(&self) -> &[Node<'a>] {
        match &self.value {
            Value::Array(items) => items,
            _ => &[],
        }
    }

    /// The string, if it is one.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The string as an owned value, if it is one.
    pub fn string(&self) -> Option<String> {
        self.text().map(str::to_owned)
    }

    /// The string; empty if it is none.
    pub fn text_or_empty(&self) -> &str {
        self.text().unwrap_or_default()
    }

    /// The truth value, if it is one.
    pub fn bool(&self) -> Option<bool> {
        match self.value {
            Value::Bool(value) => Some(value),
            _ => None,
        }
    }

    /// The number, if it is one that a double can hold.
    pub fn f64(&self) -> Option<f64> {
        match self.value {
            Value::Number => self.raw.parse().ok().filter(|number: &f64| number.is_finite()),
            _ => None,
        }
    }

    /// The number as an integer; one with a fraction of zero (`3.0`) counts.
    pub fn i64(&self) -> Option<i64> {
        if self.value != Value::Number {
            return None;
        }
        self.raw.parse().ok().or_else(|| {
            let number = self.f64()?;
            #[expect(clippy::cast_possible_truncation, reason = "checked on the same line")]
            (number.fract() == 0.0 && number.abs() < 9e15).then_some(number as i64)
        })
    }

    /// The number as an integer that is not negative.
    pub fn u64(&self) -> Option<u64> {
        self.i64().and_then(|number| u64::try_from(number).ok())
    }

    /// Whether this is null, or nothing at all.
    pub fn is_null(&self) -> bool {
        self.value == Value::Null
    }

    /// Whether this is an object.
    pub fn is_object(&self) -> bool {
        matches!(self.value, Value::Object(_))
    }

    /// Whether this is an array.
    pub fn is_array(&self) -> bool {
        matches!(self.value, Value::Array(_))
    }

    /// Whether this is a string.
    pub fn is_text(&self) -> bool {
        matches!(self.value, Value::Text(_))
    }

    /// What kind of value this is, for messages.
    pub fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number => "a number",
            Value::Text(_) => "a string",
            Value::Array(_) => "an array",
            Value::Object(_) => "an object",
        }
    }
}

fn read<'a>(text: &'a str, scanner: &mut Scanner<'a>, depth: u32) -> Result<Node<'a>, JsonFault> {
    let (start, value) = match scanner.next_byte() {
        Some(b'{') => {
            let start = scanner.open_object()?;
            scanner.check_depth(depth + 1)?;
            let mut members = Vec::new();
            while let Some(key) = scanner.next_key(members.is_empty())? {
                members.push((unescaped(&text[key]), read(text, scanner, depth + 1)?));
            }
            (start, Value::Object(members))
        }
        Some(b'[') => {
            let start = scanner.open_array()?;
            scanner.check_depth(depth + 1)?;
            let mut items = Vec::new();
            while scanner.next_item(items.is_empty())? {
                items.push(read(text, scanner, depth + 1)?);
            }
            (start, Value::Array(items))
        }
        _ => {
            let span = scanner.value()?;
            (span.start, scalar(&text[span]))
        }
    };
    Ok(Node {
        raw: &text[start..scanner.position()],
        value,
    })
}

fn scalar(raw: &str) -> Value<'_> {
    match raw.as_bytes().first() {
        Some(b'"') => Value::Text(unescaped(raw)),
        Some(b't') => Value::Bool(true),
        Some(b'f') => Value::Bool(false),
        Some(b'n') | None => Value::Null,
        Some(_) => Value::Number,
    }
}

/// The text of a string literal.
fn unescaped(literal: &str) -> Cow<'_, str> {
    let inner = &literal[1..literal.len() - 1];
    if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
        return Cow::Borrowed(inner);
    }
    let mut halves = Halves::default();
    let mut text = halves.resolve(inner);
    if halves.is_pending() {
        text.push(char::REPLACEMENT_CHARACTER);
    }
    Cow::Owned(text)
}

/// Joins surrogate pairs whose halves come in two strings: some providers cut their deltas between the two.
#[derive(Debug, Default)]
pub struct Halves {
    high: Option<u16>,
}

impl Halves {
    /// The text of a node that is one of a sequence of deltas; `None` when it is no string. Half a pair at its end is
    /// held back for the next one.
    pub fn text(&mut self, node: &Node<'_>) -> Option<String> {
        node.text()?;
        let inner = &node.raw[1..node.raw.len() - 1];
        if self.high.is_none() && memchr::memchr(b'\\', inner.as_bytes()).is_none() {
            return Some(inner.to_owned());
        }
        Some(self.resolve(inner))
    }

    /// Whether half a pair is held back.
    pub fn is_pending(&self) -> bool {
        self.high.is_some()
    }

    /// Resolves the escapes of a valid string literal without its quotes.
    fn resolve(&mut self, inner: &str) -> String {
        let mut text = String::with_capacity(inner.len());
        let mut rest = inner;
        while !rest.is_empty() {
            let plain = memchr::memchr(b'\\', rest.as_bytes()).unwrap_or(rest.len());
            if plain > 0 {
                self.drop_lone(&mut text);
                text.push_str(&rest[..plain]);
                rest = &rest[plain..];
                continue;
            }
            let escape = rest.as_bytes().get(1).copied().unwrap_or(b'\\');
            if escape == b'u' {
                let unit = u16::from_str_radix(rest.get(2..6).unwrap_or_default(), 16).unwrap_or(0xfffd);
                self.unit(unit, &mut text);
                rest = rest.get(6..).unwrap_or_default();
            } else {
                self.drop_lone(&mut text);
                text.push(match escape {
                    b'b' => '\u{8}',
                    b'f' => '\u{c}',
                    b'n' => '\n',
                    b'r' => '\r',
                    b't' => '\t',
                    other => char::from(other),
                });
                rest = rest.get(2..).unwrap_or_default();
            }
        }
        text
    }

    fn unit(&mut self, unit: u16, text: &mut String) {
        match (self.high.take(), unit) {
            (Some(high), 0xdc00..=0xdfff) => {
                let decoded = char::decode_utf16([high, unit]).next().and_then(Result::ok);
                text.push(decoded.unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            (before, 0xd800..=0xdbff) => {
                if before.is_some() {
                    text.push(char::REPLACEMENT_CHARACTER);
                }
                self.high = Some(unit);
            }
            (before, _) => {
                if before.is_some() {
                    text.push(char::REPLACEMENT_CHARACTER);
                }
                text.push(char::from_u32(u32::from(unit)).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
        }
    }

    fn drop_lone(&mut self, text: &mut String) {
        if self.high.take().is_some() {
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
}

const _: () = assert!(MAX_DEPTH < 200, "`read` recurses once a level");

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_node_knows_its_own_spelling() {
        let node =
            Node::parse(br#" {"a": [1.10, 123456789012345678901234567890, {"b" : "x\n"}], "a2": null, "t": true} "#)
                .unwrap();
        assert_eq!(
            node.get("a").raw(),
            r#"[1.10, 123456789012345678901234567890, {"b" : "x\n"}]"#
        );
        assert_eq!(node.get("a").items()[0].raw(), "1.10");
        assert_eq!(node.get("a").items()[2].get("b").text(), Some("x\n"));
        assert!(node.get("a2").is_null() && node.get("nowhere").get("deeper").is_null());
        assert_eq!(node.get("t").bool(), Some(true));
    }

    #[test]
    fn the_last_of_several_members_counts() {
        let node = Node::parse(br#"{"a":1,"a":2}"#).unwrap();
        assert_eq!(node.get("a").i64(), Some(2));
    }

    #[test]
    fn numbers_are_integers_when_their_value_is() {
        let node = Node::parse(b"[3, 3.0, 3.5, -1, 1e3, 18446744073709551615, 1e400]").unwrap();
        let read: Vec<_> = node.items().iter().map(Node::i64).collect();
        assert_eq!(read, [Some(3), Some(3), None, Some(-1), Some(1000), None, None]);
        assert_eq!(node.items()[3].u64(), None);
        assert_eq!(node.items()[6].f64(), None);
    }

    #[test]
    fn a_pair_that_is_cut_in_two_deltas_is_joined() {
        let (first, second) = (
            Node::parse(br#""a\ud83d""#).unwrap(),
            Node::parse(br#""\ude00b""#).unwrap(),
        );
        let mut halves = Halves::default();
        assert_eq!(halves.text(&first).unwrap(), "a");
        assert_eq!(halves.text(&second).unwrap(), "😀b");
        assert_eq!(first.text(), Some("a\u{fffd}"));
        let mut lone = Halves::default();
        lone.text(&first);
        assert_eq!(
            lone.text(&Node::parse(br#""plain""#).unwrap()).unwrap(),
            "\u{fffd}plain"
        );
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(Node::parse_text(&nested(MAX_DEPTH as usize)).is_ok());
        assert!(Node::parse_text(&nested(MAX_DEPTH as usize + 1)).is_err());
        assert!(Node::parse_text(&"{\"a\":".repeat(100_000)).is_err());
    }

    proptest! {
        #[test]
        fn agrees_with_serde_json(text in r#"([\[\]{},:"\\ ]|"[a-z\\n"]*"|[0-9.eE+-]{1,4}|true|null){0,12}"#) {
            let expected = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
            prop_assert_eq!(Node::parse_text(&text).is_ok(), expected);
        }

        #[test]
        fn strings_read_as_serde_json_reads_them(text in any::<String>()) {
            let literal = serde_json::to_string(&text).unwrap();
            let node = Node::parse_text(&literal).unwrap();
            prop_assert_eq!(node.text(), Some(text.as_str()));
        }

        #[test]
        fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Node::parse(&bytes);
        }
    }
}
