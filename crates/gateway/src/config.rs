//! From text, environment and catalog to a configuration that is known to be right, or to the list of all problems.
//!
//! [`document`] reads TOML with the place of every value, [`schema`] holds it against the JSON Schema of [`mod@file`],
//! [`effective`] fills in what the catalog and the environment know, and [`check`] makes the runtime values, [`routing`] those of
//! the models. `all_problems` looks on where one of these steps fails. `advice` says what is allowed and probably not meant.

pub mod access;
mod admin;
mod advice;
mod all_problems;
pub mod check;
pub mod clients;
pub mod cluster;
pub mod document;
pub mod effective;
pub mod env;
pub mod file;
pub mod model_list;
pub mod models;
pub mod presets;
pub mod price;
pub mod problem;
pub mod python_literal;
pub mod reload;
pub mod replies;
pub mod routing;
pub mod schema;
pub mod secret;
pub mod show;
pub mod store;
pub mod units;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderValue;
use indexmap::IndexMap;

use crate::balance::Strategy;
use crate::caller::KeyHash;
use crate::cluster::address::Address;
use crate::operation::Kind;
use crate::prices::Price;
use crate::provider::Provider;
use crate::route::Rules;
use crate::store::postgres::server::Server;
use problem::Problem;

/// Everything that a running gateway is built from. Checked: nothing in here can be wrong any more.
#[derive(Debug)]
pub struct Config {
    /// The public listener.
    pub server: ServerConfig,
    /// The admin listener; `None` when there is none.
    pub admin: Option<AdminConfig>,
    /// Providers by the order in which they were named.
    pub providers: Vec<Provider>,
    /// Configured model names.
    pub models: Vec<ModelConfig>,
    /// Where answers are kept; `None` when no model keeps any.
    pub cache: Option<CacheConfig>,
    /// How far requests for names may go that are not configured.
    pub rules: Rules,
    /// Only configured names can be asked for.
    pub configured_only: bool,
    /// The models of requests that name none.
    pub default_models: IndexMap<Kind, String>,
    /// Who may call.
    pub access: access::AccessConfig,
    /// The provider of routes that name no model.
    pub default_provider: Option<String>,
    /// Whether there is the built-in provider.
    pub built_in: bool,
    /// Whether models are listed by their providers' ids alone.
    pub plain_ids: bool,
    /// Where upstream connections go through.
    pub network: NetworkConfig,
    /// What is logged.
    pub log: file::Log,
    /// Where the ledger is kept; `None` when there is none.
    pub store: Option<StoreConfig>,
    /// How limits are shared with other nodes; `None` when there is one.
    pub cluster: Option<ClusterConfig>,
}

/// Where answers are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheConfig {
    /// How many bytes there are for them in memory.
    pub max_size: u64,
    /// Keep them for the other nodes too, if there are any.
    pub in_cluster: bool,
}

/// How nodes share limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterConfig {
    /// Where Redis is.
    pub redis: Address,
    /// What the nodes are called together.
    pub name: String,
    /// How long a request waits for Redis.
    pub timeout: Duration,
    /// By how many nodes limits are shared while Redis is away; `None` for as many as there were last.
    pub nodes: Option<u32>,
}

/// Where the ledger is kept, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreConfig {
    /// The database.
    pub place: Place,
    /// The file where rows wait that cannot be written.
    pub spool: PathBuf,
    /// How long a row may be in memory alone; zero when each is written at once.
    pub flush: Duration,
    /// The most rows that wait in memory.
    pub max_pending: usize,
    /// The most bytes that wait in the spool.
    pub max_spool: u64,
    /// How old a row may get.
    pub max_age: Option<Duration>,
    /// How many bytes the database may have.
    pub max_size: u64,
    /// What is kept of prompts and answers, if anything is.
    pub content: Option<ContentConfig>,
    /// They are kept in the ledger.
    pub log_content: bool,
    /// They are kept in the table `request_logs`.
    pub request_logs: bool,
}

/// What is kept of prompts and answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContentConfig {
    /// The most bytes of each body.
    pub most: usize,
    /// Regular expressions for what is not kept.
    pub redact: Vec<String>,
    /// Keys whose values are not kept.
    pub redact_keys: Vec<String>,
}

/// Which database it is. It is shown without credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A file of SQLite's.
    Sqlite(PathBuf),
    /// A server of PostgreSQL's.
    Postgres(Box<Server>),
}

impl std::fmt::Display for Place {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sqlite(path) => path.display().fmt(formatter),
            Self::Postgres(server) => server.fmt(formatter),
        }
    }
}

/// A name that clients ask for.
#[derive(Clone, Debug)]
pub struct ModelConfig {
    /// The name.
    pub name: String,
    /// Where it leads.
    pub targets: Vec<TargetConfig>,
    /// How the targets are chosen from.
    pub strategy: Strategy,
    /// Names that are asked for when no target answers.
    pub fallback: Vec<String>,
    /// Nothing may be lost in translation.
    pub strict: bool,
    /// Whose it is in lists; `None` where nobody says.
    pub owner: Option<String>,
    /// Whether it is in lists.
    pub listed: bool,
    /// How far a request may go.
    pub rules: Rules,
}

