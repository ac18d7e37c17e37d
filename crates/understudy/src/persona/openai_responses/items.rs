//! What the input of a request must be like.

use serde_json::Value;

use super::SEAL;
use super::check::{known_at, name_at};
use crate::persona::fields::{is_set, list, text};
use crate::persona::openai::errors::ApiError;
use crate::persona::seal;

const LONGEST_ID: usize = 64;
/// Items that are OpenAI's own affair: they are taken as they are.
const OPAQUE: [&str; 24] = [
    "item_reference",
    "compaction",
    "compaction_trigger",
    "additional_tools",
    "configuration_update",
    "web_search_call",
    "file_search_call",
    "code_interpreter_call",
    "image_generation_call",
    "computer_call",
    "computer_call_output",
    "local_shell_call",
    "local_shell_call_output",
    "shell_call",
    "shell_call_output",
    "apply_patch_call",
    "apply_patch_call_output",
    "mcp_list_tools",
    "mcp_approval_request",
    "mcp_approval_response",
    "mcp_call",
    "tool_search_call",
    "tool_search_output",
    "program",
];

/// Fails as OpenAI does if it does not like the input.
pub(super) fn check(body: &Value) -> Result<(), ApiError> {
    let items = match &body["input"] {
        Value::String(_) => return Ok(()),
        Value::Array(items) => items,
        Value::Null => return Err(ApiError::missing("input")),
        other => {
            return Err(ApiError::wrong_type(
                "input",
                "one of a string or array of input items",
                other,
            ));
        }
    };
    let is_stored = body["store"] != false;
    for (index, item) in items.iter().enumerate() {
        one(&format!("input[{index}]"), item, is_stored)?;
        let is_last = index + 1 == items.len();
        if item["type"] == "reasoning" && is_last {
            return Err(ApiError::invalid(
                format!(
                    "Item '{}' of type 'reasoning' was provided without its required following item.",
                    text(&item["id"])
                ),
                Some("input"),
            ));
        }
    }
    calls_are_answered(items, is_set(body, "previous_response_id"))
}

fn one(path: &str, item: &Value, is_stored: bool) -> Result<(), ApiError> {
    let kind = item["type"].as_str().unwrap_or("message");
    match kind {
        "message" => message(path, item),
        "function_call" => call(path, item, "fc", &["arguments", "namespace", "async", "caller"]),
        "custom_tool_call" => call(path, item, "ctc", &["input", "namespace"]),
        "function_call_output" | "custom_tool_call_output" => output(path, item),
        "reasoning" => reasoning(path, item, is_stored),
        kind if OPAQUE.contains(&kind) => Ok(()),
        kind => Err(ApiError::unsupported_value(
            path,
            kind,
            &["message", "function_call", "function_call_output", "reasoning"],
        )),
    }
}

fn message(path: &str, item: &Value) -> Result<(), ApiError> {
    known_at(path, item, &["type", "role", "content", "id", "status", "phase"])?;
    id_begins(path, item, "msg")?;
    let role = text(&item["role"]);
    let roles = ["assistant", "system", "developer", "user"];
    if !roles.contains(&role) {
        return Err(ApiError::unsupported_value(&format!("{path}.role"), role, &roles));
    }
    let path = format!("{path}.content");
    match &item["content"] {
        Value::String(_) => Ok(()),
        Value::Array(parts) => parts
            .iter()
            .enumerate()
            .try_for_each(|(index, it)| part(&format!("{path}[{index}]"), role, it)),
        Value::Null => Err(ApiError::missing(&path)),
        other => Err(ApiError::wrong_type(
            &path,
            "one of an array of objects or string",
            other,
        )),
    }
}

fn part(path: &str, role: &str, part: &Value) -> Result<(), ApiError> {
    let allowed: &[&str] = match role {
        "assistant" => &["output_text", "refusal"],
        "user" => &["input_text", "input_image", "input_file", "input_audio"],
        _ => &["input_text"],
    };
    let kind = text(&part["type"]);
    if !allowed.contains(&kind) {
        return Err(ApiError::unsupported_value(path, kind, allowed));
    }
    let known: &[&str] = match kind {
        "output_text" => &["type", "text", "annotations", "logprobs"],
        "refusal" => &["type", "refusal"],
        "input_text" => &["type", "text", "prompt_cache_breakpoint"],
        "input_image" => &["type", "image_url", "file_id", "detail", "prompt_cache_breakpoint"],
        "input_file" => &[
            "type",
            "file_id",
            "file_url",
            "file_data",
            "filename",
            "detail",
            "prompt_cache_breakpoint",
        ],
        _ => &["type", "input_audio"],
    };
    known_at(path, part, known)?;
    match kind {
        "output_text" | "input_text" if !part["text"].is_string() => Err(ApiError::missing(&format!("{path}.text"))),
        "input_image" if is_set(part, "image_url") && !part["image_url"].is_string() => Err(ApiError::wrong_type(
            &format!("{path}.image_url"),
            "an image URL",
            &part["image_url"],
        )),
        "input_file" if is_set(part, "file_data") => file_data(path, part),
        _ => Ok(()),
    }
}

