//! Tells the items of an answer one after the other: their beginnings and ends.
//!
//! One item is open at a time. It is closed when the next one begins or the answer ends, since only then is it known
//! whether it is complete, and texts that follow one another are parts of one message.

use super::items::{self, CallItem, ItemKind, item_id};
use crate::codec::Asked;
use crate::ir::{Opened, TokenLogprob};
use crate::raw::Raw;
use crate::writer::{self, Object};

/// Tells items, and keeps what they amount to.
#[derive(Debug)]
pub(super) struct Teller {
    pub(super) seed: String,
    /// The caller is to have the proofs of reasoning.
    pub(super) seals: bool,
    pub(super) tells_logprobs: bool,
    /// The probabilities of a whole answer, which go with its first text: nothing tells which belong to which.
    pub(super) whole_logprobs: Vec<TokenLogprob>,
    /// The number of the next event.
    pub(super) sequence: u64,
    /// Items that are closed.
    pub(super) output: Vec<Raw>,
    pub(super) open: Option<Item>,
    /// There was a refusal.
    pub(super) refused: bool,
}

/// The item that is open.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) id: String,
    pub(super) body: Body,
}

/// What the open item is.
#[derive(Debug)]
pub(super) enum Body {
    Message {
        content: Vec<Raw>,
        part: Option<TextPart>,
    },
    Reasoning {
        text: String,
        sealed: Option<String>,
        /// It was told to the client. One that stays empty is not.
        announced: bool,
    },
    Call(CallItem),
}

/// The part of a message that is open.
#[derive(Debug, Default)]
pub(super) struct TextPart {
    pub(super) is_refusal: bool,
    pub(super) text: String,
    pub(super) annotations: Vec<Raw>,
    pub(super) logprobs: Vec<TokenLogprob>,
}

impl TextPart {
    fn to_raw(&self) -> Raw {
        if self.is_refusal {
            items::refusal_part(&self.text)
        } else {
            items::text_part(&self.text, &self.annotations, &self.logprobs)
        }
    }
}

impl Item {
    /// The item as a whole; `None` for thoughts that were never told.
    fn to_raw(&self, status: &str) -> Option<Raw> {
        match &self.body {
            Body::Message { content, .. } => Some(items::message(&self.id, status, content)),
            Body::Reasoning {
                text,
                sealed,
                announced,
            } => announced.then(|| items::reasoning(&self.id, status, text, sealed.as_deref())),
            Body::Call(call) => Some(call.write(&self.id, status, &call.input)),
        }
    }
}

/// Writes one event with the next number.
pub(super) fn emit(sequence: &mut u64, out: &mut Vec<u8>, kind: &str, fill: impl FnOnce(&mut Object<'_>)) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    writer::object(out, |it| {
        it.text("type", kind);
        it.number("sequence_number", *sequence);
        fill(it);
    });
    out.extend_from_slice(b"\n\n");
    *sequence += 1;
}

/// Where something of an item belongs.
pub(super) fn place(it: &mut Object<'_>, id: &str, output_index: usize) {
    it.text("item_id", id);
    it.number("output_index", output_index as u64);
}

impl Teller {
    /// Nothing is told yet.
    pub(super) fn new(asked: &Asked) -> Self {
        let request = &asked.request;
        let asks_proofs = request.reasoning.as_ref().is_some_and(|reasoning| reasoning.encrypted);
        Self {
            seed: items::seed_of(&asked.id),
            seals: asks_proofs || request.store == Some(false),
            tells_logprobs: request.logprobs.is_some(),
            whole_logprobs: Vec::new(),
            sequence: 0,
            output: Vec::new(),
            open: None,
            refused: false,
        }
    }

    /// The answer broke off: what is open is kept as incomplete, and nothing is told of it.
    pub(super) fn give_up(&mut self) {
        if let Some(mut item) = self.open.take() {
            if let Body::Message { content, part } = &mut item.body {
                content.extend(part.take().map(|part| part.to_raw()));
            }
            self.output.extend(item.to_raw("incomplete"));
        }
    }

    /// A part begins.
    pub(super) fn part_start(&mut self, opened: &Opened, out: &mut Vec<u8>) {
        match opened {
            Opened::Text => self.open_text(false, out),
            Opened::Refusal => self.open_text(true, out),
            Opened::Reasoning { .. } => self.open_reasoning(None, out),
            Opened::ToolCall {
                id,
                name,
                namespace,
                custom,
                signature,
            } => {
                if let Some(signature) = signature {
                    self.carry(signature, out);
                }
                let call = CallItem {
                    call_id: id.clone(),
                    name: name.clone(),
                    namespace: namespace.clone(),
                    custom: *custom,
                    input: String::new(),
                };
                self.open_call(call, out);
            }
            Opened::Whole(part) => self.whole(part, out),
        }
    }

    /// A part ends.
    pub(super) fn part_end(&mut self, out: &mut Vec<u8>) {
        match self.open.as_ref().map(|item| &item.body) {
            Some(Body::Message { .. }) => self.end_text(out),
            // Nothing more can belong to it, and it is whole however the answer ends.
            Some(Body::Reasoning { .. }) => self.close("completed", out),
            Some(Body::Call(_)) | None => {}
        }
    }

    /// Opens an item and tells it as it looks at its beginning.
    pub(super) fn open_item(
        &mut self,
        kind: ItemKind,
        body: Body,
        first: impl FnOnce(&str) -> Option<Raw>,
        out: &mut Vec<u8>,
    ) {
        self.close("completed", out);
        let id = item_id(kind, &self.seed, self.output.len());
        if let Some(item) = first(&id) {
            self.tell_item("response.output_item.added", &item, out);
        }
        self.open = Some(Item { id, body });
    }

