//! JSON Schemas as they are accepted.
//!
//! A tool's schema must say `"type":"object"` at its root and must not be a union there. The schema of an answer
//! (`output_config.format`) must close its objects and must not constrain numbers and lengths ("Structured outputs",
//! JSON Schema limitations).

use std::borrow::Cow;
use std::collections::HashSet;

use crate::field::Field;
use crate::loss::Losses;
use crate::raw::Raw;
use crate::tree::{Node, Value};
use crate::writer::{self, Array, Object};

/// What says of a root that it is a union or an intersection.
const COMBINATORS: [&str; 3] = ["anyOf", "oneOf", "allOf"];

/// Constraints that the schema of an answer must not have.
const UNSUPPORTED: &[&str] = &[
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
];

/// The schema of a tool, mended where it would be refused.
pub(super) fn of_tool<'a>(schema: Option<&'a Raw>, lost: &mut Losses) -> Cow<'a, Raw> {
    let nothing = || Cow::Owned(Raw::of_valid(r#"{"type":"object","properties":{}}"#));
    let Some(schema) = schema else {
        return nothing();
    };
    let node = schema.node();
    if !node.is_object() {
        return nothing();
    }
    let root = referenced(&node, &node);
    let combined = COMBINATORS.iter().any(|key| root.get(key).is_array());
    let is_object = root.get("type").text() == Some("object");
    if is_object && !combined && root.raw() == node.raw() {
        return Cow::Borrowed(schema);
    }
    let kinds = root.get("type");
    let may_be_object = kinds.is_null() || is_object || kinds.items().iter().any(|kind| kind.text() == Some("object"));
    if !may_be_object {
        lost.note(Field::ToolSchema, "the root must be an object, wrapped as `value`");
        return Cow::Owned(writer::raw_object(|it| {
            it.text("type", "object");
            it.object("properties", |it| it.raw("value", schema));
            it.array("required", |it| it.text("value"));
        }));
    }
    if combined {
        lost.note(
            Field::ToolSchema,
            "a union at the root is not accepted, its properties joined",
        );
    }
    Cow::Owned(joined(&node, root))
}

/// The schema itself, or the one that it refers to in its own definitions.
fn referenced<'n, 'a>(schema: &'n Node<'a>, root: &'n Node<'a>) -> &'n Node<'a> {
    let Some(path) = schema.get("$ref").text().and_then(|path| path.strip_prefix("#/")) else {
        return schema;
    };
    let target = path.split('/').fold(root, |node, key| node.get(key));
    if target.is_object() { target } else { schema }
}

/// One object schema of a root and its alternatives. A property that several have is taken from the first.
fn joined(document: &Node<'_>, root: &Node<'_>) -> Raw {
    let mut properties: Vec<(String, Raw)> = Vec::new();
    let mut required: Vec<&str> = required_of(root);
    let mut seen = HashSet::new();
    let mut take = |schema: &Node<'_>| {
        for (name, value) in schema.get("properties").members() {
            if seen.insert(name.to_string()) {
                properties.push((name.to_string(), value.to_raw()));
            }
        }
    };
    take(root);
    for key in COMBINATORS {
        let mut common: Option<Vec<&str>> = None;
        for branch in root.get(key).items() {
            let branch = referenced(branch, document);
            take(branch);
            let needs = required_of(branch);
            common = Some(match common {
                None => needs,
                Some(before) if key == "allOf" => before.into_iter().chain(needs).collect(),
                Some(before) => before.into_iter().filter(|name| needs.contains(name)).collect(),
            });
        }
        required.extend(common.unwrap_or_default());
    }
    let mut known = HashSet::new();
    required.retain(|name| known.insert(*name));
    writer::raw_object(|it| {
        it.text("type", "object");
        it.object("properties", |it| {
            for (name, value) in &properties {
                it.raw(name, value);
            }
        });
        if !required.is_empty() {
            it.array("required", |it| required.iter().for_each(|name| it.text(name)));
        }
        rest(it, document, root);
    })
}

fn required_of<'n>(schema: &'n Node<'_>) -> Vec<&'n str> {
    schema.get("required").items().iter().filter_map(Node::text).collect()
}

/// What a joined root keeps beside its properties: its own words, and the definitions of the document.
fn rest(it: &mut Object<'_>, document: &Node<'_>, root: &Node<'_>) {
    let done = ["type", "properties", "required", "$ref", "$defs", "definitions"];
    for (name, value) in root.members() {
        if !done.contains(&name.as_ref()) && !COMBINATORS.contains(&name.as_ref()) {
            it.raw(name, &value.to_raw());
        }
    }
    for key in ["$defs", "definitions"] {
        let definitions = document.get(key);
        if definitions.is_object() {
            it.raw(key, &definitions.to_raw());
        }
    }
}

/// The schema of an answer, closed and without the constraints that are refused.
pub(super) fn of_answer(schema: &Raw, lost: &mut Losses) -> Raw {
    let mut changed = false;
    let closed = writer::raw_object(|it| close(it, &schema.node(), &mut changed));
    if changed {
        lost.note(Field::JsonSchema, "constraints that are not accepted left out");
    }
    closed
}

