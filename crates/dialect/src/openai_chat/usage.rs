//! Token counts in both directions. `prompt_tokens` counts what was read from and written to the cache,
//! `completion_tokens` counts reasoning.

use crate::ir::Usage;
use crate::tree::Node;
use crate::usage::Report;
use crate::writer::Object;

/// Reads the counts, also where a server puts them under other names. `None` when nothing is counted.
pub(super) fn read(node: &Node<'_>) -> Option<Usage> {
    Report::of(node).map(|report| report.counts())
}

/// Writes the counts. Details that are not known are zero: clients read them as integers.
pub(super) fn write(usage: &Usage, it: &mut Object<'_>) {
    it.number("prompt_tokens", usage.input.unwrap_or(0));
    it.number("completion_tokens", usage.output.unwrap_or(0));
    it.number("total_tokens", usage.total());
    it.object("prompt_tokens_details", |it| {
        it.number("cached_tokens", usage.cache_read.unwrap_or(0));
        it.number("cache_write_tokens", usage.cache_write.unwrap_or(0));
        it.number("audio_tokens", usage.input_audio.unwrap_or(0));
        it.some_number("image_tokens", usage.input_image);
    });
    it.object("completion_tokens_details", |it| {
        it.number("reasoning_tokens", usage.reasoning.unwrap_or(0));
        it.number("audio_tokens", usage.output_audio.unwrap_or(0));
        it.number("accepted_prediction_tokens", usage.accepted_prediction.unwrap_or(0));
        it.number("rejected_prediction_tokens", usage.rejected_prediction.unwrap_or(0));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Input, read from the cache, written to it, output, reasoning.
    type Counts = (Option<u64>, Option<u64>, Option<u64>, Option<u64>, Option<u64>);

    #[test]
    fn counts_are_found_wherever_they_are() {
        let cases: [(&str, Counts); 9] = [
            (
                r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15,"prompt_tokens_details":{"cached_tokens":4,"cache_write_tokens":2},"completion_tokens_details":{"reasoning_tokens":3}}"#,
                (Some(10), Some(4), Some(2), Some(5), Some(3)),
            ),
            (
                r#"{"prompt_tokens":10,"completion_tokens":5,"prompt_cache_hit_tokens":8,"prompt_cache_miss_tokens":2}"#,
                (Some(10), Some(8), None, Some(5), None),
            ),
            (
                r#"{"prompt_tokens":10,"completion_tokens":5,"cached_tokens":7}"#,
                (Some(10), Some(7), None, Some(5), None),
            ),
            (
                r#"{"input_tokens":10,"output_tokens":5,"cache_read_input_tokens":100,"cache_creation_input_tokens":20}"#,
                (Some(130), Some(100), Some(20), Some(5), None),
            ),
            (
                r#"{"prompt_tokens":10,"completion_tokens":5,"cache_read_input_tokens":100}"#,
                (Some(110), Some(100), None, Some(5), None),
            ),
            (
                r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":18,"completion_tokens_details":{"reasoning_tokens":3}}"#,
                (Some(10), None, None, Some(8), Some(3)),
            ),
            (
                r#"{"prompt_tokens":10.0,"completion_tokens":5.0}"#,
                (Some(10), None, None, Some(5), None),
            ),
            (
                r#"{"input_tokens":10,"output_tokens":5,"input_tokens_details":{"cached_tokens":3}}"#,
                (Some(10), Some(3), None, Some(5), None),
            ),
            (r#"{"prompt_tokens":10}"#, (Some(10), None, None, None, None)),
        ];
        for (text, expected) in cases {
            let usage = read(&Node::parse_text(text).unwrap()).unwrap();
            let found = (
                usage.input,
                usage.cache_read,
                usage.cache_write,
                usage.output,
                usage.reasoning,
            );
            assert_eq!(found, expected, "{text}");
        }
        for nothing in ["{}", "null", "[]", r#"{"prompt_tokens":"x"}"#] {
            assert_eq!(read(&Node::parse_text(nothing).unwrap()), None);
        }
    }
}
