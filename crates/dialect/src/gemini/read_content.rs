//! Reads `contents` and the parts that they are made of.

use std::collections::VecDeque;

use super::compact::compact;
use super::place::Place;
use super::read_media::{read_file, read_inline};
use super::spelling::{Fields, member};
use crate::codec::Malformed;
use crate::ir::{Content, Extra, Message, Part, ReasoningStyle, Role, Signature, ToolInput};
use crate::protocol::Protocol;
use crate::tree::Node;
use crate::writer;

/// How ids begin that are given to calls whose client gave none.
pub(super) const NAMELESS: &str = "call_by_order_";

/// Members of a part that say something about it, beside the one that says what it is.
const MODIFIERS: [&str; 5] = [
    "thought",
    "thoughtSignature",
    "videoMetadata",
    "mediaResolution",
    "partMetadata",
];

/// Reads the `contents` of a request, in any form that Google's SDKs take.
pub(super) fn read_contents(contents: &Node<'_>) -> Result<Vec<Message>, Malformed> {
    let one = std::slice::from_ref(contents);
    let items = if contents.is_array() { contents.items() } else { one };
    let mut calls = Calls::default();
    let mut messages: Vec<Message> = Vec::with_capacity(items.len());
    for (content, node) in items.iter().enumerate() {
        let place = Place { content, part: None };
        let Some(message) = read_content(node, place, &mut calls)? else {
            continue;
        };
        match messages.last_mut() {
            // Google's own chat keeps every chunk of a streamed answer as a content of its own.
            Some(last) if last.role == Role::Assistant && message.role == Role::Assistant => {
                message.parts.into_iter().for_each(|part| add(last, part));
                last.extra.0.extend(message.extra.0);
            }
            _ => messages.push(message),
        }
    }
    Ok(messages)
}

/// One turn; `None` for one in which nothing is said.
fn read_content(node: &Node<'_>, place: Place, calls: &mut Calls) -> Result<Option<Message>, Malformed> {
    if let Some(text) = node.text() {
        return Ok(Some(Message::new(Role::User, vec![Part::text(text)])));
    }
    if !node.is_object() {
        return Err(place.malformed("", "must be an object"));
    }
    let mut fields = Fields::of(node);
    let role = match fields.take("role").text() {
        None | Some("user" | "function" | "tool" | "") => Role::User,
        Some("model" | "assistant") => Role::Assistant,
        Some("system") => Role::System,
        Some(_) => return Err(place.malformed("role", "must be `user` or `model`")),
    };
    calls.turn(role);
    let mut message = Message::new(role, Vec::new());
    let parts = fields.take("parts");
    if parts.is_null() && fields.rest().next().is_some() {
        // A part that stands where a content should.
        message.parts.extend(read_part(node, place, calls)?);
        return Ok(Some(message));
    }
    let one = std::slice::from_ref(parts);
    let items = if parts.is_array() || parts.is_null() {
        parts.items()
    } else {
        one
    };
    for (index, part) in items.iter().enumerate() {
        let place = Place {
            part: Some(index),
            ..place
        };
        if let Some(part) = read_part(part, place, calls)? {
            add(&mut message, part);
        }
    }
    fields.keep_rest("", &mut message.extra);
    if message.parts.is_empty() && items.is_empty() {
        return Ok(None);
    }
    if message.parts.is_empty() {
        message.parts.push(Part::text(""));
    }
    Ok(Some(message))
}

/// Adds a part. What the model said or thought in pieces, as it was streamed, is one again: a proof is of all of them.
fn add(message: &mut Message, part: Part) {
    let is_model = message.role == Role::Assistant;
    if let Some(last) = message.parts.last_mut()
        && last.signature.is_none()
        && last.extra.is_empty()
        && part.extra.is_empty()
        && goes_on(&mut last.content, &part.content, is_model)
    {
        last.signature = part.signature;
        return;
    }
    message.parts.push(part);
}

/// Adds a text to the one that it goes on with, if it does.
fn goes_on(last: &mut Content, next: &Content, is_model: bool) -> bool {
    use ReasoningStyle::Summary;
    let (text, more) = match (last, next) {
        (
            Content::Reasoning {
                text, style: Summary, ..
            },
            Content::Reasoning {
                text: more,
                style: Summary,
                ..
            },
        ) => (text, more),
        (Content::Text { text, .. }, Content::Text { text: more, .. }) if is_model => (text, more),
        _ => return false,
    };
    text.push_str(more);
    true
}

