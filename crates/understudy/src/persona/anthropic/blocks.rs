//! What the content blocks of messages must be like.

use serde_json::Value;

use super::SEAL;
use super::errors::ApiError;
use crate::base64;
use crate::persona::fields::{self, is_name, is_set, list, text};
use crate::persona::seal::{is_sealed, seal};

const MEDIA_TYPES: [&str; 4] = ["image/jpeg", "image/png", "image/gif", "image/webp"];
/// How the base64 of images begins.
const BEGINNINGS: [(&str, &str); 4] = [
    ("/9j/", "image/jpeg"),
    ("iVBOR", "image/png"),
    ("R0lGOD", "image/gif"),
    ("UklGR", "image/webp"),
];

/// The fields of each type of block.
fn known(kind: &str) -> Option<&'static [&'static str]> {
    Some(match kind {
        "text" => &["type", "text", "cache_control", "citations"],
        "image" => &["type", "source", "cache_control"],
        "document" => &["type", "source", "title", "context", "citations", "cache_control"],
        "search_result" => &["type", "source", "title", "content", "citations", "cache_control"],
        "thinking" => &["type", "thinking", "signature"],
        "redacted_thinking" => &["type", "data"],
        "tool_use" => &["type", "id", "name", "input", "caller", "cache_control"],
        "tool_result" => &["type", "tool_use_id", "content", "is_error", "cache_control"],
        "tool_reference" => &["type", "tool_name", "cache_control"],
        _ => return None,
    })
}

/// Fails if a block in a message of that role is not as it must be.
pub(super) fn check(path: &str, role: &str, block: &Value) -> Result<(), ApiError> {
    let kind = text(&block["type"]);
    if kind.is_empty() {
        return Err(ApiError::required(&format!("{path}.type")));
    }
    let is_misplaced = match kind {
        "thinking" | "redacted_thinking" | "tool_use" => role != "assistant",
        "tool_result" | "image" | "document" | "search_result" => role != "user",
        _ => false,
    };
    if is_misplaced {
        return Err(ApiError::invalid(format!(
            "{path}: `{kind}` blocks are not allowed in `{role}` messages"
        )));
    }
    let Some(known) = known(kind) else {
        // What Anthropic's own tools left in the history is its own affair.
        if kind.starts_with("server_tool_use") || kind.ends_with("_tool_result") || kind == "container_upload" {
            return Ok(());
        }
        return Err(ApiError::invalid(format!(
            "{path}: Input tag '{kind}' found using 'type' does not match any of the expected tags"
        )));
    };
    let path = format!("{path}.{kind}");
    known_at(&path, block, known)?;
    cache_control(&path, block)?;
    match kind {
        "text" => text_block(block),
        "image" => image(&path, block),
        "document" => document(&path, block),
        "thinking" => thinking(&path, block),
        "redacted_thinking" if !is_sealed(SEAL, text(&block["data"])) => Err(ApiError::invalid(format!(
            "{path}: Invalid `data` in `redacted_thinking` block"
        ))),
        "tool_use" => tool_use(&path, block),
        "tool_result" => tool_result(&path, block),
        _ => Ok(()),
    }
}

/// Fails if the value at a path has a field that it must not have.
pub(super) fn known_at(path: &str, value: &Value, known: &[&str]) -> Result<(), ApiError> {
    match fields::stranger(value, known) {
        Some(name) => Err(ApiError::extra(&format!("{path}.{name}"))),
        None => Ok(()),
    }
}

/// Fails if the cache mark of a block is not as it must be.
pub(super) fn cache_control(path: &str, block: &Value) -> Result<(), ApiError> {
    let mark = &block["cache_control"];
    if mark.is_null() {
        return Ok(());
    }
    known_at(&format!("{path}.cache_control.ephemeral"), mark, &["type", "ttl"])?;
    if mark["type"] != "ephemeral" {
        return Err(ApiError::invalid(format!(
            "{path}.cache_control.type: Input should be 'ephemeral'"
        )));
    }
    if is_set(mark, "ttl") && !["5m", "1h"].contains(&text(&mark["ttl"])) {
        return Err(ApiError::invalid(format!(
            "{path}.cache_control.ephemeral.ttl: Input should be '5m' or '1h'"
        )));
    }
    Ok(())
}

/// How many cache marks there are in a list of blocks, messages or tools.
pub(super) fn cache_marks(value: &Value) -> usize {
    list(value)
        .iter()
        .map(|one| usize::from(is_set(one, "cache_control")) + cache_marks(&one["content"]))
        .sum()
}

fn text_block(block: &Value) -> Result<(), ApiError> {
    let text = text(&block["text"]);
    if text.is_empty() {
        return Err(ApiError::invalid("messages: text content blocks must be non-empty"));
    }
    if text.trim().is_empty() {
        return Err(ApiError::invalid(
            "messages: text content blocks must contain non-whitespace text",
        ));
    }
    Ok(())
}

