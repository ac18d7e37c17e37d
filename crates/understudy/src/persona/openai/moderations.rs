//! `POST /v1/moderations`: an input is flagged if it has the word "forbidden" in it.

use serde_json::{Value, json};

use super::call::Call;
use super::errors::ApiError;
use crate::reply::Reply;

const CATEGORIES: [&str; 13] = [
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/intent",
    "self-harm/instructions",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
];

pub(super) fn answer(call: &Call<'_>) -> Result<Reply, ApiError> {
    let results: Vec<Value> = match &call.body["input"] {
        Value::Null => return Err(ApiError::missing("input")),
        Value::Array(inputs) if inputs.iter().all(Value::is_string) => inputs.iter().map(result).collect(),
        input => vec![result(input)],
    };
    let model = if call.model.is_empty() {
        "omni-moderation-latest"
    } else {
        &call.model
    };
    Ok(Reply::json(
        &json!({"id": call.id("modr-"), "model": model, "results": results}),
    ))
}

fn result(input: &Value) -> Value {
    let is_flagged = input.to_string().contains("forbidden");
    let score = if is_flagged { 0.99 } else { 0.01 };
    let flags: serde_json::Map<String, Value> = CATEGORIES
        .iter()
        .map(|name| ((*name).to_owned(), json!(is_flagged && *name == "violence")))
        .collect();
    let scores: serde_json::Map<String, Value> = CATEGORIES
        .iter()
        .map(|name| {
            (
                (*name).to_owned(),
                json!(if *name == "violence" { score } else { 0.01 }),
            )
        })
        .collect();
    let applied: serde_json::Map<String, Value> = CATEGORIES
        .iter()
        .map(|name| ((*name).to_owned(), json!(["text"])))
        .collect();
    json!({
        "flagged": is_flagged, "categories": flags, "category_scores": scores, "category_applied_input_types": applied,
    })
}
