//! The description of the admin API, made from the table of its routes.

use std::sync::LazyLock;

use axum::response::Response;
use serde_json::{Value, json};

use super::call::Call;
use super::guard::Needs;
use super::routes::ENDPOINTS;
use crate::failure::Failure;
use crate::http::routes::json_reply;
use crate::openapi::{Body, Described, document as described};

const ABOUT: &str = "How an operator looks at a running gateway and changes it. Every error has the shape of `Refusal`. \
    Fields and parameters that are not known are refused.";

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let security =
        json!({"key": {"type": "http", "scheme": "bearer", "description": "`admin.key`, where there is one."}});
    let routes = ENDPOINTS.iter().map(|endpoint| Described {
        method: endpoint.verb.method().as_str().to_ascii_lowercase(),
        path: endpoint.path.to_owned(),
        summary: endpoint.summary,
        description: endpoint.description,
        tag: endpoint
            .path
            .strip_prefix("/api/")
            .map_or("page", |path| path.split('/').next().unwrap_or(path)),
        is_open: endpoint.needs == Needs::Nothing,
        query: endpoint.query,
        body: endpoint.body.map(Body::Of),
        answer: endpoint.answer,
    });
    described("Mynah: admin API", ABOUT, &security, routes)
});

/// `GET /openapi.json` of the admin listener.
pub fn document(_: &Call) -> Result<Response, Failure> {
    Ok(json_reply(&*DOCUMENT))
}
