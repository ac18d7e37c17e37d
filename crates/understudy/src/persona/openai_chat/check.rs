//! What a request must be like, its messages aside.

use serde_json::Value;

use super::{is_reasoning_model, messages};
use crate::persona::fields::{self, is_name, is_set, list, text};
use crate::persona::openai::errors::ApiError;

const FIELDS: [&str; 37] = [
    "model",
    "messages",
    "max_completion_tokens",
    "max_tokens",
    "temperature",
    "top_p",
    "n",
    "stop",
    "frequency_penalty",
    "presence_penalty",
    "logit_bias",
    "logprobs",
    "top_logprobs",
    "seed",
    "stream",
    "stream_options",
    "response_format",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "functions",
    "function_call",
    "reasoning_effort",
    "verbosity",
    "modalities",
    "audio",
    "prediction",
    "metadata",
    "store",
    "user",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "prompt_cache_options",
    "service_tier",
    "moderation",
    "web_search_options",
];
const EFFORTS: [&str; 7] = ["none", "minimal", "low", "medium", "high", "xhigh", "max"];
const MOST_STOPS: usize = 4;
const LONGEST_NAME: usize = 64;

/// Fails as OpenAI does if it does not like the request.
pub(super) fn request(body: &Value) -> Result<(), ApiError> {
    if let Some(name) = fields::stranger(body, &FIELDS) {
        return Err(ApiError::unrecognized(name));
    }
    if text(&body["model"]).is_empty() {
        return Err(ApiError::invalid("you must provide a model parameter", None));
    }
    limits(body)?;
    model_specific(body)?;
    stream_options(body)?;
    stops(&body["stop"])?;
    response_format(&body["response_format"])?;
    tools(body)?;
    messages::check(body)
}

fn limits(body: &Value) -> Result<(), ApiError> {
    let ranges = [
        ("temperature", 0.0, 2.0),
        ("top_p", 0.0, 1.0),
        ("frequency_penalty", -2.0, 2.0),
        ("presence_penalty", -2.0, 2.0),
        ("n", 1.0, 128.0),
        ("top_logprobs", 0.0, 20.0),
        ("max_tokens", 1.0, f64::MAX),
        ("max_completion_tokens", 1.0, f64::MAX),
    ];
    for (name, least, most) in ranges {
        if fields::is_outside(body, name, least, most) {
            return Err(ApiError::invalid_value(
                name,
                &format!("{} is out of range.", body[name]),
            ));
        }
    }
    if is_set(body, "top_logprobs") && body["logprobs"] != true {
        return Err(ApiError::invalid(
            "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled.",
            Some("top_logprobs"),
        ));
    }
    if is_set(body, "max_tokens") && is_set(body, "max_completion_tokens") {
        return Err(ApiError::invalid(
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
            Some("max_tokens"),
        )
        .with_code("invalid_parameter_combination"));
    }
    if is_set(body, "reasoning_effort") && !EFFORTS.contains(&text(&body["reasoning_effort"])) {
        return Err(ApiError::unsupported_value(
            "reasoning_effort",
            text(&body["reasoning_effort"]),
            &EFFORTS,
        ));
    }
    if is_set(body, "metadata") && body["store"] != true {
        return Err(ApiError::invalid(
            "The 'metadata' parameter is only allowed when 'store' is enabled.",
            Some("metadata"),
        ));
    }
    Ok(())
}

fn model_specific(body: &Value) -> Result<(), ApiError> {
    if !is_reasoning_model(text(&body["model"])) {
        return Ok(());
    }
    let unsupported = |name: &str, hint: &str| {
        let message = format!("Unsupported parameter: '{name}' is not supported with this model.{hint}");
        Err(ApiError::invalid(message, Some(name)).with_code("unsupported_parameter"))
    };
    if is_set(body, "max_tokens") {
        return unsupported("max_tokens", " Use 'max_completion_tokens' instead.");
    }
    for name in [
        "stop",
        "top_p",
        "presence_penalty",
        "frequency_penalty",
        "logprobs",
        "logit_bias",
    ] {
        if is_set(body, name) {
            return unsupported(name, "");
        }
    }
    if fields::is_outside(body, "temperature", 1.0, 1.0) {
        let temperature = &body["temperature"];
        return Err(ApiError::invalid(
            format!(
                "Unsupported value: 'temperature' does not support {temperature} with this model. Only the default (1) \
                 value is supported."
            ),
            Some("temperature"),
        )
        .with_code("unsupported_value"));
    }
    Ok(())
}

fn stream_options(body: &Value) -> Result<(), ApiError> {
    if is_set(body, "stream_options") && body["stream"] != true {
        return Err(ApiError::invalid(
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
            Some("stream_options"),
        ));
    }
    known_at(
        "stream_options",
        &body["stream_options"],
        &["include_usage", "include_obfuscation"],
    )
}

fn stops(stop: &Value) -> Result<(), ApiError> {
    let stops = list(stop);
    if stops.len() > MOST_STOPS {
        let length = stops.len();
        let message = format!(
            "Invalid 'stop': array too long. Expected an array with maximum length 4, but got an array with length {length} instead."
        );
        return Err(ApiError::invalid(message, Some("stop")).with_code("array_above_max_length"));
    }
    match stop {
        Value::Null | Value::String(_) => Ok(()),
        Value::Array(_) if stops.iter().all(Value::is_string) => Ok(()),
        _ => Err(ApiError::wrong_type("stop", "a string or an array of strings", stop)),
    }
}

