//! The part of the check that is about the ledger.

use std::borrow::Cow;
use std::path::PathBuf;
use std::time::Duration;

use super::check::Check;
use super::{ContentConfig, Place, StoreConfig};
use crate::ledger::content::Blackening;
use crate::store::postgres::server::Server;

/// Rows that wait for longer than this are no longer of today.
const LONGEST_FLUSH: Duration = Duration::from_mins(1);

/// Bodies are kept in memory as far as they are kept at all.
const LARGEST_CONTENT: u64 = 1024 * 1024;

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
