//! Where the ledger is kept, as the file says it, and the part of the check that is about it.

use std::borrow::Cow;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::check::Check;
use super::secret::Secret;
use super::units::{Size, Span};
use super::{ContentConfig, Place, StoreConfig};
use crate::ledger::content::Blackening;
use crate::store::postgres::server::Server;

/// Rows that wait for longer than this are no longer of today.
const LONGEST_FLUSH: Duration = Duration::from_mins(1);

/// Bodies are kept in memory as far as they are kept at all.
const LARGEST_CONTENT: u64 = 1024 * 1024;

/// Where the ledger is kept, and for how long.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Store {
    /// The database: `sqlite://` and the path of a file, which is made if it is not there, or that of a PostgreSQL server,
    /// `postgres://USER@HOST/DATABASE`.
    pub url: String,
    /// The password for the PostgreSQL server, as it is; in the URL it would have to be percent-encoded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// The file where rows wait while the database cannot be written. Default: the name of SQLite's file and `.spool`, or
    /// `mynah.spool` with PostgreSQL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spool: Option<PathBuf>,
    /// No row is in memory alone for longer than this. `0ms`: each row is written at once, and to the disk itself.
    pub flush: Span,
    /// The most rows that wait in memory; more are dropped and counted.
    pub max_pending: u32,
    /// The most bytes that wait in the spool.
    pub max_spool: Size,
    /// Rows are deleted when they are older than this. Default: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age: Option<Span>,
    /// The oldest rows are deleted when the database has more bytes than this.
    pub max_size: Size,
    /// Keep prompts and answers too: the bodies of requests that name a model, and of their answers.
    pub log_content: bool,
    /// Write a row for each request also to a table `request_logs`, with its messages, the text of its answer and its
    /// usage. Only with SQLite.
    pub request_logs: bool,
    /// The most bytes that are kept of each body.
    pub max_content: Size,
    /// Regular expressions; what they find in bodies is replaced by `[redacted]`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub redact: Vec<String>,
    /// Names of JSON members, without regard to case; the texts and numbers that they have in bodies are not kept.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub redact_keys: Vec<String>,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            url: "sqlite://mynah.db".to_owned(),
            password: None,
            spool: None,
            flush: Span(Duration::from_millis(200)),
            max_pending: 20_000,
            max_spool: Size::mebibytes(64),
            max_age: None,
            max_size: Size::mebibytes(4096),
            log_content: false,
            request_logs: false,
            max_content: Size(64 * 1024),
            redact: Vec::new(),
            redact_keys: Vec::new(),
        }
    }
}

impl Check<'_> {
    /// Where the ledger is kept, if it is.
    pub(super) fn store(&mut self) -> Option<StoreConfig> {
        let store = self.file.store.as_ref()?;
        let url = without_driver(&store.url);
        if store.flush.0 > LONGEST_FLUSH {
            self.report("store.flush", "must not be longer than 60s");
        }
        if store.max_pending == 0 {
            self.report("store.max_pending", "must be at least 1");
        }
        self.not_zero("store.max_age", store.max_age);
        if store.password.is_some() && !is_postgres(&url) {
            self.report("store.password", "is for PostgreSQL; a file of SQLite's has none");
        }
        if !(1..=LARGEST_CONTENT).contains(&store.max_content.0) {
            self.report("store.max_content", "must be between 1 and 1MiB");
        }
        let content = ContentConfig {
            most: usize::try_from(store.max_content.0).unwrap_or(usize::MAX),
            redact: store.redact.clone(),
            redact_keys: store.redact_keys.clone(),
        };
        if let Err((at, reason)) = Blackening::new(&content) {
            let message = format!("is no regular expression: {reason}");
            self.report(&format!("store.redact.{at}"), message);
        }
        let place = if is_postgres(&url) {
            Server::parse(&url, store.password.as_ref()).map(|server| Place::Postgres(Box::new(server)))
        } else {
            sqlite_file(&url).map(Place::Sqlite)
        };
        let place = self.take("store.url", place)?;
        if store.request_logs && matches!(place, Place::Postgres(_)) {
            self.report("store.request_logs", "is for SQLite; with PostgreSQL, leave it out");
        }
        Some(StoreConfig {
            spool: store.spool.clone().unwrap_or_else(|| spool_of(&place)),
            place,
            flush: store.flush.0,
            max_pending: store.max_pending as usize,
            max_spool: store.max_spool.0,
            max_age: store.max_age.map(|age| age.0),
            max_size: store.max_size.0,
            content: (store.log_content || store.request_logs).then_some(content),
            log_content: store.log_content,
            request_logs: store.request_logs,
        })
    }
}

/// A URL without the name of a driver, which Python's programs put there: `postgresql+psycopg2://…`.
fn without_driver(url: &str) -> Cow<'_, str> {
    match url.split_once("://") {
        Some((scheme, rest)) if scheme.contains('+') => {
            let database = scheme.split('+').next().unwrap_or_default();
            Cow::Owned([database, "://", rest].concat())
        }
        _ => Cow::Borrowed(url),
    }
}

/// Whether a URL is that of a PostgreSQL server.
pub(super) fn is_postgres(url: &str) -> bool {
    let url = without_driver(url);
    url.starts_with("postgres://") || url.starts_with("postgresql://")
}

/// Where rows wait that cannot be written, unless it is said.
fn spool_of(place: &Place) -> PathBuf {
    match place {
        Place::Sqlite(path) => {
            let mut path = path.as_os_str().to_owned();
            path.push(".spool");
            path.into()
        }
        Place::Postgres(_) => "mynah.spool".into(),
    }
}

/// The file of a URL such as `sqlite://mynah.db` or `sqlite:///var/lib/mynah/mynah.db`. The URL is not repeated: that of
/// another database may hold a password.
fn sqlite_file(url: &str) -> Result<PathBuf, String> {
    match url.strip_prefix("sqlite://") {
        Some(path) if !path.is_empty() && !path.contains('?') => Ok(PathBuf::from(path)),
        _ => Err(
            "must be `sqlite://` and the path of a file, such as sqlite://mynah.db, or that of a PostgreSQL server, such as \
             postgres://mynah@db.example/mynah"
                .to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_files() {
        assert_eq!(sqlite_file("sqlite://mynah.db"), Ok(PathBuf::from("mynah.db")));
        assert!(is_postgres("postgresql+psycopg2://h/d") && !is_postgres("sqlite+aiosqlite://x"));
        assert_eq!(sqlite_file("sqlite:///var/l.db"), Ok(PathBuf::from("/var/l.db")));
        for wrong in [
            "mynah.db",
            "sqlite://",
            "mysql://u:secret@host/db",
            "sqlite://x?mode=ro",
        ] {
            assert!(!sqlite_file(wrong).unwrap_err().contains("secret"), "{wrong}");
        }
    }
}
