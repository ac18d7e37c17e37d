//! Configurations, arrivals and random scenarios.

use std::fmt::Write as _;
use std::time::Duration;

use fastrand::Rng;
use mynah::course::Fit;

use crate::engine::{Arrival, Scenario};
use crate::world::{Actor, Behaviour, Delay, Phases, milliseconds, seconds};

/// How long a target may take to its first content.
const FIRST_TOKEN: &str = "2s";

/// How long a random scenario lasts.
const LASTS: Duration = Duration::from_mins(1);

/// A configuration with a model `m`, whose targets are these; `weights` as far as they are not 1. `rules` is for the model.
pub fn one_tier(strategy: &str, rules: &str, weights: &[f64], actors: &[Actor]) -> String {
    let targets: Vec<usize> = (0..actors.len()).collect();
    let model = model("m", strategy, rules, &targets, weights, actors);
    providers(actors) + &model
}

fn providers(actors: &[Actor]) -> String {
    let mut text = String::new();
    for actor in actors {
        let provider = actor.name.split('/').next().unwrap();
        let keys: Vec<String> = (0..actor.keys.len()).map(|key| format!("{provider}-{key}")).collect();
        write!(
            text,
            "[providers.{provider}]\nbase_url = \"http://127.0.0.1:1\"\napi_keys = {keys:?}\ntimeouts.first_token = \"{FIRST_TOKEN}\"\n"
        )
        .unwrap();
    }
    text
}

fn model(name: &str, strategy: &str, rules: &str, targets: &[usize], weights: &[f64], actors: &[Actor]) -> String {
    let mut text = format!("[models.{name}]\nstrategy = \"{strategy}\"\n{rules}\ntargets = [");
    for &target in targets {
        let weight = weights.get(target).copied().unwrap_or(1.0);
        let name = &actors[target].name;
        write!(text, "{{ target = \"{name}\", weight = {weight:?} }}, ").unwrap();
    }
    text + "]\n"
}

/// Requests at random times, so many in a second.
pub fn arrivals(rate: f64, until: Duration, random: &mut Rng) -> Vec<Arrival> {
    let mut at = Duration::ZERO;
    let mut arrivals = Vec::new();
    loop {
        at += Duration::from_secs_f64(-(1.0 - random.f64()).ln() / rate);
        if at >= until {
            return arrivals;
        }
        arrivals.push(Arrival {
            at,
            ..Arrival::default()
        });
    }
}

/// The names of actors, each with a provider of its own.
pub fn name(number: usize) -> String {
    format!("p{number}/x")
}

/// Anything that may happen.
pub fn anything(seed: u64) -> Scenario {
    let mut random = Rng::with_seed(seed);
    let count = random.usize(1..=6);
    let actors: Vec<Actor> = (0..count).map(|number| actor(number, &mut random)).collect();
    let mut tiers: Vec<Vec<usize>> = vec![Vec::new(); random.usize(1..=count.min(3))];
    let last = tiers.len();
    for number in 0..count {
        let tier = if number < last { number } else { random.usize(..last) };
        tiers[tier].push(number);
    }
    let mut config = providers(&actors);
    for (number, targets) in tiers.iter().enumerate() {
        let strategies = [
            "ordered",
            "weighted",
            "least-pending",
            "lowest-latency",
            "cheapest",
            "affinity",
        ];
        let strategy = random.choice(strategies).unwrap();
        let mut rules = String::new();
        if number == 0 {
            let fallback: Vec<String> = (1..last).map(|tier| format!("m{tier}")).collect();
            write!(rules, "fallback = {fallback:?}\nretries = {}", random.u32(0..=3)).unwrap();
            rules += ["", "\nhedge = true", "\nhedge = { after = \"400ms\", max_share = 0.3 }"][random.usize(..3)];
        }
        let weights: Vec<f64> = (0..count).map(|_| f64::from(random.u32(1..=4))).collect();
        let name = if number == 0 {
            "m".to_owned()
        } else {
            format!("m{number}")
        };
        config += &model(&name, strategy, &rules, targets, &weights, &actors);
    }
    let rate = [0.2, 0.5, 1.0, 2.0][random.usize(..4)];
    let mut arrivals = arrivals(rate, LASTS, &mut random);
    for arrival in &mut arrivals {
        arrival.timeout = random.bool().then_some(seconds(60));
        arrival.conversation = Some(random.u64(..20));
        for actor in 0..count {
            let fit = [Fit::Unfit, Fit::Translated, Fit::Down]
                .get(random.usize(..15))
                .copied();
            arrival.fits.extend(fit.map(|fit| (actor, fit)));
        }
    }
    Scenario {
        config,
        actors,
        arrivals,
    }
}

fn actor(number: usize, random: &mut Rng) -> Actor {
    let keys = [0, 0, 0, 1, 2, 3, 20][random.usize(..7)];
    let mut of_keys: Vec<Phases> = (0..keys).map(|_| phases(key_behaviour, random)).collect();
    if keys > 3 {
        // So many keys belong to one account, and fare alike.
        let first = of_keys[0].clone();
        of_keys.fill(first);
    }
    Actor {
        name: name(number),
        phases: phases(behaviour, random),
        keys: of_keys,
    }
}

/// Steady, or a new behaviour every few seconds.
fn phases(behaviour: fn(&mut Rng) -> Behaviour, random: &mut Rng) -> Phases {
    let mut phases = vec![(Duration::ZERO, behaviour(random))];
    let longest = [0, 3, 10, 40][random.usize(..4)];
    let mut at = Duration::ZERO;
    if longest == 0 {
        return phases;
    }
    loop {
        at += milliseconds(random.u64(200..=longest * 1000));
        if at >= LASTS {
            return phases;
        }
        phases.push((at, behaviour(random)));
    }
}

fn behaviour(random: &mut Rng) -> Behaviour {
    let milliseconds = [100, 400, 1500][random.usize(..3)];
    match random.u8(..14) {
        0 | 1 => Behaviour::fails(),
        2 => Behaviour::Fails { after: 500..1500 },
        3 => Behaviour::Flaps { share: random.f64() },
        4 => Behaviour::Hangs,
        5 => Behaviour::IsUnsuited,
        6 => Behaviour::Blames { share: 0.2 },
        7 => key_behaviour(random),
        _ => Behaviour::Answers {
            first: 20..milliseconds,
            rest: 10..[50, 5000][random.usize(..2)],
            slow: Some((0.05, 1800)),
        },
    }
}

fn key_behaviour(random: &mut Rng) -> Behaviour {
    let delay = milliseconds(random.u64(100..20_000));
    match random.u8(..12) {
        0 => Behaviour::Throttles(Delay::Said(delay)),
        1 => Behaviour::Throttles(Delay::True),
        2 => Behaviour::Throttles(Delay::Unsaid),
        3 => Behaviour::Exhausts,
        4 => Behaviour::Rejects,
        _ => Behaviour::answers(20..100),
    }
}
