//! The APIs in which a conversation with a model is held.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Dialect;

/// One API for conversations. A dialect has one or two of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// OpenAI Chat Completions, `POST /v1/chat/completions`.
    OpenaiChat,
    /// OpenAI Responses, `POST /v1/responses`.
    OpenaiResponses,
    /// Anthropic Messages, `POST /v1/messages`.
    Anthropic,
    /// Gemini, `POST /v1beta/models/{model}:generateContent`.
    Gemini,
    /// Cohere, `POST /v2/chat`.
    Cohere,
}

impl Protocol {
    /// Every protocol, in the order of the enum.
    pub const ALL: [Self; 5] = [
        Self::OpenaiChat,
        Self::OpenaiResponses,
        Self::Anthropic,
        Self::Gemini,
        Self::Cohere,
    ];

    /// The dialect whose errors, model lists and headers go with this protocol.
    pub fn dialect(self) -> Dialect {
        match self {
            Self::OpenaiChat | Self::OpenaiResponses => Dialect::OpenAi,
            Self::Anthropic => Dialect::Anthropic,
            Self::Gemini => Dialect::Gemini,
            Self::Cohere => Dialect::Cohere,
        }
    }

    /// The name used in documents and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::OpenaiChat => "openai-chat",
            Self::OpenaiResponses => "openai-responses",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::Cohere => "cohere",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
