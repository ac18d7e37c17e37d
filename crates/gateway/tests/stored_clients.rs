//! Clients that are not in the file: created, rotated and revoked while gateways run, on every node of a store.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing helper is a failing test"
)]

mod support;

use std::path::{Path, PathBuf};
use std::time::Duration;

use mynah_understudy::{Reply, Understudy};
use serde_json::{Value, json};
use support::postgres::Postgres;
use support::{Gateway, Request, command, read_reply, rows};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::Instant;

const ADMIN_KEY: &str = "the-operators-own-key";

const ADMIN: &str =
    "[server]\nlisten = '127.0.0.1:0'\n[admin]\nlisten = '127.0.0.1:0'\nkey = 'the-operators-own-key'\n";

const FILE: &str = "[[clients]]\nname = 'of-the-file'\nkey = 'key-of-the-file'\n\
    [[groups]]\nname = 'team'\nrequests_per_minute = 3\n";

/// Where clients are kept.
enum Store {
    /// In a file that is made in this directory.
    Sqlite(tempfile::TempDir),
    Postgres(Postgres),
}

impl Store {
    fn sqlite() -> Self {
        let store = Self::Sqlite(tempfile::tempdir().unwrap());
        std::fs::create_dir(store.folder().unwrap()).unwrap();
        store
    }

    fn postgres() -> Self {
        Self::Postgres(Postgres::start())
    }

    /// The folder that has nothing but the database, where it is a file.
    fn folder(&self) -> Option<PathBuf> {
        match self {
            Self::Sqlite(directory) => Some(directory.path().join("store")),
            Self::Postgres(_) => None,
        }
    }

    /// What a configuration says of it.
    fn table(&self) -> String {
        let url = match self {
            Self::Sqlite(_) => format!("sqlite://{}/mynah.db", self.folder().unwrap().display()),
            Self::Postgres(server) => server.url(),
        };
        format!("[store]\nurl = '{url}'\nflush = '10ms'\n")
    }

    fn go_away(&mut self) {
        match self {
            Self::Sqlite(_) => std::fs::remove_dir_all(self.folder().unwrap()).unwrap(),
            Self::Postgres(server) => server.stop(),
        }
    }

    /// Comes back, or another in its place.
    fn come(&mut self) {
        match self {
            Self::Sqlite(_) => std::fs::create_dir(self.folder().unwrap()).unwrap(),
            Self::Postgres(server) => server.resume(),
        }
    }

    /// All that is in it.
    async fn content(&self) -> Vec<u8> {
        match self {
            Self::Sqlite(_) => {
                let database = self.folder().unwrap().join("mynah.db");
                let log = std::fs::read(database.with_extension("db-wal")).unwrap_or_default();
                [std::fs::read(database).unwrap(), log].concat()
            }
            Self::Postgres(server) => {
                let mut content = String::new();
                for table in ["clients", "client_keys", "requests", "attempts"] {
                    let rows = server.find(&format!("SELECT row_to_json(t) FROM {table} t")).await;
                    content += &rows.unwrap().concat();
                }
                content.into_bytes()
            }
        }
    }

    /// Waits until the ledger has rows of so many requests.
    async fn has_rows(&self, count: usize) {
        let query = "SELECT id FROM requests";
        match self {
            Self::Sqlite(_) => {
                rows::rows(&self.folder().unwrap().join("mynah.db"), query, count).await;
            }
            Self::Postgres(server) => {
                let waiting = tokio::time::timeout(support::PATIENCE, async {
                    while server.find(query).await.unwrap().len() < count {}
                });
                waiting.await.unwrap();
            }
        }
    }
}

/// Has each of these tests run with either kind of store.
macro_rules! with_each_store {
    ($($test:ident)*) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $test() {
                super::$test(super::Store::sqlite()).await;
            })*
        }
        mod postgresql {
            $(#[tokio::test]
            async fn $test() {
                super::$test(super::Store::postgres()).await;
            })*
        }
    };
}

