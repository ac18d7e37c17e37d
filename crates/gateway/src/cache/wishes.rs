//! What a caller says about answers that were kept, as HTTP has it (RFC 9111, section 5.2.1).

use axum::http::HeaderMap;
use axum::http::header::CACHE_CONTROL;

/// What a caller says about answers that were kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Wishes {
    /// It wants no such answer (`no-cache`).
    pub(super) anew: bool,
    /// Its own answer must not be kept (`no-store`).
    pub(super) not_kept: bool,
    /// It wants none that is as old as this, in milliseconds (`max-age`).
    pub(super) max_age: Option<u64>,
}

impl Wishes {
    /// What the headers of a request say.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut wishes = Self::default();
        for value in headers.get_all(CACHE_CONTROL) {
            // What cannot be read wants the most.
            let value = value.to_str().unwrap_or("no-cache, no-store");
            value.split(',').for_each(|directive| wishes.heed(directive.trim()));
        }
        wishes
    }

    fn heed(&mut self, directive: &str) {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        match name.to_ascii_lowercase().as_str() {
            "no-cache" => self.anew = true,
            "no-store" => self.not_kept = true,
            "max-age" => {
                let seconds: u64 = value.trim_matches('"').parse().unwrap_or(0);
                let most = seconds.saturating_mul(1000);
                self.max_age = Some(self.max_age.map_or(most, |before| before.min(most)));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn directives_are_heeded_in_any_spelling() {
        let (anew, not_kept) = (true, true);
        for (values, wishes) in [
            (&[][..], Wishes::default()),
            (&["public, immutable"], Wishes::default()),
            (
                &["No-Cache"],
                Wishes {
                    anew,
                    ..Wishes::default()
                },
            ),
            (
                &["no-store"],
                Wishes {
                    not_kept,
                    ..Wishes::default()
                },
            ),
            (
                &["no-cache,no-store"],
                Wishes {
                    anew,
                    not_kept,
                    ..Wishes::default()
                },
            ),
            (
                &["no-store", "no-cache"],
                Wishes {
                    anew,
                    not_kept,
                    ..Wishes::default()
                },
            ),
            (
                &["max-age=60"],
                Wishes {
                    max_age: Some(60_000),
                    ..Wishes::default()
                },
            ),
            (
                &["max-age=\"60\" , max-age=5"],
                Wishes {
                    max_age: Some(5000),
                    ..Wishes::default()
                },
            ),
            (
                &["max-age=soon"],
                Wishes {
                    max_age: Some(0),
                    ..Wishes::default()
                },
            ),
            (
                &["\u{e9}"],
                Wishes {
                    anew,
                    not_kept,
                    ..Wishes::default()
                },
            ),
        ] {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(CACHE_CONTROL, HeaderValue::from_bytes(value.as_bytes()).unwrap());
            }
            assert_eq!(Wishes::of(&headers), wishes, "{values:?}");
        }
    }
}
