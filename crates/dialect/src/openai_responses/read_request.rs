//! Reads requests.

use super::read_input::{self, Conversation};
use super::words::{INCLUDE_LOGPROBS, INCLUDE_REASONING};
use super::{OWN, STATE_FIELDS, read_tools};
use crate::codec::Malformed;
use crate::ir::{Effort, Extra, Format, Logprobs, Part, Reasoning, Request, Show};
use crate::raw::Raw;
use crate::tree::Node;
use crate::writer::raw_array;

/// The members that are read here. Every other one is kept as an extra.
const KNOWN: [&str; 21] = [
    "model",
    "input",
    "instructions",
    "stream",
    "max_output_tokens",
    "temperature",
    "top_p",
    "top_logprobs",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "text",
    "reasoning",
    "include",
    "store",
    "metadata",
    "user",
    "safety_identifier",
    "prompt_cache_key",
    "service_tier",
    "background",
];

/// Reads a request.
pub(super) fn read(body: &[u8]) -> Result<Request, Malformed> {
    let root = Node::parse(body)?;
    if !root.is_object() {
        return Err(Malformed::field("body", "must be an object"));
    }
    let model = text(&root, "model")?.ok_or_else(|| Malformed::field("model", "is missing"))?;
    let mut request = Request::new(OWN, model);
    request.extra = leftovers(&root, &KNOWN);
    request.stream = truth(&root, "stream")?.unwrap_or(false);
    if let Some(instructions) = text(&root, "instructions")?.filter(|text| !text.is_empty()) {
        request.system.push(Part::text(instructions));
    }
    read_tools(&root, &mut request)?;
    read_conversation(&root, &mut request)?;
    read_limits(&root, &mut request)?;
    read_format(&root, &mut request)?;
    read_reasoning(&root, &mut request)?;
    read_include(&root, &mut request)?;
    read_identity(&root, &mut request)?;
    Ok(request)
}

/// The members of an object that are neither null nor among those named, to be kept.
pub(super) fn leftovers(node: &Node<'_>, known: &[&str]) -> Extra {
    prefixed_leftovers(node, known, "")
}

/// The same under names that begin with a prefix, for extras of several objects in one place.
pub(super) fn prefixed_leftovers(node: &Node<'_>, known: &[&str], prefix: &str) -> Extra {
    let mut extra = Extra::default();
    for (name, value) in node.members() {
        let name = name.as_ref();
        if !known.contains(&name) && !value.is_null() {
            extra.keep(&format!("{prefix}{name}"), value.to_raw());
        }
    }
    extra
}

/// A member that must be a string if it is there.
pub(super) fn text(node: &Node<'_>, name: &str) -> Result<Option<String>, Malformed> {
    member(node, name, "must be a string", Node::string)
}

fn truth(node: &Node<'_>, name: &str) -> Result<Option<bool>, Malformed> {
    member(node, name, "must be true or false", Node::bool)
}

fn member<'n, T>(
    node: &Node<'n>,
    name: &str,
    expected: &'static str,
    read: impl Fn(&Node<'n>) -> Option<T>,
) -> Result<Option<T>, Malformed> {
    match node.get(name) {
        absent if absent.is_null() => Ok(None),
        value => read(value).map(Some).ok_or_else(|| Malformed::field(name, expected)),
    }
}

fn read_tools(root: &Node<'_>, request: &mut Request) -> Result<(), Malformed> {
    request.tools = read_tools::read_tools(root.get("tools"), "tools")?;
    request.tool_choice = read_tools::read_choice(root.get("tool_choice"))?;
    request.parallel_tools = truth(root, "parallel_tool_calls")?;
    Ok(())
}

fn read_conversation(root: &Node<'_>, request: &mut Request) -> Result<(), Malformed> {
    let input = root.get("input");
    let is_stateful = STATE_FIELDS.iter().any(|field| !root.get(field).is_null());
    if input.is_null() && !is_stateful {
        return Err(Malformed::field("input", "is missing"));
    }
    let conversation = read_input::read(input)?;
    let Conversation {
        system,
        messages,
        tools,
    } = conversation;
    request.system.extend(system);
    request.messages = messages;
    for tool in tools {
        if !request.tools.contains(&tool) {
            request.tools.push(tool);
        }
    }
    Ok(())
}

fn read_limits(root: &Node<'_>, request: &mut Request) -> Result<(), Malformed> {
    request.max_tokens = member(root, "max_output_tokens", "must be a whole number", Node::u64)?;
    request.sampling.temperature = member(root, "temperature", "must be a number", Node::f64)?;
    request.sampling.top_p = member(root, "top_p", "must be a number", Node::f64)?;
    let top = member(root, "top_logprobs", "must be a whole number", Node::u64)?;
    if let Some(top) = top.filter(|top| *top > 0) {
        let top = u32::try_from(top).unwrap_or(u32::MAX);
        request.logprobs = Some(Logprobs { top: Some(top) });
    }
    Ok(())
}

