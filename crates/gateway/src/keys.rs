//! The keys of a provider, used in turn.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::config::secret::Secret;

/// A provider's keys. Each request starts with the next one.
#[derive(Debug, Default)]
pub struct KeyRing {
    keys: Vec<Secret>,
    next: AtomicUsize,
}

impl KeyRing {
    /// A ring of these keys.
    pub fn new(keys: Vec<Secret>) -> Self {
        Self {
            keys,
            next: AtomicUsize::new(0),
        }
    }

    /// The keys in the order in which one request should try them: each once, or a single `None` when the provider
    /// needs no key.
    pub fn in_turn(&self) -> impl Iterator<Item = Option<&Secret>> {
        let count = self.keys.len();
        let start = if count > 1 {
            self.next.fetch_add(1, Ordering::Relaxed)
        } else {
            0
        };
        (0..count.max(1)).map(move |step| self.keys.get((start.wrapping_add(step)) % count.max(1)))
    }

    /// All keys.
    pub fn all(&self) -> &[Secret] {
        &self.keys
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_starts_with_the_next_key_and_may_try_all() {
        let ring = KeyRing::new(["a", "b", "c"].map(Secret::new).into());
        let order = || ring.in_turn().map(|key| key.unwrap().expose()).collect::<String>();
        assert_eq!([order(), order(), order(), order()], ["abc", "bca", "cab", "abc"]);
    }

    #[test]
    fn without_keys_there_is_one_try_without_a_key() {
        assert_eq!(KeyRing::default().in_turn().collect::<Vec<_>>(), [None]);
    }
}
