//! Answers that one node has kept, for the others.
//!
//! They have a connection of their own: a large answer must not hold up what admits requests, and Redis may be too slow for the one
//! and not for the other. Whoever looks for an answer waits for one round trip, no longer than the timeout, and while Redis is away for nothing.
//! What is kept is written beside the requests, by [`keeper`].

pub mod keeper;

use std::io::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use serde::Serialize;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::Instant;

use super::Trouble;
use super::connection::{Connection, Error};
use super::keys::Keys;
use super::resp::{Command, Value};
use crate::config::ClusterConfig;
use crate::digest::Digest;

/// The largest answer that is shared, in bytes, as it is written. One that is larger stays with its node.
pub const MAX_ANSWER: usize = 1024 * 1024;

/// Answers that wait to be written at most, and their bytes.
const MAX_WAITING: usize = 1024;
const MAX_WAITING_BYTES: usize = 16 * MAX_ANSWER;

const FIND: &str = include_str!("answer.lua");

/// Answers that are kept for all nodes.
#[derive(Debug)]
pub struct Answers {
    config: ClusterConfig,
    /// What the names of all answers begin with.
    prefix: String,
    /// The connection, while Redis answers.
    connection: ArcSwapOption<Connection>,
    /// Somebody has found that Redis does not answer.
    lost: Notify,
    /// Whether any model keeps answers.
    wanted: watch::Sender<bool>,
    /// Answers that wait to be written: the end where they are put in, and where they are taken out.
    queue: mpsc::Sender<Kept>,
    queued: tokio::sync::Mutex<mpsc::Receiver<Kept>>,
    /// Room for the bytes of those that wait.
    room: Arc<Semaphore>,
    /// Redis has no room for further ones.
    full: AtomicBool,
    counts: Counts,
    trouble: Mutex<Trouble>,
}

/// What has happened since the start.
#[derive(Debug, Default)]
struct Counts {
    hits: AtomicU64,
    kept: AtomicU64,
    left_out: AtomicU64,
    failures: AtomicU64,
}

/// An answer that waits to be written.
#[derive(Debug)]
struct Kept {
    key: Vec<u8>,
    bytes: Vec<u8>,
    /// When nobody should get it any more.
    until: Instant,
    _room: OwnedSemaphorePermit,
}

/// An answer that was found.
#[derive(Debug, PartialEq, Eq)]
pub struct Found {
    /// What was written.
    pub bytes: Vec<u8>,
    /// For how many milliseconds it stays.
    pub left: u64,
}

