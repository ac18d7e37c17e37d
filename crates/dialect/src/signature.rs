//! How a provider's proof of its reasoning travels through a client of another protocol, and back.
//!
//! A proof is worth something only to the provider that made it. A client that echoes it does not know whose it is, so a
//! proof of another protocol is handed out in an envelope: a prefix, then base64url of a small JSON object. What comes back
//! in an envelope is opened again; what comes without one is the caller's protocol's own.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use crate::ir::Signature;
use crate::protocol::Protocol;
use crate::tree::Node;
use crate::writer;

/// How an envelope begins.
pub const PREFIX: &str = "mynah1.";

/// What [`Signature::item`] says of a proof that is a whole block of hidden thoughts (Anthropic `redacted_thinking`).
pub const REDACTED: &str = "redacted";

/// What [`Signature::item`] says of a proof that there is none: the thoughts were told in the clear, and the provider wants them back
/// under the name that is the proof's data (`reasoning_content` of DeepSeek, Moonshot and others).
pub const PLAIN: &str = "plain";

/// How an envelope begins when it was put in base64 once more, as Gemini's clients want it.
const PREFIX_IN_BASE64: &str = "bXluYWgxL";

impl Signature {
    /// A proof in its protocol's own form, by the provider of that name.
    pub fn made_by(protocol: Protocol, provider: &str, data: impl Into<String>) -> Self {
        Self {
            protocol,
            provider: Some(provider.to_owned()),
            data: data.into(),
            item: None,
            for_call: false,
        }
    }

    /// What a client of `protocol` gets: always an envelope, so that it is known whose it is when it comes back.
    pub fn enclose(&self, protocol: Protocol) -> String {
        let mut json = Vec::new();
        writer::object(&mut json, |it| {
            it.text("p", self.protocol.name());
            it.some_text("o", self.provider.as_deref());
            it.text("s", &self.data);
            it.some_text("i", self.item.as_deref());
            if self.for_call {
                it.bool("c", true);
            }
        });
        let envelope = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(json));
        match protocol {
            // Gemini's clients insist on base64 there.
            Protocol::Gemini => STANDARD.encode(envelope),
            _ => envelope,
        }
    }

    /// Reads what a client of `protocol` sent as a proof.
    pub fn open(protocol: Protocol, text: &str) -> Self {
        Self::opened(text).unwrap_or_else(|| Self {
            protocol,
            provider: None,
            data: text.to_owned(),
            item: None,
            for_call: false,
        })
    }

    fn opened(text: &str) -> Option<Self> {
        let unwrapped = if text.starts_with(PREFIX_IN_BASE64) {
            let bytes = crate::media::decode_base64(text)?;
            String::from_utf8(bytes).ok()?
        } else {
            text.to_owned()
        };
        let json = URL_SAFE_NO_PAD.decode(unwrapped.strip_prefix(PREFIX)?).ok()?;
        let node = Node::parse(&json).ok()?;
        let protocol = node.get("p").text()?;
        Some(Self {
            protocol: Protocol::ALL.into_iter().find(|known| known.name() == protocol)?,
            provider: node.get("o").string(),
            data: node.get("s").string()?,
            item: node.get("i").string(),
            for_call: node.get("c").bool().unwrap_or(false),
        })
    }

    /// Whether this proof may be sent to that provider: it made it, or a client brought it in the protocol's own form.
    pub fn belongs_to(&self, protocol: Protocol, provider: &str) -> bool {
        self.protocol == protocol && self.provider.as_deref().is_none_or(|maker| maker == provider)
    }
}

/// The kinds of envelopes that strings of a body begin with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Envelopes {
    plain: bool,
    in_base64: bool,
}

impl Envelopes {
    /// Notes what a string begins with.
    pub(crate) fn look_at(&mut self, string: &[u8]) {
        self.plain |= string.starts_with(PREFIX.as_bytes());
        self.in_base64 |= string.starts_with(PREFIX_IN_BASE64.as_bytes());
    }

    /// Whether a body in a protocol carries an envelope, so that it cannot be passed on as it is. Only Gemini's clients can
    /// send the form in base64.
    pub fn are_in(self, protocol: Protocol) -> bool {
        self.plain || (protocol == Protocol::Gemini && self.in_base64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peek::peek;
    use proptest::prelude::*;

    #[test]
    fn the_prefix_is_recognised_in_base64() {
        assert!(STANDARD.encode(PREFIX).starts_with(PREFIX_IN_BASE64));
    }

    #[test]
    fn an_envelope_is_a_string_that_begins_with_its_prefix() {
        for (body, expected) in [
            (r#"{"x":"mynah1.abc"}"#, true),
            (r#"{"x":{"y":["z","mynah1."]}}"#, true),
            (r#"{"x":"What is mynah1. about?"}"#, false),
            (r#"{"x":"mynah1","y":"bxl"}"#, false),
            (r#"{"x":"bXluYWgxLg"}"#, false),
        ] {
            let envelopes = peek(body.as_bytes()).unwrap().envelopes;
            assert_eq!(envelopes.are_in(Protocol::Anthropic), expected, "{body}");
        }
        assert!(
            peek(br#"{"x":"bXluYWgxLg"}"#)
                .unwrap()
                .envelopes
                .are_in(Protocol::Gemini)
        );
    }

    #[test]
    fn a_proof_without_an_envelope_is_the_callers_own() {
        let signature = Signature::open(Protocol::Anthropic, "EqQB");
        assert_eq!(
            (signature.protocol, signature.data.as_str()),
            (Protocol::Anthropic, "EqQB")
        );
        assert!(signature.belongs_to(Protocol::Anthropic, "anybody"));
        assert!(!signature.belongs_to(Protocol::Gemini, "anybody"));
    }

    proptest! {
        #[test]
        fn what_is_enclosed_can_be_opened(data in ".{0,40}", item in prop::option::of("[a-z0-9_]{1,12}"), for_call: bool, client in 0..5usize) {
            let client = Protocol::ALL[client];
            let signature = Signature { item, for_call, ..Signature::made_by(Protocol::Gemini, "google", data) };
            let sent = signature.enclose(client);
            let body = format!(r#"{{"a":[1,{{"signature":"{sent}"}}]}}"#);
            prop_assert!(peek(body.as_bytes()).unwrap().envelopes.are_in(client));
            let opened = Signature::open(client, &sent);
            prop_assert_eq!(&opened, &signature);
            prop_assert!(opened.belongs_to(Protocol::Gemini, "google") && !opened.belongs_to(Protocol::Gemini, "other"));
        }

        #[test]
        fn opening_never_panics(text in "(mynah1\\.|bXluYWgxL)?[a-zA-Z0-9_=-]{0,40}") {
            let _ = Signature::open(Protocol::Anthropic, &text);
        }
    }
}
