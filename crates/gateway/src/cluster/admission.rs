//! One request, asked of Redis: what is sent, and what the answer means.

use std::sync::Arc;

use super::keys::Keys;
use super::link::{Link, Script};
use super::notes::kept;
use super::resp::{Command, Value};
use crate::limits::clock::Now;
use crate::limits::demand::Demand;
use crate::limits::headers::{Gauge, Standing};
use crate::limits::owed::Piece;
use crate::limits::period::{Over, Since};
use crate::limits::permit::{Hindrance, Told};
use crate::limits::refusal::{Obstacle, What};
use crate::limits::scope::{DAY, MINUTE};
use crate::limits::{Allowance, BudgetLimit, Level, Limits};

/// Numbers of the answer before those of the limits, and for each limit.
const HEAD: usize = 2;
const EACH: usize = 5;

/// A question: all limits of a request.
#[derive(Debug)]
pub struct Question<'a> {
    meters: Vec<Meter<'a>>,
    now: Now,
}

/// What was answered.
#[derive(Debug)]
pub struct Answer<'a> {
    /// The time, by Redis' clock, in milliseconds since 1970.
    pub time: u64,
    /// How far the limits are used up.
    pub standing: Standing,
    /// For each level, what an admitted request has to remember; or what stands in the way.
    pub admitted: Result<Vec<Told>, Hindrance<'a>>,
}

/// One limit.
#[derive(Debug)]
struct Meter<'a> {
    level: usize,
    of: &'a Level,
    what: What,
    limit: u64,
    amount: u64,
    since: Since,
    /// When the period ends, in milliseconds since 1970.
    ends: u64,
}

impl<'a> Question<'a> {
    /// Asks for a request.
    pub fn new(allowance: &'a Arc<Allowance>, demand: &Demand, now: Now) -> Self {
        let mut meters = Vec::new();
        for (level, of) in allowance.levels.iter().enumerate() {
            let windows = windows(&of.limits, demand).into_iter();
            let plain = windows.filter_map(|(what, limit, amount)| Some((what, limit?, amount, Since::default(), 0)));
            let budgets = of.limits.budgets.iter().map(|budget| {
                let (since, ends) = Since::at(budget.period, now.unix);
                (What::Budget(budget.period), budget.nano, demand.cost, since, ends)
            });
            meters.extend(plain.chain(budgets).map(|(what, limit, amount, since, ends)| Meter {
                level,
                of,
                what,
                limit,
                amount,
                since,
                ends,
            }));
        }
        Self { meters, now }
    }

    /// What is sent.
    pub fn command(&self, link: &Link, keys: &Keys) -> Command {
        let mut command = link.script(Script::Admit, 2 + self.meters.len());
        command.add(&keys.process);
        command.add(&keys.held);
        for meter in &self.meters {
            command.add(keys.of(&meter.of.scope.name, meter.what, meter.since.begins()));
        }
        command.number(link.epoch);
        for meter in &self.meters {
            let (kind, span) = match length(meter.what) {
                Some(length) => ("w", length),
                None => ("t", kept(meter.what, meter.since, self.now)),
            };
            command.add(kind);
            for number in [span, meter.amount, meter.limit] {
                command.number(number);
            }
        }
        command
    }

    /// What an answer means; `None` when it is none.
    pub fn read(self, value: &Value) -> Option<Answer<'a>> {
        let numbers = value.list();
        if numbers.len() != HEAD + EACH * self.meters.len() {
            return None;
        }
        let is_admitted = numbers.first()?.number() == 1;
        let levels = self.meters.last().map_or(0, |meter| meter.level + 1);
        let (mut told, mut hindrance) = (vec![Told::default(); levels], Hindrance::default());
        let mut standing = Standing::default();
        for (meter, numbers) in self.meters.iter().zip(numbers.get(HEAD..)?.chunks_exact(EACH)) {
            let reading = Reading::of(numbers)?;
            standing = standing.tighter(meter.gauge(&reading));
            if is_admitted {
                meter.remember(&reading, told.get_mut(meter.level)?);
            } else if let Some(obstacle) = meter.obstacle(&reading) {
                hindrance.add(obstacle, meter.of);
            }
        }
        Some(Answer {
            time: numbers.get(1)?.count(),
            standing,
            admitted: if is_admitted { Ok(told) } else { Err(hindrance) },
        })
    }
}

