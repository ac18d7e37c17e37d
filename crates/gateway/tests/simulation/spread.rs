//! The load is spread as it should be.

use fastrand::Rng;

use crate::engine::{Log, Scenario, play};
use crate::generate::{arrivals, name, one_tier};
use crate::world::{Actor, Behaviour, seconds};

/// Requests of very different lengths, at 20 a second for ten minutes.
fn shares(strategy: &str, weights: &[f64], seed: u64) -> (Vec<f64>, Log) {
    let answers = Behaviour::Answers {
        first: 50..500,
        rest: 0..20_000,
        slow: None,
    };
    let actor = |number| Actor::steady(&name(number), answers.clone());
    let actors: Vec<Actor> = (0..weights.len()).map(actor).collect();
    let scenario = Scenario {
        config: one_tier(strategy, "", weights, &actors),
        arrivals: arrivals(20.0, seconds(600), &mut Rng::with_seed(seed)),
        actors,
    };
    let log = play(&scenario, seed);
    let answered = log.answered(weights.len(), seconds(0), seconds(600));
    let all: f64 = answered.iter().sum();
    (answered.iter().map(|count| count / all).collect(), log)
}

fn assert_within_5_percent(strategy: &str, weights: &[f64], shares: &[f64]) {
    let all: f64 = weights.iter().sum();
    let off = weights
        .iter()
        .zip(shares)
        .map(|(weight, share)| share * all / weight - 1.0);
    let worst = off.fold(0.0, |worst: f64, off| worst.max(off.abs()));
    println!("{strategy} {weights:?}: at most {:.1} % off", worst * 100.0);
    assert!(worst < 0.05, "{strategy} {weights:?}: {shares:?}");
}

#[test]
fn weights_are_kept() {
    for (seed, weights) in [vec![1.0, 1.0], vec![3.0, 2.0, 1.0], vec![1.0; 4], vec![0.5, 1.5]]
        .iter()
        .enumerate()
    {
        let (shares, _) = shares("weighted", weights, seed as u64);
        assert_within_5_percent("weighted", weights, &shares);
    }
}

#[test]
fn the_least_busy_is_asked_whatever_the_lengths_of_answers() {
    for (seed, count) in [2, 3, 5].into_iter().enumerate() {
        let weights = vec![1.0; count];
        let (shares, log) = shares("least-pending", &weights, seed as u64);
        assert_within_5_percent("least-pending", &weights, &shares);
        // Those in flight are even too, at every minute.
        for minute in 1..10 {
            let at = seconds(minute * 60);
            let in_flight = (0..count).map(|actor| {
                let is_there = log
                    .attempts
                    .iter()
                    .filter(|one| one.actor == actor && one.at <= at && one.over > at);
                is_there.count()
            });
            let in_flight: Vec<usize> = in_flight.collect();
            let (least, most) = (in_flight.iter().min().unwrap(), in_flight.iter().max().unwrap());
            assert!(most - least <= 8, "{in_flight:?}");
        }
    }
}
