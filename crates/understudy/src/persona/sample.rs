//! A value that a JSON schema admits, for the arguments of tool calls and for structured output.

use serde_json::{Map, Value, json};

/// Schemas nested deeper than this get null.
const DEEPEST: usize = 16;

/// A value for `schema`; where it wants a text, that is `text`.
pub(super) fn of_schema(schema: &Value, text: &str) -> Value {
    sample(schema, text, schema, 0)
}

fn sample(schema: &Value, text: &str, root: &Value, depth: usize) -> Value {
    if depth > DEEPEST {
        return Value::Null;
    }
    let below = |schema: &Value| sample(schema, text, root, depth + 1);
    if let Some(value) = schema.get("const").or_else(|| schema["enum"].get(0)) {
        return value.clone();
    }
    if let Some(target) = schema["$ref"]
        .as_str()
        .and_then(|link| root.pointer(link.strip_prefix('#')?))
    {
        return below(target);
    }
    if let Some(choice) = ["anyOf", "oneOf", "allOf"].iter().find_map(|name| schema[name].get(0)) {
        return below(choice);
    }
    match schema["type"].as_str().or_else(|| schema["type"].get(0)?.as_str()) {
        Some("string") => json!(text),
        Some("integer" | "number") => schema.get("minimum").cloned().unwrap_or_else(|| json!(1)),
        Some("boolean") => json!(true),
        Some("null") => Value::Null,
        Some("array") => json!([below(&schema["items"])]),
        _ => Value::Object(fields(schema, below)),
    }
}

/// The fields that are required, or all of them if none is.
fn fields(schema: &Value, below: impl Fn(&Value) -> Value) -> Map<String, Value> {
    let Some(properties) = schema["properties"].as_object() else {
        return Map::new();
    };
    let required = schema["required"].as_array();
    let is_wanted = |name: &String| required.is_none_or(|required| required.iter().any(|wanted| wanted == name));
    properties
        .iter()
        .filter(|(name, _)| is_wanted(name))
        .map(|(name, schema)| (name.clone(), below(schema)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn required_fields_are_filled_in() {
        let schema = json!({
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "unit": {"enum": ["c", "f"]},
                "days": {"type": ["integer", "null"]},
                "tags": {"type": "array", "items": {"$ref": "#/$defs/tag"}},
                "spare": {"type": "string"},
            },
            "required": ["city", "unit", "days", "tags"],
            "$defs": {"tag": {"type": "boolean"}},
        });
        assert_eq!(
            of_schema(&schema, "Oslo"),
            json!({"city": "Oslo", "unit": "c", "days": 1, "tags": [true]})
        );
    }

    #[test]
    fn a_schema_that_contains_itself_ends() {
        let schema = json!({"type": "object", "properties": {"next": {"$ref": "#"}}, "required": ["next"]});
        assert!(of_schema(&schema, "").is_object());
    }
}
