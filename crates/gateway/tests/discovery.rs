//! Which models there are is known within one period, whoever comes, goes, or lists them in whatever shape.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing helper is a failing test"
)]

mod support;

use std::time::Duration;

use mynah_understudy::{Received, Reply, Rule, Script, Understudy};
use serde_json::{Value, json};
use support::{Gateway, PATIENCE, Request, read_head};
use tokio::io::AsyncWriteExt as _;

/// A provider that is asked often.
fn provider(name: &str, url: &str, more: &str) -> String {
    format!("[providers.{name}]\nbase_url = '{url}'\ndiscovery.every = '100ms'\n{more}\n")
}

fn list(ids: &[&str]) -> Reply {
    let models: Vec<Value> = ids.iter().map(|id| json!({"id": id})).collect();
    Reply::json(&json!({"object": "list", "data": models}))
}

/// A script in which only the list of models is special.
fn lists(reply: Reply) -> Script {
    Script::new().rule(Rule::path("/v1/models").method("GET").reply(reply))
}

/// Asks for a path until what it says is as expected.
async fn until(gateway: &Gateway, path: &str, expected: impl Fn(&Value) -> bool) -> Value {
    let mut last = Value::Null;
    let held = tokio::time::timeout(PATIENCE, async {
        loop {
            last = gateway.get(path).await.json();
            if expected(&last) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    let held = held.await.is_ok();
    assert!(held, "{path} stays at {last}");
    last
}

/// The endpoint of a provider, once it is in a state.
async fn until_state(gateway: &Gateway, provider: &str, state: &str) -> Value {
    let found = |all: &Value| -> Option<Value> {
        let all = all["endpoints"].as_array()?;
        all.iter().find(|endpoint| endpoint["provider"] == provider).cloned()
    };
    let is_there = |all: &Value| found(all).is_some_and(|endpoint| endpoint["state"] == state);
    found(&until(gateway, "/v1/endpoints", is_there).await).unwrap()
}

async fn ids(gateway: &Gateway) -> Vec<String> {
    let list = gateway.get("/v1/models").await.json();
    let ids = list["data"].as_array().unwrap().iter();
    ids.map(|model| model["id"].as_str().unwrap().to_owned()).collect()
}

async fn answers(gateway: &Gateway, model: &str) -> u16 {
    let body = json!({"model": model, "messages": [{"role": "user", "content": "hi"}]});
    gateway.chat(&body.to_string()).await.status
}

#[tokio::test]
async fn a_server_that_comes_later_dies_and_comes_back_is_noticed() {
    let first = Understudy::start(lists(list(&["m"]))).await.unwrap();
    let (address, url) = (first.address(), first.url());
    drop(first);
    let gateway = Gateway::start(&provider("box", &url, ""));
    let down = until_state(&gateway, "box", "down").await;
    assert_eq!((&down["models"], &down["list_age"]), (&json!([]), &Value::Null));
    assert!(
        down["last_error"].as_str().unwrap().contains("cannot connect"),
        "{down}"
    );
    assert_eq!(answers(&gateway, "m").await, 404);

    let second = Understudy::start_on(address, lists(list(&["m"]))).await.unwrap();
    let up = until_state(&gateway, "box", "up").await;
    assert_eq!((&up["models"], &up["last_error"]), (&json!(["m"]), &Value::Null));
    assert!(up["list_age"].is_u64());
    assert_eq!(answers(&gateway, "m").await, 200);
    assert_eq!(gateway.get("/health").await.json().get("degraded"), None);

    drop(second);
    let down = until_state(&gateway, "box", "down").await;
    assert_eq!(down["models"], json!(["m"]), "the list is kept");
    assert_eq!(ids(&gateway).await, ["m", "mynah/echo"]);
    let health = gateway.get("/health").await;
    assert_eq!((health.status, &health.json()["degraded"]), (200, &json!(["box"])));

    let _third = Understudy::start_on(address, lists(list(&["m", "n"]))).await.unwrap();
    let up = until_state(&gateway, "box", "up").await;
    assert_eq!(up["models"], json!(["m", "n"]));
    assert_eq!(answers(&gateway, "n").await, 200);
    gateway.printed("lists its models again").await;
}

#[tokio::test]
async fn a_list_that_is_lost_is_kept_until_there_is_another() {
    let up = Understudy::start(lists(list(&["old", "both"]))).await.unwrap();
    let gateway = Gateway::start(&provider("box", &up.url(), ""));
    until_state(&gateway, "box", "up").await;
    for reply in [
        Reply::status(500),
        Reply::bytes("<html>"),
        Reply::json(&json!({"error": "x"})),
    ] {
        up.set_script(lists(reply));
        let stale = until_state(&gateway, "box", "stale").await;
        assert_eq!(stale["models"], json!(["old", "both"]));
        assert_eq!(answers(&gateway, "old").await, 200);
        up.set_script(lists(list(&["old", "both"])));
        until_state(&gateway, "box", "up").await;
    }
    // Nobody stands behind whoever answers.
    up.set_script(lists(Reply::status(503)));
    let down = until_state(&gateway, "box", "down").await;
    assert!(down["last_error"].as_str().unwrap().contains("503"));
    up.set_script(lists(list(&["both", "new"])));
    until_state(&gateway, "box", "up").await;
    assert_eq!(ids(&gateway).await, ["both", "new", "mynah/echo"]);
    assert_eq!(answers(&gateway, "old").await, 404);
}

#[tokio::test]
async fn one_that_hangs_keeps_nobody_else_waiting() {
    let hangs = Understudy::start(lists(list(&["a"]))).await.unwrap();
    let moves = Understudy::start(lists(list(&["b"]))).await.unwrap();
    let config = provider("hangs", &hangs.url(), "") + &provider("moves", &moves.url(), "");
    let gateway = Gateway::start(&config);
    until_state(&gateway, "hangs", "up").await;
    hangs.clear();
    hangs.set_script(lists(Reply::hang()));
    hangs
        .wait_until(|counters| counters.requests > counters.completed)
        .await;
    moves.set_script(lists(list(&["c"])));
    let seen = |all: &Value| all["endpoints"][1]["models"] == json!(["c"]);
    let all = until(&gateway, "/v1/endpoints", seen).await;
    assert_eq!(all["endpoints"][0]["state"], "up", "{all}");
}

/// Answers with the page that the query asks for.
fn paged(parameter: &'static str, pages: [(&'static str, Value); 3]) -> Script {
    let answer = move |received: &Received| {
        let query = received.query().unwrap_or_default();
        let wanted = query
            .split('&')
            .find_map(|pair| pair.strip_prefix(parameter)?.strip_prefix('='));
        let page = pages.iter().find(|(token, _)| *token == wanted.unwrap_or_default());
        page.map_or(Reply::status(400), |(_, page)| Reply::json(page))
    };
    Script::new().rule(Rule::any().answer_with(answer))
}

#[tokio::test]
async fn all_pages_are_asked_for() {
    let anthropic = paged(
        "after_id",
        [
            (
                "",
                json!({"data": [{"id": "a"}, {"id": "b"}], "has_more": true, "last_id": "b"}),
            ),
            (
                "b",
                json!({"data": [{"id": "c/d"}], "has_more": true, "last_id": "c/d"}),
            ),
            (
                "c%2Fd",
                json!({"data": [{"id": "e"}], "has_more": false, "last_id": "e"}),
            ),
        ],
    );
    let gemini = paged(
        "pageToken",
        [
            (
                "",
                json!({"models": [{"name": "models/a"}, {"name": "models/b"}], "nextPageToken": "x="}),
            ),
            (
                "x%3D",
                json!({"models": [{"name": "models/c/d"}], "nextPageToken": "y"}),
            ),
            ("y", json!({"models": [{"name": "models/e"}]})),
        ],
    );
    let cohere = paged(
        "page_token",
        [
            (
                "",
                json!({"models": [{"name": "a"}, {"name": "b"}], "next_page_token": "x"}),
            ),
            ("x", json!({"models": [{"name": "c/d"}], "next_page_token": "y"})),
            ("y", json!({"models": [{"name": "e"}], "next_page_token": ""})),
        ],
    );
    for (kind, script) in [("anthropic", anthropic), ("gemini", gemini), ("cohere", cohere)] {
        let up = Understudy::start(script).await.unwrap();
        let gateway = Gateway::start(&provider("up", &up.url(), &format!("kind = '{kind}'\napi_key = 'k'")));
        let endpoint = until_state(&gateway, "up", "up").await;
        assert_eq!(endpoint["models"], json!(["a", "b", "c/d", "e"]), "{kind}");
        assert_eq!(endpoint["kind"], kind);
        let has_key = |received: &Received| {
            let header = received.header_text("x-goog-api-key").or(received.key());
            header == Some("k")
        };
        assert!(up.received().iter().all(has_key), "{kind}");
    }
}

#[tokio::test]
async fn pages_without_end_come_to_an_end() {
    let script = Script::new().rule(Rule::any().answer_with(|received| {
        let id = format!("m{}", received.number);
        Reply::json(&json!({"data": [{"id": id}], "has_more": true, "last_id": id}))
    }));
    let up = Understudy::start(script).await.unwrap();
    let config = format!(
        "[providers.up]\nkind = 'anthropic'\nbase_url = '{}'\napi_key = 'k'\n",
        up.url()
    );
    let gateway = Gateway::start(&config);
    let endpoint = until_state(&gateway, "up", "up").await;
    assert_eq!(endpoint["models"].as_array().unwrap().len(), 100);
}

#[tokio::test]
async fn every_kind_of_list_is_read() {
    let table = json!({
        "/QmA": {"id": "QmA", "connected": true, "last_seen": 1_766_500_000, "status": "", "hardware": {"gpus": null},
            "service": [{"name": "llm", "status": "connected", "port": "8080", "identity_group": ["model=org/m"]}]},
        "/QmB": {"id": "QmB", "connected": false, "service": [{"identity_group": ["model=gone"]}]},
        "/QmHead": {"id": "QmHead", "connected": true, "service": null, "load": null},
    });
    let remote = json!({"models": [
        {"model_version": "org/m", "model_family": "f", "handle": "/f/chat/completions", "prompt_price_1k": 0.003},
        {"model_version": "gone", "model_family": "f", "handle": "unavailable"},
        {"broken": true},
    ]});
    let openai = json!({"object": "list", "data": [{"id": "org/m", "object": "model", "owned_by": "vllm"}]});
    let lmstudio = json!({"data": [{"id": "org/m", "type": "llm", "state": "not-loaded", "max_context_length": 4096}]});
    let ollama = json!({"models": [{"name": "org/m", "model": "org/m", "details": {"family": "m"}}]});
    for (settings, path, body) in [
        ("", "/v1/models", &openai),
        ("kind = 'lmstudio'", "/v1/models", &openai),
        ("discovery.url = '/api/v0/models'", "/api/v0/models", &lmstudio),
        ("kind = 'ollama'", "/v1/models", &openai),
        ("discovery.shape = 'ollama'", "/api/tags", &ollama),
        ("kind = 'ocf'", "/v1/dnt/table", &table),
        (
            "discovery.shape = 'model-list'\ndiscovery.url = '/list?all=1'\nauth = 'oauth'",
            "/list?all=1",
            &remote,
        ),
    ] {
        let up = Understudy::start(Script::new().rule(Rule::any().reply(Reply::json(body))))
            .await
            .unwrap();
        let gateway = Gateway::start(&provider("up", &up.url(), settings));
        let endpoint = until_state(&gateway, "up", "up").await;
        assert_eq!(endpoint["models"], json!(["org/m"]), "{settings}");
        assert_eq!(up.received()[0].target, path, "{settings}");
        assert_eq!(ids(&gateway).await, ["org/m", "mynah/echo"], "{settings}");
    }
}

#[tokio::test]
async fn a_prefix_stands_before_ids_and_goes_nowhere() {
    let up = Understudy::start(lists(list(&["org/m", "n"]))).await.unwrap();
    let url = up.url();
    let config = provider("one", &url, "prefix = 'hub'")
        + &provider("two", &url, "prefix = 'hub'")
        + &provider("three", &url, "models = ['n']\nprefix = 'own'");
    let gateway = Gateway::start(&config);
    until_state(&gateway, "two", "up").await;
    until_state(&gateway, "one", "up").await;
    let expected = ["hub/org/m", "hub/n", "two/org/m", "two/n", "own/n", "mynah/echo"];
    assert_eq!(ids(&gateway).await, expected);
    let endpoint = until_state(&gateway, "three", "configured").await;
    assert_eq!(endpoint["models"], json!(["own/n"]));
    for (asked, sent) in [
        ("hub/org/m", Some("org/m")),
        ("own/n", Some("n")),
        ("two/n", Some("n")),
        ("org/m", None),
    ] {
        up.clear();
        let status = answers(&gateway, asked).await;
        assert_eq!(status, if sent.is_some() { 200 } else { 404 }, "{asked}");
        let chats = up.received().into_iter().filter(|received| received.method == "POST");
        let models: Vec<Option<String>> = chats.map(|received| received.model()).collect();
        assert_eq!(models.first().cloned().flatten().as_deref(), sent, "{asked}");
    }
    let directory = gateway.directory.path();
    let wrong = provider("one", &url, "prefix = 'two'") + &provider("two", &url, "prefix = 'a/b'");
    std::fs::write(directory.join("wrong.toml"), wrong).unwrap();
    let mut check = support::command(directory);
    let checked = check.args(["check", "--config", "wrong.toml"]).output().unwrap();
    let said = String::from_utf8(checked.stderr).unwrap();
    assert!(said.contains("`providers.one.prefix`: `two` must be"), "{said}");
    assert!(said.contains("`providers.two.prefix`: `a/b` must be"), "{said}");
}

#[tokio::test]
async fn a_list_on_another_host_gets_no_key() {
    let lists_here = Understudy::start(list(&["m"])).await.unwrap();
    let answers_here = Understudy::start(Reply::persona()).await.unwrap();
    let more = format!(
        "api_key = 'the-key'\nheaders = {{ x-token = 'the-token' }}\ndiscovery.url = '{}/all.json'",
        lists_here.url()
    );
    let gateway = Gateway::start(&provider("up", &answers_here.url(), &more));
    until_state(&gateway, "up", "up").await;
    for received in lists_here.received() {
        assert_eq!(received.target, "/all.json");
        assert!(!format!("{received:?}").contains("the-"), "{received:?}");
    }
    assert_eq!(answers(&gateway, "m").await, 200);
    assert_eq!(answers_here.received()[0].key(), Some("the-key"));
    assert!(!gateway.get("/v1/endpoints").await.text().contains("the-"));
    // That the list is away says nothing about the provider.
    drop(lists_here);
    until_state(&gateway, "up", "stale").await;
}

#[tokio::test]
async fn after_a_failure_the_next_key_is_tried() {
    let script = Script::new()
        .rule(Rule::any().key("bad").reply(Reply::status(401)))
        .rule(Rule::any().reply(list(&["m"])));
    let up = Understudy::start(script).await.unwrap();
    let gateway = Gateway::start(&provider("up", &up.url(), "api_keys = ['bad', 'good']"));
    until_state(&gateway, "up", "up").await;
}

#[tokio::test]
async fn whoever_is_not_asked_has_what_the_operator_said() {
    let up = Understudy::start(list(&["never"])).await.unwrap();
    let url = up.url();
    let config =
        provider("stated", &url, "models = ['a', 'b']") + &provider("silent", &url, "discovery.shape = 'none'");
    let gateway = Gateway::start(&config);
    let all = gateway.get("/v1/endpoints").await.json();
    let rows: Vec<Value> = all["endpoints"].as_array().unwrap().clone();
    let row = |row: &Value| json!([row["provider"], row["state"], row["models"], row["list_age"]]);
    assert_eq!(
        rows.iter().map(row).collect::<Vec<_>>(),
        [
            json!(["stated", "configured", ["a", "b"], null]),
            json!(["silent", "configured", [], null]),
            json!(["mynah", "configured", ["echo"], null]),
        ]
    );
    assert_eq!(rows[0]["url"], url);
    assert_eq!(rows[2]["url"], Value::Null);
    assert_eq!(
        gateway.get("/health").await.json(),
        json!({"status": "ok", "version": env!("CARGO_PKG_VERSION")})
    );
    assert_eq!(up.received().len(), 0);
}

#[tokio::test]
async fn a_caller_sees_what_it_may_use_and_no_secret() {
    let up = Understudy::start(lists(list(&["m", "n"]))).await.unwrap();
    let mut config = provider("one", &up.url(), "api_keys = ['sk-of-one', 'sk-of-two']");
    config += &provider("two", "http://127.0.0.1:1", "api_key = 'sk-of-two'");
    let client = |(name, models)| format!("[[clients]]\nname = '{name}'\nkey = 'key-of-{name}'\nmodels = [{models}]\n");
    config += &[("all", "'*'"), ("some", "'one/m'"), ("echo", "'mynah/*'")]
        .map(client)
        .concat();
    let gateway = Gateway::start(&config);
    let by = async |name: &str, path: &str| {
        let request = Request::new("GET", path).header("authorization", &format!("Bearer key-of-{name}"));
        gateway.send(&request).await
    };
    for path in ["/v1/endpoints", "/health/detailed"] {
        assert_eq!(gateway.get(path).await.status, 401, "{path}");
        let refused = gateway.send(&Request::post(path, "{}")).await;
        assert_eq!(
            (refused.status, refused.header("allow")),
            (405, Some("GET, HEAD")),
            "{path}"
        );
    }
    for path in ["/health", "/health/detailed", "/v1/endpoints"] {
        let mut connection = gateway.connect().await;
        let head = Request::new("HEAD", path).header("authorization", "Bearer key-of-all");
        connection.write_all(&head.bytes()).await.unwrap();
        assert_eq!(read_head(&mut connection).await.unwrap().status, 200, "{path}");
    }

    let seen = |all: Value| -> Vec<Value> {
        let all = all["endpoints"].as_array().unwrap().clone();
        all.iter().map(|row| json!([row["provider"], row["models"]])).collect()
    };
    assert_eq!(
        seen(by("all", "/v1/endpoints").await.json()),
        [
            json!(["one", ["m", "n"]]),
            json!(["two", []]),
            json!(["mynah", ["echo"]])
        ]
    );
    assert_eq!(seen(by("some", "/v1/endpoints").await.json()), [json!(["one", ["m"]])]);
    assert_eq!(
        seen(by("echo", "/v1/endpoints").await.json()),
        [json!(["mynah", ["echo"]])]
    );

    let detailed = by("all", "/health/detailed").await;
    let text = detailed.text().to_owned();
    let detailed = detailed.json();
    assert_eq!(
        (&detailed["status"], &detailed["degraded"]),
        (&json!("ok"), &json!(["two"]))
    );
    let one = &detailed["providers"][0];
    assert_eq!(
        (&one["name"], &one["state"], &one["models"], &one["keys"]),
        (&json!("one"), &json!("up"), &json!(2), &json!(2))
    );
    assert!(one["list_age"].is_u64() && one["since"].is_string() && one["last_success"].is_string());
    assert_eq!(by("some", "/health/detailed").await.json()["degraded"], Value::Null);
    for text in [text, by("all", "/v1/endpoints").await.text().to_owned()] {
        assert!(!text.contains("sk-of") && !text.contains("key-of"), "{text}");
    }
}

#[tokio::test]
async fn a_changed_configuration_asks_anew() {
    let one = Understudy::start(lists(list(&["a"]))).await.unwrap();
    let two = Understudy::start(lists(list(&["b"]))).await.unwrap();
    let slow = |url: &str| format!("[providers.up]\nbase_url = '{url}'\n");
    let gateway = Gateway::start(&slow(&one.url()));
    until_state(&gateway, "up", "up").await;
    gateway.rewrite(&slow(&two.url()));
    let moved = |all: &Value| all["endpoints"][0]["models"] == json!(["b"]);
    until(&gateway, "/v1/endpoints", moved).await;
    assert_eq!(ids(&gateway).await, ["b", "mynah/echo"]);
    gateway.rewrite("[providers.other]\nbase_url = 'http://127.0.0.1:1'\nmodels = ['c']\n");
    until(&gateway, "/v1/endpoints", |all| {
        all["endpoints"][0]["provider"] == "other"
    })
    .await;
    assert_eq!(ids(&gateway).await, ["c", "mynah/echo"]);
}

#[tokio::test]
async fn a_local_server_that_starts_later_is_used() {
    let first = Understudy::start(Reply::status(500)).await.unwrap();
    let address = first.address();
    drop(first);
    let directory = tempfile::tempdir().unwrap();
    let config = "[server]\ndetect = true\n[providers.ollama]\ndiscovery.every = '100ms'\n";
    std::fs::write(directory.path().join("mynah.toml"), config).unwrap();
    let gateway = Gateway::start_in(directory, &[("OLLAMA_HOST", &address.to_string())]);
    gateway.printed("Providers:").await;
    let _up = Understudy::start_on(address, lists(list(&["llama"]))).await.unwrap();
    until_state(&gateway, "ollama", "up").await;
    assert_eq!(answers(&gateway, "llama").await, 200);
    let all = gateway.get("/v1/endpoints").await.json();
    let names: Vec<&Value> = all["endpoints"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| &row["provider"])
        .collect();
    assert_eq!(names, ["ollama", "mynah"], "servers that never answered are not listed");
}

#[test]
fn mistakes_in_the_settings_are_said() {
    let directory = tempfile::tempdir().unwrap();
    let check = |settings: &str| {
        let text = format!("[providers.up]\nbase_url = 'http://h'\ndiscovery = {{ {settings} }}\n");
        std::fs::write(directory.path().join("mynah.toml"), text).unwrap();
        let output = support::command(directory.path()).arg("check").output().unwrap();
        String::from_utf8(output.stderr).unwrap()
    };
    for (settings, expected) in [
        ("every = '0s'", "`providers.up.discovery.every`: must be at least 100ms"),
        ("evry = '5m'", "did you mean `every`?"),
        ("shape = 'opanai'", "did you mean `openai`?"),
        ("url = 'models'", "is neither a path such as /v1/models nor a URL"),
        ("url = 'ftp://h/models'", "must begin with http:// or https://"),
        ("url = 'http://k@h/models'", "must not hold credentials"),
    ] {
        let said = check(settings);
        assert!(said.contains(expected), "{settings}: {said}");
    }
    let said = check("every = '1h', shape = 'model-list', url = 'https://h/all.json?x=1'");
    assert!(!said.contains("problem"), "{said}");
}
