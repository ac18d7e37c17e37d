//! `POST /v1/images/generations`, `edits` and `variations`.

use serde_json::{Value, json};

use super::CREATED;
use super::call::Call;
use super::errors::ApiError;
use super::usage;
use crate::reply::Reply;

/// A PNG of one transparent pixel.
const PIXEL: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";
const MOST_IMAGES: u64 = 10;

pub(super) fn answer(call: &Call<'_>) -> Result<Reply, ApiError> {
    let prompt = match call.text("prompt") {
        Some(prompt) => prompt,
        None if call.segments().contains(&"variations") => String::new(),
        None => return Err(ApiError::missing("prompt")),
    };
    let count = call.number("n").unwrap_or(1);
    if !(1..=MOST_IMAGES).contains(&count) {
        return Err(ApiError::invalid(format!("Invalid 'n': {count}."), Some("n")));
    }
    // As with OpenAI: the gpt-image models know no links, the others send them unless told otherwise.
    let as_link = !call.model.starts_with("gpt-image") && call.text("response_format").as_deref() != Some("b64_json");
    let data: Vec<Value> = (1..=count)
        .map(|number| {
            let revised = format!("understudy heard: {prompt}");
            if as_link {
                json!({"url": format!("https://understudy.invalid/image-{number}.png"), "revised_prompt": revised})
            } else {
                json!({"b64_json": PIXEL, "revised_prompt": revised})
            }
        })
        .collect();
    let input = usage::tokens(&prompt).len();
    Ok(Reply::json(&json!({
        "created": CREATED,
        "data": data,
        "usage": {
            "input_tokens": input,
            "input_tokens_details": {"text_tokens": input, "image_tokens": 0},
            "output_tokens": count,
            "total_tokens": input as u64 + count,
        },
    })))
}
