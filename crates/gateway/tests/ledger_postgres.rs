//! The ledger in a real PostgreSQL server: as complete as in a file, also when the server goes away.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing helper is a failing test"
)]

mod support;

use std::collections::HashSet;

use mynah_understudy::{Reply, Understudy};
use serde_json::{Value, json};
use support::load::Load;
use support::postgres::Postgres;
use support::{Gateway, PATIENCE, Request, command};

fn completion() -> Reply {
    Reply::json(&json!({
        "id": "c", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hi"}}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
    }))
}

/// A gateway that asks the understudy, in a directory that outlives it.
fn start(directory: &tempfile::TempDir, url: &str, understudy: &Understudy) -> Gateway {
    let spool = directory.path().join("kept.spool");
    Gateway::start(&format!(
        "[server]\ndrain = '1s'\n[store]\nurl = '{url}'\nflush = '20ms'\nspool = '{}'\n\
         [providers.up]\nbase_url = '{}'\nmodels = []\n",
        spool.display(),
        understudy.url()
    ))
}

async fn store(gateway: &Gateway) -> Value {
    gateway.get("/health/detailed").await.json()["store"].clone()
}

/// Waits until the ledger is in a state.
async fn store_is(gateway: &Gateway, condition: impl Fn(&Value) -> bool) -> Value {
    let waited = tokio::time::timeout(PATIENCE, async {
        loop {
            let store = store(gateway).await;
            if condition(&store) {
                return store;
            }
        }
    });
    if let Ok(store) = waited.await {
        return store;
    }
    panic!("{}\n{}", store(gateway).await, gateway.printed.lock().unwrap())
}

/// Waits until there is nothing in the spool, whoever has put it there.
async fn spool_is_empty(directory: &tempfile::TempDir, gateway: &Gateway) {
    let spool = directory.path().join("kept.spool");
    support::until(
        || std::fs::metadata(&spool).unwrap().len() == 0,
        || gateway.printed.lock().unwrap().clone(),
    )
    .await;
}

/// Each request that was answered has one row, with its tokens and its attempt, and there are no others.
async fn is_complete(server: &Postgres, answered: &HashSet<String>) {
    let requests = server.find("SELECT request FROM requests").await.unwrap();
    let unique: HashSet<String> = requests.iter().cloned().collect();
    assert_eq!(unique.len(), requests.len(), "no request is there twice");
    assert_eq!(
        (
            unique.difference(answered).count(),
            answered.difference(&unique).count()
        ),
        (0, 0)
    );
    let totals = "SELECT sum(input), sum(output), (SELECT count(*) FROM attempts) FROM requests";
    let count = answered.len();
    let expected = format!("{} {} {count}", 10 * count, 5 * count);
    assert_eq!(server.find(totals).await.unwrap(), [expected]);
}

fn ids(answered: Vec<(String, tokio::time::Instant)>) -> HashSet<String> {
    answered.into_iter().map(|(id, _)| id).collect()
}

