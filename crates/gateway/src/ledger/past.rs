//! Reads what limits depend on, before anybody is served.

use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use crate::config::StoreConfig;
use crate::config::access::AccessConfig;
use crate::limits::clock::Now;
use crate::limits::restore::Past;
use crate::store::reader::Reader;
use crate::store::sqlite::Sqlite;

/// The start waits for no longer than this.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often it is seen whether rows that waited beside the database are in it.
const PAUSE: Duration = Duration::from_millis(20);

/// What clients have consumed, as far as it is in the ledger. When that takes too long, or cannot be read, nothing is known, and
/// the log says so.
pub fn past(config: &StoreConfig, access: &AccessConfig, now: Now) -> Past {
    if !config.path.exists() || access.is_unlimited() {
        return Past::default();
    }
    let deadline = crate::alarm::after(Instant::now(), PATIENCE);
    wait_for_spool(&config.path, deadline);
    // The thread that writes may not have come to make the tables yet.
    drop(Sqlite::open(&config.path, false));
    let left = deadline.saturating_duration_since(Instant::now());
    let past =
        Reader::open(config).and_then(|mut reader| reader.within(left, |reader| Past::read(reader, access, now)));
    past.unwrap_or_else(|error| {
        tracing::error!(
            %error,
            "what clients have consumed cannot be read from the ledger: limits and budgets begin at zero"
        );
        Past::default()
    })
}

/// Rows that an earlier process left beside the database are written to it by the thread that writes.
fn wait_for_spool(database: &Path, deadline: Instant) {
    let mut spool = database.as_os_str().to_owned();
    spool.push(".spool");
    let is_there = || std::fs::metadata(&spool).is_ok_and(|file| file.len() > 0);
    while is_there() && Instant::now() < deadline {
        #[expect(clippy::disallowed_methods, reason = "a start has nothing else to do")]
        std::thread::sleep(PAUSE);
    }
}
