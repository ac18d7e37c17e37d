//! Callers and providers of every dialect.

use std::fmt::Write as _;

use mynah_understudy::{Persona, Script, Understudy};
use serde_json::{Value, json};

use super::{Reply, Request};

/// The protocols of callers, by the names of [`ask`] and [`provider`].
pub const CALLERS: [&str; 4] = ["chat", "responses", "anthropic", "gemini"];

/// The key of a [`provider`].
pub const KEY: &str = "sk-of-the-provider";

/// A provider for a configuration. `kind` is a protocol.
pub fn provider(name: &str, kind: &str, url: &str) -> String {
    provider_with(name, kind, url, &format!("'{KEY}'"))
}

/// The same with keys of one's own.
pub fn provider_with(name: &str, kind: &str, url: &str, keys: &str) -> String {
    let mut table = format!("[providers.{name}]\nbase_url = '{url}'\nmodels = []\napi_keys = [{keys}]\n");
    let kind = match kind {
        "chat" | "responses" => {
            writeln!(table, "apis = ['{kind}']").unwrap();
            "openai"
        }
        other => other,
    };
    writeln!(table, "kind = '{kind}'").unwrap();
    table
}

/// A model of a provider of this protocol.
pub fn model(kind: &str) -> &'static str {
    match kind {
        "chat" => "some-model",
        "responses" => "gpt-5",
        "anthropic" => "claude-opus-4-6",
        "gemini" => "gemini-3-pro",
        _ => "command-a-03-2025",
    }
}

/// A provider as strict as the real ones; what the script does not answer is answered by its persona.
pub async fn strict(script: impl Into<Script>) -> Understudy {
    let builder = Understudy::builder().persona(Persona::Strict).script(script);
    builder.start().await.unwrap()
}

/// The path of a question for the next message.
pub fn path(caller: &str, model: &str, stream: bool) -> String {
    match (caller, stream) {
        ("chat", _) => "/v1/chat/completions".to_owned(),
        ("responses", _) => "/v1/responses".to_owned(),
        ("anthropic", _) => "/v1/messages".to_owned(),
        (_, false) => format!("/v1beta/models/{model}:generateContent"),
        (_, true) => format!("/v1beta/models/{model}:streamGenerateContent?alt=sse"),
    }
}

/// The body of a question for the next message.
pub fn body(caller: &str, model: &str, text: &str, stream: bool) -> Value {
    let messages = json!([{"role": "user", "content": text}]);
    match caller {
        "chat" => json!({"model": model, "messages": messages, "stream": stream}),
        "responses" => json!({"model": model, "input": messages, "stream": stream}),
        "anthropic" => json!({"model": model, "messages": messages, "max_tokens": 100, "stream": stream}),
        _ => json!({"contents": [{"role": "user", "parts": [{"text": text}]}]}),
    }
}

/// A question for the next message, in the words of a caller's protocol.
pub fn ask(caller: &str, model: &str, text: &str, stream: bool) -> Request {
    say(caller, model, &body(caller, model, text, stream), stream)
}

/// The same with a body of one's own.
pub fn say(caller: &str, model: &str, body: &Value, stream: bool) -> Request {
    Request::post(&path(caller, model, stream), &body.to_string())
}

/// The same request, which says by a header of its SDK which dialect it is in.
pub fn of(caller: &str, request: Request) -> Request {
    match caller {
        "anthropic" => request.header("anthropic-version", "2023-06-01"),
        "gemini" => request.header("x-goog-api-key", "key-of-the-team"),
        _ => request,
    }
}

/// The error in a reply, in the caller's protocol: its class and its message. Everything else that makes it one of that
/// protocol is checked.
pub fn error(caller: &str, reply: &Reply) -> (String, String) {
    assert_eq!(reply.header("content-type"), Some("application/json"), "{caller}");
    let json = reply.json();
    let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("{caller}: {json}")).to_owned();
    let error = &json["error"];
    let class = match caller {
        "anthropic" => {
            assert_eq!(json["type"], "error", "{json}");
            assert_eq!(reply.header("request-id"), json["request_id"].as_str(), "{json}");
            assert!(!text(&json["request_id"]).is_empty());
            text(&error["type"])
        }
        "gemini" => {
            // Not all of our own statuses are known to Google's.
            let known = !matches!(reply.status, 405 | 415);
            assert_eq!(error["code"], if known { reply.status } else { 400 }, "{json}");
            text(&error["status"])
        }
        _ => {
            reply.error_code();
            text(&error["type"])
        }
    };
    (class, text(&error["message"]))
}

