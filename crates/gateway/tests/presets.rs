//! Presets: how they are chosen, and the two smallest of them, by the examples of the proxies whose place they take.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing helper is a failing test"
)]

mod support;

use std::path::Path;

use mynah_understudy::{Reply, Rule, Script, Understudy};
use serde_json::{Value, json};
use support::{Gateway, Request, command};

/// A preset in a directory of its own.
fn preset(name: &str, variables: &[(&str, &str)]) -> Gateway {
    let directory = tempfile::tempdir().unwrap();
    let mut command = command(directory.path());
    command.args(["serve", "--preset", name]);
    Gateway::start_by(command, directory, variables)
}

/// The same preset, printed as a file and served from that.
fn as_a_file(name: &str, variables: &[(&str, &str)]) -> Gateway {
    let directory = tempfile::tempdir().unwrap();
    let text = shown(directory.path(), name, variables);
    let printed = text
        .replace("0.0.0.0:8001", "127.0.0.1:0")
        .replace("0.0.0.0:8000", "127.0.0.1:0");
    std::fs::write(directory.path().join("mynah.toml"), printed).unwrap();
    Gateway::start_in(directory, variables)
}

fn shown(directory: &Path, name: &str, variables: &[(&str, &str)]) -> String {
    let mut command = command(directory);
    command
        .args(["config", "show", "--preset", name])
        .envs(variables.iter().copied());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn completion(text: &str) -> Reply {
    Reply::json(&json!({
        "id": "chatcmpl-123", "object": "chat.completion", "created": 1_687_000_000, "model": "gemma1b",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    }))
}

/// A server with a list of one model, which answers conversations like this, and texts with a vector.
fn server(model: &str, chat: Reply) -> Script {
    let list = Reply::json(&json!({"object": "list", "data": [{"id": model, "object": "model"}]}));
    let vector = Reply::json(&json!({"object": "list", "model": model, "data": [
        {"object": "embedding", "index": 0, "embedding": [0.0123, -0.9821, 0.4412]}]}));
    Script::new()
        .rule(Rule::path("/v1/models").reply(list))
        .rule(Rule::path("/v1/embeddings").reply(vector))
        .rule(Rule::any().reply(chat))
}

/// What a provider was asked, but for its list.
fn asked(understudy: &Understudy) -> Vec<(String, Value)> {
    let received = understudy.received().into_iter().filter(|it| it.path() != "/v1/models");
    received.map(|it| (it.path().to_owned(), it.json().unwrap())).collect()
}

// === github-local ===

/// GitHub and LM Studio.
struct Both {
    github: Understudy,
    local: Understudy,
    variables: Vec<(&'static str, String)>,
}

impl Both {
    async fn start(github: Reply, local: Reply) -> Self {
        let github = Understudy::start(github).await.unwrap();
        let local = Understudy::start(server("qwen/qwen3-vl-4b", local)).await.unwrap();
        let variables = vec![
            ("GITHUB_TOKEN", "your_github_models_api_key".to_owned()),
            ("GITHUB_MODELS_URL", format!("{}/inference", github.url())),
            ("LM_STUDIO_URL", format!("{}/v1", local.url())),
        ];
        Self {
            github,
            local,
            variables,
        }
    }

    fn variables(&self) -> Vec<(&str, &str)> {
        self.variables
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect()
    }

    fn preset(&self) -> Gateway {
        preset("github-local", &self.variables())
    }
}

const README_CHAT: &str = r#"{
  "model": "qwen/qwen3-vl-4b",
  "messages": [
    { "role": "system", "content": "You are helpful." },
    { "role": "user", "content": "Hello!" }
  ]
}"#;

const README_EMBEDDINGS: &str = r#"{
  "model": "text-embedding-jina-embeddings-v2-base-de",
  "input": "Some text"
}"#;

const GREETING: &str = "Hello! How can I help you today?";

