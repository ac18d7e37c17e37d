//! Gemini's words for what the vocabulary has words for, in both directions.

use crate::ir::{Effort, Finish, FinishReason};
use crate::protocol::Protocol;

/// Every word that may stand as `finishReason`
/// (<https://ai.google.dev/api/generate-content#FinishReason>, and those that Vertex AI adds).
const FINISH_REASONS: [&str; 22] = [
    "STOP",
    "MAX_TOKENS",
    "SAFETY",
    "RECITATION",
    "LANGUAGE",
    "OTHER",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "MALFORMED_FUNCTION_CALL",
    "IMAGE_SAFETY",
    "IMAGE_PROHIBITED_CONTENT",
    "IMAGE_OTHER",
    "NO_IMAGE",
    "IMAGE_RECITATION",
    "UNEXPECTED_TOOL_CALL",
    "TOO_MANY_TOOL_CALLS",
    "MISSING_THOUGHT_SIGNATURE",
    "MALFORMED_RESPONSE",
    "ESCALATION",
    "CONTINUATION",
    "MODEL_ARMOR",
];

/// Every word that may stand as `promptFeedback.blockReason`.
const BLOCK_REASONS: [&str; 7] = [
    "SAFETY",
    "OTHER",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "IMAGE_SAFETY",
    "MODEL_ARMOR",
    "JAILBREAK",
];

/// What a `finishReason` means. That a turn with calls ends in `STOP` is for the assembly to see.
pub(super) fn finish_reason(word: &str) -> FinishReason {
    match word {
        "STOP" => FinishReason::Stop,
        "MAX_TOKENS" => FinishReason::Length,
        // There is no such word in the API, but some servers emit them.
        "FUNCTION_CALL" | "TOOL_CALLS" => FinishReason::ToolCalls,
        "SAFETY" | "RECITATION" | "BLOCKLIST" | "PROHIBITED_CONTENT" | "SPII" | "MODEL_ARMOR" | "JAILBREAK" => {
            FinishReason::ContentFilter
        }
        _ if word.starts_with("IMAGE_") => FinishReason::ContentFilter,
        "MALFORMED_FUNCTION_CALL" | "UNEXPECTED_TOOL_CALL" | "MISSING_THOUGHT_SIGNATURE" => {
            FinishReason::MalformedToolCall
        }
        "MALFORMED_RESPONSE" => FinishReason::Error,
        "CONTINUATION" => FinishReason::Pause,
        _ => FinishReason::Other,
    }
}

/// The `finishReason` to tell a client.
pub(super) fn finish_word(finish: &Finish) -> &str {
    if let Some((Protocol::Gemini, word)) = &finish.word
        && FINISH_REASONS.contains(&word.as_str())
    {
        return word;
    }
    match finish.reason {
        FinishReason::Stop | FinishReason::StopSequence | FinishReason::ToolCalls | FinishReason::Pause => "STOP",
        FinishReason::Length | FinishReason::ContextWindow => "MAX_TOKENS",
        FinishReason::ContentFilter | FinishReason::Refusal => "SAFETY",
        FinishReason::MalformedToolCall => "MALFORMED_FUNCTION_CALL",
        FinishReason::Error | FinishReason::Other => "OTHER",
    }
}

/// The `blockReason` of an answer in which nothing was said; `None` when it ended for another reason than a filter.
pub(super) fn block_word(finish: &Finish) -> Option<&str> {
    if finish.reason != FinishReason::ContentFilter {
        return None;
    }
    match &finish.word {
        Some((Protocol::Gemini, word)) if BLOCK_REASONS.contains(&word.as_str()) => Some(word),
        // A word for the end of a candidate, such as `RECITATION`.
        Some((Protocol::Gemini, word)) if FINISH_REASONS.contains(&word.as_str()) => None,
        _ => Some("SAFETY"),
    }
}

/// The effort that a `thinkingLevel` asks for.
pub(super) fn effort(level: &str) -> Option<Effort> {
    Effort::parse(level)
}

/// The `thinkingLevel` of an effort.
pub(super) fn level(effort: Effort) -> &'static str {
    match effort {
        Effort::None | Effort::Minimal => "MINIMAL",
        Effort::Low => "LOW",
        Effort::Medium => "MEDIUM",
        Effort::High => "HIGH",
        Effort::XHigh | Effort::Max => "XHIGH",
    }
}

/// A `serviceTier` in OpenAI's words.
pub(super) fn tier_from_gemini(word: &str) -> String {
    let word = word.to_ascii_lowercase();
    match word.strip_prefix("service_tier_").unwrap_or(&word) {
        "standard" => "default",
        "unspecified" => "auto",
        other => other,
    }
    .to_owned()
}

/// The `serviceTier` for one of OpenAI's words; `None` for those that have no counterpart.
pub(super) fn tier_to_gemini(word: &str) -> Option<&'static str> {
    match word {
        "default" | "standard" => Some("standard"),
        "flex" => Some("flex"),
        "priority" => Some("priority"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_word_of_the_api() {
        use FinishReason::*;
        for reason in [
            Stop,
            StopSequence,
            Length,
            ContextWindow,
            ToolCalls,
            ContentFilter,
            Refusal,
            Pause,
            MalformedToolCall,
            Error,
            Other,
        ] {
            assert!(FINISH_REASONS.contains(&finish_word(&reason.into())), "{reason:?}");
        }
        let own = |word: &str| Finish {
            word: Some((Protocol::Gemini, word.to_owned())),
            ..finish_reason(word).into()
        };
        assert_eq!(finish_word(&own("RECITATION")), "RECITATION");
        assert_eq!(finish_word(&own("FUNCTION_CALL")), "STOP");
        assert_eq!(block_word(&own("JAILBREAK")), Some("JAILBREAK"));
        assert_eq!(block_word(&own("RECITATION")), None);
        assert_eq!(block_word(&FinishReason::ContentFilter.into()), Some("SAFETY"));
        assert_eq!(block_word(&FinishReason::Stop.into()), None);
    }

    #[test]
    fn tiers_and_levels_lead_back() {
        for word in ["standard", "flex", "priority"] {
            assert_eq!(tier_to_gemini(&tier_from_gemini(word)), Some(word));
        }
        assert_eq!(tier_from_gemini("SERVICE_TIER_FLEX"), "flex");
        assert_eq!(tier_from_gemini("unspecified"), "auto");
        for word in ["MINIMAL", "LOW", "MEDIUM", "HIGH", "XHIGH"] {
            assert_eq!(effort(word).map(level), Some(word));
        }
    }
}
