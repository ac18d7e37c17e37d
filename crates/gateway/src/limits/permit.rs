//! Admission, all or nothing, and what is held until the request is over.

use std::array;
use std::borrow::Cow;
use std::sync::{Arc, MutexGuard};

use super::clock::Now;
use super::demand::{Demand, Used};
use super::headers::Standing;
use super::owed::{Elsewhere, Piece};
use super::refusal::{Obstacle, Refused, Wait};
use super::scope::{Charge, State};
use super::{Allowance, Level, MOST_LEVELS};
use crate::config::clients::Period;

/// What an admitted request holds. It is settled once: with what the request came to, or else, when it is dropped, as one that
/// came to nothing.
#[derive(Debug)]
pub struct Permit {
    /// When the request was admitted.
    pub admitted: Now,
    allowance: Arc<Allowance>,
    demand: Demand,
    standing: Standing,
    charges: Vec<Charge>,
}

/// What stands in the way of a request, as far as it was found out.
#[derive(Debug, Default)]
pub struct Hindrance<'a> {
    first: Option<(Obstacle, &'a Level)>,
    wait: u64,
}

/// What shared counters said of one level of a request that they admitted.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// The pieces of the windows of the minute and of the day that its tokens are in.
    pub pieces: [Piece; 2],
    /// What is left of budgets for everybody, in nano-dollars.
    pub left: Vec<(Period, u64)>,
}

/// Admits a request at all levels of its caller, or says why not. `alone`: there are so many nodes of which nothing is known, and this
/// one has its share of the limits.
pub(super) fn admit(
    allowance: &Arc<Allowance>,
    demand: Demand,
    now: Now,
    alone: Option<u32>,
) -> Result<Permit, Refused> {
    let mut locked = lock(&allowance.levels);
    let mut limits =
        array::from_fn::<_, MOST_LEVELS, _>(|at| allowance.levels.get(at).map(|it| Cow::Borrowed(&it.limits)));
    if let Some(nodes) = alone {
        for ((state, level), limits) in locked.iter_mut().flatten().zip(limits.iter_mut().flatten()) {
            *limits = Cow::Owned(state.share(&level.limits, nodes, now.unix));
        }
    }
    let mut hindrance = Hindrance::default();
    for ((state, level), limits) in locked.iter_mut().flatten().zip(limits.iter().flatten()) {
        state.obstacles(limits, &demand, now, |obstacle| hindrance.add(obstacle, level));
    }
    let mut charges = Vec::new();
    if hindrance.first.is_none() {
        let elsewhere = if alone.is_some() {
            Elsewhere::Later
        } else {
            Elsewhere::Nowhere
        };
        let levels = locked.iter_mut().flatten();
        charges = levels
            .map(|(state, level)| state.take(&level.limits, &demand, now, elsewhere))
            .collect();
    }
    let standing = locked
        .iter_mut()
        .flatten()
        .zip(limits.iter().flatten())
        .map(|((state, _), limits)| state.standing(limits, now))
        .fold(Standing::default(), Standing::tighter);
    drop(locked);
    hindrance.or(standing)?;
    Ok(Permit {
        admitted: now,
        allowance: allowance.clone(),
        demand,
        standing,
        charges,
    })
}

/// Takes note of a request that shared counters have admitted, unless what they have told is of no use any more when it is known.
/// `told` has an entry for each level.
pub fn admitted(
    allowance: &Arc<Allowance>,
    demand: Demand,
    now: Now,
    (told, standing): (&[Told], Standing),
    nodes: u32,
    is_of_use: impl FnOnce() -> bool,
) -> Option<Permit> {
    let mut locked = lock(&allowance.levels);
    if !is_of_use() {
        return None;
    }
    let levels = locked.iter_mut().flatten().zip(told);
    let charges = levels.map(|((state, level), told)| {
        let charge = state.take(&level.limits, &demand, now, Elsewhere::Now(told.pieces));
        for (period, left) in &told.left {
            state.left(*period, *left, nodes, now.unix);
        }
        charge
    });
    let charges = charges.collect();
    drop(locked);
    Some(Permit {
        admitted: now,
        allowance: allowance.clone(),
        demand,
        standing,
        charges,
    })
}

/// The counters of all levels, locked in their order.
fn lock(levels: &[Level]) -> [Option<(MutexGuard<'_, State>, &Level)>; MOST_LEVELS] {
    array::from_fn(|at| levels.get(at).map(|level| (level.scope.lock(), level)))
}

impl<'a> Hindrance<'a> {
    /// Another limit stands in the way.
    pub fn add(&mut self, obstacle: Obstacle, level: &'a Level) {
        if let Wait::For(milliseconds) = obstacle.wait {
            self.wait = self.wait.max(milliseconds);
        }
        if self.first.is_none_or(|(first, _)| obstacle.rank() < first.rank()) {
            self.first = Some((obstacle, level));
        }
    }

    /// Refuses, where something stands in the way.
    pub fn or(self, standing: Standing) -> Result<(), Refused> {
        match self.first {
            None => Ok(()),
            Some((obstacle, level)) => Err(Refused {
                obstacle,
                scope: level.scope.name.clone(),
                wait: self.wait,
                standing: Box::new(standing),
            }),
        }
    }
}

impl Permit {
    /// How far the limits are used up, this request included.
    pub fn standing(&self) -> Standing {
        self.standing
    }

    /// Settles with what the request came to.
    pub fn settle(mut self, used: Used, now: Now) {
        if let Some(answer) = used.answer {
            self.allowance.client.saw_answer(answer);
        }
        self.close(used, now);
    }

    fn close(&mut self, used: Used, now: Now) {
        let charges = std::mem::take(&mut self.charges);
        for (level, charge) in self.allowance.levels.iter().zip(&charges) {
            let owes = level
                .scope
                .lock()
                .settle(charge, &level.limits, &self.demand, &used, now);
            if let Some(cluster) = self.allowance.cluster.as_ref().filter(|_| owes) {
                cluster.outbox.owes(&level.scope);
            }
        }
    }

    /// What tells the time.
    pub fn now(&self) -> Now {
        self.allowance.clock.now()
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if !self.charges.is_empty() {
            self.close(Used::default(), self.now());
        }
    }
}
