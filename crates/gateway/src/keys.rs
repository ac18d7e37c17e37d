//! The keys of a provider, used in turn.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Whose turn it is among a provider's keys. Each request starts with the next one.
#[derive(Debug, Default)]
pub struct KeyRing {
    count: usize,
    next: AtomicUsize,
}

impl KeyRing {
    /// A ring of so many keys.
    pub fn new(count: usize) -> Self {
        Self {
            count,
            next: AtomicUsize::new(0),
        }
    }

    /// The indexes of the keys in the order in which one request should try them: each once, or a single `None` when
    /// there is no key.
    pub fn in_turn(&self) -> impl Iterator<Item = Option<usize>> + use<> {
        let count = self.count;
        let start = if count > 1 {
            self.next.fetch_add(1, Ordering::Relaxed)
        } else {
            0
        };
        (0..count.max(1)).map(move |step| (count > 0).then(|| start.wrapping_add(step) % count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_starts_with_the_next_key_and_may_try_all() {
        let ring = KeyRing::new(3);
        let order = || ring.in_turn().map(Option::unwrap).collect::<Vec<_>>();
        assert_eq!(
            [order(), order(), order(), order()],
            [[0, 1, 2], [1, 2, 0], [2, 0, 1], [0, 1, 2]]
        );
    }

    #[test]
    fn without_keys_there_is_one_try_without_a_key() {
        assert_eq!(KeyRing::default().in_turn().collect::<Vec<_>>(), [None]);
    }
}
