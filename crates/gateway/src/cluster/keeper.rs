//! Finds Redis, keeps it up to date beside the requests, and finds it again.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use uuid::Uuid;

use super::Cluster;
use super::connection::{Error, PATIENCE};
use super::link::{Link, Script};
use super::resp::{Garbled, Value};
use super::rests;
use crate::app::Process;
use crate::ledger::Ledger;
use crate::limits::Scopes;
use crate::limits::clock::Now;
use crate::limits::restore::Total;

/// How long to wait before Redis is looked for again: the first time, and at most. One that was lost soon after it was found makes it
/// twice as long, so that requests do not wait in vain for one that is slow now and then.
pub(super) const AGAIN: Duration = Duration::from_millis(200);
pub(super) const LONGEST_AGAIN: Duration = Duration::from_secs(5);
/// One that was there for longer than this is not lost soon.
pub(super) const LONG: Duration = Duration::from_secs(10);
/// How long what is owed is gathered before it is sent.
const GATHER: Duration = Duration::from_millis(5);
/// How often a process says that it lives, and looks for rests of keys.
pub(super) const BEAT: Duration = Duration::from_millis(500);
/// Who is silent for so many milliseconds is dead: what it held is released.
const LEASE: u64 = 5_000;
/// When a cluster is whole again after Redis came back, however it did.
const SETTLED: Duration = Duration::from_secs(10);
/// For how many milliseconds things are kept that are used all the time.
const KEPT: u64 = 24 * 60 * 60 * 1000;
/// How long a start waits for Redis, and an end.
pub(super) const AT_THE_EDGES: Duration = Duration::from_secs(1);

/// A ledger to which all nodes write.
pub struct LedgerOfAll {
    /// This node's part in it.
    pub ledger: Arc<Ledger>,
    /// What was spent in all scopes. Waits for the database.
    pub totals: Box<dyn Fn(Now) -> Vec<Total> + Send + Sync>,
}

impl fmt::Debug for LedgerOfAll {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("LedgerOfAll")
    }
}

/// Meets the others, if Redis is there. Then it is kept up to date for as long as the process lives.
pub async fn start(cluster: Arc<Cluster>, process: Arc<Process>, ledger: Option<LedgerOfAll>) {
    let mut memory = None;
    let met = timeout(
        AT_THE_EDGES,
        meet(&cluster, &process.scopes, ledger.as_ref(), &mut memory),
    )
    .await;
    let met = met
        .unwrap_or(Err(Error::Late(AT_THE_EDGES)))
        .map(|link| cluster.found(link));
    if let Err(error) = &met {
        cluster.is_away(error.clone());
    }
    tokio::spawn(keep(cluster, process, ledger, (met.ok(), memory)));
}

/// Tells what is owed, and says goodbye, if Redis is there.
pub async fn leave(cluster: &Cluster, scopes: &Scopes) {
    let Some(link) = cluster.link.swap(None) else { return };
    let farewell = async {
        cluster.outbox.flush(&link, &cluster.keys, scopes.clock().now())?;
        cluster.outbox.hear(AT_THE_EDGES).await?;
        let keys = &cluster.keys;
        let mut command = link.script(Script::Leave, 3);
        for word in [&keys.process, &keys.held, &keys.processes, &keys.id] {
            command.add(word);
        }
        link.connection.ask(&command, AT_THE_EDGES).await
    };
    // Who cannot say goodbye is thought dead soon.
    let _: Result<Result<Value, Error>, _> = timeout(AT_THE_EDGES, farewell).await;
}

async fn keep(
    cluster: Arc<Cluster>,
    process: Arc<Process>,
    ledger: Option<LedgerOfAll>,
    (mut met, mut memory): (Option<Arc<Link>>, Option<String>),
) {
    let mut again = AGAIN;
    loop {
        if let Some(link) = met.take() {
            let found = Instant::now();
            let Err(error) = look_after(&cluster, &link, &process).await;
            cluster.lose(&link, error);
            if found.elapsed() < LONG {
                sleep(again).await;
                again = (again * 2).min(LONGEST_AGAIN);
            } else {
                again = AGAIN;
            }
        }
        match meet(&cluster, &process.scopes, ledger.as_ref(), &mut memory).await {
            Ok(link) => met = Some(cluster.found(link)),
            Err(error) => {
                cluster.is_away(error);
                sleep(AGAIN).await;
            }
        }
    }
}

