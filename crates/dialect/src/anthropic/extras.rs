//! Members that the vocabulary has no word for: kept when read, put back when written.
//!
//! Members of a nested object are kept under a dotted name, such as `output_config.task_budget`, so that a loss says
//! exactly what was lost while the members beside it are translated.

use crate::ir::Extra;
use crate::tree::Node;
use crate::writer::Object;

/// The name under which [`crate::ir::Request::extra`] keeps the first system block of Claude Code, which says who is billed.
///
/// Anthropic wants it first and as it was sent. It differs with every request, so that it would spoil the prompt caches of
/// every other provider.
pub const BILLING_HEADER: &str = "system[x-anthropic-billing-header]";

/// How the text of that block begins.
pub(super) const BILLING_PREFIX: &str = "x-anthropic-billing-header:";

/// Nested objects whose unknown members are kept under dotted names.
const NESTED: [&str; 5] = ["thinking", "output_config", "metadata", "tool_choice", "cache_control"];

/// Keeps the members of `node` that are not `known`. `inside` is the nested object that `node` is, or empty.
pub(super) fn keep_rest(node: &Node<'_>, known: &[&str], inside: &str, extra: &mut Extra) {
    for (name, value) in node.members() {
        if value.is_null() || known.contains(&name.as_ref()) {
            continue;
        }
        if inside.is_empty() {
            extra.keep(name, value.to_raw());
        } else {
            extra.keep(&format!("{inside}.{name}"), value.to_raw());
        }
    }
}

/// Writes the members that belong to no nested object, but for those that have been written in another way.
pub(super) fn put_back(it: &mut Object<'_>, extra: &Extra, written: &[&str]) {
    for (name, value) in &extra.0 {
        let nested = name.split_once('.').is_some_and(|(object, _)| NESTED.contains(&object));
        if !nested && !written.contains(&name.as_str()) {
            it.raw(name, value);
        }
    }
}

/// Writes the members that belong to the nested object of that name.
pub(super) fn put_back_inside(it: &mut Object<'_>, extra: &Extra, inside: &str) {
    for (name, value) in &extra.0 {
        if let Some((object, member)) = name.split_once('.')
            && object == inside
        {
            it.raw(member, value);
        }
    }
}

/// Whether there are members of the nested object of that name.
pub(super) fn has_inside(extra: &Extra, inside: &str) -> bool {
    extra
        .0
        .iter()
        .any(|(name, _)| name.split_once('.').is_some_and(|(object, _)| object == inside))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::writer;

    #[test]
    fn unknown_members_go_back_where_they_were() {
        let mut extra = Extra::default();
        let node = Node::parse(br#"{"speed":"fast","model":"m","gone":null}"#).unwrap();
        keep_rest(&node, &["model"], "", &mut extra);
        let node = Node::parse(br#"{"effort":"high","task_budget":{"n":1.0}}"#).unwrap();
        keep_rest(&node, &["effort"], "output_config", &mut extra);
        let mut out = Vec::new();
        writer::object(&mut out, |it| {
            put_back(it, &extra, &[]);
            it.object("output_config", |it| put_back_inside(it, &extra, "output_config"));
        });
        assert_eq!(out, br#"{"speed":"fast","output_config":{"task_budget":{"n":1.0}}}"#);
        assert!(has_inside(&extra, "output_config") && !has_inside(&extra, "thinking"));
    }
}
