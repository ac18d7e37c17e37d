//! A provider: a row of data, whether it comes from the catalog or from the operator.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::http::{HeaderName, HeaderValue};
use mynah_dialect::defaults::Defaults;
use mynah_dialect::quirks::Quirks;
use mynah_dialect::{Dialect, Protocol};

use crate::breaker::BreakerRules;
use crate::caller::{hash, matches};
use crate::condition::Conditions;
use crate::config::file::{Api, HttpVersion};
use crate::config::secret::Secret;
use crate::discovered::Listed;
use crate::keys::{KeyPool, KeyRules};
use crate::known::{Discovery, PathStyle};
use crate::prices::Price;
use crate::upstream::auth::Credential;
use crate::upstream::base::BaseUrl;
use crate::upstream::call_path::CallPath;
use crate::upstream::connect::Origin;
use crate::upstream::pool::{Pool, Pools};

/// The name under which the built-in provider is found.
pub const BUILT_IN: &str = "mynah";

/// The only model of the built-in provider.
pub const BUILT_IN_MODEL: &str = "echo";

/// What it is asked for as.
pub const BUILT_IN_NAME: &str = "mynah/echo";

/// Somebody who answers requests.
#[derive(Debug)]
pub struct Provider {
    /// The name in `provider/model`.
    pub name: String,
    /// Whose keys it has: its own name, unless it shares them.
    pub account: String,
    /// Where and in which dialects it is called; the native one first.
    pub endpoints: Vec<Endpoint>,
    /// Its keys.
    pub secrets: Vec<Secret>,
    /// Whose turn it is among the keys, and which of them rest.
    pub keys: KeyPool,
    /// How its keys are used.
    pub key_rules: KeyRules,
    /// When a model of it is left alone.
    pub breaker: BreakerRules,
    /// How its recovery is looked for.
    pub probe: Option<Probe>,
    /// Fields that conversations are given where they have none of their own.
    pub defaults: Defaults,
    /// Sent with every call.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// How long to wait for it.
    pub timeouts: Timeouts,
    /// How long one attempt may take, to the end of the answer.
    pub timeout: Option<Duration>,
    /// The catalog's row that it takes its settings from.
    pub kind: String,
    /// Its base URL, as it is configured.
    pub url: Option<String>,
    /// Where it lists its models.
    pub list: ModelList,
    /// The models that it serves, where the operator said so.
    pub models: Option<Vec<String>>,
    /// What stands before the ids of its models where they are listed and asked for, with a slash.
    pub prefix: Option<Arc<str>>,
    /// How the URL of a call is made.
    pub path_style: PathStyle,
    /// Azure's `api-version`.
    pub api_version: Option<String>,
    /// The HTTP version to call it with.
    pub http_version: HttpVersion,
    /// Which of OpenAI's APIs for conversations it serves.
    pub apis: Apis,
    /// How it deviates from its dialect.
    pub quirks: Quirks,
    /// Nobody asked for it: it is used if it answers.
    pub probed: bool,
    /// What its models cost, where the operator says so; `*` for all other models.
    pub prices: HashMap<String, Arc<Price>>,
}

/// Where a provider lists its models, and how often it is asked.
#[derive(Debug)]
pub struct ModelList {
    /// The shape of the list.
    pub shape: Discovery,
    /// Where it is, if not at the provider's own address. No credential is sent to another host.
    pub base: Option<BaseUrl>,
    /// Its path and query from the root of the host; `None` for `/models` below the base URL.
    pub path: Option<String>,
    /// The longest time from one question to the next.
    pub every: Duration,
    /// The provider whose list is taken, in place of an own one.
    pub from: Option<String>,
    /// What is taken of it.
    pub selection: Selection,
    /// The families whose models are not told, though they are served; patterns in lower case.
    pub hidden: Vec<String>,
}

/// Which models of a list are taken. Patterns are in lower case; one that begins with `!` leaves out what it fits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// By their families, or by their ids where a list has no families.
    pub families: Vec<String>,
    /// By their handles.
    pub handles: Vec<String>,
}

/// How the recovery of a provider is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The path at its host.
    pub path: CallPath,
    /// How often it is asked for.
    pub every: Duration,
}

/// One address of a provider.
#[derive(Debug)]
pub struct Endpoint {
    /// What is spoken there.
    pub dialect: Dialect,
    /// Where it is.
    pub base: BaseUrl,
    /// The provider's keys, in the same order, as they are sent there.
    pub credentials: Vec<Credential>,
    /// The connections to it, once the first call was made.
    pub pool: OnceLock<Arc<Pool>>,
}

/// How long to wait for a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection, TLS included.
    pub connect: Duration,
    /// From the request to the first content of the answer.
    pub first_token: Duration,
    /// Between two pieces of an answer.
    pub idle: Duration,
}

/// Which of OpenAI's two APIs for conversations a provider serves.
#[derive(Debug, Default)]
pub struct Apis {
    /// As configured, the preferred one first; empty when nobody said.
    stated: Vec<Api>,
    /// It was found out that Responses is not served.
    lacks_responses: AtomicBool,
    /// It was found out that the older completions are not served.
    lacks_completions: AtomicBool,
}

