//! Admission, all or nothing, and what is held until the request is over.

use std::array;
use std::sync::{Arc, MutexGuard};

use super::clock::Now;
use super::demand::{Demand, Used};
use super::headers::Standing;
use super::refusal::{Obstacle, Refused, Wait};
use super::scope::{Charge, State};
use super::{Allowance, Level, MOST_LEVELS};

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

/// Admits a request at all levels of its caller, or says why not.
pub(super) fn admit(allowance: &Arc<Allowance>, demand: Demand, now: Now) -> Result<Permit, Refused> {
    let mut locked = lock(&allowance.levels);
    let mut first: Option<(Obstacle, &Level)> = None;
    let mut wait = 0;
    for (state, level) in locked.iter_mut().flatten() {
        state.obstacles(&level.limits, &demand, now, |obstacle| {
            if let Wait::For(milliseconds) = obstacle.wait {
                wait = wait.max(milliseconds);
            }
            if first.is_none_or(|(first, _)| obstacle.rank() < first.rank()) {
                first = Some((obstacle, *level));
            }
        });
    }
    let mut charges = Vec::new();
    if first.is_none() {
        let levels = locked.iter_mut().flatten();
        charges = levels
            .map(|(state, level)| state.take(&level.limits, &demand, now))
            .collect();
    }
    let standing = locked
        .iter_mut()
        .flatten()
        .map(|(state, level)| state.standing(&level.limits, now))
        .fold(Standing::default(), Standing::tighter);
    if let Some((obstacle, level)) = first {
        return Err(Refused {
            obstacle,
            scope: level.scope.name.clone(),
            wait,
            standing: Box::new(standing),
        });
    }
    drop(locked);
    Ok(Permit {
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
            level.scope.lock().settle(charge, &self.demand, &used, now);
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
