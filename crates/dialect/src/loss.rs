//! What could not be said in the target's protocol.

use std::fmt::Write as _;

use crate::field::Field;
use crate::protocol::Protocol;

/// More losses than this are not listed; the rest are counted.
const MAX_LISTED: usize = 64;

/// The longest value of the response header that lists losses, in bytes.
const MAX_HEADER: usize = 1024;

/// A field of the request that did not reach the provider as it was meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// The field, as the caller's protocol spells it.
    pub field: String,
    /// What happened to it.
    pub reason: &'static str,
}

/// The losses of one translation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Losses {
    caller: Protocol,
    listed: Vec<Loss>,
    unlisted: usize,
}

/// A request that the target's protocol cannot express without saying something else.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{field}`: {reason}")]
pub struct Unsayable {
    /// The field, as the caller's protocol spells it.
    pub field: String,
    /// Why, and what to do.
    pub reason: &'static str,
}

impl Losses {
    /// None yet, for a caller who speaks this protocol.
    pub fn new(caller: Protocol) -> Self {
        Self {
            caller,
            listed: Vec::new(),
            unlisted: 0,
        }
    }

    /// Notes that a field was dropped or changed. `reason` is a short phrase in lower case, such as
    /// `not supported` or `clamped to 1`.
    pub fn note(&mut self, field: Field, reason: &'static str) {
        self.note_named(field.spelled(self.caller), reason);
    }

    /// The same for a field without a word in the vocabulary, under the caller's own name for it.
    pub fn note_named(&mut self, field: impl Into<String>, reason: &'static str) {
        let loss = Loss {
            field: field.into(),
            reason,
        };
        if self.listed.contains(&loss) {
            return;
        }
        if self.listed.len() < MAX_LISTED {
            self.listed.push(loss);
        } else {
            self.unlisted += 1;
        }
    }

    /// The refusal to translate a field.
    pub fn refuse(&self, field: Field, reason: &'static str) -> Unsayable {
        Unsayable {
            field: field.spelled(self.caller).to_owned(),
            reason,
        }
    }

    /// Notes members that only the caller's protocol knows as lost. `place` is where they stand, such as `messages` or
    /// empty for the top of the request.
    pub fn note_extra(&mut self, place: &str, extra: &crate::ir::Extra) {
        for (name, _) in &extra.0 {
            let field = if place.is_empty() {
                name.clone()
            } else {
                format!("{place}.{name}")
            };
            self.note_named(field, "no counterpart");
        }
    }

    /// Whether nothing was lost.
    pub fn is_empty(&self) -> bool {
        self.listed.is_empty()
    }

    /// The losses, in the order in which they were noted.
    pub fn listed(&self) -> &[Loss] {
        &self.listed
    }

    /// The value of the response header: `field=reason, …` in ASCII, of bounded length; `None` when nothing was lost.
    pub fn header(&self) -> Option<String> {
        if self.listed.is_empty() {
            return None;
        }
        let mut value = String::new();
        let mut shown = 0;
        for loss in &self.listed {
            let item = format!("{}={}", ascii(&loss.field), ascii(loss.reason));
            if value.len() + item.len() + 16 > MAX_HEADER {
                break;
            }
            if shown > 0 {
                value.push_str(", ");
            }
            value.push_str(&item);
            shown += 1;
        }
        let hidden = self.listed.len() - shown + self.unlisted;
        if hidden > 0 {
            let separator = if shown > 0 { ", " } else { "" };
            // Writing to a string does not fail.
            let _ = write!(value, "{separator}and {hidden} more");
        }
        Some(value)
    }
}

/// What may stand in a header; everything else becomes `?`, a comma a semicolon.
fn ascii(text: &str) -> String {
    text.chars()
        .take(96)
        .map(|letter| match letter {
            ',' => ';',
            ' '..='~' => letter,
            _ => '?',
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_is_spelled_as_the_caller_spells_the_field() {
        let mut lost = Losses::new(Protocol::Gemini);
        lost.note(Field::TopK, "not supported");
        lost.note(Field::TopK, "not supported");
        assert_eq!(lost.header().unwrap(), "generationConfig.topK=not supported");
    }

    #[test]
    fn the_header_is_short_and_ascii() {
        let mut lost = Losses::new(Protocol::OpenaiChat);
        assert_eq!(lost.header(), None);
        for index in 0..200 {
            lost.note_named(format!("feld_ä,{index}"), "no counterpart");
        }
        let header = lost.header().unwrap();
        assert!(header.len() <= MAX_HEADER && header.is_ascii(), "{}", header.len());
        assert!(
            header.starts_with("feld_?;0=no counterpart, ") && header.ends_with(" more"),
            "{header}"
        );
        assert_eq!(lost.listed().len(), MAX_LISTED);
    }
}
