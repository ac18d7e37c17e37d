//! `tools` and `toolConfig`.

use super::models::Model;
use super::schema;
use super::spelling::{is_named, under};
use super::write_choice;
use crate::codec::Memo;
use crate::field::Field;
use crate::ir::{Extra, Request, Tool, ToolChoice};
use crate::loss::Losses;
use crate::protocol::Protocol;
use crate::raw::Raw;
use crate::tool_names::{NameRule, ToolNames};
use crate::writer::Object;

/// Names of functions, as every version of the API accepts them.
pub(super) const NAMES: NameRule = NameRule {
    longest: 64,
    letters: "-",
    begins_with_letter: true,
};

/// The one argument of a tool with free text.
const FREE_TEXT: &str = r#"{"type":"object","properties":{"input":{"type":"string"}},"required":["input"]}"#;

/// The tools of a request.
#[derive(Debug)]
pub(super) struct Tools<'r> {
    functions: Vec<Declaration<'r>>,
    hosted: Vec<&'r Raw>,
    choice: Option<Raw>,
    config: Vec<(&'r str, &'r Raw)>,
    /// Gemini 3 wants to be told when both kinds of tools are offered.
    mixed: bool,
}

#[derive(Debug)]
struct Declaration<'r> {
    name: String,
    description: Option<String>,
    schema: Option<(&'static str, Raw)>,
    extra: Option<&'r Extra>,
}

impl<'r> Tools<'r> {
    pub(super) fn of(
        request: &'r Request,
        model: Model,
        names: &mut ToolNames,
        memo: &mut Memo,
        lost: &mut Losses,
    ) -> Self {
        let own = request.from == Protocol::Gemini;
        let mut tools = Self {
            functions: Vec::new(),
            hosted: Vec::new(),
            choice: None,
            config: Vec::new(),
            mixed: false,
        };
        let offered = offered(request, model, lost);
        for tool in request.tools.iter().filter(|tool| is_offered(tool, offered)) {
            tools.add(tool, request.from, model, names, memo, lost);
        }
        if request.parallel_tools == Some(false) && !tools.functions.is_empty() {
            lost.note(Field::ParallelTools, "the model may call several tools at once");
        }
        if !tools.functions.is_empty() {
            let mut wire = |name: &str| wire(request, name, names, memo);
            tools.choice = write_choice::choice(request, tools.functions.len(), model, &mut wire, lost);
        }
        if own {
            tools.config = under(&request.extra, "toolConfig").collect();
        }
        let told = |name: &str| tools.config.iter().any(|(known, _)| is_named(known, name));
        let both = !tools.functions.is_empty() && !tools.hosted.is_empty();
        tools.mixed = both && model.is_three() && !told("includeServerSideToolInvocations");
        tools
    }

    fn add(
        &mut self,
        tool: &'r Tool,
        from: Protocol,
        model: Model,
        names: &mut ToolNames,
        memo: &mut Memo,
        lost: &mut Losses,
    ) {
        let (declaration, extra) = match tool {
            Tool::Function(function) => {
                if function.cache.is_some() {
                    lost.note(Field::CacheMark, "not supported");
                }
                let name = names.wire(function.namespace.as_deref(), &function.name, false, memo);
                let schema = function.schema.as_ref().and_then(|schema| parameters(schema, model));
                (
                    Declaration::of(name, function.description.clone(), schema),
                    &function.extra,
                )
            }
            Tool::Custom {
                name,
                namespace,
                description,
                format,
                extra,
            } => {
                lost.note(Field::CustomTool, "offered as a function with one argument");
                let name = names.wire(namespace.as_deref(), name, true, memo);
                let description = described(description.as_deref(), format.as_ref());
                let schema = parameters(&Raw::of_valid(FREE_TEXT), model);
                (Declaration::of(name, description, schema), extra)
            }
            Tool::Foreign {
                protocol: Protocol::Gemini,
                raw,
                ..
            } => return self.hosted.push(raw),
            Tool::Foreign { .. } => return lost.note(Field::HostedTool, "a tool of another provider dropped"),
        };
        let own = from == Protocol::Gemini;
        if !own {
            lost.note_extra("tools", extra);
        }
        self.functions.push(Declaration {
            extra: own.then_some(extra),
            ..declaration
        });
    }

