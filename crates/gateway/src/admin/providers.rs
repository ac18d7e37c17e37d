//! The providers, with the state of each, of its keys and of its targets.

use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::Instant;

use super::call::Call;
use crate::app::App;
use crate::caller::Caller;
use crate::config::problem::did_you_mean;
use crate::failure::Failure;
use crate::http::endpoints::{Seen, seen_by};
use crate::http::health::{ProviderHealth, RestingKey, health_of, resting};
use crate::http::routes::json_reply;
use crate::provider;

/// All providers.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Providers {
    /// In the order of the configuration, the built-in one last.
    providers: Vec<Provider>,
}

/// A provider.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Provider {
    #[serde(flatten)]
    health: ProviderHealth,
    /// The row of the catalog that it takes its settings from.
    kind: String,
    /// Its address; `null` for the built-in one.
    url: Option<String>,
    /// Its keys, in the order of the configuration.
    api_keys: Vec<Key>,
}

/// A provider's key.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Key {
    /// The first 8 hexadecimal digits of its SHA-256, as in the ledger: the name by which it is rested, drained and enabled.
    key: String,
    /// Its rests.
    resting: Vec<RestingKey>,
}

/// `GET /api/providers`.
pub fn list(call: &Call) -> Result<Response, Failure> {
    let providers = all(&call.app);
    Ok(json_reply(&Providers { providers }))
}

/// `GET /api/providers/{name}`.
pub fn one(call: &Call) -> Result<Response, Failure> {
    let name = &call.named;
    let found = all(&call.app)
        .into_iter()
        .find(|provider| provider.health.name == *name);
    let found = found.ok_or_else(|| unknown(&call.app, name))?;
    Ok(json_reply(&found))
}

fn all(app: &App) -> Vec<Provider> {
    let (operator, now) = (Caller::operator(), Instant::now());
    let seen = seen_by(app, &operator);
    let health = health_of(app, &operator, &seen, now);
    let provider = |(seen, health): (&Seen<'_>, ProviderHealth)| Provider {
        health,
        kind: seen.provider.kind.clone(),
        url: seen.provider.native().map(|endpoint| endpoint.base.to_string()),
        api_keys: keys(seen.provider, now),
    };
    seen.iter().zip(health).map(provider).collect()
}

fn keys(provider: &provider::Provider, now: Instant) -> Vec<Key> {
    let rests = resting(&provider.keys, now);
    let of = |index: usize| rests.iter().filter(move |rest| rest.key == index).cloned().collect();
    let keys = provider.secrets.iter().enumerate();
    keys.map(|(index, secret)| Key {
        key: format!("{:08x}", secret.fingerprint_number()),
        resting: of(index),
    })
    .collect()
}

/// The failure of a request for a provider that is not there.
pub fn unknown(app: &App, name: &str) -> Failure {
    let names = app.catalog.providers().iter().map(|provider| provider.name.as_str());
    let hint = did_you_mean(name, names);
    Failure::not_found(format!("There is no provider `{name}`{}.", hint.trim_end_matches('?')))
}
