//! A response in one piece.

use serde_json::{Value, json};

use super::{Response, SEAL};
use crate::persona::CREATED;
use crate::persona::act::{Block, CITED, Call, Ending, Input, THOUGHT, pieces};
use crate::persona::fields::list;
use crate::persona::seal::seal;

impl Response<'_> {
    /// The response in one piece.
    pub(super) fn whole(&self) -> Value {
        let reason = match self.act.ending {
            Ending::Length => Some("max_output_tokens"),
            Ending::Filtered => Some("content_filter"),
            _ => None,
        };
        let mut response = self.envelope(if reason.is_some() { "incomplete" } else { "completed" });
        response["output"] = json!(self.output());
        response["usage"] = self.usage();
        match reason {
            Some(reason) => response["incomplete_details"] = json!({"reason": reason}),
            None => response["completed_at"] = json!(CREATED + 1),
        }
        response
    }

    /// A response without output, with what it repeats of the request.
    pub(super) fn envelope(&self, status: &str) -> Value {
        let repeated = |name: &str, otherwise: Value| match &self.body[name] {
            Value::Null => otherwise,
            value => value.clone(),
        };
        json!({
            "id": format!("resp_understudy{}", self.number),
            "object": "response",
            "created_at": CREATED,
            "completed_at": null,
            "status": status,
            "background": false,
            "error": null,
            "incomplete_details": null,
            "instructions": repeated("instructions", Value::Null),
            "max_output_tokens": repeated("max_output_tokens", Value::Null),
            "model": self.body["model"],
            "output": [],
            "parallel_tool_calls": repeated("parallel_tool_calls", json!(true)),
            "previous_response_id": repeated("previous_response_id", Value::Null),
            "reasoning": repeated("reasoning", json!({"effort": null, "summary": null})),
            "service_tier": "default",
            "store": repeated("store", json!(true)),
            "temperature": repeated("temperature", json!(1.0)),
            "text": repeated("text", json!({"format": {"type": "text"}})),
            "tool_choice": repeated("tool_choice", json!("auto")),
            "tools": repeated("tools", json!([])),
            "top_p": repeated("top_p", json!(1.0)),
            "truncation": repeated("truncation", json!("disabled")),
            "usage": null,
            "user": repeated("user", Value::Null),
            "metadata": repeated("metadata", json!({})),
        })
    }

    fn output(&self) -> Vec<Value> {
        self.act
            .blocks
            .iter()
            .enumerate()
            .map(|(place, block)| self.item(place, block))
            .collect()
    }

    fn item(&self, place: usize, block: &Block) -> Value {
        match block {
            Block::Thinking(text) => self.reasoning(place, &json!([{"type": "summary_text", "text": text}])),
            Block::Redacted => self.reasoning(place, &json!([])),
            Block::Text(text) => self.message(place, &self.text_part(text, &json!([]))),
            Block::CitedText(text) => self.message(
                place,
                &self.text_part(
                    text,
                    &json!([{
                        "type": "url_citation", "start_index": 0, "end_index": CITED.text.len(), "url": CITED.url,
                        "title": CITED.title,
                    }]),
                ),
            ),
            Block::Refusal(text) => self.message(place, &json!({"type": "refusal", "refusal": text})),
            Block::Call(call) => self.call(place, call),
        }
    }

    /// What was thought; whoever wants to send it back must have asked for its encrypted form.
    fn reasoning(&self, place: usize, summary: &Value) -> Value {
        let mut item = json!({"id": self.item_id("rs", place), "type": "reasoning", "summary": summary});
        if self.includes("reasoning.encrypted_content") {
            item["encrypted_content"] = json!(seal(SEAL, THOUGHT));
        }
        item
    }

    fn message(&self, place: usize, part: &Value) -> Value {
        let is_cut = self.act.ending == Ending::Length;
        json!({
            "id": self.item_id("msg", place), "type": "message", "role": "assistant",
            "status": if is_cut { "incomplete" } else { "completed" }, "content": [part],
        })
    }

    fn text_part(&self, text: &str, annotations: &Value) -> Value {
        json!({"type": "output_text", "text": text, "annotations": annotations, "logprobs": self.logprobs(text)})
    }

    fn call(&self, place: usize, call: &Call) -> Value {
        let call_id = format!("call_understudy{}_{place}", self.number);
        let mut item = match call.input {
            Input::Text(_) => json!({
                "id": self.item_id("ctc", place), "type": "custom_tool_call", "status": "completed", "call_id": call_id,
                "name": call.name, "input": call.input.text(),
            }),
            Input::Json(_) => json!({
                "id": self.item_id("fc", place), "type": "function_call", "status": "completed", "call_id": call_id,
                "name": call.name, "arguments": call.input.text(),
            }),
        };
        if let Some(namespace) = self.namespace(&call.name) {
            item["namespace"] = namespace;
        }
        item
    }

    /// The name of the namespace that this tool is in.
    fn namespace(&self, name: &str) -> Option<Value> {
        let mut spaces = list(&self.body["tools"])
            .iter()
            .filter(|tool| tool["type"] == "namespace");
        let found = spaces.find(|space| list(&space["tools"]).iter().any(|tool| tool["name"] == name));
        found.map(|space| space["name"].clone())
    }

    fn item_id(&self, prefix: &str, place: usize) -> String {
        format!("{prefix}_understudy{}_{place}", self.number)
    }

    fn includes(&self, name: &str) -> bool {
        list(&self.body["include"]).iter().any(|included| included == name)
    }

    /// How likely the words of a text were, if that is asked for.
    pub(super) fn logprobs(&self, text: &str) -> Value {
        if !self.includes("message.output_text.logprobs") {
            return json!([]);
        }
        let others = self.body["top_logprobs"].as_u64().unwrap_or_default();
        let logprobs = pieces(text).map(|token| {
            let one = json!({"token": token, "logprob": -0.25, "bytes": token.as_bytes()});
            let mut full = one.clone();
            full["top_logprobs"] = json!((0..others).map(|_| &one).collect::<Vec<_>>());
            full
        });
        logprobs.collect()
    }

    fn usage(&self) -> Value {
        let numbers = self.act.numbers;
        json!({
            "input_tokens": numbers.input,
            "input_tokens_details": {"cached_tokens": numbers.cached, "cache_write_tokens": numbers.written},
            "output_tokens": numbers.output,
            "output_tokens_details": {"reasoning_tokens": numbers.reasoning},
            "total_tokens": numbers.total(),
        })
    }
}
