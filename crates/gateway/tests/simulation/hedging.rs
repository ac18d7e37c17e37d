//! A second target is asked for a bounded share of the requests, and it helps.

use std::time::Duration;

use fastrand::Rng;

use crate::engine::{Log, Scenario, play};
use crate::generate::{arrivals, name, one_tier};
use crate::world::{Actor, Behaviour, seconds};

fn run(rules: &str, slow: f64, third_is_down: bool, seed: u64) -> Log {
    let answers = Behaviour::Answers {
        first: 100..300,
        rest: 10..1000,
        slow: Some((slow, 1900)),
    };
    let mut actors: Vec<Actor> = (0..3)
        .map(|number| Actor::steady(&name(number), answers.clone()))
        .collect();
    if third_is_down {
        actors[1] = Actor::steady(&name(1), Behaviour::fails());
    }
    let scenario = Scenario {
        config: one_tier("ordered", rules, &[], &actors),
        arrivals: arrivals(10.0, seconds(1000), &mut Rng::with_seed(seed)),
        actors,
    };
    play(&scenario, seed)
}

fn hedged(log: &Log) -> f64 {
    let hedges = log.attempts.iter().filter(|attempt| attempt.hedges).count();
    hedges as f64 / log.requests.len() as f64
}

fn percentile_99(log: &Log) -> Duration {
    let mut times: Vec<Duration> = log
        .requests
        .iter()
        .map(|request| request.ended - request.arrived)
        .collect();
    times.sort_unstable();
    times[times.len() * 99 / 100]
}

#[test]
fn hedging_stays_under_its_cap_and_shortens_the_longest_waits() {
    for slow in [0.02, 0.03] {
        for third_is_down in [false, true] {
            let seed = 1;
            let without = percentile_99(&run("", slow, third_is_down, seed));
            let log = run("hedge = true", slow, third_is_down, seed);
            let with = percentile_99(&log);
            println!(
                "{:.0} % slow: p99 {without:?} without, {with:?} with {:.1} % of the requests asked twice",
                slow * 100.0,
                hedged(&log) * 100.0
            );
            assert!(hedged(&log) <= 0.05, "{}", hedged(&log));
            assert!(with * 2 < without, "{with:?}, {without:?} without");
        }
    }
}

#[test]
fn the_cap_holds_when_everything_is_slow() {
    for (share, seed) in [(0.05, 1), (0.2, 2)] {
        let rules = format!("hedge = {{ after = \"100ms\", max_share = {share} }}");
        let log = run(&rules, 0.5, false, seed);
        println!(
            "a cap of {:.0} %: {:.2} % asked twice",
            share * 100.0,
            hedged(&log) * 100.0
        );
        assert!(hedged(&log) <= share && hedged(&log) > share * 0.9, "{}", hedged(&log));
    }
}
