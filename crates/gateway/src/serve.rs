//! Runs the gateway: from a loaded configuration to the last answered request.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::net::{TcpListener, TcpSocket};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, block_in_place};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

use crate::admin::{self, Admin, InUse, Reload};
use crate::app::{App, Process};
use crate::cluster::keeper::LedgerOfAll;
use crate::cluster::{Cluster, answers, identity, keeper};
use crate::config::document::Document;
use crate::config::problem::Problem;
use crate::config::reload::{self, Watched};
use crate::config::{AdminConfig, ClusterConfig, Config, Loaded, Place, StoreConfig, TlsFiles, check};
use crate::discovering::keep_discovering;
use crate::http::listen::{Site, serve};
use crate::http::routes::Routes;
use crate::http::tls;
use crate::ledger::Ledger;
use crate::ledger::past::past;
use crate::probing::keep_probing;
use crate::stored::Keeper;

/// How often upstream connections are looked over.
const EXPIRE: Duration = Duration::from_secs(10);
/// Connections that the kernel keeps until they are accepted.
const BACKLOG: u32 = 4096;

/// Where a configuration comes from, for loading it again.
pub type Load = Arc<dyn Fn() -> Result<(Document, Loaded), Vec<Problem>> + Send + Sync>;

/// As many wait at a time for the configuration to be read anew.
const MAX_RELOADS: usize = 16;

/// What is served at both listeners.
#[derive(Clone)]
struct Sites {
    public: Arc<ArcSwap<Site>>,
    admin: Arc<ArcSwap<Site>>,
}

/// What a gateway starts with.
pub struct Start {
    /// The configuration, as it was read.
    pub read: (Document, Loaded),
    /// What the configuration is called.
    pub name: String,
    /// What there is to tell about it.
    pub told: Option<String>,
    /// Reads it again.
    pub load: Load,
    /// Where requests are accounted for.
    pub ledger: Option<Arc<Ledger>>,
}

/// Serves until SIGTERM or SIGINT.
pub async fn run(start: Start) -> anyhow::Result<()> {
    let Start {
        read: (document, loaded),
        name,
        told,
        load,
        ledger,
    } = start;
    let Loaded {
        config,
        effective,
        advice,
        files,
        faults,
    } = loaded;
    warn(&advice);
    let listener = bind(config.server.listen, "server.listen")?;
    let admin_listener = config.admin.as_ref().map(|admin| bind(admin.listen, "admin.listen"));
    let admin_listener = admin_listener.transpose()?;
    let watched = (Watched::new(files.into_iter().chain(check::files(&config))), faults);
    let cluster = config
        .cluster
        .as_ref()
        .map(|cluster| node(cluster, config.store.as_ref()));
    let process = Arc::new(Process::new(ledger, cluster.clone()));
    let keeper = config
        .store
        .clone()
        .map(|store| block_in_place(|| Keeper::new(store, process.clone())));
    let store = config.store.clone();
    let shared = store.clone().filter(|store| matches!(store.place, Place::Postgres(_)));
    let (reload, reloads) = mpsc::channel(MAX_RELOADS);
    let admin = Arc::new(Admin::new(
        InUse::now(document, effective),
        name,
        load,
        reload,
        keeper.clone(),
    ));
    let sites = Sites::build(config, &process, &admin)?;
    if let Some(store) = store {
        // Scopes are kept for those who use them, and now somebody does.
        let access = process.stored.beside(&sites.public.load().app.access);
        let now = process.scopes.clock().now();
        block_in_place(|| past(&store, &access, now)).restore(&process.scopes, &access, now);
    }
    if let Some(cluster) = &cluster {
        let shared = shared.zip(process.ledger.clone());
        let shared = shared.map(|(store, ledger)| ledger_of_all(store, ledger, &process, &sites.public));
        tokio::join!(
            keeper::start(cluster.clone(), process.clone(), shared),
            answers::keeper::start(cluster.answers.clone())
        );
    }
    // Listened for before anybody can know that the gateway is there: an unheard signal would end it.
    let hang_up = signal(SignalKind::hangup())?;
    let mut stop = Stop::listen()?;
    let admin_address = admin_listener.as_ref().map(TcpListener::local_addr).transpose()?;
    welcome(
        &sites.public.load(),
        listener.local_addr()?,
        admin_address,
        told.as_deref(),
    )?;
    if let Some(keeper) = keeper {
        keeper.start(sites.public.clone())?;
    }
    let looking = tokio::spawn(keep_looking(sites.public.load().app.clone()));
    tokio::spawn(keep_expiring(sites.public.clone()));
    tokio::spawn(keep_reloading(
        sites.clone(),
        admin,
        looking,
        watched,
        (hang_up, reloads),
    ));
    let (ended, end) = oneshot::channel::<()>();
    let operating = admin_listener.map(|listener| {
        let end = async move { drop(end.await) };
        tokio::spawn(serve(listener, sites.admin.clone(), end))
    });
    let draining = process.clone();
    let stopped = async move {
        stop.asked().await;
        tracing::info!("stopping: no new connections, requests in flight may finish");
        draining.drain();
        tokio::spawn(async move {
            stop.asked().await;
            std::process::exit(130);
        });
    };
    serve(listener, sites.public, stopped).await;
    // The operator may look on until the last request is over.
    drop(ended);
    if let Some(operating) = operating {
        operating.await?;
    }
    if let Some(cluster) = &cluster {
        keeper::leave(cluster, &process.scopes).await;
    }
    Ok(())
}

