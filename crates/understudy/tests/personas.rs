//! Which persona answers, and the mischief that all of them can do.
#![cfg(test)]

mod support;

use mynah_understudy::{Persona, Script, Understudy};
use serde_json::{Value, json};
use support::{Client, Stage, with};

const HEADERS: &[(&str, &str)] = &[("authorization", "Bearer good"), ("anthropic-version", "2023-06-01")];

fn message(text: &str) -> Value {
    json!({"model": "m", "max_tokens": 20, "stream": true, "messages": [{"role": "user", "content": text}]})
}

#[tokio::test]
async fn the_easy_going_one_answers_unless_a_scenario_is_named() {
    let understudy = Understudy::start(Script::new()).await.unwrap();
    let mut client = Client::new(&understudy).await;
    let asking = |text: &str| json!({"model": "m", "foo": 1, "messages": [{"role": "user", "content": text}]});
    let easy = client.post("/v1/chat/completions", &asking("hi")).await.json();
    assert_eq!(easy["choices"][0]["message"]["content"], "understudy heard: hi");
    assert_eq!(
        client.post("/v1/chat/completions", &asking("[[text]]")).await.status,
        401
    );
    assert_eq!(
        client
            .post("/as/openai-chat/v1/chat/completions", &asking("hi"))
            .await
            .status,
        401
    );
    assert_eq!(
        client
            .post("/as/openai/v1/chat/completions", &asking("[[text]]"))
            .await
            .status,
        200
    );
    assert_eq!(client.get("/as/openai-chat/v1/models").await.status, 200);
    let received = understudy.wait_received(3).await;
    assert_eq!(received[2].target, "/as/openai-chat/v1/chat/completions");
}

#[tokio::test]
async fn one_can_be_chosen() {
    let understudy = Understudy::builder().persona(Persona::Cohere).start().await.unwrap();
    let answer = Client::new(&understudy).await.ask("/v1/models", HEADERS, None).await;
    assert_eq!(answer.json()["models"][0]["name"], "command-a-03-2025");
    assert_eq!("gemini".parse(), Ok(Persona::Gemini));
    assert_eq!(Persona::OpenaiChat.to_string(), "openai-chat");
    assert!("nobody".parse::<Persona>().unwrap_err().contains("anthropic"));
}

#[tokio::test]
async fn lines_can_end_in_two_characters_and_characters_in_two_pieces() {
    let mut stage = Stage::new(HEADERS).await;
    let plain = stage.ask("/v1/messages", &message("[[unicode]]")).await;
    let said = |events: Vec<Value>| -> String {
        events
            .iter()
            .filter_map(|event| event["delta"]["text"].as_str().map(str::to_owned))
            .collect()
    };
    let split = stage.ask("/v1/messages", &message("[[split-utf8]]")).await;
    assert!(split.text().contains("\\ud83d"));
    assert_eq!(said(split.json_events()), said(plain.json_events()));
    let whole = stage
        .play(
            "/v1/messages",
            &with(&message("[[split-utf8]]"), &json!({"stream": false})),
        )
        .await;
    assert_eq!(whole["content"][0]["text"], said(plain.json_events()));
    let crlf = stage.ask("/v1/messages", &message("[[crlf]]")).await;
    assert!(crlf.text().ends_with("data: {\"type\":\"message_stop\"}\r\n\r\n"));
    let long = stage.ask("/v1/messages", &message("[[long]]")).await;
    assert!(long.json_events().len() > 300);
}

#[tokio::test]
async fn a_cut_falls_inside_an_event() {
    let understudy = Understudy::start(Script::new()).await.unwrap();
    let mut client = Client::new(&understudy).await;
    let body = message("[[cut-mid-stream]]").to_string();
    client
        .send(format!(
            "POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: good\r\nanthropic-version: 1\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ))
        .await;
    let (text, _) = client.rest().await;
    assert!(text.contains("message_start") && !text.contains("message_stop"));
    assert!(!text.trim_end().ends_with('}'));
}
