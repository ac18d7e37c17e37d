//! The persona answers chat completions and models as an OpenAI-like provider does.
#![cfg(test)]

mod support;

use mynah_understudy::{Script, Understudy};
use serde_json::{Value, json};
use support::{Answer, Client};

async fn persona() -> (Understudy, Client) {
    let understudy = Understudy::start(Script::new()).await.unwrap();
    let client = Client::new(&understudy).await;
    (understudy, client)
}

async fn chat(extra: Value) -> Answer {
    let mut body = json!({"model": "gpt-4o", "messages": [{"role": "user", "content": "hello there"}]});
    body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    let (_understudy, mut client) = persona().await;
    client.post("/v1/chat/completions", &body).await
}

fn weather() -> Value {
    json!([{"type": "function", "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    }}])
}

#[tokio::test]
async fn models_are_listed() {
    let (_understudy, mut client) = persona().await;
    let list = client.get("/v1/models").await.json();
    assert_eq!(
        (&list["object"], &list["data"][0]["object"]),
        (&json!("list"), &json!("model"))
    );
    assert_eq!(client.get("/v1/models/gpt-4o").await.json()["id"], "gpt-4o");
    let missing = client.get("/v1/models/none").await;
    assert_eq!(
        (missing.status, &missing.json()["error"]["code"]),
        (404, &json!("model_not_found"))
    );
}

#[tokio::test]
async fn the_usual_headers_are_there() {
    let (_understudy, mut client) = persona().await;
    client.get("/v1/models").await;
    let head = client.get("/models").await.head;
    for header in [
        "x-request-id: req_understudy_2",
        "openai-processing-ms: ",
        "x-ratelimit-remaining-tokens: ",
    ] {
        assert!(head.contains(header), "{header} in {head}");
    }
}

#[tokio::test]
async fn chat_echoes_the_last_user_text() {
    let answer = chat(json!({})).await.json();
    assert_eq!(answer["object"], "chat.completion");
    assert_eq!(answer["model"], "gpt-4o");
    assert_eq!(
        answer["choices"],
        json!([{
            "index": 0,
            "message": {
                "role": "assistant", "content": "understudy heard: hello there", "refusal": null, "annotations": [],
            },
            "logprobs": null,
            "finish_reason": "stop",
        }])
    );
    assert_eq!(answer["usage"]["completion_tokens"], 4);
    assert_eq!(chat(json!({})).await.json(), answer);
}

#[tokio::test]
async fn chat_streams_piece_by_piece() {
    let answer = chat(json!({"stream": true})).await;
    assert!(answer.head.contains("content-type: text/event-stream"));
    let chunks = answer.json_events();
    assert_eq!(
        chunks[0]["choices"][0]["delta"],
        json!({"role": "assistant", "content": "", "refusal": null})
    );
    let content: String = chunks
        .iter()
        .filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str())
        .collect();
    assert_eq!(content, "understudy heard: hello there");
    assert_eq!(chunks.last().unwrap()["choices"][0]["finish_reason"], "stop");
    assert_eq!(answer.events().last().unwrap(), "[DONE]");
    assert!(
        chunks
            .iter()
            .all(|chunk| chunk.get("usage").is_none() && chunk["id"] == chunks[0]["id"])
    );
}

#[tokio::test]
async fn usage_is_streamed_if_asked_for() {
    let chunks = chat(json!({"stream": true, "stream_options": {"include_usage": true}}))
        .await
        .json_events();
    let (last, others) = chunks.split_last().unwrap();
    assert_eq!(last["choices"], json!([]));
    assert_eq!(last["usage"]["completion_tokens"], 4);
    assert!(
        others
            .iter()
            .all(|chunk| chunk["usage"].is_null() && chunk.get("usage").is_some())
    );
}

#[tokio::test]
async fn limits_and_stops_are_kept() {
    let choice = |answer: Answer| answer.json()["choices"][0].clone();
    let short = choice(chat(json!({"max_tokens": 2})).await);
    assert_eq!(
        (&short["message"]["content"], &short["finish_reason"]),
        (&json!("understudy heard: "), &json!("length"))
    );
    let stopped = choice(chat(json!({"stop": ["there"]})).await);
    assert_eq!(stopped["message"]["content"], "understudy heard: hello ");
}

#[tokio::test]
async fn several_choices_are_given() {
    assert_eq!(chat(json!({"n": 3})).await.json()["choices"][2]["index"], 2);
    let chunks = chat(json!({"n": 2, "stream": true})).await.json_events();
    let ends: Vec<&Value> = chunks
        .iter()
        .map(|chunk| &chunk["choices"][0])
        .filter(|choice| choice["finish_reason"] == "stop")
        .map(|choice| &choice["index"])
        .collect();
    assert_eq!(ends, [0, 1]);
}

#[tokio::test]
async fn tools_are_called_when_they_must_be() {
    let choice = &chat(json!({"tools": weather(), "tool_choice": "required"}))
        .await
        .json()["choices"][0];
    assert_eq!(choice["finish_reason"], "tool_calls");
    assert_eq!(choice["message"]["content"], Value::Null);
    let call = &choice["message"]["tool_calls"][0];
    assert_eq!(
        call["function"],
        json!({"name": "weather", "arguments": "{\"city\":\"hello there\"}"})
    );
    let quiet = chat(json!({"tools": weather()})).await.json();
    assert_eq!(quiet["choices"][0]["finish_reason"], "stop");
}

#[tokio::test]
async fn tool_calls_are_streamed_name_first() {
    let messages = json!([{"role": "user", "content": "what weather is it"}]);
    let chunks = chat(json!({"tools": weather(), "messages": messages, "stream": true}))
        .await
        .json_events();
    let calls: Vec<&Value> = chunks
        .iter()
        .filter_map(|chunk| chunk["choices"][0]["delta"].get("tool_calls"))
        .map(|calls| &calls[0])
        .collect();
    assert_eq!(calls[0]["function"], json!({"name": "weather", "arguments": ""}));
    assert!(calls[0]["id"].is_string() && calls[0]["type"] == "function");
    assert!(
        calls.len() > 2
            && calls
                .iter()
                .skip(1)
                .all(|call| call.get("id").is_none() && call["index"] == 0)
    );
    let arguments: String = calls
        .iter()
        .filter_map(|call| call["function"]["arguments"].as_str())
        .collect();
    assert_eq!(
        serde_json::from_str::<Value>(&arguments).unwrap(),
        json!({"city": "what weather is it"})
    );
    assert_eq!(chunks.last().unwrap()["choices"][0]["finish_reason"], "tool_calls");
}

#[tokio::test]
async fn the_result_of_a_tool_is_answered_in_words() {
    let messages = json!([
        {"role": "user", "content": "weather?"},
        {"role": "assistant", "content": null, "tool_calls": [
            {"id": "c", "type": "function", "function": {"name": "weather", "arguments": "{}"}},
        ]},
        {"role": "tool", "tool_call_id": "c", "content": "rain"},
    ]);
    let answer = chat(json!({"tools": weather(), "messages": messages})).await.json();
    assert_eq!(
        answer["choices"][0]["message"]["content"],
        "understudy heard: weather?; the tool said: rain"
    );
}

#[tokio::test]
async fn structured_output_is_json() {
    let content = |answer: Answer| -> Value {
        serde_json::from_str(answer.json()["choices"][0]["message"]["content"].as_str().unwrap()).unwrap()
    };
    assert_eq!(
        content(chat(json!({"response_format": {"type": "json_object"}})).await),
        json!({"heard": "hello there"})
    );
    let format = json!({"type": "json_schema", "json_schema": {"name": "x", "schema": {
        "type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"],
    }}});
    assert_eq!(
        content(chat(json!({"response_format": format})).await),
        json!({"word": "hello there"})
    );
}

#[tokio::test]
async fn wrong_requests_get_errors_in_the_right_shape() {
    let (_understudy, mut client) = persona().await;
    for (path, body, status, param) in [
        ("/v1/chat/completions", json!({"messages": []}), 400, json!("model")),
        ("/v1/chat/completions", json!({"model": "m"}), 400, json!("messages")),
        ("/v1/responses", json!({"model": "m"}), 400, json!("input")),
        (
            "/v1/embeddings",
            json!({"model": "m", "input": ""}),
            400,
            json!("input"),
        ),
        ("/v1/nowhere", json!({}), 404, Value::Null),
    ] {
        let answer = client.post(path, &body).await;
        let error = &answer.json()["error"];
        assert_eq!((answer.status, &error["param"]), (status, &param), "{path} {body}");
        assert!(
            error["message"].is_string() && error["type"] == "invalid_request_error" && error.get("code").is_some()
        );
    }
    let broken = client
        .post_bytes("/v1/chat/completions", "application/json", b"{")
        .await;
    assert_eq!(broken.status, 400);
}

#[tokio::test]
async fn other_prefixes_work() {
    let (_understudy, mut client) = persona().await;
    let body = json!({"messages": [{"role": "user", "content": "hi"}]});
    let path = "/openai/deployments/mine/chat/completions?api-version=2024-10-21";
    let answer = client.post(path, &body).await;
    assert_eq!((answer.status, &answer.json()["model"]), (200, &json!("mine")));
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    assert_eq!(client.post("/chat/completions", &body).await.status, 200);
}

#[tokio::test]
async fn magic_models_do_what_they_say() {
    let limited = chat(json!({"model": "status-429"})).await;
    assert_eq!(
        (limited.status, &limited.json()["error"]["code"]),
        (429, &json!("rate_limit_exceeded"))
    );
    assert!(limited.head.contains("retry-after: 1\r\n"));
    assert_eq!(chat(json!({"model": "status-503"})).await.status, 503);

    let (understudy, mut client) = persona().await;
    let request = |model: &str| {
        let body = json!({"model": model, "messages": [{"role": "user", "content": "hi"}]}).to_string();
        format!(
            "POST /v1/chat/completions HTTP/1.1\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    client.send(request("cut-10")).await;
    let (text, _) = client.rest().await;
    assert_eq!(text.split_once("\r\n\r\n").unwrap().1.len(), 10);
    let mut client = Client::new(&understudy).await;
    client.send(request("garbage")).await;
    assert!(!client.rest().await.0.starts_with("HTTP/"));
    let mut client = Client::new(&understudy).await;
    client.send(request("hang")).await;
    understudy.wait_received(3).await;
    drop(client);
    understudy.wait_aborted(1).await;
}

#[tokio::test(start_paused = true)]
async fn slow_models_are_slow() {
    let begin = tokio::time::Instant::now();
    let events = chat(json!({"model": "slow-100", "stream": true})).await.events().len();
    assert!(begin.elapsed() >= std::time::Duration::from_millis(100) * u32::try_from(events).unwrap());
}
