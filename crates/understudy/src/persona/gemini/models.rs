//! `GET /v1beta/models` and `GET /v1beta/models/{model}`.

use serde_json::{Value, json};

use super::errors::ApiError;
use crate::reply::Reply;

const MODELS: [&str; 4] = [
    "gemini-3-pro-preview",
    "gemini-2.5-pro",
    "gemini-2.5-flash",
    "gemini-embedding-001",
];

pub(super) fn list() -> Reply {
    let models: Vec<Value> = MODELS.iter().map(|name| model(name)).collect();
    Reply::json(&json!({"models": models}))
}

pub(super) fn retrieve(name: &str) -> Result<Reply, ApiError> {
    if MODELS.contains(&name) {
        Ok(Reply::json(&model(name)))
    } else {
        Err(ApiError::no_model(name))
    }
}

fn model(name: &str) -> Value {
    let methods = if name.contains("embedding") {
        json!(["embedContent", "batchEmbedContents"])
    } else {
        json!(["generateContent", "countTokens"])
    };
    json!({
        "name": format!("models/{name}"), "version": "001", "displayName": name, "inputTokenLimit": 1_048_576,
        "outputTokenLimit": 65_536, "supportedGenerationMethods": methods,
    })
}
