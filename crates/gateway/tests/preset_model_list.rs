//! The proxy before a list of models with handles, run as its README says.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing helper is a failing test"
)]

mod support;

use std::process::Output;

use mynah_understudy::{Received, Reply as Said, Rule, Script, Understudy};
use serde_json::{Value, json};
use support::model_list::{TOKEN, backend, models};
use support::{Gateway, Reply, Request, command};

/// The README's `.env`, with its comments.
fn dotenv(url: &str) -> String {
    format!(
        "MODEL_LIST_URL={url}/models\nMODEL_LIST_AUTH_TOKEN={TOKEN} # Optional\nLOG_LEVEL=DEBUG # Optional, defaults to INFO\n"
    )
}

/// The preset with these variables, in a directory with this `.env`.
fn preset(variables: &[(&str, &str)], dotenv: &str) -> Gateway {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join(".env"), dotenv).unwrap();
    let mut command = command(directory.path());
    command.args(["serve", "--preset", "model-list"]);
    Gateway::start_by(command, directory, variables)
}

async fn started() -> (Understudy, Gateway) {
    let up = Understudy::start(backend()).await.unwrap();
    let gateway = preset(&[], &dotenv(&up.url()));
    (up, gateway)
}

/// The calls that the backend got, but for those for its list.
fn calls(up: &Understudy) -> Vec<Received> {
    up.received()
        .into_iter()
        .filter(|call| call.path() != "/models")
        .collect()
}

async fn post(gateway: &Gateway, path: &str, body: &Value) -> Reply {
    gateway.send(&Request::post(path, &body.to_string())).await
}

/// The README's example request.
fn example() -> Value {
    json!({
        "model": "accounts/fireworks/models/llama-v3p1-405b-instruct",
        "messages": [{"role": "user", "content": "Hello!"}],
        "temperature": 0.7
    })
}

/// What `mynah config show` prints for the preset.
fn shown(variables: &[(&str, &str)]) -> Output {
    let directory = tempfile::tempdir().unwrap();
    let mut command = command(directory.path());
    command
        .args(["config", "show", "--preset", "002"])
        .envs(variables.iter().copied());
    command.output().unwrap()
}

#[tokio::test]
async fn the_list_is_openais_and_says_whose_models_there_are() {
    let (up, gateway) = started().await;
    let list = gateway.get("/v1/models").await.json();
    assert_eq!(list["object"], "list");
    let told: Vec<(&str, &str)> = list["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|model| {
            assert_eq!(model["object"], "model");
            assert!(model["created"].as_u64().unwrap() > 1_600_000_000, "{model}");
            (model["id"].as_str().unwrap(), model["owned_by"].as_str().unwrap())
        })
        .collect();
    let expected = [
        ("gpt-4o-audio-preview-2024-10-01", "openai"),
        ("accounts/fireworks/models/llama-v3p1-405b-instruct", "fireworks"),
        ("claude-3-7-sonnet-20250219", "anthropic"),
        ("GigaChat-2-Max", "GigaChat"),
        ("gemini-2.5-pro", "google"),
        ("gemini-array", "google"),
        ("command-r-plus", "command-r"),
        ("text-embedding-3-small", "openai"),
        ("embed-v4.0", "cohere-embeddings"),
        ("davinci", "openai"),
        ("broken", "gpt-4"),
    ];
    assert_eq!(told, expected);
    let asked = &up.received()[0];
    assert_eq!((asked.method.as_str(), asked.target.as_str()), ("GET", "/models"));
    assert_eq!(
        asked.header_text("authorization"),
        Some(format!("OAuth {TOKEN}").as_str())
    );
}

#[tokio::test]
async fn the_example_goes_to_its_handle_and_comes_back_as_it_is() {
    let (up, gateway) = started().await;
    let request = Request::post("/v1/chat/completions", &example().to_string()).header("authorization", "Bearer mine");
    let reply = gateway.send(&request).await;
    assert_eq!(
        (reply.status, &reply.json()["choices"][0]["message"]["content"]),
        (200, &json!("Hello!"))
    );
    let call = calls(&up).pop().unwrap();
    assert_eq!(call.target, "/fireworks/chat/completions");
    assert_eq!(call.text(), example().to_string());
    let keys: Vec<&[u8]> = call.header_values("authorization").collect();
    assert_eq!(keys, [format!("OAuth {TOKEN}").as_bytes()]);
    let gigachat = json!({"model": "GigaChat-2-Max", "messages": [{"role": "user", "content": "Hi"}]});
    assert_eq!(post(&gateway, "/v1/chat/completions", &gigachat).await.status, 200);
    assert_eq!(calls(&up).pop().unwrap().target, "/gigachat/api/v1/chat/completions");
}

