//! `POST /v1/chat/completions`.

use serde_json::{Value, json};

use super::CREATED;
use super::call::Call;
use super::conversation::{Heard, limited};
use super::errors::ApiError;
use super::events;
use super::tools::{self, ToolCall};
use super::usage;
use crate::reply::Reply;

const MOST_CHOICES: u64 = 128;

pub(super) fn answer(call: &Call<'_>) -> Result<Reply, ApiError> {
    let completion = Completion::new(call)?;
    if !call.wants_stream() {
        return Ok(Reply::json(&completion.whole()));
    }
    let with_usage = call.body["stream_options"]["include_usage"] == json!(true);
    Ok(Reply::stream(completion.stream(with_usage)))
}

struct Completion {
    id: String,
    model: String,
    choices: Vec<Choice>,
    usage: Value,
}

struct Choice {
    content: Option<String>,
    calls: Vec<Value>,
    finish_reason: &'static str,
}

impl Completion {
    fn new(call: &Call<'_>) -> Result<Self, ApiError> {
        let model = call.require_model()?.to_owned();
        let messages = call.body["messages"]
            .as_array()
            .ok_or_else(|| ApiError::missing("messages"))?;
        if messages.is_empty() {
            return Err(ApiError::invalid("[] is too short - 'messages'", Some("messages")));
        }
        let count = call.number("n").unwrap_or(1);
        if !(1..=MOST_CHOICES).contains(&count) {
            return Err(ApiError::invalid(format!("Invalid 'n': {count}."), Some("n")));
        }
        let heard = Heard::in_messages(messages);
        let calls = tools::due(&call.body, &heard);
        let choices: Vec<Choice> = (0..count)
            .map(|index| Choice::new(call, &heard, &calls, index))
            .collect();
        let written = choices.iter().map(Choice::tokens).sum();
        let usage = usage::chat(usage::count(&call.body["messages"]), written);
        Ok(Self {
            id: call.id("chatcmpl-"),
            model,
            choices,
            usage,
        })
    }

    fn whole(&self) -> Value {
        let choices: Vec<Value> = self
            .choices
            .iter()
            .enumerate()
            .map(|(index, choice)| choice.whole(index))
            .collect();
        json!({
            "id": self.id, "object": "chat.completion", "created": CREATED, "model": self.model, "choices": choices,
            "usage": self.usage, "service_tier": "default", "system_fingerprint": "fp_understudy",
        })
    }

    fn stream(&self, with_usage: bool) -> Vec<String> {
        let deltas: Vec<Vec<Value>> = self
            .choices
            .iter()
            .enumerate()
            .map(|(index, choice)| choice.deltas(index))
            .collect();
        let longest = deltas.iter().map(Vec::len).max().unwrap_or_default();
        // Choices take turns, as they do with a provider that makes them at the same time.
        let turns = (0..longest).flat_map(|turn| deltas.iter().filter_map(move |choice| choice.get(turn)));
        let mut stream: Vec<String> = turns
            .map(|choice| {
                let mut chunk = self.chunk(&json!([choice]));
                if with_usage {
                    chunk["usage"] = Value::Null;
                }
                events::data(&chunk)
            })
            .collect();
        if with_usage {
            let mut chunk = self.chunk(&json!([]));
            chunk["usage"] = self.usage.clone();
            stream.push(events::data(&chunk));
        }
        stream.push(events::DONE.to_owned());
        stream
    }

    fn chunk(&self, choices: &Value) -> Value {
        json!({
            "id": self.id, "object": "chat.completion.chunk", "created": CREATED, "model": self.model,
            "service_tier": "default", "system_fingerprint": "fp_understudy", "choices": choices,
        })
    }
}

impl Choice {
    fn new(call: &Call<'_>, heard: &Heard, calls: &[ToolCall], index: u64) -> Self {
        if !calls.is_empty() {
            let calls = calls.iter().enumerate().map(|(place, tool)| {
                let id = format!("call_understudy{}_{index}_{place}", call.received.number);
                tool_call(&id, tool)
            });
            return Self {
                content: None,
                calls: calls.collect(),
                finish_reason: "tool_calls",
            };
        }
        let text = heard.formatted_reply(&call.body["response_format"]);
        let most = call
            .number("max_completion_tokens")
            .or_else(|| call.number("max_tokens"));
        let (content, is_cut) = limited(&text, &call.body["stop"], most);
        let finish_reason = if is_cut { "length" } else { "stop" };
        Self {
            content: Some(content),
            calls: Vec::new(),
            finish_reason,
        }
    }

    fn tokens(&self) -> usize {
        self.content
            .as_deref()
            .map_or_else(|| usage::count(&json!(self.calls)), |text| usage::tokens(text).len())
    }

    fn whole(&self, index: usize) -> Value {
        let mut message = json!({"role": "assistant", "content": self.content, "refusal": null, "annotations": []});
        if !self.calls.is_empty() {
            message["tool_calls"] = json!(self.calls);
        }
        json!({"index": index, "message": message, "logprobs": null, "finish_reason": self.finish_reason})
    }

    /// The choices of the chunks: the role, the content or the calls piece by piece, the end.
    fn deltas(&self, index: usize) -> Vec<Value> {
        let delta = |delta: Value, finish_reason: Value| json!({"index": index, "delta": delta, "logprobs": null, "finish_reason": finish_reason});
        let opening = self.content.as_ref().map(|_| "");
        let mut deltas = vec![delta(
            json!({"role": "assistant", "content": opening, "refusal": null}),
            Value::Null,
        )];
        let tokens = self.content.as_deref().map(usage::tokens).unwrap_or_default();
        deltas.extend(
            tokens
                .into_iter()
                .map(|token| delta(json!({"content": token}), Value::Null)),
        );
        for (place, call) in self.calls.iter().enumerate() {
            let pieces = call_deltas(place, call);
            deltas.extend(
                pieces
                    .into_iter()
                    .map(|piece| delta(json!({"tool_calls": [piece]}), Value::Null)),
            );
        }
        deltas.push(delta(json!({}), json!(self.finish_reason)));
        deltas
    }
}

fn tool_call(id: &str, tool: &ToolCall) -> Value {
    if tool.is_custom {
        json!({"id": id, "type": "custom", "custom": {"name": tool.name, "input": tool.input}})
    } else {
        json!({"id": id, "type": "function", "function": {"name": tool.name, "arguments": tool.input}})
    }
}

/// The name first, then the arguments in fragments.
fn call_deltas(index: usize, call: &Value) -> Vec<Value> {
    let (kind, field) = if call["type"] == "custom" {
        ("custom", "input")
    } else {
        ("function", "arguments")
    };
    let mut opening = call.clone();
    opening[kind][field] = json!("");
    opening["index"] = json!(index);
    let fragments = tools::fragments(call[kind][field].as_str().unwrap_or_default());
    let rest = fragments.into_iter().map(|fragment| {
        let mut piece = json!({"index": index});
        piece[kind][field] = json!(fragment);
        piece
    });
    std::iter::once(opening).chain(rest).collect()
}