    pub(super) fn tell_item(&mut self, kind: &str, item: &Raw, out: &mut Vec<u8>) {
        let index = self.output.len() as u64;
        emit(&mut self.sequence, out, kind, |it| {
            it.number("output_index", index);
            it.raw("item", item);
        });
    }

    /// Begins a part of a message.
    pub(super) fn open_text(&mut self, is_refusal: bool, out: &mut Vec<u8>) {
        self.end_text(out);
        if !matches!(self.open.as_ref().map(|item| &item.body), Some(Body::Message { .. })) {
            let body = Body::Message {
                content: Vec::new(),
                part: None,
            };
            let first = |id: &str| Some(items::message(id, "in_progress", &[]));
            self.open_item(ItemKind::Message, body, first, out);
        }
        let index = self.output.len();
        let Some(Item {
            id,
            body: Body::Message { content, part },
        }) = &mut self.open
        else {
            return;
        };
        self.refused |= is_refusal;
        let fresh = TextPart {
            is_refusal,
            ..TextPart::default()
        };
        emit(&mut self.sequence, out, "response.content_part.added", |it| {
            place(it, id, index);
            it.number("content_index", content.len() as u64);
            it.raw("part", &fresh.to_raw());
        });
        *part = Some(fresh);
    }

    pub(super) fn open_reasoning(&mut self, sealed: Option<String>, out: &mut Vec<u8>) {
        let body = Body::Reasoning {
            text: String::new(),
            sealed,
            announced: false,
        };
        self.open_item(ItemKind::Reasoning, body, |_| None, out);
    }

    fn open_call(&mut self, call: CallItem, out: &mut Vec<u8>) {
        let kind = if call.custom {
            ItemKind::Custom
        } else {
            ItemKind::Function
        };
        self.close("completed", out);
        let id = item_id(kind, &self.seed, self.output.len());
        // The arguments always begin empty: clients add every delta to what is here.
        let first = call.write(&id, "in_progress", "");
        self.open_item(kind, Body::Call(call), |_| Some(first), out);
    }

    /// Ends the part of the message that is open.
    pub(super) fn end_text(&mut self, out: &mut Vec<u8>) {
        let index = self.output.len();
        let Some(Item {
            id,
            body: Body::Message { content, part },
        }) = &mut self.open
        else {
            return;
        };
        let Some(part) = part.take() else {
            return;
        };
        let kind = if part.is_refusal {
            "response.refusal.done"
        } else {
            "response.output_text.done"
        };
        emit(&mut self.sequence, out, kind, |it| {
            place(it, id, index);
            it.number("content_index", content.len() as u64);
            if part.is_refusal {
                it.text("refusal", &part.text);
            } else {
                it.text("text", &part.text);
                it.array("logprobs", |it| items::write_logprobs(it, &part.logprobs));
            }
        });
        let raw = part.to_raw();
        emit(&mut self.sequence, out, "response.content_part.done", |it| {
            place(it, id, index);
            it.number("content_index", content.len() as u64);
            it.raw("part", &raw);
        });
        content.push(raw);
    }

    /// Tells the item of the thoughts that are open, once there is something in it.
    pub(super) fn announce_reasoning(&mut self, out: &mut Vec<u8>) {
        let index = self.output.len() as u64;
        if let Some(Item {
            id,
            body: Body::Reasoning { announced, .. },
        }) = &mut self.open
            && !*announced
        {
            *announced = true;
            let first = items::reasoning(id, "in_progress", "", None);
            emit(&mut self.sequence, out, "response.output_item.added", |it| {
                it.number("output_index", index);
                it.raw("item", &first);
            });
        }
    }

    /// Closes the item that is open, if there is one.
    pub(super) fn close(&mut self, status: &str, out: &mut Vec<u8>) {
        self.end_text(out);
        if let Some(Body::Reasoning { sealed: Some(_), .. }) = self.open.as_ref().map(|item| &item.body) {
            self.announce_reasoning(out);
        }
        let Some(item) = self.open.take() else {
            return;
        };
        self.tell_contents(&item, out);
        if let Some(done) = item.to_raw(status) {
            self.tell_item("response.output_item.done", &done, out);
            self.output.push(done);
        }
    }

    /// Tells the contents of a finished item once more as a whole.
    fn tell_contents(&mut self, item: &Item, out: &mut Vec<u8>) {
        let (id, index) = (item.id.as_str(), self.output.len());
        match &item.body {
            Body::Reasoning { text, .. } if !text.is_empty() => {
                emit(&mut self.sequence, out, "response.reasoning_summary_text.done", |it| {
                    place(it, id, index);
                    it.number("summary_index", 0u64);
                    it.text("text", text);
                });
                emit(&mut self.sequence, out, "response.reasoning_summary_part.done", |it| {
                    place(it, id, index);
                    it.number("summary_index", 0u64);
                    it.object("part", |it| items::summary_part(it, text));
                });
            }
            Body::Call(call) if call.custom => {
                emit(&mut self.sequence, out, "response.custom_tool_call_input.done", |it| {
                    place(it, id, index);
                    it.text("input", &call.input);
                });
            }
            Body::Call(call) => {
                emit(&mut self.sequence, out, "response.function_call_arguments.done", |it| {
                    place(it, id, index);
                    it.text("name", &call.name);
                    it.text("arguments", &call.input);
                });
            }
            Body::Reasoning { .. } | Body::Message { .. } => {}
        }
    }
}
