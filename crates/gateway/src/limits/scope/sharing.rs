//! What a scope has to do with counters that several nodes share: what it owes them, and what it may do without them.

use super::{Charge, DAY, MINUTE};
use crate::config::clients::Period;
use crate::limits::Limits;
use crate::limits::clock::Now;
use crate::limits::demand::{Demand, Used};
use crate::limits::owed::{Due, Elsewhere, Owed};
use crate::limits::period::Since;
use crate::limits::refusal::What;

/// What a node has to do with counters that it shares with others.
#[derive(Debug, Default)]
pub(super) struct Sharing {
    owed: Owed,
    /// Somebody knows that something is owed.
    is_listed: bool,
    /// Requests under way that count as such.
    held: u32,
    /// What may be spent here in a period while the shared counters are away.
    alone: [Option<(Since, u64)>; Period::ALL.len()],
}

impl Sharing {
    /// Notes a request that is admitted.
    pub(super) fn take(&mut self, limits: &Limits, elsewhere: Elsewhere, now: Now) {
        self.held = self.held.saturating_add(u32::from(limits.max_concurrent.is_some()));
        if elsewhere != Elsewhere::Later {
            return;
        }
        if limits.requests_per_minute.is_some() {
            self.owed.add(What::RequestsPerMinute, MINUTE, 1, now.steady);
        }
        if limits.requests_per_day.is_some() {
            self.owed.add(What::RequestsPerDay, DAY, 1, now.steady);
        }
    }

    /// Notes what a request really came to.
    pub(super) fn settle(&mut self, charge: &Charge, limits: &Limits, demand: &Demand, used: &Used, now: Now) {
        let windows = [
            (What::TokensPerMinute, MINUTE, charge.tokens_minute),
            (What::TokensPerDay, DAY, charge.tokens_day),
        ];
        for (at, (what, length, mark)) in windows.into_iter().enumerate() {
            match charge.elsewhere {
                _ if mark.is_none() => {}
                Elsewhere::Now(pieces) if used.tokens < demand.tokens => {
                    self.owed.give_back(what, pieces[at], demand.tokens - used.tokens);
                }
                Elsewhere::Now(_) if used.tokens > demand.tokens => {
                    self.owed.add(what, length, used.tokens - demand.tokens, now.steady);
                }
                Elsewhere::Later if used.tokens > 0 => self.owed.add(what, length, used.tokens, now.steady),
                _ => {}
            }
        }
        if limits.max_concurrent.is_some() {
            self.held = self.held.saturating_sub(1);
            self.owed.settle(Due {
                what: What::Concurrent,
                since: Since::default(),
                released: 1,
                spent: 0,
            });
        }
        for (period, since) in Period::ALL.into_iter().zip(charge.spent) {
            if let Some(since) = since
                && (demand.cost > 0 || used.cost > 0)
            {
                self.owed.settle(Due {
                    what: What::Budget(period),
                    since,
                    released: demand.cost,
                    spent: used.cost,
                });
            }
        }
    }

    /// Whether something is owed that nobody knows of yet. From now on somebody does.
    pub(super) fn owes_anew(&mut self) -> bool {
        let is_new = !self.is_listed && !self.owed.is_empty();
        self.is_listed |= is_new;
        is_new
    }

    /// Whether somebody knows that something is owed.
    pub(super) fn is_listed(&self) -> bool {
        self.is_listed
    }

    /// Takes what is owed.
    pub(super) fn take_owed(&mut self) -> Owed {
        self.is_listed = false;
        std::mem::take(&mut self.owed)
    }

    /// Forgets what is owed of spending.
    pub(super) fn forget_spending(&mut self) {
        for due in &mut self.owed.tabs {
            due.spent = 0;
        }
    }

    /// Requests under way that count as such.
    pub(super) fn held(&self) -> u32 {
        self.held
    }

    /// Notes what may be spent here in a period while the shared counters are away.
    pub(super) fn note_alone(&mut self, period: Period, since: Since, most: u64) {
        self.alone[period as usize] = Some((since, most));
    }

    /// What may be spent here in a period while the shared counters are away, if that was noted.
    pub(super) fn alone(&self, period: Period, since: Since) -> Option<u64> {
        let noted = self.alone[period as usize].filter(|(of, _)| *of == since);
        noted.map(|(_, most)| most)
    }
}
