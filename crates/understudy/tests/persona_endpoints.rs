//! The persona answers on endpoints other than chat completions.
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

async fn post(path: &str, body: &Value) -> Answer {
    let (_understudy, mut client) = persona().await;
    client.post(path, body).await
}

/// A form with a file `a.bin` of five bytes and the given fields.
fn form(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, value) in fields {
        let part = format!("--b\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        body.extend_from_slice(part.as_bytes());
    }
    body.extend_from_slice(b"--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.bin\"\r\n");
    body.extend_from_slice(b"content-type: application/octet-stream\r\n\r\n\x00\xff\r\nx\r\n--b--\r\n");
    body
}

const FORM: &str = "multipart/form-data; boundary=b";

#[tokio::test]
async fn responses_are_whole() {
    let answer = post(
        "/v1/responses",
        &json!({"model": "m", "input": "hi", "metadata": {"a": "b"}}),
    )
    .await
    .json();
    assert_eq!(
        (&answer["object"], &answer["status"]),
        (&json!("response"), &json!("completed"))
    );
    assert_eq!(answer["output"][0]["content"][0]["text"], "understudy heard: hi");
    assert_eq!(answer["usage"]["input_tokens"], 1);
    assert_eq!(answer["metadata"], json!({"a": "b"}));
    for required in ["id", "created_at", "parallel_tool_calls", "tool_choice", "tools"] {
        assert!(answer.get(required).is_some(), "{required}");
    }
}

#[tokio::test]
async fn responses_are_streamed_in_full_sequence() {
    let input = json!([{"role": "user", "content": [{"type": "input_text", "text": "hi"}]}]);
    let answer = post("/v1/responses", &json!({"model": "m", "input": input, "stream": true})).await;
    let events = answer.json_events();
    let kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.content_part.added",
            "response.output_text.delta",
            "response.output_text.delta",
            "response.output_text.delta",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.completed",
        ]
    );
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], number);
        assert!(answer.text().contains(&format!("event: {}\n", kinds[number])));
    }
    assert_eq!(events[9]["item"], events[10]["response"]["output"][0]);
    assert_eq!(events[2]["item"]["content"], json!([]));
}

#[tokio::test]
async fn responses_call_functions() {
    let body = json!({
        "model": "m", "input": "call f", "stream": true,
        "tools": [
            {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {"x": {"type": "integer"}}}},
            {"type": "custom", "name": "c"},
        ],
    });
    let events = post("/v1/responses", &body).await.json_events();
    let added: Vec<&Value> = events
        .iter()
        .filter(|event| event["type"] == "response.output_item.added")
        .collect();
    assert_eq!(
        (&added[0]["item"]["type"], &added[0]["item"]["arguments"]),
        (&json!("function_call"), &json!(""))
    );
    assert_eq!(added[1]["item"]["type"], "custom_tool_call");
    let delta = "response.function_call_arguments.delta";
    let arguments: String = events
        .iter()
        .filter(|event| event["type"] == delta)
        .map(|event| event["delta"].as_str().unwrap())
        .collect();
    assert_eq!(arguments, "{\"x\":1}");
    let output = &events.last().unwrap()["response"]["output"];
    assert_eq!(
        (&output[0]["name"], &output[0]["arguments"]),
        (&json!("f"), &json!("{\"x\":1}"))
    );

    let items = json!([
        {"role": "user", "content": "call f"},
        {"type": "function_call", "call_id": "1", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "1", "output": "42"},
    ]);
    let answer = post(
        "/v1/responses",
        &json!({"model": "m", "input": items, "tools": body["tools"]}),
    )
    .await
    .json();
    assert_eq!(
        answer["output"][0]["content"][0]["text"],
        "understudy heard: call f; the tool said: 42"
    );
}

#[tokio::test]
async fn responses_may_be_incomplete() {
    let body = json!({"model": "m", "input": "hi", "max_output_tokens": 1});
    let answer = post("/v1/responses", &body).await.json();
    assert_eq!(answer["status"], "incomplete");
    assert_eq!(answer["incomplete_details"]["reason"], "max_output_tokens");
}

