//! Counts the text that a model generates while it passes by, to estimate the tokens of answers whose usage never comes: the
//! caller hangs up, the stream breaks off, the provider does not tell.
//!
//! It knows no protocol, but the few names under which all of them carry what was generated. In a stream, most of an event
//! is not looked at: it begins where the generated text must be.

mod strings;

#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use memchr::memmem::Finder;

use crate::estimate::Letters;
use crate::ir::{Content, Delta, Event, Opened, Part};
use strings::Strings;

/// Where the generated text of an event begins, and what else must be there for that to be so.
struct Place {
    begins: Finder<'static>,
    sign: Option<Finder<'static>>,
}

/// Chat, Responses, Anthropic and Cohere; Gemini; the older completions, whose members have no order.
static PLACES: LazyLock<[Place; 3]> = LazyLock::new(|| {
    let place = |begins, sign: Option<&'static str>| Place {
        begins: Finder::new(begins),
        sign: sign.map(Finder::new),
    };
    [
        place("\"delta\"", None),
        place("\"candidates\"", None),
        place("\"choices\"", Some("\"text_completion\"")),
    ]
});

/// Of a stream, so many bytes are looked at closely.
const CLOSELY: u64 = 2 * 1024;

/// After them, at most this part, and less and less the longer the stream is. It stands for the rest: an estimate it is in any
/// case.
const AN_EIGHTH: u64 = 8;

/// The text that was generated so far.
#[derive(Clone, Debug, Default)]
pub struct Generated {
    strings: Strings,
    /// The bytes of the events that have passed, and of those that were looked at.
    passed: u64,
    looked_at: u64,
    /// When so many have passed, the next is looked at.
    next: u64,
    /// What there was when somebody who knows counted the tokens.
    told: Option<(Letters, u64, u64)>,
    /// Where the events of this stream have their text: a number in [`PLACES`]. `None` until the first that has some.
    place: Option<usize>,
}

impl Generated {
    /// The tokens of the text, estimated.
    pub fn tokens(&self) -> u64 {
        tokens(self.strings.letters(), self.passed, self.looked_at)
    }

    /// The tokens of the text beyond those of the answer that were told last, estimated: those of the text since then. A count
    /// that came before any text (Anthropic begins with one) is that of the first tokens.
    pub fn untold_tokens(&self, told: u64) -> u64 {
        let counted = match self.told {
            Some((letters, passed, looked_at)) if letters != Letters::default() => tokens(letters, passed, looked_at),
            _ => told,
        };
        self.tokens().saturating_sub(counted)
    }

    /// All of the text so far was counted by its provider.
    pub fn told(&mut self) {
        self.told = Some((self.strings.letters(), self.passed, self.looked_at));
    }

    /// Looks at whole events of a stream.
    pub fn events(&mut self, events: &[u8]) {
        let length = events.len() as u64;
        self.passed = self.passed.saturating_add(length);
        if self.passed > CLOSELY && self.passed < self.next {
            return;
        }
        let unseen = (self.passed / AN_EIGHTH).max(length.saturating_mul(AN_EIGHTH));
        self.next = self.passed.saturating_add(unseen);
        self.looked_at = self.looked_at.saturating_add(length);
        self.look_at(events);
    }

    fn look_at(&mut self, mut events: &[u8]) {
        while self.place.is_none() && !events.is_empty() {
            let (line, rest) =
                events.split_at(memchr::memchr2(b'\n', b'\r', events).map_or(events.len(), |end| end + 1));
            self.place = PLACES.iter().position(|place| place.is_in(line));
            if self.place.is_none() {
                events = rest;
            }
        }
        let Some(place) = self.place.and_then(|place| PLACES.get(place)) else {
            return;
        };
        while let Some(start) = place.begins.find(events) {
            let (_, text) = events.split_at(start);
            let (line, rest) = text.split_at(memchr::memchr2(b'\n', b'\r', text).unwrap_or(text.len()));
            self.strings.begin();
            self.strings.push(line);
            events = rest;
        }
    }

    /// Looks at the next piece of the JSON text that an answer is.
    pub fn json(&mut self, piece: &[u8]) {
        self.strings.push(piece);
    }

    /// Looks at an event of an answer that is translated.
    pub fn event(&mut self, event: &Event) {
        let usage = match event {
            Event::Usage(usage) => Some(usage),
            Event::Start(start) => start.usage.as_ref(),
            _ => None,
        };
        if usage.is_some_and(|usage| usage.output.is_some()) {
            self.told();
        }
        let (Event::Delta {
            delta: Delta::Text(text) | Delta::Arguments(text),
            ..
        }
        | Event::PartStart {
            opened:
                Opened::Whole(Part {
                    content: Content::Text { text, .. } | Content::Refusal { text } | Content::Reasoning { text, .. },
                    ..
                }),
            ..
        }) = event
        else {
            return;
        };
        self.strings.add(Letters::of(text.as_bytes()));
    }
}

/// The tokens of the letters in what was looked at, in proportion to all that has passed.
fn tokens(letters: Letters, passed: u64, looked_at: u64) -> u64 {
    let seen = letters.tokens();
    if passed == looked_at {
        return seen;
    }
    let in_proportion = u128::from(seen) * u128::from(passed) / u128::from(looked_at.max(1));
    u64::try_from(in_proportion).unwrap_or(u64::MAX)
}

impl Place {
    fn is_in(&self, line: &[u8]) -> bool {
        self.begins.find(line).is_some() && self.sign.as_ref().is_none_or(|sign| sign.find(line).is_some())
    }
}
