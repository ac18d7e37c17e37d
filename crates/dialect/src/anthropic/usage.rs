//! Token counts. The protocol counts apart what was read from and written to the cache; the vocabulary's totals include it.

use crate::ir::Usage;
use crate::tree::Node;
use crate::usage::Report;
use crate::writer::Object;

/// Counts as the protocol states them. Streams tell them in two parts, so they are joined before they are added up.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts(Report);

impl Counts {
    /// Takes over what a `usage` object states. Reports are cumulative, and an explicit zero counts.
    pub(super) fn merge(&mut self, usage: &Node<'_>) {
        if let Some(report) = Report::of(usage) {
            self.0.merge(&report);
        }
    }

    /// The counts with inclusive totals.
    pub(super) fn total(&self) -> Usage {
        self.0.counts()
    }
}

/// Writes the members of a `usage` object. All counts that clients read are there, unknown ones as zero.
pub(super) fn write(it: &mut Object<'_>, usage: &Usage) {
    it.number("input_tokens", usage.uncached_input());
    it.number("cache_creation_input_tokens", usage.cache_write.unwrap_or(0));
    it.number("cache_read_input_tokens", usage.cache_read.unwrap_or(0));
    it.object("cache_creation", |it| {
        let hour = usage.cache_write_1h.unwrap_or(0);
        let rest = usage.cache_write.unwrap_or(0).saturating_sub(hour);
        it.number("ephemeral_5m_input_tokens", usage.cache_write_5m.unwrap_or(rest));
        it.number("ephemeral_1h_input_tokens", hour);
    });
    it.number("output_tokens", usage.output.unwrap_or(0));
    if let Some(reasoning) = usage.reasoning {
        it.object("output_tokens_details", |it| it.number("thinking_tokens", reasoning));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::writer;

    fn total(reports: &[&str]) -> Usage {
        let mut counts = Counts::default();
        for report in reports {
            counts.merge(&Node::parse_text(report).unwrap());
        }
        counts.total()
    }

    #[test]
    fn totals_include_the_cache() {
        let usage = total(&[
            r#"{"input_tokens":10,"cache_read_input_tokens":100,"cache_creation_input_tokens":7,"output_tokens":1,
            "cache_creation":{"ephemeral_5m_input_tokens":3,"ephemeral_1h_input_tokens":4}}"#,
            r#"{"output_tokens":20,"output_tokens_details":{"thinking_tokens":5}}"#,
        ]);
        assert_eq!(
            (usage.input, usage.output, usage.reasoning),
            (Some(117), Some(20), Some(5))
        );
        assert_eq!((usage.cache_write_5m, usage.cache_write_1h), (Some(3), Some(4)));
        assert_eq!(usage.uncached_input(), 10);
    }

    #[test]
    fn a_later_report_counts_zeros_included() {
        let usage = total(&[
            r#"{"input_tokens":10,"output_tokens":0}"#,
            r#"{"input_tokens":0,"cache_read_input_tokens":9}"#,
        ]);
        assert_eq!((usage.input, usage.cache_read), (Some(9), Some(9)));
        assert_eq!(total(&["{}", "null"]), Usage::default());
        assert_eq!(
            total(&[r#"{"cache_creation":{"ephemeral_1h_input_tokens":4}}"#]).cache_write,
            Some(4)
        );
    }

    #[test]
    fn the_whole_shape_is_written() {
        let usage = Usage {
            input: Some(20),
            cache_read: Some(15),
            output: Some(3),
            reasoning: Some(1),
            ..Usage::default()
        };
        let mut out = Vec::new();
        writer::object(&mut out, |it| write(it, &usage));
        assert_eq!(
            String::from_utf8(out).unwrap(),
            r#"{"input_tokens":5,"cache_creation_input_tokens":0,"cache_read_input_tokens":15,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},"output_tokens":3,"output_tokens_details":{"thinking_tokens":1}}"#
        );
    }
}
