//! Keys are left alone for as long as their provider says.

use std::collections::HashMap;
use std::time::Duration;

use fastrand::Rng;
use mynah::course::Outcome;

use crate::engine::{End, Log, Scenario, World, origin, play, play_in};
use crate::generate::{anything, arrivals, name, one_tier};
use crate::world::{Actor, Behaviour, Delay, milliseconds, seconds};

/// Nobody is believed who asks for more.
const LONGEST: Duration = Duration::from_hours(24);

/// Attempts that were made before the delay was over that their key's provider had asked for.
fn too_early(log: &Log) -> Vec<usize> {
    let mut told: HashMap<_, Vec<(Duration, Duration)>> = HashMap::new();
    for attempt in &log.attempts {
        if let Some(Outcome::Resting(_, Some(delay))) = attempt.outcome {
            let delays = told.entry((attempt.actor, attempt.key)).or_default();
            delays.push((attempt.ended, attempt.ended + delay.min(LONGEST)));
        }
    }
    let is_early = |number: &usize| {
        let attempt = &log.attempts[*number];
        let delays = told.get(&(attempt.actor, attempt.key));
        let mut delays = delays.into_iter().flatten();
        delays.any(|(said, until)| *said < attempt.at && attempt.at < *until)
    };
    (0..log.attempts.len()).filter(is_early).collect()
}

#[test]
fn nobody_is_asked_before_the_time_that_they_have_said() {
    let mut delays = 0;
    for seed in 10_000..10_300 {
        let log = play(&anything(seed), seed);
        let early = too_early(&log);
        assert!(early.is_empty(), "scenario {seed}: {:?}", log.attempts[early[0]]);
        let is_delay = |outcome| matches!(outcome, Some(Outcome::Resting(_, Some(_))));
        delays += log.attempts.iter().filter(|attempt| is_delay(attempt.outcome)).count();
    }
    println!("{delays} delays, none of them cut short");
    assert!(delays > 1000);
}

/// One target, throttled at the beginning for this long.
fn throttled(for_seconds: u64, rate: f64, until: u64) -> Scenario {
    let phases = vec![
        (seconds(0), Behaviour::Throttles(Delay::True)),
        (seconds(for_seconds), Behaviour::answers(200..800)),
    ];
    let actors = vec![Actor {
        keys: vec![vec![(seconds(0), Behaviour::answers(1..2))]],
        ..Actor::changing(&name(0), phases)
    }];
    Scenario {
        config: one_tier("ordered", "max_wait = \"5s\"", &[], &actors),
        arrivals: arrivals(rate, seconds(until), &mut Rng::with_seed(for_seconds)),
        actors,
    }
}

#[test]
fn a_short_rest_is_waited_for_and_a_long_one_is_told() {
    let short = play(&throttled(4, 5.0, 20), 1);
    assert_eq!(short.given_up(), 0);
    let long = play(&throttled(30, 5.0, 20), 1);
    for request in &long.requests {
        let left = seconds(30) - request.ended;
        match request.end {
            End::GivenUp(Some(told)) if left > seconds(5) => {
                let off = told.abs_diff(left);
                assert!(off < milliseconds(60), "{left:?} left, told {told:?}");
                assert_eq!(request.waits, 0, "what does not fit is not waited for");
            }
            _ => panic!("{request:?}"),
        }
    }
    let asked = long.attempts.iter().filter(|attempt| attempt.at < seconds(30)).count();
    println!("4 s were waited for, 30 s were told; {asked} asked in the meantime");
}

#[test]
fn one_request_at_a_time_finds_out_whether_a_rest_is_over() {
    let log = play(&throttled(10, 20.0, 30), 1);
    let after: Vec<_> = log
        .attempts
        .iter()
        .filter(|attempt| attempt.at >= seconds(10))
        .collect();
    let first = after.first().unwrap();
    let beside = after
        .iter()
        .filter(|attempt| attempt.at > first.at && attempt.at < first.ended);
    assert_eq!(beside.count(), 0, "nobody else is asked while it is found out");
    let is_answered =
        |request: &&crate::engine::Request| request.arrived < seconds(10) || matches!(request.end, End::By(_));
    assert_eq!(log.requests.iter().filter(is_answered).count(), log.requests.len());
}

#[test]
fn a_callers_fault_lets_nobody_rest() {
    for share in [0.3, 1.0] {
        let mut actor = Actor::steady(&name(0), Behaviour::Blames { share });
        actor.keys = vec![vec![(seconds(0), Behaviour::answers(1..2))]; 2];
        let actors = vec![actor, Actor::steady(&name(1), Behaviour::answers(50..300))];
        let scenario = Scenario {
            config: one_tier("ordered", "", &[], &actors),
            arrivals: arrivals(20.0, seconds(60), &mut Rng::with_seed(1)),
            actors,
        };
        let world = World::new(&scenario);
        let log = play_in(&world, &scenario, 1);
        assert_eq!(log.asked(1, seconds(0), seconds(60)), 0, "nobody else is asked");
        let target = world.target(0);
        let report = target.condition.report(origin() + seconds(60));
        assert_eq!((report.consecutive_failures, report.pending), (0, 0));
        assert!(target.provider.keys.rests(origin()).iter().all(Vec::is_empty));
    }
}
