//! Whether the gateway serves, for load balancers, and how everything behind it is, for operators.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, StatusCode};
use axum::response::{IntoResponse as _, Response};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use tokio::time::Instant;

use super::components;
use super::endpoints::{Seen, seen_by};
use super::entry::Entry;
use super::routes::{dialect_at, json_reply};
use crate::app::App;
use crate::breaker::Admission;
use crate::cache;
use crate::caller::Caller;
use crate::cluster;
use crate::condition::Report;
use crate::config::replies::HealthReply;
use crate::discovered::{self, Moment};
use crate::keys::KeyPool;
use crate::ledger;
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
    /// The ledger, if one is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    store: Option<ledger::Status>,
    /// The other nodes, if there may be any.
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster: Option<cluster::Status>,
    /// The answers that are kept, if any model keeps them.
    #[serde(skip_serializing_if = "Option::is_none")]
    cache: Option<cache::Status>,
}

/// How a provider is.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ProviderHealth {
    /// Its name.
    pub name: String,
    state: discovered::State,
    /// When it came into this state.
    since: Option<String>,
    /// When it gave its list.
    last_success: Option<String>,
    /// Seconds since then.
    list_age: Option<u64>,
    last_error: Option<String>,
    /// The operator has taken it out of the rotation.
    #[serde(skip_serializing_if = "Option::is_none")]
    held: Option<Held>,
    /// How many models there are for the caller.
    models: usize,
    /// How many keys there are.
    keys: usize,
    /// How many of them do not rest.
    keys_available: usize,
    /// The rests of the others.
    resting: Vec<RestingKey>,
    /// Its models that were asked, as far as the caller may use them.
    targets: Vec<TargetHealth>,
}

/// A key that rests.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct RestingKey {
    /// Its number in the order of the configuration, from 0.
    pub key: usize,
    /// For which model; `null` for all.
    model: Option<String>,
    /// `throttled`, `exhausted` or `rejected` by its provider, or `held` by the operator.
    reason: &'static str,
    /// For how much longer, in seconds; `null` until the operator says otherwise.
    seconds: Option<u64>,
}

/// How long something is out of the rotation.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Held {
    /// For how much longer, in seconds; `null` until the operator says otherwise.
    pub seconds: Option<u64>,
}

/// How a target is.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TargetHealth {
    target: String,
    /// The operator has taken it out of the rotation.
    #[serde(skip_serializing_if = "Option::is_none")]
    held: Option<Held>,
    /// `closed`: it is asked. `half-open`: a request finds out whether it has recovered. `open`: it is left alone.
    breaker: &'static str,
    /// For how much longer it is left alone, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<u64>,
    consecutive_failures: u32,
    in_flight: u32,
    /// How long its first content takes, in milliseconds.
    latency_ms: Option<u64>,
}

/// `GET /health`: no key, no waiting.
pub async fn health(State(app): State<Arc<App>>) -> Response {
    match app.server.replies.health {
        HealthReply::Components => return components::health(&app),
        HealthReply::Status => {
            let health = Health::of(&app, Vec::new());
            return (status(&app), json_reply(&json!({ "status": health.status }))).into_response();
        }
        HealthReply::Mynah => {}
    }
    let degraded = app.catalog.providers().iter().filter_map(|provider| {
        let away = !provider.probed && app.process.discovered.record(&provider.name).is_degraded();
        away.then(|| provider.name.clone())
    });
    let health = Health::of(&app, degraded.collect());
    (status(&app), json_reply(&health)).into_response()
}

