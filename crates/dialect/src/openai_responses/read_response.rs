//! Reads whole answers.

use super::error;
use super::read_stream::Reader;
use crate::assembly::Assembly;
use crate::codec::{Malformed, Memo};
use crate::ir::{Class, TokenChance, TokenLogprob};
use crate::tree::Node;

/// Reads a whole answer. What it says is what a stream says at its end.
pub(super) fn read(body: &[u8], memo: &Memo, assembly: &mut Assembly) -> Result<(), Malformed> {
    let root = Node::parse(body)?;
    if !root.is_object() {
        return Err(Malformed::field("body", "must be an object"));
    }
    if !root.get("output").is_array() {
        if root.get("error").is_null() {
            return Err(Malformed::field("output", "must be an array"));
        }
        assembly.error(error::read_node(&root, Class::Server));
        return Ok(());
    }
    Reader::new(memo).conclude(&root, root.get("status").text(), assembly);
    Ok(())
}

/// Reads token probabilities.
pub(super) fn read_logprobs(node: &Node<'_>) -> Vec<TokenLogprob> {
    let token = |node: &Node<'_>| {
        Some(TokenLogprob {
            chosen: read_chance(node)?,
            top: node
                .get("top_logprobs")
                .items()
                .iter()
                .filter_map(read_chance)
                .collect(),
        })
    };
    node.items().iter().filter_map(token).collect()
}

fn read_chance(node: &Node<'_>) -> Option<TokenChance> {
    let byte = |node: &Node<'_>| node.u64().and_then(|byte| u8::try_from(byte).ok());
    let bytes = node.get("bytes");
    Some(TokenChance {
        token: node.get("token").string()?,
        logprob: node.get("logprob").f64()?,
        bytes: bytes
            .is_array()
            .then(|| bytes.items().iter().filter_map(byte).collect()),
    })
}
