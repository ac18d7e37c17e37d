//! The persona of Anthropic.
#![cfg(test)]

mod support;

use serde_json::{Value, json};
use support::{Stage, with};

const PATH: &str = "/v1/messages";
const HEADERS: &[(&str, &str)] = &[("x-api-key", "sk-ant-good"), ("anthropic-version", "2023-06-01")];

fn asking(text: &str) -> Value {
    json!({"model": "claude-x", "max_tokens": 4096, "messages": [{"role": "user", "content": text}], "tools": [
        {"name": "weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}},
    ]})
}

fn after(messages: &Value) -> Value {
    let mut all = vec![json!({"role": "user", "content": "hi"})];
    all.extend(messages.as_array().unwrap().clone());
    json!({"messages": all})
}

fn user(block: &Value) -> Value {
    json!({"messages": [{"role": "user", "content": [block]}]})
}

#[tokio::test]
async fn what_breaks_a_rule_is_refused() {
    let mut stage = Stage::new(HEADERS).await;
    let thinking = json!({"type": "enabled", "budget_tokens": 1024});
    let marked = json!({"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}});
    let image = |media_type: &str| json!({"type": "image", "source": {"type": "base64", "media_type": media_type, "data": "iVBORw0K"}});
    let cases = [
        (json!({"max_tokens": null}), 400, "max_tokens: Field required"),
        (json!({"stop": "x"}), 400, "stop: Extra inputs are not permitted"),
        (
            json!({"context_management": {}}),
            400,
            "context_management: Extra inputs are not permitted",
        ),
        (json!({"temperature": 1.5}), 400, "temperature: range: 0..1"),
        (
            json!({"thinking": {"type": "enabled", "budget_tokens": 1000}}),
            400,
            "greater than or equal to 1024",
        ),
        (
            json!({"thinking": {"type": "enabled", "budget_tokens": 4096}}),
            400,
            "must be greater than `thinking.budget_tokens`",
        ),
        (
            json!({"thinking": thinking, "tool_choice": {"type": "any"}}),
            400,
            "forces tool use",
        ),
        (
            json!({"thinking": thinking, "temperature": 0.5}),
            400,
            "may only be set to 1",
        ),
        (
            json!({"tools": [{"name": "f", "input_schema": {"type": "array"}}]}),
            400,
            "Input should be 'object'",
        ),
        (
            json!({"tools": [{"name": "a.b", "input_schema": {"type": "object"}}]}),
            400,
            "should match pattern",
        ),
        (
            json!({"tools": null, "tool_choice": {"type": "auto"}}),
            400,
            "while providing tools",
        ),
        (
            json!({"messages": [{"role": "user", "content": [marked, marked, marked, marked, marked]}]}),
            400,
            "Found 5.",
        ),
        (
            json!({"messages": [{"role": "assistant", "content": "x"}]}),
            400,
            "first message must use the \"user\" role",
        ),
        (
            user(&json!({"type": "text", "text": ""})),
            400,
            "text content blocks must be non-empty",
        ),
        (
            user(&json!({"type": "text", "text": "x", "foo": 1})),
            400,
            "messages.0.content.0.text.foo: Extra inputs",
        ),
        (user(&image("image/bmp")), 400, "media_type: Input should be"),
        (user(&image("image/jpeg")), 400, "appears to be a image/png image"),
        (
            after(
                &json!([{"role": "assistant", "content": [{"type": "thinking", "thinking": "a", "signature": "Zm9v"}]}]),
            ),
            400,
            "Invalid `signature` in `thinking` block",
        ),
    ];
    stage.refuses(PATH, &asking("hi"), &cases).await;
}

#[tokio::test]
async fn calls_and_results_must_belong_together() {
    let mut stage = Stage::new(HEADERS).await;
    let uses = |ids: &[&str]| {
        let blocks: Vec<Value> = ids
            .iter()
            .map(|id| json!({"type": "tool_use", "id": id, "name": "weather", "input": {}}))
            .collect();
        json!({"role": "assistant", "content": blocks})
    };
    let result = |id: &str| json!({"type": "tool_result", "tool_use_id": id, "content": "x"});
    let text = json!({"type": "text", "text": "x"});
    let answered = |blocks: Value| json!({"role": "user", "content": blocks});
    let cases = [
        (
            after(&json!([uses(&["a"])])),
            400,
            "without `tool_result` blocks immediately after: a",
        ),
        (
            after(&json!([uses(&["a", "b"]), answered(json!([result("a")]))])),
            400,
            "immediately after: b",
        ),
        (
            after(&json!([uses(&["a"]), answered(json!([text, result("a")]))])),
            400,
            "immediately after: a",
        ),
        (
            after(&json!([uses(&["a"]), answered(json!([result("a"), result("c")]))])),
            400,
            "unexpected `tool_use_id`",
        ),
        (
            after(&json!([uses(&["a.b"]), answered(json!([result("a.b")]))])),
            400,
            "^[a-zA-Z0-9_-]+$",
        ),
        (
            after(&json!([uses(&["a", "a"]), answered(json!([result("a")]))])),
            400,
            "ids must be unique",
        ),
        (
            with(
                &after(&json!([uses(&["a"]), answered(json!([result("a")]))])),
                &json!({"thinking": {"type": "enabled", "budget_tokens": 1024}}),
            ),
            400,
            "Expected `thinking`",
        ),
    ];
    stage.refuses(PATH, &asking("hi"), &cases).await;
}

#[tokio::test]
async fn the_head_is_checked() {
    for (headers, status, kind) in [
        (&[("anthropic-version", "2023-06-01")][..], 401, "authentication_error"),
        (
            &[("anthropic-version", "2023-06-01"), ("x-api-key", "bad")][..],
            401,
            "authentication_error",
        ),
        (&[("authorization", "Bearer good")][..], 400, "invalid_request_error"),
    ] {
        let answer = Stage::new(headers).await.ask(PATH, &asking("hi")).await;
        assert_eq!((answer.status, &answer.json()["error"]["type"]), (status, &json!(kind)));
    }
}

#[tokio::test]
async fn thinking_can_be_sent_back() {
    let mut stage = Stage::new(HEADERS).await;
    let thinking = json!({"thinking": {"type": "enabled", "budget_tokens": 1024}});
    let answer = stage.play(PATH, &with(&asking("[[reasoning-tool]]"), &thinking)).await;
    assert_eq!(answer["stop_reason"], "tool_use");
    assert_eq!(answer["content"][1]["input"], json!({"city": "Paris"}));
    assert_eq!(answer["usage"]["output_tokens_details"]["thinking_tokens"], 3);
    let id = answer["content"][1]["id"].as_str().unwrap();
    let result = json!({"type": "tool_result", "tool_use_id": id, "is_error": true, "content": [
        {"type": "text", "text": "no"},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0K"}},
    ]});
    let messages = after(&json!([
        {"role": "assistant", "content": answer["content"].as_array().unwrap().iter().map(|block| {
            with(block, &json!({"citations": null}))
        }).collect::<Vec<_>>()},
        {"role": "user", "content": [result]},
    ]));
    let last = stage.play(PATH, &with(&with(&asking(""), &thinking), &messages)).await;
    assert_eq!(
        last["content"][0]["text"],
        format!("Tool said: [{id}] (error) no; [image/png, 6 bytes]")
    );
}

#[tokio::test]
async fn scenarios_end_as_they_should() {
    let mut stage = Stage::new(HEADERS).await;
    for (name, reason) in [
        ("text", "end_turn"),
        ("max-tokens", "max_tokens"),
        ("refusal", "refusal"),
        ("stop-sequence", "stop_sequence"),
        ("redacted", "end_turn"),
        ("empty-args", "tool_use"),
    ] {
        let asked = with(&asking(&format!("[[{name}]]")), &json!({"stop_sequences": ["END"]}));
        let whole = stage.play(PATH, &asked).await;
        assert_eq!(whole["stop_reason"], reason, "{name}");
        let events = stage
            .ask(PATH, &with(&asked, &json!({"stream": true})))
            .await
            .json_events();
        let starts = events
            .iter()
            .filter(|event| event["type"] == "content_block_start")
            .count();
        assert_eq!(starts, whole["content"].as_array().unwrap().len(), "{name}");
        let delta = &events[events.len() - 2];
        assert_eq!(delta["delta"]["stop_sequence"], whole["stop_sequence"], "{name}");
        assert_eq!(delta["usage"]["output_tokens"], 9, "{name}");
        assert_eq!(events.last().unwrap(), &json!({"type": "message_stop"}), "{name}");
    }
    let cached = stage.play(PATH, &asking("[[usage-cache]]")).await;
    let usage = &cached["usage"];
    assert_eq!(
        [
            &usage["input_tokens"],
            &usage["cache_read_input_tokens"],
            &usage["cache_creation_input_tokens"]
        ],
        [7, 4, 2]
    );
}

#[tokio::test]
async fn errors_pings_counts_and_models_are_there() {
    let mut stage = Stage::new(HEADERS).await;
    let overloaded = stage.ask(PATH, &asking("[[error-529]]")).await;
    assert_eq!(
        (overloaded.status, &overloaded.json()["error"]["type"]),
        (529, &json!("overloaded_error"))
    );
    let limited = stage.ask(PATH, &asking("[[error-429]]")).await;
    assert!(
        limited.head.contains("retry-after: 7\r\n") && limited.head.contains("anthropic-ratelimit-tokens-reset: 2")
    );
    let long = stage.ask(PATH, &asking("[[error-context]]")).await;
    assert!(long.text().contains("prompt is too long"));
    let pinged = stage
        .ask(PATH, &with(&asking("[[pings]]"), &json!({"stream": true})))
        .await;
    assert!(pinged.text().contains("event: ping\ndata: {\"type\":\"ping\"}\n\n"));
    let count = stage
        .play(
            "/v1/messages/count_tokens",
            &with(&asking("hi"), &json!({"max_tokens": null})),
        )
        .await;
    assert_eq!(count, json!({"input_tokens": 13}));
    assert_eq!(
        stage.list("/v1/models?limit=1000").await.json()["data"][0]["type"],
        "model"
    );
}
