//! Reads an answer. A chunk of a stream has the form of a whole answer, so both are read here.

use super::citations::{read_citations, read_grounding};
use super::compact::compact;
use super::error::read_error_node;
use super::logprobs::read_logprobs;
use super::read_content::foreign;
use super::read_media::{read_file, read_inline};
use super::spelling::member;
use super::usage::read_usage;
use super::words;
use crate::assembly::{Assembly, Call};
use crate::codec::{Malformed, Memo};
use crate::ir::{Content, Extra, Finish, FinishReason, Part, ReasoningStyle, Signature, Start};
use crate::protocol::Protocol;
use crate::tree::{Halves, Node};

/// Reads a whole answer.
pub(super) fn read_response(body: &[u8], memo: &Memo, assembly: &mut Assembly) -> Result<(), Malformed> {
    let node = Node::parse(body)?;
    if !node.is_object() && !node.is_array() {
        return Err(Malformed::field("body", "must be an object"));
    }
    let mut hearer = Hearer::new(memo);
    hearer.hear(&node, assembly);
    hearer.end_whole(assembly);
    Ok(())
}

/// Understands chunks.
#[derive(Debug)]
pub(super) struct Hearer {
    provider: String,
    candidates: Vec<Heard>,
}

/// What was heard of a candidate.
#[derive(Debug, Default)]
struct Heard {
    index: u32,
    text: Halves,
    thoughts: Halves,
    /// The text so far: places in it come in bytes.
    said: String,
    calls: u64,
    /// The grounding that was told; it may come again with every chunk.
    grounding: String,
    /// Text was told last.
    in_text: bool,
    finished: bool,
}

impl Hearer {
    pub(super) fn new(memo: &Memo) -> Self {
        Self {
            provider: memo.provider.clone(),
            candidates: Vec::new(),
        }
    }

    /// Takes a chunk, or an array of them.
    pub(super) fn hear(&mut self, node: &Node<'_>, assembly: &mut Assembly) {
        for chunk in node.items() {
            self.hear_chunk(chunk, assembly);
        }
        if node.is_object() {
            self.hear_chunk(node, assembly);
        }
    }

    fn hear_chunk(&mut self, node: &Node<'_>, assembly: &mut Assembly) {
        if !member(node, "error").is_null() {
            return assembly.error(read_error_node(200, node));
        }
        let usage = read_usage(member(node, "usageMetadata"));
        if !assembly.is_started() {
            assembly.start(Start {
                id: member(node, "responseId").text_or_empty().to_owned(),
                model: member(node, "modelVersion").text_or_empty().to_owned(),
                created: None,
                usage: usage.clone(),
                service_tier: None,
            });
        }
        let candidates = member(node, "candidates").items();
        for (position, candidate) in candidates.iter().enumerate() {
            let index = member(candidate, "index").u64();
            let index = index.map_or_else(|| u32::try_from(position), u32::try_from);
            if let Ok(index) = index {
                heard(&mut self.candidates, index).hear(candidate, &self.provider, assembly);
            }
        }
        if let Some(usage) = usage {
            assembly.usage(&usage);
        }
        if candidates.is_empty() {
            hear_block(member(node, "promptFeedback"), assembly);
        }
    }

    /// A whole answer is whole even where it does not say why it ends.
    fn end_whole(&self, assembly: &mut Assembly) {
        for heard in self.candidates.iter().filter(|heard| !heard.finished) {
            assembly.finish(heard.index, FinishReason::Other);
        }
    }
}

/// What was heard of the candidate of that number.
fn heard(candidates: &mut Vec<Heard>, index: u32) -> &mut Heard {
    let known = candidates.iter().position(|heard| heard.index == index);
    let at = known.unwrap_or_else(|| {
        candidates.push(Heard {
            index,
            ..Heard::default()
        });
        candidates.len() - 1
    });
    &mut candidates[at]
}

/// The prompt was blocked, so that there is no candidate.
fn hear_block(feedback: &Node<'_>, assembly: &mut Assembly) {
    let Some(word) = member(feedback, "blockReason").text() else {
        return;
    };
    let message = member(feedback, "blockReasonMessage").string();
    assembly.finish(
        0,
        Finish {
            reason: FinishReason::ContentFilter,
            stop_sequence: None,
            word: Some((Protocol::Gemini, word.to_owned())),
            message: message.or_else(|| Some(format!("The prompt was blocked: {word}."))),
        },
    );
}

