//! Writes what tools are offered and chosen.

use super::OWN;
use super::read_tools::NAMESPACE_PREFIX;
use super::schema::rooted_in_object;
use crate::field::Field;
use crate::ir::{Extra, Function, Tool, ToolChoice};
use crate::loss::Losses;
use crate::raw::Raw;
use crate::writer::{Object, raw_object, raw_text};

/// How tools are to be written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    /// The tools were offered in this protocol: what only it knows is put back.
    pub(super) own: bool,
    /// `strict` is understood.
    pub(super) strict: bool,
}

/// Gives a tool its name on the wire.
pub(super) type Naming<'n> = &'n mut dyn FnMut(&str) -> String;

/// Writes the tools. Those of one namespace stand together where the first of them stands.
pub(super) fn write_tools(tools: &[Tool], manner: Manner, name: Naming<'_>) -> Vec<Raw> {
    let mut written = Vec::with_capacity(tools.len());
    let mut spaces: Vec<&str> = Vec::new();
    for tool in tools {
        match namespace_of(tool) {
            None => written.extend(write_tool(tool, manner, name)),
            Some(space) if spaces.contains(&space) => {}
            Some(space) => {
                spaces.push(space);
                written.push(write_namespace(space, tools, manner, name));
            }
        }
    }
    written
}

/// Notes what of the tools is not written.
pub(super) fn note_losses(tools: &[Tool], manner: Manner, lost: &mut Losses) {
    for tool in tools {
        let extra = match tool {
            Tool::Function(function) => {
                if function.cache.is_some() {
                    lost.note(Field::CacheMark, "not possible on tools");
                }
                if function.strict.is_some() && !manner.strict {
                    lost.note(Field::StrictTool, "not supported by the provider");
                }
                if !manner.own && rooted_in_object(function.schema.as_ref()).1 {
                    lost.note(Field::ToolSchema, "choices at the root merged into one object");
                }
                &function.extra
            }
            Tool::Custom { extra, .. } => extra,
            Tool::Foreign { protocol, kind, .. } => {
                if *protocol != OWN {
                    lost.note_named(format!("tools[{kind}]"), "not known to this protocol");
                }
                continue;
            }
        };
        if !manner.own {
            lost.note_extra("tools", extra);
        }
    }
}

fn namespace_of(tool: &Tool) -> Option<&str> {
    match tool {
        Tool::Function(Function { namespace, .. }) | Tool::Custom { namespace, .. } => namespace.as_deref(),
        Tool::Foreign { .. } => None,
    }
}

fn write_namespace(space: &str, tools: &[Tool], manner: Manner, name: Naming<'_>) -> Raw {
    let members: Vec<&Tool> = tools.iter().filter(|tool| namespace_of(tool) == Some(space)).collect();
    raw_object(|it| {
        it.text("type", "namespace");
        it.text("name", space);
        if let Some(Tool::Function(Function { extra, .. }) | Tool::Custom { extra, .. }) = members.first() {
            let shared = extra
                .0
                .iter()
                .filter_map(|(name, value)| Some((name.strip_prefix(NAMESPACE_PREFIX)?, value)));
            shared.for_each(|(name, value)| it.raw(name, value));
        }
        it.array("tools", |it| {
            for tool in &members {
                if let Some(written) = write_tool(tool, manner, name) {
                    it.raw(&written);
                }
            }
        });
    })
}

fn write_tool(tool: &Tool, manner: Manner, name: Naming<'_>) -> Option<Raw> {
    Some(match tool {
        Tool::Function(function) => raw_object(|it| write_function(it, function, manner, name)),
        Tool::Custom {
            name: called,
            description,
            format,
            extra,
            ..
        } => raw_object(|it| {
            it.text("type", "custom");
            it.text("name", &name(called));
            it.some_text("description", description.as_deref());
            it.some_raw("format", format.as_ref().map(flat_format).as_ref());
            write_extra(it, extra, manner);
        }),
        Tool::Foreign { protocol, raw, .. } if *protocol == OWN && manner.own => raw.clone(),
        Tool::Foreign { .. } => return None,
    })
}

fn write_function(it: &mut Object<'_>, function: &Function, manner: Manner, name: Naming<'_>) {
    it.text("type", "function");
    it.text("name", &name(&function.name));
    it.some_text("description", function.description.as_deref());
    match &function.schema {
        Some(schema) if manner.own => it.raw("parameters", schema),
        schema => it.raw("parameters", &rooted_in_object(schema.as_ref()).0),
    }
    if manner.strict {
        // Left out, OpenAI tries whether the schema can be taken strictly, which changes what the model may say.
        it.bool("strict", function.strict.unwrap_or(false));
    }
    write_extra(it, &function.extra, manner);
}

fn write_extra(it: &mut Object<'_>, extra: &Extra, manner: Manner) {
    let members = extra.0.iter().filter(|(name, _)| !name.starts_with(NAMESPACE_PREFIX));
    members
        .filter(|_| manner.own)
        .for_each(|(name, value)| it.raw(name, value));
}

/// A grammar without the object that Chat Completions puts around it.
fn flat_format(format: &Raw) -> Raw {
    let node = format.node();
    let grammar = node.get("grammar");
    if node.get("type").text() != Some("grammar") || !grammar.is_object() {
        return format.clone();
    }
    raw_object(|it| {
        it.text("type", "grammar");
        for (name, value) in grammar.members() {
            it.raw(name, &value.to_raw());
        }
    })
}

/// The value of `tool_choice`; `None` for a choice that only another protocol knows.
pub(super) fn write_choice(choice: &ToolChoice, tools: &[Tool], name: Naming<'_>) -> Option<Raw> {
    Some(match choice {
        ToolChoice::Auto => raw_text("auto"),
        ToolChoice::None => raw_text("none"),
        ToolChoice::Required => raw_text("required"),
        ToolChoice::Tool { name: called } => raw_object(|it| {
            it.text("type", kind_of(called, tools));
            it.text("name", &name(called));
        }),
        ToolChoice::Allowed { names, required } => raw_object(|it| {
            it.text("type", "allowed_tools");
            it.text("mode", if *required { "required" } else { "auto" });
            it.array("tools", |it| {
                for called in names {
                    it.object(|it| {
                        it.text("type", kind_of(called, tools));
                        it.text("name", &name(called));
                    });
                }
            });
        }),
        ToolChoice::Foreign { protocol, raw } if *protocol == OWN => raw.clone(),
        ToolChoice::Foreign { .. } => return None,
    })
}

fn kind_of(called: &str, tools: &[Tool]) -> &'static str {
    let is_custom = |tool: &Tool| matches!(tool, Tool::Custom { name, .. } if name == called);
    if tools.iter().any(is_custom) {
        "custom"
    } else {
        "function"
    }
}
