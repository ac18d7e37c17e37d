//! Looks for the recovery of providers whose models are left alone, by a request that costs no tokens.

use std::sync::Arc;

use axum::http::Method;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::alarm::after;
use crate::app::App;
use crate::provider::{Probe, Provider};
use crate::upstream::call_headers::CallHeaders;
use crate::upstream::send::{Call, CallBody, Patience, send};

/// Looks after every provider of a configuration that has a probe. Ends only when it is dropped.
pub async fn keep_probing(app: Arc<App>) {
    let mut watches = JoinSet::new();
    for provider in app.catalog.providers() {
        if let Some(probe) = provider.probe.clone() {
            watches.spawn(watch(app.clone(), provider.clone(), probe));
        }
    }
    while watches.join_next().await.is_some() {}
}

async fn watch(app: Arc<App>, provider: Arc<Provider>, probe: Probe) {
    loop {
        sleep(probe.every).await;
        let conditions = &app.process.conditions;
        if !conditions.has_resting(&provider.name, Instant::now()) {
            continue;
        }
        if answers(&app, &provider, &probe).await {
            tracing::info!(provider = provider.name, "answers its probe again");
            conditions.end_rests(&provider.name, Instant::now());
        }
    }
}

/// Whether a provider answers its probe with success.
async fn answers(app: &App, provider: &Provider, probe: &Probe) -> bool {
    let Some(endpoint) = provider.native() else {
        return false;
    };
    let credential = endpoint.credential((!provider.secrets.is_empty()).then_some(0));
    let mut headers = CallHeaders::default();
    headers.extend(&provider.headers);
    credential.extend_headers(&mut headers);
    let call = Call {
        method: &Method::GET,
        base: &endpoint.base,
        path: &probe.path,
        headers: &headers,
        body: &mut CallBody::nothing(),
    };
    let patience = Patience {
        connect: provider.timeouts.connect,
        deadline: after(Instant::now(), probe.every),
        between_bytes: probe.every,
    };
    let pool = endpoint.pool(&app.pools, provider.http_version);
    send(pool, call, patience)
        .await
        .is_ok_and(|response| response.status.is_success())
}
