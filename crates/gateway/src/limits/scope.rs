//! What the requests of one client, or of one group, come to.

mod sharing;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use self::sharing::Sharing;
use super::Limits;
use super::clock::Now;
use super::demand::{Demand, Used};
use super::headers::{Gauge, Standing};
use super::owed::{Elsewhere, Owed};
use super::period::{Since, Spent};
use super::refusal::{Obstacle, What};
use super::window::{Full, Mark, Window};
use crate::config::clients::Period;

/// Milliseconds of a minute.
pub const MINUTE: u64 = 60 * 1000;
/// Milliseconds of a day.
pub const DAY: u64 = 24 * 60 * MINUTE;

/// Tokens that an answer is expected to have whose length nobody limits, before any was seen.
const USUAL_ANSWER: u64 = 512;

/// The counters of a client or a group.
#[derive(Debug)]
pub struct Scope {
    /// `client:NAME` or `group:NAME`.
    pub name: String,
    /// Its place in the order in which scopes are locked.
    pub number: u64,
    /// How many tokens its answers have, on an average that forgets.
    usual_answer: AtomicU64,
    state: Mutex<State>,
}

/// What is counted.
#[derive(Debug)]
pub struct State {
    requests_minute: Window,
    requests_day: Window,
    tokens_minute: Window,
    tokens_day: Window,
    concurrent: u32,
    /// By the place of the period in [`Period::ALL`].
    spent: [Spent; Period::ALL.len()],
    /// `None` when there is one node only.
    sharing: Option<Box<Sharing>>,
}

/// What is held and what was spent of a budget, or held of a place, as a node knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Own {
    /// Of what.
    pub what: What,
    /// In which period.
    pub since: Since,
    /// What requests under way hold.
    pub held: u64,
    /// What was spent.
    pub spent: u64,
}

/// What a request consumed when it was admitted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Charge {
    tokens_minute: Option<Mark>,
    tokens_day: Option<Mark>,
    spent: [Option<Since>; Period::ALL.len()],
    elsewhere: Elsewhere,
}

static SCOPES: AtomicU64 = AtomicU64::new(0);

impl Scope {
    /// A scope in which nothing was counted yet. `is_shared`: other nodes count in it too.
    pub fn new(name: &str, is_shared: bool) -> Self {
        Self {
            name: name.to_owned(),
            number: SCOPES.fetch_add(1, Ordering::Relaxed),
            usual_answer: AtomicU64::new(USUAL_ANSWER),
            state: Mutex::new(State::new(is_shared)),
        }
    }

    /// How many tokens an answer will probably have.
    pub fn usual_answer(&self) -> u64 {
        self.usual_answer.load(Ordering::Relaxed)
    }

    /// Learns from an answer how long answers are.
    pub fn saw_answer(&self, tokens: u64) {
        let before = self.usual_answer();
        // One that gets lost between two others does no harm.
        let after = (before.saturating_mul(7).saturating_add(tokens)).div_ceil(8);
        self.usual_answer.store(after, Ordering::Relaxed);
    }

