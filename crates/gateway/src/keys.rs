//! The keys of a provider: whose turn it is, and which of them rest.
//!
//! A key rests for one model when that is what its provider limits, and everywhere when the key itself is refused. When a
//! rest is over, one request finds out whether it is; only then may the others follow.

mod key;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use self::key::Stands;
pub use self::key::{Herald, Key, News};
use crate::holds::Hold;

/// Why a key rests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Too many requests in a short time (429).
    Throttled,
    /// Nothing is left of its quota or credit (402).
    Exhausted,
    /// It is not accepted (401, 403).
    Rejected,
    /// Its call failed, where the operator wants such keys to rest. It is used all the same when nobody else has answered.
    Failed,
    /// The operator has taken it out of the rotation.
    Held,
}

impl Reason {
    /// How long a key rests whose provider does not say: the first time, and at most. Each time in a row doubles it.
    fn rests(self) -> (Duration, Duration) {
        match self {
            Self::Throttled | Self::Failed => (Duration::from_secs(1), Duration::from_mins(1)),
            Self::Exhausted => (Duration::from_mins(5), Duration::from_hours(1)),
            Self::Rejected | Self::Held => (Duration::from_mins(1), Duration::from_mins(15)),
        }
    }

    /// The reason that another node tells in a word; `None` for any that is not told.
    pub fn told(name: &str) -> Option<Self> {
        let all = [Self::Throttled, Self::Exhausted, Self::Rejected];
        all.into_iter().find(|reason| reason.name() == name)
    }

    /// In a word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Throttled => "throttled",
            Self::Exhausted => "exhausted",
            Self::Rejected => "rejected",
            Self::Failed => "failed",
            Self::Held => "held",
        }
    }
}

/// All keys of a provider stand still for a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AllResting {
    /// When the first of them is worth another try; of those that give hope, where there are any.
    pub until: Instant,
    /// Why that one rests.
    pub reason: Reason,
    /// Its rest is over, and another request finds out whether it is.
    pub is_probed: bool,
}

/// A rest, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedRest {
    /// For which model; `None` for all.
    pub model: Option<String>,
    /// Why.
    pub reason: Reason,
    /// For how much longer; `None` until the operator says otherwise.
    pub left: Option<Duration>,
}

/// How the keys of a provider are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyRules {
    /// How long a key rests that is throttled, where the operator says so.
    pub cooldown: Option<Duration>,
    /// The first one that does not rest, not each in its turn.
    pub first_come: bool,
    /// A key rests also when its call failed.
    pub rest_failed: bool,
}

/// The keys of a provider.
#[derive(Debug)]
pub struct KeyPool {
    /// In the order of the configuration. A provider without keys has one place that stands for none.
    keys: Vec<Arc<Key>>,
    /// Whether there are real keys.
    are_keys: bool,
    rules: KeyRules,
    next: AtomicUsize,
}

/// The keys that a request was refused with, by their numbers, as far as these are below 64.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UsedKeys(u64);

/// The right to use a key once.
#[derive(Debug)]
pub struct Lease {
    /// Which key; `None` for a provider without keys.
    pub index: Option<usize>,
    key: Arc<Key>,
    taken: Instant,
    cooldown: Option<Duration>,
    /// It finds out whether a rest is over.
    probes: bool,
}

// === impl KeyPool ===

impl Default for KeyPool {
    fn default() -> Self {
        Self::new(Vec::new(), KeyRules::default())
    }
}

impl KeyPool {
    /// A pool of these keys.
    pub fn new(keys: Vec<Arc<Key>>, rules: KeyRules) -> Self {
        let are_keys = !keys.is_empty();
        Self {
            keys: if are_keys { keys } else { vec![Arc::default()] },
            are_keys,
            rules,
            next: AtomicUsize::new(0),
        }
    }

    /// Whether keys rest also when their calls failed.
    pub fn rests_failed(&self) -> bool {
        self.rules.rest_failed
    }

    /// The next key that does not rest. Those that were `used` are passed over.
    pub fn lease(&self, model: &str, used: UsedKeys, now: Instant) -> Result<Lease, AllResting> {
        let start = self.start();
        let mut earliest: Option<AllResting> = None;
        for step in 0..self.keys.len() {
            let index = start.wrapping_add(step) % self.keys.len();
            let Some(key) = self.keys.get(index) else { continue };
            let stands = if used.contains(index) {
                key.looks(model, now)
            } else {
                key.stands(model, now)
            };
            match stands {
                Stands::Ready | Stands::Probe if used.contains(index) => {}
                Stands::Ready => return Ok(self.leased(index, key, now, false)),
                Stands::Probe => return Ok(self.leased(index, key, now, true)),
                Stands::Resting(resting) => {
                    if earliest.is_none_or(|before| resting.is_better_than(before)) {
                        earliest = Some(resting);
                    }
                }
            }
        }
        // Who was used and does not rest is not waited for.
        Err(earliest.unwrap_or(AllResting {
            until: now,
            reason: Reason::Rejected,
            is_probed: false,
        }))
    }

    /// A key that rests only because its call failed, the one whose rest ends first. Those that were `used` are passed over.
    pub fn lease_failed(&self, model: &str, used: UsedKeys, now: Instant) -> Option<Lease> {
        let unused = self.keys.iter().enumerate().filter(|(index, _)| !used.contains(*index));
        let failed = unused.filter_map(|(index, key)| match key.looks(model, now) {
            Stands::Resting(resting) if resting.reason == Reason::Failed => Some((resting.until, index, key)),
            _ => None,
        });
        let (_, index, key) = failed.min_by_key(|(until, ..)| *until)?;
        Some(self.leased(index, key, now, false))
    }

