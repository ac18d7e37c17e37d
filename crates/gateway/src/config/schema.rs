//! Holds a document against the JSON Schema of [`File`], so that every mistake is reported, with
//! its place, and not just the first.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::clients::{EXPIRY_FORMAT, Expiry};
use super::document::{Document, join};
use super::file::File;
use super::problem::{Problem, did_you_mean};
use super::secret::{MASKED, SECRET_FORMAT, is_masked};
use super::units::{SIZE_FORMAT, SPAN_FORMAT, Size, Span};

/// The JSON Schema of `mynah.toml`.
pub fn schema() -> Value {
    schemars::schema_for!(File).to_value()
}

/// The typed file, or everything in the document that does not fit its schema.
pub fn read(document: &Document) -> Result<File, Vec<Problem>> {
    read_as(document)
}

/// A document as a type, or everything in it that does not fit the type's schema.
pub fn read_as<T: JsonSchema + DeserializeOwned>(document: &Document) -> Result<T, Vec<Problem>> {
    let schema = schemars::schema_for!(T).to_value();
    let mut walk = Walk {
        schema: &schema,
        document,
        problems: Vec::new(),
    };
    walk.value("", &document.root, &schema);
    if walk.problems.is_empty() {
        // What the schema cannot express (names of quirks) is left to the types.
        serde_path_to_error::deserialize(&document.root)
            .map_err(|error| vec![document.problem(&error.path().to_string(), error.inner().to_string())])
    } else {
        walk.problems.sort_by_key(|problem| problem.at);
        Err(walk.problems)
    }
}

struct Walk<'a> {
    schema: &'a Value,
    document: &'a Document,
    problems: Vec<Problem>,
}

