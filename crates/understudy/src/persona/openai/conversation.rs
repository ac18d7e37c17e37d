//! What was said last in a conversation, and what the persona makes of it.

use serde_json::Value;

use crate::persona::sample;

/// What was said last.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Heard {
    /// The text of the last message of the user.
    pub(super) user: String,
    /// The result of a tool, if it is that what the conversation ends with.
    pub(super) tool: Option<String>,
}

impl Heard {
    /// From the messages of a chat completion.
    pub(super) fn in_messages(messages: &[Value]) -> Self {
        let last = |role: &str| messages.iter().rev().find(|message| message["role"] == role);
        let tool = messages
            .last()
            .filter(|message| message["role"] == "tool" || message["role"] == "function");
        Self {
            user: last("user")
                .map(|message| text(&message["content"]))
                .unwrap_or_default(),
            tool: tool.map(|message| text(&message["content"])),
        }
    }

    /// From the input of a response.
    pub(super) fn in_input(input: &Value) -> Self {
        let Some(items) = input.as_array() else {
            return Self {
                user: input.as_str().unwrap_or_default().to_owned(),
                tool: None,
            };
        };
        let is_output = |item: &&Value| {
            matches!(
                item["type"].as_str(),
                Some("function_call_output" | "custom_tool_call_output")
            )
        };
        let user = items.iter().rev().find(|item| item["role"] == "user");
        Self {
            user: user.map(|item| text(&item["content"])).unwrap_or_default(),
            tool: items.last().filter(is_output).map(|item| text(&item["output"])),
        }
    }

    /// What the persona says to that.
    pub(super) fn reply(&self) -> String {
        match &self.tool {
            None => format!("understudy heard: {}", self.user),
            Some(result) => format!("understudy heard: {}; the tool said: {result}", self.user),
        }
    }

    /// What the persona says if its words are to have a format: `{"type": "json_object"}` or a schema.
    pub(super) fn formatted_reply(&self, format: &Value) -> String {
        match format["type"].as_str() {
            Some("json_object") => serde_json::json!({"heard": self.user}).to_string(),
            Some("json_schema") => {
                let schema = format.pointer("/json_schema/schema").unwrap_or(&format["schema"]);
                sample::of_schema(schema, &self.user).to_string()
            }
            _ => self.reply(),
        }
    }
}

/// The text of a content; a part that is no text is named in brackets.
fn text(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let texts: Vec<String> = parts
                .iter()
                .map(|part| match (part["text"].as_str(), part["type"].as_str()) {
                    (Some(text), _) => text.to_owned(),
                    (None, kind) => format!("[{}]", kind.unwrap_or("part")),
                })
                .collect();
            texts.join(" ")
        }
        _ => String::new(),
    }
}

/// The text up to the first of the words that are to end it, and not longer than so many tokens.
///
/// Also says whether it was the length that ended it.
pub(super) fn limited(text: &str, stop: &Value, most_tokens: Option<u64>) -> (String, bool) {
    let stops = stop
        .as_array()
        .map_or_else(|| vec![stop], |stops| stops.iter().collect());
    let end = stops
        .iter()
        .filter_map(|stop| stop.as_str())
        .filter(|stop| !stop.is_empty())
        .filter_map(|stop| text.find(stop))
        .min();
    let text = &text[..end.unwrap_or(text.len())];
    let tokens = super::usage::tokens(text);
    match most_tokens.and_then(|most| usize::try_from(most).ok()) {
        Some(most) if most < tokens.len() => (tokens[..most].concat(), true),
        _ => (text.to_owned(), false),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_last_user_message_counts() {
        let messages = [
            json!({"role": "user", "content": "first"}),
            json!({"role": "assistant", "content": "answer"}),
            json!({"role": "user", "content": [{"type": "text", "text": "last"}, {"type": "image_url"}]}),
        ];
        assert_eq!(
            Heard::in_messages(&messages).reply(),
            "understudy heard: last [image_url]"
        );
    }

    #[test]
    fn limits_are_kept() {
        assert_eq!(
            limited("one two three", &json!(["three", "two"]), None),
            ("one ".to_owned(), false)
        );
        assert_eq!(
            limited("one two three", &Value::Null, Some(2)),
            ("one two ".to_owned(), true)
        );
    }
}
