//! `[server.replies]`: the form of replies, for applications that expect another one than OpenAI's.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The form of replies. A request with the header `x-response-format: openai` gets OpenAI's in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Replies {
    /// Of `/v1/chat/completions`: `openai`, or `text`, which is `{"text": "…"}`, also where a stream is asked for.
    pub chat: ChatReply,
    /// Of `/v1/embeddings`: `openai`, or `vector`, which is the list of numbers alone; for several inputs a list of such lists.
    pub embeddings: EmbeddingsReply,
}

/// The form of a chat completion.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ChatReply {
    /// As OpenAI has it.
    #[default]
    Openai,
    /// The text alone, in an object.
    Text,
}

/// The form of embeddings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EmbeddingsReply {
    /// As OpenAI has it.
    #[default]
    Openai,
    /// The numbers alone.
    Vector,
}
