//! Which calls are open at the targets, and which clients have left: one process knows both, so one clock measures how long
//! a call outlives its client.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::load::Histogram;
use crate::received::Outcome;

/// One call, as a target knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Call {
    /// The number of the target.
    pub(super) target: usize,
    /// How often the target had been started.
    pub(super) life: u64,
    /// The number of the call in this life.
    pub(super) number: u64,
}

/// What is noted about calls and clients. It grows with the number of requests.
#[derive(Debug, Default)]
pub(super) struct Board {
    notes: Mutex<Notes>,
}

#[derive(Debug, Default)]
struct Notes {
    open: HashMap<Call, u64>,
    /// The marks of requests of which an answer was broken off after its first content.
    broken: HashSet<u64>,
    departed: HashMap<u64, Instant>,
    cancelled: Histogram,
    /// What outlived its client by too much.
    late: Vec<String>,
    /// Departed clients one of whose calls was cancelled.
    had_calls: HashSet<u64>,
}

/// What became of the calls of departed clients.
#[derive(Clone, Debug, Default)]
pub(super) struct Departures {
    /// Clients that left.
    pub(super) clients: usize,
    /// Those that had a call to be cancelled.
    pub(super) with_calls: usize,
    /// How long calls outlived their clients.
    pub(super) cancelled: Histogram,
    /// What outlived its client by too much, or was begun too long after it left.
    pub(super) late: Vec<String>,
}

impl Board {
    /// A call has come in. If its client has left, that must have happened just now.
    pub(super) fn begins(&self, call: Call, nonce: u64, limit: Duration) {
        let mut notes = self.lock();
        if let Some(since) = notes.departed.get(&nonce).map(Instant::elapsed)
            && since > limit
        {
            notes
                .late
                .push(format!("{nonce}: a call began {since:?} after the client left"));
        }
        notes.open.insert(call, nonce);
    }

    /// A call has ended.
    pub(super) fn ends(&self, call: Call, outcome: Outcome, limit: Duration) {
        let mut notes = self.lock();
        let Some(nonce) = notes.open.remove(&call) else { return };
        let Some(since) = notes.departed.get(&nonce).map(Instant::elapsed) else {
            return;
        };
        if outcome == Outcome::Aborted {
            notes.cancelled.record(since);
            notes.had_calls.insert(nonce);
        }
        if since > limit {
            notes
                .late
                .push(format!("{nonce}: a call went on for {since:?} after the client left"));
        }
    }

    /// A target is killed: what it was saying is broken off.
    pub(super) fn breaks(&self, target: usize) {
        let mut notes = self.lock();
        let notes = &mut *notes;
        notes.open.retain(|call, nonce| {
            let stays = call.target != target;
            if !stays {
                notes.broken.insert(*nonce);
            }
            stays
        });
    }

    /// An answer to this request will be broken off after its first content.
    pub(super) fn will_break(&self, nonce: u64) {
        self.lock().broken.insert(nonce);
    }

    /// Whether an answer to this request was broken off after its first content.
    pub(super) fn was_broken(&self, nonce: u64) -> bool {
        self.lock().broken.contains(&nonce)
    }

    /// A client hangs up.
    pub(super) fn departs(&self, nonce: u64) {
        self.lock().departed.insert(nonce, Instant::now());
    }

    /// What has become of the calls of departed clients. Those that are still open are late.
    pub(super) fn departures(&self, limit: Duration) -> Departures {
        let notes = self.lock();
        let outliving = notes.open.values().filter_map(|nonce| {
            let since = notes.departed.get(nonce)?.elapsed();
            (since > limit).then(|| format!("{nonce}: a call is still open {since:?} after the client left"))
        });
        Departures {
            clients: notes.departed.len(),
            with_calls: notes.had_calls.len(),
            cancelled: notes.cancelled.clone(),
            late: notes.late.iter().cloned().chain(outliving).collect(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_millis(100);

    fn call(target: usize) -> Call {
        Call {
            target,
            life: 1,
            number: 1,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_outlives_its_client_is_late() {
        let board = Board::default();
        for (target, nonce) in [(0, 10), (1, 11), (2, 12)] {
            board.begins(call(target), nonce, LIMIT);
        }
        for nonce in [10, 11] {
            board.departs(nonce);
        }
        tokio::time::advance(LIMIT / 2).await;
        board.ends(call(0), Outcome::Aborted, LIMIT);
        tokio::time::advance(LIMIT).await;
        let departures = board.departures(LIMIT);
        assert_eq!((departures.clients, departures.with_calls), (2, 1));
        assert_eq!(departures.late.len(), 1, "{departures:?}");
        board.ends(call(1), Outcome::Aborted, LIMIT);
        assert_eq!(board.departures(LIMIT).cancelled.longest(), LIMIT * 3 / 2);
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_killed_breaks_what_it_was_saying() {
        let board = Board::default();
        board.begins(call(0), 10, LIMIT);
        board.begins(call(1), 11, LIMIT);
        board.breaks(0);
        assert!(board.was_broken(10) && !board.was_broken(11));
    }
}
