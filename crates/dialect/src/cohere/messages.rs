//! The conversation.

use std::borrow::Cow;

use super::content::{self, Block};
use super::tools;
use crate::codec::Memo;
use crate::field::Field;
use crate::ir::{Content, Message, Part, Request, Role};
use crate::loss::{Losses, Unsayable};
use crate::tool_names::{ToolNames, portable_id};
use crate::writer::Array;

/// One message on the wire.
#[derive(Debug)]
pub(super) struct Turn<'r> {
    role: &'static str,
    content: Vec<Block<'r>>,
    /// What is said before calls.
    plan: Option<String>,
    calls: Vec<WireCall>,
    /// The call that a tool answers.
    answers: Option<String>,
}

#[derive(Debug)]
struct WireCall {
    id: String,
    name: String,
    arguments: String,
}

impl<'r> Turn<'r> {
    fn new(role: &'static str, content: Vec<Block<'r>>) -> Self {
        Self {
            role,
            content,
            plan: None,
            calls: Vec::new(),
            answers: None,
        }
    }

    /// Writes the message.
    pub(super) fn write(&self, it: &mut Array<'_>) {
        it.object(|it| {
            it.text("role", self.role);
            it.some_text("tool_call_id", self.answers.as_deref());
            // With calls, nothing need be said.
            if self.calls.is_empty() || !self.content.is_empty() {
                content::write(&self.content, it);
            }
            it.some_text("tool_plan", self.plan.as_deref());
            if self.calls.is_empty() {
                return;
            }
            it.array("tool_calls", |it| {
                for call in &self.calls {
                    it.object(|it| {
                        it.text("id", &call.id);
                        it.text("type", "function");
                        it.object("function", |it| {
                            it.text("name", &call.name);
                            it.text("arguments", &call.arguments);
                        });
                    });
                }
            });
        });
    }
}

/// The messages of a request, its instructions first.
pub(super) fn turns<'r>(
    request: &'r Request,
    names: &mut ToolNames,
    memo: &mut Memo,
    lost: &mut Losses,
) -> Result<Vec<Turn<'r>>, Unsayable> {
    let mut turns = Vec::with_capacity(request.messages.len() + 1);
    turns.extend(instructions(&request.system, lost));
    for message in &request.messages {
        if message.name.is_some() {
            lost.note(Field::MessageName, "not supported");
        }
        lost.note_extra("messages", &message.extra);
        match message.role {
            Role::System => turns.extend(instructions(&message.parts, lost)),
            Role::User => user(message, &mut turns, lost)?,
            Role::Assistant => turns.extend(assistant(message, names, memo, lost)),
        }
    }
    // The last message must be the user's or a tool's.
    if let Some(last) = turns.last_mut().filter(|turn| turn.role == "system")
        && !request.messages.is_empty()
    {
        lost.note(Field::LateSystem, "told as the user's words");
        last.role = "user";
    }
    let is_prefill = turns
        .last()
        .is_some_and(|turn| turn.role == "assistant" && turn.calls.is_empty());
    if is_prefill {
        lost.note(Field::Prefill, "may not be continued");
    }
    Ok(turns)
}

fn instructions<'r>(parts: &'r [Part], lost: &mut Losses) -> Option<Turn<'r>> {
    let content: Vec<_> = parts.iter().filter_map(|part| content::of_system(part, lost)).collect();
    Some(Turn::new("system", content)).filter(|turn| !turn.content.is_empty())
}

/// Results stand first in a message of the user and become messages of their own.
fn user<'r>(message: &'r Message, turns: &mut Vec<Turn<'r>>, lost: &mut Losses) -> Result<(), Unsayable> {
    let mut said = Vec::new();
    for part in &message.parts {
        if let Content::ToolResult {
            id, content, is_error, ..
        } = &part.content
        {
            content::note(part, lost);
            turns.push(result(id, content, *is_error == Some(true), lost)?);
        } else {
            said.extend(content::of_user(part, lost)?);
        }
    }
    if !said.is_empty() {
        turns.push(Turn::new("user", said));
    }
    Ok(())
}

fn result<'r>(id: &str, parts: &'r [Part], failed: bool, lost: &mut Losses) -> Result<Turn<'r>, Unsayable> {
    let mut content = Vec::with_capacity(parts.len());
    for part in parts {
        content.extend(content::of_tool(part, lost)?);
    }
    if failed {
        lost.note(Field::ToolError, "told as text");
        match content.first_mut() {
            Some(Block::Text(text)) => *text = Cow::Owned(format!("Error: {text}")),
            _ => content.insert(0, Block::Text(Cow::Borrowed("Error:"))),
        }
    }
    Ok(Turn {
        answers: Some(portable_id(id)),
        ..Turn::new("tool", content)
    })
}

/// With calls, all that is said is the plan of them.
fn assistant<'r>(message: &'r Message, names: &mut ToolNames, memo: &mut Memo, lost: &mut Losses) -> Option<Turn<'r>> {
    let mut turn = Turn::new("assistant", Vec::new());
    for part in &message.parts {
        if let Content::ToolCall {
            id,
            name,
            namespace,
            input,
        } = &part.content
        {
            content::note(part, lost);
            let custom = matches!(input, crate::ir::ToolInput::Text(_));
            turn.calls.push(WireCall {
                id: portable_id(id),
                name: tools::name(namespace.as_deref(), name, custom, names, memo, lost),
                arguments: input.to_text(),
            });
        } else if let Some(block) = content::of_assistant(part, lost) {
            if !turn.calls.is_empty() {
                lost.note(Field::Messages, "words after a tool call moved before it");
            }
            turn.content.push(block);
        }
    }
    if turn.content.is_empty() && turn.calls.is_empty() {
        return None;
    }
    if !turn.calls.is_empty() {
        turn.plan = plan(&mut turn.content);
    }
    Some(turn)
}

/// Takes the texts out of the blocks.
fn plan(content: &mut Vec<Block<'_>>) -> Option<String> {
    let mut texts = Vec::new();
    content.retain_mut(|block| match block {
        Block::Text(text) => {
            texts.push(std::mem::take(text));
            false
        }
        _ => true,
    });
    (!texts.is_empty()).then(|| texts.join("\n"))
}
