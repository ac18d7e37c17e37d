//! A backend with a list of many makers' models, each at its own handle, which puts its whole answers into envelopes.

use mynah_understudy::{Received, Reply, Rule, Script};
use serde_json::{Value, json};

/// The token that everything wants.
pub const TOKEN: &str = "secret-oauth-token";

/// The list.
pub fn models() -> Value {
    let model = |version: &str, family: &str, handle: &str| {
        json!({"model_version": version, "model_family": family, "handle": handle,
               "prompt_price_1k": 0.0025, "completion_price_1k": 0.01, "owner_team": "x"})
    };
    json!({"models": [
        model("gpt-4o-audio-preview-2024-10-01", "gpt-4", "/openai/v1/chat/completions"),
        model("accounts/fireworks/models/llama-v3p1-405b-instruct", "fireworks", "/fireworks/chat/completions"),
        model("claude-3-7-sonnet-20250219", "claude-3", "/anthropic/v1/messages"),
        model("GigaChat-2-Max", "GigaChat", "/gigachat/api/v1/chat/completions"),
        model("gemini-2.5-pro", "gemini-2.5", "/google/v1beta/models/gemini-2.5-pro:generateContent"),
        model("gemini-array", "gemini-2.5", "/gemini/v1beta/models/gemini-array:generateContent"),
        model("command-r-plus", "command-r", "/cohere/v2/chat"),
        model("text-embedding-3-small", "embeddings", "/openai/v1/embeddings"),
        model("embed-v4.0", "cohere-embeddings", "/cohere/v2/embed"),
        model("dall-e-3", "dall-e-3", "/openai/v1/images/generations"),
        model("dall-e-3:hd", "DALL-E-3", "/openai/v1/images/generations"),
        model("V_2", "ideogram", "/ideogram/generate"),
        model("recraftv3", "recraft", "/recraft/v1/images/generations"),
        model("gone", "gpt-3", "unavailable"),
        model("davinci", "gpt-3", "/openai/v1/completions"),
        model("broken", "gpt-4", "/broken/v1/chat/completions"),
        model("elsewhere", "gpt-4", "https://other.example/v1/chat/completions"),
        {"model_version": "no-handle", "model_family": "x"},
        {"model_version": 7, "model_family": "x", "handle": "/x"},
        model("claude-3-7-sonnet-20250219", "claude-3", "/anthropic/v1/messages"),
    ]})
}

/// The backend. Without the token, everything is refused.
pub fn backend() -> Script {
    Script::new().rule(Rule::any().answer_with(answer))
}

fn answer(received: &Received) -> Reply {
    if received.header_text("authorization") != Some(&format!("OAuth {TOKEN}")) {
        return Reply::json(&json!({"detail": "no token"})).with_status(401);
    }
    let body = received.json().unwrap_or_default();
    let streams = body["stream"] == true || received.path().contains(":stream");
    match received.path() {
        "/models" => Reply::json(&models()),
        path if streams && path.ends_with("/chat/completions") => chat_stream(),
        "/openai/v1/chat/completions" => enveloped(&chat(&body)),
        // Not everybody behind the list has an envelope.
        "/fireworks/chat/completions" | "/gigachat/api/v1/chat/completions" => Reply::json(&chat(&body)),
        "/anthropic/v1/messages" if streams => message_stream(),
        "/anthropic/v1/messages" => enveloped(&message(&body)),
        "/google/v1beta/models/gemini-2.5-pro:streamGenerateContent" if received.query() == Some("alt=sse") => {
            Reply::stream(contents().map(|chunk| format!("data: {chunk}\r\n\r\n")))
        }
        "/gemini/v1beta/models/gemini-array:streamGenerateContent" => Reply::json(&Value::Array(contents().to_vec())),
        path if path.ends_with(":generateContent") => enveloped(&content(&body)),
        "/cohere/v2/chat" if streams => cohere_stream(),
        "/cohere/v2/chat" => enveloped(&cohere(&body)),
        "/openai/v1/completions" => enveloped(&json!({"object": "text_completion", "choices": [{"text": " there"}]})),
        "/openai/v1/embeddings" => enveloped(&json!({
            "object": "list", "model": body["model"], "usage": {"prompt_tokens": 3, "total_tokens": 3},
            "data": [{"object": "embedding", "index": 0, "embedding": [0.5, -0.25]}],
        })),
        "/cohere/v2/embed" => Reply::json(&json!({
            "id": "e", "embeddings": {"float": [[0.5, 1.5]]}, "meta": {"billed_units": {"input_tokens": 2}},
        })),
        "/openai/v1/images/generations" => enveloped(&json!({
            "created": 1_684_161_139, "data": [{"url": "https://example.com/images/generated-image.png"}],
        })),
        "/ideogram/generate" => enveloped(&json!({"images": [{"image_url": "https://example.com/i.png"}]})),
        "/recraft/v1/images/generations" => enveloped(&json!({"created": 5, "data": [{"base64": "AAAA"}]})),
        "/broken/v1/chat/completions" => {
            enveloped(&json!({"error": {"message": "no room", "type": "rate_limit_exceeded"}})).with_status(429)
        }
        _ => Reply::json(&json!({"detail": "Not Found"})).with_status(404),
    }
}

