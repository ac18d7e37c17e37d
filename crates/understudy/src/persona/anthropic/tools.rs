//! What the tools of a request must be like.

use serde_json::Value;

use super::blocks;
use super::errors::ApiError;
use crate::persona::fields::{is_name, is_set, list, text};

const LONGEST_NAME: usize = 128;
const FIELDS: [&str; 10] = [
    "name",
    "input_schema",
    "description",
    "type",
    "cache_control",
    "strict",
    "defer_loading",
    "eager_input_streaming",
    "input_examples",
    "allowed_callers",
];

/// Fails as Anthropic does if it does not like the tools.
pub(super) fn check(body: &Value) -> Result<(), ApiError> {
    let tools = list(&body["tools"]);
    for (index, tool) in tools.iter().enumerate() {
        // A tool with another type is Anthropic's own affair.
        if matches!(tool["type"].as_str(), None | Some("custom")) {
            custom(&format!("tools.{index}.custom"), tool)?;
        }
        blocks::cache_control(&format!("tools.{index}"), tool)?;
        if tools[..index].iter().any(|other| other["name"] == tool["name"]) {
            return Err(ApiError::invalid("tools: Tool names must be unique."));
        }
    }
    choice(body, tools)
}

fn custom(path: &str, tool: &Value) -> Result<(), ApiError> {
    blocks::known_at(path, tool, &FIELDS)?;
    for name in ["name", "input_schema"] {
        if !is_set(tool, name) {
            return Err(ApiError::required(&format!("{path}.{name}")));
        }
    }
    if !is_name(text(&tool["name"]), LONGEST_NAME) {
        return Err(ApiError::invalid(format!(
            "{path}.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'"
        )));
    }
    if is_set(tool, "description") && !tool["description"].is_string() {
        return Err(ApiError::invalid(format!(
            "{path}.description: Input should be a valid string"
        )));
    }
    let schema = &tool["input_schema"];
    match schema["type"].as_str() {
        Some("object") => {}
        None => return Err(ApiError::required(&format!("{path}.input_schema.type"))),
        Some(_) => {
            return Err(ApiError::invalid(format!(
                "{path}.input_schema.type: Input should be 'object'"
            )));
        }
    }
    for name in ["oneOf", "allOf", "anyOf"] {
        if is_set(schema, name) {
            return Err(ApiError::invalid(format!(
                "{path}.input_schema: input_schema does not support oneOf, allOf, or anyOf at the top level"
            )));
        }
    }
    Ok(())
}

fn choice(body: &Value, tools: &[Value]) -> Result<(), ApiError> {
    let choice = &body["tool_choice"];
    if choice.is_null() {
        return Ok(());
    }
    let known: &[&str] = match choice["type"].as_str() {
        Some("auto" | "any") => &["type", "disable_parallel_tool_use"],
        Some("tool") => &["type", "name", "disable_parallel_tool_use"],
        Some("none") => &["type"],
        _ => {
            return Err(ApiError::invalid(
                "tool_choice: Input tag does not match any of the expected tags: 'auto', 'any', 'tool', 'none'",
            ));
        }
    };
    let kind = text(&choice["type"]);
    blocks::known_at(&format!("tool_choice.{kind}"), choice, known)?;
    if tools.is_empty() {
        return Err(ApiError::invalid(
            "tool_choice may only be specified while providing tools.",
        ));
    }
    if kind == "tool" && !tools.iter().any(|tool| tool["name"] == choice["name"]) {
        let name = text(&choice["name"]);
        return Err(ApiError::invalid(format!("Tool '{name}' not found in provided tools")));
    }
    Ok(())
}
