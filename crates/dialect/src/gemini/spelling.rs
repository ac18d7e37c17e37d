//! Members of objects in either spelling that Gemini's API takes, `camelCase` and `snake_case`. Google's own SDK mixes the
//! two in one request.

use crate::ir::Extra;
use crate::raw::Raw;
use crate::tree::Node;

/// The member of that name (in camel case), in either spelling; null when there is none.
pub(super) fn member<'n, 'a>(node: &'n Node<'a>, name: &str) -> &'n Node<'a> {
    node.members()
        .iter()
        .rev()
        .find(|(found, value)| is_named(found, name) && !value.is_null())
        .map_or_else(|| node.get(name), |(_, value)| value)
}

/// Whether `found` is `name` (in camel case) in either spelling.
pub(super) fn is_named(found: &str, name: &str) -> bool {
    if found == name {
        return true;
    }
    // Most names that are asked for differ in their first letter from those that are there.
    if found.as_bytes().first() != name.as_bytes().first() || !found.as_bytes().contains(&b'_') {
        return false;
    }
    let mut letters = found.bytes();
    for expected in name.bytes() {
        let fits = match letters.next() {
            Some(b'_') => expected.is_ascii_uppercase() && letters.next() == Some(expected.to_ascii_lowercase()),
            Some(letter) => letter == expected,
            None => false,
        };
        if !fits {
            return false;
        }
    }
    letters.next().is_none()
}

/// Reads an object and remembers what was read, so that the rest can be kept.
pub(super) struct Fields<'n, 'a> {
    node: &'n Node<'a>,
    taken: Vec<&'static str>,
}

impl<'n, 'a> Fields<'n, 'a> {
    pub(super) fn of(node: &'n Node<'a>) -> Self {
        Self {
            node,
            taken: Vec::new(),
        }
    }

    /// The member of that name (in camel case), in either spelling.
    pub(super) fn take(&mut self, name: &'static str) -> &'n Node<'a> {
        self.taken.push(name);
        member(self.node, name)
    }

    /// What was not taken, null excepted.
    pub(super) fn rest(&self) -> impl Iterator<Item = (&'n str, &'n Node<'a>)> {
        self.node
            .members()
            .iter()
            .filter(|(name, value)| !value.is_null() && !self.taken.iter().any(|taken| is_named(name, taken)))
            .map(|(name, value)| (name.as_ref(), value))
    }

    /// Keeps what was not taken. `place` is where the object stands, such as `generationConfig`; it becomes part of the
    /// names, so that [`under`] finds them again.
    pub(super) fn keep_rest(&self, place: &str, extra: &mut Extra) {
        for (name, value) in self.rest() {
            if place.is_empty() {
                extra.keep(name, value.to_raw());
            } else {
                extra.keep(&format!("{place}.{name}"), value.to_raw());
            }
        }
    }
}

/// The members that [`Fields::keep_rest`] kept for that place, by their names there.
pub(super) fn under<'e>(extra: &'e Extra, place: &str) -> impl Iterator<Item = (&'e str, &'e Raw)> {
    extra.0.iter().filter_map(move |(name, value)| {
        let inner = if place.is_empty() {
            name.as_str()
        } else {
            name.strip_prefix(place)?.strip_prefix('.')?
        };
        (!inner.contains('.')).then_some((inner, value))
    })
}

/// A number of an object, which JSON of protocol buffers may spell as a string (`int64`).
pub(super) fn integer(node: &Node<'_>) -> Option<i64> {
    node.i64().or_else(|| node.text()?.parse().ok())
}

/// The same for one that is not negative.
pub(super) fn count(node: &Node<'_>) -> Option<u64> {
    integer(node).and_then(|number| u64::try_from(number).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_are_one_name() {
        assert!(is_named("topP", "topP") && is_named("top_p", "topP"));
        assert!(is_named("parameters_json_schema", "parametersJsonSchema"));
        for other in ["top", "top_", "top_P", "toppP", "topp", "_topP", "top_p_"] {
            assert!(!is_named(other, "topP"), "{other}");
        }
    }

    #[test]
    fn the_rest_is_kept_with_its_place_and_found_there() {
        let node = Node::parse(br#"{"top_p":1,"seed":null,"a_b":[1.10],"c":{}}"#).unwrap();
        let mut fields = Fields::of(&node);
        assert_eq!(fields.take("topP").i64(), Some(1));
        let mut extra = Extra::default();
        fields.keep_rest("generationConfig", &mut extra);
        let found: Vec<_> = under(&extra, "generationConfig")
            .map(|(name, value)| (name, value.as_str()))
            .collect();
        assert_eq!(found, [("a_b", "[1.10]"), ("c", "{}")]);
        assert_eq!(under(&extra, "").count(), 0);
    }

    #[test]
    fn a_null_in_one_spelling_does_not_hide_the_other() {
        let node = Node::parse(br#"{"topP":0.5,"top_p":null,"n":"12"}"#).unwrap();
        assert_eq!(member(&node, "topP").f64(), Some(0.5));
        assert_eq!(count(node.get("n")), Some(12));
    }
}
