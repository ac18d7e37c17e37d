//! Errors in OpenAI's shape.

use serde_json::{Value, json};

use crate::persona::fields;
use crate::persona::key::Key;
use crate::persona::scenario::Trouble;
use crate::received::Received;
use crate::reply::Reply;

/// An error as OpenAI words it.
#[derive(Clone, Debug)]
pub(in crate::persona) struct ApiError {
    status: u16,
    kind: &'static str,
    code: Option<&'static str>,
    param: Option<String>,
    message: String,
}

impl ApiError {
    pub(in crate::persona) fn invalid(message: impl Into<String>, param: Option<&str>) -> Self {
        Self {
            status: 400,
            kind: "invalid_request_error",
            code: None,
            param: param.map(str::to_owned),
            message: message.into(),
        }
    }

    pub(in crate::persona) fn bad_json() -> Self {
        Self::invalid("We could not parse the JSON body of your request.", None)
    }

    pub(in crate::persona) fn missing(param: &str) -> Self {
        Self {
            code: Some("missing_required_parameter"),
            ..Self::invalid(format!("Missing required parameter: '{param}'."), Some(param))
        }
    }

    pub(in crate::persona) fn not_found(what: &str, id: &str) -> Self {
        Self {
            status: 404,
            ..Self::invalid(format!("No such {what}: {id}"), Some("id"))
        }
    }

    pub(in crate::persona) fn unknown_model(model: &str) -> Self {
        Self {
            status: 404,
            code: Some("model_not_found"),
            ..Self::invalid(format!("The model '{model}' does not exist"), Some("model"))
        }
    }

    /// The same error with this code.
    pub(in crate::persona) fn with_code(self, code: &'static str) -> Self {
        Self {
            code: Some(code),
            ..self
        }
    }

    /// The error for a field at the top that chat completions do not have.
    pub(in crate::persona) fn unrecognized(name: &str) -> Self {
        Self::invalid(format!("Unrecognized request argument supplied: {name}"), None)
    }

    /// The error for a field that there is not, at this path.
    pub(in crate::persona) fn unknown_parameter(path: &str) -> Self {
        Self::invalid(format!("Unknown parameter: '{path}'."), Some(path)).with_code("unknown_parameter")
    }

    /// The error for a value of the wrong type.
    pub(in crate::persona) fn wrong_type(path: &str, expected: &str, got: &Value) -> Self {
        let got = fields::kind(got);
        Self::invalid(
            format!("Invalid type for '{path}': expected {expected}, but got {got} instead."),
            Some(path),
        )
        .with_code("invalid_type")
    }

    /// The error for a value that is not among those that there are.
    pub(in crate::persona) fn unsupported_value(path: &str, value: &str, supported: &[&str]) -> Self {
        let supported: Vec<String> = supported.iter().map(|value| format!("'{value}'")).collect();
        let supported = supported.join(", ");
        Self::invalid(
            format!("Invalid value: '{value}'. Supported values are: {supported}."),
            Some(path),
        )
        .with_code("invalid_value")
    }

    /// The error for a value that breaks a rule.
    pub(in crate::persona) fn invalid_value(path: &str, why: &str) -> Self {
        Self::invalid(format!("Invalid '{path}': {why}"), Some(path)).with_code("invalid_value")
    }

    /// The error for a key that is missing or wrong, if it is.
    pub(in crate::persona) fn of_key(key: Key) -> Option<Self> {
        let refused = |message: &str| Self {
            status: 401,
            ..Self::invalid(message, None)
        };
        match key {
            Key::Good => None,
            Key::Missing => Some(refused(
                "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer \
                 auth (i.e. Authorization: Bearer YOUR_KEY).",
            )),
            Key::Wrong => Some(
                refused(
                    "Incorrect API key provided: bad. You can find your API key at \
                     https://platform.openai.com/account/api-keys.",
                )
                .with_code("invalid_api_key"),
            ),
        }
    }

    /// The error that a scenario wants.
    pub(in crate::persona) fn of_trouble(trouble: Trouble) -> Self {
        match trouble {
            Trouble::ContextTooLong => Self::invalid(
                "This model's maximum context length is 128000 tokens. However, your messages resulted in 150000 tokens. \
                 Please reduce the length of the messages.",
                Some("messages"),
            )
            .with_code("context_length_exceeded"),
            // OpenAI has no status for an overload but this.
            Trouble::Overloaded => Self::of_status(503),
            trouble => Self::of_status(trouble.status()),
        }
    }

    /// The reply, with the wait that goes with a rate limit.
    pub(in crate::persona) fn strict_reply(&self) -> Reply {
        match self.status {
            429 => self.reply().header("retry-after", "7").header("retry-after-ms", "7000"),
            _ => self.reply(),
        }
    }

    /// The body of the reply.
    pub(in crate::persona) fn body(&self) -> Value {
        json!({"error": {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}})
    }

    /// What it says.
    pub(in crate::persona) fn message(&self) -> &str {
        &self.message
    }

    /// With this status instead.
    pub(in crate::persona) fn with_status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    /// The error that goes with a status.
    pub(in crate::persona) fn of_status(status: u16) -> Self {
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

    pub(in crate::persona) fn reply(&self) -> Reply {
        Reply::json(&self.body()).with_status(self.status)
    }
}

/// The error for a path or method that there is not.
pub(in crate::persona) fn unknown_url(received: &Received) -> ApiError {
    ApiError {
        status: 404,
        code: Some("unknown_url"),
        ..ApiError::invalid(
            format!("Unknown request URL: {} {}.", received.method, received.path()),
            None,
        )
    }
}
