//! Reads a streamed answer.

use std::collections::HashMap;

use super::read_response::{call, finish, foreign, sign, start, whole};
use super::usage::Counts;
use super::{citations, error};
use crate::assembly::Assembly;
use crate::codec::{EventReader, Memo};
use crate::frame::Frame;
use crate::ir::{FinishReason, ReasoningStyle};
use crate::raw::Raw;
use crate::tree::{Halves, Node};
use crate::writer;

/// More blocks than this cannot be open at once in any stream that is meant.
const MOST_OPEN: usize = 1024;

/// Understands one stream.
#[derive(Debug)]
pub(super) struct Reader {
    memo: Memo,
    counts: Counts,
    blocks: HashMap<u64, Block>,
}

/// What is remembered of an open block.
#[derive(Debug, Default)]
struct Block {
    kind: Kind,
    halves: Halves,
    /// The last proof that came: a later one replaces it.
    signature: Option<String>,
}

#[derive(Debug, Default)]
enum Kind {
    /// Text, thoughts, or a block whose beginning did not come: each delta says what it is.
    #[default]
    Plain,
    /// A call, and the input that stood in its beginning, which counts if no other comes.
    Call { input: Option<String>, told: bool },
    /// Something that only this protocol knows, and the pieces of its input.
    Foreign {
        kind: String,
        raw: Raw,
        input: String,
        replaced: Vec<(String, Raw)>,
    },
    /// Told at its beginning.
    Done,
}

impl Reader {
    pub(super) fn new(memo: &Memo) -> Self {
        Self {
            memo: memo.clone(),
            counts: Counts::default(),
            blocks: HashMap::new(),
        }
    }

    fn begin(&mut self, node: &Node<'_>, assembly: &mut Assembly) {
        let index = node.get("index").u64().unwrap_or(0);
        if self.blocks.len() >= MOST_OPEN {
            return;
        }
        // Calls may be told side by side; whatever else is open ends here.
        self.end_blocks(assembly, |block| matches!(block.kind, Kind::Plain));
        let block = node.get("content_block");
        let mut known = Block::default();
        match block.get("type").text_or_empty() {
            "text" => {
                assembly.text(0, block.get("text").text_or_empty());
                for citation in block.get("citations").items() {
                    assembly.citation(0, citations::read(citation));
                }
            }
            "thinking" => {
                assembly.reasoning(0, ReasoningStyle::Full, block.get("thinking").text_or_empty());
                known.signature = block.get("signature").string().filter(|proof| !proof.is_empty());
            }
            "tool_use" => {
                assembly.call(0, index, call(block));
                let input = block.get("input");
                known.kind = Kind::Call {
                    input: (!input.members().is_empty()).then(|| input.raw().to_owned()),
                    told: false,
                };
            }
            "redacted_thinking" => {
                whole(block, &self.memo, assembly);
                known.kind = Kind::Done;
            }
            "" => {}
            kind => {
                known.kind = Kind::Foreign {
                    kind: kind.to_owned(),
                    raw: block.to_raw(),
                    input: String::new(),
                    replaced: Vec::new(),
                }
            }
        }
        self.blocks.insert(index, known);
    }

    fn delta(&mut self, node: &Node<'_>, assembly: &mut Assembly) {
        let index = node.get("index").u64().unwrap_or(0);
        if self.blocks.len() >= MOST_OPEN && !self.blocks.contains_key(&index) {
            return;
        }
        let block = self.blocks.entry(index).or_default();
        let delta = node.get("delta");
        match (delta.get("type").text_or_empty(), &mut block.kind) {
            (_, Kind::Done) => {}
            ("input_json_delta", Kind::Foreign { input, .. }) => {
                input.push_str(&block.halves.text(delta.get("partial_json")).unwrap_or_default());
            }
            (_, Kind::Foreign { replaced, .. }) => {
                let members = delta.members().iter().filter(|(name, _)| name != "type");
                replaced.extend(members.map(|(name, value)| (name.to_string(), value.to_raw())));
            }
            ("text_delta", _) => {
                assembly.text(0, block.halves.text(delta.get("text")).unwrap_or_default());
            }
            ("thinking_delta", _) => {
                let text = block.halves.text(delta.get("thinking")).unwrap_or_default();
                assembly.reasoning(0, ReasoningStyle::Full, text);
            }
            ("signature_delta", _) => block.signature = delta.get("signature").string(),
            ("citations_delta", _) => assembly.citation(0, citations::read(delta.get("citation"))),
            ("input_json_delta", kind) => {
                let text = block.halves.text(delta.get("partial_json")).unwrap_or_default();
                if let Kind::Call { told, .. } = kind {
                    *told |= !text.trim().is_empty();
                }
                assembly.arguments(0, index, text);
            }
            _ => {}
        }
    }

