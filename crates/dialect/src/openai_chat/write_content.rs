//! Writes the parts of messages.

use std::borrow::Cow;

use super::write_request::Scribe;
use crate::field::Field;
use crate::ir::{CacheMark, Content, Media, Part};
use crate::media;
use crate::openai_models;
use crate::raw::Raw;
use crate::writer::{self, Object};
use crate::{Dialect, Protocol};

/// A part as it is written.
pub(super) enum Piece<'a> {
    /// A text with nothing to it.
    Plain(Cow<'a, str>),
    /// An object.
    Object(Raw),
}

/// How a prompt-cache breakpoint is spelled.
#[derive(Clone, Copy)]
enum MarkStyle {
    /// OpenAI's way.
    Breakpoint,
    /// Anthropic's way, which many servers take.
    Control,
}

/// Writes `content`: a string where a single text is all there is, since not every server takes lists. `joint` joins
/// several texts to one; without it they stay apart.
pub(super) fn write_pieces(it: &mut Object<'_>, pieces: &[Piece<'_>], joint: Option<&str>) {
    let plain: Option<Vec<&str>> = pieces
        .iter()
        .map(|piece| match piece {
            Piece::Plain(text) => Some(text.as_ref()),
            Piece::Object(_) => None,
        })
        .collect();
    match (plain.as_deref(), joint) {
        (Some([]), _) => it.text("content", ""),
        (Some([text]), _) => it.text("content", text),
        (Some(texts), Some(joint)) => it.text("content", &texts.join(joint)),
        _ => it.array("content", |items| {
            for piece in pieces {
                match piece {
                    Piece::Plain(text) => items.object(|it| {
                        it.text("type", "text");
                        it.text("text", text);
                    }),
                    Piece::Object(raw) => items.raw(raw),
                }
            }
        }),
    }
}

/// Writes the members of an object that was kept.
pub(super) fn write_members(it: &mut Object<'_>, kept: Option<&Raw>) {
    let Some(kept) = kept else { return };
    for (name, value) in kept.node().members() {
        it.raw(name, &value.to_raw());
    }
}