/// Reads a part; `None` for an empty text, as a stream ends with one.
fn read_part(node: &Node<'_>, place: Place, calls: &mut Calls) -> Result<Option<Part>, Malformed> {
    if let Some(text) = node.text() {
        return Ok(Some(Part::text(text)).filter(|_| !text.is_empty()));
    }
    if !node.is_object() {
        return Err(place.malformed("", "must be an object"));
    }
    let mut fields = Fields::of(node);
    fields.take("role");
    let thought = fields.take("thought").bool() == Some(true);
    let signature = fields.take("thoughtSignature").text().filter(|text| !text.is_empty());
    let signature = signature.map(|text| Signature::open(Protocol::Gemini, text));
    let mut extra = Extra::default();
    let Some(content) = read_data(&mut fields, thought, signature.is_some(), place, calls, &mut extra)? else {
        let foreign = foreign(node);
        let content = foreign.or_else(|| signature.is_some().then(|| reasoning("", ReasoningStyle::Full)));
        return Ok(content.map(|content| Part {
            signature,
            ..content.into()
        }));
    };
    if matches!(&content, Content::Text { text, .. } if text.is_empty()) {
        return Ok(None);
    }
    fields.keep_rest("", &mut extra);
    Ok(Some(Part {
        content,
        cache: None,
        signature,
        extra,
    }))
}

/// What a part is; `None` when it is nothing that the vocabulary knows.
fn read_data(
    fields: &mut Fields<'_, '_>,
    thought: bool,
    signed: bool,
    place: Place,
    calls: &mut Calls,
    extra: &mut Extra,
) -> Result<Option<Content>, Malformed> {
    let text = fields.take("text");
    if !text.is_null() {
        let text = text.text().ok_or_else(|| place.malformed("text", "must be a string"))?;
        return Ok(Some(match (thought, text.is_empty() && signed) {
            (true, _) => reasoning(text, ReasoningStyle::Summary),
            (false, true) => reasoning(text, ReasoningStyle::Full),
            (false, false) => text_content(text),
        }));
    }
    let call = fields.take("functionCall");
    if !call.is_null() {
        return read_call(call, place, calls, extra).map(Some);
    }
    let result = fields.take("functionResponse");
    if !result.is_null() {
        return read_result(result, place, calls, extra).map(Some);
    }
    if thought {
        // Media that were only thought of.
        return Ok(None);
    }
    let inline = fields.take("inlineData");
    if !inline.is_null() {
        let malformed = |reason| place.malformed("inlineData", reason);
        return read_inline(inline, extra).map(Some).map_err(malformed);
    }
    let file = fields.take("fileData");
    if !file.is_null() {
        let malformed = |reason| place.malformed("fileData", reason);
        return read_file(file, extra).map(Some).map_err(malformed);
    }
    Ok(None)
}

fn text_content(text: &str) -> Content {
    Content::Text {
        text: text.to_owned(),
        citations: Vec::new(),
    }
}

fn reasoning(text: &str, style: ReasoningStyle) -> Content {
    Content::Reasoning {
        text: text.to_owned(),
        style,
        redacted: None,
    }
}

/// A part that only Gemini knows, such as `executableCode`: all of it but its proof, which is kept beside it.
pub(super) fn foreign(node: &Node<'_>) -> Option<Content> {
    let is_modifier = |name: &str| MODIFIERS.iter().any(|known| super::spelling::is_named(name, known));
    let (kind, _) = node
        .members()
        .iter()
        .find(|(name, value)| name != "role" && !value.is_null() && !is_modifier(name))?;
    let raw = writer::raw_object(|it| {
        for (name, value) in node.members() {
            if !super::spelling::is_named(name, "thoughtSignature") {
                it.raw(name, &value.to_raw());
            }
        }
    });
    Some(Content::Foreign {
        protocol: Protocol::Gemini,
        kind: kind.to_string(),
        raw,
    })
}

fn read_call(node: &Node<'_>, place: Place, calls: &mut Calls, extra: &mut Extra) -> Result<Content, Malformed> {
    let mut fields = Fields::of(node);
    let name = fields.take("name").text().filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| place.malformed("functionCall.name", "must be a string that is not empty"))?;
    let args = fields.take("args");
    let arguments = if args.is_null() {
        "{}".to_owned()
    } else {
        compact(args.raw())
    };
    let id = calls.call(fields.take("id").text(), name);
    fields.keep_rest("functionCall", extra);
    Ok(Content::ToolCall {
        id,
        name: name.to_owned(),
        namespace: None,
        input: ToolInput::Json(arguments),
    })
}

