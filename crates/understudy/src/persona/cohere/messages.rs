//! What the messages of a request must be like.

use serde_json::Value;

use super::check::known_at;
use super::errors::ApiError;
use crate::persona::fields::{is_set, list, text};

/// Fails as Cohere does if it does not like the messages.
pub(super) fn check(body: &Value) -> Result<(), ApiError> {
    let messages = list(&body["messages"]);
    let Some(last) = messages.last() else {
        return Err(ApiError::invalid("messages must contain at least one message."));
    };
    for (index, message) in messages.iter().enumerate() {
        one(&format!("messages[{index}]"), message)?;
    }
    if !["user", "tool"].contains(&text(&last["role"])) {
        return Err(ApiError::invalid(
            "the last message must have the role 'user' or 'tool'.",
        ));
    }
    calls_are_answered(messages)
}

fn one(path: &str, message: &Value) -> Result<(), ApiError> {
    let role = text(&message["role"]);
    let (fields, parts): (&[&str], &[&str]) = match role {
        "user" => (&["role", "content"], &["text", "image_url"]),
        "system" => (&["role", "content"], &["text"]),
        "assistant" => (
            &["role", "content", "tool_plan", "tool_calls", "citations"],
            &["text", "thinking"],
        ),
        "tool" => (&["role", "content", "tool_call_id"], &["text", "document"]),
        _ => {
            return Err(ApiError::unprocessable(format!(
                "{path}.role must be one of 'user', 'assistant', 'system' or 'tool'."
            )));
        }
    };
    known_at(path, message, fields)?;
    if role == "tool" && text(&message["tool_call_id"]).is_empty() {
        return Err(ApiError::invalid(format!("{path}.tool_call_id is required.")));
    }
    for (index, call) in list(&message["tool_calls"]).iter().enumerate() {
        one_call(&format!("{path}.tool_calls[{index}]"), call)?;
    }
    if role == "assistant" && !is_set(message, "content") && !list(&message["tool_calls"]).is_empty() {
        return Ok(());
    }
    content(&format!("{path}.content"), &message["content"], parts)
}

fn content(path: &str, content: &Value, allowed: &[&str]) -> Result<(), ApiError> {
    let is_empty = match content {
        Value::String(text) => text.is_empty(),
        Value::Array(parts) => parts.is_empty(),
        Value::Null => true,
        _ => return Err(ApiError::unprocessable(format!("{path} must be a string or a list."))),
    };
    if is_empty {
        return Err(ApiError::invalid(format!("{path} must not be empty.")));
    }
    for (index, part) in list(content).iter().enumerate() {
        let path = format!("{path}[{index}]");
        let kind = text(&part["type"]);
        if !allowed.contains(&kind) {
            return Err(ApiError::unprocessable(format!(
                "{path}.type '{kind}' is not one of {}.",
                allowed.join(", ")
            )));
        }
        known_at(&path, part, &["type", kind])?;
        if !is_set(part, kind) {
            return Err(ApiError::invalid(format!("{path}.{kind} is required.")));
        }
        if kind == "image_url" {
            known_at(&format!("{path}.image_url"), &part["image_url"], &["url", "detail"])?;
        }
        if kind == "document" {
            known_at(&format!("{path}.document"), &part["document"], &["data", "id"])?;
        }
        if kind == "text" && text(&part["text"]).is_empty() {
            return Err(ApiError::invalid(format!("{path}.text must not be empty.")));
        }
    }
    Ok(())
}

fn one_call(path: &str, call: &Value) -> Result<(), ApiError> {
    known_at(path, call, &["id", "type", "function"])?;
    known_at(&format!("{path}.function"), &call["function"], &["name", "arguments"])?;
    if text(&call["id"]).is_empty() || text(&call["function"]["name"]).is_empty() {
        return Err(ApiError::invalid(format!("{path} must have an id and a name.")));
    }
    let arguments = &call["function"]["arguments"];
    if !arguments.is_string() {
        return Err(ApiError::unprocessable(format!(
            "{path}.function.arguments must be a string."
        )));
    }
    let is_object = serde_json::from_str::<Value>(text(arguments)).is_ok_and(|value| value.is_object());
    if is_object {
        return Ok(());
    }
    Err(ApiError::invalid(format!(
        "{path}.function.arguments must be a JSON object."
    )))
}

/// Each call has its result in the messages right after it, and each result its call right before.
fn calls_are_answered(messages: &[Value]) -> Result<(), ApiError> {
    let mut open: Vec<&str> = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        if message["role"] == "tool" {
            let id = text(&message["tool_call_id"]);
            let place = open.iter().position(|candidate| *candidate == id).ok_or_else(|| {
                ApiError::invalid(format!(
                    "messages[{index}]: tool_call_id '{id}' does not match any tool call of the preceding assistant message."
                ))
            })?;
            open.remove(place);
            continue;
        }
        if !open.is_empty() {
            return Err(unanswered(&open));
        }
        open = list(&message["tool_calls"])
            .iter()
            .map(|call| text(&call["id"]))
            .collect();
    }
    if open.is_empty() {
        Ok(())
    } else {
        Err(unanswered(&open))
    }
}

fn unanswered(open: &[&str]) -> ApiError {
    ApiError::invalid(format!(
        "all tool calls must be followed by tool messages; missing: {}.",
        open.join(", ")
    ))
}
