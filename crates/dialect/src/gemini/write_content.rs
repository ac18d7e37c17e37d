//! The conversation as `contents`.
//!
//! It is laid out first ([`Turn`], [`Entry`]), where things may be lost or refused, and written then.

use std::borrow::Cow;
use std::collections::HashMap;

use super::models::Model;
use super::read_content::NAMELESS;
use super::turns::{Body, Entry, Turn};
use super::write_media::{self, Blob};
use super::write_result;
use crate::codec::{Memo, Target};
use crate::field::Field;
use crate::ir::{Content, Extra, Message, Part, Request, Role, Signature};
use crate::loss::{Losses, Unsayable};
use crate::protocol::Protocol;
use crate::tool_names::ToolNames;

/// What stands for the proof of a call that has none, so that Gemini 3 accepts the history
/// (<https://ai.google.dev/gemini-api/docs/thought-signatures>).
const NO_PROOF: &str = "skip_thought_signature_validator";

/// Lays out a conversation.
pub(super) struct Layout<'r, 'l> {
    request: &'r Request,
    target: &'l Target<'l>,
    model: Model,
    names: &'l mut ToolNames,
    memo: &'l mut Memo,
    lost: &'l mut Losses,
    /// The names on the wire of the tools that were called, by the ids of the calls.
    called: HashMap<&'r str, String>,
    turns: Vec<Turn<'r>>,
}

/// The turns of a request's conversation.
pub(super) fn layout<'r, 'l>(
    request: &'r Request,
    target: &'l Target<'l>,
    names: &'l mut ToolNames,
    memo: &'l mut Memo,
    lost: &'l mut Losses,
) -> Result<Vec<Turn<'r>>, Unsayable> {
    let mut layout = Layout {
        request,
        target,
        model: Model::named(target.model),
        names,
        memo,
        lost,
        called: HashMap::new(),
        turns: Vec::new(),
    };
    for message in &request.messages {
        layout.message(message)?;
    }
    layout.mend_ends();
    Ok(layout.turns)
}

