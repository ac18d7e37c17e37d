//! What the messages of a request must be like.

use serde_json::Value;

use super::check::{known_at, name_at};
use super::is_openai_model;
use crate::persona::fields::{is_set, list, text};
use crate::persona::openai::errors::ApiError;

const ROLES: [&str; 6] = ["system", "assistant", "user", "function", "tool", "developer"];
const LONGEST_ID: usize = 64;

/// Fails as OpenAI does if it does not like the messages.
pub(super) fn check(body: &Value) -> Result<(), ApiError> {
    let Some(messages) = body["messages"].as_array() else {
        return Err(ApiError::missing("messages"));
    };
    if messages.is_empty() {
        return Err(ApiError::invalid(
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.",
            Some("messages"),
        )
        .with_code("empty_array"));
    }
    let shows_reasoning = !is_openai_model(text(&body["model"]));
    for (index, message) in messages.iter().enumerate() {
        one(&format!("messages[{index}]"), message, shows_reasoning)?;
    }
    calls_are_answered(messages)
}

fn one(path: &str, message: &Value, shows_reasoning: bool) -> Result<(), ApiError> {
    let role = text(&message["role"]);
    let known: &[&str] = match role {
        "assistant" if shows_reasoning => &[
            "role",
            "content",
            "refusal",
            "tool_calls",
            "function_call",
            "audio",
            "name",
            "annotations",
            "reasoning_content",
        ],
        "assistant" => &[
            "role",
            "content",
            "refusal",
            "tool_calls",
            "function_call",
            "audio",
            "name",
            "annotations",
        ],
        "tool" => &["role", "content", "tool_call_id"],
        _ => &["role", "content", "name"],
    };
    if !ROLES.contains(&role) {
        return Err(ApiError::unsupported_value(&format!("{path}.role"), role, &ROLES));
    }
    known_at(path, message, known)?;
    content(path, role, message)?;
    if role == "tool" && text(&message["tool_call_id"]).is_empty() {
        return Err(ApiError::missing(&format!("{path}.tool_call_id")));
    }
    calls(path, message)
}

fn content(path: &str, role: &str, message: &Value) -> Result<(), ApiError> {
    let path = format!("{path}.content");
    match &message["content"] {
        Value::String(_) => Ok(()),
        Value::Null
            if role == "assistant"
                && ["tool_calls", "function_call", "refusal", "audio"]
                    .iter()
                    .any(|name| is_set(message, name)) =>
        {
            Ok(())
        }
        Value::Null => Err(ApiError::invalid(
            "Invalid value for 'content': expected a string, got null.",
            Some(&path),
        )),
        Value::Array(parts) => {
            if parts.is_empty() {
                return Err(ApiError::invalid_value(
                    &path,
                    "empty array. Expected an array with minimum length 1.",
                ));
            }
            parts
                .iter()
                .enumerate()
                .try_for_each(|(index, it)| part(&format!("{path}[{index}]"), role, it))
        }
        other => Err(ApiError::wrong_type(
            &path,
            "one of an array of objects or string",
            other,
        )),
    }
}

fn part(path: &str, role: &str, part: &Value) -> Result<(), ApiError> {
    let allowed: &[&str] = match role {
        "user" => &["text", "image_url", "input_audio", "file"],
        "assistant" => &["text", "refusal"],
        _ => &["text"],
    };
    let kind = text(&part["type"]);
    if kind.is_empty() {
        return Err(ApiError::missing(&format!("{path}.type")));
    }
    if !allowed.contains(&kind) {
        return Err(ApiError::unsupported_value(&format!("{path}.type"), kind, allowed));
    }
    known_at(path, part, &["type", kind, "prompt_cache_breakpoint"])?;
    let inner = &part[kind];
    let path = format!("{path}.{kind}");
    match kind {
        "text" | "refusal" if inner.is_string() => Ok(()),
        "text" | "refusal" => Err(ApiError::wrong_type(&path, "a string", inner)),
        "image_url" => image(&path, inner),
        "input_audio" => known_at(&path, inner, &["data", "format"]),
        _ => file(&path, inner),
    }
}

