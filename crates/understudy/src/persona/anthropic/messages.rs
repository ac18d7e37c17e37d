//! What the messages of a request must be like, as a conversation.

use serde_json::Value;

use super::blocks;
use super::errors::ApiError;
use crate::persona::fields::{list, text};

/// Fails as Anthropic does if it does not like the messages.
pub(super) fn check(body: &Value) -> Result<(), ApiError> {
    let Some(messages) = body["messages"].as_array() else {
        return Err(ApiError::required("messages"));
    };
    let Some(first) = messages.first() else {
        return Err(ApiError::invalid("messages: at least one message is required"));
    };
    if first["role"] != "user" {
        return Err(ApiError::invalid("messages: first message must use the \"user\" role"));
    }
    for (index, message) in messages.iter().enumerate() {
        one(index, message, index + 1 == messages.len())?;
    }
    let mut ids = messages
        .iter()
        .flat_map(|message| ids_of(message, "tool_use", "id"))
        .collect::<Vec<_>>();
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    if ids.len() < count {
        return Err(ApiError::invalid("messages: `tool_use` ids must be unique"));
    }
    for index in 0..messages.len() {
        uses_are_answered(messages, index)?;
        results_have_uses(messages, index)?;
    }
    thinking_comes_first(body, messages)
}

fn one(index: usize, message: &Value, is_last: bool) -> Result<(), ApiError> {
    let path = format!("messages.{index}");
    blocks::known_at(&path, message, &["role", "content"])?;
    let role = text(&message["role"]);
    if !["user", "assistant", "system"].contains(&role) {
        return Err(ApiError::invalid(format!(
            "{path}.role: Input should be 'user' or 'assistant'"
        )));
    }
    let is_prefill = is_last && role == "assistant";
    let is_empty = match &message["content"] {
        Value::Null => return Err(ApiError::required(&format!("{path}.content"))),
        Value::String(text) => text.is_empty(),
        Value::Array(content) => content.is_empty(),
        _ => {
            return Err(ApiError::invalid(format!(
                "{path}.content: Input should be a valid list"
            )));
        }
    };
    if is_empty && !is_prefill {
        return Err(ApiError::invalid(format!(
            "{path}: all messages must have non-empty content except for the optional final assistant message"
        )));
    }
    for (place, block) in list(&message["content"]).iter().enumerate() {
        blocks::check(&format!("{path}.content.{place}"), role, block)?;
    }
    let last = list(&message["content"])
        .last()
        .map_or(&message["content"], |block| &block["text"]);
    if is_prefill && text(last).ends_with(char::is_whitespace) {
        return Err(ApiError::invalid(
            "messages: final assistant content cannot end with trailing whitespace",
        ));
    }
    Ok(())
}

fn ids_of<'a>(message: &'a Value, kind: &'a str, field: &'a str) -> impl Iterator<Item = &'a str> {
    list(&message["content"])
        .iter()
        .filter(move |block| block["type"] == kind)
        .map(move |block| text(&block[field]))
}

/// All calls of a message have their results in the next one, before anything else.
fn uses_are_answered(messages: &[Value], index: usize) -> Result<(), ApiError> {
    let uses: Vec<&str> = ids_of(&messages[index], "tool_use", "id").collect();
    let next = messages.get(index + 1);
    if uses.is_empty() {
        return Ok(());
    }
    let leading = next.map(|message| list(&message["content"])).unwrap_or_default().iter();
    let answered: Vec<&str> = leading
        .take_while(|block| block["type"] == "tool_result")
        .map(|block| text(&block["tool_use_id"]))
        .collect();
    let open: Vec<&str> = uses.into_iter().filter(|id| !answered.contains(id)).collect();
    if open.is_empty() {
        return Ok(());
    }
    Err(ApiError::invalid(format!(
        "messages.{index}: `tool_use` ids were found without `tool_result` blocks immediately after: {}. Each `tool_use` block \
         must have a corresponding `tool_result` block in the next message.",
        open.join(", ")
    )))
}

/// All results of a message belong to calls of the message before, one to each.
fn results_have_uses(messages: &[Value], index: usize) -> Result<(), ApiError> {
    let before = index.checked_sub(1).and_then(|before| messages.get(before));
    let mut open: Vec<&str> = before
        .into_iter()
        .flat_map(|message| ids_of(message, "tool_use", "id"))
        .collect();
    let mut answered: Vec<&str> = Vec::new();
    for id in ids_of(&messages[index], "tool_result", "tool_use_id") {
        if answered.contains(&id) {
            return Err(ApiError::invalid(format!(
                "messages.{index}.content: each tool_use must have a single result. Found multiple `tool_result` blocks with \
                 id: {id}"
            )));
        }
        let Some(place) = open.iter().position(|candidate| *candidate == id) else {
            return Err(ApiError::invalid(format!(
                "messages.{index}.content: unexpected `tool_use_id` found in `tool_result` blocks: {id}. Each `tool_result` \
                 block must have a corresponding `tool_use` block in the previous message."
            )));
        };
        open.remove(place);
        answered.push(id);
    }
    Ok(())
}

/// With thinking on, the last turn of the assistant must begin with its thinking if it called tools.
fn thinking_comes_first(body: &Value, messages: &[Value]) -> Result<(), ApiError> {
    let Some(index) = messages.iter().rposition(|message| message["role"] == "assistant") else {
        return Ok(());
    };
    let content = list(&messages[index]["content"]);
    let calls = content.iter().any(|block| block["type"] == "tool_use");
    let first = content.first().map(|block| text(&block["type"])).unwrap_or_default();
    if body["thinking"]["type"] != "enabled" || !calls || ["thinking", "redacted_thinking"].contains(&first) {
        return Ok(());
    }
    Err(ApiError::invalid(format!(
        "messages.{index}.content.0.type: Expected `thinking` or `redacted_thinking`, but found `{first}`. When `thinking` is \
         enabled, a final `assistant` message must start with a thinking block (preceeding the lastmost set of `tool_use` and \
         `tool_result` blocks)."
    )))
}
