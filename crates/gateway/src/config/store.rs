//! The part of the check that is about the ledger.

use std::path::PathBuf;
use std::time::Duration;

use super::StoreConfig;
use super::check::Check;

/// Rows that wait for longer than this are no longer of today.
const LONGEST_FLUSH: Duration = Duration::from_mins(1);

impl Check<'_> {
    /// Where the ledger is kept, if it is.
    pub(super) fn store(&mut self) -> Option<StoreConfig> {
        let store = self.file.store.as_ref()?;
        if store.flush.0 > LONGEST_FLUSH {
            self.report("store.flush", "must not be longer than 60s");
        }
        if store.max_pending == 0 {
            self.report("store.max_pending", "must be at least 1");
        }
        self.not_zero("store.max_age", store.max_age);
        Some(StoreConfig {
            path: self.take("store.url", sqlite_file(&store.url))?,
            flush: store.flush.0,
            max_pending: store.max_pending as usize,
            max_spool: store.max_spool.0,
            max_age: store.max_age.map(|age| age.0),
            max_size: store.max_size.0,
        })
    }
}

/// The file of a URL such as `sqlite://mynah.db` or `sqlite:///var/lib/mynah/mynah.db`. The URL is not repeated: that of
/// another database may hold a password.
fn sqlite_file(url: &str) -> Result<PathBuf, String> {
    match url.strip_prefix("sqlite://") {
        Some(path) if !path.is_empty() && !path.contains('?') => Ok(PathBuf::from(path)),
        _ => Err("must be `sqlite://` and the path of a file, such as sqlite://mynah.db".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_files() {
        assert_eq!(sqlite_file("sqlite://mynah.db"), Ok(PathBuf::from("mynah.db")));
        assert_eq!(sqlite_file("sqlite:///var/l.db"), Ok(PathBuf::from("/var/l.db")));
        for wrong in [
            "mynah.db",
            "sqlite://",
            "postgres://u:secret@host/db",
            "sqlite://x?mode=ro",
        ] {
            assert!(!sqlite_file(wrong).unwrap_err().contains("secret"), "{wrong}");
        }
    }
}