/// This node among those that share limits.
fn node(config: &ClusterConfig, store: Option<&StoreConfig>) -> Arc<Cluster> {
    let ledger = store.and_then(|store| match identity::of_ledger(&store.place) {
        Ok(name) => Some(name),
        Err(error) => {
            tracing::warn!(%error, "the ledger has no name: what it knows may be counted again after a start");
            None
        }
    });
    Arc::new(Cluster::new(config.clone(), ledger))
}

/// Asks the ledger that all nodes share.
fn ledger_of_all(
    store: StoreConfig,
    ledger: Arc<Ledger>,
    process: &Arc<Process>,
    public: &Arc<ArcSwap<Site>>,
) -> LedgerOfAll {
    let (process, public) = (process.clone(), public.clone());
    let totals = move |now| {
        let access = process.stored.beside(&public.load().app.access);
        block_in_place(|| past(&store, &access, now)).totals(&access)
    };
    LedgerOfAll {
        ledger,
        totals: Box::new(totals),
    }
}

fn bind(address: SocketAddr, setting: &str) -> anyhow::Result<TcpListener> {
    try_bind(address).map_err(|error| {
        let advice = advice(&error, setting);
        anyhow::anyhow!("cannot listen on {address}: {error}{advice}")
    })
}

fn try_bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn advice(error: &std::io::Error, setting: &str) -> String {
    match error.kind() {
        std::io::ErrorKind::AddrInUse if setting == "server.listen" => {
            "; choose another with `--listen 127.0.0.1:PORT` or `server.listen`".to_owned()
        }
        std::io::ErrorKind::AddrInUse => format!("; choose another with `{setting}`"),
        std::io::ErrorKind::PermissionDenied => "; ports below 1024 need privileges".to_owned(),
        _ => String::new(),
    }
}

impl Sites {
    fn build(config: Config, process: &Arc<Process>, admin: &Arc<Admin>) -> anyhow::Result<Self> {
        let (public, operators) = build(config, process, admin, None)?;
        Ok(Self {
            public: Arc::new(ArcSwap::from_pointee(public)),
            admin: Arc::new(ArcSwap::from_pointee(operators)),
        })
    }
}

/// What a configuration amounts to, for the public and for the operator.
fn build(
    config: Config,
    process: &Arc<Process>,
    admin: &Arc<Admin>,
    before: Option<&App>,
) -> anyhow::Result<(Site, Site)> {
    let acceptor = |files: Option<&TlsFiles>| {
        let loaded = files.map(tls::load).transpose().map_err(anyhow::Error::msg)?;
        anyhow::Ok(loaded.map(TlsAcceptor::from))
    };
    let public_tls = acceptor(config.server.tls.as_ref())?;
    let admin_tls = acceptor(config.admin.as_ref().and_then(|admin| admin.tls.as_ref()))?;
    let app = Arc::new(App::new(config, process.clone(), before));
    let operators = Site {
        routes: Routes::only(&app, admin::answer::router(admin, &app)),
        app: app.clone(),
        tls: admin_tls,
    };
    let public = Site {
        routes: Routes::new(&app),
        app,
        tls: public_tls,
    };
    Ok((public, operators))
}

async fn keep_expiring(site: Arc<ArcSwap<Site>>) {
    loop {
        tokio::time::sleep(EXPIRE).await;
        site.load().app.pools.expire(Instant::now());
    }
}

/// Looks after the providers of one configuration.
async fn keep_looking(app: Arc<App>) {
    tokio::join!(keep_discovering(app.clone()), keep_probing(app));
}

