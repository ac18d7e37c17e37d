//! The strict persona of OpenAI's chat completions.
#![cfg(test)]

mod support;

use serde_json::{Value, json};
use support::{Stage, with};

const PATH: &str = "/v1/chat/completions";
const HEADERS: &[(&str, &str)] = &[("authorization", "Bearer sk-good")];

fn asking(text: &str) -> Value {
    json!({"model": "deep-one", "messages": [{"role": "user", "content": text}], "tools": [
        {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}},
        {"type": "custom", "custom": {"name": "note"}},
    ]})
}

fn call(id: &str) -> Value {
    json!({"id": id, "type": "function", "function": {"name": "weather", "arguments": "{}"}})
}

fn after(messages: &Value) -> Value {
    let mut all = vec![json!({"role": "user", "content": "hi"})];
    all.extend(messages.as_array().unwrap().clone());
    json!({"messages": all})
}

#[tokio::test]
async fn what_breaks_a_rule_is_refused() {
    let mut stage = Stage::new(HEADERS).await;
    let turn = |call: Value| json!({"role": "assistant", "content": null, "tool_calls": [call]});
    let bad_arguments = json!({"id": "a", "type": "function", "function": {"name": "weather", "arguments": {}}});
    let bad_name = json!({"id": "a", "type": "function", "function": {"name": "a.b", "arguments": "{}"}});
    let image = json!([{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]);
    let cases = [
        (
            json!({"top_k": 1}),
            400,
            "Unrecognized request argument supplied: top_k",
        ),
        (json!({"messages": []}), 400, "empty array"),
        (json!({"model": null}), 400, "you must provide a model parameter"),
        (
            json!({"tools": null, "parallel_tool_calls": true}),
            400,
            "only allowed when 'tools' are specified",
        ),
        (
            json!({"tools": null, "tool_choice": "auto"}),
            400,
            "only allowed when 'tools' are specified",
        ),
        (json!({"stop": ["1", "2", "3", "4", "5"]}), 400, "array too long"),
        (json!({"temperature": 2.5}), 400, "Invalid 'temperature'"),
        (
            json!({"response_format": {"type": "json_schema", "json_schema": {"schema": {}}}}),
            400,
            "response_format.json_schema.name",
        ),
        (
            json!({"stream_options": {"include_usage": true}}),
            400,
            "stream_options",
        ),
        (
            json!({"model": "gpt-5", "max_tokens": 5}),
            400,
            "Use 'max_completion_tokens' instead",
        ),
        (json!({"metadata": {"a": "b"}}), 400, "metadata"),
        (
            after(&json!([turn(call("a"))])),
            400,
            "did not have response messages: a",
        ),
        (
            after(&json!([{"role": "tool", "tool_call_id": "a", "content": "x"}])),
            400,
            "must be a response to a preceeding",
        ),
        (
            after(&json!([turn(call("a")), {"role": "tool", "tool_call_id": "a", "content": image}])),
            400,
            "Supported values are: 'text'",
        ),
        (
            after(&json!([turn(bad_arguments)])),
            400,
            "expected a string, but got an object",
        ),
        (after(&json!([turn(bad_name)])), 400, "does not match pattern"),
        (after(&json!([{"role": "user", "content": null}])), 400, "got null"),
        (
            after(&json!([{"role": "user", "content": [{"type": "text", "text": "x", "cache_control": {}}]}])),
            400,
            "Unknown parameter: 'messages[1].content[0].cache_control'.",
        ),
    ];
    stage.refuses(PATH, &asking("hi"), &cases).await;
}

#[tokio::test]
async fn the_key_is_checked() {
    for (headers, words) in [
        (&[][..], "You didn't provide an API key"),
        (&[("authorization", "Bearer sk-bad")][..], "invalid_api_key"),
    ] {
        let answer = Stage::new(headers).await.ask(PATH, &asking("hi")).await;
        assert_eq!(answer.status, 401);
        assert!(answer.text().contains(words));
    }
}

#[tokio::test]
async fn scenarios_are_played_whole() {
    let mut stage = Stage::new(HEADERS).await;
    let echo = stage.play(PATH, &asking("hello")).await;
    assert_eq!(echo["choices"][0]["message"]["content"], "You said: hello");
    assert_eq!(echo["usage"]["total_tokens"], 22);
    let parallel = stage.play(PATH, &asking("[[parallel]]")).await;
    let calls = &parallel["choices"][0]["message"]["tool_calls"];
    assert_eq!(
        calls[0]["function"],
        json!({"name": "weather", "arguments": "{\"city\":\"Paris\"}"})
    );
    assert_eq!(calls[1]["custom"], json!({"name": "note", "input": "Rome"}));
    assert_eq!(parallel["choices"][0]["finish_reason"], "tool_calls");
    let thought = stage.play(PATH, &asking("[[reasoning]]")).await;
    assert_eq!(
        thought["choices"][0]["message"]["reasoning_content"],
        "Let me think about this."
    );
    assert_eq!(thought["usage"]["completion_tokens_details"]["reasoning_tokens"], 3);
    let cached = stage.play(PATH, &asking("[[usage-cache]]")).await;
    assert_eq!(cached["usage"]["prompt_tokens_details"]["cached_tokens"], 4);
    for (name, reason) in [
        ("max-tokens", "length"),
        ("refusal", "stop"),
        ("blocked", "content_filter"),
        ("stop-sequence", "stop"),
    ] {
        let answer = stage.play(PATH, &asking(&format!("[[{name}]]"))).await;
        assert_eq!(answer["choices"][0]["finish_reason"], reason, "{name}");
    }
    let both = with(&asking("[[n]]"), &json!({"n": 2, "logprobs": true, "top_logprobs": 1}));
    let both = stage.play(PATH, &both).await;
    assert_eq!(
        both["choices"][1]["logprobs"]["content"][0]["top_logprobs"][0]["token"],
        "You "
    );
}

#[tokio::test]
async fn results_are_quoted() {
    let messages = after(&json!([
        {"role": "assistant", "content": null, "tool_calls": [call("a"), call("b")]},
        {"role": "tool", "tool_call_id": "b", "content": "rain"},
        {"role": "tool", "tool_call_id": "a", "content": "sun"},
    ]));
    let answer = Stage::new(HEADERS)
        .await
        .play(PATH, &with(&asking(""), &messages))
        .await;
    assert_eq!(
        answer["choices"][0]["message"]["content"],
        "Tool said: [b] rain; [a] sun"
    );
}

#[tokio::test]
async fn json_satisfies_the_schema() {
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}});
    let format = json!({"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}});
    let answer = Stage::new(HEADERS)
        .await
        .play(PATH, &with(&asking("[[json]]"), &format))
        .await;
    assert_eq!(
        answer["choices"][0]["message"]["content"],
        "{\"city\":\"Paris\",\"days\":1}"
    );
}

#[tokio::test]
async fn streams_have_role_deltas_finish_usage_and_done() {
    let mut stage = Stage::new(HEADERS).await;
    let request = json!({"stream": true, "stream_options": {"include_usage": true}});
    let answer = stage.ask(PATH, &with(&asking("[[interleaved]]"), &request)).await;
    assert_eq!(answer.events().last().unwrap(), "[DONE]");
    let chunks = answer.json_events();
    assert_eq!(chunks[0]["choices"][0]["delta"]["role"], "assistant");
    let indexes: Vec<u64> = chunks
        .iter()
        .filter_map(|chunk| chunk["choices"][0]["delta"]["tool_calls"][0]["index"].as_u64())
        .collect();
    assert_eq!(indexes, [0, 1, 0, 1, 0, 1]);
    assert_eq!(chunks.last().unwrap()["usage"]["completion_tokens"], 9);
    assert!(chunks[0]["usage"].is_null());
    let broken = stage.ask(PATH, &with(&asking("[[error-mid-stream]]"), &request)).await;
    assert!(broken.json_events().last().unwrap()["error"]["message"].is_string());
    let open = stage.ask(PATH, &with(&asking("[[no-finish]]"), &request)).await;
    assert!(
        open.json_events()
            .iter()
            .all(|chunk| chunk["choices"][0]["finish_reason"].is_null())
    );
}

#[tokio::test]
async fn errors_are_worded_as_openai_does() {
    let mut stage = Stage::new(HEADERS).await;
    let limited = stage.ask(PATH, &asking("[[error-429]]")).await;
    assert_eq!(
        (limited.status, &limited.json()["error"]["code"]),
        (429, &json!("rate_limit_exceeded"))
    );
    assert!(limited.head.contains("retry-after: 7\r\n") && limited.head.contains("x-ratelimit-remaining-requests"));
    let long = stage.ask(PATH, &asking("[[error-context]]")).await;
    assert_eq!(
        (long.status, &long.json()["error"]["code"]),
        (400, &json!("context_length_exceeded"))
    );
    for (name, status) in [
        ("401", 401),
        ("403", 403),
        ("404", 404),
        ("413", 413),
        ("500", 500),
        ("503", 503),
    ] {
        assert_eq!(
            stage.ask(PATH, &asking(&format!("[[error-{name}]]"))).await.status,
            status
        );
    }
}
