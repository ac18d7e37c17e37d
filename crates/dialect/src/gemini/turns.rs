//! `contents` as they are laid out, and how they are written.

use std::borrow::Cow;

use super::spelling::under;
use super::write_media::Blob;
use crate::ir::{Extra, Part};
use crate::raw::Raw;
use crate::writer::{Array, Object};

/// A content.
#[derive(Debug)]
pub(super) struct Turn<'r> {
    pub(super) role: &'static str,
    pub(super) entries: Vec<Entry<'r>>,
    pub(super) extra: Vec<&'r Extra>,
    /// Results of tools stand alone in their turn.
    pub(super) results: bool,
}

/// A part.
#[derive(Debug)]
pub(super) struct Entry<'r> {
    pub(super) body: Body<'r>,
    pub(super) thought: bool,
    pub(super) signature: Option<&'r str>,
    pub(super) extra: Option<&'r Extra>,
}

/// What a part is.
#[derive(Debug)]
pub(super) enum Body<'r> {
    Text(Cow<'r, str>),
    Blob(Blob<'r>),
    Call {
        name: String,
        args: Raw,
        id: Option<&'r str>,
    },
    Result {
        name: String,
        response: Raw,
        id: Option<&'r str>,
        parts: Vec<(&'r Part, Blob<'r>)>,
    },
    Raw(&'r Raw),
}

impl<'r> From<Body<'r>> for Entry<'r> {
    fn from(body: Body<'r>) -> Self {
        Self {
            body,
            thought: false,
            signature: None,
            extra: None,
        }
    }
}

/// Writes the turns.
pub(super) fn write(turns: &[Turn<'_>], it: &mut Array<'_>) {
    for turn in turns {
        it.object(|it| {
            it.text("role", turn.role);
            it.array("parts", |it| {
                for entry in &turn.entries {
                    write_entry(entry, it);
                }
            });
            for extra in &turn.extra {
                under(extra, "").for_each(|(name, value)| it.raw(name, value));
            }
        });
    }
}

fn write_entry(entry: &Entry<'_>, it: &mut Array<'_>) {
    if let (Body::Raw(raw), None) = (&entry.body, entry.signature) {
        return it.raw(raw);
    }
    it.object(|it| {
        write_body(&entry.body, entry.extra, it);
        if entry.thought {
            it.bool("thought", true);
        }
        it.some_text("thoughtSignature", entry.signature);
        for (name, value) in entry.extra.into_iter().flat_map(|extra| under(extra, "")) {
            it.raw(name, value);
        }
    });
}

fn write_body(body: &Body<'_>, extra: Option<&Extra>, it: &mut Object<'_>) {
    let nested = |place: &'static str| extra.into_iter().flat_map(move |extra| under(extra, place));
    match body {
        Body::Text(text) => it.text("text", text),
        Body::Blob(blob) => blob.write(it, extra),
        Body::Call { name, args, id } => it.object("functionCall", |it| {
            it.some_text("id", *id);
            it.text("name", name);
            it.raw("args", args);
            nested("functionCall").for_each(|(name, value)| it.raw(name, value));
        }),
        Body::Result {
            name,
            response,
            id,
            parts,
        } => it.object("functionResponse", |it| {
            it.some_text("id", *id);
            it.text("name", name);
            it.raw("response", response);
            if !parts.is_empty() {
                it.array("parts", |it| {
                    for (part, blob) in parts {
                        it.object(|it| blob.write(it, extra.map(|_| &part.extra)));
                    }
                });
            }
            nested("functionResponse").for_each(|(name, value)| it.raw(name, value));
        }),
        Body::Raw(raw) => {
            for (name, value) in raw.node().members() {
                it.raw(name, &value.to_raw());
            }
        }
    }
}
