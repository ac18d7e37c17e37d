//! How long a provider asks not to be asked again.
//!
//! There are three places where it says so, and an earlier one wins: a header of its own, the body, which speaks of
//! just this request, and the headers of those limits that are used up.

use std::time::Duration;

use crate::date;
use crate::tree::Node;

/// Nobody is left alone for longer.
pub const LONGEST: Duration = Duration::from_hours(24);

/// A longer wish is a mistake.
const ABSURD: f64 = 366.0 * 86_400.0;

/// A number from here on is no delay, but a time in seconds since the epoch (that of 2001).
const UNIX_SECONDS: f64 = 1e9;

/// A number from here on is a time in milliseconds since the epoch (that of 1973).
const UNIX_MILLISECONDS: f64 = 1e11;

/// Delays in milliseconds: of OpenAI and Azure.
const MILLISECONDS: [&str; 2] = ["retry-after-ms", "x-ms-retry-after-ms"];

/// The headers of a limit: what is left of it, and when it is full again.
const LIMITS: [(&str, &str); 8] = [
    // OpenAI, Azure, Groq, xAI
    ("x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"),
    ("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
    // Cerebras
    ("x-ratelimit-remaining-requests-day", "x-ratelimit-reset-requests-day"),
    ("x-ratelimit-remaining-tokens-minute", "x-ratelimit-reset-tokens-minute"),
    (
        "anthropic-ratelimit-requests-remaining",
        "anthropic-ratelimit-requests-reset",
    ),
    (
        "anthropic-ratelimit-tokens-remaining",
        "anthropic-ratelimit-tokens-reset",
    ),
    (
        "anthropic-ratelimit-input-tokens-remaining",
        "anthropic-ratelimit-input-tokens-reset",
    ),
    (
        "anthropic-ratelimit-output-tokens-remaining",
        "anthropic-ratelimit-output-tokens-reset",
    ),
];

/// The same where there is only one limit, so that it needs no word about what is left.
const ONLY_LIMITS: [(&str, &str); 4] = [
    // OpenRouter (milliseconds since the epoch), Together (seconds from now), and many others
    ("x-ratelimit-remaining", "x-ratelimit-reset"),
    ("x-ratelimit-remaining", "x-ratelimit-reset-after"),
    ("ratelimit-remaining", "ratelimit-reset"),
    // Mistral
    ("ratelimitbysize-remaining", "ratelimitbysize-reset"),
];

/// What comes before a delay in a message.
const PHRASES: [&str; 8] = [
    "try again in ",
    "try again after ",
    "retry in ",
    "retry after ",
    "wait ",
    "wait for ",
    "reset after ",
    "reset in ",
];

/// How long to wait, as an answer says that is an error, at most [`LONGEST`]; `None` when it says nothing sensible.
///
/// `header` finds the value of a header by its name in lower case; `now` is the time since the epoch.
pub fn asked<'h>(header: impl Fn(&str) -> Option<&'h str>, body: &[u8], now: Duration) -> Option<Duration> {
    stated(&header, now)
        .or_else(|| in_body(body, now))
        .or_else(|| until_reset(&header, now))
}

/// What the headers ask for expressly.
fn stated<'h>(header: &impl Fn(&str) -> Option<&'h str>, now: Duration) -> Option<Duration> {
    let milliseconds = |name: &&str| header(name)?.trim().parse::<f64>().ok();
    let exact = MILLISECONDS.iter().find_map(milliseconds);
    exact
        .and_then(|number| bounded(number / 1000.0))
        .or_else(|| delay(header("retry-after")?, now))
}

