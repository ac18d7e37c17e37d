//! Finds the `model` field, and others, in a multipart form without decoding or re-encoding the form (RFC 7578).

use std::borrow::Cow;

use bytes::Bytes;
use memchr::memmem;

use crate::peek::Model;
use crate::splice::Edit;

/// Forms with more parts than this are refused.
const MAX_PARTS: usize = 1_000;

/// Why a form cannot be routed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// `content-type` has no usable `boundary`.
    #[error("the `content-type` of a form must name its `boundary`")]
    NoBoundary,
    /// The body does not consist of parts between boundaries.
    #[error("the request body is not a well-formed multipart form")]
    Malformed,
    /// The form has more parts than are read.
    #[error("the form has more than {MAX_PARTS} parts")]
    TooManyParts,
    /// The value of `model` is not UTF-8.
    #[error("`model` must be text")]
    ModelNotText,
    /// `model` stands there twice: two readers might choose differently.
    #[error("`model` is given more than once")]
    ModelTwice,
}

/// The model that a form asks for, with the span of its value; `None` when the form has no such field.
pub fn peek<'a>(content_type: &str, body: &'a [u8]) -> Result<Option<Model<'a>>, FormError> {
    let boundary = boundary(content_type).ok_or(FormError::NoBoundary)?;
    let mut model = None;
    for (count, part) in Parts::new(&boundary, body)?.enumerate() {
        if count == MAX_PARTS {
            return Err(FormError::TooManyParts);
        }
        let part = part?;
        let (head, value_start) = head_of(body, &part)?;
        if !is_field(head, "model") {
            continue;
        }
        if model.is_some() {
            return Err(FormError::ModelTwice);
        }
        let span = value_start..part.end;
        let name = std::str::from_utf8(&body[span.clone()]).map_err(|_| FormError::ModelNotText)?;
        model = Some(Model {
            name: Cow::Borrowed(name),
            span,
        });
    }
    Ok(model)
}

/// The value of the first field of that name, if it is text; `None` as well when the form cannot be read.
pub fn text<'a>(content_type: &str, body: &'a [u8], name: &str) -> Option<&'a str> {
    let boundary = boundary(content_type)?;
    for part in Parts::new(&boundary, body).ok()?.take(MAX_PARTS) {
        let part = part.ok()?;
        let (head, value_start) = head_of(body, &part).ok()?;
        if is_field(head, name) {
            return std::str::from_utf8(body.get(value_start..part.end)?).ok();
        }
    }
    None
}

/// The edit that puts another model in a form, or `None` when it is the same one.
pub fn replace_model(model: &Model<'_>, name: &str) -> Option<Edit> {
    (model.name != name).then(|| Edit {
        span: model.span.clone(),
        text: Bytes::copy_from_slice(name.as_bytes()),
    })
}

/// The delimiter between parts: CRLF, two dashes and the boundary.
fn boundary(content_type: &str) -> Option<Vec<u8>> {
    let (_, parameters) = content_type.split_once(';')?;
    let value = parameter(parameters.as_bytes(), "boundary")?;
    let valid = !value.is_empty() && value.len() <= 70;
    valid.then(|| [b"\r\n--", value.as_slice()].concat())
}

/// The spans between delimiters, each with its head and value.
struct Parts<'a> {
    body: &'a [u8],
    finder: memmem::Finder<'a>,
    at: usize,
    done: bool,
}

impl<'a> Parts<'a> {
    fn new(delimiter: &'a [u8], body: &'a [u8]) -> Result<Self, FormError> {
        let finder = memmem::Finder::new(delimiter);
        // The first delimiter may stand at the very start, without its line break.
        let first = if body.starts_with(&delimiter[2..]) {
            delimiter.len() - 2
        } else {
            finder.find(body).ok_or(FormError::Malformed)? + delimiter.len()
        };
        Ok(Self {
            body,
            finder,
            at: first,
            done: false,
        })
    }
}

impl Iterator for Parts<'_> {
    type Item = Result<std::ops::Range<usize>, FormError>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = &self.body[self.at..];
        if self.done || rest.starts_with(b"--") {
            return None;
        }
        self.done = true;
        let padding = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        if !rest[padding..].starts_with(b"\r\n") {
            return Some(Err(FormError::Malformed));
        }
        // A head may be empty, so the line break after the delimiter may also be the one of the head's end.
        let Some(length) = self.finder.find(&rest[padding..]) else {
            return Some(Err(FormError::Malformed));
        };
        let (start, end) = (self.at + padding + 2, self.at + padding + length);
        self.at = end + self.finder.needle().len();
        self.done = false;
        Some(if start <= end {
            Ok(start..end)
        } else {
            Err(FormError::Malformed)
        })
    }
}

/// A part's head and the offset at which its value starts.
fn head_of<'a>(body: &'a [u8], part: &std::ops::Range<usize>) -> Result<(&'a [u8], usize), FormError> {
    let bytes = &body[part.clone()];
    if bytes.starts_with(b"\r\n") {
        return Ok((&[], part.start + 2));
    }
    let end = memmem::find(bytes, b"\r\n\r\n").ok_or(FormError::Malformed)?;
    Ok((&bytes[..end], part.start + end + 4))
}

