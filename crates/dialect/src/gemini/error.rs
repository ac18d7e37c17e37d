//! Errors, in both directions: `google.rpc.Status` in JSON.

use super::spelling::{integer, member};
use crate::delay::seconds_of;
use crate::ir::{Class, Error};
use crate::tree::Node;
use crate::writer::{self, Object};

/// The longest text of a body that is no JSON which is shown.
const MAX_SHOWN: usize = 500;

/// Reads an error of a provider, whatever its body is.
pub(super) fn read_error(status: u16, body: &[u8]) -> Error {
    match Node::parse(body) {
        Ok(node) => read_error_node(status, &node),
        Err(_) => Error::new(Class::of_status(status), shown(status, &String::from_utf8_lossy(body))),
    }
}

/// Reads an error that was parsed already. Streams carry its status inside; `status` is that of the reply.
pub(super) fn read_error_node(status: u16, node: &Node<'_>) -> Error {
    // Some endpoints wrap the error in an array.
    let node = node.items().first().unwrap_or(node);
    let error = match member(node, "error") {
        absent if absent.is_null() => node,
        error => error,
    };
    let code = integer(member(error, "code")).and_then(|code| u16::try_from(code).ok());
    let status = if status >= 400 { status } else { code.unwrap_or(500) };
    let message = match error.text().or_else(|| member(error, "message").text()) {
        Some(message) if !message.is_empty() => message.to_owned(),
        _ => shown(status, node.raw()),
    };
    let word = member(error, "status").text();
    let details = Details::of(member(error, "details"));
    Error {
        class: class(status, word, &message, details.reason.as_deref()),
        code: details.reason.or_else(|| word.map(str::to_owned)),
        param: details.field,
        retry_after: seconds_of(error, &message),
        message,
    }
}

fn shown(status: u16, body: &str) -> String {
    let body = body.trim();
    if body.is_empty() || body == "null" || body == "{}" || body.starts_with('<') {
        return format!("The provider answered with status {status}.");
    }
    let shown: String = body.chars().take(MAX_SHOWN).collect();
    format!("The provider answered with status {status}: {shown}")
}

#[derive(Default)]
struct Details {
    reason: Option<String>,
    field: Option<String>,
}

impl Details {
    fn of(node: &Node<'_>) -> Self {
        let mut details = Self::default();
        for detail in node.items() {
            let kind = detail.get("@type").text_or_empty();
            if kind.ends_with("ErrorInfo") {
                details.reason = member(detail, "reason").string();
            } else if kind.ends_with("BadRequest") {
                let violation = member(detail, "fieldViolations").items().first();
                details.field = violation.and_then(|violation| member(violation, "field").string());
            }
        }
        details
    }
}

fn class(status: u16, word: Option<&str>, message: &str, reason: Option<&str>) -> Class {
    let says = |phrase: &str| message.to_ascii_lowercase().contains(phrase);
    match reason {
        Some("API_KEY_INVALID") => return Class::Authentication,
        Some("BILLING_DISABLED") => return Class::Billing,
        _ => {}
    }
    let by_word = match word.unwrap_or_default() {
        "INVALID_ARGUMENT" | "FAILED_PRECONDITION" | "OUT_OF_RANGE" => Class::BadRequest,
        "UNAUTHENTICATED" => Class::Authentication,
        "PERMISSION_DENIED" => Class::Forbidden,
        "NOT_FOUND" => Class::NotFound,
        "ALREADY_EXISTS" | "ABORTED" => Class::Conflict,
        "RESOURCE_EXHAUSTED" => Class::RateLimited,
        "UNAVAILABLE" => Class::Overloaded,
        "DEADLINE_EXCEEDED" => Class::Timeout,
        "INTERNAL" | "UNKNOWN" | "DATA_LOSS" => Class::Server,
        _ => Class::of_status(status),
    };
    match by_word {
        Class::BadRequest if status == 413 => Class::TooLarge,
        // A wrong key is a bad request to Google.
        Class::BadRequest if says("api key not valid") || says("api key expired") => Class::Authentication,
        Class::BadRequest if is_too_long(&says) => Class::ContextTooLong,
        Class::BadRequest if word == Some("FAILED_PRECONDITION") && says("billing") => Class::Billing,
        // "You exceeded your current quota, please check your plan and billing details" is said of every rate limit.
        Class::RateLimited if says("credits are depleted") => Class::Billing,
        class => class,
    }
}

fn is_too_long(says: &impl Fn(&str) -> bool) -> bool {
    says("exceeds the maximum number of tokens")
        || (says("input token count") && says("exceed"))
        || says("input context is too long")
}

/// Writes an error for a client: its HTTP status and its body.
pub(super) fn write_error(error: &Error, request_id: &str) -> (u16, Vec<u8>) {
    let mut body = Vec::new();
    writer::object(&mut body, |it| write_error_member(it, error, Some(request_id)));
    (status(error.class).0, body)
}

/// Writes the member `error`. In a stream it must be the first one of its chunk: Google's SDK overlooks it elsewhere.
pub(super) fn write_error_member(it: &mut Object<'_>, error: &Error, request_id: Option<&str>) {
    let (code, word) = status(error.class);
    it.object("error", |it| {
        it.number("code", code);
        it.text("message", &error.message);
        it.text("status", word);
        if request_id.is_none() && error.retry_after.is_none() {
            return;
        }
        it.array("details", |it| {
            if let Some(delay) = error.retry_after {
                it.object(|it| {
                    it.text("@type", "type.googleapis.com/google.rpc.RetryInfo");
                    it.text("retryDelay", &duration(delay));
                });
            }
            if let Some(request_id) = request_id {
                it.object(|it| {
                    it.text("@type", "type.googleapis.com/google.rpc.RequestInfo");
                    it.text("requestId", request_id);
                });
            }
        });
    });
}

