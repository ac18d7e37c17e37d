//! What a request must be like, its messages and tools aside.

use serde_json::Value;

use super::errors::ApiError;
use super::{blocks, messages, tools};
use crate::persona::fields::{self, is_set, list, text};

const FIELDS: [&str; 20] = [
    "model",
    "max_tokens",
    "messages",
    "system",
    "temperature",
    "top_p",
    "top_k",
    "stop_sequences",
    "stream",
    "tools",
    "tool_choice",
    "thinking",
    "output_config",
    "metadata",
    "cache_control",
    "service_tier",
    "speed",
    "inference_geo",
    "container",
    "diagnostics",
];
/// What is known only if the request has a header `anthropic-beta`.
const BETA_FIELDS: [&str; 7] = [
    "mcp_servers",
    "context_management",
    "compaction",
    "thread",
    "fallbacks",
    "billing_policy",
    "output_format",
];
const LEAST_BUDGET: u64 = 1024;

/// Fails as Anthropic does if it does not like the request.
pub(super) fn request(body: &Value, is_beta: bool, is_count: bool) -> Result<(), ApiError> {
    let betas: &[&str] = if is_beta { &BETA_FIELDS } else { &[] };
    if let Some(name) = fields::stranger(body, &[&FIELDS, betas].concat()) {
        return Err(ApiError::extra(name));
    }
    if text(&body["model"]).is_empty() {
        return Err(ApiError::required("model"));
    }
    match &body["max_tokens"] {
        Value::Null if is_count => {}
        Value::Null => return Err(ApiError::required("max_tokens")),
        value if value.is_u64() => {}
        _ => return Err(ApiError::invalid("max_tokens: Input should be a valid integer")),
    }
    system(&body["system"])?;
    sampling(body)?;
    thinking(body)?;
    settings(body)?;
    tools::check(body)?;
    messages::check(body)?;
    cache_marks(body)
}

fn system(system: &Value) -> Result<(), ApiError> {
    for (index, block) in list(system).iter().enumerate() {
        let path = format!("system.{index}");
        if block["type"] != "text" {
            return Err(ApiError::invalid(format!("{path}.type: Input should be 'text'")));
        }
        blocks::known_at(&path, block, &["type", "text", "cache_control", "citations"])?;
        if text(&block["text"]).is_empty() {
            return Err(ApiError::invalid("system: text content blocks must be non-empty"));
        }
        blocks::cache_control(&path, block)?;
    }
    match system {
        Value::Null | Value::String(_) | Value::Array(_) => Ok(()),
        _ => Err(ApiError::invalid("system: Input should be a valid list")),
    }
}

fn sampling(body: &Value) -> Result<(), ApiError> {
    for name in ["temperature", "top_p"] {
        if fields::is_outside(body, name, 0.0, 1.0) {
            return Err(ApiError::invalid(format!("{name}: range: 0..1")));
        }
    }
    if is_set(body, "top_k") && !body["top_k"].is_u64() {
        return Err(ApiError::invalid("top_k: Input should be greater than or equal to 0"));
    }
    for stop in list(&body["stop_sequences"]) {
        if text(stop).trim().is_empty() {
            return Err(ApiError::invalid(
                "stop_sequences: each stop sequence must contain non-whitespace",
            ));
        }
    }
    if is_set(body, "stop_sequences") && !body["stop_sequences"].is_array() {
        return Err(ApiError::invalid("stop_sequences: Input should be a valid list"));
    }
    Ok(())
}

