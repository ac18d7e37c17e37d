//! A message in one piece.

use serde_json::{Value, json};

use super::{Message, SEAL};
use crate::persona::act::{Block, CITED, Ending, THOUGHT};
use crate::persona::seal::seal;

impl Message<'_> {
    /// The message in one piece.
    pub(super) fn whole(&self) -> Value {
        let mut message = self.envelope();
        message["content"] = json!(self.content());
        let end = self.end();
        for name in ["stop_reason", "stop_sequence", "stop_details"] {
            message[name] = end[name].clone();
        }
        message["usage"] = self.usage();
        message
    }

    /// A message without content.
    pub(super) fn envelope(&self) -> Value {
        json!({
            "id": format!("msg_understudy{}", self.number), "type": "message", "role": "assistant",
            "model": self.body["model"], "content": [], "stop_reason": null, "stop_sequence": null, "stop_details": null,
            "container": null, "usage": null,
        })
    }

    /// The blocks of the content.
    pub(super) fn content(&self) -> Vec<Value> {
        let blocks = self.act.blocks.iter().enumerate();
        blocks.filter_map(|(place, block)| self.block(place, block)).collect()
    }

    fn block(&self, place: usize, block: &Block) -> Option<Value> {
        Some(match block {
            Block::Thinking(text) => json!({"type": "thinking", "thinking": text, "signature": seal(SEAL, text)}),
            Block::Redacted => json!({"type": "redacted_thinking", "data": seal(SEAL, THOUGHT)}),
            Block::Text(text) => json!({"type": "text", "text": text, "citations": null}),
            Block::CitedText(text) => json!({"type": "text", "text": text, "citations": [{
                "type": "web_search_result_location", "url": CITED.url, "title": CITED.title,
                "encrypted_index": seal(SEAL, CITED.url), "cited_text": CITED.text,
            }]}),
            // A refusal has no words here.
            Block::Refusal(_) => return None,
            Block::Call(call) => json!({
                "type": "tool_use", "id": format!("toolu_understudy{}_{place}", self.number), "name": call.name,
                "input": call.input.object(), "caller": {"type": "direct"},
            }),
        })
    }

    /// Why it ends.
    pub(super) fn end(&self) -> Value {
        let (reason, sequence) = match &self.act.ending {
            Ending::Stop => ("end_turn", None),
            Ending::StopSequence(sequence) => ("stop_sequence", Some(sequence)),
            Ending::Length => ("max_tokens", None),
            Ending::Calls => ("tool_use", None),
            Ending::Refusal | Ending::Filtered => ("refusal", None),
        };
        let details = (reason == "refusal").then(|| json!({"type": "refusal", "category": null, "explanation": null}));
        json!({"stop_reason": reason, "stop_sequence": sequence, "stop_details": details})
    }

    /// What was used; here what was read from a cache or written to it is not part of the input.
    pub(super) fn usage(&self) -> Value {
        let numbers = self.act.numbers;
        json!({
            "input_tokens": numbers.input - numbers.cached - numbers.written,
            "cache_creation_input_tokens": numbers.written,
            "cache_read_input_tokens": numbers.cached,
            "cache_creation": {"ephemeral_5m_input_tokens": numbers.written, "ephemeral_1h_input_tokens": 0},
            "output_tokens": numbers.output,
            "output_tokens_details": {"thinking_tokens": numbers.reasoning},
            "server_tool_use": null,
            "service_tier": "standard",
        })
    }
}
