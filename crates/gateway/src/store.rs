//! Databases: the rows of the ledger as they are kept, and what is asked about them.

pub mod findings;
pub mod migrations;
pub mod question;
pub mod reader;
pub mod sqlite;

use std::borrow::Cow;

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

/// Why a database did not tell what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is none yet.
    #[error("there is no ledger {0}; one is kept by a gateway whose configuration has a table [store]")]
    Missing(String),
    /// SQLite has failed.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
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
    pub fn text(text: &'a str) -> Self {
        if text.is_empty() {
            Self::Null
        } else {
            Self::Text(text.into())
        }
    }
}
