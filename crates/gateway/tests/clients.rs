//! Who may call, and for what.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing helper is a failing test"
)]

mod support;

use mynah_understudy::{Reply, Understudy};
use support::{Gateway, Request, command};
use tokio::io::AsyncWriteExt as _;

async fn up(clients: &str) -> (Understudy, Gateway) {
    let understudy = Understudy::start(Reply::json(&serde_json::json!({"ok": 1})))
        .await
        .unwrap();
    let gateway = Gateway::start_with(
        &format!(
            "{clients}\n[providers.up]\nbase_url = '{}'\nmodels = ['gpt-a', 'gpt-b', 'other']\n\
             [models.smart]\ntargets = ['up/gpt-a']\n[models.secret]\ntargets = ['up/other']\n",
            understudy.url()
        ),
        &[("TEAM_KEY", "key-of-the-team")],
    );
    (understudy, gateway)
}

const CLIENTS: &str = "[[clients]]\nname = 'team'\nkey = '${TEAM_KEY}'\nmodels = ['smart', 'up/gpt-*']\n\
    [[clients]]\nname = 'all'\nkey_sha256 = '11b61ff8f27ebdeaa6f43de31efa2bb959b0c03b95f5943338d0f95797a6bbd2'\n";

fn chat(model: &str) -> Request {
    Request::chat(&format!(r#"{{"model":"{model}"}}"#))
}

#[tokio::test]
async fn without_a_key_nobody_gets_in() {
    let (understudy, gateway) = up(CLIENTS).await;
    let reply = gateway.send(&chat("smart")).await;
    assert_eq!((reply.status, reply.error_code().as_str()), (401, "missing_api_key"));
    for path in ["/v1/models", "/v1/models/smart", "/v1/files"] {
        assert_eq!(gateway.get(path).await.status, 401, "{path}");
    }
    assert_eq!(gateway.get("/health").await.status, 200);
    let wrong = gateway
        .send(&chat("smart").header("authorization", "Bearer key-of-another"))
        .await;
    assert_eq!((wrong.status, wrong.error_code().as_str()), (401, "invalid_api_key"));
    assert!(!wrong.text().contains("key-of-another"));
    assert_eq!(understudy.received().len(), 0);
}

#[tokio::test]
async fn a_key_is_accepted_in_every_usual_form() {
    let (_understudy, gateway) = up(CLIENTS).await;
    for (name, value) in [
        ("Authorization", "Bearer key-of-the-team"),
        ("authorization", "bearer key-of-the-team"),
        ("authorization", "key-of-the-team"),
        ("X-Api-Key", "key-of-the-team"),
        ("api-key", "key-of-the-team"),
    ] {
        assert_eq!(
            gateway.send(&chat("smart").header(name, value)).await.status,
            200,
            "{name}: {value}"
        );
    }
}

#[tokio::test]
async fn a_client_gets_the_models_that_it_may_use() {
    let (_understudy, gateway) = up(CLIENTS).await;
    let as_team = |request: Request| request.header("authorization", "Bearer key-of-the-team");
    for (model, status) in [
        ("smart", 200),
        ("gpt-a", 200),
        ("up/gpt-b", 200),
        ("up/gpt-not-listed", 200),
        ("secret", 403),
        ("other", 403),
        ("up/other", 403),
        ("mynah/echo", 403),
        ("nothing", 404),
    ] {
        assert_eq!(gateway.send(&as_team(chat(model))).await.status, status, "{model}");
    }
    let list = gateway.send(&as_team(Request::new("GET", "/v1/models"))).await.json();
    let ids: Vec<&str> = list["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|model| model["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["smart", "gpt-a", "gpt-b"]);
    assert_eq!(
        gateway
            .send(&as_team(Request::new("GET", "/v1/models/secret")))
            .await
            .status,
        403
    );
    // Routes without a model need everything of the provider.
    assert_eq!(
        gateway.send(&as_team(Request::new("GET", "/v1/files"))).await.status,
        403
    );
}

#[tokio::test]
async fn the_model_that_is_checked_is_the_model_that_is_sent() {
    let (understudy, gateway) = up(CLIENTS).await;
    for body in [
        r#"{"model":"smart","model":"up/other"}"#,
        r#"{"model":"smart","mod\u0065l":"up/other"}"#,
        r#"{"mod\u0065l":"up/other"}"#,
    ] {
        let reply = gateway
            .send(&Request::chat(body).header("authorization", "key-of-the-team"))
            .await;
        assert!(matches!(reply.status, 400 | 403), "{body}: {}", reply.status);
    }
    assert_eq!(understudy.received().len(), 0);
}

#[tokio::test]
async fn choosing_the_provider_does_not_widen_what_a_client_may_use() {
    let (understudy, gateway) = up(CLIENTS).await;
    let pinned = |model: &str| {
        chat(model)
            .header("authorization", "key-of-the-team")
            .header("x-mynah-provider", "up")
    };
    assert_eq!(gateway.send(&pinned("gpt-b")).await.status, 200);
    understudy.clear();
    for model in ["smart", "other", "up/other"] {
        assert_eq!(gateway.send(&pinned(model)).await.status, 403, "{model}");
    }
    assert_eq!(understudy.received().len(), 0);
}

#[tokio::test]
async fn without_clients_whatever_an_sdk_sends_means_nothing() {
    let (_understudy, gateway) = up("").await;
    assert_eq!(
        gateway
            .send(&chat("smart").header("authorization", "Bearer sk-none"))
            .await
            .status,
        200
    );
    assert_eq!(gateway.send(&chat("smart")).await.status, 200);
}

#[tokio::test]
async fn anonymous_callers_can_be_let_in_beside_clients() {
    let (_understudy, gateway) = up(&format!("[server]\nallow_anonymous = true\n{CLIENTS}")).await;
    assert_eq!(gateway.send(&chat("secret")).await.status, 200);
    assert_eq!(
        gateway
            .send(&chat("secret").header("authorization", "key-of-the-team"))
            .await
            .status,
        403
    );
    assert_eq!(
        gateway
            .send(&chat("secret").header("authorization", "key-of-nobody"))
            .await
            .status,
        401
    );
}

#[test]
fn listening_to_the_world_needs_clients() {
    let directory = tempfile::tempdir().unwrap();
    let check = |config: &str| {
        std::fs::write(directory.path().join("mynah.toml"), config).unwrap();
        let output = command(directory.path()).arg("check").output().unwrap();
        (output.status.success(), String::from_utf8(output.stderr).unwrap())
    };
    for listen in ["0.0.0.0:9", "[::]:9", ":9", "192.168.0.1:9"] {
        let (fine, problems) = check(&format!("[server]\nlisten = '{listen}'\n"));
        assert!(
            !fine && problems.contains("mynah.toml:2:1") && problems.contains("[[clients]]"),
            "{listen}: {problems}"
        );
        assert!(check(&format!("[server]\nlisten = '{listen}'\nallow_anonymous = true\n")).0);
        assert!(
            check(&format!(
                "[server]\nlisten = '{listen}'\n[[clients]]\nname = 'a'\nkey = 'b'\n"
            ))
            .0
        );
    }
    assert!(check("[server]\nlisten = '127.0.0.2:9'\n").0);
}

#[tokio::test]
async fn web_pages_call_only_from_where_they_may() {
    let (understudy, gateway) = up("[server]\ncors_origins = ['https://app.example']\n").await;
    let from = |origin: &str, request: Request| request.header("origin", origin);
    let reply = gateway.send(&from("https://app.example", chat("smart"))).await;
    assert_eq!(
        (reply.status, reply.header("access-control-allow-origin")),
        (200, Some("https://app.example"))
    );
    let exposed = reply.header("access-control-expose-headers").unwrap();
    for name in [
        "x-request-id",
        "retry-after",
        "x-mynah-model",
        "x-ratelimit-remaining-requests",
        "anthropic-ratelimit-tokens-reset",
    ] {
        assert!(
            exposed.split(',').any(|other| other.trim() == name),
            "{name}: {exposed}"
        );
    }
    let preflight = Request::new("OPTIONS", "/v1/chat/completions")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization,x-stainless-lang");
    let reply = gateway.send(&from("https://app.example", preflight.clone())).await;
    assert_eq!(reply.status, 200);
    assert_eq!(
        reply.header("access-control-allow-headers"),
        Some("authorization,x-stainless-lang")
    );
    let reply = gateway.send(&from("https://evil.example", preflight.clone())).await;
    assert_eq!(reply.header("access-control-allow-origin"), None);
    // Pages of this machine may call in any case, and have to be told.
    for request in [preflight, chat("smart")] {
        let reply = gateway.send(&from("http://localhost:3000", request)).await;
        let allowed = reply.header("access-control-allow-origin");
        assert_eq!((reply.status, allowed), (200, Some("http://localhost:3000")));
    }
    // A page that needs no key could spend money without reading the answer.
    understudy.clear();
    let reply = gateway.send(&from("https://evil.example", chat("smart"))).await;
    assert_eq!((reply.status, reply.error_code().as_str()), (403, "origin_not_allowed"));
    assert_eq!(understudy.received().len(), 0);
}

#[tokio::test]
async fn a_client_may_be_bound_to_kinds_of_routes_and_to_a_time() {
    let clients = "[[groups]]\nname = 'team'\nroutes = ['chat']\nmodels = ['smart']\n\
        [[clients]]\nname = 'chats'\nkey = 'key-chats'\ngroup = 'team'\n\
        [[clients]]\nname = 'late'\nkey = 'key-late'\nexpires = 2020-01-31\n\
        [[clients]]\nname = 'early'\nkey = 'key-early'\nexpires = 2999-01-31T00:00:00Z\nroutes = ['embeddings', 'files']\n";
    let (understudy, gateway) = up(clients).await;
    let send = async |key: &str, request: Request| {
        let reply = gateway.send(&request.header("authorization", key)).await;
        (reply.status, reply.error_code())
    };
    let embed = || Request::post("/v1/embeddings", r#"{"model":"smart","input":"x"}"#);
    assert_eq!(send("key-chats", embed()).await, (403, "route_not_allowed".into()));
    let (status, code) = send("key-chats", chat("secret")).await;
    assert_eq!(
        (status, code.as_str()),
        (403, "model_not_allowed"),
        "what the group says"
    );
    assert_eq!(send("key-late", chat("smart")).await, (401, "expired_api_key".into()));
    let lists = Request::new("GET", "/v1/models");
    assert_eq!(send("key-late", lists).await.0, 401);
    assert_eq!(
        send("key-early", chat("smart")).await,
        (403, "route_not_allowed".into())
    );
    assert_eq!(understudy.received().len(), 0);
    for (key, request) in [
        ("key-chats", chat("smart")),
        ("key-early", embed()),
        ("key-early", Request::new("GET", "/v1/files")),
    ] {
        assert_eq!(
            gateway.send(&request.header("authorization", key)).await.status,
            200,
            "{key}"
        );
    }
}

#[test]
fn mistakes_in_clients_and_groups_are_told_with_their_places() {
    let directory = tempfile::tempdir().unwrap();
    let check = |config: &str| {
        std::fs::write(directory.path().join("mynah.toml"), config).unwrap();
        let output = command(directory.path()).arg("check").output().unwrap();
        String::from_utf8(output.stderr).unwrap()
    };
    let client = |lines: &str| check(&format!("[[clients]]\nname = 'a'\nkey = 'k'\n{lines}\n"));
    for (lines, problem) in [
        (
            "expires = 'soon'",
            "mynah.toml:4:1: `clients.0.expires`: `soon` is not a date",
        ),
        ("routes = ['chats']", "`chats` is not one of chat, "),
        (
            "group = 'x'",
            "mynah.toml:4:1: `clients.0.group`: there is no group `x`",
        ),
        ("requests_per_minute = 0", "must be at least 1"),
        (
            "request_per_minute = 5",
            "unknown key, did you mean `requests_per_minute`?",
        ),
        ("budget = { usd = 5 }", "`clients.0.budget.per`: this key is required"),
        (
            "budgets = [{ usd = 5, per = 'day' }]",
            "unknown key, did you mean `budget`?",
        ),
        ("max_budget = 5", "`clients.0.max_budget`: unknown key"),
        (
            "budget = { usd = 5, per = 'day', reset = 1 }",
            "`clients.0.budget.reset`: unknown key",
        ),
        ("[[groups]]\nname = 'g'\nbudget = 5", "`groups.0.budget`"),
        (
            "budget = { usd = 5, per = 'year' }",
            "`year` is not one of hour, day, week, month, total",
        ),
        ("budget = { usd = 0, per = 'day' }", "is not a sum"),
        (
            "budget = [{ usd = 1, per = 'day' }, { usd = 2, per = 'day' }]",
            "two budgets per day",
        ),
        (
            "[[groups]]\nname = 'g'\ngroup = 'g'",
            "mynah.toml:6:1: `groups.0.group`: the group `g` belongs to itself",
        ),
        (
            "[[groups]]\nname = 'g'\n[[groups]]\nname = 'g'",
            "there is another group `g`",
        ),
        (
            "tags = ['one', 'two words']",
            "mynah.toml:4:1: `clients.0.tags`: `two words` is not a tag",
        ),
        (
            "[[groups]]\nname = 'g'\ntags = ['a,b']",
            "`groups.0.tags`: `a,b` is not a tag",
        ),
        (
            "[models.m]\ntargets = [{ target = 'mynah/echo', tags = [' a'] }]",
            "`models.m.targets.0.tags`: ` a` is not a tag",
        ),
        ("[[clients]]\nname = 'b'", "only the client `anonymous` has none"),
        (
            "[[clients]]\nname = 'anonymous'\nkey = 'x'",
            "stands for callers without a key",
        ),
    ] {
        let problems = client(lines);
        assert!(problems.contains(problem), "{lines}: {problems}");
    }
    let group = |at| format!("[[groups]]\nname = 'g{at}'\ngroup = 'g{}'\n", at + 1);
    let deep: Vec<String> = (0..6).map(group).collect();
    let deep = deep.concat();
    assert!(client(&format!("group = 'g0'\n{deep}[[groups]]\nname = 'g6'")).contains("4 levels at most"));
}

#[tokio::test]
async fn a_key_that_is_taken_away_is_refused_from_then_on() {
    let understudy = Understudy::start(Reply::json(&serde_json::json!({"ok": 1})))
        .await
        .unwrap();
    let provider = format!("[providers.up]\nbase_url = '{}'\nmodels = ['m']\n", understudy.url());
    let client = |name: &str, key: &str| format!("[[clients]]\nname = '{name}'\nkey = '{key}'\n");
    let both = provider.clone() + &client("a", "key-a") + &client("b", "key-b");
    let gateway = Gateway::start(&both);
    let status = async |key: &str| gateway.send(&chat("m").header("authorization", key)).await.status;
    assert_eq!((status("key-a").await, status("key-b").await), (200, 200));
    // One is gone, and the other has got another key.
    gateway.rewrite(&(provider + &client("b", "key-of-b")));
    gateway.printed("the changed configuration is in use").await;
    let statuses = (status("key-a").await, status("key-b").await, status("key-of-b").await);
    assert_eq!(statuses, (401, 401, 200));
    // Also on a connection that was used with it before.
    let mut stream = gateway.connect().await;
    let ask = async |stream: &mut tokio::net::TcpStream, key: &str| {
        let request = chat("m").header("authorization", key);
        stream.write_all(&request.bytes()).await.unwrap();
        support::read_reply(stream).await.unwrap().status
    };
    assert_eq!(ask(&mut stream, "key-of-b").await, 200);
    gateway.rewrite(&both);
    while status("key-of-b").await == 200 {}
    assert_eq!(ask(&mut stream, "key-of-b").await, 401);
}

#[tokio::test]
async fn nothing_that_a_caller_says_leads_a_providers_key_elsewhere() {
    let (understudy, elsewhere) = (
        Understudy::start(Reply::json(&serde_json::json!({"ok": 1})))
            .await
            .unwrap(),
        Understudy::start(Reply::json(&serde_json::json!({"ok": 2})))
            .await
            .unwrap(),
    );
    let gateway = Gateway::start(&format!(
        "[[clients]]\nname = 'a'\nkey = 'key-a'\n[providers.up]\nbase_url = '{}'\napi_key = 'of-the-provider'\nmodels = ['m']\n",
        understudy.url()
    ));
    let (there, host) = (elsewhere.url(), elsewhere.url().replace("http://", ""));
    let body = format!(
        r#"{{"model":"m","api_base":"{there}","base_url":"{there}","api_key":"sk-x","provider":{{"base_url":"{there}"}},"messages":[]}}"#
    );
    for (name, value) in [
        ("x-portkey-custom-host", &there),
        ("x-base-url", &there),
        ("x-forwarded-host", &host),
        ("forwarded", &format!("host={host}")),
        ("x-original-url", &there),
        ("x-mynah-provider", &there),
    ] {
        let request = Request::chat(&body).header("authorization", "Bearer key-a");
        gateway.send(&request.header(name, value)).await;
    }
    let query = format!("/v1/chat/completions?api_base={there}&base_url={there}");
    gateway
        .send(&Request::post(&query, &body).header("authorization", "Bearer key-a"))
        .await;
    for path in [
        format!("//{host}/v1/chat/completions"),
        format!("/v1/files/@{host}/x"),
        format!("/v1/files/..%2f..%2f{host}"),
    ] {
        gateway
            .send(&Request::new("GET", &path).header("authorization", "Bearer key-a"))
            .await;
    }
    assert_eq!(elsewhere.received().len(), 0);
    let received = understudy.received();
    assert!(received.len() >= 5, "{}", received.len());
    assert!(received.iter().all(|request| request.key() == Some("of-the-provider")));
}
