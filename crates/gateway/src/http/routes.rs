//! The whole public surface.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::header::{ALLOW, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use serde_json::{Value, json};
use tower_http::cors::{AllowHeaders, AllowMethods, AllowOrigin, CorsLayer, ExposeHeaders};

use super::reply::Entry;
use crate::app::App;
use crate::catalog::Entry as Listed;
use crate::config::CorsOrigins;
use crate::failure::Failure;
use crate::operation::{FAMILIES, OPERATIONS};
use crate::pipeline;

/// The routes of one configuration.
pub fn router(app: &Arc<App>) -> Router {
    let mut router = Router::new()
        .route("/", get(welcome).fallback(method_refused))
        .route("/health", get(health).fallback(method_refused))
        .route("/v1/models", get(models).fallback(method_refused))
        .route(
            "/v1/models/{*id}",
            get(model).delete(delete_model).fallback(method_refused),
        );
    for operation in OPERATIONS {
        let answer = move |State(app): State<Arc<App>>, request: Request| pipeline::answer(app, operation, request);
        let mut route = post(answer);
        if FAMILIES.contains(&operation.path) {
            route = route.get(stored);
        }
        router = router.route(&format!("/v1{}", operation.path), route.fallback(method_refused));
    }
    for family in FAMILIES {
        if OPERATIONS.iter().all(|operation| operation.path != family) {
            router = router.route(&format!("/v1{family}"), any(pass_through));
        }
        router = router.route(&format!("/v1{family}/{{*below}}"), any(pass_through));
    }
    let router = router.fallback(route_unknown).with_state(app.clone());
    match &app.server.cors_origins {
        CorsOrigins::List(origins) if origins.is_empty() => router,
        origins => router.layer(cors(origins)),
    }
}

fn cors(origins: &CorsOrigins) -> CorsLayer {
    let origins = match origins {
        CorsOrigins::Any => AllowOrigin::any(),
        CorsOrigins::List(origins) => AllowOrigin::list(origins.iter().cloned()),
    };
    let exposed = [
        "x-request-id",
        "x-mynah-model",
        "x-mynah-attempts",
        "retry-after",
        "server-timing",
    ];
    CorsLayer::new()
        .allow_origin(origins)
        .allow_methods(AllowMethods::mirror_request())
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(ExposeHeaders::list(exposed.map(HeaderName::from_static)))
        .max_age(std::time::Duration::from_hours(24))
}

async fn pass_through(State(app): State<Arc<App>>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let below = path.strip_prefix("/v1").unwrap_or(&path);
    pipeline::pass_through(app, below, request).await
}

/// Lists what a provider stores where new ones are made. For chat completions and responses, which few providers store,
/// the provider must be named; else a GET there is a mistake.
async fn stored(state: State<Arc<App>>, request: Request) -> Response {
    let named = request.headers().contains_key(pipeline::PROVIDER);
    if named || request.uri().path() == "/v1/videos" {
        return pass_through(state, request).await;
    }
    method_refused(request.method().clone(), request.uri().clone()).await
}

async fn welcome() -> Response {
    json_reply(&json!({
        "name": "mynah", "version": env!("CARGO_PKG_VERSION"),
        "endpoints": ["/v1/chat/completions", "/v1/responses", "/v1/embeddings", "/v1/models", "/health"],
    }))
}

async fn health(State(app): State<Arc<App>>) -> Response {
    if app.process.is_draining() {
        return (
            StatusCode::SERVICE_UNAVAILABLE,
            json_reply(&json!({"status": "draining"})),
        )
            .into_response();
    }
    json_reply(&json!({"status": "ok", "version": env!("CARGO_PKG_VERSION")}))
}

async fn models(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, Failure> {
    let data: Vec<Value> = listed(&app, &headers).await?.iter().map(described).collect();
    Ok(json_reply(&json!({"object": "list", "data": data})))
}

async fn model(
    State(app): State<Arc<App>>,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let Path(id) = id.map_err(|_| Failure::path_refused("The model's name in the path is not text.".to_owned()))?;
    let caller = pipeline::identify(&app, &headers, &mut Entry::default())?;
    let entry = app.catalog.list(&caller).into_iter().find(|entry| entry.id == id);
    if let Some(entry) = entry {
        return Ok(json_reply(&described(&entry)));
    }
    let route = app.catalog.resolve(&id, None, &caller).await?;
    let owner = route
        .targets
        .first()
        .map(|target| target.provider.name.clone())
        .unwrap_or_default();
    Ok(json_reply(&described(&Listed { id, created: 0, owner })))
}

/// Deletes a fine-tuned model, at the provider.
async fn delete_model(state: State<Arc<App>>, request: Request) -> Response {
    pass_through(state, request).await
}

async fn listed(app: &App, headers: &HeaderMap) -> Result<Vec<Listed>, Failure> {
    let caller = pipeline::identify(app, headers, &mut Entry::default())?;
    app.process.discovered.completed().await;
    Ok(app.catalog.list(&caller))
}

fn described(entry: &Listed) -> Value {
    json!({"id": entry.id, "object": "model", "created": entry.created, "owned_by": entry.owner})
}

async fn route_unknown(method: Method, uri: Uri) -> Failure {
    Failure::route_unknown(method.as_str(), uri.path())
}

async fn method_refused(method: Method, uri: Uri) -> Response {
    let mut response = Failure::method_refused(method.as_str(), uri.path()).into_response();
    let allowed = if uri.path().starts_with("/v1/models") || !uri.path().starts_with("/v1/") {
        "GET, HEAD"
    } else {
        "POST"
    };
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    response
}

fn json_reply(value: &Value) -> Response {
    let mut response = Response::new(Body::from(value.to_string()));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
