//! Reads a request as clients send it.

use super::extras::{BILLING_HEADER, BILLING_PREFIX, keep_rest};
use super::{read_content, tools, words};
use crate::codec::Malformed;
use crate::ir::{CacheMark, Effort, Extra, Format, Part, Reasoning, Request, Role, Show};
use crate::protocol::Protocol;
use crate::tree::Node;

/// The members that are read here.
const KNOWN: &[&str] = &[
    "model",
    "max_tokens",
    "stream",
    "system",
    "messages",
    "tools",
    "tool_choice",
    "thinking",
    "output_config",
    "output_format",
    "temperature",
    "top_p",
    "top_k",
    "stop_sequences",
    "metadata",
    "cache_control",
    "service_tier",
];

pub(super) fn read(body: &[u8]) -> Result<Request, Malformed> {
    let node = Node::parse(body)?;
    if !node.is_object() {
        return Err(Malformed::field("body", "must be an object"));
    }
    let model = node.get("model");
    let model = match model.text() {
        Some(model) => model,
        None if model.is_null() => return Err(Malformed::field("model", "is missing")),
        None => return Err(Malformed::field("model", "must be a string")),
    };
    let mut request = Request::new(Protocol::Anthropic, model);
    keep_rest(&node, KNOWN, "", &mut request.extra);
    request.stream = optional(node.get("stream"), "stream", "must be a boolean", Node::bool)?.unwrap_or(false);
    read_numbers(&node, &mut request)?;
    read_system(node.get("system"), &mut request)?;
    read_messages(node.get("messages"), &mut request)?;
    tools::read(node.get("tools"), &mut request)?;
    tools::read_choice(node.get("tool_choice"), &mut request)?;
    read_thinking(node.get("thinking"), &mut request)?;
    read_output(&node, &mut request)?;
    read_metadata(node.get("metadata"), &mut request)?;
    request.cache = read_cache(node.get("cache_control"), "cache_control", &mut request.extra)?;
    if let Some(tier) = optional(
        node.get("service_tier"),
        "service_tier",
        "must be a string",
        Node::string,
    )? {
        match words::requested_tier(&tier) {
            Some(known) => request.service_tier = Some(known.to_owned()),
            None => request.extra.keep("service_tier", node.get("service_tier").to_raw()),
        }
    }
    Ok(request)
}

/// A member that may be absent but not of another kind.
pub(super) fn optional<'n, T>(
    node: &Node<'n>,
    field: &str,
    reason: &'static str,
    read: impl FnOnce(&Node<'n>) -> Option<T>,
) -> Result<Option<T>, Malformed> {
    if node.is_null() {
        return Ok(None);
    }
    read(node).map(Some).ok_or_else(|| Malformed::field(field, reason))
}

/// A cache breakpoint; what only this protocol knows of it goes to `extra`.
pub(super) fn read_cache(node: &Node<'_>, field: &str, extra: &mut Extra) -> Result<Option<CacheMark>, Malformed> {
    if node.is_null() {
        return Ok(None);
    }
    if !node.is_object() {
        return Err(Malformed::field(field, "must be an object"));
    }
    keep_rest(node, &["type", "ttl"], "cache_control", extra);
    let ttl = optional(node.get("ttl"), field, "must have a string as its ttl", Node::string)?;
    Ok(Some(CacheMark { ttl }))
}

fn read_numbers(node: &Node<'_>, request: &mut Request) -> Result<(), Malformed> {
    let whole = "must be a whole number that is not negative";
    let number = "must be a number";
    request.max_tokens = optional(node.get("max_tokens"), "max_tokens", whole, Node::u64)?;
    request.sampling.temperature = optional(node.get("temperature"), "temperature", number, Node::f64)?;
    request.sampling.top_p = optional(node.get("top_p"), "top_p", number, Node::f64)?;
    request.sampling.top_k = optional(node.get("top_k"), "top_k", whole, Node::u64)?;
    let stop = node.get("stop_sequences");
    if let Some(one) = stop.text() {
        request.stop = vec![one.to_owned()];
    } else if !stop.is_null() {
        let texts: Option<Vec<String>> = stop.items().iter().map(Node::string).collect();
        request.stop = texts
            .filter(|_| stop.is_array())
            .ok_or_else(|| Malformed::field("stop_sequences", "must be an array of strings"))?;
    }
    Ok(())
}

