//! `GET /v1/models` and `GET /v1/models/{id}`.

use serde_json::{Value, json};

use super::errors::ApiError;
use crate::reply::Reply;

const MODELS: [(&str, &str); 3] = [
    ("claude-opus-4-5", "Claude Opus 4.5"),
    ("claude-sonnet-4-5", "Claude Sonnet 4.5"),
    ("claude-haiku-4-5", "Claude Haiku 4.5"),
];

pub(super) fn list() -> Reply {
    let data: Vec<Value> = MODELS.iter().map(model).collect();
    let id = |place: usize| data.get(place).map(|model| model["id"].clone());
    Reply::json(&json!({"data": data, "has_more": false, "first_id": id(0), "last_id": id(MODELS.len() - 1)}))
}

pub(super) fn retrieve(id: &str) -> Result<Reply, ApiError> {
    let found = MODELS.iter().find(|(known, _)| *known == id);
    let found = found.ok_or_else(|| ApiError::not_found(format!("model: {id}")))?;
    Ok(Reply::json(&model(found)))
}

fn model((id, name): &(&str, &str)) -> Value {
    json!({"type": "model", "id": id, "display_name": name, "created_at": "2025-11-01T00:00:00Z"})
}
