//! Answers that are kept for a while and given again to equal requests, for models whose operator wants it.
//!
//! What equal means is said by [`crate::digest`], what may be kept by `stored`. [`Cache`] is where answers are: in the memory of
//! this process, and in a cluster also in Redis, where the other nodes find them.

mod form;
mod memory;
mod recording;
mod stored;
mod wishes;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::http::header::AGE;
use axum::http::{HeaderName, HeaderValue, Response};
use bytes::Bytes;
use http_body_util::Full;
use mynah_dialect::tree::Node;
use serde::Serialize;

use self::memory::Memory;
use self::recording::Recording;
use self::stored::Stored;
use self::wishes::Wishes;
use crate::app::App;
use crate::ask::{Ask, AskBody};
use crate::caller::Caller;
use crate::cluster::answers::{self, Answers};
use crate::digest::{Digest, digest};
use crate::limits::clock::Clock;
use crate::operation::Speech;
use crate::route::Route;

/// The header that says where an answer came from.
static CACHE: HeaderName = HeaderName::from_static("x-mynah-cache");

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

/// The answers that are kept, as one configuration has it.
#[derive(Debug)]
pub struct Cache {
    clock: Clock,
    memory: Arc<Memory>,
    counts: Arc<Counts>,
    /// Where the other nodes find them.
    answers: Option<Arc<Answers>>,
}

/// What has happened since the start.
#[derive(Debug, Default)]
struct Counts {
    hits: AtomicU64,
    misses: AtomicU64,
}

/// How the cache is, for people.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// How many answers are in memory.
    pub answers: usize,
    /// How many bytes they take.
    pub bytes: u64,
    /// Requests that were answered from it since the start.
    pub hits: u64,
    /// Requests for which there was no answer, or none that they wanted.
    pub misses: u64,
    /// How they are shared with other nodes, if they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<answers::Status>,
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

/// Asks for the answer to a request whose model has this rule; `None` where nothing is kept.
pub async fn consult(app: &App, rule: CacheRule, route: &Route, ask: &Ask<'_>, caller: &Caller) -> Option<Consulted> {
    let cache = app.cache.as_ref()?;
    if !may_be_kept(ask) {
        return None;
    }
    let key = digest(ask, route, (!rule.shared).then_some(caller))?;
    let wishes = Wishes::of(ask.headers);
    let mut found = cache.find(&key, wishes);
    if let (None, Some(answers)) = (&found, &cache.answers) {
        found = cache.find_elsewhere(answers, &key, wishes).await;
    }
    if let Some(hit) = found {
        cache.counts.hits.fetch_add(1, Ordering::Relaxed);
        return Some(Consulted::Hit(hit));
    }
    cache.counts.misses.fetch_add(1, Ordering::Relaxed);
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
    /// A cache with room for so many bytes, whose answers are also kept in `answers` for other nodes.
    pub fn new(max_size: u64, clock: Clock, answers: Option<Arc<Answers>>) -> Self {
        Self {
            clock,
            memory: Arc::new(Memory::new(max_size)),
            counts: Arc::default(),
            answers,
        }
    }

    /// The same answers in another configuration.
    #[must_use]
    pub fn with(&self, max_size: u64, answers: Option<Arc<Answers>>) -> Self {
        self.memory.resize(max_size);
        Self {
            clock: self.clock,
            memory: self.memory.clone(),
            counts: self.counts.clone(),
            answers,
        }
    }

    /// How it is.
    pub fn status(&self) -> Status {
        let (answers, bytes) = self.memory.size();
        Status {
            answers,
            bytes,
            hits: self.counts.hits.load(Ordering::Relaxed),
            misses: self.counts.misses.load(Ordering::Relaxed),
            cluster: self.answers.as_ref().map(|answers| answers.status()),
        }
    }

    /// The answer of a key that is in memory, if it is as somebody wishes.
    fn find(&self, key: &Digest, wishes: Wishes) -> Option<Hit> {
        if wishes.anew {
            return None;
        }
        let now = self.clock.now().steady;
        Hit::of(self.memory.find(key, now)?, now, wishes)
    }

    /// The answer of a key that another node has kept. From now on it is in memory too.
    async fn find_elsewhere(&self, answers: &Answers, key: &Digest, wishes: Wishes) -> Option<Hit> {
        if wishes.anew {
            return None;
        }
        let found = answers.find(key).await?;
        let now = self.clock.now().steady;
        let stored = Arc::new(form::read(&found.bytes, found.left, now)?);
        let hit = Hit::of(stored, now, wishes)?;
        // What is in memory, if anything, is older than is wished: this is the newer one.
        self.memory.keep(*key, hit.stored.clone(), now);
        answers.hit();
        Some(hit)
    }

    /// Keeps an answer, from `now` on for so long.
    fn keep(&self, key: Digest, stored: Stored, (now, ttl): (u64, Duration)) {
        let stored = Arc::new(stored);
        if let Some(answers) = &self.answers {
            let size = usize::try_from(stored.size()).unwrap_or(usize::MAX);
            answers.keep(&key, size, ttl, || form::write(&stored));
        }
        self.memory.keep(key, stored, now);
    }
}

// === impl Hit, Slot ===

impl Hit {
    /// An answer, unless it is older than somebody wishes.
    fn of(stored: Arc<Stored>, now: u64, wishes: Wishes) -> Option<Self> {
        let age = stored.age(now);
        wishes
            .max_age
            .is_none_or(|most| age < most)
            .then_some(Self { stored, age })
    }

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
