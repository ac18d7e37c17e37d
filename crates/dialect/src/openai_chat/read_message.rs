//! Reads messages.

use std::fmt::Arguments;

use super::answer::{citation, compact};
use super::read_request::remainder;
use super::{details, read_content};
use crate::Protocol;
use crate::codec::Malformed;
use crate::ir::{Content, Extra, Media, Message, Part, ReasoningStyle, Request, Role, Signature, ToolInput};
use crate::media;
use crate::tree::{Node, Value};

/// Reads all messages.
pub(super) fn read_all(node: &Node<'_>, request: &mut Request) -> Result<(), Malformed> {
    if !node.is_array() {
        let reason = if node.is_null() { "is missing" } else { "must be a list" };
        return Err(Malformed::field("messages", reason));
    }
    let mut reader = Reader::default();
    for (number, message) in node.items().iter().enumerate() {
        let at = format_args!("messages[{number}]");
        if !message.is_object() {
            return Err(Malformed::field(at.to_string(), "must be an object"));
        }
        match message.get("role").text() {
            Some("system" | "developer") => {
                instruct(said(Role::System, message, at)?, request);
            }
            Some("user") => request.messages.push(said(Role::User, message, at)?),
            Some("assistant") => request.messages.push(reader.assistant(message, at)?),
            Some("tool" | "function") => request.messages.push(reader.result(message, at)?),
            _ => {
                let reason = "must be `system`, `developer`, `user`, `assistant`, `tool` or `function`";
                return Err(Malformed::field(format!("{at}.role"), reason));
            }
        }
    }
    Ok(())
}

/// What has to be remembered from one message to the next.
#[derive(Default)]
struct Reader {
    /// Calls that have no result yet.
    unanswered: Vec<Unanswered>,
    /// Calls so far: makes ids for those that have none.
    calls: usize,
}

struct Unanswered {
    id: String,
    name: String,
    custom: bool,
}

impl Reader {
    /// A message of the model: thoughts, then text, then calls.
    fn assistant(&mut self, node: &Node<'_>, at: Arguments<'_>) -> Result<Message, Malformed> {
        let mut parts = thoughts(node);
        let mut content = read_content::read(node.get("content"), format_args!("{at}.content"))?;
        let calls = self.calls_of(node, at)?;
        let silent = |part: &Part| matches!(&part.content, Content::Text { text, .. } if text.is_empty());
        content.retain(|part| !silent(part));
        cite(node.get("annotations"), &mut content);
        parts.append(&mut content);
        if let Some(text) = node.get("refusal").text().filter(|text| !text.is_empty()) {
            parts.push(Content::Refusal { text: text.to_owned() }.into());
        }
        if let Some(id) = node.get("audio").get("id").string() {
            parts.push(own_sound(id));
        }
        for picture in node.get("images").items() {
            if let Some(source) = picture.get("image_url").get("url").text().and_then(media::read_url) {
                parts.push(Content::Image { source, detail: None }.into());
            }
        }
        parts.extend(calls);
        let mut message = Message::new(Role::Assistant, parts);
        message.name = node.get("name").string();
        message.extra = rest(node, ASSISTANT);
        mark_last(&mut message, node);
        Ok(message)
    }

    fn calls_of(&mut self, node: &Node<'_>, at: Arguments<'_>) -> Result<Vec<Part>, Malformed> {
        let mut parts = Vec::new();
        let calls = node.get("tool_calls");
        if !calls.is_null() && !calls.is_array() {
            return Err(Malformed::field(format!("{at}.tool_calls"), "must be a list"));
        }
        for (number, call) in calls.items().iter().enumerate() {
            parts.push(self.call(call, format_args!("{at}.tool_calls[{number}]"))?);
        }
        let legacy = node.get("function_call");
        if legacy.is_object() {
            let name = legacy.get("name").string();
            let name = name.ok_or_else(|| Malformed::field(format!("{at}.function_call.name"), "must be a string"))?;
            let input = ToolInput::Json(spelled(legacy.get("arguments")));
            parts.push(self.begin(String::new(), name, input));
        }
        Ok(parts)
    }

    fn call(&mut self, node: &Node<'_>, at: Arguments<'_>) -> Result<Part, Malformed> {
        let custom = node.get("custom");
        let function = if custom.is_object() {
            custom
        } else {
            node.get("function")
        };
        let name = function.get("name").string();
        let name = name.ok_or_else(|| Malformed::field(format!("{at}.function.name"), "must be a string"))?;
        let input = spelled(function.any(&["arguments", "input"]));
        let input = if custom.is_object() {
            ToolInput::Text(input)
        } else {
            ToolInput::Json(input)
        };
        let google = node.get("extra_content").get("google");
        let mut part = self.begin(node.get("id").text_or_empty().to_owned(), name, input);
        let proof = google.get("thought_signature").text();
        part.signature = proof.map(|proof| Signature::open(Protocol::OpenaiChat, proof));
        part.extra = rest(node, &["id", "type", "index", "function", "custom", "extra_content"]);
        if let Some(others) = remainder(google, &["thought_signature"]) {
            part.extra.keep("extra_content.google", others);
        }
        if let Some(others) = remainder(node.get("extra_content"), &["google"]) {
            part.extra.keep("extra_content", others);
        }
        Ok(part)
    }

