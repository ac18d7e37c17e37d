//! The strict persona of OpenAI's responses.
#![cfg(test)]

mod support;

use serde_json::{Value, json};
use support::{Stage, with};

const PATH: &str = "/v1/responses";
const HEADERS: &[(&str, &str)] = &[("authorization", "Bearer sk-good")];

fn asking(text: &str) -> Value {
    json!({"model": "gpt-5", "input": text, "store": false, "include": ["reasoning.encrypted_content"], "tools": [
        {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}},
    ]})
}

fn input(items: &Value) -> Value {
    let mut all = vec![json!({"role": "user", "content": "hi"})];
    all.extend(items.as_array().unwrap().clone());
    json!({"input": all})
}

#[tokio::test]
async fn what_breaks_a_rule_is_refused() {
    let mut stage = Stage::new(HEADERS).await;
    let call = json!({"type": "function_call", "call_id": "a", "name": "weather", "arguments": "{}"});
    let output = json!({"type": "function_call_output", "call_id": "a", "output": "x"});
    let reasoning = json!({"type": "reasoning", "id": "rs_1", "summary": []});
    let foreign = with(&reasoning, &json!({"encrypted_content": "Z3cx"}));
    let cases = [
        (json!({"stop": "x"}), 400, "Unknown parameter: 'stop'."),
        (json!({"input": null}), 400, "Missing required parameter: 'input'."),
        (json!({"max_output_tokens": 15}), 400, "Expected a value >= 16"),
        (
            json!({"text": {"format": {"type": "json_schema", "schema": {}}}}),
            400,
            "text.format.name",
        ),
        (
            json!({"tools": [{"type": "function", "function": {"name": "f"}}]}),
            400,
            "tools[0].function",
        ),
        (input(&json!([call])), 400, "No tool output found for function call a."),
        (
            input(&json!([output])),
            400,
            "No tool call found for function call output with call_id a.",
        ),
        (
            input(&json!([with(&call, &json!({"id": "call_1"})), output])),
            400,
            "Expected an ID that begins with 'fc'.",
        ),
        (
            input(&json!([reasoning, call, output])),
            404,
            "not persisted when `store` is set to false",
        ),
        (input(&json!([foreign, call, output])), 400, "invalid_encrypted_content"),
        (
            input(&json!([{"role": "assistant", "content": [{"type": "input_text", "text": "x"}]}])),
            400,
            "'output_text', 'refusal'",
        ),
        (
            input(&json!([{"role": "user", "content": [{"type": "text", "text": "x"}]}])),
            400,
            "Supported values are: 'input_text'",
        ),
    ];
    stage.refuses(PATH, &asking("hi"), &cases).await;
}

#[tokio::test]
async fn reasoning_can_be_sent_back() {
    let mut stage = Stage::new(HEADERS).await;
    let answer = stage.play(PATH, &asking("[[reasoning-tool]]")).await;
    let output = answer["output"].as_array().unwrap();
    assert_eq!(output[0]["summary"][0]["text"], "Let me think about this.");
    assert_eq!(output[1]["arguments"], "{\"city\":\"Paris\"}");
    assert_eq!(answer["usage"]["output_tokens_details"]["reasoning_tokens"], 3);
    let result = json!({"type": "function_call_output", "call_id": output[1]["call_id"], "output": "sun"});
    let items = input(&json!([output[0], output[1], result]));
    let last = stage.play(PATH, &with(&asking(""), &items)).await;
    let id = output[1]["call_id"].as_str().unwrap();
    assert_eq!(
        last["output"][0]["content"][0]["text"],
        format!("Tool said: [{id}] sun")
    );
}

#[tokio::test]
async fn streams_are_numbered_and_complete() {
    let mut stage = Stage::new(HEADERS).await;
    for name in [
        "text",
        "parallel",
        "reasoning",
        "refusal",
        "citations",
        "max-tokens",
        "blocked",
    ] {
        let asked = asking(&format!("[[{name}]]"));
        let whole = stage.play(PATH, &asked).await;
        let events = stage
            .ask(PATH, &with(&asked, &json!({"stream": true})))
            .await
            .json_events();
        assert!(
            events
                .iter()
                .enumerate()
                .all(|(place, event)| event["sequence_number"] == place),
            "{name}"
        );
        let last = &events.last().unwrap()["response"];
        assert_eq!(last["status"], whole["status"], "{name}");
        let done: Vec<&Value> = events
            .iter()
            .filter(|event| event["type"] == "response.output_item.done")
            .map(|event| &event["item"])
            .collect();
        assert_eq!(json!(done), last["output"], "{name}");
    }
    let request = with(&asking("[[error-mid-stream]]"), &json!({"stream": true}));
    let failed = stage.ask(PATH, &request).await.json_events();
    assert_eq!(failed.last().unwrap()["response"]["error"]["code"], "server_error");
}

#[tokio::test]
async fn input_tokens_are_counted() {
    let counted = Stage::new(HEADERS)
        .await
        .ask("/as/openai-responses/v1/responses/input_tokens", &asking("hi"))
        .await;
    assert_eq!(
        counted.json(),
        json!({"object": "response.input_tokens", "input_tokens": 13})
    );
}
