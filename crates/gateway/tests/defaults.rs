//! A provider gives conversations the fields that they do not have, whether they are relayed or translated.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing helper is a failing test"
)]

mod support;

use mynah_understudy::{Reply, Understudy};
use serde_json::{Value, json};
use support::{Gateway, Request, command};

async fn up(defaults: &str) -> (Understudy, Gateway) {
    let understudy = Understudy::start(Reply::persona()).await.unwrap();
    let url = understudy.url();
    let gateway = Gateway::start(&format!(
        "[providers.chat]\nbase_url = '{url}'\nmodels = []\ndefaults = {defaults}\n\
         [providers.claude]\nkind = 'anthropic'\nbase_url = '{url}/as/anthropic'\napi_key = 'k'\nmodels = []\n\
         defaults = {defaults}\n"
    ));
    (understudy, gateway)
}

fn sent(understudy: &Understudy) -> Value {
    understudy.received().last().unwrap().json().unwrap()
}

#[tokio::test]
async fn what_a_conversation_lacks_is_added() {
    let (understudy, gateway) = up("{ temperature = 0.25, max_tokens = 77 }").await;
    let messages = json!([{"role": "user", "content": "hello"}]);
    for model in ["chat/m", "claude/claude-opus-4-1"] {
        for path in ["/v1/chat/completions", "/v1/messages"] {
            let body = json!({"model": model, "messages": messages});
            let reply = gateway.send(&Request::post(path, &body.to_string())).await;
            // Anthropic's own callers must say a limit themselves; here it is said for them.
            assert_eq!(reply.status, 200, "{model} at {path}: {}", reply.text());
            let sent = sent(&understudy);
            assert_eq!(sent["temperature"], 0.25, "{model} at {path}: {sent}");
            assert!(
                sent["max_tokens"] == 77 || sent["max_completion_tokens"] == 77,
                "{sent}"
            );
            let body = json!({"model": model, "messages": messages, "temperature": 0.5, "max_tokens": 5});
            gateway.send(&Request::post(path, &body.to_string())).await;
            let sent = understudy.received().last().unwrap().json().unwrap();
            assert_eq!(sent["temperature"], 0.5, "{model} at {path}: {sent}");
            assert!(sent["max_tokens"] == 5 || sent["max_completion_tokens"] == 5, "{sent}");
        }
    }
}

#[tokio::test]
async fn what_is_no_conversation_is_left_alone() {
    let (understudy, gateway) = up("{ temperature = 0.25 }").await;
    let body = r#"{"model":"chat/m","input":"hello"}"#;
    assert_eq!(gateway.send(&Request::post("/v1/embeddings", body)).await.status, 200);
    assert_eq!(sent(&understudy), json!({"model": "m", "input": "hello"}));
}

#[test]
fn what_a_request_is_about_is_no_default() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(
        directory.path().join("mynah.toml"),
        "[providers.up]\nbase_url = 'http://up'\ndefaults = { stream = true }\nauth = { header = 'x', format = 'none' }\n",
    )
    .unwrap();
    let output = command(directory.path()).arg("check").output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    for expected in [
        "mynah.toml:3:",
        "`providers.up.defaults.stream`",
        "mynah.toml:4:",
        "{key}",
    ] {
        assert!(told.contains(expected), "{expected}: {told}");
    }
}
