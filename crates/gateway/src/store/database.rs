//! A database that is open to be written, whichever it is.

use super::Error;
use super::postgres::Postgres;
use super::sqlite::Sqlite;
use crate::config::{Place, StoreConfig};
use crate::ledger::record::Record;

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
            Place::Sqlite(path) => Self::Sqlite(Sqlite::open(path, config.flush.is_zero())?),
            Place::Postgres(server) => Self::Postgres(Box::new(Postgres::open(server)?)),
        })
    }

    /// Writes rows. Those that are there already stay as they are, so that all of them may be written again after an error.
    /// Returns how many can never be written.
    pub fn write<'r>(&mut self, records: impl IntoIterator<Item = &'r Record>) -> Result<u64, Error> {
        match self {
            Self::Sqlite(store) => store.write(records).map(|()| 0).map_err(Error::from),
            Self::Postgres(store) => store.write(records),
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
