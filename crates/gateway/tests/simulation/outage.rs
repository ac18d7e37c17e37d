//! When nobody answers, nobody is asked much more often than there are requests.

use fastrand::Rng;

use crate::engine::{End, Scenario, play};
use crate::generate::{arrivals, name, one_tier};
use crate::world::{Actor, Behaviour, seconds};

/// A target that is down is asked at most so many times for each request, and so many more in all.
const FOR_EACH: f64 = 1.2;
const MORE: f64 = 10.0;

#[test]
fn a_total_outage_makes_no_storm_and_ends_at_once() {
    let breaks = [
        Behaviour::fails(),
        Behaviour::Fails { after: 500..1500 },
        Behaviour::Hangs,
        Behaviour::Rejects,
        Behaviour::Throttles(crate::world::Delay::Unsaid),
    ];
    for (seed, broken) in breaks.into_iter().enumerate() {
        let answers = Behaviour::answers(50..300);
        let phases = vec![
            (seconds(0), answers.clone()),
            (seconds(30), broken.clone()),
            (seconds(90), answers),
        ];
        let count = 3;
        let actors: Vec<Actor> = (0..count)
            .map(|number| Actor::changing(&name(number), phases.clone()))
            .collect();
        let scenario = Scenario {
            config: one_tier("weighted", "retries = 3", &[], &actors),
            arrivals: arrivals(20.0, seconds(200), &mut Rng::with_seed(seed as u64)),
            actors,
        };
        let log = play(&scenario, seed as u64);
        let (from, to) = (seconds(30), seconds(90));
        let requests = log.between(from, to).count() as f64;
        let most = (0..count).map(|actor| log.asked(actor, from, to)).max().unwrap() as f64;
        let tried = log.between(from, to).map(|request| request.attempts).max().unwrap();
        println!(
            "{broken:?}: {requests} requests, each target asked {:.2} times as often, a request tried {tried} times at most",
            most / requests
        );
        assert!(most <= FOR_EACH * requests + MORE, "{broken:?}: {most} of {requests}");
        assert!(tried as usize <= count * 4, "{tried}");
        let is_throttled = matches!(broken, Behaviour::Throttles(_));
        for request in log.between(to, seconds(200)) {
            // Keys that nobody said how long to leave alone rest for a minute at most.
            let is_early = is_throttled && request.arrived < to + seconds(60);
            assert!(matches!(request.end, End::By(_)) || is_early, "{broken:?}: {request:?}");
        }
    }
}
