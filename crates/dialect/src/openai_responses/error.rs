//! Errors, in both directions: as an HTTP body, and as the error of a failed response.

use crate::delay::{seconds_in, seconds_of};
use crate::ir::{Class, Error};
use crate::tree::{Node, Value};
use crate::writer;

/// The longest piece of a body that is told as a message.
const MAX_MESSAGE: usize = 1000;

/// An error as an HTTP status and the body that all of OpenAI's API shares.
pub(super) fn write(error: &Error) -> (u16, Vec<u8>) {
    let status = match error.class {
        // OpenAI says "too many requests" when the credit is used up.
        Class::Billing => 429,
        class => class.status(),
    };
    let (kind, code) = kind_and_code(error.class);
    let code = match error.class {
        // Clients act on exactly these.
        Class::ContextTooLong | Class::Billing => code,
        _ => error.code.as_deref().or(code),
    };
    let mut body = Vec::new();
    writer::object(&mut body, |it| {
        it.object("error", |it| {
            it.text("message", &error.message);
            it.text("type", kind);
            it.text_or_null("param", error.param.as_deref());
            it.text_or_null("code", code);
        });
    });
    (status, body)
}

/// The `type` and the usual `code` of a class.
fn kind_and_code(class: Class) -> (&'static str, Option<&'static str>) {
    match class {
        Class::BadRequest | Class::Conflict | Class::TooLarge | Class::Unprocessable => ("invalid_request_error", None),
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

/// The `code` of a failed response: the words that Codex switches on.
pub(super) fn failure_code(class: Class) -> &'static str {
    match class {
        Class::ContextTooLong => "context_length_exceeded",
        Class::Billing => "insufficient_quota",
        Class::RateLimited => "rate_limit_exceeded",
        Class::Overloaded => "server_is_overloaded",
        Class::BadRequest | Class::TooLarge | Class::Unprocessable | Class::Conflict | Class::NotFound => {
            "invalid_prompt"
        }
        Class::Authentication | Class::Forbidden | Class::Server | Class::Timeout => "server_error",
    }
}

/// The message of a failed response. Codex reads from it when to try again.
pub(super) fn failure_message(error: &Error) -> String {
    match error.retry_after {
        Some(seconds) if error.class == Class::RateLimited && seconds_in(&error.message).is_none() => {
            format!("{} Please try again in {seconds}s.", error.message)
        }
        _ => error.message.clone(),
    }
}

/// Reads the body of an error. Total: whatever it is, there is an error to tell.
pub(super) fn read(status: u16, body: &[u8]) -> Error {
    let fallback = Class::of_status(status);
    let Ok(root) = Node::parse(body) else {
        return Error::new(fallback, message_of_text(status, body));
    };
    let root = root.items().first().unwrap_or(&root);
    let mut error = read_node(root, fallback);
    if error.message.is_empty() {
        error.message = format!("The provider answered with status {status}.");
    }
    error
}

/// Reads an error object, nested in an `error` member or flat. The message may be empty.
pub(super) fn read_node(root: &Node<'_>, fallback: Class) -> Error {
    let node = match root.get("error") {
        inner if inner.is_object() || inner.is_text() => inner,
        _ => root,
    };
    let message = match node.value() {
        Value::Text(text) => text.to_string(),
        _ => message_in(node).or_else(|| message_in(root)).unwrap_or_default(),
    };
    let code = node
        .get("code")
        .string()
        .or_else(|| node.get("code").i64().map(|code| code.to_string()));
    let kind = node.get("type").text().filter(|kind| *kind != "error");
    Error {
        class: class_of(code.as_deref(), kind, &message, fallback),
        retry_after: seconds_of(node, &message),
        message,
        param: node.get("param").string(),
        code: code.or_else(|| kind.map(str::to_owned)),
    }
}

fn message_in(node: &Node<'_>) -> Option<String> {
    let named = node.any(&["message", "detail", "error_description", "msg", "error"]);
    match named.value() {
        Value::Null => None,
        Value::Text(text) => Some(text.to_string()),
        _ => Some(named.raw().chars().take(MAX_MESSAGE).collect()),
    }
}

fn message_of_text(status: u16, body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(4 * MAX_MESSAGE)]);
    let text = text.trim();
    // A page is made for a browser.
    if text.is_empty() || text.starts_with('<') {
        return format!("The provider answered with status {status}.");
    }
    text.chars().take(MAX_MESSAGE).collect()
}

fn class_of(code: Option<&str>, kind: Option<&str>, message: &str, fallback: Class) -> Class {
    let known = [code, kind].into_iter().flatten().find_map(class_of_word);
    match known.unwrap_or(fallback) {
        Class::BadRequest | Class::TooLarge if is_about_context(message) => Class::ContextTooLong,
        class => class,
    }
}

