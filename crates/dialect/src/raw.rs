//! A JSON value that is carried over as it is spelled.

use crate::tree::{Node, TreeFault};

/// A JSON text that is known to be well formed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raw(Box<str>);

impl Raw {
    /// Takes a text after checking it.
    pub fn parse(text: &str) -> Result<Self, TreeFault> {
        Node::parse_text(text).map(|node| node.to_raw())
    }

    /// Takes a text that was written by this crate's writer or is the text of a [`Node`].
    pub(crate) fn of_valid(text: &str) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The value as a tree.
    pub fn node(&self) -> Node<'_> {
        // What is stored here has been read before, so it can be read again.
        Node::parse_text(&self.0).unwrap_or_default()
    }
}
