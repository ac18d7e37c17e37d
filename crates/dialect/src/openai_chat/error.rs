//! The error body of OpenAI's API.

use serde::Serialize;

use crate::ir::{Class, Error};

/// An error as OpenAI's clients read it. All four members are always present, as the API's schema demands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ErrorBody<'a> {
    /// What went wrong and what to do, for a person.
    pub message: &'a str,
    /// The class of the error, such as `invalid_request_error`.
    pub r#type: &'a str,
    /// The request field at fault.
    pub param: Option<&'a str>,
    /// The exact error, such as `model_not_found`.
    pub code: Option<&'a str>,
}

impl ErrorBody<'_> {
    /// The body of an HTTP reply.
    pub fn to_json(&self) -> Vec<u8> {
        #[derive(Serialize)]
        struct Envelope<'a> {
            error: &'a ErrorBody<'a>,
        }
        // Strings and options of strings always serialize.
        serde_json::to_vec(&Envelope { error: self }).unwrap_or_default()
    }

    /// The same as an event in a stream that has begun. Nothing may follow it, `[DONE]` least of all.
    pub fn to_event(&self) -> Vec<u8> {
        [b"data: ", self.to_json().as_slice(), b"\n\n"].concat()
    }
}

/// An error in OpenAI's words.
pub(super) fn body(error: &Error) -> ErrorBody<'_> {
    let (r#type, code) = words(error.class);
    let code = match error.class {
        // Clients act upon these two codes.
        Class::ContextTooLong | Class::Billing => code,
        _ => error.code.as_deref().or(code),
    };
    ErrorBody {
        message: &error.message,
        r#type,
        param: error.param.as_deref(),
        code,
    }
}

/// The HTTP status of a class. OpenAI has no 402: what cannot be paid is a 429 that is not worth trying again.
pub(super) fn status_of(class: Class) -> u16 {
    match class {
        Class::Billing => 429,
        _ => class.status(),
    }
}

/// The type and the usual code of a class.
fn words(class: Class) -> (&'static str, Option<&'static str>) {
    match class {
        Class::BadRequest | Class::TooLarge | Class::Unprocessable | Class::Conflict => ("invalid_request_error", None),
        Class::ContextTooLong => ("invalid_request_error", Some("context_length_exceeded")),
        Class::Authentication => ("invalid_request_error", Some("invalid_api_key")),
        Class::Billing => ("insufficient_quota", Some("insufficient_quota")),
        Class::Forbidden => ("permission_error", None),
        Class::NotFound => ("invalid_request_error", Some("model_not_found")),
        Class::RateLimited => ("rate_limit_error", Some("rate_limit_exceeded")),
        Class::Overloaded => ("server_error", Some("overloaded")),
        Class::Server => ("server_error", None),
        Class::Timeout => ("server_error", Some("timeout")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::read_error::read;
    use super::*;

    #[test]
    fn all_members_are_present() {
        let body = ErrorBody {
            message: "no \"x\"",
            r#type: "invalid_request_error",
            param: None,
            code: Some("c"),
        };
        let expected = r#"{"error":{"message":"no \"x\"","type":"invalid_request_error","param":null,"code":"c"}}"#;
        assert_eq!(body.to_json(), expected.as_bytes());
        assert_eq!(body.to_event(), format!("data: {expected}\n\n").as_bytes());
    }

    #[test]
    fn errors_are_written_in_openais_words() {
        for class in Class::ALL {
            let error = Error::new(class, "m");
            let node = body(&error).to_json();
            let back = read(status_of(class), &node);
            let expected = match class {
                // The words are the same; the status tells them apart from the rest.
                Class::ContextTooLong | Class::Billing => class,
                other => Class::of_status(status_of(other)),
            };
            assert_eq!(back.class, expected, "{class:?}");
        }
        assert_eq!(status_of(Class::Billing), 429);
        assert_eq!(status_of(Class::Overloaded), 503);
    }
}
