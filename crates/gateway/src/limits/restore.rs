//! What was consumed before the process began, as far as the ledger knows.

use std::collections::HashMap;

use super::clock::Now;
use super::period::bounds;
use super::scope::{DAY, MINUTE};
use super::{Limits, Scopes};
use crate::config::access::{AccessConfig, LevelConfig};
use crate::config::clients::Period;
use crate::store::Error;
use crate::store::findings::{Consumed, Spent};
use crate::store::reader::Reader;

/// What the ledger is asked for in pieces so many of which are a window.
const PIECES: u64 = 256;

/// What clients consumed, the oldest first.
#[derive(Debug, Default)]
pub struct Past {
    /// In the last minute and day.
    windows: Vec<(u64, Vec<Consumed>)>,
    /// In nano-dollars in each period, by client.
    spent: Vec<(Period, Vec<Spent>)>,
}

/// What was spent in a scope, in the period that it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Total {
    /// `client:NAME` or `group:NAME`.
    pub scope: String,
    /// The period.
    pub period: Period,
    /// In nano-dollars.
    pub spent: u64,
}

impl Past {
    /// Reads what the limits of some clients depend on, and nothing else.
    pub fn read(ledger: &mut Reader, access: &AccessConfig, now: Now) -> Result<Self, Error> {
        let limits: Vec<&Limits> = access.limits().collect();
        let any = |is: fn(&Limits) -> bool| limits.iter().any(|limits| is(limits));
        let mut past = Self::default();
        let windows = [
            (
                MINUTE,
                any(|it| it.requests_per_minute.or(it.tokens_per_minute).is_some()),
            ),
            (DAY, any(|it| it.requests_per_day.or(it.tokens_per_day).is_some())),
        ];
        for (length, is_needed) in windows {
            if is_needed {
                let since = now.unix.saturating_sub(length);
                past.windows.push((length, ledger.consumed(since, length / PIECES)?));
            }
        }
        let budgets = || limits.iter().flat_map(|limits| &limits.budgets);
        for period in Period::ALL {
            if budgets().any(|budget| budget.period == period) {
                let (begins, _) = bounds(period, now.unix);
                past.spent.push((period, ledger.spent(begins)?));
            }
        }
        Ok(past)
    }

    /// Notes all of it where it counts: with each client, and with its groups.
    pub fn restore(&self, scopes: &Scopes, access: &AccessConfig, now: Now) {
        let places = Places::of(access);
        for (length, pieces) in &self.windows {
            for piece in pieces {
                let time = (piece.first, piece.last.max(piece.first));
                for scope in places.scopes(&piece.client, &piece.group) {
                    let scope = scopes.scope(scope);
                    scope.lock().restore_window(*length, piece.requests, piece.tokens, time);
                }
            }
        }
        for (period, clients) in &self.spent {
            for Spent { client, group, cost } in clients {
                for scope in places.scopes(client, group) {
                    scopes.scope(scope).lock().restore_spent(*period, *cost, now.unix);
                }
            }
        }
    }

    /// What was spent, with each client and with its groups.
    pub fn totals(&self, access: &AccessConfig) -> Vec<Total> {
        let places = Places::of(access);
        let mut totals: HashMap<(&str, Period), u64> = HashMap::new();
        for (period, clients) in &self.spent {
            for Spent { client, group, cost } in clients {
                for scope in places.scopes(client, group) {
                    let total = totals.entry((scope, *period)).or_default();
                    *total = total.saturating_add(*cost);
                }
            }
        }
        let totals = totals.into_iter();
        totals
            .map(|((scope, period), spent)| Total {
                scope: scope.to_owned(),
                period,
                spent,
            })
            .collect()
    }
}

/// Where what clients consumed is counted now.
struct Places<'a> {
    /// Several keys of one name are one client.
    clients: HashMap<&'a str, &'a [LevelConfig]>,
    /// The scopes of each group, and of those above it.
    groups: HashMap<&'a str, Vec<String>>,
}

impl<'a> Places<'a> {
    fn of(access: &'a AccessConfig) -> Self {
        let clients = access.all();
        let groups = access.groups.iter();
        Self {
            clients: clients
                .map(|client| (client.name.as_str(), client.levels.as_slice()))
                .collect(),
            groups: groups
                .map(|group| (group.name.as_str(), access.scopes_of(group)))
                .collect(),
        }
    }

    /// The scopes of what a client consumed as a member of a group: its own, if there is still such a client, and those of the
    /// group, whoever belongs to it now. What has no group counts where the client belongs now.
    fn scopes(&self, client: &str, group: &str) -> impl Iterator<Item = &str> {
        let levels = self.clients.get(client).copied().unwrap_or_default();
        let levels = levels.iter().map(|level| level.scope.as_str());
        let count = if group.is_empty() { usize::MAX } else { 1 };
        let groups = self.groups.get(group).into_iter().flatten();
        levels.take(count).chain(groups.map(String::as_str))
    }
}
