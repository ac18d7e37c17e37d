//! The persona of Gemini.
#![cfg(test)]

mod support;

use serde_json::{Value, json};
use support::{Stage, with};

const PATH: &str = "/v1beta/models/gemini-2.5-flash:generateContent";
const PATH_3: &str = "/v1beta/models/gemini-3-pro-preview:generateContent";
const HEADERS: &[(&str, &str)] = &[("x-goog-api-key", "good")];

fn asking(text: &str) -> Value {
    json!({"contents": [{"role": "user", "parts": [{"text": text}]}], "tools": [{"functionDeclarations": [
        {"name": "weather", "parametersJsonSchema": {"type": "object", "additionalProperties": false, "$defs": {}}},
    ]}]})
}

fn after(contents: &Value) -> Value {
    let mut all = vec![json!({"role": "user", "parts": [{"text": "hi"}]})];
    all.extend(contents.as_array().unwrap().clone());
    json!({"contents": all})
}

fn parameters(schema: &Value) -> Value {
    json!({"tools": [{"functionDeclarations": [{"name": "f", "parameters": schema}]}]})
}

#[tokio::test]
async fn what_breaks_a_rule_is_refused() {
    let mut stage = Stage::new(HEADERS).await;
    let call = json!({"role": "model", "parts": [{"functionCall": {"name": "weather", "args": {}}}]});
    let response = |name: &str, response: Value| json!({"role": "user", "parts": [{"functionResponse": {"name": name, "response": response}}]});
    let fine = response("weather", json!({"output": "x"}));
    let signed = json!({"role": "model", "parts": [{"text": "x", "thoughtSignature": "Zm9v"}]});
    let next = json!({"role": "user", "parts": [{"text": "x"}]});
    let cases = [
        (
            json!({"stop": 1}),
            400,
            "Invalid JSON payload received. Unknown name \"stop\": Cannot find field.",
        ),
        (json!({"contents": []}), 400, "contents is not specified"),
        (
            json!({"generationConfig": {"maxTokens": 1}}),
            400,
            "Unknown name \"maxTokens\" at 'generation_config'",
        ),
        (json!({"generationConfig": {"temperature": 3}}), 400, "temperature"),
        (
            json!({"generationConfig": {"responseSchema": {"type": "OBJECT"}}}),
            400,
            "only supported with response mime type",
        ),
        (
            parameters(&json!({"type": "object", "additionalProperties": false})),
            400,
            "Unknown name \"additionalProperties\"",
        ),
        (
            parameters(&json!({"type": "object", "properties": {"a": {"$ref": "#"}}})),
            400,
            "Unknown name \"$ref\"",
        ),
        (
            parameters(&json!({"type": ["string", "null"]})),
            400,
            "cannot start list",
        ),
        (
            json!({"toolConfig": {"functionCallingConfig": {"mode": "AUTO", "allowedFunctionNames": ["weather"]}}}),
            400,
            "mode is ANY",
        ),
        (after(&json!([next])), 400, "alternate between user and model"),
        (after(&json!([call, next])), 400, "number of function response parts"),
        (after(&json!([call])), 400, "number of function response parts"),
        (after(&json!([call, response("other", json!({}))])), 400, "has the name"),
        (
            after(&json!([call, response("weather", json!("x"))])),
            400,
            "google.protobuf.Struct",
        ),
        (
            after(&json!([call, response("", json!({}))])),
            400,
            "Name cannot be empty",
        ),
        (
            json!({"contents": [fine]}),
            400,
            "immediately after a function call turn",
        ),
        (after(&json!([signed, next])), 400, "Corrupted thought signature"),
    ];
    stage.refuses(PATH, &asking("hi"), &cases).await;
    let unsigned = [(after(&json!([call, fine])), 400, "missing a thought_signature")];
    stage.refuses(PATH_3, &asking("hi"), &unsigned).await;
    let skipped = json!({"role": "model", "parts": [{
        "functionCall": {"name": "weather"}, "thoughtSignature": "skip_thought_signature_validator",
    }]});
    stage
        .play(PATH_3, &with(&asking("hi"), &after(&json!([skipped, fine]))))
        .await;
}

