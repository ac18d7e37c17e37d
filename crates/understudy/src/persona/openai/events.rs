//! Server-sent events as strings.

use serde_json::Value;

/// What ends a stream of chat completions.
pub(in crate::persona) const DONE: &str = "data: [DONE]\n\n";

/// An event without a name.
pub(in crate::persona) fn data(value: &Value) -> String {
    format!("data: {value}\n\n")
}

/// An event that is named after the `type` of its data.
pub(in crate::persona) fn named(value: &Value) -> String {
    format!("event: {}\n{}", value["type"].as_str().unwrap_or_default(), data(value))
}
