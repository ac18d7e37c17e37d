//! In which order the targets of a tier are asked.

use std::hash::Hasher as _;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// No target of an affinity takes more than its part of the load times this, and the square root of its part, which
/// chance alone makes up.
const BOUND: f64 = 1.25;

/// How the targets of a tier are chosen from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// As they are listed.
    #[default]
    Ordered,
    /// At random, by their weights.
    Weighted,
    /// The one of two, chosen at random, with fewer requests in flight.
    LeastPending,
    /// The one that is quickest with its first content.
    LowestLatency,
    /// The one with the lowest price.
    Cheapest,
    /// The same one for the same conversation, or for the same `x-mynah-session`, unless it has too much to do.
    Affinity,
}

impl Strategy {
    /// As it is written in a configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ordered => "ordered",
            Self::Weighted => "weighted",
            Self::LeastPending => "least-pending",
            Self::LowestLatency => "lowest-latency",
            Self::Cheapest => "cheapest",
            Self::Affinity => "affinity",
        }
    }
}

/// What a choice is made on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate<'a> {
    /// Its name, by which conversations are spread.
    pub name: &'a str,
    /// Its part of the load, relative to the others.
    pub weight: f64,
    /// The share of its part that it should get: 1, but less while it is recovering, and 0 while it is left alone.
    pub share: f64,
    /// Its requests in flight.
    pub pending: u32,
    /// What to expect of its first content, in seconds; `None` when it was never measured.
    pub latency: Option<f64>,
    /// Its price, in any unit; `None` when it is not known.
    pub price: Option<u64>,
    /// The request has to be translated for it: among equals it comes last.
    pub translated: bool,
    /// It did not answer when it was last looked at: it comes last.
    pub is_down: bool,
}

