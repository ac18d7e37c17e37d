//! The key that a request brings, where its provider looks for it.

use crate::received::Received;

/// What is to be said of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Missing,
    /// It contains `bad`: that is how tests name keys that are to be refused.
    Wrong,
    Good,
}

/// The key after `authorization: Bearer`.
pub(super) fn bearer(received: &Received) -> Key {
    let value = received.header_text("authorization");
    judged(value.and_then(|value| value.strip_prefix("Bearer ")))
}

/// The key in this header.
pub(super) fn in_header(received: &Received, name: &str) -> Key {
    judged(received.header_text(name))
}

/// The key in this parameter of the query.
pub(super) fn in_query(received: &Received, name: &str) -> Key {
    let pairs = received.query().unwrap_or_default().split('&');
    judged(
        pairs
            .filter_map(|pair| pair.split_once('='))
            .find(|(found, _)| *found == name)
            .map(|(_, key)| key),
    )
}

impl Key {
    /// This one, or the other if it is missing.
    pub(super) fn or(self, other: Self) -> Self {
        if self == Self::Missing { other } else { self }
    }
}

fn judged(key: Option<&str>) -> Key {
    match key {
        None | Some("") => Key::Missing,
        Some(key) if key.contains("bad") => Key::Wrong,
        Some(_) => Key::Good,
    }
}
