//! The whole public surface.

use std::borrow::Cow;
use std::pin::Pin;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::{ALLOW, CONTENT_TYPE, LOCATION, ORIGIN, UPGRADE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri};
use axum::response::Response;
use axum::routing::{any, get, post};
use axum::{BoxError, Router};
use mynah_dialect::Dialect;
use serde::Serialize;
use serde_json::json;
use tower::ServiceExt as _;
use tower_http::cors::{AllowHeaders, AllowMethods, AllowOrigin, CorsLayer, ExposeHeaders};

use super::body::RequestBody;
use super::{docs, endpoints, explain, health, metrics, models, openapi};
use crate::app::App;
use crate::config::CorsOrigins;
use crate::directions;
use crate::failure::Failure;
use crate::operation::{FAMILIES, OPERATIONS, Operation};
use crate::{passing, pipeline};

/// The routes of one configuration, at one listener.
pub struct Routes {
    app: Arc<App>,
    router: Router,
    /// Whether models can be asked here.
    is_public: bool,
}

impl Routes {
    /// The public routes of a configuration.
    pub fn new(app: &Arc<App>) -> Self {
        Self {
            app: app.clone(),
            router: router(app),
            is_public: true,
        }
    }

    /// Those of another listener: what the router has, and nothing else.
    pub fn only(app: &Arc<App>, router: Router) -> Self {
        Self {
            app: app.clone(),
            router,
            is_public: false,
        }
    }

    /// Answers a request. One that names a model does not pass through the router, which would take longer to find its
    /// way than the rest of the gateway takes for all it does.
    pub fn answer<B>(&self, parts: Box<Parts>, body: B) -> Pin<Box<dyn Future<Output = Response> + Send>>
    where
        B: RequestBody<Error: Into<BoxError>> + Send + 'static,
    {
        // The router knows what web pages have to be told.
        let is_page = parts.headers.contains_key(ORIGIN);
        let operation = if is_page || !self.is_public {
            None
        } else {
            operation(&parts)
        };
        if let Some((operation, model)) = operation {
            return Box::pin(pipeline::answer(self.app.clone(), operation, model, parts, body));
        }
        let request = Request::from_parts(*parts, Body::new(body));
        let answer = self.router.clone().oneshot(request);
        // The error type is `Infallible`: there is always a response.
        Box::pin(async { answer.await.unwrap_or_default() })
    }
}

fn operation(parts: &Parts) -> Option<(Operation, Option<String>)> {
    if parts.method != Method::POST {
        return None;
    }
    let (operation, model) = Operation::at(parts.uri.path())?;
    Some((operation, model.map(Cow::into_owned)))
}

fn router(app: &Arc<App>) -> Router {
    let lists = || get(models::list).fallback(method_refused);
    let one = || {
        get(models::one)
            .post(operate)
            .delete(delete_model)
            .fallback(method_refused)
    };
    let mut router = Router::new()
        .route("/", get(welcome).fallback(method_refused))
        .route("/api/hello", get(welcome).fallback(method_refused))
        .route("/health", get(health::health).fallback(method_refused))
        .route("/health/detailed", get(health::detailed).fallback(method_refused))
        .route("/metrics", get(metrics::metrics).fallback(method_refused))
        .route("/v1/heartbeat", get(heartbeat).post(heartbeat).fallback(method_refused))
        .route("/v1/endpoints", get(endpoints::list).fallback(method_refused))
        .route("/v1/models_detailed", get(models::detailed).fallback(method_refused))
        .route("/v1beta/models", lists())
        .route("/v1/models/{*id}", one())
        .route("/v1beta/models/{*id}", one())
        .route("/v1beta/tunedModels/{*id}", post(operate).fallback(method_refused))
        .route(
            "/v1/explain",
            post(explain::request).get(explain::model).fallback(method_refused),
        )
        .route("/v1/messages/batches", any(pass_through))
        .route("/v1/messages/batches/{*below}", any(pass_through));
    for operation in OPERATIONS {
        let mut route = post(operate);
        if FAMILIES.contains(&operation.below) {
            route = route.get(stored);
        }
        router = router.route(operation.path, route.fallback(other_method));
    }
    for family in FAMILIES {
        if OPERATIONS.iter().all(|operation| operation.below != family) {
            router = router.route(&format!("/v1{family}"), any(pass_through));
        }
        router = router.route(&format!("/v1{family}/{{*below}}"), any(pass_through));
    }
    if app.server.docs {
        router = router
            .route("/openapi.json", get(openapi::document).fallback(method_refused))
            .route("/docs", get(docs_page).fallback(method_refused))
            .route("/redoc", get(to_docs).fallback(method_refused))
            .route("/docs/{file}", get(docs_file).fallback(method_refused));
    }
    if !app.server.cors_models {
        router = router.route("/v1/models", lists());
    }
    let router = router.fallback(other_path).with_state(app.clone());
    let router = router.layer(cors(app));
    if app.server.cors_models {
        // It says itself what web pages have to be told.
        let everybody = get(models::for_every_origin).options(models::for_every_origin);
        return router.route("/v1/models", everybody.fallback(method_refused).with_state(app.clone()));
    }
    router
}

async fn operate(State(app): State<Arc<App>>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    match operation(&parts) {
        Some((operation, model)) => pipeline::answer(app, operation, model, Box::new(parts), body).await,
        None => route_unknown(Request::from_parts(parts, body)),
    }
}