#[tokio::test]
async fn without_a_token_nothing_is_sent_in_its_place() {
    let up = Understudy::start(
        Script::new()
            .rule(Rule::path("/models").reply(Said::json(&models()["models"])))
            .rule(Rule::any().reply(Said::json(&json!({"choices": []})))),
    )
    .await
    .unwrap();
    let gateway = preset(&[("MODEL_LIST_URL", &format!("{}/models", up.url()))], "");
    let request = Request::post("/v1/chat/completions", &example().to_string()).header("authorization", "Bearer mine");
    assert_eq!(gateway.send(&request).await.status, 200, "a bare array is a list too");
    assert!(up.received().iter().all(|call| call.header("authorization").is_none()));
}

#[tokio::test]
async fn conversations_of_every_family_stream_to_the_end() {
    let (_up, gateway) = started().await;
    for model in [
        "gpt-4o-audio-preview-2024-10-01",
        "claude-3-7-sonnet-20250219",
        "gemini-2.5-pro",
        "gemini-array",
        "command-r-plus",
    ] {
        let mut body = json!({"model": model, "messages": [{"role": "user", "content": "Hi"}]});
        let whole = post(&gateway, "/v1/chat/completions", &body).await;
        let text = whole.json()["choices"][0]["message"]["content"].to_string();
        assert!(text.starts_with("\"Hello!"), "{model}: {text}");
        body["stream"] = json!(true);
        let stream = post(&gateway, "/v1/chat/completions", &body).await;
        assert_eq!(
            stream.header("content-type").map(|kind| &kind[..17]),
            Some("text/event-stream"),
            "{model}"
        );
        assert!(
            stream.text().contains("\"Hel\"") && stream.text().trim_end().ends_with("data: [DONE]"),
            "{model}"
        );
    }
}

#[tokio::test]
async fn pictures_are_painted_by_all_three() {
    let (up, gateway) = started().await;
    // The README's example.
    let example = json!({
        "model": "dall-e-3", "prompt": "A cute baby sea otter", "n": 1, "size": "1024x1024",
        "quality": "standard", "style": "vivid"
    });
    let reply = post(&gateway, "/v1/images/generations", &example).await;
    let expected =
        json!({"created": 1_684_161_139, "data": [{"url": "https://example.com/images/generated-image.png"}]});
    assert_eq!((reply.status, reply.json()), (200, expected.clone()));
    assert_eq!(calls(&up).pop().unwrap().json().unwrap(), example);
    // The model that is meant when none is named.
    let reply = post(
        &gateway,
        "/v1/images/generations",
        &json!({"prompt": "A cute baby sea otter"}),
    )
    .await;
    assert_eq!((reply.status, reply.json()), (200, expected));
    assert_eq!(calls(&up).pop().unwrap().json().unwrap()["model"], "dall-e-3");
    let reply = post(
        &gateway,
        "/v1/images/generations",
        &json!({"model": "dall-e-3:hd", "prompt": "x"}),
    )
    .await;
    assert_eq!(reply.status, 200);
    assert_eq!(calls(&up).pop().unwrap().json().unwrap()["model"], "dall-e-3");
    let reply = post(
        &gateway,
        "/v1/images/generations",
        &json!({"model": "V_2", "prompt": "x"}),
    )
    .await;
    assert_eq!(reply.json()["data"], json!([{"url": "https://example.com/i.png"}]));
    let reply = post(
        &gateway,
        "/v1/images/generations",
        &json!({"model": "recraftv3", "prompt": "x"}),
    )
    .await;
    assert_eq!(reply.json()["data"], json!([{"b64_json": "AAAA"}]));
    for (body, status) in [
        (json!({"model": "dall-e-3"}), 400),
        (json!({}), 400),
        (json!({"model": "command-r-plus", "prompt": "x"}), 400),
        (json!({"model": "midjourney", "prompt": "x"}), 404),
    ] {
        let reply = post(&gateway, "/v1/images/generations", &body).await;
        assert_eq!(reply.status, status, "{body}: {}", reply.text());
        assert!(reply.json()["error"]["message"].is_string());
    }
}