    fn begin(&mut self, id: String, name: String, input: ToolInput) -> Part {
        self.calls += 1;
        let id = if id.is_empty() {
            format!("call_n{}", self.calls)
        } else {
            id
        };
        self.unanswered.push(Unanswered {
            id: id.clone(),
            name: name.clone(),
            custom: matches!(input, ToolInput::Text(_)),
        });
        Content::ToolCall {
            id,
            name,
            namespace: None,
            input,
        }
        .into()
    }

    /// What a tool answered. Without an id the name tells the call, or else the order.
    fn result(&mut self, node: &Node<'_>, at: Arguments<'_>) -> Result<Message, Malformed> {
        let name = node.get("name").string();
        let id = node.get("tool_call_id").text().filter(|id| !id.is_empty());
        let known = match (id, &name) {
            (Some(id), _) => self.unanswered.iter().position(|call| call.id == id),
            (None, Some(name)) => self.unanswered.iter().rposition(|call| call.name == *name),
            (None, None) => (!self.unanswered.is_empty()).then_some(0),
        };
        let call = known.map(|at| self.unanswered.remove(at));
        let id = id
            .map(str::to_owned)
            .or_else(|| call.as_ref().map(|call| call.id.clone()));
        let content = node.get("content");
        let content = match content.value() {
            // A result that was not made a text.
            Value::Object(_) | Value::Number | Value::Bool(_) => vec![Part::text(content.raw())],
            _ => read_content::read(content, format_args!("{at}.content"))?,
        };
        let result = Content::ToolResult {
            id: id.ok_or_else(|| Malformed::field(format!("{at}.tool_call_id"), "is missing"))?,
            name,
            content,
            is_error: node.get("is_error").bool(),
            custom: call.is_some_and(|call| call.custom),
        };
        let mut message = Message::new(Role::User, vec![result.into()]);
        message.extra = rest(node, &["role", "content", "name", "tool_call_id", "is_error"]);
        mark_last(&mut message, node);
        Ok(message)
    }
}

/// A message of which only the content, the name and the extras matter.
fn said(role: Role, node: &Node<'_>, at: Arguments<'_>) -> Result<Message, Malformed> {
    let mut message = Message::new(
        role,
        read_content::read(node.get("content"), format_args!("{at}.content"))?,
    );
    message.name = node.get("name").string();
    message.extra = rest(node, &["role", "content", "name"]);
    mark_last(&mut message, node);
    Ok(message)
}

/// Instructions at the beginning stand apart. Their message's name and extras go with the first part.
fn instruct(mut message: Message, request: &mut Request) {
    if !request.messages.is_empty() {
        request.messages.push(message);
        return;
    }
    if let Some(first) = message.parts.first_mut() {
        if let Some(name) = &message.name {
            first.extra.keep("name", crate::writer::raw_text(name));
        }
        first.extra.0.append(&mut message.extra.0);
    }
    request.system.append(&mut message.parts);
}

const ASSISTANT: &[&str] = &[
    "role",
    "content",
    "name",
    "refusal",
    "audio",
    "images",
    "annotations",
    "tool_calls",
    "function_call",
    "reasoning_content",
    "reasoning",
    "reasoning_details",
    "thinking_blocks",
];

fn rest(node: &Node<'_>, known: &[&str]) -> Extra {
    let mut extra = Extra::default();
    for (name, value) in node.members() {
        let is_mark = matches!(name.as_ref(), "cache_control" | "prompt_cache_breakpoint");
        if !value.is_null() && !is_mark && !known.contains(&name.as_ref()) {
            extra.keep(name, value.to_raw());
        }
    }
    extra
}

/// A mark on a message is one on its last part.
fn mark_last(message: &mut Message, node: &Node<'_>) {
    if let (Some(mark), Some(last)) = (read_content::cache_mark(node), message.parts.last_mut()) {
        last.cache = Some(mark);
    }
}

/// Thoughts of an earlier turn. They may be told several times: what carries proofs counts first.
fn thoughts(node: &Node<'_>) -> Vec<Part> {
    let proved = node.any(&["reasoning_details", "thinking_blocks"]).items();
    let parts: Vec<Part> = proved
        .iter()
        .filter_map(|detail| details::read(detail).into_part())
        .collect();
    if !parts.is_empty() {
        return parts;
    }
    let plain = ["reasoning_content", "reasoning"]
        .iter()
        .map(|key| node.get(key).text_or_empty());
    let told = plain.filter(|text| !text.is_empty()).take(1);
    told.map(|text| {
        let content = Content::Reasoning {
            text: text.to_owned(),
            style: ReasoningStyle::Full,
            redacted: None,
        };
        content.into()
    })
    .collect()
}

/// Arguments as text: some clients send them as an object.
fn spelled(node: &Node<'_>) -> String {
    match node.value() {
        Value::Null => String::new(),
        Value::Text(text) => text.to_string(),
        _ => compact(node),
    }
}

fn cite(annotations: &Node<'_>, content: &mut [Part]) {
    let text = content.iter_mut().find_map(|part| match &mut part.content {
        Content::Text { citations, .. } => Some(citations),
        _ => None,
    });
    if let Some(citations) = text {
        citations.extend(annotations.items().iter().map(citation));
    }
}

/// Sound that the model made in an earlier turn.
fn own_sound(id: String) -> Part {
    let source = Media::File {
        protocol: Protocol::OpenaiChat,
        id: id.clone(),
    };
    Content::Audio {
        source,
        format: None,
        transcript: None,
        id: Some(id),
    }
    .into()
}