fn response_format(format: &Value) -> Result<(), ApiError> {
    match format["type"].as_str() {
        None if format.is_null() => Ok(()),
        None => Err(ApiError::missing("response_format.type")),
        Some("text" | "json_object") => known_at("response_format", format, &["type"]),
        Some("json_schema") => {
            known_at("response_format", format, &["type", "json_schema"])?;
            let schema = &format["json_schema"];
            let path = "response_format.json_schema";
            known_at(path, schema, &["name", "description", "schema", "strict"])?;
            if !is_set(schema, "name") {
                return Err(ApiError::missing("response_format.json_schema.name"));
            }
            name_at(&format!("{path}.name"), text(&schema["name"]))?;
            if is_set(schema, "schema") {
                Ok(())
            } else {
                Err(ApiError::missing("response_format.json_schema.schema"))
            }
        }
        Some(other) => Err(ApiError::unsupported_value(
            "response_format.type",
            other,
            &["json_object", "json_schema", "text"],
        )),
    }
}

fn tools(body: &Value) -> Result<(), ApiError> {
    let has_tools = !list(&body["tools"]).is_empty();
    if !has_tools {
        if is_set(body, "tools") {
            return Err(ApiError::invalid(
                "Invalid 'tools': empty array. Expected an array with minimum length 1, but got an empty array instead.",
                Some("tools"),
            )
            .with_code("empty_array"));
        }
        for (name, message) in [
            (
                "tool_choice",
                "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified.",
            ),
            (
                "parallel_tool_calls",
                "Invalid value for 'parallel_tool_calls': 'parallel_tool_calls' is only allowed when 'tools' are specified.",
            ),
        ] {
            if is_set(body, name) {
                return Err(ApiError::invalid(message, Some(name)));
            }
        }
    }
    for (index, tool) in list(&body["tools"]).iter().enumerate() {
        one_tool(&format!("tools[{index}]"), tool)?;
    }
    tool_choice(body)
}

fn one_tool(path: &str, tool: &Value) -> Result<(), ApiError> {
    let (kind, known): (_, &[&str]) = match tool["type"].as_str() {
        Some("function") => ("function", &["name", "description", "parameters", "strict"]),
        Some("custom") => ("custom", &["name", "description", "format"]),
        None => return Err(ApiError::missing(&format!("{path}.type"))),
        Some(other) => {
            return Err(ApiError::unsupported_value(
                &format!("{path}.type"),
                other,
                &["function", "custom"],
            ));
        }
    };
    known_at(path, tool, &["type", kind])?;
    if !is_set(tool, kind) {
        return Err(ApiError::missing(&format!("{path}.{kind}")));
    }
    let path = format!("{path}.{kind}");
    known_at(&path, &tool[kind], known)?;
    if !is_set(&tool[kind], "name") {
        return Err(ApiError::missing(&format!("{path}.name")));
    }
    name_at(&format!("{path}.name"), text(&tool[kind]["name"]))?;
    parameters(&path, &tool[kind])
}

fn parameters(path: &str, function: &Value) -> Result<(), ApiError> {
    let parameters = &function["parameters"];
    let name = text(&function["name"]);
    let refused = |why: &str| {
        let message = format!("Invalid schema for function '{name}': {why}");
        Err(ApiError::invalid(message, Some(&format!("{path}.parameters"))).with_code("invalid_function_parameters"))
    };
    let is_empty = parameters.as_object().is_none_or(serde_json::Map::is_empty);
    if !is_empty && parameters["type"] != "object" {
        return refused(&format!(
            "schema must be a JSON Schema of 'type: \"object\"', got 'type: {}'.",
            parameters["type"]
        ));
    }
    if function["strict"] == true && parameters["additionalProperties"] != false {
        return refused("In context=(), 'additionalProperties' is required to be supplied and to be false.");
    }
    Ok(())
}

fn tool_choice(body: &Value) -> Result<(), ApiError> {
    let choice = &body["tool_choice"];
    match choice {
        Value::Null => Ok(()),
        Value::String(word) if ["none", "auto", "required"].contains(&word.as_str()) => Ok(()),
        Value::String(word) => Err(ApiError::unsupported_value(
            "tool_choice",
            word,
            &["none", "auto", "required"],
        )),
        _ => named_choice(body, choice),
    }
}

fn named_choice(body: &Value, choice: &Value) -> Result<(), ApiError> {
    let kind = text(&choice["type"]);
    if !["function", "custom", "allowed_tools"].contains(&kind) {
        return Err(ApiError::unsupported_value(
            "tool_choice.type",
            kind,
            &["function", "custom", "allowed_tools"],
        ));
    }
    known_at("tool_choice", choice, &["type", kind])?;
    if kind == "allowed_tools" {
        return known_at("tool_choice.allowed_tools", &choice[kind], &["mode", "tools"]);
    }
    known_at(&format!("tool_choice.{kind}"), &choice[kind], &["name"])?;
    let name = &choice[kind]["name"];
    if list(&body["tools"]).iter().any(|tool| tool[kind]["name"] == *name) {
        return Ok(());
    }
    Err(ApiError::invalid(
        format!("Tool choice '{}' not found in 'tools' parameter.", text(name)),
        Some("tool_choice"),
    ))
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
    if name.len() > LONGEST_NAME {
        let length = name.len();
        return Err(ApiError::invalid_value(
            path,
            &format!(
                "string too long. Expected a string with maximum length 64, but got a string with length {length} instead."
            ),
        ));
    }
    if is_name(name, LONGEST_NAME) {
        return Ok(());
    }
    Err(ApiError::invalid_value(
        path,
        "string does not match pattern. Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'.",
    ))
}
