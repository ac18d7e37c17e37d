//! One key: what it rests for, until when, and who is told.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::{AllResting, ListedRest, Reason};
use crate::holds::Hold;

/// Rests that are kept for one key at most.
pub(super) const MAX_RESTS: usize = 1024;

/// While one request finds out whether a rest is over, the others look again after this time.
pub(super) const PROBING: Duration = Duration::from_millis(50);

/// A refusal comes soon, an answer may take long: a probe that was not refused within this time counts as accepted.
pub(super) const PROBE_LIMIT: Duration = Duration::from_secs(2);

/// Rests that end within this time of each other are the same one.
const ECHO: Duration = Duration::from_millis(100);

/// Nobody is believed who asks for a longer rest.
const LONGEST: Duration = Duration::from_hours(24);

/// What is known about one key. Outlives a change of configuration.
#[derive(Debug, Default)]
pub struct Key {
    /// Whether anything rests: most of the time there is nothing to look up.
    may_rest: AtomicBool,
    rests: Mutex<Rests>,
    /// Tells other nodes of its rests, if there are any.
    herald: Option<Herald>,
}

/// A rest that other nodes should know of.
#[derive(Clone, Debug)]
pub struct News {
    /// What the key is called among the nodes.
    pub key: Arc<str>,
    /// For which model; `None` for all.
    pub model: Option<String>,
    /// Why.
    pub reason: Reason,
    /// Until when.
    pub until: Instant,
}

/// Tells other nodes of the rests of a key.
#[derive(Debug)]
pub struct Herald {
    key: Arc<str>,
    news: mpsc::Sender<News>,
}

#[derive(Debug, Default)]
struct Rests {
    /// What the operator said.
    held: Option<Hold>,
    everywhere: Option<Rest>,
    by_model: HashMap<String, Rest>,
}

/// One rest.
#[derive(Clone, Copy, Debug)]
struct Rest {
    begun: Instant,
    until: Instant,
    reason: Reason,
    /// Until when, as the provider or the operator has said. Beyond it, it is a guess.
    told: Option<Instant>,
    /// How often in a row.
    times: u32,
    /// When the request began that finds out whether the rest is over.
    probing: Option<Instant>,
}

/// How a key stands for a model.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stands {
    Ready,
    /// A rest is over, and this request finds out whether it is.
    Probe,
    Resting(AllResting),
}

impl Herald {
    /// That of a provider's key, by the hash of the key: a part of that is enough to tell keys apart.
    pub fn new(provider: &str, hash: &[u8; 32], news: mpsc::Sender<News>) -> Self {
        let hash = hash
            .iter()
            .take(8)
            .fold(0, |start: u64, byte| start << 8 | u64::from(*byte));
        Self {
            key: format!("{provider} {hash:016x}").into(),
            news,
        }
    }

    fn tell(&self, model: Option<&str>, reason: Reason, until: Instant) {
        // When there is too much to tell, the others find out by themselves.
        let _ = self.news.try_send(News {
            key: self.key.clone(),
            model: model.map(str::to_owned),
            reason,
            until,
        });
    }
}

impl Key {
    /// A key that is used for the first time.
    pub fn new(herald: Option<Herald>) -> Self {
        Self {
            herald,
            ..Self::default()
        }
    }

    /// Whether the nodes call it so.
    pub fn is_called(&self, name: &str) -> bool {
        self.herald.as_ref().is_some_and(|herald| &*herald.key == name)
    }

    /// Rests as another node was told: for a model, or for all. Of several deadlines the latest holds.
    pub fn learn(&self, model: Option<&str>, reason: Reason, left: Duration, now: Instant) {
        let until = now + left.min(LONGEST);
        let mut rests = self.lock();
        let before = match model {
            None => rests.everywhere,
            Some(model) => rests.by_model.get(model).copied(),
        };
        // What others have heard from this node comes back, a little earlier or later.
        if before.is_some_and(|rest| rest.until + ECHO >= until) {
            return;
        }
        self.may_rest.store(true, Ordering::Relaxed);
        let rest = Rest {
            begun: now,
            until,
            reason,
            told: (reason != Reason::Rejected).then_some(until),
            times: before.map_or(1, |rest| rest.times),
            probing: None,
        };
        match model {
            None => rests.everywhere = Some(rest),
            Some(model) => rests.remember(model, rest, now),
        }
    }

