//! Errors: `{"id": …, "message": …}`, whatever the status.

use crate::delay::seconds_in;
use crate::ir::{Class, Error};
use crate::tree::Node;

/// Longer bodies that are not JSON are not repeated.
const LONGEST_TEXT: usize = 500;

/// Words of a prompt that does not fit.
const TOO_LONG: [&str; 4] = [
    "too many tokens",
    "context length",
    "context window",
    "prompt is too long",
];

/// Words of an account that has nothing left, as opposed to one that is too fast.
const EXHAUSTED: [&str; 4] = ["/ month", "per month", "monthly", "billing"];

/// Reads an error, whatever the body is.
pub(super) fn read(status: u16, body: &[u8]) -> Error {
    let message = said(body).unwrap_or_else(|| format!("The provider answered with status {status}."));
    let lower = message.to_ascii_lowercase();
    let mut error = Error::new(Class::of_status(status), message);
    match error.class {
        Class::BadRequest | Class::Unprocessable | Class::TooLarge | Class::Server if contains(&lower, &TOO_LONG) => {
            error.class = Class::ContextTooLong;
            error.code = Some("context_length_exceeded".to_owned());
        }
        // A trial key is limited by the month too; waiting a few seconds does not help there.
        Class::RateLimited if contains(&lower, &EXHAUSTED) => {
            error.class = Class::Billing;
            error.code = Some("insufficient_quota".to_owned());
        }
        Class::RateLimited => error.retry_after = seconds_in(&lower),
        Class::NotFound if lower.contains("model") => error.code = Some("model_not_found".to_owned()),
        _ => {}
    }
    error
}

/// The provider's own words.
fn said(body: &[u8]) -> Option<String> {
    let Ok(node) = Node::parse(body) else {
        let text = std::str::from_utf8(body).ok()?.trim();
        let is_plain = !text.is_empty() && !text.starts_with(['<', '{', '[']) && text.len() <= LONGEST_TEXT;
        return is_plain.then(|| text.to_owned());
    };
    let error = node.get("error");
    [
        node.get("message"),
        error.get("message"),
        error,
        node.get("detail"),
        &node,
    ]
    .into_iter()
    .find_map(|node| node.text().filter(|text| !text.trim().is_empty()))
    .map(str::to_owned)
}

fn contains(text: &str, words: &[&str]) -> bool {
    words.iter().any(|word| text.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn golden(name: &str) -> Vec<u8> {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/errors/cohere");
        std::fs::read(folder.join(name)).unwrap()
    }

    #[test]
    fn errors_are_understood() {
        for (status, file, class, code) in [
            (400, "400-bad-request.json", Class::BadRequest, None),
            (
                400,
                "400-too-many-tokens.json",
                Class::ContextTooLong,
                Some("context_length_exceeded"),
            ),
            (401, "401-no-token.json", Class::Authentication, None),
            (404, "404-no-model.json", Class::NotFound, Some("model_not_found")),
            (429, "429-per-minute.json", Class::RateLimited, None),
            (429, "429-per-month.json", Class::Billing, Some("insufficient_quota")),
            (498, "498-invalid-token.json", Class::Authentication, None),
            (499, "499-cancelled.json", Class::Server, None),
            (503, "503-page.json", Class::Overloaded, None),
        ] {
            let error = read(status, &golden(file));
            assert_eq!((error.class, error.code.as_deref()), (class, code), "{file}");
            assert!(
                !error.message.is_empty() && !error.message.contains('<'),
                "{file}: {}",
                error.message
            );
        }
    }

    #[test]
    fn words_are_found_wherever_they_are() {
        let message = |body: &str| read(500, body.as_bytes()).message;
        assert_eq!(message(r#"{"id":"1","message":"m"}"#), "m");
        assert_eq!(message(r#"{"error":{"message":"m"}}"#), "m");
        assert_eq!(message(r#"{"error":"m"}"#), "m");
        assert_eq!(message(r#""m""#), "m");
        assert_eq!(message("upstream gone"), "upstream gone");
        for nothing in ["", "[]", "{}", "<html>", r#"{"message":"  "}"#, r#"{"message":["a"]}"#] {
            assert_eq!(message(nothing), "The provider answered with status 500.", "{nothing}");
        }
    }

    proptest! {
        #[test]
        fn every_body_is_an_error(status: u16, body in prop::collection::vec(any::<u8>(), 0..60), text in ".{0,60}") {
            let _ = read(status, &body);
            prop_assert!(!read(status, text.as_bytes()).message.is_empty());
        }
    }
}
