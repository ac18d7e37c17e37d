//! Fills a file with what the catalog and the environment know, and remembers where each value came from.

use std::collections::BTreeMap;

use super::Proxies;
use super::document::{Document, join};
use super::env::Env;
use super::file::{Auth, File, Network, Provider};
use super::model_list::default_period;
use super::problem::{Problem, did_you_mean};
use super::secret::Secret;
use crate::known::{KNOWN, Known};

/// The file as it takes effect.
#[derive(Debug)]
pub struct Effective {
    /// With every provider filled in.
    pub file: File,
    /// Where values come from that do not stand in the file, by path.
    pub origins: BTreeMap<String, String>,
    /// The catalog's row for each provider.
    pub rows: BTreeMap<String, Row>,
    /// The proxies of the file, or else of the environment.
    pub proxies: Proxies,
}

/// What a provider takes from the catalog.
#[derive(Debug)]
pub struct Row {
    /// The catalog's row.
    pub known: &'static Known,
    /// Whether calls go to the row's own address, so that its other addresses hold too.
    pub at_home: bool,
    /// A server on this machine that nobody asked for: it may well not be there.
    pub probed: bool,
}

/// Fills in every provider, and adds those that the environment offers.
pub fn fill_in(file: File, document: &Document, env: &Env) -> Result<Effective, Vec<Problem>> {
    let mut effective = Effective {
        proxies: proxies(&file.network, env),
        file,
        origins: BTreeMap::new(),
        rows: BTreeMap::new(),
    };
    let mut problems = Vec::new();
    let probed = effective.detect(env);
    for (name, mut provider) in std::mem::take(&mut effective.file.providers) {
        let path = join("providers", &name);
        match row_of(&name, &provider) {
            Ok((kind, known)) => {
                let mut filling = Fill {
                    name: &name,
                    kind,
                    known,
                    path: &path,
                    env,
                    origins: &mut effective.origins,
                };
                let at_home = filling.base_url(&mut provider, &effective.file.server.listen);
                filling.keys(&mut provider);
                filling.rest(&mut provider, at_home);
                if at_home
                    && provider.api_keys.is_empty()
                    && needs_key(known)
                    && !provider.base_url.as_deref().is_some_and(is_this_machine)
                {
                    let names = filling.key_names().join(" or ");
                    problems.push(document.problem(&path, format!("no key is given; set {names}, or `api_keys` here")));
                }
                effective.rows.insert(
                    name.clone(),
                    Row {
                        known,
                        at_home,
                        probed: probed.contains(&name),
                    },
                );
            }
            Err(message) => problems.push(document.problem(&join(&path, "kind"), message)),
        }
        effective.file.providers.insert(name, provider);
    }
    if problems.is_empty() {
        Ok(effective)
    } else {
        Err(problems)
    }
}

impl Effective {
    /// Adds the providers whose key variables are set, and the local servers; returns the names of the latter.
    fn detect(&mut self, env: &Env) -> Vec<String> {
        let mut probed = Vec::new();
        if !self.file.server.detect.unwrap_or(self.file.providers.is_empty()) {
            return probed;
        }
        for (name, known) in KNOWN.iter() {
            if self.file.providers.contains_key(name) {
                continue;
            }
            let variable = known
                .env
                .iter()
                .find_map(|variable| env.numbered(variable).first().map(|(key, _)| *key));
            let named = known.base_url.is_some() || known.base_url_env.iter().any(|name| env.get(name).is_some());
            let origin = match variable {
                Some(variable) if named => format!("environment: {variable} is set"),
                _ if known.local && !same_port(known.base_url.as_deref(), &self.file.server.listen) => {
                    probed.push(name.clone());
                    "local server, if it answers".to_owned()
                }
                _ => continue,
            };
            self.origins.insert(join("providers", name), origin);
            self.file.providers.insert(name.clone(), Provider::default());
        }
        probed
    }
}