fn thinking(body: &Value) -> Result<(), ApiError> {
    let thinking = &body["thinking"];
    match thinking["type"].as_str() {
        None if thinking.is_null() => return Ok(()),
        Some("enabled") => {
            blocks::known_at("thinking.enabled", thinking, &["type", "budget_tokens", "display"])?;
            budget(body, &thinking["budget_tokens"])?;
        }
        Some("adaptive") => blocks::known_at("thinking.adaptive", thinking, &["type", "display"])?,
        Some("disabled" | "between_tools") => {
            return blocks::known_at("thinking.disabled", thinking, &["type"]);
        }
        _ => {
            return Err(ApiError::invalid(
                "thinking: Input tag does not match any of the expected tags: 'adaptive', 'disabled', 'enabled'",
            ));
        }
    }
    if fields::is_outside(body, "temperature", 1.0, 1.0) {
        return Err(ApiError::invalid(
            "`temperature` may only be set to 1 when thinking is enabled. Please consult our documentation at \
             https://docs.claude.com/en/docs/build-with-claude/extended-thinking",
        ));
    }
    if is_set(body, "top_k") {
        return Err(ApiError::invalid("`top_k` must be unset when thinking is enabled."));
    }
    if fields::is_outside(body, "top_p", 0.95, 1.0) {
        return Err(ApiError::invalid(
            "`top_p` must be greater than or equal to 0.95 or unset when thinking is enabled.",
        ));
    }
    if matches!(body["tool_choice"]["type"].as_str(), Some("any" | "tool")) {
        return Err(ApiError::invalid(
            "Thinking may not be enabled when tool_choice forces tool use.",
        ));
    }
    Ok(())
}

fn budget(body: &Value, budget: &Value) -> Result<(), ApiError> {
    let Some(budget) = budget.as_u64() else {
        return Err(ApiError::required("thinking.enabled.budget_tokens"));
    };
    if budget < LEAST_BUDGET {
        return Err(ApiError::invalid(
            "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024",
        ));
    }
    if body["max_tokens"].as_u64().is_some_and(|most| most <= budget) {
        return Err(ApiError::invalid(
            "`max_tokens` must be greater than `thinking.budget_tokens`. Please consult our documentation at \
             https://docs.claude.com/en/docs/build-with-claude/extended-thinking#max-tokens-and-context-window-size",
        ));
    }
    Ok(())
}

fn settings(body: &Value) -> Result<(), ApiError> {
    blocks::known_at("metadata", &body["metadata"], &["user_id"])?;
    let config = &body["output_config"];
    blocks::known_at("output_config", config, &["effort", "format", "task_budget"])?;
    let efforts = ["low", "medium", "high", "xhigh", "max"];
    if is_set(config, "effort") && !efforts.contains(&text(&config["effort"])) {
        return Err(ApiError::invalid(
            "output_config.effort: Input should be 'low', 'medium', 'high', 'xhigh' or 'max'",
        ));
    }
    let format = &config["format"];
    blocks::known_at("output_config.format", format, &["type", "schema"])?;
    if !format.is_null() && format["type"] != "json_schema" {
        return Err(ApiError::invalid(
            "output_config.format.type: Input should be 'json_schema'",
        ));
    }
    if !format.is_null() && !format["schema"].is_object() {
        return Err(ApiError::required("output_config.format.schema"));
    }
    if is_open_object(&format["schema"]) {
        return Err(ApiError::invalid(
            "output_config.format.schema: For 'object' type, 'additionalProperties' must be explicitly set to false",
        ));
    }
    if is_set(body, "service_tier") && !["auto", "standard_only"].contains(&text(&body["service_tier"])) {
        return Err(ApiError::invalid(
            "service_tier: Input should be 'auto' or 'standard_only'",
        ));
    }
    Ok(())
}

/// Whether a schema has an object that allows more properties than it names.
fn is_open_object(schema: &Value) -> bool {
    let is_open = schema["type"] == "object" && schema["additionalProperties"] != false;
    let below = schema["properties"]
        .as_object()
        .into_iter()
        .flat_map(|properties| properties.values());
    is_open || is_some_and_open(&schema["items"]) || below.into_iter().any(is_open_object)
}

fn is_some_and_open(schema: &Value) -> bool {
    schema.is_object() && is_open_object(schema)
}

const MOST_CACHE_MARKS: usize = 4;

fn cache_marks(body: &Value) -> Result<(), ApiError> {
    let count = ["system", "tools", "messages"]
        .iter()
        .map(|name| blocks::cache_marks(&body[name]))
        .sum::<usize>()
        + usize::from(is_set(body, "cache_control"));
    if count <= MOST_CACHE_MARKS {
        return Ok(());
    }
    Err(ApiError::invalid(format!(
        "A maximum of 4 blocks with cache_control may be provided. Found {count}."
    )))
}
