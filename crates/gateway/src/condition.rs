//! What is known about how a target is doing, from the requests that it was asked.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::breaker::{Admission, Breaker, BreakerRules};
use crate::keys::{Herald, Key, News, Reason};
use crate::latency::Latency;
use crate::retry::RetryBudget;

/// Targets and keys that are remembered at most.
const MAX_KNOWN: usize = 10_000;

/// How one target is doing. Outlives a change of configuration.
#[derive(Debug)]
pub struct Condition {
    pending: AtomicU32,
    /// How often it has replied.
    replies: AtomicU64,
    /// How often with a failure of its own, or of its keys.
    failures: AtomicU64,
    observed: Mutex<Observed>,
}

#[derive(Debug)]
struct Observed {
    breaker: Breaker,
    latency: Latency,
    retries: RetryBudget,
}

/// A request in flight at a target; ends when it is dropped.
#[derive(Debug)]
pub struct Pending {
    condition: Arc<Condition>,
    /// The number of its answer.
    answer: u64,
}

/// How a target is doing, for people.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Report {
    /// Whether its breaker lets requests through.
    pub admission: Admission,
    /// The share of its requests that it gets, while it recovers.
    pub share: f64,
    /// Failures without a success between them.
    pub consecutive_failures: u32,
    /// Requests in flight.
    pub pending: u32,
    /// How often it has replied since the start.
    pub replies: u64,
    /// How often with a failure of its own, or of its keys.
    pub failures: u64,
    /// How long its first content takes.
    pub latency: Option<Duration>,
}

impl Condition {
    /// Nothing is known yet.
    pub fn new(rules: BreakerRules) -> Self {
        Self {
            pending: AtomicU32::new(0),
            replies: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            observed: Mutex::new(Observed {
                breaker: Breaker::new(rules),
                latency: Latency::default(),
                retries: RetryBudget::default(),
            }),
        }
    }

    /// Whether the target may be asked.
    pub fn admits(&self, now: Instant) -> Admission {
        self.observed().breaker.admits(now)
    }

    /// A request finds out whether the target has recovered, unless another one does already.
    pub fn begin_probe(&self, now: Instant) -> bool {
        let mut observed = self.observed();
        let may = observed.breaker.admits(now) == Admission::Probe;
        if may {
            observed.breaker.begin_probe(now);
        }
        may
    }

    /// A request begins at the target; `again` when the target has failed it before.
    pub fn begin(self: &Arc<Self>, again: bool, now: Instant) -> Pending {
        let mut observed = self.observed();
        if !again {
            observed.retries.earn();
        }
        observed.latency.waits(now);
        drop(observed);
        self.pending.fetch_add(1, Ordering::Relaxed);
        Pending {
            condition: self.clone(),
            answer: 0,
        }
    }

    /// A request that began has its reply, or nobody waits for it any more (`None`).
    pub fn replied(&self, now: Option<Instant>) {
        self.observed().latency.replied(now);
    }

    /// Counts a reply.
    pub fn count(&self, is_failure: bool) {
        self.replies.fetch_add(1, Ordering::Relaxed);
        if is_failure {
            self.failures.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Takes one of the repetitions that the target may be asked, if there is one left.
    pub fn spend_retry(&self) -> bool {
        self.observed().retries.spend()
    }

    /// Whether the target may be asked again by a request that it failed.
    pub fn has_retry(&self) -> bool {
        self.observed().retries.has_any()
    }

    /// The target answered. `taken` is the time to its first content, where that tells something. Returns the number of the
    /// answer.
    pub fn succeeded(&self, taken: Option<Duration>, now: Instant) -> u64 {
        let mut observed = self.observed();
        if let Some(taken) = taken {
            observed.latency.measured(taken, now);
        }
        observed.breaker.succeeded(now)
    }

    /// The first content takes at least this long.
    pub fn measured(&self, taken: Duration, now: Instant) {
        self.observed().latency.measured(taken, now);
    }

    /// The target failed. Returns whether it is left alone from now on.
    pub fn failed(&self, now: Instant, roll: u64) -> bool {
        self.observed().breaker.failed(now, roll)
    }

    /// A probe ended without a result.
    pub fn abandon_probe(&self) {
        self.observed().breaker.abandon_probe();
    }

    /// What a choice between targets is made on: share, requests in flight and expected seconds.
    pub fn standing(&self, now: Instant) -> (f64, u32, Option<f64>) {
        let pending = self.pending.load(Ordering::Relaxed);
        let observed = self.observed();
        (observed.breaker.share(now), pending, observed.latency.expected(now))
    }

    /// The time within which 95 of 100 first contents came, if enough is known.
    pub fn percentile_95(&self) -> Option<Duration> {
        self.observed().latency.percentile_95()
    }

    /// For people.
    pub fn report(&self, now: Instant) -> Report {
        let observed = self.observed();
        Report {
            admission: observed.breaker.admits(now),
            share: observed.breaker.share(now),
            consecutive_failures: observed.breaker.consecutive_failures(),
            pending: self.pending.load(Ordering::Relaxed),
            replies: self.replies.load(Ordering::Relaxed),
            failures: self.failures.load(Ordering::Relaxed),
            latency: observed.latency.average(),
        }
    }

    fn observed(&self) -> MutexGuard<'_, Observed> {
        lock(&self.observed)
    }
}

impl Pending {
    /// The target answered.
    pub fn answered(&mut self, answer: u64) {
        self.answer = answer;
    }