fn cors(app: &Arc<App>) -> CorsLayer {
    let origins = match &app.server.cors_origins {
        CorsOrigins::Any => AllowOrigin::any(),
        CorsOrigins::List(_) => {
            let app = app.clone();
            AllowOrigin::predicate(move |origin, _| app.allows_origin(origin))
        }
    };
    let exposed = [
        "x-request-id",
        "x-mynah-model",
        "x-mynah-attempts",
        "x-mynah-lossy",
        "x-mynah-cache",
        "age",
        "x-mynah-request-id",
        "retry-after",
        "x-ratelimit-limit-requests",
        "x-ratelimit-remaining-requests",
        "x-ratelimit-reset-requests",
        "x-ratelimit-limit-tokens",
        "x-ratelimit-remaining-tokens",
        "x-ratelimit-reset-tokens",
        "anthropic-ratelimit-requests-limit",
        "anthropic-ratelimit-requests-remaining",
        "anthropic-ratelimit-requests-reset",
        "anthropic-ratelimit-tokens-limit",
        "anthropic-ratelimit-tokens-remaining",
        "anthropic-ratelimit-tokens-reset",
        "server-timing",
    ];
    CorsLayer::new()
        .allow_origin(origins)
        .allow_methods(AllowMethods::mirror_request())
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(ExposeHeaders::list(exposed.map(HeaderName::from_static)))
        .max_age(std::time::Duration::from_hours(24))
}

async fn pass_through(State(app): State<Arc<App>>, request: Request<Body>) -> Response {
    let path = request.uri().path().to_owned();
    let below = path.strip_prefix("/v1").unwrap_or(&path);
    passing::pass_through(app, below, request).await
}

/// A path that the router does not know: one of Gemini's that has only the model in it, or one that is unknown here.
async fn other_path(state: State<Arc<App>>, request: Request<Body>) -> Response {
    if request.method() == Method::POST && Operation::at(request.uri().path()).is_some() {
        return operate(state, request).await;
    }
    if is_passed_on(&state, &request) {
        return pass_through(state, request).await;
    }
    route_unknown(request)
}

/// A known path, with a method that it does not have here.
async fn other_method(state: State<Arc<App>>, request: Request<Body>) -> Response {
    if is_passed_on(&state, &request) {
        return pass_through(state, request).await;
    }
    method_refused(request).await
}

fn is_passed_on(app: &App, request: &Request<Body>) -> bool {
    app.server.pass_through && request.uri().path().starts_with("/v1/")
}

/// Lists what a provider stores where new ones are made. For chat completions and responses, which few providers store,
/// the provider must be named; else a GET there is a mistake.
async fn stored(state: State<Arc<App>>, request: Request<Body>) -> Response {
    if request.headers().contains_key(UPGRADE) {
        // Codex tries a WebSocket first and takes events when there is none.
        return Failure::upgrade_refused().reply_in(Dialect::OpenAi, "");
    }
    let named = request.headers().contains_key(&directions::PROVIDER);
    if named || request.uri().path() == "/v1/videos" {
        return pass_through(state, request).await;
    }
    other_method(state, request).await
}

async fn docs_page() -> Response {
    docs::page()
}

/// Where other frameworks have a second page.
async fn to_docs() -> Response {
    let mut response = Response::default();
    *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
    response
        .headers_mut()
        .insert(LOCATION, HeaderValue::from_static("/docs"));
    response
}

async fn docs_file(Path(name): Path<String>, request: Request<Body>) -> Response {
    match docs::file(&name, request.headers()) {
        Some(response) => response,
        None => route_unknown(request),
    }
}

async fn welcome() -> Response {
    json_reply(&json!({
        "name": "mynah", "version": env!("CARGO_PKG_VERSION"),
        "endpoints": [
            "/v1/chat/completions", "/v1/responses", "/v1/messages", "/v1beta/models/{model}:generateContent",
            "/v1/embeddings", "/v1/models", "/v1/endpoints", "/health",
        ],
    }))
}

/// That the gateway itself runs, and nothing about anybody behind it.
async fn heartbeat() -> Response {
    json_reply(&json!({"message": "running"}))
}

/// Deletes a fine-tuned model, at the provider.
async fn delete_model(state: State<Arc<App>>, request: Request<Body>) -> Response {
    pass_through(state, request).await
}

/// The dialect of a request, by its path or else by the headers that its SDK sends.
pub fn dialect_at(uri: &Uri, headers: &HeaderMap) -> Dialect {
    let path = uri.path();
    match Operation::at(path) {
        Some((operation, _)) => operation.dialect(),
        None if path.starts_with("/v1beta/") => Dialect::Gemini,
        None if path.starts_with("/v1/messages") => Dialect::Anthropic,
        None => pipeline::dialect_of(headers),
    }
}

fn route_unknown(request: Request<Body>) -> Response {
    let (parts, _) = request.into_parts();
    let failure = Failure::route_unknown(parts.method.as_str(), parts.uri.path());
    failure.reply_in(dialect_at(&parts.uri, &parts.headers), pipeline::request_id(&parts))
}

async fn method_refused(request: Request<Body>) -> Response {
    let (parts, _) = request.into_parts();
    let path = parts.uri.path();
    let failure = Failure::method_refused(parts.method.as_str(), path);
    let mut response = failure.reply_in(dialect_at(&parts.uri, &parts.headers), pipeline::request_id(&parts));
    let allowed = match path {
        _ if path.ends_with("/models") || path == "/v1/endpoints" || !path.starts_with("/v1") => "GET, HEAD",
        _ if path.starts_with("/v1/models/") => "GET, HEAD, POST, DELETE",
        _ if path.starts_with("/v1beta/models/") => "GET, HEAD, POST",
        _ => "POST",
    };
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    response
}

/// A JSON body.
pub fn json_reply(value: &impl Serialize) -> Response {
    let mut response = Response::new(Body::from(serde_json::to_vec(value).unwrap_or_default()));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
