//! Tools: what is offered, what is chosen, what is given to them.

use super::{CacheMark, Extra};
use crate::protocol::Protocol;
use crate::raw::Raw;
use crate::tree::Node;

/// A tool that is offered to the model.
#[derive(Clone, Debug, PartialEq)]
pub enum Tool {
    /// A function with a schema.
    Function(Function),
    /// A tool whose input is free text.
    Custom {
        /// Its name.
        name: String,
        /// The group that it belongs to.
        namespace: Option<String>,
        /// What it does.
        description: Option<String>,
        /// The form of its input, as OpenAI Chat spells it: `{"type":"text"}` or
        /// `{"type":"grammar","grammar":{"definition":…,"syntax":…}}`.
        format: Option<Raw>,
        /// What only the caller's protocol knows.
        extra: Extra,
    },
    /// A tool that only one protocol knows, such as a search that the provider runs itself.
    Foreign {
        /// The protocol that knows it.
        protocol: Protocol,
        /// Its type there.
        kind: String,
        /// It.
        raw: Raw,
    },
}

/// A function that is offered to the model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// The group that it belongs to (OpenAI Responses namespaces).
    pub namespace: Option<String>,
    /// What it does.
    pub description: Option<String>,
    /// The JSON Schema of its arguments.
    pub schema: Option<Raw>,
    /// Whether the arguments must satisfy the schema.
    pub strict: Option<bool>,
    /// The prompt up to here may be cached.
    pub cache: Option<CacheMark>,
    /// What only the caller's protocol knows.
    pub extra: Extra,
}

/// Which tool the model should use.
#[derive(Clone, Debug, PartialEq)]
pub enum ToolChoice {
    /// As it likes.
    Auto,
    /// None.
    None,
    /// One or more.
    Required,
    /// This one.
    Tool {
        /// Its name.
        name: String,
    },
    /// One of these.
    Allowed {
        /// Their names.
        names: Vec<String>,
        /// Whether one of them must be used.
        required: bool,
    },
    /// A choice that only one protocol knows.
    Foreign {
        /// The protocol that knows it.
        protocol: Protocol,
        /// It.
        raw: Raw,
    },
}

/// What a tool is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToolInput {
    /// Arguments: the JSON text as the model wrote it, which need not be valid. Empty means no arguments.
    Json(String),
    /// Free text, for a tool that takes such.
    Text(String),
}

impl ToolInput {
    /// The arguments as an object, for protocols that want one: nothing becomes `{}`, another JSON value is wrapped as
    /// `{"value": …}`, text as `{"input": …}` and what is not JSON as `{"_raw": …}`. The flag says whether something had
    /// to be wrapped.
    pub fn to_object(&self) -> (Raw, bool) {
        let wrapped = |key: &str, value: &Raw| (crate::writer::raw_object(|it| it.raw(key, value)), true);
        match self {
            Self::Text(text) => (crate::writer::raw_object(|it| it.text("input", text)), false),
            Self::Json(text) => match Node::parse_text(text) {
                _ if text.trim().is_empty() => (Raw::of_valid("{}"), false),
                Ok(node) if node.is_object() => (node.to_raw(), false),
                Ok(node) if node.is_null() => (Raw::of_valid("{}"), false),
                Ok(node) => wrapped("value", &node.to_raw()),
                Err(_) => wrapped("_raw", &crate::writer::raw_text(text)),
            },
        }
    }

    /// The arguments as the JSON text that protocols with a string there want; never empty.
    pub fn to_text(&self) -> String {
        match self {
            Self::Json(text) if text.trim().is_empty() => "{}".to_owned(),
            Self::Json(text) => text.clone(),
            Self::Text(_) => self.to_object().0.as_str().to_owned(),
        }
    }
}
