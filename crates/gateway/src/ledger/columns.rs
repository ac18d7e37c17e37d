//! The columns of the tables, and what a record has in them.

use std::borrow::Cow;

use super::ids::soon_after;
use super::record::{ANSWERED, Attempt, Record, Tokens, part};
use crate::store::Value;

/// The most that is counted of anything in one request: sums over millions of them must fit into what databases have for
/// numbers, whatever a provider tells.
const MOST: u64 = 1_000_000_000_000;

/// The columns in which requests differ, in the order of [`Record::own_values`].
pub const OWN_COLUMNS: [&str; 19] = [
    "id",
    "request",
    "time",
    "input",
    "cached",
    "cache_write",
    "audio_input",
    "image_input",
    "output",
    "reasoning",
    "audio_output",
    "images",
    "cost",
    "waited",
    "own",
    "total",
    "attempt_latency",
    "attempt_begun",
    "found_by_time",
];

/// The columns that many requests have in common, in the order of [`Record::shared_values`].
pub const SHARED_COLUMNS: [&str; 20] = [
    "client",
    "client_group",
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
    "estimated",
    "lost",
    "tags",
    "route",
    "provider_dialect",
    "fault",
    "from_cache",
    "attempt_key",
];

/// The columns of an attempt that has a row of its own, in the order of [`Record::attempt_values`].
pub const ATTEMPT_COLUMNS: [&str; 9] = [
    "request", "number", "target", "key", "outcome", "status", "latency", "dialect", "begun",
];

/// The columns of what was said, in the order of [`Record::content_values`].
pub const CONTENT_COLUMNS: [&str; 4] = ["request", "prompt", "answer", "is_cut"];

impl<'a> Record<'a> {
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
        let [only] = self.attempts.as_ref() else {
            return None;
        };
        let is_told = only.outcome == ANSWERED && only.target == self.model && only.status == Some(self.status);
        Some(only).filter(|only| is_told && only.begun.is_some())
    }

    /// What the row of the request has of its own.
    pub fn own_values(&self) -> [Value<'a>; OWN_COLUMNS.len()] {
        let bucket = |of: fn(&Tokens) -> u64| Value::counted(self.tokens.as_ref().map(|tokens| of(tokens).min(MOST)));
        let only = self.only_attempt();
        [
            Value::Integer(self.id),
            Value::text(self.request.clone()),
            Value::count(self.time),
            bucket(|tokens| tokens.input),
            bucket(|tokens| tokens.cached),
            bucket(|tokens| tokens.cache_write),
            bucket(|tokens| tokens.audio_input),
            bucket(|tokens| tokens.image_input),
            bucket(|tokens| tokens.output),
            bucket(|tokens| tokens.reasoning),
            bucket(|tokens| tokens.audio_output),
            bucket(|tokens| tokens.images),
            Value::counted(self.cost.map(|cost| cost.min(MOST))),
            Value::counted(self.waited),
            Value::counted(self.own),
            Value::count(self.total),
            Value::counted(only.and_then(|only| only.latency)),
            Value::counted(only.and_then(|only| only.begun)),
            Value::count(self.is_found_by_time().into()),
        ]
    }

    /// Whether the id of the request tells where the row is.
    fn is_found_by_time(&self) -> bool {
        soon_after(&self.request).is_some_and(|rows| rows.contains(&self.id))
    }

    /// What it may have in common with others.
    pub fn shared_values(&self) -> [Value<'a>; SHARED_COLUMNS.len()] {
        let text = |text: &Cow<'a, str>| Value::text(text.clone());
        [
            text(&self.client),
            text(&self.client_group),
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
            Value::count(self.estimated.into()),
            text(&self.lost),
            text(&self.tags),
            text(&self.route),
            self.provider_dialect(),
            text(&self.fault),
            Value::count(self.from_cache.into()),
            self.only_attempt().map_or(Value::Null, Attempt::key),
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
            None => self.attempts.as_ref(),
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

impl Attempt<'_> {
    fn key(&self) -> Value<'static> {
        self.key
            .map_or(Value::Null, |key| Value::Text(format!("{key:08x}").into()))
    }
}
