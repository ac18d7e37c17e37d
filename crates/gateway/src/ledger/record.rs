//! What is kept of a request: the row of it, and those of its attempts.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::content::Content;
use crate::caller::KeyHash;
use crate::prices::Counts;
use crate::store::Value;

/// The longest text that is kept, in bytes. A caller may ask for a model whose name has megabytes.
const LONGEST: usize = 256;

/// The most that is counted of anything in one request: sums over millions of them must fit into what databases have for
/// numbers, whatever a provider tells.
const MOST: u64 = 1_000_000_000_000;

/// The outcome of an attempt that answered.
pub const ANSWERED: &str = "answered";

/// The columns of a request, in the order of [`Record::values`].
pub const REQUEST_COLUMNS: [&str; 37] = [
    "id",
    "request",
    "time",
    "client",
    "method",
    "path",
    "dialect",
    "streamed",
    "asked",
    "model",
    "provider",
    "status",
    "error",
    "attempts",
    "input",
    "cached",
    "cache_write",
    "audio_input",
    "image_input",
    "output",
    "reasoning",
    "audio_output",
    "images",
    "estimated",
    "cost",
    "waited",
    "own",
    "total",
    "lost",
    "tags",
    "route",
    "provider_dialect",
    "fault",
    "from_cache",
    "attempt_key",
    "attempt_latency",
    "attempt_begun",
];

/// The columns of an attempt that has a row of its own, in the order of [`Record::attempt_values`].
pub const ATTEMPT_COLUMNS: [&str; 9] = [
    "request", "number", "target", "key", "outcome", "status", "latency", "dialect", "begun",
];

/// The columns of what was said, in the order of [`Record::content_values`].
pub const CONTENT_COLUMNS: [&str; 4] = ["request", "prompt", "answer", "is_cut"];

/// A request that is over. What the columns mean is said where they are made: `crate::store::migrations`. Its texts are those of
/// somebody else, where that spares copies.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the fields are the columns")]
pub struct Record<'a> {
    pub id: i64,
    pub node: i64,
    pub request: Cow<'a, str>,
    pub time: u64,
    pub client: Cow<'a, str>,
    pub method: Cow<'a, str>,
    pub path: Cow<'a, str>,
    pub dialect: Cow<'a, str>,
    pub streamed: bool,
    pub asked: Cow<'a, str>,
    pub model: Cow<'a, str>,
    pub status: u16,
    pub error: Option<Cow<'a, str>>,
    pub tokens: Option<Tokens>,
    pub estimated: bool,
    pub cost: Option<u64>,
    pub waited: Option<u64>,
    pub own: Option<u64>,
    pub total: u64,
    pub lost: Cow<'a, str>,
    pub tags: Cow<'a, str>,
    pub route: Cow<'a, str>,
    pub fault: Cow<'a, str>,
    pub from_cache: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_key: Option<KeyHash>,
    pub attempts: Vec<Attempt<'a>>,
    /// The bodies, as they are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<Cow<'a, Content>>,
}

/// What was used, in buckets of which none includes another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[expect(missing_docs, reason = "the fields are the columns")]
pub struct Tokens {
    pub input: u64,
    pub cached: u64,
    pub cache_write: u64,
    pub audio_input: u64,
    pub image_input: u64,
    pub output: u64,
    pub reasoning: u64,
    pub audio_output: u64,
    pub images: u64,
}

/// Somebody who was asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Attempt<'a> {
    /// `provider/model`.
    pub target: Cow<'a, str>,
    /// The first 32 bits of the SHA-256 of the provider's key.
    pub key: Option<u32>,
    /// How it ended.
    pub outcome: Cow<'a, str>,
    /// The status of the answer, if there was one.
    pub status: Option<u16>,
    /// How long it took until the first content or the failure, in microseconds.
    pub latency: Option<u64>,
    /// The provider's dialect, as it was asked.
    pub dialect: Cow<'a, str>,
    /// When it was asked, in microseconds after the request came.
    pub begun: Option<u64>,
}

// === impl Record ===

impl<'a> Record<'a> {
    /// Cuts off what is too long to be kept.
    pub fn shorten(&mut self) {
        let texts = [
            &mut self.request,
            &mut self.client,
            &mut self.path,
            &mut self.asked,
            &mut self.model,
            &mut self.lost,
            &mut self.tags,
            &mut self.route,
        ];
        let targets = self.attempts.iter_mut().map(|attempt| &mut attempt.target);
        for text in texts.into_iter().chain(targets) {
            if text.len() > LONGEST {
                let end = text.floor_char_boundary(LONGEST);
                *text = part(text, |text| text.get(..end).unwrap_or_default());
            }
        }
    }

