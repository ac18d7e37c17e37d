//! Databases: the rows of the ledger as they are kept, and what is asked about them.

pub mod clients;
pub mod database;
pub mod findings;
pub mod migrations;
pub mod postgres;
pub mod question;
pub mod reader;
pub mod request_log;
pub mod sqlite;

use std::borrow::Cow;
use std::error::Error as _;
use std::time::Duration;

/// What a row has in a column.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// Nothing, or it is not known.
    Null,
    /// A number, a moment (milliseconds since 1970), or a truth (0 or 1).
    Integer(i64),
    /// Text.
    Text(Cow<'a, str>),
}

/// Why a database did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is none yet.
    #[error("there is no ledger {0}; one is kept by a gateway whose configuration has a table [store]")]
    Missing(String),
    /// SQLite has failed.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// PostgreSQL, or the way to it, has failed.
    #[error("{}", in_full(.0))]
    Postgres(#[from] tokio_postgres::Error),
    /// The server says nothing.
    #[error("the server did not answer within {0:?}")]
    Slow(Duration),
    /// What else there is to be said.
    #[error("{0}")]
    Told(String),
    /// The process gets nothing from the system.
    #[error(transparent)]
    System(#[from] std::io::Error),
    /// A row cannot be written down.
    #[error(transparent)]
    Unwritable(#[from] serde_json::Error),
}

impl Error {
    /// The tables are older than this program.
    fn older() -> Self {
        Self::Told(
            "its tables are of an earlier version; a gateway of this version brings them up to date when it starts"
                .to_owned(),
        )
    }

    /// The tables are newer than this program.
    fn newer() -> Self {
        Self::Told("its tables are of a later version than this mynah knows".to_owned())
    }
}

/// An error of PostgreSQL's with its reason, which it does not tell by itself.
fn in_full(error: &tokio_postgres::Error) -> String {
    match (error.as_db_error(), error.source()) {
        (Some(told), _) => told.to_string(),
        (None, Some(reason)) => format!("{error}: {reason}"),
        (None, None) => error.to_string(),
    }
}

// === impl Value ===

impl Value<'_> {
    /// A count. What no database can hold is as much as it can.
    pub fn count(count: u64) -> Self {
        Self::Integer(i64::try_from(count).unwrap_or(i64::MAX))
    }

    /// A count, if there is one.
    pub fn counted(count: Option<u64>) -> Self {
        count.map_or(Self::Null, Self::count)
    }
}

impl<'a> Value<'a> {
    /// A text; an empty one is nothing.
    pub fn text(text: Cow<'a, str>) -> Self {
        if text.is_empty() {
            Self::Null
        } else {
            Self::Text(legible(text))
        }
    }
}

/// A text without zeros, which PostgreSQL does not take, and which end a text for others.
fn legible(text: Cow<'_, str>) -> Cow<'_, str> {
    if memchr::memchr(0, text.as_bytes()).is_some() {
        text.replace('\0', "\u{fffd}").into()
    } else {
        text
    }
}
