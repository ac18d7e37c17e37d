//! Writes messages of the user, and the results of tools that stand in them.

use std::borrow::Cow;

use super::write_content::{Piece, write_control, write_pieces};
use super::write_request::Scribe;
use crate::field::Field;
use crate::ir::{Content, Message, Part};
use crate::writer::{self, Array};

impl Scribe<'_> {
    /// Results of tools are messages of their own, and their pictures stand in the message of the user that follows.
    pub(super) fn user(&mut self, items: &mut Array<'_>, message: &Message) {
        let mut pieces: Vec<Piece<'_>> = Vec::new();
        let mut has_results = false;
        for part in &message.parts {
            if let Content::ToolResult { .. } = part.content {
                has_results = true;
                self.result(items, part, &mut pieces);
            }
        }
        let others = message.parts.iter();
        pieces.extend(others.filter_map(|part| self.piece(part)));
        if !self.own {
            pieces.retain(|piece| !matches!(piece, Piece::Plain(text) if text.is_empty()));
        }
        if pieces.is_empty() && (has_results || !self.own) {
            if !self.own {
                self.lost.note_extra("messages", &message.extra);
            }
            return;
        }
        items.object(|it| {
            it.text("role", "user");
            write_pieces(it, &pieces, None);
            self.rest(it, message);
        });
    }

    fn result<'p>(&mut self, items: &mut Array<'_>, part: &'p Part, hoisted: &mut Vec<Piece<'p>>) {
        let Content::ToolResult {
            id, content, is_error, ..
        } = &part.content
        else {
            return;
        };
        let mut texts: Vec<Piece<'_>> = Vec::new();
        let mut others: Vec<Piece<'_>> = Vec::new();
        for inner in content {
            let is_text = matches!(inner.content, Content::Text { .. });
            match self.piece(inner) {
                Some(piece @ Piece::Plain(_)) => texts.push(piece),
                Some(piece) if is_text => texts.push(piece),
                piece => others.extend(piece),
            }
        }
        if !others.is_empty() {
            self.lost.note(Field::ToolResultImage, "moved to the next message");
            if texts.is_empty() {
                texts.push(Piece::Plain(Cow::Borrowed("The result follows in the next message.")));
            }
            hoisted.push(Piece::Plain(Cow::Owned(format!("[Result of tool call {id}]"))));
            hoisted.append(&mut others);
        }
        if *is_error == Some(true) {
            texts = vec![Piece::Plain(Cow::Owned(failed(content)))];
            self.lost.note(Field::ToolError, "told in the text");
        }
        let id = self.call_id(id);
        let mark = part.cache.as_ref().filter(|_| self.own);
        if part.cache.is_some() && !self.own {
            self.lost.note(Field::CacheMark, "not supported");
        }
        let joint = if self.own { None } else { Some("\n") };
        items.object(|it| {
            it.text("role", "tool");
            it.text("tool_call_id", &id);
            write_pieces(it, &texts, joint);
            if let Some(mark) = mark {
                write_control(it, mark);
            }
        });
    }
}

/// What a tool that failed answered, so that the model sees that it failed.
fn failed(content: &[Part]) -> String {
    let texts = content.iter().filter_map(|part| match &part.content {
        Content::Text { text, .. } => Some(text.as_str()),
        _ => None,
    });
    let text = texts.collect::<Vec<_>>().join("\n");
    writer::raw_object(|it| it.text("error", &text)).as_str().to_owned()
}
