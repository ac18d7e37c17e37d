//! What tells the time to limits.

use std::time::Duration;

use tokio::time::Instant;

use crate::ask::since_1970;

/// A moment, on two clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// In milliseconds, on a clock that nobody sets: at the start of the process it showed the milliseconds since 1970.
    /// For times that pass.
    pub steady: u64,
    /// In milliseconds since 1970. For the calendar.
    pub unix: u64,
}

/// Tells the time.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
    started_unix: u64,
}

impl Clock {
    /// The clock of a process that starts now.
    pub fn start() -> Self {
        Self {
            started: Instant::now(),
            started_unix: milliseconds(since_1970()),
        }
    }

    /// What it shows.
    pub fn now(&self) -> Now {
        Now {
            steady: self.started_unix.saturating_add(milliseconds(self.started.elapsed())),
            unix: milliseconds(since_1970()),
        }
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
