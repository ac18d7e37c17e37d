//! `POST /v1/embeddings`.

use serde_json::{Value, json};

use super::call::Call;
use super::errors::ApiError;
use super::usage;
use crate::base64;
use crate::reply::Reply;

/// How long a vector is if the request does not say it: short, so that tests can print it.
const DIMENSIONS: u64 = 8;
const MOST_DIMENSIONS: u64 = 3072;

pub(super) fn answer(call: &Call<'_>) -> Result<Reply, ApiError> {
    let model = call.require_model()?;
    let inputs = inputs(&call.body["input"])?;
    let dimensions = call.number("dimensions").unwrap_or(DIMENSIONS);
    if !(1..=MOST_DIMENSIONS).contains(&dimensions) {
        return Err(ApiError::invalid(
            format!("Invalid value for 'dimensions' = {dimensions}."),
            Some("dimensions"),
        ));
    }
    let as_base64 = call.text("encoding_format").as_deref() == Some("base64");
    let tokens: usize = inputs.iter().map(|input| length(input)).sum();
    let data: Vec<Value> = inputs
        .iter()
        .enumerate()
        .map(|(index, input)| {
            let vector = vector(&input.to_string(), dimensions);
            let embedding = if as_base64 {
                json!(encoded(&vector))
            } else {
                json!(vector)
            };
            json!({"object": "embedding", "index": index, "embedding": embedding})
        })
        .collect();
    Ok(Reply::json(&json!({
        "object": "list", "data": data, "model": model, "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    })))
}

/// The inputs, of which a text or a list of tokens is one.
fn inputs(input: &Value) -> Result<Vec<&Value>, ApiError> {
    let invalid = || ApiError::invalid("'$.input' is invalid.", Some("input"));
    let inputs: Vec<&Value> = match input {
        Value::Null => return Err(ApiError::missing("input")),
        Value::Array(values) if values.iter().all(Value::is_u64) => vec![input],
        Value::Array(values) => values.iter().collect(),
        _ => vec![input],
    };
    let is_input = |input: &&Value| match input {
        Value::String(text) => !text.is_empty(),
        Value::Array(tokens) => !tokens.is_empty() && tokens.iter().all(Value::is_u64),
        _ => false,
    };
    if inputs.iter().all(is_input) {
        Ok(inputs)
    } else {
        Err(invalid())
    }
}

fn length(input: &Value) -> usize {
    input.as_array().map_or_else(|| usage::count(input), Vec::len)
}

/// A vector of length one that depends on the text alone.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "any number between -1 and 1 will do"
)]
pub(in crate::persona) fn vector(text: &str, dimensions: u64) -> Vec<f32> {
    // FNV-1a, then an xorshift step per number.
    let mut state = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let numbers: Vec<f64> = (0..dimensions)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
        })
        .collect();
    let norm = numbers.iter().map(|number| number * number).sum::<f64>().sqrt();
    numbers.iter().map(|number| (number / norm) as f32).collect()
}

fn encoded(vector: &[f32]) -> String {
    let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
    base64::encode(&bytes)
}
