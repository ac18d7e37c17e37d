//! Errors in Google's shape.

use serde_json::{Value, json};

use crate::persona::scenario::Trouble;
use crate::reply::Reply;

/// An error as Google words it.
#[derive(Clone, Debug)]
pub(super) struct ApiError {
    code: u16,
    status: &'static str,
    message: String,
    details: Vec<Value>,
}

impl ApiError {
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, "INVALID_ARGUMENT", message)
    }

    pub(super) fn bad_json() -> Self {
        Self::invalid("Invalid JSON payload received. Unexpected end of string.")
    }

    /// The error for a field that there is not; the path is empty at the top.
    pub(super) fn unknown(path: &str, name: &str) -> Self {
        let place = if path.is_empty() {
            String::new()
        } else {
            format!(" at '{path}'")
        };
        let description = format!("Invalid JSON payload received. Unknown name \"{name}\"{place}: Cannot find field.");
        let mut violation = json!({"description": description});
        if !path.is_empty() {
            violation["field"] = json!(path);
        }
        let mut error = Self::invalid(description);
        error.details.push(json!({
            "@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [violation],
        }));
        error
    }

    pub(super) fn unregistered() -> Self {
        Self::new(
            403,
            "PERMISSION_DENIED",
            "Method doesn't allow unregistered callers (callers without established identity). Please use API Key or other \
             form of API consumer identity to call this API.",
        )
    }

    pub(super) fn wrong_key() -> Self {
        let mut error = Self::invalid("API key not valid. Please pass a valid API key.");
        error.details.push(json!({
            "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID", "domain": "googleapis.com",
            "metadata": {"service": "generativelanguage.googleapis.com"},
        }));
        error
    }

    pub(super) fn no_path() -> Self {
        Self::new(404, "NOT_FOUND", "Requested entity was not found.")
    }

    pub(super) fn no_model(model: &str) -> Self {
        Self::new(
            404,
            "NOT_FOUND",
            format!("models/{model} is not found for API version v1beta, or is not supported for generateContent."),
        )
    }

    /// The error that a scenario wants.
    pub(super) fn of_trouble(trouble: Trouble) -> Self {
        match trouble {
            Trouble::BadRequest => Self::invalid("Request contains an invalid argument."),
            Trouble::ContextTooLong => {
                Self::invalid("The input token count (1250000) exceeds the maximum number of tokens allowed (1048576).")
            }
            // A key that is no good is an invalid argument with Google.
            Trouble::Unauthorized => Self::wrong_key(),
            Trouble::Forbidden => Self::new(403, "PERMISSION_DENIED", "The caller does not have permission"),
            Trouble::NotFound => Self::no_model("understudy"),
            Trouble::TooLarge => Self::new(
                413,
                "INVALID_ARGUMENT",
                "Request payload size exceeds the limit: 20971520 bytes.",
            ),
            Trouble::RateLimited => Self::exhausted(),
            Trouble::Internal => Self::new(
                500,
                "INTERNAL",
                "An internal error has occurred. Please retry or report.",
            ),
            Trouble::Unavailable | Trouble::Overloaded => {
                Self::new(503, "UNAVAILABLE", "The model is overloaded. Please try again later.")
            }
        }
    }

    pub(super) fn body(&self) -> Value {
        let mut error = json!({"code": self.code, "message": self.message, "status": self.status});
        if !self.details.is_empty() {
            error["details"] = json!(self.details);
        }
        json!({"error": error})
    }

    pub(super) fn reply(&self) -> Reply {
        Reply::json(&self.body()).with_status(self.code)
    }

    fn exhausted() -> Self {
        let mut error = Self::new(
            429,
            "RESOURCE_EXHAUSTED",
            "You exceeded your current quota, please check your plan and billing details. Please retry in 7s.",
        );
        error.details = vec![
            json!({
                "@type": "type.googleapis.com/google.rpc.QuotaFailure",
                "violations": [{"quotaId": "GenerateRequestsPerMinutePerProjectPerModel-FreeTier", "quotaValue": "10"}],
            }),
            json!({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7s"}),
        ];
        error
    }

    fn new(code: u16, status: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            status,
            message: message.into(),
            details: Vec::new(),
        }
    }
}
