//! From what a file says to what a gateway runs on: everything that needs more than a schema to be judged.

use std::collections::{BTreeMap, HashMap};
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::OnceLock;

use axum::http::{HeaderName, HeaderValue};
use mynah_dialect::Dialect;
use mynah_dialect::defaults::Defaults;

use super::access::have_keys;
use super::document::{Document, join};
use super::effective::{Effective, Row};
use super::file::{self, File, KeyOrder};
use super::model_list::{model_list, shape, wrong_source};
use super::price::OwnPrices;
use super::problem::{Problem, did_you_mean};
use super::secret::{MASKED, is_masked};
use super::{CacheConfig, Config, CorsOrigins, ModelConfig, NetworkConfig, Proxies, ServerConfig, TlsFiles};
use crate::keys::{KeyPool, KeyRules};
use crate::known::{Discovery, PathStyle};
use crate::provider::{Apis, BUILT_IN, Endpoint, Provider, Timeouts};
use crate::upstream::auth::{Auth, Credential};
use crate::upstream::base::BaseUrl;

/// What every request has, or what decides how its answer is read.
const NO_DEFAULTS: [&str; 6] = ["model", "messages", "input", "contents", "stream", "stream_options"];

/// Checks the whole file and reports everything that is wrong with it.
pub fn check(effective: &Effective, document: &Document) -> Result<Config, Vec<Problem>> {
    let mut check = Check {
        file: &effective.file,
        document,
        problems: Vec::new(),
    };
    let server = check.server();
    let network = check.network(&effective.proxies);
    check.log();
    let admin = check.admin();
    let store = check.store();
    let cluster = check.cluster();
    check.routing();
    check.cache();
    let prices = check.prices();
    let providers = check.providers(&effective.rows, prices);
    let models = check.models();
    let access = check.access();
    let default_provider = check.default_provider(&providers);
    match server {
        Some(server) if check.problems.is_empty() => Ok(Config {
            server,
            admin,
            providers,
            cache: cache(&effective.file, &models),
            models,
            rules: check.common_rules(),
            configured_only: effective.file.routing.configured_only,
            default_models: effective.file.routing.default_models.clone(),
            access,
            default_provider,
            built_in: effective.file.server.built_in,
            plain_ids: effective.file.routing.plain_ids,
            network,
            log: effective.file.log.clone(),
            store,
            cluster,
        }),
        _ => {
            check.problems.sort_by_key(|problem| problem.at);
            Err(check.problems)
        }
    }
}

/// A check under way.
pub(super) struct Check<'a> {
    /// The file with everything filled in.
    pub(super) file: &'a File,
    document: &'a Document,
    problems: Vec<Problem>,
}

