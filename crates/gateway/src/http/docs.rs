//! The page on which an API can be tried: Swagger UI, out of the binary. Nothing is loaded from anywhere else.

use std::io::Read as _;

use axum::body::Body;
use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use flate2::read::GzDecoder;

const HTML: &str = include_str!("../../assets/docs.html");
const SCRIPT: &str = include_str!("../../assets/docs.js");
const BUNDLE: &[u8] = include_bytes!("../../assets/swagger-ui/swagger-ui-bundle.js.gz");
const STYLE: &[u8] = include_bytes!("../../assets/swagger-ui/swagger-ui.css.gz");

/// The page may load what is beside it, and nobody may put it into a page of his own. Swagger UI styles its own elements,
/// and has its icons in its style.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// To the page.
pub fn to_page() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::FOUND;
    response
        .headers_mut()
        .insert(LOCATION, HeaderValue::from_static("docs"));
    response
}

/// `GET /docs`.
pub fn page() -> Response {
    asset("text/html; charset=utf-8", HTML.into())
}

/// `GET /docs/{file}`; `None` when there is no such file. `headers` are the request's.
pub fn file(name: &str, headers: &HeaderMap) -> Option<Response> {
    match name {
        "docs.js" => Some(asset("text/javascript; charset=utf-8", SCRIPT.into())),
        "swagger-ui-bundle.js" => packed("text/javascript; charset=utf-8", BUNDLE, headers),
        "swagger-ui.css" => packed("text/css; charset=utf-8", STYLE, headers),
        _ => None,
    }
}

fn asset(kind: &'static str, body: Bytes) -> Response {
    let mut response = Response::new(Body::from(body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("max-age=3600"));
    headers.insert(
        HeaderName::from_static("referrer-policy"),
        HeaderValue::from_static("no-referrer"),
    );
    response
}

/// A file that is kept compressed, and unpacked only for who does not take it so.
fn packed(kind: &'static str, bytes: &'static [u8], headers: &HeaderMap) -> Option<Response> {
    let accepted = headers.get_all(ACCEPT_ENCODING).iter();
    let mut accepted = accepted.filter_map(|value| value.to_str().ok());
    if accepted.any(|value| value.contains("gzip")) {
        let mut response = asset(kind, Bytes::from_static(bytes));
        let headers = response.headers_mut();
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        return Some(response);
    }
    let mut whole = Vec::new();
    GzDecoder::new(bytes).read_to_end(&mut whole).ok()?;
    Some(asset(kind, whole.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_names_nothing_that_is_not_there() {
        for name in HTML.split(['"']).filter(|word| word.starts_with("docs/")) {
            let known = ["docs/docs.js", "docs/swagger-ui-bundle.js", "docs/swagger-ui.css"];
            assert!(known.contains(&name), "{name}");
        }
        for (bytes, begins) in [(BUNDLE, "/*!"), (STYLE, ".swagger-ui")] {
            let mut text = String::new();
            GzDecoder::new(bytes).read_to_string(&mut text).unwrap();
            assert!(text.starts_with(begins), "{}", &text[..40]);
        }
        assert!(!HTML.contains("://") && !SCRIPT.contains("://"));
    }
}