/// The candidates' indexes in the order in which they should be asked. `conversation` is what an affinity holds to.
pub fn order(strategy: Strategy, candidates: &[Candidate<'_>], conversation: Option<u64>, roll: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..candidates.len()).collect();
    if candidates.len() < 2 {
        return order;
    }
    let mut random = fastrand::Rng::with_seed(roll);
    match (strategy, conversation) {
        (Strategy::Ordered, _) => {}
        (Strategy::Weighted, _) => shuffle(&mut order, candidates, &mut random),
        (Strategy::LowestLatency, _) => by(&mut order, candidates, &mut random, |candidate| {
            // Who was never measured is tried, one request at a time.
            let unknown = if candidate.pending == 0 { 0.0 } else { f64::MAX };
            candidate.latency.unwrap_or(unknown)
        }),
        (Strategy::Cheapest, _) => by(&mut order, candidates, &mut random, |candidate| {
            #[expect(clippy::cast_precision_loss, reason = "prices are far below 2^52")]
            candidate.price.map_or(f64::MAX, |price| price as f64)
        }),
        (Strategy::Affinity, Some(conversation)) => hold_to(&mut order, candidates, conversation),
        (Strategy::LeastPending | Strategy::Affinity, _) => least_pending(&mut order, candidates, &mut random),
    }
    if let (Strategy::Affinity, Some(conversation)) = (strategy, conversation) {
        // The same for each of its requests: a conversation comes back to a target that recovers once, and stays.
        random = fastrand::Rng::with_seed(conversation);
    }
    defer(&mut order, candidates, &mut random);
    order
}

/// Puts those last that did not answer, and those that are recovering as often as they should not have their turn.
fn defer(order: &mut [usize], candidates: &[Candidate<'_>], random: &mut fastrand::Rng) {
    let mut rank = vec![0_u8; candidates.len()];
    for (rank, candidate) in rank.iter_mut().zip(candidates) {
        *rank = match candidate {
            candidate if candidate.is_down => 2,
            candidate => u8::from(candidate.share < 1.0 && random.f64() >= candidate.share),
        };
    }
    order.sort_by_key(|&index| rank.get(index).copied());
}

/// Sorts by a cost; among equals those first that need no translation, then at random.
fn by(
    order: &mut [usize],
    candidates: &[Candidate<'_>],
    random: &mut fastrand::Rng,
    cost: impl Fn(&Candidate<'_>) -> f64,
) {
    random.shuffle(order);
    let key = |index: usize| {
        candidates
            .get(index)
            .map_or((f64::MAX, true), |one| (cost(one), one.translated))
    };
    order.sort_by(|&left, &right| {
        let ((left, left_translated), (right, right_translated)) = (key(left), key(right));
        left.total_cmp(&right).then(left_translated.cmp(&right_translated))
    });
}

/// A random order in which each place goes to one of those left by their weights.
fn shuffle(order: &mut [usize], candidates: &[Candidate<'_>], random: &mut fastrand::Rng) {
    let draws: Vec<f64> = candidates
        .iter()
        .map(|candidate| draw(random.f64(), candidate.weight))
        .collect();
    order.sort_by(|&left, &right| draws[left].total_cmp(&draws[right]));
}

/// The shortest draw wins with a probability that follows the weight.
fn draw(fraction: f64, weight: f64) -> f64 {
    -(1.0 - fraction).ln() / weight.max(f64::MIN_POSITIVE)
}

/// The better of two that were drawn comes first, then all by their load.
fn least_pending(order: &mut [usize], candidates: &[Candidate<'_>], random: &mut fastrand::Rng) {
    shuffle(order, candidates, random);
    let load =
        |index: usize| f64::from(candidates[index].pending + 1) / candidates[index].weight.max(f64::MIN_POSITIVE);
    let key = |index: usize| (load(index), candidates[index].translated);
    let less = |left: usize, right: usize| {
        let ((left, left_translated), (right, right_translated)) = (key(left), key(right));
        left.total_cmp(&right).then(left_translated.cmp(&right_translated))
    };
    let (drawn, others) = order.split_at_mut(2);
    drawn.sort_by(|&left, &right| less(left, right));
    others.sort_by(|&left, &right| less(left, right));
}

/// Rendezvous hashing: each conversation has an order of its own, and when a target leaves, only its own conversations
/// move. Those with more than their part of the load come after the others.
fn hold_to(order: &mut [usize], candidates: &[Candidate<'_>], conversation: u64) {
    let all: u32 = candidates.iter().map(|candidate| candidate.pending).sum();
    // Those who are left alone have no part in it: what is theirs is for the others to bear.
    let part = |candidate: &Candidate<'_>| candidate.weight * candidate.share;
    let parts: f64 = candidates.iter().map(part).sum();
    let is_full = |candidate: &Candidate<'_>| {
        let part = f64::from(all + 1) * part(candidate) / parts.max(f64::MIN_POSITIVE);
        f64::from(candidate.pending) >= BOUND.mul_add(part, part.sqrt()).ceil()
    };
    let key = |index: usize| {
        let candidate = &candidates[index];
        (
            is_full(candidate),
            draw(hashed(conversation, candidate.name), candidate.weight),
        )
    };
    order.sort_by(|&left, &right| {
        let ((left_full, left), (right_full, right)) = (key(left), key(right));
        left_full.cmp(&right_full).then(left.total_cmp(&right))
    });
}

/// A number between 0 and 1 for a conversation and a target, the same on every machine.
fn hashed(conversation: u64, name: &str) -> f64 {
    let mut hasher = Fnv(0xcbf2_9ce4_8422_2325);
    hasher.write(&conversation.to_le_bytes());
    hasher.write(name.as_bytes());
    fastrand::Rng::with_seed(hasher.finish()).f64()
}

/// What a conversation or a session hashes to, the same on every machine.
pub fn fingerprint(parts: &[&[u8]]) -> u64 {
    let mut hasher = Fnv(0xcbf2_9ce4_8422_2325);
    for part in parts {
        hasher.write(part);
        hasher.write(&[0xff]);
    }
    hasher.finish()
}

/// FNV-1a: the standard library's hash may differ from build to build.
struct Fnv(u64);

impl std::hash::Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 5] = ["a/m", "b/m", "c/m", "d/m", "e/m"];

    fn candidates(count: usize) -> Vec<Candidate<'static>> {
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
        NAMES[..count].iter().copied().map(candidate).collect()
    }

    fn firsts(strategy: Strategy, candidates: &[Candidate<'_>], count: u64) -> Vec<u64> {
        let mut firsts = vec![0; candidates.len()];
        for roll in 0..count {
            firsts[order(strategy, candidates, Some(fingerprint(&[&roll.to_le_bytes()])), roll)[0]] += 1;
        }
        firsts
    }

    #[test]
    fn every_order_names_each_once() {
        for strategy in [
            Strategy::Ordered,
            Strategy::Weighted,
            Strategy::LeastPending,
            Strategy::LowestLatency,
            Strategy::Cheapest,
            Strategy::Affinity,
        ] {
            for count in 0..=5 {
                for roll in 0..50 {
                    let mut order = order(strategy, &candidates(count), Some(roll), roll);
                    order.sort_unstable();
                    assert_eq!(order, (0..count).collect::<Vec<_>>(), "{strategy:?}");
                }
            }
        }
    }

    #[test]
    fn weights_are_kept() {
        let mut three = candidates(3);
        (three[0].weight, three[1].weight) = (5.0, 3.0);
        let firsts = firsts(Strategy::Weighted, &three, 90_000);
        for (got, wanted) in firsts.iter().zip([50_000_u64, 30_000, 10_000]) {
            assert!(got.abs_diff(wanted) * 20 < wanted, "{firsts:?}");
        }
    }

    #[test]
    fn the_less_busy_comes_first() {
        let mut three = candidates(3);
        three[0].pending = 10;
        let firsts = firsts(Strategy::LeastPending, &three, 3000);
        assert_eq!(firsts[0], 0);
        assert!(firsts[1].abs_diff(firsts[2]) < 200, "{firsts:?}");
    }

    #[test]
    fn the_quicker_and_the_cheaper_come_first() {
        let mut three = candidates(3);
        (three[0].latency, three[1].latency, three[2].latency) = (Some(0.5), Some(0.1), Some(0.3));
        assert_eq!(order(Strategy::LowestLatency, &three, None, 1), [1, 2, 0]);
        three[0].latency = None;
        assert_eq!(
            order(Strategy::LowestLatency, &three, None, 1),
            [0, 1, 2],
            "who was never measured is tried"
        );
        three[0].pending = 1;
        assert_eq!(order(Strategy::LowestLatency, &three, None, 1), [1, 2, 0], "once");
        (three[0].price, three[2].price) = (Some(7), Some(3));
        assert_eq!(order(Strategy::Cheapest, &three, None, 1), [2, 0, 1]);
    }

    #[test]
    fn among_equals_no_translation_is_better() {
        let mut two = candidates(2);
        two[0].translated = true;
        for roll in 0..20 {
            assert_eq!(order(Strategy::LeastPending, &two, None, roll)[0], 1);
            assert_eq!(
                order(Strategy::Ordered, &two, None, roll)[0],
                0,
                "an operator's order is an order"
            );
        }
    }

    #[test]
    fn a_conversation_stays_and_few_move_when_a_target_leaves() {
        let (five, four) = (candidates(5), candidates(4));
        let mut moved = 0;
        for number in 0..10_000_u64 {
            let conversation = Some(fingerprint(&[&number.to_le_bytes()]));
            let before = order(Strategy::Affinity, &five, conversation, number)[0];
            assert_eq!(before, order(Strategy::Affinity, &five, conversation, number + 1)[0]);
            let after = order(Strategy::Affinity, &four, conversation, number)[0];
            assert!(before == after || before == 4, "only those of the one that left move");
            moved += u32::from(before != after);
        }
        assert!((1800..2200).contains(&moved), "{moved}");
    }

    #[test]
    fn an_affinity_is_bounded() {
        let mut two = candidates(2);
        let conversation = Some(7);
        let first = order(Strategy::Affinity, &two, conversation, 0)[0];
        two[first].pending = 10;
        assert_ne!(order(Strategy::Affinity, &two, conversation, 0)[0], first);
        two[1 - first].pending = 10;
        assert_eq!(order(Strategy::Affinity, &two, conversation, 0)[0], first);
    }

    #[test]
    fn the_others_bear_what_belongs_to_one_that_is_left_alone() {
        let mut three = candidates(3);
        three[0].share = 0.0;
        (three[1].pending, three[2].pending) = (5, 5);
        for number in 0..100 {
            let conversation = Some(fingerprint(&[&u64::to_le_bytes(number)]));
            let orders: Vec<usize> = (0..5)
                .map(|roll| order(Strategy::Affinity, &three, conversation, roll)[0])
                .collect();
            let home = order(Strategy::Affinity, &three[1..], conversation, 0)[0] + 1;
            assert_eq!(orders, [home; 5], "nobody is full");
        }
    }

    #[test]
    fn a_conversation_returns_to_a_target_that_recovers_once() {
        let mut two = candidates(2);
        for number in 0..100 {
            let conversation = Some(fingerprint(&[&u64::to_le_bytes(number)]));
            let firsts: Vec<usize> = (0..=10)
                .map(|share| {
                    two[0].share = f64::from(share) / 10.0;
                    order(Strategy::Affinity, &two, conversation, number)[0]
                })
                .collect();
            assert!(firsts.is_sorted_by(|left, right| left >= right), "{firsts:?}");
        }
    }

    #[test]
    fn who_is_recovering_gets_a_part_and_who_is_down_comes_last() {
        let mut two = candidates(2);
        two[0].share = 0.1;
        let firsts = firsts(Strategy::Ordered, &two, 1000);
        assert!((60..140).contains(&firsts[0]), "{firsts:?}");
        two[0].share = 1.0;
        two[0].is_down = true;
        assert_eq!(order(Strategy::Ordered, &two, None, 0), [1, 0]);
    }
}
