//! Tells what is added to the item that is open.

use super::OWN;
use super::items;
use super::write_items::{Body, Item, Teller, emit, place};
use crate::ir::{Citation, Content, Delta, Part, Signature, TokenLogprob, ToolInput};

impl Teller {
    /// All of a part at once.
    pub(super) fn whole_deltas(&mut self, part: &Part, out: &mut Vec<u8>) {
        match &part.content {
            Content::Text { text, citations } => {
                self.add_text(text, out);
                let logprobs = std::mem::take(&mut self.whole_logprobs);
                if !logprobs.is_empty() {
                    self.add_logprobs(&logprobs, out);
                }
                for citation in citations {
                    self.delta(&Delta::Citation(citation.clone()), out);
                }
            }
            Content::Refusal { text } | Content::Reasoning { text, .. } => self.add_text(text, out),
            Content::ToolCall { input, .. } => match input {
                ToolInput::Json(_) => self.add_input(&input.to_text(), out),
                ToolInput::Text(text) => self.add_input(text, out),
            },
            _ => {}
        }
        if let (Content::Reasoning { .. }, Some(signature)) = (&part.content, &part.signature) {
            self.seal(signature);
        }
    }

    /// A piece of a part.
    pub(super) fn delta(&mut self, delta: &Delta, out: &mut Vec<u8>) {
        match delta {
            Delta::Text(text) => self.add_text(text, out),
            Delta::Arguments(text) => self.add_input(text, out),
            Delta::Signature(signature) => self.seal(signature),
            Delta::Citation(citation) => self.cite(citation, out),
            Delta::Logprobs(logprobs) => self.add_logprobs(logprobs, out),
        }
    }

    /// A piece of text, of whatever is open.
    pub(super) fn add_text(&mut self, delta: &str, out: &mut Vec<u8>) {
        if delta.is_empty() {
            return;
        }
        self.announce_reasoning(out);
        let index = self.output.len();
        let Some(Item { id, body }) = &mut self.open else {
            return;
        };
        match body {
            Body::Message {
                content,
                part: Some(part),
            } => {
                let kind = if part.is_refusal {
                    "response.refusal.delta"
                } else {
                    "response.output_text.delta"
                };
                emit(&mut self.sequence, out, kind, |it| {
                    place(it, id, index);
                    it.number("content_index", content.len() as u64);
                    it.text("delta", delta);
                    if !part.is_refusal {
                        it.array("logprobs", |_| {});
                    }
                });
                part.text.push_str(delta);
            }
            Body::Reasoning { text, .. } => {
                if text.is_empty() {
                    emit(&mut self.sequence, out, "response.reasoning_summary_part.added", |it| {
                        place(it, id, index);
                        it.number("summary_index", 0u64);
                        it.object("part", |it| items::summary_part(it, ""));
                    });
                }
                emit(&mut self.sequence, out, "response.reasoning_summary_text.delta", |it| {
                    place(it, id, index);
                    it.number("summary_index", 0u64);
                    it.text("delta", delta);
                });
                text.push_str(delta);
            }
            Body::Message { .. } | Body::Call(_) => {}
        }
    }

    fn add_input(&mut self, delta: &str, out: &mut Vec<u8>) {
        let index = self.output.len();
        let Some(Item {
            id,
            body: Body::Call(call),
        }) = &mut self.open
        else {
            return;
        };
        if delta.is_empty() {
            return;
        }
        let kind = if call.custom {
            "response.custom_tool_call_input.delta"
        } else {
            "response.function_call_arguments.delta"
        };
        emit(&mut self.sequence, out, kind, |it| {
            place(it, id, index);
            it.text("delta", delta);
        });
        call.input.push_str(delta);
    }

    fn add_logprobs(&mut self, more: &[TokenLogprob], out: &mut Vec<u8>) {
        let index = self.output.len();
        let Some(Item {
            id,
            body: Body::Message {
                content,
                part: Some(part),
            },
        }) = &mut self.open
        else {
            return;
        };
        if !self.tells_logprobs || part.is_refusal {
            return;
        }
        emit(&mut self.sequence, out, "response.output_text.delta", |it| {
            place(it, id, index);
            it.number("content_index", content.len() as u64);
            it.text("delta", "");
            it.array("logprobs", |it| items::write_logprobs(it, more));
        });
        part.logprobs.extend_from_slice(more);
    }

    fn cite(&mut self, citation: &Citation, out: &mut Vec<u8>) {
        let index = self.output.len();
        let Some(Item {
            id,
            body: Body::Message {
                content,
                part: Some(part),
            },
        }) = &mut self.open
        else {
            return;
        };
        let Some(annotation) = items::annotation(citation, part.text.chars().count()) else {
            return;
        };
        emit(&mut self.sequence, out, "response.output_text.annotation.added", |it| {
            place(it, id, index);
            it.number("content_index", content.len() as u64);
            it.number("annotation_index", part.annotations.len() as u64);
            it.raw("annotation", &annotation);
        });
        part.annotations.push(annotation);
    }

    /// Keeps the proof of the reasoning that is open, if the caller is to have it.
    fn seal(&mut self, signature: &Signature) {
        if !self.seals {
            return;
        }
        if let Some(Item {
            body: Body::Reasoning { sealed, .. },
            ..
        }) = &mut self.open
        {
            *sealed = Some(signature.enclose(OWN));
        }
    }
}
