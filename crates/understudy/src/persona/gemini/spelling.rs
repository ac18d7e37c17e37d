//! Google takes both `snake_case` and `camelCase`: here all becomes the latter.

use serde_json::{Map, Value};

/// What holds names of the client's own.
const FREE: [&str; 7] = [
    "args",
    "response",
    "parametersJsonSchema",
    "responseJsonSchema",
    "labels",
    "default",
    "example",
];

/// The request with all of its fields in camel case.
pub(super) fn camel(value: &Value) -> Value {
    match value {
        Value::Array(values) => values.iter().map(camel).collect(),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| {
                let name = camel_name(name);
                let value = match name.as_str() {
                    "properties" => with_names_kept(value),
                    free if FREE.contains(&free) => value.clone(),
                    _ => camel(value),
                };
                (name, value)
            });
            Value::Object(fields.collect::<Map<_, _>>())
        }
        other => other.clone(),
    }
}

/// A path in snake case, as error messages have it.
pub(super) fn snake(path: &str) -> String {
    let mut snake = String::with_capacity(path.len());
    for character in path.chars() {
        if character.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(character.to_ascii_lowercase());
    }
    snake
}

fn with_names_kept(properties: &Value) -> Value {
    match properties {
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| (name.clone(), camel(value)))
            .collect(),
        other => other.clone(),
    }
}

fn camel_name(name: &str) -> String {
    let mut words = name.split('_');
    let mut camel = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut characters = word.chars();
        camel.extend(characters.next().map(|first| first.to_ascii_uppercase()));
        camel.push_str(characters.as_str());
    }
    // A name such as `$ref` or `_private` is nobody's spelling of another.
    if name.starts_with('_') { name.to_owned() } else { camel }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_of_the_client_are_kept() {
        let given = json!({"function_declarations": [{"parameters_json_schema": {"a_b": 1}, "parameters": {
            "any_of": [{"properties": {"city_name": {"max_items": 1}}}],
        }}]});
        let wanted = json!({"functionDeclarations": [{"parametersJsonSchema": {"a_b": 1}, "parameters": {
            "anyOf": [{"properties": {"city_name": {"maxItems": 1}}}],
        }}]});
        assert_eq!(camel(&given), wanted);
        assert_eq!(snake("contents[0].inlineData"), "contents[0].inline_data");
    }
}
