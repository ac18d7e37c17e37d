//! Where one answer is joined to another: no character twice, none lost.

use crate::ir::Citation;

/// Some servers repeat what they were given to go on with. A beginning shorter than this, in bytes, may also come again by
/// chance, and is only taken for a repetition at a provider that is known to repeat.
const MIN_REPEATED: usize = 32;

/// A place at which an answer goes on.
#[derive(Debug)]
pub(super) struct Seam {
    /// What the provider was given to go on with.
    beginning: String,
    /// It is known to repeat that.
    repeats: bool,
    /// Text of which it is not known yet whether it repeats the beginning; `None` once it is.
    held: Option<String>,
    /// White space that was told before, and is not told again.
    owed: String,
    /// Letters of text before the seam.
    letters: u64,
    has_told: bool,
}

impl Seam {
    /// After this text.
    pub(super) fn new(text: &str, repeats: bool) -> Self {
        let beginning = text.trim_end();
        let may_repeat = !beginning.is_empty() && (repeats || beginning.len() >= MIN_REPEATED);
        Self {
            beginning: beginning.to_owned(),
            repeats,
            held: may_repeat.then(String::new),
            owed: text.get(beginning.len()..).unwrap_or_default().to_owned(),
            letters: text.chars().count() as u64,
            has_told: false,
        }
    }

    /// Whether something of the new answer was told.
    pub(super) fn has_told(&self) -> bool {
        self.has_told
    }

    /// What is to be told of a piece of the new answer.
    pub(super) fn add(&mut self, piece: &str) -> String {
        let Some(mut held) = self.held.take() else {
            return self.told(piece);
        };
        held.push_str(piece);
        if held.len() < self.beginning.len() && self.beginning.starts_with(&held) {
            self.held = Some(held);
            return String::new();
        }
        let rest = held.strip_prefix(self.beginning.as_str()).unwrap_or(&held);
        self.told(rest)
    }

    /// What is to be told of what is held back, when no more text comes for now.
    pub(super) fn release(&mut self) -> String {
        let held = self.held.take().unwrap_or_default();
        if self.repeats {
            return String::new();
        }
        self.told(&held)
    }

    /// A citation at its place in the whole text. As its protocol spells it, it has the place in the new answer alone.
    pub(super) fn moved(&self, citation: Citation) -> Citation {
        let is_placed = citation.start.is_some() || citation.end.is_some();
        Citation {
            start: citation.start.map(|start| start.saturating_add(self.letters)),
            end: citation.end.map(|end| end.saturating_add(self.letters)),
            raw: citation.raw.filter(|_| !is_placed),
            ..citation
        }
    }

    /// Leaves out the white space that was told before.
    fn told(&mut self, text: &str) -> String {
        let mut letters = text.chars();
        while let (Some(owed), Some(letter)) = (self.owed.chars().next(), letters.clone().next()) {
            if owed == letter {
                letters.next();
                self.owed.drain(..owed.len_utf8());
            } else {
                self.owed.clear();
            }
        }
        let told = letters.as_str().to_owned();
        self.has_told |= !told.is_empty();
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is told of an answer that goes on after a text, whatever pieces it comes in.
    fn joined(text: &str, repeats: bool, answer: &str) -> String {
        let whole = {
            let mut seam = Seam::new(text, repeats);
            seam.add(answer) + &seam.release()
        };
        let mut seam = Seam::new(text, repeats);
        let pieces: String = answer.chars().map(|letter| seam.add(&letter.to_string())).collect();
        assert_eq!(pieces + &seam.release(), whole, "{answer:?} after {text:?}");
        whole
    }

    #[test]
    fn a_repetition_is_left_out() {
        let long = "The quick brown fox jumps over the lazy dog";
        assert_eq!(joined(long, false, &format!("{long} again.")), " again.");
        assert_eq!(joined(long, false, " again."), " again.");
        assert_eq!(joined(long, false, "The quick brown cat"), "The quick brown cat");
        // What ends too early to be a repetition is none.
        assert_eq!(joined(long, false, "The quick"), "The quick");
        assert_eq!(joined(long, true, "The quick"), "");
        // A short text may come twice.
        assert_eq!(joined("ha", false, "haha"), "haha");
        assert_eq!(joined("ha", true, "haha"), "ha");
    }

    #[test]
    fn white_space_is_not_told_twice() {
        for (text, answer, told) in [
            ("a \n", " \nb", "b"),
            ("a \n", " \n\nb", "\nb"),
            ("a \n", "b", "b"),
            ("a\n", "\tb", "\tb"),
            ("a", " b", " b"),
            ("a ", "a b", "a b"),
            (" ", " b", "b"),
        ] {
            assert_eq!(joined(text, false, answer), told, "{answer:?} after {text:?}");
        }
        assert_eq!(joined("a \n", true, "a \nb"), "b");
    }

    #[test]
    fn citations_keep_their_place() {
        let citation = Citation {
            start: Some(1),
            end: Some(3),
            ..Citation::default()
        };
        let moved = Seam::new("é\u{1f99c}a", false).moved(citation);
        assert_eq!((moved.start, moved.end), (Some(4), Some(6)));
    }
}
