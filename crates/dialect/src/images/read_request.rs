//! Requests of callers.

use super::{Delivery, Request, Size};
use crate::codec::Malformed;
use crate::ir::Extra;
use crate::tree::Node;

/// The most pictures; OpenAI's limit.
const MAX_N: u64 = 10;

/// The longest prompt in letters; OpenAI's limit.
const MAX_PROMPT: usize = 32_000;

/// The members that are read. A stream is refused, so that `stream` is only ever false.
const KNOWN: [&str; 12] = [
    "model",
    "prompt",
    "n",
    "size",
    "quality",
    "style",
    "response_format",
    "output_format",
    "output_compression",
    "user",
    "safety_identifier",
    "stream",
];

/// Reads a request.
pub(super) fn read(body: &[u8]) -> Result<Request, Malformed> {
    let node = Node::parse(body)?;
    if !node.is_object() {
        return Err(Malformed::field("body", "must be an object"));
    }
    if node.get("stream").bool() == Some(true) {
        return Err(Malformed::field(
            "stream",
            "must be false: the provider paints without previews",
        ));
    }
    Ok(Request {
        prompt: prompt(&node)?,
        n: count(&node)?,
        size: size(&node)?,
        quality: text(&node, "quality")?.filter(|quality| quality != "auto"),
        style: text(&node, "style")?,
        delivery: match text(&node, "response_format")?.as_deref() {
            None => None,
            Some("b64_json") => Some(Delivery::Data),
            Some("url") => Some(Delivery::Address),
            Some(_) => return Err(Malformed::field("response_format", "must be `url` or `b64_json`")),
        },
        output_format: text(&node, "output_format")?,
        output_compression: node.get("output_compression").u64(),
        user: match text(&node, "safety_identifier")? {
            Some(user) => Some(user),
            None => text(&node, "user")?,
        },
        extra: rest(&node),
    })
}

fn prompt(node: &Node<'_>) -> Result<String, Malformed> {
    let prompt = text(node, "prompt")?.ok_or_else(|| Malformed::field("prompt", "is missing"))?;
    if prompt.trim().is_empty() {
        return Err(Malformed::field("prompt", "must not be empty"));
    }
    if prompt.chars().count() > MAX_PROMPT {
        return Err(Malformed::field("prompt", "must have at most 32000 characters"));
    }
    Ok(prompt)
}

fn count(node: &Node<'_>) -> Result<u32, Malformed> {
    match node.get("n") {
        node if node.is_null() => Ok(1),
        node => {
            let count = node.u64().filter(|count| (1..=MAX_N).contains(count));
            let count = count.and_then(|count| u32::try_from(count).ok());
            count.ok_or_else(|| Malformed::field("n", "must be from 1 to 10"))
        }
    }
}

fn size(node: &Node<'_>) -> Result<Option<Size>, Malformed> {
    match text(node, "size")?.as_deref() {
        None | Some("auto") => Ok(None),
        Some(text) => Size::parse(text)
            .map(Some)
            .ok_or_else(|| Malformed::field("size", "must be `auto` or a size such as `1024x1024`")),
    }
}

fn text(node: &Node<'_>, name: &str) -> Result<Option<String>, Malformed> {
    match node.get(name) {
        node if node.is_null() => Ok(None),
        node => node
            .string()
            .map(Some)
            .ok_or_else(|| Malformed::field(name, "must be a string")),
    }
}

fn rest(node: &Node<'_>) -> Extra {
    let mut extra = Extra::default();
    for (name, value) in node.members() {
        if !KNOWN.contains(&name.as_ref()) && !value.is_null() {
            extra.keep(name, value.to_raw());
        }
    }
    extra
}