/// Connects and begins an epoch: Redis hears what it has not, what this node holds and what it has spent. A memory that is not the
/// one that was known hears what is in the node's windows too.
async fn meet(
    cluster: &Cluster,
    scopes: &Scopes,
    ledger: Option<&LedgerOfAll>,
    memory: &mut Option<String>,
) -> Result<Link, Error> {
    let epoch = cluster.epoch.fetch_add(1, Ordering::SeqCst) + 1;
    let (link, keys) = (Link::open(&cluster.config.redis, epoch).await?, &cluster.keys);
    let mut command = link.script(Script::Enter, 4);
    for word in [&keys.process, &keys.held, &keys.processes, &keys.memory, &keys.id] {
        command.add(word);
    }
    command.number(epoch);
    command.number(KEPT);
    command.add(Uuid::now_v7().simple().to_string());
    let entered = link.connection.ask(&command, PATIENCE).await?;
    let [name, nodes, ..] = entered.list() else {
        return Err(Error::Garbled(Garbled));
    };
    cluster.see(nodes, false);
    let name = name.text().map(str::to_owned);
    let is_forgetful = memory.is_some() && *memory != name;
    if is_forgetful {
        tracing::warn!(redis = %cluster.config.redis, "redis has forgotten everything: it is told again");
    }
    let all = scopes.all();
    let now = || cluster.by_the_clock_of_all(scopes.clock().now());
    let totals = match ledger {
        Some(ledger) if is_forgetful => {
            // The rows of what is owed are in the ledger soon. What is spent from now on may be counted twice, and nothing is forgotten.
            cluster.outbox.forget_spending(&all);
            ledger.ledger.catch_up(PATIENCE).await;
            (ledger.totals)(now())
        }
        _ => Vec::new(),
    };
    cluster.outbox.begin_epoch(is_forgetful);
    // What is in its windows is told once: a part of it twice would be worse than a part of it not at all.
    *memory = name;
    cluster
        .outbox
        .restate(&link, keys, (&all, &totals), (is_forgetful, now()))
        .await?;
    loop {
        cluster.outbox.flush(&link, keys, scopes.clock().now())?;
        if !cluster.outbox.hear(PATIENCE).await? {
            break;
        }
    }
    // Whom requests would have to wait for too long is as good as away.
    beat(cluster, &link, cluster.config.timeout, false).await?;
    Ok(link)
}

/// Beats, and tells what is owed, until something goes wrong.
async fn look_after(cluster: &Cluster, link: &Link, process: &Process) -> Result<Infallible, Error> {
    let (mut news, mut rests) = (cluster.news.lock().await, None);
    let found = Instant::now();
    let mut beats = interval(BEAT);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = cluster.lost.notified() => {
                if cluster.link.load().is_none() {
                    return Err(Error::Lost);
                }
            }
            () = cluster.outbox.work.notified() => {
                sleep(GATHER).await;
                cluster.outbox.flush(link, &cluster.keys, process.scopes.clock().now())?;
                cluster.outbox.hear(PATIENCE).await?;
            }
            Some(news) = news.recv() => rests::tell(link, &cluster.keys, &news, Instant::now()).await?,
            _ = beats.tick() => {
                // The others may need a moment to come back too.
                let seen = beat(cluster, link, PATIENCE, found.elapsed() > SETTLED).await?;
                if rests != Some(seen) {
                    rests::learn(link, &cluster.keys, &process.conditions).await?;
                    rests = Some(seen);
                }
            }
        }
    }
}

/// Says that the process lives. Returns the number of what is known of rests.
async fn beat(cluster: &Cluster, link: &Link, timeout: Duration, may_shrink: bool) -> Result<u64, Error> {
    let keys = &cluster.keys;
    let mut command = link.script(Script::Beat, 5);
    for word in [
        &keys.process,
        &keys.held,
        &keys.processes,
        &keys.memory,
        &keys.rests,
        &keys.id,
    ] {
        command.add(word);
    }
    for number in [link.epoch, KEPT, LEASE] {
        command.number(number);
    }
    for prefix in keys.of_processes() {
        command.add(prefix);
    }
    let told = link.connection.ask(&command, timeout).await?;
    let [nodes, rests] = told.list() else {
        return Err(Error::Garbled(Garbled));
    };
    cluster.see(nodes, may_shrink);
    Ok(rests.count())
}

impl Cluster {
    /// Notes how many nodes there are.
    fn see(&self, nodes: &Value, may_shrink: bool) {
        let nodes = u32::try_from(nodes.number()).unwrap_or(1);
        if may_shrink {
            self.seen.store(nodes, Ordering::Relaxed);
        } else {
            self.seen.fetch_max(nodes, Ordering::Relaxed);
        }
    }

    fn found(&self, link: Link) -> Arc<Link> {
        let link = Arc::new(link);
        self.link.store(Some(link.clone()));
        self.is_back();
        link
    }
}
