//! Errors that are no JSON, in the words of the caller's dialect.

use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue};
use bytes::Bytes;
use mynah_dialect::Dialect;
use mynah_dialect::codec::caller_side;
use mynah_dialect::ir::{Class, Error};
use mynah_dialect::page::{is_page, told};

use super::{Answer, AnswerBody};

/// Where Anthropic has the id that stands in its errors, too.
static REQUEST_ID: HeaderName = HeaderName::from_static("request-id");

impl Answer<'_> {
    /// Puts an error that is no JSON, such as the page of a proxy, into the words of a dialect: who calls a JSON API can read
    /// nothing else.
    pub fn say_in_json(&mut self, dialect: Dialect, id: &str) {
        let (name, status) = (&self.target.name, self.status.as_u16());
        if status < 400 || self.headers.contains_key(CONTENT_ENCODING) {
            return;
        }
        let whole = self.body.whole();
        // What is too long to be held whole may be JSON that goes on.
        let may_be_json = self.body.rest.is_some() && !whole.trim_ascii_start().starts_with(b"<");
        if may_be_json || !is_page(&whole) {
            return;
        }
        let message = match told(&whole) {
            Some(told) => format!("{name} answered with status {status}: {told}"),
            None => format!("{name} answered with status {status} and did not say why."),
        };
        let error = Error::new(Class::of_status(status), message);
        let its_own = self.headers.get(&REQUEST_ID).and_then(|id| id.to_str().ok());
        let (_, body) = caller_side(dialect).write_error(&error, its_own.unwrap_or(id));
        if let (Dialect::Anthropic, None, Ok(id)) = (dialect, its_own, HeaderValue::from_str(id)) {
            self.headers.insert(&REQUEST_ID, id);
        }
        self.headers
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        self.body = AnswerBody::held(Bytes::from(body));
    }
}
