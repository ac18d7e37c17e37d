//! The providers of the proxy's files, each as one or more of ours: routes with keys, an address or a protocol of their own
//! need one of their own.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::files::{Authentication, Endpoints, ProviderFile, RouteFile, Texts};
use super::values::{escaped, span, with_variables};
use crate::config::env::Env;
use crate::config::presets::literal;
use crate::known::KNOWN;
use crate::provider::BUILT_IN;

/// Where keys are looked for, unless a provider says so.
const PATTERNS: [&str; 2] = ["{PROVIDER}_API_KEY", "{PROVIDER}_API_KEY_{INDEX}"];

/// What cannot be a default: it is what a request is about.
const NO_DEFAULTS: [&str; 6] = ["model", "messages", "input", "contents", "stream", "stream_options"];

/// The providers so far.
pub(super) struct Providers<'a> {
    env: &'a Env,
    files: &'a BTreeMap<String, ProviderFile>,
    /// How long a key rests, where nothing else is said, in seconds.
    cooldown: f64,
    made: Vec<Made>,
    pub notes: Vec<String>,
}

/// One of our providers.
struct Made {
    name: String,
    /// Whose it is.
    provider: String,
    settings: Map<String, Value>,
    models: Vec<String>,
}

/// What a route wants that its provider may have otherwise.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wishes {
    /// How long to wait, in seconds.
    pub timeout: Option<f64>,
    /// How long a key rests, in seconds.
    pub cooldown: Option<f64>,
}

