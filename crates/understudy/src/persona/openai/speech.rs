//! `POST /v1/audio/speech`.

use serde_json::json;

use super::call::Call;
use super::errors::ApiError;
use super::events;
use crate::base64;
use crate::reply::Reply;

pub(super) fn answer(call: &Call<'_>) -> Result<Reply, ApiError> {
    call.require_model()?;
    let input = call.text("input").ok_or_else(|| ApiError::missing("input"))?;
    let format = call.text("response_format").unwrap_or_else(|| "mp3".to_owned());
    let content_type = match format.as_str() {
        "mp3" => "audio/mpeg",
        "opus" => "audio/opus",
        "aac" => "audio/aac",
        "flac" => "audio/flac",
        "wav" => "audio/wav",
        "pcm" => "audio/pcm",
        _ => {
            return Err(ApiError::invalid(
                format!("Unknown format '{format}'."),
                Some("response_format"),
            ));
        }
    };
    let audio = audio(&input);
    if call.text("stream_format").as_deref() == Some("sse") {
        let halves = audio.chunks(audio.len().div_ceil(2));
        let mut stream: Vec<String> = halves
            .map(|half| events::data(&json!({"type": "speech.audio.delta", "audio": base64::encode(half)})))
            .collect();
        stream.push(events::data(&json!({
            "type": "speech.audio.done", "usage": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2},
        })));
        return Ok(Reply::stream(stream));
    }
    Ok(Reply::bytes(audio).header("content-type", content_type).chunked())
}

/// Bytes that are no text, and tell what was said.
fn audio(input: &str) -> Vec<u8> {
    [b"\xff\xfb\x90\x00\x00\xfe", input.as_bytes(), b"\x00\xff"].concat()
}
