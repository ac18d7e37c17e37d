//! Pictures, sound, films and documents as `inlineData` and `fileData`.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::read_media::{is_film, is_stored, mime_of_name};
use super::spelling::under;
use crate::field::Field;
use crate::ir::{Content, Extra, Media};
use crate::loss::{Losses, Unsayable};
use crate::protocol::Protocol;
use crate::writer::Object;

/// Bytes, or where they are.
#[derive(Debug)]
pub(super) enum Blob<'a> {
    /// Here.
    Inline {
        mime: Cow<'a, str>,
        data: Cow<'a, str>,
        name: Option<&'a str>,
    },
    /// At an address.
    Uri { uri: &'a str, mime: Option<Cow<'a, str>> },
}

impl<'a> Blob<'a> {
    /// The source of a content and its media type; `None` for what is no media.
    pub(super) fn of(content: &'a Content) -> Option<Self> {
        let (source, mime) = source_of(content)?;
        Some(match source {
            Media::Data {
                mime: known,
                data,
                filename,
            } => Self::Inline {
                mime: known.as_deref().map_or(mime, Cow::Borrowed),
                data: Cow::Borrowed(data),
                name: filename.as_deref(),
            },
            Media::Text { text, filename } => Self::Inline {
                mime: Cow::Borrowed("text/plain"),
                data: Cow::Owned(STANDARD.encode(text)),
                name: filename.as_deref(),
            },
            Media::Url { url, mime: known } => {
                let guessed = known.as_deref().or_else(|| mime_of_name(url));
                let mime = guessed.map_or(mime, Cow::Borrowed);
                Self::Uri {
                    uri: url,
                    mime: (known.is_some() || !is_film(url)).then_some(mime),
                }
            }
            Media::File { id, .. } => Self::Uri { uri: id, mime: None },
        })
    }

    /// Writes it as a member of a part.
    pub(super) fn write(&self, it: &mut Object<'_>, extra: Option<&Extra>) {
        let nested = |place: &'static str| extra.into_iter().flat_map(move |extra| under(extra, place));
        match self {
            Self::Inline { mime, data, name } => it.object("inlineData", |it| {
                it.text("mimeType", mime);
                it.text("data", data);
                // Google's own API refuses the name, so it is only sent to callers and by those who gave it.
                it.some_text("displayName", name.filter(|_| extra.is_some()));
                nested("inlineData").for_each(|(name, value)| it.raw(name, value));
            }),
            Self::Uri { uri, mime } => it.object("fileData", |it| {
                it.some_text("mimeType", mime.as_deref());
                it.text("fileUri", uri);
                nested("fileData").for_each(|(name, value)| it.raw(name, value));
            }),
        }
    }
}

/// The source of a content, and its media type where the source does not tell it.
fn source_of(content: &Content) -> Option<(&Media, Cow<'_, str>)> {
    match content {
        Content::Image { source, .. } => Some((source, Cow::Borrowed("image/jpeg"))),
        Content::Audio { source, format, .. } => {
            let mime = format.as_ref().map_or(Cow::Borrowed("audio/wav"), |format| {
                Cow::Owned(format!("audio/{format}"))
            });
            Some((source, mime))
        }
        Content::Video { source } => Some((source, Cow::Borrowed("video/mp4"))),
        Content::Document { source, .. } => Some((source, Cow::Borrowed("application/pdf"))),
        _ => None,
    }
}

/// Says what of a medium does not reach the model, or that it cannot be sent.
pub(super) fn check(content: &Content, from: Protocol, is_older: bool, lost: &mut Losses) -> Result<(), Unsayable> {
    if let Content::Document {
        title,
        context,
        citations,
        ..
    } = content
    {
        if title.is_some() || context.is_some() {
            lost.note(Field::DocumentTitle, "not supported");
        }
        if *citations {
            lost.note(Field::Citations, "not supported");
        }
    }
    let field = match content {
        Content::Image { .. } => Field::ImageUrl,
        Content::Audio { .. } => Field::AudioInput,
        Content::Video { .. } => Field::Video,
        _ => Field::Document,
    };
    match source_of(content).map(|(source, _)| source) {
        Some(Media::File { protocol, .. }) if *protocol != Protocol::Gemini => {
            Err(lost.refuse(Field::FileId, "the file is in another provider's store; send its data"))
        }
        Some(Media::Url { url, .. }) => check_url(url, field, is_older, lost),
        Some(Media::Data { filename: Some(_), .. } | Media::Text { filename: Some(_), .. })
            if from != Protocol::Gemini =>
        {
            lost.note(Field::DocumentTitle, "not supported");
            Ok(())
        }
        _ => Ok(()),
    }
}

fn check_url(url: &str, field: Field, is_older: bool, lost: &mut Losses) -> Result<(), Unsayable> {
    if is_stored(url) || is_film(url) {
        return Ok(());
    }
    let is_web = url.starts_with("https://") || url.starts_with("http://");
    if !is_web {
        return Err(lost.refuse(field, "this kind of address cannot be fetched; send the data itself"));
    }
    if is_older {
        return Err(lost.refuse(field, "this model does not fetch addresses; send it as data"));
    }
    lost.note(
        field,
        "sent as an address, which the provider fetches only if it is public",
    );
    Ok(())
}
