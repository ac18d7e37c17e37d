//! The headers of a call to a provider.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use mynah_dialect::Dialect;

use crate::provider::Endpoint;

static ANTHROPIC_VERSION: HeaderName = HeaderName::from_static("anthropic-version");

/// The version of Anthropic's API that is spoken where nobody says another one.
static LATEST_VERSION: HeaderValue = HeaderValue::from_static("2023-06-01");

/// The headers of a call, in the order in which they are sent. They lie where they come from, most of them in the caller's
/// request: they are only written once, and a map of their own would copy and hash each of them first.
#[derive(Clone, Debug, Default)]
pub struct CallHeaders<'a>(Vec<(&'a HeaderName, &'a HeaderValue)>);

impl<'a> CallHeaders<'a> {
    /// None yet, with room for so many.
    pub fn with_capacity(capacity: usize) -> Self {
        Self(Vec::with_capacity(capacity))
    }

    /// Adds a header beside those that have the same name.
    pub fn append(&mut self, name: &'a HeaderName, value: &'a HeaderValue) {
        self.0.push((name, value));
    }

    /// Adds a header in place of those that have the same name.
    pub fn insert(&mut self, name: &'a HeaderName, value: &'a HeaderValue) {
        self.0.retain(|(other, _)| *other != name);
        self.append(name, value);
    }

    /// Anthropic's API wants to be told its version; that of a caller who says one stays.
    pub fn extend_with_version(&mut self, endpoint: &Endpoint) {
        if endpoint.dialect == Dialect::Anthropic && !self.0.iter().any(|(name, _)| **name == ANTHROPIC_VERSION) {
            self.append(&ANTHROPIC_VERSION, &LATEST_VERSION);
        }
    }

    /// Adds headers, each in place of those that have the same name.
    pub fn extend(&mut self, headers: &'a [(HeaderName, HeaderValue)]) {
        for (name, value) in headers {
            self.insert(name, value);
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = (&'a HeaderName, &'a HeaderValue)> {
        self.0.iter().copied()
    }

    /// The same as a map.
    pub fn to_map(&self) -> HeaderMap {
        let mut map = HeaderMap::with_capacity(self.len());
        for (name, value) in self.iter() {
            map.append(name, value.clone());
        }
        map
    }
}

impl<'a> From<&'a HeaderMap> for CallHeaders<'a> {
    fn from(headers: &'a HeaderMap) -> Self {
        Self(headers.iter().collect())
    }
}
