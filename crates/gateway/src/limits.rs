//! How much a caller may ask for: requests and tokens in a time, requests at a time, and money.
//!
//! Each client and each group has a [`Scope`] in which is counted what its requests come to. A request is admitted by all of
//! its scopes at once, with what it will probably come to, or by none; then it holds a [`Permit`], which is settled with what it
//! really came to when the request is over, in whatever way. Who has no limits has no [`Allowance`], and costs nothing.
//!
//! All of it is pure but for [`clock`]: the time comes from outside. Several nodes count together in Redis ([`crate::cluster`]): then
//! the counters here know what their node does, for the time when Redis is away.

pub mod clock;
pub mod demand;
pub mod headers;
pub mod owed;
pub mod period;
pub mod permit;
pub mod refusal;
pub mod restore;
pub mod scope;
pub mod window;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use self::clock::{Clock, Now};
use self::demand::Demand;
use self::permit::Permit;
use self::refusal::Refused;
use self::scope::Scope;
use crate::cluster::Cluster;
use crate::config::access::ClientConfig;
use crate::config::clients::Period;

/// A client, and as many groups of groups above it.
pub const MOST_LEVELS: usize = 5;

/// Scopes that are remembered at most, beside those that are in use.
const MAX_KNOWN: usize = 10_000;

/// What a client or a group may come to. What is `None` has no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Requests in any 60 seconds.
    pub requests_per_minute: Option<u64>,
    /// Requests in any 24 hours.
    pub requests_per_day: Option<u64>,
    /// Tokens in any 60 seconds.
    pub tokens_per_minute: Option<u64>,
    /// Tokens in any 24 hours.
    pub tokens_per_day: Option<u64>,
    /// Requests under way at the same time.
    pub max_concurrent: Option<u32>,
    /// Money, one for each period at most.
    pub budgets: Vec<BudgetLimit>,
}

/// What may be spent in a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BudgetLimit {
    /// The period.
    pub period: Period,
    /// In nano-dollars.
    pub nano: u64,
}

/// What one client may come to, at all levels.
#[derive(Debug)]
pub struct Allowance {
    /// Where the client itself is counted, also when it has no limits of its own.
    pub client: Arc<Scope>,
    /// The scopes with limits, in the order in which they are locked.
    pub levels: Vec<Level>,
    /// What tells the time.
    pub clock: Clock,
    /// Who counts together with others; `None` when there is one node only.
    pub cluster: Option<Arc<Cluster>>,
}

/// A scope, and what it may come to.
#[derive(Debug)]
pub struct Level {
    /// Where it is counted.
    pub scope: Arc<Scope>,
    /// What it may come to.
    pub limits: Limits,
}

/// All scopes, by name. They outlive a change of configuration.
#[derive(Debug)]
pub struct Scopes {
    clock: Clock,
    cluster: Option<Arc<Cluster>>,
    by_name: Mutex<HashMap<String, Arc<Scope>>>,
}

/// Admits a request, or says why not. A request that is refused has consumed nothing.
///
/// Counters that are here answer at once; those that several nodes share take a round trip. While they are away, the node has its
/// share of the limits.
pub async fn admit(allowance: &Arc<Allowance>, demand: Demand, now: Now) -> Result<Permit, Refused> {
    let Some(cluster) = &allowance.cluster else {
        return permit::admit(allowance, demand, now, None);
    };
    if let Some(told) = Box::pin(cluster.admit(allowance, demand, now)).await {
        return told;
    }
    let admitted = permit::admit(allowance, demand, now, Some(cluster.nodes()))?;
    // What is consumed meanwhile is told when they are back.
    for level in &allowance.levels {
        if level.scope.lock().owes_anew() {
            cluster.outbox.owes(&level.scope);
        }
    }
    Ok(admitted)
}

// === impl Limits ===

impl Limits {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether it matters how many tokens a request has.
    fn counts_tokens(&self) -> bool {
        self.tokens_per_minute.is_some() || self.tokens_per_day.is_some()
    }
}

// === impl Allowance ===

impl Allowance {
    /// Whether it matters how many tokens a request has.
    pub fn counts_tokens(&self) -> bool {
        self.levels.iter().any(|level| level.limits.counts_tokens())
    }

    /// Whether it matters what a request costs.
    pub fn counts_money(&self) -> bool {
        self.levels.iter().any(|level| !level.limits.budgets.is_empty())
    }
}

// === impl Scopes ===

impl Scopes {
    /// None yet. `cluster`: who counts in them together with others.
    pub fn new(clock: Clock, cluster: Option<Arc<Cluster>>) -> Self {
        Self {
            clock,
            cluster,
            by_name: Mutex::default(),
        }
    }

    /// What tells the time.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// What a client may come to; `None` when nothing limits it.
    pub fn allowance(&self, client: &ClientConfig) -> Option<Arc<Allowance>> {
        let mut levels: Vec<Level> = client
            .levels
            .iter()
            .filter(|level| !level.limits.is_empty())
            .map(|level| Level {
                scope: self.scope(&level.scope),
                limits: level.limits.clone(),
            })
            .collect();
        // Everybody locks them in the same order, so that nobody waits for one who waits for them.
        levels.sort_by_key(|level| level.scope.number);
        let own = client.levels.first().filter(|_| !levels.is_empty())?;
        Some(Arc::new(Allowance {
            client: self.scope(&own.scope),
            levels,
            clock: self.clock,
            cluster: self.cluster.clone(),
        }))
    }

    /// Who counts in them together with others.
    pub fn cluster(&self) -> Option<&Arc<Cluster>> {
        self.cluster.as_ref()
    }

    /// All of them.
    pub fn all(&self) -> Vec<Arc<Scope>> {
        let scopes = self.by_name.lock().unwrap_or_else(PoisonError::into_inner);
        scopes.values().cloned().collect()
    }

    /// The scope of a name.
    pub fn scope(&self, name: &str) -> Arc<Scope> {
        let mut scopes = self.by_name.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = scopes.get(name) {
            return known.clone();
        }
        if scopes.len() >= MAX_KNOWN {
            scopes.retain(|_, scope| Arc::strong_count(scope) > 1);
        }
        let new = Arc::new(Scope::new(name, self.cluster.is_some()));
        scopes.insert(name.to_owned(), new.clone());
        new
    }
}

#[cfg(test)]
mod tests;
