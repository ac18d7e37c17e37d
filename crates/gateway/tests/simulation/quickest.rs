//! With `lowest-latency`, requests go to the target that is quickest with its first content.

use std::time::Duration;

use fastrand::Rng;

use crate::engine::{Scenario, play};
use crate::generate::{arrivals, name, one_tier};
use crate::world::{Actor, Behaviour, Phases, seconds};

/// The time within which requests go to the quicker target, and within which they return when it is quick again.
const SETTLED: Duration = Duration::from_secs(10);
const RETURNED: Duration = Duration::from_mins(1);

fn quick() -> Behaviour {
    answers(100, 200)
}

fn answers(from: u64, to: u64) -> Behaviour {
    Behaviour::Answers {
        first: from..to,
        rest: 500..10_000,
        slow: None,
    }
}

/// The share of the first of two targets by parts of the time.
fn shares(first: Phases, other: Behaviour, rate: f64, seed: u64, parts: &[(Duration, Duration)]) -> Vec<f64> {
    let actors = vec![Actor::changing(&name(0), first), Actor::steady(&name(1), other)];
    let end = parts.iter().map(|(_, to)| *to).max().unwrap();
    let scenario = Scenario {
        config: one_tier("lowest-latency", "", &[], &actors),
        arrivals: arrivals(rate, end, &mut Rng::with_seed(seed)),
        actors,
    };
    let log = play(&scenario, seed);
    let share = |(from, to): &(Duration, Duration)| {
        let answered = log.answered(2, *from, *to);
        answered[0] / (answered[0] + answered[1])
    };
    parts.iter().map(share).collect()
}

#[test]
fn requests_settle_on_the_quicker_target() {
    for (seed, rate) in [1.0, 5.0, 20.0].into_iter().enumerate() {
        for slower in [answers(300, 500), answers(800, 1200)] {
            let phases = vec![(Duration::ZERO, quick())];
            let share = shares(phases, slower.clone(), rate, seed as u64, &[(SETTLED, seconds(200))])[0];
            println!(
                "{rate} a second beside {slower:?}: {:.1} % to the quicker one",
                share * 100.0
            );
            assert!(share >= 0.9, "{rate} a second, {slower:?}: {share}");
        }
    }
}

#[test]
fn they_leave_it_while_it_is_slow_and_return_when_it_is_quick_again() {
    for (seed, rate) in [1.0, 5.0, 20.0].into_iter().enumerate() {
        let phases = vec![
            (Duration::ZERO, quick()),
            (seconds(100), answers(1500, 1900)),
            (seconds(200), quick()),
        ];
        let parts = [
            (SETTLED, seconds(100)),
            (seconds(100) + SETTLED, seconds(200)),
            (seconds(200) + RETURNED, seconds(400)),
        ];
        let shares = shares(phases, answers(300, 500), rate, seed as u64, &parts);
        println!("{rate} a second: quick, slow and quick again, {shares:.3?} to it");
        assert!(shares[0] >= 0.9 && shares[1] <= 0.1 && shares[2] >= 0.9, "{shares:?}");
    }
}

#[test]
fn a_target_that_says_nothing_any_more_is_left_before_anybody_has_given_up() {
    let phases = vec![(Duration::ZERO, quick()), (seconds(100), Behaviour::Hangs)];
    let actors = vec![
        Actor::changing(&name(0), phases),
        Actor::steady(&name(1), answers(300, 500)),
    ];
    let scenario = Scenario {
        config: one_tier("lowest-latency", "", &[], &actors),
        arrivals: arrivals(40.0, seconds(130), &mut Rng::with_seed(1)),
        actors,
    };
    let log = play(&scenario, 1);
    let hung = log.asked(0, seconds(100), seconds(102));
    println!("{hung} of the 80 requests of the first two seconds hung");
    assert!(hung < 40 && log.given_up() == 0, "{hung}");
}