#[tokio::test]
async fn both_spellings_and_key_places_are_taken() {
    let mut stage = Stage::new(&[]).await;
    let request = json!({
        "contents": [{"parts": [{"inline_data": {"mime_type": "image/png", "data": "__77"}}, {"text": "[[image]]"}]}],
        "generation_config": {"max_output_tokens": 20, "thinking_config": {"include_thoughts": true}},
        "tools": [{"function_declarations": [{"name": "f", "parameters_json_schema": {"type": "object"}}]}],
    });
    let answer = stage
        .play("/v1/models/gemini-2.5-flash%3AgenerateContent?key=good", &request)
        .await;
    assert_eq!(
        answer["candidates"][0]["content"]["parts"][0]["text"],
        "I see: image/png, 3 bytes"
    );
    assert_eq!(stage.ask(PATH, &request).await.status, 403);
    let wrong = stage.ask("/v1beta/models/x:generateContent?key=bad", &request).await;
    assert_eq!(
        (wrong.status, &wrong.json()["error"]["details"][0]["reason"]),
        (400, &json!("API_KEY_INVALID"))
    );
}

#[tokio::test]
async fn signatures_can_be_sent_back() {
    let mut stage = Stage::new(HEADERS).await;
    let answer = stage.play(PATH_3, &asking("[[reasoning-tool]]")).await;
    let content = &answer["candidates"][0]["content"];
    assert_eq!(answer["candidates"][0]["finishReason"], "STOP");
    assert_eq!(answer["usageMetadata"]["candidatesTokenCount"], 6);
    assert_eq!(answer["usageMetadata"]["thoughtsTokenCount"], 3);
    let id = &content["parts"][1]["functionCall"]["id"];
    let response = json!({"role": "user", "parts": [
        {"functionResponse": {"name": "weather", "id": id, "response": {"error": "no"}}},
    ]});
    let last = stage
        .play(PATH_3, &with(&asking(""), &after(&json!([content, response]))))
        .await;
    let said = format!("Tool said: [{}] (error) no", id.as_str().unwrap());
    assert_eq!(last["candidates"][0]["content"]["parts"][0]["text"], said);
}

#[tokio::test]
async fn streams_are_events_or_an_array() {
    let mut stage = Stage::new(HEADERS).await;
    let path = "/v1beta/models/gemini-2.5-flash:streamGenerateContent";
    for name in ["text", "tool", "reasoning", "blocked", "max-tokens"] {
        let asked = asking(&format!("[[{name}]]"));
        let array = stage.play(path, &asked).await;
        let events = stage.ask(&format!("{path}?alt=sse"), &asked).await.json_events();
        let strip = |chunks: &[Value]| -> Vec<Value> {
            chunks
                .iter()
                .map(|chunk| with(chunk, &json!({"responseId": null})))
                .collect()
        };
        assert_eq!(strip(array.as_array().unwrap()), strip(&events), "{name}");
    }
    let failed = stage
        .ask(&format!("{path}?alt=sse"), &asking("[[error-mid-stream]]"))
        .await;
    assert!(failed.events().last().unwrap().starts_with("{\"error\":"));
    let failed = stage.play(path, &asking("[[error-first-event]]")).await;
    assert_eq!(failed[0]["error"]["status"], "UNAVAILABLE");
}

#[tokio::test]
async fn errors_counts_embeddings_and_models_are_there() {
    let mut stage = Stage::new(HEADERS).await;
    let limited = stage.ask(PATH, &asking("[[error-429]]")).await;
    assert_eq!(
        (limited.status, &limited.json()["error"]["details"][1]["retryDelay"]),
        (429, &json!("7s"))
    );
    let blocked = stage.play(PATH, &asking("[[blocked]]")).await;
    assert_eq!(blocked["promptFeedback"]["blockReason"], "SAFETY");
    let model = "/v1beta/models/gemini-embedding-001";
    let count = stage
        .play(
            &format!("{model}:countTokens"),
            &json!({"contents": asking("x")["contents"]}),
        )
        .await;
    assert_eq!(count["totalTokens"], 13);
    let content = json!({"content": {"parts": [{"text": "x"}]}, "outputDimensionality": 3});
    let one = stage.play(&format!("{model}:embedContent"), &content).await;
    let batch = json!({"requests": [with(&content, &json!({"model": "models/gemini-embedding-001"}))]});
    let several = stage.play(&format!("{model}:batchEmbedContents"), &batch).await;
    assert_eq!(one["embedding"], several["embeddings"][0]);
    assert_eq!(one["embedding"]["values"].as_array().unwrap().len(), 3);
    assert_eq!(
        stage.list("/v1/models").await.json()["models"][1]["name"],
        "models/gemini-2.5-pro"
    );
}