#[tokio::test]
async fn vectors_come_from_their_handle() {
    let (up, gateway) = started().await;
    let body = json!({"model": "text-embedding-3-small", "input": "hi"});
    let reply = post(&gateway, "/v1/embeddings", &body).await;
    assert_eq!(reply.json()["data"][0]["embedding"], json!([0.5, -0.25]));
    assert_eq!(calls(&up).pop().unwrap().text(), body.to_string());
}

#[tokio::test]
async fn what_goes_wrong_is_told_in_openais_words() {
    let (_up, gateway) = started().await;
    let hello = json!([{"role": "user", "content": "Hi"}]);
    for (body, status) in [
        (json!({"model": "gpt-5", "messages": hello}), 404),
        (json!({"model": "gone", "messages": hello}), 404),
        (json!({"messages": hello}), 400),
        (json!({"model": "broken", "messages": hello}), 429),
    ] {
        let reply = post(&gateway, "/v1/chat/completions", &body).await;
        assert_eq!(reply.status, status, "{body}: {}", reply.text());
        assert!(reply.json()["error"]["message"].is_string());
    }
    assert_eq!(
        gateway.send(&Request::post("/v1/chat/completions", "{")).await.status,
        400
    );
}

#[tokio::test]
async fn errors_of_the_backend_keep_their_status_and_do_not_last() {
    let (up, gateway) = started().await;
    let list = Said::bytes(models().to_string());
    let ask = |model: &str| json!({"model": model, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 9});
    for status in [400, 401, 403, 429, 500, 503] {
        let error = json!({"error": {"message": format!("said with {status}"), "type": "its_own"}});
        let refusal = Said::status(status)
            .header("retry-after", "3600")
            .header("content-type", "application/json")
            .body(error.to_string());
        up.set_script(
            Script::new()
                .rule(Rule::path("/models").reply(list.clone()))
                .rule(Rule::any().reply(refusal)),
        );
        for model in ["GigaChat-2-Max", "claude-3-7-sonnet-20250219"] {
            let reply = post(&gateway, "/v1/chat/completions", &ask(model)).await;
            let message = reply.json()["error"]["message"].clone();
            assert_eq!(
                (reply.status, message),
                (status, error["error"]["message"].clone()),
                "{model}"
            );
        }
        up.set_script(backend());
        for model in ["GigaChat-2-Max", "claude-3-7-sonnet-20250219"] {
            let reply = post(&gateway, "/v1/chat/completions", &ask(model)).await;
            assert_eq!(reply.status, 200, "{model} after {status}: {}", reply.text());
        }
    }
}

#[tokio::test]
async fn a_ledger_is_kept_where_a_variable_says_so() {
    let up = Understudy::start(backend()).await.unwrap();
    let list = format!("{}/models", up.url());
    let variables = [
        ("MODEL_LIST_URL", list.as_str()),
        ("MODEL_LIST_AUTH_TOKEN", TOKEN),
        ("MYNAH_STORE", "sqlite://ledger.db"),
    ];
    let mut gateway = preset(&variables, "");
    let ask = json!({"model": "GigaChat-2-Max", "messages": [{"role": "user", "content": "Hi"}]});
    assert_eq!(post(&gateway, "/v1/chat/completions", &ask).await.status, 200);
    let mut usage = command(gateway.directory.path());
    usage.args(["usage", "--preset", "model-list", "--by", "model", "--format", "json"]);
    gateway.signal("TERM");
    gateway.ended().await;
    let usage: Value = serde_json::from_slice(&usage.envs(variables).output().unwrap().stdout).unwrap();
    assert_eq!(usage[0]["requests"], 1, "{usage}");
    let cost = |tokens: &str, price: u64| usage[0][tokens].as_u64().unwrap() * price;
    // The prices of the list are in dollars for a thousand tokens.
    let expected = cost("input", 2_500) + cost("output", 10_000);
    assert_eq!(usage[0]["cost_nano_usd"], expected, "{usage}");
    assert!(expected > 0);
}

#[tokio::test]
async fn a_list_that_cannot_be_had_is_no_reason_not_to_start() {
    let up = Understudy::start(Script::new().rule(Rule::any().reply(Said::status(500))))
        .await
        .unwrap();
    let gateway = preset(&[("MODEL_LIST_URL", &format!("{}/models", up.url()))], "");
    assert_eq!(gateway.get("/v1/models").await.status, 503);
    let reply = post(&gateway, "/v1/chat/completions", &example()).await;
    assert_eq!((reply.status, reply.error_code().as_str()), (503, "models_unknown"));
    assert_eq!(gateway.get("/health").await.json()["status"], "ok");
}

