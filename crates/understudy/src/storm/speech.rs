//! What the providers of a storm say: numbered texts of which every word tells whose it is.
//!
//! A word is `TARGET.NONCE.CALL.NUMBER/COUNT`. So an answer that was put together from two, cut short, or given to somebody
//! else is recognised by its words alone.

use serde_json::{Value, json};

use super::protocol::Protocol;

/// Whose text it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Speech {
    /// The name of the target.
    pub(super) target: String,
    /// What the request was marked with.
    pub(super) nonce: u64,
    /// Which of the calls that the target got.
    pub(super) call: u64,
    /// How many words it has.
    pub(super) words: u64,
}

/// A stream in pieces.
#[derive(Clone, Debug)]
pub(super) struct Told {
    /// What comes before any content.
    pub(super) opening: String,
    /// An event for each word.
    pub(super) content: Vec<String>,
    /// What comes after the last word.
    pub(super) ending: String,
}

impl Speech {
    /// All of it.
    pub(super) fn text(&self) -> String {
        (1..=self.words).map(|number| self.word(number)).collect()
    }

    fn word(&self, number: u64) -> String {
        let Self {
            target,
            nonce,
            call,
            words,
        } = self;
        format!("{target}.{nonce}.{call}.{number}/{words} ")
    }

    /// Whose text begins like this.
    pub(super) fn of(text: &str) -> Option<Self> {
        let mut parts = text.split(' ').next()?.split('.');
        let speech = Self {
            target: parts.next()?.to_owned(),
            nonce: parts.next()?.parse().ok()?,
            call: parts.next()?.parse().ok()?,
            words: parts.next()?.split_once('/')?.1.parse().ok()?,
        };
        Some(speech)
    }

    /// As a stream of a provider.
    pub(super) fn told(&self, protocol: Protocol) -> Told {
        let text = self.text();
        let words = (1..=self.words).map(|number| self.word(number));
        match protocol {
            Protocol::Chat => Told {
                opening: chunk(&json!({"role": "assistant", "content": ""}), &Value::Null),
                content: words
                    .map(|word| chunk(&json!({"content": word}), &Value::Null))
                    .collect(),
                ending: chunk(&json!({}), &json!("stop")) + "data: [DONE]\n\n",
            },
            Protocol::Responses => responses(words, &text),
            Protocol::Anthropic => anthropic(words),
            Protocol::Gemini => Told {
                opening: candidate("", &Value::Null),
                content: words.map(|word| candidate(&word, &Value::Null)).collect(),
                ending: candidate("", &json!("STOP")),
            },
            Protocol::Cohere => cohere(words),
        }
    }

    /// As an answer that is no stream.
    pub(super) fn whole(&self, protocol: Protocol) -> Value {
        let text = self.text();
        match protocol {
            Protocol::Chat => json!({
                "id": "chatcmpl-1", "object": "chat.completion", "created": 1_700_000_000, "model": "m",
                "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 3, "completion_tokens": 9, "total_tokens": 12},
            }),
            Protocol::Responses => response("completed", &json!([message(&text)])),
            Protocol::Anthropic => json!({
                "id": "msg_1", "type": "message", "role": "assistant", "model": "m",
                "content": [{"type": "text", "text": text}], "stop_reason": "end_turn", "stop_sequence": null,
                "usage": {"input_tokens": 3, "output_tokens": 9},
            }),
            Protocol::Gemini => json!({
                "candidates": [{"content": {"role": "model", "parts": [{"text": text}]}, "finishReason": "STOP", "index": 0}],
                "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 9, "totalTokenCount": 12},
                "modelVersion": "m", "responseId": "r1",
            }),
            Protocol::Cohere => json!({
                "id": "1", "finish_reason": "COMPLETE",
                "message": {"role": "assistant", "content": [{"type": "text", "text": text}]},
                "usage": {"tokens": {"input_tokens": 3, "output_tokens": 9}},
            }),
        }
    }
}

impl Told {
    /// The events, one by one where they are content.
    pub(super) fn events(&self) -> Vec<String> {
        let mut events = vec![self.opening.clone()];
        events.extend(self.content.iter().cloned());
        events.push(self.ending.clone());
        events
    }

    /// Up to here nobody has heard anything: within the first word, before its event is whole.
    pub(super) fn before_content(&self) -> usize {
        self.opening.len() + self.content.first().map_or(0, |event| event.len().saturating_sub(3))
    }

    /// From here on something was heard, and up to `before_ending` something is missing.
    pub(super) fn after_content(&self) -> usize {
        self.opening.len() + self.content.first().map_or(0, String::len)
    }

    /// Up to here the answer is not whole.
    pub(super) fn before_ending(&self) -> usize {
        self.opening.len() + self.content.iter().map(String::len).sum::<usize>()
    }
}

fn chunk(delta: &Value, finish: &Value) -> String {
    let choice = json!({"index": 0, "delta": delta, "finish_reason": finish});
    let chunk = json!({
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "m", "choices": [choice],
    });
    format!("data: {chunk}\n\n")
}