    /// The counters, for one who decides.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn new(is_shared: bool) -> Self {
        Self {
            requests_minute: Window::new(MINUTE),
            requests_day: Window::new(DAY),
            tokens_minute: Window::new(MINUTE),
            tokens_day: Window::new(DAY),
            concurrent: 0,
            spent: [Spent::default(); Period::ALL.len()],
            sharing: is_shared.then(Box::default),
        }
    }

    /// Hands everything to `found` that stands in the way of a request.
    pub fn obstacles(&mut self, limits: &Limits, demand: &Demand, now: Now, mut found: impl FnMut(Obstacle)) {
        if let Some(limit) = limits.max_concurrent
            && self.concurrent >= limit
        {
            found(Obstacle::concurrent(limit.into()));
        }
        let windows = [
            (
                What::RequestsPerMinute,
                &mut self.requests_minute,
                limits.requests_per_minute,
                1,
            ),
            (What::RequestsPerDay, &mut self.requests_day, limits.requests_per_day, 1),
            (
                What::TokensPerMinute,
                &mut self.tokens_minute,
                limits.tokens_per_minute,
                demand.tokens,
            ),
            (
                What::TokensPerDay,
                &mut self.tokens_day,
                limits.tokens_per_day,
                demand.tokens,
            ),
        ];
        for (what, window, limit, amount) in windows {
            if let Some(limit) = limit
                && let Err(Full { used, until }) = window.fits(amount, limit, now.steady)
            {
                let wait = until.map(|until| until.saturating_sub(now.steady));
                found(Obstacle::window(what, limit, used, amount, wait));
            }
        }
        for budget in &limits.budgets {
            let spent = &mut self.spent[budget.period as usize];
            if let Err(over) = spent.fits(demand.cost, budget.nano, budget.period, now.unix) {
                found(Obstacle::budget(*budget, over, demand.cost));
            }
        }
    }

    /// Consumes what a request will probably come to.
    pub fn take(&mut self, limits: &Limits, demand: &Demand, now: Now, elsewhere: Elsewhere) -> Charge {
        self.concurrent = self.concurrent.saturating_add(1);
        if limits.requests_per_minute.is_some() {
            self.requests_minute.add(1, now.steady);
        }
        if limits.requests_per_day.is_some() {
            self.requests_day.add(1, now.steady);
        }
        let mut charge = Charge {
            elsewhere,
            ..Charge::default()
        };
        if let Some(sharing) = &mut self.sharing {
            sharing.take(limits, elsewhere, now);
        }
        if limits.tokens_per_minute.is_some() {
            charge.tokens_minute = Some(self.tokens_minute.add(demand.tokens, now.steady));
        }
        if limits.tokens_per_day.is_some() {
            charge.tokens_day = Some(self.tokens_day.add(demand.tokens, now.steady));
        }
        for budget in &limits.budgets {
            let at = budget.period as usize;
            charge.spent[at] = Some(self.spent[at].reserve(demand.cost, budget.period, now.unix));
        }
        charge
    }

    /// Puts what a request really came to in the place of what it was thought to come to. Fewer tokens are given back as of when
    /// it was admitted; more of them count from now on. Returns whether something is owed to shared counters that nobody knows of
    /// yet.
    pub fn settle(&mut self, charge: &Charge, limits: &Limits, demand: &Demand, used: &Used, now: Now) -> bool {
        self.concurrent = self.concurrent.saturating_sub(1);
        let windows = [
            (&mut self.tokens_minute, charge.tokens_minute),
            (&mut self.tokens_day, charge.tokens_day),
        ];
        for (window, mark) in windows {
            match mark {
                Some(mark) if used.tokens < demand.tokens => window.give_back(demand.tokens - used.tokens, mark),
                Some(_) if used.tokens > demand.tokens => {
                    window.add(used.tokens - demand.tokens, now.steady);
                }
                _ => {}
            }
        }
        for (spent, since) in self.spent.iter_mut().zip(charge.spent) {
            if let Some(since) = since {
                spent.settle(demand.cost, used.cost, since);
            }
        }
        match &mut self.sharing {
            Some(sharing) => {
                sharing.settle(charge, limits, demand, used, now);
                sharing.owes_anew()
            }
            None => false,
        }
    }

    /// Whether something is owed to shared counters that nobody knows of yet. From now on somebody does.
    pub fn owes_anew(&mut self) -> bool {
        self.sharing.as_mut().is_some_and(|sharing| sharing.owes_anew())
    }

    /// Takes what is owed to shared counters.
    pub fn take_owed(&mut self) -> Owed {
        let sharing = self.sharing.as_mut();
        sharing.map(|sharing| sharing.take_owed()).unwrap_or_default()
    }

    /// Forgets what is owed of spending.
    pub fn forget_spending(&mut self) {
        if let Some(sharing) = &mut self.sharing {
            sharing.forget_spending();
        }
    }

    /// Whether something is owed.
    pub fn owes(&self) -> bool {
        self.sharing.as_ref().is_some_and(|sharing| sharing.is_listed())
    }

    /// What requests under way hold, and what was spent: for shared counters that have released what was held.
    pub fn own(&mut self, now: u64) -> Vec<Own> {
        let held = self.sharing.as_ref().map_or(0, |sharing| sharing.held());
        let concurrent = Own {
            what: What::Concurrent,
            since: Since::default(),
            held: held.into(),
            spent: 0,
        };
        let budgets = Period::ALL.into_iter().zip(&mut self.spent).map(|(period, spent)| {
            let (settled, held) = spent.standing(period, now);
            Own {
                what: What::Budget(period),
                since: spent.since(),
                held,
                spent: settled,
            }
        });
        let all = std::iter::once(concurrent).chain(budgets);
        all.filter(|own| own.held > 0 || own.spent > 0).collect()
    }

    /// The node's own windows.
    pub fn own_windows(&self) -> [(What, &Window); 4] {
        [
            (What::RequestsPerMinute, &self.requests_minute),
            (What::RequestsPerDay, &self.requests_day),
            (What::TokensPerMinute, &self.tokens_minute),
            (What::TokensPerDay, &self.tokens_day),
        ]
    }

    /// Notes how much of a budget is left for everybody: a node that is alone has its share of that.
    pub fn left(&mut self, period: Period, left: u64, nodes: u32, now: u64) {
        let spent = &mut self.spent[period as usize];
        let (settled, reserved) = spent.standing(period, now);
        let share = left / u64::from(nodes.max(1));
        let most = settled.saturating_add(reserved).saturating_add(share);
        if let Some(sharing) = &mut self.sharing {
            sharing.note_alone(period, spent.since(), most);
        }
    }

    /// The part of the limits that a node has which does not know what the others do.
    pub fn share(&mut self, limits: &Limits, nodes: u32, now: u64) -> Limits {
        let part = |limit: u64| (limit / u64::from(nodes.max(1))).max(1);
        let mut share = Limits {
            requests_per_minute: limits.requests_per_minute.map(part),
            requests_per_day: limits.requests_per_day.map(part),
            tokens_per_minute: limits.tokens_per_minute.map(part),
            tokens_per_day: limits.tokens_per_day.map(part),
            max_concurrent: limits.max_concurrent.map(|limit| (limit / nodes.max(1)).max(1)),
            budgets: limits.budgets.clone(),
        };
        for budget in &mut share.budgets {
            let (since, _) = Since::at(budget.period, now);
            let sharing = self.sharing.as_ref();
            let known = sharing.and_then(|sharing| sharing.alone(budget.period, since));
            budget.nano = known.unwrap_or(part(budget.nano)).min(budget.nano);
        }
        share
    }

    /// How far the limits are used up.
    pub fn standing(&mut self, limits: &Limits, now: Now) -> Standing {
        let gauge = |window: &mut Window, limit: Option<u64>| {
            limit.map(|limit| Gauge {
                limit,
                remaining: limit.saturating_sub(window.used(now.steady)),
                resets_in: window.empty_at().unwrap_or(now.steady).saturating_sub(now.steady),
            })
        };
        Standing {
            requests: Gauge::tighter(
                gauge(&mut self.requests_minute, limits.requests_per_minute),
                gauge(&mut self.requests_day, limits.requests_per_day),
            ),
            tokens: Gauge::tighter(
                gauge(&mut self.tokens_minute, limits.tokens_per_minute),
                gauge(&mut self.tokens_day, limits.tokens_per_day),
            ),
        }
    }

    /// Notes what was consumed from `first` to `last` before the process began, the oldest first.
    pub fn restore_window(&mut self, length: u64, requests: u64, tokens: u64, (first, last): (u64, u64)) {
        let (of_requests, of_tokens) = if length == DAY {
            (&mut self.requests_day, &mut self.tokens_day)
        } else {
            (&mut self.requests_minute, &mut self.tokens_minute)
        };
        of_requests.add_since(requests, first, last);
        of_tokens.add_since(tokens, first, last);
    }

    /// Notes what was spent before the process began.
    pub fn restore_spent(&mut self, period: Period, sum: u64, now: u64) {
        self.spent[period as usize].restore(sum, period, now);
    }

    /// What is spent and what is reserved in a period, in nano-dollars.
    pub fn spent(&mut self, period: Period, now: u64) -> (u64, u64) {
        self.spent[period as usize].standing(period, now)
    }
}
