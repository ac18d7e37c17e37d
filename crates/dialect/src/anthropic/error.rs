//! Errors, both ways.

use crate::delay::seconds_of;
use crate::ir::{Class, Error};
use crate::tree::{Node, Value};
use crate::writer::{self, Object};

/// What Claude Code looks for in a message to know that it should shorten the conversation.
const TOO_LONG: &str = "prompt is too long";

/// The longest message that is taken from a body that is no error of the protocol, in letters.
const LONGEST_MESSAGE: usize = 1000;

/// The status and body of an error.
pub(super) fn write(error: &Error, request_id: &str) -> (u16, Vec<u8>) {
    let mut body = Vec::new();
    writer::object(&mut body, |it| {
        write_members(it, error);
        it.text("request_id", request_id);
    });
    let status = match error.class {
        Class::Overloaded => 529,
        class => class.status(),
    };
    (status, body)
}

/// The code by which a caller learns that it must send the whole conversation, and not continue a stored one.
const THREADS_UNSUPPORTED: &str = "thread_unsupported_request";

/// Writes the members of an error, in a body or in a stream.
pub(super) fn write_members(it: &mut Object<'_>, error: &Error) {
    it.text("type", "error");
    it.object("error", |it| {
        it.text("type", word(error.class));
        let told = error.message.to_ascii_lowercase().contains(TOO_LONG);
        if error.class == Class::ContextTooLong && !told {
            it.text("message", &format!("{TOO_LONG}: {}", error.message));
        } else {
            it.text("message", &error.message);
        }
        if let Some(code) = &error.code {
            it.object("details", |it| {
                it.text("error_code", code);
                // The SDK then sends the whole conversation.
                if code == THREADS_UNSUPPORTED {
                    it.array("unsupported", |it| it.text("thread"));
                }
            });
        }
    });
}

fn word(class: Class) -> &'static str {
    match class {
        Class::BadRequest | Class::ContextTooLong | Class::Conflict | Class::Unprocessable => "invalid_request_error",
        Class::Authentication => "authentication_error",
        Class::Billing => "billing_error",
        Class::Forbidden => "permission_error",
        Class::NotFound => "not_found_error",
        Class::TooLarge => "request_too_large",
        Class::RateLimited => "rate_limit_error",
        Class::Overloaded => "overloaded_error",
        Class::Server => "api_error",
        Class::Timeout => "timeout_error",
    }
}

/// Reads the body of an error, whatever it is.
pub(super) fn read(status: u16, body: &[u8]) -> Error {
    match Node::parse(body) {
        Ok(node) => read_node(status, &node),
        Err(_) => Error::new(Class::of_status(status), plain_message(status, body)),
    }
}

/// Reads an error that is part of something else, such as an event. Its status is 200 in a stream.
pub(super) fn read_node(status: u16, node: &Node<'_>) -> Error {
    // Gateways in between send lists of errors, bare strings and other protocols' shapes.
    let node = node.items().first().unwrap_or(node);
    let inner = match node.get("error") {
        error if error.is_object() || error.is_text() => error,
        _ => node,
    };
    let message = [inner, inner.get("message"), node.get("message"), node.get("detail")]
        .into_iter()
        .find_map(Node::text)
        .filter(|message| !message.is_empty())
        .map_or_else(|| plain_message(status, node.raw().as_bytes()), str::to_owned);
    let code = [inner.get("details").get("error_code"), inner.get("code")]
        .into_iter()
        .find_map(|code| match code.value() {
            Value::Text(code) => Some(code.clone().into_owned()),
            _ => None,
        });
    Error {
        class: class(status, inner.get("type").text_or_empty(), code.as_deref(), &message),
        retry_after: seconds_of(inner, &message),
        code,
        message,
        param: inner.get("param").string(),
    }
}

fn class(status: u16, kind: &str, code: Option<&str>, message: &str) -> Class {
    let message = message.to_ascii_lowercase();
    let says = |phrases: &[&str]| phrases.iter().any(|phrase| message.contains(phrase));
    let is_request = matches!(kind, "" | "error" | "invalid_request_error") && matches!(status, 200 | 400 | 413 | 422);
    if code == Some("context_length_exceeded")
        || is_request
            && says(&[
                TOO_LONG,
                "exceed context limit",
                "context window",
                "maximum context length",
            ])
    {
        return Class::ContextTooLong;
    }
    if says(&["credit balance is too low"]) {
        return Class::Billing;
    }
    match kind {
        "invalid_request_error" if (400..500).contains(&status) => Class::of_status(status),
        "invalid_request_error" => Class::BadRequest,
        "authentication_error" => Class::Authentication,
        "billing_error" => Class::Billing,
        "permission_error" => Class::Forbidden,
        "not_found_error" => Class::NotFound,
        "request_too_large" => Class::TooLarge,
        "rate_limit_error" => Class::RateLimited,
        "overloaded_error" => Class::Overloaded,
        // The word for every fault of the provider's: the status says more.
        "api_error" if status >= 500 => Class::of_status(status),
        "api_error" => Class::Server,
        "timeout_error" => Class::Timeout,
        _ => Class::of_status(status),
    }
}