/// Whether a part's head says that it is the form field `name`.
fn is_field(head: &[u8], name: &str) -> bool {
    head.split(|&byte| byte == b'\n').any(|line| {
        let Some(colon) = memchr::memchr(b':', line) else {
            return false;
        };
        line[..colon].trim_ascii().eq_ignore_ascii_case(b"content-disposition")
            && memchr::memchr(b';', line)
                .is_some_and(|at| parameter(&line[at + 1..], "name").is_some_and(|value| value == name.as_bytes()))
    })
}

/// The value of one `name=value` or `name="value"` in a list separated by semicolons.
fn parameter(mut list: &[u8], wanted: &str) -> Option<Vec<u8>> {
    while !list.is_empty() {
        let equals = memchr::memchr(b'=', list)?;
        let name = list[..equals].trim_ascii();
        let name = name.rsplit(|&byte| byte == b';').next().unwrap_or(name).trim_ascii();
        let (value, rest) = parameter_value(list[equals + 1..].trim_ascii_start());
        if name.eq_ignore_ascii_case(wanted.as_bytes()) {
            return Some(value);
        }
        list = rest;
    }
    None
}

/// One value, quoted or bare, and what follows it.
fn parameter_value(bytes: &[u8]) -> (Vec<u8>, &[u8]) {
    let Some(quoted) = bytes.strip_prefix(b"\"") else {
        let end = memchr::memchr(b';', bytes).unwrap_or(bytes.len());
        return (
            bytes[..end].trim_ascii().to_vec(),
            bytes.get(end + 1..).unwrap_or_default(),
        );
    };
    let mut value = Vec::new();
    let mut at = 0;
    while let Some(&byte) = quoted.get(at) {
        match byte {
            b'"' => return (value, &quoted[at + 1..]),
            b'\\' if matches!(quoted.get(at + 1), Some(b'"' | b'\\')) => at += 1,
            _ => {}
        }
        value.push(quoted[at]);
        at += 1;
    }
    (value, &[])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::splice::splice;
    use proptest::prelude::*;

    const TYPE: &str = "multipart/form-data; charset=utf-8; boundary=\"a b\"";

    fn form(parts: &[(&str, &[u8])]) -> Vec<u8> {
        let mut body = Vec::new();
        for (head, value) in parts {
            body.extend_from_slice(b"--a b\r\n");
            body.extend_from_slice(head.as_bytes());
            body.extend_from_slice(b"\r\n\r\n");
            body.extend_from_slice(value);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"--a b--\r\n");
        body
    }

    const FILE: &str =
        "Content-Disposition: form-data; name=\"file\"; filename=\"; name=model.wav\"\r\nContent-Type: audio/wav";
    const MODEL: &str = "content-disposition: form-data; name=model";

    #[test]
    fn finds_and_replaces_the_model_after_a_file() {
        let body = form(&[(FILE, b"\x00\xff--a b\r\nRIFF"), (MODEL, b"whisper-1")]);
        // The file holds what looks like a delimiter without the line break before it.
        let model = peek(TYPE, &body).unwrap().unwrap();
        assert_eq!(model.name, "whisper-1");
        let expected = form(&[(FILE, b"\x00\xff--a b\r\nRIFF"), (MODEL, b"large")]);
        let edits = Vec::from_iter(replace_model(&model, "large"));
        assert_eq!(splice(&Bytes::from(body.clone()), edits).concat(), expected);
    }

    #[test]
    fn other_fields_are_found_too() {
        let body = form(&[(FILE, b"n"), ("content-disposition: form-data; name=\"n\"", b"3")]);
        assert_eq!(text(TYPE, &body, "n"), Some("3"));
        assert_eq!(text(TYPE, &body, "size"), None);
        assert_eq!(text("multipart/form-data", &body, "n"), None);
        assert_eq!(text(TYPE, &form(&[(MODEL, b"\xff")]), "model"), None);
    }

    #[test]
    fn a_form_without_a_model_is_no_error() {
        assert_eq!(peek(TYPE, &form(&[(FILE, b"x")])), Ok(None));
        assert_eq!(peek(TYPE, b"preamble\r\n--a b--"), Ok(None));
        assert_eq!(peek(TYPE, &form(&[("", b"x")])), Ok(None));
    }

    #[test]
    fn refuses_what_cannot_be_routed() {
        let body = form(&[(MODEL, b"a"), (MODEL, b"b")]);
        assert_eq!(peek(TYPE, &body), Err(FormError::ModelTwice));
        assert_eq!(peek("multipart/form-data", &body), Err(FormError::NoBoundary));
        assert_eq!(peek(TYPE, b"{}"), Err(FormError::Malformed));
        assert_eq!(peek(TYPE, &body[..body.len() - 12]), Err(FormError::Malformed));
        assert_eq!(peek(TYPE, &form(&[(MODEL, b"\xff")])), Err(FormError::ModelNotText));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(content_type in r#"multipart/form-data;? ?(boundary|x)?=?"?[a\\";= ]{0,5}"#,
            body in r#"(--a|\r\n|--|a|;|"|name=|content-disposition:|\\){0,30}"#) {
            let _ = peek(&content_type, body.as_bytes());
            let _ = text(&content_type, body.as_bytes(), "n");
        }
    }
}
