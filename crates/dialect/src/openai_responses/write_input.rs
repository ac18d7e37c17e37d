//! Writes `input`: each message as the items that it is made of.

use std::collections::HashSet;

use super::OWN;
use super::read_content::is_content;
use super::read_input::ITEM_PREFIX;
use super::write_content::Voice;
use super::write_request::Scribe;
use crate::field::Field;
use crate::ir::{Content, Message, Part, ReasoningStyle, Role, ToolInput};
use crate::loss::Unsayable;
use crate::raw::Raw;
use crate::tool_names::portable_id;
use crate::writer::{Object, raw_object};

/// Items that are being written.
struct Items<'s, 'a> {
    scribe: &'s mut Scribe<'a>,
    /// Ids of calls of tools with free text.
    custom_calls: HashSet<&'a str>,
    written: Vec<Raw>,
    /// The parts of the message item that is not written yet.
    content: Vec<Raw>,
    /// Its other members.
    members: Vec<(String, Raw)>,
}

/// Writes the conversation. `instructions` stand at its beginning where they cannot stand on their own.
pub(super) fn write<'a>(scribe: &mut Scribe<'a>, instructions: &'a [Part]) -> Result<Vec<Raw>, Unsayable> {
    let messages = &scribe.request.messages;
    let custom_calls = messages.iter().flat_map(|message| &message.parts).filter_map(free_call);
    let mut items = Items {
        custom_calls: custom_calls.collect(),
        scribe,
        written: Vec::new(),
        content: Vec::new(),
        members: Vec::new(),
    };
    for part in instructions {
        items.speak(part, Voice::Input)?;
    }
    items.flush(items.scribe.system_role());
    for message in messages {
        items.message(message)?;
    }
    Ok(items.written)
}

fn free_call(part: &Part) -> Option<&str> {
    match &part.content {
        Content::ToolCall {
            id,
            input: ToolInput::Text(_),
            ..
        } => Some(id),
        _ => None,
    }
}

impl Items<'_, '_> {
    fn message(&mut self, message: &Message) -> Result<(), Unsayable> {
        if message.name.is_some() {
            self.scribe.lost.note(Field::MessageName, "not supported");
        }
        if self.scribe.own {
            self.members.extend(message.extra.0.iter().cloned());
        } else {
            self.scribe.lost.note_extra("messages", &message.extra);
        }
        match message.role {
            Role::System => self.simple(message, self.scribe.system_role())?,
            Role::User => self.simple(message, "user")?,
            Role::Assistant => self.assistant(message)?,
        }
        self.members.clear();
        Ok(())
    }

    fn simple(&mut self, message: &Message, role: &'static str) -> Result<(), Unsayable> {
        for part in &message.parts {
            match &part.content {
                Content::ToolResult { .. } => self.result(part)?,
                Content::Foreign { protocol, kind, raw } if self.is_item(*protocol, kind) => {
                    self.flush(role);
                    self.written.push(raw.clone());
                }
                _ => self.speak(part, Voice::Input)?,
            }
        }
        self.flush(role);
        Ok(())
    }

    fn assistant(&mut self, message: &Message) -> Result<(), Unsayable> {
        const ROLE: &str = "assistant";
        for part in &message.parts {
            match &part.content {
                Content::Reasoning { .. } => {
                    self.flush(ROLE);
                    self.reasoning(part);
                }
                Content::ToolCall { .. } => {
                    self.flush(ROLE);
                    self.call(part);
                }
                Content::Foreign { protocol, kind, raw } if self.is_item(*protocol, kind) => {
                    self.flush(ROLE);
                    self.written.push(raw.clone());
                }
                // The model can only have said words here; what else it made is shown to it as if by the user.
                Content::Image { .. } | Content::Document { .. } => {
                    self.flush(ROLE);
                    self.scribe
                        .lost
                        .note(Field::ImageData, "picture of the model shown to it by the user");
                    self.speak(part, Voice::Input)?;
                    self.flush("user");
                }
                Content::Text { text, .. } if text.is_empty() && part.extra.is_empty() => {}
                _ => {
                    self.begin_item(part, ROLE);
                    self.speak(part, Voice::Output)?;
                }
            }
        }
        self.flush(ROLE);
        Ok(())
    }

    /// A part that carries the members of a message item begins one.
    fn begin_item(&mut self, part: &Part, role: &'static str) {
        let members = part
            .extra
            .0
            .iter()
            .filter_map(|(name, value)| Some((name.strip_prefix(ITEM_PREFIX)?.to_owned(), value.clone())));
        let members: Vec<_> = members.filter(|_| self.scribe.own).collect();
        if !members.is_empty() {
            self.flush(role);
            self.members.extend(members);
        }
    }

    fn speak(&mut self, part: &Part, voice: Voice) -> Result<(), Unsayable> {
        self.content.extend(self.scribe.content(part, voice)?);
        Ok(())
    }

    fn is_item(&self, protocol: crate::Protocol, kind: &str) -> bool {
        protocol == OWN && self.scribe.own && !is_content(kind)
    }