impl Apis {
    /// What was said about it, if anything.
    pub fn new(stated: Option<&[Api]>) -> Self {
        Self {
            stated: stated.unwrap_or_default().to_vec(),
            ..Self::default()
        }
    }

    /// Whether a request in this protocol can be passed on in it, as far as is known.
    pub fn serves(&self, protocol: Protocol) -> bool {
        match protocol {
            Protocol::OpenaiChat => self.stated.is_empty() || self.stated.contains(&Api::Chat),
            Protocol::OpenaiResponses if self.stated.is_empty() => !self.lacks_responses.load(Ordering::Relaxed),
            Protocol::OpenaiResponses => self.stated.contains(&Api::Responses),
            _ => false,
        }
    }

    /// The protocol for requests that have to be translated anyway.
    pub fn preferred(&self) -> Protocol {
        match self.stated.first() {
            Some(Api::Responses) => Protocol::OpenaiResponses,
            Some(Api::Chat) | None => Protocol::OpenaiChat,
        }
    }

    /// Whether the older completions are served, as far as is known.
    pub fn serves_completions(&self) -> bool {
        !self.lacks_completions.load(Ordering::Relaxed)
    }

    /// Notes that Responses was refused as an address that does not exist. Returns whether that is news, so that the
    /// request should be tried in the other API.
    pub fn note_no_responses(&self) -> bool {
        self.stated.is_empty() && !self.lacks_responses.swap(true, Ordering::Relaxed)
    }

    /// Notes the same of the older completions.
    pub fn note_no_completions(&self) -> bool {
        !self.lacks_completions.swap(true, Ordering::Relaxed)
    }
}

impl ModelList {
    /// What is taken of a list. `home` is where the provider is: a handle that is a URL counts for whoever is there.
    pub fn taken(&self, listed: &[Listed], home: Option<&BaseUrl>) -> Vec<Listed> {
        let is_taken = |listed: &&Listed| {
            let handle = listed.handle.as_deref();
            let is_elsewhere = self.shape == Discovery::ModelList
                && handle
                    .and_then(|handle| handle.origin.as_deref())
                    .is_some_and(|origin| home.is_none_or(|home| home.origin() != origin));
            !is_elsewhere
                && fits(&self.selection.families, listed.kind())
                && fits(&self.selection.handles, handle.map_or("", |handle| handle.path()))
        };
        listed.iter().filter(is_taken).cloned().collect()
    }

    /// Whether a model is served without being told.
    pub fn hides(&self, listed: &Listed) -> bool {
        !self.hidden.is_empty() && fits(&self.hidden, listed.kind())
    }
}

/// Whether a text, in any case, fits one of the patterns and none that begins with `!`. Without patterns of the first kind,
/// everything else does.
fn fits(patterns: &[String], text: &str) -> bool {
    if patterns.is_empty() {
        return true;
    }
    let text = text.to_lowercase();
    let (mut is_wanted, mut are_any) = (false, false);
    for pattern in patterns {
        match pattern.strip_prefix('!') {
            Some(pattern) if matches(pattern, &text) => return false,
            Some(_) => {}
            None => {
                are_any = true;
                is_wanted |= matches(pattern, &text);
            }
        }
    }
    is_wanted || !are_any
}

impl Provider {
    /// The built-in provider, which answers without any network.
    pub fn built_in() -> Self {
        Self {
            name: BUILT_IN.to_owned(),
            account: BUILT_IN.to_owned(),
            endpoints: Vec::new(),
            secrets: Vec::new(),
            keys: KeyPool::default(),
            key_rules: KeyRules::default(),
            breaker: BreakerRules::default(),
            probe: None,
            defaults: Defaults::default(),
            headers: Vec::new(),
            timeouts: Timeouts {
                connect: Duration::ZERO,
                first_token: Duration::MAX,
                idle: Duration::MAX,
            },
            timeout: None,
            kind: BUILT_IN.to_owned(),
            url: None,
            list: ModelList {
                shape: Discovery::None,
                base: None,
                path: None,
                every: Duration::MAX,
                from: None,
                selection: Selection::default(),
                hidden: Vec::new(),
            },
            models: Some(vec![BUILT_IN_MODEL.to_owned()]),
            prefix: None,
            path_style: PathStyle::Plain,
            api_version: None,
            http_version: HttpVersion::Auto,
            apis: Apis::default(),
            quirks: Quirks::default(),
            probed: false,
            prices: HashMap::from([("*".to_owned(), Arc::new(Price::free()))]),
        }
    }

    /// What a model costs, where the operator says so.
    pub fn price(&self, model: &str) -> Option<&Arc<Price>> {
        self.prices.get(model).or_else(|| self.prices.get("*"))
    }

    /// Takes up what is known about its keys from before.
    pub fn remember_keys(&mut self, conditions: &Conditions) {
        let key = |secret: &Secret| conditions.of_key(&self.account, hash(secret.expose().as_bytes()));
        self.keys = KeyPool::new(self.secrets.iter().map(key).collect(), self.key_rules);
    }

