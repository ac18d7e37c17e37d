//! `--preset model-proxy`: the files, the variables and the requests of that proxy's README, as they stand there.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing helper is a failing test"
)]

mod support;

use std::path::Path;
use std::time::Duration;

use mynah_understudy::{Reply, Rule, Script, Understudy};
use serde_json::{Value, json};
use support::rows::{find, rows};
use support::{Gateway, PATIENCE, Request, command};
use tokio::time::{Instant, sleep};

/// The README's model file, `config/models/gpt-5-2.json`.
const GPT_5_2: &str = r#"{
  "logical_name": "gpt-5.2",
  "timeout_seconds": 60,
  "model_routings": [
    {
      "id": "primary",
      "wire_protocol": "openai",
      "provider": "openai",
      "model": "gpt-5.2",
      "api_key_env": ["OPENAI_API_KEY", "OPENAI_API_KEY_1"]
    },
    {
      "id": "secondary",
      "wire_protocol": "openai",
      "provider": "azure",
      "model": "gpt-5.2",
      "api_key_env": ["AZURE_API_KEY"]
    }
  ],
  "fallback_model_routings": ["gpt-5.1"]
}"#;

/// Its requests.
const CHAT: &str = r#"{
  "model": "gpt-4",
  "messages": [
    {"role": "user", "content": "Hello!"}
  ],
  "temperature": 0.7,
  "max_tokens": 100
}"#;
const MESSAGES: &str = r#"{
  "model": "claude-3-opus",
  "messages": [
    {"role": "user", "content": "Hello!"}
  ],
  "max_tokens": 100,
  "temperature": 0.7
}"#;

const KEYS: [(&str, &str); 4] = [
    ("CLIENT_API_KEY", "your_client_key"),
    ("OPENAI_API_KEY", "openai-zero"),
    ("OPENAI_API_KEY_1", "openai-one"),
    ("ANTHROPIC_API_KEY_1", "anthropic-one"),
];

/// The directory of the proxy, with its configuration.
struct Home {
    directory: tempfile::TempDir,
}

impl Home {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        for folder in ["config/providers", "config/models"] {
            std::fs::create_dir_all(directory.path().join(folder)).unwrap();
        }
        Self { directory }
    }

    /// The providers and models of the README, at an understudy.
    fn of_readme(url: &str) -> Self {
        let home = Self::new();
        home.provider("openai", &openai(url));
        home.provider("anthropic", &anthropic(url));
        home.model("gpt-5-2", &serde_json::from_str(GPT_5_2).unwrap());
        home.model("gpt-5.1", &model("gpt-5.1", &["openai"]));
        home.model("gpt-4", &model("gpt-4", &["openai"]));
        home.model("claude-3-opus", &model("claude-3-opus", &["anthropic"]));
        home
    }

    fn provider(&self, name: &str, file: &Value) {
        write(self.directory.path(), &format!("providers/{name}"), file);
    }

    fn model(&self, name: &str, file: &Value) {
        write(self.directory.path(), &format!("models/{name}"), file);
    }

    fn start(self, variables: &[(&str, &str)]) -> Gateway {
        let mut command = command(self.directory.path());
        command.args(["serve", "--preset", "model-proxy"]);
        Gateway::start_by(command, self.directory, variables)
    }

    /// What a command says: its status, and what it printed.
    fn run(&self, arguments: &[&str], variables: &[(&str, &str)]) -> (bool, String) {
        let mut command = command(self.directory.path());
        let output = command
            .args(arguments)
            .envs(variables.iter().copied())
            .output()
            .unwrap();
        let told = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(told).unwrap())
    }
}

fn write(directory: &Path, name: &str, file: &Value) {
    let new = directory.join("config").join(format!("{name}.new"));
    std::fs::write(&new, file.to_string()).unwrap();
    std::fs::rename(new, directory.join("config").join(format!("{name}.json"))).unwrap();
}

fn openai(url: &str) -> Value {
    json!({
        "name": "openai", "display_name": "OpenAI", "enabled": true,
        "api_keys": {"env_var_patterns": ["{PROVIDER}_API_KEY", "{PROVIDER}_API_KEY_{INDEX}"]},
        "endpoints": {
            "base_url": format!("{url}/v1"), "completions": "/chat/completions", "streaming": "/chat/completions",
            "compatible_format": "openai",
        },
        "authentication": {"type": "bearer", "header_name": "Authorization", "header_format": "Bearer {api_key}"},
        "request_config": {"timeout_seconds": 60, "max_retries": 0, "default_parameters": {"top_p": 1.0, "seed": null}},
        "rate_limiting": {"enabled": false, "requests_per_minute": null},
        "proxy_support": {"enabled": false, "base_url_override": null},
    })
}

