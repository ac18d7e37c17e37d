//! Writes streamed answers.
//!
//! What SDKs insist on: `role` once in each choice, `id`, `type` and `name` once in each call, indexes that count from 0
//! without gaps, entries of lists with an `index`, a finish for each choice that was begun, and the usage last if at all.

use super::choice::{CallPiece, Choice, Open};
use super::error;
use super::write_response::{Wishes, id_of, model_of, shown, write_annotation, write_picture, write_sound};
use super::{details, logprobs, usage, words};
use crate::codec::{Asked, EventWriter};
use crate::ir::{Class, Content, Delta, Error, Event, Finish, FinishReason, Opened, Part, Start, ToolInput, Usage};
use crate::writer::{self, Object};

/// Speaks a stream of chunks.
#[derive(Debug)]
pub(super) struct ChunkWriter {
    asked: Asked,
    wishes: Wishes,
    /// All of a chunk before its choices.
    head: Vec<u8>,
    choices: Vec<Choice>,
    usage: Option<Usage>,
    over: bool,
}

impl ChunkWriter {
    pub(super) fn new(asked: &Asked) -> Self {
        let mut writer = Self {
            asked: asked.clone(),
            wishes: Wishes::of(asked),
            head: Vec::new(),
            choices: Vec::new(),
            usage: None,
            over: false,
        };
        writer.start(&Start::default());
        writer
    }

    /// Everything that is the same in all chunks.
    fn start(&mut self, start: &Start) {
        self.head = b"data: ".to_vec();
        writer::object(&mut self.head, |it| {
            it.text("id", &id_of(&start.id, &self.asked));
            it.text("object", "chat.completion.chunk");
            it.number("created", start.created.unwrap_or(self.asked.now));
            it.text("model", model_of(&start.model, &self.asked));
            it.some_text("service_tier", start.service_tier.as_deref());
            it.null("system_fingerprint");
        });
        // The object goes on in each chunk.
        self.head.pop();
        self.usage.clone_from(&start.usage);
    }