fn class_of_word(word: &str) -> Option<Class> {
    Some(match word {
        "context_length_exceeded" | "context_too_long" | "string_above_max_length" => Class::ContextTooLong,
        "insufficient_quota" | "billing_hard_limit_reached" | "billing_not_active" | "usage_not_included" => {
            Class::Billing
        }
        "invalid_api_key" | "authentication_error" => Class::Authentication,
        "permission_error" | "permission_denied" | "unsupported_country_region_territory" => Class::Forbidden,
        "model_not_found" | "not_found" | "not_found_error" => Class::NotFound,
        "rate_limit_exceeded" | "rate_limit_error" | "tokens" | "requests" => Class::RateLimited,
        "server_is_overloaded" | "slow_down" | "overloaded" | "overloaded_error" => Class::Overloaded,
        "server_error" | "internal_error" | "vector_store_timeout" => Class::Server,
        "timeout" => Class::Timeout,
        "invalid_prompt" => Class::BadRequest,
        word if word.starts_with("invalid_image") || word.starts_with("image_") => Class::BadRequest,
        _ => return None,
    })
}

fn is_about_context(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    [
        "context length",
        "context window",
        "context_length",
        "maximum context",
        "prompt is too long",
    ]
    .iter()
    .any(|phrase| message.contains(phrase))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn errors_are_recognised_whatever_they_look_like() {
        let cases: [(u16, &str, Class, &str); 12] = [
            (
                400,
                r#"{"error":{"message":"too big","type":"invalid_request_error","param":"input","code":"context_length_exceeded"}}"#,
                Class::ContextTooLong,
                "too big",
            ),
            (
                400,
                r#"{"error":{"message":"This model's maximum context length is 8 tokens","code":null}}"#,
                Class::ContextTooLong,
                "This model's maximum context length is 8 tokens",
            ),
            (
                429,
                r#"{"error":{"message":"pay","type":"insufficient_quota","code":"insufficient_quota"}}"#,
                Class::Billing,
                "pay",
            ),
            (
                429,
                r#"{"error":{"message":"Please try again in 1.5s.","code":"rate_limit_exceeded"}}"#,
                Class::RateLimited,
                "Please try again in 1.5s.",
            ),
            (
                503,
                r#"{"error":{"message":"busy","code":"slow_down"}}"#,
                Class::Overloaded,
                "busy",
            ),
            (404, r#"{"detail":"Not Found"}"#, Class::NotFound, "Not Found"),
            (
                422,
                r#"{"detail":[{"msg":"bad"}]}"#,
                Class::Unprocessable,
                r#"[{"msg":"bad"}]"#,
            ),
            (
                400,
                r#"[{"error":{"message":"in a list"}}]"#,
                Class::BadRequest,
                "in a list",
            ),
            (500, r#"{"error":"plain"}"#, Class::Server, "plain"),
            (
                502,
                "<html>Bad gateway</html>",
                Class::Server,
                "The provider answered with status 502.",
            ),
            (401, "", Class::Authentication, "The provider answered with status 401."),
            (403, r#""no""#, Class::Forbidden, "no"),
        ];
        for (status, body, class, message) in cases {
            let error = read(status, body.as_bytes());
            assert_eq!((error.class, error.message.as_str()), (class, message), "{body}");
        }
        assert_eq!(read(429, br#"{"message":"try again in 1m2s"}"#).retry_after, Some(62.0));
    }

    #[test]
    fn every_class_has_a_body() {
        let cases = [
            (Class::Billing, 429, "insufficient_quota", Some("insufficient_quota")),
            (
                Class::ContextTooLong,
                400,
                "invalid_request_error",
                Some("context_length_exceeded"),
            ),
            (Class::RateLimited, 429, "rate_limit_error", Some("rate_limit_exceeded")),
            (Class::Overloaded, 503, "server_error", Some("overloaded")),
            (Class::Server, 502, "server_error", None),
        ];
        for (class, status, kind, code) in cases {
            let (written, body) = write(&Error::new(class, "m"));
            let code = code.map_or("null".to_owned(), |code| format!("{code:?}"));
            assert_eq!(written, status);
            assert_eq!(
                String::from_utf8(body).unwrap(),
                format!(r#"{{"error":{{"message":"m","type":"{kind}","param":null,"code":{code}}}}}"#)
            );
        }
        for class in Class::ALL {
            let (status, body) = write(&Error::new(class, "m"));
            let same = matches!(
                class,
                Class::Unprocessable | Class::Conflict | Class::TooLarge | Class::Forbidden
            );
            assert!(read(status, &body).class == class || same, "{class:?}");
            assert!(!failure_code(class).is_empty());
        }
    }

    #[test]
    fn a_rate_limit_says_when_to_try_again() {
        let mut error = Error::new(Class::RateLimited, "Slow down.");
        error.retry_after = Some(2.0);
        assert_eq!(failure_message(&error), "Slow down. Please try again in 2s.");
        error.message = "Please try again in 1.5s".into();
        assert_eq!(failure_message(&error), "Please try again in 1.5s");
    }

    proptest! {
        #[test]
        fn reading_is_total(status: u16, body in prop_oneof![prop::collection::vec(any::<u8>(), 0..60), r#"\{"(error|message|code)":("try again in [0-9.]{0,4} ?(s|ms|é|m1s)?"|\[\]|\{\}|1|null)\}"#.prop_map(String::into_bytes)]) {
            let error = read(status, &body);
            prop_assert!(!error.message.is_empty());
        }
    }
}
