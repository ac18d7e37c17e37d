//! An answer in events.

use serde_json::{Value, json};

use super::Chat;
use super::chat::citation;
use crate::persona::act::{halves, pieces};
use crate::persona::delivery::Stream;
use crate::persona::fields::text;
use crate::persona::openai::events;

/// An event, named after its type.
pub(super) fn event(value: &Value) -> String {
    events::named(value)
}

impl Chat<'_> {
    /// The answer in events.
    pub(super) fn stream(&self) -> Stream {
        let message = json!({"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []});
        let start = json!({"type": "message-start", "id": self.id(), "delta": {"message": message}});
        let mut middle = Vec::new();
        let plan = self.plan().unwrap_or_default();
        middle.extend(
            pieces(&plan).map(|piece| json!({"type": "tool-plan-delta", "delta": {"message": {"tool_plan": piece}}})),
        );
        for (index, block) in self.content().iter().enumerate() {
            middle.extend(self.block_events(index, block));
        }
        for (index, call) in self.act.calls().enumerate() {
            middle.extend(call_events(index, &self.call(index, call)));
        }
        if self.is_cited() {
            middle.push(json!({"type": "citation-start", "index": 0, "delta": {"message": {"citations": citation()}}}));
            middle.push(json!({"type": "citation-end", "index": 0}));
        }
        let end = json!({
            "type": "message-end", "id": self.id(),
            "delta": {"finish_reason": self.finish_reason(), "usage": self.usage()},
        });
        Stream {
            opening: vec![event(&start)],
            middle: middle.iter().map(event).collect(),
            ending: vec![event(&end)],
        }
    }

    /// How it ends when something goes wrong.
    pub(super) fn failure(&self) -> Value {
        json!({
            "type": "message-end", "id": self.id(),
            "delta": {"finish_reason": "ERROR", "error": "an error occurred while generating the response"},
        })
    }

    fn block_events(&self, index: usize, block: &Value) -> Vec<Value> {
        let kind = text(&block["type"]);
        let start = json!({"type": "content-start", "index": index, "delta": {"message": {"content": {"type": kind, kind: ""}}}});
        let deltas = pieces(text(&block[kind])).map(|piece| {
            let mut delta =
                json!({"type": "content-delta", "index": index, "delta": {"message": {"content": {kind: piece}}}});
            if kind == "text" && self.body["logprobs"] == true {
                delta["logprobs"] = json!({"text": piece, "token_ids": [7], "logprobs": [-0.25]});
            }
            delta
        });
        let end = json!({"type": "content-end", "index": index});
        std::iter::once(start).chain(deltas).chain([end]).collect()
    }
}

fn call_events(index: usize, call: &Value) -> Vec<Value> {
    let mut opening = call.clone();
    opening["function"]["arguments"] = json!("");
    let start = json!({"type": "tool-call-start", "index": index, "delta": {"message": {"tool_calls": opening}}});
    let deltas = halves(text(&call["function"]["arguments"])).into_iter().map(|half| {
        json!({
            "type": "tool-call-delta", "index": index,
            "delta": {"message": {"tool_calls": {"function": {"arguments": half}}}},
        })
    });
    let end = json!({"type": "tool-call-end", "index": index});
    std::iter::once(start).chain(deltas).chain([end]).collect()
}
