//! Laws of admission: windows are never exceeded and hardly ever left unused, and budgets are settled to the nano-dollar.

mod schedules;

use std::sync::Arc;

use proptest::prelude::*;

use super::clock::{Clock, Now};
use super::demand::{Demand, Used};
use super::permit::Permit;
use super::refusal::{Refused, Wait, What};
use super::window::Window;
use super::{Allowance, BudgetLimit, Limits, Scopes};
use crate::config::access::{ClientConfig, LevelConfig};
use crate::config::clients::Period;

const MINUTE: u64 = 60_000;
const START: u64 = 1_790_000_000_000;

fn at(time: u64) -> Now {
    Now {
        steady: START + time,
        unix: START + time,
    }
}

fn admit(allowance: &Arc<Allowance>, demand: Demand, now: Now) -> Result<Permit, Refused> {
    super::permit::admit(allowance, demand, now, None)
}

fn allowance(levels: &[(&str, Limits)]) -> Arc<Allowance> {
    let level = |(scope, limits): &(&str, Limits)| LevelConfig {
        scope: (*scope).to_owned(),
        limits: limits.clone(),
    };
    let client = ClientConfig {
        levels: levels.iter().map(level).collect(),
        ..ClientConfig::default()
    };
    Scopes::new(Clock::start(), None).allowance(&client).unwrap()
}

fn budget(period: Period, nano: u64) -> Limits {
    Limits {
        budgets: vec![BudgetLimit { period, nano }],
        ..Limits::default()
    }
}

fn tokens_per_minute(limit: u64) -> Limits {
    Limits {
        tokens_per_minute: Some(limit),
        ..Limits::default()
    }
}

/// The most that was admitted within any window.
fn most_within(admitted: &[(u64, u64)], length: u64) -> u64 {
    let sum = |from: u64| {
        admitted
            .iter()
            .filter(|(time, _)| (from..from + length).contains(time))
            .map(|(_, amount)| amount)
            .sum()
    };
    admitted.iter().map(|(time, _)| sum(*time)).max().unwrap_or(0)
}

