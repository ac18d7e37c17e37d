//! Signatures that a persona knows again: for thinking that must come back as it was.

use crate::base64;

/// A signature of a persona over a text.
pub(super) fn seal(persona: &str, text: &str) -> String {
    let digest = digest(text);
    let check = digest_with(&[persona, &digest]);
    base64::encode(format!("{persona}:{digest}:{check}").as_bytes())
}

/// Whether this is a signature of that persona, over whatever text.
pub(super) fn is_sealed(persona: &str, signature: &str) -> bool {
    let Some(opened) = base64::decode(signature).and_then(|bytes| String::from_utf8(bytes).ok()) else {
        return false;
    };
    let mut parts = opened.split(':');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(name), Some(digest), Some(check)) => name == persona && check == digest_with(&[persona, digest]),
        _ => false,
    }
}

fn digest_with(texts: &[&str]) -> String {
    digest(&texts.join("/"))
}

/// FNV-1a.
fn digest(text: &str) -> String {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_persona_knows_its_own_signatures_only() {
        let signature = seal("anthropic", "thought");
        assert!(is_sealed("anthropic", &signature));
        assert!(!is_sealed("gemini", &signature));
        assert!(!is_sealed("anthropic", "bm90IG1pbmU="));
        assert!(!is_sealed("anthropic", "€"));
    }
}
