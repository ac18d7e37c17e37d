//! Reads the parts of messages.

use std::fmt::Arguments;

use super::read_request::remainder;
use crate::Protocol;
use crate::codec::Malformed;
use crate::ir::{CacheMark, Content, Extra, Media, Part, ReasoningStyle};
use crate::media;
use crate::tree::Node;

/// Reads a prompt-cache breakpoint: OpenAI's own, or Anthropic's, which many servers take.
pub(super) fn cache_mark(node: &Node<'_>) -> Option<CacheMark> {
    let mark = node.any(&["prompt_cache_breakpoint", "cache_control"]);
    mark.is_object().then(|| CacheMark {
        ttl: mark.get("ttl").string(),
    })
}

/// Reads a content: a text, or a list of parts.
pub(super) fn read(node: &Node<'_>, at: Arguments<'_>) -> Result<Vec<Part>, Malformed> {
    if let Some(text) = node.text() {
        return Ok(vec![Part::text(text)]);
    }
    if !node.is_null() && !node.is_array() {
        return Err(Malformed::field(at.to_string(), "must be a string or a list of parts"));
    }
    let parts = node.items().iter().enumerate();
    parts
        .map(|(number, part)| read_part(part, format_args!("{at}[{number}]")))
        .collect()
}

fn read_part(node: &Node<'_>, at: Arguments<'_>) -> Result<Part, Malformed> {
    if let Some(text) = node.text() {
        return Ok(Part::text(text));
    }
    if !node.is_object() {
        return Err(Malformed::field(at.to_string(), "must be an object"));
    }
    let kind = node.get("type").text().unwrap_or("text");
    let (content, known) = match kind {
        "text" | "input_text" | "output_text" => (read_text(node, at)?, "text"),
        "refusal" => (read_refusal(node, at)?, "refusal"),
        "image_url" | "input_image" => (read_image(node, at)?, "image_url"),
        "input_audio" => (read_audio(node, at)?, "input_audio"),
        "video_url" => (read_video(node, at)?, "video_url"),
        "file" => (read_file(node.get("file"), at)?, "file"),
        "thinking" => (read_thinking(node), "thinking"),
        _ => return Ok(foreign(node, kind)),
    };
    let mut extra = Extra::default();
    keep_inner(node.get(known), known, &mut extra);
    let read = ["type", known, "cache_control", "prompt_cache_breakpoint", "detail"];
    for (name, value) in node.members() {
        if !value.is_null() && !read.contains(&name.as_ref()) {
            extra.keep(name, value.to_raw());
        }
    }
    Ok(Part {
        cache: cache_mark(node),
        extra,
        ..Part::from(content)
    })
}

/// Keeps what stands inside the object of a part and was not read.
fn keep_inner(inner: &Node<'_>, name: &str, extra: &mut Extra) {
    let known: &[&str] = match name {
        "image_url" => &["url", "detail"],
        "input_audio" => &["data", "format"],
        "video_url" => &["url"],
        "file" => &["file_id", "file_data", "filename"],
        _ => return,
    };
    if let Some(rest) = remainder(inner, known) {
        extra.keep(name, rest);
    }
}

fn foreign(node: &Node<'_>, kind: &str) -> Part {
    let content = Content::Foreign {
        protocol: Protocol::OpenaiChat,
        kind: kind.to_owned(),
        raw: node.to_raw(),
    };
    content.into()
}

fn read_text(node: &Node<'_>, at: Arguments<'_>) -> Result<Content, Malformed> {
    let text = node.get("text").string();
    Ok(Content::Text {
        text: text.ok_or_else(|| Malformed::field(format!("{at}.text"), "must be a string"))?,
        citations: Vec::new(),
    })
}

fn read_refusal(node: &Node<'_>, at: Arguments<'_>) -> Result<Content, Malformed> {
    let text = node.get("refusal").string();
    Ok(Content::Refusal {
        text: text.ok_or_else(|| Malformed::field(format!("{at}.refusal"), "must be a string"))?,
    })
}

