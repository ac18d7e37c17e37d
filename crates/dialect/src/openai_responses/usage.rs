//! Token counts, in both directions. Here the totals include what was cached and what was thought, as in the vocabulary.

use crate::ir::Usage;
use crate::tree::Node;
use crate::usage::Report;
use crate::writer::Object;

/// Reads a `usage` object. The names of Chat Completions count too: compatible servers mix them up.
pub(super) fn read(node: &Node<'_>) -> Option<Usage> {
    Report::of(node).map(|report| report.counts())
}

/// Writes the `usage` member. Codex's and Vercel's clients insist on every count as an integer, so what is not known is
/// written as zero.
pub(super) fn write(it: &mut Object<'_>, usage: Option<&Usage>) {
    let count = |pick: fn(&Usage) -> Option<u64>| usage.and_then(pick).unwrap_or(0);
    it.object("usage", |it| {
        it.number("input_tokens", count(|usage| usage.input));
        it.object("input_tokens_details", |it| {
            it.number("cached_tokens", count(|usage| usage.cache_read));
            it.number("cache_write_tokens", count(|usage| usage.cache_write));
        });
        it.number("output_tokens", count(|usage| usage.output));
        it.object("output_tokens_details", |it| {
            it.number("reasoning_tokens", count(|usage| usage.reasoning));
        });
        it.number("total_tokens", usage.map_or(0, Usage::total));
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::writer::raw_object;

    #[test]
    fn every_count_is_an_integer() {
        let written = raw_object(|it| write(it, None));
        assert_eq!(
            written.as_str(),
            r#"{"usage":{"input_tokens":0,"input_tokens_details":{"cached_tokens":0,"cache_write_tokens":0},"output_tokens":0,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":0}}"#
        );
    }

    #[test]
    fn counts_survive() {
        let text = r#"{"usage":{"input_tokens":10,"input_tokens_details":{"cached_tokens":4,"cache_write_tokens":1},"output_tokens":5,"output_tokens_details":{"reasoning_tokens":2},"total_tokens":15}}"#;
        let node = Node::parse_text(text).unwrap();
        let usage = read(node.get("usage")).unwrap();
        assert_eq!(
            (usage.input, usage.cache_read, usage.reasoning),
            (Some(10), Some(4), Some(2))
        );
        assert_eq!(raw_object(|it| write(it, Some(&usage))).as_str(), text);
        assert_eq!(read(&Node::parse_text("{}").unwrap()), None);
        assert_eq!(
            read(&Node::parse_text(r#"{"prompt_tokens":3}"#).unwrap())
                .unwrap()
                .input,
            Some(3)
        );
    }
}
