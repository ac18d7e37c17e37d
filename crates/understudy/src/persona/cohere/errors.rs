//! Errors in Cohere's shape.

use serde_json::json;

use crate::persona::scenario::Trouble;
use crate::reply::Reply;

/// An error as Cohere words it.
#[derive(Clone, Debug)]
pub(super) struct ApiError {
    status: u16,
    message: String,
}

impl ApiError {
    pub(super) fn new(status: u16, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
        }
    }

    pub(super) fn invalid(why: impl AsRef<str>) -> Self {
        Self::new(400, format!("invalid request: {}", why.as_ref()))
    }

    /// The error for a field that there is not, or whose value has the wrong type.
    pub(super) fn unprocessable(why: impl AsRef<str>) -> Self {
        Self::new(422, format!("invalid request: {}", why.as_ref()))
    }

    pub(super) fn unauthorized(message: &str) -> Self {
        Self::new(401, message)
    }

    /// The error that a scenario wants.
    pub(super) fn of_trouble(trouble: Trouble) -> Self {
        let (status, message) = match trouble {
            Trouble::BadRequest => (400, "invalid request: the request was not accepted"),
            Trouble::ContextTooLong => (
                400,
                "too many tokens: total number of tokens in the prompt cannot exceed 128000 - received 150000. Try using a shorter \
                 prompt, or setting truncate.",
            ),
            Trouble::Unauthorized => (401, "invalid api token"),
            Trouble::Forbidden => (403, "this api key does not have access to this resource"),
            Trouble::NotFound => (
                404,
                "model 'understudy' not found, make sure the correct model ID was used and that you have access to the model.",
            ),
            Trouble::TooLarge => (413, "request body too large"),
            Trouble::RateLimited => (
                429,
                "You are using a Trial key, which is limited to 40 API calls / minute. You can continue to use the Trial key for \
                 free or upgrade to a Production key with higher rate limits.",
            ),
            Trouble::Internal => (500, "internal server error"),
            Trouble::Unavailable | Trouble::Overloaded => (503, "service unavailable, please try again later"),
        };
        Self::new(status, message)
    }

    pub(super) fn reply(&self, number: u64) -> Reply {
        let body = json!({"id": format!("understudy{number}"), "message": self.message});
        let reply = Reply::json(&body).with_status(self.status);
        if self.status == 429 {
            reply.header("retry-after", "7")
        } else {
            reply
        }
    }
}