impl<'r> Layout<'r, '_> {
    fn own(&self) -> bool {
        self.request.from == Protocol::Gemini
    }

    fn message(&mut self, message: &'r Message) -> Result<(), Unsayable> {
        if message.name.is_some() {
            self.lost.note(Field::MessageName, "not supported");
        }
        if message.role == Role::System {
            self.lost.note(Field::LateSystem, "told as the user's words");
        }
        let (results, others): (Vec<_>, Vec<_>) = message
            .parts
            .iter()
            .partition(|part| matches!(part.content, Content::ToolResult { .. }));
        let mut entries = Vec::new();
        let mut hoisted = Vec::new();
        for part in results {
            self.result(part, &mut entries, &mut hoisted)?;
        }
        self.turn("user", entries, true);
        let mut entries = hoisted;
        for part in others {
            self.part(part, message.role, &mut entries)?;
        }
        let role = if message.role == Role::Assistant {
            "model"
        } else {
            "user"
        };
        if role == "model" {
            self.prove_first_call(&mut entries);
        }
        self.turn(role, entries, false);
        if self.own() {
            if let Some(turn) = self.turns.last_mut().filter(|_| !message.extra.is_empty()) {
                turn.extra.push(&message.extra);
            }
        } else {
            self.note_extra(&message.extra);
        }
        Ok(())
    }

    /// Adds a turn, or adds to the last one of the same speaker.
    fn turn(&mut self, role: &'static str, entries: Vec<Entry<'r>>, results: bool) {
        if entries.is_empty() {
            return;
        }
        match self.turns.last_mut() {
            Some(last) if last.role == role && last.results == results => last.entries.extend(entries),
            _ => self.turns.push(Turn {
                role,
                entries,
                extra: Vec::new(),
                results,
            }),
        }
    }

    /// The first call of a step must have a proof where the model insists on them.
    fn prove_first_call(&self, entries: &mut [Entry<'r>]) {
        let is_call = |entry: &&mut Entry<'_>| matches!(entry.body, Body::Call { .. });
        if self.model.is_three()
            && let Some(first) = entries.iter_mut().find(is_call)
        {
            first.signature.get_or_insert(NO_PROOF);
        }
    }

    /// A conversation begins with the user, and is not empty.
    fn mend_ends(&mut self) {
        let begins = self.turns.first();
        let calls = |turn: &Turn<'_>| turn.entries.iter().any(|entry| matches!(entry.body, Body::Call { .. }));
        let needs_user = begins.is_none_or(|turn| turn.role == "model" && (!self.own() || calls(turn)));
        if needs_user {
            self.lost.note(Field::Messages, "an empty turn of the user put first");
            let turn = Turn {
                role: "user",
                entries: vec![Body::Text(Cow::Borrowed(" ")).into()],
                extra: Vec::new(),
                results: false,
            };
            self.turns.insert(0, turn);
        }
        let ends_with_model = self.turns.last().is_some_and(|turn| turn.role == "model");
        if ends_with_model && !self.own() && !self.request.prefilled {
            self.lost.note(Field::Prefill, "sent, but the model may begin anew");
        }
    }

    fn part(&mut self, part: &'r Part, role: Role, entries: &mut Vec<Entry<'r>>) -> Result<(), Unsayable> {
        self.note_cache(part);
        let signature = self.signature(part);
        let mut entry: Entry<'r> = match &part.content {
            Content::Text { text, .. } if text.is_empty() && signature.is_none() => return Ok(()),
            Content::Text { text, citations } => {
                if !citations.is_empty() {
                    self.lost.note(Field::Citations, "not supported in history");
                }
                Body::Text(told(text, role)).into()
            }
            Content::Refusal { text } => Body::Text(Cow::Borrowed(text)).into(),
            Content::Reasoning { text, .. } => match self.thought(part, text, signature) {
                Some(entry) => entry,
                None => return Ok(()),
            },
            Content::ToolCall { .. } => self.call(part),
            Content::ToolResult { .. } => return Ok(()),
            Content::Foreign { protocol, raw, .. } => {
                if *protocol != Protocol::Gemini {
                    self.lost.note(Field::HostedTool, "a part of another protocol dropped");
                    return Ok(());
                }
                Body::Raw(raw).into()
            }
            media => {
                write_media::check(media, self.request.from, self.model.is_older(), self.lost)?;
                match Blob::of(media) {
                    Some(blob) => Body::Blob(blob).into(),
                    None => return Ok(()),
                }
            }
        };
        entry.signature = signature;
        entry.extra = self.extra(part);
        entries.push(entry);
        Ok(())
    }

    /// Thoughts as the provider takes them back: its own with their proof, and what its own clients send.
    fn thought(&mut self, part: &'r Part, text: &'r str, signature: Option<&'r str>) -> Option<Entry<'r>> {
        let redacted = matches!(&part.content, Content::Reasoning { redacted: Some(_), .. });
        let unsigned = self.own() && part.signature.is_none() && !redacted && !text.is_empty();
        if signature.is_none() && !unsigned {
            // A proof of another provider was noted already.
            if part.signature.is_none() && (redacted || !text.is_empty()) {
                self.lost
                    .note(Field::ReasoningHistory, "without the provider's own proof");
            }
            return None;
        }
        Some(Entry {
            thought: !text.is_empty(),
            ..Body::Text(Cow::Borrowed(text)).into()
        })
    }

    fn call(&mut self, part: &'r Part) -> Entry<'r> {
        let Content::ToolCall {
            id,
            name,
            namespace,
            input,
        } = &part.content
        else {
            return Body::Text(Cow::Borrowed("")).into();
        };
        let custom = matches!(input, crate::ir::ToolInput::Text(_));
        let name = self.names.wire(namespace.as_deref(), name, custom, self.memo);
        self.called.insert(id, name.clone());
        let (args, wrapped) = input.to_object();
        if wrapped {
            self.lost.note(Field::ToolArguments, "wrapped in an object");
        }
        Body::Call {
            name,
            args,
            id: self.id(id),
        }
        .into()
    }

    fn result(
        &mut self,
        part: &'r Part,
        entries: &mut Vec<Entry<'r>>,
        hoisted: &mut Vec<Entry<'r>>,
    ) -> Result<(), Unsayable> {
        self.note_cache(part);
        let Content::ToolResult {
            id,
            name,
            content,
            is_error,
            custom,
        } = &part.content
        else {
            return Ok(());
        };
        let wire = match self.called.get(id.as_str()) {
            Some(wire) => wire.clone(),
            None => self
                .names
                .wire(None, name.as_deref().unwrap_or("unknown"), *custom, self.memo),
        };
        for inner in content {
            self.note_cache(inner);
            if matches!(inner.content, Content::Foreign { .. }) {
                self.lost.note(Field::HostedTool, "a part of a tool's result dropped");
            }
            write_media::check(&inner.content, self.request.from, self.model.is_older(), self.lost)?;
        }
        let mut parts: Vec<_> = write_result::media(content).collect();
        let hoist = !parts.is_empty() && !self.model.is_three() && !self.own();
        if hoist {
            self.lost.note(Field::ToolResultImage, "told after the results");
            hoisted.push(Body::Text(Cow::Owned(format!("The result of {wire}:"))).into());
            hoisted.extend(parts.drain(..).map(|(_, blob)| Body::Blob(blob).into()));
        }
        let body = Body::Result {
            name: wire,
            response: write_result::response(content, *is_error == Some(true), hoist),
            id: self.id(id),
            parts,
        };
        entries.push(Entry {
            extra: self.extra(part),
            ..body.into()
        });
        Ok(())
    }

    /// An id is sent only as its client gave it: not every server of this API knows them.
    fn id(&self, id: &'r str) -> Option<&'r str> {
        (self.own() && !id.starts_with(NAMELESS)).then_some(id)
    }

    fn signature(&mut self, part: &'r Part) -> Option<&'r str> {
        let signature: &Signature = part.signature.as_ref()?;
        if signature.belongs_to(Protocol::Gemini, self.target.provider) {
            return Some(&signature.data);
        }
        self.lost.note(Field::ReasoningHistory, "proof of another provider");
        None
    }

    fn extra(&mut self, part: &'r Part) -> Option<&'r Extra> {
        if self.own() {
            return Some(&part.extra);
        }
        self.note_extra(&part.extra);
        None
    }

    fn note_extra(&mut self, extra: &Extra) {
        if !extra.is_empty() {
            self.lost.note_extra(Field::Messages.spelled(self.request.from), extra);
        }
    }

    fn note_cache(&mut self, part: &Part) {
        if part.cache.is_some() {
            self.lost.note(Field::CacheMark, "not supported");
        }
    }
}

/// What an instruction in the middle of the conversation looks like as the user's words.
fn told(text: &str, role: Role) -> Cow<'_, str> {
    match role {
        Role::System => Cow::Owned(format!("<system-reminder>{text}</system-reminder>")),
        _ => Cow::Borrowed(text),
    }
}
