//! An answer in one piece.

use serde_json::{Value, json};

use super::Chat;
use crate::persona::act::{Block, CITED, Call, Ending, pieces};

impl Chat<'_> {
    /// The answer in one piece.
    pub(super) fn whole(&self) -> Value {
        let calls: Vec<Value> = self
            .act
            .calls()
            .enumerate()
            .map(|(place, call)| self.call(place, call))
            .collect();
        let mut message = json!({"role": "assistant"});
        let content = self.content();
        if !content.is_empty() {
            message["content"] = json!(content);
        }
        if let Some(plan) = self.plan() {
            message["tool_plan"] = json!(plan);
        }
        if !calls.is_empty() {
            message["tool_calls"] = json!(calls);
        }
        if self.is_cited() {
            message["citations"] = json!([citation()]);
        }
        let mut answer = json!({
            "id": self.id(), "message": message, "finish_reason": self.finish_reason(), "usage": self.usage(),
        });
        if self.body["logprobs"] == true {
            answer["logprobs"] = self.logprobs();
        }
        answer
    }

    pub(super) fn id(&self) -> String {
        format!("00000000-0000-4000-8000-{:012}", self.number)
    }

    /// The blocks of the content; what is said before calls is the plan instead.
    pub(super) fn content(&self) -> Vec<Value> {
        let is_plan = self.act.ending == Ending::Calls;
        let blocks = self.act.blocks.iter().filter_map(|block| match block {
            Block::Thinking(text) => Some(json!({"type": "thinking", "thinking": text})),
            Block::Text(text) if !is_plan => Some(json!({"type": "text", "text": text})),
            Block::CitedText(text) => Some(json!({"type": "text", "text": text})),
            Block::Refusal(text) => Some(json!({"type": "text", "text": text})),
            Block::Text(_) | Block::Redacted | Block::Call(_) => None,
        });
        blocks.collect()
    }

    /// What is said before calls.
    pub(super) fn plan(&self) -> Option<String> {
        if self.act.ending == Ending::Calls {
            self.act.text()
        } else {
            None
        }
    }

    pub(super) fn call(&self, place: usize, call: &Call) -> Value {
        json!({
            "id": format!("{}_understudy{}_{place}", call.name, self.number), "type": "function",
            "function": {"name": call.name, "arguments": call.input.text()},
        })
    }

    pub(super) fn is_cited(&self) -> bool {
        self.act.blocks.iter().any(|block| matches!(block, Block::CitedText(_)))
    }

    pub(super) fn finish_reason(&self) -> &'static str {
        match self.act.ending {
            Ending::Stop | Ending::Refusal => "COMPLETE",
            Ending::StopSequence(_) => "STOP_SEQUENCE",
            Ending::Length => "MAX_TOKENS",
            Ending::Calls => "TOOL_CALL",
            Ending::Filtered => "ERROR",
        }
    }

    /// What was used; less is billed, as it is with Cohere. Counts are decimals on its wire.
    pub(super) fn usage(&self) -> Value {
        let numbers = self.act.numbers;
        let decimal = |count: u64| json!(f64::from(u32::try_from(count).unwrap_or(u32::MAX)));
        let mut usage = json!({
            "billed_units": {"input_tokens": 5.0, "output_tokens": decimal(numbers.output)},
            "tokens": {"input_tokens": decimal(numbers.input), "output_tokens": decimal(numbers.output)},
        });
        if numbers.cached > 0 {
            usage["cached_tokens"] = decimal(numbers.cached);
        }
        usage
    }

    pub(super) fn logprobs(&self) -> Value {
        let text = self.act.text().unwrap_or_default();
        pieces(&text)
            .map(|token| json!({"text": token, "token_ids": [7], "logprobs": [-0.25]}))
            .collect()
    }
}

/// The one citation that there is.
pub(super) fn citation() -> Value {
    json!({
        "start": 0, "end": CITED.text.len(), "text": CITED.text, "type": "TEXT_CONTENT", "content_index": 0,
        "sources": [{"type": "document", "id": "doc_0", "document": {"title": CITED.title, "url": CITED.url}}],
    })
}
