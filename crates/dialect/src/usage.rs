//! Reads token counts out of replies that pass by, without holding or parsing them.

use std::sync::LazyLock;

use memchr::memmem::Finder;
use serde::Deserialize;

/// The beginning of the key that is looked for: `"usage"`, or Gemini's `"usageMetadata"`. A quote inside a JSON string is
/// always escaped, so these bytes can only be a key.
const KEY: &[u8] = b"\"usage";

/// Built once: for a small reply that takes longer than the search itself.
static FINDER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(KEY));

/// What follows the beginning of the key.
const KEY_ENDS: [&[u8]; 2] = [b"\"", b"Metadata\""];

/// The largest usage object that is read.
const MAX_OBJECT: usize = 4 * 1024;

/// Token counts. `input` includes `cached`, `output` includes `reasoning`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of the prompt.
    pub input: u64,
    /// Of these, tokens read from the provider's cache.
    pub cached: u64,
    /// Tokens of the answer.
    pub output: u64,
    /// Of these, tokens of hidden reasoning.
    pub reasoning: u64,
}

/// The counts as the protocols spell them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Counts {
    #[serde(alias = "input_tokens", alias = "promptTokenCount")]
    prompt_tokens: Option<u64>,
    #[serde(alias = "output_tokens", alias = "candidatesTokenCount")]
    completion_tokens: Option<u64>,
    #[serde(alias = "input_tokens_details")]
    prompt_tokens_details: Details,
    #[serde(alias = "output_tokens_details")]
    completion_tokens_details: Details,
    /// Anthropic: not part of `input_tokens`.
    cache_read_input_tokens: Option<u64>,
    /// Anthropic: not part of `input_tokens`.
    cache_creation_input_tokens: Option<u64>,
    /// Gemini.
    #[serde(rename = "cachedContentTokenCount")]
    cached_content: Option<u64>,
    /// Gemini: not part of `candidatesTokenCount`.
    #[serde(rename = "thoughtsTokenCount")]
    thoughts: Option<u64>,
    /// Gemini: not part of `promptTokenCount`.
    #[serde(rename = "toolUsePromptTokenCount")]
    tool_prompt: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_field_names, reason = "named as on the wire")]
struct Details {
    cached_tokens: Option<u64>,
    reasoning_tokens: Option<u64>,
    /// Anthropic.
    thinking_tokens: Option<u64>,
}

impl Counts {
    /// Reads a usage object; `None` when it is none.
    fn parse(object: &[u8]) -> Option<Self> {
        let counts: Self = serde_json::from_slice(object).ok()?;
        (counts.prompt_tokens.is_some() || counts.completion_tokens.is_some()).then_some(counts)
    }

    /// Takes over what a later object states: Anthropic tells the prompt at the beginning and the answer at the end.
    fn merge(&mut self, later: Self) {
        let (prompt, completion) = (&mut self.prompt_tokens_details, &mut self.completion_tokens_details);
        let counts = [
            (&mut self.prompt_tokens, later.prompt_tokens),
            (&mut self.completion_tokens, later.completion_tokens),
            (&mut prompt.cached_tokens, later.prompt_tokens_details.cached_tokens),
            (
                &mut completion.reasoning_tokens,
                later.completion_tokens_details.reasoning_tokens,
            ),
            (
                &mut completion.thinking_tokens,
                later.completion_tokens_details.thinking_tokens,
            ),
            (&mut self.cache_read_input_tokens, later.cache_read_input_tokens),
            (&mut self.cache_creation_input_tokens, later.cache_creation_input_tokens),
            (&mut self.cached_content, later.cached_content),
            (&mut self.thoughts, later.thoughts),
            (&mut self.tool_prompt, later.tool_prompt),
        ];
        for (count, later) in counts {
            *count = later.or(*count);
        }
    }