impl Check<'_> {
    /// Notes a problem at a place.
    pub(super) fn report(&mut self, path: &str, message: impl Into<String>) {
        self.problems.push(self.document.problem(path, message));
    }

    /// The value, or a report.
    pub(super) fn take<T>(&mut self, path: &str, result: Result<T, String>) -> Option<T> {
        result.map_err(|message| self.report(path, message)).ok()
    }

    fn server(&mut self) -> Option<ServerConfig> {
        let server = &self.file.server;
        let listen = self.take("server.listen", listen_address(&server.listen));
        if let Some(listen) = listen
            && !listen.ip().is_loopback()
            && !have_keys(&self.file.clients)
            && self.file.store.is_none()
            && !server.allow_anonymous
        {
            let message = "this address can be reached from other machines, so callers need keys: add [[clients]], or a [store] for keys that `mynah keys create` makes, or set `server.allow_anonymous = true`";
            self.report("server.listen", message);
        }
        for (path, value) in [
            ("server.max_connections", server.max_connections),
            ("server.max_requests", server.max_requests),
        ] {
            if value == 0 {
                self.report(path, "must be at least 1");
            }
        }
        if server.max_body.0 == 0 {
            self.report(
                "server.max_body",
                "no request would fit: write a size such as \"32MiB\"",
            );
        }
        let tls = self.tls("server.tls", server.tls.as_ref());
        let cors_origins = self.cors_origins();
        Some(ServerConfig {
            listen: listen?,
            tls,
            pass_through: server.pass_through,
            docs: server.docs,
            replies: server.replies,
            cors_origins,
            cors_models: server.cors_models,
            max_body: usize::try_from(server.max_body.0).unwrap_or(usize::MAX),
            max_upload: server.max_upload.0,
            max_connections: server.max_connections as usize,
            max_requests: server.max_requests as usize,
            header_timeout: server.header_timeout.0,
            body_timeout: server.body_timeout.0,
            keep_alive: server.keep_alive.0,
            drain: server.drain.0,
        })
    }

    /// The files of a listener's certificate, which must be there.
    pub(super) fn tls(&mut self, path: &str, tls: Option<&file::Tls>) -> Option<TlsFiles> {
        let tls = tls.map(|tls| TlsFiles {
            cert: tls.cert.clone(),
            key: tls.key.clone(),
        })?;
        self.take(path, crate::http::tls::load(&tls).map(drop));
        Some(tls)
    }

    fn cors_origins(&mut self) -> CorsOrigins {
        let mut origins = Vec::new();
        for (index, origin) in self.file.server.cors_origins.iter().enumerate() {
            if origin == "*" {
                return CorsOrigins::Any;
            }
            let is_origin = origin
                .split_once("://")
                .is_some_and(|(_, host)| !host.is_empty() && !host.contains('/'));
            match HeaderValue::try_from(origin.as_str()) {
                Ok(value) if is_origin => origins.push(value),
                _ => self.report(
                    &format!("server.cors_origins.{index}"),
                    format!("`{origin}` is not an origin such as https://app.example.com (no path, no trailing slash)"),
                ),
            }
        }
        CorsOrigins::List(origins)
    }

    fn network(&mut self, proxies: &Proxies) -> NetworkConfig {
        let network = &self.file.network;
        if let Some(proxy) = &network.proxy
            && !proxy.expose().starts_with("http://")
        {
            self.report(
                "network.proxy",
                "must be the URL of an HTTP proxy, such as http://proxy:3128",
            );
        }
        for (index, path) in network.ca.iter().enumerate() {
            self.take(
                &format!("network.ca.{index}"),
                crate::upstream::tls::authorities(path).map(drop),
            );
        }
        NetworkConfig {
            proxies: proxies.clone(),
            ca: network.ca.clone(),
            keep_alive: network.keep_alive.0,
            max_idle: network.max_idle as usize,
        }
    }

    fn log(&mut self) {
        self.take(
            "log.level",
            crate::telemetry::level::filter(&self.file.log.level).map(drop),
        );
    }

    fn providers(&mut self, rows: &BTreeMap<String, Row>, mut prices: OwnPrices) -> Vec<Provider> {
        let file = self.file;
        let provider = |(name, provider): (&String, &file::Provider)| {
            let path = join("providers", name);
            if name == BUILT_IN || name.contains('/') || name.is_empty() {
                self.report(&path, format!("a provider cannot be called `{name}`"));
            }
            let found = self.provider(name, &path, provider, rows.get(name)?)?;
            Some(Provider {
                prices: prices.remove(name).unwrap_or_default(),
                ..found
            })
        };
        file.providers.iter().filter_map(provider).collect()
    }

    fn provider(&mut self, name: &str, path: &str, provider: &file::Provider, row: &Row) -> Option<Provider> {
        if let Some(resource) = &provider.resource
            && !resource
                .chars()
                .all(|letter| letter.is_ascii_alphanumeric() || letter == '-')
        {
            self.report(
                &join(path, "resource"),
                "may consist of letters, digits and dashes only",
            );
            return None;
        }
        if provider.apis.as_ref().is_some_and(Vec::is_empty) {
            self.report(&join(path, "apis"), "needs `chat`, `responses` or both");
        }
        if let Some(prefix) = &provider.prefix
            && (prefix.is_empty()
                || prefix.contains('/')
                || (prefix != name && self.file.providers.contains_key(prefix)))
        {
            let message = format!("`{prefix}` must be a word without a slash, and no other provider's name");
            self.report(&join(path, "prefix"), message);
        }
        self.not_zero(&join(path, "timeout"), provider.timeout);
        let endpoints = self.endpoints(path, provider, row);
        let headers = self.headers(path, provider);
        let defaults = self.defaults(path, provider);
        let endpoints = endpoints?;
        let list = model_list(&provider.discovery, row, &endpoints);
        if let Some(from) = &provider.discovery.from
            && let Some(message) = wrong_source(name, from, &self.file.providers)
        {
            self.report(&format!("{path}.discovery.from"), message);
        }
        let list = list.map_err(|(key, message)| self.report(&format!("{path}.discovery.{key}"), message));
        Some(Provider {
            name: name.to_owned(),
            account: provider.account.clone().unwrap_or_else(|| name.to_owned()),
            endpoints,
            secrets: provider.api_keys.clone(),
            keys: KeyPool::default(),
            key_rules: KeyRules {
                cooldown: provider.cooldown.map(|cooldown| cooldown.0),
                first_come: provider.key_order == KeyOrder::Listed,
                rest_failed: provider.rest_failed_keys,
            },
            breaker: self.breaker(path, &provider.breaker),
            probe: self.probe(path, &provider.breaker),
            defaults,
            headers,
            timeouts: Timeouts {
                connect: provider.timeouts.connect.0,
                first_token: provider.timeouts.first_token.0,
                idle: provider.timeouts.idle.0,
            },
            timeout: provider.timeout.map(|timeout| timeout.0),
            kind: provider.kind.clone().unwrap_or_default(),
            url: provider.base_url.clone(),
            list: list.ok()?,
            models: provider.models.clone(),
            prefix: provider.prefix.as_ref().map(|prefix| format!("{prefix}/").into()),
            path_style: row.known.path_style,
            api_version: provider.api_version.clone(),
            http_version: provider.http_version.unwrap_or_default(),
            apis: Apis::new(provider.apis.as_deref()),
            quirks: provider.quirks.clone().unwrap_or_default(),
            probed: row.probed,
            prices: HashMap::new(),
        })
    }

    /// The addresses of a provider: its own, and those of other dialects where nothing replaces the catalog's.
    fn endpoints(&mut self, path: &str, provider: &file::Provider, row: &Row) -> Option<Vec<Endpoint>> {
        let Some(base_url) = &provider.base_url else {
            let azure = row.known.path_style == PathStyle::AzureDeployments;
            let missing = if azure {
                "needs a `resource` or a `base_url`"
            } else {
                "needs a `base_url`"
            };
            self.report(path, missing);
            return None;
        };
        let (base_url, version) = match (row.known.path_style, &provider.version, &provider.api_version) {
            (_, Some(version), _) => (base_url.as_str(), version.as_str()),
            (PathStyle::Plain, None, _) => (base_url.as_str(), row.known.version()),
            (PathStyle::OcfServices, None, _) => (without_version(base_url), row.known.version()),
            (PathStyle::AzureDeployments, None, Some(_)) => (without_openai(base_url), "openai"),
            (PathStyle::AzureDeployments, None, None) => (without_openai(base_url), "openai/v1"),
        };
        let base = self.take(&join(path, "base_url"), BaseUrl::parse(base_url, version));
        let auth = provider.auth.as_ref().unwrap_or(&row.known.auth);
        let auth = self.take(&join(path, "auth"), Auth::parse(auth));
        let credentials = self.credentials(path, provider, &auth?);
        let mut endpoints = vec![Endpoint {
            dialect: row.known.dialect,
            base: base?,
            credentials,
            pool: OnceLock::new(),
        }];
        let others = [
            (Dialect::OpenAi, &row.known.openai_base_url),
            (Dialect::Anthropic, &row.known.anthropic_base_url),
        ];
        for (dialect, url) in others.into_iter().filter(|_| row.at_home) {
            if let Some(Ok(base)) = url.as_ref().map(|url| BaseUrl::parse(url, "")) {
                let credentials = self.credentials(path, provider, &Auth::Scheme("Bearer"));
                endpoints.push(Endpoint {
                    dialect,
                    base,
                    credentials,
                    pool: OnceLock::new(),
                });
            }
        }
        if shape(&provider.discovery, row) == Discovery::ModelList {
            endpoints = at_handles(&endpoints);
        }
        Some(endpoints)
    }

    /// The keys as they are sent.
    fn credentials(&mut self, path: &str, provider: &file::Provider, auth: &Auth) -> Vec<Credential> {
        let keys = provider.api_keys.iter().enumerate();
        keys.filter_map(|(index, key)| self.take(&format!("{path}.api_keys.{index}"), auth.credential(key)))
            .collect()
    }

    fn defaults(&mut self, path: &str, provider: &file::Provider) -> Defaults {
        for name in NO_DEFAULTS {
            if provider.defaults.contains_key(name) {
                let message = "is what a request is about: it cannot be added to one";
                self.report(&format!("{path}.defaults.{name}"), message);
            }
        }
        Defaults::new(provider.defaults.clone())
    }

    fn headers(&mut self, path: &str, provider: &file::Provider) -> Vec<(HeaderName, HeaderValue)> {
        let mut headers = Vec::new();
        for (name, value) in &provider.headers {
            match (name.parse(), HeaderValue::try_from(value.as_str())) {
                _ if is_masked(value) => self.report(&format!("{path}.headers.{name}"), MASKED),
                (Ok(name), Ok(value)) => headers.push((name, value)),
                _ => self.report(&format!("{path}.headers.{name}"), "is not a header that can be sent"),
            }
        }
        headers
    }

    /// The provider of routes without a model: the named one, or the only one that speaks the dialect of these routes.
    fn default_provider(&mut self, providers: &[Provider]) -> Option<String> {
        if let Some(name) = &self.file.server.default_provider {
            if !self.file.providers.contains_key(name) {
                let hint = did_you_mean(name, self.file.providers.keys().map(String::as_str));
                self.report(
                    "server.default_provider",
                    format!("there is no provider `{name}`{hint}"),
                );
            }
            return Some(name.clone());
        }
        let mut fitting = providers
            .iter()
            .filter(|provider| !provider.probed && !provider.has_handles())
            .filter(|provider| provider.endpoint(Dialect::OpenAi).is_some());
        let only = fitting.next()?;
        fitting.next().is_none().then(|| only.name.clone())
    }
}

