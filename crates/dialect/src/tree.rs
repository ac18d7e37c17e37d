//! A JSON text as a tree that borrows from it: every node knows its own spelling.
//!
//! Reading is lenient in what may be absent ([`Node::get`] answers null) and loses nothing: the raw text of any node
//! can be carried over verbatim, so numbers of any size, key order and escapes survive.

use std::borrow::Cow;

use wide::u8x16;

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
        let scanner = Scanner::new(text.as_bytes());
        let mut reader = Reader { text, scanner };
        let node = reader.node(0)?;
        reader.scanner.end()?;
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
        if !matches!(self.value, Value::Number) {
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
        matches!(self.value, Value::Null)
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

/// Reads a text from its beginning to its end. The scanner is who judges; what is plain and short takes a shorter way.
struct Reader<'a> {
    text: &'a str,
    scanner: Scanner<'a>,
}

impl<'a> Reader<'a> {
    // A node is large. Inlined into the loops below, it is made where it will stay.
    #[expect(clippy::inline_always, reason = "see above")]
    #[inline(always)]
    fn node(&mut self, depth: u32) -> Result<Node<'a>, JsonFault> {
        let first = self.scanner.next_byte();
        let start = self.scanner.position();
        let value = match first {
            Some(b'{') => Value::Object(self.members(depth + 1)?),
            Some(b'[') => Value::Array(self.items(depth + 1)?),
            Some(b'"') => Value::Text(self.string(start)?),
            _ => scalar(&self.text[self.scanner.value()?]),
        };
        Ok(Node {
            raw: &self.text[start..self.scanner.position()],
            value,
        })
    }

    fn members(&mut self, depth: u32) -> Result<Vec<(Cow<'a, str>, Node<'a>)>, JsonFault> {
        self.scanner.open_object()?;
        self.scanner.check_depth(depth)?;
        let mut members = Vec::new();
        while let Some(key) = self.key(members.is_empty())? {
            members.push((key, self.node(depth)?));
        }
        Ok(members)
    }

    fn items(&mut self, depth: u32) -> Result<Vec<Node<'a>>, JsonFault> {
        self.scanner.open_array()?;
        self.scanner.check_depth(depth)?;
        let mut items = Vec::new();
        while self.scanner.next_item(items.is_empty())? {
            items.push(self.node(depth)?);
        }
        Ok(items)
    }

    fn key(&mut self, first: bool) -> Result<Option<Cow<'a, str>>, JsonFault> {
        let bytes = self.text.as_bytes();
        let rest = &bytes[self.scanner.position()..];
        let separator: &[u8] = match rest {
            _ if first => b"",
            [b',', b' ', ..] => b", ",
            _ => b",",
        };
        if rest.starts_with(separator)
            && let Some((key, end)) = self.plain(self.scanner.position() + separator.len())
            && bytes.get(end) == Some(&b':')
        {
            self.scanner = Scanner::starting_at(bytes, end + 1);
            return Ok(Some(Cow::Borrowed(key)));
        }
        let key = self.scanner.next_key(first)?;
        Ok(key.map(|key| unescaped(&self.text[key])))
    }

    fn string(&mut self, start: usize) -> Result<Cow<'a, str>, JsonFault> {
        if let Some((text, end)) = self.plain(start) {
            self.scanner = Scanner::starting_at(self.text.as_bytes(), end);
            return Ok(Cow::Borrowed(text));
        }
        Ok(unescaped(&self.text[self.scanner.value()?]))
    }

    /// The string literal that begins here and where it ends, if it is short, without escapes, and not near the text's end.
    fn plain(&self, start: usize) -> Option<(&'a str, usize)> {
        let inner = self.text.as_bytes().get(start..)?.strip_prefix(b"\"")?;
        let mut length = 0;
        for block in inner.as_chunks().0.iter().take(SHORT) {
            let found = first(specials(u8x16::new(*block)));
            length += found;
            if found < BLOCK {
                let end = start + 1 + length;
                return (inner[length] == b'"').then(|| (&self.text[start + 1..end], end + 1));
            }
        }
        None
    }
}

