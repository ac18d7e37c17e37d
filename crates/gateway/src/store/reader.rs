//! The ledger as it is read, whichever database it is in: by commands, and by whoever asks over HTTP. Every call waits for the
//! database, so it is for threads that may.

use super::Error;
use super::findings::{Brief, Page, Row, Usage, Whole};
use super::question::{self, By, LARGEST_PAGE, Query, Scope, Search};
use super::sqlite::Sqlite;
use crate::config::StoreConfig;

/// A database that is open to be read.
#[derive(Debug)]
pub struct Reader {
    database: Sqlite,
}

impl Reader {
    /// Opens the database of a configuration.
    pub fn open(config: &StoreConfig) -> Result<Self, Error> {
        if !config.path.exists() {
            return Err(Error::Missing(config.path.display().to_string()));
        }
        let database = Sqlite::open_to_read(&config.path)?;
        Ok(Self { database })
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
        Ok(Some(Whole::read(row, &attempts)))
    }

    fn select(&mut self, query: &Query) -> Result<Vec<Row>, Error> {
        Ok(self.database.select(query)?)
    }
}