fn anthropic(url: &str) -> Value {
    json!({
        "name": "anthropic", "enabled": true,
        "endpoints": {
            "base_url": format!("{url}/as/anthropic/v1"), "completions": "/messages",
            "compatible_format": "anthropic",
        },
        "authentication": {
            "type": "x-api-key", "header_name": "x-api-key", "header_format": "{api_key}",
            "additional_headers": {"anthropic-version": "2023-06-01"},
        },
        "request_config": {"timeout_seconds": 60, "max_retries": 0, "default_parameters": {"max_tokens": 1024, "top_p": null}},
    })
}

/// A model with a route to each of these providers.
fn model(name: &str, providers: &[&str]) -> Value {
    let route = |provider: &&str| {
        let wire = if *provider == "anthropic" {
            "anthropic"
        } else {
            "openai"
        };
        let model = if *provider == "anthropic" {
            "claude-3-opus-20240229"
        } else {
            name
        };
        json!({"wire_protocol": wire, "provider": provider, "model": model})
    };
    json!({"logical_name": name, "model_routings": providers.iter().map(route).collect::<Vec<_>>()})
}

fn post(path: &str, body: &str) -> Request {
    Request::post(path, body).header("authorization", "Bearer your_client_key")
}

fn get(path: &str) -> Request {
    Request::new("GET", path).header("authorization", "Bearer your_client_key")
}

fn for_model(model: &str) -> Request {
    let body = json!({"model": model, "messages": [{"role": "user", "content": "Hello!"}]});
    post("/v1/chat/completions", &body.to_string())
}

fn keys_of(understudy: &Understudy) -> Vec<String> {
    let received = understudy.received();
    received.iter().map(|one| one.key().unwrap_or("-").to_owned()).collect()
}

#[tokio::test]
async fn the_requests_of_the_readme() {
    let up = Understudy::start(Reply::persona()).await.unwrap();
    let gateway = Home::of_readme(&up.url()).start(&KEYS);
    let reply = gateway.send(&post("/v1/chat/completions", CHAT)).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let completion = reply.json();
    assert_eq!(
        (&completion["object"], &completion["model"]),
        (&json!("chat.completion"), &json!("gpt-4"))
    );
    assert!(completion["choices"][0]["message"]["content"].is_string());
    let sent = up.received().pop().unwrap();
    assert_eq!((sent.path(), sent.key()), ("/v1/chat/completions", Some("openai-zero")));
    let body = sent.json().unwrap();
    assert_eq!(
        (
            &body["temperature"],
            &body["max_tokens"],
            &body["top_p"],
            body.get("seed")
        ),
        (&json!(0.7), &json!(100), &json!(1.0), None)
    );

    let reply = gateway.send(&post("/v1/messages", MESSAGES)).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let message = reply.json();
    // The name that was asked for, not the one that the provider has for it.
    assert_eq!(
        (&message["type"], &message["model"]),
        (&json!("message"), &json!("claude-3-opus"))
    );
    let sent = up.received().pop().unwrap();
    assert_eq!(
        (sent.path(), sent.key()),
        ("/as/anthropic/v1/messages", Some("anthropic-one"))
    );
    assert_eq!(sent.header_text("anthropic-version"), Some("2023-06-01"));
    assert_eq!(sent.json().unwrap()["model"], "claude-3-opus-20240229");

    // Streams, at all of their addresses, and each API for the models of the other.
    let models = ["gpt-4", "claude-3-opus"];
    for (path, is_chat) in [
        ("/v1/chat/completions-stream", true),
        ("/v1/chat/completions/stream", true),
        ("/v1/messages-stream", false),
        ("/v1/messages/stream", false),
    ] {
        for model in models {
            let body = if is_chat { CHAT } else { MESSAGES };
            let mut body: Value = serde_json::from_str(body).unwrap();
            body["model"] = model.into();
            let reply = gateway.send(&post(path, &body.to_string())).await;
            assert_eq!(
                (reply.status, reply.whole),
                (200, true),
                "{path} {model}: {}",
                reply.text()
            );
            assert!(
                reply.header("content-type").unwrap().starts_with("text/event-stream"),
                "{path}"
            );
            let end = if is_chat {
                "data: [DONE]\n\n"
            } else {
                "event: message_stop\n"
            };
            assert!(reply.text().contains(end), "{path} {model}: {}", reply.text());
            assert!(
                up.received().pop().unwrap().text().contains("\"stream\":true"),
                "{path}"
            );
        }
    }
    for model in models {
        let count = json!({"model": model, "messages": [{"role": "user", "content": "Hello!"}]}).to_string();
        let reply = gateway.send(&post("/v1/messages/count_tokens", &count)).await;
        assert!(reply.json()["input_tokens"].as_u64().unwrap() > 0, "{}", reply.text());
    }
}