#[tokio::test]
async fn health_documentation_and_preflight_are_there() {
    let (_up, gateway) = started().await;
    let health = gateway.get("/health").await;
    assert_eq!((health.status, health.json()), (200, json!({"status": "ok"})));
    assert!(gateway.get("/docs").await.text().contains("<html"));
    assert!(gateway.get("/openapi.json").await.json()["paths"]["/v1/chat/completions"].is_object());
    let redoc = gateway.get("/redoc").await;
    assert_eq!((redoc.status, redoc.header("location")), (307, Some("/docs")));
    for request in [
        Request::new("OPTIONS", "/v1/models"),
        Request::new("OPTIONS", "/v1/models").header("origin", "https://anywhere.example"),
        Request::new("GET", "/v1/models").header("origin", "https://anywhere.example"),
    ] {
        let reply = gateway.send(&request).await;
        assert_eq!(reply.status, 200);
        assert_eq!(reply.json()["object"], "list");
        for (name, value) in [
            ("access-control-allow-origin", "*"),
            ("access-control-allow-methods", "GET, POST, OPTIONS"),
            ("access-control-allow-headers", "Content-Type, Authorization"),
            ("access-control-max-age", "86400"),
        ] {
            assert_eq!(reply.header(name), Some(value), "{name}");
        }
    }
}

#[tokio::test]
async fn the_level_of_the_log_is_that_of_the_variable() {
    let up = Understudy::start(backend()).await.unwrap();
    let list = format!("{}/models", up.url());
    for (level, is_logged) in [
        ("INFO", true),
        ("debug", true),
        ("LOUD", true),
        ("ERROR", false),
        ("none", false),
    ] {
        let variables = [
            ("MODEL_LIST_URL", list.as_str()),
            ("MODEL_LIST_AUTH_TOKEN", TOKEN),
            ("LOG_LEVEL", level),
        ];
        let mut gateway = preset(&variables, "");
        let request = Request::post("/v1/chat/completions", &example().to_string()).header("x-request-id", "this-one");
        assert_eq!(gateway.send(&request).await.status, 200);
        // What was logged is written at the end at the latest.
        gateway.signal("TERM");
        gateway.ended().await;
        let logged = gateway.printed.lock().unwrap().contains("this-one");
        assert_eq!(logged, is_logged, "{level}");
    }
}

#[tokio::test]
async fn what_is_shown_does_the_same() {
    let default = String::from_utf8(shown(&[]).stdout).unwrap();
    assert!(
        default.contains("\"https://api.eliza.yandex.net\"") && default.contains("\"0.0.0.0:8000\""),
        "{default}"
    );
    let up = Understudy::start(backend()).await.unwrap();
    let list = format!("{}/models", up.url());
    let variables = [("MODEL_LIST_URL", list.as_str()), ("MODEL_LIST_AUTH_TOKEN", TOKEN)];
    let shown = String::from_utf8(shown(&variables).stdout).unwrap();
    assert!(!shown.contains(TOKEN));
    let own = Gateway::start_with(&shown.replace("0.0.0.0:8000", "127.0.0.1:0"), &variables[1..]);
    let preset = preset(&variables, "");
    let said = async |gateway: &Gateway| {
        let mut said = Vec::new();
        let ids = gateway.get("/v1/models").await.json();
        said.push((
            200,
            ids["data"]
                .as_array()
                .unwrap()
                .iter()
                .map(|model| model["id"].to_string())
                .collect(),
        ));
        for (path, body) in [
            ("/v1/chat/completions", example()),
            ("/v1/chat/completions", json!({"messages": []})),
            ("/v1/images/generations", json!({"prompt": "x"})),
            (
                "/v1/embeddings",
                json!({"model": "text-embedding-3-small", "input": "hi"}),
            ),
        ] {
            let reply = post(gateway, path, &body).await;
            said.push((reply.status, reply.text().to_owned()));
        }
        said
    };
    assert_eq!(said(&own).await, said(&preset).await);
}

#[tokio::test]
async fn a_url_that_is_none_is_a_problem_with_its_name() {
    let output = shown(&[("MODEL_LIST_URL", "api.example.com/models")]);
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("MODEL_LIST_URL") && said.contains("https://api.example.com/models"),
        "{said}"
    );
}
