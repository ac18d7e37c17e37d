//! What a request must be like, its messages aside.

use serde_json::Value;

use super::errors::ApiError;
use super::messages;
use crate::persona::fields::{self, is_name, is_set, list, text};

const FIELDS: [&str; 22] = [
    "model",
    "messages",
    "max_tokens",
    "temperature",
    "p",
    "k",
    "frequency_penalty",
    "presence_penalty",
    "stop_sequences",
    "seed",
    "logprobs",
    "tools",
    "tool_choice",
    "strict_tools",
    "response_format",
    "thinking",
    "documents",
    "citation_options",
    "safety_mode",
    "priority",
    "stream",
    "raw_prompting",
];
const MOST_STOPS: usize = 5;
const LONGEST_NAME: usize = 64;

/// Fails as Cohere does if it does not like the request.
pub(super) fn request(body: &Value) -> Result<(), ApiError> {
    known_at("", body, &FIELDS)?;
    if text(&body["model"]).is_empty() {
        return Err(ApiError::invalid("model is required"));
    }
    sampling(body)?;
    tools(body)?;
    response_format(body)?;
    thinking(&body["thinking"])?;
    known_at("citation_options", &body["citation_options"], &["mode"])?;
    if is_set(body, "safety_mode") && !["CONTEXTUAL", "STRICT", "OFF"].contains(&text(&body["safety_mode"])) {
        return Err(ApiError::invalid(
            "safety_mode must be one of 'CONTEXTUAL', 'STRICT' or 'OFF'.",
        ));
    }
    messages::check(body)
}

fn sampling(body: &Value) -> Result<(), ApiError> {
    for (name, least, most) in [
        ("p", 0.01, 0.99),
        ("k", 0.0, 500.0),
        ("temperature", 0.0, 1.0),
        ("frequency_penalty", 0.0, 1.0),
        ("presence_penalty", 0.0, 1.0),
        ("max_tokens", 1.0, f64::MAX),
        ("seed", 0.0, f64::MAX),
    ] {
        if is_set(body, name) && !body[name].is_number() {
            return Err(ApiError::unprocessable(format!("{name} must be a number.")));
        }
        if fields::is_outside(body, name, least, most) {
            return Err(ApiError::invalid(format!(
                "{name} must be between {least} and {most} inclusive."
            )));
        }
    }
    if list(&body["stop_sequences"]).len() > MOST_STOPS {
        return Err(ApiError::invalid("stop_sequences must have at most 5 elements."));
    }
    if is_set(body, "stop_sequences") && !body["stop_sequences"].is_array() {
        return Err(ApiError::unprocessable("stop_sequences must be a list of strings."));
    }
    Ok(())
}

fn tools(body: &Value) -> Result<(), ApiError> {
    let tools = list(&body["tools"]);
    for (index, tool) in tools.iter().enumerate() {
        let path = format!("tools[{index}]");
        known_at(&path, tool, &["type", "function"])?;
        if tool["type"] != "function" {
            return Err(ApiError::invalid(format!("{path}.type must be 'function'.")));
        }
        let function = &tool["function"];
        known_at(
            &format!("{path}.function"),
            function,
            &["name", "description", "parameters"],
        )?;
        if !is_name(text(&function["name"]), LONGEST_NAME) {
            return Err(ApiError::invalid(format!(
                "{path}.function.name can only contain alphanumeric characters, underscores and hyphens."
            )));
        }
        if !function["parameters"].is_object() {
            return Err(ApiError::invalid(format!("{path}.function.parameters is required.")));
        }
        if function["parameters"]["type"] != "object" {
            return Err(ApiError::invalid(format!(
                "{path}.function.parameters must be of type 'object'."
            )));
        }
    }
    if !is_set(body, "tool_choice") {
        return Ok(());
    }
    if !["REQUIRED", "NONE"].contains(&text(&body["tool_choice"])) {
        return Err(ApiError::unprocessable(
            "tool_choice must be one of 'REQUIRED' or 'NONE'.",
        ));
    }
    if tools.is_empty() {
        return Err(ApiError::invalid(
            "tool_choice can only be specified if tools are provided.",
        ));
    }
    Ok(())
}

fn response_format(body: &Value) -> Result<(), ApiError> {
    let format = &body["response_format"];
    match format["type"].as_str() {
        None if format.is_null() => Ok(()),
        Some("text") => known_at("response_format", format, &["type"]),
        Some("json_object") => {
            known_at("response_format", format, &["type", "json_schema"])?;
            for name in ["tools", "documents"] {
                if !list(&body[name]).is_empty() {
                    return Err(ApiError::invalid(format!(
                        "cannot specify both {name} and response_format of type 'json_object'."
                    )));
                }
            }
            let schema = &format["json_schema"];
            if schema.is_null() || schema["type"] == "object" {
                return Ok(());
            }
            Err(ApiError::invalid(
                "response_format.json_schema must be of type 'object' at the top level.",
            ))
        }
        _ => Err(ApiError::unprocessable(
            "response_format.type must be one of 'text' or 'json_object'.",
        )),
    }
}

fn thinking(thinking: &Value) -> Result<(), ApiError> {
    known_at("thinking", thinking, &["type", "token_budget"])?;
    if thinking.is_null() || ["enabled", "disabled"].contains(&text(&thinking["type"])) {
        return Ok(());
    }
    Err(ApiError::unprocessable(
        "thinking.type must be one of 'enabled' or 'disabled'.",
    ))
}

/// Fails if the value at a path has a field that it must not have; the path is empty at the top.
pub(super) fn known_at(path: &str, value: &Value, known: &[&str]) -> Result<(), ApiError> {
    match fields::stranger(value, known) {
        Some(name) if path.is_empty() => Err(ApiError::unprocessable(format!("unknown field '{name}'"))),
        Some(name) => Err(ApiError::unprocessable(format!("unknown field '{path}.{name}'"))),
        None => Ok(()),
    }
}