    /// One chunk, from its choices on.
    fn chunk(&self, out: &mut Vec<u8>, usage: Option<&Usage>, fill: impl FnOnce(&mut writer::Array<'_>)) {
        out.extend_from_slice(&self.head);
        out.extend_from_slice(b",\"choices\":");
        writer::array(out, fill);
        match usage {
            Some(usage) => {
                out.extend_from_slice(b",\"usage\":");
                writer::object(out, |it| usage::write(usage, it));
            }
            None if self.asked.request.include_usage => out.extend_from_slice(b",\"usage\":null"),
            None => {}
        }
        out.extend_from_slice(b"}\n\n");
    }

    /// A chunk with a delta of one choice.
    fn delta(&self, out: &mut Vec<u8>, index: usize, fill: impl FnOnce(&mut Object<'_>)) {
        self.chunk(out, None, |items| {
            items.object(|it| {
                it.number("index", index);
                it.object("delta", fill);
                it.null("logprobs");
                it.null("finish_reason");
            });
        });
    }

    /// The place of a candidate; a new one is introduced with its role.
    fn place(&mut self, candidate: u32, out: &mut Vec<u8>, speaks: bool) -> usize {
        let known = self.choices.iter().position(|choice| choice.candidate == candidate);
        if let Some(at) = known {
            return at;
        }
        let at = self.choices.len();
        self.choices.push(Choice {
            candidate,
            ..Choice::default()
        });
        self.delta(out, at, |it| {
            it.text("role", "assistant");
            // A text begins empty, a call leaves the content null.
            it.text_or_null("content", speaks.then_some(""));
            it.null("refusal");
        });
        at
    }

    fn open(&mut self, candidate: u32, opened: &Opened, out: &mut Vec<u8>) {
        let speaks = match opened {
            Opened::Text => true,
            Opened::Whole(part) => matches!(part.content, Content::Text { .. }),
            _ => false,
        };
        let at = self.place(candidate, out, speaks);
        match opened {
            Opened::Text => {
                self.now_open(at, Open::Text);
                self.choices[at].part_begins = self.choices[at].spoken;
            }
            Opened::Refusal => self.now_open(at, Open::Refusal),
            Opened::Reasoning { .. } => self.now_open(at, Open::Reasoning { told: false }),
            Opened::ToolCall {
                id,
                name,
                custom,
                signature,
                ..
            } => {
                let index = self.choices[at].calls;
                self.choices[at].calls += 1;
                self.now_open(at, Open::Call { index, custom: *custom });
                let piece = CallPiece {
                    index,
                    custom: *custom,
                    beginning: Some((id, name, signature.as_ref())),
                    text: "",
                };
                self.call(out, at, &piece);
            }
            Opened::Whole(part) => self.whole(at, part, out),
        }
    }

    fn now_open(&mut self, at: usize, open: Open) {
        if let Some(choice) = self.choices.get_mut(at) {
            choice.open = open;
        }
    }

    /// Writes something about a call: its beginning, or a piece of its arguments.
    fn call(&self, out: &mut Vec<u8>, at: usize, piece: &CallPiece<'_>) {
        if !self.wishes.legacy {
            self.delta(out, at, |it| piece.write(it));
        } else if piece.index == 0 {
            // Such a caller knows of one call only.
            self.delta(out, at, |it| piece.write_legacy(it));
        }
    }

    fn arguments(&self, out: &mut Vec<u8>, at: usize, text: &str) {
        if let Some(Open::Call { index, custom }) = self.choices.get(at).map(|choice| choice.open) {
            let piece = CallPiece {
                index,
                custom,
                beginning: None,
                text,
            };
            self.call(out, at, &piece);
        }
    }

    /// A part that comes at once is told as if it came in pieces, where the protocol knows it at all.
    fn whole(&mut self, at: usize, part: &Part, out: &mut Vec<u8>) {
        if let Some(choice) = self.choices.get_mut(at) {
            choice.said = true;
        }
        let asked = &self.asked;
        match &part.content {
            Content::Text { text, .. } => {
                self.now_open(at, Open::Text);
                self.text(at, text, out);
            }
            Content::Refusal { text } => {
                self.now_open(at, Open::Refusal);
                self.text(at, text, out);
            }
            Content::Image { source, .. } => {
                let index = self.choices[at].pictures;
                self.choices[at].pictures += 1;
                self.delta(out, at, |it| {
                    it.array("images", |items| items.object(|it| write_picture(it, index, source)));
                });
            }
            sound @ Content::Audio { .. } => {
                self.delta(out, at, |it| it.object("audio", |it| write_sound(it, sound, asked)));
            }
            Content::Reasoning { .. } => {
                self.now_open(at, Open::Reasoning { told: false });
                if let (Some(text), _) = shown(part) {
                    self.text(at, text, out);
                }
                if let Some(proof) = details::proof_of(part) {
                    self.proof(at, &proof, out);
                }
                self.close_part(at);
            }
            Content::ToolCall { id, name, input, .. } => {
                let opened = Opened::ToolCall {
                    id: id.clone(),
                    name: name.clone(),
                    namespace: None,
                    custom: matches!(input, ToolInput::Text(_)),
                    signature: part.signature.clone(),
                };
                self.open(self.choices[at].candidate, &opened, out);
                let input = match input {
                    ToolInput::Text(text) => text.clone(),
                    ToolInput::Json(_) => input.to_text(),
                };
                self.arguments(out, at, &input);
            }
            _ => {}
        }
    }

    fn text(&mut self, at: usize, text: &str, out: &mut Vec<u8>) {
        let Some(choice) = self.choices.get_mut(at) else {
            return;
        };
        choice.said = true;
        match choice.open {
            Open::Text => {
                choice.spoken += text.chars().count() as u64;
                self.delta(out, at, |it| it.text("content", text));
            }
            Open::Refusal => {
                choice.told_refusal = true;
                self.delta(out, at, |it| it.text("refusal", text));
            }
            Open::Reasoning { told } if self.wishes.thoughts => {
                choice.open = Open::Reasoning { told: true };
                let apart = !told && choice.told_thoughts;
                choice.told_thoughts = true;
                let index = choice.reasonings;
                let details = self.wishes.details;
                self.delta(out, at, |it| {
                    if apart {
                        it.text("reasoning_content", &format!("\n\n{text}"));
                    } else {
                        it.text("reasoning_content", text);
                    }
                    if details {
                        it.array("reasoning_details", |items| {
                            items.object(|it| details::write(it, index, Some(text), None, false));
                        });
                    }
                });
            }
            _ => {}
        }
    }

    fn proof(&mut self, at: usize, proof: &crate::ir::Signature, out: &mut Vec<u8>) {
        let Some(Open::Reasoning { told }) = self.choices.get(at).map(|choice| choice.open) else {
            return;
        };
        if !self.wishes.details {
            return;
        }
        let index = self.choices[at].reasonings;
        self.delta(out, at, |it| {
            it.array("reasoning_details", |items| {
                items.object(|it| details::write(it, index, None, Some(proof), !told));
            });
        });
        self.now_open(at, Open::Reasoning { told: true });
    }

    fn close_part(&mut self, at: usize) {
        if let Some(choice) = self.choices.get_mut(at) {
            if choice.open == (Open::Reasoning { told: true }) {
                choice.reasonings += 1;
            }
            choice.open = Open::Nothing;
        }
    }

    fn go_on(&mut self, candidate: u32, delta: &Delta, out: &mut Vec<u8>) {
        let at = self.place(candidate, out, true);
        match delta {
            Delta::Text(text) => self.text(at, text, out),
            Delta::Arguments(text) => self.arguments(out, at, text),
            Delta::Signature(proof) => self.proof(at, proof, out),
            Delta::Citation(citation) if citation.url.is_some() => {
                let choice = &mut self.choices[at];
                let (index, part) = (choice.citations, choice.part_begins..choice.spoken);
                choice.citations += 1;
                self.delta(out, at, |it| {
                    it.array("annotations", |items| {
                        write_annotation(items, citation, Some(index), &part);
                    });
                });
            }
            Delta::Citation(_) => {}
            Delta::Logprobs(tokens) => {
                let of_refusal = self.choices[at].open == Open::Refusal;
                self.chunk(out, None, |items| {
                    items.object(|it| {
                        it.number("index", at);
                        it.object("delta", |_| {});
                        it.object("logprobs", |it| logprobs::write(it, tokens, of_refusal));
                        it.null("finish_reason");
                    });
                });
            }
        }
    }

    fn finish(&mut self, candidate: u32, finish: &Finish, out: &mut Vec<u8>) {
        let is_filtered = matches!(finish.reason, FinishReason::ContentFilter | FinishReason::Refusal);
        let is_known = self.choices.iter().any(|choice| choice.candidate == candidate);
        let at = self.place(candidate, out, !is_filtered);
        if let (true, false, Some(message)) = (is_filtered, is_known, &finish.message) {
            // What the provider says about an answer that it withholds is all that there is of it.
            self.now_open(at, Open::Refusal);
            self.text(at, message, out);
        }
        let choice = &self.choices[at];
        let is_failure = match finish.reason {
            FinishReason::Error => true,
            FinishReason::MalformedToolCall => !choice.said && choice.calls == 0,
            _ => false,
        };
        if is_failure {
            let message = finish.message.as_deref();
            let message = message.unwrap_or("The provider could not finish its answer.");
            return self.fail(&Error::new(Class::Server, message), out);
        }
        let legacy = self.wishes.legacy && choice.calls > 0;
        let word = words::finish_word(finish.reason, choice.told_refusal, legacy);
        self.chunk(out, None, |items| {
            items.object(|it| {
                it.number("index", at);
                it.object("delta", |_| {});
                it.null("logprobs");
                it.text("finish_reason", word);
            });
        });
    }

    fn fail(&mut self, error: &Error, out: &mut Vec<u8>) {
        self.over = true;
        out.extend_from_slice(&error::body(error).to_event());
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        self.over = true;
        if self.asked.request.include_usage
            && let Some(usage) = &self.usage
        {
            self.chunk(out, Some(usage), |_| {});
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }
}

impl EventWriter for ChunkWriter {
    fn write(&mut self, event: &Event, out: &mut Vec<u8>) {
        if self.over {
            return;
        }
        match event {
            Event::Start(start) => self.start(start),
            Event::PartStart { candidate, opened, .. } => self.open(*candidate, opened, out),
            Event::Delta { candidate, delta, .. } => self.go_on(*candidate, delta, out),
            Event::PartEnd { candidate, .. } => {
                let at = self.place(*candidate, out, true);
                self.close_part(at);
            }
            Event::Finish { candidate, finish } => self.finish(*candidate, finish, out),
            Event::Usage(usage) => self.usage.get_or_insert_default().merge(usage),
            Event::Ping => out.extend_from_slice(b": ping\n\n"),
            Event::Error(error) => self.fail(error, out),
            Event::End => self.end(out),
        }
    }
}
