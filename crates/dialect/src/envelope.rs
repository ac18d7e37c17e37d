//! Answers in an envelope: gateways that put a provider's whole answer into a member of an object of their own, such as
//! `{"response": {…}, "key": "…"}`.

use std::ops::Range;

use crate::json::{JsonFault, Scanner};
use crate::whole::is_of_answers;

/// Where the answer lies in a body; `None` for a body that is no envelope: the member is missing or no object, or the body
/// has members of an answer itself.
pub fn inside(body: &[u8], member: &str) -> Option<Range<usize>> {
    find(body, member).ok().flatten()
}

fn find(body: &[u8], member: &str) -> Result<Option<Range<usize>>, JsonFault> {
    let mut scanner = Scanner::new(body);
    let mut found = None;
    scanner.open_object()?;
    let mut first = true;
    while let Some(key) = scanner.next_key(first)? {
        first = false;
        let key = body.get(key).unwrap_or_default();
        let value = scanner.value()?;
        let text = body.get(value.clone()).unwrap_or_default();
        if is_of_answers(key) && text != b"null" {
            return Ok(None);
        }
        // A key is in quotes.
        let name = key.get(1..key.len().saturating_sub(1)).unwrap_or_default();
        if name == member.as_bytes() {
            found = text.starts_with(b"{").then_some(value);
        }
    }
    scanner.end()?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn opened(body: &str) -> Option<&str> {
        inside(body.as_bytes(), "response").map(|range| &body[range])
    }

    #[test]
    fn what_is_in_an_envelope_is_found() {
        for (body, expected) in [
            (r#"{"response": {"choices":[]}, "key":"k"}"#, Some(r#"{"choices":[]}"#)),
            (
                r#" {"a":{"response":{}},"response":{"error":{}}} "#,
                Some(r#"{"error":{}}"#),
            ),
            (r#"{"response":{},"choices":null}"#, Some("{}")),
            (r#"{"response":{},"choices":[]}"#, None),
            (r#"{"content":[],"response":{}}"#, None),
            (r#"{"response":"text"}"#, None),
            (r#"{"response":null}"#, None),
            (r#"{"choices":[]}"#, None),
            (r#"[{"response":{}}]"#, None),
            (r#"{"response":{}"#, None),
            ("", None),
        ] {
            assert_eq!(opened(body), expected, "{body}");
        }
    }

    proptest! {
        #[test]
        fn every_body_is_looked_at(body in prop::collection::vec(any::<u8>(), 0..60)) {
            inside(&body, "response");
        }

        #[test]
        fn an_envelope_opens_to_what_was_put_in(key in "[a-z]{1,8}", text in "\\PC{0,20}") {
            let answer = serde_json::json!({ "choices": [{ "text": text }] }).to_string();
            let body = format!("{{\"{key}_\":1,\"response\" : {answer}}}");
            prop_assert_eq!(opened(&body), Some(answer.as_str()));
        }
    }
}