    /// Who answered, without the model: the names of providers have no slash.
    fn provider(&self) -> Cow<'a, str> {
        part(&self.model, |model| model.split('/').next().unwrap_or_default())
    }

    /// In which dialect the one was asked that answered.
    fn provider_dialect(&self) -> Value<'a> {
        let answered = self.attempts.iter().rev().find(|attempt| attempt.outcome == ANSWERED);
        answered.map_or(Value::Null, |attempt| Value::text(attempt.dialect.clone()))
    }

    /// The one attempt, where the row of the request says all of it: it answered, and the caller got that answer.
    fn only_attempt(&self) -> Option<&Attempt<'a>> {
        let [only] = self.attempts.as_slice() else {
            return None;
        };
        let is_told = only.outcome == ANSWERED && only.target == self.model && only.status == Some(self.status);
        Some(only).filter(|only| is_told && only.begun.is_some())
    }

    /// The row of the request.
    pub fn values(&self) -> [Value<'a>; REQUEST_COLUMNS.len()] {
        let bucket = |of: fn(&Tokens) -> u64| Value::counted(self.tokens.as_ref().map(|tokens| of(tokens).min(MOST)));
        let text = |text: &Cow<'a, str>| Value::text(text.clone());
        let only = self.only_attempt();
        [
            Value::Integer(self.id),
            text(&self.request),
            Value::count(self.time),
            text(&self.client),
            text(&self.method),
            text(&self.path),
            text(&self.dialect),
            Value::count(self.streamed.into()),
            text(&self.asked),
            text(&self.model),
            Value::text(self.provider()),
            Value::count(self.status.into()),
            self.error.as_ref().map_or(Value::Null, text),
            Value::count(self.attempts.len() as u64),
            bucket(|tokens| tokens.input),
            bucket(|tokens| tokens.cached),
            bucket(|tokens| tokens.cache_write),
            bucket(|tokens| tokens.audio_input),
            bucket(|tokens| tokens.image_input),
            bucket(|tokens| tokens.output),
            bucket(|tokens| tokens.reasoning),
            bucket(|tokens| tokens.audio_output),
            bucket(|tokens| tokens.images),
            Value::count(self.estimated.into()),
            Value::counted(self.cost.map(|cost| cost.min(MOST))),
            Value::counted(self.waited),
            Value::counted(self.own),
            Value::count(self.total),
            text(&self.lost),
            text(&self.tags),
            text(&self.route),
            self.provider_dialect(),
            text(&self.fault),
            Value::count(self.from_cache.into()),
            only.map_or(Value::Null, Attempt::key),
            Value::counted(only.and_then(|only| only.latency)),
            Value::counted(only.and_then(|only| only.begun)),
        ]
    }

    /// The row of what was said, where that is kept.
    pub fn content_values(&self) -> Option<[Value<'a>; CONTENT_COLUMNS.len()]> {
        let content = self.content.as_ref()?;
        let (prompt, answer) = match content {
            Cow::Borrowed(content) => (content.prompt.as_str().into(), content.answer.as_str().into()),
            Cow::Owned(content) => (content.prompt.clone().into(), content.answer.clone().into()),
        };
        Some([
            Value::Integer(self.id),
            Value::text(prompt),
            Value::text(answer),
            Value::count(content.is_cut.into()),
        ])
    }

    /// The rows of the attempts that the row of the request does not tell.
    pub fn attempt_values(&self) -> impl Iterator<Item = [Value<'a>; ATTEMPT_COLUMNS.len()]> {
        let apart = match self.only_attempt() {
            Some(_) => &[],
            None => self.attempts.as_slice(),
        };
        (1..).zip(apart).map(|(number, attempt)| {
            [
                Value::Integer(self.id),
                Value::count(number),
                Value::text(attempt.target.clone()),
                attempt.key(),
                Value::Text(attempt.outcome.clone()),
                Value::counted(attempt.status.map(u64::from)),
                Value::counted(attempt.latency),
                Value::text(attempt.dialect.clone()),
                Value::counted(attempt.begun),
            ]
        })
    }
}

/// A part of a text, which is somebody else's if the text is.
fn part<'a>(text: &Cow<'a, str>, of: impl FnOnce(&str) -> &str) -> Cow<'a, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(of(text)),
        Cow::Owned(text) => Cow::Owned(of(text).to_owned()),
    }
}

impl Attempt<'_> {
    fn key(&self) -> Value<'static> {
        self.key
            .map_or(Value::Null, |key| Value::Text(format!("{key:08x}").into()))
    }
}

impl Tokens {
    /// All of the prompt.
    pub fn prompt(&self) -> u64 {
        [self.cached, self.cache_write, self.audio_input, self.image_input]
            .iter()
            .fold(self.input, |sum, count| sum.saturating_add(*count))
    }

    /// All of the answer.
    pub fn answer(&self) -> u64 {
        self.output
            .saturating_add(self.reasoning)
            .saturating_add(self.audio_output)
    }
}

impl From<&Counts> for Tokens {
    fn from(counts: &Counts) -> Self {
        Self {
            input: counts.input,
            cached: counts
                .cached
                .saturating_add(counts.cached_audio)
                .saturating_add(counts.cached_image),
            cache_write: counts.cache_write.saturating_add(counts.cache_write_1h),
            audio_input: counts.audio_input,
            image_input: counts.image_input,
            output: counts.output.saturating_add(counts.image_output),
            reasoning: counts.reasoning,
            audio_output: counts.audio_output,
            images: counts.images,
        }
    }
}
