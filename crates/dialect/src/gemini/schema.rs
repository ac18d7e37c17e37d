//! From JSON Schema to Gemini's `Schema`, a subset of OpenAPI 3.0, for models before 2.5.
//!
//! The subset has no references, no `allOf` and no `const`, enumerates only strings and spells types in capitals. What it
//! cannot say is left out: the schema becomes wider, never narrower.

use super::shape::Shape;
use crate::raw::Raw;
use crate::tree::Node;
use crate::writer::{self, Object};

/// References are followed and schemas nested no deeper than this.
const MAX_DEPTH: usize = 48;

/// No more schemas than this are written: references can make a small text a huge one.
const MAX_SCHEMAS: usize = 4096;

/// The schema in the subset; `None` when it says nothing but that there is an object.
pub(super) fn to_subset(schema: &Raw) -> Option<Raw> {
    let root = schema.node();
    let mut converter = Converter {
        root: &root,
        left: MAX_SCHEMAS,
    };
    let shape = converter.shape(&root, &[]);
    if shape.properties.is_empty() && shape.alternatives.is_empty() && matches!(shape.kind(), None | Some("OBJECT")) {
        return None;
    }
    Some(converter.write(&shape))
}

struct Converter<'s> {
    root: &'s Node<'s>,
    left: usize,
}

