//! Responses.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::{Answer, Envelope, Saying, Turn, text_of, tokens};

pub(super) fn answer(body: &Value, envelope: &Envelope<'_>) -> Answer {
    let tools = body["tools"].as_array().into_iter().flatten();
    let tools: Vec<(&str, &Value)> = tools
        .filter_map(|tool| Some((tool["name"].as_str()?, &tool["parameters"])))
        .collect();
    let turns = turns(&body["input"]);
    let saying = Saying::of(&turns, &tools, &body["tool_choice"]);
    let prompt: usize = turns.iter().map(|turn| tokens(&turn.text)).sum();
    let output = saying.pieces().len();
    let usage = json!({
        "input_tokens": prompt, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": output,
        "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": prompt + output,
    });
    let item = item(&saying, envelope);
    let finished = object(body, envelope, "completed", &json!([item]), &usage);
    if body["stream"] != true {
        return Answer::Json(finished);
    }
    let mut events = Events::default();
    let begun = object(body, envelope, "in_progress", &json!([]), &Value::Null);
    events.push("response.created", json!({"response": begun}));
    events.push("response.in_progress", json!({"response": begun}));
    match &saying {
        Saying::Text(text) => events.message(text, &item, &saying),
        Saying::Call { arguments, .. } => events.call(arguments, &item, &saying),
    }
    events.push("response.completed", json!({"response": finished}));
    Answer::Events(events.sent)
}

/// The input as turns: a text, messages, and results of tools.
fn turns(input: &Value) -> Vec<Turn<'_>> {
    match input {
        Value::String(text) => vec![Turn {
            role: "user",
            text: text.clone(),
        }],
        Value::Array(items) => items
            .iter()
            .filter_map(|item| match item["type"].as_str() {
                Some("function_call_output") => Some(Turn {
                    role: "tool",
                    text: text_of(&item["output"]),
                }),
                _ if item["role"] == "user" => Some(Turn {
                    role: "user",
                    text: text_of(&item["content"]),
                }),
                _ => None,
            })
            .collect(),
        _ => Vec::new(),
    }
}

fn item(saying: &Saying, envelope: &Envelope<'_>) -> Value {
    match saying {
        Saying::Text(text) => json!({
            "id": format!("msg_{}", envelope.id), "type": "message", "role": "assistant", "status": "completed",
            "content": [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}],
        }),
        Saying::Call { name, arguments } => json!({
            "id": format!("fc_{}", envelope.id), "type": "function_call", "call_id": format!("call_{}", envelope.id),
            "name": name, "arguments": arguments, "status": "completed",
        }),
    }
}

fn object(body: &Value, envelope: &Envelope<'_>, status: &str, output: &Value, usage: &Value) -> Value {
    let asked = |key: &str, otherwise: Value| {
        if body[key].is_null() {
            otherwise
        } else {
            body[key].clone()
        }
    };
    json!({
        "id": format!("resp_{}", envelope.id), "object": "response", "created_at": envelope.now, "status": status,
        "error": null, "incomplete_details": null, "instructions": body["instructions"],
        "max_output_tokens": body["max_output_tokens"], "model": "mynah/echo", "output": output,
        "parallel_tool_calls": asked("parallel_tool_calls", json!(true)), "previous_response_id": null,
        "reasoning": {"effort": null, "summary": null}, "store": false, "temperature": asked("temperature", json!(1.0)),
        "text": asked("text", json!({"format": {"type": "text"}})), "tool_choice": asked("tool_choice", json!("auto")),
        "tools": asked("tools", json!([])), "top_p": asked("top_p", json!(1.0)), "truncation": "disabled",
        "usage": usage, "user": null, "metadata": asked("metadata", json!({})),
    })
}

/// The events of a stream, numbered as they are pushed.
#[derive(Default)]
struct Events {
    sent: Vec<Bytes>,
}

impl Events {
    fn push(&mut self, kind: &str, members: Value) {
        let mut event = Map::from_iter([
            ("type".to_owned(), json!(kind)),
            ("sequence_number".to_owned(), json!(self.sent.len())),
        ]);
        if let Value::Object(members) = members {
            event.extend(members);
        }
        self.sent.push(Bytes::from(format!(
            "event: {kind}\ndata: {}\n\n",
            Value::Object(event)
        )));
    }

    fn message(&mut self, text: &str, item: &Value, saying: &Saying) {
        let id = &item["id"];
        let mut begun = item.clone();
        begun["status"] = json!("in_progress");
        begun["content"] = json!([]);
        let part = |text: &str| json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []});
        self.push("response.output_item.added", json!({"output_index": 0, "item": begun}));
        self.push(
            "response.content_part.added",
            json!({"item_id": id, "output_index": 0, "content_index": 0, "part": part("")}),
        );
        for piece in saying.pieces() {
            let members = json!({"item_id": id, "output_index": 0, "content_index": 0, "delta": piece, "logprobs": []});
            self.push("response.output_text.delta", members);
        }
        let members = json!({"item_id": id, "output_index": 0, "content_index": 0, "text": text, "logprobs": []});
        self.push("response.output_text.done", members);
        self.push(
            "response.content_part.done",
            json!({"item_id": id, "output_index": 0, "content_index": 0, "part": part(text)}),
        );
        self.push("response.output_item.done", json!({"output_index": 0, "item": item}));
    }

    fn call(&mut self, arguments: &str, item: &Value, saying: &Saying) {
        let id = &item["id"];
        let mut begun = item.clone();
        begun["status"] = json!("in_progress");
        begun["arguments"] = json!("");
        self.push("response.output_item.added", json!({"output_index": 0, "item": begun}));
        for piece in saying.pieces() {
            self.push(
                "response.function_call_arguments.delta",
                json!({"item_id": id, "output_index": 0, "delta": piece}),
            );
        }
        let members = json!({"item_id": id, "output_index": 0, "name": item["name"], "arguments": arguments});
        self.push("response.function_call_arguments.done", members);
        self.push("response.output_item.done", json!({"output_index": 0, "item": item}));
    }
}