#[tokio::test]
async fn models_are_known_by_their_names_and_by_their_files() {
    let up = Understudy::start(Reply::persona()).await.unwrap();
    let home = Home::of_readme(&up.url());
    home.model("org", &model("org/with-slash", &["openai"]));
    let gateway = home.start(&KEYS);
    for name in ["gpt-5.2", "gpt-5-2", "org/with-slash", "org"] {
        let reply = gateway.send(&for_model(name)).await;
        assert_eq!(
            (reply.status, &reply.json()["model"]),
            (200, &json!(name)),
            "{}",
            reply.text()
        );
    }
    let list = gateway.send(&get("/v1/models")).await.json();
    let listed: Vec<(&str, &str)> = list["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|model| (model["id"].as_str().unwrap(), model["owned_by"].as_str().unwrap()))
        .collect();
    assert_eq!(
        listed,
        [
            ("claude-3-opus", "anthropic"),
            ("gpt-4", "openai"),
            ("gpt-5.1", "openai"),
            ("gpt-5.2", "openai"),
            ("org/with-slash", "openai")
        ]
    );
    for unknown in ["gpt-9", "openai/gpt-4", "mynah/echo"] {
        let reply = gateway.send(&for_model(unknown)).await;
        let error = &reply.json()["error"];
        assert_eq!(
            (reply.status, &error["type"]),
            (400, &json!("invalid_request_error")),
            "{unknown}"
        );
        let message = error["message"].as_str().unwrap();
        let expected =
            format!("Model '{unknown}' not found in routing configuration. Available models: claude-3-opus, gpt-4");
        assert!(message.starts_with(&expected), "{message}");
    }
    assert_eq!(gateway.send(&Request::new("GET", "/v1/models")).await.status, 401);
}

#[tokio::test]
async fn every_form_of_the_key() {
    let up = Understudy::start(Reply::persona()).await.unwrap();
    let gateway = Home::of_readme(&up.url()).start(&KEYS);
    let ask = |header: &str, value: &str| Request::post("/v1/chat/completions", CHAT).header(header, value);
    for value in [
        "Bearer your_client_key",
        "your_client_key",
        "bearer your_client_key",
        "BEARER  bearer your_client_key",
    ] {
        assert_eq!(gateway.send(&ask("Authorization", value)).await.status, 200, "{value}");
    }
    assert_eq!(gateway.send(&ask("X-API-Key", "your_client_key")).await.status, 200);
    let both = ask("Authorization", "wrong").header("x-api-key", "your_client_key");
    assert_eq!(gateway.send(&both).await.status, 401);
    for request in [
        ask("Authorization", "Bearer wrong"),
        Request::post("/v1/chat/completions", CHAT),
    ] {
        let reply = gateway.send(&request).await;
        assert_eq!(reply.status, 401);
        let error = &reply.json()["error"];
        assert!(
            error["message"].is_string() && error["type"].is_string() && error["code"].is_string(),
            "{error}"
        );
    }
    let reply = gateway.send(&Request::post("/v1/messages", MESSAGES)).await;
    let error = reply.json();
    assert_eq!(
        (reply.status, &error["type"], &error["error"]["type"]),
        (401, &json!("error"), &json!("authentication_error"))
    );
    assert!(reply.header("x-request-id").is_some());

    // Without a key of its own, the proxy lets nobody in.
    let gateway = Home::of_readme(&up.url()).start(&KEYS[1..]);
    gateway.printed("CLIENT_API_KEY is not set").await;
    for request in [
        post("/v1/chat/completions", CHAT),
        Request::post("/v1/chat/completions", CHAT),
        get("/v1/models"),
    ] {
        assert_eq!(gateway.send(&request).await.status, 401);
    }
}

#[tokio::test]
async fn keys_fall_over_and_rest() {
    // Whatever a key fails with, the next one is asked, and the first one rests.
    for failure in [
        Reply::status(429),
        Reply::status(401),
        Reply::status(500),
        Reply::status(503),
        Reply::hang_up(),
    ] {
        let script = Script::new()
            .rule(Rule::any().key("openai-zero").reply(failure))
            .rule(Rule::any().reply(Reply::persona()));
        let up = Understudy::start(script).await.unwrap();
        let gateway = Home::of_readme(&up.url()).start(&KEYS);
        for _ in 0..3 {
            assert_eq!(gateway.send(&for_model("gpt-5.2")).await.status, 200);
        }
        assert_eq!(keys_of(&up), ["openai-zero", "openai-one", "openai-one", "openai-one"]);
    }
    // Without a cooldown it does not.
    let script = Script::new()
        .rule(Rule::any().key("openai-zero").reply(Reply::status(429)))
        .rule(Rule::any().reply(Reply::persona()));
    let up = Understudy::start(script).await.unwrap();
    let variables = [&KEYS[..], &[("KEY_COOLDOWN_SECONDS", "0")]].concat();
    let gateway = Home::of_readme(&up.url()).start(&variables);
    for _ in 0..2 {
        assert_eq!(gateway.send(&for_model("gpt-4")).await.status, 200);
    }
    assert_eq!(keys_of(&up), ["openai-zero", "openai-one", "openai-zero", "openai-one"]);
    // With a short one it is asked again when that is over.
    up.clear();
    let variables = [&KEYS[..], &[("KEY_COOLDOWN_SECONDS", "1")]].concat();
    let gateway = Home::of_readme(&up.url()).start(&variables);
    let deadline = Instant::now() + PATIENCE;
    while keys_of(&up).iter().filter(|key| *key == "openai-zero").count() < 2 {
        assert_eq!(gateway.send(&for_model("gpt-4")).await.status, 200);
        assert!(Instant::now() < deadline, "{:?}", keys_of(&up));
        sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(keys_of(&up)[..3], ["openai-zero", "openai-one", "openai-one"]);
}

#[tokio::test]
async fn keys_come_in_the_order_of_their_patterns() {
    let script = Script::new()
        .rule(Rule::any().key("last").reply(Reply::persona()))
        .rule(Rule::any().reply(Reply::status(401)));
    let up = Understudy::start(script).await.unwrap();
    let home = Home::new();
    let mut provider = openai(&up.url());
    provider["api_key_env_patterns"] = json!(["{PROVIDER}_KEY", "X_{INDEX}_KEY"]);
    provider.as_object_mut().unwrap().remove("api_keys");
    home.provider("my-box", &provider);
    home.model(
        "m",
        &json!({"logical_name": "m", "model_routings": [{"provider": "my-box", "model": "m"}]}),
    );
    let gateway = home.start(&[
        ("CLIENT_API_KEY", "your_client_key"),
        ("X_10_KEY", "last"),
        ("X_2_KEY", "second"),
        ("X_3_KEY", "second"),
        ("X_4_KEY", ""),
        ("MY_BOX_KEY", "first"),
    ]);
    assert_eq!(gateway.send(&for_model("m")).await.status, 200);
    assert_eq!(keys_of(&up), ["first", "second", "last"]);
}

#[tokio::test]
async fn routes_and_fallbacks_come_one_after_the_other() {
    for status in [500, 400, 404, 401, 422] {
        let failure = Reply::status(status);
        let up = Understudy::start(
            Script::new()
                .rule(Rule::any().key("anthropic-one").reply(Reply::persona()))
                .rule(Rule::any().reply(failure)),
        )
        .await
        .unwrap();
        let home = Home::of_readme(&up.url());
        let mut azure = openai(&up.url());
        azure["endpoints"]["base_url"] = "${AZURE_AI_ENDPOINT}/azure/".into();
        azure["authentication"] = json!({"header_name": "api-key", "header_format": "{api_key}"});
        home.provider("azure", &azure);
        // A circle, and a way out of it.
        let mut fallback = model("gpt-5.1", &["openai"]);
        fallback["fallback_model_routings"] = json!(["gpt-5-2", "claude-3-opus"]);
        home.model("gpt-5.1", &fallback);
        let url = up.url();
        let variables = [
            &KEYS[..],
            &[("AZURE_API_KEY", "azure-key"), ("AZURE_AI_ENDPOINT", url.as_str())],
        ]
        .concat();
        let gateway = home.start(&variables);
        let reply = gateway.send(&for_model("gpt-5.2")).await;
        assert_eq!(
            (reply.status, &reply.json()["model"]),
            (200, &json!("gpt-5.2")),
            "{}",
            reply.text()
        );
        let mut asked: Vec<(String, String)> = Vec::new();
        for one in up.received() {
            let step = (one.path().to_owned(), one.model().unwrap_or_default());
            if asked.last() != Some(&step) {
                asked.push(step);
            }
        }
        let step = |path: &str, model: &str| (path.to_owned(), model.to_owned());
        let mut expected = vec![
            step("/v1/chat/completions", "gpt-5.2"),
            step("/azure/chat/completions", "gpt-5.2"),
            step("/v1/chat/completions", "gpt-5.1"),
            step("/as/anthropic/v1/messages", "claude-3-opus-20240229"),
        ];
        if status == 401 {
            // Keys that are not accepted are not tried for another model.
            expected.remove(2);
        }
        assert_eq!(asked, expected, "{status}");
    }
}

#[tokio::test]
async fn a_provider_without_file_or_key_is_left_out() {
    let up = Understudy::start(Reply::persona()).await.unwrap();
    let home = Home::of_readme(&up.url());
    home.model("lost", &model("lost", &["nowhere"]));
    let gateway = home.start(&KEYS);
    gateway
        .printed("route secondary is left out: the provider `azure` has no key; set AZURE_API_KEY")
        .await;
    let reply = gateway.send(&for_model("lost")).await;
    assert_eq!(reply.status, 503, "{}", reply.text());
    assert!(up.received().is_empty());
}

#[tokio::test]
async fn what_a_provider_file_says_is_done() {
    let up = Understudy::start(
        Script::new()
            .rule(Rule::path("/slow/*").reply(Reply::hang()))
            .rule(Rule::any().reply(Reply::json(&json!({"choices": []})))),
    )
    .await
    .unwrap();
    let home = Home::new();
    let mut special = openai(&up.url());
    special["endpoints"] = json!({"base_url": format!("{}/never", up.url()), "completions": "api/v9/chat/completions"});
    special["proxy_support"] = json!({"enabled": true, "base_url_override": format!("{}/proxy/", up.url())});
    special["authentication"] = json!({
        "type": "api_key", "header_name": "X-Special", "header_format": "Key {api_key};v=1",
        "additional_headers": {"X-Org": "${ORG}"},
    });
    special["request_config"]["default_parameters"] = json!({"temperature": 0.25, "logit_bias": {"7": -1}});
    home.provider("special", &special);
    let mut slow = openai(&format!("{}/slow", up.url()));
    slow["request_config"]["timeout_seconds"] = json!(0.2);
    home.provider("slow", &slow);
    let mut off = openai(&up.url());
    off["enabled"] = false.into();
    home.provider("off", &off);
    home.model("m", &model("m", &["slow", "off", "special"]));
    let mut patient = model("patient", &["off", "slow", "special"]);
    patient["model_routings"][1]["timeout_seconds"] = json!(0.1);
    patient["model_routings"][2]["base_url"] = format!("{}/own", up.url()).into();
    home.model("patient", &patient);
    let keys = [
        ("CLIENT_API_KEY", "your_client_key"),
        ("SPECIAL_API_KEY", "s"),
        ("SLOW_API_KEY", "t"),
        ("OFF_API_KEY", "o"),
        ("ORG", "org-1"),
    ];
    let gateway = home.start(&keys);
    for (model, path) in [
        ("m", "/proxy/api/v9/chat/completions"),
        ("patient", "/own/api/v9/chat/completions"),
    ] {
        let reply = gateway.send(&for_model(model)).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        let sent = up.received().pop().unwrap();
        assert_eq!((sent.path(), sent.header_text("x-special")), (path, Some("Key s;v=1")));
        assert_eq!(sent.header_text("x-org"), Some("org-1"));
        assert_eq!(sent.header_text("authorization"), None);
        let body = sent.json().unwrap();
        assert_eq!(
            (&body["temperature"], &body["logit_bias"]),
            (&json!(0.25), &json!({"7": -1}))
        );
    }
    assert!(
        keys_of(&up).iter().all(|key| key != "o"),
        "a provider that is not enabled"
    );
}

#[tokio::test]
async fn limits_and_their_headers() {
    let up = Understudy::start(Reply::persona()).await.unwrap();
    let gateway = Home::of_readme(&up.url()).start(&KEYS);
    let reply = gateway.send(&post("/v1/chat/completions", CHAT)).await;
    assert_eq!(reply.header("x-ratelimit-limit-requests"), Some("60"));
    assert_eq!(reply.header("x-ratelimit-remaining-requests"), Some("59"));
    assert_eq!(reply.header("x-ratelimit-limit-tokens"), Some("100000"));
    assert!(reply.header("x-ratelimit-remaining-tokens").is_some());
    let limits = [
        ("RATE_LIMIT_REQUESTS_PER_MINUTE", "2"),
        ("RATE_LIMIT_TOKENS_PER_MINUTE", "5000"),
    ];
    let gateway = Home::of_readme(&up.url()).start(&[&KEYS[..], &limits].concat());
    for _ in 0..2 {
        let reply = gateway.send(&post("/v1/chat/completions", CHAT)).await;
        assert_eq!(
            (reply.status, reply.header("x-ratelimit-limit-tokens")),
            (200, Some("5000"))
        );
    }
    let reply = gateway.send(&post("/v1/chat/completions", CHAT)).await;
    let error = &reply.json()["error"];
    assert_eq!(reply.status, 429);
    assert_eq!(
        (&error["type"], &error["code"]),
        (&json!("rate_limit_error"), &json!("rate_limit_exceeded"))
    );
    assert!(reply.header("retry-after").is_some());
    assert_eq!(gateway.get("/health").await.status, 200, "health is not counted");
}

#[tokio::test]
async fn health_as_the_readme_shows_it() {
    let up = Understudy::start(Reply::persona()).await.unwrap();
    let gateway = Home::of_readme(&up.url()).start(&KEYS);
    let reply = gateway.get("/health").await;
    let health = reply.json();
    assert_eq!((reply.status, &health["status"]), (200, &json!("healthy")));
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&health), ["status", "timestamp"]);
    let timestamp = health["timestamp"].as_str().unwrap();
    assert!(
        timestamp.len() == 20 && timestamp.ends_with('Z') && timestamp.contains('T'),
        "{timestamp}"
    );
    // Once a row was written, it is known how long that takes.
    assert_eq!(gateway.send(&for_model("gpt-4")).await.status, 200);
    let database = gateway.directory.path().join("sql_app.db");
    rows(&database, "SELECT 1 FROM request_logs", 1).await;
    let reply = gateway.get("/health/detailed").await;
    let health = reply.json();
    assert_eq!(reply.status, 200, "{health}");
    assert_eq!(keys(&health), ["status", "timestamp", "uptime_seconds", "components"]);
    assert_eq!(health["status"], "healthy");
    assert!(health["uptime_seconds"].is_u64());
    let components = &health["components"];
    assert_eq!(
        keys(components),
        ["database", "providers", "model_config", "provider_configs"]
    );
    assert_eq!(components["database"]["status"], "healthy");
    assert!(components["database"]["response_time_ms"].is_number(), "{components}");
    assert_eq!(
        components["providers"],
        json!({
            "openai": {"status": "healthy", "keys_available": 2},
            "anthropic": {"status": "healthy", "keys_available": 1},
        })
    );
    assert_eq!(
        components["model_config"],
        json!({"status": "healthy", "models_count": 4})
    );
    assert_eq!(
        components["provider_configs"],
        json!({"status": "healthy", "providers_loaded": 2})
    );
}

