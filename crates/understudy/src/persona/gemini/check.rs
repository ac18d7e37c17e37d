//! What a request must be like, its contents aside.

use serde_json::Value;

use super::errors::ApiError;
use super::spelling::snake;
use super::{contents, schema};
use crate::persona::fields::{self, is_set, list, text};

const FIELDS: [&str; 10] = [
    "model",
    "contents",
    "systemInstruction",
    "tools",
    "toolConfig",
    "safetySettings",
    "cachedContent",
    "generationConfig",
    "serviceTier",
    "store",
];
const GENERATION_FIELDS: [&str; 21] = [
    "temperature",
    "topP",
    "topK",
    "candidateCount",
    "maxOutputTokens",
    "stopSequences",
    "responseMimeType",
    "responseSchema",
    "responseJsonSchema",
    "seed",
    "presencePenalty",
    "frequencyPenalty",
    "responseLogprobs",
    "logprobs",
    "responseModalities",
    "mediaResolution",
    "speechConfig",
    "imageConfig",
    "thinkingConfig",
    "enableEnhancedCivicAnswers",
    "routingConfig",
];
const TOOL_FIELDS: [&str; 10] = [
    "functionDeclarations",
    "googleSearch",
    "googleSearchRetrieval",
    "codeExecution",
    "urlContext",
    "googleMaps",
    "fileSearch",
    "computerUse",
    "mcpServers",
    "retrieval",
];
const DECLARATION_FIELDS: [&str; 7] = [
    "name",
    "description",
    "parameters",
    "parametersJsonSchema",
    "response",
    "responseJsonSchema",
    "behavior",
];
const LONGEST_NAME: usize = 128;
const MOST_STOPS: usize = 5;

/// Fails as Google does if it does not like the request.
pub(super) fn request(model: &str, body: &Value) -> Result<(), ApiError> {
    known_at("", body, &FIELDS)?;
    generation(&body["generationConfig"])?;
    let system = &body["systemInstruction"];
    known_at("systemInstruction", system, &["parts", "role"])?;
    for (index, part) in list(&system["parts"]).iter().enumerate() {
        known_at(&format!("systemInstruction.parts[{index}]"), part, &["text"])?;
    }
    tools(body)?;
    contents::check(model, body)
}

fn generation(config: &Value) -> Result<(), ApiError> {
    let path = "generationConfig";
    known_at(path, config, &GENERATION_FIELDS)?;
    for (name, least, most) in [
        ("temperature", 0.0, 2.0),
        ("topP", 0.0, 1.0),
        ("candidateCount", 1.0, 8.0),
        ("maxOutputTokens", 1.0, f64::MAX),
        ("presencePenalty", -2.0, 2.0),
        ("frequencyPenalty", -2.0, 2.0),
        ("logprobs", 0.0, 20.0),
    ] {
        if fields::is_outside(config, name, least, most) {
            return Err(ApiError::invalid(format!(
                "* GenerateContentRequest.generation_config.{}: {name} must be in the range [{least}, {most}].\n",
                snake(name)
            )));
        }
    }
    if list(&config["stopSequences"]).len() > MOST_STOPS {
        return Err(ApiError::invalid(
            "* GenerateContentRequest.generation_config.stop_sequences: at most 5 stop sequences can be specified.\n",
        ));
    }
    if is_set(config, "logprobs") && config["responseLogprobs"] != true {
        return Err(ApiError::invalid(
            "logprobs is only allowed when response_logprobs is enabled.",
        ));
    }
    formats(config)?;
    thinking(&config["thinkingConfig"])
}

fn formats(config: &Value) -> Result<(), ApiError> {
    let mime_type = text(&config["responseMimeType"]);
    if !["", "text/plain", "application/json", "text/x.enum"].contains(&mime_type) {
        return Err(ApiError::invalid(
            "* GenerateContentRequest.generation_config.response_mime_type: allowed mimetypes are `text/plain`, \
             `application/json`, `application/xml`, `application/yaml` and `text/x.enum`.\n",
        ));
    }
    let (has_schema, has_json_schema) = (is_set(config, "responseSchema"), is_set(config, "responseJsonSchema"));
    if has_schema && has_json_schema {
        return Err(ApiError::invalid(
            "Only one of response_schema and response_json_schema may be set.",
        ));
    }
    if (has_schema || has_json_schema) && !["application/json", "text/x.enum"].contains(&mime_type) {
        return Err(ApiError::invalid(
            "* GenerateContentRequest.generation_config.response_schema: only supported with response mime type \
             `application/json` or `text/x.enum`.\n",
        ));
    }
    if has_schema {
        schema::check("generationConfig.responseSchema", &config["responseSchema"])
    } else {
        Ok(())
    }
}

