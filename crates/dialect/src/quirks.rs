//! How a provider deviates from the dialect that it speaks, as data.

use serde::{Deserialize, Serialize};

use crate::images::Form;

/// Known deviations; the default is none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one fact about a provider, named as in the catalog"
)]
pub struct Quirks {
    /// Understands `stream_options.include_usage`.
    #[serde(skip_serializing_if = "is_true")]
    pub stream_usage: bool,
    /// The only name that is understood for the limit on the answer's length; both when `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<MaxTokensName>,
    /// Accepts the role `developer`.
    #[serde(skip_serializing_if = "is_true")]
    pub developer_role: bool,
    /// Accepts `parallel_tool_calls`.
    #[serde(skip_serializing_if = "is_true")]
    pub parallel_tool_calls: bool,
    /// Accepts `n` above one.
    #[serde(skip_serializing_if = "is_true")]
    pub multiple_choices: bool,
    /// Accepts `logprobs`.
    #[serde(skip_serializing_if = "is_true")]
    pub logprobs: bool,
    /// Accepts a `response_format` of type `json_schema`.
    #[serde(skip_serializing_if = "is_true")]
    pub json_schema: bool,
    /// Accepts `strict` on a function.
    #[serde(skip_serializing_if = "is_true")]
    pub strict_tools: bool,
    /// Accepts `seed`.
    #[serde(skip_serializing_if = "is_true")]
    pub seed: bool,
    /// Accepts the tool choice `required`.
    #[serde(skip_serializing_if = "is_true")]
    pub tool_choice_required: bool,
    /// Takes `top_k` in place of `top_n` when it ranks documents, and answers in the form of Voyage.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub rerank_top_k: bool,
    /// How it is told to go on with the beginning of an answer.
    #[serde(skip_serializing_if = "is_default")]
    pub prefill: Prefill,
    /// Repeats the beginning that it was given at the beginning of its answer.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub repeats_prefill: bool,
    /// How the text begins that it sends with status 200 when it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_prefix: Option<String>,
    /// The form in which it is asked for pictures, where that is not its dialect's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub images: Option<Form>,
    /// The member of an object in which it puts an answer that is no stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub envelope: Option<String>,
    /// May leave out `data: [DONE]` at the end of its streams.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub omits_done: bool,
    /// Other request fields that are answered with an error.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unsupported: Vec<String>,
}

/// The two names of the limit on the answer's length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MaxTokensName {
    /// The older name.
    MaxTokens,
    /// The name since the reasoning models.
    MaxCompletionTokens,
}

/// How a provider is told to go on with a last message of the assistant, word for word, instead of answering it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Prefill {
    /// It cannot be told that, or it is not known to do it.
    #[default]
    None,
    /// It does so by itself.
    Last,
    /// By `"prefix": true` in that message (DeepSeek, Mistral).
    Prefix,
    /// By `"partial": true` in that message (Moonshot, DashScope).
    Partial,
    /// By `"continue_final_message": true` and `"add_generation_prompt": false` in the request (vLLM, SGLang).
    ContinueFinalMessage,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes the field by reference")]
fn is_true(value: &bool) -> bool {
    *value
}

impl Default for Quirks {
    fn default() -> Self {
        Self {
            stream_usage: true,
            max_tokens: None,
            developer_role: true,
            parallel_tool_calls: true,
            multiple_choices: true,
            logprobs: true,
            json_schema: true,
            strict_tools: true,
            seed: true,
            tool_choice_required: true,
            rerank_top_k: false,
            prefill: Prefill::None,
            repeats_prefill: false,
            error_prefix: None,
            images: None,
            envelope: None,
            omits_done: false,
            unsupported: Vec::new(),
        }
    }
}
