//! Writes JSON straight into a buffer: members in the order in which they are written, nothing built in between.

use std::io::Write as _;

use crate::raw::Raw;

/// Writes one object at the end of `out`.
pub fn object(out: &mut Vec<u8>, fill: impl FnOnce(&mut Object<'_>)) {
    out.push(b'{');
    fill(&mut Object { out, first: true });
    out.push(b'}');
}

/// Writes one array at the end of `out`.
pub fn array(out: &mut Vec<u8>, fill: impl FnOnce(&mut Array<'_>)) {
    out.push(b'[');
    fill(&mut Array { out, first: true });
    out.push(b']');
}

/// One object as a value of its own.
pub fn raw_object(fill: impl FnOnce(&mut Object<'_>)) -> Raw {
    let mut out = Vec::new();
    object(&mut out, fill);
    into_raw(out)
}

/// One array as a value of its own.
pub fn raw_array(fill: impl FnOnce(&mut Array<'_>)) -> Raw {
    let mut out = Vec::new();
    array(&mut out, fill);
    into_raw(out)
}

/// One string as a value of its own.
pub fn raw_text(text: &str) -> Raw {
    let mut out = Vec::with_capacity(text.len() + 2);
    write_text(&mut out, text);
    into_raw(out)
}

fn into_raw(out: Vec<u8>) -> Raw {
    // Only text is ever written.
    Raw::of_valid(&String::from_utf8(out).unwrap_or_default())
}

/// Writes a string literal at the end of `out`.
pub fn write_text(out: &mut Vec<u8>, text: &str) {
    // Writing to memory does not fail, and a string always serializes.
    let _ = serde_json::to_writer(out, text);
}

fn write_number(out: &mut Vec<u8>, number: impl Into<serde_json::Number>) {
    let _ = write!(out, "{}", number.into());
}

fn write_float(out: &mut Vec<u8>, number: f64) {
    match serde_json::Number::from_f64(number) {
        Some(number) => write_number(out, number),
        None => out.extend_from_slice(b"null"),
    }
}

fn write_bool(out: &mut Vec<u8>, value: bool) {
    out.extend_from_slice(if value { b"true" } else { b"false" });
}

/// An object that is being written.
#[derive(Debug)]
pub struct Object<'o> {
    out: &'o mut Vec<u8>,
    first: bool,
}

impl Object<'_> {
    fn key(&mut self, key: &str) -> &mut Vec<u8> {
        if !self.first {
            self.out.push(b',');
        }
        self.first = false;
        write_text(self.out, key);
        self.out.push(b':');
        self.out
    }

    /// A string.
    pub fn text(&mut self, key: &str, text: &str) {
        write_text(self.key(key), text);
    }

    /// A string, or `null`.
    pub fn text_or_null(&mut self, key: &str, text: Option<&str>) {
        match text {
            Some(text) => self.text(key, text),
            None => self.null(key),
        }
    }

    /// A string, if there is one.
    pub fn some_text(&mut self, key: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.text(key, text);
        }
    }

    /// An integer.
    pub fn number(&mut self, key: &str, number: impl Into<serde_json::Number>) {
        write_number(self.key(key), number);
    }

    /// An integer, if there is one.
    pub fn some_number(&mut self, key: &str, number: Option<impl Into<serde_json::Number>>) {
        if let Some(number) = number {
            self.number(key, number);
        }
    }

    /// A number; `null` when it is not finite.
    pub fn float(&mut self, key: &str, number: f64) {
        write_float(self.key(key), number);
    }

    /// A number, if there is one.
    pub fn some_float(&mut self, key: &str, number: Option<f64>) {
        if let Some(number) = number {
            self.float(key, number);
        }
    }

    /// A truth value.
    pub fn bool(&mut self, key: &str, value: bool) {
        write_bool(self.key(key), value);
    }

    /// A truth value, if there is one.
    pub fn some_bool(&mut self, key: &str, value: Option<bool>) {
        if let Some(value) = value {
            self.bool(key, value);
        }
    }

    /// `null`.
    pub fn null(&mut self, key: &str) {
        self.key(key).extend_from_slice(b"null");
    }

    /// A value as it is spelled.
    pub fn raw(&mut self, key: &str, value: &Raw) {
        self.key(key).extend_from_slice(value.as_str().as_bytes());
    }

    /// A value as it is spelled, if there is one.
    pub fn some_raw(&mut self, key: &str, value: Option<&Raw>) {
        if let Some(value) = value {
            self.raw(key, value);
        }
    }

    /// An object.
    pub fn object(&mut self, key: &str, fill: impl FnOnce(&mut Object<'_>)) {
        object(self.key(key), fill);
    }

    /// An array.
    pub fn array(&mut self, key: &str, fill: impl FnOnce(&mut Array<'_>)) {
        array(self.key(key), fill);
    }
}

/// An array that is being written.
#[derive(Debug)]
pub struct Array<'o> {
    out: &'o mut Vec<u8>,
    first: bool,
}

impl Array<'_> {
    fn next(&mut self) -> &mut Vec<u8> {
        if !self.first {
            self.out.push(b',');
        }
        self.first = false;
        self.out
    }

    /// A string.
    pub fn text(&mut self, text: &str) {
        write_text(self.next(), text);
    }

    /// An integer.
    pub fn number(&mut self, number: impl Into<serde_json::Number>) {
        write_number(self.next(), number);
    }

    /// A number; `null` when it is not finite.
    pub fn float(&mut self, number: f64) {
        write_float(self.next(), number);
    }

    /// A value as it is spelled.
    pub fn raw(&mut self, value: &Raw) {
        self.next().extend_from_slice(value.as_str().as_bytes());
    }

    /// An object.
    pub fn object(&mut self, fill: impl FnOnce(&mut Object<'_>)) {
        object(self.next(), fill);
    }

    /// An array.
    pub fn array(&mut self, fill: impl FnOnce(&mut Array<'_>)) {
        array(self.next(), fill);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_come_out_in_the_order_in_which_they_are_written() {
        let mut out = Vec::new();
        object(&mut out, |it| {
            it.text("z", "quote \" and \u{1}");
            it.number("n", 7u64);
            it.float("f", 0.1);
            it.float("none", f64::NAN);
            it.some_text("absent", None);
            it.raw("raw", &Raw::parse("1.10").unwrap());
            it.array("a", |it| {
                it.text("x");
                it.object(|it| it.bool("b", true));
                it.array(|_| {});
            });
            it.null("k\"");
        });
        assert_eq!(
            String::from_utf8(out).unwrap(),
            r#"{"z":"quote \" and \u0001","n":7,"f":0.1,"none":null,"raw":1.10,"a":["x",{"b":true},[]],"k\"":null}"#
        );
    }
}