#[tokio::test]
async fn health_without_the_database() {
    let up = Understudy::start(Reply::persona()).await.unwrap();
    let variables = [&KEYS[..], &[("DATABASE_URL", "sqlite:///./is/not/there.db")]].concat();
    let gateway = Home::of_readme(&up.url()).start(&variables);
    let deadline = Instant::now() + PATIENCE;
    while gateway.get("/health").await.status != 503 {
        assert!(Instant::now() < deadline);
        sleep(Duration::from_millis(20)).await;
    }
    let reply = gateway.get("/health/detailed").await;
    assert_eq!(
        (reply.status, &reply.json()["components"]["database"]["status"]),
        (503, &json!("unhealthy"))
    );
    // Requests go on.
    assert_eq!(gateway.send(&for_model("gpt-4")).await.status, 200);
}

#[tokio::test]
async fn the_request_log() {
    let up = Understudy::start(Reply::persona()).await.unwrap();
    let gateway = Home::of_readme(&up.url()).start(&KEYS);
    assert_eq!(gateway.send(&post("/v1/chat/completions", CHAT)).await.status, 200);
    assert_eq!(gateway.send(&post("/v1/messages-stream", MESSAGES)).await.status, 200);
    let database = gateway.directory.path().join("sql_app.db");
    let what = "SELECT endpoint, requested_model, resolved_provider, resolved_model, response_status, is_streaming,
        json_extract(parameters, '$.max_tokens'), json_extract(messages, '$[0].content'), length(client_api_key_hash),
        length(response_content) > 0, json_extract(response_usage, '$.total_tokens') > 0, response_time_ms IS NOT NULL
        FROM request_logs ORDER BY id";
    assert_eq!(
        rows(&database, what, 2).await,
        [
            "/v1/chat/completions gpt-4 openai gpt-4 200 0 100 Hello! 64 1 1 1",
            "/v1/messages-stream claude-3-opus anthropic claude-3-opus-20240229 200 1 100 Hello! 64 1 1 1",
        ]
    );
    assert_eq!(find(&database, "SELECT count(*) FROM logs").unwrap(), ["0"]);
    // Another place for it.
    for name in ["DATABASE_URL", "SQLALCHEMY_DATABASE_URL"] {
        let gateway = Home::of_readme(&up.url()).start(&[&KEYS[..], &[(name, "sqlite:///./other.db")]].concat());
        assert_eq!(gateway.send(&for_model("gpt-4")).await.status, 200);
        rows(
            &gateway.directory.path().join("other.db"),
            "SELECT 1 FROM request_logs",
            1,
        )
        .await;
    }
}

