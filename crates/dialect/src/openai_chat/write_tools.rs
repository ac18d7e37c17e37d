//! Writes tools and the choice among them.

use super::read_tools::BESIDE;
use super::write_content::write_control;
use super::write_request::Scribe;
use crate::Protocol;
use crate::field::Field;
use crate::ir::{Function, Request, Tool, ToolChoice};
use crate::openai_models;
use crate::raw::Raw;
use crate::writer::{Array, Object};

/// What a function without a schema takes.
const NO_ARGUMENTS: &str = r#"{"type":"object","properties":{}}"#;

/// What a function takes that stands for a tool with free text.
const FREE_TEXT: &str =
    r#"{"type":"object","properties":{"input":{"type":"string"}},"required":["input"],"additionalProperties":false}"#;

impl Scribe<'_> {
    /// Writes the tools that can be offered.
    pub(super) fn tools(&mut self, items: &mut Array<'_>, request: &Request) {
        let emulated = match &request.tool_choice {
            Some(ToolChoice::Allowed { names, .. }) if !self.knows_allowed() => Some(names),
            _ => None,
        };
        for tool in &request.tools {
            let name = match tool {
                Tool::Function(function) => Some(&function.name),
                Tool::Custom { name, .. } => Some(name),
                Tool::Foreign { .. } => None,
            };
            if let (Some(names), Some(name)) = (emulated, name)
                && !names.contains(name)
            {
                self.lost.note(Field::AllowedTools, "the other tools are left out");
                continue;
            }
            self.tool(items, tool);
        }
    }

    fn tool(&mut self, items: &mut Array<'_>, tool: &Tool) {
        match tool {
            Tool::Function(function) => self.function(items, function),
            Tool::Custom {
                name,
                namespace: None,
                description,
                format,
                extra,
            } if self.own => {
                let name = self.name(None, name, false);
                items.object(|it| {
                    it.text("type", "custom");
                    it.object("custom", |it| {
                        it.text("name", &name);
                        it.some_text("description", description.as_deref());
                        it.some_raw("format", format.as_ref());
                        for (name, value) in &extra.0 {
                            it.raw(name, value);
                        }
                    });
                });
            }
            Tool::Custom {
                name,
                namespace,
                description,
                format,
                extra,
            } => {
                self.lost.note(Field::CustomTool, "offered as a function");
                self.lost.note_extra("tools", extra);
                let name = self.name(namespace.as_deref(), name, true);
                let description = described(description.as_deref(), format.as_ref());
                items.object(|it| {
                    it.text("type", "function");
                    it.object("function", |it| {
                        it.text("name", &name);
                        it.some_text("description", description.as_deref());
                        it.raw("parameters", &Raw::of_valid(FREE_TEXT));
                    });
                });
            }
            Tool::Foreign { protocol, raw, .. } if *protocol == Protocol::OpenaiChat => items.raw(raw),
            Tool::Foreign { .. } => self.lost.note(Field::HostedTool, "not supported"),
        }
    }

    fn function(&mut self, items: &mut Array<'_>, function: &Function) {
        let name = self.name(function.namespace.as_deref(), &function.name, false);
        let strict = function.strict.filter(|strict| {
            let supported = self.target.quirks.strict_tools;
            self.allows_if(supported || !strict, Field::StrictTool) && supported
        });
        let own = self.own;
        if !own {
            self.lost.note_extra("tools", &function.extra);
            self.allows_if(function.cache.is_none(), Field::CacheMark);
        }
        let none = Raw::of_valid(NO_ARGUMENTS);
        let kept = function.extra.0.iter().filter(|_| own);
        let (beside, within): (Vec<_>, Vec<_>) = kept.partition(|(name, _)| name.starts_with(BESIDE));
        items.object(|it| {
            it.text("type", "function");
            it.object("function", |it| {
                it.text("name", &name);
                it.some_text("description", function.description.as_deref());
                it.some_raw("parameters", function.schema.as_ref().or((!own).then_some(&none)));
                it.some_bool("strict", strict);
                for (name, value) in within {
                    it.raw(name, value);
                }
            });
            for (name, value) in beside {
                it.raw(name.trim_start_matches(BESIDE), value);
            }
            if let (Some(mark), true) = (&function.cache, own) {
                write_control(it, mark);
            }
        });
    }

    /// Whether the target can be told to choose among some of the tools.
    fn knows_allowed(&self) -> bool {
        self.own || openai_models::is_openai(self.target.model)
    }

    /// Writes the choice of a tool. OpenAI refuses it where there are no tools.
    pub(super) fn choice(&mut self, it: &mut Object<'_>, request: &Request) {
        match &request.tool_choice {
            None => {}
            Some(ToolChoice::Auto) => it.text("tool_choice", "auto"),
            Some(ToolChoice::None) => it.text("tool_choice", "none"),
            Some(ToolChoice::Required) => self.required(it),
            Some(ToolChoice::Tool { name }) => {
                let (name, native) = self.chosen(name, &request.tools);
                it.object("tool_choice", |it| write_chosen(it, &name, native));
            }
            Some(ToolChoice::Allowed { names, required }) => self.allowed(it, names, *required, &request.tools),
            Some(ToolChoice::Foreign { protocol, raw }) if *protocol == Protocol::OpenaiChat => {
                it.raw("tool_choice", raw);
            }
            Some(ToolChoice::Foreign { .. }) => self.lost.note(Field::ToolChoice, "not supported"),
        }
        if let Some(parallel) = request.parallel_tools
            && self.allows_if(
                self.target.quirks.parallel_tool_calls && !self.is_unsupported("parallel_tool_calls"),
                Field::ParallelTools,
            )
        {
            it.bool("parallel_tool_calls", parallel);
        }
    }

    fn allowed(&mut self, it: &mut Object<'_>, names: &[String], required: bool, tools: &[Tool]) {
        if !self.knows_allowed() {
            // The other tools were left out.
            return if required {
                self.required(it);
            } else {
                it.text("tool_choice", "auto");
            };
        }
        let chosen: Vec<_> = names.iter().map(|name| self.chosen(name, tools)).collect();
        it.object("tool_choice", |it| {
            it.text("type", "allowed_tools");
            it.object("allowed_tools", |it| {
                it.text("mode", if required { "required" } else { "auto" });
                it.array("tools", |items| {
                    for (name, native) in &chosen {
                        items.object(|it| write_chosen(it, name, *native));
                    }
                });
            });
        });
    }

    fn required(&mut self, it: &mut Object<'_>) {
        if self.allows_if(self.target.quirks.tool_choice_required, Field::ToolChoice) {
            it.text("tool_choice", "required");
        }
    }

    /// The name on the wire of a tool that is known by its name alone, and whether it is a custom one there.
    fn chosen(&mut self, name: &str, tools: &[Tool]) -> (String, bool) {
        let found = tools.iter().find_map(|tool| match tool {
            Tool::Function(function) if function.name == name => Some((function.namespace.as_deref(), false)),
            Tool::Custom {
                name: known, namespace, ..
            } if known == name => Some((namespace.as_deref(), true)),
            _ => None,
        });
        let (namespace, custom) = found.unwrap_or((None, false));
        let native = custom && self.own;
        (self.name(namespace, name, custom && !native), native)
    }
}

fn write_chosen(it: &mut Object<'_>, name: &str, native: bool) {
    let kind = if native { "custom" } else { "function" };
    it.text("type", kind);
    it.object(kind, |it| it.text("name", name));
}

/// The description of a tool with free text, with the grammar that the text must satisfy.
fn described(description: Option<&str>, format: Option<&Raw>) -> Option<String> {
    let format = format.map(Raw::node).unwrap_or_default();
    let grammar = format.get("grammar");
    // The Responses API has the same without the inner object.
    let grammar = if grammar.is_object() { grammar } else { &format };
    let Some(definition) = grammar.get("definition").text() else {
        return description.map(str::to_owned);
    };
    let syntax = grammar.get("syntax").text().unwrap_or("formal");
    let description = description.map(|text| format!("{text}\n\n")).unwrap_or_default();
    Some(format!(
        "{description}`input` must satisfy this {syntax} grammar:\n{definition}"
    ))
}