/// A stream of a provider in pieces: what comes before any content, texts, and the end.
pub struct Told {
    pub opening: String,
    pub text: fn(&str) -> String,
    pub ending: String,
    pub error: String,
}

/// A stream of these events.
pub fn stream<const COUNT: usize>(events: [&str; COUNT]) -> mynah_understudy::Reply {
    mynah_understudy::Reply::stream(events.map(str::to_owned))
}

/// How a provider of a protocol tells its answer.
pub fn told(kind: &str) -> Told {
    match kind {
        "chat" => Told {
            opening: chat(&json!({"role": "assistant", "content": ""}), &Value::Null),
            text: |text| chat(&json!({"content": text}), &Value::Null),
            ending: chat(&json!({}), &json!("stop")) + "data: [DONE]\n\n",
            error: "data: {\"error\":{\"message\":\"overloaded\",\"type\":\"server_error\",\"code\":503}}\n\n"
                .to_owned(),
        },
        "responses" => Told {
            opening: event(&json!({"type": "response.created", "response": {"id": "resp_1", "status": "in_progress"}}))
                + &event(&json!({"type": "response.output_item.added", "output_index": 0,
                    "item": {"type": "message", "id": "msg_1", "role": "assistant", "content": []}}))
                + &event(
                    &json!({"type": "response.content_part.added", "output_index": 0, "content_index": 0,
                    "item_id": "msg_1", "part": {"type": "output_text", "text": ""}}),
                ),
            text: |text| {
                event(
                    &json!({"type": "response.output_text.delta", "output_index": 0, "content_index": 0,
                    "item_id": "msg_1", "delta": text}),
                )
            },
            ending: event(&json!({"type": "response.completed", "response": {"id": "resp_1", "status": "completed"}})),
            error: event(&json!({"type": "error", "code": "server_error", "message": "overloaded"})),
        },
        "anthropic" => Told {
            opening: event(
                &json!({"type": "message_start", "message": {"id": "msg_1", "type": "message",
                    "role": "assistant", "content": [], "model": "m", "usage": {"input_tokens": 13, "output_tokens": 1}}}),
            ) + &event(&json!({"type": "ping"}))
                + &event(&json!({"type": "content_block_start", "index": 0,
                    "content_block": {"type": "text", "text": ""}})),
            text: |text| {
                event(&json!({"type": "content_block_delta", "index": 0,
                    "delta": {"type": "text_delta", "text": text}}))
            },
            ending: event(&json!({"type": "content_block_stop", "index": 0}))
                + &event(&json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"},
                    "usage": {"output_tokens": 9}}))
                + &event(&json!({"type": "message_stop"})),
            error: event(&json!({"type": "error", "error": {"type": "overloaded_error", "message": "overloaded"}})),
        },
        _ => Told {
            opening: "data: {\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{\"text\":\"\"}]}}],\
                \"usageMetadata\":{\"promptTokenCount\":13}}\n\n"
                .to_owned(),
            text: |text| {
                let candidate = json!({"content": {"role": "model", "parts": [{"text": text}]}});
                format!("data: {}\n\n", json!({"candidates": [candidate]}))
            },
            ending: "data: {\"candidates\":[{\"finishReason\":\"STOP\"}]}\n\n".to_owned(),
            error: "data: {\"error\":{\"code\":503,\"status\":\"UNAVAILABLE\",\"message\":\"overloaded\"}}\n\n"
                .to_owned(),
        },
    }
}

fn chat(delta: &Value, finish: &Value) -> String {
    let choice = json!({"index": 0, "delta": delta, "finish_reason": finish});
    format!(
        "data: {}\n\n",
        json!({"id": "c", "object": "chat.completion.chunk", "choices": [choice]})
    )
}

fn event(value: &Value) -> String {
    format!("event: {}\ndata: {value}\n\n", value["type"].as_str().unwrap())
}
