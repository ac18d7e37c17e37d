//! Tools and the choice among them, both ways.

use std::borrow::Cow;

use super::extras::keep_rest;
use super::models::Model;
use super::read_request::{optional, read_cache};
use super::schema;
use super::wire::{self, Mark, ToolKind};
use crate::codec::{Malformed, Memo};
use crate::field::Field;
use crate::ir::{CacheMark, Extra, Function, Request, Tool, ToolChoice};
use crate::loss::Losses;
use crate::protocol::Protocol;
use crate::raw::Raw;
use crate::tool_names::{NameRule, ToolNames};
use crate::tree::Node;

/// `^[a-zA-Z0-9_-]{1,128}$`.
pub(super) const NAMES: NameRule = NameRule {
    longest: 128,
    letters: "-",
    begins_with_letter: false,
};

// === reading ===

pub(super) fn read(node: &Node<'_>, request: &mut Request) -> Result<(), Malformed> {
    if !node.is_null() && !node.is_array() {
        return Err(Malformed::field("tools", "must be an array"));
    }
    for (index, tool) in node.items().iter().enumerate() {
        request.tools.push(read_tool(tool, &format!("tools[{index}]"))?);
    }
    Ok(())
}

fn read_tool(node: &Node<'_>, place: &str) -> Result<Tool, Malformed> {
    if !node.is_object() {
        return Err(Malformed::field(place, "must be an object"));
    }
    let field = |name: &str| format!("{place}.{name}");
    let kind = optional(node.get("type"), &field("type"), "must be a string", Node::string)?;
    if let Some(kind) = kind.filter(|kind| kind != "custom") {
        return Ok(Tool::Foreign {
            protocol: Protocol::Anthropic,
            kind,
            raw: node.to_raw(),
        });
    }
    let mut function = Function {
        name: node
            .get("name")
            .string()
            .ok_or_else(|| Malformed::field(field("name"), "must be a string"))?,
        description: optional(
            node.get("description"),
            &field("description"),
            "must be a string",
            Node::string,
        )?,
        schema: optional(
            node.get("input_schema"),
            &field("input_schema"),
            "must be an object",
            |schema| schema.is_object().then(|| schema.to_raw()),
        )?,
        strict: optional(node.get("strict"), &field("strict"), "must be a boolean", Node::bool)?,
        ..Function::default()
    };
    function.cache = read_cache(node.get("cache_control"), &field("cache_control"), &mut function.extra)?;
    let known = ["type", "name", "description", "input_schema", "strict", "cache_control"];
    keep_rest(node, &known, "", &mut function.extra);
    Ok(Tool::Function(function))
}

pub(super) fn read_choice(node: &Node<'_>, request: &mut Request) -> Result<(), Malformed> {
    if node.is_null() {
        return Ok(());
    }
    // Some clients send the bare word.
    let word = node.text().or_else(|| node.get("type").text());
    request.tool_choice = Some(match word {
        Some("auto") => ToolChoice::Auto,
        Some("any") => ToolChoice::Required,
        Some("none") => ToolChoice::None,
        Some("tool") => ToolChoice::Tool {
            name: node
                .get("name")
                .string()
                .ok_or_else(|| Malformed::field("tool_choice.name", "must be a string"))?,
        },
        Some(_) => {
            request.tool_choice = Some(ToolChoice::Foreign {
                protocol: Protocol::Anthropic,
                raw: node.to_raw(),
            });
            return Ok(());
        }
        None => return Err(Malformed::field("tool_choice.type", "must be a string")),
    });
    let field = "tool_choice.disable_parallel_tool_use";
    let serial = optional(
        node.get("disable_parallel_tool_use"),
        field,
        "must be a boolean",
        Node::bool,
    )?;
    request.parallel_tools = serial.map(|serial| !serial);
    let known = ["type", "name", "disable_parallel_tool_use"];
    keep_rest(node, &known, "tool_choice", &mut request.extra);
    Ok(())
}

// === writing ===

/// The names of a request's tools on the wire, which its messages use, too.
#[derive(Debug)]
pub(super) struct Names {
    names: ToolNames,
    pub(super) memo: Memo,
}

impl Names {
    pub(super) fn new(provider: &str) -> Self {
        Self {
            names: ToolNames::new(NAMES),
            memo: Memo {
                provider: provider.to_owned(),
                ..Memo::default()
            },
        }
    }

    pub(super) fn wire(&mut self, namespace: Option<&str>, name: &str, custom: bool) -> String {
        self.names.wire(namespace, name, custom, &mut self.memo)
    }
}

