//! The built-in model `mynah/echo`: it answers offline with what it was told, so that the first request succeeds on a
//! machine with nothing else, and so that clients can be tried without a provider.
//!
//! It calls a tool when the tool choice demands it, or when the text names one.

mod chat;
mod completions;
mod embeddings;
mod responses;

use bytes::Bytes;
use serde_json::{Value, json};

/// An answer.
#[derive(Debug)]
pub enum Answer {
    /// A JSON body.
    Json(Value),
    /// Server-sent events.
    Events(Vec<Bytes>),
}

/// What is the same in all answers to one request.
struct Envelope<'a> {
    /// Distinguishes the answer.
    id: &'a str,
    /// Unix time.
    now: u64,
}

/// Answers a request body; `None` for an operation that the model does not serve. `id` becomes part of the answer's id,
/// `now` is Unix time.
pub fn answer(operation: &str, body: &Value, id: &str, now: u64) -> Option<Answer> {
    let envelope = Envelope { id, now };
    match operation {
        "/chat/completions" => Some(chat::answer(body, &envelope)),
        "/completions" => Some(completions::answer(body, &envelope)),
        "/responses" => Some(responses::answer(body, &envelope)),
        "/embeddings" => Some(embeddings::answer(body)),
        _ => None,
    }
}

/// What the model says.
#[derive(Debug, PartialEq)]
enum Saying {
    Text(String),
    Call { name: String, arguments: String },
}

/// A turn of a conversation, in whichever API.
struct Turn<'a> {
    role: &'a str,
    text: String,
}

impl Saying {
    /// Decides from the turns, the tools as `(name, schema)`, and the tool choice.
    fn of(turns: &[Turn<'_>], tools: &[(&str, &Value)], choice: &Value) -> Self {
        let last = turns.last();
        let text = last.map(|turn| turn.text.clone()).unwrap_or_default();
        if choice == "none" || last.is_some_and(|turn| turn.role == "tool") {
            return Self::Text(text);
        }
        let named = choice["name"].as_str().or_else(|| choice["function"]["name"].as_str());
        let tool = match named {
            Some(named) => tools.iter().find(|(name, _)| *name == named),
            None if choice == "required" => tools.first(),
            None => tools.iter().find(|(name, _)| text.contains(*name)),
        };
        match tool {
            Some((name, schema)) => {
                let arguments = fill(schema, &text);
                let arguments = if arguments.is_object() { arguments } else { json!({}) };
                Self::Call {
                    name: (*name).to_owned(),
                    arguments: arguments.to_string(),
                }
            }
            None => Self::Text(text),
        }
    }

    /// The words of which the answer consists, for a count of tokens and for the pieces of a stream.
    fn pieces(&self) -> Vec<&str> {
        match self {
            Self::Text(text) => text.split_inclusive(' ').collect(),
            Self::Call { arguments, .. } => arguments.split_inclusive(',').collect(),
        }
    }
}

/// The smallest value that fits a JSON Schema; texts are `text`.
fn fill(schema: &Value, text: &str) -> Value {
    if let Some(first) = schema["enum"].get(0) {
        return first.clone();
    }
    match schema["type"].as_str() {
        Some("object") => {
            let required = schema["required"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str);
            Value::Object(
                required
                    .map(|key| (key.to_owned(), fill(&schema["properties"][key], text)))
                    .collect(),
            )
        }
        Some("array") => json!([]),
        Some("integer" | "number") => json!(1),
        Some("boolean") => json!(true),
        Some("null") => Value::Null,
        _ => json!(text),
    }
}

/// The text of a message's content: a string, or the text parts of a list.
fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts
            .iter()
            .filter_map(|part| part["text"].as_str())
            .collect::<Vec<_>>()
            .join("\n"),
        _ => String::new(),
    }
}

/// A rough count of tokens: one for every four letters.
fn tokens(text: &str) -> usize {
    text.chars().count().div_ceil(4)
}

/// One server-sent event without a name.
fn data(event: &Value) -> Bytes {
    Bytes::from(format!("data: {event}\n\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_is_called_when_it_is_demanded_or_named() {
        let schema = json!({"type": "object", "required": ["city", "unit", "days"], "properties": {
            "city": {"type": "string"}, "unit": {"enum": ["C", "F"]}, "days": {"type": "integer"}, "extra": {"type": "string"}}});
        let tools = [("get_weather", &schema)];
        let say = |role, text: &str, choice: Value| {
            Saying::of(
                &[Turn {
                    role,
                    text: text.to_owned(),
                }],
                &tools,
                &choice,
            )
        };
        let call = |text: &str| Saying::Call {
            name: "get_weather".into(),
            arguments: json!({"city": text, "unit": "C", "days": 1}).to_string(),
        };
        assert_eq!(say("user", "hi", json!("auto")), Saying::Text("hi".into()));
        assert_eq!(say("user", "use get_weather", json!("auto")), call("use get_weather"));
        assert_eq!(say("user", "hi", json!("required")), call("hi"));
        assert_eq!(
            say(
                "user",
                "hi",
                json!({"type": "function", "function": {"name": "get_weather"}})
            ),
            call("hi")
        );
        assert_eq!(
            say("user", "use get_weather", json!("none")),
            Saying::Text("use get_weather".into())
        );
        assert_eq!(
            say("tool", "get_weather says 20", json!("required")),
            Saying::Text("get_weather says 20".into())
        );
    }

    #[test]
    fn a_body_of_any_shape_gets_an_answer() {
        for body in [
            json!({}),
            json!({"messages": 7, "tools": "x", "input": {"a": 1}}),
            json!([]),
            json!({"stream": true}),
        ] {
            for operation in ["/chat/completions", "/completions", "/responses", "/embeddings"] {
                assert!(answer(operation, &body, "id", 1).is_some());
            }
        }
        assert!(answer("/images/generations", &json!({}), "id", 1).is_none());
    }
}
