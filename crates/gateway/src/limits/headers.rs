//! How far the limits of a caller are used up, in the headers that its SDK knows.

use std::fmt::Write as _;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use mynah_dialect::Dialect;

use super::refusal::moment;

/// How far limits on requests and on tokens are used up: those that leave the least.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Requests.
    pub requests: Option<Gauge>,
    /// Tokens.
    pub tokens: Option<Gauge>,
}

/// How far one limit is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gauge {
    /// How much there may be.
    pub limit: u64,
    /// How much is left.
    pub remaining: u64,
    /// In how many milliseconds all of it will be left, if nothing else comes.
    pub resets_in: u64,
}

impl Gauge {
    /// The one that leaves less.
    pub fn tighter(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        match (one, other) {
            (Some(one), Some(other)) if other.remaining < one.remaining => Some(other),
            (Some(one), _) => Some(one),
            (None, other) => other,
        }
    }
}

impl Standing {
    /// Of each kind the one that leaves less.
    #[must_use]
    pub fn tighter(self, other: Self) -> Self {
        Self {
            requests: Gauge::tighter(self.requests, other.requests),
            tokens: Gauge::tighter(self.tokens, other.tokens),
        }
    }

    /// Writes it in a dialect, in place of what a provider says about its own limits. `now` is in milliseconds since 1970.
    pub fn write(&self, dialect: Dialect, now: u64, headers: &mut HeaderMap) {
        if self.requests.is_none() && self.tokens.is_none() {
            return;
        }
        let theirs: Vec<HeaderName> = headers.keys().filter(|name| is_about_limits(name)).cloned().collect();
        for name in theirs {
            headers.remove(name);
        }
        let gauges = [
            (self.requests, &OPENAI[0], &ANTHROPIC[0]),
            (self.tokens, &OPENAI[1], &ANTHROPIC[1]),
        ];
        for (gauge, openai, anthropic) in gauges {
            let Some(gauge) = gauge else { continue };
            let (names, resets) = if dialect == Dialect::Anthropic {
                (anthropic, moment(now.saturating_add(gauge.resets_in)).to_string())
            } else {
                (openai, duration(gauge.resets_in))
            };
            headers.insert(names[0].clone(), gauge.limit.into());
            headers.insert(names[1].clone(), gauge.remaining.into());
            if let Ok(resets) = HeaderValue::try_from(resets) {
                headers.insert(names[2].clone(), resets);
            }
        }
    }
}

/// Limit, rest and reset of requests and of tokens, as OpenAI calls them, and most others too.
static OPENAI: [[HeaderName; 3]; 2] = [
    [
        HeaderName::from_static("x-ratelimit-limit-requests"),
        HeaderName::from_static("x-ratelimit-remaining-requests"),
        HeaderName::from_static("x-ratelimit-reset-requests"),
    ],
    [
        HeaderName::from_static("x-ratelimit-limit-tokens"),
        HeaderName::from_static("x-ratelimit-remaining-tokens"),
        HeaderName::from_static("x-ratelimit-reset-tokens"),
    ],
];

/// The same as Anthropic calls them.
static ANTHROPIC: [[HeaderName; 3]; 2] = [
    [
        HeaderName::from_static("anthropic-ratelimit-requests-limit"),
        HeaderName::from_static("anthropic-ratelimit-requests-remaining"),
        HeaderName::from_static("anthropic-ratelimit-requests-reset"),
    ],
    [
        HeaderName::from_static("anthropic-ratelimit-tokens-limit"),
        HeaderName::from_static("anthropic-ratelimit-tokens-remaining"),
        HeaderName::from_static("anthropic-ratelimit-tokens-reset"),
    ],
];

fn is_about_limits(name: &HeaderName) -> bool {
    let name = name.as_str();
    name.starts_with("x-ratelimit-") || name.starts_with("anthropic-ratelimit-")
}

/// Milliseconds as OpenAI writes them: `17ms`, `1.5s`, `6m0s`, `23h59m0s`.
fn duration(milliseconds: u64) -> String {
    if milliseconds < 1000 {
        return format!("{milliseconds}ms");
    }
    let (seconds, rest) = (milliseconds / 1000, milliseconds % 1000);
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    let mut text = String::new();
    if hours > 0 {
        let _ = write!(text, "{hours}h");
    }
    if hours > 0 || minutes > 0 {
        let _ = write!(text, "{minutes}m");
    }
    let _ = write!(text, "{}", seconds % 60);
    if rest > 0 {
        let fraction = format!("{rest:03}");
        let _ = write!(text, ".{}", fraction.trim_end_matches('0'));
    }
    text + "s"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_spelled_as_openai_does() {
        for (milliseconds, text) in [
            (0, "0ms"),
            (17, "17ms"),
            (1_000, "1s"),
            (1_500, "1.5s"),
            (59_999, "59.999s"),
            (360_000, "6m0s"),
            (86_340_050, "23h59m0.05s"),
        ] {
            assert_eq!(duration(milliseconds), text);
        }
    }

    #[test]
    fn ours_stand_in_place_of_a_providers() {
        let gauge = Gauge {
            limit: 60,
            remaining: 59,
            resets_in: 60_000,
        };
        let standing = Standing {
            requests: Some(gauge),
            tokens: None,
        };
        let theirs = || {
            let mut headers = HeaderMap::new();
            for name in ["x-ratelimit-limit-requests", "x-ratelimit-limit-tokens", "retry-after"] {
                headers.append(name, HeaderValue::from_static("1"));
            }
            headers
        };
        let written = |dialect| {
            let mut headers = theirs();
            standing.write(dialect, 0, &mut headers);
            let mut lines: Vec<String> = headers
                .iter()
                .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
                .collect();
            lines.sort();
            lines
        };
        assert_eq!(
            written(Dialect::OpenAi),
            [
                "retry-after: 1",
                "x-ratelimit-limit-requests: 60",
                "x-ratelimit-remaining-requests: 59",
                "x-ratelimit-reset-requests: 1m0s"
            ]
        );
        assert_eq!(
            written(Dialect::Anthropic),
            [
                "anthropic-ratelimit-requests-limit: 60",
                "anthropic-ratelimit-requests-remaining: 59",
                "anthropic-ratelimit-requests-reset: 1970-01-01T00:01:00Z",
                "retry-after: 1"
            ]
        );
        let mut headers = theirs();
        Standing::default().write(Dialect::OpenAi, 0, &mut headers);
        assert_eq!(headers, theirs());
    }
}
