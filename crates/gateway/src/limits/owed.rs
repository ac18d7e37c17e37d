//! What counters that several nodes share have not been told yet, summed up: it grows with the number of limits, not of requests.

use super::period::Since;
use super::refusal::What;
use super::window::Window;

/// Pieces of windows of which something is given back at most. One that is not among them counts until it leaves the window.
const MAX_BACK: usize = 1024;
/// Tabs at most: a scope has six at a time, and those of earlier periods are soon told.
const MAX_TABS: usize = 64;

/// A piece of a shared window, by which something can be given back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Piece {
    /// Its number.
    pub number: u64,
    /// When it began, by the shared clock, in milliseconds.
    pub first: u64,
}

/// Where a request was counted beside its node's own counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Elsewhere {
    /// Nowhere: there is one node only.
    #[default]
    Nowhere,
    /// Not yet: the shared counters are away.
    Later,
    /// With the shared counters, its tokens in these pieces of the minute and of the day.
    Now([Piece; 2]),
}

/// What is owed of one scope.
#[derive(Debug, Default)]
pub struct Owed {
    /// What windows have more.
    pub adds: Vec<(What, Window)>,
    /// What pieces of windows have less.
    pub back: Vec<(What, Piece, u64)>,
    /// What is no longer reserved, and what was spent.
    pub tabs: Vec<Due>,
}

/// What is owed of one sum that is reserved and spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// Which.
    pub what: What,
    /// In which period.
    pub since: Since,
    /// So much is no longer reserved.
    pub released: u64,
    /// So much was spent.
    pub spent: u64,
}

impl Owed {
    /// Whether nothing is owed.
    pub fn is_empty(&self) -> bool {
        self.adds.is_empty() && self.back.is_empty() && self.tabs.is_empty()
    }

    /// A window has more since now.
    pub fn add(&mut self, what: What, length: u64, amount: u64, now: u64) {
        if !self.adds.iter().any(|(known, _)| *known == what) {
            self.adds.push((what, Window::new(length)));
        }
        if let Some((_, window)) = self.adds.iter_mut().find(|(known, _)| *known == what) {
            // Who is away for long does not remember for longer than the window does.
            window.used(now);
            window.add(amount, now);
        }
    }

    /// A piece of a window has less.
    pub fn give_back(&mut self, what: What, piece: Piece, amount: u64) {
        let same = |(known, at, _): &(What, Piece, u64)| (*known, *at) == (what, piece);
        if let Some((.., sum)) = self.back.iter_mut().rev().find(|back| same(back)) {
            *sum = sum.saturating_add(amount);
        } else if self.back.len() < MAX_BACK {
            self.back.push((what, piece, amount));
        }
    }

    /// Something is no longer reserved, and something was spent.
    pub fn settle(&mut self, due: Due) {
        let known = self
            .tabs
            .iter_mut()
            .find(|known| (known.what, known.since) == (due.what, due.since));
        if let Some(known) = known {
            known.released = known.released.saturating_add(due.released);
            known.spent = known.spent.saturating_add(due.spent);
            return;
        }
        if self.tabs.len() >= MAX_TABS {
            // The longest ago: most likely its period is over.
            self.tabs.remove(0);
        }
        self.tabs.push(due);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::clients::Period;

    #[test]
    fn what_is_owed_is_summed_up() {
        let mut owed = Owed::default();
        let piece = Piece { number: 1, first: 5 };
        let due = |spent| Due {
            what: What::Budget(Period::Day),
            since: Since::default(),
            released: 2,
            spent,
        };
        for _ in 0..10_000 {
            owed.add(What::TokensPerMinute, 60_000, 3, 7);
            owed.give_back(What::TokensPerMinute, piece, 4);
            owed.settle(due(5));
        }
        assert_eq!(owed.adds[0].1.used(7), 30_000);
        assert_eq!(owed.back, [(What::TokensPerMinute, piece, 40_000)]);
        assert_eq!(
            owed.tabs,
            [Due {
                released: 20_000,
                ..due(50_000)
            }]
        );
        for number in 0..5_000 {
            owed.give_back(What::TokensPerDay, Piece { number, first: 0 }, 1);
        }
        assert_eq!(owed.back.len(), MAX_BACK);
    }
}
