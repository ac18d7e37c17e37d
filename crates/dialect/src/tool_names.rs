//! Names of tools as a provider accepts them, and back.
//!
//! Providers allow different letters and lengths, and most know neither namespaces nor tools with free text. What has to be
//! renamed or wrapped is noted in the [`Memo`], so that the caller gets its own names back.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use crate::codec::{Memo, ToolName};

/// Which names a protocol accepts for tools.
#[derive(Clone, Copy, Debug)]
pub struct NameRule {
    /// The longest name, in letters.
    pub longest: usize,
    /// The letters beside `A-Z a-z 0-9 _`.
    pub letters: &'static str,
    /// The name must begin with a letter or an underscore.
    pub begins_with_letter: bool,
}

/// The names of one request's tools.
#[derive(Debug)]
pub struct ToolNames {
    rule: NameRule,
    given: HashMap<(Option<String>, String), String>,
    taken: HashSet<String>,
}

impl ToolNames {
    /// No names yet.
    pub fn new(rule: NameRule) -> Self {
        Self {
            rule,
            given: HashMap::new(),
            taken: HashSet::new(),
        }
    }

    /// The name on the wire of a tool. The same tool always gets the same name, two tools never get one name. Notes in
    /// the memo what is needed to get back; whether the name was changed can be seen by comparing.
    pub fn wire(&mut self, namespace: Option<&str>, name: &str, custom: bool, memo: &mut Memo) -> String {
        let key = (namespace.map(str::to_owned), name.to_owned());
        if let Some(given) = self.given.get(&key) {
            return given.clone();
        }
        let full = namespace.map_or_else(|| name.to_owned(), |namespace| format!("{namespace}__{name}"));
        let mut wire = self.fitted(&full);
        if self.taken.contains(&wire) {
            wire = self.hashed(&full, &wire);
        }
        self.taken.insert(wire.clone());
        self.given.insert(key, wire.clone());
        if wire != name || custom {
            let tool = ToolName {
                name: name.to_owned(),
                namespace: namespace.map(str::to_owned),
                custom,
            };
            memo.tools.insert(wire.clone(), tool);
        }
        wire
    }

    fn fitted(&self, name: &str) -> String {
        let allowed =
            |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || self.rule.letters.contains(letter);
        let mut wire: String = name
            .chars()
            .map(|letter| if allowed(letter) { letter } else { '_' })
            .collect();
        let begins = wire.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_');
        if wire.is_empty() || (self.rule.begins_with_letter && !begins) {
            wire.insert(0, '_');
        }
        if wire.len() > self.rule.longest {
            return self.hashed(name, &wire);
        }
        wire
    }

    /// The beginning of the name and a hash of all of it.
    fn hashed(&self, full: &str, wire: &str) -> String {
        let hash = Sha256::digest(full.as_bytes());
        let suffix = hexadecimal(&hash[..4]);
        let kept = self.rule.longest.saturating_sub(suffix.len() + 1).min(wire.len());
        format!("{}_{suffix}", &wire[..kept])
    }
}

/// An id of a call in letters that every provider accepts (`^[A-Za-z0-9_-]{1,64}$`): itself, or a hash of it. The same id
/// always becomes the same, so a result finds its call.
pub fn portable_id(id: &str) -> String {
    let fits = |letter: u8| letter.is_ascii_alphanumeric() || letter == b'_' || letter == b'-';
    if !id.is_empty() && id.len() <= 64 && id.bytes().all(fits) {
        return id.to_owned();
    }
    let hash = Sha256::digest(id.as_bytes());
    format!("call_{}", hexadecimal(&hash[..12]))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut digits, byte| {
        // Writing to a string does not fail.
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: NameRule = NameRule {
        longest: 20,
        letters: "-",
        begins_with_letter: true,
    };

    #[test]
    fn names_fit_and_lead_back() {
        let mut memo = Memo::default();
        let mut names = ToolNames::new(RULE);
        assert_eq!(names.wire(None, "plain", false, &mut memo), "plain");
        assert!(memo.tools.is_empty());
        let dotted = names.wire(None, "a.b", false, &mut memo);
        let clash = names.wire(None, "a:b", false, &mut memo);
        assert_eq!(dotted, "a_b");
        assert!(clash.starts_with("a_b_") && clash.len() <= 20);
        assert_eq!(memo.tools[&clash].name, "a:b");
        assert_eq!(names.wire(None, "a.b", false, &mut memo), dotted);
        let long = names.wire(Some("space"), "a_very_long_name_of_a_tool", true, &mut memo);
        assert_eq!(long.len(), 20);
        assert_eq!(memo.tools[&long].namespace.as_deref(), Some("space"));
        assert!(memo.tools[&long].custom);
        assert_eq!(names.wire(None, "9lives", false, &mut memo), "_9lives");
    }

    #[test]
    fn ids_keep_what_fits() {
        assert_eq!(portable_id("call_1-x"), "call_1-x");
        let other = portable_id("functions.f:0");
        assert_eq!(other, portable_id("functions.f:0"));
        assert!(other.starts_with("call_") && other.len() <= 64);
        assert_ne!(portable_id(""), "");
    }
}
