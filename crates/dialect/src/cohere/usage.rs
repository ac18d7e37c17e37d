//! Token counts.

use crate::ir::Usage;
use crate::tree::Node;

/// Reads `usage`. `tokens` is what the model saw and said, `billed_units` what is paid for; the former is told, the latter
/// stands in for it. `None` when there is neither.
pub(super) fn read(node: &Node<'_>) -> Option<Usage> {
    let count = |name: &str| whole(node.get("tokens").get(name)).or_else(|| whole(node.get("billed_units").get(name)));
    let usage = Usage {
        input: count("input_tokens"),
        output: count("output_tokens"),
        cache_read: whole(node.get("cached_tokens")),
        ..Usage::default()
    };
    (usage != Usage::default()).then_some(usage)
}

/// A count; Cohere's are floats on the wire.
fn whole(node: &Node<'_>) -> Option<u64> {
    node.u64().or_else(|| {
        let number = node.f64().filter(|number| (0.0..9e15).contains(number))?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the range was checked above"
        )]
        Some(number.round() as u64)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(json: &str) -> Option<(Option<u64>, Option<u64>, Option<u64>)> {
        let usage = read(&Node::parse_text(json).unwrap())?;
        Some((usage.input, usage.output, usage.cache_read))
    }

    #[test]
    fn tokens_go_before_billed_units_and_floats_are_integers() {
        let both = r#"{"billed_units":{"input_tokens":3.0,"output_tokens":1.0},"tokens":{"input_tokens":70.0,"output_tokens":1.0},"cached_tokens":64.0}"#;
        assert_eq!(counts(both), Some((Some(70), Some(1), Some(64))));
        let billed = r#"{"billed_units":{"input_tokens":3.4,"output_tokens":1,"search_units":1}}"#;
        assert_eq!(counts(billed), Some((Some(3), Some(1), None)));
        assert_eq!(
            counts(r#"{"tokens":{"input_tokens":5},"billed_units":{"output_tokens":2}}"#),
            Some((Some(5), Some(2), None))
        );
        assert_eq!(counts(r#"{"tokens":{"input_tokens":-1,"output_tokens":1e300}}"#), None);
        assert_eq!(counts("null"), None);
    }
}
