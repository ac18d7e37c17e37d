//! What a request has in common with those that may have its answer.

use axum::http::HeaderMap;
use sha2::{Digest as _, Sha256};

use crate::ask::{Ask, AskBody};
use crate::caller::Caller;
use crate::route::Route;

/// The SHA-256 of all that makes an answer. Nothing shorter: two requests with one key would get each other's answers.
pub type Digest = [u8; 32];

/// Headers that tell requests apart and mean nothing to an answer.
const VOLATILE: [&str; 35] = [
    // Who asks.
    "authorization",
    "x-api-key",
    "api-key",
    "x-goog-api-key",
    "cookie",
    "forwarded",
    "origin",
    "proxy-authorization",
    "referer",
    "user-agent",
    "via",
    "x-real-ip",
    // Which of their requests it is.
    "baggage",
    "b3",
    "date",
    "idempotency-key",
    "sentry-trace",
    "traceparent",
    "tracestate",
    "x-amzn-trace-id",
    "x-cloud-trace-context",
    "x-mynah-request-id",
    "x-mynah-session",
    "x-request-id",
    // How it comes, and how its answer goes back.
    "accept-encoding",
    "cache-control",
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "pragma",
    "priority",
    "te",
    "transfer-encoding",
];

/// How the names of further ones begin.
const VOLATILE_FAMILIES: [&str; 6] = ["x-stainless-", "x-forwarded-", "sec-", "x-b3-", "x-datadog-", "cf-"];

/// The digest of a request whose body is JSON: what is asked, in which words, where it may go, and who asks, unless
/// `client` is `None`.
pub fn digest(ask: &Ask<'_>, route: &Route, client: Option<&Caller>) -> Option<Digest> {
    let AskBody::Json(body, _) = &ask.body else {
        return None;
    };
    let mut hash = Parts::default();
    match client {
        Some(client) => hash.list([client.name.as_bytes()]),
        None => hash.list([]),
    }
    hash.list([
        ask.operation?.path.as_bytes(),
        ask.model_in_path.unwrap_or_default().as_bytes(),
        ask.query.as_bytes(),
        &[ask.strict.into()],
        route.name.as_bytes(),
    ]);
    for target in route.targets() {
        hash.list([target.provider.name.as_bytes(), target.model.as_bytes()]);
        for endpoint in &target.provider.endpoints {
            let base = &endpoint.base;
            hash.list([
                base.scheme.as_str().as_bytes(),
                base.authority.as_str().as_bytes(),
                base.path.as_bytes(),
            ]);
        }
    }
    // Where the targets end and the headers begin.
    hash.list([]);
    for (name, value) in telling(ask.headers) {
        hash.list([name.as_bytes(), value]);
    }
    hash.list([body.as_ref()]);
    Some(hash.0.finalize().into())
}

/// The headers that may make a difference, by their names. Those of one name stay in their order.
fn telling(headers: &HeaderMap) -> Vec<(&str, &[u8])> {
    let mut telling: Vec<(&str, &[u8])> = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()))
        .filter(|(name, _)| !is_volatile(name))
        .collect();
    telling.sort_by_key(|(name, _)| *name);
    telling
}

fn is_volatile(name: &str) -> bool {
    VOLATILE.contains(&name) || VOLATILE_FAMILIES.iter().any(|family| name.starts_with(family))
}

/// A hash of lists of parts. What is hashed tells where each list and each part ends, so that none can pass for another.
#[derive(Default)]
struct Parts(Sha256);

impl Parts {
    fn list<const COUNT: usize>(&mut self, parts: [&[u8]; COUNT]) {
        self.0.update(COUNT.to_le_bytes());
        for part in parts {
            self.0.update(part.len().to_le_bytes());
            self.0.update(part);
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn headers_count_by_their_names_unless_they_mean_nothing() {
        let one = headers(&[
            ("openai-beta", "b"),
            ("authorization", "key"),
            ("x-stainless-retry-count", "1"),
            ("cf-ray", "1"),
            ("cache-control", "no-cache"),
            ("accept", "a"),
        ]);
        let other = headers(&[("accept", "a"), ("openai-beta", "b"), ("x-request-id", "1")]);
        assert_eq!(telling(&one), telling(&other));
        assert_eq!(telling(&one), [("accept", b"a".as_slice()), ("openai-beta", b"b")]);
        for name in [
            "x-mynah-provider",
            "x-mynah-tags",
            "anthropic-beta",
            "anthropic-version",
        ] {
            assert_ne!(telling(&headers(&[(name, "a")])), [], "{name}");
        }
    }

    #[test]
    fn lists_do_not_pass_for_one_another() {
        let hash = |of: fn(&mut Parts)| {
            let mut parts = Parts::default();
            of(&mut parts);
            parts.0.finalize()
        };
        let all = [
            hash(|parts| parts.list([b"a", b"b"])),
            hash(|parts| parts.list([b"ab"])),
            hash(|parts| parts.list([b"", b"ab"])),
            hash(|parts| {
                parts.list([b"a"]);
                parts.list([b"b"]);
            }),
        ];
        for (at, one) in all.iter().enumerate() {
            assert!(all.iter().skip(at + 1).all(|other| other != one));
        }
    }
}
