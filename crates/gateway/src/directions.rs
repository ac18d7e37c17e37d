//! What a caller asks of the gateway itself, in headers of its request.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};

use crate::config::units::Span;
use crate::failure::Failure;

/// The header with which a caller chooses the provider.
pub static PROVIDER: HeaderName = HeaderName::from_static("x-mynah-provider");

/// What the names of these headers begin with.
const OURS: &str = "x-mynah-";

/// The headers that are for the gateway itself.
#[derive(Debug, Default)]
pub struct Directions<'a> {
    provider: Option<&'a HeaderValue>,
    timeout: Option<&'a HeaderValue>,
    strict: Option<&'a HeaderValue>,
    /// There are tags which a target must have; [`crate::needs`] reads them.
    pub has_tags: bool,
}

impl<'a> Directions<'a> {
    /// Those of a request. They are found in one pass, as most requests have none, and each search would take as long.
    pub fn of(headers: &'a HeaderMap) -> Self {
        let mut directions = Self::default();
        for (name, value) in headers {
            let Some(name) = name.as_str().strip_prefix(OURS) else {
                continue;
            };
            match name {
                "provider" => directions.provider = directions.provider.or(Some(value)),
                "timeout" => directions.timeout = directions.timeout.or(Some(value)),
                "strict" => directions.strict = directions.strict.or(Some(value)),
                "tags" => directions.has_tags = true,
                _ => {}
            }
        }
        directions
    }

    /// The provider that the caller insists on.
    pub fn provider(&self) -> Result<Option<&'a str>, Failure> {
        let name = self.provider.map(HeaderValue::to_str).transpose();
        name.map_err(|_| Failure::provider_unknown("…", ""))
    }

    /// How long the caller allows the whole request to take: a number of seconds, or a duration as in the configuration.
    pub fn timeout(&self) -> Result<Option<Duration>, Failure> {
        let Some(value) = self.timeout else {
            return Ok(None);
        };
        let wrong = || {
            let advice = "write seconds, or a duration such as `500ms`, `30s` or `5m`";
            Failure::header_unreadable("x-mynah-timeout", advice)
        };
        let text = value.to_str().map_err(|_| wrong())?.trim();
        let seconds = text.parse().ok().map(Duration::try_from_secs_f64);
        let timeout = match seconds {
            Some(seconds) => seconds.map_err(|_| wrong())?,
            None => Span::parse(text).map_err(|_| wrong())?.0,
        };
        if timeout.is_zero() {
            Err(wrong())
        } else {
            Ok(Some(timeout))
        }
    }

    /// Whether the caller insists that nothing is lost.
    pub fn is_strict(&self) -> bool {
        self.strict
            .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"true") || value.as_bytes() == b"1")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(all: &[(&'static str, &'static str)]) -> HeaderMap {
        all.iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn the_first_of_each_counts() {
        let none = headers(&[("x-mynah-request-id", "1"), ("x-mynah", "2"), ("timeout", "3")]);
        let none = Directions::of(&none);
        assert!(!none.has_tags && !none.is_strict());
        assert!(matches!((none.provider(), none.timeout()), (Ok(None), Ok(None))));
        let mut all = headers(&[
            ("x-mynah-provider", "a"),
            ("x-mynah-timeout", "1.5"),
            ("x-mynah-strict", "TRUE"),
            ("x-mynah-tags", "eu"),
        ]);
        all.append(PROVIDER.clone(), HeaderValue::from_static("b"));
        let all = Directions::of(&all);
        assert!(all.has_tags && all.is_strict());
        assert_eq!(all.provider().unwrap(), Some("a"));
        assert_eq!(all.timeout().unwrap(), Some(Duration::from_millis(1500)));
    }

    #[test]
    fn what_is_no_timeout_is_refused() {
        for text in ["0", "-1", "soon", "0ms", "NaN"] {
            let headers = headers(&[("x-mynah-timeout", text)]);
            assert!(Directions::of(&headers).timeout().is_err(), "{text}");
        }
    }
}
