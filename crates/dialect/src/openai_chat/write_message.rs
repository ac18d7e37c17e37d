//! Writes messages.

use std::borrow::Cow;

use super::answer::THOUGHTS;
use super::details;
use super::write_content::{Piece, write_members, write_pieces};
use super::write_request::Scribe;
use crate::Protocol;
use crate::field::Field;
use crate::ir::{Content, Message, Part, Request, Role, Signature, ToolInput};
use crate::openai_models;
use crate::quirks::Prefill;
use crate::signature::PLAIN;
use crate::tool_names::portable_id;
use crate::writer::{Array, Object};

impl Scribe<'_> {
    /// Writes the instructions and the conversation. `more` is an instruction of our own.
    pub(super) fn messages(&mut self, items: &mut Array<'_>, request: &Request, more: Option<&str>) {
        self.system(items, &request.system, more);
        for (index, message) in request.messages.iter().enumerate() {
            let is_prefill = request.prefilled && index + 1 == request.messages.len();
            match message.role {
                Role::System => self.late_system(items, message),
                Role::User => self.user(items, message),
                Role::Assistant => self.assistant(items, message, is_prefill),
            }
        }
        let is_begun = request.messages.last().is_some_and(|last| last.role == Role::Assistant);
        if is_begun && !self.own && !request.prefilled {
            self.lost.note(Field::Prefill, "the model may begin anew");
        }
    }

    /// One message for all instructions: some servers refuse a second one. What its parts know of their own messages
    /// makes them messages again.
    fn system(&mut self, items: &mut Array<'_>, parts: &[Part], more: Option<&str>) {
        let mut pieces: Vec<Piece<'_>> = Vec::new();
        for part in parts {
            if self.own && !part.extra.is_empty() {
                self.system_message(items, &std::mem::take(&mut pieces));
                self.lone_system(items, part);
                continue;
            }
            match self.piece(part) {
                Some(Piece::Plain(text)) if text.is_empty() => {}
                piece => pieces.extend(piece),
            }
        }
        pieces.extend(more.map(|more| Piece::Plain(Cow::Borrowed(more))));
        self.system_message(items, &pieces);
    }

    fn system_message(&self, items: &mut Array<'_>, pieces: &[Piece<'_>]) {
        if !pieces.is_empty() {
            let joint = if self.own { None } else { Some("\n\n") };
            items.object(|it| {
                it.text("role", "system");
                write_pieces(it, pieces, joint);
            });
        }
    }

    fn lone_system(&mut self, items: &mut Array<'_>, part: &Part) {
        let bare = Part {
            extra: crate::ir::Extra::default(),
            ..part.clone()
        };
        let pieces: Vec<Piece<'_>> = self.piece(&bare).into_iter().collect();
        items.object(|it| {
            it.text("role", "system");
            write_pieces(it, &pieces, None);
            for (name, value) in &part.extra.0 {
                it.raw(name, value);
            }
        });
    }

    fn late_system(&mut self, items: &mut Array<'_>, message: &Message) {
        let pieces: Vec<Piece<'_>> = message.parts.iter().filter_map(|part| self.piece(part)).collect();
        if pieces.is_empty() {
            return;
        }
        let joint = if self.own { None } else { Some("\n\n") };
        items.object(|it| {
            it.text("role", "system");
            write_pieces(it, &pieces, joint);
            self.rest(it, message);
        });
    }

    /// Writes the name and the extras of a message.
    pub(super) fn rest(&mut self, it: &mut Object<'_>, message: &Message) {
        it.some_text("name", message.name.as_deref());
        if self.own {
            for (name, value) in &message.extra.0 {
                it.raw(name, value);
            }
        } else {
            self.lost.note_extra("messages", &message.extra);
        }
    }

    /// An id that the provider accepts. What its own clients send is theirs to answer for.
    pub(super) fn call_id(&self, id: &str) -> String {
        if self.own { id.to_owned() } else { portable_id(id) }
    }

    fn assistant(&mut self, items: &mut Array<'_>, message: &Message, is_prefill: bool) {
        let mut said = Said::default();
        for part in &message.parts {
            self.sort(part, &mut said);
        }
        let is_empty = said.texts.is_empty()
            && said.calls.is_empty()
            && said.refusal.is_none()
            && said.sound.is_none()
            && said.pictures.is_empty();
        if is_empty && !self.own {
            return;
        }
        items.object(|it| {
            it.text("role", "assistant");
            if said.texts.is_empty() && !is_empty {
                it.null("content");
            } else {
                let joint = if said.cites { "" } else { "\n" };
                write_pieces(it, &said.texts, (!self.own).then_some(joint));
            }
            it.some_text("refusal", said.refusal.as_deref());
            if let Some(id) = said.sound {
                it.object("audio", |it| it.text("id", id));
            }
            // DeepSeek insists on those before a call of a tool, and has no use for others.
            // https://api-docs.deepseek.com/guides/thinking_mode
            if self.own || !said.calls.is_empty() {
                write_plain_thoughts(it, &said);
            }
            write_proved_thoughts(it, &said);
            write_pictures(it, &said);
            if !said.calls.is_empty() {
                it.array("tool_calls", |items| {
                    for call in &said.calls {
                        self.call(items, call);
                    }
                });
            }
            self.rest(it, message);
            if is_prefill {
                match self.target.quirks.prefill {
                    Prefill::Prefix => it.bool("prefix", true),
                    Prefill::Partial => it.bool("partial", true),
                    Prefill::None | Prefill::Last | Prefill::ContinueFinalMessage => {}
                }
            }
        });
    }

    /// Puts a part of the model's message where it belongs.
    fn sort<'p>(&mut self, part: &'p Part, said: &mut Said<'p>) {
        match &part.content {
            Content::Text { text, citations } => {
                said.cites |= !citations.is_empty();
                if !text.is_empty() || self.own {
                    said.texts.extend(self.piece(part));
                }
            }
            Content::Refusal { text } if self.own || openai_models::is_openai(self.target.model) => {
                let refusal = said.refusal.get_or_insert_default();
                if !refusal.is_empty() {
                    refusal.push('\n');
                }
                refusal.push_str(text);
            }
            Content::Refusal { text } => said.texts.push(Piece::Plain(Cow::Borrowed(text))),
            Content::Audio { id: Some(id), .. } if self.own => said.sound = Some(id),
            Content::Audio {
                transcript: Some(text), ..
            } => {
                self.lost.note(Field::AudioInput, "told as text");
                said.texts.push(Piece::Plain(Cow::Borrowed(text)));
            }
            Content::Reasoning { .. } => self.think(part, said),
            Content::ToolCall { .. } => said.calls.push(part),
            Content::Image { .. } if self.own => said.pictures.push(part),
            Content::Image { .. } => self
                .lost
                .note(Field::ImageData, "not supported in the model's messages"),
            Content::Audio { .. } => self
                .lost
                .note(Field::AudioInput, "not supported in the model's messages"),
            _ => said.texts.extend(self.piece(part)),
        }
    }

    /// Thoughts go back with their proof to who made it, and as text to who told them in the clear, or where the caller speaks this
    /// protocol itself.
    fn think<'p>(&mut self, part: &'p Part, said: &mut Said<'p>) {
        let Content::Reasoning { text, redacted, .. } = &part.content else {
            return;
        };
        let proof = part.signature.as_ref();
        let own_proof = proof.filter(|proof| proof.belongs_to(Protocol::OpenaiChat, self.target.provider));
        match own_proof {
            Some(proof) if proof.item.as_deref() == Some(PLAIN) => {
                said.thoughts.push_str(text);
                said.thoughts_name = THOUGHTS.into_iter().find(|name| *name == proof.data);
            }
            Some(proof) => said.proved.push((text, proof)),
            None if self.own && proof.is_none() && redacted.is_none() => said.thoughts.push_str(text),
            _ => self.lost.note(Field::ReasoningHistory, "not supported"),
        }
    }

    fn call(&mut self, items: &mut Array<'_>, part: &Part) {
        let Content::ToolCall {
            id,
            name,
            namespace,
            input,
        } = &part.content
        else {
            return;
        };
        let native = self.own && matches!(input, ToolInput::Text(_));
        let wrapped = matches!(input, ToolInput::Text(_)) && !native;
        let name = self.name(namespace.as_deref(), name, wrapped);
        let id = self.call_id(id);
        let proof = part.signature.as_ref();
        let own_proof = proof.filter(|proof| proof.belongs_to(Protocol::OpenaiChat, self.target.provider));
        if proof.is_some() && own_proof.is_none() {
            self.lost
                .note(Field::ReasoningHistory, "another provider's proof of a tool call");
        }
        if !self.own {
            self.lost.note_extra("messages.tool_calls", &part.extra);
        }
        items.object(|it| {
            it.text("id", &id);
            if let (ToolInput::Text(text), true) = (input, native) {
                it.text("type", "custom");
                it.object("custom", |it| {
                    it.text("name", &name);
                    it.text("input", text);
                });
            } else {
                it.text("type", "function");
                it.object("function", |it| {
                    it.text("name", &name);
                    it.text("arguments", &input.to_text());
                });
            }
            self.write_proof(it, part, own_proof);
        });
    }

    /// Writes Google's proof of a call, and what else a client of this protocol put there.
    fn write_proof(&self, it: &mut Object<'_>, part: &Part, proof: Option<&Signature>) {
        let google = part.extra.get("extra_content.google").filter(|_| self.own);
        let others = part.extra.get("extra_content").filter(|_| self.own);
        if proof.is_some() || google.is_some() || others.is_some() {
            it.object("extra_content", |it| {
                if proof.is_some() || google.is_some() {
                    it.object("google", |it| {
                        it.some_text("thought_signature", proof.map(|proof| proof.data.as_str()));
                        write_members(it, google);
                    });
                }
                write_members(it, others);
            });
        }
        let is_written = |name: &str| matches!(name, "extra_content" | "extra_content.google");
        for (name, value) in part.extra.0.iter().filter(|(name, _)| self.own && !is_written(name)) {
            it.raw(name, value);
        }
    }
}

