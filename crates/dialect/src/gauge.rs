//! Reads along in an answer: the usage that it tells, and the text that nobody has counted yet.

use crate::generated::Generated;
use crate::ir::Event;
use crate::usage::{Body, Usage, UsageTap, told_by};

/// Watches one answer that passes by. It cannot fail and alters nothing.
#[derive(Debug)]
pub struct Gauge {
    tap: UsageTap,
    generated: Option<Generated>,
    is_stream: bool,
}

/// What was seen of an answer so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// What was told.
    pub told: Option<Usage>,
    /// The tokens of the text that were not counted in that, estimated.
    pub generated: u64,
}

impl Gauge {
    /// For a stream of events.
    pub fn events(body: Body) -> Self {
        Self {
            tap: UsageTap::events(body),
            generated: (body == Body::Text).then(Generated::default),
            is_stream: true,
        }
    }

    /// For a body that is one JSON text.
    pub fn json(body: Body) -> Self {
        Self {
            tap: UsageTap::json(body),
            generated: (body == Body::Text).then(Generated::default),
            is_stream: false,
        }
    }

    /// Looks for what the next piece tells. Returns whether it told how long the answer is.
    pub fn read(&mut self, piece: &[u8]) -> bool {
        self.tap.push(piece)
    }

    /// Counts the text of what is passed on: of a stream, whole events.
    pub fn count(&mut self, passed: &[u8], told: bool) {
        if told && !self.is_stream {
            // What an answer tells that is no stream is that of all of it, wherever it stands.
            self.generated = None;
        }
        let Some(generated) = &mut self.generated else {
            return;
        };
        if self.is_stream {
            generated.events(passed);
        } else {
            generated.json(passed);
        }
        if told {
            generated.told();
        }
    }

    /// What was seen so far.
    pub fn seen(&self) -> Seen {
        let told = self.tap.usage();
        Seen {
            told,
            generated: self.generated.as_ref().map_or(0, |generated| {
                generated.untold_tokens(told.map_or(0, |told| told.output))
            }),
        }
    }
}

impl Seen {
    /// What a body amounts to that is one JSON text and all there.
    pub fn whole(body: Body, text: &[u8]) -> Self {
        // By far the most tell it where all look first, and there is nothing else to look for in them.
        if matches!(body, Body::Text | Body::Data)
            && let Some(told) = told_by(body, text)
        {
            return Self {
                told: Some(told),
                generated: 0,
            };
        }
        let mut gauge = Gauge::json(body);
        let told = gauge.read(text);
        gauge.count(text, told);
        gauge.seen()
    }

    /// What a whole answer amounts to that is translated.
    pub fn of(events: &[Event]) -> Self {
        let told = events.iter().rev().find_map(|event| match event {
            Event::Usage(usage) => Some(usage),
            _ => None,
        });
        let mut generated = Generated::default();
        if told.is_none_or(|told| told.output.is_none()) {
            for event in events {
                generated.event(event);
            }
        }
        Self {
            told: told.map(Usage::from),
            generated: generated.tokens(),
        }
    }

    /// What two answers amount to together.
    #[must_use]
    pub fn and(self, more: Self) -> Self {
        let told = match (self.told, more.told) {
            (Some(one), Some(other)) => Some(one.and(other)),
            (one, other) => one.or(other),
        };
        Self {
            told,
            generated: self.generated.saturating_add(more.generated),
        }
    }
}
