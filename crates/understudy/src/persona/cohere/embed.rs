//! `POST /v2/embed`.

use serde_json::{Map, Value, json};

use super::check::known_at;
use super::errors::ApiError;
use crate::base64;
use crate::persona::fields::{is_outside, is_set, list, text};
use crate::persona::openai::embeddings::vector;
use crate::received::Received;
use crate::reply::Reply;

const FIELDS: [&str; 10] = [
    "model",
    "input_type",
    "texts",
    "images",
    "inputs",
    "max_tokens",
    "output_dimension",
    "embedding_types",
    "truncate",
    "priority",
];
const INPUT_TYPES: [&str; 5] = [
    "search_document",
    "search_query",
    "classification",
    "clustering",
    "image",
];
const MOST_TEXTS: usize = 96;
const DIMENSIONS: u64 = 8;

pub(super) fn answer(received: &Received, body: &Value) -> Result<Reply, ApiError> {
    check(body)?;
    let texts = list(&body["texts"]);
    let inputs = [texts, list(&body["images"]), list(&body["inputs"])].concat();
    let dimensions = body["output_dimension"].as_u64().unwrap_or(DIMENSIONS);
    let vectors: Vec<Vec<f32>> = inputs
        .iter()
        .map(|input| vector(&input.to_string(), dimensions))
        .collect();
    let mut embeddings = Map::new();
    for kind in types(body) {
        let encoded: Result<Vec<Value>, ApiError> = vectors.iter().map(|vector| encoded(&kind, vector)).collect();
        embeddings.insert(kind, json!(encoded?));
    }
    Ok(Reply::json(&json!({
        "id": format!("understudy{}", received.number), "embeddings": embeddings, "texts": texts,
        "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": 13}},
        "response_type": "embeddings_by_type",
    })))
}

fn check(body: &Value) -> Result<(), ApiError> {
    known_at("", body, &FIELDS)?;
    if text(&body["model"]).is_empty() {
        return Err(ApiError::invalid("model is required"));
    }
    if !INPUT_TYPES.contains(&text(&body["input_type"])) {
        return Err(ApiError::invalid(format!(
            "valid input_type must be provided: one of {}.",
            INPUT_TYPES.join(", ")
        )));
    }
    let given = ["texts", "images", "inputs"]
        .iter()
        .filter(|name| is_set(body, name))
        .count();
    if given != 1 {
        return Err(ApiError::invalid(
            "exactly one of texts, images or inputs must be provided.",
        ));
    }
    let texts = list(&body["texts"]);
    if texts.len() > MOST_TEXTS {
        let count = texts.len();
        return Err(ApiError::invalid(format!(
            "cannot embed more than 96 texts at once, received {count}."
        )));
    }
    if texts.iter().any(|given| text(given).is_empty()) {
        return Err(ApiError::invalid("texts must be non-empty strings."));
    }
    if is_outside(body, "output_dimension", 1.0, 1536.0) {
        return Err(ApiError::invalid(
            "output_dimension must be one of 256, 512, 1024 or 1536.",
        ));
    }
    Ok(())
}

fn types(body: &Value) -> Vec<String> {
    let asked = list(&body["embedding_types"]);
    if asked.is_empty() {
        return vec!["float".to_owned()];
    }
    asked.iter().map(|kind| text(kind).to_owned()).collect()
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "numbers between -1 and 1, scaled to a byte"
)]
fn encoded(kind: &str, vector: &[f32]) -> Result<Value, ApiError> {
    match kind {
        "float" => Ok(json!(vector)),
        "int8" => Ok(vector.iter().map(|number| json!((number * 127.0) as i8)).collect()),
        "base64" => {
            let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
            Ok(json!(base64::encode(&bytes)))
        }
        other => Err(ApiError::invalid(format!(
            "the understudy has no embeddings of the type '{other}'."
        ))),
    }
}