fn candidate(text: &str, finish: &Value) -> String {
    let mut candidate = json!({"content": {"role": "model", "parts": [{"text": text}]}, "index": 0});
    if !finish.is_null() {
        candidate["finishReason"] = finish.clone();
    }
    let usage = json!({"promptTokenCount": 3, "candidatesTokenCount": 9, "totalTokenCount": 12});
    let chunk = json!({"candidates": [candidate], "usageMetadata": usage, "modelVersion": "m", "responseId": "r1"});
    format!("data: {chunk}\n\n")
}

fn event(value: &Value) -> String {
    format!(
        "event: {}\ndata: {value}\n\n",
        value["type"].as_str().unwrap_or_default()
    )
}

fn message(text: &str) -> Value {
    json!({
        "id": "msg_1", "type": "message", "status": "completed", "role": "assistant",
        "content": [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}],
    })
}

fn response(status: &str, output: &Value) -> Value {
    json!({
        "id": "resp_1", "object": "response", "created_at": 1_700_000_000, "status": status, "model": "m", "output": output,
        "parallel_tool_calls": true, "tool_choice": "auto", "tools": [], "error": null, "incomplete_details": null,
        "usage": {"input_tokens": 3, "output_tokens": 9, "total_tokens": 12},
    })
}

fn responses(words: impl Iterator<Item = String>, text: &str) -> Told {
    let mut number = 0;
    let mut numbered = |mut value: Value| {
        value["sequence_number"] = json!(number);
        number += 1;
        event(&value)
    };
    let part = |text: &str| json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []});
    let opening = [
        json!({"type": "response.created", "response": response("in_progress", &json!([]))}),
        json!({"type": "response.in_progress", "response": response("in_progress", &json!([]))}),
        json!({"type": "response.output_item.added", "output_index": 0,
            "item": {"id": "msg_1", "type": "message", "status": "in_progress", "role": "assistant", "content": []}}),
        json!({"type": "response.content_part.added", "item_id": "msg_1", "output_index": 0, "content_index": 0,
            "part": part("")}),
    ];
    let ending = [
        json!({"type": "response.output_text.done", "item_id": "msg_1", "output_index": 0, "content_index": 0,
            "text": text, "logprobs": []}),
        json!({"type": "response.content_part.done", "item_id": "msg_1", "output_index": 0, "content_index": 0,
            "part": part(text)}),
        json!({"type": "response.output_item.done", "output_index": 0, "item": message(text)}),
        json!({"type": "response.completed", "response": response("completed", &json!([message(text)]))}),
    ];
    let delta = |word: String| {
        json!({"type": "response.output_text.delta", "item_id": "msg_1", "output_index": 0, "content_index": 0,
            "delta": word, "logprobs": []})
    };
    Told {
        opening: opening.into_iter().map(&mut numbered).collect(),
        content: words.map(|word| numbered(delta(word))).collect(),
        ending: ending.into_iter().map(&mut numbered).collect(),
    }
}

fn anthropic(words: impl Iterator<Item = String>) -> Told {
    let delta = |word: String| {
        event(&json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}}))
    };
    Told {
        opening: [
            json!({"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant",
                "model": "m", "content": [], "stop_reason": null, "stop_sequence": null,
                "usage": {"input_tokens": 3, "output_tokens": 1}}}),
            json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
            json!({"type": "ping"}),
        ]
        .iter()
        .map(event)
        .collect(),
        content: words.map(delta).collect(),
        ending: [
            json!({"type": "content_block_stop", "index": 0}),
            json!({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null},
                "usage": {"output_tokens": 9}}),
            json!({"type": "message_stop"}),
        ]
        .iter()
        .map(event)
        .collect(),
    }
}

fn cohere(words: impl Iterator<Item = String>) -> Told {
    let delta = |word: String| {
        event(&json!({"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": word}}}}))
    };
    Told {
        opening: [
            json!({"type": "message-start", "id": "1", "delta": {"message": {"role": "assistant", "content": []}}}),
            json!({"type": "content-start", "index": 0,
                "delta": {"message": {"content": {"type": "text", "text": ""}}}}),
        ]
        .iter()
        .map(event)
        .collect(),
        content: words.map(delta).collect(),
        ending: [
            json!({"type": "content-end", "index": 0}),
            json!({"type": "message-end", "id": "1", "delta": {"finish_reason": "COMPLETE",
                "usage": {"tokens": {"input_tokens": 3, "output_tokens": 9}}}}),
        ]
        .iter()
        .map(event)
        .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_tells_whose_it_is() {
        let speech = Speech {
            target: "alpha".to_owned(),
            nonce: 7,
            call: 3,
            words: 12,
        };
        assert_eq!(Speech::of(&speech.text()), Some(speech));
        assert_eq!(Speech::of("Hello there"), None);
    }
}