/// The tools as they are sent.
pub(super) fn write<'a>(
    request: &'a Request,
    model: &Model,
    names: &mut Names,
    lost: &mut Losses,
) -> Vec<wire::Tool<'a>> {
    let allowed: Option<&[String]> = match &request.tool_choice {
        Some(ToolChoice::Allowed { names, .. }) => {
            lost.note(Field::AllowedTools, "the other tools left out");
            Some(names)
        }
        _ => None,
    };
    let is_allowed = |name: &String| allowed.is_none_or(|allowed| allowed.contains(name));
    let mut written = Vec::with_capacity(request.tools.len());
    for tool in &request.tools {
        match tool {
            Tool::Function(function) if is_allowed(&function.name) => {
                written.push(write_function(function, request.from, model, names, lost));
            }
            Tool::Custom {
                name,
                namespace,
                description,
                format,
                extra,
            } if is_allowed(name) => {
                lost.note(Field::CustomTool, "offered as a function with a text as its input");
                lost.note_extra("tools", extra);
                let wire = named(namespace.as_deref(), name, true, names, lost);
                let description = described(description.as_deref(), format.as_ref());
                written.push(custom(wire, description));
            }
            Tool::Function(_) | Tool::Custom { .. } => {}
            Tool::Foreign { protocol, raw, .. } if *protocol == Protocol::Anthropic => written.push(wire::Tool {
                kind: ToolKind::Verbatim(raw),
                cache: mark_of(raw),
                extra: None,
            }),
            Tool::Foreign { .. } => lost.note(Field::HostedTool, "a tool of another provider dropped"),
        }
    }
    written
}

/// The name on the wire of a tool that is offered.
fn named(namespace: Option<&str>, name: &str, custom: bool, names: &mut Names, lost: &mut Losses) -> String {
    let wire = names.wire(namespace, name, custom);
    if namespace.is_some() {
        lost.note(Field::ToolNamespace, "made part of the name");
    } else if wire != name {
        lost.note(Field::ToolName, "spelled with letters that are accepted");
    }
    wire
}

fn write_function<'a>(
    function: &'a Function,
    from: Protocol,
    model: &Model,
    names: &mut Names,
    lost: &mut Losses,
) -> wire::Tool<'a> {
    let name = named(function.namespace.as_deref(), &function.name, false, names, lost);
    let own = from == Protocol::Anthropic;
    if !own {
        lost.note_extra("tools", &function.extra);
    }
    let strict = function.strict == Some(true);
    if strict && !model.structured {
        lost.note(Field::StrictTool, "not supported by this model");
    }
    wire::Tool {
        kind: ToolKind::Function {
            name,
            description: function.description.as_deref().map(Cow::Borrowed),
            schema: schema::of_tool(function.schema.as_ref(), lost),
            strict: strict && model.structured,
        },
        cache: function.cache.as_ref().map(mark),
        extra: own.then_some(&function.extra),
    }
}

/// A tool with free text as a function with one argument.
fn custom(name: String, description: Option<String>) -> wire::Tool<'static> {
    let schema = r#"{"type":"object","properties":{"input":{"type":"string"}},"required":["input"],"additionalProperties":false}"#;
    wire::Tool {
        kind: ToolKind::Function {
            name,
            description: description.map(Cow::Owned),
            schema: Cow::Owned(Raw::of_valid(schema)),
            strict: false,
        },
        cache: None,
        extra: None,
    }
}

/// A description that tells the grammar of the input, too.
fn described(description: Option<&str>, format: Option<&Raw>) -> Option<String> {
    let node = format.map(Raw::node).unwrap_or_default();
    let grammar = node.get("grammar");
    let Some(definition) = grammar.get("definition").text() else {
        return description.map(str::to_owned);
    };
    let syntax = grammar.get("syntax").text().unwrap_or("a");
    let begin = description.map_or(String::new(), |text| format!("{text}\n\n"));
    Some(format!(
        "{begin}The text in `input` must match this {syntax} grammar:\n{definition}"
    ))
}

/// The tool whose arguments are the answer.
pub(super) fn answer<'a>(name: String, description: Option<&str>, schema: Cow<'a, Raw>) -> wire::Tool<'a> {
    let begin = "Give your answer by calling this tool, once, with the whole answer as its arguments.";
    let description = description.map_or_else(|| begin.to_owned(), |text| format!("{begin} {text}"));
    wire::Tool {
        kind: ToolKind::Function {
            name,
            description: Some(Cow::Owned(description)),
            schema,
            strict: false,
        },
        cache: None,
        extra: None,
    }
}

/// A cache mark as it is sent.
pub(super) fn mark(mark: &CacheMark) -> Mark {
    Mark { ttl: mark.ttl.clone() }
}

/// The cache mark of a tool that is kept as it came.
fn mark_of(raw: &Raw) -> Option<Mark> {
    let node = raw.node();
    let read = read_cache(node.get("cache_control"), "", &mut Extra::default());
    read.ok().flatten().as_ref().map(mark)
}