/// The proxies: that of the file, or those of the variables that other programs read too, in either case of letters.
fn proxies(network: &Network, env: &Env) -> Proxies {
    let variable = |name: &str| {
        // A CGI program's HTTP_PROXY may be the header `Proxy` of its caller.
        let upper = env
            .get(name)
            .filter(|_| name != "HTTP_PROXY" || env.get("REQUEST_METHOD").is_none());
        env.get(&name.to_lowercase()).or(upper).map(str::to_owned)
    };
    let no = network.no_proxy.clone().or_else(|| variable("NO_PROXY"));
    match &network.proxy {
        Some(proxy) => Proxies {
            all: Some(proxy.expose().to_owned()),
            no,
            ..Proxies::default()
        },
        None => Proxies {
            http: variable("HTTP_PROXY"),
            https: variable("HTTPS_PROXY"),
            all: variable("ALL_PROXY"),
            no,
        },
    }
}

/// Whether a URL's port is the one that we listen on ourselves.
fn same_port(url: Option<&str>, listen: &str) -> bool {
    let port = |text: &str| {
        text.rsplit(':')
            .next()
            .and_then(|rest| rest.split('/').next()?.parse::<u16>().ok())
    };
    url.and_then(port).is_some_and(|own| Some(own) == port(listen))
}

fn needs_key(known: &Known) -> bool {
    !known.local && known.auth != Auth::None
}

/// The catalog's row of a provider.
fn row_of(name: &str, provider: &Provider) -> Result<(&'static str, &'static Known), String> {
    let known = |kind: &str| KNOWN.get_key_value(kind).map(|(kind, row)| (kind.as_str(), row));
    match &provider.kind {
        Some(kind) => known(kind).ok_or_else(|| {
            let hint = did_you_mean(kind, KNOWN.keys().map(String::as_str));
            format!("`{kind}` is neither a dialect (openai, anthropic, gemini, cohere) nor in the catalog{hint}")
        }),
        None => known(name).or_else(|| provider.base_url.as_ref().and_then(|_| known("openai"))).ok_or_else(|| {
            let hint = did_you_mean(name, KNOWN.keys().map(String::as_str));
            format!("`{name}` is not in the catalog{hint}; a provider of your own needs a `base_url` (and a `kind`, if its dialect is not openai)")
        }),
    }
}

/// Fills in one provider.
struct Fill<'a> {
    name: &'a str,
    kind: &'a str,
    known: &'static Known,
    path: &'a str,
    env: &'a Env,
    origins: &'a mut BTreeMap<String, String>,
}

impl Fill<'_> {
    /// Returns whether the base URL is the catalog's own.
    fn base_url(&mut self, provider: &mut Provider, listen: &str) -> bool {
        if provider.base_url.is_some() {
            return false;
        }
        if let Some(resource) = &provider.resource {
            provider.base_url = Some(format!("https://{resource}.openai.azure.com"));
            self.note("base_url", format!("from {}.resource", self.path));
            return true;
        }
        // Only the provider that bears the row's name takes the row's variables: a second one is somebody else.
        let own = if self.name == self.kind {
            self.known.base_url_env.as_slice()
        } else {
            &[]
        };
        for variable in own {
            let Some(value) = self.env.get(variable) else { continue };
            let url = complete(value, self.known);
            if same_port(Some(&url), listen) && is_this_machine(&url) {
                continue; // the variable sends applications here; following it would be a loop
            }
            provider.base_url = Some(url);
            self.note("base_url", format!("environment: {variable}"));
            return false;
        }
        provider.base_url.clone_from(&self.known.base_url);
        self.note("base_url", format!("catalog: {}", self.kind));
        true
    }

    fn keys(&mut self, provider: &mut Provider) {
        if let Some(key) = provider.api_key.take() {
            provider.api_keys.insert(0, key);
        }
        if !provider.api_keys.is_empty() {
            return;
        }
        for name in self.key_names() {
            for (variable, value) in self.env.numbered(&name) {
                if provider.api_keys.iter().all(|key| key.expose() != value) {
                    self.note(
                        &format!("api_keys.{}", provider.api_keys.len()),
                        format!("environment: {variable}"),
                    );
                    provider.api_keys.push(Secret::new(value));
                }
            }
        }
    }

    /// The variables that may hold keys of this provider.
    fn key_names(&self) -> Vec<String> {
        let own = format!("{}_API_KEY", self.name.to_uppercase().replace('-', "_"));
        let mut names = if self.name == self.kind {
            self.known.env.clone()
        } else {
            Vec::new()
        };
        if !names.contains(&own) {
            names.push(own);
        }
        names
    }

    fn rest(&mut self, provider: &mut Provider, at_home: bool) {
        if provider.apis.is_none() && at_home && self.known.apis.is_some() {
            provider.apis.clone_from(&self.known.apis);
            self.note("apis", format!("catalog: {}", self.kind));
        }
        if provider.kind.is_none() {
            provider.kind = Some(self.kind.to_owned());
            self.note("kind", "default".to_owned());
        }
        if provider.auth.is_none() {
            provider.auth = Some(self.known.auth.clone());
            self.note("auth", format!("catalog: {}", self.kind));
        }
        if provider.quirks.is_none() {
            provider.quirks = Some(self.known.quirks.clone());
            self.note("quirks", format!("catalog: {}", self.kind));
        }
        if provider.discovery.every.is_none() {
            provider.discovery.every = Some(default_period(provider.base_url.as_deref()));
            self.note("discovery.every", "default".to_owned());
        }
        if provider.discovery.shape.is_none() {
            provider.discovery.shape = Some(self.known.discovery());
            self.note("discovery.shape", format!("catalog: {}", self.kind));
        }
        for (name, value) in &self.known.headers {
            if !provider.headers.keys().any(|own| own.eq_ignore_ascii_case(name)) {
                provider.headers.insert(name.clone(), value.clone());
                self.note(&format!("headers.{name}"), format!("catalog: {}", self.kind));
            }
        }
    }

    fn note(&mut self, key: &str, origin: String) {
        self.origins.insert(join(self.path, key), origin);
    }
}

