//! A gateway that is killed under load has written what is older than it promises, and nothing twice.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing helper is a failing test"
)]

mod support;

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use mynah_understudy::{Reply, Understudy};
use rusqlite::{Connection, OpenFlags};
use serde_json::json;
use support::Gateway;
use support::load::Load;
use support::postgres::Postgres;
use tokio::time::{Instant, sleep};

/// The window that is tested. It is what the gateway promises on a machine that is not overloaded, as one that runs
/// tests is; so the rows may be older.
const WINDOW: Duration = Duration::from_millis(50);
const OLD: Duration = Duration::from_millis(500);

/// What was sent to gateways that were killed, and what of it they must have written.
#[derive(Default)]
struct Toll {
    sent: HashSet<String>,
    due: HashSet<String>,
}

impl Toll {
    /// Kills a gateway with this store under load, again and again.
    async fn of(rounds: usize, url: &str) -> Self {
        let understudy = Understudy::start(Reply::json(&json!({
            "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hi"}}],
            "usage": {"prompt_tokens": 10, "completion_tokens": 5},
        })));
        let (understudy, directory) = (understudy.await.unwrap(), tempfile::tempdir().unwrap());
        let config = format!(
            "[store]\nurl = '{url}'\nflush = '{}ms'\nspool = '{}'\n[providers.up]\nbase_url = '{}'\nmodels = []\n",
            WINDOW.as_millis(),
            directory.path().join("kept.spool").display(),
            understudy.url()
        );
        let mut toll = Self::default();
        for round in 0..rounds {
            let gateway = Gateway::start(&config);
            let load = Load::start(&gateway, 4, "up/m", &round.to_string());
            load.goes_on(4).await;
            // Long enough for some rows to be old, and others not.
            sleep(OLD * 2).await;
            let killed = Instant::now();
            gateway.signal("KILL");
            let done = load.stop().await;
            assert!(done.failed.is_empty(), "{:?}", done.failed);
            let is_due = |at: Instant| killed.saturating_duration_since(at) > OLD;
            let due = done.answered.into_iter().filter(|(_, at)| is_due(*at));
            toll.due.extend(due.map(|(id, _)| id));
            toll.sent.extend(done.sent);
        }
        // One more finds what the last one may have spooled.
        let gateway = Gateway::start(&config);
        let spool = directory.path().join("kept.spool");
        let is_empty = || std::fs::metadata(&spool).map_or(0, |file| file.len()) == 0;
        support::until(is_empty, || gateway.printed.lock().unwrap().clone()).await;
        toll
    }

    fn is_paid_by(&self, written: &[String]) {
        let unique: HashSet<String> = written.iter().cloned().collect();
        assert_eq!(unique.len(), written.len(), "no request is there twice");
        let missing: Vec<_> = self.due.difference(&unique).collect();
        assert!(
            missing.is_empty() && !self.due.is_empty(),
            "{} of {}: {missing:?}",
            missing.len(),
            self.due.len()
        );
        assert_eq!(unique.difference(&self.sent).count(), 0);
    }
}

fn requests(database: &Path) -> Vec<String> {
    let connection = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let mut statement = connection.prepare("SELECT request FROM requests").unwrap();
    let rows = statement.query_map((), |row| row.get(0)).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_sqlite() {
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("kept.db");
    let toll = Toll::of(20, &format!("sqlite://{}", database.display())).await;
    toll.is_paid_by(&requests(&database));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_postgresql() {
    let server = Postgres::start();
    let toll = Toll::of(5, &server.url()).await;
    toll.is_paid_by(&server.find("SELECT request FROM requests").await.unwrap());
}
