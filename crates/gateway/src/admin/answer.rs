//! From a request at the admin listener to its answer: which route it is, who is let in, who answers.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{ALLOW, CACHE_CONTROL, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Request, StatusCode};
use axum::response::Response;
use mynah_dialect::Dialect;
use percent_encoding::percent_decode_str;

use super::Admin;
use super::call::Call;
use super::endpoint::Handler::{Later, Now};
use super::guard::{Needs, admit};
use super::routes::ENDPOINTS;
use crate::app::App;
use crate::failure::Failure;
use crate::http::body::read_whole;
use crate::pipeline::request_id;

/// The largest body that is taken, in bytes.
const MAX_BODY: usize = 1024 * 1024;

/// The routes of one configuration.
pub fn router(admin: &Arc<Admin>, app: &Arc<App>) -> Router {
    let state = (admin.clone(), app.clone());
    Router::new().fallback(answer).with_state(state)
}

async fn answer(State((admin, app)): State<(Arc<Admin>, Arc<App>)>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let (method, path) = (parts.method.clone(), parts.uri.path().to_owned());
    let id = request_id(&parts).to_owned();
    let mut response = match find_and_call(admin, app, parts, body).await {
        Ok(response) => response,
        Err(failure) => refusal(&failure, &path, &id),
    };
    if !method.is_safe() {
        let status = response.status().as_u16();
        tracing::info!(%method, path, status, id, "admin");
    }
    let headers = response.headers_mut();
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// The route of a request is found first, and it says who is let in; who asks for what is not there needs the key.
async fn find_and_call(admin: Arc<Admin>, app: Arc<App>, parts: Parts, body: Body) -> Result<Response, Failure> {
    let key = app.admin.as_ref().and_then(|admin| admin.key.as_ref());
    let path = parts.uri.path();
    let found = ENDPOINTS.iter().find_map(|endpoint| {
        Some((
            endpoint,
            endpoint.matches(path).filter(|_| endpoint.verb.is(&parts.method))?,
        ))
    });
    admit(&parts, found.map_or(Needs::Key, |(endpoint, _)| endpoint.needs), key)?;
    let Some((endpoint, named)) = found else {
        let is_known = ENDPOINTS.iter().any(|endpoint| endpoint.matches(path).is_some());
        return Err(if is_known {
            Failure::method_refused(parts.method.as_str(), path)
        } else {
            Failure::not_found(format!(
                "There is no {path} here. GET /openapi.json tells what there is."
            ))
        });
    };
    let named = percent_decode_str(named).decode_utf8();
    let named = named
        .map_err(|_| Failure::path_refused("The path is not UTF-8.".to_owned()))?
        .into_owned();
    let body = read_whole(body, MAX_BODY, app.server.body_timeout).await;
    let body = body.map_err(with_own_bound)?;
    let call = Call {
        admin,
        app,
        parts,
        body,
        named,
    };
    match endpoint.handler {
        Now(handler) => handler(&call),
        Later(handler) => handler(call).await,
    }
}

/// A failure to read a body, which names the bound of this listener.
fn with_own_bound(failure: Failure) -> Failure {
    if failure.status != StatusCode::PAYLOAD_TOO_LARGE {
        return failure;
    }
    Failure {
        message: format!("The request body is larger than the {MAX_BODY} bytes that the admin API takes.").into(),
        ..failure
    }
}

fn refusal(failure: &Failure, path: &str, id: &str) -> Response {
    let mut response = failure.reply_in(Dialect::OpenAi, id);
    let headers = response.headers_mut();
    if failure.status == StatusCode::UNAUTHORIZED {
        headers.insert(
            WWW_AUTHENTICATE,
            HeaderValue::from_static("Bearer realm=\"mynah admin\""),
        );
    }
    if failure.status == StatusCode::METHOD_NOT_ALLOWED {
        let methods = ENDPOINTS.iter().filter(|endpoint| endpoint.matches(path).is_some());
        let methods: Vec<String> = methods.map(|endpoint| endpoint.verb.method().to_string()).collect();
        if let Ok(methods) = HeaderValue::from_str(&methods.join(", ")) {
            headers.insert(ALLOW, methods);
        }
    }
    response
}
