//! The persona of Cohere, and the reranker in the manner of Jina.
#![cfg(test)]

mod support;

use serde_json::{Value, json};
use support::{Stage, with};

const PATH: &str = "/v2/chat";
const HEADERS: &[(&str, &str)] = &[("authorization", "Bearer good"), ("x-client-name", "test")];

fn asking(text: &str) -> Value {
    json!({"model": "command-a", "messages": [{"role": "user", "content": text}], "tools": [
        {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}},
    ]})
}

fn after(messages: &Value) -> Value {
    let mut all = vec![json!({"role": "user", "content": "hi"})];
    all.extend(messages.as_array().unwrap().clone());
    json!({"messages": all})
}

fn call(arguments: &Value) -> Value {
    json!({"role": "assistant", "tool_calls": [
        {"id": "a", "type": "function", "function": {"name": "weather", "arguments": arguments}},
    ]})
}

#[tokio::test]
async fn what_breaks_a_rule_is_refused() {
    let mut stage = Stage::new(HEADERS).await;
    let result = json!({"role": "tool", "tool_call_id": "a", "content": "x"});
    let cases = [
        (json!({"top_p": 0.5}), 422, "unknown field 'top_p'"),
        (json!({"p": 1.0}), 400, "p must be between 0.01 and 0.99 inclusive."),
        (json!({"p": 0.0}), 400, "p must be between"),
        (
            json!({"presence_penalty": -0.5}),
            400,
            "presence_penalty must be between 0 and 1",
        ),
        (json!({"tool_choice": "auto"}), 422, "'REQUIRED' or 'NONE'"),
        (
            json!({"tools": null, "tool_choice": "NONE"}),
            400,
            "if tools are provided",
        ),
        (
            json!({"response_format": {"type": "json_object"}}),
            400,
            "cannot specify both tools",
        ),
        (json!({"messages": []}), 400, "at least one message"),
        (
            after(&json!([{"role": "assistant", "content": "x"}])),
            400,
            "the last message must",
        ),
        (
            after(&json!([call(&json!("{}")), {"role": "user", "content": "x"}])),
            400,
            "missing: a",
        ),
        (after(&json!([result])), 400, "does not match any tool call"),
        (
            after(&json!([call(&json!({})), result])),
            422,
            "arguments must be a string",
        ),
        (
            after(&json!([call(&json!("no")), result])),
            400,
            "must be a JSON object",
        ),
    ];
    stage.refuses(PATH, &asking("hi"), &cases).await;
    let keyless = Stage::new(&[]).await.ask(PATH, &asking("hi")).await;
    assert_eq!(
        (keyless.status, &keyless.json()["message"]),
        (401, &json!("no api key supplied"))
    );
}

#[tokio::test]
async fn streams_say_the_same_as_whole_replies() {
    let mut stage = Stage::new(HEADERS).await;
    for (name, reason) in [
        ("text", "COMPLETE"),
        ("text-then-tool", "TOOL_CALL"),
        ("reasoning", "COMPLETE"),
        ("citations", "COMPLETE"),
        ("max-tokens", "MAX_TOKENS"),
    ] {
        let asked = asking(&format!("[[{name}]]"));
        let whole = stage.play(PATH, &asked).await;
        assert_eq!(whole["finish_reason"], reason, "{name}");
        let events = stage
            .ask(PATH, &with(&asked, &json!({"stream": true})))
            .await
            .json_events();
        let last = &events.last().unwrap()["delta"];
        assert_eq!(
            (&last["finish_reason"], &last["usage"]),
            (&whole["finish_reason"], &whole["usage"]),
            "{name}"
        );
        let said = |pointer: &str| -> String {
            events
                .iter()
                .filter_map(|event| event.pointer(pointer)?.as_str())
                .collect()
        };
        let plan = whole["message"]["tool_plan"].as_str().unwrap_or_default();
        assert_eq!(said("/delta/message/tool_plan"), plan, "{name}");
        let arguments = whole["message"]["tool_calls"][0]["function"]["arguments"]
            .as_str()
            .unwrap_or_default();
        assert_eq!(
            said("/delta/message/tool_calls/function/arguments"),
            arguments,
            "{name}"
        );
    }
    let usage = stage.play(PATH, &asking("[[usage-cache]]")).await["usage"].clone();
    assert_eq!(
        (&usage["tokens"]["input_tokens"], &usage["cached_tokens"]),
        (&json!(13.0), &json!(4.0))
    );
}

#[tokio::test]
async fn results_and_errors_are_told() {
    let mut stage = Stage::new(HEADERS).await;
    let document = json!([{"type": "document", "document": {"data": {"sky": "blue"}}}]);
    let messages = after(&json!([call(&json!("{}")), {"role": "tool", "tool_call_id": "a", "content": document}]));
    let answer = stage.play(PATH, &with(&asking(""), &messages)).await;
    assert_eq!(
        answer["message"]["content"][0]["text"],
        "Tool said: [a] {\"sky\":\"blue\"}"
    );
    let limited = stage.ask(PATH, &asking("[[error-429]]")).await;
    assert!(limited.status == 429 && limited.head.contains("retry-after: 7\r\n"));
    let failed = stage
        .ask(PATH, &with(&asking("[[error-mid-stream]]"), &json!({"stream": true})))
        .await
        .json_events();
    assert_eq!(failed.last().unwrap()["delta"]["finish_reason"], "ERROR");
}

#[tokio::test]
async fn texts_are_embedded_and_ranked() {
    let mut stage = Stage::new(HEADERS).await;
    let embed =
        json!({"model": "embed-v4.0", "input_type": "search_query", "texts": ["a", "b"], "embedding_types": ["float"]});
    stage
        .refuses(
            "/v2/embed",
            &embed,
            &[(json!({"input_type": null}), 400, "valid input_type")],
        )
        .await;
    let embedded = stage.play("/v2/embed", &embed).await;
    assert_eq!(embedded["embeddings"]["float"].as_array().unwrap().len(), 2);
    let rerank = json!({"model": "rerank", "query": "q", "documents": ["a", "b", "c"], "top_n": 2});
    let results = json!([{"index": 2, "relevance_score": 0.9}, {"index": 1, "relevance_score": 0.45}]);
    assert_eq!(stage.play("/v2/rerank", &rerank).await["results"], results);
    stage
        .refuses(
            "/v2/rerank",
            &rerank,
            &[(json!({"return_documents": true}), 422, "unknown field")],
        )
        .await;
    assert_eq!(
        stage.play("/v1/rerank", &rerank).await["results"][0]["document"],
        json!({"text": "c"})
    );
    assert_eq!(
        stage.list("/v1/models").await.json()["models"][0]["endpoints"],
        json!(["chat"])
    );
}