impl Heard {
    fn hear(&mut self, node: &Node<'_>, provider: &str, assembly: &mut Assembly) {
        let parts = member(member(node, "content"), "parts").items();
        // What rests on text that came before belongs to it, not to what this chunk adds behind it.
        let adds_text = parts
            .iter()
            .any(|part| !member(part, "text").text_or_empty().is_empty());
        if !adds_text {
            self.hear_sources(node, assembly);
        }
        for part in parts {
            self.hear_part(part, provider, assembly);
        }
        if adds_text {
            self.hear_sources(node, assembly);
        }
        let word = member(node, "finishReason").text().unwrap_or_default();
        if !word.is_empty() && word != "FINISH_REASON_UNSPECIFIED" {
            self.finished = true;
            assembly.finish(
                self.index,
                Finish {
                    reason: words::finish_reason(word),
                    stop_sequence: None,
                    word: Some((Protocol::Gemini, word.to_owned())),
                    message: member(node, "finishMessage").string(),
                },
            );
        }
    }

    fn hear_sources(&mut self, node: &Node<'_>, assembly: &mut Assembly) {
        let grounding = member(node, "groundingMetadata");
        if !grounding.is_null() && grounding.raw() != self.grounding {
            grounding.raw().clone_into(&mut self.grounding);
            for citation in read_grounding(grounding, &self.said) {
                assembly.citation(self.index, citation);
            }
        }
        for citation in read_citations(member(node, "citationMetadata"), &self.said) {
            assembly.citation(self.index, citation);
        }
        // Those of calls would open a text that is not there.
        if self.in_text {
            assembly.logprobs(self.index, read_logprobs(member(node, "logprobsResult")));
        }
    }

    fn hear_part(&mut self, part: &Node<'_>, provider: &str, assembly: &mut Assembly) {
        let proof = member(part, "thoughtSignature").text().filter(|text| !text.is_empty());
        let proof = proof.map(|text| Signature::made_by(Protocol::Gemini, provider, text));
        let text = member(part, "text");
        let call = member(part, "functionCall");
        if text.is_text() {
            let thought = member(part, "thought").bool() == Some(true);
            self.hear_text(text, thought, assembly);
            if let Some(proof) = proof {
                assembly.signature(self.index, proof);
            }
        } else if call.is_object() {
            self.in_text = false;
            self.hear_call(call, proof, assembly);
        } else if let Some(content) = whole(part) {
            self.in_text = false;
            let part = Part {
                signature: proof,
                ..content.into()
            };
            assembly.whole(self.index, part);
        } else if let Some(proof) = proof {
            assembly.signature(self.index, proof);
        }
    }

    fn hear_text(&mut self, text: &Node<'_>, thought: bool, assembly: &mut Assembly) {
        if thought {
            let text = self.thoughts.text(text).unwrap_or_default();
            self.in_text = false;
            assembly.reasoning(self.index, ReasoningStyle::Summary, text);
        } else {
            let text = self.text.text(text).unwrap_or_default();
            self.said.push_str(&text);
            self.in_text |= !text.is_empty();
            assembly.text(self.index, text);
        }
    }

    fn hear_call(&mut self, node: &Node<'_>, proof: Option<Signature>, assembly: &mut Assembly) {
        let args = member(node, "args");
        let call = Call {
            id: member(node, "id").text_or_empty().to_owned(),
            name: member(node, "name").text_or_empty().to_owned(),
            signature: proof,
            ..Call::default()
        };
        let arguments = if args.is_null() {
            String::new()
        } else {
            compact(args.raw())
        };
        assembly.whole_call(self.index, self.calls, call, arguments);
        self.calls += 1;
    }
}

/// A part that comes at once: media, and what only Gemini knows.
fn whole(part: &Node<'_>) -> Option<Content> {
    let mut extra = Extra::default();
    let inline = member(part, "inlineData");
    let file = member(part, "fileData");
    // A picture that was only thought of is nothing to show as the answer.
    let thought = member(part, "thought").bool() == Some(true);
    let media = if thought {
        None
    } else if inline.is_object() {
        read_inline(inline, &mut extra).ok()
    } else if file.is_object() {
        read_file(file, &mut extra).ok()
    } else {
        None
    };
    media.or_else(|| foreign(part))
}
