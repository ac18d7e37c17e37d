//! What a request must be like, its input aside.

use serde_json::Value;

use super::items;
use crate::persona::fields::{self, is_name, is_set, list, text};
use crate::persona::openai::errors::ApiError;

const FIELDS: [&str; 34] = [
    "model",
    "input",
    "instructions",
    "max_output_tokens",
    "temperature",
    "top_p",
    "top_logprobs",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "max_tool_calls",
    "text",
    "reasoning",
    "include",
    "store",
    "previous_response_id",
    "conversation",
    "background",
    "truncation",
    "prompt",
    "context_management",
    "image",
    "access_programs",
    "moderation",
    "metadata",
    "user",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "service_tier",
    "stream",
    "stream_options",
    "client_metadata",
];
const INCLUDABLE: [&str; 8] = [
    "reasoning.encrypted_content",
    "message.output_text.logprobs",
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "message.input_image.image_url",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
];
const EFFORTS: [&str; 7] = ["none", "minimal", "low", "medium", "high", "xhigh", "max"];
const LEAST_OUTPUT_TOKENS: f64 = 16.0;

/// Fails as OpenAI does if it does not like the request.
pub(super) fn request(body: &Value) -> Result<(), ApiError> {
    if let Some(name) = fields::stranger(body, &FIELDS) {
        return Err(ApiError::unknown_parameter(name));
    }
    if text(&body["model"]).is_empty() {
        return Err(ApiError::missing("model"));
    }
    limits(body)?;
    text_format(&body["text"])?;
    reasoning(&body["reasoning"])?;
    for (index, tool) in list(&body["tools"]).iter().enumerate() {
        one_tool(&format!("tools[{index}]"), tool)?;
    }
    tool_choice(body)?;
    previous_response(body)?;
    items::check(body)
}

fn limits(body: &Value) -> Result<(), ApiError> {
    if fields::is_outside(body, "max_output_tokens", LEAST_OUTPUT_TOKENS, f64::MAX) {
        let got = &body["max_output_tokens"];
        let message = format!(
            "Invalid 'max_output_tokens': integer below minimum value. Expected a value >= 16, but got {got} instead."
        );
        return Err(ApiError::invalid(message, Some("max_output_tokens")).with_code("integer_below_min_value"));
    }
    for (name, least, most) in [
        ("temperature", 0.0, 2.0),
        ("top_p", 0.0, 1.0),
        ("top_logprobs", 0.0, 20.0),
    ] {
        if fields::is_outside(body, name, least, most) {
            return Err(ApiError::invalid_value(
                name,
                &format!("{} is out of range.", body[name]),
            ));
        }
    }
    for (index, included) in list(&body["include"]).iter().enumerate() {
        if !INCLUDABLE.contains(&text(included)) {
            return Err(ApiError::unsupported_value(
                &format!("include[{index}]"),
                text(included),
                &INCLUDABLE,
            ));
        }
    }
    Ok(())
}

fn text_format(settings: &Value) -> Result<(), ApiError> {
    known_at("text", settings, &["format", "verbosity"])?;
    let format = &settings["format"];
    match format["type"].as_str() {
        None if format.is_null() => Ok(()),
        None => Err(ApiError::missing("text.format.type")),
        Some("text" | "json_object") => known_at("text.format", format, &["type"]),
        Some("json_schema") => {
            known_at(
                "text.format",
                format,
                &["type", "name", "schema", "description", "strict"],
            )?;
            for name in ["name", "schema"] {
                if !is_set(format, name) {
                    return Err(ApiError::missing(&format!("text.format.{name}")));
                }
            }
            name_at("text.format.name", text(&format["name"]))
        }
        Some(other) => Err(ApiError::unsupported_value(
            "text.format.type",
            other,
            &["json_object", "json_schema", "text"],
        )),
    }
}

fn reasoning(reasoning: &Value) -> Result<(), ApiError> {
    known_at(
        "reasoning",
        reasoning,
        &["effort", "summary", "context", "mode", "generate_summary"],
    )?;
    if is_set(reasoning, "effort") && !EFFORTS.contains(&text(&reasoning["effort"])) {
        return Err(ApiError::unsupported_value(
            "reasoning.effort",
            text(&reasoning["effort"]),
            &EFFORTS,
        ));
    }
    let summaries = ["auto", "concise", "detailed"];
    if is_set(reasoning, "summary") && !summaries.contains(&text(&reasoning["summary"])) {
        return Err(ApiError::unsupported_value(
            "reasoning.summary",
            text(&reasoning["summary"]),
            &summaries,
        ));
    }
    Ok(())
}

