//! Reads `input`: groups its items into messages.

use std::collections::HashSet;

use super::read_content::read_content;
use super::read_request::{leftovers, prefixed_leftovers, text};
use super::{OWN, read_tools};
use crate::codec::Malformed;
use crate::ir::{Content, Extra, Message, Part, ReasoningStyle, Role, Signature, Tool, ToolInput};
use crate::protocol::Protocol;
use crate::signature::REDACTED;
use crate::tree::Node;

/// Under which names the members of an assistant's message item, such as `phase`, travel with its first part: several
/// items become one message.
pub(super) const ITEM_PREFIX: &str = "message.";

/// Ids and states of items that a client echoes mean nothing where the conversation is not stored.
const ECHOED: [&str; 3] = ["type", "id", "status"];

/// What `input` amounts to.
#[derive(Debug, Default)]
pub(super) struct Conversation {
    /// Instructions at its very beginning.
    pub(super) system: Vec<Part>,
    /// The conversation.
    pub(super) messages: Vec<Message>,
    /// Tools that are offered in the middle of it.
    pub(super) tools: Vec<Tool>,
}

/// Reads `input`: a text, or items.
pub(super) fn read(node: &Node<'_>) -> Result<Conversation, Malformed> {
    let mut conversation = Conversation::default();
    if let Some(text) = node.text() {
        conversation
            .messages
            .push(Message::new(Role::User, vec![Part::text(text)]));
        return Ok(conversation);
    }
    if !node.is_array() && !node.is_null() {
        return Err(Malformed::field("input", "must be a string or an array"));
    }
    let is_reference = |item: &Node<'_>| kind_of(item) == Some("item_reference");
    let ids: HashSet<&str> = node
        .items()
        .iter()
        .filter(|item| !is_reference(item))
        .filter_map(|item| item.get("id").text())
        .collect();
    for (at, item) in node.items().iter().enumerate() {
        let place = format!("input[{at}]");
        if !is_reference(item) {
            conversation.read_item(item, &place)?;
        } else if !item.get("id").text().is_some_and(|id| ids.contains(id)) {
            // What is in the input anyway stands there at its own place.
            return Err(Malformed::field(
                place,
                "refers to an item that is not in the request; send the item itself",
            ));
        }
    }
    Ok(conversation)
}

/// The type of an item, said or seen from its members.
fn kind_of<'n>(item: &'n Node<'_>) -> Option<&'n str> {
    let has = |name: &str| !item.get(name).is_null();
    match item.get("type").text() {
        Some(kind) => Some(kind),
        None if item.is_text() || has("role") => Some("message"),
        None if has("call_id") && has("output") => Some("function_call_output"),
        None if has("call_id") && has("name") => Some("function_call"),
        None if has("id") && item.members().len() == 1 => Some("item_reference"),
        None => None,
    }
}

impl Conversation {
    fn read_item(&mut self, item: &Node<'_>, place: &str) -> Result<(), Malformed> {
        let Some(kind) = kind_of(item) else {
            return Err(Malformed::field(format!("{place}.type"), "must be a string"));
        };
        match kind {
            "message" => self.read_message(item, place)?,
            "reasoning" => {
                if let Some(part) = read_reasoning(item) {
                    self.say(part);
                }
            }
            "function_call" => self.say(read_call(item, place, "arguments", ToolInput::Json)?),
            "custom_tool_call" => self.say(read_call(item, place, "input", ToolInput::Text)?),
            "function_call_output" => self.answer(read_output(item, place, false)?),
            "custom_tool_call_output" => self.answer(read_output(item, place, true)?),
            "additional_tools" => {
                let place = format!("{place}.tools");
                self.tools.extend(read_tools::read_tools(item.get("tools"), &place)?);
            }
            _ => self.read_foreign(item, kind),
        }
        Ok(())
    }

    fn read_message(&mut self, item: &Node<'_>, place: &str) -> Result<(), Malformed> {
        if let Some(said) = item.text() {
            let said = vec![Part::text(said)];
            self.messages.push(Message::new(Role::User, said));
            return Ok(());
        }
        let known = ["type", "id", "status", "role", "content"];
        let role = item.get("role").text();
        if role == Some("tool") {
            self.answer(read_output(item, place, false)?);
            return Ok(());
        }
        let mut parts = read_content(item.get("content"), &format!("{place}.content"))?;
        match role {
            Some("assistant") => {
                if let Some(first) = parts.first_mut() {
                    first.extra.0.extend(prefixed_leftovers(item, &known, ITEM_PREFIX).0);
                }
                for part in parts {
                    self.say(part);
                }
            }
            Some("user") => self.add(Role::User, parts, leftovers(item, &known)),
            Some("system" | "developer") => {
                let extra = leftovers(item, &known);
                let is_text = |part: &Part| matches!(part.content, Content::Text { .. });
                if self.messages.is_empty() && extra.is_empty() && parts.iter().all(is_text) {
                    self.system.extend(parts);
                } else {
                    self.add(Role::System, parts, extra);
                }
            }
            _ => {
                return Err(Malformed::field(
                    format!("{place}.role"),
                    "must be one of `user`, `assistant`, `system` and `developer`",
                ));
            }
        }
        Ok(())
    }

