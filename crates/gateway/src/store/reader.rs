//! The ledger as it is read, whichever database it is in: by commands, and by whoever asks over HTTP. Every call waits for the
//! database, so it is for threads that may.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use super::Error;
use super::database::Database;
use super::findings::{Brief, Consumed, Page, Row, Spent, Usage, Whole};
use super::question::{self, By, LARGEST_PAGE, Query, Scope, Search};
use crate::config::StoreConfig;

/// A database that is open to be read.
#[derive(Debug)]
pub struct Reader {
    database: Database,
}

impl Reader {
    /// Opens the database of a configuration.
    pub fn open(config: &StoreConfig) -> Result<Self, Error> {
        Ok(Self {
            database: Database::open_to_read(config)?,
        })
    }

    /// What requests came to, as many groups as can be told.
    pub fn usage(&mut self, by: By, scope: &Scope) -> Result<Vec<Usage>, Error> {
        let rows = self.select(&question::usage(by, scope))?;
        Ok(Usage::read(by, &rows))
    }

    /// Some of the requests that are looked for, the newest first.
    pub fn requests(&mut self, search: &Search) -> Result<Page, Error> {
        let rows = self.select(&question::search(search))?;
        let requests: Vec<Brief> = rows.iter().map(Brief::from).collect();
        let is_full = requests.len() >= search.limit.clamp(1, LARGEST_PAGE) as usize;
        let next = requests.last().filter(|_| is_full).map(|last| last.id);
        Ok(Page { requests, next })
    }

    /// All that is known of one request, by the id of its row or that in `x-request-id`. Of several with the same, the last.
    pub fn request(&mut self, id: &str) -> Result<Option<Whole>, Error> {
        let mut rows = match id.parse() {
            Ok(id) => self.select(&question::row(id))?,
            Err(_) => Vec::new(),
        };
        if rows.is_empty() {
            rows = self.select(&question::request(id))?;
        }
        let Some(row) = rows.first() else { return Ok(None) };
        let attempts = self.select(&question::attempts(Brief::from(row).id))?;
        let content = self.select(&question::content(Brief::from(row).id))?;
        Ok(Some(Whole::read(row, &attempts, content.first())))
    }

    /// What each client consumed after a moment (in milliseconds since 1970), in pieces of so many milliseconds, the oldest first.
    pub fn consumed(&mut self, since: u64, piece: u64) -> Result<Vec<Consumed>, Error> {
        let rows = self.select(&question::consumed(since, piece))?;
        Ok(rows.iter().map(Consumed::from).collect())
    }

    /// What each client spent since a moment.
    pub fn spent(&mut self, since: u64) -> Result<Vec<Spent>, Error> {
        let rows = self.select(&question::spent(since))?;
        Ok(rows.iter().map(Spent::from).collect())
    }

    /// Asks what has to be known soon: a question that takes longer is given up.
    pub fn within<T>(
        &mut self,
        patience: Duration,
        ask: impl FnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let interrupt = match &mut self.database {
            Database::Sqlite(store) => store.interrupt(),
            Database::Postgres(store) => {
                store.hurry(patience);
                return ask(self);
            }
        };
        let (done, is_done) = channel::<()>();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                if is_done.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
                    interrupt.interrupt();
                }
            });
            let answer = ask(self);
            drop(done);
            answer
        })
    }

    fn select(&mut self, query: &Query) -> Result<Vec<Row>, Error> {
        self.database.select(query)
    }
}
