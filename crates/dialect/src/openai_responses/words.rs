//! Words: why an answer ends, what is asked to be included, how much of the reasoning is shown.

use super::OWN;
use crate::ir::{Class, Error, Finish, FinishReason, Show};

/// `include`: the sealed reasoning.
pub(super) const INCLUDE_REASONING: &str = "reasoning.encrypted_content";

/// `include`: how likely each token was.
pub(super) const INCLUDE_LOGPROBS: &str = "message.output_text.logprobs";

/// How a response ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// As it should.
    Completed,
    /// Early, for this reason.
    Incomplete(String),
    /// With an error.
    Failed,
}

impl Outcome {
    /// The `status` of the response.
    pub(super) fn status(&self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Incomplete(_) => "incomplete",
            Self::Failed => "failed",
        }
    }

    /// The `status` of the item at which the response ends.
    pub(super) fn item_status(&self) -> &'static str {
        match self {
            Self::Completed => "completed",
            _ => "incomplete",
        }
    }
}

/// How a response ends for this reason. There is no finish reason here: tool calls are seen from the items.
pub(super) fn outcome(finish: &Finish) -> Outcome {
    match (finish.reason, &finish.word) {
        (FinishReason::Length | FinishReason::ContextWindow, _) => Outcome::Incomplete("max_output_tokens".to_owned()),
        (FinishReason::ContentFilter, _) => Outcome::Incomplete("content_filter".to_owned()),
        (FinishReason::MalformedToolCall | FinishReason::Error, _) => Outcome::Failed,
        (FinishReason::Other, Some((protocol, word))) if *protocol == OWN => Outcome::Incomplete(word.clone()),
        _ => Outcome::Completed,
    }
}

/// Why an answer of this status ends; `None` where that is no end.
pub(super) fn finish_of(status: Option<&str>, incomplete: Option<&str>) -> Option<Finish> {
    match (status.unwrap_or("completed"), incomplete) {
        ("in_progress" | "queued" | "failed" | "cancelled", _) => None,
        ("incomplete", reason) => {
            let word = reason.unwrap_or("incomplete");
            let reason = match word {
                "max_output_tokens" | "max_tokens" => FinishReason::Length,
                "content_filter" => FinishReason::ContentFilter,
                _ => FinishReason::Other,
            };
            Some(Finish {
                word: Some((OWN, word.to_owned())),
                ..reason.into()
            })
        }
        _ => Some(FinishReason::Stop.into()),
    }
}

/// What the model says when it declines without a word.
pub(super) fn refusal_text(finish: &Finish) -> &str {
    finish.message.as_deref().unwrap_or("The model declined to answer.")
}

/// The error of an answer that ends in failure without being one.
pub(super) fn failure(finish: &Finish) -> Error {
    let message = finish.message.as_deref().unwrap_or(match finish.reason {
        FinishReason::MalformedToolCall => "The model called a tool in a way that cannot be read.",
        _ => "The provider could not finish the answer.",
    });
    Error::new(Class::Server, message)
}

/// The `reasoning.summary` that shows what is wanted.
pub(super) fn summary_of(show: &Show) -> Option<&str> {
    match show {
        Show::Default | Show::Nothing => None,
        Show::Summary(level) if matches!(level.as_str(), "auto" | "concise" | "detailed") => Some(level),
        Show::Summary(_) => Some("auto"),
        // The thoughts themselves are never shown; the most that can be had is this.
        Show::Everything => Some("detailed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_lead_back_to_their_reasons() {
        for (status, reason) in [
            ("completed", None),
            ("incomplete", Some("max_output_tokens")),
            ("incomplete", Some("content_filter")),
            ("incomplete", Some("steered")),
        ] {
            let outcome = outcome(&finish_of(Some(status), reason).unwrap());
            assert_eq!(outcome.status(), status);
            assert_eq!(
                matches!(&outcome, Outcome::Incomplete(word) if Some(word.as_str()) == reason),
                reason.is_some()
            );
        }
        assert_eq!(finish_of(Some("in_progress"), None), None);
        assert_eq!(outcome(&FinishReason::MalformedToolCall.into()), Outcome::Failed);
        assert_eq!(outcome(&FinishReason::Pause.into()), Outcome::Completed);
    }
}
