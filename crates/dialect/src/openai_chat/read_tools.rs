//! Reads tools and the choice among them.

use std::fmt::Arguments;

use super::read_content::cache_mark;
use super::read_request::LEGACY;
use crate::Protocol;
use crate::codec::Malformed;
use crate::ir::{Extra, Function, Request, Tool, ToolChoice};
use crate::raw::Raw;
use crate::tree::Node;

/// Before the name of a member that stands beside `function` instead of in it.
pub(super) const BESIDE: &str = "tool.";

/// Reads `tools` and `tool_choice`, and what they were called before.
pub(super) fn read(node: &Node<'_>, request: &mut Request) -> Result<(), Malformed> {
    let tools = node.get("tools");
    if !tools.is_null() && !tools.is_array() {
        return Err(Malformed::field("tools", "must be a list"));
    }
    for (at, tool) in tools.items().iter().enumerate() {
        request.tools.push(read_tool(tool, format_args!("tools[{at}]"))?);
    }
    request.tool_choice = read_choice(node.get("tool_choice"))?;
    read_legacy(node, request)
}

fn read_legacy(node: &Node<'_>, request: &mut Request) -> Result<(), Malformed> {
    let functions = node.get("functions");
    if functions.is_null() {
        return Ok(());
    }
    if !functions.is_array() {
        return Err(Malformed::field("functions", "must be a list"));
    }
    for (at, function) in functions.items().iter().enumerate() {
        let function = read_function(function, function, format_args!("functions[{at}]"))?;
        request.tools.push(Tool::Function(function));
    }
    if request.tool_choice.is_none() {
        let choice = node.get("function_call");
        request.tool_choice = match choice.get("name").string() {
            Some(name) => Some(ToolChoice::Tool { name }),
            None => read_choice(choice)?,
        };
    }
    // The answer has place for one call only.
    request.parallel_tools.get_or_insert(false);
    request.extra.keep(LEGACY, Raw::of_valid("true"));
    Ok(())
}

fn read_tool(node: &Node<'_>, at: Arguments<'_>) -> Result<Tool, Malformed> {
    if !node.is_object() {
        return Err(Malformed::field(at.to_string(), "must be an object"));
    }
    match node.get("type").text() {
        Some("function") | None => {
            // Some clients send the flat form of the Responses API, or Anthropic's.
            let nested = node.get("function");
            let function = if nested.is_object() { nested } else { node };
            read_function(function, node, at).map(Tool::Function)
        }
        Some("custom") if node.get("custom").is_object() || node.get("name").is_text() => {
            let nested = node.get("custom");
            read_custom(if nested.is_object() { nested } else { node }, at)
        }
        Some(kind) => Ok(Tool::Foreign {
            protocol: Protocol::OpenaiChat,
            kind: kind.to_owned(),
            raw: node.to_raw(),
        }),
    }
}

/// Reads a function. `outer` is the tool that holds it, or itself.
fn read_function(node: &Node<'_>, outer: &Node<'_>, at: Arguments<'_>) -> Result<Function, Malformed> {
    let name = node.get("name").text().filter(|name| !name.is_empty());
    let name =
        name.ok_or_else(|| Malformed::field(format!("{at}.function.name"), "must be a string that is not empty"))?;
    let schema = node.any(&["parameters", "input_schema"]);
    if !schema.is_null() && !schema.is_object() {
        return Err(Malformed::field(
            format!("{at}.function.parameters"),
            "must be an object",
        ));
    }
    let mut extra = Extra::default();
    let known = [
        "name",
        "description",
        "parameters",
        "input_schema",
        "strict",
        "type",
        "cache_control",
    ];
    for (name, value) in node.members() {
        if !value.is_null() && !known.contains(&name.as_ref()) {
            extra.keep(name, value.to_raw());
        }
    }
    if !std::ptr::eq(node, outer) {
        let known = ["type", "function", "strict", "cache_control"];
        for (name, value) in outer.members() {
            if !value.is_null() && !known.contains(&name.as_ref()) {
                extra.keep(&format!("{BESIDE}{name}"), value.to_raw());
            }
        }
    }
    Ok(Function {
        name: name.to_owned(),
        namespace: None,
        description: node.get("description").string(),
        schema: (!schema.is_null()).then(|| schema.to_raw()),
        strict: node.get("strict").bool().or(outer.get("strict").bool()),
        cache: cache_mark(node).or_else(|| cache_mark(outer)),
        extra,
    })
}

fn read_custom(node: &Node<'_>, at: Arguments<'_>) -> Result<Tool, Malformed> {
    let name = node.get("name").text().filter(|name| !name.is_empty());
    let name =
        name.ok_or_else(|| Malformed::field(format!("{at}.custom.name"), "must be a string that is not empty"))?;
    let format = node.get("format");
    let mut extra = Extra::default();
    for (name, value) in node.members() {
        if !value.is_null() && !matches!(name.as_ref(), "name" | "description" | "format" | "type") {
            extra.keep(name, value.to_raw());
        }
    }
    Ok(Tool::Custom {
        name: name.to_owned(),
        namespace: None,
        description: node.get("description").string(),
        format: (!format.is_null()).then(|| format.to_raw()),
        extra,
    })
}

fn read_choice(node: &Node<'_>) -> Result<Option<ToolChoice>, Malformed> {
    const REASON: &str = "must be `none`, `auto`, `required` or an object";
    if node.is_null() {
        return Ok(None);
    }
    let word = node.text().or_else(|| node.get("type").text());
    let name = [node.get("function"), node.get("custom"), node]
        .iter()
        .find_map(|place| place.get("name").string());
    Ok(Some(match (word, name) {
        (Some("auto"), _) => ToolChoice::Auto,
        (Some("none"), _) => ToolChoice::None,
        // `any` is the word of Mistral and Anthropic.
        (Some("required" | "any"), _) => ToolChoice::Required,
        (Some("allowed_tools"), _) => read_allowed(node),
        (Some("function" | "custom" | "tool") | None, Some(name)) => ToolChoice::Tool { name },
        (Some(_), _) if node.is_object() => ToolChoice::Foreign {
            protocol: Protocol::OpenaiChat,
            raw: node.to_raw(),
        },
        _ => return Err(Malformed::field("tool_choice", REASON)),
    }))
}

fn read_allowed(node: &Node<'_>) -> ToolChoice {
    let nested = node.get("allowed_tools");
    let allowed = if nested.is_object() { nested } else { node };
    let name = |tool: &Node<'_>| {
        let places = [tool.get("function"), tool.get("custom"), tool];
        places.iter().find_map(|place| place.get("name").string())
    };
    ToolChoice::Allowed {
        names: allowed.get("tools").items().iter().filter_map(name).collect(),
        required: allowed.get("mode").text() == Some("required"),
    }
}
