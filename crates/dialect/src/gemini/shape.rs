//! What a JSON Schema says, keyword by keyword, in the words of Gemini's `Schema`.

use std::collections::HashSet;

use super::spelling::count;
use crate::raw::Raw;
use crate::tree::Node;
use crate::writer::Object;

/// Formats that the subset knows.
const FORMATS: [&str; 6] = ["enum", "date-time", "float", "double", "int32", "int64"];

/// What a schema says, with all that it refers to.
#[derive(Default)]
pub(super) struct Shape<'s> {
    pub(super) kinds: Vec<&'static str>,
    pub(super) nullable: bool,
    /// Keywords that are taken over.
    pub(super) plain: Vec<(&'static str, Raw)>,
    pub(super) description: Option<String>,
    pub(super) values: Option<Vec<&'s Node<'s>>>,
    pub(super) properties: Vec<(&'s str, &'s Node<'s>)>,
    /// The names of the properties.
    pub(super) known: HashSet<&'s str>,
    pub(super) required: Vec<&'s str>,
    pub(super) demanded: HashSet<&'s str>,
    pub(super) items: Option<&'s Node<'s>>,
    pub(super) alternatives: Vec<&'s Node<'s>>,
    /// The references that led here, outermost first.
    pub(super) trail: Vec<&'s str>,
}

impl<'s> Shape<'s> {
    /// Takes what the schema says itself.
    pub(super) fn take_own(&mut self, schema: &'s Node<'s>) {
        self.take_type(schema.get("type"));
        self.nullable |= schema.get("nullable").bool() == Some(true);
        if self.description.is_none() {
            self.description = schema.get("description").string();
        }
        let values = match schema.get("enum") {
            list if list.is_array() => Some(list.items().iter().collect()),
            _ => schema
                .members()
                .iter()
                .find(|(key, _)| key == "const")
                .map(|(_, value)| vec![value]),
        };
        if self.values.is_none() {
            self.values = values;
        }
        for (name, property) in schema.get("properties").members() {
            if self.known.insert(name) {
                self.properties.push((name, property));
            }
        }
        let required = schema.get("required").items().iter().filter_map(Node::text);
        for name in required {
            if self.demanded.insert(name) {
                self.required.push(name);
            }
        }
        let first = |keyword: &str| schema.get(keyword).items().first();
        let items = Some(schema.get("items")).filter(|items| items.is_object());
        self.items = self.items.or(items).or(first("prefixItems")).or(first("items"));
        for key in PLAIN {
            self.take_plain(key, schema.get(key));
        }
        self.take_exclusive("minimum", schema.get("exclusiveMinimum"), 1);
        self.take_exclusive("maximum", schema.get("exclusiveMaximum"), -1);
    }

    fn take_type(&mut self, node: &Node<'_>) {
        let one = std::slice::from_ref(node);
        let words = if node.is_array() { node.items() } else { one };
        let mut kinds = Vec::new();
        for word in words.iter().filter_map(Node::text) {
            match word.to_ascii_uppercase().as_str() {
                "NULL" => self.nullable = true,
                word => kinds.extend(KINDS.iter().find(|kind| **kind == word)),
            }
        }
        if self.kinds.is_empty() {
            self.kinds = kinds;
        }
    }

    fn take_plain(&mut self, key: &'static str, value: &Node<'_>) {
        let fits = match key {
            "title" | "pattern" => value.is_text(),
            "format" => value.text().is_some_and(|format| FORMATS.contains(&format)),
            "minimum" | "maximum" => value.f64().is_some(),
            "default" => !value.is_null(),
            _ => count(value).is_some(),
        };
        if fits && !self.has(key) {
            self.plain.push((key, value.to_raw()));
        }
    }

    /// An exclusive bound, which is the next integer for integers.
    fn take_exclusive(&mut self, key: &'static str, value: &Node<'_>, step: i64) {
        if value.f64().is_none() || self.has(key) {
            return;
        }
        let next = value.i64().filter(|_| self.kinds == ["INTEGER"]);
        let bound = match next.and_then(|bound| bound.checked_add(step)) {
            Some(bound) => Raw::of_valid(&bound.to_string()),
            None => value.to_raw(),
        };
        self.plain.push((key, bound));
    }

    fn has(&self, key: &str) -> bool {
        self.plain.iter().any(|(known, _)| *known == key)
    }

    /// The type, which may be left unsaid in JSON Schema.
    pub(super) fn kind(&self) -> Option<&'static str> {
        let values = self.values.as_deref().unwrap_or_default();
        match self.kinds.as_slice() {
            [kind, ..] => Some(kind),
            [] if !self.properties.is_empty() => Some("OBJECT"),
            [] if self.items.is_some() => Some("ARRAY"),
            [] if values.is_empty() => self
                .nullable
                .then_some("STRING")
                .filter(|_| self.alternatives.is_empty()),
            [] if values.iter().all(|value| value.f64().is_some()) => Some("NUMBER"),
            [] if values.iter().all(|value| value.bool().is_some()) => Some("BOOLEAN"),
            [] => Some("STRING"),
        }
    }

    /// The description, and the values that only it can tell.
    pub(super) fn described(&self, kind: Option<&str>) -> Option<String> {
        let values = self.values.as_deref().unwrap_or_default();
        if values.is_empty() || kind == Some("STRING") {
            return self.description.clone();
        }
        let values: Vec<&str> = values.iter().map(|value| value.raw()).collect();
        let values = format!("One of: {}.", values.join(", "));
        Some(match &self.description {
            Some(description) => format!("{description} {values}"),
            None => values,
        })
    }

    pub(super) fn write_values(&self, it: &mut Object<'_>) {
        let values = self.values.iter().flatten();
        let texts: Vec<&str> = values
            .filter_map(|value| value.text())
            .filter(|text| !text.is_empty())
            .collect();
        if !texts.is_empty() {
            it.array("enum", |it| texts.iter().for_each(|text| it.text(text)));
        }
    }
}

const KINDS: [&str; 6] = ["STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT"];

/// Keywords that both languages have.
const PLAIN: [&str; 12] = [
    "title",
    "format",
    "default",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "pattern",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
];
