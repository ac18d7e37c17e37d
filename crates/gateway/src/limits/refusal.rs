//! Why a request is not admitted, and what its caller is told.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::BudgetLimit;
use super::headers::Standing;
use super::period::Over;
use crate::config::clients::Period;
use crate::failure::Failure;
use crate::ledger::report::dollars;

/// What is limited, in the order in which it is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// Requests under way at the same time.
    Concurrent,
    /// Requests in any 60 seconds.
    RequestsPerMinute,
    /// Requests in any 24 hours.
    RequestsPerDay,
    /// Tokens in any 60 seconds.
    TokensPerMinute,
    /// Tokens in any 24 hours.
    TokensPerDay,
    /// Money in a period.
    Budget(Period),
}

/// How long it stands in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// For so many milliseconds, if nothing else comes.
    For(u64),
    /// Until requests are over that are under way.
    ForOthers,
    /// Until a moment, in milliseconds since 1970, or for good.
    UntilNextPeriod(Option<u64>),
    /// The request is larger than the whole limit.
    Forever,
}

/// One limit that stands in the way of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Obstacle {
    /// What is limited.
    pub what: What,
    /// How much there may be: a number, or nano-dollars.
    pub limit: u64,
    /// How much there is.
    pub used: u64,
    /// How much the request would add.
    pub asked: u64,
    /// How long it stands in the way.
    pub wait: Wait,
}

/// A request that is not admitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The first limit that stands in the way.
    pub obstacle: Obstacle,
    /// Whose limit it is: `client:NAME` or `group:NAME`.
    pub scope: String,
    /// In how many milliseconds no limit will stand in the way that passes with time.
    pub wait: u64,
    /// How far the limits are used up.
    pub standing: Box<Standing>,
}

// === impl Obstacle ===

impl Obstacle {
    /// Too many requests are under way.
    pub fn concurrent(limit: u64) -> Self {
        Self {
            what: What::Concurrent,
            limit,
            used: limit,
            asked: 1,
            wait: Wait::ForOthers,
        }
    }

    /// A window is full for `wait` milliseconds; `None` when the request never fits.
    pub fn window(what: What, limit: u64, used: u64, asked: u64, wait: Option<u64>) -> Self {
        Self {
            what,
            limit,
            used,
            asked,
            wait: wait.map_or(Wait::Forever, Wait::For),
        }
    }

    /// A budget does not suffice.
    pub fn budget(budget: BudgetLimit, over: Over, asked: u64) -> Self {
        let wait = if asked > budget.nano {
            Wait::Forever
        } else if over.settled.saturating_add(asked) > budget.nano {
            Wait::UntilNextPeriod(over.ends)
        } else {
            Wait::ForOthers
        };
        Self {
            what: What::Budget(budget.period),
            limit: budget.nano,
            used: over.settled,
            asked,
            wait,
        }
    }

    /// How urgent it is to tell of it: what no waiting helps against, then money, then the order of the limits.
    pub fn rank(&self) -> (u8, What) {
        let rank = match self.wait {
            Wait::Forever => 0,
            Wait::UntilNextPeriod(_) => 1,
            Wait::For(_) | Wait::ForOthers => 2,
        };
        (rank, self.what)
    }

    fn is_money(&self) -> bool {
        matches!(self.what, What::Budget(_))
    }
}

impl What {
    /// What is counted, and over which time.
    fn unit(self) -> (&'static str, &'static str) {
        match self {
            Self::Concurrent => ("requests", " at a time"),
            Self::RequestsPerMinute => ("requests", " per minute"),
            Self::RequestsPerDay => ("requests", " per day"),
            Self::TokensPerMinute => ("tokens", " per minute"),
            Self::TokensPerDay => ("tokens", " per day"),
            Self::Budget(Period::Hour) => ("USD", " per hour"),
            Self::Budget(Period::Day) => ("USD", " per day"),
            Self::Budget(Period::Week) => ("USD", " per week"),
            Self::Budget(Period::Month) => ("USD", " per month"),
            Self::Budget(Period::Total) => ("USD", " in total"),
        }
    }
}

// === Failures ===

impl Refused {
    /// Whose limit it is, for people: `the client team-a`.
    fn whose(&self) -> String {
        match self.scope.split_once(':') {
            Some((kind, name)) => format!("the {kind} `{name}`"),
            None => self.scope.clone(),
        }
    }

    /// In how many whole seconds the request may succeed.
    fn seconds(&self) -> u32 {
        u32::try_from(self.wait.div_ceil(1000)).unwrap_or(u32::MAX).max(1)
    }

    fn message(&self) -> String {
        let Obstacle {
            what,
            limit,
            used,
            asked,
            wait,
        } = self.obstacle;
        let (unit, per) = what.unit();
        let whose = self.whose();
        let sum = |sum: u64| {
            if self.obstacle.is_money() {
                format!("${}", dollars(sum))
            } else {
                sum.to_string()
            }
        };
        match wait {
            Wait::Forever if self.obstacle.is_money() => format!(
                "This request may cost {}, and the whole budget of {whose} is {}{per}. Ask for less: a shorter prompt, a smaller limit for the answer, or fewer pictures.",
                sum(asked),
                sum(limit),
            ),
            Wait::Forever => format!(
                "This request needs about {asked} {unit}, and {whose} may have {limit}{per}. Ask for less: a shorter prompt, or a smaller limit for the answer."
            ),
            Wait::UntilNextPeriod(ends) => {
                let mut message = format!(
                    "The budget of {whose} is used up: {} of {}{per} are spent, and this request may cost {}.",
                    sum(used),
                    sum(limit),
                    sum(asked),
                );
                if let Some(ends) = ends {
                    let _ = write!(message, " It begins anew at {}.", moment(ends));
                }
                message
            }
            Wait::ForOthers if self.obstacle.is_money() => format!(
                "What is left of the budget of {whose} ({} of {}{per} are spent) is reserved for requests under way. Try again when they are over.",
                sum(used),
                sum(limit),
            ),
            Wait::ForOthers => format!(
                "Rate limit exceeded: {used}/{limit} {unit}{per} for {whose}. Try again when one of them is over."
            ),
            Wait::For(_) => {
                let needs = match what {
                    What::TokensPerMinute | What::TokensPerDay => format!(", and this request needs about {asked}"),
                    _ => String::new(),
                };
                format!(
                    "Rate limit exceeded: {used}/{limit} {unit}{per} for {whose}{needs}. Try again in {} s.",
                    self.seconds()
                )
            }
        }
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        let message = refused.message();
        let failure = match refused.obstacle.wait {
            Wait::Forever => Self::larger_than_limit(message),
            Wait::UntilNextPeriod(_) => Self::over_budget(message),
            Wait::For(_) | Wait::ForOthers => Self::over_limit(message, refused.seconds()),
        };
        Self {
            standing: Some(refused.standing),
            ..failure
        }
    }
}

/// A moment in milliseconds since 1970, as RFC 3339 has it.
pub(super) fn moment(milliseconds: u64) -> Timestamp {
    let milliseconds = i64::try_from(milliseconds).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(milliseconds).unwrap_or(Timestamp::MAX)
}