fn enveloped(answer: &Value) -> Reply {
    Reply::json(&json!({"response": answer, "key": "x", "cost": 1}))
}

fn chat(asked: &Value) -> Value {
    json!({
        "id": "c1", "object": "chat.completion", "created": 7, "model": asked["model"],
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello!"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
    })
}

fn chat_stream() -> Reply {
    let chunk = |delta: Value, finish: Value| {
        json!({"id": "c1", "object": "chat.completion.chunk", "created": 7, "model": "m",
               "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
    };
    let chunks = [
        chunk(json!({"role": "assistant", "content": "Hel"}), Value::Null),
        chunk(json!({"content": "lo!"}), Value::Null),
        chunk(json!({}), json!("stop")),
    ];
    let events = chunks.iter().map(|chunk| format!("data: {chunk}\n\n"));
    Reply::stream(events.chain(["data: [DONE]\n\n".to_owned()]))
}

fn message(asked: &Value) -> Value {
    let (content, reason) = if asked["tools"].is_array() {
        let call = json!({"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Paris"}});
        (json!([{"type": "text", "text": "Let me see."}, call]), "tool_use")
    } else {
        (
            json!([{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo!"}]),
            "end_turn",
        )
    };
    json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "content": content,
        "stop_reason": reason, "stop_sequence": null, "usage": {"input_tokens": 10, "output_tokens": 5},
    })
}

fn message_stream() -> Reply {
    let start = json!({"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant",
        "model": "claude", "content": [], "stop_reason": null, "usage": {"input_tokens": 10, "output_tokens": 1}}});
    let text =
        |text: &str| json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}});
    let events = [
        start,
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        json!({"type": "ping"}),
        text("Hel"),
        text("lo!"),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 5}}),
        json!({"type": "message_stop"}),
    ];
    let kind = |event: &Value| event["type"].as_str().unwrap_or_default().to_owned();
    Reply::stream(events.map(|event| format!("event: {}\ndata: {event}\n\n", kind(&event))))
}

fn content(asked: &Value) -> Value {
    let part = if asked["tools"].is_array() {
        json!({"functionCall": {"name": "weather", "args": {"city": "Paris"}}})
    } else {
        json!({"text": "Hello!"})
    };
    json!({
        "candidates": [{"index": 0, "content": {"role": "model", "parts": [part]}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15},
        "modelVersion": "gemini-2.5-pro",
    })
}

fn contents() -> [Value; 2] {
    let chunk =
        |text: &str| json!({"candidates": [{"index": 0, "content": {"role": "model", "parts": [{"text": text}]}}]});
    let mut last = chunk("lo!");
    last["candidates"][0]["finishReason"] = json!("STOP");
    last["usageMetadata"] = json!({"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15});
    [chunk("Hel"), last]
}

fn cohere(asked: &Value) -> Value {
    let (message, reason) = if asked["tools"].is_array() {
        let function = json!({"name": "weather", "arguments": "{\"city\":\"Paris\"}"});
        let calls = json!([{"id": "call_1", "type": "function", "function": function}]);
        (
            json!({"role": "assistant", "tool_plan": "I look.", "tool_calls": calls}),
            "TOOL_CALL",
        )
    } else {
        let text = "Hello! ```rust\nlet a = 1;\n```";
        (
            json!({"role": "assistant", "content": [{"type": "text", "text": text}]}),
            "COMPLETE",
        )
    };
    json!({
        "id": "co1", "finish_reason": reason, "message": message,
        "usage": {"billed_units": {"input_tokens": 10, "output_tokens": 5}, "tokens": {"input_tokens": 10, "output_tokens": 5}},
    })
}

fn cohere_stream() -> Reply {
    let delta =
        |text: &str| json!({"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": text}}}});
    let events = [
        json!({"type": "message-start", "id": "co1", "delta": {"message": {"role": "assistant", "content": []}}}),
        json!({"type": "content-start", "index": 0, "delta": {"message": {"content": {"type": "text", "text": ""}}}}),
        delta("Hel"),
        delta("lo!"),
        json!({"type": "content-end", "index": 0}),
        json!({"type": "message-end", "delta": {"finish_reason": "COMPLETE",
            "usage": {"billed_units": {"input_tokens": 10, "output_tokens": 5}, "tokens": {"input_tokens": 10, "output_tokens": 5}}}}),
    ];
    let kind = |event: &Value| event["type"].as_str().unwrap_or_default().to_owned();
    Reply::stream(events.map(|event| format!("event: {}\ndata: {event}\n\n", kind(&event))))
}
