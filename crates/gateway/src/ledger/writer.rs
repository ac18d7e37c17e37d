//! The thread that writes rows.

use std::fmt::Display;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use tokio::time::Instant;

use super::batch::Batch;
use super::content::Blackening;
use super::ids::Ids;
use super::spool::Spool;
use super::{Ledger, State, unix_milliseconds};
use crate::alarm::after;
use crate::config::StoreConfig;
use crate::store::Error;
use crate::store::database::Database;

/// How long a database is left alone that could not be written.
const REST: Duration = Duration::from_secs(1);

/// How long to wait at least for a database to open, before rows are taken to the spool.
const LEAST_PATIENCE: Duration = Duration::from_millis(10);

/// How long a database may take to open before it counts as away.
const OPENS_WITHIN: Duration = Duration::from_secs(3);

/// How often it is seen whether there are rows to be deleted, once there are none.
const PRUNE: Duration = Duration::from_secs(10);

/// A database with how long it took to open, or why it cannot be opened.
type Opened = Result<(Database, Duration), Error>;

/// A database that somebody opens.
struct Opening {
    since: Instant,
    opened: Receiver<Opened>,
}

/// Takes rows out of the queue and writes them.
pub(super) struct Writer {
    ledger: Arc<Ledger>,
    /// Taken out of the queue, and not written yet.
    batch: Batch,
    ids: Ids,
    /// Open while it can be written.
    store: Option<Database>,
    /// The database to be, while it is opened.
    opening: Option<Opening>,
    /// What is not to be kept of prompts and answers.
    blackening: Blackening,
    spool: Spool,
    /// There may be something in the spool.
    may_be_spooled: bool,
    /// When the database may be tried again.
    rests_until: Option<Instant>,
    /// When rows may be deleted again.
    prunes_at: Instant,
    /// How many dropped rows were told of.
    told_dropped: u64,
}

impl Writer {
    pub(super) fn new(ledger: Arc<Ledger>, roll: u64) -> Self {
        let config = ledger.config();
        Self {
            spool: Spool::new(&config.spool, config.max_spool),
            // The check has seen that the rules can be read.
            blackening: config
                .content
                .as_ref()
                .and_then(|rules| Blackening::new(rules).ok())
                .unwrap_or_default(),
            ids: Ids::new(roll),
            batch: Batch::default(),
            store: None,
            opening: None,
            may_be_spooled: true,
            rests_until: None,
            prunes_at: Instant::now(),
            told_dropped: 0,
            ledger,
        }
    }

    /// Writes for as long as the process lives.
    pub(super) fn run(mut self) {
        loop {
            self.open(Instant::now());
            self.save(Instant::now());
            self.restore();
            self.prune(Instant::now());
            self.tell_of_dropped();
            self.wait(Instant::now());
        }
    }

    /// Waits for work.
    fn wait(&mut self, now: Instant) {
        let ledger = &self.ledger;
        if !self.batch.is_empty() {
            return ledger.queue.pause(REST);
        }
        let due = match self.rests_until {
            _ if self.opening.is_some() => now,
            Some(until) => until,
            None if self.may_be_spooled => now,
            None => self.prunes_at,
        };
        // The other half is left for the writing itself.
        let window = ledger.config.flush / 2;
        let patience = due.saturating_duration_since(now);
        ledger.queue.take(&mut self.batch, window, patience);
        self.batch.finish(&mut self.ids, unix_milliseconds(), &self.blackening);
    }

