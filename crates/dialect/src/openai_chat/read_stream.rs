//! Reads streamed answers.

use super::answer::Speech;
use super::read_response::{error_in, finish_of, start_of, usage_in};
use super::{logprobs, read_error};
use crate::assembly::Assembly;
use crate::codec::{EventReader, Memo};
use crate::frame::Frame;
use crate::ir::FinishReason;
use crate::tree::Node;

/// More choices than OpenAI allows are not listened to.
const MAX_CHOICES: u64 = 128;

/// Understands a stream of chunks.
#[derive(Debug)]
pub(super) struct ChunkReader {
    provider: String,
    speeches: Vec<Speech>,
}

impl ChunkReader {
    pub(super) fn new(memo: &Memo) -> Self {
        Self {
            provider: memo.provider.clone(),
            speeches: Vec::new(),
        }
    }

    fn hear(&mut self, choice: &Node<'_>, assembly: &mut Assembly) {
        let index = choice.get("index").u64().unwrap_or(0);
        if index >= MAX_CHOICES {
            return;
        }
        let candidate = u32::try_from(index).unwrap_or(0);
        let known = self.speeches.iter().position(|speech| speech.candidate == candidate);
        let at = known.unwrap_or_else(|| {
            self.speeches.push(Speech::new(candidate, &self.provider));
            self.speeches.len() - 1
        });
        let Some(speech) = self.speeches.get_mut(at) else {
            return;
        };
        // A server that does not stream sends the message itself.
        speech.hear(choice.any(&["delta", "message"]), assembly);
        assembly.logprobs(candidate, logprobs::read(choice.get("logprobs")));
        if let Some(finish) = finish_of(choice) {
            speech.end(assembly);
            assembly.finish(candidate, finish);
        }
    }

    /// The provider says that it has said everything.
    fn conclude(&mut self, assembly: &mut Assembly) {
        for speech in &mut self.speeches {
            speech.end(assembly);
            // Only the first reason counts: this is for those who give none.
            assembly.finish(speech.candidate, FinishReason::Stop);
        }
        assembly.close();
    }
}

impl EventReader for ChunkReader {
    fn read(&mut self, frame: &Frame<'_>, assembly: &mut Assembly) {
        let Some(data) = frame.data.as_deref().map(<[u8]>::trim_ascii) else {
            return;
        };
        if data == b"[DONE]" {
            return self.conclude(assembly);
        }
        let Ok(node) = Node::parse(data) else {
            return;
        };
        if let Some(error) = error_in(&node) {
            return assembly.error(error);
        }
        if frame.event == b"error" && node.is_object() {
            return assembly.error(read_error::read_within(&node));
        }
        let choices = node.get("choices").items();
        // Azure's first chunk has neither an id nor choices.
        let is_chunk = !choices.is_empty() || !node.get("id").text_or_empty().is_empty();
        if is_chunk && !assembly.is_started() {
            assembly.start(start_of(&node));
        }
        for choice in choices {
            self.hear(choice, assembly);
        }
        if let Some(usage) = usage_in(&node) {
            assembly.usage(&usage);
        }
    }
}
