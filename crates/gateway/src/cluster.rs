//! Several nodes that share limits, budgets, rests of keys and answers that are kept, by way of Redis.
//!
//! A request is admitted by one script in one round trip, all of its limits at once, by Redis' own clock. What it came to is told
//! later, beside the requests. Each node keeps counting for itself too: when Redis does not answer, it goes on at once with its share of the
//! limits, and when Redis is back it hears what happened meanwhile. No request waits for Redis for longer than the timeout,
//! and none fails because of it.

pub mod address;
pub mod admission;
pub mod answers;
pub mod connection;
pub mod identity;
pub mod keeper;
pub mod keys;
pub mod link;
pub mod notes;
pub mod resp;
pub mod rests;

use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwapOption;
use serde::Serialize;
use tokio::sync::{Notify, mpsc};

use self::admission::{Answer, Question};
use self::answers::Answers;
use self::connection::Error;
use self::keys::Keys;
use self::link::Link;
use self::notes::Outbox;
use crate::config::ClusterConfig;
use crate::keys::News;
use crate::limits::Allowance;
use crate::limits::clock::Now;
use crate::limits::demand::Demand;
use crate::limits::permit::{self, Permit};
use crate::limits::refusal::Refused;

/// Clocks that differ by no more milliseconds than this show the same.
const A_ROUND_TRIP: u64 = 500;

/// Rests of keys that wait to be told at most; the others find out about more by themselves.
const MAX_NEWS: usize = 1024;

/// A node among others.
#[derive(Debug)]
pub struct Cluster {
    config: ClusterConfig,
    keys: Keys,
    /// The connection, while Redis answers.
    link: ArcSwapOption<Link>,
    epoch: AtomicU64,
    /// How many nodes there were when Redis was last asked.
    seen: AtomicU32,
    /// How many milliseconds Redis' clock is ahead of this machine's.
    ahead: AtomicI64,
    /// What Redis has not been told.
    pub outbox: Outbox,
    /// Answers that are kept for all nodes.
    pub answers: Arc<Answers>,
    /// Rests of keys that the others should know of: the end where they are put in, and where they are taken out.
    herald: mpsc::Sender<News>,
    news: tokio::sync::Mutex<mpsc::Receiver<News>>,
    /// Somebody has found that Redis does not answer.
    lost: Notify,
    trouble: Mutex<Trouble>,
}

/// Why Redis is away, and since when.
#[derive(Clone, Debug, Default)]
struct Trouble {
    since: Option<jiff::Timestamp>,
    error: Option<Error>,
}