fn read_format(root: &Node<'_>, request: &mut Request) -> Result<(), Malformed> {
    let node = root.get("text");
    if node.is_null() {
        return Ok(());
    }
    if !node.is_object() {
        return Err(Malformed::field("text", "must be an object"));
    }
    request.verbosity = text(node, "verbosity")?;
    request
        .extra
        .0
        .extend(prefixed_leftovers(node, &["verbosity", "format"], "text.").0);
    let format = node.get("format");
    match format.get("type").text() {
        None if format.is_null() => {}
        Some("text") => {}
        Some("json_object") => request.format = Format::JsonObject,
        Some("json_schema") => request.format = read_schema(format)?,
        _ => return Err(Malformed::field("text.format.type", "is not known")),
    }
    Ok(())
}

fn read_schema(format: &Node<'_>) -> Result<Format, Malformed> {
    // Chat Completions nests these members in one more object, and some clients do the same here.
    let nested = format.get("json_schema");
    let node = if nested.is_object() { nested } else { format };
    let schema = node.get("schema");
    if !schema.is_object() {
        return Err(Malformed::field("text.format.schema", "must be an object"));
    }
    Ok(Format::JsonSchema {
        name: node.get("name").string(),
        description: node.get("description").string(),
        schema: schema.to_raw(),
        strict: node.get("strict").bool(),
    })
}

fn read_reasoning(root: &Node<'_>, request: &mut Request) -> Result<(), Malformed> {
    let node = root.get("reasoning");
    if node.is_null() {
        return Ok(());
    }
    if !node.is_object() {
        return Err(Malformed::field("reasoning", "must be an object"));
    }
    let mut reasoning = Reasoning::default();
    let mut known = vec!["summary", "generate_summary"];
    match node.get("effort") {
        effort if effort.is_null() => {}
        effort => {
            reasoning.effort = effort.text().and_then(Effort::parse);
            if reasoning.effort.is_some() {
                known.push("effort");
            }
        }
    }
    if reasoning.effort == Some(Effort::None) {
        reasoning.enabled = Some(false);
    }
    match node.any(&["summary", "generate_summary"]).text() {
        None => {}
        Some("none") => reasoning.show = Show::Nothing,
        Some(level) => reasoning.show = Show::Summary(level.to_owned()),
    }
    let rest = prefixed_leftovers(node, &known, "reasoning.");
    request.extra.0.extend(rest.0);
    request.reasoning = Some(reasoning);
    Ok(())
}

/// What is asked for by `include` has words of its own in the vocabulary, but for what hosted tools tell.
fn read_include(root: &Node<'_>, request: &mut Request) -> Result<(), Malformed> {
    let include = root.get("include");
    if !include.is_null() && !include.is_array() {
        return Err(Malformed::field("include", "must be an array"));
    }
    let mut others: Vec<Raw> = Vec::new();
    for item in include.items() {
        match item.text() {
            Some(INCLUDE_REASONING) => request.reasoning.get_or_insert_default().encrypted = true,
            Some(INCLUDE_LOGPROBS) => {
                request.logprobs.get_or_insert(Logprobs { top: None });
            }
            _ => others.push(item.to_raw()),
        }
    }
    if !others.is_empty() {
        let others = raw_array(|it| others.iter().for_each(|other| it.raw(other)));
        request.extra.keep("include", others);
    }
    Ok(())
}

fn read_identity(root: &Node<'_>, request: &mut Request) -> Result<(), Malformed> {
    request.store = truth(root, "store")?;
    request.cache_key = text(root, "prompt_cache_key")?;
    request.service_tier = text(root, "service_tier")?;
    let (user, identifier) = (text(root, "user")?, text(root, "safety_identifier")?);
    // `safety_identifier` took the place of `user`; where there are both, the older one is of no effect on its own.
    if let (Some(_), Some(_)) = (&user, &identifier) {
        request.extra.keep("user", root.get("user").to_raw());
    }
    request.user = identifier.or(user);
    // Not to run in the background is what every request does.
    if truth(root, "background")? == Some(true) {
        request.extra.keep("background", root.get("background").to_raw());
    }
    let metadata = root.get("metadata");
    if !metadata.is_null() {
        if !metadata.is_object() {
            return Err(Malformed::field("metadata", "must be an object"));
        }
        request.metadata = (!metadata.members().is_empty()).then(|| metadata.to_raw());
    }
    Ok(())
}
