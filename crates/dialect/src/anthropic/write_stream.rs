//! Writes a streamed answer: one `message_start`, blocks one after the other, one `message_delta`, one `message_stop`.
//!
//! The SDKs hold every event against the blocks that are open, and ignore events without an `event:` line.

use super::write_response::{full_name, message_id, model, proof_of_call, redacted_data, spoken, write_stop};
use super::{citations, error, usage, words};
use crate::codec::{Asked, EventWriter};
use crate::ir::{Class, Content, Delta, Error, Event, Finish, FinishReason, Opened, Part, Start, ToolInput, Usage};
use crate::protocol::Protocol;
use crate::writer::{self, Object};

/// Speaks one stream.
#[derive(Debug)]
pub(super) struct Writer {
    /// What ids are made of.
    seed: String,
    /// The model that was asked.
    model: String,
    usage: Usage,
    /// The index of the block that is open, or of the next one.
    index: u64,
    open: Option<Open>,
    finish: Option<Finish>,
    tier: Option<String>,
    over: bool,
}

/// The block that is open.
#[derive(Debug)]
enum Open {
    Text,
    Thinking,
    Call(Arguments),
    /// It was told at once, or has no block at all.
    Nothing,
}

/// What has come of a call's arguments.
#[derive(Debug)]
enum Arguments {
    /// Nothing but white space or one whole `{}`, which goes without saying unless more comes.
    Unsaid(String),
    /// They began as an object and are told as they come.
    Told,
    /// They did not, and are told when they are whole, as an object.
    Held(String),
    /// Free text, told as the one argument `input`.
    Free,
}

impl Writer {
    pub(super) fn new(asked: &Asked) -> Self {
        Self {
            seed: asked.id.clone(),
            model: asked.request.model.clone(),
            usage: Usage::default(),
            index: 0,
            open: None,
            finish: None,
            tier: None,
            over: false,
        }
    }

    fn start(&mut self, start: &Start, out: &mut Vec<u8>) {
        if let Some(known) = &start.usage {
            self.usage.merge(known);
        }
        self.tier.clone_from(&start.service_tier);
        event(out, "message_start", |it| {
            it.object("message", |it| {
                it.text("id", &message_id(&start.id, &self.seed));
                it.text("type", "message");
                it.text("role", "assistant");
                it.text("model", model(&start.model, &self.model));
                it.array("content", |_| {});
                it.null("stop_reason");
                it.null("stop_sequence");
                it.object("usage", |it| {
                    usage::write(it, &self.usage);
                    it.text("service_tier", words::tier_to_answer(self.tier.as_deref()));
                });
            });
        });
    }

    fn open(&mut self, opened: &Opened, out: &mut Vec<u8>) {
        self.open = Some(match opened {
            Opened::Text | Opened::Refusal => {
                block_start(out, self.index, text_block);
                Open::Text
            }
            Opened::Reasoning { .. } => {
                block_start(out, self.index, thinking_block);
                Open::Thinking
            }
            Opened::ToolCall {
                id,
                name,
                namespace,
                custom,
                signature,
            } => {
                if let Some(signature) = signature {
                    self.whole_thinking("", Some(&proof_of_call(signature)), out);
                }
                self.open_call(id, &full_name(namespace.as_deref(), name), out);
                if *custom {
                    self.partial_json("{\"input\":\"", out);
                    Open::Call(Arguments::Free)
                } else {
                    Open::Call(Arguments::Unsaid(String::new()))
                }
            }
            Opened::Whole(part) => {
                self.whole(part, out);
                Open::Nothing
            }
        });
    }

    fn open_call(&self, id: &str, name: &str, out: &mut Vec<u8>) {
        block_start(out, self.index, |it| {
            it.text("type", "tool_use");
            it.text("id", id);
            it.text("name", name);
            it.object("input", |_| {});
        });
    }

    /// A part that comes at once, as a block of its own that is closed again.
    fn whole(&mut self, part: &Part, out: &mut Vec<u8>) {
        match &part.content {
            Content::Reasoning { text, redacted, .. } => {
                let signature = part.signature.as_ref();
                if let Some(data) = redacted_data(redacted.as_deref(), signature) {
                    block_start(out, self.index, |it| {
                        it.text("type", "redacted_thinking");
                        it.text("data", &data);
                    });
                    return self.end_block(out);
                }
                let proof = signature.map(|proof| proof.enclose(Protocol::Anthropic));
                self.whole_thinking(text, proof.as_deref(), out);
            }
            Content::ToolCall {
                id,
                name,
                namespace,
                input,
            } => {
                self.open_call(id, &full_name(namespace.as_deref(), name), out);
                let object = input.to_object().0;
                self.partial_json(object.as_str(), out);
                self.end_block(out);
            }
            Content::Foreign { protocol, raw, .. } => {
                if *protocol == Protocol::Anthropic {
                    let index = self.index;
                    event(out, "content_block_start", |it| {
                        it.number("index", index);
                        it.raw("content_block", raw);
                    });
                    self.end_block(out);
                }
            }
            other => {
                block_start(out, self.index, text_block);
                self.text_delta("text_delta", "text", &spoken(other), out);
                self.end_block(out);
            }
        }
    }

    fn whole_thinking(&mut self, text: &str, proof: Option<&str>, out: &mut Vec<u8>) {
        block_start(out, self.index, thinking_block);
        if !text.is_empty() {
            self.text_delta("thinking_delta", "thinking", text, out);
        }
        if let Some(proof) = proof {
            self.text_delta("signature_delta", "signature", proof, out);
        }
        self.end_block(out);
    }

