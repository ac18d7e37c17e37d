//! Errors in Anthropic's shape.

use serde_json::{Value, json};

use crate::persona::scenario::Trouble;
use crate::reply::Reply;

/// An error as Anthropic words it.
#[derive(Clone, Debug)]
pub(super) struct ApiError {
    status: u16,
    kind: &'static str,
    message: String,
}

impl ApiError {
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, "invalid_request_error", message)
    }

    pub(super) fn bad_json() -> Self {
        Self::invalid("The request body is not valid JSON")
    }

    pub(super) fn unauthorized(message: &str) -> Self {
        Self::new(401, "authentication_error", message)
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(404, "not_found_error", message)
    }

    /// The error for a field that there is not, at this path.
    pub(super) fn extra(path: &str) -> Self {
        Self::invalid(format!("{path}: Extra inputs are not permitted"))
    }

    /// The error for a field that is missing, at this path.
    pub(super) fn required(path: &str) -> Self {
        Self::invalid(format!("{path}: Field required"))
    }

    /// The error that a scenario wants.
    pub(super) fn of_trouble(trouble: Trouble) -> Self {
        let (kind, message) = match trouble {
            Trouble::BadRequest => ("invalid_request_error", "The request was not accepted."),
            Trouble::ContextTooLong => (
                "invalid_request_error",
                "prompt is too long: 250000 tokens > 200000 maximum",
            ),
            Trouble::Unauthorized => ("authentication_error", "invalid x-api-key"),
            Trouble::Forbidden => (
                "permission_error",
                "Your API key does not have permission to use this resource.",
            ),
            Trouble::NotFound => ("not_found_error", "model: understudy"),
            Trouble::TooLarge => ("request_too_large", "Request exceeds the maximum size"),
            Trouble::RateLimited => (
                "rate_limit_error",
                "This request would exceed your organization's rate limit of 50 requests per minute.",
            ),
            Trouble::Internal => ("api_error", "Internal server error"),
            Trouble::Unavailable => ("api_error", "Service unavailable"),
            Trouble::Overloaded => ("overloaded_error", "Overloaded"),
        };
        Self::new(trouble.status(), kind, message)
    }

    pub(super) fn body(&self, number: u64) -> Value {
        json!({
            "type": "error", "error": {"type": self.kind, "message": self.message}, "request_id": request_id(number),
        })
    }

    pub(super) fn reply(&self, number: u64) -> Reply {
        let reply = Reply::json(&self.body(number)).with_status(self.status);
        if self.status == 429 {
            reply.header("retry-after", "7")
        } else {
            reply
        }
    }

    fn new(status: u16, kind: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            kind,
            message: message.into(),
        }
    }
}

/// The id of a request.
pub(super) fn request_id(number: u64) -> String {
    format!("req_understudy_{number}")
}
