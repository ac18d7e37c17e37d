//! Token counts.

use crate::ir::Usage;
use crate::tree::Node;
use crate::usage::Report;

/// Reads `usage`. `tokens` is what the model saw and said, `billed_units` what is paid for; the former is told, the latter
/// stands in for it. `None` when there is neither.
pub(super) fn read(node: &Node<'_>) -> Option<Usage> {
    Report::of(node).map(|report| report.counts())
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
