//! Runs the gateway: from a loaded configuration to the last answered request.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::net::{TcpListener, TcpSocket};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

use crate::app::{App, Process};
use crate::config::problem::Problem;
use crate::config::reload::{self, Watched};
use crate::config::{Config, Loaded, check};
use crate::http::listen::{Site, serve};
use crate::http::routes::Routes;
use crate::http::tls;
use crate::upstream::discover::discover;

/// How often the providers are asked again which models they serve.
const REDISCOVER: Duration = Duration::from_mins(5);
/// How often upstream connections are looked over.
const EXPIRE: Duration = Duration::from_secs(10);
/// Connections that the kernel keeps until they are accepted.
const BACKLOG: u32 = 4096;

/// Where a configuration comes from, for loading it again.
pub type Load = Box<dyn Fn() -> Result<Loaded, Vec<Problem>> + Send>;

/// Serves until SIGTERM or SIGINT. `file` is the configuration file, if there is one.
pub async fn run(loaded: Loaded, file: Option<PathBuf>, load: Load) -> anyhow::Result<()> {
    let config = loaded.config;
    let listen = config.server.listen;
    let listener =
        bind(listen).map_err(|error| anyhow::anyhow!("cannot listen on {listen}: {error}{}", advice(&error)))?;
    let watched = Watched::new(file.iter().cloned().chain(check::files(&config)));
    let process = Arc::new(Process::new());
    let site = Arc::new(ArcSwap::from_pointee(build(config, &process, None)?));
    // Listened for before anybody can know that the gateway is there: an unheard signal would end it.
    let hang_up = signal(SignalKind::hangup())?;
    let mut stop = Stop::listen()?;
    welcome(&site.load(), listener.local_addr()?)?;
    tokio::spawn(keep_discovering(site.clone()));
    tokio::spawn(keep_expiring(site.clone()));
    tokio::spawn(keep_reloading(site.clone(), watched, (file, load), hang_up));
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

/// Asks the providers for their models, now and again.
async fn keep_discovering(site: Arc<ArcSwap<Site>>) {
    loop {
        let app = site.load().app.clone();
        let first = !app.process.discovered.is_complete();
        let failed = discover(app.catalog.providers(), &app.pools, &app.process.discovered).await;
        app.process.discovered.set_complete();
        if first && let Err(error) = found(&app, &failed) {
            tracing::debug!(%error, "cannot print what was found");
        }
        for (provider, message) in failed.iter().filter(|(provider, _)| !provider.probed) {
            tracing::warn!(provider = provider.name, reason = message, "models not discovered");
        }
        drop(app);
        tokio::time::sleep(REDISCOVER).await;
    }
}

async fn keep_expiring(site: Arc<ArcSwap<Site>>) {
    loop {
        tokio::time::sleep(EXPIRE).await;
        site.load().app.pools.expire(Instant::now());
    }
}

/// Swaps in a changed configuration; a bad one is reported and the old one stays.
async fn keep_reloading(
    site: Arc<ArcSwap<Site>>,
    mut watched: Watched,
    (file, load): (Option<PathBuf>, Load),
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
                watched = Watched::new(file.iter().cloned().chain(check::files(&loaded.config)));
                swap(&site, loaded.config);
            }
        }
    }
}

fn swap(site: &Arc<ArcSwap<Site>>, config: Config) {
    let before = site.load_full();
    if before.app.server.listen != config.server.listen {
        tracing::warn!("`server.listen` takes effect at the next start");
    }
    match build(config, &before.app.process, Some(&before.app)) {
        Err(error) => tracing::error!(%error, "the changed configuration is not used"),
        Ok(new) => {
            let app = new.app.clone();
            site.store(Arc::new(new));
            tracing::info!("the changed configuration is in use");
            tokio::spawn(async move {
                let failed = discover(app.catalog.providers(), &app.pools, &app.process.discovered).await;
                for (provider, message) in failed.iter().filter(|(provider, _)| !provider.probed) {
                    tracing::warn!(provider = provider.name, reason = message, "models not discovered");
                }
            });
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
    let key = if site.app.callers.have_keys() {
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

/// Which providers there are, once each has been asked.
fn found(app: &App, failed: &[(Arc<crate::provider::Provider>, String)]) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "Providers:")?;
    for provider in app.catalog.providers() {
        let failure = failed.iter().find(|(other, _)| other.name == provider.name);
        let models = match failure {
            Some(_) if provider.probed => continue,
            Some((_, message)) => format!("models not listed: {message}"),
            None => match app.process.discovered.count(&provider.name) {
                0 => "ask for its models as PROVIDER/MODEL".to_owned(),
                1 => "1 model".to_owned(),
                count => format!("{count} models"),
            },
        };
        let place = provider
            .endpoints
            .first()
            .map_or("built in".to_owned(), |endpoint| endpoint.base.to_string());
        writeln!(out, "  {:<12} {place}  {models}", provider.name)?;
    }
    writeln!(out)?;
    out.flush()
}
