//! The events that lead up to a response.

use serde_json::{Map, Value, json};

use super::Response;
use crate::persona::act::{halves, pieces};
use crate::persona::delivery::Stream;
use crate::persona::fields::{list, text};
use crate::persona::openai::events;

impl Response<'_> {
    /// The response in events.
    pub(super) fn stream(&self) -> Stream {
        let whole = self.whole();
        let begun = self.envelope("in_progress");
        let mut sequence = Sequence {
            response: self,
            events: Vec::new(),
        };
        for kind in ["response.created", "response.in_progress"] {
            sequence.push(json!({"type": kind, "response": begun}));
        }
        let opening = sequence.events.len();
        for (index, item) in list(&whole["output"]).iter().enumerate() {
            sequence.item(index, item);
        }
        let middle = sequence.events.len();
        let kind = format!("response.{}", text(&whole["status"]));
        sequence.push(json!({"type": kind, "response": whole}));
        let mut events = sequence.events.into_iter();
        Stream {
            opening: events.by_ref().take(opening).collect(),
            middle: events.by_ref().take(middle - opening).collect(),
            ending: events.collect(),
        }
    }
}

/// Events in their order, each with its number.
struct Sequence<'a> {
    response: &'a Response<'a>,
    events: Vec<String>,
}

impl Sequence<'_> {
    fn push(&mut self, event: Value) {
        let mut numbered = Map::new();
        if let Value::Object(event) = event {
            for (place, (name, value)) in event.into_iter().enumerate() {
                numbered.insert(name, value);
                if place == 0 {
                    numbered.insert("sequence_number".to_owned(), json!(self.events.len()));
                }
            }
        }
        self.events.push(events::named(&Value::Object(numbered)));
    }

    /// Adds an event at a place.
    fn at(&mut self, kind: &str, place: &Value, fields: Value) {
        let mut event = json!({"type": kind});
        for part in [place.clone(), fields] {
            if let (Value::Object(event), Value::Object(part)) = (&mut event, part) {
                event.extend(part);
            }
        }
        self.push(event);
    }

    fn item(&mut self, index: usize, item: &Value) {
        let kind = text(&item["type"]);
        let (field, emptied) = match kind {
            "function_call" => ("arguments", json!("")),
            "custom_tool_call" => ("input", json!("")),
            "reasoning" => ("summary", json!([])),
            _ => ("content", json!([])),
        };
        let mut opening = item.clone();
        opening[field] = emptied;
        if kind == "reasoning" {
            // The encrypted form is known only in the end.
            if let Some(opening) = opening.as_object_mut() {
                opening.remove("encrypted_content");
            }
        } else {
            opening["status"] = json!("in_progress");
        }
        self.push(json!({"type": "response.output_item.added", "output_index": index, "item": opening}));
        let place = json!({"item_id": item["id"], "output_index": index});
        match kind {
            "function_call" => self.input(&place, item, "response.function_call_arguments", "arguments"),
            "custom_tool_call" => self.input(&place, item, "response.custom_tool_call_input", "input"),
            "reasoning" => self.summary(&place, item),
            _ => self.content(&place, &item["content"][0]),
        }
        self.push(json!({"type": "response.output_item.done", "output_index": index, "item": item}));
    }

    fn input(&mut self, place: &Value, item: &Value, kind: &str, field: &str) {
        for half in halves(text(&item[field])) {
            self.at(&format!("{kind}.delta"), place, json!({"delta": half}));
        }
        let whole = if field == "arguments" {
            json!({"name": item["name"], "arguments": item["arguments"]})
        } else {
            json!({"input": item["input"]})
        };
        self.at(&format!("{kind}.done"), place, whole);
    }

    fn summary(&mut self, place: &Value, item: &Value) {
        for (index, part) in list(&item["summary"]).iter().enumerate() {
            let mut place = place.clone();
            place["summary_index"] = json!(index);
            let empty = json!({"type": "summary_text", "text": ""});
            self.at("response.reasoning_summary_part.added", &place, json!({"part": empty}));
            for piece in pieces(text(&part["text"])) {
                self.at("response.reasoning_summary_text.delta", &place, json!({"delta": piece}));
            }
            self.at(
                "response.reasoning_summary_text.done",
                &place,
                json!({"text": part["text"]}),
            );
            self.at("response.reasoning_summary_part.done", &place, json!({"part": part}));
        }
    }

    fn content(&mut self, place: &Value, part: &Value) {
        let mut place = place.clone();
        place["content_index"] = json!(0);
        let is_refusal = part["type"] == "refusal";
        let field = if is_refusal { "refusal" } else { "text" };
        let mut opening = part.clone();
        opening[field] = json!("");
        if !is_refusal {
            opening["annotations"] = json!([]);
            opening["logprobs"] = json!([]);
        }
        self.at("response.content_part.added", &place, json!({"part": opening}));
        if is_refusal {
            for piece in pieces(text(&part["refusal"])) {
                self.at("response.refusal.delta", &place, json!({"delta": piece}));
            }
            self.at("response.refusal.done", &place, json!({"refusal": part["refusal"]}));
        } else {
            self.text(&place, part);
        }
        self.at("response.content_part.done", &place, json!({"part": part}));
    }

    fn text(&mut self, place: &Value, part: &Value) {
        for piece in pieces(text(&part["text"])) {
            let logprobs = self.response.logprobs(piece);
            self.at(
                "response.output_text.delta",
                place,
                json!({"delta": piece, "logprobs": logprobs}),
            );
        }
        for (index, annotation) in list(&part["annotations"]).iter().enumerate() {
            let fields = json!({"annotation_index": index, "annotation": annotation});
            self.at("response.output_text.annotation.added", place, fields);
        }
        let whole = json!({"text": part["text"], "logprobs": part["logprobs"]});
        self.at("response.output_text.done", place, whole);
    }
}