    fn usage(&self) -> Usage {
        let sum = |counts: &[Option<u64>]| {
            counts
                .iter()
                .flatten()
                .fold(0, |sum: u64, count| sum.saturating_add(*count))
        };
        let details = self.prompt_tokens_details.cached_tokens;
        Usage {
            input: sum(&[
                self.prompt_tokens,
                self.cache_read_input_tokens,
                self.cache_creation_input_tokens,
                self.tool_prompt,
            ]),
            cached: details
                .or(self.cache_read_input_tokens)
                .or(self.cached_content)
                .unwrap_or(0),
            output: sum(&[self.completion_tokens, self.thoughts]),
            reasoning: self
                .completion_tokens_details
                .reasoning_tokens
                .or(self.completion_tokens_details.thinking_tokens)
                .or(self.thoughts)
                .unwrap_or(0),
        }
    }
}

impl From<&crate::ir::Usage> for Usage {
    fn from(usage: &crate::ir::Usage) -> Self {
        Self {
            input: usage.input.unwrap_or(0),
            cached: usage.cache_read.unwrap_or(0),
            output: usage.output.unwrap_or(0),
            reasoning: usage.reasoning.unwrap_or(0),
        }
    }
}

/// Watches a reply for the usage objects in it: JSON or events, in chunks of any size. Later ones complete earlier ones.
///
/// It copies only the usage object itself (and, between two chunks, the few bytes that could be the start of its key).
#[derive(Debug, Default)]
pub struct UsageTap {
    /// What may be the beginning of a usage member: a part of the key, or the key and what follows it.
    held: Vec<u8>,
    found: Option<Counts>,
}

impl UsageTap {
    /// Looks at the next chunk.
    pub fn push(&mut self, chunk: &[u8]) {
        if self.held.is_empty() {
            return self.search(chunk);
        }
        let room = MAX_OBJECT.saturating_sub(self.held.len()).min(chunk.len());
        let mut window = std::mem::take(&mut self.held);
        window.extend_from_slice(&chunk[..room]);
        self.search(&window);
        // What did not fit in the window is searched on its own: a member that long is not a usage object.
        if room < chunk.len() {
            self.held.clear();
            self.search(&chunk[room..]);
        }
    }

    /// The counts that were seen.
    pub fn usage(&self) -> Option<Usage> {
        self.found.as_ref().map(Counts::usage)
    }

    fn search(&mut self, mut window: &[u8]) {
        while let Some(start) = FINDER.find(window) {
            match member_value(&window[start + KEY.len()..]) {
                Member::Object(object) => {
                    if let Some(counts) = Counts::parse(object) {
                        self.found.get_or_insert_default().merge(counts);
                    }
                }
                Member::Unfinished if window.len() - start < MAX_OBJECT => {
                    self.held = window[start..].to_vec();
                    return;
                }
                Member::Unfinished | Member::Other => {}
            }
            window = &window[start + KEY.len()..];
        }
        self.held = key_prefix(window).to_vec();
    }
}

enum Member<'a> {
    Object(&'a [u8]),
    Other,
    /// The window ends before this can be told.
    Unfinished,
}

/// What follows the beginning of a key.
fn member_value(after_beginning: &[u8]) -> Member<'_> {
    let Some(after_key) = KEY_ENDS.iter().find_map(|end| after_beginning.strip_prefix(*end)) else {
        let may_go_on = KEY_ENDS.iter().any(|end| end.starts_with(after_beginning));
        return if may_go_on { Member::Unfinished } else { Member::Other };
    };
    let mut rest = after_key.trim_ascii_start();
    match rest.split_first() {
        None => return Member::Unfinished,
        Some((b':', after_colon)) => rest = after_colon.trim_ascii_start(),
        Some(_) => return Member::Other,
    }
    match rest.first() {
        None => Member::Unfinished,
        Some(b'{') => match object_end(rest) {
            Some(end) => Member::Object(&rest[..end]),
            None => Member::Unfinished,
        },
        Some(_) => Member::Other,
    }
}