    /// Opens the database, unless it is open or rests. Somebody else waits for it to open: a server may take its time, and
    /// rows are to be spooled meanwhile.
    fn open(&mut self, now: Instant) {
        if self.store.is_some() || self.rests_until.is_some_and(|until| now < until) {
            return;
        }
        let opening = match self.opening.take() {
            Some(opening) => opening,
            None => match open(self.ledger.config()) {
                Ok(opened) => Opening { since: now, opened },
                Err(error) => return self.failed(&error),
            },
        };
        let patience = (self.ledger.config.flush / 2).max(LEAST_PATIENCE);
        match opening.opened.recv_timeout(patience) {
            Ok(Ok((store, taken))) => {
                self.store = Some(store);
                self.ledger.noted().latency_ms = milliseconds(taken);
                self.rests_until = None;
                if self.batch.is_empty() && !self.may_be_spooled {
                    self.enter(State::Ok, &"");
                }
            }
            Ok(Err(error)) => self.failed(&error),
            Err(RecvTimeoutError::Timeout) => self.opening = Some(opening),
            Err(error @ RecvTimeoutError::Disconnected) => self.failed(&error),
        }
    }

    /// Writes the batch to the database, else to the spool; else it is kept.
    fn save(&mut self, now: Instant) {
        if self.batch.is_empty() {
            return;
        }
        if let Some(store) = &mut self.store {
            let began = Instant::now();
            match store.write(&self.batch) {
                Ok(refused) => {
                    self.ledger.noted().latency_ms = milliseconds(began.elapsed());
                    self.wrote(self.batch.len() as u64, refused);
                    self.done_with_batch();
                    return self.enter(State::Ok, &"");
                }
                Err(error) => self.failed(&error),
            }
        }
        match self.spool.append(&self.batch) {
            Ok(()) => {
                self.ledger.noted().spooled += self.batch.len() as u64;
                self.may_be_spooled = true;
                self.done_with_batch();
                if !self.just_opens(now) {
                    self.enter(State::Spooling, &"");
                }
            }
            Err(error) => self.enter(State::Holding, &error),
        }
    }

    /// Whether the database may still be there in a moment, so that rows in the spool are no news.
    fn just_opens(&self, now: Instant) -> bool {
        let opening = self.opening.as_ref();
        opening.is_some_and(|opening| now.saturating_duration_since(opening.since) < OPENS_WITHIN)
    }

    /// Counts rows that need not be written any more, and those of them that the database refuses for good.
    fn wrote(&self, rows: u64, refused: u64) {
        let mut status = self.ledger.noted();
        status.written += rows - refused;
        status.dropped += refused;
        drop(status);
        if refused > 0 {
            tracing::error!(refused, "the database refuses rows of the ledger, and they are lost");
        }
    }

    fn done_with_batch(&mut self) {
        self.batch.clear();
        self.ledger.queue.written();
    }

    /// Writes a part of what is in the spool to the database. What was written before, by a process that was killed before
    /// it could empty the file, is known by its ids.
    fn restore(&mut self) {
        let (Some(store), true, true) = (&mut self.store, self.may_be_spooled, self.batch.is_empty()) else {
            return;
        };
        let chunk = match self.spool.next() {
            Ok(Some(chunk)) => chunk,
            Ok(None) => {
                self.may_be_spooled = false;
                return self.enter(State::Ok, &"");
            }
            Err(error) => {
                tracing::warn!(%error, "what is in the ledger's spool cannot be read; it stays there until the next start");
                self.may_be_spooled = false;
                return;
            }
        };
        let refused = match store.write(&chunk.rows) {
            Ok(refused) => refused,
            Err(error) => return self.failed(&error),
        };
        let rows = chunk.rows.len() as u64;
        self.wrote(rows, refused);
        {
            let mut status = self.ledger.noted();
            status.spooled = status.spooled.saturating_sub(rows);
            status.dropped += chunk.unreadable;
        }
        match self.spool.written(&chunk) {
            Ok(false) => {}
            Ok(true) => {
                self.may_be_spooled = false;
                self.ledger.noted().spooled = 0;
                tracing::info!("what was in the ledger's spool is in the database");
                self.enter(State::Ok, &"");
            }
            Err(error) => {
                tracing::warn!(%error, "the ledger's spool cannot be emptied");
                self.may_be_spooled = false;
            }
        }
    }