/// `GET /health/detailed`: what a client may see of it.
pub async fn detailed(State(app): State<Arc<App>>, request: Request<Body>) -> Response {
    if app.server.replies.health == HealthReply::Components {
        return components::detailed(&app);
    }
    let (parts, _) = request.into_parts();
    let caller = match identify(&app, &parts, &mut Entry::default()) {
        Ok(caller) => caller,
        Err(failure) => return failure.reply_in(dialect_at(&parts.uri, &parts.headers), request_id(&parts)),
    };
    let now = Instant::now();
    let seen = seen_by(&app, &caller);
    let degraded = seen
        .iter()
        .filter(|seen| !seen.provider.probed && seen.record.is_degraded());
    let detailed = Detailed {
        health: Health::of(&app, degraded.map(|seen| seen.provider.name.clone()).collect()),
        providers: health_of(&app, &caller, &seen, now),
        store: app.process.ledger.as_ref().map(|ledger| ledger.status()),
        cluster: app.process.scopes.cluster().map(|cluster| cluster.status()),
        cache: app.cache.as_ref().map(|cache| cache.status()),
    };
    (status(&app), json_reply(&detailed)).into_response()
}

/// How the providers are, as far as a caller may use them.
pub fn health_of(app: &App, caller: &Caller, seen: &[Seen<'_>], now: Instant) -> Vec<ProviderHealth> {
    let mut targets = app.process.conditions.report(now);
    targets.retain(|(target, _)| caller.may_use(target));
    let of_provider = |provider: &str| {
        let is_its = |target: &str| target.split('/').next() == Some(provider);
        let its = targets.iter().filter(|(target, _)| is_its(target));
        its.map(|(target, report)| TargetHealth::of(app, target, report, now))
            .collect()
    };
    let health = |seen: &Seen<'_>| ProviderHealth::of(app, seen, of_provider(&seen.provider.name), now);
    seen.iter().map(health).collect()
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
    fn of(app: &App, seen: &Seen<'_>, targets: Vec<TargetHealth>, now: Instant) -> Self {
        let date = |moment: Moment| Timestamp::from_second(moment.unix).unwrap_or_default().to_string();
        Self {
            name: seen.provider.name.clone(),
            state: seen.record.state,
            since: seen.record.since.map(date),
            last_success: seen.record.last_success.map(date),
            list_age: seen.list_age(now),
            last_error: seen.record.last_error.clone(),
            held: Held::of(app, &seen.provider.name, now),
            models: seen.models().count(),
            keys: seen.provider.secrets.len(),
            keys_available: seen.provider.keys.available(now),
            resting: resting(&seen.provider.keys, now),
            targets,
        }
    }
}

/// What the keys of a pool rest for.
pub fn resting(keys: &KeyPool, now: Instant) -> Vec<RestingKey> {
    let rests = keys.rests(now).into_iter().enumerate();
    let rests = rests.flat_map(|(key, rests)| rests.into_iter().map(move |rest| (key, rest)));
    rests
        .map(|(key, rest)| RestingKey {
            key,
            model: rest.model,
            reason: rest.reason.name(),
            seconds: rest.left.map(whole_seconds),
        })
        .collect()
}

impl Held {
    /// Whether, and for how long, the operator has taken a provider or a target out of the rotation.
    fn of(app: &App, name: &str, now: Instant) -> Option<Self> {
        let hold = app.process.holds.on(name, now)?;
        Some(Self {
            seconds: hold.left(now).map(whole_seconds),
        })
    }
}

impl TargetHealth {
    fn of(app: &App, target: &str, report: &Report, now: Instant) -> Self {
        let (breaker, until) = match report.admission {
            Admission::Yes => ("closed", None),
            Admission::Probe => ("half-open", None),
            Admission::No(until) => ("open", Some(until)),
        };
        Self {
            target: target.to_owned(),
            held: Held::of(app, target, now),
            breaker,
            seconds: until.map(|until| whole_seconds(until.saturating_duration_since(now))),
            consecutive_failures: report.consecutive_failures,
            in_flight: report.pending,
            latency_ms: report
                .latency
                .map(|latency| u64::try_from(latency.as_millis()).unwrap_or(u64::MAX)),
        }
    }
}

/// A time in seconds that is not over before they are.
pub fn whole_seconds(left: Duration) -> u64 {
    left.as_secs() + u64::from(left.subsec_nanos() > 0)
}