    /// How it stands; the probe, if it is one, begins.
    pub(super) fn stands(&self, model: &str, now: Instant) -> Stands {
        let stands = self.looks(model, now);
        if matches!(stands, Stands::Probe) {
            for rest in self.lock().that_hold(model) {
                rest.probing = Some(now);
            }
        }
        stands
    }

    pub(super) fn looks(&self, model: &str, now: Instant) -> Stands {
        if !self.may_rest.load(Ordering::Relaxed) {
            return Stands::Ready;
        }
        let mut rests = self.lock();
        if let Some(hold) = rests.held.filter(|hold| hold.holds(now)) {
            return Stands::Resting(AllResting {
                until: hold.until.unwrap_or(now + LONGEST),
                reason: Reason::Held,
                is_probed: false,
            });
        }
        let mut stands = Stands::Ready;
        let mut latest = now;
        for rest in rests.that_hold(model) {
            let probed = rest.probing.is_some_and(|since| now < since + PROBE_LIMIT);
            let is_unknown = rest.probing.is_none();
            let until = if probed {
                rest.until.max(now + PROBING)
            } else {
                rest.until
            };
            // That its call failed is the least reason, and the last one here.
            let is_outdone = rest.reason == Reason::Failed && matches!(stands, Stands::Resting(_));
            // A key that is not accepted is tried for want of another, but not before its provider has said.
            let is_said = rest.told.is_some_and(|told| told > now)
                && matches!(stands, Stands::Resting(before) if before.reason == Reason::Rejected);
            if is_said || until > latest && !is_outdone {
                latest = until;
                stands = Stands::Resting(AllResting {
                    until,
                    reason: rest.reason,
                    is_probed: rest.until <= now,
                });
            } else if is_unknown && matches!(stands, Stands::Ready) {
                stands = Stands::Probe;
            }
        }
        stands
    }

    pub(super) fn hold(&self, hold: Option<Hold>) {
        let mut rests = self.lock();
        rests.held = hold;
        self.may_rest.store(!rests.is_empty(), Ordering::Relaxed);
    }

    pub(super) fn held(&self, now: Instant) -> Option<Hold> {
        if !self.may_rest.load(Ordering::Relaxed) {
            return None;
        }
        self.lock().held.filter(|hold| hold.holds(now))
    }

    /// The end of its rest, and whether it is not accepted, where nobody has said how long it rests.
    pub(super) fn guessed_until(&self, model: &str, now: Instant) -> Option<(bool, Instant)> {
        let mut rests = self.lock();
        let mut guess = None;
        for rest in rests.that_hold(model).filter(|rest| rest.until > now) {
            if rest.told.is_some_and(|told| told > now) {
                return None;
            }
            let (is_rejected, until) = guess.unwrap_or((false, rest.until));
            guess = Some((is_rejected || rest.reason == Reason::Rejected, rest.until.max(until)));
        }
        guess
    }

    /// Ends the rests that had begun by this time.
    pub(super) fn clear(&self, model: &str, by: Instant) {
        if !self.may_rest.load(Ordering::Relaxed) {
            return;
        }
        let mut rests = self.lock();
        rests.everywhere = rests.everywhere.filter(|rest| rest.begun > by);
        if rests.by_model.get(model).is_some_and(|rest| rest.begun <= by) {
            rests.by_model.remove(model);
        }
        self.may_rest.store(!rests.is_empty(), Ordering::Relaxed);
    }

    /// Ends the rest of a key that is accepted after all, if it had begun by this time.
    pub(super) fn recognised(&self, by: Instant) {
        let mut rests = self.lock();
        let goes_on = |rest: &Rest| rest.reason != Reason::Rejected || rest.begun > by;
        rests.everywhere = rests.everywhere.filter(goes_on);
        self.may_rest.store(!rests.is_empty(), Ordering::Relaxed);
    }

