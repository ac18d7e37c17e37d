//! Errors in OpenAI's shape.

use serde_json::json;

use crate::received::Received;
use crate::reply::Reply;

/// An error as OpenAI words it.
#[derive(Clone, Debug)]
pub(super) struct ApiError {
    status: u16,
    kind: &'static str,
    code: Option<&'static str>,
    param: Option<String>,
    message: String,
}

impl ApiError {
    pub(super) fn invalid(message: impl Into<String>, param: Option<&str>) -> Self {
        Self {
            status: 400,
            kind: "invalid_request_error",
            code: None,
            param: param.map(str::to_owned),
            message: message.into(),
        }
    }

    pub(super) fn bad_json() -> Self {
        Self::invalid("We could not parse the JSON body of your request.", None)
    }

    pub(super) fn missing(param: &str) -> Self {
        Self {
            code: Some("missing_required_parameter"),
            ..Self::invalid(format!("Missing required parameter: '{param}'."), Some(param))
        }
    }

    pub(super) fn not_found(what: &str, id: &str) -> Self {
        Self {
            status: 404,
            ..Self::invalid(format!("No such {what}: {id}"), Some("id"))
        }
    }

    pub(super) fn unknown_model(model: &str) -> Self {
        Self {
            status: 404,
            code: Some("model_not_found"),
            ..Self::invalid(format!("The model '{model}' does not exist"), Some("model"))
        }
    }

    /// The error that goes with a status.
    pub(super) fn of_status(status: u16) -> Self {
        let (kind, code, message) = match status {
            401 => (
                "invalid_request_error",
                Some("invalid_api_key"),
                "Incorrect API key provided.",
            ),
            403 => (
                "invalid_request_error",
                Some("unsupported_country_region_territory"),
                "Not permitted.",
            ),
            404 => (
                "invalid_request_error",
                Some("model_not_found"),
                "The model does not exist.",
            ),
            429 => (
                "requests",
                Some("rate_limit_exceeded"),
                "Rate limit reached for requests.",
            ),
            503 => (
                "server_error",
                Some("overloaded"),
                "The engine is currently overloaded.",
            ),
            400..=499 => ("invalid_request_error", None, "The request was not accepted."),
            _ => (
                "server_error",
                None,
                "The server had an error while processing your request.",
            ),
        };
        Self {
            status,
            kind,
            code,
            param: None,
            message: message.to_owned(),
        }
    }

    pub(super) fn reply(&self) -> Reply {
        Reply::json(&json!({"error": {
            "message": self.message, "type": self.kind, "param": self.param, "code": self.code,
        }}))
        .with_status(self.status)
    }
}

/// The error for a path or method that there is not.
pub(super) fn unknown_url(received: &Received) -> ApiError {
    ApiError {
        status: 404,
        code: Some("unknown_url"),
        ..ApiError::invalid(
            format!("Unknown request URL: {} {}.", received.method, received.path()),
            None,
        )
    }
}