fn duration(seconds: f64) -> String {
    if seconds.fract() == 0.0 {
        format!("{seconds:.0}s")
    } else {
        format!("{seconds:.3}s")
    }
}

fn status(class: Class) -> (u16, &'static str) {
    match class {
        Class::BadRequest | Class::ContextTooLong | Class::Unprocessable => (400, "INVALID_ARGUMENT"),
        Class::Authentication => (401, "UNAUTHENTICATED"),
        Class::Billing | Class::RateLimited => (429, "RESOURCE_EXHAUSTED"),
        Class::Forbidden => (403, "PERMISSION_DENIED"),
        Class::NotFound => (404, "NOT_FOUND"),
        Class::Conflict => (409, "ABORTED"),
        Class::TooLarge => (413, "INVALID_ARGUMENT"),
        Class::Overloaded => (503, "UNAVAILABLE"),
        Class::Server => (500, "INTERNAL"),
        Class::Timeout => (504, "DEADLINE_EXCEEDED"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn errors_of_all_forms_are_read() {
        let cases: [(u16, &str, Class); 17] = [
            (
                400,
                r#"{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID"}]}}"#,
                Class::Authentication,
            ),
            (
                400,
                r#"{"error":{"code":400,"message":"API key expired. Please renew the API key.","status":"INVALID_ARGUMENT"}}"#,
                Class::Authentication,
            ),
            (
                400,
                r#"[{"error":{"code":400,"message":"The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).","status":"INVALID_ARGUMENT"}}]"#,
                Class::ContextTooLong,
            ),
            (
                400,
                r#"{"error":{"code":400,"message":"Please enable billing","status":"FAILED_PRECONDITION"}}"#,
                Class::Billing,
            ),
            (
                400,
                r#"{"error":{"code":400,"message":"x","status":"INVALID_ARGUMENT"}}"#,
                Class::BadRequest,
            ),
            (401, r#"{"error":{"status":"UNAUTHENTICATED"}}"#, Class::Authentication),
            (
                403,
                r#"{"error":{"status":"PERMISSION_DENIED","message":"no"}}"#,
                Class::Forbidden,
            ),
            (
                404,
                r#"{"error":{"status":"NOT_FOUND","message":"models/x is not found"}}"#,
                Class::NotFound,
            ),
            (413, r#"{"error":{"status":"INVALID_ARGUMENT"}}"#, Class::TooLarge),
            (
                429,
                r#"{"error":{"status":"RESOURCE_EXHAUSTED","message":"You exceeded your current quota, please check your plan and billing details."}}"#,
                Class::RateLimited,
            ),
            (
                429,
                r#"{"error":{"status":"RESOURCE_EXHAUSTED","message":"Your prepayment credits are depleted."}}"#,
                Class::Billing,
            ),
            (500, r#"{"error":{"status":"INTERNAL","message":"x"}}"#, Class::Server),
            (
                503,
                r#"{"error":{"code":503,"status":"UNAVAILABLE","message":"The model is overloaded."}}"#,
                Class::Overloaded,
            ),
            (504, r#"{"error":{"status":"DEADLINE_EXCEEDED"}}"#, Class::Timeout),
            (502, "<html>Bad gateway</html>", Class::Server),
            (404, "", Class::NotFound),
            (200, r#"{"error":{"code":429,"message":"x"}}"#, Class::RateLimited),
        ];
        for (status, body, class) in cases {
            let error = read_error(status, body.as_bytes());
            assert_eq!(error.class, class, "{body}");
            assert!(!error.message.is_empty() && !error.message.contains('<'));
        }
        assert_eq!(read_error(500, br#""plain""#).message, "plain");
        assert_eq!(read_error(500, br#"{"error":"words"}"#).message, "words");
    }

    #[test]
    fn the_delay_and_the_field_are_read() {
        let body = br#"{"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED","details":[
            {"@type":"type.googleapis.com/google.rpc.BadRequest","fieldViolations":[{"field":"contents[0]"}]},
            {"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"34.074824224s"}]}}"#;
        let error = read_error(429, body);
        assert_eq!(error.retry_after, Some(34.074_824_224));
        assert_eq!(error.param.as_deref(), Some("contents[0]"));
        assert_eq!(error.code.as_deref(), Some("RESOURCE_EXHAUSTED"));
    }

    #[test]
    fn an_error_is_written_as_google_does() {
        let error = Error {
            retry_after: Some(2.5),
            ..Error::new(Class::RateLimited, "slow \"down\"")
        };
        let (status, body) = write_error(&error, "req_1");
        assert_eq!(status, 429);
        assert_eq!(
            String::from_utf8(body.clone()).unwrap(),
            r#"{"error":{"code":429,"message":"slow \"down\"","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"2.500s"},{"@type":"type.googleapis.com/google.rpc.RequestInfo","requestId":"req_1"}]}}"#
        );
        let again = read_error(status, &body);
        assert_eq!((again.class, again.retry_after), (Class::RateLimited, Some(2.5)));
    }

    #[test]
    fn every_class_has_a_status() {
        for class in Class::ALL {
            let (status, body) = write_error(&Error::new(class, "m"), "r");
            assert!((400..600).contains(&status));
            assert!(Node::parse(&body).is_ok());
        }
    }

    proptest! {
        #[test]
        fn any_body_is_an_error(status: u16, body in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = read_error(status, &body);
        }
    }
}
