//! YAML with the place of every value.

use saphyr::{LoadableYamlNode as _, MarkedYaml, Scalar, YamlData};

/// Values in values are followed no deeper than this.
const MAX_DEPTH: usize = 64;

/// A value, and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// From 1.
    pub(super) line: usize,
    /// From 1.
    pub(super) column: usize,
    value: Value,
}

#[derive(Clone, Debug)]
enum Value {
    Null,
    /// Whatever is no list and no map, as text.
    Text(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

/// The first document of a text, with whatever is neither list nor map as text.
pub fn read(text: &str) -> Result<serde_json::Value, String> {
    Node::parse(text).map(|node| node.plain())
}

impl Node {
    /// Reads the first document of a text.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let documents = MarkedYaml::load_from_str(text).map_err(|error| error.to_string())?;
        let first = documents.first().ok_or("the file is empty")?;
        Self::read(first, 0)
    }

    fn read(yaml: &MarkedYaml<'_>, depth: usize) -> Result<Self, String> {
        let (line, column) = (yaml.span.start.line(), yaml.span.start.col() + 1);
        if depth > MAX_DEPTH {
            return Err(format!("line {line}: too many values in values"));
        }
        let value = match &yaml.data {
            YamlData::Value(Scalar::Null) => Value::Null,
            YamlData::Value(scalar) => Value::Text(text_of(scalar)),
            YamlData::Sequence(items) => {
                let items: Result<_, _> = items.iter().map(|item| Self::read(item, depth + 1)).collect();
                Value::List(items?)
            }
            YamlData::Mapping(members) => {
                let mut map = Vec::with_capacity(members.len());
                for (key, value) in members {
                    let key = match &key.data {
                        YamlData::Value(key) => text_of(key),
                        _ => return Err(format!("line {line}: a key must be text")),
                    };
                    map.push((key, Self::read(value, depth + 1)?));
                }
                Value::Map(merged(map))
            }
            YamlData::Tagged(_, inner) => return Self::read(inner, depth + 1),
            YamlData::Representation(text, ..) => Value::Text(text.to_string()),
            YamlData::Alias(_) | YamlData::BadValue => return Err(format!("line {line}: a value that cannot be read")),
        };
        Ok(Self { line, column, value })
    }

    fn plain(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Text(text) => text.as_str().into(),
            Value::List(items) => items.iter().map(Self::plain).collect(),
            Value::Map(members) => members
                .iter()
                .map(|(key, value)| (key.clone(), value.plain()))
                .collect(),
        }
    }

    /// A member of a map.
    pub(super) fn get(&self, name: &str) -> Option<&Self> {
        self.members()
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
    }

    /// The members of a map.
    pub(super) fn members(&self) -> &[(String, Self)] {
        match &self.value {
            Value::Map(members) => members,
            _ => &[],
        }
    }

    /// The items of a list.
    pub(super) fn items(&self) -> &[Self] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// What is neither list nor map, unless it is empty.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    /// A number.
    pub(super) fn number(&self) -> Option<f64> {
        self.text()?.parse().ok().filter(|number: &f64| number.is_finite())
    }

    /// A number that is whole and not negative.
    pub(super) fn count(&self) -> Option<u64> {
        let text = self.text()?;
        text.parse().ok()
    }

    /// Whether it is said to be so.
    pub(super) fn is_true(&self) -> bool {
        let text = self.text().unwrap_or_default().to_ascii_lowercase();
        matches!(text.as_str(), "true" | "yes" | "on" | "1")
    }

    /// Whether there is nothing.
    pub(super) fn is_empty(&self) -> bool {
        match &self.value {
            Value::Null => true,
            Value::Text(text) => text.is_empty(),
            Value::List(items) => items.is_empty(),
            Value::Map(members) => members.is_empty(),
        }
    }
}

fn text_of(scalar: &Scalar<'_>) -> String {
    match scalar {
        Scalar::Null => String::new(),
        Scalar::Boolean(is) => is.to_string(),
        Scalar::Integer(number) => number.to_string(),
        Scalar::FloatingPoint(number) => number.to_string(),
        Scalar::String(text) => text.to_string(),
    }
}

/// A map with the members of those that it takes in by `<<`: its own go first (YAML's merge key).
fn merged(map: Vec<(String, Node)>) -> Vec<(String, Node)> {
    let (taken, mut own): (Vec<_>, Vec<_>) = map.into_iter().partition(|(key, _)| key == "<<");
    for (_, node) in taken {
        let maps = match node.value {
            Value::List(items) => items,
            _ => vec![node],
        };
        for (key, value) in maps.iter().flat_map(Node::members) {
            if !own.iter().any(|(known, _)| known == key) {
                own.push((key.clone(), value.clone()));
            }
        }
    }
    own
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_places() {
        let node = Node::parse("a:\n  - b: 1e-06\n    c: 'sk-1'\n  - True\n").unwrap();
        let item = &node.get("a").unwrap().items()[0];
        let (b, c) = (item.get("b").unwrap(), item.get("c").unwrap());
        assert_eq!((b.line, b.column, b.number()), (2, 8, Some(0.000_001)));
        assert_eq!((c.line, c.column, c.text()), (3, 8, Some("sk-1")));
        assert!(node.get("a").unwrap().items()[1].is_true());
    }

    #[test]
    fn anchors_and_merges_are_followed() {
        let node = Node::parse("x: &x {k: 1, l: 2}\ny:\n  <<: *x\n  k: 3\nz: *x\n").unwrap();
        let get = |map: &str, key: &str| node.get(map).unwrap().get(key).unwrap().text().unwrap().to_owned();
        assert_eq!(
            (get("y", "k"), get("y", "l"), get("z", "k")),
            ("3".into(), "2".into(), "1".into())
        );
        assert!(node.get("y").unwrap().get("<<").is_none());
    }

    #[test]
    fn what_is_wrong_has_a_place() {
        assert!(Node::parse("a: [1,\nb: {").unwrap_err().contains("line"));
        assert!(Node::parse("").is_err());
    }
}
