//! Reads what tools are offered and chosen.

use super::OWN;
use super::read_request::{leftovers, prefixed_leftovers};
use crate::codec::Malformed;
use crate::ir::{Extra, Function, Tool, ToolChoice};
use crate::raw::Raw;
use crate::tree::Node;
use crate::writer::raw_object;

/// Under which names the members of a namespace travel with the tools in it.
pub(super) const NAMESPACE_PREFIX: &str = "namespace.";

/// Reads a list of tools. Namespaces are flattened: each tool knows the one that it belongs to.
pub(super) fn read_tools(node: &Node<'_>, place: &str) -> Result<Vec<Tool>, Malformed> {
    if !node.is_null() && !node.is_array() {
        return Err(Malformed::field(place, "must be an array"));
    }
    let mut tools = Vec::new();
    for (at, tool) in node.items().iter().enumerate() {
        let place = format!("{place}[{at}]");
        match tool.get("type").text() {
            Some("namespace") => tools.extend(read_namespace(tool, &place)?),
            Some(_) => tools.push(read_tool(tool, None, &place)?),
            None => return Err(Malformed::field(format!("{place}.type"), "must be a string")),
        }
    }
    Ok(tools)
}

fn read_namespace(node: &Node<'_>, place: &str) -> Result<Vec<Tool>, Malformed> {
    let name = name_of(node, place)?;
    let inner = node.get("tools").items();
    let is_known = |tool: &Node<'_>| matches!(tool.get("type").text(), Some("function" | "custom"));
    if inner.is_empty() || !inner.iter().all(is_known) {
        return Ok(vec![foreign(node)]);
    }
    let shared = prefixed_leftovers(node, &["type", "name", "tools"], NAMESPACE_PREFIX);
    let read = |(at, tool): (usize, &Node<'_>)| {
        let mut tool = read_tool(tool, Some(&name), &format!("{place}.tools[{at}]"))?;
        if let Tool::Function(Function { extra, .. }) | Tool::Custom { extra, .. } = &mut tool {
            extra.0.extend(shared.0.iter().cloned());
        }
        Ok(tool)
    };
    inner.iter().enumerate().map(read).collect()
}

fn read_tool(node: &Node<'_>, namespace: Option<&str>, place: &str) -> Result<Tool, Malformed> {
    let namespace = namespace.map(str::to_owned);
    match node.get("type").text_or_empty() {
        "function" => read_function(node, namespace, place),
        "custom" => Ok(Tool::Custom {
            name: name_of(node, place)?,
            namespace,
            description: node.get("description").string(),
            format: read_custom_format(node.get("format")),
            extra: leftovers(node, &["type", "name", "description", "format"]),
        }),
        _ => Ok(foreign(node)),
    }
}

fn read_function(node: &Node<'_>, namespace: Option<String>, place: &str) -> Result<Tool, Malformed> {
    // Chat Completions nests these members in one more object, and some clients do the same here.
    let nested = node.get("function");
    let mut extra = Extra::default();
    let inner = if nested.is_object() {
        extra = leftovers(node, &["type", "function"]);
        nested
    } else {
        node
    };
    extra
        .0
        .extend(leftovers(inner, &["type", "name", "description", "parameters", "strict"]).0);
    let parameters = inner.get("parameters");
    if !parameters.is_null() && !parameters.is_object() {
        return Err(Malformed::field(format!("{place}.parameters"), "must be an object"));
    }
    Ok(Tool::Function(Function {
        name: name_of(inner, place)?,
        namespace,
        description: inner.get("description").string(),
        schema: parameters.is_object().then(|| parameters.to_raw()),
        strict: inner.get("strict").bool(),
        cache: None,
        extra,
    }))
}

fn name_of(node: &Node<'_>, place: &str) -> Result<String, Malformed> {
    node.get("name")
        .string()
        .filter(|name| !name.is_empty())
        .ok_or_else(|| Malformed::field(format!("{place}.name"), "must be a string that is not empty"))
}

fn foreign(node: &Node<'_>) -> Tool {
    Tool::Foreign {
        protocol: OWN,
        kind: node.get("type").text_or_empty().to_owned(),
        raw: node.to_raw(),
    }
}

/// A grammar is flat here; the vocabulary has Chat Completions' spelling, which nests it.
fn read_custom_format(node: &Node<'_>) -> Option<Raw> {
    if node.is_null() {
        return None;
    }
    let is_flat = node.get("type").text() == Some("grammar") && node.get("grammar").is_null();
    if !is_flat {
        return Some(node.to_raw());
    }
    Some(raw_object(|it| {
        it.text("type", "grammar");
        it.object("grammar", |it| {
            for (name, value) in node.members().iter().filter(|(name, _)| name != "type") {
                it.raw(name, &value.to_raw());
            }
        });
    }))
}

/// Reads `tool_choice`.
pub(super) fn read_choice(node: &Node<'_>) -> Result<Option<ToolChoice>, Malformed> {
    if node.is_null() {
        return Ok(None);
    }
    if let Some(word) = node.text() {
        return Ok(Some(match word {
            "auto" => ToolChoice::Auto,
            "none" => ToolChoice::None,
            "required" | "any" => ToolChoice::Required,
            _ => return Err(Malformed::field("tool_choice", "is not known")),
        }));
    }
    if !node.is_object() {
        return Err(Malformed::field("tool_choice", "must be a string or an object"));
    }
    let foreign = || ToolChoice::Foreign {
        protocol: OWN,
        raw: node.to_raw(),
    };
    Ok(Some(match node.get("type").text() {
        Some("function" | "custom") => ToolChoice::Tool {
            name: chosen_name(node).ok_or_else(|| Malformed::field("tool_choice.name", "must be a string"))?,
        },
        Some("allowed_tools") => read_allowed(node).unwrap_or_else(foreign),
        _ => foreign(),
    }))
}

fn read_allowed(node: &Node<'_>) -> Option<ToolChoice> {
    let nested = node.get("allowed_tools");
    let node = if nested.is_object() { nested } else { node };
    let named = |tool: &Node<'_>| match tool.get("type").text() {
        Some("function" | "custom") => chosen_name(tool),
        _ => None,
    };
    Some(ToolChoice::Allowed {
        names: node.get("tools").items().iter().map(named).collect::<Option<_>>()?,
        required: node.get("mode").text() == Some("required"),
    })
}

fn chosen_name(node: &Node<'_>) -> Option<String> {
    let kind = node.get("type").text_or_empty();
    node.get("name")
        .string()
        .or_else(|| node.get(kind).get("name").string())
}
