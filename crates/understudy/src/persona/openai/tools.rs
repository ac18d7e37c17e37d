//! Which tools the persona calls: those that it must, or whose names the user mentions.

use serde_json::{Value, json};

use super::conversation::Heard;
use crate::persona::sample;

/// A call of a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ToolCall {
    pub(super) name: String,
    /// JSON for a function, any text for a custom tool.
    pub(super) input: String,
    pub(super) is_custom: bool,
}

/// The calls that are due, for the body of a chat completion or of a response.
pub(super) fn due(body: &Value, heard: &Heard) -> Vec<ToolCall> {
    let Some(tools) = body["tools"].as_array() else {
        return Vec::new();
    };
    let choice = Choice::new(&body["tool_choice"]);
    let callable: Vec<&Value> = tools
        .iter()
        .filter(|tool| name(tool).is_some_and(|name| choice.allows(name)))
        .collect();
    let mut wanted: Vec<&Value> = match &choice {
        Choice::Never => return Vec::new(),
        Choice::Named(_) => callable.iter().take(1).copied().collect(),
        // The result of a tool is answered in words, or there would be no end to it.
        _ if heard.tool.is_some() => Vec::new(),
        _ => callable
            .iter()
            .filter(|tool| name(tool).is_some_and(|name| heard.user.contains(name)))
            .copied()
            .collect(),
    };
    if wanted.is_empty() && choice.is_required() {
        wanted = callable.into_iter().take(1).collect();
    }
    if body["parallel_tool_calls"] == json!(false) {
        wanted.truncate(1);
    }
    wanted.into_iter().filter_map(|tool| call(tool, &heard.user)).collect()
}

/// What `tool_choice` says.
enum Choice<'a> {
    Never,
    Auto,
    Required,
    Named(&'a str),
    Among(Vec<&'a str>, bool),
}

impl<'a> Choice<'a> {
    fn new(choice: &'a Value) -> Self {
        match choice["type"].as_str().or(choice.as_str()) {
            Some("none") => Self::Never,
            Some("required") => Self::Required,
            Some("allowed_tools") => {
                let allowed = choice.get("allowed_tools").unwrap_or(choice);
                let names = allowed["tools"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(name)
                    .collect();
                Self::Among(names, allowed["mode"] == "required")
            }
            Some("function" | "custom") => name(choice).map_or(Self::Auto, Self::Named),
            _ => Self::Auto,
        }
    }

    fn allows(&self, name: &str) -> bool {
        match self {
            Self::Never => false,
            Self::Auto | Self::Required => true,
            Self::Named(only) => *only == name,
            Self::Among(names, _) => names.contains(&name),
        }
    }

    fn is_required(&self) -> bool {
        matches!(self, Self::Required | Self::Named(_) | Self::Among(_, true))
    }
}

/// A tool's own fields: below its type in a chat completion, flat in a response.
fn definition(tool: &Value) -> &Value {
    tool["type"].as_str().and_then(|kind| tool.get(kind)).unwrap_or(tool)
}

fn name(tool: &Value) -> Option<&str> {
    matches!(tool["type"].as_str(), Some("function" | "custom")).then(|| definition(tool)["name"].as_str())?
}

fn call(tool: &Value, heard: &str) -> Option<ToolCall> {
    let is_custom = tool["type"] == "custom";
    let input = if is_custom {
        heard.to_owned()
    } else {
        sample::of_schema(&definition(tool)["parameters"], heard).to_string()
    };
    Some(ToolCall {
        name: name(tool)?.to_owned(),
        input,
        is_custom,
    })
}

/// The input of a call in about three pieces, as it is streamed.
pub(super) fn fragments(input: &str) -> Vec<String> {
    let characters: Vec<char> = input.chars().collect();
    characters
        .chunks(characters.len().div_ceil(3).max(1))
        .map(|piece| piece.iter().collect())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(choice: &Value, text: &str) -> Vec<String> {
        let body = json!({
            "tools": [
                {"type": "function", "function": {"name": "weather", "parameters": {}}},
                {"type": "function", "function": {"name": "clock"}},
            ],
            "tool_choice": choice,
        });
        let heard = Heard {
            user: text.to_owned(),
            tool: None,
        };
        due(&body, &heard).into_iter().map(|call| call.name).collect()
    }

    #[test]
    fn the_choice_decides() {
        assert_eq!(names(&Value::Null, "hello"), [""; 0]);
        assert_eq!(
            names(&Value::Null, "ask the clock, then the weather"),
            ["weather", "clock"]
        );
        assert_eq!(names(&json!("none"), "clock"), [""; 0]);
        assert_eq!(names(&json!("required"), "hello"), ["weather"]);
        assert_eq!(
            names(&json!({"type": "function", "function": {"name": "clock"}}), "hello"),
            ["clock"]
        );
        let allowed = json!({"type": "allowed_tools", "allowed_tools": {
            "mode": "required", "tools": [{"type": "function", "function": {"name": "clock"}}],
        }});
        assert_eq!(names(&allowed, "weather"), ["clock"]);
    }

    #[test]
    fn a_result_is_answered_in_words() {
        let body = json!({"tools": [{"type": "function", "name": "clock"}]});
        let heard = Heard {
            user: "clock".to_owned(),
            tool: Some("noon".to_owned()),
        };
        assert!(due(&body, &heard).is_empty());
    }
}