#[tokio::test]
async fn web_pages() {
    let up = Understudy::start(Reply::persona()).await.unwrap();
    let from = |origin: &str| for_model("gpt-4").header("origin", origin);
    let allowed = |reply: &support::Reply| reply.header("access-control-allow-origin").map(str::to_owned);
    let gateway = Home::of_readme(&up.url()).start(&KEYS);
    let reply = gateway.send(&from("https://anywhere.example")).await;
    assert!(
        matches!(allowed(&reply).as_deref(), Some("*" | "https://anywhere.example")),
        "{:?}",
        reply.headers
    );
    let origins = ("CORS_ORIGINS", "https://app.example, http://localhost:3000/");
    let gateway = Home::of_readme(&up.url()).start(&[&KEYS[..], &[origins]].concat());
    for origin in ["https://app.example", "http://localhost:3000"] {
        let reply = gateway.send(&from(origin)).await;
        assert_eq!((reply.status, allowed(&reply).as_deref()), (200, Some(origin)));
    }
    assert_eq!(allowed(&gateway.send(&from("https://other.example")).await), None);
}

#[tokio::test]
async fn files_that_change_are_read_again() {
    let up = Understudy::start(Reply::persona()).await.unwrap();
    // It is asked often.
    let variables = [&KEYS[..], &[("RATE_LIMIT_REQUESTS_PER_MINUTE", "100000")]].concat();
    let gateway = Home::of_readme(&up.url()).start(&variables);
    assert_eq!(gateway.send(&for_model("new")).await.status, 400);
    let becomes = async |name: &str, status: u16| {
        let deadline = Instant::now() + PATIENCE;
        while gateway.send(&for_model(name)).await.status != status {
            assert!(Instant::now() < deadline, "{name}");
            sleep(Duration::from_millis(20)).await;
        }
    };
    let directory = gateway.directory.path();
    write(directory, "models/new", &model("new", &["openai"]));
    becomes("new", 200).await;
    // What cannot be read changes nothing.
    std::fs::write(directory.join("config/models/new.json"), "{").unwrap();
    gateway.printed("config/models/new.json").await;
    assert_eq!(gateway.send(&for_model("new")).await.status, 200);
    write(directory, "models/new", &model("renamed", &["openai"]));
    becomes("renamed", 200).await;
    std::fs::remove_file(directory.join("config/models/new.json")).unwrap();
    becomes("renamed", 400).await;
    // Providers too.
    let mut elsewhere = openai(&up.url());
    elsewhere["endpoints"]["base_url"] = format!("{}/elsewhere/v1", up.url()).into();
    write(directory, "providers/openai", &elsewhere);
    let deadline = Instant::now() + PATIENCE;
    while up.received().last().unwrap().path() != "/elsewhere/v1/chat/completions" {
        gateway.send(&for_model("gpt-4")).await;
        assert!(Instant::now() < deadline);
        sleep(Duration::from_millis(20)).await;
    }
}

