//! Answers that are kept for a while and given again to equal requests, for models whose operator wants it.
//!
//! What equal means is said by [`crate::digest`], what may be kept by `stored`. [`Cache`] is where answers are: `find` and `keep`
//! are all that is asked of it.

mod recording;
mod stored;
mod wishes;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::http::header::AGE;
use axum::http::{HeaderName, HeaderValue, Response};
use bytes::Bytes;
use http_body_util::Full;
use mynah_dialect::tree::Node;
use quick_cache::Weighter;
use quick_cache::unsync::Cache as Entries;

use self::recording::Recording;
use self::stored::Stored;
use self::wishes::Wishes;
use crate::app::App;
use crate::ask::{Ask, AskBody};
use crate::caller::Caller;
use crate::digest::{Digest, digest};
use crate::limits::clock::Clock;
use crate::operation::Speech;
use crate::route::Route;

/// The header that says where an answer came from.
static CACHE: HeaderName = HeaderName::from_static("x-mynah-cache");

/// A typical answer with its headers, in bytes: from it follows how much room is set aside for what was evicted lately.
const TYPICAL: u64 = 4 * 1024;

/// How often answers that are too old are looked for, in milliseconds. Nobody gets them in the meantime.
const SWEEP: u64 = 60_000;

/// Members of a request whose answer also depends on what the provider has stored under that name, and changes with it.
const CHANGING: [&str; 4] = ["conversation", "container", "thread", "background"];

/// How answers of a model are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheRule {
    /// How long an answer is given again.
    pub ttl: Duration,
    /// Whether one client gets what another one has asked for.
    pub shared: bool,
    /// The largest answer that is kept, in bytes.
    pub max_answer: usize,
}

/// The answers that are kept.
#[derive(Debug)]
pub struct Cache {
    clock: Clock,
    kept: Mutex<Kept>,
}

#[derive(Debug)]
struct Kept {
    entries: Entries<Digest, Arc<Stored>, Bytewise>,
    /// When answers that are too old were last looked for.
    swept: u64,
}

/// What the cache said.
#[derive(Debug)]
pub enum Consulted {
    /// The answer.
    Hit(Hit),
    /// There is none; who gets one may keep it.
    Miss(Box<Slot>),
}

/// An answer that was kept.
#[derive(Debug)]
pub struct Hit {
    stored: Arc<Stored>,
    /// Its age in milliseconds.
    age: u64,
}

/// Where an answer may be kept.
#[derive(Debug)]
pub struct Slot {
    cache: Arc<Cache>,
    key: Digest,
    rule: CacheRule,
    /// What the header says.
    said: &'static str,
    keeps: bool,
}

/// What entries weigh.
#[derive(Clone, Debug)]
struct Bytewise;

/// Asks for the answer to a request; `None` where nothing is kept.
pub fn consult(app: &App, route: &Route, ask: &Ask<'_>, caller: &Caller) -> Option<Consulted> {
    let (rule, cache) = (route.rules.cache?, app.cache.as_ref()?);
    if !may_be_kept(ask) {
        return None;
    }
    let key = digest(ask, route, (!rule.shared).then_some(caller))?;
    let wishes = Wishes::of(ask.headers);
    let found = if wishes.anew {
        None
    } else {
        cache.find(&key, cache.clock.now().steady)
    };
    if let Some(hit) = found.filter(|hit| wishes.max_age.is_none_or(|most| hit.age < most)) {
        return Some(Consulted::Hit(hit));
    }
    let is_picky = wishes.anew || wishes.max_age.is_some();
    let slot = Slot {
        cache: cache.clone(),
        key,
        rule,
        said: if is_picky { "bypass" } else { "miss" },
        keeps: !wishes.not_kept,
    };
    Some(Consulted::Miss(Box::new(slot)))
}

/// Whether an equal request may ever have the same answer.
fn may_be_kept(ask: &Ask<'_>) -> bool {
    let (Some(operation), AskBody::Json(body, _)) = (ask.operation, &ask.body) else {
        return false;
    };
    match operation.speech {
        Speech::Embeddings(_) | Speech::Rerank { .. } | Speech::Count(_) | Speech::Images => true,
        Speech::Conversation(_) | Speech::Completions => {
            let is_set = |body: &Node<'_>, name: &str| {
                let member = body.get(name);
                !member.is_null() && member.bool() != Some(false)
            };
            Node::parse(body).is_ok_and(|body| !CHANGING.iter().any(|name| is_set(&body, name)))
        }
        Speech::Plain(_) => matches!(operation.below, "/moderations" | "/responses/input_tokens"),
    }
}