    /// The answer, which was counted as one, broke off.
    pub fn broke_off(self, now: Instant, roll: u64) {
        self.condition.failures.fetch_add(1, Ordering::Relaxed);
        self.condition.observed().breaker.broke_off(self.answer, now, roll);
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.condition.pending.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The conditions of all targets and keys. They outlive a change of configuration.
#[derive(Debug, Default)]
pub struct Conditions {
    targets: Mutex<HashMap<String, Arc<Condition>>>,
    /// By the provider's name and the hash of the key.
    keys: Mutex<HashMap<String, Arc<Key>>>,
    /// Where rests of keys are told that other nodes should know of.
    herald: Option<mpsc::Sender<News>>,
}

impl Conditions {
    /// Nothing is known yet. `herald`: where rests of keys are told that other nodes should know of.
    pub fn new(herald: Option<mpsc::Sender<News>>) -> Self {
        Self {
            herald,
            ..Self::default()
        }
    }

    /// Lets a key rest, and for a model alone where one is named, as another node was told. Keys that are not known here are left out.
    pub fn learn_rest(&self, key: &str, model: Option<&str>, reason: Reason, left: Duration, now: Instant) {
        let keys = lock(&self.keys);
        if let Some(known) = keys.values().find(|known| known.is_called(key)) {
            known.learn(model, reason, left, now);
        }
    }

    /// That of a target, by its name.
    pub fn of_target(&self, name: &str, rules: BreakerRules) -> Arc<Condition> {
        let mut targets = lock(&self.targets);
        if let Some(known) = targets.get(name) {
            return known.clone();
        }
        let new = Arc::new(Condition::new(rules));
        // Callers may invent names of models.
        make_room(&mut targets);
        if targets.len() < MAX_KNOWN {
            targets.insert(name.to_owned(), new.clone());
        }
        new
    }

    /// That of a provider's key, by the hash of the key.
    pub fn of_key(&self, provider: &str, hash: [u8; 32]) -> Arc<Key> {
        let mut keys = lock(&self.keys);
        make_room(&mut keys);
        let herald = || self.herald.clone().map(|herald| Herald::new(provider, &hash, herald));
        keys.entry(format!("{provider} {}", BASE64.encode(hash)))
            .or_insert_with(|| Arc::new(Key::new(herald())))
            .clone()
    }

    /// New rules hold for all breakers of a provider.
    pub fn set_rules(&self, provider: &str, rules: BreakerRules) {
        for (_, condition) in lock(&self.targets).iter().filter(|(name, _)| is_of(name, provider)) {
            condition.observed().breaker.set_rules(rules);
        }
    }

    /// Whether a model of a provider is left alone.
    pub fn has_resting(&self, provider: &str, now: Instant) -> bool {
        let rests = |condition: &Condition| matches!(condition.admits(now), Admission::No(_));
        let targets = lock(&self.targets);
        targets
            .iter()
            .any(|(name, condition)| is_of(name, provider) && rests(condition))
    }

    /// Has somebody find out now whether the models of a provider have recovered that are left alone.
    pub fn end_rests(&self, provider: &str, now: Instant) {
        for (_, condition) in lock(&self.targets).iter().filter(|(name, _)| is_of(name, provider)) {
            condition.observed().breaker.end_rest(now);
        }
    }

    /// How every target is doing that was asked or is configured, by name.
    pub fn report(&self, now: Instant) -> Vec<(String, Report)> {
        let targets = lock(&self.targets);
        let mut all: Vec<_> = targets
            .iter()
            .map(|(name, condition)| (name.clone(), condition.report(now)))
            .collect();
        all.sort_by(|left, right| left.0.cmp(&right.0));
        all
    }
}

/// Whether a target is one of a provider.
fn is_of(target: &str, provider: &str) -> bool {
    let rest = target.strip_prefix(provider);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Forgets what nobody refers to, when there is too much.
fn make_room<V>(known: &mut HashMap<String, Arc<V>>) {
    if known.len() >= MAX_KNOWN {
        known.retain(|_, value| Arc::strong_count(value) > 1);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invented_names_do_not_fill_the_memory() {
        let conditions = Conditions::default();
        let kept = conditions.of_target("kept/m", BreakerRules::default());
        kept.failed(Instant::now(), 0);
        for number in 0..2 * MAX_KNOWN {
            conditions.of_target(&format!("p/{number}"), BreakerRules::default());
        }
        assert!(lock(&conditions.targets).len() <= MAX_KNOWN);
        assert!(Arc::ptr_eq(
            &kept,
            &conditions.of_target("kept/m", BreakerRules::default())
        ));
    }

    #[test]
    fn a_request_in_flight_is_counted_until_it_is_dropped() {
        let (condition, now) = (Arc::new(Condition::new(BreakerRules::default())), Instant::now());
        let pending = condition.begin(false, now);
        assert_eq!(condition.report(now).pending, 1);
        drop(pending);
        assert_eq!(condition.report(now).pending, 0);
    }
}
