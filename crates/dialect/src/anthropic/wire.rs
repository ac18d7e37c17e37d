//! What a request consists of on the wire, and how it is spelled there.
//!
//! The request is first put into these shapes, where it is decided what is sent; writing them decides nothing.

use std::borrow::Cow;

use super::citations;
use super::extras::{put_back, put_back_inside};
use crate::ir::{Citation, Extra};
use crate::raw::Raw;
use crate::writer::{Array, Object};

/// One message.
#[derive(Debug)]
pub(super) struct Message<'a> {
    pub(super) role: Role,
    pub(super) blocks: Vec<Block<'a>>,
    pub(super) extra: Option<&'a Extra>,
}

/// Who says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    User,
    Assistant,
    System,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::System => "system",
        }
    }
}

/// A block with what stands beside its own members.
#[derive(Debug)]
pub(super) struct Block<'a> {
    pub(super) kind: Kind<'a>,
    pub(super) cache: Option<Mark>,
    pub(super) extra: Option<&'a Extra>,
}

/// A cache breakpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) ttl: Option<String>,
}

/// What a block is.
#[derive(Debug)]
pub(super) enum Kind<'a> {
    Text {
        text: Cow<'a, str>,
        citations: &'a [Citation],
    },
    Image(Source<'a>),
    Document {
        source: Source<'a>,
        title: Option<&'a str>,
        context: Option<&'a str>,
        citations: bool,
    },
    Thinking {
        text: &'a str,
        signature: &'a str,
    },
    Redacted(&'a str),
    ToolUse {
        id: String,
        name: String,
        input: Raw,
    },
    ToolResult {
        id: String,
        content: Vec<Block<'a>>,
        is_error: Option<bool>,
    },
    Verbatim(&'a Raw),
}

/// Where the bytes of an image or a document are.
#[derive(Debug)]
pub(super) enum Source<'a> {
    Base64 { mime: &'a str, data: &'a str },
    Url(&'a str),
    File(&'a str),
    Text(Cow<'a, str>),
    Verbatim(&'a Raw),
}

/// A tool.
#[derive(Debug)]
pub(super) struct Tool<'a> {
    pub(super) kind: ToolKind<'a>,
    pub(super) cache: Option<Mark>,
    pub(super) extra: Option<&'a Extra>,
}

/// What a tool is.
#[derive(Debug)]
pub(super) enum ToolKind<'a> {
    Function {
        name: String,
        description: Option<Cow<'a, str>>,
        schema: Cow<'a, Raw>,
        strict: bool,
    },
    Verbatim(&'a Raw),
}

impl<'a> Block<'a> {
    /// A plain text.
    pub(super) fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Self {
            kind: Kind::Text {
                text: text.into(),
                citations: &[],
            },
            cache: None,
            extra: None,
        }
    }

    /// Whether this is a thought, told or not.
    pub(super) fn is_thinking(&self) -> bool {
        matches!(self.kind, Kind::Thinking { .. } | Kind::Redacted(_))
    }
}

/// Writes messages.
pub(super) fn write_messages(it: &mut Array<'_>, messages: &[Message<'_>]) {
    for message in messages {
        it.object(|it| {
            it.text("role", message.role.name());
            write_content(it, &message.blocks);
            if let Some(extra) = message.extra {
                put_back(it, extra, &[]);
            }
        });
    }
}

/// Writes `content`: a string when it is nothing but one text.
fn write_content(it: &mut Object<'_>, blocks: &[Block<'_>]) {
    if let [
        Block {
            kind: Kind::Text { text, citations: [] },
            cache: None,
            extra,
        },
    ] = blocks
        && extra.is_none_or(Extra::is_empty)
    {
        return it.text("content", text);
    }
    it.array("content", |it| write_blocks(it, blocks));
}

/// Writes blocks.
pub(super) fn write_blocks(it: &mut Array<'_>, blocks: &[Block<'_>]) {
    for block in blocks {
        match &block.kind {
            Kind::Verbatim(raw) => write_verbatim(it, raw, block.cache.as_ref(), block.extra),
            kind => it.object(|it| {
                write_kind(it, kind);
                write_mark(it, block.cache.as_ref(), block.extra);
                if let Some(extra) = block.extra {
                    let written: &[&str] = if matches!(kind, Kind::Document { .. }) {
                        &["source"]
                    } else {
                        &[]
                    };
                    put_back(it, extra, written);
                }
            }),
        }
    }
}

