//! The languages that providers and their clients speak.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A provider API, named after the company that defined it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    /// OpenAI's API and the many that are compatible with it.
    OpenAi,
    /// Anthropic Messages.
    Anthropic,
    /// Gemini `generateContent`.
    Gemini,
    /// Cohere v2.
    Cohere,
}

impl Dialect {
    /// Every dialect, in the order of the enum.
    pub const ALL: [Self; 4] = [Self::OpenAi, Self::Anthropic, Self::Gemini, Self::Cohere];

    /// The name used in configuration files.
    pub fn name(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::Cohere => "cohere",
        }
    }

    /// The version segment that follows the host in this dialect's own API, for base URLs given without one.
    pub fn version_segment(self) -> &'static str {
        match self {
            Self::OpenAi | Self::Anthropic => "v1",
            Self::Gemini => "v1beta",
            Self::Cohere => "v2",
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
