//! Messages and what they are made of.

use super::{Extra, ToolInput};
use crate::protocol::Protocol;
use crate::raw::Raw;

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Who says it.
    pub role: Role,
    /// What is said, in order. Results of tools stand in messages of the user.
    pub parts: Vec<Part>,
    /// The speaker's name.
    pub name: Option<String>,
    /// What only the caller's protocol knows.
    pub extra: Extra,
}

impl Message {
    /// A message without a name or extras.
    pub fn new(role: Role, parts: Vec<Part>) -> Self {
        Self {
            role,
            parts,
            name: None,
            extra: Extra::default(),
        }
    }
}

/// Who says a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The user, and the tools.
    User,
    /// The model.
    Assistant,
    /// An instruction in the middle of the conversation; those at its beginning are [`super::Request::system`].
    System,
}

/// A piece of a message.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// What it is.
    pub content: Content,
    /// The prompt up to here may be cached.
    pub cache: Option<CacheMark>,
    /// The provider's proof that it made this part.
    pub signature: Option<Signature>,
    /// What only the caller's protocol knows.
    pub extra: Extra,
}

impl From<Content> for Part {
    fn from(content: Content) -> Self {
        Self {
            content,
            cache: None,
            signature: None,
            extra: Extra::default(),
        }
    }
}

impl Part {
    /// A plain text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::from(Content::Text {
            text: text.into(),
            citations: Vec::new(),
        })
    }
}

/// What a part is.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// Text.
    Text {
        /// The text.
        text: String,
        /// What it cites.
        citations: Vec<Citation>,
    },
    /// The model declines, in words.
    Refusal {
        /// The words.
        text: String,
    },
    /// A picture.
    Image {
        /// Where it is.
        source: Media,
        /// How closely to look: `auto`, `low`, `high`, `original`.
        detail: Option<String>,
    },
    /// Sound. In an answer `transcript` says what is spoken.
    Audio {
        /// Where it is.
        source: Media,
        /// The format, such as `wav` or `mp3`.
        format: Option<String>,
        /// The words that are spoken.
        transcript: Option<String>,
        /// The provider's name for a sound that it made.
        id: Option<String>,
    },
    /// A film.
    Video {
        /// Where it is.
        source: Media,
    },
    /// A document, such as a PDF.
    Document {
        /// Where it is; [`Media::Text`] for one that is plain text.
        source: Media,
        /// Its title.
        title: Option<String>,
        /// What the reader should know about it.
        context: Option<String>,
        /// Whether the answer should cite it.
        citations: bool,
    },
    /// What the model thought. Its proof is [`Part::signature`].
    Reasoning {
        /// The thoughts; empty when they are hidden.
        text: String,
        /// Whether these are the thoughts or a summary.
        style: ReasoningStyle,
        /// Thoughts that only the provider can read (Anthropic `redacted_thinking`).
        redacted: Option<String>,
    },
    /// The model calls a tool.
    ToolCall {
        /// Pairs the call with its result.
        id: String,
        /// The tool.
        name: String,
        /// The group of tools that it belongs to (OpenAI Responses namespaces).
        namespace: Option<String>,
        /// What the tool is given.
        input: ToolInput,
    },
    /// What a tool answered.
    ToolResult {
        /// The call's id.
        id: String,
        /// The tool, where the caller's protocol says so.
        name: Option<String>,
        /// The answer: texts, images, documents.
        content: Vec<Part>,
        /// Whether the tool failed; `None` where the protocol cannot say so.
        is_error: Option<bool>,
        /// The call was one of a tool with free text as its input.
        custom: bool,
    },
    /// Something that only one protocol knows, such as the call of a tool that the provider runs itself.
    Foreign {
        /// The protocol that knows it.
        protocol: Protocol,
        /// Its type there.
        kind: String,
        /// It.
        raw: Raw,
    },
}

/// Where the bytes of a picture, a sound or a document are.
#[derive(Clone, Debug, PartialEq)]
pub enum Media {
    /// At an address.
    Url {
        /// The address.
        url: String,
        /// The media type, if known.
        mime: Option<String>,
    },
    /// Here.
    Data {
        /// The media type, if known.
        mime: Option<String>,
        /// The bytes in standard base64 with padding.
        data: String,
        /// The file's name.
        filename: Option<String>,
    },
    /// Stored at a provider.
    File {
        /// The protocol whose file store it is.
        protocol: Protocol,
        /// Its id there.
        id: String,
    },
    /// Here, as text.
    Text {
        /// The text.
        text: String,
        /// The file's name.
        filename: Option<String>,
    },
}

/// Whether reasoning is told in full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReasoningStyle {
    /// The thoughts themselves.
    Full,
    /// A summary of them.
    Summary,
}

/// A prompt-cache breakpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheMark {
    /// How long the cache should live, such as `5m` or `1h`.
    pub ttl: Option<String>,
}

/// A provider's proof that it made a part; opaque, and worth something only to that provider.
///
/// How it travels through a client of another protocol is told in [`crate::signature`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The protocol that it was made in.
    pub protocol: Protocol,
    /// The configured provider that made it; `None` when a client brought it in the provider's own form.
    pub provider: Option<String>,
    /// The proof: Anthropic `signature`, OpenAI `encrypted_content`, Gemini `thoughtSignature`.
    pub data: String,
    /// The provider's id of the item that it belongs to (OpenAI Responses).
    pub item: Option<String>,
    /// It is the proof of the tool call that follows, carried by a reasoning part because the client's protocol has no
    /// place for it on a call.
    pub for_call: bool,
}

/// What a text rests on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Citation {
    /// The page.
    pub url: Option<String>,
    /// Its title.
    pub title: Option<String>,
    /// The words that are cited.
    pub cited: Option<String>,
    /// Where in the answer's text the cited passage begins, in characters.
    pub start: Option<u64>,
    /// Where it ends.
    pub end: Option<u64>,
    /// The citation as its protocol spells it.
    pub raw: Option<(Protocol, Raw)>,
}
