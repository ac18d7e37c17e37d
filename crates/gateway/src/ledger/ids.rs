//! The ids of rows. They grow with time, and no two rows have the same.

use std::ops::Range;

use uuid::Uuid;

/// A millisecond has as many ticks; who writes more rows in one borrows from the next.
const TICKS: u64 = 1024;

/// The bits below the tick, which tell processes apart that write to the same database.
const NODE_BITS: u32 = 11;

/// A request whose id tells when it was made is looked for among the rows of as many milliseconds from then on. At a thousand
/// requests per second that takes a few milliseconds.
const SOON: u64 = 30_000;

/// Makes ids of 63 bits: 42 for the millisecond since 1970, 10 for the tick within it, and 11 of the process's number.
#[derive(Debug)]
pub struct Ids {
    node: i64,
    last: u64,
}

impl Ids {
    /// The ids of one process. `roll` is any number; processes that write to the same database have different ones.
    pub fn new(roll: u64) -> Self {
        Self {
            node: i64::try_from(roll >> 1).unwrap_or(0),
            last: 0,
        }
    }

    /// The number of the process, in 63 bits. Ids have only some of them, so that those of two processes may be the same.
    pub fn node(&self) -> i64 {
        self.node
    }

    /// The next id, at a moment in milliseconds since 1970.
    pub fn next(&mut self, now: u64) -> i64 {
        self.last = (self.last + 1).max(now.saturating_mul(TICKS));
        as_id(self.last) | (self.node % (1 << NODE_BITS))
    }
}

/// The least id of a moment, in milliseconds since 1970.
pub fn first_of(time: u64) -> i64 {
    as_id(time.saturating_mul(TICKS))
}

/// The moment of an id, in milliseconds since 1970.
pub fn time_of(id: i64) -> u64 {
    u64::try_from(id >> NODE_BITS).unwrap_or(0) / TICKS
}

/// Among which ids of rows to look for that of a request, if its own id tells when it was made, as those do that are made here:
/// they are UUIDs of version 7 (RFC 9562, section 5.7). Other ids need an index, and so do these if the row came later.
pub fn soon_after(request: &str) -> Option<Range<i64>> {
    let (seconds, nanoseconds) = Uuid::try_parse(request).ok()?.get_timestamp()?.to_unix();
    let made = seconds
        .saturating_mul(1000)
        .saturating_add(u64::from(nanoseconds) / 1_000_000);
    Some(first_of(made)..first_of(made.saturating_add(SOON)))
}

fn as_id(tick: u64) -> i64 {
    i64::try_from(tick).map_or(i64::MAX, |tick| tick.saturating_mul(1 << NODE_BITS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_grow_also_when_the_clock_goes_back() {
        let (mut ids, now) = (Ids::new(u64::MAX), 1_760_000_000_000);
        let made: Vec<i64> = [now, now, now + 1, now - 5, now + 2].map(|now| ids.next(now)).to_vec();
        assert!(made.is_sorted_by(|one, next| one < next), "{made:?}");
        assert!(made.iter().all(|id| *id >= first_of(now)));
        assert_eq!(time_of(made[4]), now + 2);
        assert!(made[4] >= first_of(now + 2) && made[4] < first_of(now + 3));
    }

    #[test]
    fn ids_of_requests_tell_where_their_rows_are() {
        // The example of RFC 9562, appendix A.6: 2022-02-22 19:22:22 UTC.
        let made = 1_645_557_742_000;
        let rows = soon_after("017f22e2-79b0-7cc3-98c4-dc0c0c07398f").unwrap();
        let is_there = |time| rows.contains(&Ids::new(u64::MAX).next(time));
        let times = [made - 1, made, made + SOON - 1, made + SOON];
        assert_eq!(times.map(is_there), [false, true, true, false]);
        // By chance, a job's own, and the last moment that there is.
        assert_eq!(soon_after("6fa459ea-ee8a-4ca4-894e-db77e160355e"), None);
        assert_eq!(soon_after("job-7"), None);
        assert!(soon_after("ffffffff-ffff-7fff-bfff-ffffffffffff").is_some());
    }

    #[test]
    fn processes_are_told_apart() {
        assert_ne!(Ids::new(2).next(5), Ids::new(4).next(5));
        assert_eq!(first_of(u64::MAX), i64::MAX);
    }
}
