//! Fields that a request is given where it has none of its own.

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::json::{JsonFault, Scanner};
use crate::peek::plain_key;
use crate::splice::{Edit, splice};

/// Names of one and the same field: who has given one of them has given all.
const SAME: [&str; 3] = ["max_tokens", "max_completion_tokens", "max_output_tokens"];

/// Fields with their values, as they stand at the top level of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Defaults {
    fields: Vec<(String, Value)>,
}

impl Defaults {
    /// These fields. One whose value is null is none.
    pub fn new(fields: Map<String, Value>) -> Self {
        Self {
            fields: fields.into_iter().filter(|(_, value)| !value.is_null()).collect(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// How long an answer may be, in tokens, where that is one of them.
    pub fn max_tokens(&self) -> Option<u64> {
        let limit = |(name, value): &(String, Value)| value.as_u64().filter(|_| SAME.contains(&name.as_str()));
        self.fields.iter().find_map(limit)
    }

    /// The edit that adds those fields to a JSON object that it does not have; `None` when it has all of them, or is no
    /// object.
    pub fn added_to(&self, body: &[u8]) -> Option<Edit> {
        let (open, names) = names(body).ok()?;
        let is_given = |name: &str| names.iter().any(|given| given == name.as_bytes());
        let is_missing = |name: &str| !(is_given(name) || SAME.contains(&name) && SAME.into_iter().any(is_given));
        let mut text = String::new();
        for (name, value) in self.fields.iter().filter(|(name, _)| is_missing(name)) {
            text.extend([&Value::from(name.as_str()).to_string(), ":", &value.to_string(), ","]);
        }
        if names.is_empty() {
            text.pop();
        }
        (!text.is_empty()).then(|| Edit {
            span: open..open,
            text: Bytes::from(text),
        })
    }

    /// A body that was written here, with what it does not have.
    pub fn fill(&self, body: Vec<u8>) -> Vec<u8> {
        match self.added_to(&body) {
            Some(edit) => splice(&body.into(), vec![edit]).concat(),
            None => body,
        }
    }
}

/// Where the members of an object begin, and their names.
fn names(body: &[u8]) -> Result<(usize, Vec<Vec<u8>>), JsonFault> {
    let mut scanner = Scanner::new(body);
    let open = scanner.open_object()?;
    let mut names = Vec::new();
    while let Some(key) = scanner.next_key(names.is_empty())? {
        scanner.value()?;
        names.push(plain_key(body, &key).into_owned());
    }
    Ok((open + 1, names))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn filled(defaults: &Value, body: &str) -> String {
        let defaults = Defaults::new(defaults.as_object().unwrap().clone());
        String::from_utf8(defaults.fill(body.as_bytes().to_vec())).unwrap()
    }

    #[test]
    fn what_is_missing_is_added_and_nothing_else_changes() {
        let defaults = json!({"temperature": 0.7, "stop": ["\n"], "top_p": null});
        for (body, expected) in [
            ("{}", r#"{"temperature":0.7,"stop":["\n"]}"#),
            (r#" { "a" : 1 } "#, r#" {"temperature":0.7,"stop":["\n"], "a" : 1 } "#),
            (r#"{"temperature":0}"#, r#"{"stop":["\n"],"temperature":0}"#),
            (
                r#"{"stop":null,"temperatur\u0065":1}"#,
                r#"{"stop":null,"temperatur\u0065":1}"#,
            ),
            (
                r#"{"a":{"temperature":1}}"#,
                r#"{"temperature":0.7,"stop":["\n"],"a":{"temperature":1}}"#,
            ),
            ("[1]", "[1]"),
            (r#"{"a":"#, r#"{"a":"#),
        ] {
            assert_eq!(filled(&defaults, body), expected, "{body}");
        }
    }

    #[test]
    fn a_field_has_one_value_whatever_it_is_called() {
        let defaults = json!({"max_tokens": 7});
        for name in SAME {
            let body = format!(r#"{{"{name}":1}}"#);
            assert_eq!(filled(&defaults, &body), body);
        }
        let defaults = Defaults::new(defaults.as_object().unwrap().clone());
        assert_eq!(defaults.max_tokens(), Some(7));
        assert!(!defaults.is_empty() && Defaults::default().max_tokens().is_none());
    }
}