/// A base URL from the environment, where tools are lax: `OLLAMA_HOST` may be `0.0.0.0:11434` or just a host.
fn complete(value: &str, known: &Known) -> String {
    let mut url = if value.contains("://") {
        value.to_owned()
    } else {
        format!("http://{value}")
    };
    url = url.replacen("://0.0.0.0", "://127.0.0.1", 1);
    let authority = url.split("://").nth(1).unwrap_or("").split('/').next().unwrap_or("");
    let port = known
        .base_url
        .as_deref()
        .and_then(|home| home.rsplit(':').next()?.split('/').next());
    if let (true, false, Some(port)) = (known.local, authority.contains(':'), port) {
        url = url.replacen(authority, &format!("{authority}:{port}"), 1);
    }
    url
}

fn is_this_machine(url: &str) -> bool {
    ["://127.", "://localhost", "://[::1]"]
        .iter()
        .any(|host| url.contains(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str, env: &Env) -> Result<Effective, Vec<String>> {
        let document = Document::parse("f", text, env).unwrap();
        let file = crate::config::schema::read(&document).unwrap();
        fill_in(file, &document, env).map_err(|problems| problems.iter().map(ToString::to_string).collect())
    }

    fn base_url(effective: &Effective, name: &str) -> String {
        effective.file.providers[name].base_url.clone().unwrap()
    }

    #[test]
    fn without_providers_the_environment_offers_them() {
        let env = Env::from([
            ("GROQ_API_KEY_2", "b"),
            ("GROQ_API_KEY", "a"),
            ("OLLAMA_HOST", "0.0.0.0"),
        ]);
        let effective = filled("", &env).unwrap();
        let keys: Vec<&str> = effective.file.providers["groq"]
            .api_keys
            .iter()
            .map(Secret::expose)
            .collect();
        assert_eq!(keys, ["a", "b"]);
        assert_eq!(
            effective.origins["providers.groq.api_keys.1"],
            "environment: GROQ_API_KEY_2"
        );
        assert_eq!(base_url(&effective, "ollama"), "http://127.0.0.1:11434");
        assert!(effective.rows["ollama"].probed && !effective.rows["groq"].probed);
        assert!(!effective.file.providers.contains_key("openai"));
        assert!(
            !effective.file.providers.contains_key("llamacpp"),
            "our own port is not probed"
        );
    }

    #[test]
    fn a_file_that_names_a_provider_is_the_whole_truth() {
        let env = Env::from([("GROQ_API_KEY", "a"), ("OPENAI_API_KEY", "b")]);
        let effective = filled("[providers.openai]", &env).unwrap();
        assert_eq!(effective.file.providers.keys().collect::<Vec<_>>(), ["openai"]);
        let effective = filled("[server]\ndetect = true\n[providers.openai]", &env).unwrap();
        assert!(effective.file.providers.contains_key("groq"));
    }

    #[test]
    fn keys_never_stray_to_another_provider() {
        let env = Env::from([
            ("OPENAI_API_KEY", "secret"),
            ("OPENAI_BASE_URL", "http://other"),
            ("GPU_BOX_API_KEY", "own"),
        ]);
        let effective = filled(
            "[providers.gpu-box]\nbase_url = 'http://box'\n[providers.plain]\nkind='openai'\nbase_url='http://p'",
            &env,
        )
        .unwrap();
        assert_eq!(effective.file.providers["gpu-box"].api_keys, [Secret::new("own")]);
        assert_eq!(effective.file.providers["plain"].api_keys, []);
    }

    #[test]
    fn a_variable_that_points_here_is_not_followed() {
        let env = Env::from([("OPENAI_API_KEY", "k"), ("OPENAI_BASE_URL", "http://localhost:8080/v1")]);
        assert_eq!(
            base_url(&filled("", &env).unwrap(), "openai"),
            "https://api.openai.com/v1"
        );
        let env = Env::from([("OPENAI_API_KEY", "k"), ("OPENAI_BASE_URL", "http://localhost:9090/v1")]);
        let effective = filled("", &env).unwrap();
        assert_eq!(base_url(&effective, "openai"), "http://localhost:9090/v1");
        assert!(!effective.rows["openai"].at_home);
    }

    #[test]
    fn what_is_near_is_asked_more_often() {
        let effective = filled(
            "[providers.groq]\napi_key='k'\n[providers.box]\nbase_url='http://10.0.0.5:8000'\n[providers.own]\nbase_url='http://own'\ndiscovery.every='1h'",
            &Env::default(),
        )
        .unwrap();
        for (name, every) in [("groq", "5m"), ("box", "30s"), ("own", "1h")] {
            let found = effective.file.providers[name].discovery.every.unwrap();
            assert_eq!(found.to_string(), every, "{name}");
        }
        assert_eq!(effective.origins["providers.box.discovery.every"], "default");
    }

    #[test]
    fn proxies_come_from_the_file_or_from_variables_in_either_case() {
        let env = Env::from([
            ("HTTPS_PROXY", "http://a"),
            ("http_proxy", "http://b"),
            ("NO_PROXY", "x"),
        ]);
        let variables = filled("", &env).unwrap().proxies;
        assert_eq!(
            (variables.https.as_deref(), variables.http.as_deref()),
            (Some("http://a"), Some("http://b"))
        );
        assert_eq!((variables.all, variables.no.as_deref()), (None, Some("x")));
        let own = filled("[network]\nno_proxy = 'y'", &env).unwrap().proxies;
        assert_eq!((own.https.as_deref(), own.no.as_deref()), (Some("http://a"), Some("y")));
        let file = filled("[network]\nproxy = 'http://c'", &env).unwrap().proxies;
        assert_eq!(
            (file.all.as_deref(), file.https, file.no.as_deref()),
            (Some("http://c"), None, Some("x"))
        );
    }

    #[test]
    fn what_is_missing_is_said() {
        let problems = filled(
            "[providers.openai]\n[providers.opnrouter]\n[providers.x]\nkind = 'antropic'",
            &Env::default(),
        );
        assert_eq!(
            problems.unwrap_err(),
            [
                "f:1:12: `providers.openai`: no key is given; set OPENAI_API_KEY, or `api_keys` here",
                "f:2:12: `providers.opnrouter.kind`: `opnrouter` is not in the catalog, did you mean `openrouter`?; a provider of your own needs a `base_url` (and a `kind`, if its dialect is not openai)",
                "f:4:1: `providers.x.kind`: `antropic` is neither a dialect (openai, anthropic, gemini, cohere) nor in the catalog, did you mean `anthropic`?",
            ]
        );
    }
}
