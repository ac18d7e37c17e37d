//! A request goes to a target that can do what it needs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing helper is a failing test"
)]

mod support;

use mynah_understudy::{Script, Understudy};
use serde_json::{Value, json};
use support::dialects::{CALLERS, body, error, of, say};
use support::{Gateway, Reply, Request};

async fn up(models: &str) -> (Understudy, Gateway) {
    let understudy = Understudy::start(Script::new()).await.unwrap();
    let gateway = Gateway::start(&format!(
        "[providers.up]\nbase_url = '{}'\nmodels = []\n{models}",
        understudy.url()
    ));
    (understudy, gateway)
}

async fn asked(gateway: &Gateway, caller: &str, body: &Value) -> Reply {
    gateway.send(&of(caller, say(caller, "m", body, false))).await
}

async fn answered_by(gateway: &Gateway, caller: &str, body: &Value) -> String {
    let reply = asked(gateway, caller, body).await;
    assert_eq!(reply.status, 200, "{caller}: {}", reply.text());
    reply.header("x-mynah-model").unwrap().to_owned()
}

/// A question that needs an ability, in the words of a caller.
fn needing(caller: &str, ability: &str) -> Value {
    let mut it = body(caller, "m", "hello", false);
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": false});
    let pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
    let url = format!("data:image/png;base64,{pixel}");
    match (ability, caller) {
        ("vision", "chat") => it["messages"][0]["content"] = json!([{"type": "image_url", "image_url": {"url": url}}]),
        ("vision", "responses") => it["input"][0]["content"] = json!([{"type": "input_image", "image_url": url}]),
        ("vision", "anthropic") => {
            it["messages"][0]["content"] =
                json!([{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": pixel}}]);
        }
        ("vision", _) => it["contents"][0]["parts"] = json!([{"inlineData": {"mimeType": "image/png", "data": pixel}}]),
        ("tools", "chat") => {
            it["tools"] = json!([{"type": "function", "function": {"name": "look", "parameters": schema}}]);
        }
        ("tools", "responses") => it["tools"] = json!([{"type": "function", "name": "look", "parameters": schema}]),
        ("tools", "anthropic") => it["tools"] = json!([{"name": "look", "input_schema": schema}]),
        ("tools", _) => {
            it["tools"] = json!([{"functionDeclarations": [{"name": "look", "parametersJsonSchema": schema}]}]);
        }
        ("json-schema", "chat") => {
            it["response_format"] =
                json!({"type": "json_schema", "json_schema": {"name": "city", "schema": schema, "strict": true}});
        }
        ("json-schema", "responses") => {
            it["text"] = json!({"format": {"type": "json_schema", "name": "city", "schema": schema, "strict": true}});
        }
        ("json-schema", "anthropic") => {
            it["output_config"] = json!({"format": {"type": "json_schema", "schema": schema}});
        }
        ("json-schema", _) => {
            it["generationConfig"] = json!({"responseMimeType": "application/json", "responseJsonSchema": schema});
        }
        ("reasoning", "chat") => it["reasoning_effort"] = json!("high"),
        ("reasoning", "responses") => it["reasoning"] = json!({"effort": "high"}),
        ("reasoning", "anthropic") => {
            it["max_tokens"] = json!(4000);
            it["thinking"] = json!({"type": "enabled", "budget_tokens": 2000});
        }
        ("reasoning", _) => it["generationConfig"] = json!({"thinkingConfig": {"thinkingBudget": 2000}}),
        _ => {}
    }
    it
}

#[tokio::test]
async fn abilities_are_heeded_in_every_protocol() {
    let all = "'vision', 'tools', 'json-schema', 'reasoning', 'audio'";
    for ability in ["vision", "tools", "json-schema", "reasoning"] {
        let others = all.replace(&format!("'{ability}'"), "").replace(", ,", ",");
        let others = others.trim_start_matches(", ").to_owned();
        let (_understudy, gateway) = up(&format!(
            "[models.m]\ntargets = [{{ target = 'up/without', abilities = [{others}] }}, 'up/with']\n"
        ))
        .await;
        for caller in CALLERS {
            assert_eq!(answered_by(&gateway, caller, &needing(caller, "")).await, "up/without");
            assert_eq!(
                answered_by(&gateway, caller, &needing(caller, ability)).await,
                "up/with",
                "{caller}, {ability}"
            );
        }
    }
}

#[tokio::test]
async fn what_nobody_can_is_refused_in_the_callers_words() {
    let (understudy, gateway) = up("[models.m]\ntargets = [{ target = 'up/a', abilities = [] }]\n").await;
    for caller in CALLERS {
        let reply = asked(&gateway, caller, &needing(caller, "tools")).await;
        assert_eq!(reply.status, 400, "{caller}: {}", reply.text());
        let (_, message) = error(caller, &reply);
        assert!(message.contains("tools") && message.contains("up/a"), "{message}");
    }
    assert_eq!(understudy.counters().requests, 0);
}

const CONTEXTS: &str = "[models.m]\ntargets = [{ target = 'up/small', context = 1000 }, \
    { target = 'up/middle', context = 8000 }, { target = 'up/large', context = 1_000_000 }]\n";

#[tokio::test]
async fn a_request_goes_to_a_target_that_can_hold_it() {
    let (_understudy, gateway) = up(CONTEXTS).await;
    for caller in CALLERS {
        for (words, expected) in [(10, "up/small"), (3000, "up/middle"), (30_000, "up/large")] {
            let body = body(caller, "m", &"bird ".repeat(words), false);
            assert_eq!(
                answered_by(&gateway, caller, &body).await,
                expected,
                "{caller}, {words}"
            );
        }
    }
    for (words, expected) in [(10, "up/small"), (30_000, "up/large")] {
        let text = "bird ".repeat(words);
        let ask = Request::post("/v1/embeddings", &json!({"model": "m", "input": text}).to_string());
        let reply = gateway.send(&ask).await;
        assert_eq!(reply.header("x-mynah-model"), Some(expected), "{}", reply.text());
    }
}

/// The answer must fit too, however short the question is.
#[tokio::test]
async fn room_for_the_answer_is_part_of_it() {
    let (_understudy, gateway) = up(CONTEXTS).await;
    for caller in CALLERS {
        for (most, expected) in [(100, "up/small"), (5000, "up/middle"), (500_000, "up/large")] {
            let mut body = body(caller, "m", "hello", false);
            match caller {
                "responses" => body["max_output_tokens"] = json!(most),
                "gemini" => body["generationConfig"] = json!({"maxOutputTokens": most}),
                _ => body["max_tokens"] = json!(most),
            }
            assert_eq!(answered_by(&gateway, caller, &body).await, expected, "{caller}, {most}");
        }
    }
}

#[tokio::test]
async fn a_number_that_is_absurd_breaks_nothing() {
    let (_understudy, gateway) = up(CONTEXTS).await;
    for most in [
        "18446744073709551615",
        "9223372036854775807",
        "-1",
        "1e300",
        "0",
        "\"many\"",
    ] {
        for text in ["bird".to_owned(), "bird ".repeat(500)] {
            let message = format!(r#"{{"role":"user","content":"{text}"}}"#);
            let body = format!(r#"{{"model":"m","max_tokens":{most},"messages":[{message}]}}"#);
            let reply = gateway.chat(&body).await;
            let said = reply.text();
            assert!(matches!(reply.status, 200 | 400), "{most}: {} {said}", reply.status);
        }
    }
}

#[tokio::test]
async fn tags_choose_among_the_targets() {
    let (_understudy, gateway) = up(
        "[models.m]\ntargets = ['up/plain', { target = 'up/eu', tags = ['eu'] }, { target = 'up/both', tags = ['eu', 'fast'] }]\n",
    )
    .await;
    for caller in CALLERS {
        let ask = || of(caller, say(caller, "m", &body(caller, "m", "hello", false), false));
        for (tags, expected) in [
            ("", "up/plain"),
            ("eu", "up/eu"),
            ("fast", "up/both"),
            ("eu, fast", "up/both"),
        ] {
            let reply = gateway.send(&ask().header("x-mynah-tags", tags)).await;
            assert_eq!(reply.header("x-mynah-model"), Some(expected), "{caller}, {tags}");
        }
        let two = ask().header("x-mynah-tags", "eu").header("x-mynah-tags", "fast");
        assert_eq!(gateway.send(&two).await.header("x-mynah-model"), Some("up/both"));
        let reply = gateway.send(&ask().header("x-mynah-tags", "moon")).await;
        assert_eq!(reply.status, 400);
        assert!(error(caller, &reply).1.contains("moon"));
    }
}
