//! A content in one piece, and what its chunks share with it.

use serde_json::{Value, json};

use super::{Content, SEAL};
use crate::persona::act::{Block, CITED, Call, Ending, THOUGHT, pieces};
use crate::persona::seal::seal;

impl Content<'_> {
    /// The content in one piece.
    pub(super) fn whole(&self) -> Value {
        if self.act.ending == Ending::Filtered {
            return self.blocked();
        }
        let candidates = (0..self.count()).map(|index| self.candidate(index, &self.parts(), true));
        self.envelope(&candidates.collect::<Vec<_>>(), &self.usage())
    }

    /// What is answered to a prompt that is blocked.
    pub(super) fn blocked(&self) -> Value {
        json!({
            "promptFeedback": {"blockReason": "SAFETY", "safetyRatings": []},
            "usageMetadata": {"promptTokenCount": self.act.numbers.input, "totalTokenCount": self.act.numbers.input},
            "modelVersion": self.model, "responseId": self.id(),
        })
    }

    pub(super) fn envelope(&self, candidates: &[Value], usage: &Value) -> Value {
        json!({
            "candidates": candidates, "usageMetadata": usage, "modelVersion": self.model, "responseId": self.id(),
        })
    }

    /// How many candidates are asked for.
    pub(super) fn count(&self) -> u64 {
        self.body["generationConfig"]["candidateCount"].as_u64().unwrap_or(1)
    }

    /// A candidate with these parts; the last of its chunks says why it ends.
    pub(super) fn candidate(&self, index: u64, parts: &[Value], is_last: bool) -> Value {
        let mut candidate = json!({"index": index});
        if !parts.is_empty() {
            candidate["content"] = json!({"role": "model", "parts": parts});
        }
        if is_last {
            candidate["finishReason"] = json!(self.finish_reason());
            if self.act.blocks.iter().any(|block| matches!(block, Block::CitedText(_))) {
                candidate["groundingMetadata"] = grounding();
            }
            if self.body["generationConfig"]["responseLogprobs"] == true {
                candidate["logprobsResult"] = self.logprobs();
                candidate["avgLogprobs"] = json!(-0.25);
            }
        }
        candidate
    }

    /// All parts of the content.
    pub(super) fn parts(&self) -> Vec<Value> {
        self.act
            .blocks
            .iter()
            .enumerate()
            .filter_map(|(place, block)| self.part(place, block))
            .collect()
    }

    fn part(&self, place: usize, block: &Block) -> Option<Value> {
        Some(match block {
            Block::Thinking(text) => json!({"text": text, "thought": true}),
            // Nothing but the signature of what comes next tells of it, and a refusal has no words.
            Block::Redacted | Block::Refusal(_) => return None,
            Block::Text(text) | Block::CitedText(text) => {
                let mut part = json!({"text": text});
                if self.is_thought_through() {
                    part["thoughtSignature"] = json!(seal(SEAL, THOUGHT));
                }
                part
            }
            Block::Call(call) => self.call(place, call),
        })
    }

    fn call(&self, place: usize, call: &Call) -> Value {
        let is_gemini_3 = self.model.starts_with("gemini-3");
        let mut part = json!({"functionCall": {"name": call.name, "args": call.input.object()}});
        if is_gemini_3 {
            part["functionCall"]["id"] = json!(format!("understudy{}_{place}", self.number));
        }
        // Of several calls the first one bears the signature.
        let first = self.act.blocks.iter().position(|block| matches!(block, Block::Call(_)));
        if first == Some(place) && (is_gemini_3 || self.is_thought_through()) {
            part["thoughtSignature"] = json!(seal(SEAL, &call.name));
        }
        part
    }

    fn is_thought_through(&self) -> bool {
        let mut blocks = self.act.blocks.iter();
        blocks.any(|block| matches!(block, Block::Thinking(_) | Block::Redacted))
    }

    /// There is no reason of its own for calls.
    fn finish_reason(&self) -> &'static str {
        match self.act.ending {
            Ending::Stop | Ending::StopSequence(_) | Ending::Calls => "STOP",
            Ending::Length => "MAX_TOKENS",
            Ending::Refusal | Ending::Filtered => "SAFETY",
        }
    }

    /// What was used; here thoughts are not part of what the candidates took.
    pub(super) fn usage(&self) -> Value {
        let numbers = self.act.numbers;
        let mut usage = json!({
            "promptTokenCount": numbers.input,
            "candidatesTokenCount": numbers.output - numbers.reasoning,
            "totalTokenCount": numbers.total(),
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": numbers.input}],
        });
        if numbers.cached > 0 {
            usage["cachedContentTokenCount"] = json!(numbers.cached);
        }
        if numbers.reasoning > 0 {
            usage["thoughtsTokenCount"] = json!(numbers.reasoning);
        }
        usage
    }

    fn logprobs(&self) -> Value {
        let text = self.act.text().unwrap_or_default();
        let chosen: Vec<Value> = pieces(&text)
            .map(|token| json!({"token": token, "tokenId": 7, "logProbability": -0.25}))
            .collect();
        let top: Vec<Value> = chosen.iter().map(|one| json!({"candidates": [one]})).collect();
        json!({"chosenCandidates": chosen, "topCandidates": top})
    }

    fn id(&self) -> String {
        format!("understudy{}", self.number)
    }
}

fn grounding() -> Value {
    json!({
        "webSearchQueries": ["capital of France"],
        "groundingChunks": [{"web": {"uri": CITED.url, "title": CITED.title}}],
        "groundingSupports": [{
            "segment": {"startIndex": 0, "endIndex": CITED.text.len(), "text": CITED.text}, "groundingChunkIndices": [0],
        }],
    })
}
