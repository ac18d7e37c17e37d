//! The list of models, in the shape that the caller's SDK reads.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ORIGIN,
};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, Request, StatusCode};
use axum::response::{IntoResponse as _, Response};
use jiff::Timestamp;
use mynah_dialect::Dialect;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::entry::Entry;
use super::routes::{dialect_at, json_reply};
use crate::app::App;
use crate::catalog::Entry as Listed;
use crate::failure::Failure;
use crate::pipeline::{self, identify};
use crate::provider::BUILT_IN_NAME;

/// `GET /v1/models` and `GET /v1beta/models`.
pub async fn list(State(app): State<Arc<App>>, request: Request<Body>) -> Response {
    let (parts, _) = request.into_parts();
    let dialect = dialect_at(&parts.uri, &parts.headers);
    match listed(&app, &parts).await {
        Ok(entries) => json_reply(&list_in(dialect, &entries, &parts)),
        Err(failure) => failure.reply_in(dialect, pipeline::request_id(&parts)),
    }
}

/// `GET` and `OPTIONS /v1/models` where web pages of every origin may read it: both answer with the list, and with what a
/// browser asks before it reads.
pub async fn for_every_origin(app: State<Arc<App>>, mut request: Request<Body>) -> Response {
    let is_preflight = request.method() == Method::OPTIONS;
    let headers = request.headers_mut();
    // Whoever the page is from, it may.
    headers.remove(ORIGIN);
    let asked = headers.remove(ACCESS_CONTROL_REQUEST_HEADERS);
    let mut response = list(app, request).await;
    if is_preflight && !response.status().is_success() {
        // It carries no key, and is not the question yet.
        response = StatusCode::NO_CONTENT.into_response();
    }
    let asked = asked.as_ref().and_then(|names| names.to_str().ok());
    let allowed = [
        "Content-Type, Authorization",
        asked.map_or("", |_| ", "),
        asked.unwrap_or_default(),
    ]
    .concat();
    let allowed = HeaderValue::try_from(allowed).unwrap_or_else(|_| HeaderValue::from_static("Authorization"));
    response.headers_mut().extend([
        (ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")),
        (
            ACCESS_CONTROL_ALLOW_METHODS,
            HeaderValue::from_static("GET, POST, OPTIONS"),
        ),
        (ACCESS_CONTROL_ALLOW_HEADERS, allowed),
        (ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400")),
    ]);
    response
}

/// `GET /v1/models/{id}` and `GET /v1beta/models/{id}`.
pub async fn one(State(app): State<Arc<App>>, request: Request<Body>) -> Response {
    let (parts, _) = request.into_parts();
    let dialect = dialect_at(&parts.uri, &parts.headers);
    match found(&app, &parts).await {
        Ok(entry) => json_reply(&described_in(dialect, &entry)),
        Err(failure) => failure.reply_in(dialect, pipeline::request_id(&parts)),
    }
}

/// `GET /v1/models_detailed`: OpenAI's list, and what the models run on.
pub async fn detailed(State(app): State<Arc<App>>, request: Request<Body>) -> Response {
    let (parts, _) = request.into_parts();
    let entries = match listed(&app, &parts).await {
        Ok(entries) => entries,
        Err(failure) => return failure.reply_in(Dialect::OpenAi, pipeline::request_id(&parts)),
    };
    let row = |entry: &Listed| {
        let mut row = described_in(Dialect::OpenAi, entry);
        row["device"] = json!(entry.device.as_deref().unwrap_or("Unknown"));
        row
    };
    let rows: Vec<Value> = entries.iter().map(row).collect();
    json_reply(&json!({"object": "list", "data": rows}))
}

async fn listed(app: &App, parts: &Parts) -> Result<Vec<Listed>, Failure> {
    let caller = identify(app, parts, &mut Entry::default())?;
    app.process.discovered.completed().await;
    let entries = app.catalog.list(&caller);
    // A list of what the gateway has itself would say that there is nothing else.
    match app.catalog.nothing_known() {
        Some(failure) if entries.iter().all(|entry| entry.id == BUILT_IN_NAME) => Err(failure),
        _ => Ok(entries),
    }
}

async fn found(app: &App, parts: &Parts) -> Result<Listed, Failure> {
    let caller = identify(app, parts, &mut Entry::default())?;
    let not_text = || Failure::path_refused("The model's name in the path is not text.".to_owned());
    let path = parts.uri.path();
    let encoded = path.split_once("/models/").map_or(path, |(_, id)| id);
    let id = percent_decode_str(encoded).decode_utf8().map_err(|_| not_text())?;
    if let Some(entry) = app.catalog.list(&caller).into_iter().find(|entry| entry.id == id) {
        return Ok(entry);
    }
    let route = app.catalog.resolve(&id, None, &caller).await?;
    let owner = route
        .targets()
        .next()
        .map(|target| target.provider.name.clone())
        .unwrap_or_default();
    Ok(Listed {
        id: id.into_owned(),
        created: 0,
        owner,
        device: None,
    })
}

fn list_in(dialect: Dialect, entries: &[Listed], parts: &Parts) -> Value {
    let all: Vec<Value> = entries.iter().map(|entry| described_in(dialect, entry)).collect();
    match dialect {
        Dialect::Anthropic => json!({
            "first_id": entries.first().map(|entry| &entry.id),
            "last_id": entries.last().map(|entry| &entry.id),
            "has_more": false,
            "data": all,
        }),
        Dialect::Gemini => json!({"models": all}),
        // Codex asks with its version, and keeps what it knows of models when it gets an empty list of its own kind.
        _ if parts.uri.query().is_some_and(|query| query.contains("client_version=")) => {
            json!({"object": "list", "data": all, "models": []})
        }
        _ => json!({"object": "list", "data": all}),
    }
}

fn described_in(dialect: Dialect, entry: &Listed) -> Value {
    match dialect {
        Dialect::Anthropic => {
            json!({"type": "model", "id": entry.id, "display_name": entry.id, "created_at": date(entry.created)})
        }
        Dialect::Gemini => json!({
            "name": format!("models/{}", entry.id),
            "version": "",
            "displayName": entry.id,
            "description": format!("served by {}", entry.owner),
            "supportedGenerationMethods": ["generateContent", "streamGenerateContent", "countTokens"],
        }),
        _ => json!({"id": entry.id, "object": "model", "created": entry.created, "owned_by": entry.owner}),
    }
}

fn date(seconds: u64) -> String {
    let seconds = i64::try_from(seconds).unwrap_or_default();
    Timestamp::from_second(seconds).unwrap_or_default().to_string()
}