/// What a message of the model says, sorted into this protocol's places.
#[derive(Default)]
struct Said<'p> {
    texts: Vec<Piece<'p>>,
    cites: bool,
    refusal: Option<String>,
    sound: Option<&'p str>,
    thoughts: String,
    /// Under which name these were told.
    thoughts_name: Option<&'static str>,
    proved: Vec<(&'p str, &'p Signature)>,
    pictures: Vec<&'p Part>,
    calls: Vec<&'p Part>,
}

fn write_plain_thoughts(it: &mut Object<'_>, said: &Said<'_>) {
    if !said.thoughts.is_empty() {
        it.text(said.thoughts_name.unwrap_or("reasoning_content"), &said.thoughts);
    }
}

fn write_proved_thoughts(it: &mut Object<'_>, said: &Said<'_>) {
    for (key, blocks) in [("reasoning_details", false), ("thinking_blocks", true)] {
        let mut proved = said
            .proved
            .iter()
            .filter(|(_, proof)| details::is_thinking_block(proof) == blocks)
            .peekable();
        if proved.peek().is_some() {
            it.array(key, |items| {
                for (text, proof) in proved {
                    details::write_back(items, text, proof);
                }
            });
        }
    }
}

fn write_pictures(it: &mut Object<'_>, said: &Said<'_>) {
    if said.pictures.is_empty() {
        return;
    }
    it.array("images", |items| {
        for part in &said.pictures {
            let Content::Image { source, .. } = &part.content else {
                continue;
            };
            if let Some(url) = source.to_url("image/png") {
                items.object(|it| {
                    it.text("type", "image_url");
                    it.object("image_url", |it| it.text("url", &url));
                });
            }
        }
    });
}
