//! Whole answers.

use super::{citations, error, usage, words};
use crate::assembly::{Assembly, Call};
use crate::codec::Malformed;
use crate::ir::{ReasoningStyle, Start};
use crate::tree::Node;

/// Reads a whole answer.
pub(super) fn read(body: &[u8], assembly: &mut Assembly) -> Result<(), Malformed> {
    let node = Node::parse(body)?;
    let message = node.get("message");
    // A body of an error has words there; some proxies send one with status 200.
    if message.is_text() || !node.get("error").is_null() {
        assembly.error(error::read(500, body));
        return Ok(());
    }
    if !message.is_object() {
        return Err(Malformed::field("message", "must be an object"));
    }
    assembly.start(Start {
        id: node.get("id").text_or_empty().to_owned(),
        model: node.get("model").text_or_empty().to_owned(),
        ..Start::default()
    });
    read_content(message, assembly);
    assembly.logprobs(0, citations::logprobs(node.get("logprobs")));
    read_calls(message, assembly);
    if let Some(usage) = usage::read(node.get("usage")) {
        assembly.usage(&usage);
    }
    match words::read_finish(node.get("finish_reason").text(), node.get("error").text()) {
        Ok(finish) => assembly.finish(0, finish),
        Err(error) => assembly.error(error),
    }
    Ok(())
}

/// Reads the blocks, then the plan: what a model says before it calls tools, which is text to everybody else.
fn read_content(message: &Node<'_>, assembly: &mut Assembly) {
    let content = message.get("content");
    if let Some(text) = content.text() {
        assembly.text(0, text);
        cite(message, None, assembly);
    }
    for (at, block) in content.items().iter().enumerate() {
        assembly.part_end(0);
        if let Some(thought) = block.get("thinking").text() {
            assembly.reasoning(0, ReasoningStyle::Full, thought);
        } else if let Some(text) = block.get("text").text() {
            assembly.text(0, text);
            cite(message, Some(at as u64), assembly);
        }
    }
    if let Some(plan) = message.get("tool_plan").text().filter(|plan| !plan.is_empty()) {
        assembly.part_end(0);
        assembly.text(0, plan);
        let cited = message.get("citations").items().iter();
        cited
            .filter(|node| citations::is_of_plan(node))
            .for_each(|node| tell(node, assembly));
    }
}

/// Tells the citations of a block of text; those that name no block belong to the first that comes.
fn cite(message: &Node<'_>, block: Option<u64>, assembly: &mut Assembly) {
    let blocks = message.get("content").items();
    let first = blocks
        .iter()
        .position(|block| block.get("text").is_text())
        .map(|at| at as u64);
    for node in message
        .get("citations")
        .items()
        .iter()
        .filter(|node| !citations::is_of_plan(node))
    {
        let of = node
            .get("content_index")
            .u64()
            .filter(|at| is_text(blocks, *at))
            .or(first);
        if block.is_none() || of == block {
            tell(node, assembly);
        }
    }
}

fn tell(node: &Node<'_>, assembly: &mut Assembly) {
    for citation in citations::read(node) {
        assembly.citation(0, citation);
    }
}

fn is_text(blocks: &[Node<'_>], at: u64) -> bool {
    usize::try_from(at)
        .ok()
        .and_then(|at| blocks.get(at))
        .is_some_and(|block| block.get("text").is_text())
}

fn read_calls(message: &Node<'_>, assembly: &mut Assembly) {
    for (key, node) in message.get("tool_calls").items().iter().enumerate() {
        let (call, arguments) = read_call(node);
        assembly.whole_call(0, key as u64, call, arguments);
    }
}

/// Reads a call and its arguments, which some servers send as an object.
pub(super) fn read_call(node: &Node<'_>) -> (Call, String) {
    let function = node.get("function");
    let call = Call {
        id: node.get("id").text_or_empty().to_owned(),
        name: function.get("name").text_or_empty().to_owned(),
        ..Call::default()
    };
    let arguments = function.get("arguments");
    let text = match arguments.text() {
        Some(text) => text.to_owned(),
        None if arguments.is_object() => arguments.raw().to_owned(),
        None => String::new(),
    };
    (call, text)
}
