//! `:embedContent` and `:batchEmbedContents`.

use serde_json::{Value, json};

use super::check::known_at;
use super::errors::ApiError;
use crate::persona::fields::{is_outside, list, text};
use crate::persona::openai::embeddings::vector;
use crate::reply::Reply;

const DIMENSIONS: u64 = 8;
const MOST_DIMENSIONS: f64 = 3072.0;
const MOST_REQUESTS: usize = 100;
const FIELDS: [&str; 5] = ["model", "content", "taskType", "title", "outputDimensionality"];

pub(super) fn one(body: &Value) -> Result<Reply, ApiError> {
    Ok(Reply::json(
        &json!({"embedding": {"values": values("EmbedContentRequest", body)?}}),
    ))
}

pub(super) fn batch(body: &Value) -> Result<Reply, ApiError> {
    known_at("", body, &["model", "requests"])?;
    let requests = list(&body["requests"]);
    if requests.is_empty() || requests.len() > MOST_REQUESTS {
        return Err(ApiError::invalid(
            "* BatchEmbedContentsRequest.requests: at least one and at most 100 requests can be in one batch\n",
        ));
    }
    let mut embeddings = Vec::new();
    for (index, request) in requests.iter().enumerate() {
        let path = format!("BatchEmbedContentsRequest.requests[{index}]");
        if text(&request["model"]).is_empty() {
            return Err(ApiError::invalid(format!("* {path}.model: model is not specified\n")));
        }
        embeddings.push(json!({"values": values(&path, request)?}));
    }
    Ok(Reply::json(&json!({"embeddings": embeddings})))
}

fn values(path: &str, request: &Value) -> Result<Vec<f32>, ApiError> {
    known_at("", request, &FIELDS)?;
    if is_outside(request, "outputDimensionality", 1.0, MOST_DIMENSIONS) {
        return Err(ApiError::invalid(format!(
            "* {path}.output_dimensionality: must be between 1 and 3072\n"
        )));
    }
    let said: Vec<&str> = list(&request["content"]["parts"])
        .iter()
        .map(|part| text(&part["text"]))
        .collect();
    let said = said.join("\n");
    if said.is_empty() {
        return Err(ApiError::invalid(format!("* {path}.content: content is empty\n")));
    }
    let dimensions = request["outputDimensionality"].as_u64().unwrap_or(DIMENSIONS);
    Ok(vector(&json!(said).to_string(), dimensions))
}