    /// Deletes some of the rows that are not to be kept.
    fn prune(&mut self, now: Instant) {
        let Some(store) = &mut self.store else { return };
        if now < self.prunes_at {
            return;
        }
        let config = self.ledger.config();
        let oldest = config
            .max_age
            .map(|most| unix_milliseconds().saturating_sub(milliseconds(most)));
        match store.prune(oldest, config.max_size) {
            // More in a moment, after the rows that have come since.
            Ok(true) => {}
            Ok(false) => self.prunes_at = after(now, PRUNE),
            Err(error) => {
                self.prunes_at = after(now, PRUNE);
                self.failed(&error);
            }
        }
    }

    /// The database could not be written. It is opened anew, as whatever it was may have to do with how it was opened.
    fn failed(&mut self, error: &dyn Display) {
        self.store = None;
        self.rests_until = Some(after(Instant::now(), REST));
        self.ledger.noted().last_error = Some(error.to_string());
        if self.ledger.noted().state == State::Ok {
            self.enter(State::Spooling, &"");
        }
    }

    /// Notes where rows go, and says so when that is news.
    fn enter(&self, state: State, reason: &dyn Display) {
        let mut status = self.ledger.noted();
        if status.state == state {
            return;
        }
        (status.state, status.since) = (state, unix_milliseconds());
        let (database, error) = (&self.ledger.config.place, status.last_error.clone());
        drop(status);
        match state {
            State::Ok => tracing::info!(%database, "the ledger is written again"),
            State::Spooling => tracing::warn!(
                %database, error,
                "the ledger cannot be written: rows wait in its spool, and requests go on"
            ),
            State::Holding => tracing::error!(
                %database, error, spool = %reason,
                "neither the ledger nor its spool can be written: rows wait in memory as far as there is room, and requests go on"
            ),
        }
    }

    /// Says that rows were dropped, once for as long as it goes on.
    fn tell_of_dropped(&mut self) {
        let dropped = self.ledger.queue.dropped();
        if dropped > self.told_dropped && self.batch.is_empty() {
            tracing::error!(
                dropped = dropped - self.told_dropped,
                "rows of the ledger are missing: there was no room for them (`store.max_pending`)"
            );
            self.told_dropped = dropped;
        }
    }
}

/// Opens a database on a thread of its own.
fn open(config: &StoreConfig) -> std::io::Result<Receiver<Opened>> {
    let (config, (tell, opening)) = (config.clone(), sync_channel(1));
    let thread = std::thread::Builder::new().name("ledger-open".to_owned());
    // When nobody waits for it any more, it is closed again.
    thread.spawn(move || {
        let began = Instant::now();
        let opened = Database::open(&config).map(|database| (database, began.elapsed()));
        tell.send(opened).ok()
    })?;
    Ok(opening)
}

fn milliseconds(taken: Duration) -> u64 {
    u64::try_from(taken.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Place;
    use crate::ledger::queue::Queue;
    use crate::ledger::record::Record;

    #[test]
    fn a_database_that_opens_slowly_is_not_away_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let config = StoreConfig {
            place: Place::Sqlite(directory.path().join("m.db")),
            spool: directory.path().join("m.spool"),
            flush: Duration::ZERO,
            max_pending: 10,
            max_spool: u64::MAX,
            max_age: None,
            max_size: u64::MAX,
            content: None,
            log_content: false,
            request_logs: false,
        };
        let ledger = Arc::new(Ledger {
            queue: Queue::new(config.max_pending, 0),
            config,
            status: std::sync::Mutex::default(),
        });
        let mut writer = Writer::new(ledger.clone(), 1);
        let (_nobody_tells, opened) = sync_channel(1);
        let since = Instant::now();
        writer.opening = Some(Opening { since, opened });
        for (now, state) in [(since, State::Ok), (since + OPENS_WITHIN, State::Spooling)] {
            writer.batch.push(&Record::default(), None);
            writer.batch.finish(&mut writer.ids, 1, &writer.blackening);
            writer.save(now);
            assert_eq!(ledger.status().state, state);
        }
        assert_eq!(ledger.status().spooled, 2);
    }
}
