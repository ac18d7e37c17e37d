//! Reads `inlineData` and `fileData`.

use super::spelling::Fields;
use crate::ir::{Content, Extra, Media};
use crate::media;
use crate::protocol::Protocol;
use crate::tree::Node;

/// How addresses begin that only Google can read.
const STORES: [&str; 3] = ["gs://", "files/", "https://generativelanguage.googleapis.com/"];

/// How addresses of films begin that Gemini watches itself.
const FILMS: [&str; 4] = [
    "https://www.youtube.com/",
    "https://youtube.com/",
    "https://youtu.be/",
    "https://m.youtube.com/",
];

/// Whether only Google can read what is at the address.
pub(super) fn is_stored(url: &str) -> bool {
    STORES.iter().any(|store| url.starts_with(store))
}

/// Whether a film is at the address that Gemini watches itself.
pub(super) fn is_film(url: &str) -> bool {
    FILMS.iter().any(|films| url.starts_with(films))
}

/// Reads an `inlineData`; what is wrong with it when it cannot be read.
pub(super) fn read_inline(node: &Node<'_>, extra: &mut Extra) -> Result<Content, &'static str> {
    let mut fields = Fields::of(node);
    let mime = fields.take("mimeType").text().map(str::to_ascii_lowercase);
    let data = fields.take("data").text().ok_or("must have `data`, a string")?;
    let filename = fields.take("displayName").string();
    fields.keep_rest("inlineData", extra);
    let plain = mime
        .as_deref()
        .is_some_and(|mime| mime.split(';').next() == Some("text/plain"));
    if plain
        && let Some(bytes) = media::decode_base64(data)
        && let Ok(text) = String::from_utf8(bytes)
    {
        return Ok(document(Media::Text { text, filename }));
    }
    let source = media::data_of(mime, data, filename).ok_or("must have base64 as its `data`")?;
    let mime = match &source {
        Media::Data { mime, .. } => mime.clone(),
        _ => None,
    };
    Ok(content_of(mime.as_deref(), source))
}

/// Reads a `fileData`.
pub(super) fn read_file(node: &Node<'_>, extra: &mut Extra) -> Result<Content, &'static str> {
    let mut fields = Fields::of(node);
    let url = fields.take("fileUri").string().ok_or("must have `fileUri`, a string")?;
    let mime_type = fields.take("mimeType");
    let mime = mime_type.text().map(str::to_ascii_lowercase);
    fields.keep_rest("fileData", extra);
    if is_stored(&url) {
        if mime.is_some() {
            extra.keep("fileData.mimeType", mime_type.to_raw());
        }
        let source = Media::File {
            protocol: Protocol::Gemini,
            id: url,
        };
        return Ok(content_of(mime.as_deref(), source));
    }
    let kind = mime.clone().or_else(|| is_film(&url).then(|| "video/mp4".to_owned()));
    let kind = kind.or_else(|| mime_of_name(&url).map(str::to_owned));
    Ok(content_of(kind.as_deref(), Media::Url { url, mime }))
}

fn content_of(mime: Option<&str>, source: Media) -> Content {
    let mime = mime.unwrap_or_default();
    match mime.split('/').next() {
        Some("image") => Content::Image { source, detail: None },
        Some("audio") => Content::Audio {
            source,
            format: format_of(mime).map(str::to_owned),
            transcript: None,
            id: None,
        },
        Some("video") => Content::Video { source },
        _ => document(source),
    }
}

fn document(source: Media) -> Content {
    Content::Document {
        source,
        title: None,
        context: None,
        citations: false,
    }
}

/// The name of a format of sound.
fn format_of(mime: &str) -> Option<&str> {
    let name = mime.strip_prefix("audio/")?.split(';').next()?;
    Some(match name {
        "x-wav" | "wave" | "vnd.wave" => "wav",
        "mpeg" => "mp3",
        name => name,
    })
}

/// The media type that the end of an address tells.
pub(super) fn mime_of_name(url: &str) -> Option<&'static str> {
    let path = url.split(['?', '#']).next().unwrap_or(url);
    let name = path.rsplit('/').next().unwrap_or(path);
    let (_, ending) = name.rsplit_once('.')?;
    Some(match ending.to_ascii_lowercase().as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "gif" => "image/gif",
        "heic" => "image/heic",
        "heif" => "image/heif",
        "bmp" => "image/bmp",
        "pdf" => "application/pdf",
        "txt" => "text/plain",
        "html" | "htm" => "text/html",
        "csv" => "text/csv",
        "md" => "text/markdown",
        "json" => "application/json",
        "wav" => "audio/wav",
        "mp3" => "audio/mp3",
        "ogg" => "audio/ogg",
        "flac" => "audio/flac",
        "mp4" => "video/mp4",
        "mov" => "video/quicktime",
        "webm" => "video/webm",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inline(json: &str) -> Result<Content, &'static str> {
        read_inline(&Node::parse_text(json).unwrap(), &mut Extra::default())
    }

    #[test]
    fn base64_of_either_alphabet_becomes_standard() {
        let Ok(Content::Image { source, .. }) = inline(r#"{"data":"__77","mime_type":"image/png"}"#) else {
            panic!("an image");
        };
        assert_eq!(source.to_url("").unwrap(), "data:image/png;base64,//77");
        assert!(inline(r#"{"data":"%%"}"#).is_err() && inline("{}").is_err());
    }

    #[test]
    fn the_media_type_tells_what_it_is() {
        assert!(matches!(
            inline(r#"{"data":"YQ==","mimeType":"application/pdf"}"#),
            Ok(Content::Document { .. })
        ));
        assert!(matches!(
            inline(r#"{"data":"YQ==","mimeType":"video/mp4"}"#),
            Ok(Content::Video { .. })
        ));
        assert!(
            matches!(inline(r#"{"data":"YQ==","mimeType":"audio/mpeg"}"#), Ok(Content::Audio { format: Some(format), .. }) if format == "mp3")
        );
        assert!(matches!(
            inline(r#"{"data":"YcOk","mimeType":"text/plain","displayName":"n"}"#),
            Ok(Content::Document { source: Media::Text { text, filename: Some(_) }, .. }) if text == "aä"
        ));
    }

    #[test]
    fn files_of_google_are_told_from_addresses() {
        let read = |json: &str| read_file(&Node::parse_text(json).unwrap(), &mut Extra::default()).unwrap();
        assert!(matches!(
            read(r#"{"fileUri":"gs://b/x.png","mimeType":"image/png"}"#),
            Content::Image {
                source: Media::File { .. },
                ..
            }
        ));
        assert!(matches!(
            read(r#"{"file_uri":"https://youtu.be/x"}"#),
            Content::Video {
                source: Media::Url { .. }
            }
        ));
        assert!(matches!(
            read(r#"{"fileUri":"https://a/b.jpg?c=d.pdf"}"#),
            Content::Image {
                source: Media::Url { mime: None, .. },
                ..
            }
        ));
    }
}