/// Bytes of a string that are looked at together.
const BLOCK: usize = 16;

/// A string of less than so many blocks is short: names, roles and ids are, and the pieces of a stream.
const SHORT: usize = 2;

/// The quotes, backslashes and control characters in a block.
fn specials(block: u8x16) -> u8x16 {
    let control = block.min(u8x16::splat(0x1f)).simd_eq(block);
    block.simd_eq(u8x16::splat(b'"')) | block.simd_eq(u8x16::splat(b'\\')) | control
}

/// The first byte that was found in a block; the length of a block when there is none.
fn first(found: u8x16) -> usize {
    (found.to_bitmask() | 1 << BLOCK).trailing_zeros() as usize
}

/// The first backslash; the length when there is none. In prompts the next one is so near that to call for a search takes
/// longer than the search.
fn first_backslash(bytes: &[u8]) -> usize {
    let mut at = 0;
    for block in bytes.as_chunks().0.iter().take(4) {
        let found = first(u8x16::new(*block).simd_eq(u8x16::splat(b'\\')));
        at += found;
        if found < BLOCK {
            return at;
        }
    }
    memchr::memchr(b'\\', &bytes[at..]).map_or(bytes.len(), |found| at + found)
}

fn scalar(raw: &str) -> Value<'_> {
    match raw.as_bytes().first() {
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
        match &node.value {
            // What needed no resolving is borrowed.
            Value::Text(Cow::Borrowed(text)) if self.high.is_none() => Some((*text).to_owned()),
            Value::Text(_) => Some(self.resolve(&node.raw[1..node.raw.len() - 1])),
            _ => None,
        }
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
            let plain = first_backslash(rest.as_bytes());
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

const _: () = assert!(MAX_DEPTH < 200, "`Reader::node` recurses once a level");

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

        /// The short way through a plain string, which is not taken near the end of the text, is the scanner's.
        #[test]
        fn judges_as_the_scanner_does(
            text in r#"\{("[a-zé\\n"\t]{0,40}"|[\[\]{},: ]|"k":|,"k" ?:|, "k": ?|[0-9.e-]{1,3}|true){0,12}"#,
            space in prop_oneof![Just(0_usize), Just(40)],
        ) {
            let text = text + &" ".repeat(space);
            let mut scanner = Scanner::new(text.as_bytes());
            let judged = scanner.value().and_then(|_| scanner.end());
            prop_assert_eq!(Node::parse_text(&text).map(drop), judged.map_err(TreeFault::from));
        }

        #[test]
        fn members_are_found_however_they_are_spelled(
            members in prop::collection::vec(("[a-zé\"\n]{0,40}", "[a-z😀\\\\\t]{0,40}"), 0..6),
            spacing in 0_usize..3,
        ) {
            let (before, after) = [("", ""), (" ", " "), ("\n  ", "\t ")][spacing];
            let literal = |text: &str| serde_json::to_string(text).unwrap();
            let spell = |(key, text): &(String, String)| format!("{before}{}:{after}{}", literal(key), literal(text));
            let spelled: Vec<String> = members.iter().map(spell).collect();
            let json = format!("{{{}}}{}", spelled.join(","), " ".repeat(spacing * 20));
            let node = Node::parse_text(&json).unwrap();
            let read: Vec<_> = node.members().iter().map(|(key, node)| (key.as_ref(), node.text().unwrap())).collect();
            let expected: Vec<_> = members.iter().map(|(key, text)| (key.as_str(), text.as_str())).collect();
            prop_assert_eq!(read, expected);
            for ((_, node), (_, text)) in node.members().iter().zip(&members) {
                prop_assert_eq!(node.raw(), literal(text));
            }
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