fn image(path: &str, image: &Value) -> Result<(), ApiError> {
    known_at(path, image, &["url", "detail"])?;
    let url = text(&image["url"]);
    if url.starts_with("http://") || url.starts_with("https://") || url.starts_with("data:image/") {
        return Ok(());
    }
    Err(ApiError::invalid(
        format!("Invalid value for '{path}.url'. Expected a valid URL or a data URL with an image type."),
        Some(&format!("{path}.url")),
    )
    .with_code("invalid_image_url"))
}

fn file(path: &str, file: &Value) -> Result<(), ApiError> {
    known_at(path, file, &["file_id", "filename", "file_data"])?;
    if is_set(file, "file_data") && !is_set(file, "filename") {
        return Err(ApiError::missing(&format!("{path}.filename")));
    }
    if !is_set(file, "file_data") && !is_set(file, "file_id") {
        return Err(ApiError::missing(&format!("{path}.file_id")));
    }
    Ok(())
}

fn calls(path: &str, message: &Value) -> Result<(), ApiError> {
    if message["tool_calls"].as_array().is_some_and(Vec::is_empty) {
        return Err(ApiError::invalid_value(
            &format!("{path}.tool_calls"),
            "empty array. Expected an array with minimum length 1, but got an empty array instead.",
        ));
    }
    for (index, call) in list(&message["tool_calls"]).iter().enumerate() {
        one_call(&format!("{path}.tool_calls[{index}]"), call)?;
    }
    Ok(())
}

fn one_call(path: &str, call: &Value) -> Result<(), ApiError> {
    let (kind, input) = match call["type"].as_str() {
        Some("function") => ("function", "arguments"),
        Some("custom") => ("custom", "input"),
        None => return Err(ApiError::missing(&format!("{path}.type"))),
        Some(other) => {
            return Err(ApiError::unsupported_value(
                &format!("{path}.type"),
                other,
                &["function", "custom"],
            ));
        }
    };
    known_at(path, call, &["id", "type", kind])?;
    let id = text(&call["id"]);
    if id.is_empty() {
        return Err(ApiError::missing(&format!("{path}.id")));
    }
    if id.len() > LONGEST_ID {
        return Err(ApiError::invalid_value(
            &format!("{path}.id"),
            "string too long. Expected a string with maximum length 64.",
        ));
    }
    let path = format!("{path}.{kind}");
    known_at(&path, &call[kind], &["name", input])?;
    name_at(&format!("{path}.name"), text(&call[kind]["name"]))?;
    match &call[kind][input] {
        Value::String(_) => Ok(()),
        Value::Null => Err(ApiError::missing(&format!("{path}.{input}"))),
        other => Err(ApiError::wrong_type(&format!("{path}.{input}"), "a string", other)),
    }
}

/// Each call has its result in the messages right after it, and each result its call right before.
fn calls_are_answered(messages: &[Value]) -> Result<(), ApiError> {
    let mut open: Vec<&str> = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        if message["role"] == "tool" {
            let id = text(&message["tool_call_id"]);
            let Some(place) = open.iter().position(|candidate| *candidate == id) else {
                return Err(ApiError::invalid(
                    "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'.",
                    Some(&format!("messages.[{index}].role")),
                ));
            };
            open.remove(place);
            continue;
        }
        all_answered(&open, index)?;
        open = list(&message["tool_calls"])
            .iter()
            .map(|call| text(&call["id"]))
            .collect();
    }
    all_answered(&open, messages.len())
}

fn all_answered(open: &[&str], index: usize) -> Result<(), ApiError> {
    if open.is_empty() {
        return Ok(());
    }
    Err(ApiError::invalid(
        format!(
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. \
             The following tool_call_ids did not have response messages: {}",
            open.join(", ")
        ),
        Some(&format!("messages.[{index}].role")),
    ))
}
