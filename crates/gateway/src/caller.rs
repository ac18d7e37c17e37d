//! Who is calling, and what they may ask for.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::sync::Arc;

use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderName};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::config::access::{AccessConfig, ClientConfig};
use crate::failure::Failure;
use crate::limits::{Allowance, Scopes};
use crate::operation::Kind;

static X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
static X_GOOG_API_KEY: HeaderName = HeaderName::from_static("x-goog-api-key");
static API_KEY: HeaderName = HeaderName::from_static("api-key");

/// The SHA-256 of a client's key: all that is kept of it.
pub type KeyHash = [u8; 32];

/// A client that was let in.
#[derive(Debug, Default)]
pub struct Caller {
    /// The name in the log.
    pub name: String,
    /// The group that it belongs to itself; empty for none.
    pub group: String,
    /// The hash of its key; `None` where it came without one.
    pub key: Option<KeyHash>,
    /// Patterns of the models that may be asked for; `None` for all.
    pub models: Option<Vec<String>>,
    /// What may be asked of them; `None` for everything.
    pub routes: Option<Vec<Kind>>,
    /// Words for the ledger.
    pub tags: Vec<String>,
    /// When the key is refused from, in milliseconds since 1970.
    pub expires: Option<u64>,
    /// Came without a key.
    pub anonymous: bool,
    /// Nothing may be lost in translation.
    pub strict: bool,
    /// How much may be asked for; `None` for as much as there is.
    pub allowance: Option<Arc<Allowance>>,
}

impl Caller {
    /// Whoever runs the gateway: everything is allowed.
    pub fn operator() -> Self {
        Self {
            name: "operator".to_owned(),
            ..Self::default()
        }
    }

    /// A client as it is configured. What it consumes is counted in `scopes`.
    fn new(client: &ClientConfig, key: Option<KeyHash>, scopes: &Scopes) -> Arc<Self> {
        Arc::new(Self {
            name: client.name.clone(),
            group: client.group.clone().unwrap_or_default(),
            key,
            models: client.models.clone(),
            routes: client.routes.clone(),
            tags: client.tags.clone(),
            expires: client.expires,
            anonymous: key.is_none(),
            strict: client.strict,
            allowance: scopes.allowance(client),
        })
    }

    /// Whether the key was refused from a moment before `now`, in milliseconds since 1970, on.
    pub fn has_expired(&self, now: impl FnOnce() -> u64) -> bool {
        self.expires.is_some_and(|expires| expires <= now())
    }

    /// Whether a path below the API's version, or a verb of Gemini's, is allowed.
    pub fn may_call(&self, below: &str) -> bool {
        self.routes
            .as_ref()
            .is_none_or(|routes| Kind::of(below).is_some_and(|kind| routes.contains(&kind)))
    }

    /// Whether a model, under the name asked for or as `provider/model`, is allowed.
    pub fn may_use(&self, model: &str) -> bool {
        self.models
            .as_ref()
            .is_none_or(|patterns| patterns.iter().any(|pattern| matches(pattern, model)))
    }

    /// Whether everything of a provider is allowed, as routes that name no model need it.
    pub fn may_use_all_of(&self, provider: &str) -> bool {
        let whole = format!("{provider}/*");
        self.models
            .as_ref()
            .is_none_or(|patterns| patterns.iter().any(|pattern| pattern == "*" || *pattern == whole))
    }
}

/// All clients.
#[derive(Debug)]
pub struct Callers {
    by_hash: HashMap<Fingerprint, Arc<Caller>, BuildHasherDefault<Spread>>,
    anonymous: Option<Arc<Caller>>,
    /// There may be others, who are not known yet.
    is_incomplete: bool,
}

impl Callers {
    /// Those who may call. What they consume is counted in `scopes`.
    pub fn new(access: &AccessConfig, scopes: &Scopes) -> Self {
        let clients = access.clients.iter();
        let anonymous = access.anonymous.as_ref();
        Self {
            by_hash: clients
                .map(|(hash, client)| (Fingerprint::of(hash), Caller::new(client, Some(*hash), scopes)))
                .collect(),
            anonymous: anonymous.map(|client| Caller::new(client, None, scopes)),
            is_incomplete: access.is_incomplete,
        }
    }

    /// Whether there are clients with keys.
    pub fn have_keys(&self) -> bool {
        !self.by_hash.is_empty()
    }

    /// The caller of a request. A wrong key is refused also where no key is needed, unless there are no clients at all
    /// (then whatever an SDK was made to send means nothing).
    /// `query` is the request's: Gemini's clients may put their key there.
    pub fn identify(&self, headers: &HeaderMap, query: &str) -> Result<&Arc<Caller>, Failure> {
        if let Some(anonymous) = self.anonymous.as_ref().filter(|_| !self.have_keys()) {
            return Ok(anonymous);
        }
        let Some(key) = presented_key(headers).or_else(|| key_in(query)) else {
            return self.anonymous.as_ref().ok_or_else(Failure::key_missing);
        };
        match self.by_hash.get(&Fingerprint::of(&hash(key))) {
            Some(caller) => Ok(caller),
            None if self.is_incomplete => Err(Failure::clients_unread()),
            None => Err(Failure::key_wrong()),
        }
    }
}

/// The hash of a key, as it is looked up: compared in constant time.
#[derive(Debug, Eq)]
struct Fingerprint([u64; 4]);

impl Fingerprint {
    fn of(hash: &KeyHash) -> Self {
        let (words, _) = hash.as_chunks();
        let mut fingerprint = [0; 4];
        for (word, bytes) in fingerprint.iter_mut().zip(words) {
            *word = u64::from_le_bytes(*bytes);
        }
        Self(fingerprint)
    }
}

impl PartialEq for Fingerprint {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_slice().ct_eq(&other.0).into()
    }
}

