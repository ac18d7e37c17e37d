//! What was consumed in the last minute or day, exactly.

use std::collections::VecDeque;

/// A window remembers what was consumed in so many pieces at most. What came within one piece leaves the window together, when
/// the last of it does: it is never counted for a shorter time than the window is long, nor for more than one piece longer.
const PIECES: u64 = 256;

/// A sliding window: the sum of what was consumed within a length of time that ends now. Times are in milliseconds.
#[derive(Debug)]
pub struct Window {
    length: u64,
    /// The oldest first.
    pieces: VecDeque<Piece>,
    total: u64,
}

#[derive(Clone, Copy, Debug)]
struct Piece {
    first: u64,
    last: u64,
    amount: u64,
}

/// When something consumed it: what it can be given back by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark(u64);

/// Why something does not fit into a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full {
    /// What the window has in it.
    pub used: u64,
    /// When it would fit; `None` when it never will.
    pub until: Option<u64>,
}

impl Window {
    /// An empty window.
    pub fn new(length: u64) -> Self {
        Self {
            length,
            pieces: VecDeque::new(),
            total: 0,
        }
    }

    /// What was consumed in the window that ends now.
    pub fn used(&mut self, now: u64) -> u64 {
        while let Some(piece) = self.pieces.front()
            && piece.last.saturating_add(self.length) <= now
        {
            self.total = self.total.saturating_sub(piece.amount);
            self.pieces.pop_front();
        }
        self.total
    }

    /// Whether an amount fits beside what was consumed.
    pub fn fits(&mut self, amount: u64, limit: u64, now: u64) -> Result<(), Full> {
        let used = self.used(now);
        if used.saturating_add(amount) <= limit {
            return Ok(());
        }
        let mut left = used;
        let fits = self.pieces.iter().find(|piece| {
            left = left.saturating_sub(piece.amount);
            left.saturating_add(amount) <= limit
        });
        let until = fits.map(|piece| piece.last.saturating_add(self.length));
        Err(Full { used, until })
    }

    /// How long it is.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// What is in it: when the first and the last of a piece was consumed, and how much, the oldest first.
    pub fn pieces(&self) -> impl Iterator<Item = (u64, u64, u64)> {
        self.pieces.iter().map(|piece| (piece.first, piece.last, piece.amount))
    }

    /// When the window will be empty, if nothing more comes.
    pub fn empty_at(&self) -> Option<u64> {
        self.pieces.back().map(|piece| piece.last.saturating_add(self.length))
    }

    /// Consumes an amount.
    pub fn add(&mut self, amount: u64, now: u64) -> Mark {
        self.add_since(amount, now, now)
    }

    /// Notes what was consumed from `first` to `last`, which is not before what was noted already.
    pub fn add_since(&mut self, amount: u64, first: u64, last: u64) -> Mark {
        self.total = self.total.saturating_add(amount);
        if let Some(piece) = self.pieces.back_mut() {
            // Who was a little quicker may come a little later.
            let (first, last) = (first.max(piece.first), last.max(piece.last));
            if first - piece.first < self.length.div_ceil(PIECES) || first <= piece.last {
                piece.last = last;
                piece.amount = piece.amount.saturating_add(amount);
                return Mark(piece.first);
            }
        }
        self.pieces.push_back(Piece { first, last, amount });
        Mark(first)
    }

    /// Gives back what was consumed too much, if the window still has it.
    pub fn give_back(&mut self, amount: u64, mark: Mark) {
        if let Ok(at) = self.pieces.binary_search_by_key(&mark.0, |piece| piece.first)
            && let Some(piece) = self.pieces.get_mut(at)
        {
            let amount = amount.min(piece.amount);
            piece.amount -= amount;
            self.total = self.total.saturating_sub(amount);
        }
    }
}
