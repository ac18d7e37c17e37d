//! Reads `tools` and `toolConfig`.

use super::openapi;
use super::spelling::{Fields, member};
use crate::codec::Malformed;
use crate::ir::{Extra, Function, Tool, ToolChoice};
use crate::protocol::Protocol;
use crate::tree::Node;
use crate::writer;

/// Reads the `tools`.
pub(super) fn read_tools(node: &Node<'_>) -> Result<Vec<Tool>, Malformed> {
    let one = std::slice::from_ref(node);
    let items = if node.is_array() || node.is_null() {
        node.items()
    } else {
        one
    };
    let mut tools = Vec::new();
    for (index, item) in items.iter().enumerate() {
        if !item.is_object() {
            return Err(Malformed::field(format!("tools[{index}]"), "must be an object"));
        }
        let mut fields = Fields::of(item);
        let declarations = fields.take("functionDeclarations");
        let one = std::slice::from_ref(declarations);
        let single = declarations.is_object();
        for (number, declaration) in if single { one } else { declarations.items() }.iter().enumerate() {
            let place = format!("tools[{index}].functionDeclarations[{number}]");
            tools.push(Tool::Function(read_function(declaration, &place)?));
        }
        for (kind, value) in fields.rest() {
            tools.push(Tool::Foreign {
                protocol: Protocol::Gemini,
                kind: kind.to_owned(),
                raw: writer::raw_object(|it| it.raw(kind, &value.to_raw())),
            });
        }
    }
    Ok(tools)
}

fn read_function(node: &Node<'_>, place: &str) -> Result<Function, Malformed> {
    let mut fields = Fields::of(node);
    let name = fields.take("name").string().filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| Malformed::field(format!("{place}.name"), "must be a string that is not empty"))?;
    let description = fields.take("description").string();
    let parameters = fields.take("parameters");
    let json_schema = fields.take("parametersJsonSchema");
    let schema = if !json_schema.is_null() {
        Some(json_schema.to_raw())
    } else if parameters.is_object() {
        Some(openapi::to_json_schema(parameters))
    } else if parameters.is_null() {
        None
    } else {
        return Err(Malformed::field(format!("{place}.parameters"), "must be an object"));
    };
    let mut function = Function {
        name,
        description,
        schema,
        ..Function::default()
    };
    fields.keep_rest("", &mut function.extra);
    Ok(function)
}

/// Reads a `toolConfig`.
pub(super) fn read_tool_config(node: &Node<'_>, extra: &mut Extra) -> Result<Option<ToolChoice>, Malformed> {
    if node.is_null() {
        return Ok(None);
    }
    if !node.is_object() {
        return Err(Malformed::field("toolConfig", "must be an object"));
    }
    let mut fields = Fields::of(node);
    let calling = fields.take("functionCallingConfig");
    fields.keep_rest("toolConfig", extra);
    if calling.is_null() {
        return Ok(None);
    }
    let mut fields = Fields::of(calling);
    let mode = fields.take("mode").text().unwrap_or("AUTO").to_ascii_uppercase();
    let names: Vec<String> = fields
        .take("allowedFunctionNames")
        .items()
        .iter()
        .filter_map(Node::string)
        .collect();
    fields.keep_rest("toolConfig.functionCallingConfig", extra);
    Ok(Some(match (mode.as_str(), names.as_slice()) {
        ("AUTO" | "MODE_UNSPECIFIED", []) => ToolChoice::Auto,
        ("NONE", _) => ToolChoice::None,
        ("ANY", []) => ToolChoice::Required,
        ("ANY", [name]) => ToolChoice::Tool { name: name.clone() },
        ("ANY", _) => ToolChoice::Allowed { names, required: true },
        ("AUTO" | "MODE_UNSPECIFIED" | "VALIDATED", [_, ..]) => ToolChoice::Allowed { names, required: false },
        _ => ToolChoice::Foreign {
            protocol: Protocol::Gemini,
            raw: writer::raw_object(|it| it.raw("mode", &member(calling, "mode").to_raw())),
        },
    }))
}