fn file_data(path: &str, part: &Value) -> Result<(), ApiError> {
    if !text(&part["file_data"]).starts_with("data:") {
        return Err(ApiError::invalid_value(
            &format!("{path}.file_data"),
            "expected a base64-encoded data URL.",
        ));
    }
    if is_set(part, "filename") {
        Ok(())
    } else {
        Err(ApiError::missing(&format!("{path}.filename")))
    }
}

fn call(path: &str, item: &Value, prefix: &str, own: &[&str]) -> Result<(), ApiError> {
    let known = [&["type", "id", "call_id", "name", "status"], own].concat();
    known_at(path, item, &known)?;
    id_begins(path, item, prefix)?;
    call_id(path, item)?;
    name_at(&format!("{path}.name"), text(&item["name"]))?;
    let input = own.first().copied().unwrap_or_default();
    match &item[input] {
        Value::String(_) => Ok(()),
        Value::Null => Err(ApiError::missing(&format!("{path}.{input}"))),
        other => Err(ApiError::wrong_type(&format!("{path}.{input}"), "a string", other)),
    }
}

fn output(path: &str, item: &Value) -> Result<(), ApiError> {
    known_at(
        path,
        item,
        &["type", "id", "call_id", "output", "status", "namespace", "caller"],
    )?;
    call_id(path, item)?;
    let path = format!("{path}.output");
    match &item["output"] {
        Value::String(_) => Ok(()),
        Value::Array(parts) => parts
            .iter()
            .enumerate()
            .try_for_each(|(index, it)| part(&format!("{path}[{index}]"), "user", it)),
        Value::Null => Err(ApiError::missing(&path)),
        other => Err(ApiError::wrong_type(
            &path,
            "one of an array of objects or string",
            other,
        )),
    }
}

fn reasoning(path: &str, item: &Value, is_stored: bool) -> Result<(), ApiError> {
    known_at(
        path,
        item,
        &["type", "id", "summary", "content", "encrypted_content", "status"],
    )?;
    id_begins(path, item, "rs")?;
    if !item["summary"].is_array() {
        return Err(ApiError::missing(&format!("{path}.summary")));
    }
    for (index, part) in list(&item["summary"]).iter().enumerate() {
        known_at(&format!("{path}.summary[{index}]"), part, &["type", "text"])?;
    }
    let id = text(&item["id"]);
    if is_set(item, "encrypted_content") {
        if seal::is_sealed(SEAL, text(&item["encrypted_content"])) {
            return Ok(());
        }
        let message = format!(
            "The encrypted content for item {id} could not be verified. Reason: Encrypted content could not be decrypted \
             or parsed."
        );
        return Err(ApiError::invalid(message, None).with_code("invalid_encrypted_content"));
    }
    let why = match (is_stored, id.starts_with("rs_understudy")) {
        (true, true) => return Ok(()),
        (true, false) => "",
        (false, _) => {
            " Items are not persisted when `store` is set to false. Try again with `store` set to true, or remove this item \
             from your input."
        }
    };
    Err(ApiError::invalid(format!("Item with id '{id}' not found.{why}"), Some("input")).with_status(404))
}

fn id_begins(path: &str, item: &Value, prefix: &str) -> Result<(), ApiError> {
    let id = text(&item["id"]);
    if !is_set(item, "id") || id.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('_')) {
        return Ok(());
    }
    Err(ApiError::invalid_value(
        &format!("{path}.id"),
        &format!("'{id}'. Expected an ID that begins with '{prefix}'."),
    ))
}

fn call_id(path: &str, item: &Value) -> Result<(), ApiError> {
    let id = text(&item["call_id"]);
    if id.is_empty() {
        return Err(ApiError::missing(&format!("{path}.call_id")));
    }
    if id.len() > LONGEST_ID {
        let length = id.len();
        return Err(ApiError::invalid_value(
            &format!("{path}.call_id"),
            &format!(
                "string too long. Expected a string with maximum length 64, but got a string with length {length} instead."
            ),
        ));
    }
    Ok(())
}

/// Each call has its output after it, and each output its call before it, unless that may be in an earlier response.
fn calls_are_answered(items: &[Value], has_previous: bool) -> Result<(), ApiError> {
    let is_call = |item: &Value| matches!(item["type"].as_str(), Some("function_call" | "custom_tool_call"));
    let is_output = |item: &Value| {
        matches!(
            item["type"].as_str(),
            Some("function_call_output" | "custom_tool_call_output")
        )
    };
    for (index, item) in items.iter().enumerate() {
        let id = text(&item["call_id"]);
        let is_same = |other: &&Value| other["call_id"] == item["call_id"];
        if is_call(item)
            && !items[index..]
                .iter()
                .filter(|other| is_output(other))
                .any(|other| is_same(&other))
        {
            let message = format!("No tool output found for function call {id}.");
            return Err(ApiError::invalid(message, Some("input")));
        }
        let has_call = has_previous
            || items[..index]
                .iter()
                .filter(|other| is_call(other))
                .any(|other| is_same(&other));
        if is_output(item) && !has_call {
            let message = format!("No tool call found for function call output with call_id {id}.");
            return Err(ApiError::invalid(message, Some("input")));
        }
    }
    Ok(())
}