fn image(path: &str, block: &Value) -> Result<(), ApiError> {
    let source = &block["source"];
    let path = format!("{path}.source");
    match source["type"].as_str() {
        Some("base64") => {
            known_at(&format!("{path}.base64"), source, &["type", "media_type", "data"])?;
            let media_type = text(&source["media_type"]);
            if !MEDIA_TYPES.contains(&media_type) {
                return Err(ApiError::invalid(format!(
                    "{path}.base64.media_type: Input should be 'image/jpeg', 'image/png', 'image/gif' or 'image/webp'"
                )));
            }
            let data = text(&source["data"]);
            base64_data(&path, data)?;
            let found = BEGINNINGS.iter().find(|(beginning, _)| data.starts_with(beginning));
            match found {
                Some((_, found)) if *found != media_type => Err(ApiError::invalid(format!(
                    "{path}.base64: The image was specified using the {media_type} media type, but the image appears to be a \
                     {found} image"
                ))),
                _ => Ok(()),
            }
        }
        Some("url") => known_at(&format!("{path}.url"), source, &["type", "url"]),
        Some("file") => known_at(&format!("{path}.file"), source, &["type", "file_id"]),
        _ => Err(ApiError::required(&format!("{path}.type"))),
    }
}

fn document(path: &str, block: &Value) -> Result<(), ApiError> {
    let source = &block["source"];
    let path = format!("{path}.source");
    match (source["type"].as_str(), source["media_type"].as_str()) {
        (Some("base64"), Some("application/pdf")) => {
            known_at(&format!("{path}.base64"), source, &["type", "media_type", "data"])?;
            base64_data(&path, text(&source["data"]))
        }
        (Some("text"), Some("text/plain")) => {
            known_at(&format!("{path}.text"), source, &["type", "media_type", "data"])
        }
        (Some("base64"), _) => Err(ApiError::invalid(format!(
            "{path}.base64.media_type: Input should be 'application/pdf'"
        ))),
        (Some("text"), _) => Err(ApiError::invalid(format!(
            "{path}.text.media_type: Input should be 'text/plain'"
        ))),
        (Some("url" | "file" | "content"), _) => Ok(()),
        _ => Err(ApiError::required(&format!("{path}.type"))),
    }
}

/// Standard base64 only, with its padding.
fn base64_data(path: &str, data: &str) -> Result<(), ApiError> {
    let decoded = base64::decode(data);
    if decoded.is_some_and(|bytes| !bytes.is_empty() && base64::encode(&bytes) == data) {
        return Ok(());
    }
    Err(ApiError::invalid(format!("{path}.base64.data: invalid base64 data")))
}

fn thinking(path: &str, block: &Value) -> Result<(), ApiError> {
    for name in ["thinking", "signature"] {
        if !block[name].is_string() {
            return Err(ApiError::required(&format!("{path}.{name}")));
        }
    }
    if text(&block["signature"]) == seal(SEAL, text(&block["thinking"])) {
        return Ok(());
    }
    let path = path.trim_end_matches(".thinking");
    Err(ApiError::invalid(format!(
        "{path}: Invalid `signature` in `thinking` block"
    )))
}

fn tool_use(path: &str, block: &Value) -> Result<(), ApiError> {
    for name in ["id", "name", "input"] {
        if !is_set(block, name) {
            return Err(ApiError::required(&format!("{path}.{name}")));
        }
    }
    if !is_name(text(&block["id"]), usize::MAX) {
        return Err(ApiError::invalid(format!(
            "{path}.id: String should match pattern '^[a-zA-Z0-9_-]+$'"
        )));
    }
    if !is_name(text(&block["name"]), 200) {
        return Err(ApiError::invalid(format!(
            "{path}.name: String should match pattern '^[a-zA-Z0-9_-]{{1,200}}$'"
        )));
    }
    if !block["input"].is_object() {
        return Err(ApiError::invalid(format!(
            "{path}.input: Input should be a valid dictionary"
        )));
    }
    Ok(())
}

fn tool_result(path: &str, block: &Value) -> Result<(), ApiError> {
    if !is_set(block, "tool_use_id") {
        return Err(ApiError::required(&format!("{path}.tool_use_id")));
    }
    if is_set(block, "is_error") && !block["is_error"].is_boolean() {
        return Err(ApiError::invalid(format!(
            "{path}.is_error: Input should be a valid boolean"
        )));
    }
    for (index, inner) in list(&block["content"]).iter().enumerate() {
        let kind = text(&inner["type"]);
        if !["text", "image", "document", "search_result", "tool_reference"].contains(&kind) {
            return Err(ApiError::invalid(format!(
                "{path}.content.{index}: Input tag '{kind}' found using 'type' does not match any of the expected tags: \
                 'document', 'image', 'search_result', 'text', 'tool_reference'"
            )));
        }
        check(&format!("{path}.content.{index}"), "user", inner)?;
    }
    Ok(())
}