/// The longest time until one of the limits that are used up is full again.
fn until_reset<'h>(header: &impl Fn(&str) -> Option<&'h str>, now: Duration) -> Option<Duration> {
    let left = |name: &str| header(name)?.trim().parse::<f64>().ok();
    let used_up = |name: &str| left(name).map(|left| left <= 0.0);
    let reset = |name: &str| delay(header(name)?, now);
    let several = LIMITS.iter().filter(|(left, _)| used_up(left) == Some(true));
    let only = ONLY_LIMITS.iter().filter(|(left, _)| used_up(left) != Some(false));
    // Subscriptions have a state instead of a number.
    let unified = header("anthropic-ratelimit-unified-status").filter(|state| *state == "rejected");
    several
        .chain(only)
        .filter_map(|(_, name)| reset(name))
        .chain(unified.and_then(|_| reset("anthropic-ratelimit-unified-reset")))
        .max()
}

fn in_body(body: &[u8], now: Duration) -> Option<Duration> {
    let text = String::from_utf8_lossy(body);
    let Ok(root) = Node::parse_text(&text) else {
        return seconds_in(&text).and_then(bounded);
    };
    let root = root.items().first().unwrap_or(&root);
    let error = match root.get("error") {
        absent if absent.is_null() => root,
        error => error,
    };
    let message = [error, error.get("message"), root.get("message"), root.get("detail")]
        .into_iter()
        .find_map(Node::text)
        .unwrap_or_default();
    // OpenRouter hands on the headers in this way.
    let headers = error.get("metadata").get("headers").members();
    let header = |name: &str| {
        let found = headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.text().unwrap_or(value.raw()))
    };
    [error, root, error.get("metadata")]
        .into_iter()
        .find_map(|node| seconds_of(node, message))
        .and_then(bounded)
        .or_else(|| stated(&header, now))
        .or_else(|| until_reset(&header, now))
}

/// When an error says to try again, in seconds: a member of its own, Google's `RetryInfo`, or words of its message.
pub(crate) fn seconds_of(error: &Node<'_>, message: &str) -> Option<f64> {
    let member = error.any(&["retry_after", "retry_after_seconds", "retryDelay"]);
    let delays = error.get("details").items().iter();
    member
        .f64()
        .filter(|seconds| *seconds >= 0.0)
        .or_else(|| seconds(member.text()?))
        .or_else(|| {
            delays
                .filter_map(|item| item.any(&["retryDelay", "retry_delay"]).text())
                .find_map(seconds)
        })
        .or_else(|| seconds_in(message))
}

/// The delay that a message names, such as `… try again in 1m2.5s.` or `retry after 20 seconds`, in seconds.
pub(crate) fn seconds_in(message: &str) -> Option<f64> {
    let message = message.to_ascii_lowercase();
    let mut found = PHRASES.iter().flat_map(|phrase| message.match_indices(*phrase));
    found.find_map(|(at, phrase)| seconds(message.get(at + phrase.len()..)?))
}

/// The value of a header: seconds from now, a time in seconds or milliseconds since the epoch, a duration as Go prints
/// it, or a date of RFC 3339 or of HTTP.
fn delay(value: &str, now: Duration) -> Option<Duration> {
    let value = value.trim();
    let now = now.as_secs_f64();
    let from_now = match value.parse::<f64>() {
        Ok(number) if number >= UNIX_MILLISECONDS => number / 1000.0 - now,
        Ok(number) if number >= UNIX_SECONDS => number - now,
        Ok(number) => number,
        Err(_) => match date::read(value) {
            Some(date) => date - now,
            None => seconds(value)?,
        },
    };
    bounded(from_now)
}

/// A duration as Go prints it (`6m0s`, `1.5s`, `20ms`), or in words (`2 minutes`), at the beginning of a text. A number
/// alone is seconds.
fn seconds(text: &str) -> Option<f64> {
    let mut total = None;
    let mut rest = text.trim_start();
    loop {
        let digits = rest
            .find(|letter: char| !letter.is_ascii_digit() && letter != '.')
            .unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let number = number.trim_end_matches('.').parse::<f64>().ok();
        let Some(number) = number.filter(|number| *number < UNIX_MILLISECONDS) else {
            return total;
        };
        let after = after.trim_start();
        let letters = after
            .find(|letter: char| !letter.is_alphabetic())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let factor = match unit {
            "ns" => 1e-9,
            "us" | "\u{b5}s" | "\u{3bc}s" => 1e-6,
            "ms" | "msec" | "millisecond" | "milliseconds" => 1e-3,
            "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
            "m" | "min" | "mins" | "minute" | "minutes" => 60.0,
            "h" | "hr" | "hrs" | "hour" | "hours" => 3600.0,
            "d" | "day" | "days" => 86_400.0,
            "" => return total.or(Some(number)),
            _ => return total,
        };
        total = Some(total.unwrap_or(0.0) + number * factor);
        rest = after.trim_start();
    }
}

