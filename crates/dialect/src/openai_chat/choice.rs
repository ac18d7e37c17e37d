//! What is remembered of a streamed choice, and how its calls are told.

use super::write_response::write_proof;
use crate::ir::Signature;
use crate::writer::Object;

/// A choice that was begun. Its index is its place: candidates are numbered in the order in which they begin to speak.
#[derive(Debug, Default)]
pub(super) struct Choice {
    pub(super) candidate: u32,
    pub(super) open: Open,
    pub(super) calls: u32,
    /// Entries of lists so far.
    pub(super) citations: u32,
    pub(super) pictures: u32,
    pub(super) reasonings: u32,
    /// Characters of text so far.
    pub(super) spoken: u64,
    /// How many of them were before the part that is open.
    pub(super) part_begins: u64,
    /// Something was said, of whatever kind.
    pub(super) said: bool,
    pub(super) told_thoughts: bool,
    pub(super) told_refusal: bool,
}

/// The part that is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Open {
    #[default]
    Nothing,
    Text,
    Refusal,
    Reasoning {
        /// Some of it was told.
        told: bool,
    },
    Call {
        index: u32,
        custom: bool,
    },
}

/// Something about a call.
pub(super) struct CallPiece<'p> {
    /// Its number among the calls of the choice.
    pub(super) index: u32,
    /// Its input is free text.
    pub(super) custom: bool,
    /// Its id, its name and its proof, told once.
    pub(super) beginning: Option<(&'p str, &'p str, Option<&'p Signature>)>,
    /// A piece of its input.
    pub(super) text: &'p str,
}

impl CallPiece<'_> {
    pub(super) fn write(&self, it: &mut Object<'_>) {
        let (kind, input) = if self.custom {
            ("custom", "input")
        } else {
            ("function", "arguments")
        };
        it.array("tool_calls", |items| {
            items.object(|it| {
                it.number("index", self.index);
                if let Some((id, ..)) = self.beginning {
                    it.text("id", id);
                    it.text("type", kind);
                }
                it.object(kind, |it| {
                    it.some_text("name", self.beginning.map(|(_, name, _)| name));
                    it.text(input, self.text);
                });
                write_proof(it, self.beginning.and_then(|(.., proof)| proof));
            });
        });
    }

    pub(super) fn write_legacy(&self, it: &mut Object<'_>) {
        it.object("function_call", |it| {
            it.some_text("name", self.beginning.map(|(_, name, _)| name));
            it.text("arguments", self.text);
        });
    }
}
