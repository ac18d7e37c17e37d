//! The subset of OpenAPI schemas that `parameters` and `responseSchema` take.

use serde_json::Value;

use super::check::known_at;
use super::errors::ApiError;
use super::spelling::snake;
use crate::persona::fields::{list, text};

const KEYWORDS: [&str; 22] = [
    "type",
    "format",
    "title",
    "description",
    "nullable",
    "enum",
    "items",
    "minItems",
    "maxItems",
    "properties",
    "required",
    "minProperties",
    "maxProperties",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "pattern",
    "default",
    "example",
    "anyOf",
    "propertyOrdering",
];
const TYPES: [&str; 7] = ["STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL"];

/// Fails if the schema at a path is not of the subset.
pub(super) fn check(path: &str, schema: &Value) -> Result<(), ApiError> {
    known_at(path, schema, &KEYWORDS)?;
    match &schema["type"] {
        Value::Null => {}
        Value::String(name) if TYPES.contains(&name.to_uppercase().as_str()) => {}
        Value::Array(_) => {
            return Err(ApiError::invalid(format!(
                "Invalid JSON payload received. Unknown name \"type\" at '{}': Proto field is not repeating, cannot start list.",
                snake(path)
            )));
        }
        other => {
            return Err(ApiError::invalid(format!(
                "Invalid value at '{}.type' (type.googleapis.com/google.ai.generativelanguage.v1beta.Type), {other}",
                snake(path)
            )));
        }
    }
    for (index, value) in list(&schema["enum"]).iter().enumerate() {
        if !value.is_string() {
            let path = snake(path);
            return Err(ApiError::invalid(format!(
                "Invalid value at '{path}.enum[{index}]' (TYPE_STRING), {value}"
            )));
        }
    }
    below(path, schema)
}

fn below(path: &str, schema: &Value) -> Result<(), ApiError> {
    let properties = schema["properties"]
        .as_object()
        .into_iter()
        .flat_map(|properties| properties.values());
    for (index, property) in properties.enumerate() {
        check(&format!("{path}.properties[{index}].value"), property)?;
    }
    for name in list(&schema["required"]) {
        if schema["properties"].get(text(name)).is_none() {
            let name = text(name);
            return Err(ApiError::invalid(format!(
                "* GenerateContentRequest.{}.required[0]: property is not defined: {name}\n",
                snake(path)
            )));
        }
    }
    if schema["items"].is_object() {
        check(&format!("{path}.items"), &schema["items"])?;
    }
    if text(&schema["type"]).eq_ignore_ascii_case("array") && schema["items"].is_null() {
        return Err(ApiError::invalid(format!(
            "* GenerateContentRequest.{}.items: missing field.\n",
            snake(path)
        )));
    }
    for (index, member) in list(&schema["anyOf"]).iter().enumerate() {
        check(&format!("{path}.anyOf[{index}]"), member)?;
    }
    Ok(())
}