fn read_system(node: &Node<'_>, request: &mut Request) -> Result<(), Malformed> {
    if let Some(text) = node.text() {
        if !text.is_empty() {
            request.system.push(Part::text(text));
        }
        return Ok(());
    }
    if !node.is_null() && !node.is_array() {
        return Err(Malformed::field(
            "system",
            "must be a string or an array of text blocks",
        ));
    }
    for (index, block) in node.items().iter().enumerate() {
        let is_billing = block
            .get("text")
            .text()
            .is_some_and(|text| text.starts_with(BILLING_PREFIX));
        if index == 0 && is_billing {
            request.extra.keep(BILLING_HEADER, block.to_raw());
            continue;
        }
        let place = format!("system[{index}]");
        if !block.is_text() && block.get("text").is_null() {
            return Err(Malformed::field(place, "must be a text block"));
        }
        request.system.push(read_content::block(block, &place)?);
    }
    Ok(())
}

fn read_messages(node: &Node<'_>, request: &mut Request) -> Result<(), Malformed> {
    if node.is_null() {
        return Err(Malformed::field("messages", "is missing"));
    }
    if !node.is_array() {
        return Err(Malformed::field("messages", "must be an array"));
    }
    for (index, message) in node.items().iter().enumerate() {
        let message = read_content::message(message, index)?;
        // What comes before the conversation is no late instruction.
        if message.role == Role::System && request.messages.is_empty() && message.extra.is_empty() {
            request.system.extend(message.parts);
        } else {
            request.messages.push(message);
        }
    }
    Ok(())
}

fn read_thinking(node: &Node<'_>, request: &mut Request) -> Result<(), Malformed> {
    if node.is_null() {
        return Ok(());
    }
    if !node.is_object() {
        return Err(Malformed::field("thinking", "must be an object"));
    }
    let mut reasoning = Reasoning::default();
    match node.get("type").text() {
        Some("enabled") => {
            reasoning.enabled = Some(true);
            let reason = "must be a whole number";
            reasoning.budget = optional(node.get("budget_tokens"), "thinking.budget_tokens", reason, Node::u64)?;
        }
        Some("adaptive") => {
            reasoning.enabled = Some(true);
            reasoning.adaptive = true;
        }
        Some("disabled") => reasoning.enabled = Some(false),
        Some(_) => {
            // `between_tools`, and what is to come: thinking of a kind that the vocabulary has no word for.
            request.extra.keep("thinking", node.to_raw());
            reasoning.enabled = Some(true);
            reasoning.adaptive = true;
        }
        None => return Err(Malformed::field("thinking.type", "must be a string")),
    }
    if request.extra.get("thinking").is_none() {
        let mut known = vec!["type", "budget_tokens"];
        match node.get("display").text() {
            Some("summarized") => reasoning.show = Show::Summary("auto".to_owned()),
            Some("omitted") => reasoning.show = Show::Nothing,
            _ => {}
        }
        if reasoning.show != Show::Default {
            known.push("display");
        }
        keep_rest(node, &known, "thinking", &mut request.extra);
    }
    request.reasoning = Some(reasoning);
    Ok(())
}

fn read_output(node: &Node<'_>, request: &mut Request) -> Result<(), Malformed> {
    let config = node.get("output_config");
    if !config.is_null() && !config.is_object() {
        return Err(Malformed::field("output_config", "must be an object"));
    }
    let mut known = Vec::new();
    if let Some(effort) = config.get("effort").text().and_then(Effort::parse) {
        request.reasoning.get_or_insert_default().effort = Some(effort);
        known.push("effort");
    }
    // `output_format` is the name that the same had in its beta.
    let (format, field) = match config.get("format") {
        format if format.is_null() => (node.get("output_format"), "output_format"),
        format => (format, "output_config.format"),
    };
    if format.get("type").text() == Some("json_schema") {
        let schema = format.get("schema");
        if !schema.is_object() {
            return Err(Malformed::field(format!("{field}.schema"), "must be an object"));
        }
        request.format = Format::JsonSchema {
            name: format.get("name").string(),
            description: None,
            schema: schema.to_raw(),
            strict: None,
        };
        known.push("format");
    } else if field == "output_format" && !format.is_null() {
        request.extra.keep("output_format", format.to_raw());
    }
    keep_rest(config, &known, "output_config", &mut request.extra);
    Ok(())
}

fn read_metadata(node: &Node<'_>, request: &mut Request) -> Result<(), Malformed> {
    if !node.is_null() && !node.is_object() {
        return Err(Malformed::field("metadata", "must be an object"));
    }
    request.user = optional(
        node.get("user_id"),
        "metadata.user_id",
        "must be a string",
        Node::string,
    )?;
    keep_rest(node, &["user_id"], "metadata", &mut request.extra);
    Ok(())
}
