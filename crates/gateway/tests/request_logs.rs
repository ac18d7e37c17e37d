//! The table `request_logs`: a row for each request that led to a model, beside the ledger's own tables.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing helper is a failing test"
)]

mod support;

use mynah_understudy::{Reply, Understudy};
use rusqlite::Connection;
use serde_json::json;
use support::rows::{find, rows};
use support::{Gateway, Request, command};

const LOG: &str = "[store]\nurl = 'sqlite://log.db'\nrequest_logs = true\nflush = '20ms'\n";

fn completion() -> Reply {
    Reply::json(&json!({
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hello!"}}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    }))
}

async fn started(reply: impl Into<mynah_understudy::Script>, directory: tempfile::TempDir) -> (Understudy, Gateway) {
    let understudy = Understudy::start(reply).await.unwrap();
    let config = format!(
        "[routing]\nretries = 0\n{LOG}[providers.up]\nbase_url = '{}'\nmodels = []\napi_key = 'sk-up'\n\
         [models.smart]\ntargets = ['up/m-2025']\n[[clients]]\nname = 'a'\nkey = 'client-key'\n",
        understudy.url()
    );
    std::fs::write(directory.path().join("mynah.toml"), config).unwrap();
    (understudy, Gateway::start_in(directory, &[]))
}

fn ask(id: &str, more: &str) -> Request {
    let body = format!(r#"{{"model":"smart","messages":[{{"role":"user","content":"Hi"}}]{more}}}"#);
    Request::chat(&body)
        .header("authorization", "Bearer client-key")
        .header("x-request-id", id)
}

#[tokio::test]
async fn a_row_for_each_request_that_led_to_a_model() {
    let (_up, gateway) = started([completion(), Reply::status(500)], tempfile::tempdir().unwrap()).await;
    let database = gateway.directory.path().join("log.db");
    assert_eq!(gateway.send(&ask("one", r#","temperature":0.5"#)).await.status, 200);
    assert_eq!(gateway.send(&ask("two", "")).await.status, 500);
    // Nobody's, and nobody's model.
    assert_eq!(gateway.chat("{}").await.status, 401);
    let what = "SELECT request_id, endpoint, method, client_api_key_hash, requested_model, resolved_provider,
        resolved_model, json_extract(parameters, '$.temperature'), json_extract(messages, '$[0].content'),
        response_status, response_content, json_extract(response_usage, '$.total_tokens'), length(provider_api_key_used),
        provider_retries, is_streaming, error_type FROM request_logs ORDER BY id";
    let found = rows(&database, what, 2).await;
    let hash = mynah::config::access::to_hex(&mynah::caller::hash(b"client-key"));
    assert_eq!(
        found,
        [
            format!("one /v1/chat/completions POST {hash} smart up m-2025 Real(0.5) Hi 200 Hello! 5 8 0 0 -"),
            format!(
                "two /v1/chat/completions POST {hash} smart up m-2025 - Hi 500 - - 8 0 0 {}",
                found[1].rsplit(' ').next().unwrap()
            ),
        ]
    );
    assert!(!found[1].ends_with(" -"), "{}", found[1]);
    let indexes = "SELECT name FROM sqlite_schema WHERE type = 'index' AND name LIKE 'idx_%' ORDER BY name";
    assert_eq!(
        find(&database, indexes).unwrap(),
        ["idx_model", "idx_provider", "idx_request_id", "idx_timestamp"]
    );
    let recent = "SELECT count(*) FROM request_logs WHERE timestamp > datetime('now', '-1 hour') AND timestamp <= datetime('now', '+1 minute')";
    assert_eq!(find(&database, recent).unwrap(), ["2"]);
    assert_eq!(find(&database, "SELECT count(*) FROM logs").unwrap(), ["0"]);
    // What was said is not kept twice.
    assert_eq!(find(&database, "SELECT count(*) FROM contents").unwrap(), ["0"]);
}

#[tokio::test]
async fn streams_have_their_text_and_an_id_that_comes_twice_is_told_apart() {
    let stream = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hel\"}}]}\n\n\
        data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"lo\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    let reply = Reply::bytes(stream).header("content-type", "text/event-stream");
    let (_up, gateway) = started(reply, tempfile::tempdir().unwrap()).await;
    for _ in 0..2 {
        assert_eq!(gateway.send(&ask("same", r#","stream":true"#)).await.status, 200);
    }
    let database = gateway.directory.path().join("log.db");
    let what = "SELECT substr(request_id, 1, 5), response_content, is_streaming FROM request_logs ORDER BY id";
    assert_eq!(rows(&database, what, 2).await, ["same Hello 1", "same- Hello 1"]);
}

#[tokio::test]
async fn a_table_that_is_there_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("log.db");
    let before = Connection::open(&database).unwrap();
    before
        .execute_batch(
            "CREATE TABLE request_logs (id INTEGER NOT NULL, request_id VARCHAR NOT NULL,
             timestamp DATETIME DEFAULT (CURRENT_TIMESTAMP) NOT NULL, endpoint VARCHAR NOT NULL, method VARCHAR NOT NULL,
             client_api_key_hash VARCHAR, requested_model VARCHAR NOT NULL, resolved_provider VARCHAR NOT NULL,
             resolved_model VARCHAR NOT NULL, parameters JSON NOT NULL, messages JSON NOT NULL, response_status INTEGER,
             response_time_ms INTEGER, response_content TEXT, response_usage JSON, provider_api_key_used VARCHAR,
             provider_retries INTEGER, is_streaming BOOLEAN, error_message TEXT, error_type VARCHAR, PRIMARY KEY (id));
             CREATE UNIQUE INDEX ix_request_logs_request_id ON request_logs (request_id);
             CREATE INDEX idx_timestamp ON request_logs (timestamp);
             INSERT INTO request_logs (id, request_id, endpoint, method, requested_model, resolved_provider,
             resolved_model, parameters, messages) VALUES (41, 'old', '/', 'POST', 'm', 'p', 'm', '{}', '[]');",
        )
        .unwrap();
    drop(before);
    let (_up, gateway) = started(completion(), directory).await;
    assert_eq!(gateway.send(&ask("new", "")).await.status, 200);
    let found = rows(&database, "SELECT id, request_id FROM request_logs ORDER BY id", 2).await;
    assert_eq!(found, ["41 old", "42 new"]);
}

#[test]
fn postgresql_has_no_such_table() {
    let directory = tempfile::tempdir().unwrap();
    let config = "[store]\nurl = 'postgres://m@db/m'\nrequest_logs = true\n";
    std::fs::write(directory.path().join("mynah.toml"), config).unwrap();
    let output = command(directory.path()).arg("check").output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("`store.request_logs`"));
}