with_each_store! {
    a_client_is_created_limited_rotated_and_revoked_by_the_api
    what_contradicts_the_file_is_refused
    the_command_works_whether_a_gateway_runs_or_not
    a_key_that_is_revoked_stops_on_every_node_within_a_second
    a_request_in_flight_outlives_its_key
    a_store_that_is_away_at_the_start_refuses_nobody_for_good
    as_soon_as_there_was_a_key_callers_need_one
    what_a_stored_client_has_consumed_is_known_after_a_restart
}

async fn admin_of(gateway: &Gateway) -> String {
    gateway.printed("The admin API is on ").await;
    let printed = gateway.printed.lock().unwrap();
    let url = printed.split("The admin API is on http://").nth(1).unwrap();
    url.split('/').next().unwrap().to_owned()
}

async fn call(address: &str, method: &str, path: &str, body: &Value) -> support::Reply {
    let request = Request::to("127.0.0.1", method, path)
        .header("content-type", "application/json")
        .header("authorization", &format!("Bearer {ADMIN_KEY}"))
        .body(body.to_string().as_bytes());
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&request.bytes()).await.unwrap();
    read_reply(&mut stream).await.unwrap()
}

/// The key of a client that is created.
async fn create(address: &str, settings: &Value) -> String {
    let reply = call(address, "POST", "/api/clients", settings).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()["key"].as_str().unwrap().to_owned()
}

