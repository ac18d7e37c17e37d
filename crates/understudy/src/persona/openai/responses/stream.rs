//! The events that lead up to a response.

use serde_json::{Value, json};

use crate::persona::openai::{events, tools, usage};

/// All events of a stream whose outcome is `response`.
pub(super) fn events(response: &Value) -> Vec<String> {
    let mut stream = Stream::default();
    let mut begun = response.clone();
    begun["status"] = json!("in_progress");
    for field in ["completed_at", "incomplete_details", "usage"] {
        begun[field] = Value::Null;
    }
    begun["output"] = json!([]);
    stream.push(json!({"type": "response.created", "response": begun}));
    stream.push(json!({"type": "response.in_progress", "response": begun}));
    for (index, item) in response["output"].as_array().into_iter().flatten().enumerate() {
        stream.item(index, item);
    }
    let last = if response["status"] == "incomplete" {
        "response.incomplete"
    } else {
        "response.completed"
    };
    stream.push(json!({"type": last, "response": response}));
    stream.events.iter().map(events::named).collect()
}

#[derive(Default)]
struct Stream {
    events: Vec<Value>,
}

impl Stream {
    /// Adds an event, with its number in the sequence.
    fn push(&mut self, mut event: Value) {
        event["sequence_number"] = json!(self.events.len());
        self.events.push(event);
    }

    fn item(&mut self, index: usize, item: &Value) {
        let mut opening = item.clone();
        opening["status"] = json!("in_progress");
        let emptied = match item["type"].as_str() {
            Some("function_call") => ("arguments", json!("")),
            Some("custom_tool_call") => ("input", json!("")),
            _ => ("content", json!([])),
        };
        opening[emptied.0] = emptied.1;
        self.push(json!({"type": "response.output_item.added", "output_index": index, "item": opening}));
        match item["type"].as_str() {
            Some("function_call") => self.function_call(index, item),
            Some("custom_tool_call") => self.custom_tool_call(index, item),
            _ => self.text(index, item),
        }
        self.push(json!({"type": "response.output_item.done", "output_index": index, "item": item}));
    }

    fn text(&mut self, index: usize, item: &Value) {
        let part = &item["content"][0];
        let place = json!({"item_id": item["id"], "output_index": index, "content_index": 0});
        let mut opening = part.clone();
        opening["text"] = json!("");
        self.push(event("response.content_part.added", &place, json!({"part": opening})));
        for token in usage::tokens(part["text"].as_str().unwrap_or_default()) {
            self.push(event(
                "response.output_text.delta",
                &place,
                json!({"delta": token, "logprobs": []}),
            ));
        }
        self.push(event(
            "response.output_text.done",
            &place,
            json!({"text": part["text"], "logprobs": []}),
        ));
        self.push(event("response.content_part.done", &place, json!({"part": part})));
    }

    fn function_call(&mut self, index: usize, item: &Value) {
        let place = json!({"item_id": item["id"], "output_index": index});
        for fragment in tools::fragments(item["arguments"].as_str().unwrap_or_default()) {
            self.push(event(
                "response.function_call_arguments.delta",
                &place,
                json!({"delta": fragment}),
            ));
        }
        let whole = json!({"name": item["name"], "arguments": item["arguments"]});
        self.push(event("response.function_call_arguments.done", &place, whole));
    }

    fn custom_tool_call(&mut self, index: usize, item: &Value) {
        let place = json!({"item_id": item["id"], "output_index": index});
        for fragment in tools::fragments(item["input"].as_str().unwrap_or_default()) {
            self.push(event(
                "response.custom_tool_call_input.delta",
                &place,
                json!({"delta": fragment}),
            ));
        }
        self.push(event(
            "response.custom_tool_call_input.done",
            &place,
            json!({"input": item["input"]}),
        ));
    }
}

/// An event at a place, with fields of its own.
fn event(kind: &str, place: &Value, fields: Value) -> Value {
    let mut event = json!({"type": kind});
    for part in [place.clone(), fields] {
        if let (Value::Object(event), Value::Object(part)) = (&mut event, part) {
            event.extend(part);
        }
    }
    event
}
