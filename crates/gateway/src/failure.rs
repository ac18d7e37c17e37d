//! What can go wrong here, whose fault it is, and the one place where that becomes an HTTP reply.

use std::borrow::Cow;

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use mynah_dialect::openai_chat::error::ErrorBody;

/// Whose fault a failure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The request cannot be served as it is.
    Caller,
    /// The providers did not answer.
    Upstream,
    /// The gateway is at its limits or stopping.
    Gateway,
}

/// A request that was not answered by a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The status of the reply.
    pub status: StatusCode,
    /// Whose fault it is.
    pub blame: Blame,
    /// Whether the same request may succeed later.
    pub retryable: bool,
    /// What happened and what to do, for a person.
    pub message: Cow<'static, str>,
    /// The class of error in the caller's dialect.
    pub kind: &'static str,
    /// The exact error in the caller's dialect.
    pub code: Option<&'static str>,
    /// The request field at fault.
    pub param: Option<&'static str>,
}

impl Failure {
    fn callers(status: StatusCode, code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            blame: Blame::Caller,
            retryable: false,
            message: message.into(),
            kind: "invalid_request_error",
            code: Some(code),
            param: None,
        }
    }

    fn upstreams(status: StatusCode, code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            blame: Blame::Upstream,
            retryable: true,
            kind: "api_error",
            ..Self::callers(status, code, message)
        }
    }

    fn ours(status: StatusCode, code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            blame: Blame::Gateway,
            kind: "server_error",
            ..Self::upstreams(status, code, message)
        }
    }

    /// The request has no key.
    pub fn key_missing() -> Self {
        let message = "No API key was given. Send the key that the operator of this gateway gave you, as `Authorization: Bearer KEY`.";
        Self::callers(StatusCode::UNAUTHORIZED, "missing_api_key", message)
    }

    /// The request has a key that nobody owns.
    pub fn key_wrong() -> Self {
        let message = "The API key is not one of this gateway's. Ask its operator for a key; a provider's own key does not work here.";
        Self::callers(StatusCode::UNAUTHORIZED, "invalid_api_key", message)
    }

    /// A web page from an origin that may not call.
    pub fn origin_refused() -> Self {
        let message = "Web pages of this origin may not call this gateway. Its operator can allow that with `server.cors_origins`.";
        Self::callers(StatusCode::FORBIDDEN, "origin_not_allowed", message)
    }

    /// The caller may not use the model.
    pub fn model_forbidden(model: &str) -> Self {
        let message = format!("Your key may not use `{model}`. GET /v1/models lists what it may use.");
        Self {
            param: Some("model"),
            ..Self::callers(StatusCode::FORBIDDEN, "model_not_allowed", message)
        }
    }

    /// No route leads to the model.
    pub fn model_unknown(model: &str, hint: &str) -> Self {
        let message = format!(
            "The model `{model}` is not known here{hint}. Ask for a configured name, `provider/model`, or a model of GET /v1/models."
        );
        Self {
            param: Some("model"),
            ..Self::callers(StatusCode::NOT_FOUND, "model_not_found", message)
        }
    }

    /// The request names no model and no provider.
    pub fn model_missing() -> Self {
        let message = "`model` is missing. Name a model, or a provider in the header `x-mynah-provider`.";
        let failure = Self::callers(StatusCode::BAD_REQUEST, "missing_required_parameter", message);
        Self {
            param: Some("model"),
            ..failure
        }
    }

    /// A route without a model, and no provider to send it to.
    pub fn provider_missing() -> Self {
        let message = "This route names no model, so the provider must be named: send the header `x-mynah-provider`, or have the operator set `server.default_provider`.";
        Self::callers(StatusCode::BAD_REQUEST, "provider_missing", message)
    }

    /// The named provider does not exist.
    pub fn provider_unknown(name: &str, hint: &str) -> Self {
        let message = format!("`x-mynah-provider: {name}` is not a provider of this gateway{hint}.");
        Self::callers(StatusCode::BAD_REQUEST, "provider_not_found", message)
    }

    /// Every target speaks another dialect than the route.
    pub fn cannot_translate(name: &str, route: &str) -> Self {
        let message = format!(
            "`{name}` is served only by providers that do not speak OpenAI's dialect, and {route} is relayed, not translated."
        );
        Self::callers(StatusCode::BAD_REQUEST, "dialect_mismatch", message)
    }

    /// The body cannot be read.
    pub fn body_unreadable(message: String, param: Option<&'static str>) -> Self {
        Self {
            param,
            ..Self::callers(StatusCode::BAD_REQUEST, "invalid_body", message)
        }
    }

    /// The body is compressed.
    pub fn body_encoded() -> Self {
        let message = "The request body is compressed. Send it without `content-encoding`.";
        Self::callers(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_encoding", message)
    }

    /// The body is larger than is taken.
    pub fn body_too_large(limit: u64) -> Self {
        let message = format!(
            "The request body is larger than the {limit} bytes that this gateway takes (`server.max_body`, `server.max_upload`)."
        );
        Self::callers(StatusCode::PAYLOAD_TOO_LARGE, "request_too_large", message)
    }

    /// The body stopped coming.
    pub fn body_stalled() -> Self {
        Self::callers(
            StatusCode::REQUEST_TIMEOUT,
            "request_timeout",
            "The request body did not arrive in time.",
        )
    }

    /// The path climbs out of the API.
    pub fn path_refused(message: String) -> Self {
        Self::callers(StatusCode::BAD_REQUEST, "invalid_path", message)
    }

    /// No such route.
    pub fn route_unknown(method: &str, path: &str) -> Self {
        let hint = if path.starts_with("/v1/") || path == "/v1" {
            ""
        } else {
            " The API is below /v1."
        };
        Self::callers(
            StatusCode::NOT_FOUND,
            "unknown_url",
            format!("There is no {method} {path} here.{hint}"),
        )
    }

    /// The route exists for other methods.
    pub fn method_refused(method: &str, path: &str) -> Self {
        Self::callers(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_supported",
            format!("{path} does not take {method}."),
        )
    }

    /// The built-in model was asked for something that it cannot do.
    pub fn echo_cannot(operation: &str) -> Self {
        Self::callers(
            StatusCode::BAD_REQUEST,
            "unsupported_operation",
            format!("`mynah/echo` does not serve {operation}; ask for a model of a provider."),
        )
    }

    /// The request has been through this gateway before.
    pub fn going_round() -> Self {
        let message = "This request has come back to the gateway that sent it: a provider's `base_url` leads here.";
        Self {
            retryable: false,
            ..Self::ours(StatusCode::LOOP_DETECTED, "loop_detected", message)
        }
    }

    /// Too many requests at a time.
    pub fn at_capacity() -> Self {
        let message =
            "The gateway has as many requests in flight as it may have (`server.max_requests`). Try again shortly.";
        Self::ours(StatusCode::SERVICE_UNAVAILABLE, "server_overloaded", message)
    }

    /// No connection to any target.
    pub fn unreachable(message: String) -> Self {
        Self::upstreams(StatusCode::BAD_GATEWAY, "upstream_unreachable", message)
    }

    /// A target broke off or answered with something that is not HTTP.
    pub fn broken_off(message: String) -> Self {
        Self::upstreams(StatusCode::BAD_GATEWAY, "upstream_broken", message)
    }

    /// A target did not answer in time.
    pub fn timed_out(message: String) -> Self {
        Self {
            kind: "timeout_error",
            ..Self::upstreams(StatusCode::GATEWAY_TIMEOUT, "upstream_timeout", message)
        }
    }

    /// The error in OpenAI's shape.
    pub fn body(&self) -> ErrorBody<'_> {
        ErrorBody {
            message: &self.message,
            r#type: self.kind,
            param: self.param,
            code: self.code,
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = (self.status, self.body().to_json()).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if self.retryable && self.blame == Blame::Gateway {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
