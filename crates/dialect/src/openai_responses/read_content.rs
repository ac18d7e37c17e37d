//! Reads the parts of messages and of tools' answers.

use super::OWN;
use super::read_request::leftovers;
use crate::codec::Malformed;
use crate::ir::{CacheMark, Citation, Content, Media, Part};
use crate::media;
use crate::tree::Node;

/// Reads `content`: a string, or an array of parts.
pub(super) fn read_content(node: &Node<'_>, place: &str) -> Result<Vec<Part>, Malformed> {
    if let Some(text) = node.text() {
        return Ok(vec![Part::text(text)]);
    }
    if !node.is_array() && !node.is_null() {
        return Err(Malformed::field(place, "must be a string or an array"));
    }
    let read = |(at, part): (usize, &Node<'_>)| read_part(part, &format!("{place}[{at}]"));
    node.items().iter().enumerate().map(read).collect()
}

/// Whether something of this type stands in a message, not beside it.
pub(super) fn is_content(kind: &str) -> bool {
    kind.starts_with("input_") || kind.ends_with("_text") || kind == "computer_screenshot"
}

fn read_part(node: &Node<'_>, place: &str) -> Result<Part, Malformed> {
    if let Some(text) = node.text() {
        return Ok(Part::text(text));
    }
    let (content, known): (Content, &[&str]) = match node.get("type").text() {
        Some("input_text" | "output_text" | "text") => read_text(node, place)?,
        None if node.get("text").is_text() => read_text(node, place)?,
        Some("refusal") => (read_refusal(node, place)?, &["refusal"]),
        Some("input_image" | "image_url") => read_image(node, place)?,
        Some("input_file" | "file") => read_file(node, place)?,
        Some("input_audio") => read_audio(node, place)?,
        Some(kind) => {
            return Ok(Content::Foreign {
                protocol: OWN,
                kind: kind.to_owned(),
                raw: node.to_raw(),
            }
            .into());
        }
        None => return Err(Malformed::field(format!("{place}.type"), "must be a string")),
    };
    let mut extra = leftovers(node, known);
    extra
        .0
        .retain(|(name, _)| name != "type" && name != "prompt_cache_breakpoint");
    Ok(Part {
        cache: (!node.get("prompt_cache_breakpoint").is_null()).then_some(CacheMark { ttl: None }),
        extra,
        ..content.into()
    })
}

fn read_text(node: &Node<'_>, place: &str) -> Result<(Content, &'static [&'static str]), Malformed> {
    let text = string(node, "text", place)?;
    let citations = node.get("annotations").items().iter().map(read_citation).collect();
    // How likely the tokens of an earlier answer were is nothing that anybody reads again.
    Ok((
        Content::Text { text, citations },
        &["text", "annotations", "logprobs", "id"],
    ))
}

fn read_refusal(node: &Node<'_>, place: &str) -> Result<Content, Malformed> {
    Ok(Content::Refusal {
        text: string(node, "refusal", place)?,
    })
}

fn read_image(node: &Node<'_>, place: &str) -> Result<(Content, &'static [&'static str]), Malformed> {
    // Chat Completions has an object here, and some clients send it.
    let url = node.get("image_url");
    let (url, detail) = if url.is_object() {
        (url.get("url"), url.get("detail"))
    } else {
        (url, node.get("detail"))
    };
    let source = match (url.text(), node.get("file_id").string()) {
        (Some(url), _) => media::read_url(url).ok_or_else(|| {
            Malformed::field(
                format!("{place}.image_url"),
                "must be an address or a data URI in base64",
            )
        })?,
        (None, Some(id)) => Media::File { protocol: OWN, id },
        (None, None) => return Err(Malformed::field(format!("{place}.image_url"), "is missing")),
    };
    let detail = detail.string();
    Ok((Content::Image { source, detail }, &["image_url", "file_id", "detail"]))
}

fn read_file(node: &Node<'_>, place: &str) -> Result<(Content, &'static [&'static str]), Malformed> {
    let inner = if node.get("file").is_object() {
        node.get("file")
    } else {
        node
    };
    let filename = inner.get("filename").string();
    let mut title = None;
    let source = if let Some(data) = inner.get("file_data").text() {
        read_file_data(data, filename)
            .ok_or_else(|| Malformed::field(format!("{place}.file_data"), "must be base64, bare or in a data URI"))?
    } else {
        title = filename;
        match (inner.get("file_url").string(), inner.get("file_id").string()) {
            (Some(url), _) => media::read_url(&url)
                .ok_or_else(|| Malformed::field(format!("{place}.file_url"), "must be an address"))?,
            (None, Some(id)) => Media::File { protocol: OWN, id },
            (None, None) => return Err(Malformed::field(format!("{place}.file_data"), "is missing")),
        }
    };
    let document = Content::Document {
        source,
        title,
        context: None,
        citations: false,
    };
    Ok((document, &["file", "file_data", "file_url", "file_id", "filename"]))
}

fn read_file_data(data: &str, name: Option<String>) -> Option<Media> {
    match media::read_url(data)? {
        Media::Data { mime, data, .. } => Some(Media::Data {
            mime,
            data,
            filename: name,
        }),
        // It is no data URI, so it must be the bytes alone.
        _ => media::data_of(None, data, name),
    }
}

fn read_audio(node: &Node<'_>, place: &str) -> Result<(Content, &'static [&'static str]), Malformed> {
    let inner = if node.get("input_audio").is_object() {
        node.get("input_audio")
    } else {
        node
    };
    let source = inner
        .get("data")
        .text()
        .and_then(|data| media::data_of(None, data, None))
        .ok_or_else(|| Malformed::field(format!("{place}.input_audio.data"), "must be base64"))?;
    let audio = Content::Audio {
        source,
        format: inner.get("format").string(),
        transcript: None,
        id: None,
    };
    Ok((audio, &["input_audio", "data", "format"]))
}

/// Reads an annotation of a text.
pub(super) fn read_citation(node: &Node<'_>) -> Citation {
    Citation {
        url: node.get("url").string(),
        title: node.any(&["title", "filename"]).string(),
        cited: None,
        start: node.get("start_index").u64(),
        end: node.get("end_index").u64(),
        raw: Some((OWN, node.to_raw())),
    }
}

fn string(node: &Node<'_>, name: &str, place: &str) -> Result<String, Malformed> {
    node.get(name)
        .string()
        .ok_or_else(|| Malformed::field(format!("{place}.{name}"), "must be a string"))
}
