//! Runs the gateway: from a loaded configuration to the last answered request.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::net::{TcpListener, TcpSocket};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

use crate::app::{App, Process};
use crate::config::problem::Problem;
use crate::config::reload::{self, Watched};
use crate::config::{Config, Loaded, check};
use crate::discovering::keep_discovering;
use crate::http::listen::{Site, serve};
use crate::http::routes::Routes;
use crate::http::tls;
use crate::ledger::Ledger;
use crate::ledger::past::past;
use crate::probing::keep_probing;

/// How often upstream connections are looked over.
const EXPIRE: Duration = Duration::from_secs(10);
/// Connections that the kernel keeps until they are accepted.
const BACKLOG: u32 = 4096;

/// Where a configuration comes from, for loading it again.
pub type Load = Box<dyn Fn() -> Result<Loaded, Vec<Problem>> + Send>;

/// Serves until SIGTERM or SIGINT. `file` is the configuration file, or where one may appear.
pub async fn run(loaded: Loaded, file: PathBuf, load: Load, ledger: Option<Arc<Ledger>>) -> anyhow::Result<()> {
    let config = loaded.config;
    let listen = config.server.listen;
    let listener =
        bind(listen).map_err(|error| anyhow::anyhow!("cannot listen on {listen}: {error}{}", advice(&error)))?;
    let watched = Watched::new(std::iter::once(file.clone()).chain(check::files(&config)));
    let process = Arc::new(Process::new(ledger));
    if let Some(store) = &config.store {
        let now = process.scopes.clock().now();
        past(store, &config.access, now).restore(&process.scopes, &config.access, now);
    }
    let site = Arc::new(ArcSwap::from_pointee(build(config, &process, None)?));
    // Listened for before anybody can know that the gateway is there: an unheard signal would end it.
    let hang_up = signal(SignalKind::hangup())?;
    let mut stop = Stop::listen()?;
    welcome(&site.load(), listener.local_addr()?)?;
    let looking = tokio::spawn(keep_looking(site.load().app.clone()));
    tokio::spawn(keep_expiring(site.clone()));
    tokio::spawn(keep_reloading(site.clone(), looking, watched, (file, load), hang_up));
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
    serve(listener, site, stopped).await;
    Ok(())
}

fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn advice(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::AddrInUse => "; choose another with `--listen 127.0.0.1:PORT` or `server.listen`",
        std::io::ErrorKind::PermissionDenied => "; ports below 1024 need privileges",
        _ => "",
    }
}

fn build(config: Config, process: &Arc<Process>, before: Option<&App>) -> anyhow::Result<Site> {
    let acceptor = config
        .server
        .tls
        .as_ref()
        .map(tls::load)
        .transpose()
        .map_err(anyhow::Error::msg)?;
    let app = Arc::new(App::new(config, process.clone(), before));
    Ok(Site {
        routes: Routes::new(&app),
        app,
        tls: acceptor.map(TlsAcceptor::from),
    })
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
    site: Arc<ArcSwap<Site>>,
    mut looking: JoinHandle<()>,
    mut watched: Watched,
    (file, load): (PathBuf, Load),
    mut hang_up: Signal,
) {
    loop {
        let asked = tokio::select! {
            _ = hang_up.recv() => true,
            () = tokio::time::sleep(reload::INTERVAL) => false,
        };
        if !watched.changed() && !asked {
            continue;
        }
        match load() {
            Err(problems) => {
                for problem in problems {
                    tracing::error!(%problem, "the changed configuration is not used");
                }
            }
            Ok(loaded) => {
                watched = Watched::new(std::iter::once(file.clone()).chain(check::files(&loaded.config)));
                if let Some(app) = swap(&site, loaded.config) {
                    looking.abort();
                    looking = tokio::spawn(keep_looking(app));
                }
            }
        }
    }
}

/// Puts a configuration to use; returns what it amounts to.
fn swap(site: &ArcSwap<Site>, config: Config) -> Option<Arc<App>> {
    let before = site.load_full();
    if before.app.server.listen != config.server.listen {
        tracing::warn!("`server.listen` takes effect at the next start");
    }
    if before.app.process.ledger.as_ref().map(|ledger| ledger.config()) != config.store.as_ref() {
        tracing::warn!("`store` takes effect at the next start");
    }
    match build(config, &before.app.process, Some(&before.app)) {
        Err(error) => {
            tracing::error!(%error, "the changed configuration is not used");
            None
        }
        Ok(new) => {
            let app = new.app.clone();
            site.store(Arc::new(new));
            tracing::info!("the changed configuration is in use");
            Some(app)
        }
    }
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
fn welcome(site: &Site, listen: SocketAddr) -> std::io::Result<()> {
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
    writeln!(
        out,
        "Try it:\n  curl {scheme}://{listen}/v1/chat/completions{key} \\\n    -H 'content-type: application/json' \\"
    )?;
    writeln!(
        out,
        "    -d '{{\"model\": \"mynah/echo\", \"messages\": [{{\"role\": \"user\", \"content\": \"Hello!\"}}]}}'\n"
    )?;
    out.flush()
}
