//! Embeddings: a small vector that depends on the text alone.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Answer, tokens};

/// The length of a vector when none is asked for; the longest is 4096.
const DIMENSIONS: usize = 8;

pub(super) fn answer(body: &Value) -> Answer {
    let single = [body["input"].clone()];
    let inputs = match &body["input"] {
        // A list of numbers is one text as tokens.
        Value::Array(items) if !items.iter().all(Value::is_number) => items.as_slice(),
        _ => &single,
    };
    let dimensions = body["dimensions"]
        .as_u64()
        .and_then(|count| usize::try_from(count).ok())
        .unwrap_or(DIMENSIONS);
    let vectors = inputs
        .iter()
        .map(|input| vector(&input.to_string(), dimensions.clamp(1, 4096)));
    let base64 = body["encoding_format"] == "base64";
    let entry = |(index, vector): (usize, Vec<f32>)| {
        let embedding = if base64 { json!(encoded(&vector)) } else { json!(vector) };
        json!({"object": "embedding", "index": index, "embedding": embedding})
    };
    let data: Vec<Value> = vectors.enumerate().map(entry).collect();
    let count: usize = inputs
        .iter()
        .map(|input| tokens(input.as_str().unwrap_or_default()))
        .sum();
    let usage = json!({"prompt_tokens": count, "total_tokens": count});
    Answer::Json(json!({"object": "list", "data": data, "model": "mynah/echo", "usage": usage}))
}

fn vector(text: &str, dimensions: usize) -> Vec<f32> {
    let mut block = Sha256::digest(text.as_bytes());
    let mut vector = Vec::with_capacity(dimensions);
    while vector.len() < dimensions {
        vector.extend(
            block
                .iter()
                .take(dimensions - vector.len())
                .map(|&byte| f32::from(byte) / 127.5 - 1.0),
        );
        block = Sha256::digest(block);
    }
    vector
}

/// Little-endian floats in base64, as the API has it.
fn encoded(vector: &[f32]) -> String {
    let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
    BASE64_STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_depend_on_the_text_alone() {
        assert_eq!(vector("a", 40), vector("a", 40));
        assert_ne!(vector("a", 8), vector("b", 8));
        assert_eq!(vector("a", 40).len(), 40);
    }

    #[test]
    fn base64_is_that_of_little_endian_floats() {
        assert_eq!(encoded(&[1.0, -2.0]), "AACAPwAAAMA=");
    }
}
