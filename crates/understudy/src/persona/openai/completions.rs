//! `POST /v1/completions`.

use serde_json::{Value, json};

use super::CREATED;
use super::call::Call;
use super::conversation::limited;
use super::errors::ApiError;
use super::events;
use super::usage;
use crate::reply::Reply;

/// As with OpenAI.
const USUAL_LENGTH: u64 = 16;

pub(super) fn answer(call: &Call<'_>) -> Result<Reply, ApiError> {
    let model = call.require_model()?;
    let count = call.number("n").unwrap_or(1);
    let most = call.number("max_tokens").unwrap_or(USUAL_LENGTH);
    let choices: Vec<(String, bool)> = prompts(&call.body["prompt"])?
        .iter()
        .flat_map(|prompt| (0..count).map(move |_| format!("understudy heard: {prompt}")))
        .map(|text| limited(&text, &call.body["stop"], Some(most)))
        .collect();
    let written = choices.iter().map(|(text, _)| usage::tokens(text).len()).sum();
    let usage = usage::chat(usage::count(&call.body["prompt"]), written);
    let envelope = |choices: Value| {
        json!({
            "id": call.id("cmpl-"), "object": "text_completion", "created": CREATED, "model": model,
            "choices": choices,
        })
    };
    if call.wants_stream() {
        let with_usage = call.body["stream_options"]["include_usage"] == json!(true);
        return Ok(Reply::stream(stream(&choices, envelope, with_usage.then_some(usage))));
    }
    let choices: Vec<Value> = choices
        .iter()
        .enumerate()
        .map(|(index, (text, is_cut))| choice(index, text, Some(*is_cut)))
        .collect();
    let mut whole = envelope(json!(choices));
    whole["usage"] = usage;
    Ok(Reply::json(&whole))
}

fn prompts(prompt: &Value) -> Result<Vec<String>, ApiError> {
    match prompt {
        Value::String(text) => Ok(vec![text.clone()]),
        Value::Array(values) if values.iter().all(Value::is_u64) => Ok(vec![prompt.to_string()]),
        Value::Array(values) => Ok(values
            .iter()
            .map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
            .collect()),
        _ => Err(ApiError::missing("prompt")),
    }
}

/// One choice; `None` if it is not at its end yet, else whether it was cut.
fn choice(index: usize, text: &str, end: Option<bool>) -> Value {
    let finish_reason = end.map(|is_cut| if is_cut { "length" } else { "stop" });
    json!({"text": text, "index": index, "logprobs": null, "finish_reason": finish_reason})
}

fn stream(choices: &[(String, bool)], envelope: impl Fn(Value) -> Value, usage: Option<Value>) -> Vec<String> {
    let event = |choices: Value, usage: Option<Value>| {
        let mut chunk = envelope(choices);
        if let Some(usage) = usage {
            chunk["usage"] = usage;
        }
        events::data(&chunk)
    };
    let no_usage = usage.as_ref().map(|_| Value::Null);
    let mut stream = Vec::new();
    for (index, (text, is_cut)) in choices.iter().enumerate() {
        let pieces = usage::tokens(text).into_iter().map(|token| choice(index, token, None));
        let pieces = pieces.chain([choice(index, "", Some(*is_cut))]);
        stream.extend(pieces.map(|piece| event(json!([piece]), no_usage.clone())));
    }
    stream.extend(usage.map(|usage| event(json!([]), Some(usage))));
    stream.push(events::DONE.to_owned());
    stream
}