    /// Whether this is the built-in provider.
    pub fn is_built_in(&self) -> bool {
        self.name == BUILT_IN
    }

    /// What it calls a model that is asked for by the name under which it is listed.
    pub fn own_id<'m>(&self, name: &'m str) -> &'m str {
        let own = self.prefix.as_deref().and_then(|prefix| name.strip_prefix(prefix));
        own.unwrap_or(name)
    }

    /// What is spoken there: the dialect, or `ocf` of the head of an OCF network.
    pub fn speech(&self) -> &'static str {
        match self.native().map(|native| native.dialect) {
            Some(Dialect::OpenAi) | None if self.list.shape == Discovery::Ocf => "ocf",
            Some(dialect) => dialect.name(),
            None => Dialect::OpenAi.name(),
        }
    }

    /// Whether it is found out which models it serves: the operator did not say so, and there is a list.
    pub fn is_asked_for_models(&self) -> bool {
        self.models.is_none() && (self.list.shape != Discovery::None || self.list.from.is_some())
    }

    /// Whether each of its models is called at a path of its own, its handle.
    pub fn has_handles(&self) -> bool {
        self.list.shape == Discovery::ModelList
    }

    /// The address at which a conversation in this protocol is passed on word for word. What a provider of another dialect
    /// offers to OpenAI's clients is not such a place: translation loses less.
    pub fn speaks(&self, protocol: Protocol) -> Option<&Endpoint> {
        match protocol.dialect() {
            Dialect::OpenAi => self
                .native()
                .filter(|native| native.dialect == Dialect::OpenAi && self.apis.serves(protocol)),
            dialect => self.endpoint(dialect),
        }
    }

    /// The provider's own address.
    pub fn native(&self) -> Option<&Endpoint> {
        self.endpoints.first()
    }

    /// The protocol in which a conversation that has to be translated is put to this provider.
    pub fn native_protocol(&self) -> Protocol {
        match self.native().map(|native| native.dialect) {
            Some(Dialect::Anthropic) => Protocol::Anthropic,
            Some(Dialect::Gemini) => Protocol::Gemini,
            Some(Dialect::Cohere) => Protocol::Cohere,
            Some(Dialect::OpenAi) => self.apis.preferred(),
            // The built-in model understands it.
            None => Protocol::OpenaiChat,
        }
    }

    /// The address at which a dialect is spoken.
    pub fn endpoint(&self, dialect: Dialect) -> Option<&Endpoint> {
        self.endpoints.iter().find(|endpoint| endpoint.dialect == dialect)
    }
}

impl Endpoint {
    /// What a connection to this address leads to.
    pub fn origin(&self, version: HttpVersion) -> Origin {
        Origin {
            scheme: self.base.scheme.clone(),
            authority: self.base.authority.clone(),
            version,
        }
    }

    /// A key as it is sent here.
    pub fn credential(&self, key: Option<usize>) -> &Credential {
        key.and_then(|index| self.credentials.get(index))
            .unwrap_or(&Credential::None)
    }

    /// The connections to this address.
    pub fn pool(&self, pools: &Pools, version: HttpVersion) -> &Arc<Pool> {
        self.pool.get_or_init(|| pools.of(&self.origin(version)))
    }
}

#[cfg(test)]
mod tests {
    use mynah_dialect::handle::Handle;

    use super::*;

    fn listed(id: &str, family: Option<&str>, handle: &str) -> Listed {
        Listed {
            id: id.to_owned(),
            family: family.map(str::to_owned),
            handle: Handle::read(handle, "").map(Arc::new),
            ..Listed::default()
        }
    }

    #[test]
    fn a_list_is_shared_out_by_family_and_handle() {
        let list = [
            listed("gpt-4o", Some("GPT-4"), "/openai/v1/chat/completions"),
            listed("claude", Some("claude-3"), "/anthropic/v1/messages"),
            listed("old", Some("claude-2"), "/anthropic/v1/complete"),
            listed("here", None, "https://H.example/v1/messages"),
            listed("there", None, "https://other.example/v1/messages"),
        ];
        let home = BaseUrl::parse("https://h.example", "").unwrap();
        let taken = |families: &[&str], handles: &[&str]| {
            let own = |patterns: &[&str]| patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
            let mut list_of = Provider::built_in().list;
            list_of.shape = Discovery::ModelList;
            list_of.selection = Selection {
                families: own(families),
                handles: own(handles),
            };
            let ids = list_of.taken(&list, Some(&home));
            let ids: Vec<&str> = ids.iter().map(|listed| listed.id.as_str()).collect();
            ids.join(" ")
        };
        assert_eq!(taken(&[], &[]), "gpt-4o claude old here");
        assert_eq!(taken(&["gpt-*"], &[]), "gpt-4o");
        assert_eq!(taken(&["claude-*", "!*-2"], &[]), "claude");
        assert_eq!(taken(&["!claude-*"], &[]), "gpt-4o here");
        assert_eq!(taken(&["claude-*"], &["*/messages"]), "claude");
        assert_eq!(taken(&["here"], &[]), "here", "an id where there is no family");
    }
}
