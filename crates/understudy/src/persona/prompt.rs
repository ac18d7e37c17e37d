//! What a request asks, whatever its protocol.

use serde_json::Value;

use crate::base64;

/// What a request asks, whatever its protocol.
#[derive(Debug, Default)]
pub(super) struct Prompt {
    /// What the user said since the assistant spoke last.
    pub(super) text: String,
    /// The results of tools since then.
    pub(super) results: Vec<ToolResult>,
    /// The images and files since then, described.
    pub(super) attachments: Vec<String>,
    pub(super) tools: Vec<Tool>,
    pub(super) choice: Choice,
    pub(super) is_one_call_at_most: bool,
    /// The schema that the answer is to satisfy; an empty one where any JSON will do.
    pub(super) schema: Option<Value>,
    pub(super) stops: Vec<String>,
}

/// The result of a tool.
#[derive(Debug)]
pub(super) struct ToolResult {
    /// Its id, or the name of the tool where the protocol has none.
    pub(super) id: String,
    pub(super) text: String,
    pub(super) is_error: bool,
}

/// A tool that is offered.
#[derive(Debug)]
pub(super) struct Tool {
    pub(super) name: String,
    /// Takes any text instead of JSON.
    pub(super) is_custom: bool,
    pub(super) schema: Value,
}

/// Which tools are to be called.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Choice {
    #[default]
    Auto,
    Never,
    Required,
    Named(String),
}

impl Prompt {
    /// Adds to what the user said.
    pub(super) fn say(&mut self, text: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text.push_str(text);
    }

    /// The tools that may be called, those first that must be.
    pub(super) fn callable(&self) -> Vec<&Tool> {
        match &self.choice {
            Choice::Never => Vec::new(),
            Choice::Named(name) => self.tools.iter().filter(|tool| tool.name == *name).collect(),
            Choice::Auto | Choice::Required => self.tools.iter().collect(),
        }
    }

    /// Whether a tool must be called.
    pub(super) fn must_call(&self) -> bool {
        matches!(self.choice, Choice::Required | Choice::Named(_))
    }
}

/// Describes what a link leads to: a `data:` link by its type and length.
pub(super) fn linked(url: &str) -> String {
    match url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,")) {
        Some((media_type, data)) => inline(media_type, data),
        None => url.to_owned(),
    }
}

/// Describes what stands in a request as base64.
pub(super) fn inline(media_type: &str, data: &str) -> String {
    match base64::decode(data) {
        Some(bytes) => format!("{media_type}, {} bytes", bytes.len()),
        None => format!("{media_type}, not base64"),
    }
}