impl Scribe<'_> {
    /// A part of a message of the user or the system; `None` when it cannot be said.
    pub(super) fn piece<'p>(&mut self, part: &'p Part) -> Option<Piece<'p>> {
        match &part.content {
            Content::Text { text, .. } => Some(self.text(part, Cow::Borrowed(text))),
            Content::Refusal { text } => Some(Piece::Plain(Cow::Borrowed(text))),
            Content::Image { source, detail } => self.image(part, source, detail.as_deref()),
            Content::Audio { source, format, .. } => self.audio(part, source, format.as_deref()),
            Content::Video { source } => self.video(part, source),
            Content::Document { .. } => self.document(part),
            Content::Foreign { protocol, raw, .. } if *protocol == Protocol::OpenaiChat => {
                Some(Piece::Object(raw.clone()))
            }
            Content::Foreign { .. } => {
                self.lost.note(Field::HostedTool, "not supported");
                None
            }
            // These have places of their own.
            Content::Reasoning { .. } | Content::ToolCall { .. } | Content::ToolResult { .. } => None,
        }
    }

    /// A part with a type, the object of that type, and what else there is to it.
    fn object(&mut self, part: &Part, kind: &str, fill: impl FnOnce(&mut Object<'_>)) -> Piece<'static> {
        let mark = self.mark_of(part.cache.as_ref(), kind == "text");
        let own = self.own;
        if !own {
            self.lost.note_extra("messages", &part.extra);
        }
        Piece::Object(writer::raw_object(|it| {
            it.text("type", kind);
            if kind == "text" {
                fill(it);
            } else {
                it.object(kind, |it| {
                    fill(it);
                    if own {
                        write_members(it, part.extra.get(kind));
                    }
                });
            }
            write_mark(it, mark);
            for (name, value) in part.extra.0.iter().filter(|(name, _)| own && name != kind) {
                it.raw(name, value);
            }
        }))
    }

    fn text<'p>(&mut self, part: &Part, text: Cow<'p, str>) -> Piece<'p> {
        if part.cache.is_none() && part.extra.is_empty() {
            return Piece::Plain(text);
        }
        let silent = part.extra.is_empty() && self.mark_style(true).is_none();
        if silent || (!self.own && self.mark_style(true).is_none()) {
            self.mark_of(part.cache.as_ref(), true);
            self.lost.note_extra("messages", &part.extra);
            return Piece::Plain(text);
        }
        self.object(part, "text", |it| it.text("text", &text))
    }

    fn mark_style(&self, on_text: bool) -> Option<MarkStyle> {
        if openai_models::takes_cache_marks(self.target.model) {
            // OpenAI refuses marks on pictures.
            return on_text.then_some(MarkStyle::Breakpoint);
        }
        self.own.then_some(MarkStyle::Control)
    }

    fn mark_of<'m>(&mut self, mark: Option<&'m CacheMark>, on_text: bool) -> Option<(MarkStyle, &'m CacheMark)> {
        let mark = mark?;
        let style = self.mark_style(on_text);
        if style.is_none() {
            self.lost.note(Field::CacheMark, "not supported");
        }
        if matches!(style, Some(MarkStyle::Breakpoint)) && mark.ttl.as_deref().is_some_and(|ttl| !is_openais(ttl)) {
            self.lost.note(Field::CacheMark, "lifetime left to the provider");
        }
        Some((style?, mark))
    }

    fn image(&mut self, part: &Part, source: &Media, detail: Option<&str>) -> Option<Piece<'static>> {
        let Some(url) = source.to_url("image/png") else {
            self.refuse(Field::FileId, "a picture must be given as data or at an address");
            return None;
        };
        let known = detail.filter(|detail| self.own || matches!(*detail, "auto" | "low" | "high" | "original"));
        if known != detail {
            self.lost.note(Field::ImageDetail, "not supported");
        }
        Some(self.object(part, "image_url", |it| {
            it.text("url", &url);
            it.some_text("detail", known);
        }))
    }

    fn audio(&mut self, part: &Part, source: &Media, format: Option<&str>) -> Option<Piece<'static>> {
        let Media::Data { mime, data, .. } = source else {
            self.refuse(Field::AudioInput, "sound must be given as data");
            return None;
        };
        let format = format.or_else(|| mime.as_deref().map(format_of)).unwrap_or("wav");
        Some(self.object(part, "input_audio", |it| {
            it.text("data", data);
            it.text("format", format);
        }))
    }

    fn video(&mut self, part: &Part, source: &Media) -> Option<Piece<'static>> {
        match source.to_url("video/mp4") {
            Some(url) if self.own => Some(self.object(part, "video_url", |it| it.text("url", &url))),
            _ => {
                self.refuse(Field::Video, "films cannot be sent to this provider");
                None
            }
        }
    }

    fn document<'p>(&mut self, part: &'p Part) -> Option<Piece<'p>> {
        let Content::Document {
            source,
            title,
            context,
            citations,
        } = &part.content
        else {
            return None;
        };
        if *citations {
            self.lost.note(Field::Citations, "not supported");
        }
        let title = title.as_deref();
        match source {
            Media::Text { text, filename } => {
                let text = told(text, title.or(filename.as_deref()), context.as_deref());
                Some(self.text(part, Cow::Owned(text)))
            }
            Media::Data { mime, data, filename } => {
                let title = title.or(filename.as_deref());
                if !self.own
                    && let Some(text) = plain_text(mime.as_deref(), data)
                {
                    return Some(self.text(part, Cow::Owned(told(&text, title, context.as_deref()))));
                }
                self.note_context(context.as_deref());
                Some(self.file(part, mime.as_deref(), data, title))
            }
            Media::File { protocol, id } if protocol.dialect() == Dialect::OpenAi => {
                self.note_context(context.as_deref());
                Some(self.object(part, "file", |it| {
                    it.text("file_id", id);
                    it.some_text("filename", title);
                }))
            }
            Media::File { .. } => {
                self.refuse(
                    Field::FileId,
                    "the file is in another provider's store; send it as data",
                );
                None
            }
            // OpenRouter takes addresses there.
            Media::Url { url, .. } if self.own => Some(self.object(part, "file", |it| {
                it.some_text("filename", title);
                it.text("file_data", url);
            })),
            Media::Url { .. } => {
                self.refuse(Field::Document, "a document must be given as data, not at an address");
                None
            }
        }
    }

    fn note_context(&mut self, context: Option<&str>) {
        if context.is_some() {
            self.lost.note(Field::DocumentTitle, "context not supported");
        }
    }

    fn file(&mut self, part: &Part, mime: Option<&str>, data: &str, title: Option<&str>) -> Piece<'static> {
        let mime = mime.unwrap_or("application/pdf");
        let extension = if mime == "application/pdf" { ".pdf" } else { "" };
        let filename = match title {
            Some(title) if self.own || title.contains('.') => title.to_owned(),
            Some(title) => format!("{title}{extension}"),
            // OpenAI insists on a name.
            None => format!("document{extension}"),
        };
        let url = format!("data:{mime};base64,{data}");
        self.object(part, "file", |it| {
            it.text("filename", &filename);
            it.text("file_data", &url);
        })
    }
}

fn is_openais(ttl: &str) -> bool {
    matches!(ttl, "30m" | "12h")
}

fn write_mark(it: &mut Object<'_>, mark: Option<(MarkStyle, &CacheMark)>) {
    match mark {
        Some((MarkStyle::Breakpoint, mark)) => it.object("prompt_cache_breakpoint", |it| {
            it.text("mode", "explicit");
            it.some_text("ttl", mark.ttl.as_deref().filter(|ttl| is_openais(ttl)));
        }),
        Some((MarkStyle::Control, mark)) => write_control(it, mark),
        None => {}
    }
}

/// Writes a breakpoint as Anthropic spells it.
pub(super) fn write_control(it: &mut Object<'_>, mark: &CacheMark) {
    it.object("cache_control", |it| {
        it.text("type", "ephemeral");
        it.some_text("ttl", mark.ttl.as_deref());
    });
}

/// The format of a sound by its media type.
fn format_of(mime: &str) -> &str {
    match mime.strip_prefix("audio/").unwrap_or(mime) {
        "mpeg" | "mpga" => "mp3",
        "x-wav" | "wave" | "vnd.wave" => "wav",
        other => other,
    }
}

/// The text of a document that is one; `None` for every other.
fn plain_text(mime: Option<&str>, data: &str) -> Option<String> {
    let mime = mime?;
    if !mime.starts_with("text/") && mime != "application/json" {
        return None;
    }
    String::from_utf8(media::decode_base64(data)?).ok()
}

/// A document as a text, with what is known about it before.
fn told(text: &str, title: Option<&str>, context: Option<&str>) -> String {
    let mut told = String::with_capacity(text.len());
    for line in [title, context].into_iter().flatten() {
        told.push_str(line);
        told.push('\n');
    }
    if !told.is_empty() {
        told.push('\n');
    }
    told.push_str(text);
    told
}
