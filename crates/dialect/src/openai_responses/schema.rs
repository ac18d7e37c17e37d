//! Schemas of functions as OpenAI accepts them: an object at the root, and no choice between schemas there.

use crate::raw::Raw;
use crate::tree::Node;
use crate::writer::raw_object;

/// What may not stand at the root.
const CHOICES: [&str; 5] = ["anyOf", "oneOf", "allOf", "enum", "not"];

/// A schema that is an object at its root, and whether something of it had to go.
pub(super) fn rooted_in_object(schema: Option<&Raw>) -> (Raw, bool) {
    let Some(schema) = schema else {
        return (Raw::of_valid(r#"{"type":"object","properties":{}}"#), false);
    };
    let node = schema.node();
    let is_object = node.get("type").text() == Some("object");
    let has_choice = CHOICES.iter().any(|choice| !node.get(choice).is_null());
    if is_object && !has_choice && node.get("properties").is_object() {
        return (schema.clone(), false);
    }
    let mended = raw_object(|it| {
        it.text("type", "object");
        it.object("properties", |it| {
            let mut seen: Vec<&str> = Vec::new();
            for (name, property) in properties(&node) {
                if !seen.contains(&name) {
                    seen.push(name);
                    it.raw(name, &property.to_raw());
                }
            }
        });
        for (name, value) in node.members() {
            let name = name.as_ref();
            if name != "type" && name != "properties" && !CHOICES.contains(&name) {
                it.raw(name, &value.to_raw());
            }
        }
    });
    let is_other = !is_object && !node.get("type").is_null();
    (mended, has_choice || is_other)
}

/// The properties at the root, then those of what can be chosen there.
fn properties<'n>(node: &'n Node<'_>) -> Vec<(&'n str, &'n Node<'n>)> {
    let of = |node: &'n Node<'n>| {
        node.get("properties")
            .members()
            .iter()
            .map(|(name, property)| (name.as_ref(), property))
    };
    let branches = ["allOf", "anyOf", "oneOf"];
    let chosen = branches.iter().flat_map(|choice| node.get(choice).items()).flat_map(of);
    of(node).chain(chosen).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_is_made_an_object() {
        let cases = [
            (
                r#"{"type":"object","properties":{"a":{}},"x":1.0}"#,
                r#"{"type":"object","properties":{"a":{}},"x":1.0}"#,
                false,
            ),
            ("{}", r#"{"type":"object","properties":{}}"#, false),
            (r#"{"type":"object"}"#, r#"{"type":"object","properties":{}}"#, false),
            (
                r#"{"anyOf":[{"properties":{"a":{"type":"string"}}},{"properties":{"b":{},"a":{}}}],"required":["a"]}"#,
                r#"{"type":"object","properties":{"a":{"type":"string"},"b":{}},"required":["a"]}"#,
                true,
            ),
            (r#"{"type":"string"}"#, r#"{"type":"object","properties":{}}"#, true),
        ];
        for (schema, expected, lossy) in cases {
            let (mended, lost) = rooted_in_object(Some(&Raw::parse(schema).unwrap()));
            assert_eq!((mended.as_str(), lost), (expected, lossy), "{schema}");
        }
    }
}