impl<'a> Walk<'a> {
    fn value(&mut self, path: &str, value: &Value, schema: &'a Value) {
        let schema = self.resolved(schema);
        if let Some(branch) = self.branch(value, schema) {
            return match branch {
                Ok(branch) => self.value(path, value, branch),
                Err(message) => self.report(path, message),
            };
        }
        if !has_type(value, schema) {
            return self.report(
                path,
                format!("{} is expected here, not {}", self.expected(schema), kind(value)),
            );
        }
        if let Err(message) = check_text(value, schema) {
            return self.report(path, message);
        }
        match value {
            Value::Object(_) => self.object(path, value, schema),
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.value(&join(path, &index.to_string()), item, &schema["items"]);
                }
            }
            Value::Number(number) => self.number(path, number, schema),
            _ => {}
        }
    }

    fn object(&mut self, path: &str, value: &Value, schema: &'a Value) {
        let (Some(members), properties) = (value.as_object(), &schema["properties"]) else {
            return;
        };
        for (key, member) in members {
            let path = join(path, key);
            if let Some(schema) = properties.get(key) {
                self.value(&path, member, schema);
            } else if schema["additionalProperties"].is_object() {
                self.value(&path, member, &schema["additionalProperties"]);
            } else if schema["additionalProperties"] == false {
                let known = properties
                    .as_object()
                    .into_iter()
                    .flatten()
                    .map(|(key, _)| key.as_str());
                self.report(&path, format!("unknown key{}", did_you_mean(key, known)));
            }
        }
        for key in schema["required"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
        {
            if !members.contains_key(key) {
                self.report(&join(path, key), "this key is required".to_owned());
            }
        }
    }

    fn number(&mut self, path: &str, number: &serde_json::Number, schema: &Value) {
        let maximum = if schema["format"] == "uint32" {
            f64::from(u32::MAX)
        } else {
            f64::INFINITY
        };
        let minimum = schema["minimum"].as_f64().unwrap_or(f64::NEG_INFINITY);
        if number
            .as_f64()
            .is_some_and(|number| number < minimum || number > maximum)
        {
            self.report(path, format!("{number} is out of range"));
        }
    }

    fn resolved(&self, schema: &'a Value) -> &'a Value {
        match schema["$ref"]
            .as_str()
            .and_then(|reference| reference.strip_prefix('#'))
        {
            Some(pointer) => self.schema.pointer(pointer).unwrap_or(schema),
            None => schema,
        }
    }

    /// For a choice of schemas, the one that is meant, or what the choices are. `None` when there is no choice.
    fn branch(&self, value: &Value, schema: &'a Value) -> Option<Result<&'a Value, String>> {
        let choices = schema["anyOf"].as_array().or_else(|| schema["oneOf"].as_array())?;
        let choices: Vec<&Value> = choices.iter().map(|choice| self.resolved(choice)).collect();
        let typed = || choices.iter().copied().filter(|choice| has_type(value, choice));
        let fitting = typed().find(|choice| match value {
            Value::Object(members) => choice["properties"]
                .as_object()
                .is_none_or(|known| known.keys().any(|key| members.contains_key(key))),
            _ => check_text(value, choice).is_ok(),
        });
        Some(
            fitting
                .or_else(|| typed().find(|choice| words(choice).is_empty()))
                .ok_or_else(|| {
                    let words: Vec<&str> = choices.iter().flat_map(|choice| words(choice)).collect();
                    match value.as_str() {
                        Some(text) if !words.is_empty() => not_one_of(text, &words),
                        _ => format!("{} is expected here, not {}", self.expected(schema), kind(value)),
                    }
                }),
        )
    }

    /// A schema in words.
    fn expected(&self, schema: &Value) -> String {
        let choices = schema["anyOf"].as_array().or_else(|| schema["oneOf"].as_array());
        if let Some(choices) = choices {
            let mut all: Vec<String> = Vec::new();
            for choice in choices {
                let choice = match choice["$ref"]
                    .as_str()
                    .and_then(|reference| reference.strip_prefix('#'))
                {
                    Some(pointer) => self.schema.pointer(pointer).unwrap_or(choice),
                    None => choice,
                };
                let expected = self.expected(choice);
                if !expected.is_empty() && !all.contains(&expected) {
                    all.push(expected);
                }
            }
            return all.join(" or ");
        }
        let first = schema["type"]
            .as_array()
            .and_then(|types| types.first())
            .unwrap_or(&schema["type"]);
        match first.as_str() {
            Some("object") => "a table",
            Some("array") => "a list",
            Some("boolean") => "true or false",
            Some("integer") => "a whole number",
            Some("number") => "a number",
            Some("null") => "",
            _ => "a text in quotes",
        }
        .to_owned()
    }

    fn report(&mut self, path: &str, message: String) {
        self.problems.push(self.document.problem(path, message));
    }
}

fn has_type(value: &Value, schema: &Value) -> bool {
    let fits = |name: &str| match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        _ => value.is_null(),
    };
    match &schema["type"] {
        Value::String(name) => fits(name),
        Value::Array(names) => names.iter().filter_map(Value::as_str).any(fits),
        _ => schema.get("const").is_none_or(|_| value.is_string()),
    }
}

/// The only texts that a schema accepts; empty when it accepts any.
fn words(schema: &Value) -> Vec<&str> {
    let listed = schema["enum"].as_array().into_iter().flatten();
    listed.chain(schema.get("const")).filter_map(Value::as_str).collect()
}

fn check_text(value: &Value, schema: &Value) -> Result<(), String> {
    let Some(text) = value.as_str() else { return Ok(()) };
    let words = words(schema);
    if !words.is_empty() && !words.contains(&text) {
        return Err(not_one_of(text, &words));
    }
    match schema["format"].as_str() {
        Some(SECRET_FORMAT) if is_masked(text) => Err(MASKED.to_owned()),
        Some(SECRET_FORMAT) if text.is_empty() => {
            Err("is empty: write the credential, or `${NAME}`, or leave the key out".to_owned())
        }
        Some(SPAN_FORMAT) => Span::parse(text).map(drop),
        Some(SIZE_FORMAT) => Size::parse(text).map(drop),
        Some(EXPIRY_FORMAT) => Expiry::parse(text).map(drop),
        _ => Ok(()),
    }
}

fn not_one_of(text: &str, words: &[&str]) -> String {
    let hint = did_you_mean(text, words.iter().copied());
    format!("`{text}` is not one of {}{hint}", words.join(", "))
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a table",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::env::Env;

    fn problems(text: &str) -> Vec<String> {
        let document = Document::parse("f", text, &Env::default()).unwrap();
        read(&document)
            .err()
            .into_iter()
            .flatten()
            .map(|problem| problem.to_string())
            .collect()
    }

    #[test]
    fn all_mistakes_are_reported_with_place_and_hint() {
        let text = r#"
[server]
listn = "x"
max_body = "32 apples"
tls = "cert.pem"
max_requests = -1
[providers.a]
api_keys = "k"
auth = "baerer"
http_version = "3"
[models.m]
[[clients]]
key = 5
"#;
        let expected = [
            "f:3:1: `server.listn`: unknown key, did you mean `listen`?",
            "f:4:1: `server.max_body`: `32 apples` is not a size; write one as \"512KiB\", \"32MiB\" or \"1GB\"",
            "f:5:1: `server.tls`: a table is expected here, not a text",
            "f:6:1: `server.max_requests`: -1 is out of range",
            "f:8:1: `providers.a.api_keys`: a list is expected here, not a text",
            "f:9:1: `providers.a.auth`: `baerer` is not one of bearer, oauth, none, did you mean `bearer`?",
            "f:10:1: `providers.a.http_version`: `3` is not one of auto, 1.1, 2, did you mean `2`?",
            "f:11:9: `models.m.targets`: this key is required",
            "f:13:1: `clients.0.key`: a text in quotes is expected here, not a number",
            "f:12:1: `clients.0.name`: this key is required",
        ];
        let found = problems(text);
        for line in expected {
            assert!(
                found.iter().any(|problem| problem == line),
                "{line}\nin\n{}",
                found.join("\n")
            );
        }
        assert_eq!(found.len(), expected.len(), "{found:#?}");
    }

    #[test]
    fn every_form_of_a_choice_is_accepted() {
        let text = r#"
[providers.a]
auth = { header = "x-key" }
quirks = { stream_usage = false }
[providers.b]
auth = "oauth"
http_version = "2"
[models.m]
targets = ["a/x", { target = "b/y" }]
"#;
        assert_eq!(problems(text), [""; 0]);
        let nested = problems("[models.m]\ntargets = [{ target = 'a/b', wieght = 2 }, 7]");
        assert_eq!(
            nested,
            [
                "f:2:30: `models.m.targets.0.wieght`: unknown key, did you mean `weight`?",
                "f:2:44: `models.m.targets.1`: a text in quotes or a table is expected here, not a number"
            ]
        );
    }
}