impl<'s> Converter<'s> {
    fn shape(&self, schema: &'s Node<'s>, trail: &[&'s str]) -> Shape<'s> {
        let mut shape = Shape {
            trail: trail.to_vec(),
            ..Shape::default()
        };
        self.gather(schema, &mut shape, 0);
        shape
    }

    /// Adds what a schema says to the shape; what was said first counts.
    fn gather(&self, schema: &'s Node<'s>, shape: &mut Shape<'s>, depth: usize) {
        if depth > MAX_DEPTH {
            return;
        }
        shape.take_own(schema);
        if let Some(reference) = schema.get("$ref").text() {
            match self.resolve(reference) {
                Some(target) if !shape.trail.contains(&reference) && shape.trail.len() < MAX_DEPTH => {
                    shape.trail.push(reference);
                    self.gather(target, shape, depth + 1);
                }
                // The subset has no recursion.
                _ if shape.kinds.is_empty() => shape.kinds.push("OBJECT"),
                _ => {}
            }
        }
        for part in schema.get("allOf").items() {
            self.gather(part, shape, depth + 1);
        }
        for keyword in ["anyOf", "oneOf"] {
            let members = schema.get(keyword).items();
            let mut others: Vec<_> = members.iter().filter(|member| !is_null_type(member)).collect();
            shape.nullable |= others.len() < members.len();
            if let ([only], true) = (others.as_slice(), shape.alternatives.is_empty()) {
                self.gather(only, shape, depth + 1);
            } else if shape.alternatives.is_empty() {
                shape.alternatives.append(&mut others);
            }
        }
    }

    fn resolve(&self, reference: &str) -> Option<&'s Node<'s>> {
        let pointer = reference.strip_prefix('#')?;
        let mut node = self.root;
        for step in pointer.split('/').skip(1) {
            let step = step.replace("~1", "/").replace("~0", "~");
            node = match step.parse::<usize>() {
                Ok(index) if node.is_array() => node.items().get(index)?,
                _ => node.get(&step),
            };
        }
        node.is_object().then_some(node)
    }

    fn nested(&mut self, schema: &'s Node<'s>, trail: &[&'s str]) -> Raw {
        if self.left == 0 || trail.len() >= MAX_DEPTH {
            return Raw::of_valid(r#"{"type":"OBJECT"}"#);
        }
        self.left -= 1;
        let shape = self.shape(schema, trail);
        self.write(&shape)
    }

    fn write(&mut self, shape: &Shape<'s>) -> Raw {
        writer::raw_object(|it| {
            let kind = shape.kind();
            let alternatives = self.alternatives(shape);
            if alternatives.is_empty() {
                it.some_text("type", kind);
            }
            it.some_text("description", shape.described(kind).as_deref());
            if shape.nullable {
                it.bool("nullable", true);
            }
            for (key, value) in &shape.plain {
                it.raw(key, value);
            }
            if !alternatives.is_empty() {
                it.array("anyOf", |it| alternatives.iter().for_each(|schema| it.raw(schema)));
                return;
            }
            match kind {
                Some("STRING") => shape.write_values(it),
                Some("ARRAY") => {
                    let items = shape.items.map(|items| self.nested(items, &shape.trail));
                    let items = items.filter(|items| items.as_str() != "{}");
                    it.raw("items", &items.unwrap_or_else(|| Raw::of_valid(r#"{"type":"STRING"}"#)));
                }
                Some("OBJECT") => self.write_properties(shape, it),
                _ => {}
            }
        })
    }

    fn alternatives(&mut self, shape: &Shape<'s>) -> Vec<Raw> {
        // Alternatives of an object that has properties mostly say which of them are required.
        if !shape.properties.is_empty() {
            return Vec::new();
        }
        if shape.alternatives.is_empty() && shape.kinds.len() > 1 {
            let types = shape.kinds.iter().map(|kind| match *kind {
                "ARRAY" => r#"{"type":"ARRAY","items":{"type":"STRING"}}"#.to_owned(),
                kind => format!("{{\"type\":\"{kind}\"}}"),
            });
            return types.map(|text| Raw::of_valid(&text)).collect();
        }
        let schemas = shape.alternatives.iter();
        schemas.map(|schema| self.nested(schema, &shape.trail)).collect()
    }

    fn write_properties(&mut self, shape: &Shape<'s>, it: &mut Object<'_>) {
        if shape.properties.is_empty() {
            return;
        }
        it.object("properties", |it| {
            for (name, schema) in &shape.properties {
                it.raw(name, &self.nested(schema, &shape.trail));
            }
        });
        let required: Vec<_> = shape
            .required
            .iter()
            .filter(|name| shape.known.contains(*name))
            .collect();
        if !required.is_empty() {
            it.array("required", |it| required.iter().for_each(|name| it.text(name)));
        }
        if shape.properties.len() > 1 {
            it.array("propertyOrdering", |it| {
                shape.properties.iter().for_each(|(name, _)| it.text(name));
            });
        }
    }
}

fn is_null_type(schema: &Node<'_>) -> bool {
    schema.get("type").text() == Some("null")
        || schema
            .members()
            .iter()
            .any(|(key, value)| key == "const" && value.is_null())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn converted(schema: &str) -> String {
        to_subset(&Raw::parse(schema).unwrap()).map_or_else(|| "none".into(), |raw| raw.as_str().to_owned())
    }

    #[test]
    fn the_suite() {
        let cases = [
            // references, with keywords beside them
            (
                r##"{"$defs":{"a":{"type":"string","description":"d"}},"type":"object","properties":{"x":{"$ref":"#/$defs/a","description":"own"}}}"##,
                r#"{"type":"OBJECT","properties":{"x":{"type":"STRING","description":"own"}}}"#,
            ),
            (
                r##"{"definitions":{"a~b/c":{"type":"integer"}},"type":"array","items":{"$ref":"#/definitions/a~0b~1c"}}"##,
                r#"{"type":"ARRAY","items":{"type":"INTEGER"}}"#,
            ),
            // recursion
            (
                r##"{"$defs":{"n":{"type":"object","properties":{"v":{"type":"integer"},"next":{"$ref":"#/$defs/n"}}}},"$ref":"#/$defs/n"}"##,
                r#"{"type":"OBJECT","properties":{"v":{"type":"INTEGER"},"next":{"type":"OBJECT"}},"propertyOrdering":["v","next"]}"#,
            ),
            (
                r##"{"type":"object","properties":{"self":{"$ref":"#"},"gone":{"$ref":"#/nowhere"}}}"##,
                r#"{"type":"OBJECT","properties":{"self":{"type":"OBJECT","properties":{"self":{"type":"OBJECT"},"gone":{"type":"OBJECT"}},"propertyOrdering":["self","gone"]},"gone":{"type":"OBJECT"}},"propertyOrdering":["self","gone"]}"#,
            ),
            // allOf, oneOf, anyOf
            (
                r#"{"allOf":[{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]},{"properties":{"b":{"type":"number"},"a":{"type":"null"}},"required":["b","c"]}]}"#,
                r#"{"type":"OBJECT","properties":{"a":{"type":"STRING"},"b":{"type":"NUMBER"}},"required":["a","b"],"propertyOrdering":["a","b"]}"#,
            ),
            (
                r#"{"oneOf":[{"type":"string"},{"type":"integer"}],"description":"d"}"#,
                r#"{"description":"d","anyOf":[{"type":"STRING"},{"type":"INTEGER"}]}"#,
            ),
            (
                r#"{"anyOf":[{"type":"string","minLength":1},{"type":"null"}]}"#,
                r#"{"type":"STRING","nullable":true,"minLength":1}"#,
            ),
            (
                r#"{"type":"object","properties":{"a":{"type":"string"}},"anyOf":[{"required":["a"]},{"required":["b"]}]}"#,
                r#"{"type":"OBJECT","properties":{"a":{"type":"STRING"}}}"#,
            ),
            // types
            (r#"{"type":["string","null"]}"#, r#"{"type":"STRING","nullable":true}"#),
            (
                r#"{"type":["string","integer","null"]}"#,
                r#"{"nullable":true,"anyOf":[{"type":"STRING"},{"type":"INTEGER"}]}"#,
            ),
            (r#"{"type":"array"}"#, r#"{"type":"ARRAY","items":{"type":"STRING"}}"#),
            (
                r#"{"type":"array","items":{}}"#,
                r#"{"type":"ARRAY","items":{"type":"STRING"}}"#,
            ),
            (
                r#"{"type":"array","prefixItems":[{"type":"number"}]}"#,
                r#"{"type":"ARRAY","items":{"type":"NUMBER"}}"#,
            ),
            // values
            (r#"{"const":"x"}"#, r#"{"type":"STRING","enum":["x"]}"#),
            (r#"{"enum":["a","",null]}"#, r#"{"type":"STRING","enum":["a"]}"#),
            (
                r#"{"type":"integer","enum":[1,2],"description":"Level."}"#,
                r#"{"type":"INTEGER","description":"Level. One of: 1, 2."}"#,
            ),
            (
                r#"{"const":true}"#,
                r#"{"type":"BOOLEAN","description":"One of: true."}"#,
            ),
            // bounds and formats
            (
                r#"{"type":"integer","exclusiveMinimum":0,"exclusiveMaximum":10,"format":"int32"}"#,
                r#"{"type":"INTEGER","format":"int32","minimum":1,"maximum":9}"#,
            ),
            (
                r#"{"type":"number","exclusiveMinimum":0.5,"maximum":12345678901234567890}"#,
                r#"{"type":"NUMBER","maximum":12345678901234567890,"minimum":0.5}"#,
            ),
            (
                r#"{"type":"string","format":"uri","pattern":"^a","maxLength":3,"default":"a"}"#,
                r#"{"type":"STRING","default":"a","maxLength":3,"pattern":"^a"}"#,
            ),
            // what the subset has no word for
            (
                r#"{"$schema":"s","$id":"i","type":"object","additionalProperties":false,"patternProperties":{},"not":{},"if":{},"properties":{"a":true,"$ref":{"type":"string"}},"examples":[1]}"#,
                r#"{"type":"OBJECT","properties":{"a":{},"$ref":{"type":"STRING"}},"propertyOrdering":["a","$ref"]}"#,
            ),
            // an object of which nothing is known
            (r#"{"type":"object","properties":{}}"#, "none"),
            (r#"{"type":"object"}"#, "none"),
            ("{}", "none"),
            ("true", "none"),
        ];
        for (schema, expected) in cases {
            assert_eq!(converted(schema), expected, "{schema}");
        }
    }

    #[test]
    fn references_cannot_make_it_endless() {
        let mut definitions: Vec<String> = (0..60)
            .map(|n| format!(r##""d{n}":{{"type":"object","properties":{{"l":{{"$ref":"#/$defs/d{m}"}},"r":{{"$ref":"#/$defs/d{m}"}}}}}}"##, m = n + 1))
            .collect();
        definitions.push(r#""d60":{"type":"string"}"#.into());
        let schema = format!(r##"{{"$defs":{{{}}},"$ref":"#/$defs/d0"}}"##, definitions.join(","));
        assert!(converted(&schema).len() < 400_000);
        let cycle = r##"{"$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"}},"type":"array","items":{"$ref":"#/$defs/a"}}"##;
        assert_eq!(converted(cycle), r#"{"type":"ARRAY","items":{"type":"OBJECT"}}"#);
    }
}
