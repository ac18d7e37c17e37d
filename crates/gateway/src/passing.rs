//! Passes requests on that are no operation of a known API, as they are.

use std::sync::{Arc, Mutex, OnceLock};

use axum::body::Body;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, Request};
use axum::response::Response;
use http_body::Body as _;
use tokio::time::Instant;

use crate::app::App;
use crate::ask::{Ask, AskBody};
use crate::attempt::first_success;
use crate::caller::Caller;
use crate::directions::Directions;
use crate::failure::Failure;
use crate::http::body::{limited, read_whole};
use crate::http::entry::Entry;
use crate::limits::{self, demand::Demand};
use crate::pipeline::{dialect_of, finish, identify, may_call, read_gist, read_plain, request_id, without_key};
use crate::route::Route;
use crate::upstream::call_body::CallBody;

/// A body of up to this size is held, so that a connection that is just being closed does not lose it.
const MAX_HELD: usize = 64 * 1024;

/// Passes a request on. `path` is its path below the API's version.
pub async fn pass_through(app: Arc<App>, path: &str, request: Request<Body>) -> Response {
    let (mut parts, body) = request.into_parts();
    let mut entry = Entry::with_account(&parts, &app, dialect_of(&parts.headers));
    match answer(&app, path, &mut parts, body, &mut entry).await {
        Ok(response) => response,
        Err(failure) => entry.in_vain(failure, dialect_of(&parts.headers), request_id(&parts)),
    }
}

async fn answer(
    app: &Arc<App>,
    path: &str,
    parts: &mut Parts,
    body: Body,
    entry: &mut Entry,
) -> Result<Response, Failure> {
    let started = Instant::now();
    let caller = identify(app, parts, entry)?;
    may_call(&caller, path, parts)?;
    let permit = app.admit()?;
    let held;
    let mut body = if body.is_end_stream() || may_name_model(app, &parts.headers) {
        held = read_plain(app, parts, body).await?;
        // What is neither JSON nor a form is for the provider to judge.
        read_gist(&parts.headers, &held).unwrap_or(AskBody::Opaque(&held))
    } else if can_be_held(app, &parts.headers) {
        let body = Box::pin(read_whole(body, MAX_HELD, app.server.body_timeout)).await?;
        AskBody::Once(Mutex::new(Some(CallBody::Held(vec![body]))))
    } else {
        let body = limited(body, &parts.headers, app.server.max_upload, app.server.body_timeout)?;
        AskBody::Once(Mutex::new(Some(CallBody::Streamed(Some(body)))))
    };
    let parts = &*parts;
    let directions = Directions::of(&parts.headers);
    let route = route(app, directions.provider()?, &mut body, &caller, entry).await?;
    entry.routed(&route.name);
    let dialect = dialect_of(&parts.headers);
    if let Some(allowance) = &caller.allowance {
        let admitted = limits::admit(allowance, Demand::default(), allowance.clock.now()).await?;
        entry.hold(admitted, parts, app, dialect);
    }
    let query = without_key(parts.uri.query().unwrap_or_default());
    let mut ask = Ask {
        method: parts.method.clone(),
        path,
        operation: None,
        dialect,
        model_in_path: None,
        strict: false,
        query: &query,
        headers: &parts.headers,
        body,
        id: request_id(parts),
        form: None,
        attempts: 0,
        begun: started,
        timeout: directions.timeout()?,
        has_tags: directions.has_tags,
        until: None,
        conversation: OnceLock::new(),
    };
    let answer = first_success(app, &route, &mut ask, entry.attempts()).await;
    entry.tried(ask.attempts);
    let answer = answer?;
    Ok(finish(answer, (dialect, false), entry, permit))
}

/// Whether a body is read for the model that it may name: where everything is passed on, one that is small enough to be
/// held. Uploads of more than that name none.
fn may_name_model(app: &App, headers: &HeaderMap) -> bool {
    let is_json = || text(headers, CONTENT_TYPE).is_some_and(|kind| kind.contains("json"));
    app.server.pass_through && length(headers).map_or_else(is_json, |length| length <= app.server.max_body)
}

/// Whether a body that nobody looks into is held, and not passed on as it comes.
fn can_be_held(app: &App, headers: &HeaderMap) -> bool {
    length(headers).is_some_and(|length| length <= MAX_HELD && length as u64 <= app.server.max_upload)
}

fn length(headers: &HeaderMap) -> Option<usize> {
    text(headers, CONTENT_LENGTH).and_then(|length| length.parse().ok())
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Where a request goes: to those who serve the model that it names, if anybody does, else to the default provider.
async fn route(
    app: &App,
    pinned: Option<&str>,
    body: &mut AskBody<'_>,
    caller: &Caller,
    entry: &mut Entry,
) -> Result<Arc<Route>, Failure> {
    let Some(model) = body.model() else {
        return app.catalog.resolve_without_model(pinned, caller);
    };
    entry.asked(&model.name);
    match app.catalog.resolve(&model.name, pinned, caller).await {
        Err(failure) if failure.code == Some("model_not_found") => {
            let route = app.catalog.resolve_without_model(pinned, caller);
            let route = route.map_err(|_| failure)?;
            // Its name stays as it is.
            if let AskBody::Json(bytes, _) | AskBody::Form(bytes, _) = *body {
                *body = AskBody::Opaque(bytes);
            }
            Ok(route)
        }
        route => route,
    }
}
