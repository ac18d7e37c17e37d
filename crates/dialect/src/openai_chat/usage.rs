//! Token counts in both directions. `prompt_tokens` counts what was read from and written to the cache,
//! `completion_tokens` counts reasoning.

use crate::ir::Usage;
use crate::tree::Node;
use crate::writer::Object;

/// Reads the counts, also where a server puts them under other names. `None` when nothing is counted.
pub(super) fn read(node: &Node<'_>) -> Option<Usage> {
    let prompt = node.any(&["prompt_tokens_details", "input_tokens_details"]);
    let answer = node.any(&["completion_tokens_details", "output_tokens_details"]);
    let usage = Usage {
        input: None,
        // DeepSeek, Moonshot, and Anthropic's name for it, which LiteLLM and Portkey send along.
        cache_read: first(&[
            prompt.get("cached_tokens"),
            node.get("prompt_cache_hit_tokens"),
            node.get("cached_tokens"),
            node.get("cache_read_input_tokens"),
        ]),
        cache_write: first(&[
            prompt.get("cache_write_tokens"),
            prompt.get("cache_creation_tokens"),
            node.get("cache_creation_input_tokens"),
        ]),
        cache_write_5m: node.get("cache_creation").get("ephemeral_5m_input_tokens").u64(),
        cache_write_1h: node.get("cache_creation").get("ephemeral_1h_input_tokens").u64(),
        input_audio: prompt.get("audio_tokens").u64(),
        input_image: prompt.get("image_tokens").u64(),
        output: None,
        reasoning: first(&[answer.get("reasoning_tokens"), node.get("reasoning_tokens")]),
        output_audio: answer.get("audio_tokens").u64(),
        accepted_prediction: answer.get("accepted_prediction_tokens").u64(),
        rejected_prediction: answer.get("rejected_prediction_tokens").u64(),
    };
    let usage = Usage {
        input: input(node, &usage),
        output: output(node, usage.reasoning),
        ..usage
    };
    (usage != Usage::default()).then_some(usage)
}

fn first(nodes: &[&Node<'_>]) -> Option<u64> {
    nodes.iter().find_map(|node| node.u64())
}

fn input(node: &Node<'_>, usage: &Usage) -> Option<u64> {
    let cached = usage
        .cache_read
        .unwrap_or(0)
        .saturating_add(usage.cache_write.unwrap_or(0));
    if let Some(prompt) = node.get("prompt_tokens").u64() {
        // What is less than its own parts does not contain them.
        return Some(if cached > prompt {
            prompt.saturating_add(cached)
        } else {
            prompt
        });
    }
    let input = node.get("input_tokens").u64()?;
    let exclusive = ["cache_read_input_tokens", "cache_creation_input_tokens"]
        .iter()
        .any(|key| !node.get(key).is_null());
    Some(if exclusive { input.saturating_add(cached) } else { input })
}

fn output(node: &Node<'_>, reasoning: Option<u64>) -> Option<u64> {
    let output = first(&[node.get("completion_tokens"), node.get("output_tokens")])?;
    let (Some(reasoning), Some(prompt), Some(total)) = (
        reasoning,
        node.get("prompt_tokens").u64(),
        node.get("total_tokens").u64(),
    ) else {
        return Some(output);
    };
    // xAI counts reasoning only in the total.
    let apart = total.checked_sub(prompt).and_then(|rest| rest.checked_sub(output)) == Some(reasoning);
    Some(if apart {
        output.saturating_add(reasoning)
    } else {
        output
    })
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