/// A provider's name and a model as that provider knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetConfig {
    /// The provider.
    pub provider: String,
    /// The model, as sent upstream.
    pub model: String,
    /// Its part of the load.
    pub weight: f64,
    /// How many tokens it can hold.
    pub context: Option<u64>,
    /// What it can do.
    pub abilities: Option<Vec<models::Ability>>,
    /// What it is asked for; everything when `None`.
    pub routes: Option<Vec<Kind>>,
    /// Words by which requests choose.
    pub tags: Vec<String>,
    /// What it costs, where the target itself says so.
    pub price: Option<Arc<Price>>,
}

/// The public listener.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Certificate and key files.
    pub tls: Option<TlsFiles>,
    /// Whether what is unknown here is passed on too.
    pub pass_through: bool,
    /// Whether the public routes are described.
    pub docs: bool,
    /// The form of replies.
    pub replies: replies::Replies,
    /// Web origins that browsers may call from.
    pub cors_origins: CorsOrigins,
    /// Web pages of every origin may read the list of models.
    pub cors_models: bool,
    /// The largest body that is held in memory, in bytes.
    pub max_body: usize,
    /// The largest body that is streamed through, in bytes.
    pub max_upload: u64,
    /// Connections at a time.
    pub max_connections: usize,
    /// Requests at a time.
    pub max_requests: usize,
    /// How long the head of a request may take to arrive.
    pub header_timeout: Duration,
    /// How long a body may pause.
    pub body_timeout: Duration,
    /// How long a connection may be kept without a request.
    pub keep_alive: Duration,
    /// How long requests in flight may take after the signal to stop.
    pub drain: Duration,
}

/// The admin listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminConfig {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The hash of the key; `None` when none is asked for.
    pub key: Option<KeyHash>,
    /// Certificate and key files.
    pub tls: Option<TlsFiles>,
}

/// A certificate chain and its private key, PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The chain, leaf first.
    pub cert: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// Which web origins browsers may call from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CorsOrigins {
    /// Every origin.
    Any,
    /// These, and no others.
    List(Vec<HeaderValue>),
}

/// How upstream connections are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkConfig {
    /// The HTTP proxies.
    pub proxies: Proxies,
    /// Extra certificate authorities, PEM.
    pub ca: Vec<PathBuf>,
    /// How long an idle connection is kept.
    pub keep_alive: Duration,
    /// Idle connections kept for each origin.
    pub max_idle: usize,
}

/// HTTP proxies for upstream calls, as URLs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies {
    /// For URLs with `http`.
    pub http: Option<String>,
    /// For URLs with `https`.
    pub https: Option<String>,
    /// For all that have none of their own.
    pub all: Option<String>,
    /// Hosts that are called without a proxy, separated by commas.
    pub no: Option<String>,
}

/// A configuration with the account of where its values come from.
#[derive(Debug)]
pub struct Loaded {
    /// What the gateway runs on.
    pub config: Config,
    /// What `mynah config show` prints.
    pub effective: effective::Effective,
    /// What is allowed and probably not meant.
    pub advice: Vec<Problem>,
    /// The files that it was read from, or would be if they were there.
    pub files: Vec<PathBuf>,
    /// Those that cannot be read, where the rest was used all the same.
    pub faults: Vec<Problem>,
}

/// Reads a configuration file's text, or tells all that is wrong with it. `name` is how problems call the file; `listen`
/// overrides `server.listen`.
pub fn load(
    name: &str,
    text: &str,
    env: &env::Env,
    listen: Option<&str>,
) -> Result<(document::Document, Loaded), Vec<Problem>> {
    let document = document::Document::parse(name, text, env)?;
    let problems = match understand(&document, env, listen) {
        Ok(loaded) if document.unusable.is_empty() => return Ok((document, loaded)),
        Ok(_) => Vec::new(),
        Err(problems) => problems,
    };
    let look = |document: &document::Document| understand(document, env, listen).err().unwrap_or_default();
    Err(all_problems::all(document, problems, look))
}

/// What a document means, or what keeps it from being understood.
fn understand(document: &document::Document, env: &env::Env, listen: Option<&str>) -> Result<Loaded, Vec<Problem>> {
    let mut file = schema::read(document)?;
    if let Some(listen) = listen {
        listen.clone_into(&mut file.server.listen);
    }
    let mut effective = effective::fill_in(file, document, env)?;
    if listen.is_some() {
        effective
            .origins
            .insert("server.listen".to_owned(), "command line".to_owned());
    }
    let config = check::check(&effective, document)?;
    let advice = advice::advice(&config, &effective.file, document);
    Ok(Loaded {
        config,
        effective,
        advice,
        files: Vec::new(),
        faults: Vec::new(),
    })
}
