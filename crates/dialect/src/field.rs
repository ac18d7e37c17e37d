//! The fields of a request and what each protocol calls them.

use crate::protocol::Protocol;

macro_rules! fields {
    ($($(#[$doc:meta])* $name:ident: $chat:literal, $responses:literal, $anthropic:literal, $gemini:literal, $cohere:literal;)*) => {
        /// A field of a request that some protocol may be unable to express.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Field {
            $($(#[$doc])* $name,)*
        }

        impl Field {
            /// Every field.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The field as a protocol spells it; where it has none, OpenAI Chat's or else the nearest name.
            pub fn spelled(self, protocol: Protocol) -> &'static str {
                let names = match self {
                    $(Self::$name => [$chat, $responses, $anthropic, $gemini, $cohere],)*
                };
                names[protocol as usize]
            }
        }
    };
}

fields! {
    /// The instructions before the conversation.
    System: "messages[system]", "instructions", "system", "systemInstruction", "messages[system]";
    /// An instruction in the middle of the conversation.
    LateSystem: "messages[system]", "input[system]", "messages[system]", "contents[system]", "messages[system]";
    /// The conversation as such: turns that had to be mended.
    Messages: "messages", "input", "messages", "contents", "messages";
    /// The name of a speaker.
    MessageName: "messages.name", "input.name", "messages.name", "contents.name", "messages.name";
    /// A last message of the assistant that is to be continued.
    Prefill: "messages[assistant]", "input[assistant]", "messages[assistant]", "contents[model]", "messages[assistant]";
    /// Prompt-cache breakpoints.
    CacheMark: "prompt_cache_breakpoint", "prompt_cache_breakpoint", "cache_control", "cachedContent", "cache_control";
    /// The key of a prompt cache.
    CacheKey: "prompt_cache_key", "prompt_cache_key", "prompt_cache_key", "cachedContent", "prompt_cache_key";
    /// A picture at an address.
    ImageUrl: "image_url", "input_image.image_url", "image.source.url", "fileData", "image_url";
    /// A picture as data.
    ImageData: "image_url", "input_image.image_url", "image.source", "inlineData", "image_url";
    /// How closely to look at a picture.
    ImageDetail: "image_url.detail", "input_image.detail", "image.detail", "mediaResolution", "image_url.detail";
    /// A document.
    Document: "file", "input_file", "document", "inlineData", "documents";
    /// The title or context of a document.
    DocumentTitle: "file.filename", "input_file.filename", "document.title", "inlineData.displayName", "documents.title";
    /// A file in a provider's store.
    FileId: "file.file_id", "input_file.file_id", "source.file_id", "fileData.fileUri", "file_id";
    /// Sound in the prompt.
    AudioInput: "input_audio", "input_audio", "audio", "inlineData", "audio";
    /// A film in the prompt.
    Video: "video", "input_video", "video", "inlineData", "video";
    /// Sound as the answer.
    AudioOutput: "modalities", "modalities", "modalities", "generationConfig.responseModalities", "modalities";
    /// The limit on the answer's length.
    MaxTokens: "max_completion_tokens", "max_output_tokens", "max_tokens", "generationConfig.maxOutputTokens", "max_tokens";
    /// Randomness.
    Temperature: "temperature", "temperature", "temperature", "generationConfig.temperature", "temperature";
    /// Nucleus sampling.
    TopP: "top_p", "top_p", "top_p", "generationConfig.topP", "p";
    /// Only the most likely tokens.
    TopK: "top_k", "top_k", "top_k", "generationConfig.topK", "k";
    /// Only tokens that are likely enough.
    MinP: "min_p", "min_p", "min_p", "min_p", "min_p";
    /// Penalty by count.
    FrequencyPenalty: "frequency_penalty", "frequency_penalty", "frequency_penalty", "generationConfig.frequencyPenalty", "frequency_penalty";
    /// Penalty by presence.
    PresencePenalty: "presence_penalty", "presence_penalty", "presence_penalty", "generationConfig.presencePenalty", "presence_penalty";
    /// Penalty as a factor.
    RepetitionPenalty: "repetition_penalty", "repetition_penalty", "repetition_penalty", "repetition_penalty", "repetition_penalty";
    /// Biases by token.
    LogitBias: "logit_bias", "logit_bias", "logit_bias", "logit_bias", "logit_bias";
    /// Repeatable sampling.
    Seed: "seed", "seed", "seed", "generationConfig.seed", "seed";
    /// Stop sequences.
    Stop: "stop", "stop", "stop_sequences", "generationConfig.stopSequences", "stop_sequences";
    /// Several answers.
    Candidates: "n", "n", "n", "generationConfig.candidateCount", "n";
    /// Probabilities of tokens.
    Logprobs: "logprobs", "top_logprobs", "logprobs", "generationConfig.responseLogprobs", "logprobs";
    /// Any JSON object as the answer.
    JsonObject: "response_format", "text.format", "output_config.format", "generationConfig.responseMimeType", "response_format";
    /// JSON by a schema as the answer.
    JsonSchema: "response_format.json_schema", "text.format", "output_config.format", "generationConfig.responseJsonSchema", "response_format.json_schema";
    /// Wordiness.
    Verbosity: "verbosity", "text.verbosity", "verbosity", "verbosity", "verbosity";
    /// The schema of a tool.
    ToolSchema: "tools.function.parameters", "tools.parameters", "tools.input_schema", "tools.functionDeclarations.parameters", "tools.function.parameters";
    /// The name of a tool.
    ToolName: "tools.function.name", "tools.name", "tools.name", "tools.functionDeclarations.name", "tools.function.name";
    /// Tools whose arguments must satisfy their schema.
    StrictTool: "tools.function.strict", "tools.strict", "tools.strict", "toolConfig.functionCallingConfig", "strict_tools";
    /// Tools with free text as their input.
    CustomTool: "tools.custom", "tools[custom]", "tools[custom]", "tools[custom]", "tools[custom]";
    /// Groups of tools.
    ToolNamespace: "tools[namespace]", "tools[namespace]", "tools[namespace]", "tools[namespace]", "tools[namespace]";
    /// Tools that the provider runs.
    HostedTool: "tools", "tools", "tools", "tools", "tools";
    /// The choice of a tool.
    ToolChoice: "tool_choice", "tool_choice", "tool_choice", "toolConfig.functionCallingConfig", "tool_choice";
    /// A choice among some tools.
    AllowedTools: "tool_choice.allowed_tools", "tool_choice.allowed_tools", "tool_choice", "toolConfig.functionCallingConfig.allowedFunctionNames", "tool_choice";
    /// Whether tools may be called in parallel.
    ParallelTools: "parallel_tool_calls", "parallel_tool_calls", "tool_choice.disable_parallel_tool_use", "parallel_tool_calls", "parallel_tool_calls";
    /// Arguments of a call in the history.
    ToolArguments: "tool_calls.function.arguments", "function_call.arguments", "tool_use.input", "functionCall.args", "tool_calls.function.arguments";
    /// The id of a call.
    ToolId: "tool_calls.id", "function_call.call_id", "tool_use.id", "functionCall.id", "tool_calls.id";
    /// A tool that failed.
    ToolError: "messages[tool].is_error", "function_call_output.is_error", "tool_result.is_error", "functionResponse.response.error", "messages[tool].is_error";
    /// A picture as a tool's answer.
    ToolResultImage: "messages[tool].content", "function_call_output.output", "tool_result.content", "functionResponse.parts", "messages[tool].content";
    /// How hard to think.
    Reasoning: "reasoning_effort", "reasoning.effort", "thinking", "generationConfig.thinkingConfig", "thinking";
    /// How many tokens to think.
    ReasoningBudget: "reasoning.max_tokens", "reasoning.max_tokens", "thinking.budget_tokens", "generationConfig.thinkingConfig.thinkingBudget", "thinking.token_budget";
    /// What to show of the thoughts.
    ReasoningShow: "reasoning.exclude", "reasoning.summary", "thinking.display", "generationConfig.thinkingConfig.includeThoughts", "thinking.display";
    /// Thoughts of earlier turns.
    ReasoningHistory: "messages.reasoning_content", "input[reasoning]", "messages[thinking]", "contents[thought]", "messages[thinking]";
    /// What the answer rests on.
    Citations: "annotations", "annotations", "citations", "citationMetadata", "citations";
    /// Storing of the answer.
    Store: "store", "store", "store", "store", "store";
    /// A conversation that the provider stored.
    State: "previous_response_id", "previous_response_id", "container", "cachedContent", "conversation_id";
    /// Pairs to store with the answer.
    Metadata: "metadata", "metadata", "metadata", "labels", "metadata";
    /// Who the end user is.
    User: "safety_identifier", "safety_identifier", "metadata.user_id", "user", "user";
    /// The service tier.
    ServiceTier: "service_tier", "service_tier", "service_tier", "serviceTier", "priority";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_has_a_name_in_every_protocol() {
        for field in Field::ALL {
            for protocol in Protocol::ALL {
                assert!(!field.spelled(protocol).is_empty());
            }
        }
        assert_eq!(Field::TopP.spelled(Protocol::Cohere), "p");
    }
}