    fn delta(&mut self, delta: &Delta, out: &mut Vec<u8>) {
        match (delta, &mut self.open) {
            (Delta::Text(text), Some(Open::Text)) => self.text_delta("text_delta", "text", text, out),
            (Delta::Text(text), Some(Open::Thinking)) => self.text_delta("thinking_delta", "thinking", text, out),
            (Delta::Signature(signature), Some(Open::Thinking)) => {
                let proof = signature.enclose(Protocol::Anthropic);
                self.text_delta("signature_delta", "signature", &proof, out);
            }
            (Delta::Citation(citation), Some(Open::Text)) if citations::can_be_written(citation) => {
                event(out, "content_block_delta", |it| {
                    it.number("index", self.index);
                    it.object("delta", |it| {
                        it.text("type", "citations_delta");
                        citations::write(it, "citation", citation);
                    });
                });
            }
            (Delta::Arguments(text), Some(Open::Call(arguments))) => {
                if let Some(told) = arguments.add(text) {
                    self.partial_json(&told, out);
                }
            }
            _ => {}
        }
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        match self.open.take() {
            Some(Open::Call(arguments)) => {
                if let Some(rest) = arguments.rest() {
                    self.partial_json(&rest, out);
                }
                self.end_block(out);
            }
            Some(Open::Text | Open::Thinking) => self.end_block(out),
            Some(Open::Nothing) | None => {}
        }
    }

    fn end_block(&mut self, out: &mut Vec<u8>) {
        event(out, "content_block_stop", |it| it.number("index", self.index));
        self.index += 1;
    }

    fn text_delta(&self, kind: &str, key: &str, text: &str, out: &mut Vec<u8>) {
        event(out, "content_block_delta", |it| {
            it.number("index", self.index);
            it.object("delta", |it| {
                it.text("type", kind);
                it.text(key, text);
            });
        });
    }

    fn partial_json(&self, text: &str, out: &mut Vec<u8>) {
        self.text_delta("input_json_delta", "partial_json", text, out);
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        let finish = self.finish.take().unwrap_or_else(|| FinishReason::Other.into());
        if finish.reason == FinishReason::Error {
            let message = finish.message.unwrap_or_else(|| "The provider failed.".to_owned());
            return self.fail(&Error::new(Class::Server, message), out);
        }
        event(out, "message_delta", |it| {
            it.object("delta", |it| write_stop(it, &finish));
            it.object("usage", |it| usage::write(it, &self.usage));
        });
        event(out, "message_stop", |_| {});
        self.over = true;
    }

    fn fail(&mut self, error: &Error, out: &mut Vec<u8>) {
        out.extend_from_slice(b"event: error\ndata: ");
        writer::object(out, |it| error::write_members(it, error));
        out.extend_from_slice(b"\n\n");
        self.over = true;
    }
}

impl EventWriter for Writer {
    fn write(&mut self, event: &Event, out: &mut Vec<u8>) {
        if self.over {
            return;
        }
        match event {
            Event::Start(start) => self.start(start, out),
            Event::PartStart {
                candidate: 0, opened, ..
            } => self.open(opened, out),
            Event::Delta {
                candidate: 0, delta, ..
            } => self.delta(delta, out),
            Event::PartEnd { candidate: 0, .. } => self.close(out),
            Event::Finish { candidate: 0, finish } => self.finish = Some(finish.clone()),
            Event::Usage(usage) => self.usage.merge(usage),
            Event::Ping => self::event(out, "ping", |_| {}),
            Event::Error(error) => self.fail(error, out),
            Event::End => self.end(out),
            // Several answers cannot be told.
            Event::PartStart { .. } | Event::Delta { .. } | Event::PartEnd { .. } | Event::Finish { .. } => {}
        }
    }
}

impl Arguments {
    /// Takes a piece; what is to be told now.
    fn add(&mut self, text: &str) -> Option<String> {
        match self {
            Self::Told => Some(text.to_owned()),
            Self::Held(held) => {
                held.push_str(text);
                None
            }
            Self::Free => {
                let literal = writer::raw_text(text);
                // The quotes around all of it are told at its beginning and its end.
                let inner = literal.as_str().get(1..literal.as_str().len() - 1);
                inner.filter(|inner| !inner.is_empty()).map(str::to_owned)
            }
            Self::Unsaid(held) => {
                held.push_str(text);
                let begun = held.trim_start();
                if begun.is_empty() || begun.trim_end() == "{}" {
                    return None;
                }
                let held = std::mem::take(held);
                if held.trim_start().starts_with('{') {
                    *self = Self::Told;
                    return Some(held);
                }
                *self = Self::Held(held);
                None
            }
        }
    }

    /// What is left to tell at the end.
    fn rest(self) -> Option<String> {
        match self {
            Self::Unsaid(_) | Self::Told => None,
            Self::Held(held) => {
                let object = ToolInput::Json(held).to_object().0;
                (object.as_str() != "{}").then(|| object.as_str().to_owned())
            }
            Self::Free => Some("\"}".to_owned()),
        }
    }
}

/// Writes one event, whose data repeats its type.
fn event(out: &mut Vec<u8>, kind: &str, fill: impl FnOnce(&mut Object<'_>)) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    writer::object(out, |it| {
        it.text("type", kind);
        fill(it);
    });
    out.extend_from_slice(b"\n\n");
}

fn block_start(out: &mut Vec<u8>, index: u64, fill: impl FnOnce(&mut Object<'_>)) {
    event(out, "content_block_start", |it| {
        it.number("index", index);
        it.object("content_block", fill);
    });
}

fn text_block(it: &mut Object<'_>) {
    it.text("type", "text");
    it.text("text", "");
}

fn thinking_block(it: &mut Object<'_>) {
    it.text("type", "thinking");
    it.text("thinking", "");
    it.text("signature", "");
}
