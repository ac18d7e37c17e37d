//! A completion in one piece.

use serde_json::{Value, json};

use super::{Completion, is_openai_model};
use crate::persona::CREATED;
use crate::persona::act::{Block, CITED, Call, Ending, Input};
use crate::persona::fields::text;

impl Completion<'_> {
    /// The completion in one piece.
    pub(super) fn whole(&self) -> Value {
        let choices: Vec<Value> = (0..self.count()).map(|index| self.choice(index)).collect();
        json!({
            "id": self.id(), "object": "chat.completion", "created": CREATED, "model": self.body["model"], "choices": choices,
            "usage": self.usage(), "service_tier": "default", "system_fingerprint": "fp_understudy",
        })
    }

    /// How many choices are asked for.
    pub(super) fn count(&self) -> u64 {
        self.body["n"].as_u64().unwrap_or(1)
    }

    pub(super) fn id(&self) -> String {
        format!("chatcmpl-understudy{}", self.number)
    }

    fn choice(&self, index: u64) -> Value {
        let logprobs = self.content().map_or(Value::Null, |content| self.logprobs(&content));
        json!({
            "index": index, "message": self.message(index), "logprobs": logprobs, "finish_reason": self.finish_reason(),
        })
    }

    fn message(&self, choice: u64) -> Value {
        let mut message = json!({
            "role": "assistant", "content": self.content(), "refusal": self.refusal(), "annotations": self.annotations(),
        });
        if let Some(reasoning) = self.reasoning() {
            message["reasoning_content"] = json!(reasoning);
        }
        let calls: Vec<Value> = self
            .act
            .calls()
            .enumerate()
            .map(|(place, call)| self.call(choice, place, call))
            .collect();
        if !calls.is_empty() {
            message["tool_calls"] = json!(calls);
        }
        message
    }

    /// A call of a tool, with all of its input.
    pub(super) fn call(&self, choice: u64, place: usize, call: &Call) -> Value {
        let id = format!("call_understudy{}_{choice}_{place}", self.number);
        let (name, input) = (&call.name, call.input.text());
        match call.input {
            Input::Text(_) => json!({"id": id, "type": "custom", "custom": {"name": name, "input": input}}),
            Input::Json(_) => json!({"id": id, "type": "function", "function": {"name": name, "arguments": input}}),
        }
    }

    pub(super) fn content(&self) -> Option<String> {
        self.act.text()
    }

    pub(super) fn refusal(&self) -> Option<&'static str> {
        self.act.blocks.iter().find_map(|block| match block {
            Block::Refusal(text) => Some(*text),
            _ => None,
        })
    }

    /// What is shown of the thinking: nothing with OpenAI's own models.
    pub(super) fn reasoning(&self) -> Option<&'static str> {
        let thought = self.act.blocks.iter().find_map(|block| match block {
            Block::Thinking(text) => Some(*text),
            _ => None,
        });
        thought.filter(|_| !is_openai_model(text(&self.body["model"])))
    }

    pub(super) fn annotations(&self) -> Value {
        let is_cited = self.act.blocks.iter().any(|block| matches!(block, Block::CitedText(_)));
        if !is_cited {
            return json!([]);
        }
        json!([{"type": "url_citation", "url_citation": {
            "start_index": 0, "end_index": CITED.text.len(), "title": CITED.title, "url": CITED.url,
        }}])
    }

    /// How likely the words of a text were; null unless that is asked for.
    pub(super) fn logprobs(&self, text: &str) -> Value {
        if self.body["logprobs"] != true {
            return Value::Null;
        }
        let others = self.body["top_logprobs"].as_u64().unwrap_or_default();
        let content: Vec<Value> = crate::persona::act::pieces(text)
            .map(|token| {
                let one = json!({"token": token, "logprob": -0.25, "bytes": token.as_bytes()});
                let mut full = one.clone();
                full["top_logprobs"] = json!((0..others).map(|_| &one).collect::<Vec<_>>());
                full
            })
            .collect();
        json!({"content": content, "refusal": null})
    }

    pub(super) fn finish_reason(&self) -> &'static str {
        match self.act.ending {
            Ending::Stop | Ending::StopSequence(_) | Ending::Refusal => "stop",
            Ending::Length => "length",
            Ending::Calls => "tool_calls",
            Ending::Filtered => "content_filter",
        }
    }

    pub(super) fn usage(&self) -> Value {
        let numbers = self.act.numbers;
        json!({
            "prompt_tokens": numbers.input,
            "completion_tokens": numbers.output,
            "total_tokens": numbers.total(),
            "prompt_tokens_details": {
                "cached_tokens": numbers.cached, "cache_write_tokens": numbers.written, "audio_tokens": 0,
            },
            "completion_tokens_details": {
                "reasoning_tokens": numbers.reasoning, "audio_tokens": 0,
                "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0,
            },
        })
    }
}