impl Hash for Fingerprint {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [first, ..] = self.0;
        state.write_u64(first);
    }
}

/// A part of a hash is a hash: whoever calls cannot steer it, and it is spread evenly.
#[derive(Debug, Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn write_u64(&mut self, word: u64) {
        self.0 = word;
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// The hash under which a key is kept.
pub fn hash(key: &[u8]) -> KeyHash {
    Sha256::digest(key).into()
}

/// The key that a request carries: `Authorization` with or without `Bearer`, `x-api-key`, `api-key` or
/// `x-goog-api-key`.
fn presented_key(headers: &HeaderMap) -> Option<&[u8]> {
    let value = |name: &HeaderName| headers.get(name).map(|value| value.as_bytes().trim_ascii());
    let authorization = headers.get(AUTHORIZATION).map(|value| {
        let mut key = value.as_bytes().trim_ascii();
        // Who is told to write `Bearer KEY` into a field for the key gets the word twice.
        while let Some((_, rest)) = key
            .split_at_checked(7)
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"bearer "))
        {
            key = rest.trim_ascii_start();
        }
        key
    });
    authorization
        .or_else(|| value(&X_API_KEY))
        .or_else(|| value(&API_KEY))
        .or_else(|| value(&X_GOOG_API_KEY))
        .filter(|key| !key.is_empty())
}

fn key_in(query: &str) -> Option<&[u8]> {
    let key = query.split('&').find_map(|pair| pair.strip_prefix("key="))?;
    Some(key.as_bytes()).filter(|key| !key.is_empty())
}

/// Whether a text fits a pattern in which `*` stands for any text.
pub fn matches(pattern: &str, text: &str) -> bool {
    // Most have one star, at their end.
    if let Some(beginning) = pattern.strip_suffix('*').filter(|text| !text.contains('*')) {
        return text.starts_with(beginning);
    }
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let Some(last) = parts.next_back() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::clock::Clock;

    fn callers_of(clients: Vec<(KeyHash, ClientConfig)>, anonymous: bool) -> Callers {
        let nobody = ClientConfig {
            name: "anonymous".into(),
            ..ClientConfig::default()
        };
        let access = AccessConfig {
            clients,
            anonymous: anonymous.then_some(nobody),
            ..AccessConfig::default()
        };
        Callers::new(&access, &Scopes::new(Clock::start(), None))
    }

    fn callers(anonymous: bool) -> Callers {
        let client = ClientConfig {
            name: "a".into(),
            ..ClientConfig::default()
        };
        callers_of(vec![(hash(b"key-a"), client)], anonymous)
    }

    fn with(name: &'static str, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())])
    }

    #[test]
    fn a_key_is_found_wherever_clients_put_it() {
        for (name, value) in [
            ("authorization", "Bearer key-a"),
            ("authorization", "bearer   key-a"),
            ("authorization", "BEARER key-a"),
            ("authorization", "Bearer bearer key-a"),
            ("authorization", "key-a"),
            ("x-api-key", "key-a"),
            ("api-key", " key-a "),
        ] {
            assert_eq!(
                callers(false).identify(&with(name, value), "").unwrap().name,
                "a",
                "{name}: {value}"
            );
        }
    }

    #[test]
    fn a_wrong_key_is_refused_even_where_none_is_needed() {
        for anonymous in [false, true] {
            for value in ["Bearer key-b", "Bearer key-a-and-more", "Basic key-a"] {
                assert!(
                    callers(anonymous).identify(&with("authorization", value), "").is_err(),
                    "{value}"
                );
            }
        }
        assert!(callers(false).identify(&HeaderMap::new(), "").is_err());
        assert!(callers(false).identify(&with("authorization", "Bearer "), "").is_err());
        assert_eq!(callers(true).identify(&HeaderMap::new(), "").unwrap().name, "anonymous");
    }

    #[test]
    fn without_clients_any_key_means_nothing() {
        let callers = callers_of(Vec::new(), true);
        assert_eq!(
            callers
                .identify(&with("authorization", "Bearer sk-none"), "")
                .unwrap()
                .name,
            "anonymous"
        );
    }

    #[test]
    fn patterns() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("gpt-*", "gpt-5", true),
            ("gpt-*", "agpt-5", false),
            ("*-mini", "gpt-5-mini", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c", false),
            ("ab*bc", "abc", false),
            ("plain", "plain", true),
            ("plain", "plainer", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn everything_of_a_provider_needs_a_pattern_that_says_so() {
        let caller = Caller {
            name: "a".into(),
            models: Some(vec!["smart".into(), "openai/*".into()]),
            ..Caller::default()
        };
        assert!(caller.may_use_all_of("openai") && !caller.may_use_all_of("groq"));
        assert!(caller.may_use("smart") && caller.may_use("openai/gpt-5") && !caller.may_use("gpt-5"));
    }

    #[test]
    fn what_is_allowed_is_allowed_in_every_dialect() {
        let caller = Caller {
            routes: Some(vec![Kind::Chat, Kind::Embeddings]),
            ..Caller::default()
        };
        for below in [
            "/chat/completions",
            "/messages/count_tokens",
            "generateContent",
            "/embed",
        ] {
            assert!(caller.may_call(below), "{below}");
        }
        for below in ["/messages/batches", "/files", "/unheard/of"] {
            assert!(!caller.may_call(below) && Caller::default().may_call(below), "{below}");
        }
    }

    #[test]
    fn a_key_expires_to_the_millisecond() {
        let caller = Caller {
            expires: Some(1000),
            ..Caller::default()
        };
        assert!(!caller.has_expired(|| 999) && caller.has_expired(|| 1000));
        assert!(!Caller::default().has_expired(|| u64::MAX));
    }
}