#[test]
fn start_up_validation() {
    let check = ["check", "--preset", "model-proxy"];
    let strict = ("FAIL_ON_STARTUP_VALIDATION", "true");
    let home = Home::of_readme("http://127.0.0.1:1");
    let (is_right, told) = home.run(&check, &[&KEYS[..], &[strict]].concat());
    assert!(is_right, "{told}");
    // No keys.
    let (is_right, told) = home.run(&check, &[]);
    assert!(
        is_right && told.contains("no provider has a key") && told.contains("CLIENT_API_KEY"),
        "{told}"
    );
    let (is_right, told) = home.run(&check, &[("FAIL_ON_STARTUP_VALIDATION", "True")]);
    assert!(!is_right && told.contains("no provider has a key"), "{told}");
    let (is_right, told) = home.run(&["serve", "--preset", "003"], &[strict]);
    assert!(!is_right, "{told}");
    // No key for callers.
    let (is_right, told) = home.run(&check, &[("REQUIRE_CLIENT_API_KEY", "true")]);
    assert!(!is_right && told.contains("CLIENT_API_KEY is not set"), "{told}");
    // No files, or broken ones.
    let (is_right, told) = Home::new().run(&check, &KEYS);
    assert!(
        is_right && told.contains("config/models") && told.contains("config/providers"),
        "{told}"
    );
    assert!(!Home::new().run(&check, &[&KEYS[..], &[strict]].concat()).0);
    std::fs::write(home.directory.path().join("config/models/broken.json"), "{").unwrap();
    let (is_right, told) = home.run(&check, &KEYS);
    assert!(is_right && told.contains("broken.json"), "{told}");
    let (is_right, told) = home.run(&check, &[&KEYS[..], &[strict]].concat());
    assert!(!is_right && told.contains("broken.json"), "{told}");
}

