//! No request fails while there is somebody who would answer it.

use std::fmt::Write as _;
use std::ops::Range;

use mynah::course::{MAX_ATTEMPTS, Outcome};

use crate::engine::{End, Log, Scenario, play};
use crate::generate::anything;

/// The scenarios. To replay one alone, make it `N..N + 1`.
const SEEDS: Range<u64> = 0..2000;

#[test]
fn no_request_fails_while_a_healthy_target_exists() {
    let (mut requests, mut attempts, mut given_up, mut missed) = (0, 0, 0, Vec::new());
    for seed in SEEDS {
        let scenario = anything(seed);
        let log = play(&scenario, seed);
        for number in 0..log.requests.len() {
            if let Some((actor, key)) = who_was_missed(&scenario, &log, number) {
                missed.push(format!(
                    "Scenario {seed}: request {number} failed although actor {actor} with key {key:?} was well.\n{}",
                    told(&scenario, &log, number)
                ));
            }
        }
        requests += log.requests.len();
        attempts += log.attempts.len();
        given_up += log.given_up();
    }
    println!("{requests} requests, {attempts} attempts, {given_up} given up when nobody was left");
    assert!(missed.is_empty(), "{} requests failed\n{}", missed.len(), missed[0]);
    assert!(given_up > 1000, "some of the scenarios are hopeless");
}

/// Who would have answered a request that was given up: somebody who was well all the time, with a key that the gateway
/// could have asked with.
fn who_was_missed(scenario: &Scenario, log: &Log, number: usize) -> Option<(usize, Option<usize>)> {
    let request = &log.requests[number];
    if matches!(request.end, End::By(_)) {
        return None;
    }
    // A reply to an earlier request may have put the key to rest in the meantime.
    let was_put_to_rest = |actor: usize, key: Option<usize>| {
        log.attempts.iter().any(|attempt| {
            (attempt.actor, attempt.key) == (actor, key)
                && matches!(attempt.outcome, Some(Outcome::Resting(..)))
                && attempt.ended >= request.arrived
                && attempt.ended <= request.ended
        })
    };
    // Every target is asked; but every key of it only while there are attempts left beside those for all targets.
    let was_asked = |actor: usize| {
        let mut attempts = log.attempts.iter();
        attempts.any(|one| (one.request, one.actor) == (number, actor))
    };
    let is_long = request.attempts as usize + scenario.actors.len() >= MAX_ATTEMPTS as usize;
    let mut open = request.open.iter().copied();
    open.find(|&(actor, key)| {
        scenario.actors[actor].is_healthy(key, request.arrived, request.ended)
            && !was_put_to_rest(actor, key)
            && !(is_long && was_asked(actor))
    })
}

fn told(scenario: &Scenario, log: &Log, number: usize) -> String {
    let mut text = format!("{}\n", scenario.config);
    for actor in &scenario.actors {
        writeln!(text, "{actor:?}").unwrap();
    }
    writeln!(text, "{:?}\n{:?}", scenario.arrivals[number], log.requests[number]).unwrap();
    for attempt in log.attempts.iter().filter(|attempt| attempt.request == number) {
        writeln!(text, "{attempt:?}").unwrap();
    }
    text
}
