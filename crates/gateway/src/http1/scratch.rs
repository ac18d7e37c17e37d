//! Memory for what is written next, which is used again by whoever writes next on the same thread.

use std::cell::Cell;
use std::ops::{Deref, DerefMut};

/// The most that is kept for the next one, in bytes.
const MOST: usize = 32 * 1024;

thread_local! {
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Bytes on their way out. Most are taken by the connection at once: then the next ones come to lie in the same place, which
/// the processor still has at hand.
#[derive(Debug, Default)]
pub struct Scratch(Vec<u8>);

impl Scratch {
    /// None yet, with room for so many.
    pub fn with_capacity(capacity: usize) -> Self {
        // There is none while a thread ends.
        let mut bytes = SPARE.try_with(Cell::take).unwrap_or_default();
        bytes.reserve(capacity);
        Self(bytes)
    }
}

impl Deref for Scratch {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

impl DerefMut for Scratch {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.0);
        if (1..=MOST).contains(&bytes.capacity()) {
            bytes.clear();
            // As above; the memory is freed then.
            SPARE.try_with(|spare| spare.set(bytes)).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_one_lies_in_the_same_place_and_has_nothing_of_the_one_before() {
        let mut first = Scratch::with_capacity(100);
        first.extend_from_slice(b"secret");
        let place = first.as_ptr();
        drop(first);
        let second = Scratch::with_capacity(50);
        assert!(second.is_empty() && second.as_ptr() == place);
        let third = Scratch::with_capacity(50);
        assert_ne!(third.as_ptr(), place, "two at a time");
    }

    #[test]
    fn what_is_large_is_not_kept() {
        drop(Scratch::with_capacity(MOST + 1));
        assert!(Scratch::with_capacity(1).capacity() <= MOST);
    }
}
