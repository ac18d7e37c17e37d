//! Everything that a request may borrow, built once from a configuration.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use axum::http::HeaderValue;
use tokio::time::Instant;
use uuid::Uuid;

use crate::cache::Cache;
use crate::caller::Callers;
use crate::catalog::Catalog;
use crate::cluster::Cluster;
use crate::condition::Conditions;
use crate::config::access::AccessConfig;
use crate::config::{AdminConfig, Config, CorsOrigins, ServerConfig};
use crate::discovered::Discovered;
use crate::failure::Failure;
use crate::holds::Holds;
use crate::ledger::Ledger;
use crate::limits::Scopes;
use crate::limits::clock::Clock;
use crate::single_flight::Flights;
use crate::stored::Stored;
use crate::upstream::connect::Network;
use crate::upstream::pool::Pools;

/// What one configuration amounts to. A request keeps the one that it began with.
#[derive(Debug)]
pub struct App {
    /// The public listener's settings.
    pub server: ServerConfig,
    /// The admin listener's settings, if there is one.
    pub admin: Option<AdminConfig>,
    /// Who may call. They can be replaced while everything else stays.
    pub callers: ArcSwap<Callers>,
    /// What the file says of them.
    pub access: AccessConfig,
    /// What may be asked for.
    pub catalog: Catalog,
    /// The answers that are kept, if any model keeps them.
    pub cache: Option<Arc<Cache>>,
    /// Connections to providers.
    pub pools: Arc<Pools>,
    /// What outlives a change of configuration.
    pub process: Arc<Process>,
}

/// What outlives a change of configuration.
#[derive(Debug)]
pub struct Process {
    /// When it began.
    pub started: Instant,
    /// What the providers said that they serve.
    pub discovered: Arc<Discovered>,
    /// How targets and keys are doing.
    pub conditions: Arc<Conditions>,
    /// What the operator has taken out of the rotation.
    pub holds: Holds,
    /// The calls under way that may be shared.
    pub flights: Arc<Flights>,
    /// What clients and groups have consumed.
    pub scopes: Scopes,
    /// The clients that are not in the file.
    pub stored: Stored,
    /// Where requests are accounted for, if they are.
    pub ledger: Option<Arc<Ledger>>,
    /// What this process adds to `Via`; unique, so that a request that comes back is recognised.
    pub via: HeaderValue,
    in_flight: AtomicUsize,
    draining: AtomicBool,
    cutting_off: AtomicBool,
}

impl Process {
    /// A process that has seen nothing yet. `cluster`: who counts together with others.
    pub fn new(ledger: Option<Arc<Ledger>>, cluster: Option<Arc<Cluster>>) -> Self {
        let via = format!("1.1 mynah-{}", Uuid::now_v7().simple());
        Self {
            started: Instant::now(),
            discovered: Arc::default(),
            conditions: Arc::new(Conditions::new(cluster.as_ref().map(|cluster| cluster.herald()))),
            holds: Holds::default(),
            flights: Arc::default(),
            scopes: Scopes::new(Clock::start(), cluster),
            stored: Stored::new(ledger.is_some()),
            ledger,
            via: HeaderValue::try_from(via).unwrap_or(HeaderValue::from_static("1.1 mynah")),
            in_flight: AtomicUsize::new(0),
            draining: AtomicBool::new(false),
            cutting_off: AtomicBool::new(false),
        }
    }

    /// Who may call, by the file and by the store.
    fn callers(&self, file: &AccessConfig) -> Arc<Callers> {
        Arc::new(Callers::new(&self.stored.beside(file), &self.scopes))
    }

    /// Says that no new work should come.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Says that the time for what is in flight is over.
    pub fn cut_off(&self) {
        self.cutting_off.store(true, Ordering::Relaxed);
    }

    /// Whether the time for what is in flight is over.
    pub fn is_cutting_off(&self) -> bool {
        self.cutting_off.load(Ordering::Relaxed)
    }

    /// Requests in flight.
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Whether no new work should come.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}

/// One request in flight; ends when it is dropped.
#[derive(Debug)]
pub struct InFlight(Arc<App>);

impl InFlight {
    /// Whether its time is over, as the gateway stops.
    pub fn is_cut_off(&self) -> bool {
        self.0.process.is_cutting_off()
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.process.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl App {
    /// Builds what a configuration says. Connections are kept from `before` where they are made in the same way, and so are
    /// the answers in the cache.
    pub fn new(mut config: Config, process: Arc<Process>, before: Option<&Self>) -> Self {
        let kept = before
            .map(|app| &app.pools)
            .filter(|pools| *pools.network().config() == config.network);
        let pools = match kept {
            Some(pools) => pools.clone(),
            None => Arc::new(Pools::new(Network::new(config.network.clone()))),
        };
        let cache = config.cache.map(|cache| {
            let cluster = process.scopes.cluster().filter(|_| cache.in_cluster);
            let answers = cluster.map(|cluster| cluster.answers.wanted());
            Arc::new(match before.and_then(|app| app.cache.as_ref()) {
                Some(kept) => kept.with(cache.max_size, answers),
                None => Cache::new(cache.max_size, process.scopes.clock(), answers),
            })
        });
        let catalog = Catalog::new(&mut config, process.discovered.clone(), process.conditions.clone());
        Self {
            server: config.server,
            admin: config.admin,
            callers: ArcSwap::new(process.callers(&config.access)),
            access: config.access,
            catalog,
            cache,
            pools,
            process,
        }
    }

    /// Makes the callers anew, as the clients that are not in the file have changed.
    pub fn renew_callers(&self) {
        self.callers.store(self.process.callers(&self.access));
    }

    /// Counts a request in, unless there are too many.
    pub fn admit(self: &Arc<Self>) -> Result<InFlight, Failure> {
        let before = self.process.in_flight.fetch_add(1, Ordering::Relaxed);
        let admitted = InFlight(self.clone());
        if before < self.server.max_requests {
            Ok(admitted)
        } else {
            Err(Failure::at_capacity())
        }
    }

    /// Whether a web page of this origin may call without a key: those that are configured, and those of this machine.
    pub fn allows_origin(&self, origin: &HeaderValue) -> bool {
        let listed = match &self.server.cors_origins {
            CorsOrigins::Any => true,
            CorsOrigins::List(origins) => origins.contains(origin),
        };
        let host = origin
            .to_str()
            .ok()
            .and_then(|origin| origin.split_once("://"))
            .map(|(_, host)| host);
        let host = host.map(|host| host.rsplit_once(':').map_or(host, |(name, _)| name));
        listed || matches!(host, Some("localhost" | "127.0.0.1" | "[::1]"))
    }
}