    /// A key that may be wrongly taken to rest, for want of any other: the one whose rest ends first, of those that are
    /// throttled or exhausted and whose provider has not said for how long, else of those that are not accepted. The latter
    /// not beside a key whose provider has said when to come back.
    pub fn lease_at_a_guess(&self, model: &str, now: Instant) -> Option<Lease> {
        let mut is_told = false;
        let mut first: Option<(bool, Instant, usize, &Arc<Key>)> = None;
        for (index, key) in self.keys.iter().enumerate().filter(|(_, key)| key.held(now).is_none()) {
            let Some((is_rejected, until)) = key.guessed_until(model, now) else {
                is_told = true;
                continue;
            };
            if first.is_none_or(|(before_rejected, before, ..)| (is_rejected, until) < (before_rejected, before)) {
                first = Some((is_rejected, until, index, key));
            }
        }
        let (.., index, key) = first.filter(|(is_rejected, ..)| !(*is_rejected && is_told))?;
        Some(self.leased(index, key, now, false))
    }

    /// Takes a key out of the rotation, or with `None` puts it back. Returns whether there is such a key.
    pub fn hold(&self, index: usize, hold: Option<Hold>) -> bool {
        let key = self.keys.get(index).filter(|_| self.are_keys);
        if let Some(key) = key {
            key.hold(hold);
        }
        key.is_some()
    }

    /// Which of the keys the operator has taken out of the rotation.
    pub fn holds(&self, now: Instant) -> Vec<(usize, Hold)> {
        let keys = self.keys.iter().enumerate();
        keys.filter_map(|(index, key)| Some((index, key.held(now)?))).collect()
    }

    /// Whether the operator has left none of the keys.
    pub fn are_all_held(&self, now: Instant) -> bool {
        self.keys.iter().all(|key| key.held(now).is_some())
    }

    /// How many of the keys do not rest, for whichever model.
    pub fn available(&self, now: Instant) -> usize {
        let keys = if self.are_keys { self.keys.as_slice() } else { &[] };
        keys.iter().filter(|key| key.listed(now).is_empty()).count()
    }

    /// What each key rests for, in order.
    pub fn rests(&self, now: Instant) -> Vec<Vec<ListedRest>> {
        self.keys.iter().map(|key| key.listed(now)).collect()
    }

    /// Whether a lease would be had now, without taking one.
    pub fn looks(&self, model: &str, now: Instant) -> Result<(), AllResting> {
        let mut earliest: Option<AllResting> = None;
        for key in &self.keys {
            match key.looks(model, now) {
                Stands::Ready | Stands::Probe => return Ok(()),
                Stands::Resting(resting) if earliest.is_none_or(|before| resting.is_better_than(before)) => {
                    earliest = Some(resting);
                }
                Stands::Resting(_) => {}
            }
        }
        earliest.map_or(Ok(()), Err)
    }

    fn start(&self) -> usize {
        if self.keys.len() > 1 && !self.rules.first_come {
            self.next.fetch_add(1, Ordering::Relaxed)
        } else {
            0
        }
    }

    fn leased(&self, index: usize, key: &Arc<Key>, now: Instant, probes: bool) -> Lease {
        Lease {
            index: self.are_keys.then_some(index),
            key: key.clone(),
            taken: now,
            cooldown: self.rules.cooldown,
            probes,
        }
    }
}

// === impl UsedKeys ===

impl UsedKeys {
    /// Notes a key; `None` is the only place of a pool without keys.
    pub fn note(&mut self, index: Option<usize>) {
        self.0 |= Self::bit(index.unwrap_or(0));
    }

    fn contains(self, index: usize) -> bool {
        self.0 & Self::bit(index) != 0
    }

    fn bit(index: usize) -> u64 {
        u32::try_from(index)
            .ok()
            .and_then(|index| 1_u64.checked_shl(index))
            .unwrap_or(0)
    }
}

// === impl AllResting ===

impl AllResting {
    /// Whether there is hope when the rest is over: a key that is refused does not do better with time, and for one whose call
    /// failed nobody has to wait.
    pub fn is_worth_waiting(self) -> bool {
        self.is_probed || !matches!(self.reason, Reason::Rejected | Reason::Failed | Reason::Held)
    }

    fn is_better_than(self, other: Self) -> bool {
        (!self.is_worth_waiting(), self.until) < (!other.is_worth_waiting(), other.until)
    }
}

// === impl Lease ===

impl Lease {
    /// The key was accepted: whatever it rested for is over. A rest that began after the lease goes on, since the provider
    /// has changed its mind in the meantime.
    pub fn accepted(&mut self, model: &str) {
        self.abandon(model);
        self.key.clear(model, self.taken);
    }

    /// Lets the key rest. `asked` is how long its provider wants; of several deadlines the latest holds.
    pub fn rest(&mut self, model: &str, reason: Reason, asked: Option<Duration>, now: Instant) {
        self.probes = false;
        // How long a quota lasts is not the operator's guess, but keys that never rest do not rest for that either.
        let cooldown = self
            .cooldown
            .filter(|cooldown| reason != Reason::Exhausted || cooldown.is_zero());
        // Who says how much a key may be used accepts it.
        if matches!(reason, Reason::Throttled | Reason::Exhausted) {
            self.key.recognised(self.taken);
        }
        self.key.rest(model, reason, asked, cooldown, now);
    }

    /// Gives the key back without having learnt anything.
    pub fn abandon(&mut self, model: &str) {
        if std::mem::take(&mut self.probes) {
            self.key.abandon_probe(model);
        }
    }
}

#[cfg(test)]
mod tests;