/// The address of a provider with handles, where every dialect is spoken.
fn at_handles(endpoints: &[Endpoint]) -> Vec<Endpoint> {
    let own = endpoints.first();
    let endpoint = |dialect| {
        own.map(|own| Endpoint {
            dialect,
            base: own.base.clone(),
            credentials: own.credentials.clone(),
            pool: OnceLock::new(),
        })
    };
    Dialect::ALL.into_iter().filter_map(endpoint).collect()
}

/// Where answers are kept; `None` when no model keeps any.
fn cache(file: &File, models: &[ModelConfig]) -> Option<CacheConfig> {
    let is_used = models.iter().any(|model| model.rules.cache.is_some());
    is_used.then_some(CacheConfig {
        max_size: file.cache.max_size.0,
        in_cluster: file.cache.cluster.unwrap_or(true),
    })
}

/// An address to listen on: `127.0.0.1:8080`, `[::1]:8080`, `localhost:8080`, `:8080`.
pub(super) fn listen_address(text: &str) -> Result<SocketAddr, String> {
    let wrong = || format!("`{text}` is not an address and port such as 127.0.0.1:8080");
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    if let Some(port) = text.strip_prefix(':') {
        return format!("0.0.0.0:{port}").parse().map_err(|_| wrong());
    }
    let mut addresses = text.to_socket_addrs().map_err(|_| wrong())?;
    addresses.next().ok_or_else(wrong)
}

/// The address of an Azure resource, where people also write it with the first segment of its API.
fn without_openai(base_url: &str) -> &str {
    let base_url = base_url.trim_end_matches('/');
    base_url.strip_suffix("/openai").unwrap_or(base_url)
}

/// The address of an OCF head, where people also write it with the version of its API and no service.
fn without_version(base_url: &str) -> &str {
    let head = base_url.trim_end_matches('/');
    if head.contains("/service/") {
        return head;
    }
    head.strip_suffix("/v1").unwrap_or(head)
}

/// The files that a configuration depends on, beside itself.
pub fn files(config: &Config) -> Vec<PathBuf> {
    let admin = config.admin.as_ref().and_then(|admin| admin.tls.as_ref());
    let tls = config.server.tls.iter().chain(admin);
    let tls = tls.flat_map(|tls| [tls.cert.clone(), tls.key.clone()]);
    tls.chain(config.network.ca.iter().cloned()).collect()
}
