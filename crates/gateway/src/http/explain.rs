//! What would become of a request, or of any request for a model.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::Request;
use axum::http::request::Parts;
use axum::response::Response;
use percent_encoding::percent_decode_str;

use super::entry::Entry;
use super::routes::json_reply;
use crate::app::App;
use crate::explain::{Explanation, Hypothetical, explain, explain_model, likely_path};
use crate::failure::Failure;
use crate::outlook::Outlook;
use crate::pipeline::{dialect_of, identify, read_unpacked, request_id};

/// Answers `POST /v1/explain`: what would happen to the body if it were sent to the path that the query names, or to the
/// one that it is most likely meant for.
pub async fn request(State(app): State<Arc<App>>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let mut entry = Entry::new(&parts);
    match explanation(&app, &parts, body, &mut entry).await {
        Ok(explanation) => {
            entry.answered_here();
            json_reply(&explanation)
        }
        Err(failure) => entry
            .failed(failure)
            .reply_in(dialect_of(&parts.headers), request_id(&parts)),
    }
}

/// Answers `GET /v1/explain?model=NAME`: where any request for the model would go now.
pub async fn model(State(app): State<Arc<App>>, request: Request<Body>) -> Response {
    let (parts, _) = request.into_parts();
    let mut entry = Entry::new(&parts);
    match outlook_of(&app, &parts, &mut entry).await {
        Ok(outlook) => {
            entry.answered_here();
            json_reply(&outlook)
        }
        Err(failure) => entry
            .failed(failure)
            .reply_in(dialect_of(&parts.headers), request_id(&parts)),
    }
}

async fn outlook_of(app: &App, parts: &Parts, entry: &mut Entry) -> Result<Outlook, Failure> {
    let caller = identify(app, parts, entry)?;
    let query = parts.uri.query().unwrap_or_default();
    let model = query.split('&').find_map(|pair| pair.strip_prefix("model="));
    let model = model
        .filter(|model| !model.is_empty())
        .ok_or_else(Failure::model_missing)?;
    explain_model(app, &caller, &percent_decode_str(model).decode_utf8_lossy()).await
}

async fn explanation(app: &App, parts: &Parts, body: Body, entry: &mut Entry) -> Result<Explanation, Failure> {
    let caller = identify(app, parts, entry)?;
    let (body, _) = read_unpacked(app, parts, body).await?;
    let query = parts.uri.query().unwrap_or_default();
    let named = query.split('&').find_map(|pair| pair.strip_prefix("path="));
    let path = match named {
        Some(path) => percent_decode_str(path).decode_utf8_lossy().into_owned(),
        None => likely_path(&body, &parts.headers),
    };
    let uri = path
        .parse()
        .map_err(|_| Failure::path_refused(format!("`{path}` is not a path.")))?;
    let headers = &parts.headers;
    explain(app, &caller, &Hypothetical { uri, headers, body }).await
}
