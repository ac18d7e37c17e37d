//! What is kept of prompts and answers, where the operator wants that: the beginning of each body, without what must not be
//! kept.

use std::borrow::Cow;

use regex_lite::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::ContentConfig;

/// As many more bytes are looked at than are kept, so that what is to be blackened is found also where the rest is cut off.
const SLACK: usize = 1024;

/// In place of what must not be kept.
const BLACKENED: &str = "[redacted]";

/// The bodies of a request under way, as far as they are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capture {
    most: usize,
    prompt: Vec<u8>,
    answer: Vec<u8>,
}

/// The bodies of a request that is over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Content {
    /// The body of the request.
    pub prompt: String,
    /// The body of the answer, as the caller got it.
    pub answer: String,
    /// Whether one of them was longer.
    pub is_cut: bool,
}

/// Blackens what must not be kept.
#[derive(Debug, Default)]
pub struct Blackening {
    rules: Vec<(Regex, Cow<'static, str>)>,
}

// === impl Capture ===

impl Capture {
    /// Keeps no more than so many bytes of each body.
    pub fn new(most: usize) -> Self {
        Self {
            most,
            ..Self::default()
        }
    }

    /// A piece of the request.
    pub fn asked(&mut self, piece: &[u8]) {
        push(&mut self.prompt, piece, self.most);
    }

    /// A piece of the answer.
    pub fn answered(&mut self, piece: &[u8]) {
        push(&mut self.answer, piece, self.most);
    }

    /// How many bytes it takes.
    pub fn size(&self) -> usize {
        self.prompt.capacity() + self.answer.capacity()
    }
}

fn push(body: &mut Vec<u8>, piece: &[u8], most: usize) {
    let room = most.saturating_add(SLACK).saturating_sub(body.len());
    body.extend_from_slice(piece.get(..room).unwrap_or(piece));
}

// === impl Blackening ===

impl Blackening {
    /// Reads the rules. The error is the place of one among `redact` that is no regular expression, and why.
    pub fn new(config: &ContentConfig) -> Result<Self, (usize, String)> {
        let mut rules = Vec::new();
        for (at, pattern) in config.redact.iter().enumerate() {
            let rule = Regex::new(pattern).map_err(|error| (at, error.to_string()))?;
            rules.push((rule, Cow::Borrowed(BLACKENED)));
        }
        for key in &config.redact_keys {
            let key = regex_lite::escape(key);
            let more = [
                // "key": "text", also where the text has no end any more.
                (
                    format!(r#"(?i)("{key}"\s*:\s*")(?:[^"\\]|\\[\s\S])*"#),
                    "${1}[redacted]",
                ),
                // The same within a text, as the arguments of tools are.
                (
                    format!(r#"(?i)(\\"{key}\\"\s*:\s*\\")(?:[^"\\]|\\\\\\"|\\\\\\\\|\\\\[^"\\]|\\[^"\\])*"#),
                    "${1}[redacted]",
                ),
                // "key": 123
                (format!(r#"(?i)(\\?"{key}\\?"\s*:\s*)-?[0-9][0-9.eE+-]*"#), "${1}null"),
            ];
            for (pattern, instead) in more {
                let rule = Regex::new(&pattern).map_err(|error| (0, error.to_string()))?;
                rules.push((rule, Cow::Borrowed(instead)));
            }
        }
        Ok(Self { rules })
    }

    /// What is kept of the bodies.
    pub fn apply(&self, capture: &Capture) -> Content {
        let (prompt, prompt_is_cut) = self.kept(&capture.prompt, capture.most);
        let (answer, answer_is_cut) = self.kept(&capture.answer, capture.most);
        Content {
            prompt,
            answer,
            is_cut: prompt_is_cut || answer_is_cut,
        }
    }

    fn kept(&self, body: &[u8], most: usize) -> (String, bool) {
        let mut text = String::from_utf8_lossy(body).into_owned();
        for (rule, instead) in &self.rules {
            if let Cow::Owned(changed) = rule.replace_all(&text, instead.as_ref()) {
                text = changed;
            }
        }
        text.truncate(text.floor_char_boundary(most));
        (text, body.len() > most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(body: &str, most: usize, redact: &[&str], keys: &[&str]) -> (String, bool) {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let config = ContentConfig {
            most,
            redact: texts(redact),
            redact_keys: texts(keys),
        };
        let mut capture = Capture::new(most);
        // In pieces, as answers come.
        for piece in body.as_bytes().chunks(7) {
            capture.answered(piece);
        }
        let content = Blackening::new(&config).unwrap().apply(&capture);
        assert!(content.answer.len() <= most.max(content.prompt.len()));
        (content.answer, content.is_cut)
    }

    #[test]
    fn the_rest_is_cut_off_between_letters() {
        assert_eq!(kept("höher", 9, &[], &[]), ("höher".to_owned(), false));
        assert_eq!(kept("höher", 2, &[], &[]), ("h".to_owned(), true));
        let long = "x".repeat(100_000);
        let (text, is_cut) = kept(&long, 1000, &[], &[]);
        assert_eq!((text.len(), is_cut), (1000, true));
    }

    #[test]
    fn memory_is_bounded() {
        let mut capture = Capture::new(1000);
        for _ in 0..1000 {
            capture.asked(&[b'x'; 999]);
            capture.answered(&[b'x'; 9999]);
        }
        assert!(capture.size() < 20_000, "{}", capture.size());
    }

    #[test]
    fn patterns_are_blackened_also_at_the_end() {
        let rule = ["sk-[a-z0-9]+"];
        let all = |body, most| kept(body, most, &rule, &[]).0;
        assert_eq!(
            all("my key is sk-abc123, and sk-x", 100),
            "my key is [redacted], and [redacted]"
        );
        // The secret begins within what is kept, and ends behind it.
        assert_eq!(all("my key is sk-abcdefghijklmnop", 15), "my key is [reda");
    }

    #[test]
    fn values_of_keys_are_blackened() {
        for (body, expected) in [
            (
                r#"{"password": "a\"b", "x": 1}"#,
                r#"{"password": "[redacted]", "x": 1}"#,
            ),
            (r#"{"Password":"secret"#, r#"{"Password":"[redacted]"#),
            (r#"{"password":12345,"x":1}"#, r#"{"password":null,"x":1}"#),
            (r#"{"passwords":"kept"}"#, r#"{"passwords":"kept"}"#),
            (
                r#"{"arguments":"{\"password\":\"a\\\"b\\\\\",\"x\":\"y\"}"}"#,
                r#"{"arguments":"{\"password\":\"[redacted]\",\"x\":\"y\"}"}"#,
            ),
        ] {
            assert_eq!(kept(body, 1000, &[], &["password"]).0, expected, "{body}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_said() {
        let config = ContentConfig {
            most: 1,
            redact: vec!["fine".to_owned(), "(".to_owned()],
            redact_keys: vec!["(".to_owned()],
        };
        assert_eq!(Blackening::new(&config).unwrap_err().0, 1);
    }
}
