//! `mynah.toml` as it is written: every key, its type and its meaning. The JSON Schema is made from these types.

use std::collections::BTreeMap;
use std::path::PathBuf;

use indexmap::IndexMap;
use mynah_dialect::quirks::Quirks;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::clients::{Client, Group};
use super::cluster::Cluster;
use super::models::{Cache, Model, Routing};
use super::price::PriceTable;
use super::replies::Replies;
use super::secret::Secret;
use super::store::Store;
use super::units::{Size, Span};
use crate::breaker::BreakerRules;
use crate::known;

/// The configuration of Mynah. Everything in it is optional.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "mynah.toml")]
pub struct File {
    /// The public listener.
    pub server: Server,
    /// The admin listener, with the admin API. Without this table there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin: Option<Admin>,
    /// How upstream connections are made.
    pub network: Network,
    /// What is logged.
    pub log: Log,
    /// The ledger: a row for each request and each attempt, in a database. Without this table nothing is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store: Option<Store>,
    /// Other nodes that share limits, budgets and rests of keys with this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<Cluster>,
    /// How an answer is found: what holds for every model that does not say otherwise.
    pub routing: Routing,
    /// Where the answers are kept of models with a `cache`.
    pub cache: Cache,
    /// Providers by name. A name from the catalog brings its base URL, dialect and key variables. Without any
    /// provider here, those are used whose key variables are set, and local servers that answer.
    pub providers: IndexMap<String, Provider>,
    /// Names that clients ask for, each with targets in order. The name `*` stands for all that lead nowhere else.
    pub models: IndexMap<String, Model>,
    /// What models cost, by `provider/model`, or `provider/*` for all other models of a provider, where the built-in list has
    /// no price or another one. A row takes the place of all prices of the list.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub prices: IndexMap<String, PriceTable>,
    /// Who may call, each with a key. Without clients, every caller on this machine may.
    pub clients: Vec<Client>,
    /// Clients that share limits, such as teams.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<Group>,
}

/// The public listener.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a setting of its own")]
pub struct Server {
    /// Address and port. An address other than loopback needs clients, a store that may have some, or `allow_anonymous`.
    pub listen: String,
    /// Accept callers without a key, also from other machines.
    pub allow_anonymous: bool,
    /// Use providers whose key variables are set and local servers that answer. Default: only when the file names no
    /// provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detect: Option<bool>,
    /// Offer the built-in model `mynah/echo`, which answers without any network.
    pub built_in: bool,
    /// The provider for routes that name no model (files, batches, …). Default: the only OpenAI-compatible one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_provider: Option<String>,
    /// Pass on what is unknown here too: every path below `/v1` with any method, to a provider that serves the `model` of
    /// its body, else to the `default_provider`.
    pub pass_through: bool,
    /// Describe the public routes at `/openapi.json`, with a page to try them at `/docs`.
    pub docs: bool,
    /// The form of replies, where applications expect another one than OpenAI's.
    #[serde(skip_serializing_if = "is_default")]
    pub replies: Replies,
    /// Web origins whose pages may call, or `*`.
    pub cors_origins: Vec<String>,
    /// Let web pages of every origin read `/v1/models`, whatever `cors_origins` says.
    pub cors_models: bool,
    /// Serve HTTPS with these files, which are read again when they change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// The largest request body of a route that names a model.
    pub max_body: Size,
    /// The largest request body of routes that are passed through (file uploads).
    pub max_upload: Size,
    /// Connections at a time; more wait to be accepted.
    pub max_connections: u32,
    /// Requests at a time; more are answered with 503.
    pub max_requests: u32,
    /// How long the head of a request may take to arrive.
    pub header_timeout: Span,
    /// How long a request's body may pause.
    pub body_timeout: Span,
    /// How long a connection is kept open without a request.
    pub keep_alive: Span,
    /// How long requests in flight may take after the signal to stop.
    pub drain: Span,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".to_owned(),
            allow_anonymous: false,
            detect: None,
            built_in: true,
            default_provider: None,
            pass_through: false,
            docs: false,
            replies: Replies::default(),
            cors_origins: Vec::new(),
            cors_models: false,
            tls: None,
            max_body: Size::mebibytes(32),
            max_upload: Size::mebibytes(1024),
            max_connections: 20_000,
            max_requests: 10_000,
            header_timeout: Span::seconds(15),
            body_timeout: Span::seconds(30),
            keep_alive: Span::seconds(90),
            drain: Span::seconds(30),
        }
    }
}

