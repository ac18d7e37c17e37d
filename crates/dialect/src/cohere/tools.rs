//! Tools and the choice among them.

use std::borrow::Cow;

use crate::codec::Memo;
use crate::field::Field;
use crate::ir::{Extra, Format, Request, Tool, ToolChoice};
use crate::loss::{Losses, Unsayable};
use crate::raw::Raw;
use crate::tool_names::{NameRule, ToolNames};
use crate::writer::{Object, raw_object};

/// Names as other providers of functions take them; Cohere does not say.
pub(super) const NAME_RULE: NameRule = NameRule {
    longest: 64,
    letters: "-",
    begins_with_letter: false,
};

/// What is offered to the model.
#[derive(Debug, Default)]
pub(super) struct Offer<'r> {
    tools: Vec<Offered<'r>>,
    choice: Option<&'static str>,
    strict: bool,
}

/// One tool on the wire.
#[derive(Debug)]
struct Offered<'r> {
    /// As the caller names it.
    name: &'r str,
    wire: String,
    description: Option<Cow<'r, str>>,
    schema: Raw,
    strict: Option<bool>,
}

/// The tools of a request and the choice among them.
pub(super) fn offer<'r>(
    request: &'r Request,
    names: &mut ToolNames,
    memo: &mut Memo,
    lost: &mut Losses,
) -> Result<Offer<'r>, Unsayable> {
    let mut tools: Vec<Offered<'r>> = Vec::with_capacity(request.tools.len());
    for tool in &request.tools {
        tools.extend(offered(tool, names, memo, lost));
    }
    let choice = choose(request.tool_choice.as_ref(), &mut tools, lost)?;
    // JSON cannot be asked for beside tools. Tools that may not be called need not be offered.
    if choice == Some("NONE") && request.format != Format::Text {
        return Ok(Offer::default());
    }
    if tools.is_empty() {
        return Ok(Offer::default());
    }
    if request.parallel_tools == Some(false) {
        lost.note(Field::ParallelTools, "not supported");
    }
    let strict = tools.iter().any(|tool| tool.strict == Some(true));
    if strict && tools.iter().any(|tool| tool.strict != Some(true)) {
        lost.note(Field::StrictTool, "applied to all tools");
    }
    Ok(Offer { tools, choice, strict })
}

impl Offer<'_> {
    /// Whether there are no tools.
    pub(super) fn is_empty(&self) -> bool {
        self.tools.is_empty()
    }

    /// Writes the members of the request that are about tools.
    pub(super) fn write(&self, it: &mut Object<'_>) {
        if self.is_empty() {
            return;
        }
        it.array("tools", |it| {
            for tool in &self.tools {
                it.object(|it| {
                    it.text("type", "function");
                    it.object("function", |it| {
                        it.text("name", &tool.wire);
                        it.some_text("description", tool.description.as_deref());
                        it.raw("parameters", &tool.schema);
                    });
                });
            }
        });
        it.some_text("tool_choice", self.choice);
        if self.strict {
            it.bool("strict_tools", true);
        }
    }
}

fn offered<'r>(tool: &'r Tool, names: &mut ToolNames, memo: &mut Memo, lost: &mut Losses) -> Option<Offered<'r>> {
    match tool {
        Tool::Function(function) => {
            note_tool(&function.extra, lost);
            if function.cache.is_some() {
                lost.note(Field::CacheMark, "not supported");
            }
            let schema = function.schema.as_ref().filter(|schema| schema.node().is_object());
            Some(Offered {
                name: &function.name,
                wire: name(function.namespace.as_deref(), &function.name, false, names, memo, lost),
                description: function.description.as_deref().map(Cow::Borrowed),
                schema: schema.cloned().unwrap_or_else(no_arguments),
                strict: function.strict,
            })
        }
        Tool::Custom {
            name: own,
            namespace,
            description,
            format,
            extra,
        } => {
            note_tool(extra, lost);
            lost.note(Field::CustomTool, "offered as a function");
            Some(Offered {
                name: own,
                wire: name(namespace.as_deref(), own, true, names, memo, lost),
                description: described(description.as_deref(), format.as_ref()),
                schema: free_text(),
                strict: None,
            })
        }
        Tool::Foreign { .. } => {
            lost.note(Field::HostedTool, "not supported");
            None
        }
    }
}

fn note_tool(extra: &Extra, lost: &mut Losses) {
    lost.note_extra("tools", extra);
}

/// The name of a tool on the wire.
pub(super) fn name(
    namespace: Option<&str>,
    own: &str,
    custom: bool,
    names: &mut ToolNames,
    memo: &mut Memo,
    lost: &mut Losses,
) -> String {
    let wire = names.wire(namespace, own, custom, memo);
    if namespace.is_some() {
        lost.note(Field::ToolNamespace, "joined to the name");
    } else if wire != own {
        lost.note(Field::ToolName, "renamed for the provider");
    }
    wire
}

/// A custom tool's description, with the grammar of its input, which cannot be enforced.
fn described<'r>(description: Option<&'r str>, format: Option<&Raw>) -> Option<Cow<'r, str>> {
    let node = format.map(Raw::node).unwrap_or_default();
    let grammar = node.get("grammar");
    let Some(definition) = grammar.get("definition").text() else {
        return description.map(Cow::Borrowed);
    };
    let syntax = grammar.get("syntax").text_or_empty();
    let before = description.map(|text| format!("{text}\n\n")).unwrap_or_default();
    Some(Cow::Owned(format!(
        "{before}The input must follow this grammar ({syntax}):\n{definition}"
    )))
}

fn no_arguments() -> Raw {
    raw_object(|it| {
        it.text("type", "object");
        it.object("properties", |_| {});
    })
}

fn free_text() -> Raw {
    raw_object(|it| {
        it.text("type", "object");
        it.object("properties", |it| it.object("input", |it| it.text("type", "string")));
        it.array("required", |it| it.text("input"));
    })
}

/// The choice in Cohere's words, of which there are two. One tool, or some, are chosen by offering no others.
fn choose(
    choice: Option<&ToolChoice>,
    tools: &mut Vec<Offered<'_>>,
    lost: &mut Losses,
) -> Result<Option<&'static str>, Unsayable> {
    match choice {
        None | Some(ToolChoice::Auto) => Ok(None),
        Some(ToolChoice::None) => Ok(Some("NONE")),
        Some(ToolChoice::Required) => Ok(Some("REQUIRED")),
        Some(ToolChoice::Tool { name }) => {
            tools.retain(|tool| tool.name == name);
            if tools.is_empty() {
                return Err(lost.refuse(Field::ToolChoice, "names a tool that is not offered"));
            }
            lost.note(Field::ToolChoice, "only the chosen tool is offered");
            Ok(Some("REQUIRED"))
        }
        Some(ToolChoice::Allowed { names, required }) => {
            tools.retain(|tool| names.iter().any(|name| name == tool.name));
            if tools.is_empty() && *required {
                return Err(lost.refuse(Field::AllowedTools, "names no tool that is offered"));
            }
            lost.note(Field::AllowedTools, "only the allowed tools are offered");
            Ok(required.then_some("REQUIRED"))
        }
        Some(ToolChoice::Foreign { .. }) => {
            lost.note(Field::ToolChoice, "no counterpart");
            Ok(None)
        }
    }
}