impl<'a> Providers<'a> {
    pub(super) fn new(env: &'a Env, files: &'a BTreeMap<String, ProviderFile>, cooldown: f64) -> Self {
        Self {
            env,
            files,
            cooldown,
            made: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// The provider file of a name: that of the file, or the one inside.
    pub(super) fn file(&self, name: &str) -> Option<(&'a str, &'a ProviderFile)> {
        let by_stem = self.files.get_key_value(name);
        let by_name = || self.files.iter().find(|(_, file)| file.name.as_deref() == Some(name));
        by_stem.or_else(by_name).map(|(stem, file)| (stem.as_str(), file))
    }

    /// Adds the providers that have keys and that no route has brought.
    pub(super) fn add_unused(&mut self) -> usize {
        for (name, file) in self.files {
            let is_there = self.made.iter().any(|made| made.provider == *name);
            let keys = self.keys_of(name, Some(file));
            if is_there || file.enabled == Some(false) {
                continue;
            }
            if keys.is_empty() {
                let note = format!(
                    "provider `{name}` is enabled and has no key; set {}",
                    expected(name, Some(file))
                );
                self.notes.push(note);
                continue;
            }
            let route = RouteFile {
                provider: name.clone(),
                ..RouteFile::default()
            };
            if let Err(note) = self.target(&route, Wishes::default()) {
                self.notes.push(format!("provider `{name}`: {note}"));
            }
        }
        self.made.len()
    }

    /// Where a route leads, as `provider/model`; or why it leads nowhere.
    pub(super) fn target(&mut self, route: &RouteFile, wishes: Wishes) -> Result<String, String> {
        let (name, file) = match self.file(&route.provider) {
            Some((name, file)) => (name, Some(file)),
            None => (route.provider.as_str(), None),
        };
        if file.is_some_and(|file| file.enabled == Some(false)) {
            return Err(format!("the provider `{name}` is not enabled"));
        }
        let keys = self.keys(name, file, route)?;
        let mut settings = match file {
            Some(file) => self.settings(file, route)?,
            None => self.settings_without_file(name, route)?,
        };
        let config = file.and_then(|file| file.request_config.as_ref());
        let timeout = wishes.timeout.or(config.and_then(|config| config.timeout_seconds));
        let cooldown = wishes
            .cooldown
            .or(file.and_then(|file| file.rate_limiting.as_ref()?.cooldown_seconds));
        settings.insert("api_keys".to_owned(), keys.into());
        settings.insert("key_order".to_owned(), "listed".into());
        settings.insert("rest_failed_keys".to_owned(), true.into());
        settings.insert("cooldown".to_owned(), span(cooldown.unwrap_or(self.cooldown)).into());
        if let Some(timeout) = timeout.filter(|timeout| *timeout > 0.0) {
            let timeouts = json!({ "first_token": span(timeout), "idle": span(timeout) });
            settings.insert("timeouts".to_owned(), timeouts);
        }
        let made = self.made(name, settings);
        if !route.model.is_empty() && !made.models.contains(&route.model) {
            made.models.push(route.model.clone());
        }
        Ok(format!("{}/{}", made.name, route.model))
    }

    /// The provider with these settings; a new one if there is none yet.
    fn made(&mut self, provider: &str, settings: Map<String, Value>) -> &mut Made {
        let same = |made: &Made| made.provider == provider && made.settings == settings;
        let at = self.made.iter().position(same).unwrap_or_else(|| {
            let plain = match provider.replace('/', "-") {
                name if name.is_empty() || name == BUILT_IN => format!("{name}-provider"),
                name => name,
            };
            let is_free = |name: &String| {
                let is_others = *name != plain && self.files.contains_key(name);
                !is_others && self.made.iter().all(|made| made.name != *name)
            };
            let numbered = (2..).map(|number| format!("{plain}-{number}"));
            let name = std::iter::once(plain.clone()).chain(numbered).find(is_free);
            self.made.push(Made {
                name: name.unwrap_or_default(),
                provider: provider.to_owned(),
                settings,
                models: Vec::new(),
            });
            self.made.len() - 1
        });
        &mut self.made[at]
    }

    /// The settings of a provider with a file, but for its keys and times.
    fn settings(&self, file: &ProviderFile, route: &RouteFile) -> Result<Map<String, Value>, String> {
        let nothing = Endpoints::default();
        let endpoints = file.endpoints.as_ref().unwrap_or(&nothing);
        let proxy = file.proxy_support.as_ref().filter(|proxy| proxy.enabled != Some(false));
        let proxy = proxy.and_then(|proxy| proxy.base_url_override.as_ref());
        let base_url = route.base_url.as_ref().or(proxy).or(endpoints.base_url.as_ref());
        let base_url = base_url.ok_or("its file has no `endpoints.base_url`")?;
        let kind = kind(endpoints, route);
        let completions = endpoints.completions.as_deref();
        let mut settings = self.address(base_url, completions)?;
        settings.insert("kind".to_owned(), kind.into());
        if let Some(authentication) = &file.authentication {
            if let Some(auth) = auth(authentication) {
                settings.insert("auth".to_owned(), auth);
            }
            let mut headers = Map::new();
            for (name, value) in authentication.additional_headers.iter().flatten() {
                headers.insert(name.clone(), with_variables(value, self.env)?.into());
            }
            if !headers.is_empty() {
                settings.insert("headers".to_owned(), headers.into());
            }
        }
        let config = file.request_config.as_ref();
        let defaults = config.and_then(|config| config.default_parameters.as_ref());
        // Gemini has no place for them at the top of a request.
        if let Some(defaults) = defaults.filter(|_| kind != "gemini") {
            let fields = defaults
                .iter()
                .filter(|(name, value)| !value.is_null() && !NO_DEFAULTS.contains(&name.as_str()));
            let fields: Map<String, Value> = fields.map(|(name, value)| (name.clone(), escaped(value))).collect();
            if !fields.is_empty() {
                settings.insert("defaults".to_owned(), fields.into());
            }
        }
        Ok(settings)
    }

    /// The settings of a provider without one: what the catalog knows of it, or what the route says.
    fn settings_without_file(&self, name: &str, route: &RouteFile) -> Result<Map<String, Value>, String> {
        if let Some(base_url) = &route.base_url {
            let kind = kind(&Endpoints::default(), route);
            let mut settings = self.address(base_url, None)?;
            settings.insert("kind".to_owned(), kind.into());
            return Ok(settings);
        }
        let is_set = |variable: &String| self.env.get(variable).is_some();
        let has_address = KNOWN
            .get(name)
            .is_some_and(|known| known.base_url.is_some() || known.base_url_env.iter().any(is_set));
        if has_address {
            Ok(Map::from_iter([("kind".to_owned(), name.into())]))
        } else {
            Err(format!("there is no config/providers/{name}.json"))
        }
    }

    /// The base URL, such that calls go to that and the path of `completions`.
    fn address(&self, base_url: &str, completions: Option<&str>) -> Result<Map<String, Value>, String> {
        let base_url = with_variables(base_url, self.env)?;
        let whole =
            completions.map(|path| format!("{}/{}", base_url.trim_end_matches('/'), path.trim_start_matches('/')));
        // A route may speak another protocol than its provider's file is about.
        let ends = ["/chat/completions", "/messages", "/models/{model}:generateContent"];
        let base = whole
            .as_deref()
            .and_then(|whole| ends.iter().find_map(|end| whole.strip_suffix(end)));
        match (base, completions) {
            (Some(base), _) => Ok(Map::from_iter([
                ("base_url".to_owned(), base.into()),
                ("version".to_owned(), "".into()),
            ])),
            (None, None) => Ok(Map::from_iter([("base_url".to_owned(), base_url.into())])),
            (None, Some(path)) => Err(format!(
                "`endpoints.completions` is `{path}`, which does not end in /chat/completions or /messages"
            )),
        }
    }

    /// The keys of a route: those that it lists itself, else those of its provider.
    fn keys(&mut self, name: &str, file: Option<&ProviderFile>, route: &RouteFile) -> Result<Vec<String>, String> {
        let mut keys = Vec::new();
        let listed = route.api_key_env.as_ref().map(Texts::all).unwrap_or_default();
        for variable in listed {
            self.add_key(variable, &mut keys);
        }
        if keys.is_empty() {
            keys = self.keys_of(name, file);
        }
        let kind = file.and_then(|file| file.authentication.as_ref()?.r#type.as_deref());
        if keys.is_empty() && kind != Some("none") {
            let expected = if listed.is_empty() {
                expected(name, file)
            } else {
                listed.join(" or ")
            };
            return Err(format!("the provider `{name}` has no key; set {expected}"));
        }
        Ok(keys)
    }

    /// The keys of a provider, as `${NAME}`.
    fn keys_of(&self, name: &str, file: Option<&ProviderFile>) -> Vec<String> {
        let mut keys = Vec::new();
        for pattern in patterns(name, file) {
            match pattern.split_once("{INDEX}") {
                Some((before, after)) => {
                    for variable in self.env.indexed(before, after) {
                        self.add_key(variable, &mut keys);
                    }
                }
                None => self.add_key(&pattern, &mut keys),
            }
        }
        keys
    }

    /// Adds a variable that is set, unless another has the same value.
    fn add_key(&self, variable: &str, keys: &mut Vec<String>) {
        let value = |key: &String| self.env.get(key.trim_start_matches("${").trim_end_matches('}'));
        let own = self.env.get(variable);
        if own.is_some() && !keys.iter().any(|key| value(key) == own) {
            keys.push(format!("${{{variable}}}"));
        }
    }

    /// All of them, as they stand in a `mynah.toml`.
    pub(super) fn into_settings(self) -> Map<String, Value> {
        let provider = |made: Made| {
            let mut settings = made.settings;
            if made.name != made.provider {
                settings.insert("account".to_owned(), literal(&made.provider).into());
            }
            let models: Vec<String> = made.models.iter().map(|model| literal(model)).collect();
            settings.insert("models".to_owned(), models.into());
            (made.name, settings.into())
        };
        self.made.into_iter().map(provider).collect()
    }
}

/// Which protocol is spoken.
fn kind(endpoints: &Endpoints, route: &RouteFile) -> &'static str {
    let format = endpoints.compatible_format.as_deref().unwrap_or_default();
    let is_native = endpoints
        .completions
        .as_deref()
        .is_some_and(|path| path.contains(":generateContent"));
    match route.wire_protocol.as_deref() {
        _ if is_native || format == "gemini" && endpoints.completions.is_none() => "gemini",
        Some("anthropic") => "anthropic",
        None if format == "anthropic" => "anthropic",
        _ => "openai",
    }
}

/// How a key is sent; `None` where that is not said.
fn auth(authentication: &Authentication) -> Option<Value> {
    if authentication.r#type.as_deref() == Some("none") {
        return Some("none".into());
    }
    let name = authentication.header_name.as_deref()?;
    let is_bearer = name.eq_ignore_ascii_case("authorization");
    let usual = if is_bearer { "Bearer {api_key}" } else { "{api_key}" };
    let format = authentication.header_format.as_deref().unwrap_or(usual);
    Some(match format {
        "Bearer {api_key}" if is_bearer => "bearer".into(),
        "{api_key}" => json!({ "header": name }),
        format => {
            let format = format.replace("{api_key}", "{key}");
            // A scheme alone.
            let format = if format.contains("{key}") {
                format
            } else {
                format!("{} {{key}}", format.trim_end())
            };
            json!({ "header": name, "format": literal(&format) })
        }
    })
}

/// The names of variables that may hold keys, in which `{INDEX}` is any number.
fn patterns(name: &str, file: Option<&ProviderFile>) -> Vec<String> {
    let listed = file.and_then(|file| {
        let nested = file.api_keys.as_ref().and_then(|keys| keys.env_var_patterns.as_ref());
        nested.or(file.api_key_env_patterns.as_ref())
    });
    let listed = listed.map(Texts::all).unwrap_or_default();
    let capitals = name.to_uppercase().replace('-', "_");
    let complete = |text: &str| text.replace("{PROVIDER}", &capitals).replace('*', "{INDEX}");
    if listed.is_empty() {
        PATTERNS.into_iter().map(complete).collect()
    } else {
        listed.iter().map(|text| complete(text)).collect()
    }
}

/// What to set for a provider to have a key.
fn expected(name: &str, file: Option<&ProviderFile>) -> String {
    let names = patterns(name, file);
    let names: Vec<String> = names.iter().map(|name| name.replace("{INDEX}", "1")).collect();
    names.join(" or ")
}