    fn add(&mut self, role: Role, parts: Vec<Part>, extra: Extra) {
        self.messages.push(Message {
            extra,
            ..Message::new(role, parts)
        });
    }

    /// The model says something: everything that it says in a row is one message.
    fn say(&mut self, part: Part) {
        match self.messages.last_mut() {
            Some(last) if last.role == Role::Assistant => last.parts.push(part),
            _ => self.messages.push(Message::new(Role::Assistant, vec![part])),
        }
    }

    /// A tool answers: all answers in a row are one message of the user.
    fn answer(&mut self, part: Part) {
        let is_answer = |part: &Part| matches!(part.content, Content::ToolResult { .. } | Content::Foreign { .. });
        match self.messages.last_mut() {
            Some(last) if last.role == Role::User && last.parts.iter().all(is_answer) => last.parts.push(part),
            _ => self.messages.push(Message::new(Role::User, vec![part])),
        }
    }

    fn read_foreign(&mut self, item: &Node<'_>, kind: &str) {
        let part = Part::from(Content::Foreign {
            protocol: OWN,
            kind: kind.to_owned(),
            raw: item.to_raw(),
        });
        let is_callers = kind.ends_with("_output")
            || kind.ends_with("_response")
            || matches!(kind, "compaction" | "compaction_trigger" | "configuration_update");
        if is_callers {
            self.answer(part);
        } else {
            self.say(part);
        }
    }
}

/// Reads a reasoning item; `None` when there is nothing in it.
fn read_reasoning(item: &Node<'_>) -> Option<Part> {
    let (summary, content) = (joined(item.get("summary")), joined(item.get("content")));
    let mut extra = leftovers(
        item,
        &["type", "id", "status", "summary", "content", "encrypted_content"],
    );
    if !summary.is_empty() && !content.is_empty() {
        extra.keep("summary", item.get("summary").to_raw());
    }
    let (text, style) = if content.is_empty() {
        (summary, ReasoningStyle::Summary)
    } else {
        (content, ReasoningStyle::Full)
    };
    let mut redacted = None;
    let sealed = item.get("encrypted_content").text().filter(|sealed| !sealed.is_empty());
    let mut signature = sealed.map(|sealed| Signature::open(OWN, sealed));
    if let Some(opened) = &mut signature {
        if opened.protocol == OWN && opened.provider.is_none() && opened.item.is_none() {
            opened.item = item.get("id").string();
        }
        if opened.protocol == Protocol::Anthropic && opened.item.as_deref() == Some(REDACTED) {
            redacted = Some(opened.data.clone());
        }
    }
    if text.is_empty() && signature.is_none() && redacted.is_none() {
        return None;
    }
    Some(Part {
        signature,
        extra,
        ..Content::Reasoning { text, style, redacted }.into()
    })
}

/// The texts of a summary or of a reasoning content, with blank lines in between.
pub(super) fn joined(node: &Node<'_>) -> String {
    if let Some(text) = node.text() {
        return text.to_owned();
    }
    let texts: Vec<&str> = node
        .items()
        .iter()
        .filter_map(|part| part.text().or_else(|| part.get("text").text()))
        .collect();
    texts.join("\n\n")
}

fn read_call(
    item: &Node<'_>,
    place: &str,
    input_name: &str,
    input: impl Fn(String) -> ToolInput,
) -> Result<Part, Malformed> {
    let name = text(item, "name")?.ok_or_else(|| Malformed::field(format!("{place}.name"), "is missing"))?;
    let given = item.get(input_name);
    let given = given.string().unwrap_or_else(|| {
        // Some clients send the arguments as an object.
        if given.is_null() { "" } else { given.raw() }.to_owned()
    });
    let content = Content::ToolCall {
        id: call_id(item, place)?,
        name,
        namespace: item.get("namespace").string(),
        input: input(given),
    };
    let mut extra = leftovers(item, &["call_id", "name", "namespace", input_name]);
    extra.0.retain(|(name, _)| !ECHOED.contains(&name.as_str()));
    Ok(Part {
        extra,
        ..content.into()
    })
}

fn read_output(item: &Node<'_>, place: &str, custom: bool) -> Result<Part, Malformed> {
    let place_of_output = format!("{place}.output");
    let output = item.any(&["output", "content"]);
    let content = match output {
        simple if simple.is_text() || simple.is_array() || simple.is_null() => read_content(simple, &place_of_output)?,
        // Some clients send what the tool answered as it is.
        other => vec![Part::text(other.raw())],
    };
    let known = ["call_id", "tool_call_id", "output", "content", "role", "name"];
    let mut extra = leftovers(item, &known);
    extra.0.retain(|(name, _)| !ECHOED.contains(&name.as_str()));
    let result = Content::ToolResult {
        id: call_id(item, place)?,
        name: item.get("name").string(),
        content,
        is_error: None,
        custom,
    };
    Ok(Part { extra, ..result.into() })
}

/// What pairs a call with its result. Only `call_id` does; the item's own `id` stands in where it is missing.
fn call_id(item: &Node<'_>, place: &str) -> Result<String, Malformed> {
    item.any(&["call_id", "tool_call_id", "id"])
        .string()
        .filter(|id| !id.is_empty())
        .ok_or_else(|| Malformed::field(format!("{place}.call_id"), "must be a string that is not empty"))
}