// === impl Cache ===

impl Cache {
    /// A cache with room for so many bytes.
    pub fn new(max_size: u64, clock: Clock) -> Self {
        let typical = usize::try_from(max_size / TYPICAL).unwrap_or(usize::MAX);
        Self {
            clock,
            kept: Mutex::new(Kept {
                entries: Entries::with_weighter(typical.max(1), max_size, Bytewise),
                swept: 0,
            }),
        }
    }

    /// The same with room for so many bytes.
    pub fn resized(self: Arc<Self>, max_size: u64) -> Arc<Self> {
        self.lock().entries.set_capacity(max_size);
        self
    }

    /// The answer of a key, unless it is too old at `now`.
    fn find(&self, key: &Digest, now: u64) -> Option<Hit> {
        let kept = self.lock();
        let stored = kept.entries.get(key).filter(|stored| stored.until > now)?;
        Some(Hit {
            stored: stored.clone(),
            age: now.saturating_sub(stored.since),
        })
    }

    /// Keeps an answer, from `now` on for as long as it says.
    fn keep(&self, key: Digest, stored: Stored, now: u64) {
        let mut kept = self.lock();
        kept.sweep(now);
        kept.entries.insert(key, Arc::new(stored));
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// Lets go of what nobody gets any more.
    fn sweep(&mut self, now: u64) {
        if now >= self.swept.saturating_add(SWEEP) {
            self.swept = now;
            self.entries.retain(|_, stored| stored.until > now);
        }
    }
}

impl Weighter<Digest, Arc<Stored>> for Bytewise {
    fn weight(&self, _: &Digest, stored: &Arc<Stored>) -> u64 {
        stored.size()
    }
}

// === impl Hit, Slot ===

impl Hit {
    /// The answer as it was, with its age.
    pub fn response(self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(self.stored.body.clone()));
        let headers = response.headers_mut();
        headers.clone_from(&self.stored.headers);
        headers.insert(CACHE.clone(), HeaderValue::from_static("hit"));
        headers.insert(AGE, HeaderValue::from(self.age / 1000));
        response
    }
}

impl Slot {
    /// Passes an answer on, and keeps it if it turns out to be a good one.
    pub fn fill(self, mut response: axum::response::Response) -> axum::response::Response {
        let said = HeaderValue::from_static(self.said);
        response.headers_mut().insert(CACHE.clone(), said);
        if !self.keeps || !Stored::may_be(&response) {
            return response;
        }
        let (head, body) = response.into_parts();
        let recording = Recording::new(self, &head.headers, body);
        Response::from_parts(head, Body::new(recording))
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderMap;
    use axum::http::header::CONTENT_TYPE;

    use super::*;

    fn stored(length: usize, now: u64) -> Stored {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        let body = format!("[{}]", "1,".repeat(length) + "1");
        Stored::new(headers, body.into_bytes(), now, Duration::from_secs(1)).unwrap()
    }

    fn key(number: u32) -> Digest {
        let mut key = Digest::default();
        key[..4].copy_from_slice(&number.to_le_bytes());
        key
    }

    #[test]
    fn an_answer_is_found_until_it_is_too_old() {
        let cache = Cache::new(1 << 20, Clock::start());
        let now = 1_000_000;
        cache.keep(key(1), stored(1, now), now);
        assert_eq!(cache.find(&key(1), now + 999).map(|hit| hit.age), Some(999));
        assert!(cache.find(&key(1), now + 1000).is_none());
        assert!(cache.find(&key(2), now).is_none());
        // It is let go of when others come, not before the next sweep.
        cache.keep(key(2), stored(1, now + 1000), now + 1000);
        assert_eq!(cache.lock().entries.len(), 2);
        cache.keep(key(3), stored(1, now + SWEEP), now + SWEEP);
        assert_eq!(cache.lock().entries.len(), 1);
    }

    #[test]
    fn what_is_kept_never_takes_more_than_there_is() {
        let cache = Arc::new(Cache::new(100_000, Clock::start()));
        for number in 0..1000 {
            cache.keep(key(number), stored(number as usize, 0), 0);
            assert!(cache.lock().entries.weight() <= 100_000);
        }
        assert!(cache.lock().entries.weight() > 90_000);
        let cache = cache.resized(10_000);
        assert!(cache.lock().entries.weight() <= 10_000);
    }
}