#[tokio::test]
async fn github_answers_first_and_in_a_bare_text() {
    let both = Both::start(completion(GREETING), completion("local")).await;
    for gateway in [
        both.preset(),
        preset("000", &both.variables()),
        as_a_file("000", &both.variables()),
    ] {
        let reply = gateway.chat(README_CHAT).await;
        assert_eq!((reply.status, reply.json()), (200, json!({ "text": GREETING })));
    }
    let received = both.github.received();
    assert_eq!(received.len(), 3);
    assert_eq!(received[0].path(), "/inference/chat/completions");
    assert_eq!(received[0].key(), Some("your_github_models_api_key"));
    assert_eq!(received[0].model().as_deref(), Some("openai/gpt-4.1-nano"));
    assert_eq!(received[0].json().unwrap()["messages"][1]["content"], "Hello!");
    assert_eq!(asked(&both.local), []);
}

#[tokio::test]
async fn after_any_failure_of_github_lm_studio_answers() {
    for failure in [
        Reply::status(429),
        Reply::status(500),
        Reply::status(401),
        Reply::status(400).body(br#"{"error":{"message":"content filter","code":"content_filter"}}"#.to_vec()),
        Reply::status(404),
        Reply::status(422),
        Reply::hang_up(),
        Reply::bytes("<html>"),
    ] {
        let both = Both::start(failure, completion("local")).await;
        let gateway = both.preset();
        let reply = gateway.chat(README_CHAT).await;
        assert_eq!((reply.status, reply.json()), (200, json!({"text": "local"})));
        let asked_once = both.github.received().iter().filter(|it| it.method == "POST").count();
        assert_eq!(asked_once, 1, "at once, without asking again");
        let unnamed = gateway.chat(r#"{"messages":[{"role":"user","content":"Hi"}]}"#).await;
        assert_eq!(unnamed.json(), json!({"text": "local"}));
        let named = gateway.chat(r#"{"model":"my/own","messages":[]}"#).await;
        assert_eq!(named.json(), json!({"text": "local"}));
        let models: Vec<Value> = asked(&both.local)
            .into_iter()
            .map(|(_, body)| body["model"].clone())
            .collect();
        assert_eq!(models, ["qwen/qwen3-vl-4b", "qwen/qwen3-vl-4b", "my/own"]);
    }
}

#[tokio::test]
async fn github_is_asked_first_whatever_it_said_before() {
    let both = Both::start(completion(GREETING), completion("local")).await;
    let gateway = both.preset();
    for failure in [
        Reply::status(429).header("retry-after", "3600"),
        Reply::status(402),
        Reply::status(401),
        Reply::status(500),
        Reply::json(&json!({"choices": []})),
        Reply::json(&json!({})),
    ] {
        both.github.set_script(failure);
        for _ in 0..6 {
            let before = both.github.received().len();
            assert_eq!(gateway.chat(README_CHAT).await.json(), json!({"text": "local"}));
            assert_eq!(both.github.received().len(), before + 1);
        }
        both.github.set_script(completion(GREETING));
        assert_eq!(gateway.chat(README_CHAT).await.json(), json!({ "text": GREETING }));
    }
    // An empty name is none.
    both.github.set_script(Reply::status(503));
    let unnamed = gateway.chat(r#"{"model":"","messages":[]}"#).await;
    assert_eq!(unnamed.json(), json!({"text": "local"}));
    assert_eq!(asked(&both.local).last().unwrap().1["model"], "qwen/qwen3-vl-4b");
}

#[tokio::test]
async fn embeddings_are_local_and_a_bare_list() {
    let both = Both::start(completion("remote"), completion("local")).await;
    let gateway = both.preset();
    let reply = gateway.send(&Request::post("/v1/embeddings", README_EMBEDDINGS)).await;
    assert_eq!(reply.text(), "[0.0123,-0.9821,0.4412]");
    // Whatever the type of the body is said to be.
    let plain = Request::new("POST", "/v1/embeddings").header("content-type", "text/plain");
    let reply = gateway.send(&plain.body(br#"{"input":"x"}"#)).await;
    assert_eq!(reply.json(), json!([0.0123, -0.9821, 0.4412]));
    let jina = "text-embedding-jina-embeddings-v2-base-de";
    let expected = |body: Value| ("/v1/embeddings".to_owned(), body);
    assert_eq!(
        asked(&both.local),
        [
            expected(json!({"model": jina, "input": "Some text"})),
            expected(json!({"model": jina, "input": "x"})),
        ]
    );
    assert!(both.github.received().is_empty());
}

#[tokio::test]
async fn a_stream_is_answered_in_one_piece_unless_openais_form_is_asked_for() {
    let chunk = |delta: Value, finish: Value| {
        let chunk = json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
        format!("data: {chunk}\n\n")
    };
    let stream = Reply::stream([
        chunk(json!({"role": "assistant", "content": "Hi"}), Value::Null),
        chunk(json!({}), json!("stop")),
        "data: [DONE]\n\n".to_owned(),
    ]);
    let both = Both::start(Reply::status(503), completion("whole")).await;
    both.local.set_script(
        Script::new()
            .rule(Rule::any().asks_for_stream().reply(stream))
            .rule(Rule::any().reply(completion("whole"))),
    );
    let gateway = both.preset();
    let ask = r#"{"messages":[],"stream":true,"stream_options":{"include_usage":true}}"#;
    let reply = gateway.chat(ask).await;
    assert_eq!(reply.json(), json!({"text": "whole"}));
    let whole = Request::chat(ask).header("X-Response-Format", "openai");
    let reply = gateway.send(&whole).await;
    assert!(reply.header("content-type").unwrap().starts_with("text/event-stream"));
    assert!(reply.text().ends_with("data: [DONE]\n\n"), "{}", reply.text());
    let plain = Request::chat(r#"{"messages":[]}"#).header("X-Response-Format", "openai");
    let reply = gateway.send(&plain).await;
    assert_eq!(reply.json()["choices"][0]["message"]["content"], "whole");
    let mut variables = both.variables();
    variables.push(("RESPONSE_FORMAT", "openai"));
    let reply = preset("000", &variables).chat(r#"{"messages":[]}"#).await;
    assert_eq!(reply.json()["object"], "chat.completion");
}

#[tokio::test]
async fn the_heartbeat_asks_nobody() {
    let failure = || Reply::status(500).body(br#"{"error":{"message":"down"}}"#.to_vec());
    let both = Both::start(failure(), failure()).await;
    let gateway = both.preset();
    for method in ["GET", "POST"] {
        let reply = gateway.send(&Request::new(method, "/v1/heartbeat")).await;
        assert_eq!(
            (reply.status, reply.json()),
            (200, json!({"message": "running"})),
            "{method}"
        );
    }
    assert!(both.github.received().is_empty() && asked(&both.local).is_empty());
    // Errors are JSON, not a page.
    let reply = gateway.chat(README_CHAT).await;
    assert!(
        reply.status >= 500 && reply.json()["error"].is_object(),
        "{}",
        reply.text()
    );
    let reply = gateway.chat("{not json").await;
    assert!(
        reply.status == 400 && reply.json()["error"].is_object(),
        "{}",
        reply.text()
    );
}

#[test]
fn the_token_is_needed_and_may_stand_in_dot_env() {
    let directory = tempfile::tempdir().unwrap();
    let check = || {
        command(directory.path())
            .args(["check", "--preset", "github-local"])
            .output()
            .unwrap()
    };
    let output = check();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("GITHUB_TOKEN is not set")
    );
    std::fs::write(
        directory.path().join(".env"),
        "GITHUB_TOKEN=your_github_models_api_key\n",
    )
    .unwrap();
    assert!(check().status.success());
    let shown = shown(directory.path(), "000", &[]);
    assert!(
        shown.contains("0.0.0.0:8001") && !shown.contains("your_github_models_api_key"),
        "{shown}"
    );
}

// === single-target ===

async fn target(chat: Reply) -> (Understudy, String) {
    let target = Understudy::start(server("gemma1b", chat)).await.unwrap();
    let url = format!("{}/v1/", target.url());
    (target, url)
}

fn variables<'a>(url: &'a str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let four = [
        ("URL", url),
        ("TARGET_MODEL", "gemma1b"),
        ("DASHSCOPE_API_KEY", "target-key"),
    ];
    four.into_iter().chain(more.iter().copied()).collect()
}

fn keyed(request: Request, key: &str) -> Request {
    request.header("Authorization", &format!("Bearer {key}"))
}

const README_STREAM: &str = r#"{
    "model": "deepseekqwen7bq8",
    "messages": [
        {"role": "system", "content": "You are a helpful assistant."},
        {"role": "user", "content": "Introduce yourself"}
    ],
    "temperature": 0.7,
    "top_p": 1,
    "stream": true
}"#;

#[tokio::test]
async fn the_model_is_the_target_whatever_is_asked_for() {
    let chunk = r#"data: {"id": "chatcmpl-123", "object": "chat.completion.chunk", "created": 1687000000, "model": "gemma1b", "choices": [{"index": 0, "delta": {"content": "Hello!"}, "finish_reason": null}]}"#;
    let last = r#"data: {"id": "chatcmpl-123", "object": "chat.completion.chunk", "created": 1687000000, "model": "gemma1b", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}"#;
    let stream = [chunk, last, "data: [DONE]"].map(|event| format!("{event}\n\n"));
    let (target, url) = target(Reply::stream(stream.clone())).await;
    let both = [
        preset("004", &variables(&url, &[])),
        as_a_file("single-target", &variables(&url, &[])),
    ];
    for gateway in both {
        let reply = gateway.send(&keyed(Request::chat(README_STREAM), "123456")).await;
        assert!(reply.header("content-type").unwrap().starts_with("text/event-stream"));
        assert_eq!(reply.text(), stream.concat());
        let (path, body) = asked(&target).pop().unwrap();
        assert_eq!(path, "/v1/chat/completions");
        assert_eq!(
            (&body["model"], &body["temperature"], &body["top_p"]),
            (&json!("gemma1b"), &json!(0.7), &json!(1))
        );
        assert_eq!(target.received().last().unwrap().key(), Some("target-key"));
        let models = gateway
            .send(&keyed(Request::new("GET", "/v1/models"), "123456"))
            .await
            .json();
        let ids: Vec<&Value> = models["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|model| &model["id"])
            .collect();
        assert_eq!(ids, ["gemma1b"]);
    }
}

#[tokio::test]
async fn the_target_is_asked_with_every_request_and_its_errors_are_its_own() {
    let (target, url) = target(completion("Hi")).await;
    let gateway = preset("004", &variables(&url, &[]));
    let ask = keyed(Request::chat(README_STREAM), "123456");
    for status in [429, 401, 400] {
        let error = json!({"error": {"message": format!("said with {status}")}});
        let refusal = Reply::status(status)
            .header("retry-after", "3600")
            .header("content-type", "application/json")
            .body(error.to_string());
        target.set_script(server("gemma1b", refusal));
        for _ in 0..2 {
            let before = asked(&target).len();
            let reply = gateway.send(&ask).await;
            assert_eq!((reply.status, reply.json()), (status, error.clone()));
            assert_eq!(asked(&target).len(), before + 1);
        }
    }
}

#[tokio::test]
async fn the_key_is_checked_everywhere() {
    let (target, url) = target(completion("Hello!")).await;
    let gateway = preset("single-target", &variables(&url, &[("VERIFY_API_KEY", "another")]));
    let chat = || Request::chat(r#"{"model":"x","messages":[]}"#);
    for request in [
        chat(),
        keyed(chat(), "123456"),
        Request::new("GET", "/v1/models"),
        Request::post("/v1/embeddings", r#"{"input":"x"}"#),
    ] {
        let reply = gateway.send(&request).await;
        assert_eq!(reply.status, 401, "{}", reply.text());
        assert!(reply.json()["error"]["message"].is_string());
    }
    assert_eq!(asked(&target), []);
    let reply = gateway.send(&keyed(chat(), "another")).await;
    assert_eq!(reply.json()["choices"][0]["message"]["content"], "Hello!");
}

#[tokio::test]
async fn what_was_promised_works_too() {
    let (target, url) = target(completion("Hello!")).await;
    let gateway = preset("004", &variables("http://127.0.0.1:9", &[("TARGET_URL", &url)]));
    for (path, body) in [
        ("/v1/completions", r#"{"prompt":"x"}"#),
        ("/v1/embeddings", r#"{"model":"y","input":"x"}"#),
    ] {
        let reply = gateway.send(&keyed(Request::post(path, body), "123456")).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        let (asked, body) = asked(&target).pop().unwrap();
        assert_eq!((asked.as_str(), &body["model"]), (path, &json!("gemma1b")));
    }
}

#[test]
fn what_is_missing_is_said_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let output = command(directory.path())
        .args(["serve", "--preset", "004"])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("variable URL") && said.contains("variable TARGET_MODEL"),
        "{said}"
    );
}

// === How they are chosen ===

#[tokio::test]
async fn several_presets_have_a_port_each() {
    let both = Both::start(completion(GREETING), completion("local")).await;
    let (_target, url) = target(completion("Hello!")).await;
    let all = [both.variables(), variables(&url, &[])].concat();
    let directory = tempfile::tempdir().unwrap();
    let ports = [free_port(), free_port()];
    let mut command = command(directory.path());
    command.args(["serve", "--preset", &format!("000=127.0.0.1:{}", ports[0])]);
    command.args(["--preset", &format!("single-target={}", ports[1])]);
    std::fs::write(
        directory.path().join("mynah.toml"),
        "# not read, has a listen = in it\n",
    )
    .unwrap();
    let mut gateway = Gateway::start_by(command, directory, &all);
    gateway.printed("Preset single-target").await;
    gateway.address = format!("127.0.0.1:{}", ports[0]);
    assert_eq!(gateway.chat(README_CHAT).await.json(), json!({ "text": GREETING }));
    gateway.address = format!("127.0.0.1:{}", ports[1]);
    assert_eq!(gateway.chat(README_CHAT).await.status, 401);
    gateway.signal("TERM");
    assert_eq!(gateway.ended().await, Some(0));
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

#[test]
fn two_that_want_one_port_are_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = command(directory.path());
    command
        .args(["serve", "--preset", "000=8000", "--preset", "004"])
        .envs(variables("http://127.0.0.1:9", &[("GITHUB_TOKEN", "t")]));
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("both want port 8000") && said.contains("--preset NAME=PORT"),
        "{said}"
    );
}

#[tokio::test]
async fn a_single_sign_is_enough_and_two_are_too_many() {
    let (_target, url) = target(completion("Hello!")).await;
    let start = |variables: &[(&str, &str)]| {
        let directory = tempfile::tempdir().unwrap();
        let mut command = command(directory.path());
        command.arg("serve");
        Gateway::start_by(command, directory, variables)
    };
    let gateway = start(&variables(&url, &[]));
    gateway.printed("TARGET_MODEL is set").await;
    gateway.printed("`--preset none`").await;
    let reply = gateway.send(&keyed(Request::chat(README_CHAT), "123456")).await;
    assert_eq!(reply.status, 200);

    let gateway = start(&[("TARGET_MODEL", "gemma1b"), ("GITHUB_TOKEN", "t")]);
    gateway.printed("TARGET_MODEL is set (single-target)").await;
    let echo = r#"{"model":"mynah/echo","messages":[{"role":"user","content":"Hi"}]}"#;
    assert_eq!(gateway.chat(echo).await.json()["object"], "chat.completion");

    let directory = tempfile::tempdir().unwrap();
    let mut without = command(directory.path());
    without.args(["serve", "--preset", "none"]);
    let gateway = Gateway::start_by(without, directory, &variables(&url, &[]));
    assert_eq!(gateway.chat(echo).await.status, 200);
}

#[test]
fn an_unknown_preset_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let output = command(directory.path()).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    let said = run(&["serve", "--preset", "single-targt"]);
    assert!(
        said.contains("did you mean `single-target`?") && said.contains("github-local (000)"),
        "{said}"
    );
    let said = run(&["serve", "--preset", "000", "--config", "mynah.toml"]);
    assert!(said.contains("exclude each other"), "{said}");
}

// === What presets are made of, in a file ===

#[tokio::test]
async fn names_that_lead_nowhere_else() {
    let one = Understudy::start(server("listed", completion("one"))).await.unwrap();
    let file = |configured_only: bool| {
        format!(
            "[routing]\nconfigured_only = {configured_only}\n[providers.one]\nbase_url = '{}'\n\
             [models.named]\ntargets = ['one/*']\n[models.\"*\"]\ntargets = ['one/any']\n",
            one.url()
        )
    };
    for (configured_only, expected, list) in [
        (
            false,
            ["named", "any", "listed", "x", "any"],
            vec!["named", "listed", "mynah/echo"],
        ),
        (true, ["named", "any", "any", "any", "any"], vec!["named"]),
    ] {
        let gateway = Gateway::start(&file(configured_only));
        for (name, expected) in ["named", "*", "listed", "one/x", "what/ever"].into_iter().zip(expected) {
            let reply = gateway.chat(&json!({"model": name, "messages": []}).to_string()).await;
            assert_eq!(reply.status, 200, "{name}: {}", reply.text());
            assert_eq!(asked(&one).pop().unwrap().1["model"], expected, "{name}");
        }
        let models = gateway.get("/v1/models").await.json();
        let ids: Vec<&str> = models["data"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|model| model["id"].as_str())
            .collect();
        assert_eq!(ids, list);
        let explained = gateway.get("/v1/explain?model=named").await;
        assert!(explained.text().contains("one/named"), "{}", explained.text());
    }
    let closed = Gateway::start(&format!(
        "[routing]\nconfigured_only = true\n[providers.one]\nbase_url = '{}'\n[models.m]\ntargets = ['one/a']\n",
        one.url()
    ));
    for name in ["one/a", "listed", "mynah/echo"] {
        let reply = closed.chat(&json!({"model": name, "messages": []}).to_string()).await;
        assert_eq!(
            (reply.status, reply.error_code().as_str()),
            (404, "model_not_found"),
            "{name}"
        );
    }
    let pinned = Request::chat(r#"{"model":"a","messages":[]}"#).header("x-mynah-provider", "one");
    assert_eq!(closed.send(&pinned).await.status, 404);
}

#[tokio::test]
async fn only_some_routes_and_only_some_errors() {
    let refuses = Understudy::start(Reply::status(400).body(br#"{"error":{"message":"no"}}"#.to_vec()))
        .await
        .unwrap();
    let one = Understudy::start(server("m", completion("one"))).await.unwrap();
    let file = |hand_over: &str| {
        format!(
            "[providers.refuses]\nbase_url = '{}'\nmodels = []\n[providers.one]\nbase_url = '{}'\n\
             [models.m]\ntargets = [{{ target = 'refuses/a', routes = ['chat'] }}, 'one/b']\nhand_over = '{hand_over}'\n",
            refuses.url(),
            one.url()
        )
    };
    let gateway = Gateway::start(&file("faults"));
    assert_eq!(gateway.chat(r#"{"model":"m","messages":[]}"#).await.status, 400);
    let embeddings = Request::post("/v1/embeddings", r#"{"model":"m","input":"x"}"#);
    assert_eq!(gateway.send(&embeddings).await.status, 200);
    assert_eq!(refuses.received().len(), 1, "it is not asked for vectors");
    let gateway = Gateway::start(&file("any"));
    let reply = gateway.chat(r#"{"model":"m","messages":[]}"#).await;
    assert_eq!(reply.header("x-mynah-model"), Some("one/b"));
    let messages = r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"x"}]}"#;
    let reply = gateway.send(&Request::post("/v1/messages", messages)).await;
    assert_eq!(reply.header("x-mynah-model"), Some("one/b"));
    // Where everybody refuses, the caller learns why.
    one.set_script(Reply::status(400).body(br#"{"error":{"message":"not I"}}"#.to_vec()));
    let reply = gateway.chat(r#"{"model":"m","messages":[]}"#).await;
    assert_eq!(
        (reply.status, reply.json()["error"]["message"].as_str()),
        (400, Some("not I"))
    );
}