fn write_kind(it: &mut Object<'_>, kind: &Kind<'_>) {
    match kind {
        Kind::Text { text, citations } => {
            it.text("type", "text");
            it.text("text", text);
            if citations.iter().any(citations::can_be_written) {
                it.array("citations", |it| citations::write_all(it, citations));
            }
        }
        Kind::Image(source) => {
            it.text("type", "image");
            write_source(it, source);
        }
        Kind::Document { .. } => write_document(it, kind),
        Kind::Thinking { text, signature } => {
            it.text("type", "thinking");
            it.text("thinking", text);
            it.text("signature", signature);
        }
        Kind::Redacted(data) => {
            it.text("type", "redacted_thinking");
            it.text("data", data);
        }
        Kind::ToolUse { id, name, input } => {
            it.text("type", "tool_use");
            it.text("id", id);
            it.text("name", name);
            it.raw("input", input);
        }
        Kind::ToolResult { id, content, is_error } => {
            it.text("type", "tool_result");
            it.text("tool_use_id", id);
            if !content.is_empty() {
                write_content(it, content);
            }
            it.some_bool("is_error", *is_error);
        }
        Kind::Verbatim(_) => {}
    }
}

fn write_document(it: &mut Object<'_>, kind: &Kind<'_>) {
    if let Kind::Document {
        source,
        title,
        context,
        citations,
    } = kind
    {
        it.text("type", "document");
        write_source(it, source);
        it.some_text("title", *title);
        it.some_text("context", *context);
        if *citations {
            it.object("citations", |it| it.bool("enabled", true));
        }
    }
}

fn write_source(it: &mut Object<'_>, source: &Source<'_>) {
    if let Source::Verbatim(raw) = source {
        return it.raw("source", raw);
    }
    it.object("source", |it| match source {
        Source::Base64 { mime, data } => {
            it.text("type", "base64");
            it.text("media_type", mime);
            it.text("data", data);
        }
        Source::Url(url) => {
            it.text("type", "url");
            it.text("url", url);
        }
        Source::File(id) => {
            it.text("type", "file");
            it.text("file_id", id);
        }
        Source::Text(text) => {
            it.text("type", "text");
            it.text("media_type", "text/plain");
            it.text("data", text);
        }
        Source::Verbatim(_) => {}
    });
}

/// Writes tools.
pub(super) fn write_tools(it: &mut Array<'_>, tools: &[Tool<'_>]) {
    for tool in tools {
        match &tool.kind {
            ToolKind::Verbatim(raw) => write_verbatim(it, raw, tool.cache.as_ref(), tool.extra),
            ToolKind::Function {
                name,
                description,
                schema,
                strict,
            } => it.object(|it| {
                it.text("name", name);
                it.some_text("description", description.as_deref());
                it.raw("input_schema", schema);
                if *strict {
                    it.bool("strict", true);
                }
                write_mark(it, tool.cache.as_ref(), tool.extra);
                if let Some(extra) = tool.extra {
                    put_back(it, extra, &[]);
                }
            }),
        }
    }
}

/// Writes `cache_control`, with what only this protocol knows of it.
pub(super) fn write_mark(it: &mut Object<'_>, mark: Option<&Mark>, extra: Option<&Extra>) {
    if let Some(mark) = mark {
        it.object("cache_control", |it| {
            it.text("type", "ephemeral");
            it.some_text("ttl", mark.ttl.as_deref());
            if let Some(extra) = extra {
                put_back_inside(it, extra, "cache_control");
            }
        });
    }
}

/// Writes something as it came, but for its cache breakpoint, of which there may have been too many.
fn write_verbatim(it: &mut Array<'_>, raw: &Raw, mark: Option<&Mark>, extra: Option<&Extra>) {
    if !raw.as_str().contains("\"cache_control\"") {
        return it.raw(raw);
    }
    let node = raw.node();
    if mark.is_some_and(|mark| node.get("cache_control").get("ttl").text() == mark.ttl.as_deref()) {
        return it.raw(raw);
    }
    it.object(|it| {
        for (name, value) in node.members() {
            if name != "cache_control" {
                it.raw(name, &value.to_raw());
            }
        }
        write_mark(it, mark, extra);
    });
}
