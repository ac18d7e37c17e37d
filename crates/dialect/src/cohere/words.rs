//! What Cohere calls the things that the vocabulary has other words for.

use crate::Protocol;
use crate::ir::{Class, Error, Finish, FinishReason};

/// The lowest priority: `0` is the highest and the default.
const LOWEST_PRIORITY: u64 = 999;

/// What a service tier amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Priority {
    /// What everybody gets.
    Default,
    /// This one.
    Of(u64),
    /// Nothing that Cohere has.
    Unknown,
}

/// What a finish reason means; an error for those that say that the answer failed.
///
/// `ERROR_TOXIC` and `ERROR_LIMIT` come from older models.
pub(super) fn read_finish(word: Option<&str>, message: Option<&str>) -> Result<Finish, Error> {
    // A message without a reason says what went wrong.
    let unnamed = message.filter(|message| !message.is_empty()).map(|_| "ERROR");
    let reason = match word.or(unnamed).unwrap_or_default() {
        "COMPLETE" => FinishReason::Stop,
        "STOP_SEQUENCE" => FinishReason::StopSequence,
        "MAX_TOKENS" => FinishReason::Length,
        "TOOL_CALL" => FinishReason::ToolCalls,
        "ERROR_TOXIC" => FinishReason::ContentFilter,
        "ERROR_LIMIT" => FinishReason::ContextWindow,
        "ERROR" => return Err(failed(Class::Server, message, "The provider failed while answering.")),
        "TIMEOUT" => {
            return Err(failed(
                Class::Timeout,
                message,
                "The provider ran out of time while answering.",
            ));
        }
        _ => FinishReason::Other,
    };
    Ok(Finish {
        word: word.map(|word| (Protocol::Cohere, word.to_owned())),
        message: message.map(str::to_owned),
        ..Finish::from(reason)
    })
}

fn failed(class: Class, message: Option<&str>, otherwise: &str) -> Error {
    Error::new(
        class,
        message.filter(|message| !message.is_empty()).unwrap_or(otherwise),
    )
}

/// The priority that a service tier amounts to.
pub(super) fn priority(tier: &str) -> Priority {
    match tier {
        "auto" | "default" | "standard" | "standard_only" => Priority::Default,
        "priority" | "fast" => Priority::Of(0),
        "flex" => Priority::Of(LOWEST_PRIORITY),
        _ => Priority::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finish_reasons_are_understood() {
        let reason = |word| read_finish(Some(word), None).map(|finish| finish.reason);
        assert_eq!(reason("COMPLETE"), Ok(FinishReason::Stop));
        assert_eq!(reason("STOP_SEQUENCE"), Ok(FinishReason::StopSequence));
        assert_eq!(reason("MAX_TOKENS"), Ok(FinishReason::Length));
        assert_eq!(reason("TOOL_CALL"), Ok(FinishReason::ToolCalls));
        assert_eq!(reason("ERROR_TOXIC"), Ok(FinishReason::ContentFilter));
        assert_eq!(reason("ERROR_LIMIT"), Ok(FinishReason::ContextWindow));
        assert_eq!(reason("SOMETHING_NEW"), Ok(FinishReason::Other));
        assert_eq!(read_finish(None, None).unwrap().word, None);
    }

    #[test]
    fn a_failure_is_an_error_with_the_providers_words() {
        let error = read_finish(Some("ERROR"), Some("out of memory")).unwrap_err();
        assert_eq!((error.class, error.message.as_str()), (Class::Server, "out of memory"));
        assert_eq!(read_finish(Some("TIMEOUT"), None).unwrap_err().class, Class::Timeout);
        assert_eq!(read_finish(None, Some("gone")).unwrap_err().message, "gone");
    }

    #[test]
    fn tiers_are_priorities() {
        assert_eq!(priority("auto"), Priority::Default);
        assert_eq!(priority("priority"), Priority::Of(0));
        assert_eq!(priority("flex"), Priority::Of(LOWEST_PRIORITY));
        assert_eq!(priority("scale"), Priority::Unknown);
    }
}
