//! Which scenario a test asks for: it writes `[[name]]` into what the user says.

use super::run;

/// What is to be played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scenario {
    Text,
    Tool,
    Parallel,
    Interleaved,
    EmptyArguments,
    TextThenTool,
    Reasoning,
    ReasoningTool,
    Redacted,
    Refusal,
    MaxTokens,
    StopSequence,
    Unicode,
    SplitUtf8,
    Json,
    Image,
    Citations,
    UsageCache,
    LateUsage,
    EarlyUsage,
    Long,
    Blocked,
    ErrorMidStream,
    ErrorFirstEvent,
    CutMidStream,
    NoFinish,
    Pings,
    Crlf,
    /// A command is run by the shell that is offered.
    Run,
    ReasoningRun,
    Error(Trouble),
}

/// What a provider fails with, whatever its protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    BadRequest,
    Unauthorized,
    Forbidden,
    NotFound,
    TooLarge,
    RateLimited,
    Internal,
    Unavailable,
    Overloaded,
    ContextTooLong,
}

const SCENARIOS: [(&str, Scenario); 43] = [
    ("text", Scenario::Text),
    ("tool", Scenario::Tool),
    ("parallel", Scenario::Parallel),
    ("interleaved", Scenario::Interleaved),
    ("empty-args", Scenario::EmptyArguments),
    ("text-then-tool", Scenario::TextThenTool),
    ("reasoning", Scenario::Reasoning),
    ("reasoning-tool", Scenario::ReasoningTool),
    ("redacted", Scenario::Redacted),
    ("refusal", Scenario::Refusal),
    ("max-tokens", Scenario::MaxTokens),
    ("stop-sequence", Scenario::StopSequence),
    ("unicode", Scenario::Unicode),
    ("split-utf8", Scenario::SplitUtf8),
    ("json", Scenario::Json),
    ("image", Scenario::Image),
    ("tool-image", Scenario::Tool),
    ("citations", Scenario::Citations),
    // These two are played whenever a request asks for them; the names are for tests that ask for nothing else.
    ("logprobs", Scenario::Text),
    ("n", Scenario::Text),
    ("usage-cache", Scenario::UsageCache),
    ("late-usage", Scenario::LateUsage),
    ("early-usage", Scenario::EarlyUsage),
    ("long", Scenario::Long),
    ("blocked", Scenario::Blocked),
    ("error-mid-stream", Scenario::ErrorMidStream),
    ("error-first-event", Scenario::ErrorFirstEvent),
    ("cut-mid-stream", Scenario::CutMidStream),
    ("no-finish", Scenario::NoFinish),
    ("pings", Scenario::Pings),
    ("crlf", Scenario::Crlf),
    ("run", Scenario::Run),
    ("reasoning-run", Scenario::ReasoningRun),
    ("error-400", Scenario::Error(Trouble::BadRequest)),
    ("error-401", Scenario::Error(Trouble::Unauthorized)),
    ("error-403", Scenario::Error(Trouble::Forbidden)),
    ("error-404", Scenario::Error(Trouble::NotFound)),
    ("error-413", Scenario::Error(Trouble::TooLarge)),
    ("error-429", Scenario::Error(Trouble::RateLimited)),
    ("error-500", Scenario::Error(Trouble::Internal)),
    ("error-503", Scenario::Error(Trouble::Unavailable)),
    ("error-529", Scenario::Error(Trouble::Overloaded)),
    ("error-context", Scenario::Error(Trouble::ContextTooLong)),
];

impl Scenario {
    /// The first scenario that a text names.
    pub(super) fn named_in(text: &str) -> Option<Self> {
        text.split("[[")
            .skip(1)
            .filter_map(|rest| rest.split_once("]]"))
            .map(|(marker, _)| run::split(marker).map_or(marker, |(name, _)| name))
            .find_map(|name| SCENARIOS.iter().find(|(known, _)| *known == name))
            .map(|(_, scenario)| *scenario)
    }
}

impl Trouble {
    /// The status that providers without a status of their own for it answer with.
    pub(super) fn status(self) -> u16 {
        match self {
            Self::BadRequest | Self::ContextTooLong => 400,
            Self::Unauthorized => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::TooLarge => 413,
            Self::RateLimited => 429,
            Self::Internal => 500,
            Self::Unavailable => 503,
            Self::Overloaded => 529,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_known_name_counts() {
        assert_eq!(Scenario::named_in("a [[b]] [[tool]] [[text]]"), Some(Scenario::Tool));
        assert_eq!(
            Scenario::named_in("[[error-429]]"),
            Some(Scenario::Error(Trouble::RateLimited))
        );
        assert_eq!(Scenario::named_in("[[tool x]] [[run ls]]"), Some(Scenario::Run));
        assert_eq!(Scenario::named_in("[[tool"), None);
        assert_eq!(Scenario::named_in("tool"), None);
    }
}
