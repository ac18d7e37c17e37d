//! Reads messages and their blocks.

use super::citations;
use super::extras::keep_rest;
use super::read_request::{optional, read_cache};
use crate::codec::Malformed;
use crate::ir::{Content, Extra, Media, Message, Part, ReasoningStyle, Role, Signature, ToolInput};
use crate::media;
use crate::protocol::Protocol;
use crate::signature::REDACTED;
use crate::tree::Node;

/// The name under which the extras of a part keep the block that the part stands for.
///
/// The part says the same in words that every protocol has; this protocol gets the block itself.
pub(super) const WHOLE_BLOCK: &str = "search_result";

pub(super) fn message(node: &Node<'_>, index: usize) -> Result<Message, Malformed> {
    let place = format!("messages[{index}]");
    if !node.is_object() {
        return Err(Malformed::field(place, "must be an object"));
    }
    let role = match node.get("role").text() {
        Some("user") => Role::User,
        Some("assistant") => Role::Assistant,
        Some("system") => Role::System,
        _ => {
            return Err(Malformed::field(
                format!("{place}.role"),
                "must be `user`, `assistant` or `system`",
            ));
        }
    };
    let parts = content(node.get("content"), &format!("{place}.content"))?;
    let mut message = Message::new(role, parts);
    keep_rest(node, &["role", "content"], "", &mut message.extra);
    Ok(message)
}

/// A string or an array of blocks.
fn content(node: &Node<'_>, place: &str) -> Result<Vec<Part>, Malformed> {
    if let Some(text) = node.text() {
        return Ok(if text.is_empty() {
            Vec::new()
        } else {
            vec![Part::text(text)]
        });
    }
    if node.is_null() {
        return Err(Malformed::field(place, "is missing"));
    }
    if !node.is_array() {
        return Err(Malformed::field(place, "must be a string or an array of blocks"));
    }
    let blocks = node.items().iter().enumerate();
    blocks
        .map(|(index, node)| block(node, &format!("{place}[{index}]")))
        .collect()
}

/// One block.
pub(super) fn block(node: &Node<'_>, place: &str) -> Result<Part, Malformed> {
    if let Some(text) = node.text() {
        return Ok(Part::text(text));
    }
    if !node.is_object() {
        return Err(Malformed::field(place, "must be a block"));
    }
    let kind = match node.get("type").text() {
        Some(kind) => kind,
        // Some clients leave the type of a text out.
        None if node.get("text").is_text() => "text",
        None => return Err(Malformed::field(format!("{place}.type"), "must be a string")),
    };
    let mut extra = Extra::default();
    let (content, signature, known): (Content, Option<Signature>, &[&str]) = match kind {
        "text" => (text(node, place)?, None, &["text", "citations"]),
        "image" | "document" if is_unknown_source(node.get("source")) => return foreign(node, kind, place),
        "image" => (image(node.get("source"), place)?, None, &["source"]),
        "document" => {
            let known = &["source", "title", "context", "citations"];
            (document(node, place, &mut extra)?, None, known)
        }
        "search_result" => return search_result(node, place),
        "thinking" => {
            let (content, signature) = thinking(node, place)?;
            (content, signature, &["thinking", "signature"])
        }
        "redacted_thinking" => {
            let (content, signature) = redacted(node, place)?;
            (content, Some(signature), &["data"])
        }
        "tool_use" => (tool_use(node, place)?, None, &["id", "name", "input"]),
        "tool_result" => (tool_result(node, place)?, None, &["tool_use_id", "content", "is_error"]),
        _ => return foreign(node, kind, place),
    };
    let cache = read_cache(node.get("cache_control"), &format!("{place}.cache_control"), &mut extra)?;
    let known: Vec<&str> = known.iter().chain(&["type", "cache_control"]).copied().collect();
    keep_rest(node, &known, "", &mut extra);
    Ok(Part {
        content,
        cache,
        signature,
        extra,
    })
}

/// A string that must be there.
fn required(node: &Node<'_>, key: &str, place: &str) -> Result<String, Malformed> {
    node.get(key)
        .string()
        .ok_or_else(|| Malformed::field(format!("{place}.{key}"), "must be a string"))
}

fn text(node: &Node<'_>, place: &str) -> Result<Content, Malformed> {
    Ok(Content::Text {
        text: required(node, "text", place)?,
        citations: node.get("citations").items().iter().map(citations::read).collect(),
    })
}

fn is_unknown_source(source: &Node<'_>) -> bool {
    let known = ["base64", "url", "file", "text", "content"];
    source.get("type").text().is_some_and(|kind| !known.contains(&kind))
}

fn image(source: &Node<'_>, place: &str) -> Result<Content, Malformed> {
    Ok(Content::Image {
        source: self::source(source, place)?,
        detail: None,
    })
}

