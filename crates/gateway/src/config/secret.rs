//! Text that must never be printed.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize, Serializer};
use sha2::{Digest, Sha256};

/// The `format` in the JSON Schema of a [`Secret`].
pub const SECRET_FORMAT: &str = "mynah-secret";

/// What is wrong with a credential that is masked.
pub const MASKED: &str =
    "this is how a credential is shown, not the credential itself: write the whole of it, or `${NAME}`";

/// Whether a text is what stands in place of a credential where one is shown, here or by others: `sk-…abcd`, `***`,
/// `redacted:sha256:…`. Written back, it would replace the credential.
pub fn is_masked(text: &str) -> bool {
    ["…", "...", "***", "•••"].iter().any(|mask| text.contains(mask))
        || text
            .trim_start_matches('[')
            .to_ascii_lowercase()
            .starts_with("redacted")
}

/// A credential. It can be compared and used, but its `Debug` and `Serialize` forms show only a fingerprint.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub struct Secret {
    text: String,
    /// The first 32 bits of its SHA-256.
    fingerprint: u32,
}

impl Secret {
    /// Wraps a credential.
    pub fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        let digest = Sha256::digest(text.as_bytes());
        let first = digest.iter().take(4);
        let fingerprint = first.fold(0, |start, byte| start << 8 | u32::from(*byte));
        Self { text, fingerprint }
    }

    /// The credential itself, for the one place that sends or hashes it.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// Enough to tell two credentials apart, and nothing that helps to guess one.
    pub fn fingerprint(&self) -> String {
        format!("redacted:sha256:{:08x}", self.fingerprint_number())
    }

    /// The first 32 bits of its SHA-256: what the fingerprint shows.
    pub fn fingerprint_number(&self) -> u32 {
        self.fingerprint
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text)
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
        json_schema!({
            "type": "string",
            "format": SECRET_FORMAT,
            "description": "A credential; best given as \"${NAME}\".",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_in_place_of_a_credential_is_not_one() {
        let shown = Secret::new("sk-very-secret").fingerprint();
        for masked in [
            "sk-…abcd",
            "sk-...abcd",
            "***",
            "sk-***",
            "[REDACTED]",
            "••••••",
            &shown,
        ] {
            assert!(is_masked(masked), "{masked}");
        }
        for credential in ["sk-proj-a_b-c.d", "AIza..x", "k", "", "ya29.a0"] {
            assert!(!is_masked(credential), "{credential}");
        }
    }

    #[test]
    fn neither_form_shows_the_credential() {
        let secret = Secret::new("sk-very-secret");
        for shown in [format!("{secret:?}"), serde_json::to_string(&secret).unwrap()] {
            assert!(!shown.contains("very") && shown.contains("redacted:sha256:"), "{shown}");
        }
    }
}
