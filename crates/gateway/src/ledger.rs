//! The ledger: what each request was, came to and cost, one row for it and one for each of its attempts.
//!
//! Who answers requests only puts rows into a queue. One thread takes them out in batches and writes them to the database,
//! or, while that cannot be written, to a file, the spool. No request ever waits for either, or fails because of them.

pub mod account;
pub mod attempts;
mod batch;
pub mod columns;
pub mod content;
pub mod ids;
mod packed;
pub mod past;
mod queue;
pub mod record;
pub mod report;
pub mod rows;
mod spool;
mod writer;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::{sleep, timeout};

use self::content::Capture;
use self::queue::Queue;
use self::record::Record;
use self::writer::Writer;
use crate::ask::since_1970;
use crate::config::StoreConfig;

/// So many bytes of prompts and answers may wait in memory for each row that may.
const BYTES_PER_ROW: usize = 1024;

/// How often it is seen whether rows are written.
const PAUSE: Duration = Duration::from_millis(10);

/// How long the end of the process may wait for the last rows.
const LAST: Duration = Duration::from_secs(5);

/// The ledger of a process.
#[derive(Debug)]
pub struct Ledger {
    config: StoreConfig,
    queue: Queue,
    status: Mutex<Status>,
}

/// How the ledger is doing.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
#[schemars(rename = "LedgerStatus")]
pub struct Status {
    /// Where rows go.
    pub state: State,
    /// Since when, in milliseconds since 1970.
    pub since: u64,
    /// Requests that were written to the database since the start.
    pub written: u64,
    /// How long it took to write to the database the last time, or to open it, in milliseconds.
    pub latency_ms: u64,
    /// Requests that wait in memory.
    pub pending: usize,
    /// Requests that wait in the spool: as far as this process put them there.
    pub spooled: u64,
    /// Requests of which nothing is left.
    pub dropped: u64,
    /// Requests whose prompts and answers were not kept, as too many of them waited.
    pub without_content: u64,
    /// Why the database could not be written the last time that it could not.
    pub last_error: Option<String>,
}

/// Where rows go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "LedgerState")]
pub enum State {
    /// To the database.
    #[default]
    Ok,
    /// To the spool.
    Spooling,
    /// Nowhere: as many as may wait in memory, and the others are dropped.
    Holding,
}

impl Ledger {
    /// Begins to keep a ledger. An error when there can be no thread for it; whether the database can be written is seen
    /// later, and told by [`Ledger::status`].
    pub fn start(config: StoreConfig) -> std::io::Result<Arc<Self>> {
        let ledger = Arc::new(Self {
            queue: Queue::new(config.max_pending, BYTES_PER_ROW),
            config,
            status: Mutex::default(),
        });
        let writer = Writer::new(ledger.clone(), fastrand::u64(..));
        let thread = std::thread::Builder::new().name("ledger".to_owned());
        thread.spawn(|| writer.run())?;
        Ok(ledger)
    }

    /// Where it is kept.
    pub fn config(&self) -> &StoreConfig {
        &self.config
    }

    /// Takes the row of a request that is over, and what was said. It is written soon, or counted as dropped when too many wait already.
    pub fn push(&self, record: &Record<'_>, said: Option<Box<Capture>>) {
        self.queue.push(record, said);
    }

    /// Waits until everything is written, unless that takes too long.
    pub fn flush(&self) {
        if !self.queue.flush(LAST) {
            let lost = self.queue.len();
            tracing::error!(lost, "rows of the ledger could not be written, and are lost");
        }
    }

    /// Waits until everything is in the database that is over by now, unless that takes too long.
    pub async fn catch_up(&self, patience: Duration) {
        // A row comes a moment after its request is settled.
        sleep(PAUSE).await;
        let before = self.status();
        let all = before.written + before.pending as u64;
        let written = async {
            while self.status().written < all {
                sleep(PAUSE).await;
            }
        };
        // What is late then is only missing.
        let _ = timeout(patience, written).await;
    }

    /// How it is doing.
    pub fn status(&self) -> Status {
        let mut status = self.noted().clone();
        status.pending = self.queue.len();
        status.dropped += self.queue.dropped();
        status.without_content += self.queue.without_content();
        status
    }

    fn noted(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Milliseconds since 1970.
pub fn unix_milliseconds() -> u64 {
    u64::try_from(since_1970().as_millis()).unwrap_or(u64::MAX)
}
