//! Which tool the model should use, and which form its answer must have, which may be a tool's.

use std::borrow::Cow;

use super::models::Model;
use super::wire::{self, Block};
use super::{schema, tools};
use crate::codec::Memo;
use crate::field::Field;
use crate::ir::{Format, Request, ToolChoice};
use crate::loss::{Losses, Unsayable};
use crate::protocol::Protocol;
use crate::raw::Raw;

/// The instruction that stands for `json_object`.
const ONLY_JSON: &str =
    "Answer with one JSON object and nothing else: no words before or after it, no Markdown, no code fence.";

/// The member `tool_choice`.
#[derive(Debug)]
pub(super) enum Choice<'a> {
    Absent,
    Word(&'static str),
    Tool(String),
    Verbatim(&'a Raw),
}

/// The choice among the tools that are sent.
pub(super) fn of<'a>(request: &'a Request, tools: &[wire::Tool<'_>], memo: &Memo, lost: &mut Losses) -> Choice<'a> {
    let Some(choice) = &request.tool_choice else {
        return Choice::Absent;
    };
    if tools.is_empty() {
        if !matches!(choice, ToolChoice::Auto | ToolChoice::None) {
            lost.note(Field::ToolChoice, "there are no tools to choose from");
        }
        return Choice::Absent;
    }
    match choice {
        ToolChoice::Auto | ToolChoice::Allowed { required: false, .. } => Choice::Word("auto"),
        ToolChoice::None => Choice::Word("none"),
        ToolChoice::Required | ToolChoice::Allowed { required: true, .. } => Choice::Word("any"),
        ToolChoice::Tool { name } => Choice::Tool(wire_name(name, tools, memo)),
        ToolChoice::Foreign { protocol, raw } if *protocol == Protocol::Anthropic => Choice::Verbatim(raw),
        ToolChoice::Foreign { .. } => {
            lost.note(Field::ToolChoice, "no counterpart");
            Choice::Absent
        }
    }
}

/// Says what form the answer must have: the schema to send, or a tool or an instruction in its stead.
pub(super) fn form<'a>(
    request: &'a Request,
    model: &Model,
    system: &mut Vec<Block<'a>>,
    tools: &mut Vec<wire::Tool<'a>>,
    choice: &mut Choice<'a>,
    memo: &mut Memo,
    lost: &mut Losses,
) -> Result<Option<Cow<'a, Raw>>, Unsayable> {
    let own = request.from == Protocol::Anthropic;
    match &request.format {
        Format::Text => Ok(None),
        Format::JsonObject => {
            lost.note(Field::JsonObject, "emulated by an instruction");
            system.push(Block::text(ONLY_JSON));
            Ok(None)
        }
        Format::JsonSchema { schema, .. } if model.structured && own => Ok(Some(Cow::Borrowed(schema))),
        // A model of another maker may not know the member; all of them know tools.
        Format::JsonSchema { schema, .. } if model.structured && model.known => {
            Ok(Some(Cow::Owned(schema::of_answer(schema, lost))))
        }
        Format::JsonSchema {
            schema, description, ..
        } => {
            if !schema.node().is_object() {
                return Err(lost.refuse(Field::JsonSchema, "must be an object"));
            }
            if schema.node().get("type").text().is_some_and(|kind| kind != "object") {
                return Err(lost.refuse(Field::JsonSchema, "must describe an object"));
            }
            lost.note(Field::JsonSchema, "emulated by a tool");
            let name = free_name(tools);
            // The model may use the caller's tools first.
            *choice = match choice {
                Choice::Word("none") => Choice::Tool(name.clone()),
                _ if tools.is_empty() => Choice::Tool(name.clone()),
                _ => Choice::Word("any"),
            };
            let schema = schema::of_tool(Some(schema), lost);
            tools.push(tools::answer(name.clone(), description.as_deref(), schema));
            memo.answer_tool = Some(name);
            Ok(None)
        }
    }
}

/// A name for the tool that takes the answer.
fn free_name(tools: &[wire::Tool<'_>]) -> String {
    let mut name = "answer".to_owned();
    while is_taken(tools, &name) {
        name.push('_');
    }
    name
}

/// The name on the wire of the tool that the caller calls so.
fn wire_name(name: &str, tools: &[wire::Tool<'_>], memo: &Memo) -> String {
    if is_taken(tools, name) && !memo.tools.contains_key(name) {
        return name.to_owned();
    }
    let renamed = memo.tools.iter().filter(|(_, tool)| tool.name == name);
    let wire = renamed.map(|(wire, _)| wire.as_str()).min();
    wire.unwrap_or(name).to_owned()
}

fn is_taken(tools: &[wire::Tool<'_>], wanted: &str) -> bool {
    tools.iter().any(|tool| match &tool.kind {
        wire::ToolKind::Function { name, .. } => name == wanted,
        wire::ToolKind::Verbatim(raw) => raw.node().get("name").text() == Some(wanted),
    })
}