#[tokio::test]
async fn rows_are_written_and_told() {
    let server = Postgres::start();
    let understudy = Understudy::start(completion()).await.unwrap();
    let variables = [("PASSWORD", "a secret/p@ssword")];
    let gateway = Gateway::start_with(
        &format!(
            "[store]\nurl = '{}?sslmode=prefer'\nflush = '20ms'\npassword = '${{PASSWORD}}'\n\
             [providers.up]\nbase_url = '{}'\nmodels = []\n",
            server.url(),
            understudy.url()
        ),
        &variables,
    );
    for (model, status) in [("up/m", 200), ("nobody", 404)] {
        let request = Request::chat(&json!({"model": model}).to_string()).header("x-request-id", model);
        assert_eq!(gateway.send(&request).await.status, status);
    }
    store_is(&gateway, |store| store["written"] == 2).await;
    let query = "SELECT request, route, provider_dialect, status, fault, input, output FROM requests ORDER BY id";
    assert_eq!(
        server.find(query).await.unwrap(),
        ["up/m up/m openai 200 - 10 5", "nobody - - 404 caller - -"]
    );
    let told = |arguments: &[&str]| {
        let mut command = command(gateway.directory.path());
        let output = command.envs(variables).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let usage = told(&["usage", "--by", "provider", "--format", "csv", "--since", "1h"]);
    assert!(usage.contains("\nup,1,0,10,0,0,0,0,5,0,"), "{usage}");
    let tail = told(&["requests", "tail"]);
    assert_eq!(tail.lines().count(), 2, "{tail}");
    let (shown, told) = (told(&["config", "show"]), store(&gateway).await.to_string());
    let printed = gateway.printed.lock().unwrap().clone();
    for text in [shown, printed, told] {
        assert!(!text.contains("secret") && !text.contains("mynah@"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stops_and_starts_in_the_middle() {
    let mut server = Postgres::start();
    let understudy = Understudy::start(completion()).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let gateway = start(&directory, &server.url(), &understudy);
    let load = Load::start(&gateway, 4, "up/m", "r");
    store_is(&gateway, |store| store["written"].as_u64() > Some(50)).await;
    for _ in 0..3 {
        server.stop();
        store_is(&gateway, |store| {
            store["state"] == "spooling" && store["spooled"].as_u64() > Some(50)
        })
        .await;
        load.goes_on(50).await;
        server.resume();
        store_is(&gateway, |store| store["state"] == "ok" && store["spooled"] == 0).await;
    }
    let done = load.stop().await;
    assert!(done.failed.is_empty(), "{:?}", done.failed);
    let answered = ids(done.answered);
    let store = store_is(&gateway, |store| {
        store["written"].as_u64() >= Some(answered.len() as u64)
    })
    .await;
    assert_eq!((&store["dropped"], &store["pending"]), (&json!(0), &json!(0)));
    is_complete(&server, &answered).await;
    gateway.printed("the ledger cannot be written").await;
    gateway.printed("the ledger is written again").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_hangs_delays_neither_requests_nor_the_end() {
    let server = Postgres::start();
    let understudy = Understudy::start(completion()).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let mut gateway = start(&directory, &server.url(), &understudy);
    let load = Load::start(&gateway, 4, "up/m", "r");
    store_is(&gateway, |store| store["written"].as_u64() > Some(50)).await;
    server.signal("STOP");
    let spooling = store_is(&gateway, |store| store["state"] == "spooling").await;
    assert!(
        spooling["last_error"].as_str().unwrap().contains("did not answer"),
        "{spooling}"
    );
    load.goes_on(50).await;
    let done = load.stop().await;
    assert!(done.failed.is_empty(), "{:?}", done.failed);
    gateway.signal("TERM");
    assert_eq!(gateway.ended().await, Some(0));
    server.signal("CONT");
    // The next one finds what the last one could not write.
    let gateway = start(&directory, &server.url(), &understudy);
    spool_is_empty(&directory, &gateway).await;
    is_complete(&server, &ids(done.answered)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk() {
    let server = Postgres::start();
    let understudy = Understudy::start(completion()).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let mut gateway = start(&directory, &server.url(), &understudy);
    let load = Load::start(&gateway, 4, "up/m", "r");
    store_is(&gateway, |store| store["written"].as_u64() > Some(50)).await;
    // A page is full when it has two or three rows, so that it does not take many to fill the disk.
    let sparse = "ALTER TABLE requests SET (fillfactor = 10)";
    server.client().await.batch_execute(sparse).await.unwrap();
    // It is full in the middle of a page: the server writes half of it, and says that the disk is full.
    server.limit_files(Some(1024 * 1024 + 4096));
    let full = |store: &Value| store["state"] == "spooling" && store["spooled"].as_u64() > Some(100);
    let spooling = store_is(&gateway, full).await;
    let error = spooling["last_error"].as_str().unwrap();
    assert!(error.contains("could not extend file"), "{error}");
    load.goes_on(100).await;
    let still = store_is(&gateway, full).await;
    assert_eq!((&still["dropped"], &still["since"]), (&json!(0), &spooling["since"]));
    server.limit_files(None);
    store_is(&gateway, |store| store["state"] == "ok" && store["spooled"] == 0).await;
    let done = load.stop().await;
    assert!(done.failed.is_empty(), "{:?}", done.failed);
    gateway.signal("TERM");
    assert_eq!(gateway.ended().await, Some(0));
    is_complete(&server, &ids(done.answered)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_may_only_be_read_for_a_time() {
    let server = Postgres::start();
    let understudy = Understudy::start(completion()).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let mut gateway = start(&directory, &server.url(), &understudy);
    let load = Load::start(&gateway, 4, "up/m", "r");
    store_is(&gateway, |store| store["written"].as_u64() > Some(50)).await;
    server.set_read_only(true).await;
    let is_told = |store: &Value| {
        let error = store["last_error"].as_str().unwrap_or_default();
        store["state"] == "spooling" && store["spooled"].as_u64() > Some(50) && error.contains("read-only transaction")
    };
    store_is(&gateway, is_told).await;
    load.goes_on(50).await;
    let first = load.stop().await;
    gateway.signal("TERM");
    assert_eq!(gateway.ended().await, Some(0));
    // One that starts meanwhile goes on so.
    let mut gateway = start(&directory, &server.url(), &understudy);
    let load = Load::start(&gateway, 4, "up/m", "s");
    let spooling = store_is(&gateway, is_told).await;
    assert_eq!((&spooling["written"], &spooling["dropped"]), (&json!(0), &json!(0)));
    server.set_read_only(false).await;
    spool_is_empty(&directory, &gateway).await;
    store_is(&gateway, |store| store["state"] == "ok" && store["spooled"] == 0).await;
    let second = load.stop().await;
    gateway.signal("TERM");
    assert_eq!(gateway.ended().await, Some(0));
    assert!(first.failed.is_empty() && second.failed.is_empty());
    is_complete(&server, &(&ids(first.answered) | &ids(second.answered))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_without_the_server() {
    let mut server = Postgres::start();
    server.stop();
    let understudy = Understudy::start(completion()).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let gateway = start(&directory, &server.url(), &understudy);
    let load = Load::start(&gateway, 2, "up/m", "r");
    load.goes_on(20).await;
    let done = load.stop().await;
    assert!(done.failed.is_empty());
    let answered = ids(done.answered);
    store_is(&gateway, |store| {
        store["spooled"].as_u64() == Some(answered.len() as u64)
    })
    .await;
    server.resume();
    store_is(&gateway, |store| store["state"] == "ok" && store["spooled"] == 0).await;
    is_complete(&server, &answered).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_signal_to_stop_loses_nothing() {
    let server = Postgres::start();
    let understudy = Understudy::start(completion()).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let mut gateway = start(&directory, &server.url(), &understudy);
    let load = Load::start(&gateway, 4, "up/m", "r");
    store_is(&gateway, |store| store["written"].as_u64() > Some(0)).await;
    load.goes_on(100).await;
    let done = load.stop().await;
    gateway.signal("TERM");
    assert_eq!(gateway.ended().await, Some(0));
    is_complete(&server, &ids(done.answered)).await;
}
