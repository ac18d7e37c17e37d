//! A target that fails is left alone, and comes back slowly.

use fastrand::Rng;

use crate::engine::{Scenario, play};
use crate::generate::{arrivals, name, one_tier};
use crate::world::{Actor, Behaviour, seconds};

fn scenario(broken: Behaviour, recovers: u64, seed: u64) -> Scenario {
    let answers = Behaviour::answers(50..300);
    let phases = vec![(seconds(0), broken), (seconds(recovers), answers.clone())];
    let mut actors: Vec<Actor> = (0..3)
        .map(|number| Actor::steady(&name(number), answers.clone()))
        .collect();
    actors[0].phases = phases;
    Scenario {
        config: one_tier("weighted", "", &[], &actors),
        arrivals: arrivals(20.0, seconds(recovers + 200), &mut Rng::with_seed(seed)),
        actors,
    }
}

#[test]
fn a_target_that_fails_among_healthy_ones_gets_only_probes() {
    let breaks = [
        Behaviour::fails(),
        Behaviour::Fails { after: 500..1500 },
        Behaviour::Hangs,
    ];
    for (seed, broken) in breaks.into_iter().enumerate() {
        let log = play(&scenario(broken.clone(), 600, seed as u64), seed as u64);
        // Until it is noticed there may be as many requests as arrive in the time that it takes to fail.
        let (first, later) = (
            log.asked(0, seconds(0), seconds(10)),
            log.asked(0, seconds(10), seconds(600)),
        );
        println!("{broken:?}: asked {first} times in 10 s, then {later} times in ten minutes of 12,000 requests");
        assert_eq!(log.given_up(), 0);
        assert!(first <= 30 && later <= 20, "{first} {later}");
    }
}

#[test]
fn a_target_that_recovered_gets_its_share_back_slowly() {
    let mut shares = [0.0; 4];
    let seeds = 0..20;
    let count = f64::from(seeds.end);
    for seed in seeds {
        let log = play(&scenario(Behaviour::fails(), 30, seed.try_into().unwrap()), 1);
        let answered = log
            .requests
            .iter()
            .zip(1..)
            .find(|(request, _)| request.end == crate::engine::End::By(0));
        let back = answered.unwrap().0.ended;
        let part = |from: u64, to: u64| {
            let answered = log.answered(3, back + seconds(from), back + seconds(to));
            answered[0] / answered.iter().sum::<f64>()
        };
        for (share, (from, to)) in shares.iter_mut().zip([(0, 5), (5, 10), (10, 20), (20, 100)]) {
            *share += part(from, to) / count;
        }
    }
    println!("its share in the first 5 s, to 10 s, to 20 s, and then: {shares:.3?}");
    assert!(shares.windows(2).all(|pair| pair[0] < pair[1]), "{shares:?}");
    assert!(shares[0] < 0.12 && (shares[3] - 1.0 / 3.0).abs() < 0.02, "{shares:?}");
}
