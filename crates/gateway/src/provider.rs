//! A provider: a row of data, whether it comes from the catalog or from the operator.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::http::{HeaderName, HeaderValue};
use mynah_dialect::Dialect;
use mynah_dialect::quirks::Quirks;

use crate::config::file::HttpVersion;
use crate::config::secret::Secret;
use crate::keys::KeyRing;
use crate::known::{Discovery, PathStyle};
use crate::upstream::auth::Credential;
use crate::upstream::base::BaseUrl;
use crate::upstream::connect::Origin;
use crate::upstream::pool::{Pool, Pools};

/// The name under which the built-in provider is found.
pub const BUILT_IN: &str = "mynah";

/// The only model of the built-in provider.
pub const BUILT_IN_MODEL: &str = "echo";

/// Somebody who answers requests.
#[derive(Debug)]
pub struct Provider {
    /// The name in `provider/model`.
    pub name: String,
    /// Where and in which dialects it is called; the native one first.
    pub endpoints: Vec<Endpoint>,
    /// Its keys.
    pub keys: Vec<Secret>,
    /// Whose turn it is among the keys.
    pub turns: KeyRing,
    /// Sent with every call.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// How long to wait for it.
    pub timeouts: Timeouts,
    /// The shape of its model list.
    pub discovery: Discovery,
    /// Where its model list is.
    pub models_url: Option<String>,
    /// The models that it serves, where the operator said so.
    pub models: Option<Vec<String>>,
    /// How the URL of a call is made.
    pub path_style: PathStyle,
    /// Azure's `api-version`.
    pub api_version: Option<String>,
    /// The HTTP version to call it with.
    pub http_version: HttpVersion,
    /// How it deviates from its dialect.
    pub quirks: Quirks,
    /// Nobody asked for it: it is used if it answers.
    pub probed: bool,
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
    pub first_byte: Duration,
    /// Between two pieces of an answer.
    pub between_bytes: Duration,
}

impl Provider {
    /// The built-in provider, which answers without any network.
    pub fn built_in() -> Self {
        Self {
            name: BUILT_IN.to_owned(),
            endpoints: Vec::new(),
            keys: Vec::new(),
            turns: KeyRing::default(),
            headers: Vec::new(),
            timeouts: Timeouts {
                connect: Duration::ZERO,
                first_byte: Duration::MAX,
                between_bytes: Duration::MAX,
            },
            discovery: Discovery::None,
            models_url: None,
            models: Some(vec![BUILT_IN_MODEL.to_owned()]),
            path_style: PathStyle::Plain,
            api_version: None,
            http_version: HttpVersion::Auto,
            quirks: Quirks::default(),
            probed: false,
        }
    }

    /// Whether this is the built-in provider.
    pub fn is_built_in(&self) -> bool {
        self.name == BUILT_IN
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