#[tokio::test]
async fn the_older_flat_file() {
    let up = Understudy::start(Reply::persona()).await.unwrap();
    let home = Home::of_readme(&up.url());
    let flat = json!({
        "cerebras/glm-4.6": {"provider": "openai", "provider_model": "zai-glm-4.6"},
        "gpt-4": {"provider": "openai", "provider_model": "never"},
        "last_updated": "2026-01-01",
    });
    std::fs::write(home.directory.path().join("config/models.json"), flat.to_string()).unwrap();
    let gateway = home.start(&KEYS);
    for (name, sent) in [("cerebras/glm-4.6", "zai-glm-4.6"), ("gpt-4", "gpt-4")] {
        assert_eq!(gateway.send(&for_model(name)).await.status, 200);
        assert_eq!(up.received().pop().unwrap().model().as_deref(), Some(sent));
    }
}

/// The printed file is the same gateway.
#[tokio::test]
async fn the_printed_configuration_behaves_the_same() {
    let up = Understudy::start(Reply::persona()).await.unwrap();
    let home = Home::of_readme(&up.url());
    let (is_right, text) = home.run(&["config", "show", "--preset", "003"], &KEYS);
    assert!(is_right, "{text}");
    assert!(text.contains("127.0.0.1:9876"), "{text}");
    for (_, secret) in KEYS {
        assert!(!text.contains(secret), "{text}");
    }
    let directory = tempfile::tempdir().unwrap();
    let text = text.replace("127.0.0.1:9876", "127.0.0.1:0");
    std::fs::write(directory.path().join("mynah.toml"), text).unwrap();
    let printed = Gateway::start_in(directory, &KEYS);
    let preset = home.start(&KEYS);
    let requests = [
        post("/v1/chat/completions", CHAT),
        post("/v1/chat/completions-stream", CHAT),
        post("/v1/messages", MESSAGES),
        for_model("gpt-5-2"),
        for_model("nobody"),
        get("/v1/models"),
        Request::post("/v1/chat/completions", CHAT),
        Request::new("GET", "/health"),
        Request::new("GET", "/docs"),
    ];
    for request in requests {
        let replies = [printed.send(&request).await, preset.send(&request).await];
        let [one, other] = replies.map(|reply| {
            let names: Vec<String> = reply.headers.iter().map(|(name, _)| name.clone()).collect();
            (reply.status, names, reply.body.len())
        });
        assert_eq!(one, other);
    }
}
