//! Reads errors, as OpenAI and the servers that imitate it tell them.

use crate::delay::{seconds_in, seconds_of};
use crate::ir::{Class, Error};
use crate::tree::Node;

/// An error message that a provider sends as plain text is cut after so many characters.
const MAX_PLAIN: usize = 500;

/// Reads the body of an error answer, whatever it is.
pub(super) fn read(status: u16, body: &[u8]) -> Error {
    let Ok(node) = Node::parse(body) else {
        return plain(status, &String::from_utf8_lossy(body));
    };
    // Google's imitation puts the object into an array.
    let node = node.items().first().unwrap_or(&node);
    let stated = node.get("error");
    read_object(status, if stated.is_null() { node } else { stated })
}

/// Reads an error that came inside an answer whose status was 200.
pub(super) fn read_within(node: &Node<'_>) -> Error {
    read_object(0, node)
}

fn read_object(status: u16, node: &Node<'_>) -> Error {
    if let Some(text) = node.text() {
        return plain(status, text);
    }
    let code = node.get("code");
    let status = match status {
        // The code of an error in a stream is often the status that it would have had.
        0..400 => [code, node.get("status"), node.get("status_code")]
            .iter()
            .find_map(|number| number.u64())
            .and_then(|number| u16::try_from(number).ok())
            .filter(|number| (400..600).contains(number))
            .unwrap_or(500),
        _ => status,
    };
    let message = message_of(node).unwrap_or_else(|| unexplained(status));
    let code = code.string().filter(|code| !code.is_empty());
    let kind = node.any(&["type", "status"]).text_or_empty();
    Error {
        class: classify(status, kind, code.as_deref().unwrap_or_default(), &message, node),
        retry_after: seconds_of(node, &message),
        code,
        param: node.get("param").string(),
        message,
    }
}

/// The message, wherever it is: `detail` is FastAPI's, as a string or as a list of objects.
fn message_of(node: &Node<'_>) -> Option<String> {
    let detail = node.any(&["message", "detail", "error_description", "msg", "title"]);
    let text = match detail.items().first() {
        Some(first) => first.any(&["msg", "message"]).text().or(first.text()),
        None => detail.text().or(detail.get("message").text()),
    };
    text.map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
}

fn unexplained(status: u16) -> String {
    format!("The provider answered with status {status} and did not say why.")
}

/// An error that is a text, or a page.
fn plain(status: u16, text: &str) -> Error {
    let text = text.trim();
    let message = if text.is_empty() || text.starts_with('<') {
        unexplained(if status == 0 { 500 } else { status })
    } else {
        text.chars().take(MAX_PLAIN).collect()
    };
    let class = classify(status, "", "", &message, &Node::default());
    Error {
        retry_after: seconds_in(&message),
        ..Error::new(class, message)
    }
}

fn classify(status: u16, kind: &str, code: &str, message: &str, node: &Node<'_>) -> Class {
    let message = message.to_lowercase();
    let says = |phrases: &[&str]| phrases.iter().any(|phrase| message.contains(phrase));
    let named = |names: &[&str]| {
        names
            .iter()
            .any(|name| kind.eq_ignore_ascii_case(name) || code.eq_ignore_ascii_case(name))
    };
    let by_status = if status < 400 {
        Class::Server
    } else {
        Class::of_status(status)
    };
    let callers_fault = matches!(by_status, Class::BadRequest | Class::TooLarge | Class::Unprocessable);
    if named(&["context_length_exceeded"]) || ((callers_fault || status < 400) && says(TOO_LONG)) {
        return Class::ContextTooLong;
    }
    if named(&[
        "insufficient_quota",
        "billing_not_active",
        "insufficient_balance",
        "billing_error",
    ]) || says(UNPAID)
    {
        return Class::Billing;
    }
    let reason = |item: &Node<'_>| item.get("reason").text() == Some("API_KEY_INVALID");
    if named(&["invalid_api_key", "authentication_error"]) || node.get("details").items().iter().any(reason) {
        return Class::Authentication;
    }
    if named(&["model_not_found", "not_found_error"]) {
        return Class::NotFound;
    }
    if matches!(by_status, Class::RateLimited | Class::Overloaded | Class::Timeout) {
        return by_status;
    }
    if named(&[
        "rate_limit_exceeded",
        "rate_limit_error",
        "requests",
        "tokens",
        "RESOURCE_EXHAUSTED",
    ]) {
        return Class::RateLimited;
    }
    if named(&["overloaded", "overloaded_error", "server_is_overloaded", "slow_down"]) {
        return Class::Overloaded;
    }
    if status < 500 || !named(&["invalid_request_error"]) {
        return by_status;
    }
    // An error in a stream has no status.
    Class::BadRequest
}

