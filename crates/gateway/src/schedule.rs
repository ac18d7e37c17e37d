//! When each provider is asked for its models again. Pure: time and chance are arguments.

use std::time::Duration;

use tokio::time::Instant;

use crate::alarm::after;

/// How long after its first failure a provider is asked again; twice as long after each further one.
const FIRST_RETRY: Duration = Duration::from_secs(2);

/// A clock for each provider. They are numbered in the order in which they were given.
#[derive(Debug)]
pub struct Schedule {
    clocks: Vec<Clock>,
}

#[derive(Debug)]
struct Clock {
    every: Duration,
    /// When it is due; `None` while it is being asked.
    due: Option<Instant>,
    /// Failures in a row.
    failures: u32,
}

impl Schedule {
    /// Everybody is due now, and then within each of these periods.
    pub fn new(periods: impl IntoIterator<Item = Duration>, now: Instant) -> Self {
        let clock = |every| Clock {
            every,
            due: Some(now),
            failures: 0,
        };
        Self {
            clocks: periods.into_iter().map(clock).collect(),
        }
    }

    /// When the next one is due; `None` while all are being asked.
    pub fn next(&self) -> Option<Instant> {
        self.clocks.iter().filter_map(|clock| clock.due).min()
    }

    /// The one that has been due for the longest, with its failures in a row. It is being asked from now on.
    pub fn take_due(&mut self, now: Instant) -> Option<(usize, u32)> {
        let due = self.clocks.iter_mut().enumerate().filter_map(|(index, clock)| {
            let due = clock.due.filter(|due| *due <= now)?;
            Some((due, index, clock))
        });
        let (_, index, clock) = due.min_by_key(|(due, index, _)| (*due, *index))?;
        clock.due = None;
        Some((index, clock.failures))
    }

    /// One was asked. It is due again within its period, or sooner after a failure. `roll`, from 0 to 1, takes up to a
    /// fifth off, so that many do not stay in step.
    pub fn settle(&mut self, index: usize, succeeded: bool, now: Instant, roll: f64) {
        let Some(clock) = self.clocks.get_mut(index) else {
            return;
        };
        clock.failures = if succeeded { 0 } else { clock.failures.saturating_add(1) };
        let wait = match clock.failures {
            0 => clock.every,
            failures => FIRST_RETRY.saturating_mul(1 << (failures - 1).min(16)).min(clock.every),
        };
        let earlier = (wait / 5).mul_f64(roll.clamp(0.0, 1.0));
        clock.due = Some(after(now, wait.saturating_sub(earlier)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    fn start() -> Instant {
        // A fixed moment is not to be had; the tests look at differences alone.
        Instant::now()
    }

    /// How long after `now` the first provider is due.
    fn wait(schedule: &Schedule, now: Instant) -> Duration {
        schedule.next().unwrap() - now
    }

    #[test]
    fn each_provider_has_a_clock_of_its_own() {
        let now = start();
        let mut schedule = Schedule::new([MINUTE, 5 * MINUTE], now);
        assert_eq!(schedule.take_due(now), Some((0, 0)));
        assert_eq!(schedule.take_due(now), Some((1, 0)));
        assert_eq!((schedule.take_due(now), schedule.next()), (None, None));
        schedule.settle(0, true, now, 0.0);
        schedule.settle(1, true, now, 0.0);
        assert_eq!(schedule.take_due(now + MINUTE - Duration::from_millis(1)), None);
        assert_eq!(schedule.take_due(now + MINUTE), Some((0, 0)));
        assert_eq!(wait(&schedule, now), 5 * MINUTE);
        assert_eq!(schedule.take_due(now + 5 * MINUTE), Some((1, 0)));
    }

    #[test]
    fn chance_shortens_the_wait_by_up_to_a_fifth() {
        let now = start();
        let mut schedule = Schedule::new([MINUTE], now);
        for (roll, seconds) in [(0.0, 60.0), (0.5, 54.0), (1.0, 48.0), (7.0, 48.0)] {
            schedule.settle(0, true, now, roll);
            assert!((wait(&schedule, now).as_secs_f64() - seconds).abs() < 0.001, "{roll}");
        }
    }

    #[test]
    fn failures_are_looked_at_sooner_and_then_less_and_less() {
        let now = start();
        let mut schedule = Schedule::new([5 * MINUTE], now);
        for seconds in [2, 4, 8, 16, 32, 64, 128, 256, 300, 300] {
            schedule.settle(0, false, now, 0.0);
            assert_eq!(wait(&schedule, now), Duration::from_secs(seconds));
        }
        for _ in 0..100 {
            schedule.settle(0, false, now, 0.0);
        }
        assert_eq!(wait(&schedule, now), 5 * MINUTE);
        schedule.settle(0, true, now, 0.0);
        schedule.settle(0, false, now, 0.0);
        assert_eq!(wait(&schedule, now), Duration::from_secs(2));
    }

    #[test]
    fn nobody_waits_longer_for_having_failed() {
        let now = start();
        let mut schedule = Schedule::new([Duration::from_secs(1)], now);
        schedule.settle(0, false, now, 0.0);
        assert_eq!(wait(&schedule, now), Duration::from_secs(1));
    }

    #[test]
    fn whoever_was_due_first_is_asked_first() {
        let now = start();
        let mut schedule = Schedule::new([MINUTE, MINUTE, MINUTE], now);
        while schedule.take_due(now).is_some() {}
        for (index, roll) in [(0, 0.1), (1, 0.9), (2, 0.5)] {
            schedule.settle(index, true, now, roll);
        }
        let order: Vec<usize> = std::iter::from_fn(|| schedule.take_due(now + MINUTE))
            .map(|(index, _)| index)
            .collect();
        assert_eq!(order, [1, 2, 0]);
    }
}
