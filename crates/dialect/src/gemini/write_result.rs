//! What a tool answered, as a `functionResponse`.

use super::write_media::Blob;
use crate::ir::{Content, Part};
use crate::raw::Raw;
use crate::tree::Node;
use crate::writer;

/// What stands in the answer when all of it is told elsewhere.
const ELSEWHERE: &str = "The result follows.";

/// The `response` of a result, which must be an object: the text itself when it is one, else the text under `output`, or
/// under `error` when the tool failed.
pub(super) fn response(content: &[Part], is_error: bool, hoisted: bool) -> Raw {
    let text = text_of(content);
    let own = Some(text.trim_start()).filter(|text| text.starts_with('{'));
    let node = own.and_then(|text| Node::parse_text(text).ok());
    match node.filter(Node::is_object) {
        Some(node) if !is_error || !node.get("error").is_null() => node.to_raw(),
        _ if is_error => writer::raw_object(|it| it.text("error", &text)),
        _ if text.is_empty() && hoisted => writer::raw_object(|it| it.text("output", ELSEWHERE)),
        _ => writer::raw_object(|it| it.text("output", &text)),
    }
}

fn text_of(content: &[Part]) -> String {
    let texts = content.iter().filter_map(|part| match &part.content {
        Content::Text { text, .. } | Content::Refusal { text } => Some(text.as_str()),
        _ => None,
    });
    texts.collect::<Vec<_>>().join("\n")
}

/// The media of a result.
pub(super) fn media(content: &[Part]) -> impl Iterator<Item = (&Part, Blob<'_>)> {
    content
        .iter()
        .filter_map(|part| Blob::of(&part.content).map(|blob| (part, blob)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_an_object() {
        let cases = [
            (r#" {"a":1.10} "#, false, r#"{"a":1.10}"#),
            ("plain", false, r#"{"output":"plain"}"#),
            ("[1]", false, r#"{"output":"[1]"}"#),
            ("{broken", false, r#"{"output":"{broken"}"#),
            ("", false, r#"{"output":""}"#),
            ("bad", true, r#"{"error":"bad"}"#),
            (r#"{"a":1}"#, true, r#"{"error":"{\"a\":1}"}"#),
            (r#"{"error":{"code":5}}"#, true, r#"{"error":{"code":5}}"#),
        ];
        for (text, is_error, expected) in cases {
            assert_eq!(
                response(&[Part::text(text)], is_error, false).as_str(),
                expected,
                "{text}"
            );
        }
        assert_eq!(
            response(&[], false, true).as_str(),
            r#"{"output":"The result follows."}"#
        );
        assert_eq!(
            response(&[Part::text("a"), Part::text("b")], false, false).as_str(),
            r#"{"output":"a\nb"}"#
        );
    }
}
