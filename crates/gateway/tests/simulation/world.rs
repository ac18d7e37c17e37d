//! Targets as they might be: what each of them does, and when that changes.

use std::ops::Range;
use std::time::Duration;

use fastrand::Rng;
use mynah::course::Outcome;
use mynah::keys::Reason;

/// What a target, or a key of it, does with a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Behaviour {
    /// Answers: the first content after so many milliseconds, the end so many later. A share of the answers begins later.
    Answers {
        first: Range<u64>,
        rest: Range<u64>,
        slow: Option<(f64, u64)>,
    },
    /// An error of its own after so many milliseconds.
    Fails { after: Range<u64> },
    /// Fails this share of the requests.
    Flaps { share: f64 },
    /// Says nothing.
    Hangs,
    /// 429.
    Throttles(Delay),
    /// 402.
    Exhausts,
    /// 401.
    Rejects,
    /// It does not have the model.
    IsUnsuited,
    /// 400 for this share of the requests, answers for the others.
    Blames { share: f64 },
}

/// What a 429 says about the time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Delay {
    /// Nothing.
    Unsaid,
    /// This.
    Said(Duration),
    /// How long it really goes on.
    True,
}

/// What happens from a time on, until the next one begins. Times count from the beginning of the scenario.
pub type Phases = Vec<(Duration, Behaviour)>;

/// One target with its keys.
#[derive(Clone, Debug)]
pub struct Actor {
    /// `provider/model`.
    pub name: String,
    pub phases: Phases,
    /// What happens to those who come with each key before the target sees them; empty for a provider without keys.
    pub keys: Vec<Phases>,
}

/// What a target will have said, and when.
#[derive(Clone, Copy, Debug)]
pub struct Reply {
    /// `None` when it never says anything.
    pub outcome: Option<Outcome>,
    pub taken: Duration,
    /// From the first content to the end.
    pub rest: Duration,
}

impl Behaviour {
    /// Answers that begin within these milliseconds, and are over soon after.
    pub fn answers(first: Range<u64>) -> Self {
        Self::Answers {
            first,
            rest: 10..100,
            slow: None,
        }
    }

    pub fn fails() -> Self {
        Self::Fails { after: 5..50 }
    }

    fn always_answers(&self) -> bool {
        matches!(self, Self::Answers { .. })
    }

    /// `left` is how long this behaviour goes on.
    fn reply(&self, left: Duration, random: &mut Rng) -> Reply {
        let quick = |outcome, random: &mut Rng| Reply {
            outcome: Some(outcome),
            taken: milliseconds(random.u64(5..50)),
            rest: Duration::ZERO,
        };
        match self {
            Self::Answers { first, rest, slow } => {
                let mut taken = milliseconds(random.u64(first.clone()));
                if let Some((share, later)) = slow
                    && random.f64() < *share
                {
                    taken = milliseconds(*later);
                }
                Reply {
                    outcome: Some(Outcome::Answered(taken)),
                    taken,
                    rest: milliseconds(random.u64(rest.clone())),
                }
            }
            Self::Fails { after } => Reply {
                taken: milliseconds(random.u64(after.clone())),
                ..quick(Outcome::Faulty { again: true }, random)
            },
            Self::Flaps { share } if random.f64() < *share => Self::fails().reply(left, random),
            Self::Blames { share } if random.f64() < *share => quick(Outcome::CallersFault, random),
            Self::Flaps { .. } | Self::Blames { .. } => Self::answers(50..300).reply(left, random),
            Self::Hangs => Reply {
                outcome: None,
                taken: Duration::MAX,
                rest: Duration::ZERO,
            },
            Self::Throttles(delay) => {
                let delay = match delay {
                    Delay::Unsaid => None,
                    Delay::Said(delay) => Some(*delay),
                    Delay::True => Some(left),
                };
                quick(Outcome::Resting(Reason::Throttled, delay), random)
            }
            Self::Exhausts => quick(Outcome::Resting(Reason::Exhausted, None), random),
            Self::Rejects => quick(Outcome::Resting(Reason::Rejected, None), random),
            Self::IsUnsuited => quick(Outcome::Unsuited, random),
        }
    }
}

impl Actor {
    /// A target that always does the same, without keys.
    pub fn steady(name: &str, behaviour: Behaviour) -> Self {
        Self::changing(name, vec![(Duration::ZERO, behaviour)])
    }

    /// A target without keys.
    pub fn changing(name: &str, phases: Phases) -> Self {
        Self {
            name: name.to_owned(),
            phases,
            keys: Vec::new(),
        }
    }

    /// What it says to a request that comes with this key at this time.
    pub fn reply(&self, key: Option<usize>, at: Duration, random: &mut Rng) -> Reply {
        let of_key = key.and_then(|key| self.keys.get(key));
        let (behaviour, left) = match of_key.map(|phases| current(phases, at)) {
            Some((behaviour, left)) if !behaviour.always_answers() => (behaviour, left),
            _ => current(&self.phases, at),
        };
        behaviour.reply(left, random)
    }

    /// Whether it would answer everything between these times that comes with this key.
    pub fn is_healthy(&self, key: Option<usize>, from: Duration, to: Duration) -> bool {
        let of_key = key.and_then(|key| self.keys.get(key));
        [Some(&self.phases), of_key].into_iter().flatten().all(|phases| {
            let begins = |index: usize| phases.get(index).map_or(Duration::MAX, |(begins, _)| *begins);
            let mut phases = phases.iter().enumerate();
            phases.all(|(index, (begun, behaviour))| {
                behaviour.always_answers() || *begun > to || begins(index + 1) <= from
            })
        })
    }
}

/// What goes on at a time, and for how much longer.
fn current(phases: &Phases, at: Duration) -> (&Behaviour, Duration) {
    let index = phases.iter().rposition(|(begun, _)| *begun <= at).unwrap();
    let left = phases
        .get(index + 1)
        .map_or(Duration::from_secs(30), |(end, _)| *end - at);
    (&phases[index].1, left)
}

pub fn milliseconds(number: u64) -> Duration {
    Duration::from_millis(number)
}

pub fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}