    pub(super) fn has_functions(&self) -> bool {
        !self.functions.is_empty()
    }

    pub(super) fn write(&self, it: &mut Object<'_>) {
        if !self.functions.is_empty() || !self.hosted.is_empty() {
            it.array("tools", |it| {
                if !self.functions.is_empty() {
                    it.object(|it| {
                        it.array("functionDeclarations", |it| {
                            self.functions
                                .iter()
                                .for_each(|function| it.object(|it| function.write(it)));
                        });
                    });
                }
                self.hosted.iter().for_each(|tool| it.raw(tool));
            });
        }
        if self.choice.is_some() || !self.config.is_empty() || self.mixed {
            it.object("toolConfig", |it| {
                it.some_raw("functionCallingConfig", self.choice.as_ref());
                if self.mixed {
                    it.bool("includeServerSideToolInvocations", true);
                }
                self.config.iter().for_each(|(name, value)| it.raw(name, value));
            });
        }
    }
}

impl Declaration<'_> {
    fn of(name: String, description: Option<String>, schema: Option<(&'static str, Raw)>) -> Self {
        Self {
            name,
            description,
            schema,
            extra: None,
        }
    }

    fn write(&self, it: &mut Object<'_>) {
        it.text("name", &self.name);
        it.some_text("description", self.description.as_deref());
        if let Some((key, schema)) = &self.schema {
            it.raw(key, schema);
        }
        for (name, value) in self.extra.into_iter().flat_map(|extra| under(extra, "")) {
            it.raw(name, value);
        }
    }
}

/// The schema of a function's arguments and the name of the member that takes it.
fn parameters(schema: &Raw, model: Model) -> Option<(&'static str, Raw)> {
    if model.is_older() {
        return schema::to_subset(schema).map(|schema| ("parameters", schema));
    }
    Some(("parametersJsonSchema", schema.clone()))
}

/// The names to which the tools must be narrowed, because the model cannot be told which are allowed.
fn offered<'r>(request: &'r Request, model: Model, lost: &mut Losses) -> Option<&'r [String]> {
    match &request.tool_choice {
        Some(ToolChoice::Allowed { names, required: false }) if model.is_older() => {
            lost.note(Field::AllowedTools, "only these tools offered");
            Some(names)
        }
        _ => None,
    }
}

fn is_offered(tool: &Tool, only: Option<&[String]>) -> bool {
    let name = match tool {
        Tool::Function(function) => &function.name,
        Tool::Custom { name, .. } => name,
        Tool::Foreign { .. } => return true,
    };
    only.is_none_or(|only| only.contains(name))
}

/// The name on the wire of a tool that is chosen by its name alone.
fn wire(request: &Request, name: &str, names: &mut ToolNames, memo: &mut Memo) -> String {
    let found = request.tools.iter().find_map(|tool| match tool {
        Tool::Function(function) if function.name == name => Some((function.namespace.as_deref(), false)),
        Tool::Custom {
            name: known, namespace, ..
        } if known == name => Some((namespace.as_deref(), true)),
        _ => None,
    });
    let (namespace, custom) = found.unwrap_or_default();
    names.wire(namespace, name, custom, memo)
}

/// The description of a tool with free text, with the grammar that its text must follow.
fn described(description: Option<&str>, format: Option<&Raw>) -> Option<String> {
    let node = format.map(Raw::node).unwrap_or_default();
    let definition = node.get("grammar").get("definition").text();
    match (description, definition) {
        (description, None) => description.map(str::to_owned),
        (description, Some(definition)) => {
            let description = description.map_or(String::new(), |text| format!("{text}\n\n"));
            Some(format!(
                "{description}The input must follow this grammar:\n{definition}"
            ))
        }
    }
}
