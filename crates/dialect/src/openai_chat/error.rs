//! The error body of OpenAI's API.

use serde::Serialize;

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

#[cfg(test)]
mod tests {
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
}