/// Mistral's thoughts: a list of texts, or a text.
fn read_thinking(node: &Node<'_>) -> Content {
    let thoughts = node.get("thinking");
    let pieces = thoughts.items().iter().map(|piece| piece.get("text").text_or_empty());
    Content::Reasoning {
        text: thoughts.string().unwrap_or_else(|| pieces.collect()),
        style: ReasoningStyle::Full,
        redacted: None,
    }
}

fn address(node: &Node<'_>, name: &str, at: Arguments<'_>) -> Result<Media, Malformed> {
    const REASON: &str = "must be a URL or a data URI in base64";
    // Some clients leave out the object around the address.
    let inner = node.get(name);
    let url = inner.text().or(inner.get("url").text()).filter(|url| !url.is_empty());
    url.and_then(media::read_url)
        .ok_or_else(|| Malformed::field(format!("{at}.{name}.url"), REASON))
}

fn read_image(node: &Node<'_>, at: Arguments<'_>) -> Result<Content, Malformed> {
    let detail = node.get("image_url").get("detail").string();
    Ok(Content::Image {
        source: address(node, "image_url", at)?,
        detail: detail.or_else(|| node.get("detail").string()),
    })
}

fn read_video(node: &Node<'_>, at: Arguments<'_>) -> Result<Content, Malformed> {
    Ok(Content::Video {
        source: address(node, "video_url", at)?,
    })
}

fn read_audio(node: &Node<'_>, at: Arguments<'_>) -> Result<Content, Malformed> {
    let inner = node.get("input_audio");
    let format = inner.get("format").string();
    let mime = format.as_deref().map(|format| match format {
        "mp3" => "audio/mpeg".to_owned(),
        other => format!("audio/{other}"),
    });
    let data = inner.get("data").text().filter(|data| !data.is_empty());
    let source = data.and_then(|data| {
        if data.starts_with("data:") {
            media::read_url(data)
        } else {
            media::data_of(mime, data, None)
        }
    });
    Ok(Content::Audio {
        source: source.ok_or_else(|| Malformed::field(format!("{at}.input_audio.data"), "must be base64"))?,
        format,
        transcript: None,
        id: None,
    })
}

/// A file: by its id, as a data URI, as bare base64, or at an address (OpenRouter).
fn read_file(node: &Node<'_>, at: Arguments<'_>) -> Result<Content, Malformed> {
    const REASON: &str = "must be base64, a data URI or a URL";
    let filename = node.get("filename").string();
    if let Some(id) = node.get("file_id").string() {
        return Ok(document(
            Media::File {
                protocol: Protocol::OpenaiChat,
                id,
            },
            filename,
        ));
    }
    let data = node.get("file_data").text().filter(|data| !data.is_empty());
    let data = data.ok_or_else(|| Malformed::field(format!("{at}.file"), "needs `file_id` or `file_data`"))?;
    let source = if data.contains(':') {
        media::read_url(data)
    } else {
        media::data_of(Some(mime_of(filename.as_deref())), data, None)
    };
    match source.ok_or_else(|| Malformed::field(format!("{at}.file.file_data"), REASON))? {
        Media::Data { mime, data, .. } => Ok(document(Media::Data { mime, data, filename }, None)),
        other => Ok(document(other, filename)),
    }
}

fn document(source: Media, title: Option<String>) -> Content {
    Content::Document {
        source,
        title,
        context: None,
        citations: false,
    }
}

/// The media type of a file by the end of its name; a PDF if that says nothing.
fn mime_of(filename: Option<&str>) -> String {
    let extension = filename
        .and_then(|name| name.rsplit_once('.'))
        .map(|(_, end)| end.to_ascii_lowercase());
    let mime = match extension.as_deref() {
        Some("txt" | "log") => "text/plain",
        Some("md") => "text/markdown",
        Some("csv") => "text/csv",
        Some("html" | "htm") => "text/html",
        Some("json") => "application/json",
        Some("docx") => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        _ => "application/pdf",
    };
    mime.to_owned()
}