const TOO_LONG: &[&str] = &[
    "context length",
    "context window",
    "context_length",
    "maximum context",
    "prompt is too long",
    "input is too long",
    "input token count",
    "exceeds the maximum number of tokens",
    "reduce the length of the messages",
    "too many input tokens",
    "longer than the model's",
    "exceeds the available context",
];

const UNPAID: &[&str] = &[
    "exceeded your current quota",
    "insufficient balance",
    "insufficient credit",
    "insufficient_quota",
    "insufficient funds",
    "credit balance is too low",
    "requires more credits",
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn errors_are_classified() {
        let cases: [(u16, &str, Class); 22] = [
            (
                400,
                r#"{"error":{"message":"bad","type":"invalid_request_error","param":"n","code":null}}"#,
                Class::BadRequest,
            ),
            (
                400,
                r#"{"error":{"message":"This model's maximum context length is 8192 tokens.","code":"context_length_exceeded"}}"#,
                Class::ContextTooLong,
            ),
            (
                400,
                r#"{"object":"error","message":"This model's maximum context length is 4096 tokens"}"#,
                Class::ContextTooLong,
            ),
            (
                400,
                r#"[{"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT","details":[{"reason":"API_KEY_INVALID"}]}}]"#,
                Class::Authentication,
            ),
            (401, r#"{"error":"Unauthorized"}"#, Class::Authentication),
            (402, r#"{"error":{"message":"Insufficient Balance"}}"#, Class::Billing),
            (404, r#"{"detail":"Not Found"}"#, Class::NotFound),
            (
                404,
                r#"{"error":{"message":"no","code":"model_not_found"}}"#,
                Class::NotFound,
            ),
            (
                422,
                r#"{"detail":[{"loc":["body","n"],"msg":"extra fields not permitted"}]}"#,
                Class::Unprocessable,
            ),
            (
                429,
                r#"{"error":{"message":"Rate limit reached","type":"tokens","code":"rate_limit_exceeded"}}"#,
                Class::RateLimited,
            ),
            (
                429,
                r#"{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","code":"insufficient_quota"}}"#,
                Class::Billing,
            ),
            (500, "<html><body>oops</body></html>", Class::Server),
            (502, "", Class::Server),
            (503, r#"{"error":{"message":"busy"}}"#, Class::Overloaded),
            (529, "null", Class::Overloaded),
            (0, r#"{"error":{"message":"x","code":429}}"#, Class::RateLimited),
            (
                0,
                r#"{"error":{"message":"x","code":"rate_limit_exceeded"}}"#,
                Class::RateLimited,
            ),
            (
                0,
                r#"{"error":{"message":"x","type":"overloaded_error"}}"#,
                Class::Overloaded,
            ),
            (
                0,
                r#"{"error":{"message":"x","type":"invalid_request_error"}}"#,
                Class::BadRequest,
            ),
            (0, r#"{"error":"the prompt is too long"}"#, Class::ContextTooLong),
            (500, "[]", Class::Server),
            (500, "42", Class::Server),
        ];
        for (status, body, class) in cases {
            let error = read(status, body.as_bytes());
            assert_eq!(error.class, class, "{status} {body}");
            assert!(
                !error.message.is_empty() && !error.message.contains('<'),
                "{}",
                error.message
            );
        }
    }

    proptest! {
        #[test]
        fn reading_never_panics(status in 0u16..700, body in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = read(status, &body);
        }
    }
}
