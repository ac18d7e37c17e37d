//! Token counts, in both directions.
//!
//! `promptTokenCount` includes what was read from the cache but not what tools brought in, and `candidatesTokenCount`
//! excludes the thoughts.

use crate::ir::Usage;
use crate::tree::Node;
use crate::usage::Report;
use crate::writer::Object;

/// Reads a `usageMetadata`; `None` when there is none.
pub(super) fn read_usage(node: &Node<'_>) -> Option<Usage> {
    Report::of(node).map(|report| report.counts())
}

/// Writes a `usageMetadata`.
pub(super) fn write_usage(it: &mut Object<'_>, usage: &Usage) {
    it.object("usageMetadata", |it| {
        it.some_number("promptTokenCount", usage.input);
        let thoughts = usage.reasoning.unwrap_or(0);
        it.some_number(
            "candidatesTokenCount",
            usage.output.map(|output| output.saturating_sub(thoughts)),
        );
        it.some_number("thoughtsTokenCount", usage.reasoning);
        it.some_number("cachedContentTokenCount", usage.cache_read);
        it.number("totalTokenCount", usage.total());
        let by_modality = [("AUDIO", usage.input_audio), ("IMAGE", usage.input_image)];
        write_details(it, "promptTokensDetails", usage.input, &by_modality);
        write_details(
            it,
            "candidatesTokensDetails",
            usage.output.map(|output| output.saturating_sub(thoughts)),
            &[("AUDIO", usage.output_audio)],
        );
    });
}

/// The share of each modality; the rest is text. Nothing when no share is known.
fn write_details(it: &mut Object<'_>, name: &str, total: Option<u64>, shares: &[(&str, Option<u64>)]) {
    let known: u64 = shares.iter().filter_map(|(_, tokens)| *tokens).sum();
    if known == 0 {
        return;
    }
    let text = total.map(|total| total.saturating_sub(known));
    it.array(name, |it| {
        for (modality, tokens) in std::iter::once(&("TEXT", text)).chain(shares) {
            if let Some(tokens) = tokens {
                it.object(|it| {
                    it.text("modality", modality);
                    it.number("tokenCount", *tokens);
                });
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thoughts_and_tools_are_counted_in() {
        let node = Node::parse(
            br#"{"promptTokenCount":10,"candidatesTokenCount":5,"thoughtsTokenCount":7,"cachedContentTokenCount":4,
            "toolUsePromptTokenCount":3,"totalTokenCount":25,"promptTokensDetails":[{"modality":"TEXT","tokenCount":8},
            {"modality":"IMAGE","tokenCount":2}]}"#,
        )
        .unwrap();
        let usage = read_usage(&node).unwrap();
        assert_eq!(
            (usage.input, usage.output, usage.reasoning),
            (Some(13), Some(12), Some(7))
        );
        assert_eq!(
            (usage.cache_read, usage.input_image, usage.total()),
            (Some(4), Some(2), 25)
        );
        let mut out = Vec::new();
        crate::writer::object(&mut out, |it| write_usage(it, &usage));
        assert_eq!(
            String::from_utf8(out).unwrap(),
            r#"{"usageMetadata":{"promptTokenCount":13,"candidatesTokenCount":5,"thoughtsTokenCount":7,"cachedContentTokenCount":4,"totalTokenCount":25,"promptTokensDetails":[{"modality":"TEXT","tokenCount":11},{"modality":"IMAGE","tokenCount":2}]}}"#
        );
    }

    #[test]
    fn what_is_not_said_is_not_zero() {
        let node = Node::parse(br#"{"promptTokenCount":3}"#).unwrap();
        let usage = read_usage(&node).unwrap();
        assert_eq!((usage.output, usage.reasoning, usage.cache_read), (None, None, None));
        assert_eq!(read_usage(&Node::default()), None);
    }
}
