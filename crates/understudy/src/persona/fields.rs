//! Looking at the fields of a request.

use serde_json::Value;

/// The first field of an object that is not among the known ones.
pub(super) fn stranger<'a>(value: &'a Value, known: &[&str]) -> Option<&'a str> {
    let fields = value.as_object()?;
    fields.keys().map(String::as_str).find(|name| !known.contains(name))
}

/// The elements of a list; none if it is no list.
pub(super) fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// A text; empty if it is none.
pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Whether a field is there, and is not null.
pub(super) fn is_set(value: &Value, name: &str) -> bool {
    value.get(name).is_some_and(|value| !value.is_null())
}

/// Whether a name consists of letters, digits, `_` and `-`, at least one and not more than `longest`.
pub(super) fn is_name(name: &str, longest: usize) -> bool {
    (1..=longest).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

/// Whether a field is a number outside of a range; if it is missing or null, it is not.
pub(super) fn is_outside(body: &Value, name: &str, least: f64, most: f64) -> bool {
    match &body[name] {
        Value::Null => false,
        value => value.as_f64().is_none_or(|number| !(least..=most).contains(&number)),
    }
}

/// What kind of value it is, in the words of error messages.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a decimal",
        Value::Number(_) => "an integer",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
