//! One target's turn, and what it tells about the target and its key.

use tokio::time::Instant;

use super::Outcome;
use crate::condition::Pending;
use crate::keys::{Lease, Reason};
use crate::route::Target;

/// One target's turn to be asked. Dropped without being settled, it was cancelled and tells nothing.
#[derive(Debug)]
pub struct Turn<'r> {
    /// Who is asked.
    pub target: &'r Target,
    /// The number of its tier.
    pub tier: usize,
    /// The number of its place.
    pub(super) place: usize,
    /// The right to use a key.
    pub(super) lease: Lease,
    /// The request's presence at the target, until the turn is settled.
    pub(super) pending: Option<Pending>,
    /// It finds out whether the target has recovered.
    pub(super) probes: bool,
}

/// What became of asking a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It was not asked.
    Unasked,
    /// It failed, and may do better.
    Failed,
    /// It does not want the keys that it was asked with.
    Resting,
    /// There is no use in asking it again.
    Done,
}

impl Turn<'_> {
    /// With which of its provider's keys.
    pub fn key(&self) -> Option<usize> {
        self.lease.index
    }

    /// The second target of a hedge was first. That this one takes longer than it has had until now is all that is known.
    pub fn outrun(self, begun: Instant, now: Instant) {
        let taken = now.saturating_duration_since(begun);
        self.target.condition.measured(taken, now);
    }

    /// Notes how it went, with the target and the key.
    pub(super) fn settle(&mut self, outcome: Outcome, now: Instant, roll: u64) -> Fate {
        let target = self.target;
        let (model, condition) = (&target.model, &target.condition);
        condition.replied(Some(now));
        match outcome {
            Outcome::Unasked => {}
            Outcome::Faulty { .. } | Outcome::Resting(..) => condition.count(true),
            Outcome::Answered(_) | Outcome::Unsuited | Outcome::CallersFault => condition.count(false),
        }
        match outcome {
            Outcome::Answered(taken) => {
                self.note_answer(condition.succeeded(Some(taken), now));
                self.lease.accepted(model);
                Fate::Done
            }
            Outcome::Unsuited | Outcome::CallersFault => {
                self.note_answer(condition.succeeded(None, now));
                self.lease.accepted(model);
                Fate::Done
            }
            Outcome::Unasked => {
                self.lease.abandon(model);
                self.abandon_probe();
                Fate::Done
            }
            Outcome::Faulty { again } => {
                self.lease.abandon(model);
                if target.provider.keys.rests_failed() {
                    self.lease.rest(model, Reason::Failed, None, now);
                }
                condition.failed(now, roll);
                if again { Fate::Failed } else { Fate::Done }
            }
            Outcome::Resting(reason, asked) => {
                self.lease.rest(model, reason, asked, now);
                self.abandon_probe();
                Fate::Resting
            }
        }
    }

    fn note_answer(&mut self, answer: u64) {
        if let Some(pending) = &mut self.pending {
            pending.answered(answer);
        }
    }

    fn abandon_probe(&mut self) {
        if std::mem::take(&mut self.probes) {
            self.target.condition.abandon_probe();
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if self.pending.is_some() {
            self.target.condition.replied(None);
            self.lease.abandon(&self.target.model);
            self.abandon_probe();
        }
    }
}
