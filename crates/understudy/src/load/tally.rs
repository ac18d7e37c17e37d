//! What was counted.

use std::io;
use std::time::Duration;

use super::histogram::Histogram;

/// What one connection counted, or all of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    /// Requests that came to an end, well or not.
    pub(super) requests: u64,
    /// Responses with a status other than 2xx.
    pub(super) bad_statuses: u64,
    /// Exchanges that broke.
    pub(super) io_errors: u64,
    /// Requests that were due and could not be sent before the end.
    pub(super) unsent: u64,
    pub(super) events: u64,
    pub(super) latency: Histogram,
    pub(super) first_event: Histogram,
}

impl Tally {
    /// Counts an exchange; its latency only if it went well.
    pub(super) fn record(&mut self, status: &io::Result<u16>, latency: Duration) {
        self.requests += 1;
        match status {
            Ok(200..=299) => self.latency.record(latency),
            Ok(_) => self.bad_statuses += 1,
            Err(_) => self.io_errors += 1,
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.bad_statuses += other.bad_statuses;
        self.io_errors += other.io_errors;
        self.unsent += other.unsent;
        self.events += other.events;
        self.latency.add(&other.latency);
        self.first_event.add(&other.first_event);
    }
}
