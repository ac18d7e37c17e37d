//! When a second target is asked because the first takes its time.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// What may be saved up for a crowd of slow answers.
const MOST: f64 = 5.0;

/// The rule of one model, and what is left of its extra requests.
#[derive(Debug)]
pub struct Hedge {
    /// After how long; the 95th percentile of the first target when `None`.
    after: Option<Duration>,
    /// The share of extra requests, between 0 and 1.
    share: f64,
    saved: Mutex<f64>,
}

impl Hedge {
    /// A rule with nothing saved up.
    pub fn new(after: Option<Duration>, share: f64) -> Self {
        Self {
            after,
            share,
            saved: Mutex::new(0.0),
        }
    }

    /// How long to wait for the first content, where a target's own percentile is known or a time is set.
    pub fn patience(&self, percentile_95: Option<Duration>) -> Option<Duration> {
        self.after.or(percentile_95)
    }

    /// Notes a request, of which a share may be sent twice.
    pub fn earn(&self) {
        let mut saved = self.saved();
        *saved = (*saved + self.share).min(MOST);
    }

    /// Takes one extra request, if there is one left.
    pub fn spend(&self) -> bool {
        let mut saved = self.saved();
        // Sums of fractions fall short by a hair.
        if *saved < 1.0 - 1e-9 {
            return false;
        }
        *saved -= 1.0;
        true
    }

    fn saved(&self) -> std::sync::MutexGuard<'_, f64> {
        self.saved.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extra_requests_stay_within_their_share() {
        let hedge = Hedge::new(None, 0.05);
        let mut extra = 0;
        for _ in 0..10_000 {
            hedge.earn();
            extra += u32::from(hedge.spend());
        }
        assert!((499..=500).contains(&extra), "{extra}");
    }

    #[test]
    fn a_set_time_goes_before_the_percentile() {
        let (second, percentile) = (Duration::from_secs(1), Some(Duration::from_millis(300)));
        assert_eq!(Hedge::new(Some(second), 0.1).patience(percentile), Some(second));
        assert_eq!(Hedge::new(None, 0.1).patience(percentile), percentile);
        assert_eq!(Hedge::new(None, 0.1).patience(None), None, "nothing is known yet");
    }
}
