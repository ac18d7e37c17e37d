//! Words of the protocol and what they mean.

use crate::ir::{Finish, FinishReason};
use crate::protocol::Protocol;

/// What a `stop_reason` means.
pub(super) fn finish_reason(word: &str) -> FinishReason {
    match word {
        "end_turn" => FinishReason::Stop,
        "stop_sequence" => FinishReason::StopSequence,
        "max_tokens" => FinishReason::Length,
        "model_context_window_exceeded" => FinishReason::ContextWindow,
        "tool_use" => FinishReason::ToolCalls,
        "refusal" => FinishReason::Refusal,
        // `compaction` (beta): the conversation was summed up and is to be continued.
        "pause_turn" | "compaction" => FinishReason::Pause,
        _ => FinishReason::Other,
    }
}

/// The `stop_reason` of an answer; `None` for one that failed, since every word would claim that it is whole.
pub(super) fn stop_reason(finish: &Finish) -> Option<&str> {
    match (&finish.word, finish.reason) {
        (Some((Protocol::Anthropic, word)), reason) if finish_reason(word) == reason => Some(word),
        (_, FinishReason::Stop | FinishReason::MalformedToolCall | FinishReason::Other) => Some("end_turn"),
        (_, FinishReason::StopSequence) => Some("stop_sequence"),
        (_, FinishReason::Length) => Some("max_tokens"),
        (_, FinishReason::ContextWindow) => Some("model_context_window_exceeded"),
        (_, FinishReason::ToolCalls) => Some("tool_use"),
        (_, FinishReason::ContentFilter | FinishReason::Refusal) => Some("refusal"),
        (_, FinishReason::Pause) => Some("pause_turn"),
        (_, FinishReason::Error) => None,
    }
}

/// The tier that a request asks for, in OpenAI's words.
pub(super) fn requested_tier(word: &str) -> Option<&'static str> {
    match word {
        "auto" => Some("auto"),
        "standard_only" => Some("default"),
        _ => None,
    }
}

/// The tier to ask for, and whether it is just what is meant.
pub(super) fn tier_to_request(tier: &str) -> (&'static str, bool) {
    match tier {
        "default" | "standard" => ("standard_only", true),
        // With `auto`, committed capacity is used when there is any.
        "auto" | "priority" => ("auto", true),
        _ => ("auto", false),
    }
}

/// The tier that answered, in OpenAI's words.
pub(super) fn answered_tier(word: &str) -> String {
    match word {
        "standard" => "default".to_owned(),
        other => other.to_owned(),
    }
}

/// The tier that answered, in this protocol's words.
pub(super) fn tier_to_answer(tier: Option<&str>) -> &'static str {
    match tier {
        Some("priority") => "priority",
        Some("batch") => "batch",
        _ => "standard",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_survives_a_round_trip() {
        for word in [
            "end_turn",
            "stop_sequence",
            "max_tokens",
            "model_context_window_exceeded",
            "tool_use",
            "refusal",
            "pause_turn",
        ] {
            assert_eq!(stop_reason(&finish_reason(word).into()), Some(word));
        }
        let own = Finish {
            word: Some((Protocol::Anthropic, "compaction".into())),
            ..FinishReason::Pause.into()
        };
        assert_eq!(stop_reason(&own), Some("compaction"));
        assert_eq!(finish_reason("something_new"), FinishReason::Other);
        assert_eq!(stop_reason(&FinishReason::Error.into()), None);
    }

    #[test]
    fn tiers_survive_a_round_trip() {
        for word in ["auto", "standard_only"] {
            assert_eq!(tier_to_request(requested_tier(word).unwrap()), (word, true));
        }
        for word in ["standard", "priority", "batch"] {
            assert_eq!(tier_to_answer(Some(&answered_tier(word))), word);
        }
        assert_eq!(tier_to_request("flex"), ("auto", false));
    }
}
