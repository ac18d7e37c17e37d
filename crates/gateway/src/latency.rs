//! How long a target takes to its first content.
//!
//! Requests in flight tell nothing about it: an answer that takes a minute in all may have begun at once. What tells is
//! that somebody waits, and nobody gets anything.

use std::time::Duration;

use tokio::time::Instant;

/// What was measured loses its weight over this time, so that a slow target is tried again after a while.
const DECAY: Duration = Duration::from_secs(20);

/// How many measurements are kept for the 95th percentile.
const KEPT: usize = 64;

/// From how many measurements on there is a percentile.
const ENOUGH: usize = 20;

/// A moving average that jumps up with every slow answer and comes down slowly (peak EWMA), and the last measurements.
#[derive(Debug, Default)]
pub struct Latency {
    /// The average in seconds, as of `at`.
    average: f64,
    at: Option<Instant>,
    /// Requests that wait for their first content.
    waiting: u32,
    /// Since when they do, and no reply has come.
    silent: Option<Instant>,
    last: Vec<Duration>,
    next: usize,
}

impl Latency {
    /// Notes that a request waits for its first content.
    pub fn waits(&mut self, now: Instant) {
        self.waiting = self.waiting.saturating_add(1);
        self.silent.get_or_insert(now);
    }

    /// Notes that a request has its reply; `None` when it was hung up on.
    pub fn replied(&mut self, now: Option<Instant>) {
        self.waiting = self.waiting.saturating_sub(1);
        self.silent = now.or(self.silent).filter(|_| self.waiting > 0);
    }

    /// Notes how long a first content took.
    pub fn measured(&mut self, taken: Duration, now: Instant) {
        let seconds = taken.as_secs_f64();
        self.average = match self.at {
            Some(at) if seconds < self.average => {
                let old = weight(now.saturating_duration_since(at).max(Duration::from_millis(1)));
                // What comes often counts less each time, but never nothing.
                let old = old.min(0.8);
                self.average.mul_add(old, seconds * (1.0 - old))
            }
            _ => seconds,
        };
        self.at = Some(now);
        if self.last.len() < KEPT {
            self.last.push(taken);
        } else if let Some(oldest) = self.last.get_mut(self.next) {
            *oldest = taken;
            self.next = (self.next + 1) % KEPT;
        }
    }

    /// What to expect of one more request, in seconds; `None` when nothing was measured. It falls while nothing is
    /// measured, but while requests wait it is not less than the time for which none has had a reply.
    pub fn expected(&self, now: Instant) -> Option<f64> {
        let seconds = |since: Instant| now.saturating_duration_since(since).as_secs_f64();
        let at = self.at?;
        let decayed = self.average * weight(now.saturating_duration_since(at));
        Some(decayed.max(self.silent.map_or(0.0, seconds)))
    }

    /// The average in seconds, as it was measured.
    pub fn average(&self) -> Option<Duration> {
        self.at.map(|_| Duration::from_secs_f64(self.average))
    }

    /// The time within which 95 of 100 first contents came; `None` while too little is known.
    pub fn percentile_95(&self) -> Option<Duration> {
        if self.last.len() < ENOUGH {
            return None;
        }
        let mut sorted = self.last.clone();
        sorted.sort_unstable();
        sorted.get(sorted.len() * 95 / 100).copied()
    }
}

fn weight(age: Duration) -> f64 {
    (-age.as_secs_f64() / DECAY.as_secs_f64()).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn milliseconds(number: u64) -> Duration {
        Duration::from_millis(number)
    }

    #[test]
    fn it_jumps_up_and_comes_down_slowly() {
        let now = Instant::now();
        let mut latency = Latency::default();
        assert_eq!(latency.expected(now), None);
        latency.measured(milliseconds(100), now);
        latency.measured(milliseconds(900), now);
        assert_eq!(latency.average(), Some(milliseconds(900)));
        latency.measured(milliseconds(100), now + milliseconds(10));
        let after_one = latency.average().unwrap();
        assert!(after_one > milliseconds(500), "{after_one:?}");
        for number in 0..30 {
            latency.measured(milliseconds(100), now + milliseconds(10 * number));
        }
        assert!(latency.average().unwrap() < milliseconds(110));
    }

    #[test]
    fn who_is_not_asked_looks_better_with_time() {
        let now = Instant::now();
        let mut latency = Latency::default();
        latency.measured(milliseconds(1000), now);
        let later = now + Duration::from_mins(1);
        assert!(latency.expected(later).unwrap() < 0.06);
    }

    #[test]
    fn who_says_nothing_looks_worse_with_time() {
        let now = Instant::now();
        let at = |time: u64| now + milliseconds(time);
        let mut latency = Latency::default();
        latency.measured(milliseconds(100), now);
        latency.waits(now);
        latency.waits(at(1000));
        assert!(latency.expected(at(2000)).unwrap() >= 2.0);
        latency.replied(Some(at(2000)));
        assert!(latency.expected(at(2500)).unwrap() < 0.6, "another one still waits");
        latency.replied(None);
        assert!(latency.expected(at(9000)).unwrap() < 0.1, "nobody waits");
    }

    #[test]
    fn the_percentile_needs_enough_and_forgets() {
        let now = Instant::now();
        let mut latency = Latency::default();
        for number in 1..=19 {
            latency.measured(milliseconds(number), now);
        }
        assert_eq!(latency.percentile_95(), None);
        for number in 20..=100 {
            latency.measured(milliseconds(number), now);
        }
        assert_eq!(latency.percentile_95(), Some(milliseconds(97)));
        for _ in 0..KEPT {
            latency.measured(milliseconds(5), now);
        }
        assert_eq!(latency.percentile_95(), Some(milliseconds(5)));
    }
}