proptest! {
    #[test]
    fn no_window_ever_has_more_than_the_limit(
        limit in 1_u64..500,
        length in prop_oneof![Just(MINUTE), Just(1440 * MINUTE), 1_u64..1000],
        steps in prop::collection::vec((0_u64..3000, 1_u64..40), 1..400),
    ) {
        let (mut window, mut now, mut admitted) = (Window::new(length), 0, Vec::new());
        for (pause, amount) in steps {
            now += pause * length.div_ceil(MINUTE);
            match window.fits(amount, limit, now) {
                Ok(()) => {
                    window.add(amount, now);
                    admitted.push((now, amount));
                }
                Err(full) => {
                    // What it says about when it would fit is true, and no later than it must be.
                    prop_assert_eq!(full.until.is_none(), amount > limit);
                    if let Some(until) = full.until {
                        prop_assert!(until > now && until <= now + length);
                        let mut later = Window::new(length);
                        for (time, amount) in &admitted {
                            later.add(*amount, *time);
                        }
                        prop_assert!(later.fits(amount, limit, until - 1).is_err());
                        prop_assert!(later.fits(amount, limit, until).is_ok());
                    }
                }
            }
        }
        prop_assert!(most_within(&admitted, length) <= limit);
    }

    #[test]
    fn steady_load_gets_at_least_995_of_1000_of_its_limit(
        limit in 100_u64..3000,
        pace in 1_u64..20,
        amount in 1_u64..5,
    ) {
        // Always somewhat more is asked for than there may be.
        let every = (MINUTE * amount / limit / (pace + 1)).max(1);
        let (mut window, mut admitted, minutes) = (Window::new(MINUTE), 0, 20);
        for now in (0..minutes * MINUTE).step_by(usize::try_from(every).unwrap()) {
            if window.fits(amount, limit, now).is_ok() {
                window.add(amount, now);
                admitted += amount;
            }
        }
        let possible = minutes * (limit - limit % amount).min(MINUTE / every * amount);
        prop_assert!(admitted * 1000 >= possible * 995, "{} of {}", admitted, possible);
    }

    #[test]
    fn a_budget_is_overspent_by_no_more_than_what_requests_under_way_cost_more_than_was_thought(
        limit in 1_000_u64..100_000,
        steps in prop::collection::vec((any::<bool>(), 0_u64..2_000, 0_u64..3_000, 0_u64..5_000), 1..300),
    ) {
        let allowance = allowance(&[("client:a", budget(Period::Total, limit))]);
        let (mut permits, mut spent, mut excess, mut now): (Vec<(Permit, u64)>, u64, u64, u64) = (Vec::new(), 0, 0, 0);
        for (ends, estimate, cost, pause) in steps {
            now += pause;
            if ends && let Some((permit, estimate)) = permits.pop() {
                permit.settle(Used::new(0, None, cost), at(now));
                spent += cost;
                excess += cost.saturating_sub(estimate);
            } else if let Ok(permit) = admit(&allowance, Demand::new(0, estimate), at(now)) {
                permits.push((permit, estimate));
            }
            prop_assert!(spent <= limit + excess);
            let reserved: u64 = permits.iter().map(|(_, estimate)| estimate).sum();
            let told = allowance.levels[0].scope.lock().spent(Period::Total, at(now).unix);
            prop_assert_eq!(told, (spent, reserved), "nothing is counted twice, and nothing is forgotten");
        }
        // Whoever hangs up leaves no reservation.
        permits.clear();
        prop_assert_eq!(allowance.levels[0].scope.lock().spent(Period::Total, at(now).unix), (spent, 0));
    }

    #[test]
    fn tokens_are_settled_by_what_was_used(
        limit in 100_u64..1_000,
        steps in prop::collection::vec((1_u64..20_000, 1_u64..100, 0_u64..150), 1..200),
    ) {
        // One after the other: what a request used more than was thought is at most one request in any window.
        let allowance = allowance(&[("client:a", tokens_per_minute(limit))]);
        let (mut now, mut used_at) = (0, Vec::new());
        for (pause, estimate, used) in steps {
            now += pause;
            if let Ok(permit) = admit(&allowance, Demand::new(estimate, 0), at(now)) {
                permit.settle(Used::new(used, None, 0), at(now));
                used_at.push((now, used));
            }
        }
        prop_assert!(most_within(&used_at, MINUTE) <= limit + 150);
    }
}

#[test]
fn a_refused_request_consumes_nothing_at_any_level() {
    let group = Limits {
        requests_per_minute: Some(1),
        ..Limits::default()
    };
    let own = Limits {
        requests_per_minute: Some(5),
        tokens_per_minute: Some(100),
        max_concurrent: Some(2),
        budgets: vec![BudgetLimit {
            period: Period::Day,
            nano: 100,
        }],
        ..Limits::default()
    };
    let allowance = allowance(&[("client:a", own), ("group:g", group)]);
    let demand = Demand::new(40, 40);
    let first = admit(&allowance, demand, at(0)).unwrap();
    for _ in 0..10 {
        let refused = admit(&allowance, demand, at(1_000)).unwrap_err();
        assert_eq!(
            (refused.obstacle.what, refused.scope.as_str()),
            (What::RequestsPerMinute, "group:g")
        );
        assert_eq!(refused.wait, 59_000);
        let left = refused.standing;
        assert_eq!(
            (left.requests.unwrap().remaining, left.tokens.unwrap().remaining),
            (0, 60)
        );
    }
    first.settle(Used::new(10, Some(5), 7), at(2_000));
    let second = admit(&allowance, demand, at(60_000)).unwrap();
    assert_eq!(second.standing().tokens.unwrap().remaining, 60);
    let own = allowance
        .levels
        .iter()
        .find(|level| level.scope.name == "client:a")
        .unwrap();
    assert_eq!(own.scope.lock().spent(Period::Day, at(60_000).unix), (7, 40));
    drop(second);
    assert_eq!(own.scope.lock().spent(Period::Day, at(60_000).unix), (7, 0));
}

