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
    /// The `model` in answers that are given in one piece: `given`, as the provider calls it, or `asked`, as the caller did.
    pub model: ModelReply,
    /// To a request for a model that is not known: `not-found`, which is status 404, or `invalid`, which is status 400 with the
    /// names that can be asked for.
    pub unknown_model: UnknownModelReply,
    /// Of `/health` and `/health/detailed`: `mynah`; `status`, with which `/health` has the member `status` alone; or `components`,
    /// which says `healthy` or not of each part, is for everybody, and has status 503 while the ledger cannot be written.
    pub health: HealthReply,
}

/// The name of the model in an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ModelReply {
    /// As the provider has it.
    #[default]
    Given,
    /// As it was asked for.
    Asked,
}

/// The reply to a request for a model that is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum UnknownModelReply {
    /// Status 404.
    #[default]
    NotFound,
    /// Status 400.
    Invalid,
}

/// How the gateway says how it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum HealthReply {
    /// In its own words.
    #[default]
    Mynah,
    /// In its own words, but `/health` without its version and without names of providers.
    Status,
    /// Part by part.
    Components,
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