/// Writes the members of a schema. The recursion is as deep as the tree, which is bounded.
fn close(it: &mut Object<'_>, schema: &Node<'_>, changed: &mut bool) {
    let is_object = schema.get("type").text() == Some("object") || schema.get("properties").is_object();
    for (name, value) in schema.members() {
        match name.as_ref() {
            "additionalProperties" if is_object => *changed |= value.bool() != Some(false),
            name if UNSUPPORTED.contains(&name) => *changed = true,
            "minItems" if value.u64().is_none_or(|count| count > 1) => *changed = true,
            // Here the members' names are the caller's.
            "properties" | "$defs" | "definitions" => it.object(name, |it| {
                for (name, value) in value.members() {
                    member(it, name, value, changed);
                }
            }),
            "items" | "anyOf" | "allOf" | "oneOf" | "not" => member(it, name, value, changed),
            name => it.raw(name, &value.to_raw()),
        }
    }
    if is_object {
        it.bool("additionalProperties", false);
    }
}

fn member(it: &mut Object<'_>, name: &str, value: &Node<'_>, changed: &mut bool) {
    match value.value() {
        Value::Object(_) => it.object(name, |it| close(it, value, changed)),
        Value::Array(items) => it.array(name, |it| elements(it, items, changed)),
        _ => it.raw(name, &value.to_raw()),
    }
}

fn elements(it: &mut Array<'_>, items: &[Node<'_>], changed: &mut bool) {
    for item in items {
        if item.is_object() {
            it.object(|it| close(it, item, changed));
        } else {
            it.raw(&item.to_raw());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Protocol;
    use proptest::prelude::*;

    fn tool(schema: &str) -> (String, usize) {
        let mut lost = Losses::new(Protocol::OpenaiChat);
        let raw = Raw::parse(schema).unwrap();
        let mended = of_tool(Some(&raw), &mut lost).as_str().to_owned();
        (mended, lost.listed().len())
    }

    #[test]
    fn the_root_of_a_tool_is_an_object() {
        let cases = [
            (
                r#"{"type":"object","properties":{"n":{"minimum":1.0}}}"#,
                r#"{"type":"object","properties":{"n":{"minimum":1.0}}}"#,
                0,
            ),
            (
                r#"{"properties":{"a":{}},"additionalProperties":false}"#,
                r#"{"type":"object","properties":{"a":{}},"additionalProperties":false}"#,
                0,
            ),
            ("{}", r#"{"type":"object","properties":{}}"#, 0),
            ("null", r#"{"type":"object","properties":{}}"#, 0),
            (
                r#"{"type":["object","null"]}"#,
                r#"{"type":"object","properties":{}}"#,
                0,
            ),
            (
                r#"{"type":"string"}"#,
                r#"{"type":"object","properties":{"value":{"type":"string"}},"required":["value"]}"#,
                1,
            ),
            (
                r##"{"$ref":"#/definitions/A","definitions":{"A":{"type":"object","properties":{"x":{}},"required":["x"]}}}"##,
                r#"{"type":"object","properties":{"x":{}},"required":["x"],"definitions":{"A":{"type":"object","properties":{"x":{}},"required":["x"]}}}"#,
                0,
            ),
            (
                r#"{"anyOf":[{"type":"object","properties":{"a":{},"k":{"const":1}},"required":["a","k"]},{"properties":{"b":{},"k":{"const":2}},"required":["b","k"]}],"description":"d"}"#,
                r#"{"type":"object","properties":{"a":{},"k":{"const":1},"b":{}},"required":["k"],"description":"d"}"#,
                1,
            ),
            (
                r#"{"type":"object","allOf":[{"properties":{"a":{}},"required":["a"]},{"properties":{"b":{}},"required":["b"]}]}"#,
                r#"{"type":"object","properties":{"a":{},"b":{}},"required":["a","b"]}"#,
                1,
            ),
        ];
        for (schema, expected, losses) in cases {
            assert_eq!(tool(schema), (expected.to_owned(), losses), "{schema}");
        }
        assert_eq!(
            of_tool(None, &mut Losses::new(Protocol::Gemini)).as_str(),
            r#"{"type":"object","properties":{}}"#
        );
    }

    #[test]
    fn the_schema_of_an_answer_is_closed() {
        let schema = r#"{"type":"object","properties":{"minimum":{"type":"integer","minimum":1},"l":{"type":"array","minItems":1,"maxItems":3,"items":{"type":"object","properties":{}}}},"required":["minimum"]}"#;
        let mut lost = Losses::new(Protocol::OpenaiChat);
        let closed = of_answer(&Raw::parse(schema).unwrap(), &mut lost);
        assert_eq!(
            closed.as_str(),
            r#"{"type":"object","properties":{"minimum":{"type":"integer"},"l":{"type":"array","minItems":1,"items":{"type":"object","properties":{},"additionalProperties":false}}},"required":["minimum"],"additionalProperties":false}"#
        );
        assert_eq!(lost.listed().len(), 1);
        let mut none = Losses::new(Protocol::OpenaiChat);
        assert_eq!(of_answer(&closed, &mut none), closed);
        assert!(none.is_empty());
    }

    proptest! {
        #[test]
        fn any_schema_is_mended(schema in r##"\{("(type|anyOf|properties|items|required|\$ref)":("object"|"#/properties"|\[\]|\[\{\}\]|\{\}|null|1),){0,3}"x":\{\}\}"##) {
            let raw = Raw::parse(&schema).unwrap();
            let mut lost = Losses::new(Protocol::OpenaiChat);
            let mended = of_tool(Some(&raw), &mut lost).into_owned();
            let is_object = mended.node().get("type").text() == Some("object");
            prop_assert!(is_object);
            prop_assert!(Raw::parse(of_answer(&raw, &mut lost).as_str()).is_ok());
        }
    }
}
