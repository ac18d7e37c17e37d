//! Text that must never be printed.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize, Serializer};
use sha2::{Digest, Sha256};

/// A credential. It can be compared and used, but its `Debug` and `Serialize` forms show only a fingerprint.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct Secret(String);

impl Secret {
    /// Wraps a credential.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The credential itself, for the one place that sends or hashes it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Enough to tell two credentials apart, and nothing that helps to guess one.
    pub fn fingerprint(&self) -> String {
        format!("redacted:sha256:{:08x}", self.fingerprint_number())
    }

    /// The first 32 bits of its SHA-256: what the fingerprint shows.
    pub fn fingerprint_number(&self) -> u32 {
        let digest = Sha256::digest(self.0.as_bytes());
        digest
            .iter()
            .take(4)
            .fold(0, |start, byte| start << 8 | u32::from(*byte))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.fingerprint())
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.fingerprint())
    }
}

impl JsonSchema for Secret {
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "description": "A credential; best given as \"${NAME}\"." })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_form_shows_the_credential() {
        let secret = Secret::new("sk-very-secret");
        for shown in [format!("{secret:?}"), serde_json::to_string(&secret).unwrap()] {
            assert!(!shown.contains("very") && shown.contains("redacted:sha256:"), "{shown}");
        }
    }
}
