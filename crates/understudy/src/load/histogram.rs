//! Counting durations in few buckets.

use std::time::Duration;

/// How many buckets there are for each power of two: a value is known to within 1/64, less than two per cent.
const STEPS: u64 = 64;
const STEP_BITS: u32 = STEPS.trailing_zeros();

/// Durations, counted in buckets of microseconds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Histogram {
    buckets: Vec<u64>,
    count: u64,
    longest: Duration,
}

impl Histogram {
    pub(crate) fn record(&mut self, duration: Duration) {
        let bucket = bucket(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
        if bucket >= self.buckets.len() {
            self.buckets.resize(bucket + 1, 0);
        }
        self.buckets[bucket] += 1;
        self.count += 1;
        self.longest = self.longest.max(duration);
    }

    pub(crate) fn add(&mut self, other: &Self) {
        if other.buckets.len() > self.buckets.len() {
            self.buckets.resize(other.buckets.len(), 0);
        }
        for (own, others) in self.buckets.iter_mut().zip(&other.buckets) {
            *own += others;
        }
        self.count += other.count;
        self.longest = self.longest.max(other.longest);
    }

    /// The duration that so many of a thousand do not exceed; zero if there is none.
    pub(crate) fn per_mille(&self, per_mille: u64) -> Duration {
        let wanted = (self.count * per_mille).div_ceil(1000);
        let mut seen = 0;
        let place = self.buckets.iter().position(|count| {
            seen += count;
            wanted > 0 && seen >= wanted
        });
        place.map_or(Duration::ZERO, |place| {
            Duration::from_micros(upper_end(place)).min(self.longest)
        })
    }

    pub(crate) fn longest(&self) -> Duration {
        self.longest
    }
}

/// Values up to twice the number of steps have a bucket each; from there on, each power of two has as many as there are steps.
fn bucket(micros: u64) -> usize {
    let shift = (u64::BITS - micros.leading_zeros()).saturating_sub(STEP_BITS + 1);
    let bucket = u64::from(shift) * STEPS + (micros >> shift);
    usize::try_from(bucket).unwrap_or(usize::MAX)
}

/// The greatest value in a bucket.
fn upper_end(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    let shift = (bucket / STEPS).saturating_sub(1);
    ((bucket - shift * STEPS + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_lies_in_its_bucket() {
        for micros in (0..2000).chain([123_456, 10_000_000]) {
            let end = upper_end(bucket(micros));
            assert!(micros <= end && end <= micros + micros / STEPS + 1, "{micros}: {end}");
            assert_eq!(bucket(end), bucket(micros));
            assert_eq!(bucket(end + 1), bucket(micros) + 1);
        }
    }

    #[test]
    fn percentiles_are_about_right() {
        let (mut all, mut other) = (Histogram::default(), Histogram::default());
        for millis in 1..=1000 {
            let half = if millis % 2 == 0 { &mut all } else { &mut other };
            half.record(Duration::from_millis(millis));
        }
        all.add(&other);
        for per_mille in [500, 900, 990] {
            let error = all.per_mille(per_mille).abs_diff(Duration::from_millis(per_mille));
            assert!(error < Duration::from_millis(per_mille / 50), "{per_mille}: {error:?}");
        }
        assert_eq!(all.longest(), Duration::from_secs(1));
        assert_eq!(Histogram::default().per_mille(500), Duration::ZERO);
    }
}