/// The limits that are no budgets, and what a request adds to each.
fn windows(limits: &Limits, demand: &Demand) -> [(What, Option<u64>, u64); 5] {
    [
        (What::Concurrent, limits.max_concurrent.map(u64::from), 1),
        (What::RequestsPerMinute, limits.requests_per_minute, 1),
        (What::RequestsPerDay, limits.requests_per_day, 1),
        (What::TokensPerMinute, limits.tokens_per_minute, demand.tokens),
        (What::TokensPerDay, limits.tokens_per_day, demand.tokens),
    ]
}

/// How long a window is; `None` where it is none.
fn length(what: What) -> Option<u64> {
    match what {
        What::RequestsPerMinute | What::TokensPerMinute => Some(MINUTE),
        What::RequestsPerDay | What::TokensPerDay => Some(DAY),
        What::Concurrent | What::Budget(_) => None,
    }
}

/// The numbers of one limit.
struct Reading {
    /// The sum of a window, or what is spent.
    sum: u64,
    /// How long a window makes the request wait, or what is reserved.
    second: i64,
    empties: u64,
    piece: Piece,
}

impl Reading {
    fn of(numbers: &[Value]) -> Option<Self> {
        let [sum, second, empties, number, first] = numbers else {
            return None;
        };
        Some(Self {
            sum: sum.count(),
            second: second.number(),
            empties: empties.count(),
            piece: Piece {
                number: number.count(),
                first: first.count(),
            },
        })
    }

    fn reserved(&self) -> u64 {
        u64::try_from(self.second).unwrap_or(0)
    }
}

impl Meter<'_> {
    fn gauge(&self, reading: &Reading) -> Standing {
        let gauge = Some(Gauge {
            limit: self.limit,
            remaining: self.limit.saturating_sub(reading.sum),
            resets_in: reading.empties,
        });
        match self.what {
            What::RequestsPerMinute | What::RequestsPerDay => Standing {
                requests: gauge,
                tokens: None,
            },
            What::TokensPerMinute | What::TokensPerDay => Standing {
                requests: None,
                tokens: gauge,
            },
            What::Concurrent | What::Budget(_) => Standing::default(),
        }
    }

    fn remember(&self, reading: &Reading, told: &mut Told) {
        let [minute, day] = &mut told.pieces;
        match self.what {
            What::TokensPerMinute => *minute = reading.piece,
            What::TokensPerDay => *day = reading.piece,
            What::Budget(period) => {
                let used = reading
                    .sum
                    .saturating_add(reading.reserved())
                    .saturating_add(self.amount);
                told.left.push((period, self.limit.saturating_sub(used)));
            }
            What::Concurrent | What::RequestsPerMinute | What::RequestsPerDay => {}
        }
    }

    /// What stands in the way, if this limit does.
    fn obstacle(&self, reading: &Reading) -> Option<Obstacle> {
        let is_full = |used: u64| used.saturating_add(self.amount) > self.limit;
        match self.what {
            What::Concurrent => is_full(reading.reserved()).then(|| Obstacle::concurrent(self.limit)),
            What::Budget(period) => {
                let over = Over {
                    settled: reading.sum,
                    reserved: reading.reserved(),
                    ends: Some(self.ends).filter(|ends| *ends < u64::MAX),
                };
                let budget = BudgetLimit {
                    period,
                    nano: self.limit,
                };
                is_full(over.settled.saturating_add(over.reserved)).then(|| Obstacle::budget(budget, over, self.amount))
            }
            what => is_full(reading.sum).then(|| {
                let wait = u64::try_from(reading.second).ok();
                Obstacle::window(what, self.limit, reading.sum, self.amount, wait)
            }),
        }
    }
}
