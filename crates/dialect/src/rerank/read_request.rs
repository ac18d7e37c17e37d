//! Requests of callers.

use super::{Document, Request, Shape};
use crate::codec::Malformed;
use crate::ir::Extra;
use crate::tree::Node;

/// More documents than this are not taken; Cohere's limit.
const MAX_DOCUMENTS: usize = 10_000;

/// The members that are read.
const KNOWN: [&str; 11] = [
    "model",
    "query",
    "documents",
    "texts",
    "top_n",
    "top_k",
    "return_documents",
    "return_text",
    "max_tokens_per_doc",
    "truncation",
    "truncate",
];

/// Reads a request.
pub(super) fn read(body: &[u8], is_v2: bool) -> Result<Request, Malformed> {
    let node = Node::parse(body)?;
    if !node.is_object() {
        return Err(Malformed::field("body", "must be an object"));
    }
    let shape = shape(&node, is_v2);
    let query = node.get("query").string().filter(|query| !query.is_empty());
    Ok(Request {
        shape,
        // TEI serves one model, which its callers do not name.
        model: match node.get("model") {
            model if model.is_null() && shape == Shape::Tei => String::new(),
            model => model
                .string()
                .ok_or_else(|| Malformed::field("model", "must be a string"))?,
        },
        query: query.ok_or_else(|| Malformed::field("query", "must be a string that is not empty"))?,
        documents: documents(&node)?,
        top_n: count(&node, "top_n")?.or(count(&node, "top_k")?),
        return_documents: flag(&node, "return_documents")?
            .or(flag(&node, "return_text")?)
            .unwrap_or(shape == Shape::Jina),
        max_tokens_per_doc: count(&node, "max_tokens_per_doc")?,
        truncation: flag(&node, "truncation")?.or(flag(&node, "truncate")?),
        extra: rest(&node),
    })
}

fn shape(node: &Node<'_>, is_v2: bool) -> Shape {
    let has = |name: &str| !node.get(name).is_null();
    if is_v2 {
        Shape::CohereV2
    } else if has("texts") && !has("documents") {
        Shape::Tei
    } else if has("top_k") || has("truncation") {
        Shape::Voyage
    } else if has("rank_fields") || has("max_chunks_per_doc") {
        Shape::CohereV1
    } else {
        Shape::Jina
    }
}

fn documents(node: &Node<'_>) -> Result<Vec<Document>, Malformed> {
    let name = if node.get("documents").is_null() {
        "texts"
    } else {
        "documents"
    };
    let items = node.get(name).items();
    match items.len() {
        0 => return Err(Malformed::field("documents", "must be an array that is not empty")),
        1..=MAX_DOCUMENTS => {}
        _ => return Err(Malformed::field(name, "must have at most 10000 documents")),
    }
    let read = |(at, item): (usize, &Node<'_>)| match item.text() {
        Some(text) => Ok(Document::Text(text.to_owned())),
        None if item.is_object() => Ok(Document::Object(item.to_raw())),
        None => Err(Malformed::field(
            format!("{name}[{at}]"),
            "must be a string or an object",
        )),
    };
    items.iter().enumerate().map(read).collect()
}

fn count(node: &Node<'_>, name: &str) -> Result<Option<u64>, Malformed> {
    match node.get(name) {
        node if node.is_null() => Ok(None),
        node => match node.u64() {
            Some(count) if count > 0 => Ok(Some(count)),
            _ => Err(Malformed::field(name, "must be a positive integer")),
        },
    }
}

fn flag(node: &Node<'_>, name: &str) -> Result<Option<bool>, Malformed> {
    match node.get(name) {
        node if node.is_null() => Ok(None),
        node => node
            .bool()
            .map(Some)
            .ok_or_else(|| Malformed::field(name, "must be a boolean")),
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