    /// Writes the message item, if it has any content.
    fn flush(&mut self, role: &str) {
        if self.content.is_empty() {
            return;
        }
        let (content, members) = (std::mem::take(&mut self.content), std::mem::take(&mut self.members));
        self.written.push(raw_object(|it| {
            it.text("type", "message");
            it.text("role", role);
            it.array("content", |it| content.iter().for_each(|part| it.raw(part)));
            for (name, value) in &members {
                it.raw(name, value);
            }
        }));
    }

    /// Reasoning without the provider's own proof is refused, so it is left out.
    fn reasoning(&mut self, part: &Part) {
        let Content::Reasoning { text, style, .. } = &part.content else {
            return;
        };
        let provider = self.scribe.target.provider;
        let Some(proof) = part
            .signature
            .as_ref()
            .filter(|proof| proof.belongs_to(OWN, provider) && !proof.for_call)
        else {
            self.scribe
                .lost
                .note(Field::ReasoningHistory, "without a proof of this provider");
            return;
        };
        let own = self.scribe.own;
        let summary = part.extra.get("summary").filter(|_| own);
        // With a proof of OpenAI's, other clients were shown the summary; content of its own is refused.
        let is_content = own && *style == ReasoningStyle::Full;
        self.written.push(raw_object(|it| {
            it.text("type", "reasoning");
            it.some_text("id", proof.item.as_deref().filter(|id| id.starts_with("rs")));
            match summary {
                Some(summary) => it.raw("summary", summary),
                None => write_texts(it, "summary", "summary_text", text, !is_content),
            }
            if is_content && !text.is_empty() {
                write_texts(it, "content", "reasoning_text", text, true);
            }
            it.text("encrypted_content", &proof.data);
        }));
        self.note_extra(part);
    }

    fn call(&mut self, part: &Part) {
        let Content::ToolCall {
            id,
            name,
            namespace,
            input,
        } = &part.content
        else {
            return;
        };
        if part.signature.is_some() {
            self.scribe
                .lost
                .note(Field::ReasoningHistory, "proof of a tool call dropped");
        }
        let name = self.scribe.wire_name(name);
        let own = self.scribe.own;
        self.written.push(raw_object(|it| {
            let is_custom = matches!(input, ToolInput::Text(_));
            it.text("type", if is_custom { "custom_tool_call" } else { "function_call" });
            it.text("call_id", &portable_id(id));
            it.text("name", &name);
            it.some_text("namespace", namespace.as_deref());
            match input {
                ToolInput::Text(text) => it.text("input", text),
                ToolInput::Json(_) => it.text("arguments", &input.to_text()),
            }
            part.extra
                .0
                .iter()
                .filter(|_| own)
                .for_each(|(name, value)| it.raw(name, value));
        }));
        self.note_extra(part);
    }

    fn result(&mut self, part: &Part) -> Result<(), Unsayable> {
        let Content::ToolResult {
            id,
            content,
            is_error,
            custom,
            ..
        } = &part.content
        else {
            return Ok(());
        };
        if part.cache.is_some() {
            self.scribe.lost.note(Field::CacheMark, "not possible on tool results");
        }
        let failed = *is_error == Some(true);
        if failed {
            self.scribe.lost.note(Field::ToolError, "told in the text");
        }
        let own = self.scribe.own;
        let text = plain_text(content, own).map(|text| if failed { failure_text(&text) } else { text });
        let mut parts: Vec<Raw> = Vec::new();
        if text.is_none() {
            if failed {
                parts.extend(self.scribe.content(&Part::text("Error:"), Voice::Input)?);
            }
            for part in content {
                parts.extend(self.scribe.content(part, Voice::Input)?);
            }
        }
        let is_custom = *custom || self.custom_calls.contains(id.as_str());
        self.written.push(raw_object(|it| {
            let kind = if is_custom {
                "custom_tool_call_output"
            } else {
                "function_call_output"
            };
            it.text("type", kind);
            it.text("call_id", &portable_id(id));
            match &text {
                Some(text) => it.text("output", text),
                None => it.array("output", |it| parts.iter().for_each(|part| it.raw(part))),
            }
            part.extra
                .0
                .iter()
                .filter(|_| own)
                .for_each(|(name, value)| it.raw(name, value));
        }));
        self.note_extra(part);
        Ok(())
    }

    fn note_extra(&mut self, part: &Part) {
        if !self.scribe.own {
            self.scribe.lost.note_extra("messages", &part.extra);
        }
    }
}

fn write_texts(it: &mut Object<'_>, name: &str, kind: &str, text: &str, is_told: bool) {
    it.array(name, |it| {
        if is_told && !text.is_empty() {
            it.object(|it| {
                it.text("type", kind);
                it.text("text", text);
            });
        }
    });
}

/// The answer of a tool as one text, which every provider takes; `None` when it is more than that.
fn plain_text(content: &[Part], own: bool) -> Option<String> {
    if own && content.len() > 1 {
        return None;
    }
    let text = |part: &Part| match &part.content {
        Content::Text { text, .. } if !own || (part.cache.is_none() && part.extra.is_empty()) => Some(text.clone()),
        _ => None,
    };
    let texts: Vec<String> = content.iter().map(text).collect::<Option<_>>()?;
    Some(texts.join("\n"))
}

/// There is no member that says that a tool failed, so its words must.
fn failure_text(text: &str) -> String {
    let says_so = text.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("error"));
    if says_so {
        text.to_owned()
    } else {
        format!("Error: {text}")
    }
}
