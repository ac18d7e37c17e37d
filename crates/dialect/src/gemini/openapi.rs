//! From Gemini's `Schema`, a subset of OpenAPI 3.0, to JSON Schema.

use std::borrow::Cow;
use std::collections::HashMap;

use super::spelling::{is_named, member};
use crate::raw::Raw;
use crate::tree::{Node, Value};
use crate::writer::{self, Array, Object};

/// The JSON Schema that says the same. What is JSON Schema already stays as it is.
pub(super) fn to_json_schema(schema: &Node<'_>) -> Raw {
    if !schema.is_object() {
        return schema.to_raw();
    }
    writer::raw_object(|it| convert(schema, it))
}

/// Keywords in both spellings, whose value is a number that may be spelled as a string (`int64`).
const COUNTS: [&str; 6] = [
    "minItems",
    "maxItems",
    "minLength",
    "maxLength",
    "minProperties",
    "maxProperties",
];

fn convert(schema: &Node<'_>, it: &mut Object<'_>) {
    let nullable = member(schema, "nullable").bool() == Some(true);
    for (key, value) in schema.members() {
        if value.is_null() && key != "default" && key != "const" && key != "example" {
            continue;
        }
        match key.as_ref() {
            "nullable" => {}
            "type" => kind(value, nullable, it),
            "format" if value.text() == Some("enum") => {}
            "enum" => it.array("enum", |it| {
                value.items().iter().for_each(|item| it.raw(&item.to_raw()));
                if nullable && !value.items().iter().any(Node::is_null) {
                    it.raw(&Raw::of_valid("null"));
                }
            }),
            "items" | "not" | "additionalProperties" => nested(key, value, it),
            "additional_properties" => nested("additionalProperties", value, it),
            "anyOf" | "any_of" => alternatives("anyOf", value, it),
            "oneOf" | "allOf" | "prefixItems" => alternatives(key, value, it),
            "properties" | "$defs" | "definitions" => named(key, value, member(schema, "propertyOrdering"), it),
            "example" => it.array("examples", |it| it.raw(&value.to_raw())),
            key if is_named(key, "propertyOrdering") => {}
            key => match COUNTS.iter().find(|name| is_named(key, name)) {
                Some(name) => it.raw(name, &number(value)),
                None => it.raw(key, &value.to_raw()),
            },
        }
    }
}

fn kind(value: &Node<'_>, nullable: bool, it: &mut Object<'_>) {
    let Some(word) = value.text() else {
        return it.raw("type", &value.to_raw());
    };
    if word == "TYPE_UNSPECIFIED" {
        return;
    }
    let word = word.to_ascii_lowercase();
    if nullable && word != "null" {
        it.array("type", |it| {
            it.text(&word);
            it.text("null");
        });
    } else {
        it.text("type", &word);
    }
}

/// A keyword whose value is a schema, or a truth value.
fn nested(key: &str, value: &Node<'_>, it: &mut Object<'_>) {
    if value.is_object() {
        it.object(key, |it| convert(value, it));
    } else {
        it.raw(key, &value.to_raw());
    }
}

/// A keyword whose value is an array of schemas.
fn alternatives(key: &str, value: &Node<'_>, it: &mut Object<'_>) {
    let each = |it: &mut Array<'_>| {
        for schema in value.items() {
            if schema.is_object() {
                it.object(|it| convert(schema, it));
            } else {
                it.raw(&schema.to_raw());
            }
        }
    };
    it.array(key, each);
}

/// A keyword whose value is an object of schemas by name. Models fill in properties in their order, so that the one that
/// is asked for is established here.
fn named(key: &str, value: &Node<'_>, ordering: &Node<'_>, it: &mut Object<'_>) {
    let mut members: Vec<&(Cow<'_, str>, Node<'_>)> = value.members().iter().collect();
    if matches!(ordering.value(), Value::Array(_)) {
        let names = ordering.items().iter().filter_map(Node::text);
        let places: HashMap<&str, usize> = names.enumerate().map(|(place, name)| (name, place)).collect();
        members.sort_by_key(|(name, _)| places.get(name.as_ref()).copied().unwrap_or(usize::MAX));
    }
    it.object(key, |it| {
        for (name, schema) in members {
            nested(name, schema, it);
        }
    });
}

fn number(value: &Node<'_>) -> Raw {
    let digits = |text: &&str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match value.text().filter(digits) {
        Some(text) => Raw::parse(text).unwrap_or_else(|_| value.to_raw()),
        None => value.to_raw(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn converted(schema: &str) -> String {
        to_json_schema(&Node::parse_text(schema).unwrap()).as_str().to_owned()
    }

    #[test]
    fn a_schema_becomes_json_schema() {
        assert_eq!(
            converted(
                r#"{"type":"OBJECT","property_ordering":["b_c","a"],"properties":{
                "a":{"type":"STRING","nullable":true,"format":"enum","enum":["x","y"]},
                "b_c":{"type":"ARRAY","min_items":"2","items":{"any_of":[{"type":"INTEGER","format":"int32"},{"type":"NULL"}]}},
                "any_of":{"type":"NUMBER","minimum":1.10,"example":null}},"required":["a"]}"#
            ),
            r#"{"type":"object","properties":{"b_c":{"type":"array","minItems":2,"items":{"anyOf":[{"type":"integer","format":"int32"},{"type":"null"}]}},"a":{"type":["string","null"],"enum":["x","y",null]},"any_of":{"type":"number","minimum":1.10,"examples":[null]}},"required":["a"]}"#
        );
    }

    #[test]
    fn json_schema_stays_as_it_is() {
        for schema in [
            r##"{"type":["string","null"],"$ref":"#/$defs/a","$defs":{"a":{"type":"object","additionalProperties":false}}}"##,
            r#"{"type":"object","properties":{"nullable":{"type":"boolean"},"type":{"const":null}}}"#,
            "true",
        ] {
            assert_eq!(converted(schema), schema);
        }
    }
}
