//! Finish reasons in both directions.

use crate::Protocol;
use crate::ir::{Finish, FinishReason};

/// Understands a finish reason, as OpenAI or any of the servers that imitate it spells it. `None` for an empty word, which
/// some send while the answer goes on.
pub(super) fn finish(word: &str) -> Option<Finish> {
    if word.is_empty() {
        return None;
    }
    let reason = known(word).unwrap_or(FinishReason::Other);
    Some(Finish {
        word: Some((Protocol::OpenaiChat, word.to_owned())),
        ..Finish::from(reason)
    })
}

/// Whether the word says why an answer ends, rather than where.
pub(super) fn is_known(word: &str) -> bool {
    known(word).is_some()
}

fn known(word: &str) -> Option<FinishReason> {
    Some(match word.to_ascii_lowercase().as_str() {
        "stop" | "eos" | "eos_token" | "end_turn" | "complete" | "completed" | "finished" | "done" => {
            FinishReason::Stop
        }
        "stop_sequence" => FinishReason::StopSequence,
        "length" | "max_tokens" | "max_output_tokens" | "max_length" => FinishReason::Length,
        // Mistral and Anthropic: the model's own limit.
        "model_length" | "model_context_window_exceeded" => FinishReason::ContextWindow,
        "tool_calls" | "tool_call" | "tool_use" | "function_call" => FinishReason::ToolCalls,
        // `sensitive` is Zhipu's word.
        "content_filter" | "safety" | "recitation" | "prohibited_content" | "blocklist" | "spii" | "sensitive" => {
            FinishReason::ContentFilter
        }
        "refusal" => FinishReason::Refusal,
        "pause_turn" => FinishReason::Pause,
        "malformed_function_call" | "unexpected_tool_call" => FinishReason::MalformedToolCall,
        // DeepSeek, Zhipu, vLLM and SGLang.
        "error" | "insufficient_system_resource" | "network_error" | "abort" | "aborted" | "cancelled" => {
            FinishReason::Error
        }
        _ => return None,
    })
}

/// The word for a client. Typed clients know only these five, so nothing else is ever said.
pub(super) fn finish_word(reason: FinishReason, refusal_is_told: bool, legacy: bool) -> &'static str {
    match reason {
        FinishReason::ToolCalls if legacy => "function_call",
        FinishReason::ToolCalls => "tool_calls",
        // An answer that its provider gave up is incomplete, which is what `length` tells a client that cannot be told an error.
        FinishReason::Length | FinishReason::ContextWindow | FinishReason::Error => "length",
        FinishReason::ContentFilter => "content_filter",
        FinishReason::Refusal if !refusal_is_told => "content_filter",
        FinishReason::Refusal
        | FinishReason::Stop
        | FinishReason::StopSequence
        | FinishReason::Pause
        | FinishReason::MalformedToolCall
        | FinishReason::Other => "stop",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_understood_however_they_are_spelled() {
        let cases = [
            ("stop", FinishReason::Stop),
            ("STOP", FinishReason::Stop),
            ("eos", FinishReason::Stop),
            ("MAX_TOKENS", FinishReason::Length),
            ("model_length", FinishReason::ContextWindow),
            ("function_call", FinishReason::ToolCalls),
            ("sensitive", FinishReason::ContentFilter),
            ("insufficient_system_resource", FinishReason::Error),
            ("whatever", FinishReason::Other),
        ];
        for (word, reason) in cases {
            assert_eq!(finish(word).unwrap().reason, reason, "{word}");
        }
        assert_eq!(finish(""), None);
    }

    #[test]
    fn clients_hear_only_the_official_words() {
        let official = ["stop", "length", "tool_calls", "content_filter", "function_call"];
        for word in [
            "stop",
            "length",
            "tool_use",
            "safety",
            "refusal",
            "pause_turn",
            "error",
            "x",
            "abort",
        ] {
            let reason = finish(word).unwrap().reason;
            for (told, legacy) in [(false, false), (true, false), (false, true)] {
                assert!(official.contains(&finish_word(reason, told, legacy)), "{word}");
            }
        }
        assert_eq!(finish_word(FinishReason::Refusal, true, false), "stop");
        assert_eq!(finish_word(FinishReason::ToolCalls, false, true), "function_call");
    }
}
