//! Answers that call their model as the caller did.

use axum::body::{Body, to_bytes};
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use bytes::Bytes;
use mynah_dialect::Dialect;
use mynah_dialect::peek::{Name, peek};
use mynah_dialect::splice::splice;

use crate::answer::MAX_WHOLE;
use crate::failure::Failure;

/// The same answer with another name for its model. Errors, and what is no JSON, are left as they are.
pub async fn renamed(response: Response, name: &str) -> Response {
    if !response.status().is_success() || !is_json(response.headers()) {
        return response;
    }
    let (mut head, body) = response.into_parts();
    let Ok(whole) = to_bytes(body, MAX_WHOLE).await else {
        let message = "The provider's answer broke off, or was too large.".to_owned();
        return Failure::broken_off(message).reply_in(Dialect::OpenAi, "");
    };
    let whole = with_model(whole, name);
    head.headers.insert(CONTENT_LENGTH, HeaderValue::from(whole.len()));
    Response::from_parts(head, Body::from(whole))
}

fn is_json(headers: &HeaderMap) -> bool {
    let is_json = headers
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    is_json && !headers.contains_key(CONTENT_ENCODING)
}

fn with_model(whole: Bytes, name: &str) -> Bytes {
    let edit = peek(&whole)
        .ok()
        .and_then(|gist| gist.model?.replaced_by(&Name::from(name)));
    match edit {
        Some(edit) => splice(&whole, vec![edit]).concat().into(),
        None => whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_name_changes() {
        for (answer, expected) in [
            (
                r#"{"id":1, "model": "a/b" ,"x":{"model":"c"}}"#,
                r#"{"id":1, "model": "m" ,"x":{"model":"c"}}"#,
            ),
            (r#"{"id":1}"#, r#"{"id":1}"#),
            (r#"{"model":7}"#, r#"{"model":7}"#),
            ("[", "["),
        ] {
            assert_eq!(with_model(Bytes::from(answer), "m"), expected.as_bytes());
        }
    }
}
