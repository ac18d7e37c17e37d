//! Puts messages and their parts into the shapes that are sent.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet, VecDeque};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::read_content::WHOLE_BLOCK;
use super::tools::{self, Names};
use super::wire::{self, Block, Kind, Source};
use crate::field::Field;
use crate::ir::{Content, Media, Message, Part, Role, Signature, ToolInput};
use crate::loss::{Losses, Unsayable};
use crate::protocol::Protocol;
use crate::signature::REDACTED;
use crate::tool_names::portable_id;

/// What a failed tool is said to have answered when it answered nothing, which is refused.
const FAILED: &str = "The tool failed.";

/// Puts the content of one request into shape.
#[derive(Debug)]
pub(super) struct Shaper<'l> {
    own: bool,
    provider: &'l str,
    pub(super) names: Names,
    pub(super) lost: &'l mut Losses,
    ids: Ids,
}

impl<'l> Shaper<'l> {
    /// For a request that came in `from` and goes to `provider`.
    pub(super) fn new(from: Protocol, provider: &'l str, lost: &'l mut Losses) -> Self {
        Self {
            own: from == Protocol::Anthropic,
            provider,
            names: Names::new(provider),
            lost,
            ids: Ids::default(),
        }
    }

    /// The blocks of the system prompt.
    pub(super) fn system<'a>(&mut self, parts: &'a [Part]) -> Result<Vec<Block<'a>>, Unsayable> {
        self.blocks(parts, Role::System)
    }

    /// The messages, those of the same speaker joined.
    pub(super) fn messages<'a>(&mut self, messages: &'a [Message]) -> Result<Vec<wire::Message<'a>>, Unsayable> {
        let mut shaped: Vec<wire::Message<'a>> = Vec::with_capacity(messages.len());
        for message in messages {
            if message.name.is_some() {
                self.lost.note(Field::MessageName, "not supported");
            }
            if !self.own {
                self.lost.note_extra("messages", &message.extra);
            }
            if message.role == Role::Assistant {
                self.ids.next_turn();
            }
            let mut blocks = self.blocks(&message.parts, message.role)?;
            let role = match message.role {
                Role::User => wire::Role::User,
                Role::Assistant => wire::Role::Assistant,
                Role::System if self.own => wire::Role::System,
                Role::System => {
                    self.lost.note(Field::LateSystem, "told as a reminder by the user");
                    blocks = reminder(&blocks);
                    wire::Role::User
                }
            };
            if blocks.is_empty() {
                continue;
            }
            let extra = (self.own && !message.extra.is_empty()).then_some(&message.extra);
            match shaped.last_mut() {
                Some(last) if last.role == role && role != wire::Role::System && extra.is_none() => {
                    last.blocks.append(&mut blocks);
                }
                _ => shaped.push(wire::Message { role, blocks, extra }),
            }
        }
        Ok(shaped)
    }

    fn blocks<'a>(&mut self, parts: &'a [Part], role: Role) -> Result<Vec<Block<'a>>, Unsayable> {
        let mut blocks = Vec::with_capacity(parts.len());
        for part in parts {
            let Some(kind) = self.kind(part, role)? else {
                if part.cache.is_some() {
                    self.lost.note(Field::CacheMark, "the block under it is not sent");
                }
                continue;
            };
            let is_thought = matches!(kind, Kind::Thinking { .. } | Kind::Redacted(_));
            if is_thought && part.cache.is_some() {
                self.lost.note(Field::CacheMark, "not accepted on thoughts");
            }
            if !self.own {
                self.lost.note_extra("messages.content", &part.extra);
            }
            blocks.push(Block {
                kind,
                cache: part.cache.as_ref().filter(|_| !is_thought).map(tools::mark),
                extra: (self.own && !part.extra.is_empty()).then_some(&part.extra),
            });
        }
        Ok(blocks)
    }

    fn kind<'a>(&mut self, part: &'a Part, role: Role) -> Result<Option<Kind<'a>>, Unsayable> {
        let in_user = role == Role::User;
        Ok(match &part.content {
            // A text of nothing but white space is refused.
            Content::Text { text, .. } | Content::Refusal { text } if text.trim().is_empty() => None,
            Content::Text { text, citations } => Some(Kind::Text {
                text: Cow::Borrowed(text),
                citations,
            }),
            Content::Refusal { text } => Some(spoken(text)),
            Content::Image { .. } | Content::Video { .. } | Content::Document { .. } if !in_user => {
                self.lost.note(Field::ImageData, "only accepted from the user");
                None
            }
            Content::Image { source, detail } => {
                if detail.as_deref().is_some_and(|detail| detail != "auto") {
                    self.lost.note(Field::ImageDetail, "not supported");
                }
                Some(Kind::Image(self.image(source)?))
            }
            Content::Audio { transcript, .. } if !in_user => {
                self.lost.note(Field::AudioInput, "only its words are told");
                transcript.as_deref().filter(|text| !text.trim().is_empty()).map(spoken)
            }
            Content::Audio { .. } => return Err(self.lost.refuse(Field::AudioInput, "the model cannot hear")),
            Content::Video { .. } => return Err(self.lost.refuse(Field::Video, "the model cannot watch films")),
            Content::Document { .. } => Some(self.document(part)?),
            Content::Reasoning { text, redacted, .. } => self.thoughts(text, redacted.as_deref(), part),
            Content::ToolCall {
                id,
                name,
                namespace,
                input,
            } => Some(self.call(id, name, namespace.as_deref(), input, part)),
            Content::ToolResult {
                id, content, is_error, ..
            } => Some(self.result(id, content, *is_error)?),
            Content::Foreign { protocol, raw, .. } if *protocol == Protocol::Anthropic => Some(Kind::Verbatim(raw)),
            Content::Foreign { .. } => {
                self.lost.note(Field::HostedTool, "an item of another provider dropped");
                None
            }
        })
    }

    fn image<'a>(&self, source: &'a Media) -> Result<Source<'a>, Unsayable> {
        match source {
            Media::Url { url, .. } if is_web(url) => Ok(Source::Url(url)),
            Media::Url { .. } => Err(self.lost.refuse(Field::ImageUrl, "must be an http or https address")),
            Media::Data {
                mime: Some(mime), data, ..
            } if ["image/jpeg", "image/png", "image/gif", "image/webp"].contains(&mime.as_str()) => {
                Ok(Source::Base64 { mime, data })
            }
            Media::Data { .. } | Media::Text { .. } => Err(self
                .lost
                .refuse(Field::ImageData, "must be a JPEG, PNG, GIF or WebP image")),
            Media::File { protocol, id } => self.file(*protocol, id),
        }
    }

    fn file<'a>(&self, protocol: Protocol, id: &'a str) -> Result<Source<'a>, Unsayable> {
        if protocol == Protocol::Anthropic {
            return Ok(Source::File(id));
        }
        Err(self
            .lost
            .refuse(Field::FileId, "is a file of another provider, send its content instead"))
    }

    fn document<'a>(&self, part: &'a Part) -> Result<Kind<'a>, Unsayable> {
        let Content::Document {
            source,
            title,
            context,
            citations,
        } = &part.content
        else {
            return Ok(spoken(""));
        };
        if let Some(whole) = part.extra.get(WHOLE_BLOCK).filter(|_| self.own) {
            return Ok(Kind::Verbatim(whole));
        }
        let refused = self.lost.refuse(Field::Document, "must be a PDF or a plain text");
        let (source, filename) = match (part.extra.get("source").filter(|_| self.own), source) {
            (Some(raw), _) => (Source::Verbatim(raw), None),
            (_, Media::Url { url, .. }) if is_web(url) => (Source::Url(url), None),
            (_, Media::Url { .. }) => return Err(refused),
            (_, Media::Data { mime, data, filename }) => {
                let source = match mime.as_deref() {
                    Some(mime @ "application/pdf") => Source::Base64 { mime, data },
                    Some(mime) if mime.starts_with("text/") => Source::Text(decoded(data).ok_or(refused)?.into()),
                    _ => return Err(refused),
                };
                (source, filename.as_deref())
            }
            (_, Media::Text { text, filename }) => (Source::Text(Cow::Borrowed(text)), filename.as_deref()),
            (_, Media::File { protocol, id }) => (self.file(*protocol, id)?, None),
        };
        Ok(Kind::Document {
            source,
            title: title.as_deref().or(filename),
            context: context.as_deref(),
            citations: *citations,
        })
    }

    /// Thoughts go only to whom they came from: others refuse them, and so they do without their proof.
    fn thoughts<'a>(&mut self, text: &'a str, redacted: Option<&'a str>, part: &'a Part) -> Option<Kind<'a>> {
        let signature = part.signature.as_ref().filter(|signature| self.is_ours(signature));
        match (signature, redacted) {
            (Some(signature), _) if signature.item.as_deref() == Some(REDACTED) => {
                Some(Kind::Redacted(&signature.data))
            }
            (Some(signature), None) => Some(Kind::Thinking {
                text,
                signature: &signature.data,
            }),
            _ => {
                self.lost.note(
                    Field::ReasoningHistory,
                    "thoughts without this provider's proof dropped",
                );
                None
            }
        }
    }

    fn is_ours(&self, signature: &Signature) -> bool {
        signature.belongs_to(Protocol::Anthropic, self.provider) && !signature.for_call
    }

    fn call(&mut self, id: &str, name: &str, namespace: Option<&str>, input: &ToolInput, part: &Part) -> Kind<'static> {
        if part.signature.is_some() {
            self.lost.note(Field::ReasoningHistory, "the proof of a call dropped");
        }
        let (object, wrapped) = input.to_object();
        if wrapped {
            self.lost.note(Field::ToolArguments, "wrapped as an object");
        }
        Kind::ToolUse {
            id: self.ids.of_call(id),
            name: self.names.wire(namespace, name, matches!(input, ToolInput::Text(_))),
            input: object,
        }
    }

    fn result<'a>(&mut self, id: &str, content: &'a [Part], is_error: Option<bool>) -> Result<Kind<'a>, Unsayable> {
        let mut content = self.blocks(content, Role::User)?;
        if content.is_empty() && is_error == Some(true) {
            content.push(Block::text(FAILED));
        }
        Ok(Kind::ToolResult {
            id: self.ids.of_result(id),
            content,
            is_error,
        })
    }
}

