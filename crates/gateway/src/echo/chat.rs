//! Chat Completions.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{Answer, Envelope, Saying, Turn, data, text_of, tokens};

pub(super) fn answer(body: &Value, envelope: &Envelope<'_>) -> Answer {
    let messages = body["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let turn = |message| -> Turn<'_> { turn(message) };
    let turns: Vec<Turn<'_>> = messages
        .iter()
        .map(turn)
        .filter(|turn| matches!(turn.role, "user" | "tool"))
        .collect();
    let tools = body["tools"].as_array().into_iter().flatten();
    let tools: Vec<(&str, &Value)> = tools
        .filter_map(|tool| Some((tool["function"]["name"].as_str()?, &tool["function"]["parameters"])))
        .collect();
    let saying = Saying::of(&turns, &tools, &body["tool_choice"]);
    let prompt: usize = messages
        .iter()
        .map(|message| tokens(&text_of(&message["content"])))
        .sum();
    let usage = usage(prompt, saying.pieces().len());
    if body["stream"] == true {
        let wanted = body["stream_options"]["include_usage"] == true;
        return Answer::Events(events(&saying, envelope, wanted.then_some(&usage)));
    }
    let message = match &saying {
        Saying::Text(text) => json!({"role": "assistant", "content": text, "refusal": null, "annotations": []}),
        Saying::Call { name, arguments } => {
            let call = json!({"id": call_id(envelope), "type": "function", "function": {"name": name, "arguments": arguments}});
            json!({"role": "assistant", "content": null, "refusal": null, "annotations": [], "tool_calls": [call]})
        }
    };
    let choice = json!({"index": 0, "message": message, "logprobs": null, "finish_reason": finish_reason(&saying)});
    Answer::Json(object(envelope, "chat.completion", &json!([choice]), &usage))
}

fn turn(message: &Value) -> Turn<'_> {
    Turn {
        role: message["role"].as_str().unwrap_or("user"),
        text: text_of(&message["content"]),
    }
}

fn events(saying: &Saying, envelope: &Envelope<'_>, usage: Option<&Value>) -> Vec<Bytes> {
    let chunk = |delta: Value, finish: Value| {
        let choice = json!({"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish});
        let mut chunk = object(envelope, "chat.completion.chunk", &json!([choice]), &Value::Null);
        if usage.is_none()
            && let Some(members) = chunk.as_object_mut()
        {
            members.shift_remove("usage");
        }
        data(&chunk)
    };
    let mut events = match saying {
        Saying::Text(_) => vec![chunk(
            json!({"role": "assistant", "content": "", "refusal": null}),
            Value::Null,
        )],
        Saying::Call { name, .. } => {
            let call = json!({"index": 0, "id": call_id(envelope), "type": "function", "function": {"name": name, "arguments": ""}});
            vec![chunk(
                json!({"role": "assistant", "content": null, "tool_calls": [call]}),
                Value::Null,
            )]
        }
    };
    for piece in saying.pieces() {
        let delta = match saying {
            Saying::Text(_) => json!({"content": piece}),
            Saying::Call { .. } => json!({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}),
        };
        events.push(chunk(delta, Value::Null));
    }
    events.push(chunk(json!({}), json!(finish_reason(saying))));
    events.extend(usage.map(|usage| data(&object(envelope, "chat.completion.chunk", &json!([]), usage))));
    events.push(Bytes::from_static(b"data: [DONE]\n\n"));
    events
}

fn finish_reason(saying: &Saying) -> &'static str {
    match saying {
        Saying::Text(_) => "stop",
        Saying::Call { .. } => "tool_calls",
    }
}

fn call_id(envelope: &Envelope<'_>) -> String {
    format!("call_{}", envelope.id)
}

fn object(envelope: &Envelope<'_>, kind: &str, choices: &Value, usage: &Value) -> Value {
    json!({
        "id": format!("chatcmpl-{}", envelope.id), "object": kind, "created": envelope.now, "model": "mynah/echo",
        "choices": choices, "usage": usage, "system_fingerprint": null,
    })
}

pub(super) fn usage(prompt: usize, completion: usize) -> Value {
    json!({
        "prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0,
            "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0},
    })
}