/// How a request with a key is answered.
async fn status(gateway: &Gateway, key: &str) -> u16 {
    let request = Request::chat(r#"{"model":"mynah/echo","messages":[]}"#);
    gateway
        .send(&request.header("authorization", &format!("Bearer {key}")))
        .await
        .status
}

/// Waits until a key is answered so. Returns how long that took.
async fn becomes(gateway: &Gateway, key: &str, expected: u16) -> Duration {
    let begun = Instant::now();
    let waiting = tokio::time::timeout(support::PATIENCE, async {
        while status(gateway, key).await != expected {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    waiting
        .await
        .unwrap_or_else(|_| panic!("never {expected}: {}", gateway.printed.lock().unwrap()));
    begun.elapsed()
}

/// What `mynah keys` prints, and whether it succeeded.
fn keys(directory: &Path, arguments: &[&str]) -> (bool, String) {
    let output = command(directory).arg("keys").args(arguments).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

fn key_in(text: &str) -> String {
    let key = text.lines().find(|line| line.starts_with("sk-mynah-"));
    key.unwrap_or_else(|| panic!("no key in {text}")).to_owned()
}

async fn a_client_is_created_limited_rotated_and_revoked_by_the_api(store: Store) {
    let gateway = Gateway::start(&format!("{ADMIN}{}{FILE}", store.table()));
    let admin = admin_of(&gateway).await;
    assert_eq!(status(&gateway, "sk-mynah-nobody").await, 401);
    let key = create(
        &admin,
        &json!({"name": "new", "group": "team", "models": ["mynah/*"], "budget": {"usd": 5, "per": "day"}}),
    )
    .await;
    assert!(key.starts_with("sk-mynah-") && key.len() == 52, "{key}");
    assert_eq!(status(&gateway, &key).await, 200, "it holds when the answer comes");
    assert_eq!(status(&gateway, "key-of-the-file").await, 200);
    // Its group is that of the file.
    assert_eq!((status(&gateway, &key).await, status(&gateway, &key).await), (200, 200));
    assert_eq!(status(&gateway, &key).await, 429);
    let changed = call(
        &admin,
        "PUT",
        "/api/clients/new",
        &json!({"name": "new", "models": ["other"]}),
    )
    .await;
    assert_eq!(
        (changed.status, &changed.json()["models"]),
        (200, &json!(["other"])),
        "{}",
        changed.text()
    );
    assert_eq!(status(&gateway, &key).await, 403);
    call(&admin, "PUT", "/api/clients/new", &json!({"name": "new"})).await;
    assert_eq!(status(&gateway, &key).await, 200);
    let rotated = call(&admin, "POST", "/api/clients/new/rotate", &json!({"grace": "1h"}))
        .await
        .json();
    let second = rotated["key"].as_str().unwrap().to_owned();
    assert_eq!(
        (status(&gateway, &key).await, status(&gateway, &second).await),
        (200, 200),
        "both, for a time"
    );
    let third = call(&admin, "POST", "/api/clients/new/rotate", &json!({})).await.json();
    let third = third["key"].as_str().unwrap().to_owned();
    assert_eq!(
        (status(&gateway, &key).await, status(&gateway, &second).await),
        (401, 401)
    );
    assert_eq!(status(&gateway, &third).await, 200);
    let listed = call(&admin, "GET", "/api/clients", &json!({})).await;
    let clients = listed.json();
    let of = |at: usize, field: &str| clients["clients"][at][field].clone();
    assert_eq!((of(0, "name"), of(0, "origin")), (json!("of-the-file"), json!("file")));
    assert_eq!(
        (of(1, "name"), of(1, "origin"), of(1, "state")),
        (json!("new"), json!("store"), json!("active"))
    );
    assert!(third.starts_with(clients["clients"][1]["keys"][0]["prefix"].as_str().unwrap()));
    let content = store.content().await;
    let printed = gateway.printed.lock().unwrap().clone().into_bytes();
    for key in [&key, &second, &third] {
        for place in [&content, &printed, &listed.body] {
            assert!(
                !place.windows(key.len()).any(|window| window == key.as_bytes()),
                "the key itself is kept nowhere"
            );
        }
    }
    assert_eq!(call(&admin, "DELETE", "/api/clients/new", &json!({})).await.status, 200);
    assert_eq!(status(&gateway, &third).await, 401, "it holds when the answer comes");
    let accounted = tokio::time::timeout(support::PATIENCE, async {
        while !call(&admin, "GET", "/api/usage?by=client", &json!({}))
            .await
            .text()
            .contains("\"new\"")
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    accounted.await.expect("its requests are accounted for under its name");
}

async fn what_contradicts_the_file_is_refused(store: Store) {
    let file = format!("{ADMIN}{}{FILE}", store.table());
    let gateway = Gateway::start(&file);
    let admin = admin_of(&gateway).await;
    create(&admin, &json!({"name": "taken"})).await;
    for (body, status, hint) in [
        (
            json!({"name": "of-the-file"}),
            409,
            "The file has a client `of-the-file`",
        ),
        (json!({"name": "taken"}), 409, "There is a client `taken` already"),
        (json!({"name": "anonymous"}), 400, "a matter of the file"),
        (json!({"name": ""}), 400, "`name` is empty"),
        (json!({"name": " x"}), 400, "without space"),
        (json!({"name": "x", "tags": ["a b"]}), 400, "`a b` is not a tag"),
        (json!({"name": "x", "group": "teem"}), 400, "did you mean `team`"),
        (
            json!({"name": "x", "request_per_minute": 5}),
            400,
            "did you mean `requests_per_minute`",
        ),
        (
            json!({"name": "x", "requests_per_minute": 0}),
            400,
            "must be at least 1",
        ),
        (
            json!({"name": "x", "key": "sk-…abcd"}),
            400,
            "not the credential itself",
        ),
        (
            json!({"name": "x", "key": "a-key-of-my-own"}),
            400,
            "keys are made here",
        ),
        (json!({"name": "x", "key_sha256": "***"}), 400, "64 hexadecimal digits"),
        (
            json!({"name": "x", "budget": {"usd": -1, "per": "day"}}),
            400,
            "is not a sum",
        ),
        (json!({"name": "x", "routes": ["chatt"]}), 400, "did you mean `chat`"),
        (json!({"name": "x", "expires": "soon"}), 400, "is not a date"),
        (
            json!({"name": "x", "key_sha256": "80b168043e3346fafd55e9a3ca8db5da43febf124405523c295db830cb16ad1c"}),
            409,
            "with this key",
        ),
        (json!({}), 400, "`name`: this key is required"),
    ] {
        let reply = call(&admin, "POST", "/api/clients", &body).await;
        assert_eq!(reply.status, status, "{body}: {}", reply.text());
        reply.error_code();
        assert!(reply.text().contains(hint), "{body}: {}", reply.text());
    }
    for (method, path, status) in [
        ("DELETE", "/api/clients/of-the-file", 409),
        ("DELETE", "/api/clients/nobody", 404),
        ("POST", "/api/clients/of-the-file/rotate", 409),
        ("POST", "/api/clients/nobody/rotate", 404),
        ("GET", "/api/clients/takn", 404),
    ] {
        assert_eq!(
            call(&admin, method, path, &json!({})).await.status,
            status,
            "{method} {path}"
        );
    }
    // A file that takes the name later goes before the store.
    let key = create(&admin, &json!({"name": "late"})).await;
    assert_eq!(status(&gateway, &key).await, 200);
    gateway.rewrite(&format!("{file}[[clients]]\nname = 'late'\nkey = 'the-files-own'\n"));
    assert_eq!(call(&admin, "POST", "/api/config/reload", &json!({})).await.status, 200);
    assert_eq!(
        (status(&gateway, &key).await, status(&gateway, "the-files-own").await),
        (401, 200)
    );
    let late = call(&admin, "GET", "/api/clients", &json!({})).await.json();
    assert!(
        late.to_string().contains("refused: the file has a client of this name"),
        "{late}"
    );
}

async fn the_command_works_whether_a_gateway_runs_or_not(store: Store) {
    let directory = tempfile::tempdir().unwrap();
    let config = format!("{ADMIN}{}[[groups]]\nname = 'team'\n", store.table());
    std::fs::write(directory.path().join("mynah.toml"), config).unwrap();
    assert_eq!(
        keys(directory.path(), &["list"]),
        (true, "The store has no clients.\n".to_owned())
    );
    if let Some(folder) = store.folder() {
        let made = std::fs::read_dir(folder).unwrap().count();
        assert_eq!(made, 0, "nothing is made to list nothing");
    }
    let (done, told) = keys(
        directory.path(),
        &[
            "create",
            "before",
            "--models",
            "mynah/*,other",
            "--routes",
            "chat",
            "--group",
            "team",
            "--budget",
            "5/day",
        ],
    );
    assert!(done && told.contains("told only this once"), "{told}");
    let before = key_in(&told);
    let gateway = Gateway::start_in(directory, &[]);
    assert_eq!(status(&gateway, &before).await, 200, "from the first request on");
    let path = gateway.directory.path();
    let (_, told) = keys(path, &["create", "during", "--format", "json"]);
    let during: Value = serde_json::from_str(&told).unwrap();
    let during = during["key"].as_str().unwrap();
    becomes(&gateway, during, 200).await;
    let (_, listed) = keys(path, &["list"]);
    let lines: Vec<&str> = listed.lines().collect();
    assert!(lines[0].starts_with("client  key"), "{listed}");
    assert!(
        lines[1].starts_with("before  sk-mynah-") && lines[1].ends_with("active"),
        "{listed}"
    );
    let (_, listed) = keys(path, &["list", "--format", "json"]);
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(
        (&listed[0]["models"], &listed[0]["routes"]),
        (&json!(["mynah/*", "other"]), &json!(["chat"]))
    );
    assert_eq!(listed[0]["budget"], json!([{"usd": 5.0, "per": "day"}]));
    let shown = command(path).args(["config", "show"]).output().unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(
        shown.contains("# Clients of the store") && shown.contains("#   during  sk-mynah-"),
        "{shown}"
    );
    toml::from_str::<toml::Table>(&shown).unwrap();
    let (_, told) = keys(path, &["rotate", "during", "--grace", "24h"]);
    let new = key_in(&told);
    becomes(&gateway, &new, 200).await;
    assert_eq!(status(&gateway, during).await, 200, "for a day");
    assert_eq!(
        keys(path, &["revoke", "during"]),
        (true, "`during` is revoked.\n".to_owned())
    );
    becomes(&gateway, &new, 401).await;
    becomes(&gateway, during, 401).await;
    let expired = ["create", "expired", "--expires", "2020-01-01"];
    let (_, told) = keys(path, &expired);
    becomes(&gateway, "sk-mynah-other", 401).await;
    assert_eq!(status(&gateway, &key_in(&told)).await, 401);
    for (arguments, hint) in [
        (&["revoke", "befor"][..], "did you mean `before`"),
        (&["create", "before"], "There is a client `before` already"),
        (&["create", "x", "--group", "nobody"], "there is no group `nobody`"),
        (&["create", "x", "--budget", "5"], "write one as 50/month"),
        (&["create", "x", "--routes", "chatt"], "chatt"),
    ] {
        let (done, told) = keys(path, arguments);
        assert!(!done && told.contains(hint), "{arguments:?}: {told}");
    }
    let none = tempfile::tempdir().unwrap();
    let (done, told) = keys(none.path(), &["list"]);
    assert!(!done && told.contains("no table [store]"), "{told}");
}

async fn a_key_that_is_revoked_stops_on_every_node_within_a_second(store: Store) {
    let config = format!("{ADMIN}{}{FILE}", store.table());
    let (one, two) = (Gateway::start(&config), Gateway::start(&config));
    let admin = admin_of(&one).await;
    for _ in 0..3 {
        let key = create(&admin, &json!({"name": "shared"})).await;
        let taken = becomes(&two, &key, 200).await;
        assert!(taken < Duration::from_secs(1), "created: {taken:?}");
        assert_eq!(
            call(&admin, "DELETE", "/api/clients/shared", &json!({})).await.status,
            200
        );
        let taken = becomes(&two, &key, 401).await;
        assert!(taken < Duration::from_secs(1), "revoked: {taken:?}");
        assert_eq!(status(&one, &key).await, 401);
    }
}

async fn a_request_in_flight_outlives_its_key(store: Store) {
    const EVENT: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n";
    let mut events = vec![EVENT; 10];
    events.push("data: [DONE]\n\n");
    let reply = Reply::stream(events).pace(Duration::from_millis(50));
    let up = Understudy::start(reply).await.unwrap();
    let gateway = Gateway::start(&format!(
        "{ADMIN}{}{FILE}[providers.up]\nbase_url = '{}'\nmodels = ['a']\n",
        store.table(),
        up.url()
    ));
    let admin = admin_of(&gateway).await;
    let key = create(&admin, &json!({"name": "short"})).await;
    let mut stream = gateway.connect().await;
    let ask = Request::chat(r#"{"model":"up/a","stream":true}"#).header("authorization", &format!("Bearer {key}"));
    stream.write_all(&ask.bytes()).await.unwrap();
    support::read_head(&mut stream).await.unwrap();
    call(&admin, "DELETE", "/api/clients/short", &json!({})).await;
    assert_eq!(status(&gateway, &key).await, 401);
    let mut rest = Vec::new();
    tokio::io::AsyncReadExt::read_buf(&mut stream, &mut rest).await.unwrap();
    let ended = tokio::time::timeout(support::PATIENCE, async {
        while !String::from_utf8_lossy(&rest).contains("[DONE]") {
            tokio::io::AsyncReadExt::read_buf(&mut stream, &mut rest).await.unwrap();
        }
    });
    ended.await.expect("the stream comes to its end");
}

async fn a_store_that_is_away_at_the_start_refuses_nobody_for_good(mut store: Store) {
    store.go_away();
    let gateway = Gateway::start(&format!("{ADMIN}{}{FILE}", store.table()));
    assert_eq!(status(&gateway, "key-of-the-file").await, 200);
    let request = Request::chat(r#"{"model":"mynah/echo","messages":[]}"#).header("authorization", "Bearer sk-mynah-x");
    let refused = gateway.send(&request).await;
    assert_eq!((refused.status, refused.error_code().as_str()), (503, "clients_unread"));
    assert!(refused.header("retry-after").is_some());
    let admin = admin_of(&gateway).await;
    assert_eq!(call(&admin, "GET", "/api/clients", &json!({})).await.status, 503);
    assert_eq!(
        call(&admin, "POST", "/api/clients", &json!({"name": "x"})).await.status,
        503
    );
    store.come();
    becomes(&gateway, "sk-mynah-x", 401).await;
    let key = create(&admin, &json!({"name": "x"})).await;
    assert_eq!(status(&gateway, &key).await, 200);
    // One that goes away later changes nothing.
    store.go_away();
    assert_eq!(
        (status(&gateway, &key).await, status(&gateway, "sk-mynah-y").await),
        (200, 401)
    );
}

async fn as_soon_as_there_was_a_key_callers_need_one(store: Store) {
    let gateway = Gateway::start(&format!("{ADMIN}{}", store.table()));
    let admin = admin_of(&gateway).await;
    let nobody = async || gateway.chat(r#"{"model":"mynah/echo","messages":[]}"#).await.status;
    assert_eq!((nobody().await, status(&gateway, "any").await), (200, 200));
    let key = create(&admin, &json!({"name": "first"})).await;
    assert_eq!((nobody().await, status(&gateway, "any").await), (401, 401));
    assert_eq!(status(&gateway, &key).await, 200);
    call(&admin, "DELETE", "/api/clients/first", &json!({})).await;
    assert_eq!(
        (nobody().await, status(&gateway, &key).await),
        (401, 401),
        "the last one leaves no open door"
    );
}

#[tokio::test]
async fn where_others_can_reach_it_nobody_is_let_in_before_there_is_a_key() {
    let reachable = Gateway::start("[server]\nlisten = '0.0.0.0:0'\n[store]\n");
    let port = reachable.address.rsplit(':').next().unwrap();
    let request = Request::chat(r#"{"model":"mynah/echo","messages":[]}"#);
    for request in [request.clone(), request.header("authorization", "Bearer any")] {
        let mut stream = TcpStream::connect(format!("127.0.0.1:{port}")).await.unwrap();
        stream.write_all(&request.bytes()).await.unwrap();
        assert_eq!(read_reply(&mut stream).await.unwrap().status, 401);
    }
}

#[tokio::test]
async fn without_a_store_there_is_nowhere_to_keep_clients() {
    let gateway = Gateway::start(&format!("{ADMIN}{FILE}"));
    let admin = admin_of(&gateway).await;
    let refused = call(&admin, "POST", "/api/clients", &json!({"name": "x"})).await;
    assert_eq!((refused.status, refused.error_code().as_str()), (409, "conflict"));
    let listed = call(&admin, "GET", "/api/clients", &json!({})).await.json();
    assert_eq!(listed["clients"][0]["name"], "of-the-file");
    assert!(!listed.to_string().contains("key-of-the-file"));
}

async fn what_a_stored_client_has_consumed_is_known_after_a_restart(store: Store) {
    let completion = json!({
        "id": "c", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hi"}}],
        "usage": {"prompt_tokens": 1000, "completion_tokens": 0, "total_tokens": 1000},
    });
    let up = Understudy::start(Reply::json(&completion)).await.unwrap();
    let config = format!(
        "{ADMIN}{}{FILE}[providers.openai]\nbase_url = '{}'\napi_key = 'k'\nmodels = ['gpt-4o']\n",
        store.table(),
        up.url()
    );
    let mut first = Gateway::start(&config);
    let admin = admin_of(&first).await;
    let daily = create(&admin, &json!({"name": "daily", "requests_per_day": 2})).await;
    assert_eq!((status(&first, &daily).await, status(&first, &daily).await), (200, 200));
    assert_eq!(status(&first, &daily).await, 429);
    // One request costs a quarter of a cent.
    let budget = json!({"name": "frugal", "budget": {"usd": 0.0026, "per": "total"}});
    let frugal = create(&admin, &budget).await;
    let spend = async |gateway: &Gateway| {
        let request = Request::chat(
            r#"{"model":"openai/gpt-4o","max_tokens":50,"messages":[{"role":"user","content":"Hello!"}]}"#,
        );
        let reply = gateway
            .send(&request.header("authorization", &format!("Bearer {frugal}")))
            .await;
        (reply.status, reply.text().contains("$0.0025 of $0.0026"))
    };
    assert_eq!((spend(&first).await.0, spend(&first).await), (200, (402, true)));
    // The gateway is killed, so what it has not written is not known.
    store.has_rows(5).await;
    first.signal("KILL");
    first.ended().await;
    let second = Gateway::start(&config);
    assert_eq!(
        (status(&second, &daily).await, spend(&second).await),
        (429, (402, true)),
        "what was consumed before is counted"
    );
}
