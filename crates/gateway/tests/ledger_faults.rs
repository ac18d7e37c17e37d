//! A database that cannot be written stops no request, and its rows come later.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing helper is a failing test"
)]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use rusqlite::Connection;
use serde_json::Value;
use support::{Gateway, PATIENCE, Request};

const ECHO: &str = r#"{"model":"mynah/echo","messages":[{"role":"user","content":"hello"}]}"#;

fn config(database: &Path, more: &str) -> String {
    format!(
        "[store]\nurl = 'sqlite://{}'\nflush = '20ms'\n{more}",
        database.display()
    )
}

/// Sends requests, all of which have to be answered.
async fn send(gateway: &Gateway, name: &str, count: usize) {
    for at in 0..count {
        let request = Request::chat(ECHO).header("x-request-id", &format!("{name}-{at}"));
        assert_eq!(gateway.send(&request).await.status, 200);
    }
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

fn requests(database: &Path) -> (u64, u64) {
    let connection = Connection::open(database).unwrap();
    let query = "SELECT count(*), count(DISTINCT request) FROM requests";
    connection
        .query_row(query, (), |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
}

fn place() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("m.db");
    (directory, database)
}

#[tokio::test]
async fn a_locked_database() {
    let (_directory, database) = place();
    let gateway = Gateway::start(&config(&database, ""));
    send(&gateway, "before", 3).await;
    store_is(&gateway, |store| store["written"] == 3).await;
    let other = Connection::open(&database).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    send(&gateway, "locked", 20).await;
    let spooling = store_is(&gateway, |store| store["spooled"] == 20).await;
    assert_eq!(
        (&spooling["state"], &spooling["dropped"]),
        (&"spooling".into(), &0.into())
    );
    assert!(spooling["last_error"].as_str().unwrap().contains("locked"));
    gateway.printed("the ledger cannot be written").await;
    other.execute_batch("ROLLBACK").unwrap();
    store_is(&gateway, |store| {
        store["written"] == 23 && store["state"] == "ok" && store["spooled"] == 0
    })
    .await;
    send(&gateway, "after", 2).await;
    store_is(&gateway, |store| store["written"] == 25).await;
    assert_eq!(requests(&database), (25, 25));
    let printed = gateway.printed.lock().unwrap().clone();
    assert_eq!(printed.matches("the ledger cannot be written").count(), 1, "{printed}");
    assert_eq!(printed.matches("the ledger is written again").count(), 1, "{printed}");
}

#[tokio::test]
async fn a_database_that_may_only_be_read_until_the_next_start() {
    let (_directory, database) = place();
    let start = || Gateway::start(&config(&database, ""));
    let mut gateway = start();
    send(&gateway, "before", 3).await;
    gateway.signal("TERM");
    gateway.ended().await;
    // By its format, as root may write any file: what SQLite does not know how to write it only reads.
    // https://www.sqlite.org/fileformat2.html#file_format_version_numbers
    let connection = Connection::open(&database).unwrap();
    connection
        .query_row("PRAGMA journal_mode = DELETE", (), |_| Ok(()))
        .unwrap();
    drop(connection);
    let set_version = |version| {
        let mut bytes = std::fs::read(&database).unwrap();
        (bytes[18], bytes[19]) = (version, 1);
        std::fs::write(&database, bytes).unwrap();
    };
    set_version(9);
    let mut gateway = start();
    send(&gateway, "read-only", 20).await;
    let spooling = store_is(&gateway, |store| store["spooled"] == 20).await;
    assert_eq!(
        (&spooling["state"], &spooling["written"]),
        (&"spooling".into(), &0.into())
    );
    gateway.signal("TERM");
    assert_eq!(gateway.ended().await, Some(0));
    set_version(1);
    let gateway = start();
    store_is(&gateway, |store| store["written"] == 20).await;
    assert_eq!(requests(&database), (23, 23));
}

#[tokio::test]
async fn a_path_that_leads_nowhere() {
    let (directory, _) = place();
    let database = directory.path().join("not/there/m.db");
    let gateway = Gateway::start(&config(&database, "max_pending = 10\n"));
    send(&gateway, "early", 50).await;
    let holding = store_is(&gateway, |store| store["dropped"] == 40).await;
    assert_eq!(
        (&holding["state"], &holding["pending"]),
        (&"holding".into(), &10.into())
    );
    std::fs::create_dir_all(database.parent().unwrap()).unwrap();
    store_is(&gateway, |store| store["written"] == 10 && store["state"] == "ok").await;
    gateway.printed("rows of the ledger are missing").await;
    assert_eq!(requests(&database), (10, 10));
}

#[tokio::test]
async fn a_full_disk() {
    let (_directory, database) = place();
    let config = config(&database, "max_pending = 50\n");
    let limited = tempfile::tempdir().unwrap();
    std::fs::write(limited.path().join("mynah.toml"), &config).unwrap();
    let mut command = Command::new("sh");
    // No file may become larger than this many half kilobytes.
    let script = "trap '' XFSZ; ulimit -f 160; exec \"$0\" \"$@\"";
    command
        .args(["-c", script, env!("CARGO_BIN_EXE_mynah")])
        .current_dir(limited.path())
        .env_clear();
    let mut gateway = Gateway::start_by(command, limited, &[]);
    let mut sent = 0;
    let dropped = loop {
        send(&gateway, &format!("full-{sent}"), 50).await;
        sent += 50;
        let store = store(&gateway).await;
        // Rows are dropped before, too, where the writer is slower than those who send.
        if store["state"] == "holding" && store["dropped"].as_u64().unwrap() > 0 {
            break store["dropped"].as_u64().unwrap();
        }
        assert!(sent < 10_000, "{store}");
    };
    gateway.signal("TERM");
    assert_eq!(gateway.ended().await, Some(0));
    let gateway = Gateway::start(&config);
    store_is(&gateway, |store| {
        store["written"].as_u64() > Some(0) && store["state"] == "ok"
    })
    .await;
    let spool = PathBuf::from(format!("{}.spool", database.display()));
    support::until(
        || std::fs::metadata(&spool).unwrap().len() == 0,
        || "the spool is not empty".to_owned(),
    )
    .await;
    let (rows, unique) = requests(&database);
    assert_eq!(rows, unique);
    // What waited in memory at the end is lost too.
    assert!(
        rows + dropped + 50 >= sent && rows < sent,
        "{rows} rows of {sent}, {dropped} dropped"
    );
}