/// A message for a body that says none in a way that is known.
fn plain_message(status: u16, body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    if text.is_empty() || text == "null" || text.starts_with('<') {
        return format!("The provider answered with status {status} and no readable error.");
    }
    text.chars().take(LONGEST_MESSAGE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_class_is_written_and_read_again() {
        for class in Class::ALL {
            let (status, body) = write(&Error::new(class, "words"), "req_1");
            assert_eq!(read(status, &body).class, class, "{class:?}");
        }
        let (status, body) = write(&Error::new(Class::Overloaded, "Overloaded"), "req_1");
        assert_eq!(status, 529);
        assert_eq!(
            String::from_utf8(body).unwrap(),
            r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"req_1"}"#
        );
    }

    #[test]
    fn a_prompt_that_is_too_long_is_told_in_the_words_that_claude_code_looks_for() {
        let (status, body) = write(&Error::new(Class::ContextTooLong, "maximum is 4096 tokens"), "r");
        assert_eq!(status, 400);
        let node = Node::parse(&body).unwrap();
        assert_eq!(
            node.get("error").get("message").text(),
            Some("prompt is too long: maximum is 4096 tokens")
        );
    }

    #[test]
    fn errors_of_all_shapes_are_read() {
        let own = |kind: &str, message: &str| {
            format!(r#"{{"type":"error","error":{{"type":"{kind}","message":"{message}"}},"request_id":"req_1"}}"#)
        };
        let cases: Vec<(u16, String, Class, &str)> = vec![
            (
                400,
                own(
                    "invalid_request_error",
                    "prompt is too long: 210000 tokens > 200000 maximum",
                ),
                Class::ContextTooLong,
                "prompt is",
            ),
            (
                400,
                own(
                    "invalid_request_error",
                    "input length and `max_tokens` exceed context limit: 1 + 2 > 2",
                ),
                Class::ContextTooLong,
                "input",
            ),
            (
                400,
                own(
                    "invalid_request_error",
                    "Your credit balance is too low to access the API.",
                ),
                Class::Billing,
                "Your credit",
            ),
            (
                400,
                own("invalid_request_error", "max_tokens: must be positive"),
                Class::BadRequest,
                "max_tokens",
            ),
            (
                413,
                own("request_too_large", "Request exceeds the maximum size"),
                Class::TooLarge,
                "Request",
            ),
            (
                529,
                own("overloaded_error", "Overloaded"),
                Class::Overloaded,
                "Overloaded",
            ),
            (
                200,
                own("overloaded_error", "Overloaded"),
                Class::Overloaded,
                "Overloaded",
            ),
            (200, own("brand_new_error", "x"), Class::Server, "x"),
            (
                503,
                "<html>busy</html>".into(),
                Class::Overloaded,
                "The provider answered with status 503",
            ),
            (
                502,
                String::new(),
                Class::Server,
                "The provider answered with status 502",
            ),
            (
                401,
                r#"[{"error":{"message":"no key"}}]"#.into(),
                Class::Authentication,
                "no key",
            ),
            (404, r#""gone""#.into(), Class::NotFound, "gone"),
            (429, r#"{"error":"slow down"}"#.into(), Class::RateLimited, "slow down"),
            (
                422,
                r#"{"detail":[{"msg":"x"}]}"#.into(),
                Class::Unprocessable,
                r#"{"detail""#,
            ),
            (
                400,
                r#"{"error":{"message":"m","code":"context_length_exceeded","param":"p"}}"#.into(),
                Class::ContextTooLong,
                "m",
            ),
            (
                500,
                "upstream connect error".into(),
                Class::Server,
                "upstream connect error",
            ),
        ];
        for (status, body, class, message) in cases {
            let error = read(status, body.as_bytes());
            assert_eq!(error.class, class, "{body}");
            assert!(error.message.starts_with(message), "{body}: {}", error.message);
        }
    }

    proptest! {
        #[test]
        fn reading_is_total(status in 100..600u16, body in prop::collection::vec(any::<u8>(), 0..80), text in r#"[\[\]{}":, a-z]{0,40}"#) {
            prop_assert!(!read(status, &body).message.is_empty());
            prop_assert!(!read(status, text.as_bytes()).message.is_empty());
        }
    }
}
