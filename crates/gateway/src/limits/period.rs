//! What was spent in the hour, day, week or month that it is.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::Offset;

use crate::config::clients::Period;

/// A clock that is set back by less than this does not bring an earlier period back.
const SET_BACK: u64 = 24 * 60 * 60 * 1000;

/// What is spent and reserved in the period that it is, in nano-dollars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// When the period began, in milliseconds since 1970.
    begins: u64,
    /// When the next one begins.
    ends: u64,
    settled: u64,
    reserved: u64,
}

/// Why a sum cannot be spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Over {
    /// What was spent.
    pub settled: u64,
    /// What requests under way may spend.
    pub reserved: u64,
    /// When the next period begins, in milliseconds since 1970; `None` when there is none.
    pub ends: Option<u64>,
}

/// The beginning of a period: what a reservation belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Since(u64);

impl Since {
    /// The period that it is at a moment, and when it ends.
    pub fn at(period: Period, now: u64) -> (Self, u64) {
        let (begins, ends) = bounds(period, now);
        (Self(begins), ends)
    }

    /// In milliseconds since 1970.
    pub fn begins(self) -> u64 {
        self.0
    }
}

impl Spent {
    /// Whether a sum fits beside what is spent and reserved.
    pub fn fits(&mut self, sum: u64, limit: u64, period: Period, now: u64) -> Result<(), Over> {
        self.turn(period, now);
        if self.settled.saturating_add(self.reserved).saturating_add(sum) <= limit {
            return Ok(());
        }
        Err(Over {
            settled: self.settled,
            reserved: self.reserved,
            ends: Some(self.ends).filter(|ends| *ends < u64::MAX),
        })
    }

    /// Reserves a sum. What was reserved in an earlier period belongs to that one.
    pub fn reserve(&mut self, sum: u64, period: Period, now: u64) -> Since {
        self.turn(period, now);
        self.reserved = self.reserved.saturating_add(sum);
        Since(self.begins)
    }

    /// Puts what was really spent in the place of what was reserved.
    pub fn settle(&mut self, reserved: u64, sum: u64, since: Since) {
        if self.ends > 0 && since.0 == self.begins {
            self.reserved = self.reserved.saturating_sub(reserved);
            self.settled = self.settled.saturating_add(sum);
        }
    }

    /// Notes what was spent before the process began.
    pub fn restore(&mut self, sum: u64, period: Period, now: u64) {
        self.turn(period, now);
        self.settled = self.settled.saturating_add(sum);
    }

    /// The period that it is.
    pub fn since(&self) -> Since {
        Since(self.begins)
    }

    /// What is spent and what is reserved now.
    pub fn standing(&mut self, period: Period, now: u64) -> (u64, u64) {
        self.turn(period, now);
        (self.settled, self.reserved)
    }

    /// Begins the period that it is.
    fn turn(&mut self, period: Period, now: u64) {
        if now >= self.ends || now.saturating_add(SET_BACK) < self.begins {
            let (begins, ends) = bounds(period, now);
            *self = Self {
                begins,
                ends,
                ..Self::default()
            };
        }
    }
}

/// When the period of a moment began, and when it ends, in milliseconds since 1970.
pub fn bounds(period: Period, now: u64) -> (u64, u64) {
    const FOR_GOOD: (u64, u64) = (0, u64::MAX);
    let moment = Timestamp::from_millisecond(i64::try_from(now).unwrap_or(i64::MAX)).unwrap_or_default();
    let today = Offset::UTC.to_datetime(moment).date();
    let hour = 60 * 60 * 1000;
    let bounds = match period {
        Period::Hour => {
            let begins = now - now % hour;
            Some((begins, begins.saturating_add(hour)))
        }
        Period::Day => today.tomorrow().ok().and_then(|tomorrow| between(today, tomorrow)),
        Period::Week => {
            let weekday = jiff::Span::new().days(today.weekday().to_monday_zero_offset());
            let week = jiff::Span::new().days(7);
            let monday = today.checked_sub(weekday).ok();
            monday.and_then(|monday| between(monday, monday.checked_add(week).ok()?))
        }
        Period::Month => today
            .last_of_month()
            .tomorrow()
            .ok()
            .and_then(|next| between(today.first_of_month(), next)),
        Period::Total => None,
    };
    bounds.unwrap_or(FOR_GOOD)
}

fn between(first: Date, next: Date) -> Option<(u64, u64)> {
    let midnight = |date: Date| {
        let moment = Offset::UTC.to_timestamp(DateTime::from(date)).ok()?;
        u64::try_from(moment.as_millisecond()).ok()
    };
    Some((midnight(first)?, midnight(next)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> u64 {
        u64::try_from(text.parse::<Timestamp>().unwrap().as_millisecond()).unwrap()
    }

    #[test]
    fn periods_are_those_of_the_calendar() {
        let now = at("2028-02-29T13:45:10.5Z");
        for (period, begins, ends) in [
            (Period::Hour, "2028-02-29T13:00:00Z", "2028-02-29T14:00:00Z"),
            (Period::Day, "2028-02-29T00:00:00Z", "2028-03-01T00:00:00Z"),
            (Period::Week, "2028-02-28T00:00:00Z", "2028-03-06T00:00:00Z"),
            (Period::Month, "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"),
        ] {
            assert_eq!(bounds(period, now), (at(begins), at(ends)), "{period:?}");
            assert_eq!(bounds(period, at(begins)).0, at(begins));
            assert_eq!(bounds(period, at(ends)).0, at(ends));
        }
        assert_eq!(bounds(Period::Total, now), (0, u64::MAX));
        assert_eq!(
            bounds(Period::Month, at("2029-12-31T23:59:59Z")).1,
            at("2030-01-01T00:00:00Z")
        );
    }

    #[test]
    fn what_began_in_an_earlier_period_is_not_spent_in_this_one() {
        let (mut spent, before) = (Spent::default(), at("2028-02-29T23:59:59Z"));
        let since = spent.reserve(60, Period::Day, before);
        assert_eq!(spent.fits(50, 100, Period::Day, before).unwrap_err().reserved, 60);
        let after = before + 2_000;
        assert_eq!(spent.fits(100, 100, Period::Day, after), Ok(()));
        spent.settle(60, 70, since);
        assert_eq!(spent.standing(Period::Day, after), (0, 0));
        // A clock that is set back a little does not begin the day before anew.
        let since = spent.reserve(10, Period::Day, after);
        assert_eq!(spent.standing(Period::Day, before), (0, 10));
        spent.settle(10, 5, since);
        assert_eq!(spent.standing(Period::Day, after), (5, 0));
    }
}
