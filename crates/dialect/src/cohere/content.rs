//! What messages are made of.

use std::borrow::Cow;

use crate::field::Field;
use crate::ir::{Content, Media, Part, ReasoningStyle};
use crate::loss::{Losses, Unsayable};
use crate::media::decode_base64;
use crate::writer::{Array, Object};

/// A block of a message on the wire.
#[derive(Debug, PartialEq)]
pub(super) enum Block<'r> {
    Text(Cow<'r, str>),
    Thinking(&'r str),
    Image { url: String, detail: Option<&'static str> },
    Document { title: Option<&'r str>, text: Cow<'r, str> },
}

/// Instructions.
pub(super) fn of_system<'r>(part: &'r Part, lost: &mut Losses) -> Option<Block<'r>> {
    note(part, lost);
    text(part, lost)
}

/// What a user says.
pub(super) fn of_user<'r>(part: &'r Part, lost: &mut Losses) -> Result<Option<Block<'r>>, Unsayable> {
    note(part, lost);
    Ok(match &part.content {
        Content::Image { source, detail } => Some(image(source, detail.as_deref(), lost)?),
        Content::Audio { .. } => return Err(lost.refuse(Field::AudioInput, "the provider takes no sound")),
        Content::Video { .. } => return Err(lost.refuse(Field::Video, "the provider takes no films")),
        Content::Document {
            source,
            title,
            context,
            citations,
        } => {
            if *citations {
                lost.note(Field::Citations, "not asked for");
            }
            let text = document(source, lost)?;
            lost.note(Field::Document, "told as text");
            let head: Vec<&str> = [title.as_deref(), context.as_deref()].into_iter().flatten().collect();
            Some(Block::Text(if head.is_empty() {
                text
            } else {
                Cow::Owned(format!("{}\n\n{text}", head.join("\n")))
            }))
        }
        _ => text(part, lost),
    })
}

/// What the model said: its thoughts and its words. Calls are not among the blocks.
pub(super) fn of_assistant<'r>(part: &'r Part, lost: &mut Losses) -> Option<Block<'r>> {
    note(part, lost);
    match &part.content {
        Content::Reasoning { text, style, redacted } => {
            if redacted.is_some() || text.is_empty() {
                lost.note(Field::ReasoningHistory, "hidden thoughts dropped");
            } else if *style == ReasoningStyle::Summary {
                lost.note(Field::ReasoningHistory, "summary told as thoughts");
            }
            Some(Block::Thinking(text)).filter(|_| !text.is_empty())
        }
        Content::Audio {
            transcript: Some(words),
            ..
        } => {
            lost.note(Field::AudioInput, "told by its transcript");
            Some(Block::Text(Cow::Borrowed(words)))
        }
        Content::Image { .. } => {
            lost.note(Field::ImageData, "picture of an earlier answer dropped");
            Some(Block::Text(Cow::Borrowed("[image]")))
        }
        Content::Audio { .. } | Content::Video { .. } => {
            lost.note(Field::AudioInput, "sound of an earlier answer dropped");
            Some(Block::Text(Cow::Borrowed("[sound]")))
        }
        _ => text(part, lost),
    }
}

/// What a tool answered.
pub(super) fn of_tool<'r>(part: &'r Part, lost: &mut Losses) -> Result<Option<Block<'r>>, Unsayable> {
    note(part, lost);
    Ok(match &part.content {
        Content::Image { .. } => {
            lost.note(Field::ToolResultImage, "picture replaced by a placeholder");
            Some(Block::Text(Cow::Borrowed("[image]")))
        }
        Content::Document { source, title, .. } => Some(Block::Document {
            title: title.as_deref(),
            text: document(source, lost)?,
        }),
        _ => of_user(part, lost)?,
    })
}

/// Notes what goes with a part and cannot be sent.
pub(super) fn note(part: &Part, lost: &mut Losses) {
    if part.cache.is_some() {
        lost.note(Field::CacheMark, "not supported");
    }
    if part.signature.is_some() {
        lost.note(Field::ReasoningHistory, "proof of another provider dropped");
    }
    lost.note_extra("messages.content", &part.extra);
}

/// What everybody can say: text.
fn text<'r>(part: &'r Part, lost: &mut Losses) -> Option<Block<'r>> {
    match &part.content {
        Content::Text { text, citations } => {
            if !citations.is_empty() {
                lost.note(Field::Citations, "not sent back");
            }
            Some(Block::Text(Cow::Borrowed(text.as_str()))).filter(|_| !text.is_empty())
        }
        Content::Refusal { text } => Some(Block::Text(Cow::Borrowed(text.as_str()))).filter(|_| !text.is_empty()),
        Content::Foreign { .. } => {
            lost.note(Field::HostedTool, "not supported");
            None
        }
        _ => {
            lost.note(Field::Messages, "part dropped that its speaker cannot say");
            None
        }
    }
}

fn image(source: &Media, detail: Option<&str>, lost: &mut Losses) -> Result<Block<'static>, Unsayable> {
    let Some(url) = source.to_url("image/png") else {
        return Err(match source {
            Media::File { .. } => lost.refuse(Field::FileId, "the file is in another provider's store"),
            _ => lost.refuse(Field::ImageData, "must be an address or data"),
        });
    };
    let detail = match detail {
        None => None,
        Some("auto") => Some("auto"),
        Some("low") => Some("low"),
        Some("high") => Some("high"),
        Some(_) => {
            lost.note(Field::ImageDetail, "sent as high");
            Some("high")
        }
    };
    Ok(Block::Image { url, detail })
}

/// A document as text; refused when it is none, since the model would not see it.
fn document<'r>(source: &'r Media, lost: &Losses) -> Result<Cow<'r, str>, Unsayable> {
    match source {
        Media::Text { text, .. } => Ok(Cow::Borrowed(text)),
        Media::Data {
            mime: Some(mime), data, ..
        } if mime.starts_with("text/") => decode_base64(data)
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .map(Cow::Owned)
            .ok_or_else(|| lost.refuse(Field::Document, "must be text in UTF-8")),
        Media::File { .. } => Err(lost.refuse(Field::FileId, "the file is in another provider's store")),
        _ => Err(lost.refuse(Field::Document, "the provider takes no documents but plain text")),
    }
}

/// Writes blocks: as a string where there is one text, or nothing.
pub(super) fn write(blocks: &[Block<'_>], it: &mut Object<'_>) {
    match blocks {
        [] => it.text("content", ""),
        [Block::Text(text)] => it.text("content", text),
        _ => it.array("content", |it| {
            for block in blocks {
                write_block(block, it);
            }
        }),
    }
}

fn write_block(block: &Block<'_>, it: &mut Array<'_>) {
    it.object(|it| match block {
        Block::Text(text) => {
            it.text("type", "text");
            it.text("text", text);
        }
        Block::Thinking(thought) => {
            it.text("type", "thinking");
            it.text("thinking", thought);
        }
        Block::Image { url, detail } => {
            it.text("type", "image_url");
            it.object("image_url", |it| {
                it.text("url", url);
                it.some_text("detail", *detail);
            });
        }
        Block::Document { title, text } => {
            it.text("type", "document");
            it.object("document", |it| {
                it.object("data", |it| {
                    it.some_text("title", *title);
                    it.text("text", text);
                });
            });
        }
    });
}
