//! A message in events.

use serde_json::{Value, json};

use super::Message;
use crate::persona::act::{halves, pieces};
use crate::persona::delivery::Stream;
use crate::persona::fields::{list, text};
use crate::persona::openai::events;
use crate::persona::scenario::Scenario;

/// An event, named after its type.
pub(super) fn event(value: &Value) -> String {
    events::named(value)
}

impl Message<'_> {
    /// The message in events.
    pub(super) fn stream(&self) -> Stream {
        let mut message = self.envelope();
        message["usage"] = self.first_usage();
        let blocks = self.content();
        let middle = blocks
            .iter()
            .enumerate()
            .flat_map(|(index, block)| block_events(index, block));
        Stream {
            opening: vec![event(&json!({"type": "message_start", "message": message}))],
            middle: middle.map(|value| event(&value)).collect(),
            ending: vec![
                event(&json!({"type": "message_delta", "delta": self.end(), "usage": self.last_usage()})),
                event(&json!({"type": "message_stop"})),
            ],
        }
    }

    fn first_usage(&self) -> Value {
        let mut usage = self.usage();
        usage["output_tokens"] = json!(1);
        if self.act.is(Scenario::LateUsage) {
            for name in [
                "input_tokens",
                "cache_creation_input_tokens",
                "cache_read_input_tokens",
                "output_tokens",
            ] {
                usage[name] = json!(0);
            }
        }
        if let Some(usage) = usage.as_object_mut() {
            usage.remove("output_tokens_details");
        }
        usage
    }

    fn last_usage(&self) -> Value {
        let usage = self.usage();
        if self.act.is(Scenario::EarlyUsage) {
            return json!({"output_tokens": usage["output_tokens"]});
        }
        json!({
            "input_tokens": usage["input_tokens"],
            "cache_creation_input_tokens": usage["cache_creation_input_tokens"],
            "cache_read_input_tokens": usage["cache_read_input_tokens"],
            "output_tokens": usage["output_tokens"],
            "output_tokens_details": usage["output_tokens_details"],
        })
    }
}

fn block_events(index: usize, block: &Value) -> Vec<Value> {
    let mut opening = block.clone();
    let deltas: Vec<Value> = match text(&block["type"]) {
        "thinking" => {
            opening["thinking"] = json!("");
            opening["signature"] = json!("");
            let thinking =
                pieces(text(&block["thinking"])).map(|piece| json!({"type": "thinking_delta", "thinking": piece}));
            let signature = json!({"type": "signature_delta", "signature": block["signature"]});
            thinking.chain([signature]).collect()
        }
        "text" => {
            opening["text"] = json!("");
            opening["citations"] = if block["citations"].is_null() {
                Value::Null
            } else {
                json!([])
            };
            let texts = pieces(text(&block["text"])).map(|piece| json!({"type": "text_delta", "text": piece}));
            let cited = list(&block["citations"]).iter();
            texts
                .chain(cited.map(|citation| json!({"type": "citations_delta", "citation": citation})))
                .collect()
        }
        "tool_use" => {
            opening["input"] = json!({});
            let empty = json!({"type": "input_json_delta", "partial_json": ""});
            let is_empty = block["input"].as_object().is_none_or(serde_json::Map::is_empty);
            let input = if is_empty {
                String::new()
            } else {
                block["input"].to_string()
            };
            let halves = halves(&input).into_iter();
            let rest = halves.map(|half| json!({"type": "input_json_delta", "partial_json": half}));
            std::iter::once(empty).chain(rest).collect()
        }
        _ => Vec::new(),
    };
    let start = json!({"type": "content_block_start", "index": index, "content_block": opening});
    let deltas = deltas
        .into_iter()
        .map(|delta| json!({"type": "content_block_delta", "index": index, "delta": delta}));
    let stop = json!({"type": "content_block_stop", "index": index});
    std::iter::once(start).chain(deltas).chain([stop]).collect()
}
