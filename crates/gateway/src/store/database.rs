//! A database that is open, whichever it is.

use std::time::Duration;

use super::Error;
use super::clients::Change;
use super::findings::Row;
use super::postgres::Postgres;
use super::question::Query;
use super::sqlite::{Contents, Sqlite};
use crate::config::{Place, StoreConfig};
use crate::ledger::rows::Rows;

/// A database, open.
#[derive(Debug)]
pub enum Database {
    /// A file.
    Sqlite(Sqlite),
    /// A server.
    Postgres(Box<Postgres>),
}

impl Database {
    /// Opens what a configuration names, and brings its tables up to date.
    pub fn open(config: &StoreConfig) -> Result<Self, Error> {
        Ok(match &config.place {
            Place::Sqlite(path) => {
                let contents = Contents {
                    ledger: config.log_content,
                    request_logs: config.request_logs,
                };
                Self::Sqlite(Sqlite::open(path, config.flush.is_zero(), contents)?)
            }
            Place::Postgres(server) => Self::Postgres(Box::new(Postgres::open(server)?)),
        })
    }

    /// The same for changes that must not be gone after a power cut. Another process that writes to the same file is waited for
    /// as long as `patience` is.
    pub fn open_durably(config: &StoreConfig, patience: Duration) -> Result<Self, Error> {
        let Place::Sqlite(path) = &config.place else {
            return Self::open(config);
        };
        let store = Sqlite::open(path, true, Contents::LEDGER)?;
        store.set_patience(patience)?;
        Ok(Self::Sqlite(store))
    }

    /// Opens what a configuration names to look at it. A file that is not there is missing.
    pub fn open_to_read(config: &StoreConfig) -> Result<Self, Error> {
        Ok(match &config.place {
            Place::Sqlite(path) if path.exists() => Self::Sqlite(Sqlite::open_to_read(path)?),
            Place::Sqlite(path) => return Err(Error::Missing(path.display().to_string())),
            Place::Postgres(server) => Self::Postgres(Box::new(Postgres::open_to_read(server)?)),
        })
    }

    /// What a query finds.
    pub fn select(&self, query: &Query) -> Result<Vec<Row>, Error> {
        match self {
            Self::Sqlite(store) => Ok(store.select(query)?),
            Self::Postgres(store) => store.select(query),
        }
    }

    /// Makes changes, all or none. Returns whether they were made: those that must change something did.
    pub fn change(&mut self, changes: &[Change]) -> Result<bool, Error> {
        match self {
            Self::Sqlite(store) => Ok(store.change(changes)?),
            Self::Postgres(store) => store.change(changes),
        }
    }

    /// Writes rows. Those that are there already stay as they are, so that all of them may be written again after an error.
    /// Returns how many can never be written.
    pub fn write<'r>(&mut self, rows: impl Rows<'r>) -> Result<u64, Error> {
        match self {
            Self::Sqlite(store) => store.write(rows).map(|()| 0).map_err(Error::from),
            Self::Postgres(store) => store.write(rows),
        }
    }

    /// Deletes some of the rows that are too old (from before `oldest`, in milliseconds since 1970) or too many. Returns
    /// whether there may be more of them.
    pub fn prune(&mut self, oldest: Option<u64>, max_size: u64) -> Result<bool, Error> {
        match self {
            Self::Sqlite(store) => store.prune(oldest, max_size).map_err(Error::from),
            Self::Postgres(store) => store.prune(oldest, max_size),
        }
    }
}