    fn end_block(&mut self, index: u64, assembly: &mut Assembly) {
        let Some(block) = self.blocks.remove(&index) else {
            return;
        };
        match block.kind {
            Kind::Plain => {
                if let Some(proof) = &block.signature {
                    sign(proof, &self.memo, assembly);
                }
                assembly.part_end(0);
            }
            Kind::Call { input, told } => {
                if let Some(input) = input.filter(|_| !told) {
                    assembly.arguments(0, index, input);
                }
                assembly.call_end(0, index);
            }
            Kind::Foreign {
                kind,
                raw,
                input,
                replaced,
            } => assembly.whole(0, foreign(&kind, completed(raw, &input, &replaced))),
            Kind::Done => {}
        }
    }

    /// Ends blocks whose end did not come.
    fn end_blocks(&mut self, assembly: &mut Assembly, ends: impl Fn(&Block) -> bool) {
        if self.blocks.is_empty() {
            return;
        }
        let open = self.blocks.iter().filter(|(_, block)| ends(block));
        let mut open: Vec<u64> = open.map(|(index, _)| *index).collect();
        open.sort_unstable();
        for index in open {
            self.end_block(index, assembly);
        }
    }

    fn message_delta(&mut self, node: &Node<'_>, assembly: &mut Assembly) {
        let usage = node.get("usage");
        if usage.is_object() {
            self.counts.merge(usage);
            assembly.usage(&self.counts.total());
        }
        if let Some(finish) = finish(node.get("delta")) {
            self.end_blocks(assembly, |_| true);
            assembly.finish(0, finish);
        }
    }
}

// At the end of the connection nothing is told: a block whose end did not come is not whole, a call least of all.
impl EventReader for Reader {
    fn read(&mut self, frame: &Frame<'_>, assembly: &mut Assembly) {
        let Some(data) = &frame.data else {
            return;
        };
        let Ok(node) = Node::parse(data) else {
            return;
        };
        let named = std::str::from_utf8(frame.event).unwrap_or_default();
        match node.get("type").text().unwrap_or(named) {
            "message_start" => {
                let message = node.get("message");
                self.counts.merge(message.get("usage"));
                assembly.start(start(message, &self.counts));
            }
            "content_block_start" => self.begin(&node, assembly),
            "content_block_delta" => self.delta(&node, assembly),
            "content_block_stop" => self.end_block(node.get("index").u64().unwrap_or(0), assembly),
            "message_delta" => self.message_delta(&node, assembly),
            "message_stop" => {
                self.end_blocks(assembly, |_| true);
                // Only the first reason counts: this one stands in for one that did not come.
                assembly.finish(0, FinishReason::Other);
                assembly.close();
            }
            "ping" => assembly.ping(),
            "error" => assembly.error(error::read_node(200, &node)),
            // What gateways in between make of errors.
            _ if node.get("error").is_object() => assembly.error(error::read_node(200, &node)),
            _ => {}
        }
    }
}

/// A block with what its deltas added.
fn completed(raw: Raw, input: &str, replaced: &[(String, Raw)]) -> Raw {
    let input = Raw::parse(input).ok();
    if input.is_none() && replaced.is_empty() {
        return raw;
    }
    let node = raw.node();
    writer::raw_object(|it| {
        for (name, value) in node.members() {
            let is_replaced = replaced.iter().any(|(key, _)| key == name) || (name == "input" && input.is_some());
            if !is_replaced {
                it.raw(name, &value.to_raw());
            }
        }
        it.some_raw("input", input.as_ref());
        for (index, (name, value)) in replaced.iter().enumerate() {
            // The last one counts.
            if !replaced[index + 1..].iter().any(|(later, _)| later == name) {
                it.raw(name, value);
            }
        }
    })
}
