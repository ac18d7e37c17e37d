//! How the gateway is, part by part, for applications that expect that form: everybody may see it, so that it names providers and
//! says no more of them than how many keys they have.

use std::collections::HashSet;
use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use indexmap::IndexMap;
use jiff::Timestamp;
use serde::Serialize;
use tokio::time::Instant;

use super::routes::json_reply;
use crate::app::App;
use crate::ledger;
use crate::provider::Provider;

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Healthy,
    /// It works, and a part of it does not.
    Degraded,
    Unhealthy,
}

#[derive(Debug, Serialize)]
struct Health {
    status: Status,
    timestamp: String,
    #[serde(flatten)]
    details: Option<Details>,
}

#[derive(Debug, Serialize)]
struct Details {
    uptime_seconds: u64,
    components: Components,
}

#[derive(Debug, Serialize)]
struct Components {
    #[serde(skip_serializing_if = "Option::is_none")]
    database: Option<Database>,
    providers: IndexMap<String, Keys>,
    model_config: Models,
    provider_configs: Providers,
}

#[derive(Debug, Serialize)]
struct Database {
    status: Status,
    /// How long it took the last time that it was written.
    response_time_ms: u64,
}

#[derive(Debug, Serialize)]
struct Keys {
    status: Status,
    keys_available: usize,
}

#[derive(Debug, Serialize)]
struct Models {
    status: Status,
    models_count: usize,
}

#[derive(Debug, Serialize)]
struct Providers {
    status: Status,
    providers_loaded: usize,
}

/// `GET /health`.
pub(super) fn health(app: &App) -> Response {
    let status = match database(app) {
        _ if app.process.is_draining() => Status::Unhealthy,
        Some(database) => database.status,
        None => Status::Healthy,
    };
    reply(status, None)
}

/// `GET /health/detailed`.
pub(super) fn detailed(app: &App) -> Response {
    let database = database(app);
    let providers = providers(app.catalog.providers(), Instant::now());
    let models_count = app.catalog.listed().count();
    let providers_loaded = providers.len();
    let is_away = database
        .as_ref()
        .is_some_and(|database| database.status != Status::Healthy);
    let is_degraded = providers.values().any(|keys| keys.status != Status::Healthy) || models_count == 0;
    let status = match () {
        () if is_away || app.process.is_draining() => Status::Unhealthy,
        () if is_degraded || providers_loaded == 0 => Status::Degraded,
        () => Status::Healthy,
    };
    let components = Components {
        database,
        providers,
        model_config: Models {
            status: if_any(models_count),
            models_count,
        },
        provider_configs: Providers {
            status: if_any(providers_loaded),
            providers_loaded,
        },
    };
    let uptime_seconds = app.process.started.elapsed().as_secs();
    let details = Details {
        uptime_seconds,
        components,
    };
    reply(status, Some(details))
}

fn reply(status: Status, details: Option<Details>) -> Response {
    let code = match status {
        Status::Unhealthy => StatusCode::SERVICE_UNAVAILABLE,
        Status::Healthy | Status::Degraded => StatusCode::OK,
    };
    let seconds = i64::try_from(crate::ask::unix_time()).unwrap_or_default();
    let health = Health {
        status,
        timestamp: Timestamp::from_second(seconds).unwrap_or_default().to_string(),
        details,
    };
    (code, json_reply(&health)).into_response()
}

fn database(app: &App) -> Option<Database> {
    let told = app.process.ledger.as_ref()?.status();
    Some(Database {
        status: if told.state == ledger::State::Ok {
            Status::Healthy
        } else {
            Status::Unhealthy
        },
        response_time_ms: told.latency_ms,
    })
}

/// The keys of each account that do not rest, once each.
fn providers(providers: &[Arc<Provider>], now: Instant) -> IndexMap<String, Keys> {
    let mut by_account: IndexMap<&str, (HashSet<&str>, HashSet<&str>)> = IndexMap::new();
    for provider in providers
        .iter()
        .filter(|provider| !provider.is_built_in() && !provider.probed)
    {
        let (all, ready) = by_account.entry(&provider.account).or_default();
        for (secret, rests) in provider.secrets.iter().zip(provider.keys.rests(now)) {
            all.insert(secret.expose());
            if rests.is_empty() {
                ready.insert(secret.expose());
            }
        }
    }
    let keys = |(account, (all, ready)): (&str, (HashSet<&str>, HashSet<&str>))| {
        let is_ready = all.is_empty() || !ready.is_empty();
        let keys = Keys {
            status: if is_ready { Status::Healthy } else { Status::Unhealthy },
            keys_available: ready.len(),
        };
        (account.to_owned(), keys)
    };
    by_account.into_iter().map(keys).collect()
}

fn if_any(count: usize) -> Status {
    if count > 0 { Status::Healthy } else { Status::Unhealthy }
}