/// How the cluster is, for people.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// `shared`: limits are counted together. `alone`: Redis is away, and this node has its share of them.
    pub state: &'static str,
    /// How many nodes there are, or by how many limits are shared.
    pub nodes: u32,
    /// Since when Redis is away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Cluster {
    /// A node that has not met the others. `ledger` is what its ledger is called, if it has one of its own.
    pub fn new(config: ClusterConfig, ledger: Option<String>) -> Self {
        let keys = Keys::new(&config.name, ledger);
        let (herald, news) = mpsc::channel(MAX_NEWS);
        Self {
            answers: Arc::new(Answers::new(config.clone(), &keys)),
            config,
            keys,
            herald,
            news: tokio::sync::Mutex::new(news),
            link: ArcSwapOption::empty(),
            epoch: AtomicU64::new(0),
            seen: AtomicU32::new(1),
            ahead: AtomicI64::new(0),
            outbox: Outbox::default(),
            lost: Notify::new(),
            trouble: Mutex::default(),
        }
    }

    /// What it was made from.
    pub fn config(&self) -> &ClusterConfig {
        &self.config
    }

    /// Where rests of keys are told that the others should know of.
    pub fn herald(&self) -> mpsc::Sender<News> {
        self.herald.clone()
    }

    /// By how many nodes limits are shared while Redis is away.
    pub fn nodes(&self) -> u32 {
        self.config
            .nodes
            .unwrap_or_else(|| self.seen.load(Ordering::Relaxed))
            .max(1)
    }

    /// Asks whether a request is admitted; `None` when nobody answers.
    pub async fn admit(&self, allowance: &Arc<Allowance>, demand: Demand, now: Now) -> Option<Result<Permit, Refused>> {
        let link = self.link.load_full()?;
        let here = now.unix;
        let now = self.by_the_clock_of_all(now);
        match self.ask(&link, allowance, &demand, now).await {
            Ok(answer) => {
                self.synchronise(answer.time, here);
                self.take(&link, allowance, demand, now, answer)
            }
            Err(error) => {
                self.lose(&link, error);
                None
            }
        }
    }

    async fn ask<'a>(
        &self,
        link: &Link,
        allowance: &'a Arc<Allowance>,
        demand: &Demand,
        now: Now,
    ) -> Result<Answer<'a>, Error> {
        // A place that was given back at this node must be known before the next request asks for it.
        if allowance.levels.iter().any(|level| level.scope.lock().owes()) {
            self.outbox.flush(link, &self.keys, now)?;
        } else {
            self.outbox.wait_for_flush();
        }
        let question = Question::new(allowance, demand, now);
        let pending = link.connection.send(&question.command(link, &self.keys))?;
        let value = pending.within(self.config.timeout).await?;
        question.read(&value).ok_or(Error::Garbled(resp::Garbled))
    }

    fn take(
        &self,
        link: &Link,
        allowance: &Arc<Allowance>,
        demand: Demand,
        now: Now,
        answer: Answer<'_>,
    ) -> Option<Result<Permit, Refused>> {
        match answer.admitted {
            Err(hindrance) => hindrance.or(answer.standing).err().map(Err),
            Ok(told) => {
                let told = (told.as_slice(), answer.standing);
                // What was reserved in an earlier epoch has been released.
                let is_of_use = || self.epoch.load(Ordering::SeqCst) == link.epoch;
                permit::admitted(allowance, demand, now, told, self.nodes(), is_of_use).map(Ok)
            }
        }
    }

    /// The moment, with Redis' clock in place of the machine's: the nodes agree on when a day begins.
    fn by_the_clock_of_all(&self, now: Now) -> Now {
        Now {
            steady: now.steady,
            unix: now.unix.saturating_add_signed(self.ahead.load(Ordering::Relaxed)),
        }
    }

    fn synchronise(&self, time: u64, here: u64) {
        let ahead = i64::try_from(i128::from(time) - i128::from(here)).unwrap_or(0);
        // What a round trip takes is no difference.
        if ahead.abs_diff(self.ahead.load(Ordering::Relaxed)) > A_ROUND_TRIP {
            self.ahead.store(ahead, Ordering::Relaxed);
        }
    }

    /// Does without Redis from now on, until the keeper finds it again.
    fn lose(&self, link: &Arc<Link>, error: Error) {
        let current = self.link.load_full();
        if current.is_some_and(|current| Arc::ptr_eq(&current, link)) {
            self.link.store(None);
            self.is_away(error);
            self.lost.notify_one();
        }
    }

    fn is_away(&self, error: Error) {
        let mut trouble = self.trouble();
        if trouble.since.is_none() {
            let nodes = self.nodes();
            tracing::warn!(%error, redis = %self.config.redis, nodes, "redis is away: limits are this node's share");
            trouble.since = Some(jiff::Timestamp::now());
        }
        trouble.error = Some(error);
    }

    fn is_back(&self) {
        let nodes = self.nodes();
        tracing::info!(redis = %self.config.redis, nodes, "limits are shared by all nodes");
        *self.trouble() = Trouble::default();
    }

    fn trouble(&self) -> MutexGuard<'_, Trouble> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How it is.
    pub fn status(&self) -> Status {
        let trouble = self.trouble().clone();
        Status {
            state: if self.link.load().is_some() { "shared" } else { "alone" },
            nodes: self.nodes(),
            since: trouble.since.map(|since| since.to_string()),
            error: trouble.error.map(|error| error.to_string()),
        }
    }
}