/// The length of the object at the start of `bytes`; whether it is well formed is for the parser to say.
fn object_end(bytes: &[u8]) -> Option<usize> {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' if !in_string => depth += 1,
            b'}' if !in_string => {
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

/// The longest tail of `window` that may be the beginning of the key.
fn key_prefix(window: &[u8]) -> &[u8] {
    let longest = window.len().min(KEY.len() - 1);
    (1..=longest)
        .rev()
        .map(|length| &window[window.len() - length..])
        .find(|tail| KEY.starts_with(tail))
        .unwrap_or(&[])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CHAT: &[u8] = br#"{"choices":[{"message":{"content":"say \"usage\":{} now"}}],"usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15,"prompt_tokens_details":{"cached_tokens":4},"completion_tokens_details":{"reasoning_tokens":2}}}"#;
    const EXPECTED: Usage = Usage {
        input: 10,
        cached: 4,
        output: 5,
        reasoning: 2,
    };

    fn tapped(chunks: &[&[u8]]) -> Option<Usage> {
        let mut tap = UsageTap::default();
        for chunk in chunks {
            tap.push(chunk);
        }
        tap.usage()
    }

    #[test]
    fn reads_the_shapes_of_each_route() {
        assert_eq!(tapped(&[CHAT]), Some(EXPECTED));
        let responses = br#"data: {"response":{"usage" : {"input_tokens":3,"output_tokens":1}}}"#;
        assert_eq!(
            tapped(&[responses]),
            Some(Usage {
                input: 3,
                output: 1,
                ..Usage::default()
            })
        );
        let embeddings = br#"{"usage":{"prompt_tokens":8,"total_tokens":8}}"#;
        assert_eq!(
            tapped(&[embeddings]),
            Some(Usage {
                input: 8,
                ..Usage::default()
            })
        );
    }

    #[test]
    fn anthropic_tells_it_in_two_places_and_without_the_cache() {
        let start = br#"data: {"type":"message_start","message":{"usage":{"input_tokens":3,"cache_read_input_tokens":4,"cache_creation_input_tokens":2,"output_tokens":1}}}"#;
        let end = br#"data: {"type":"message_delta","usage":{"output_tokens":9,"output_tokens_details":{"thinking_tokens":5}}}"#;
        let expected = Usage {
            input: 9,
            cached: 4,
            output: 9,
            reasoning: 5,
        };
        assert_eq!(tapped(&[start, end]), Some(expected));
    }

    #[test]
    fn gemini_counts_thoughts_beside_the_answer() {
        let metadata = br#"{"usageMetadata":{"promptTokenCount":10,"candidatesTokenCount":5,"thoughtsTokenCount":7,"cachedContentTokenCount":3,"totalTokenCount":22}}"#;
        let expected = Usage {
            input: 10,
            cached: 3,
            output: 12,
            reasoning: 7,
        };
        assert_eq!(tapped(&[metadata]), Some(expected));
        let (first, second) = metadata.split_at(8);
        assert_eq!(tapped(&[first, second]), Some(expected));
    }

    #[test]
    fn nulls_and_other_things_called_usage_do_not_count() {
        assert_eq!(tapped(&[br#"{"usage":null,"choices":[]}"#]), None);
        assert_eq!(tapped(&[br#"{"usage":{"properties":{}}}"#]), None);
        assert_eq!(
            tapped(&[br#"{"usage":{"prompt_tokens":1}} {"usage":null}"#]),
            Some(Usage {
                input: 1,
                ..Usage::default()
            })
        );
    }

    proptest! {
        #[test]
        fn chunking_does_not_matter(mut cuts in prop::collection::vec(0..CHAT.len(), 0..20)) {
            cuts.extend([0, CHAT.len()]);
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|pair| &CHAT[pair[0]..pair[1]]).collect();
            prop_assert_eq!(tapped(&chunks), Some(EXPECTED));
        }

        #[test]
        fn memory_is_bounded(chunks in prop::collection::vec(r#"("usage"|:|\{|\}|"|\\|u|x){0,40}"#, 0..40)) {
            let mut tap = UsageTap::default();
            for chunk in &chunks {
                tap.push(chunk.as_bytes());
                prop_assert!(tap.held.len() <= MAX_OBJECT);
            }
        }
    }
}
