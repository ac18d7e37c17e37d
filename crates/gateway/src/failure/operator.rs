//! What an operator is refused.

use std::borrow::Cow;

use axum::http::StatusCode;

use super::Failure;

impl Failure {
    /// A request to the admin listener without its key.
    pub fn admin_key_missing() -> Self {
        let message = "No admin key was given. Send the one of `admin.key`, as `Authorization: Bearer KEY`.";
        Self::callers(StatusCode::UNAUTHORIZED, "missing_api_key", message)
    }

    /// A request to the admin listener with another key.
    pub fn admin_key_wrong() -> Self {
        let message = "This is not the admin key (`admin.key`). Keys of clients do not open the admin listener.";
        Self::callers(StatusCode::UNAUTHORIZED, "invalid_api_key", message)
    }

    /// A request to the admin listener under a name that is not answered to.
    pub fn host_refused(why: &str) -> Self {
        let message = format!("The header `Host` {why}.");
        Self::callers(StatusCode::FORBIDDEN, "host_not_allowed", message)
    }

    /// A web page that may not call the admin listener.
    pub fn page_refused() -> Self {
        let message = "Web pages of other origins may not call the admin listener.";
        Self::callers(StatusCode::FORBIDDEN, "origin_not_allowed", message)
    }

    /// There is no such thing to be looked at or changed.
    pub fn not_found(message: impl Into<Cow<'static, str>>) -> Self {
        Self::callers(StatusCode::NOT_FOUND, "not_found", message)
    }

    /// What is asked for contradicts what is there.
    pub fn conflict(message: impl Into<Cow<'static, str>>) -> Self {
        Self::callers(StatusCode::CONFLICT, "conflict", message)
    }

    /// A field of the body, or a parameter of the query, is not as it should be.
    pub fn field_refused(param: String, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            param: Some(param).filter(|param| !param.is_empty()).map(Cow::Owned),
            ..Self::callers(StatusCode::BAD_REQUEST, "invalid_field", message)
        }
    }

    /// A body whose type is another than JSON's.
    pub fn not_sent_as_json() -> Self {
        let message = "The body must be sent with `Content-Type: application/json`.";
        Self::callers(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message)
    }

    /// The configuration on disk cannot be used.
    pub fn configuration_wrong(message: String) -> Self {
        Self::callers(StatusCode::UNPROCESSABLE_ENTITY, "invalid_configuration", message)
    }

    /// The store cannot be asked or changed now.
    pub fn store_unusable(error: &impl std::fmt::Display) -> Self {
        let message = format!("The store cannot be used: {error}.");
        Self::ours(StatusCode::SERVICE_UNAVAILABLE, "store_unusable", message)
    }

    /// A key that may be one of those that could not be read yet.
    pub fn clients_unread() -> Self {
        let message = "This key cannot be looked up yet: the gateway has just started, and its store does not answer.";
        Self::ours(StatusCode::SERVICE_UNAVAILABLE, "clients_unread", message)
    }

    /// The gateway is stopping.
    pub fn stopping() -> Self {
        let message = "The gateway is stopping.";
        Self::ours(StatusCode::SERVICE_UNAVAILABLE, "stopping", message)
    }
}
