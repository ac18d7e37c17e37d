//! Whether the gateway serves, for load balancers, and how everything behind it is, for operators.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, StatusCode};
use axum::response::{IntoResponse as _, Response};
use jiff::Timestamp;
use serde::Serialize;
use tokio::time::Instant;

use super::endpoints::{Seen, seen_by};
use super::reply::Entry;
use super::routes::{dialect_at, json_reply};
use crate::app::App;
use crate::discovered::{self, Moment};
use crate::pipeline::{identify, request_id};

/// What `/health` says to everybody. A provider that is away does not make the gateway unhealthy: others may answer, and
/// no balancer can help.
#[derive(Debug, Serialize)]
struct Health {
    status: &'static str,
    version: &'static str,
    /// The providers that can be reached no more, or no longer give their list.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    degraded: Vec<String>,
}

/// What `/health/detailed` says to clients. Whatever else can fail belongs here beside the providers.
#[derive(Debug, Serialize)]
struct Detailed {
    #[serde(flatten)]
    health: Health,
    providers: Vec<ProviderHealth>,
}

/// How a provider is.
#[derive(Debug, Serialize)]
struct ProviderHealth {
    name: String,
    state: discovered::State,
    /// When it came into this state.
    since: Option<String>,
    /// When it gave its list.
    last_success: Option<String>,
    /// Seconds since then.
    list_age: Option<u64>,
    last_error: Option<String>,
    /// How many models there are for the caller.
    models: usize,
    /// How many keys there are.
    keys: usize,
}

/// `GET /health`: no key, no waiting.
pub async fn health(State(app): State<Arc<App>>) -> Response {
    let degraded = app.catalog.providers().iter().filter_map(|provider| {
        let away = !provider.probed && app.process.discovered.record(&provider.name).is_degraded();
        away.then(|| provider.name.clone())
    });
    let health = Health::of(&app, degraded.collect());
    (status(&app), json_reply(&health)).into_response()
}

/// `GET /health/detailed`: what a client may see of it.
pub async fn detailed(State(app): State<Arc<App>>, request: Request<Body>) -> Response {
    let (parts, _) = request.into_parts();
    let caller = match identify(&app, &parts, &mut Entry::default()) {
        Ok(caller) => caller,
        Err(failure) => return failure.reply_in(dialect_at(&parts.uri, &parts.headers), request_id(&parts)),
    };
    let now = Instant::now();
    let seen = seen_by(&app, caller);
    let degraded = seen
        .iter()
        .filter(|seen| !seen.provider.probed && seen.record.is_degraded());
    let detailed = Detailed {
        health: Health::of(&app, degraded.map(|seen| seen.provider.name.clone()).collect()),
        providers: seen.iter().map(|seen| ProviderHealth::of(seen, now)).collect(),
    };
    (status(&app), json_reply(&detailed)).into_response()
}

fn status(app: &App) -> StatusCode {
    if app.process.is_draining() {
        StatusCode::SERVICE_UNAVAILABLE
    } else {
        StatusCode::OK
    }
}

impl Health {
    fn of(app: &App, degraded: Vec<String>) -> Self {
        Self {
            status: if app.process.is_draining() { "draining" } else { "ok" },
            version: env!("CARGO_PKG_VERSION"),
            degraded,
        }
    }
}

impl ProviderHealth {
    fn of(seen: &Seen<'_>, now: Instant) -> Self {
        let date = |moment: Moment| Timestamp::from_second(moment.unix).unwrap_or_default().to_string();
        Self {
            name: seen.provider.name.clone(),
            state: seen.record.state,
            since: seen.record.since.map(date),
            last_success: seen.record.last_success.map(date),
            list_age: seen.list_age(now),
            last_error: seen.record.last_error.clone(),
            models: seen.models().count(),
            keys: seen.provider.secrets.len(),
        }
    }
}