fn bounded(seconds: f64) -> Option<Duration> {
    // Not a number is not in the range either.
    (0.0..=ABSURD)
        .contains(&seconds)
        .then(|| Duration::from_secs_f64(seconds).min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 2025-01-01T00:00:00Z
    const NOW: Duration = Duration::from_hours(482_136);

    fn of_headers(headers: &[(&str, &'static str)]) -> Option<f64> {
        of(headers, "")
    }

    fn of(headers: &[(&str, &'static str)], body: &str) -> Option<f64> {
        let header = |name: &str| headers.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
        asked(header, body.as_bytes(), NOW).map(|delay| delay.as_secs_f64())
    }

    #[test]
    fn every_spelling_of_a_header_is_known() {
        for (value, expected) in [
            ("7", Some(7.0)),
            (" 0.5 ", Some(0.5)),
            ("0", Some(0.0)),
            ("Wed, 01 Jan 2025 00:00:30 GMT", Some(30.0)),
            ("2025-01-01T00:01:00Z", Some(60.0)),
            ("2025-01-01T01:00:00.5+00:00", Some(3600.5)),
            ("1735689612", Some(12.0)),
            ("1735689612500", Some(12.5)),
            ("6m0s", Some(360.0)),
            ("1h2m3.5s", Some(3723.5)),
            ("20ms", Some(0.02)),
            ("999999", Some(86_400.0)),
            ("-1", None),
            ("Wed, 01 Jan 2020 00:00:30 GMT", None),
            ("1600000000", None),
            ("99999999", None),
            ("inf", None),
            ("nan", None),
            ("1e400", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(of_headers(&[("retry-after", value)]), expected, "{value}");
            assert_eq!(of_headers(&[("x-ratelimit-reset", value)]), expected, "{value}");
        }
        assert_eq!(of_headers(&[("retry-after-ms", "1500")]), Some(1.5));
        assert_eq!(of_headers(&[("x-ms-retry-after-ms", "250")]), Some(0.25));
        assert_eq!(of_headers(&[("retry-after-ms", "x"), ("retry-after", "2")]), Some(2.0));
    }

    #[test]
    fn a_limit_counts_when_it_is_used_up() {
        let openai = [
            ("x-ratelimit-remaining-requests", "99"),
            ("x-ratelimit-reset-requests", "1h0m0s"),
            ("x-ratelimit-remaining-tokens", "0"),
            ("x-ratelimit-reset-tokens", "6m0s"),
        ];
        assert_eq!(of_headers(&openai), Some(360.0));
        assert_eq!(of_headers(&openai[..2]), None);
        let anthropic = [
            ("anthropic-ratelimit-requests-remaining", "0"),
            ("anthropic-ratelimit-requests-reset", "2025-01-01T00:00:05Z"),
            ("anthropic-ratelimit-input-tokens-remaining", "0"),
            ("anthropic-ratelimit-input-tokens-reset", "2025-01-01T00:00:40Z"),
            ("anthropic-ratelimit-output-tokens-remaining", "8000"),
            ("anthropic-ratelimit-output-tokens-reset", "2025-01-01T01:00:00Z"),
        ];
        assert_eq!(of_headers(&anthropic), Some(40.0));
        for (headers, expected) in [
            ([("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "3")], Some(3.0)),
            ([("x-ratelimit-remaining", "5"), ("x-ratelimit-reset", "3")], None),
            ([("ratelimit-remaining", "0"), ("ratelimit-reset", "50")], Some(50.0)),
            (
                [
                    ("x-ratelimit-remaining-requests-day", "0"),
                    ("x-ratelimit-reset-requests-day", "33011.5"),
                ],
                Some(33_011.5),
            ),
            (
                [
                    ("anthropic-ratelimit-unified-status", "rejected"),
                    ("anthropic-ratelimit-unified-reset", "1735689660"),
                ],
                Some(60.0),
            ),
            (
                [
                    ("anthropic-ratelimit-unified-status", "allowed"),
                    ("anthropic-ratelimit-unified-reset", "1735689660"),
                ],
                None,
            ),
        ] {
            assert_eq!(of_headers(&headers), expected, "{headers:?}");
        }
    }

    #[test]
    fn a_wish_wins_over_the_body_and_the_body_over_limits() {
        let limit = ("x-ratelimit-reset", "90");
        let body = r#"{"error":{"message":"Please try again in 20ms."}}"#;
        assert_eq!(of(&[limit], body), Some(0.02));
        assert_eq!(of(&[limit, ("retry-after", "1")], body), Some(1.0));
        assert_eq!(of(&[limit], "<html>"), Some(90.0));
    }

    #[test]
    fn bodies_say_it_in_many_ways() {
        for (body, expected) in [
            (
                r#"{"error":{"message":"Please try again in 1.5s. Visit x"}}"#,
                Some(1.5),
            ),
            (r#"{"error":{"message":"Please try again in 6m30s."}}"#, Some(390.0)),
            (r#"{"error":{"message":"Please retry after 20 seconds."}}"#, Some(20.0)),
            (r#"{"message":"Rate limit exceeded, retry in 2 minutes"}"#, Some(120.0)),
            (
                r#"{"error":{"message":"Please wait 43200 seconds before retrying."}}"#,
                Some(43_200.0),
            ),
            (
                r#"{"error":{"message":"Wait a little. Please try again in 3s"}}"#,
                Some(3.0),
            ),
            (
                r#"[{"error":{"message":"x","details":[{"@type":"RetryInfo","retryDelay":"34.5s"}]}}]"#,
                Some(34.5),
            ),
            (r#"{"error":{"message":"x","retry_after":12}}"#, Some(12.0)),
            (r#"{"error":"x","retry_after":"12"}"#, Some(12.0)),
            (r#"{"detail":"Try again in 20ms"}"#, Some(0.02)),
            (
                r#"{"error":{"code":429,"metadata":{"headers":{"X-RateLimit-Remaining":"0","X-RateLimit-Reset":"1735689630000"}}}}"#,
                Some(30.0),
            ),
            (
                r#"{"error":{"code":429,"metadata":{"retry_after_seconds":4.5}}}"#,
                Some(4.5),
            ),
            ("slow down, try again in 2 s", Some(2.0)),
            (r#"{"error":{"message":"try again in a while"}}"#, None),
            (r#"{"error":{"message":"try again in 5 attempts"}}"#, None),
            (r#"{"error":{"message":"x","retry_after":-3}}"#, None),
            ("", None),
            ("[]", None),
        ] {
            assert_eq!(of(&[], body), expected, "{body}");
        }
        assert_eq!(
            asked(|_| None, b"\xff try again in 2s \xff", NOW),
            Some(Duration::from_secs(2))
        );
    }

    proptest! {
        #[test]
        fn whatever_is_said_is_bounded(
            value in "([0-9]{1,14}[.]?[0-9]{0,3}(ms|s|m|h|d| |\u{b5}s)?){0,3}|.{0,20}|[0-9:TZ.+, GMTJan-]{0,30}",
            body in prop::collection::vec(any::<u8>(), 0..60),
        ) {
            let message = format!(r#"{{"message":"try again in {value}"}}"#);
            for body in [message.as_bytes(), &body] {
                for name in ["retry-after", "retry-after-ms", "x-ratelimit-reset", "none"] {
                    let header = |asked: &str| (asked == name).then_some(value.as_str());
                    prop_assert!(asked(header, body, NOW).is_none_or(|delay| delay <= LONGEST));
                }
            }
        }
    }
}