fn one_tool(path: &str, tool: &Value) -> Result<(), ApiError> {
    let known: &[&str] = match tool["type"].as_str() {
        Some("function") => &[
            "type",
            "name",
            "parameters",
            "strict",
            "description",
            "defer_loading",
            "output_schema",
            "allowed_callers",
            "async",
        ],
        Some("custom") => &["type", "name", "description", "format", "defer_loading"],
        Some("namespace") => &["type", "name", "description", "tools"],
        // A hosted tool, which is OpenAI's own affair.
        Some(_) => return Ok(()),
        None => return Err(ApiError::missing(&format!("{path}.type"))),
    };
    known_at(path, tool, known)?;
    if !is_set(tool, "name") {
        return Err(ApiError::missing(&format!("{path}.name")));
    }
    name_at(&format!("{path}.name"), text(&tool["name"]))?;
    if tool["type"] == "namespace" {
        let mut members = list(&tool["tools"]).iter().enumerate();
        return members.try_for_each(|(index, tool)| one_tool(&format!("{path}.tools[{index}]"), tool));
    }
    parameters(path, tool)
}

fn parameters(path: &str, tool: &Value) -> Result<(), ApiError> {
    let parameters = &tool["parameters"];
    let refused = |why: &str| {
        let message = format!("Invalid schema for function '{}': {why}", text(&tool["name"]));
        Err(ApiError::invalid(message, Some(&format!("{path}.parameters"))).with_code("invalid_function_parameters"))
    };
    let is_empty = parameters.as_object().is_none_or(serde_json::Map::is_empty);
    if !is_empty && parameters["type"] != "object" {
        return refused(&format!(
            "schema must be a JSON Schema of 'type: \"object\"', got 'type: {}'.",
            parameters["type"]
        ));
    }
    if tool["strict"] == true && parameters["additionalProperties"] != false {
        return refused("In context=(), 'additionalProperties' is required to be supplied and to be false.");
    }
    Ok(())
}

fn tool_choice(body: &Value) -> Result<(), ApiError> {
    let choice = &body["tool_choice"];
    let words = ["none", "auto", "required"];
    match choice {
        Value::Null => Ok(()),
        Value::String(word) if word == "required" && list(&body["tools"]).is_empty() => Err(ApiError::invalid(
            "Tool choice 'required' must be specified with 'tools' parameter.",
            Some("tool_choice"),
        )),
        Value::String(word) if words.contains(&word.as_str()) => Ok(()),
        Value::String(word) => Err(ApiError::unsupported_value("tool_choice", word, &words)),
        _ => named_choice(body, choice),
    }
}

fn named_choice(body: &Value, choice: &Value) -> Result<(), ApiError> {
    let kind = text(&choice["type"]);
    match kind {
        "allowed_tools" => known_at("tool_choice", choice, &["type", "mode", "tools"]),
        "function" | "custom" => {
            known_at("tool_choice", choice, &["type", "name"])?;
            let is_it = |tool: &Value| tool["type"] == kind && tool["name"] == choice["name"];
            if list(&body["tools"]).iter().any(is_it) {
                return Ok(());
            }
            let message = format!("Tool choice '{kind}' not found in 'tools' parameter.");
            Err(ApiError::invalid(message, Some("tool_choice")))
        }
        "" => Err(ApiError::missing("tool_choice.type")),
        _ => Ok(()),
    }
}

fn previous_response(body: &Value) -> Result<(), ApiError> {
    let id = text(&body["previous_response_id"]);
    if id.is_empty() || id.starts_with("resp_understudy") {
        return Ok(());
    }
    let message = format!("Previous response with id '{id}' not found.");
    Err(ApiError::invalid(message, Some("previous_response_id")).with_code("previous_response_not_found"))
}

/// Fails if the value at a path has a field that it must not have.
pub(super) fn known_at(path: &str, value: &Value, known: &[&str]) -> Result<(), ApiError> {
    match fields::stranger(value, known) {
        Some(name) => Err(ApiError::unknown_parameter(&format!("{path}.{name}"))),
        None => Ok(()),
    }
}

/// Fails if the name at a path is not as names must be.
pub(super) fn name_at(path: &str, name: &str) -> Result<(), ApiError> {
    if is_name(name, 64) {
        return Ok(());
    }
    Err(ApiError::invalid_value(
        path,
        "string does not match pattern. Expected a string that matches the pattern '^[a-zA-Z0-9_-]{1,64}$'.",
    ))
}
