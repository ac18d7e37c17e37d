//! `GET /metrics`: how the gateway and its targets are doing, in Prometheus' text format
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>).

use std::fmt::Write as _;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, Request};
use axum::response::Response;
use tokio::time::Instant;

use super::endpoints::seen_by;
use super::entry::Entry;
use super::routes::dialect_at;
use crate::app::App;
use crate::breaker::Admission;
use crate::caller::Caller;
use crate::condition::Report;
use crate::pipeline::{identify, request_id};

/// Needs a key where clients have keys, and tells of what its caller may use.
pub async fn metrics(State(app): State<Arc<App>>, request: Request<Body>) -> Response {
    let (parts, _) = request.into_parts();
    let caller = match identify(&app, &parts, &mut Entry::default()) {
        Ok(caller) => caller,
        Err(failure) => return failure.reply_in(dialect_at(&parts.uri, &parts.headers), request_id(&parts)),
    };
    let mut response = Response::new(Body::from(exposition(&app, &caller, Instant::now())));
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

fn exposition(app: &App, caller: &Caller, now: Instant) -> String {
    let mut out = String::new();
    let in_flight = app.process.in_flight();
    family(
        &mut out,
        "mynah_requests_in_flight",
        "gauge",
        "Requests that are being answered.",
    );
    let _ = writeln!(out, "mynah_requests_in_flight {in_flight}");
    targets(&mut out, app, caller, now);
    providers(&mut out, app, caller, now);
    out
}

fn targets(out: &mut String, app: &App, caller: &Caller, now: Instant) {
    let mut targets = app.process.conditions.report(now);
    targets.retain(|(target, _)| caller.may_use(target));
    let mut all = |name: &str, kind: &str, help: &str, value: fn(&Report) -> Option<f64>| {
        family(out, name, kind, help);
        for (target, report) in &targets {
            if let Some(value) = value(report) {
                let _ = writeln!(out, "{name}{{target=\"{}\"}} {value}", escaped(target));
            }
        }
    };
    all(
        "mynah_target_replies_total",
        "counter",
        "Replies of a target, failures among them.",
        |report| Some(float(report.replies)),
    );
    all(
        "mynah_target_failures_total",
        "counter",
        "Replies that were failures of a target or its keys.",
        |report| Some(float(report.failures)),
    );
    all(
        "mynah_target_requests_in_flight",
        "gauge",
        "Requests that a target is answering.",
        |report| Some(f64::from(report.pending)),
    );
    all(
        "mynah_target_first_content_seconds",
        "gauge",
        "How long the first content of a target takes.",
        |report| report.latency.map(|latency| latency.as_secs_f64()),
    );
    all(
        "mynah_target_open",
        "gauge",
        "1 while a target is left alone, since it failed too often.",
        |report| Some(f64::from(u8::from(matches!(report.admission, Admission::No(_))))),
    );
}

fn providers(out: &mut String, app: &App, caller: &Caller, now: Instant) {
    let seen = seen_by(app, caller);
    family(
        out,
        "mynah_provider_keys_available",
        "gauge",
        "Keys of a provider that do not rest.",
    );
    for seen in &seen {
        let (name, available) = (escaped(&seen.provider.name), seen.provider.keys.available(now));
        let _ = writeln!(out, "mynah_provider_keys_available{{provider=\"{name}\"}} {available}");
    }
    family(
        out,
        "mynah_provider_degraded",
        "gauge",
        "1 while a provider cannot be reached, or does not give its list.",
    );
    for seen in &seen {
        let (name, degraded) = (escaped(&seen.provider.name), u8::from(seen.record.is_degraded()));
        let _ = writeln!(out, "mynah_provider_degraded{{provider=\"{name}\"}} {degraded}");
    }
}

fn family(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

#[expect(clippy::cast_precision_loss, reason = "that is how numbers are read here")]
fn float(count: u64) -> f64 {
    count as f64
}

/// The value of a label.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped() {
        assert_eq!(escaped("a/b\"c\\d\ne"), "a/b\\\"c\\\\d\\ne");
    }
}