fn read_result(node: &Node<'_>, place: Place, calls: &mut Calls, extra: &mut Extra) -> Result<Content, Malformed> {
    if !node.is_object() {
        return Err(place.malformed("functionResponse", "must be an object"));
    }
    let mut fields = Fields::of(node);
    let name = fields.take("name").text().filter(|name| !name.is_empty());
    let id = calls.result(fields.take("id").text(), name);
    let (text, is_error) = result_text(fields.take("response"));
    let mut content = vec![Part::text(text)];
    for part in fields.take("parts").items() {
        let malformed = |reason| place.malformed("functionResponse.parts", reason);
        let mut part_extra = Extra::default();
        let inline = member(part, "inlineData");
        let file = member(part, "fileData");
        let media = if !inline.is_null() {
            read_inline(inline, &mut part_extra).map_err(malformed)?
        } else if !file.is_null() {
            read_file(file, &mut part_extra).map_err(malformed)?
        } else {
            return Err(malformed("must have `inlineData` or `fileData`"));
        };
        content.push(Part {
            extra: part_extra,
            ..media.into()
        });
    }
    fields.keep_rest("functionResponse", extra);
    Ok(Content::ToolResult {
        id,
        name: name.map(str::to_owned),
        content,
        is_error,
        custom: false,
    })
}

/// What a tool answered, as text, and whether it failed. By Google's convention an answer stands under `output` and a
/// failure under `error`.
fn result_text(response: &Node<'_>) -> (String, Option<bool>) {
    let only = match response.members() {
        [(name, value)] => Some((name.as_ref(), value)),
        _ => None,
    };
    match only {
        Some(("output" | "result", value)) if value.is_text() => (value.text_or_empty().to_owned(), None),
        Some(("error", value)) if value.is_text() => (value.text_or_empty().to_owned(), Some(true)),
        Some(("error", _)) => (compact(response.raw()), Some(true)),
        _ if response.is_null() => (String::new(), None),
        _ => match response.text() {
            Some(text) => (text.to_owned(), None),
            None => (compact(response.raw()), None),
        },
    }
}

/// The calls of the conversation, to pair them with their results. Many clients give no ids: their results come in the
/// order of the calls.
#[derive(Debug, Default)]
struct Calls {
    nameless: usize,
    open: VecDeque<OpenCall>,
    answering: bool,
}

#[derive(Debug)]
struct OpenCall {
    id: String,
    name: String,
}

impl Calls {
    /// Somebody speaks. The model's next turn ends the time in which results may come without ids.
    fn turn(&mut self, role: Role) {
        match role {
            Role::Assistant if self.answering => {
                self.open.clear();
                self.answering = false;
            }
            Role::User => self.answering = true,
            _ => {}
        }
    }

    /// The id of a call.
    fn call(&mut self, given: Option<&str>, name: &str) -> String {
        let id = match given.filter(|id| !id.is_empty()) {
            Some(id) => id.to_owned(),
            None => self.invent(),
        };
        self.open.push_back(OpenCall {
            id: id.clone(),
            name: name.to_owned(),
        });
        id
    }

    /// The id of the call that a result is of: the one that is given, or the first of that name, or simply the first.
    fn result(&mut self, given: Option<&str>, name: Option<&str>) -> String {
        let given = given.filter(|id| !id.is_empty());
        let by_id = given.and_then(|id| self.open.iter().position(|call| call.id == id));
        let nameless = |call: &OpenCall| given.is_none() || call.id.starts_with(NAMELESS);
        let is_it = |call: &OpenCall| nameless(call) && name.is_none_or(|name| call.name == name);
        match by_id.or_else(|| self.open.iter().position(is_it)) {
            Some(at) => self.open.remove(at).map(|call| call.id).unwrap_or_default(),
            None => given.map_or_else(|| self.invent(), str::to_owned),
        }
    }

    fn invent(&mut self) -> String {
        let id = format!("{NAMELESS}{}", self.nameless);
        self.nameless += 1;
        id
    }
}

/// Reads a `systemInstruction`: a string, a content, parts, or any of these in an array.
pub(super) fn read_system(node: &Node<'_>, extra: &mut Extra) -> Result<Vec<Part>, Malformed> {
    let field = "systemInstruction";
    if let Some(text) = node.text() {
        return Ok(Some(Part::text(text))
            .into_iter()
            .filter(|_| !text.is_empty())
            .collect());
    }
    if node.is_array() {
        let mut parts = Vec::new();
        for item in node.items() {
            parts.extend(read_system(item, extra)?);
        }
        return Ok(parts);
    }
    if node.is_null() {
        return Ok(Vec::new());
    }
    let mut fields = Fields::of(node);
    fields.take("role");
    let parts = fields.take("parts");
    if !parts.is_null() {
        let read = read_system(parts, &mut Extra::default())?;
        fields.keep_rest(field, extra);
        return Ok(read);
    }
    let text = fields.take("text");
    if text.is_null() && node.is_object() && fields.rest().next().is_none() {
        return Ok(Vec::new());
    }
    let text = text.text().ok_or_else(|| Malformed::field(field, "must be text"))?;
    let mut part = Part::text(text);
    fields.keep_rest("", &mut part.extra);
    Ok(Some(part).into_iter().filter(|_| !text.is_empty()).collect())
}
