//! `POST /v1/audio/transcriptions` and `translations`.

use serde_json::json;

use super::call::Call;
use super::errors::ApiError;
use super::events;
use super::usage;
use crate::multipart::{self, Part};
use crate::reply::Reply;

pub(super) fn answer(call: &Call<'_>) -> Result<Reply, ApiError> {
    let form = call
        .form
        .as_ref()
        .ok_or_else(|| ApiError::invalid("This endpoint expects a multipart/form-data body.", None))?;
    let file = multipart::field(form, "file").ok_or_else(|| ApiError::missing("file"))?;
    call.require_model()?;
    let text = heard(file);
    if call.wants_stream() {
        return Ok(stream(&text));
    }
    let format = call.text("response_format").unwrap_or_else(|| "json".to_owned());
    let plain = |text: String| Reply::bytes(text).header("content-type", "text/plain; charset=utf-8");
    Ok(match format.as_str() {
        "json" => Reply::json(&json!({"text": text, "usage": {"type": "duration", "seconds": 1}})),
        "verbose_json" => Reply::json(&json!({
            "task": if call.segments().contains(&"translations") { "translate" } else { "transcribe" },
            "language": call.text("language").unwrap_or_else(|| "english".to_owned()),
            "duration": 1.0,
            "text": text,
            "segments": [{
                "id": 0, "seek": 0, "start": 0.0, "end": 1.0, "text": text, "tokens": [1], "temperature": 0.0,
                "avg_logprob": -0.1, "compression_ratio": 1.0, "no_speech_prob": 0.0,
            }],
            "usage": {"type": "duration", "seconds": 1},
        })),
        "text" => plain(format!("{text}\n")),
        "srt" => plain(format!("1\n00:00:00,000 --> 00:00:01,000\n{text}\n\n")),
        "vtt" => plain(format!("WEBVTT\n\n00:00:00.000 --> 00:00:01.000\n{text}\n\n")),
        _ => {
            return Err(ApiError::invalid(
                format!("Unknown format '{format}'."),
                Some("response_format"),
            ));
        }
    })
}

fn heard(file: &Part) -> String {
    let name = file.file_name.as_deref().unwrap_or("a file");
    format!("understudy heard: {} bytes of {name}", file.content.len())
}

fn stream(text: &str) -> Reply {
    let tokens = usage::tokens(text);
    let output = tokens.len();
    let deltas = tokens
        .into_iter()
        .map(|token| events::data(&json!({"type": "transcript.text.delta", "delta": token})));
    let done = events::data(&json!({
        "type": "transcript.text.done",
        "text": text,
        "usage": {"type": "tokens", "input_tokens": 1, "output_tokens": output, "total_tokens": output + 1},
    }));
    Reply::stream(deltas.chain([done]))
}
