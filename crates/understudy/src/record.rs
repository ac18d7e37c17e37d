//! The record of what came in, and the counters that tests wait for.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use tokio::sync::Notify;

use crate::received::{Outcome, Received};

/// How many requests are kept.
const KEPT_REQUESTS: usize = 10_000;
/// How many bytes of bodies are kept in all.
const KEPT_BODY_BYTES: usize = 256 * 1024 * 1024;

/// What has happened since the start, or since the last [`clear`](crate::Understudy::clear).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Connections accepted.
    pub connections: u64,
    /// Connections ended, by whichever side.
    pub connections_closed: u64,
    /// Request heads read; the body may be on its way still.
    pub heads: u64,
    /// Requests in the record (counted also when recording is off).
    pub requests: u64,
    /// Replies written to their end.
    pub completed: u64,
    /// Requests whose client hung up before the request or the reply was complete.
    pub aborted: u64,
    /// Bytes of replies handed to the network.
    pub bytes_sent: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Record {
    state: Mutex<State>,
    changed: Notify,
    switched_off: bool,
}

#[derive(Debug, Default)]
struct State {
    counters: Counters,
    entries: VecDeque<Received>,
    body_bytes: usize,
}

impl Record {
    pub(crate) fn new(switched_off: bool) -> Self {
        Self {
            switched_off,
            ..Self::default()
        }
    }

    /// Counts something other than a request.
    pub(crate) fn count(&self, change: impl FnOnce(&mut Counters)) {
        change(&mut self.lock().counters);
        self.changed.notify_waiters();
    }

    /// Enters a request.
    pub(crate) fn enter(&self, received: &Received) {
        let mut state = self.lock();
        state.counters.requests += 1;
        if !self.switched_off {
            state.push(received.clone());
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// Notes how the exchange with that number ended.
    pub(crate) fn finish(&self, number: u64, outcome: Outcome) {
        let mut state = self.lock();
        match outcome {
            Outcome::Open => {}
            Outcome::Completed => state.counters.completed += 1,
            Outcome::Aborted => state.counters.aborted += 1,
        }
        if let Some(entry) = state.entries.iter_mut().rev().find(|entry| entry.number == number) {
            entry.outcome = outcome;
        }
        drop(state);
        self.changed.notify_waiters();
    }

    pub(crate) fn entries(&self) -> Vec<Received> {
        self.lock().entries.iter().cloned().collect()
    }

    pub(crate) fn counters(&self) -> Counters {
        self.lock().counters
    }

    pub(crate) fn clear(&self) {
        *self.lock() = State::default();
    }

    /// Resolves as soon as `condition` holds for the counters.
    pub(crate) async fn wait_until(&self, mut condition: impl FnMut(&Counters) -> bool) {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            // Registered before the look at the counters: a change in between is not missed.
            changed.as_mut().enable();
            if condition(&self.counters()) {
                return;
            }
            changed.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn push(&mut self, received: Received) {
        self.body_bytes += received.body.len();
        self.entries.push_back(received);
        while self.entries.len() > KEPT_REQUESTS || (self.body_bytes > KEPT_BODY_BYTES && self.entries.len() > 1) {
            let Some(oldest) = self.entries.pop_front() else { break };
            self.body_bytes -= oldest.body.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn received(number: u64, body: Bytes) -> Received {
        Received {
            number,
            connection: 1,
            method: "POST".into(),
            target: "/".into(),
            version: "HTTP/1.1",
            tls: false,
            server_name: None,
            headers: Vec::new(),
            body,
            body_complete: true,
            outcome: Outcome::Open,
        }
    }

    #[test]
    fn only_the_last_requests_are_kept() {
        let record = Record::new(false);
        for number in 1..=KEPT_REQUESTS as u64 + 5 {
            record.enter(&received(number, Bytes::new()));
        }
        assert_eq!(record.entries().len(), KEPT_REQUESTS);
        assert_eq!(record.entries()[0].number, 6);
        assert_eq!(record.counters().requests, KEPT_REQUESTS as u64 + 5);
    }

    #[test]
    fn large_bodies_push_out_old_ones() {
        let record = Record::new(false);
        let body = Bytes::from(vec![0; KEPT_BODY_BYTES / 2 + 1]);
        for number in 1..=3 {
            record.enter(&received(number, body.clone()));
        }
        let numbers: Vec<u64> = record.entries().iter().map(|entry| entry.number).collect();
        assert_eq!(numbers, [3]);
    }

    #[test]
    fn a_record_switched_off_counts_only() {
        let record = Record::new(true);
        record.enter(&received(1, Bytes::new()));
        assert!(record.entries().is_empty());
        assert_eq!(record.counters().requests, 1);
    }
}
