//! The older Completions.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{Answer, Envelope, chat, data, text_of, tokens};

pub(super) fn answer(body: &Value, envelope: &Envelope<'_>) -> Answer {
    let prompt = match &body["prompt"] {
        Value::Array(prompts) => prompts.first().map(text_of).unwrap_or_default(),
        prompt => text_of(prompt),
    };
    let pieces: Vec<&str> = prompt.split_inclusive(' ').collect();
    let usage = chat::usage(tokens(&prompt), pieces.len());
    let object = |text: &str, finish: Value, usage: &Value| {
        let choice = json!({"index": 0, "text": text, "logprobs": null, "finish_reason": finish});
        json!({
            "id": format!("cmpl-{}", envelope.id), "object": "text_completion", "created": envelope.now,
            "model": "mynah/echo", "choices": [choice], "usage": usage,
        })
    };
    if body["stream"] != true {
        return Answer::Json(object(&prompt, json!("stop"), &usage));
    }
    let mut events: Vec<Bytes> = pieces
        .iter()
        .map(|piece| data(&object(piece, Value::Null, &Value::Null)))
        .collect();
    events.push(data(&object("", json!("stop"), &Value::Null)));
    if body["stream_options"]["include_usage"] == true {
        let mut last = object("", Value::Null, &usage);
        last["choices"] = json!([]);
        events.push(data(&last));
    }
    events.push(Bytes::from_static(b"data: [DONE]\n\n"));
    Answer::Events(events)
}
