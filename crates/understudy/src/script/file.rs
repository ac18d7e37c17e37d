//! Scripts in TOML.

mod reply;
mod values;

use serde::Deserialize;

use self::reply::ReplyFile;
use self::values::{Headers, Span};
use super::{Reading, Rule, Script};

/// A script cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the script cannot be read: {0}")]
pub struct ScriptError(#[from] toml::de::Error);

/// Reads a script.
pub(super) fn parse(text: &str) -> Result<Script, ScriptError> {
    let file: ScriptFile = toml::from_str(text)?;
    Ok(file
        .rule
        .into_iter()
        .map(RuleFile::into_rule)
        .fold(Script::new(), Script::rule))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ScriptFile {
    #[serde(default)]
    rule: Vec<RuleFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleFile {
    method: Option<String>,
    path: Option<String>,
    model: Option<String>,
    #[serde(default)]
    headers: Headers,
    key: Option<String>,
    read: Option<ReadFile>,
    #[serde(default)]
    replies: Vec<ReplyFile>,
    #[serde(default)]
    cycle: bool,
}

/// `read = "none"`, `read = { up_to = 100 }` or `read = { bytes = 1024, every = "10ms" }`.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "expected \"none\", { up_to = BYTES } or { bytes = BYTES, every = DURATION }"
)]
enum ReadFile {
    Word(ReadWord),
    UpTo(UpTo),
    Slowly(Slowly),
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum ReadWord {
    None,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UpTo {
    up_to: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Slowly {
    bytes: usize,
    every: Span,
}

// === impl RuleFile ===

impl RuleFile {
    fn into_rule(self) -> Rule {
        let mut rule = Rule::any().replies(self.replies.into_iter().map(ReplyFile::into_reply));
        if let Some(path) = &self.path {
            rule = rule.at_path(path);
        }
        if let Some(method) = &self.method {
            rule = rule.method(method);
        }
        if let Some(model) = &self.model {
            rule = rule.model(model);
        }
        if let Some(key) = &self.key {
            rule = rule.key(key);
        }
        for (name, value) in &self.headers.0 {
            rule = if value == "*" {
                rule.header(name)
            } else {
                rule.header_is(name, value)
            };
        }
        if self.cycle {
            rule = rule.cycle();
        }
        rule.reading(self.read.map_or(Reading::Whole, ReadFile::reading))
    }
}

impl ReadFile {
    fn reading(self) -> Reading {
        match self {
            Self::Word(ReadWord::None) => Reading::UpTo(0),
            Self::UpTo(UpTo { up_to }) => Reading::UpTo(up_to),
            Self::Slowly(Slowly { bytes, every }) => Reading::Slowly { bytes, every: every.0 },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_is_an_error() {
        for text in [
            "rules = []",
            "[[rule]]\npaths = \"/\"",
            "[[rule]]\nreplies = [{ statos = 429 }]",
            "[[rule]]\nread = { bytes = 1, every = \"1ms\", up_to = 2 }",
            "[[rule]]\nreplies = [{ pace = \"10\" }]",
        ] {
            assert!(Script::from_toml(text).is_err(), "{text}");
        }
    }
}
