//! What the operator has taken out of the rotation: providers and single targets. (Keys: [`crate::keys`].)
//!
//! A held target is not asked, not even when nobody else is left: it may be gone. Requests that are on their way may still
//! come to it, and those that it is answering end in peace.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::route::Target;

/// Holds at a time.
const MAX_HOLDS: usize = 1_000;

/// For how long somebody is out of the rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Until then; `None` until the operator says otherwise.
    pub until: Option<Instant>,
}

/// All holds, by the name of the provider or of the target. They outlive a change of configuration.
#[derive(Debug, Default)]
pub struct Holds {
    /// Whether there is any: most of the time there is nothing to look up.
    any: AtomicBool,
    by_name: Mutex<BTreeMap<String, Hold>>,
}

impl Hold {
    /// Whether it still holds.
    pub fn holds(self, now: Instant) -> bool {
        self.until.is_none_or(|until| until > now)
    }

    /// For how much longer; `None` until the operator says otherwise.
    pub fn left(self, now: Instant) -> Option<Duration> {
        self.until.map(|until| until.saturating_duration_since(now))
    }
}

impl Holds {
    /// Takes a provider or a target out of the rotation, or changes for how long. Returns whether there was room for it.
    pub fn hold(&self, name: &str, hold: Hold, now: Instant) -> bool {
        let mut by_name = self.lock();
        by_name.retain(|_, hold| hold.holds(now));
        let has_room = by_name.contains_key(name) || by_name.len() < MAX_HOLDS;
        if has_room {
            by_name.insert(name.to_owned(), hold);
        }
        self.any.store(!by_name.is_empty(), Ordering::Relaxed);
        has_room
    }

    /// Puts a provider or a target back. Returns whether it was held.
    pub fn lift(&self, name: &str, now: Instant) -> bool {
        let mut by_name = self.lock();
        by_name.retain(|_, hold| hold.holds(now));
        let was_held = by_name.remove(name).is_some();
        self.any.store(!by_name.is_empty(), Ordering::Relaxed);
        was_held
    }

    /// Whether there may be any.
    pub fn are_any(&self) -> bool {
        self.any.load(Ordering::Relaxed)
    }

    /// That of exactly this name.
    pub fn on(&self, name: &str, now: Instant) -> Option<Hold> {
        if !self.are_any() {
            return None;
        }
        self.lock().get(name).copied().filter(|hold| hold.holds(now))
    }

    /// What keeps a target from being asked: its own hold, or its provider's, whichever lasts longer.
    pub fn over(&self, target: &Target, now: Instant) -> Option<Hold> {
        if !self.are_any() {
            return None;
        }
        let names = [&target.name, &target.provider.name];
        let by_name = self.lock();
        let holds = names.into_iter().filter_map(|name| by_name.get(name.as_str()));
        let holds = holds.copied().filter(|hold| hold.holds(now));
        holds.max_by_key(|hold| (hold.until.is_none(), hold.until))
    }

    /// All of them, by name.
    pub fn all(&self, now: Instant) -> Vec<(String, Hold)> {
        let by_name = self.lock();
        let held = by_name.iter().filter(|(_, hold)| hold.holds(now));
        held.map(|(name, hold)| (name.clone(), *hold)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Hold>> {
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_lasts_as_long_as_was_said() {
        let (holds, now) = (Holds::default(), Instant::now());
        let second = Duration::from_secs(1);
        assert!(holds.hold(
            "up",
            Hold {
                until: Some(now + second)
            },
            now
        ));
        assert!(holds.hold("other/m", Hold { until: None }, now));
        assert!(holds.on("up", now).is_some() && holds.on("up", now + second).is_none());
        assert!(holds.on("other/m", now + 1_000 * second).is_some());
        assert_eq!(holds.all(now).len(), 2);
        assert!(holds.lift("other/m", now) && !holds.lift("other/m", now));
        assert!(!holds.lift("up", now + second), "it is over");
        assert!(holds.all(now).is_empty());
    }

    #[test]
    fn they_have_a_bound() {
        let (holds, now) = (Holds::default(), Instant::now());
        let until = |seconds| Hold {
            until: Some(now + Duration::from_secs(seconds)),
        };
        for number in 0..MAX_HOLDS {
            assert!(holds.hold(&number.to_string(), until(5), now));
        }
        assert!(!holds.hold("one more", until(5), now));
        assert!(holds.hold("0", until(9), now), "one that is there may change");
        assert!(
            holds.hold("one more", until(9), now + Duration::from_secs(5)),
            "those that are over make room"
        );
    }
}