/// The admin listener.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Admin {
    /// Address and port. An address other than loopback needs a `key`.
    pub listen: String,
    /// What has to be presented, as `Authorization: Bearer KEY`. Without one, whoever is on this machine is the operator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<Secret>,
    /// Serve HTTPS with these files, which are read again when they change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
}

impl Default for Admin {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8081".to_owned(),
            key: None,
            tls: None,
        }
    }
}

/// A certificate chain and its private key, PEM.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The chain, leaf first.
    pub cert: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// How upstream connections are made.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Network {
    /// An HTTP proxy for upstream calls, such as `http://proxy:3128`. Default: HTTPS_PROXY, HTTP_PROXY and ALL_PROXY of
    /// the environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy: Option<Secret>,
    /// Hosts that are called without the proxy, separated by commas. Default: NO_PROXY of the environment. This machine
    /// is always called directly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_proxy: Option<String>,
    /// Files with certificate authorities (PEM) that are trusted beside those of the system.
    pub ca: Vec<PathBuf>,
    /// How long an idle upstream connection is kept.
    pub keep_alive: Span,
    /// Idle upstream connections that are kept for each origin.
    pub max_idle: u32,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            proxy: None,
            no_proxy: None,
            ca: Vec::new(),
            keep_alive: Span::seconds(60),
            max_idle: 512,
        }
    }
}

/// What is logged, to standard error.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// The least level that is logged, or a filter such as `info,hyper=debug`. `MYNAH_LOG` overrides it.
    pub level: String,
    /// One line for each request. Default: when standard error is a terminal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<bool>,
    /// `text` or `json`.
    pub format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            level: "info".to_owned(),
            requests: None,
            format: LogFormat::Text,
        }
    }
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// A provider. What is not given comes from the catalog's row of that name or `kind`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Provider {
    /// A name from the catalog, or a dialect: openai, anthropic, gemini, cohere. Default: the provider's own name where
    /// that is in the catalog, else openai.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// What the provider's own SDK calls its base URL; with or without the version segment and a trailing slash.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// The version segment that is appended to a `base_url` that has none; empty for an API without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The key. Default: the variables NAME_API_KEY, NAME_API_KEY_1, … and those of the catalog.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key: Option<Secret>,
    /// Several keys.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub api_keys: Vec<Secret>,
    /// Which of several keys is used: `turn`, each in its turn, or `listed`, the first one that does not rest.
    #[serde(skip_serializing_if = "is_default")]
    pub key_order: KeyOrder,
    /// A key rests also when its call failed (5xx, no answer), not only when it was refused: the request goes on with
    /// another key or target at once, and the next ones begin there. When nobody else has answered, it is used all the same.
    #[serde(skip_serializing_if = "is_default")]
    pub rest_failed_keys: bool,
    /// Whose keys these are: what one provider of an account learns of a key, the others know too. Default: its own name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// How a key is sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<Auth>,
    /// Request fields, as this provider calls them, that conversations are given where they have none of their own:
    /// `{ temperature = 0.7 }`.
    #[serde(skip_serializing_if = "serde_json::Map::is_empty")]
    pub defaults: serde_json::Map<String, serde_json::Value>,
    /// Headers that are sent with every call.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The models that it serves. Default: those that it lists itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub models: Option<Vec<String>>,
    /// What stands before the ids of its models, with a slash, where they are listed and asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// How it is asked for the models that it serves.
    pub discovery: Discovery,
    /// Azure: the name of the resource, as in `https://RESOURCE.openai.azure.com`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// Azure: the API version of the deployments API; without one, the v1 API is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
    /// The HTTP version: `auto` (HTTP/2 where TLS agrees on it), `1.1` or `2`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_version: Option<HttpVersion>,
    /// How long one attempt may take, to the end of the answer. Default: as long as it takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
    /// How long to wait.
    pub timeouts: Timeouts,
    /// How long a key rests that was refused for its rate (429) or altogether (401, 403), where the provider does not say.
    /// Default: a second, and twice as long each time in a row, up to a minute; a minute for a key that is not accepted.
    /// `0s`: keys never rest, whatever the provider says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cooldown: Option<Span>,
    /// When a model of this provider that fails is left alone for a while.
    pub breaker: BreakerTable,
    /// Which of OpenAI's two APIs for conversations it serves, the preferred one first: `chat`, `responses`. Default: what
    /// the catalog knows; else `chat`, and `responses` is tried for those who ask in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub apis: Option<Vec<Api>>,
    /// Known deviations from the dialect.
    #[schemars(with = "Option<BTreeMap<String, serde_json::Value>>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quirks: Option<Quirks>,
}