/// How the sharing of answers is, for people.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// `shared`: they are looked for in Redis, and kept there. `alone`: Redis is away, and there are those in memory.
    pub state: &'static str,
    /// Answers that were found in Redis.
    pub hits: u64,
    /// Answers that were written to it.
    pub kept: u64,
    /// Answers that were not: Redis had no room or was away, they were too large, or too many came at a time.
    pub left_out: u64,
    /// Questions to Redis that failed.
    pub failures: u64,
    /// Redis has no room for further ones.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub full: bool,
    /// Since when Redis is away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Answers {
    /// Answers of a node that has not met the others.
    pub fn new(config: ClusterConfig, keys: &Keys) -> Self {
        let (queue, queued) = mpsc::channel(MAX_WAITING);
        Self {
            config,
            prefix: keys.answers.clone(),
            connection: ArcSwapOption::empty(),
            lost: Notify::new(),
            wanted: watch::Sender::new(false),
            queue,
            queued: tokio::sync::Mutex::new(queued),
            room: Arc::new(Semaphore::new(MAX_WAITING_BYTES)),
            full: AtomicBool::new(false),
            counts: Counts::default(),
            trouble: Mutex::default(),
        }
    }

    /// The same, now that a model keeps answers: Redis is looked for.
    pub fn wanted(self: &Arc<Self>) -> Arc<Self> {
        self.wanted.send_replace(true);
        self.clone()
    }

    /// The answer of a key, if a node has kept one and Redis says so in time.
    pub async fn find(&self, key: &Digest) -> Option<Found> {
        let connection = self.connection.load_full()?;
        let mut command = Command::of(&["EVAL", FIND, "1"]);
        command.add(self.name(key));
        command.number(MAX_ANSWER as u64);
        let told = match connection.send(&command) {
            Ok(pending) => pending.within(self.config.timeout).await,
            Err(error) => Err(error),
        };
        match told {
            Ok(told) => read(told),
            Err(error) => {
                count(&self.counts.failures);
                // One that says no, or is asked too much, has not kept anybody waiting.
                if !matches!(error, Error::Refused(_) | Error::Busy) {
                    self.lose(&connection, error);
                }
                None
            }
        }
    }

    /// Counts an answer that was found and is of use.
    pub fn hit(&self) {
        count(&self.counts.hits);
    }

    /// Keeps an answer of so many bytes for so long, some time soon. `write` is not called when that cannot be.
    pub fn keep(&self, key: &Digest, size: usize, left: Duration, write: impl FnOnce() -> Option<Vec<u8>>) {
        if self.try_keep(key, size, left, write).is_none() {
            count(&self.counts.left_out);
        }
    }

    fn try_keep(
        &self,
        key: &Digest,
        size: usize,
        left: Duration,
        write: impl FnOnce() -> Option<Vec<u8>>,
    ) -> Option<()> {
        if size > MAX_ANSWER || self.connection.load().is_none() {
            return None;
        }
        let place = self.queue.try_reserve().ok()?;
        let room = self
            .room
            .clone()
            .try_acquire_many_owned(u32::try_from(size).ok()?)
            .ok()?;
        let bytes = write().filter(|bytes| bytes.len() <= MAX_ANSWER)?;
        place.send(Kept {
            key: self.name(key),
            bytes,
            until: Instant::now().checked_add(left)?,
            _room: room,
        });
        Some(())
    }

    /// What an answer is called: nothing that was said can be read from it.
    fn name(&self, key: &Digest) -> Vec<u8> {
        let mut name = Vec::with_capacity(self.prefix.len() + 2 * key.len());
        name.extend_from_slice(self.prefix.as_bytes());
        for byte in key {
            // Writing to memory does not fail.
            let _ = write!(name, "{byte:02x}");
        }
        name
    }

    /// Does without Redis from now on, until it is found again.
    fn lose(&self, connection: &Arc<Connection>, error: Error) {
        let current = self.connection.load_full();
        if current.is_some_and(|current| Arc::ptr_eq(&current, connection)) {
            self.connection.store(None);
            self.is_away(error);
            self.lost.notify_one();
        }
    }

    fn found(&self, connection: Connection) -> Arc<Connection> {
        let connection = Arc::new(connection);
        self.connection.store(Some(connection.clone()));
        tracing::info!(redis = %self.config.redis, "answers are shared by all nodes");
        *self.trouble() = Trouble::default();
        connection
    }

    fn is_away(&self, error: Error) {
        let mut trouble = self.trouble();
        if trouble.since.is_none() {
            tracing::warn!(%error, redis = %self.config.redis, "answers are not shared: those in memory are given");
            trouble.since = Some(jiff::Timestamp::now());
        }
        trouble.error = Some(error);
    }

    fn trouble(&self) -> MutexGuard<'_, Trouble> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How it is.
    pub fn status(&self) -> Status {
        let trouble = self.trouble().clone();
        let told = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let is_shared = self.connection.load().is_some();
        Status {
            state: if is_shared { "shared" } else { "alone" },
            hits: told(&self.counts.hits),
            kept: told(&self.counts.kept),
            left_out: told(&self.counts.left_out),
            failures: told(&self.counts.failures),
            full: is_shared && self.full.load(Ordering::Relaxed),
            since: trouble.since.map(|since| since.to_string()),
            error: trouble.error.map(|error| error.to_string()),
        }
    }
}

fn count(count: &AtomicU64) {
    count.fetch_add(1, Ordering::Relaxed);
}

/// What the script says; `None` where there is no answer, or one that stays for ever, which no node has written.
fn read(told: Value) -> Option<Found> {
    let Value::List(told) = told else { return None };
    match <[Value; 2]>::try_from(told).ok()? {
        [Value::Text(bytes), Value::Integer(left)] => {
            let left = u64::try_from(left).ok().filter(|left| *left > 0)?;
            Some(Found { bytes, left })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_for_ever_or_is_no_answer_is_not_found() {
        let text = || Value::Text(b"x".to_vec());
        let found = |left| read(Value::List(vec![text(), Value::Integer(left)]));
        let bytes = b"x".to_vec();
        assert_eq!(found(5), Some(Found { bytes, left: 5 }));
        assert_eq!((found(-1), found(-2), found(0)), (None, None, None));
        for told in [
            Value::Nil,
            text(),
            Value::List(vec![text()]),
            Value::List(vec![text(), text()]),
        ] {
            assert_eq!(read(told), None);
        }
    }
}