/// Ids of calls on the wire: each is used once, although some callers count anew in every turn.
#[derive(Debug, Default)]
struct Ids {
    used: HashSet<String>,
    /// The calls of the last turn that have no result yet.
    open: HashMap<String, VecDeque<String>>,
}

impl Ids {
    fn next_turn(&mut self) {
        self.open.clear();
    }

    fn of_call(&mut self, id: &str) -> String {
        let mut wire = portable_id(id);
        let mut number = 2;
        while !self.used.insert(wire.clone()) {
            wire = portable_id(&format!("{id}#{number}"));
            number += 1;
        }
        self.open.entry(id.to_owned()).or_default().push_back(wire.clone());
        wire
    }

    fn of_result(&mut self, id: &str) -> String {
        let open = self.open.get_mut(id).and_then(VecDeque::pop_front);
        open.unwrap_or_else(|| portable_id(id))
    }
}

fn spoken(text: &str) -> Kind<'_> {
    Kind::Text {
        text: Cow::Borrowed(text),
        citations: &[],
    }
}

fn is_web(url: &str) -> bool {
    let begins = |scheme: &str| {
        url.get(..scheme.len())
            .is_some_and(|begin| begin.eq_ignore_ascii_case(scheme))
    };
    begins("https://") || begins("http://")
}

fn decoded(data: &str) -> Option<String> {
    String::from_utf8(STANDARD.decode(data).ok()?).ok()
}

/// An instruction in the middle of the conversation as something that the user says.
fn reminder(blocks: &[Block<'_>]) -> Vec<Block<'static>> {
    let texts = blocks.iter().filter_map(|block| match &block.kind {
        Kind::Text { text, .. } => Some(text.as_ref()),
        _ => None,
    });
    let texts: Vec<&str> = texts.collect();
    if texts.is_empty() {
        return Vec::new();
    }
    vec![Block::text(format!(
        "<system-reminder>\n{}\n</system-reminder>",
        texts.join("\n\n")
    ))]
}
