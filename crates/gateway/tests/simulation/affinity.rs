//! Conversations stay where they are.

use std::time::Duration;

use fastrand::Rng;
use mynah::balance::{Candidate, Strategy, fingerprint, order};

use crate::engine::{End, Log, Scenario, play};
use crate::generate::{arrivals, name, one_tier};
use crate::world::{Actor, Behaviour, Phases, seconds};

const CONVERSATIONS: u64 = 500;

/// How much more than its part of the load a target may have, beside the part's square root.
const BOUND: f64 = 1.25;

fn talk(actors: Vec<Actor>, rate: f64, until: Duration, popular: f64, seed: u64) -> (Scenario, Log) {
    let mut random = Rng::with_seed(seed);
    let mut arrivals = arrivals(rate, until, &mut random);
    for arrival in &mut arrivals {
        let number = if random.f64() < popular {
            0
        } else {
            random.u64(..CONVERSATIONS)
        };
        arrival.conversation = Some(fingerprint(&[&number.to_le_bytes()]));
    }
    let scenario = Scenario {
        config: one_tier("affinity", "", &[], &actors),
        arrivals,
        actors,
    };
    let log = play(&scenario, seed);
    (scenario, log)
}

fn actors(count: usize, first: Phases, answers: &Behaviour) -> Vec<Actor> {
    let mut actors: Vec<Actor> = (0..count)
        .map(|number| Actor::steady(&name(number), answers.clone()))
        .collect();
    actors[0].phases = first;
    actors
}

/// The share of requests that are not answered at the home of their conversation, where it goes when nobody is busy: of those
/// whose home is, or is not, the first target.
fn moved(scenario: &Scenario, log: &Log, from: Duration, to: Duration, of_first: bool) -> f64 {
    let names: Vec<&str> = scenario.actors.iter().map(|actor| actor.name.as_str()).collect();
    let candidate = |name| Candidate {
        name,
        weight: 1.0,
        share: 1.0,
        pending: 0,
        latency: None,
        price: None,
        translated: false,
        is_down: false,
    };
    let idle: Vec<Candidate<'_>> = names.into_iter().map(candidate).collect();
    let home = |number: usize| order(Strategy::Affinity, &idle, scenario.arrivals[number].conversation, 0)[0];
    let (mut all, mut moved) = (0.0, 0.0);
    for number in 0..log.requests.len() {
        let arrived = log.requests[number].arrived;
        if arrived >= from && arrived < to && (home(number) == 0) == of_first {
            all += 1.0;
            moved += f64::from(u8::from(log.requests[number].end != End::By(home(number))));
        }
    }
    moved / all
}

#[test]
fn only_the_conversations_of_a_target_that_leaves_move_and_they_come_back() {
    let answers = Behaviour::Answers {
        first: 50..300,
        rest: 100..4000,
        slow: None,
    };
    let leaving = [
        vec![
            (Duration::ZERO, answers.clone()),
            (seconds(100), Behaviour::fails()),
            (seconds(200), answers.clone()),
        ],
        vec![
            (Duration::ZERO, answers.clone()),
            (seconds(100), Behaviour::Throttles(crate::world::Delay::True)),
            (seconds(200), answers.clone()),
        ],
    ];
    for (seed, phases) in leaving.into_iter().enumerate() {
        for count in [3, 5, 8] {
            let actors = actors(count, phases.clone(), &answers);
            let (scenario, log) = talk(actors, 20.0, seconds(500), 0.0, seed as u64);
            let others = |from, to| moved(&scenario, &log, seconds(from), seconds(to), false);
            let its = |from, to| moved(&scenario, &log, seconds(from), seconds(to), true);
            let (before, during, after) = (others(10, 100), others(110, 200), others(300, 500));
            let (gone, back) = (its(110, 200), its(300, 500));
            let all = during - before + (gone - during) / count as f64;
            println!(
                "{count} targets: {:.1} % of the others' requests away from home before, {:.1} % while one is gone, \
                 {:.1} % afterwards; {:.1} % in all move; of its own {:.1} % are away afterwards",
                before * 100.0,
                during * 100.0,
                after * 100.0,
                all * 100.0,
                back * 100.0
            );
            assert_eq!(log.given_up(), 0);
            assert!(gone > 0.99, "{gone}");
            assert!(all < 1.0 / count as f64 + 0.05, "{all}");
            assert!(after < before + 0.02 && back < before + 0.03, "{after} {back}");
        }
    }
}

#[test]
fn a_popular_conversation_does_not_overload_its_target() {
    let answers = Behaviour::Answers {
        first: 50..300,
        rest: 100..4000,
        slow: None,
    };
    for count in [2, 4, 6] {
        let actors = actors(count, vec![(Duration::ZERO, answers.clone())], &answers);
        let (_, log) = talk(actors, 30.0, seconds(120), 0.6, 7);
        for attempt in &log.attempts {
            let in_flight = |actor: Option<usize>| {
                let is_there = |one: &&crate::engine::Attempt| {
                    one.at < attempt.at && one.over > attempt.at && actor.is_none_or(|actor| one.actor == actor)
                };
                log.attempts.iter().filter(is_there).count() as f64
            };
            let part = (in_flight(None) + 1.0) / count as f64;
            let most = BOUND.mul_add(part, part.sqrt()).ceil();
            assert!(in_flight(Some(attempt.actor)) < most, "{attempt:?}, at most {most}");
        }
    }
}