#[test]
fn what_stands_in_the_way_is_told_by_how_long_it_does() {
    let limits = Limits {
        requests_per_minute: Some(2),
        tokens_per_minute: Some(100),
        max_concurrent: Some(2),
        budgets: vec![BudgetLimit {
            period: Period::Hour,
            nano: 100,
        }],
        ..Limits::default()
    };
    let allowance = allowance(&[("client:a", limits)]);
    let refused = |demand, time| {
        let refused = admit(&allowance, demand, at(time)).unwrap_err().obstacle;
        (refused.what, refused.wait)
    };
    assert_eq!(refused(Demand::new(101, 0), 0), (What::TokensPerMinute, Wait::Forever));
    assert_eq!(
        refused(Demand::new(0, 101), 0),
        (What::Budget(Period::Hour), Wait::Forever)
    );
    let first = admit(&allowance, Demand::new(60, 60), at(0)).unwrap();
    assert_eq!(
        refused(Demand::new(0, 50), 0),
        (What::Budget(Period::Hour), Wait::ForOthers)
    );
    assert_eq!(
        refused(Demand::new(41, 0), 10),
        (What::TokensPerMinute, Wait::For(59_990))
    );
    let second = admit(&allowance, Demand::default(), at(10)).unwrap();
    assert_eq!(refused(Demand::default(), 10), (What::Concurrent, Wait::ForOthers));
    first.settle(Used::new(90, None, 90), at(20));
    assert_eq!(
        refused(Demand::default(), 20),
        (What::RequestsPerMinute, Wait::For(59_990))
    );
    let ends = super::period::bounds(Period::Hour, START).1;
    let over = (What::Budget(Period::Hour), Wait::UntilNextPeriod(Some(ends)));
    assert_eq!(refused(Demand::new(0, 11), 60_010), over);
    // What a request used more than was thought counts from when that was known.
    assert_eq!(
        refused(Demand::new(71, 0), 60_010),
        (What::TokensPerMinute, Wait::For(10))
    );
    drop(second);
}

#[test]
fn limits_of_a_client_survive_a_change_of_them() {
    let scopes = Scopes::new(Clock::start(), None);
    let client = |limit| ClientConfig {
        levels: vec![LevelConfig {
            scope: "client:a".to_owned(),
            limits: tokens_per_minute(limit),
        }],
        ..ClientConfig::default()
    };
    let before = scopes.allowance(&client(100)).unwrap();
    let held = admit(&before, Demand::new(80, 0), at(0)).unwrap();
    let after = scopes.allowance(&client(200)).unwrap();
    assert_eq!(admit(&after, Demand::new(121, 0), at(1)).unwrap_err().obstacle.used, 80);
    held.settle(Used::new(10, None, 0), at(2));
    assert!(admit(&after, Demand::new(190, 0), at(3)).is_ok());
}

#[test]
fn a_client_without_limits_costs_nothing() {
    let client = ClientConfig {
        levels: vec![LevelConfig {
            scope: "client:a".to_owned(),
            limits: Limits::default(),
        }],
        ..ClientConfig::default()
    };
    assert!(Scopes::new(Clock::start(), None).allowance(&client).is_none());
}

#[test]
fn the_usual_answer_is_learnt() {
    let allowance = allowance(&[("client:a", tokens_per_minute(1_000_000))]);
    for _ in 0..60 {
        let permit = admit(&allowance, Demand::new(10, 0), at(0)).unwrap();
        permit.settle(Used::new(4_010, Some(4_000), 0), at(0));
    }
    assert!((3_900..=4_000).contains(&allowance.client.usual_answer()));
}

#[test]
fn a_window_has_no_more_pieces_than_it_is_divided_into() {
    for length in [1, 255, 511, 769, MINUTE] {
        let mut window = Window::new(length);
        for now in 0..2 * length {
            window.used(now);
            window.add(1, now);
        }
        // The one that leaves and the one that comes are parts.
        let pieces = window.pieces().count();
        assert!(pieces <= 257, "{pieces} of {length} ms");
    }
}