/// Swaps in a changed configuration; a bad one is reported and the old one stays.
async fn keep_reloading(
    sites: Sites,
    admin: Arc<Admin>,
    mut looking: JoinHandle<()>,
    (mut watched, mut faults): (Watched, Vec<Problem>),
    (mut hang_up, mut reloads): (Signal, mpsc::Receiver<Reload>),
) {
    loop {
        let asked = tokio::select! {
            _ = hang_up.recv() => Some(None),
            Some(asked) = reloads.recv() => Some(Some(asked)),
            () = tokio::time::sleep(reload::INTERVAL) => None,
        };
        if !watched.look() && asked.is_none() {
            continue;
        }
        watched.take();
        let loaded = (admin.load)();
        if asked.is_none() && !watched.hold_still() {
            // Somebody is writing again: what was read may be half of it.
            continue;
        }
        let swapped = loaded.and_then(|(document, loaded)| {
            watched.follow(loaded.files.iter().cloned().chain(check::files(&loaded.config)));
            let is_new = |fault: &&Problem| !faults.contains(fault);
            let new: Vec<Problem> = loaded.faults.iter().filter(is_new).cloned().collect();
            if !new.is_empty() {
                return Err(new);
            }
            faults = loaded.faults;
            warn(&loaded.advice);
            let app = swap(&sites, &admin, loaded.config)?;
            admin.in_use.store(InUse::now(document, loaded.effective));
            looking.abort();
            looking = tokio::spawn(keep_looking(app));
            Ok(())
        });
        match &swapped {
            Ok(()) => tracing::info!("the changed configuration is in use"),
            Err(problems) => {
                for problem in problems {
                    tracing::error!(%problem, "the changed configuration is not used");
                }
            }
        }
        if let Some(Some(asked)) = asked {
            // Whoever asked may have gone.
            let _ = asked.send(swapped);
        }
    }
}

/// Tells what is probably not meant.
fn warn(advice: &[Problem]) {
    for advice in advice {
        tracing::warn!("{advice}");
    }
}

/// Puts a configuration to use; returns what it amounts to.
fn swap(sites: &Sites, admin: &Arc<Admin>, config: Config) -> Result<Arc<App>, Vec<Problem>> {
    let before = sites.public.load_full();
    if before.app.server.listen != config.server.listen {
        tracing::warn!("`server.listen` takes effect at the next start");
    }
    let place = |admin: &Option<AdminConfig>| admin.as_ref().map(|admin| admin.listen);
    if place(&before.app.admin) != place(&config.admin) {
        tracing::warn!("`admin.listen` takes effect at the next start");
    }
    if before.app.process.ledger.as_ref().map(|ledger| ledger.config()) != config.store.as_ref() {
        tracing::warn!("`store` takes effect at the next start");
    }
    let cluster = before.app.process.scopes.cluster();
    if cluster.map(|cluster| cluster.config()) != config.cluster.as_ref() {
        tracing::warn!("`cluster` takes effect at the next start");
    }
    let built = build(config, &before.app.process, admin, Some(&before.app));
    let (public, operators) = built.map_err(|error| vec![Problem::without_place(error.to_string())])?;
    let app = public.app.clone();
    sites.public.store(Arc::new(public));
    sites.admin.store(Arc::new(operators));
    // They may have changed since this was built.
    app.renew_callers();
    Ok(app)
}

/// The signals to stop.
struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// One of them came.
    async fn asked(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Where the gateway is, and a command to try.
fn welcome(site: &Site, listen: SocketAddr, admin: Option<SocketAddr>, told: Option<&str>) -> std::io::Result<()> {
    let scheme = if site.tls.is_some() { "https" } else { "http" };
    let key = if site.app.callers.load().have_keys() {
        " \\\n    -H 'authorization: Bearer YOUR-KEY'"
    } else {
        ""
    };
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "mynah {} is listening on {scheme}://{listen}\n",
        env!("CARGO_PKG_VERSION")
    )?;
    if let Some(told) = told {
        writeln!(out, "{told}\n")?;
    }
    if let Some(address) = admin {
        let settings = site.app.admin.as_ref();
        let scheme = if settings.is_some_and(|admin| admin.tls.is_some()) {
            "https"
        } else {
            "http"
        };
        writeln!(out, "The admin API is on {scheme}://{address}/docs\n")?;
    }
    writeln!(
        out,
        "Try it:\n  curl {scheme}://{listen}/v1/chat/completions{key} \\\n    -H 'content-type: application/json' \\"
    )?;
    writeln!(
        out,
        "    -d '{{\"model\": \"{}\", \"messages\": [{{\"role\": \"user\", \"content\": \"Hello!\"}}]}}'\n",
        site.app.catalog.example()
    )?;
    out.flush()
}