fn thinking(config: &Value) -> Result<(), ApiError> {
    let path = "generationConfig.thinkingConfig";
    known_at(path, config, &["includeThoughts", "thinkingBudget", "thinkingLevel"])?;
    if is_set(config, "thinkingBudget") && is_set(config, "thinkingLevel") {
        return Err(ApiError::invalid(
            "You can only set only one of thinking budget and thinking level.",
        ));
    }
    let levels = ["MINIMAL", "LOW", "MEDIUM", "HIGH", "XHIGH"];
    let level = text(&config["thinkingLevel"]).to_uppercase();
    if !level.is_empty() && !levels.contains(&level.as_str()) {
        return Err(ApiError::invalid(format!(
            "Invalid value at 'generation_config.thinking_config.thinking_level' \
             (type.googleapis.com/google.ai.generativelanguage.v1beta.ThinkingConfig.ThinkingLevel), \"{level}\""
        )));
    }
    Ok(())
}

fn tools(body: &Value) -> Result<(), ApiError> {
    for (index, tool) in list(&body["tools"]).iter().enumerate() {
        let path = format!("tools[{index}]");
        known_at(&path, tool, &TOOL_FIELDS)?;
        for (place, function) in list(&tool["functionDeclarations"]).iter().enumerate() {
            declaration(&format!("{path}.functionDeclarations[{place}]"), function)?;
        }
    }
    let config = &body["toolConfig"];
    known_at(
        "toolConfig",
        config,
        &[
            "functionCallingConfig",
            "retrievalConfig",
            "includeServerSideToolInvocations",
        ],
    )?;
    let calling = &config["functionCallingConfig"];
    let path = "toolConfig.functionCallingConfig";
    known_at(
        path,
        calling,
        &["mode", "allowedFunctionNames", "streamFunctionCallArguments"],
    )?;
    let mode = text(&calling["mode"]).to_uppercase();
    if !["", "AUTO", "ANY", "NONE", "VALIDATED", "MODE_UNSPECIFIED"].contains(&mode.as_str()) {
        return Err(ApiError::invalid(format!(
            "Invalid value at 'tool_config.function_calling_config.mode' \
             (type.googleapis.com/google.ai.generativelanguage.v1beta.FunctionCallingConfig.Mode), \"{mode}\""
        )));
    }
    let allowed = list(&calling["allowedFunctionNames"]);
    if !allowed.is_empty() && !["ANY", "VALIDATED"].contains(&mode.as_str()) {
        return Err(ApiError::invalid(
            "Invalid function_calling_config: allowed_function_names should be set only when the mode is ANY or VALIDATED.",
        ));
    }
    let declared = declarations(body);
    match allowed
        .iter()
        .find(|name| !declared.iter().any(|function| function["name"] == **name))
    {
        Some(name) => Err(ApiError::invalid(format!(
            "Invalid function_calling_config: allowed_function_names contains {}, which is not declared.",
            text(name)
        ))),
        None => Ok(()),
    }
}

/// All functions that a request declares.
pub(super) fn declarations(body: &Value) -> Vec<&Value> {
    list(&body["tools"])
        .iter()
        .flat_map(|tool| list(&tool["functionDeclarations"]))
        .collect()
}

fn declaration(path: &str, function: &Value) -> Result<(), ApiError> {
    known_at(path, function, &DECLARATION_FIELDS)?;
    if !is_function_name(text(&function["name"])) {
        return Err(ApiError::invalid(format!(
            "* GenerateContentRequest.{}.name: Invalid function name. Must start with a letter or an underscore. Must be \
             alphanumeric (a-z, A-Z, 0-9), underscores (_), dots (.), colons (:), or dashes (-), with a maximum length of 128.\n",
            snake(path)
        )));
    }
    if is_set(function, "parameters") && is_set(function, "parametersJsonSchema") {
        return Err(ApiError::invalid(format!(
            "* GenerateContentRequest.{}: only one of parameters and parameters_json_schema may be set.\n",
            snake(path)
        )));
    }
    schema::check(&format!("{path}.parameters"), &function["parameters"])
}

/// Whether a function may have this name.
pub(super) fn is_function_name(name: &str) -> bool {
    let is_first = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    let is_other = |byte: u8| is_first(byte) || byte.is_ascii_digit() || b".:-".contains(&byte);
    name.len() <= LONGEST_NAME && name.bytes().next().is_some_and(is_first) && name.bytes().all(is_other)
}

/// Fails if the value at a path has a field that it must not have.
pub(super) fn known_at(path: &str, value: &Value, known: &[&str]) -> Result<(), ApiError> {
    match fields::stranger(value, known) {
        Some(name) => Err(ApiError::unknown(&snake(path), name)),
        None => Ok(()),
    }
}
