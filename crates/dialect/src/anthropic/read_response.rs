//! Reads a whole answer, and what streamed answers have in common with it.

use super::usage::Counts;
use super::{citations, error, words};
use crate::assembly::{Assembly, Call};
use crate::codec::{Malformed, Memo};
use crate::ir::{Content, Finish, FinishReason, Part, ReasoningStyle, Signature, Start};
use crate::protocol::Protocol;
use crate::raw::Raw;
use crate::signature::REDACTED;
use crate::tree::Node;

pub(super) fn read(body: &[u8], memo: &Memo, assembly: &mut Assembly) -> Result<(), Malformed> {
    let node = Node::parse(body)?;
    let is_error = node.get("type").text() == Some("error") || node.get("error").is_object();
    if is_error {
        assembly.error(error::read_node(200, &node));
        return Ok(());
    }
    let content = node.get("content");
    if !content.is_array() && (node.get("stop_reason").is_null() || !content.is_null()) {
        return Err(Malformed::field("content", "must be an array"));
    }
    let mut counts = Counts::default();
    counts.merge(node.get("usage"));
    assembly.start(start(&node, &counts));
    for (key, block) in (0..).zip(content.items()) {
        read_block(block, key, memo, assembly);
    }
    if node.get("usage").is_object() {
        assembly.usage(&counts.total());
    }
    let finish = finish(&node).unwrap_or_else(|| FinishReason::Other.into());
    assembly.finish(0, finish);
    Ok(())
}

/// What a message says of itself.
pub(super) fn start(message: &Node<'_>, counts: &Counts) -> Start {
    let usage = message.get("usage");
    Start {
        id: message.get("id").text_or_empty().to_owned(),
        model: message.get("model").text_or_empty().to_owned(),
        created: None,
        usage: usage.is_object().then(|| counts.total()),
        service_tier: usage.get("service_tier").text().map(words::answered_tier),
    }
}

/// Why a message ends, if it says so. `node` has the members of the message or of a `message_delta`.
pub(super) fn finish(node: &Node<'_>) -> Option<Finish> {
    let word = node.get("stop_reason").text()?;
    Some(Finish {
        reason: words::finish_reason(word),
        stop_sequence: node.get("stop_sequence").string(),
        word: Some((Protocol::Anthropic, word.to_owned())),
        message: node.get("stop_details").get("explanation").string(),
    })
}

fn read_block(block: &Node<'_>, key: u64, memo: &Memo, assembly: &mut Assembly) {
    match block.get("type").text_or_empty() {
        "text" => {
            assembly.text(0, block.get("text").text_or_empty());
            for citation in block.get("citations").items() {
                assembly.citation(0, citations::read(citation));
            }
            assembly.part_end(0);
        }
        "thinking" => {
            let text = block.get("thinking").text_or_empty();
            assembly.reasoning(0, ReasoningStyle::Full, text);
            if let Some(proof) = block.get("signature").text() {
                sign(proof, memo, assembly);
            }
            assembly.part_end(0);
        }
        "tool_use" => {
            let input = block.get("input");
            let arguments = if input.is_null() { "{}" } else { input.raw() };
            assembly.whole_call(0, key, call(block), arguments);
        }
        _ => whole(block, memo, assembly),
    }
}

/// A call as its block begins it.
pub(super) fn call(block: &Node<'_>) -> Call {
    Call {
        id: block.get("id").text_or_empty().to_owned(),
        name: block.get("name").text_or_empty().to_owned(),
        ..Call::default()
    }
}

/// The proof of the thoughts that were told last.
pub(super) fn sign(proof: &str, memo: &Memo, assembly: &mut Assembly) {
    if !proof.is_empty() {
        assembly.signature(0, Signature::made_by(Protocol::Anthropic, &memo.provider, proof));
    }
}

/// A block that comes as a whole: thoughts that are not told, and what only this protocol knows.
pub(super) fn whole(block: &Node<'_>, memo: &Memo, assembly: &mut Assembly) {
    let part = match block.get("type").text() {
        Some("redacted_thinking") => redacted(block.get("data").text_or_empty(), memo),
        Some(kind) => foreign(kind, block.to_raw()),
        None => return,
    };
    assembly.whole(0, part);
}

/// A part that only this protocol knows.
pub(super) fn foreign(kind: &str, raw: Raw) -> Part {
    Content::Foreign {
        protocol: Protocol::Anthropic,
        kind: kind.to_owned(),
        raw,
    }
    .into()
}

fn redacted(data: &str, memo: &Memo) -> Part {
    let mut signature = Signature::made_by(Protocol::Anthropic, &memo.provider, data);
    signature.item = Some(REDACTED.to_owned());
    Part {
        signature: Some(signature),
        ..Content::Reasoning {
            text: String::new(),
            style: ReasoningStyle::Full,
            redacted: Some(data.to_owned()),
        }
        .into()
    }
}