/// Which of several keys is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum KeyOrder {
    /// Each in its turn.
    #[default]
    Turn,
    /// The first one that does not rest.
    Listed,
}

/// How a provider is asked for the models that it serves.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Discovery {
    /// How often; somewhat earlier by chance, and sooner after a failure. Default: 5m, and 30s for a server on this
    /// machine or in a private network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every: Option<Span>,
    /// The shape of its list: openai, anthropic, gemini, cohere, ollama, ocf, model-list, or none if it is not to be
    /// asked. With model-list, each model is called at its own handle. Default: the catalog's, by `kind`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shape: Option<known::Discovery>,
    /// Where its list is: a path from the root of its host, or a URL. No key is sent to another host than the
    /// provider's. Default: `/models` below the base URL, or where the shape has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Take the list of this provider in place of an own one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Of the list, take models of these families only (their ids count where a list has no families). `*` stands for any
    /// text, case does not matter, and `!` at the beginning leaves out instead.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub families: Vec<String>,
    /// Of the list, take models with these handles only, in the same way.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub handles: Vec<String>,
    /// Do not tell models of these families at `/v1/models`, in the same way. They can still be asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hide: Vec<String>,
}

/// One of OpenAI's APIs for conversations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Api {
    /// Chat Completions.
    Chat,
    /// Responses.
    Responses,
}

/// How a key is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Auth {
    /// `Authorization: Bearer KEY`.
    Bearer,
    /// `Authorization: OAuth KEY`.
    OAuth,
    /// Not at all.
    None,
    /// In the header of this name.
    #[serde(untagged)]
    Header {
        /// The header's name.
        header: String,
        /// Its value, in which `{key}` stands for the key. Default: the key alone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        format: Option<String>,
    },
    /// In the query parameter of this name.
    #[serde(untagged)]
    Query {
        /// The parameter's name.
        query: String,
    },
}

/// The HTTP version of upstream calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum HttpVersion {
    /// HTTP/2 where TLS agrees on it, else HTTP/1.1.
    #[default]
    #[serde(rename = "auto")]
    Auto,
    /// HTTP/1.1.
    #[serde(rename = "1.1")]
    Http1,
    /// HTTP/2, also in clear.
    #[serde(rename = "2")]
    Http2,
}

/// How long to wait for a provider.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Timeouts {
    /// For a connection, TLS included.
    pub connect: Span,
    /// From the request to the first content of the answer.
    pub first_token: Span,
    /// Between two pieces of an answer.
    pub idle: Span,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Span::seconds(10),
            first_token: Span::seconds(600),
            idle: Span::seconds(300),
        }
    }
}

/// How long to wait for the targets of a model. What is not given is as the provider has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ModelTimeouts {
    /// For a connection, TLS included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect: Option<Span>,
    /// From the request to the first content of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_token: Option<Span>,
    /// Between two pieces of an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle: Option<Span>,
}

/// When a target that fails is left alone for a while.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BreakerTable {
    /// After so many failures in a row.
    pub failures: u32,
    /// When this share of the requests in the window failed, between 0 and 1.
    pub rate: f64,
    /// The share counts only from so many requests in the window on.
    pub volume: u32,
    /// The time over which requests are counted.
    pub window: Span,
    /// How long it is left alone the first time; twice as long each time that it has not recovered.
    pub rest: Span,
    /// It is never left alone for longer than this.
    pub max_rest: Span,
    /// How long a target that recovered takes to get its whole share again.
    pub slow_start: Span,
    /// While one of the provider's models is left alone, ask for this path at its host, such as `/health`. As soon as it
    /// answers with 2xx, the model is tried. Default: it is tried when its time of rest is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probe: Option<String>,
    /// How often the path is asked for.
    pub probe_every: Span,
}

impl Default for BreakerTable {
    fn default() -> Self {
        let rules = BreakerRules::default();
        Self {
            failures: rules.failures,
            rate: rules.rate,
            volume: rules.volume,
            window: Span(rules.window),
            rest: Span(rules.rest),
            max_rest: Span(rules.max_rest),
            slow_start: Span(rules.slow_start),
            probe: None,
            probe_every: Span::seconds(5),
        }
    }
}

/// For fields that are not written when they say nothing.
pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
