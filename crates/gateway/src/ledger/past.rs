//! Reads what limits depend on, before anybody is served.

use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use crate::config::access::AccessConfig;
use crate::config::{Place, StoreConfig};
use crate::limits::clock::Now;
use crate::limits::restore::Past;
use crate::store::database::Database;
use crate::store::reader::Reader;

/// The start waits for no longer than this.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often it is seen whether rows that waited in the spool are in the database.
const PAUSE: Duration = Duration::from_millis(20);

/// What clients have consumed, as far as it is in the ledger. When that takes too long, or cannot be read, nothing is known, and
/// the log says so.
pub fn past(config: &StoreConfig, access: &AccessConfig, now: Now) -> Past {
    let is_new = matches!(&config.place, Place::Sqlite(path) if !path.exists());
    if is_new || access.is_unlimited() {
        return Past::default();
    }
    let deadline = crate::alarm::after(Instant::now(), PATIENCE);
    // The thread that writes may not have come to make the tables yet. A server that is away is not waited for.
    if Database::open(config).is_ok() {
        wait_for_spool(&config.spool, deadline);
    }
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

/// Rows that an earlier process left in the spool are written to the database by the thread that writes.
fn wait_for_spool(spool: &Path, deadline: Instant) {
    let is_there = || std::fs::metadata(spool).is_ok_and(|file| file.len() > 0);
    while is_there() && Instant::now() < deadline {
        #[expect(clippy::disallowed_methods, reason = "a start has nothing else to do")]
        std::thread::sleep(PAUSE);
    }
}
