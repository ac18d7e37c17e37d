//! Streamed answers.

use super::read_response::read_call;
use super::{citations, error, usage, words};
use crate::assembly::Assembly;
use crate::codec::EventReader;
use crate::frame::Frame;
use crate::ir::{ReasoningStyle, Start};
use crate::tree::{Halves, Node};

/// Reads one stream.
///
/// Events carry an `index`: that of a block of content or, counted on its own, that of a call. It is never one of an
/// answer among several.
#[derive(Debug, Default)]
pub(super) struct Reader {
    content: Halves,
    plan: Halves,
    calls: Vec<OpenCall>,
    /// How many calls were begun.
    begun: u64,
    /// What came last is text, which can be cited.
    speaks: bool,
}

/// A call that was begun.
#[derive(Debug)]
struct OpenCall {
    index: Option<u64>,
    key: u64,
    halves: Halves,
    ended: bool,
}

impl EventReader for Reader {
    fn read(&mut self, frame: &Frame<'_>, assembly: &mut Assembly) {
        let Some(data) = &frame.data else {
            return;
        };
        let Ok(node) = Node::parse(data) else {
            return;
        };
        let kind = node
            .get("type")
            .text()
            .or_else(|| std::str::from_utf8(frame.event).ok());
        let message = node.get("delta").get("message");
        match kind.unwrap_or_default() {
            "message-start" => assembly.start(Start {
                id: node.get("id").text_or_empty().to_owned(),
                model: node.get("model").text_or_empty().to_owned(),
                ..Start::default()
            }),
            "content-start" => {
                // Here and not at the block's end, since its citations come after that.
                assembly.part_end(0);
                self.content = Halves::default();
                self.content(message.get("content"), &node, assembly);
            }
            "content-delta" => self.content(message.get("content"), &node, assembly),
            "tool-plan-delta" => {
                if let Some(text) = self.plan.text(message.get("tool_plan")) {
                    self.speaks = true;
                    assembly.text(0, text);
                }
            }
            "tool-call-start" => self.begin_calls(&node, assembly),
            "tool-call-delta" => self.add_arguments(&node, assembly),
            "tool-call-end" => self.end_call(node.get("index").u64(), assembly),
            // A citation of what is over would open a text without words.
            "citation-start" if self.speaks => cite(message.get("citations"), assembly),
            "message-end" => end(&node, assembly),
            // An error has no type, or this one, and its words where an event has none.
            "" | "error" if node.get("message").is_text() || !node.get("error").is_null() => {
                assembly.error(error::read(500, data));
            }
            _ => {}
        }
    }
}

impl Reader {
    fn content(&mut self, content: &Node<'_>, event: &Node<'_>, assembly: &mut Assembly) {
        if let Some(thought) = self.content.text(content.get("thinking")) {
            self.speaks = false;
            assembly.reasoning(0, ReasoningStyle::Full, thought);
        } else if let Some(text) = self.content.text(content.get("text")) {
            self.speaks = true;
            assembly.text(0, text);
            assembly.logprobs(0, citations::logprobs(event.get("logprobs")));
        }
    }

    /// `tool_calls` is one call, not a list; a list is understood too.
    fn begin_calls(&mut self, event: &Node<'_>, assembly: &mut Assembly) {
        for node in one_or_many(event.get("delta").get("message").get("tool_calls")) {
            let index = event.get("index").u64();
            let key = self.begun;
            self.begun += 1;
            self.speaks = false;
            self.calls.retain(|call| !call.ended);
            self.calls.push(OpenCall {
                index,
                key,
                halves: Halves::default(),
                ended: false,
            });
            let (call, arguments) = read_call(node);
            assembly.call(0, key, call);
            assembly.arguments(0, key, arguments);
        }
    }

    fn add_arguments(&mut self, event: &Node<'_>, assembly: &mut Assembly) {
        let index = event.get("index").u64();
        for node in one_or_many(event.get("delta").get("message").get("tool_calls")) {
            let Some(call) = self.call(index) else {
                return;
            };
            let arguments = node.get("function").get("arguments");
            if let Some(text) = call.halves.text(arguments) {
                let key = call.key;
                assembly.arguments(0, key, text);
            }
        }
    }

    fn end_call(&mut self, index: Option<u64>, assembly: &mut Assembly) {
        if let Some(call) = self.call(index) {
            call.ended = true;
            let key = call.key;
            assembly.call_end(0, key);
        }
    }

    /// The call with this index that was begun last; the last of all when there is no index.
    fn call(&mut self, index: Option<u64>) -> Option<&mut OpenCall> {
        self.calls
            .iter_mut()
            .rev()
            .find(|call| index.is_none() || call.index == index)
    }
}

fn one_or_many<'n, 'a>(node: &'n Node<'a>) -> &'n [Node<'a>] {
    if node.is_object() {
        std::slice::from_ref(node)
    } else {
        node.items()
    }
}

/// `citations` is one citation, not a list; a list is understood too.
fn cite(node: &Node<'_>, assembly: &mut Assembly) {
    for citation in one_or_many(node).iter().flat_map(citations::read) {
        assembly.citation(0, citation);
    }
}

fn end(event: &Node<'_>, assembly: &mut Assembly) {
    let delta = event.get("delta");
    if let Some(usage) = usage::read(delta.get("usage")) {
        assembly.usage(&usage);
    }
    let failure = delta.get("error");
    let message = failure.text().or_else(|| failure.get("message").text());
    match words::read_finish(delta.get("finish_reason").text(), message) {
        Ok(finish) => {
            assembly.finish(0, finish);
            assembly.close();
        }
        Err(error) => assembly.error(error),
    }
}
