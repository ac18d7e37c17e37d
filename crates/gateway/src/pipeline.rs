//! The straight line: who asks, for what, where it may go, who answers, and back.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE, ORIGIN, VIA};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http_body::Body as _;
use mynah_dialect::multipart;
use mynah_dialect::peek::{Model, peek};
use tokio::time::Instant;

use crate::app::App;
use crate::attempt::{Answer, Ask, AskBody, first_success};
use crate::caller::Caller;
use crate::failure::Failure;
use crate::http::body::{limited, read_whole};
use crate::http::reply::{Entry, REQUEST_ID, reply};
use crate::operation::Operation;

/// The header with which a caller chooses the provider.
pub const PROVIDER: &str = "x-mynah-provider";

/// Answers a request that names a model in its body.
pub async fn answer(app: Arc<App>, operation: Operation, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let mut entry = Entry::new(&parts);
    match answer_model(&app, operation, &parts, body, &mut entry).await {
        Ok(response) => response,
        Err(failure) => entry.failed(failure).into_response(),
    }
}

/// Passes a request through that names no model. `path` is its path below the API's version.
pub async fn pass_through(app: Arc<App>, path: &str, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let mut entry = Entry::new(&parts);
    match answer_other(&app, path, &parts, body, &mut entry).await {
        Ok(response) => response,
        Err(failure) => entry.failed(failure).into_response(),
    }
}

async fn answer_model(
    app: &App,
    operation: Operation,
    parts: &Parts,
    body: Body,
    entry: &mut Entry,
) -> Result<Response, Failure> {
    let started = Instant::now();
    let caller = identify(app, &parts.headers, entry)?;
    let permit = app.admit()?;
    if parts
        .headers
        .get(CONTENT_ENCODING)
        .is_some_and(|encoding| encoding != "identity")
    {
        return Err(Failure::body_encoded());
    }
    let bytes = read_whole(body, &parts.headers, app.server.max_body, app.server.body_timeout).await?;
    let body = read_gist(&parts.headers, &bytes)?;
    let route = match body.model() {
        Some(model) => {
            app.catalog
                .resolve(&model.name, pinned(&parts.headers)?, &caller)
                .await?
        }
        None => match app.catalog.resolve_without_model(pinned(&parts.headers)?, &caller) {
            Err(failure) if failure.code == Some("provider_missing") => return Err(Failure::model_missing()),
            route => route?,
        },
    };
    entry.asked(&route.name);
    let mut ask = ask(parts, operation.path, Some(operation), body);
    let answer = first_success(app, &route, &mut ask).await?;
    Ok(finish(answer, started, entry, permit))
}

async fn answer_other(
    app: &App,
    path: &str,
    parts: &Parts,
    body: Body,
    entry: &mut Entry,
) -> Result<Response, Failure> {
    let started = Instant::now();
    let caller = identify(app, &parts.headers, entry)?;
    let permit = app.admit()?;
    let route = app.catalog.resolve_without_model(pinned(&parts.headers)?, &caller)?;
    let nothing = Bytes::new();
    let body = if body.is_end_stream() {
        AskBody::Opaque(&nothing)
    } else {
        AskBody::Streamed(Some(limited(
            body,
            &parts.headers,
            app.server.max_upload,
            app.server.body_timeout,
        )?))
    };
    let mut ask = ask(parts, path, None, body);
    let answer = first_success(app, &route, &mut ask).await?;
    Ok(finish(answer, started, entry, permit))
}

/// Who is calling. A web page needs a key, or an origin that may do without.
pub fn identify(app: &App, headers: &HeaderMap, entry: &mut Entry) -> Result<Arc<Caller>, Failure> {
    if headers.get_all(VIA).iter().any(|via| has_been_here(app, via)) {
        return Err(Failure::going_round());
    }
    let caller = app.callers.identify(headers)?;
    if let Some(origin) = headers.get(ORIGIN)
        && caller.anonymous
        && !app.allows_origin(origin)
    {
        return Err(Failure::origin_refused());
    }
    entry.called_by(&caller);
    Ok(caller)
}

fn has_been_here(app: &App, via: &HeaderValue) -> bool {
    via.as_bytes()
        .split(|&byte| byte == b',')
        .any(|hop| hop.trim_ascii() == app.process.via.as_bytes())
}

/// The provider that the caller insists on.
fn pinned(headers: &HeaderMap) -> Result<Option<&str>, Failure> {
    let Some(value) = headers.get(PROVIDER) else {
        return Ok(None);
    };
    value.to_str().map(Some).map_err(|_| Failure::provider_unknown("…", ""))
}

/// Finds the model in a body, by the body's type.
fn read_gist<'a>(headers: &HeaderMap, bytes: &'a Bytes) -> Result<AskBody<'a>, Failure> {
    let content_type = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    if content_type
        .get(..20)
        .is_some_and(|kind| kind.eq_ignore_ascii_case("multipart/form-data;"))
    {
        let model = multipart::peek(content_type, bytes);
        let model = model.map_err(|error| Failure::body_unreadable(format!("{}.", capitalized(&error)), None))?;
        return Ok(AskBody::Form(bytes, model));
    }
    let gist = peek(bytes).map_err(|error| Failure::body_unreadable(format!("{}.", capitalized(&error)), None))?;
    Ok(AskBody::Json(bytes, gist))
}

fn capitalized(error: &impl ToString) -> String {
    let text = error.to_string();
    let mut letters = text.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().chain(letters).collect())
        .unwrap_or_default()
}

impl<'a> AskBody<'a> {
    fn model(&self) -> Option<&Model<'a>> {
        match self {
            Self::Json(_, gist) => gist.model.as_ref(),
            Self::Form(_, model) => model.as_ref(),
            Self::Opaque(_) | Self::Streamed(_) => None,
        }
    }
}

fn ask<'a>(parts: &'a Parts, path: &'a str, operation: Option<Operation>, body: AskBody<'a>) -> Ask<'a> {
    Ask {
        method: parts.method.clone(),
        path,
        operation,
        query: parts.uri.query().unwrap_or_default(),
        headers: &parts.headers,
        body,
        id: parts
            .headers
            .get(REQUEST_ID)
            .and_then(|id| id.to_str().ok())
            .unwrap_or_default(),
    }
}

fn finish(answer: Answer, started: Instant, entry: &mut Entry, permit: crate::app::InFlight) -> Response {
    let ours: Duration = started.elapsed().saturating_sub(answer.waited);
    reply(answer, ours, entry.take(), permit)
}
