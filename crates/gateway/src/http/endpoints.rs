//! The providers behind the gateway, as far as a caller may use them.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::Request;
use axum::response::Response;
use serde::Serialize;
use serde_json::json;
use tokio::time::Instant;

use super::entry::Entry;
use super::routes::{dialect_at, json_reply};
use crate::app::App;
use crate::caller::Caller;
use crate::discovered::{self, Listed, Record};
use crate::pipeline::{identify, request_id};
use crate::provider::Provider;

/// One provider, without any secret.
#[derive(Debug, Serialize)]
struct Endpoint {
    provider: String,
    kind: String,
    r#type: &'static str,
    /// As it is configured; `None` for the built-in one.
    url: Option<String>,
    state: discovered::State,
    /// Seconds since it gave its list.
    list_age: Option<u64>,
    last_error: Option<String>,
    models: Vec<String>,
}

/// `GET /v1/endpoints`.
pub async fn list(State(app): State<Arc<App>>, request: Request<Body>) -> Response {
    let (parts, _) = request.into_parts();
    let caller = match identify(&app, &parts, &mut Entry::default()) {
        Ok(caller) => caller,
        Err(failure) => return failure.reply_in(dialect_at(&parts.uri, &parts.headers), request_id(&parts)),
    };
    app.process.discovered.completed().await;
    let now = Instant::now();
    let endpoint = |seen: Seen<'_>| Endpoint {
        provider: seen.provider.name.clone(),
        kind: seen.provider.kind.clone(),
        r#type: seen.provider.speech(),
        url: seen.provider.url.clone(),
        state: seen.record.state,
        list_age: seen.list_age(now),
        models: seen.models().map(|listed| seen.record.name_of(&listed.id)).collect(),
        last_error: seen.record.last_error.clone(),
    };
    let endpoints: Vec<Endpoint> = seen_by(&app, &caller).into_iter().map(endpoint).collect();
    json_reply(&json!({"endpoints": endpoints}))
}

/// A provider, as a caller sees it.
#[derive(Debug)]
pub struct Seen<'a> {
    /// The provider.
    pub provider: &'a Provider,
    /// What is known about it.
    pub record: Arc<Record>,
    caller: &'a Caller,
}

impl Seen<'_> {
    /// The models that the caller may use.
    pub fn models(&self) -> impl Iterator<Item = &Listed> {
        let may_use = |id: &str| {
            self.caller.may_use(&self.record.name_of(id))
                || self.caller.may_use(&[&self.provider.name, "/", id].concat())
        };
        self.record.models.iter().filter(move |listed| may_use(&listed.id))
    }

    /// Seconds since the provider gave its list.
    pub fn list_age(&self, now: Instant) -> Option<u64> {
        let success = self.record.last_success?;
        Some(now.saturating_duration_since(success.instant).as_secs())
    }
}

/// The providers of which a caller may use something. One that nobody asked for is there when it has answered.
pub fn seen_by<'a>(app: &'a App, caller: &'a Caller) -> Vec<Seen<'a>> {
    let seen = app.catalog.providers().iter().map(|provider| Seen {
        provider,
        record: app.process.discovered.record(&provider.name),
        caller,
    });
    seen.filter(|seen| !seen.provider.probed || seen.record.last_success.is_some())
        .filter(|seen| caller.may_use_all_of(&seen.provider.name) || seen.models().next().is_some())
        .collect()
}