    pub(super) fn rest(
        &self,
        model: &str,
        reason: Reason,
        asked: Option<Duration>,
        cooldown: Option<Duration>,
        now: Instant,
    ) {
        let mut rests = self.lock();
        self.may_rest.store(true, Ordering::Relaxed);
        // Who finds out about one rest of a key does so about all of them.
        for rest in rests.that_hold(model) {
            rest.probing = None;
        }
        let before = if reason == Reason::Rejected {
            rests.everywhere
        } else {
            rests.by_model.get(model).copied()
        };
        // Requests that were under way together count once.
        let times = before.map_or(0, |rest| if rest.until > now { rest.times - 1 } else { rest.times });
        let (first, most) = reason.rests();
        let own = || cooldown.unwrap_or_else(|| first.saturating_mul(1 << times.min(16)).min(most));
        // Who says "now" has not said when.
        let asked = asked.filter(|asked| !asked.is_zero());
        let never = cooldown.is_some_and(|cooldown| cooldown.is_zero());
        let wait = if never {
            Duration::ZERO
        } else {
            asked.unwrap_or_else(own).min(LONGEST)
        };
        let is_less = reason == Reason::Failed && before.is_some_and(|rest| rest.reason != reason && rest.until > now);
        if wait.is_zero() || is_less {
            return;
        }
        let until = now + wait;
        let is_guess = matches!(reason, Reason::Rejected | Reason::Failed);
        let is_told = !is_guess && (asked.is_some() || cooldown.is_some());
        // Of several deadlines the latest holds.
        let rest = Rest {
            begun: now,
            until: before.map_or(until, |rest| rest.until.max(until)),
            told: is_told.then_some(until).max(before.and_then(|rest| rest.told)),
            reason,
            times: times + 1,
            probing: None,
        };
        let where_to = (reason != Reason::Rejected).then_some(model);
        // What is a guess may be none at another node.
        let is_news = is_told || where_to.is_none();
        if let Some(herald) = self.herald.as_ref().filter(|_| is_news) {
            herald.tell(where_to, reason, rest.until);
        }
        match where_to {
            None => rests.everywhere = Some(rest),
            Some(model) => rests.remember(model, rest, now),
        }
    }

    pub(super) fn abandon_probe(&self, model: &str) {
        for rest in self.lock().that_hold(model) {
            rest.probing = None;
        }
    }

    pub(super) fn listed(&self, now: Instant) -> Vec<ListedRest> {
        if !self.may_rest.load(Ordering::Relaxed) {
            return Vec::new();
        }
        let rests = self.lock();
        let everywhere = rests.everywhere.iter().map(|rest| (None, rest));
        let by_model = rests.by_model.iter().map(|(model, rest)| (Some(model.clone()), rest));
        let resting = everywhere.chain(by_model).filter(|(_, rest)| rest.until > now);
        let resting = resting.map(|(model, rest)| ListedRest {
            model,
            reason: rest.reason,
            left: Some(rest.until.duration_since(now)),
        });
        let held = rests.held.filter(|hold| hold.holds(now)).map(|hold| ListedRest {
            model: None,
            reason: Reason::Held,
            left: hold.left(now),
        });
        held.into_iter().chain(resting).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Rests> {
        self.rests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rests {
    fn remember(&mut self, model: &str, rest: Rest, now: Instant) {
        if self.by_model.len() >= MAX_RESTS {
            self.by_model.retain(|_, rest| rest.until > now);
        }
        if self.by_model.len() < MAX_RESTS {
            self.by_model.insert(model.to_owned(), rest);
        }
    }

    fn is_empty(&self) -> bool {
        self.held.is_none() && self.everywhere.is_none() && self.by_model.is_empty()
    }

    fn that_hold(&mut self, model: &str) -> impl Iterator<Item = &mut Rest> {
        self.everywhere.iter_mut().chain(self.by_model.get_mut(model))
    }
}