#[tokio::test]
async fn completions_take_several_prompts() {
    let answer = post("/v1/completions", &json!({"model": "m", "prompt": ["a", "b"], "n": 2}))
        .await
        .json();
    let texts: Vec<&str> = answer["choices"]
        .as_array()
        .unwrap()
        .iter()
        .map(|choice| choice["text"].as_str().unwrap())
        .collect();
    let heard = |prompt: &str| format!("understudy heard: {prompt}");
    assert_eq!(texts, [heard("a"), heard("a"), heard("b"), heard("b")]);
    assert_eq!(answer["object"], "text_completion");
}

#[tokio::test]
async fn completions_are_streamed() {
    let body = json!({"model": "m", "prompt": "a", "stream": true, "stream_options": {"include_usage": true}});
    let answer = post("/v1/completions", &body).await;
    let chunks = answer.json_events();
    let text: String = chunks
        .iter()
        .filter_map(|chunk| chunk["choices"][0]["text"].as_str())
        .collect();
    assert_eq!(text, "understudy heard: a");
    assert_eq!(chunks.last().unwrap()["usage"]["completion_tokens"], 3);
    assert_eq!(answer.events().last().unwrap(), "[DONE]");
}

#[tokio::test]
async fn embeddings_depend_on_the_text_alone() {
    let body = |input: Value| json!({"model": "m", "input": input, "dimensions": 4});
    let one = post("/v1/embeddings", &body(json!("a"))).await.json();
    let two = post("/v1/embeddings", &body(json!(["b", "a"]))).await.json();
    assert_eq!(one["data"][0]["embedding"], two["data"][1]["embedding"]);
    assert_ne!(two["data"][0]["embedding"], two["data"][1]["embedding"]);
    let vector: Vec<f64> = serde_json::from_value(one["data"][0]["embedding"].clone()).unwrap();
    assert_eq!(vector.len(), 4);
    assert!((vector.iter().map(|number| number * number).sum::<f64>() - 1.0).abs() < 1e-6);
    let tokens = post("/v1/embeddings", &body(json!([1, 2, 3]))).await.json();
    assert_eq!(
        (
            tokens["data"].as_array().unwrap().len(),
            &tokens["usage"]["prompt_tokens"]
        ),
        (1, &json!(3))
    );
    let lists = post("/v1/embeddings", &body(json!([[1, 2], [3]]))).await.json();
    assert_eq!(lists["data"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn embeddings_come_in_base64_too() {
    let answer = post(
        "/v1/embeddings",
        &json!({"model": "m", "input": "a", "encoding_format": "base64", "dimensions": 3}),
    )
    .await;
    // Three numbers of four bytes each are sixteen characters.
    assert_eq!(answer.json()["data"][0]["embedding"].as_str().unwrap().len(), 16);
}

#[tokio::test]
async fn moderations_flag_what_is_forbidden() {
    let answer = post("/v1/moderations", &json!({"input": ["fine", "forbidden"]}))
        .await
        .json();
    assert_eq!(
        (&answer["results"][0]["flagged"], &answer["results"][1]["flagged"]),
        (&json!(false), &json!(true))
    );
    assert_eq!(answer["results"][1]["categories"]["violence"], true);
}

#[tokio::test]
async fn images_are_pixels_or_links() {
    let body = json!({"model": "gpt-image-1", "prompt": "a cat", "n": 2});
    let drawn = post("/v1/images/generations", &body).await.json();
    assert!(
        drawn["data"][1]["b64_json"]
            .as_str()
            .unwrap()
            .starts_with("iVBORw0KGgo")
    );
    let linked = post(
        "/v1/images/generations",
        &json!({"model": "dall-e-3", "prompt": "a cat"}),
    )
    .await
    .json();
    assert_eq!(linked["data"][0]["url"], "https://understudy.invalid/image-1.png");
    assert_eq!(linked["data"][0]["revised_prompt"], "understudy heard: a cat");
    let (_understudy, mut client) = persona().await;
    let edit = form(&[("model", "gpt-image-1"), ("prompt", "a dog")]);
    let edited = client.post_bytes("/v1/images/edits", FORM, &edit).await.json();
    assert_eq!(edited["data"][0]["revised_prompt"], "understudy heard: a dog");
    assert_eq!(
        client
            .post_bytes("/v1/images/variations", FORM, &form(&[]))
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn speech_is_bytes() {
    let body = json!({"model": "tts-1", "input": "hi", "voice": "alloy"});
    let spoken = post("/v1/audio/speech", &body).await;
    assert!(spoken.head.contains("content-type: audio/mpeg\r\n"));
    assert!(std::str::from_utf8(&spoken.body).is_err());
    let streamed = json!({"model": "tts-1", "input": "hi", "voice": "alloy", "stream_format": "sse"});
    let kinds: Vec<Value> = post("/v1/audio/speech", &streamed)
        .await
        .json_events()
        .iter()
        .map(|event| event["type"].clone())
        .collect();
    assert_eq!(kinds, ["speech.audio.delta", "speech.audio.delta", "speech.audio.done"]);
}

#[tokio::test]
async fn speech_is_transcribed() {
    let (_understudy, mut client) = persona().await;
    let path = "/v1/audio/transcriptions";
    let heard = "understudy heard: 5 bytes of a.bin";
    let json = client.post_bytes(path, FORM, &form(&[("model", "whisper-1")])).await;
    assert_eq!(json.json()["text"], heard);
    let text = client
        .post_bytes(
            path,
            FORM,
            &form(&[("model", "whisper-1"), ("response_format", "text")]),
        )
        .await;
    assert!(text.head.contains("content-type: text/plain"));
    assert_eq!(text.text(), format!("{heard}\n"));
    let stream = client
        .post_bytes(path, FORM, &form(&[("model", "whisper-1"), ("stream", "true")]))
        .await;
    assert_eq!(stream.json_events().last().unwrap()["text"], heard);
    let translated = form(&[("model", "whisper-1"), ("response_format", "verbose_json")]);
    assert_eq!(
        client
            .post_bytes("/v1/audio/translations", FORM, &translated)
            .await
            .json()["task"],
        "translate"
    );
}

#[tokio::test]
async fn files_are_kept() {
    let (_understudy, mut client) = persona().await;
    let uploaded = client
        .post_bytes("/v1/files", FORM, &form(&[("purpose", "batch")]))
        .await
        .json();
    let id = uploaded["id"].as_str().unwrap();
    assert_eq!(
        (&uploaded["bytes"], &uploaded["filename"]),
        (&json!(5), &json!("a.bin"))
    );
    assert_eq!(client.get("/v1/files").await.json()["data"], json!([uploaded]));
    assert_eq!(client.get(&format!("/v1/files/{id}")).await.json(), uploaded);
    assert_eq!(
        client.get(&format!("/v1/files/{id}/content")).await.body,
        b"\x00\xff\r\nx"
    );
    client.send(format!("DELETE /v1/files/{id} HTTP/1.1\r\n\r\n")).await;
    assert_eq!(client.answer().await.json()["deleted"], true);
    assert_eq!(client.get(&format!("/v1/files/{id}")).await.status, 404);
}

#[tokio::test]
async fn batches_can_be_created_and_looked_at() {
    let (_understudy, mut client) = persona().await;
    let file = client
        .post_bytes("/v1/files", FORM, &form(&[("purpose", "batch")]))
        .await
        .json();
    let body = json!({"input_file_id": file["id"], "endpoint": "/v1/chat/completions", "completion_window": "24h"});
    let batch = client.post("/v1/batches", &body).await.json();
    let id = batch["id"].as_str().unwrap();
    assert_eq!(
        (&batch["object"], &batch["status"]),
        (&json!("batch"), &json!("validating"))
    );
    assert_eq!(client.get(&format!("/v1/batches/{id}")).await.json(), batch);
    assert_eq!(client.get("/v1/batches").await.json()["data"][0]["id"], batch["id"]);
    let cancelled = client
        .post(&format!("/v1/batches/{id}/cancel"), &json!({}))
        .await
        .json();
    assert_eq!(cancelled["status"], "cancelling");
    let wrong = json!({"input_file_id": "file-0", "endpoint": "/v1/responses", "completion_window": "24h"});
    assert_eq!(client.post("/v1/batches", &wrong).await.status, 404);
}
