//! The ids of rows. They grow with time, and no two rows have the same.

/// A millisecond has as many ticks; who writes more rows in one borrows from the next.
const TICKS: u64 = 1024;

/// The bits below the tick, which tell processes apart that write to the same database.
const NODE_BITS: u32 = 11;

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
    fn processes_are_told_apart() {
        assert_ne!(Ids::new(2).next(5), Ids::new(4).next(5));
        assert_eq!(first_of(u64::MAX), i64::MAX);
    }
}
