//! Answers that are kept in this process.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quick_cache::Weighter;
use quick_cache::unsync::Cache as Entries;

use super::stored::Stored;
use crate::digest::Digest;

/// A typical answer with its headers, in bytes: from it follows how much room is set aside for what was evicted lately.
const TYPICAL: u64 = 4 * 1024;

/// How often answers that are too old are looked for, in milliseconds. Nobody gets them in the meantime.
const SWEEP: u64 = 60_000;

/// The answers that are kept in memory.
#[derive(Debug)]
pub(super) struct Memory(Mutex<Kept>);

#[derive(Debug)]
struct Kept {
    entries: Entries<Digest, Arc<Stored>, Bytewise>,
    /// When answers that are too old were last looked for.
    swept: u64,
}

/// What entries weigh.
#[derive(Clone, Debug)]
struct Bytewise;

impl Memory {
    /// One with room for so many bytes.
    pub(super) fn new(max_size: u64) -> Self {
        let typical = usize::try_from(max_size / TYPICAL).unwrap_or(usize::MAX);
        Self(Mutex::new(Kept {
            entries: Entries::with_weighter(typical.max(1), max_size, Bytewise),
            swept: 0,
        }))
    }

    /// Has room for so many bytes from now on.
    pub(super) fn resize(&self, max_size: u64) {
        self.lock().entries.set_capacity(max_size);
    }

    /// The answer of a key, unless it is too old at `now`.
    pub(super) fn find(&self, key: &Digest, now: u64) -> Option<Arc<Stored>> {
        let kept = self.lock();
        kept.entries.get(key).filter(|stored| stored.until > now).cloned()
    }

    /// Keeps an answer, from `now` on for as long as it says.
    pub(super) fn keep(&self, key: Digest, stored: Arc<Stored>, now: u64) {
        let mut kept = self.lock();
        kept.sweep(now);
        kept.entries.insert(key, stored);
    }

    /// How many answers there are, and how many bytes they take.
    pub(super) fn size(&self) -> (usize, u64) {
        let kept = self.lock();
        (kept.entries.len(), kept.entries.weight())
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// Lets go of what nobody gets any more.
    fn sweep(&mut self, now: u64) {
        if now >= self.swept.saturating_add(SWEEP) {
            self.swept = now;
            self.entries.retain(|_, stored| stored.until > now);
        }
    }
}

impl Weighter<Digest, Arc<Stored>> for Bytewise {
    fn weight(&self, _: &Digest, stored: &Arc<Stored>) -> u64 {
        stored.size()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::http::header::CONTENT_TYPE;
    use axum::http::{HeaderMap, HeaderValue};

    use super::*;

    fn stored(length: usize, now: u64) -> Arc<Stored> {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        let body = format!("[{}]", "1,".repeat(length) + "1");
        Arc::new(Stored::new(headers, body.into_bytes(), now, Duration::from_secs(1)).unwrap())
    }

    fn key(number: u32) -> Digest {
        let mut key = Digest::default();
        key[..4].copy_from_slice(&number.to_le_bytes());
        key
    }

    #[test]
    fn an_answer_is_found_until_it_is_too_old() {
        let memory = Memory::new(1 << 20);
        let now = 1_000_000;
        memory.keep(key(1), stored(1, now), now);
        assert_eq!(
            memory.find(&key(1), now + 999).map(|stored| stored.age(now + 999)),
            Some(999)
        );
        assert!(memory.find(&key(1), now + 1000).is_none());
        assert!(memory.find(&key(2), now).is_none());
        // It is let go of when others come, not before the next sweep.
        memory.keep(key(2), stored(1, now + 1000), now + 1000);
        assert_eq!(memory.size().0, 2);
        memory.keep(key(3), stored(1, now + SWEEP), now + SWEEP);
        assert_eq!(memory.size().0, 1);
    }

    #[test]
    fn what_is_kept_never_takes_more_than_there_is() {
        let memory = Memory::new(100_000);
        for number in 0..1000 {
            memory.keep(key(number), stored(number as usize, 0), 0);
            assert!(memory.size().1 <= 100_000);
        }
        assert!(memory.size().1 > 90_000);
        memory.resize(10_000);
        assert!(memory.size().1 <= 10_000);
    }
}
