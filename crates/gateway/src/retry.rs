//! How often, and how soon, a target that failed is asked again.

use std::time::Duration;

/// What each request to a target adds to its budget.
const EARNED: f64 = 0.2;

/// What a budget holds at most, and at the beginning.
const MOST: f64 = 10.0;

/// The pauses between rounds of attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// Before the second round.
    pub first: Duration,
    /// Never longer than this.
    pub longest: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(200),
            longest: Duration::from_secs(5),
        }
    }
}

impl Backoff {
    /// The pause after round `round`, counted from 0: doubled each time, and spread between half of it and all.
    pub fn pause(self, round: u32, roll: u64) -> Duration {
        let whole = self.first.saturating_mul(1 << round.min(16)).min(self.longest);
        whole.mul_f64(fastrand::Rng::with_seed(roll).f64().mul_add(0.5, 0.5))
    }
}

/// How many of the requests to a target may be repetitions: one in five, and a few at once. When a target is down, this
/// keeps the gateway from asking it many times over.
#[derive(Debug)]
pub struct RetryBudget {
    left: f64,
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self { left: MOST }
    }
}

impl RetryBudget {
    /// Notes a request that is no repetition.
    pub fn earn(&mut self) {
        self.left = (self.left + EARNED).min(MOST);
    }

    /// Takes one repetition, if there is one left.
    pub fn spend(&mut self) -> bool {
        if self.left < 1.0 {
            return false;
        }
        self.left -= 1.0;
        true
    }

    /// Whether there is one left.
    pub fn has_any(&self) -> bool {
        self.left >= 1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_a_limit_and_are_spread() {
        let backoff = Backoff::default();
        for round in 0..12 {
            let whole = Duration::from_millis(200 << round.min(10)).min(backoff.longest);
            let pauses: Vec<Duration> = (0..100).map(|roll| backoff.pause(round, roll)).collect();
            assert!(pauses.iter().all(|pause| *pause >= whole / 2 && *pause <= whole));
            assert!(pauses.iter().max() > pauses.iter().min());
        }
    }

    #[test]
    fn repetitions_are_a_share_of_the_requests() {
        let mut budget = RetryBudget::default();
        let mut spent = 0;
        for _ in 0..1000 {
            budget.earn();
            spent += u32::from(budget.spend());
        }
        assert!((200..=210).contains(&spent), "{spent}");
    }
}
