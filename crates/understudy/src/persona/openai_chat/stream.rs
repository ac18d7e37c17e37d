//! A completion in chunks.

use serde_json::{Value, json};

use super::Completion;
use crate::persona::CREATED;
use crate::persona::act::{halves, pieces};
use crate::persona::delivery::Stream;
use crate::persona::openai::events;
use crate::persona::scenario::Scenario;

impl Completion<'_> {
    /// The completion in chunks.
    pub(super) fn stream(&self) -> Stream {
        let choices = 0..self.count();
        let mut stream = Stream::default();
        for index in choices.clone() {
            stream.opening.push(self.chunk(index, &self.first_delta(), None));
        }
        for index in choices.clone() {
            let deltas = self.deltas(index);
            stream
                .middle
                .extend(deltas.iter().map(|delta| self.chunk(index, delta, None)));
        }
        for index in choices {
            stream
                .ending
                .push(self.chunk(index, &json!({}), Some(self.finish_reason())));
        }
        if self.with_usage() {
            let mut last = self.envelope(&json!([]));
            last["usage"] = self.usage();
            stream.ending.push(events::data(&last));
        }
        stream.ending.push(events::DONE.to_owned());
        stream
    }

    fn first_delta(&self) -> Value {
        if self.refusal().is_some() {
            return json!({"role": "assistant", "content": null, "refusal": ""});
        }
        let content = self.content().map(|_| "");
        json!({"role": "assistant", "content": content, "refusal": null})
    }

    fn deltas(&self, choice: u64) -> Vec<Value> {
        let mut deltas = Vec::new();
        let thought = self.reasoning().unwrap_or_default();
        deltas.extend(pieces(thought).map(|piece| json!({"reasoning_content": piece})));
        let content = self.content().unwrap_or_default();
        deltas.extend(pieces(&content).map(|piece| json!({"content": piece})));
        let refusal = self.refusal().unwrap_or_default();
        deltas.extend(pieces(refusal).map(|piece| json!({"refusal": piece})));
        if self.annotations() != json!([]) {
            deltas.push(json!({"annotations": self.annotations()}));
        }
        deltas.extend(
            self.call_deltas(choice)
                .into_iter()
                .map(|piece| json!({"tool_calls": [piece]})),
        );
        deltas
    }

    /// One call after the other, each with its name first; or all of them taking turns.
    fn call_deltas(&self, choice: u64) -> Vec<Value> {
        let calls: Vec<Vec<Value>> = self
            .act
            .calls()
            .enumerate()
            .map(|(place, call)| pieces_of_call(place, &self.call(choice, place, call)))
            .collect();
        if !self.act.is(Scenario::Interleaved) {
            return calls.concat();
        }
        let longest = calls.iter().map(Vec::len).max().unwrap_or_default();
        (0..longest)
            .flat_map(|turn| calls.iter().filter_map(move |pieces| pieces.get(turn).cloned()))
            .collect()
    }

    fn chunk(&self, index: u64, delta: &Value, finish_reason: Option<&str>) -> String {
        let logprobs = delta["content"].as_str().filter(|text| !text.is_empty());
        let logprobs = logprobs.map_or(Value::Null, |text| self.logprobs(text));
        let mut chunk = self.envelope(&json!([
            {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish_reason},
        ]));
        if self.with_usage() {
            let is_early = self.act.is(Scenario::EarlyUsage);
            chunk["usage"] = if is_early { self.usage() } else { Value::Null };
        }
        events::data(&chunk)
    }

    fn envelope(&self, choices: &Value) -> Value {
        json!({
            "id": self.id(), "object": "chat.completion.chunk", "created": CREATED, "model": self.body["model"],
            "service_tier": "default", "system_fingerprint": "fp_understudy", "choices": choices,
        })
    }

    fn with_usage(&self) -> bool {
        self.body["stream_options"]["include_usage"] == true
    }
}

fn pieces_of_call(place: usize, call: &Value) -> Vec<Value> {
    let (kind, field) = if call["type"] == "custom" {
        ("custom", "input")
    } else {
        ("function", "arguments")
    };
    let mut opening = call.clone();
    opening["index"] = json!(place);
    opening[kind][field] = json!("");
    let input = call[kind][field].as_str().unwrap_or_default();
    let rest = halves(input)
        .into_iter()
        .map(|half| json!({"index": place, kind: {field: half}}));
    std::iter::once(opening).chain(rest).collect()
}
