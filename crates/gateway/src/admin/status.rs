//! How the gateway is.

use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::call::Call;
use super::now;
use crate::failure::Failure;
use crate::http::routes::json_reply;
use crate::ledger;

/// How the gateway is.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Status {
    /// `ok`, or `draining` while it stops.
    #[serde(rename = "status")]
    state: &'static str,
    /// Its version.
    version: &'static str,
    /// When it started.
    started: String,
    /// For how long it has been running, in seconds.
    uptime: i64,
    /// The public listener's address, as it is configured.
    listen: String,
    /// Requests in flight.
    in_flight: usize,
    /// Since when the configuration is in use.
    configured: String,
    /// How many providers, models and keys the operator has taken out of the rotation.
    held: usize,
    /// The ledger, if one is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    store: Option<ledger::Status>,
}

/// `GET /api/status`.
pub fn status(call: &Call) -> Result<Response, Failure> {
    let (app, admin) = (&call.app, &call.admin);
    let process = &app.process;
    let clock = tokio::time::Instant::now();
    let providers = app.catalog.providers().iter();
    let keys: usize = providers.map(|provider| provider.keys.holds(clock).len()).sum();
    Ok(json_reply(&Status {
        state: if process.is_draining() { "draining" } else { "ok" },
        version: env!("CARGO_PKG_VERSION"),
        started: admin.started.to_string(),
        uptime: now().as_second() - admin.started.as_second(),
        listen: app.server.listen.to_string(),
        in_flight: process.in_flight(),
        configured: admin.in_use.load().since.to_string(),
        held: process.holds.all(clock).len() + keys,
        store: process.ledger.as_ref().map(|ledger| ledger.status()),
    }))
}

/// `GET /health`.
pub fn alive(_: &Call) -> Result<Response, Failure> {
    Ok(json_reply(&json!({"status": "ok"})))
}
