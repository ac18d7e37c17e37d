//! Keys for clients, made from randomness that nobody can guess.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use crate::caller::hash;
use crate::store::clients::StoredKey;

/// How every key begins. Some tools want `sk-`.
const BEGINNING: &str = "sk-mynah-";

/// As many letters of a key are kept, by which people recognise it: four of those that differ.
const KEPT: usize = BEGINNING.len() + 4;

/// Random bytes in a key.
const LENGTH: usize = 32;

/// A new key, and what is kept of it. `now` is in milliseconds since 1970. An error when the system has no randomness.
pub fn fresh(now: u64) -> Result<(String, StoredKey), String> {
    let mut bytes = [0; LENGTH];
    let random = rustls::crypto::ring::default_provider().secure_random;
    random
        .fill(&mut bytes)
        .map_err(|_| "the system gives no random numbers".to_owned())?;
    let key = format!("{BEGINNING}{}", BASE64_URL_SAFE_NO_PAD.encode(bytes));
    let stored = StoredKey {
        hash: hash(key.as_bytes()),
        prefix: key.chars().take(KEPT).collect(),
        created: now,
        ends: None,
    };
    Ok((key, stored))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_keys_are_alike_and_little_of_them_is_kept() {
        let (one, kept) = fresh(5).unwrap();
        let (other, _) = fresh(5).unwrap();
        assert!(one != other && one.len() == BEGINNING.len() + 43);
        assert!(one.starts_with(&kept.prefix) && kept.prefix.len() == KEPT && kept.created == 5);
        assert_eq!(kept.hash, hash(one.as_bytes()));
    }
}