fn document(node: &Node<'_>, place: &str, extra: &mut Extra) -> Result<Content, Malformed> {
    let source = node.get("source");
    let media = if source.get("type").text() == Some("content") {
        let inner = source.get("content");
        if inner.is_array() {
            // The boundaries between its blocks matter only for citations, which only this protocol makes.
            extra.keep("source", source.to_raw());
        }
        Media::Text {
            text: joined(inner),
            filename: None,
        }
    } else {
        self::source(source, place)?
    };
    let citations = node.get("citations");
    Ok(Content::Document {
        source: media,
        title: node.get("title").string(),
        context: node.get("context").string(),
        citations: citations.get("enabled").bool().unwrap_or(false),
    })
}

fn source(node: &Node<'_>, place: &str) -> Result<Media, Malformed> {
    let field = |name: &str| format!("{place}.source{name}");
    let place = field("");
    match node.get("type").text() {
        Some("base64") => {
            let mime = node.get("media_type").string();
            media::data_of(mime, &required(node, "data", &place)?, None)
                .ok_or_else(|| Malformed::field(field(".data"), "must be base64"))
        }
        Some("url") => media::read_url(&required(node, "url", &place)?)
            .ok_or_else(|| Malformed::field(field(".url"), "must be an address")),
        Some("file") => Ok(Media::File {
            protocol: Protocol::Anthropic,
            id: required(node, "file_id", &place)?,
        }),
        Some("text") => Ok(Media::Text {
            text: required(node, "data", &place)?,
            filename: None,
        }),
        _ => Err(Malformed::field(field(".type"), "must be a known kind of source")),
    }
}

/// The texts of a string or of blocks.
fn joined(node: &Node<'_>) -> String {
    if let Some(text) = node.text() {
        return text.to_owned();
    }
    let texts: Vec<&str> = node
        .items()
        .iter()
        .filter_map(|block| block.get("text").text())
        .collect();
    texts.join("\n\n")
}

/// A result of the caller's own search is a document to everybody else.
fn search_result(node: &Node<'_>, place: &str) -> Result<Part, Malformed> {
    let mut part = Part::from(Content::Document {
        source: Media::Text {
            text: joined(node.get("content")),
            filename: None,
        },
        title: node.get("title").string(),
        context: node.get("source").string(),
        citations: node.get("citations").get("enabled").bool().unwrap_or(false),
    });
    let place = format!("{place}.cache_control");
    part.cache = read_cache(node.get("cache_control"), &place, &mut part.extra)?;
    part.extra.keep(WHOLE_BLOCK, node.to_raw());
    Ok(part)
}

fn thinking(node: &Node<'_>, place: &str) -> Result<(Content, Option<Signature>), Malformed> {
    let content = Content::Reasoning {
        text: required(node, "thinking", place)?,
        style: ReasoningStyle::Full,
        redacted: None,
    };
    let signature = node.get("signature").text().filter(|text| !text.is_empty());
    Ok((
        content,
        signature.map(|text| Signature::open(Protocol::Anthropic, text)),
    ))
}

fn redacted(node: &Node<'_>, place: &str) -> Result<(Content, Signature), Malformed> {
    let mut signature = Signature::open(Protocol::Anthropic, &required(node, "data", place)?);
    if signature.protocol == Protocol::Anthropic {
        signature.item = Some(REDACTED.to_owned());
    }
    let content = Content::Reasoning {
        text: String::new(),
        style: ReasoningStyle::Full,
        redacted: Some(signature.data.clone()),
    };
    Ok((content, signature))
}

fn tool_use(node: &Node<'_>, place: &str) -> Result<Content, Malformed> {
    let input = node.get("input");
    Ok(Content::ToolCall {
        id: required(node, "id", place)?,
        name: required(node, "name", place)?,
        namespace: None,
        input: ToolInput::Json(if input.is_null() { "{}" } else { input.raw() }.to_owned()),
    })
}

fn tool_result(node: &Node<'_>, place: &str) -> Result<Content, Malformed> {
    let content = match node.get("content") {
        absent if absent.is_null() => Vec::new(),
        // A lone block without its array around it.
        one if one.is_object() => vec![block(one, &format!("{place}.content"))?],
        present => content(present, &format!("{place}.content"))?,
    };
    let field = format!("{place}.is_error");
    Ok(Content::ToolResult {
        id: required(node, "tool_use_id", place)?,
        name: None,
        content,
        is_error: optional(node.get("is_error"), &field, "must be a boolean", Node::bool)?,
        custom: false,
    })
}

/// A block that only this protocol knows.
fn foreign(node: &Node<'_>, kind: &str, place: &str) -> Result<Part, Malformed> {
    let mut part = Part::from(Content::Foreign {
        protocol: Protocol::Anthropic,
        kind: kind.to_owned(),
        raw: node.to_raw(),
    });
    let place = format!("{place}.cache_control");
    part.cache = read_cache(node.get("cache_control"), &place, &mut part.extra)?;
    Ok(part)
}
