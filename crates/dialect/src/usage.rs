//! Reads token counts out of replies that pass by, without holding or parsing them.

use memchr::memmem;
use serde::Deserialize;

/// The key that is looked for. A quote inside a JSON string is always escaped, so these bytes can only be a key.
const KEY: &[u8] = b"\"usage\"";

/// The largest usage object that is read.
const MAX_OBJECT: usize = 4 * 1024;

/// Token counts as the OpenAI dialect reports them: `input` includes `cached`, `output` includes `reasoning`.
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

impl Usage {
    /// Reads a usage object of Chat Completions, Embeddings or Responses; `None` when it is none of these.
    pub fn parse(object: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Wire {
            #[serde(alias = "input_tokens")]
            prompt_tokens: Option<u64>,
            #[serde(alias = "output_tokens")]
            completion_tokens: Option<u64>,
            #[serde(alias = "input_tokens_details")]
            prompt_tokens_details: Option<InputDetails>,
            #[serde(alias = "output_tokens_details")]
            completion_tokens_details: Option<OutputDetails>,
        }
        #[derive(Deserialize)]
        struct InputDetails {
            cached_tokens: Option<u64>,
        }
        #[derive(Deserialize)]
        struct OutputDetails {
            reasoning_tokens: Option<u64>,
        }
        let wire: Wire = serde_json::from_slice(object).ok()?;
        if wire.prompt_tokens.is_none() && wire.completion_tokens.is_none() {
            return None;
        }
        Some(Self {
            input: wire.prompt_tokens.unwrap_or(0),
            cached: wire
                .prompt_tokens_details
                .and_then(|details| details.cached_tokens)
                .unwrap_or(0),
            output: wire.completion_tokens.unwrap_or(0),
            reasoning: wire
                .completion_tokens_details
                .and_then(|details| details.reasoning_tokens)
                .unwrap_or(0),
        })
    }
}

/// Watches a reply for the last usage object in it: JSON or events, in chunks of any size.
///
/// It copies only the usage object itself (and, between two chunks, the few bytes that could be the start of its key).
#[derive(Debug, Default)]
pub struct UsageTap {
    /// What may be the beginning of a usage member: a part of the key, or the key and what follows it.
    held: Vec<u8>,
    found: Option<Usage>,
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

    /// The last usage seen.
    pub fn usage(&self) -> Option<Usage> {
        self.found
    }

    fn search(&mut self, mut window: &[u8]) {
        while let Some(start) = memmem::find(window, KEY) {
            match member_value(&window[start + KEY.len()..]) {
                Member::Object(object) => {
                    self.found = Usage::parse(object).or(self.found);
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

/// What follows a key.
fn member_value(after_key: &[u8]) -> Member<'_> {
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
