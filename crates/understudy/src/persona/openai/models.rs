//! `GET /v1/models` and `GET /v1/models/{id}`.

use serde_json::{Value, json};

use super::CREATED;
use super::errors::ApiError;
use crate::reply::Reply;

const MODELS: [&str; 12] = [
    "gpt-4o",
    "gpt-4o-mini",
    "gpt-4.1",
    "gpt-5",
    "gpt-3.5-turbo-instruct",
    "text-embedding-3-small",
    "text-embedding-3-large",
    "omni-moderation-latest",
    "gpt-image-1",
    "dall-e-3",
    "tts-1",
    "whisper-1",
];

pub(super) fn list() -> Reply {
    let data: Vec<Value> = MODELS.iter().map(|id| model(id)).collect();
    Reply::json(&json!({"object": "list", "data": data}))
}

pub(super) fn retrieve(id: &str) -> Result<Reply, ApiError> {
    if !MODELS.contains(&id) {
        return Err(ApiError::unknown_model(id));
    }
    Ok(Reply::json(&model(id)))
}

fn model(id: &str) -> Value {
    json!({"id": id, "object": "model", "created": CREATED, "owned_by": "understudy"})
}
