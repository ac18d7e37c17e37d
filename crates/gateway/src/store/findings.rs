//! What databases tell about requests.

use std::collections::HashMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use super::Value;
use super::question::By;
use crate::ledger::content::Content;
use crate::ledger::record::Tokens;

/// What some requests came to. Tokens are in buckets of which none includes another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Usage {
    /// The client, model, provider, day (`2026-11-21`), hour (`2026-11-21T10:00Z`) or tag; empty for requests that have none.
    pub name: String,
    /// Requests.
    pub requests: u64,
    /// Of these, those that were answered with an error, cut off or given up.
    pub errors: u64,
    /// Tokens of prompts.
    pub input: u64,
    /// Tokens of prompts that were read from a cache.
    pub cached: u64,
    /// Tokens of prompts that were written to a cache.
    pub cache_write: u64,
    /// Tokens of sound in prompts.
    pub audio_input: u64,
    /// Tokens of pictures in prompts.
    pub image_input: u64,
    /// Tokens of answers.
    pub output: u64,
    /// Tokens of reasoning.
    pub reasoning: u64,
    /// Tokens of sound in answers.
    pub audio_output: u64,
    /// Pictures that were made.
    pub images: u64,
    /// What the requests of a known price cost, in nano-dollars.
    #[serde(rename = "cost_nano_usd")]
    pub cost: u64,
    /// Requests whose answer was kept from an earlier one: they used nothing.
    pub from_cache: u64,
    /// Requests whose tokens are an estimate.
    pub estimated: u64,
    /// Requests that were answered, and whose price is not known.
    pub unpriced: u64,
}

/// What a client consumed within a short time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Consumed {
    /// The client.
    pub client: String,
    /// The group that it belonged to; empty for none, or for one that was not written down.
    pub group: String,
    /// Requests that somebody was asked.
    pub requests: u64,
    /// Tokens of their prompts and answers.
    pub tokens: u64,
    /// When the first of them came, in milliseconds since 1970.
    pub first: u64,
    /// When the last of them came.
    pub last: u64,
}

/// What a client spent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// The client.
    pub client: String,
    /// The group that it belonged to; empty for none, or for one that was not written down.
    pub group: String,
    /// In nano-dollars.
    pub cost: u64,
}

/// Some of the requests that were looked for, the newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Page {
    /// The requests.
    pub requests: Vec<Brief>,
    /// The row before which the next page begins, if there may be one.
    #[serde(serialize_with = "as_text_if_any")]
    #[schemars(with = "Option<String>")]
    pub next: Option<i64>,
}

/// A request in a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "Request")]
pub struct Brief {
    /// The row's id; in JSON as text, as JavaScript has no numbers that large.
    #[serde(serialize_with = "as_text")]
    #[schemars(with = "String")]
    pub id: i64,
    /// The id in `x-request-id`.
    pub request: String,
    /// When it came, in milliseconds since 1970.
    #[serde(rename = "time_ms")]
    pub time: u64,
    /// Who called.
    pub client: String,
    /// The path that was called.
    pub path: String,
    /// The caller's dialect.
    pub dialect: String,
    /// The dialect of the provider that answered.
    pub provider_dialect: String,
    /// Whether a stream was asked for.
    pub streamed: bool,
    /// The model asked for.
    pub asked: String,
    /// The name that led to the targets.
    pub route: String,
    /// Who answered, as `provider/model`.
    pub model: String,
    /// Who answered, without the model.
    pub provider: String,
    /// The status of the reply.
    pub status: u64,
    /// Why it failed.
    pub error: Option<String>,
    /// Whose fault that is: `caller`, `provider` or `gateway`.
    pub fault: Option<String>,
    /// How many times somebody was asked.
    pub attempts: u64,
    /// Whether the answer was kept from an earlier request.
    pub from_cache: bool,
    /// Tokens of the prompt, where they are known.
    pub prompt: Option<u64>,
    /// Tokens of the answer, where they are known.
    pub answer: Option<u64>,
    /// Whether the tokens are an estimate.
    pub estimated: bool,
    /// In nano-dollars, where that is known.
    #[serde(rename = "cost_nano_usd")]
    pub cost: Option<u64>,
    /// How long the gateway waited for providers until the first content, in microseconds.
    #[serde(rename = "waited_us")]
    pub waited: Option<u64>,
    /// The gateway's own part of the time until then, in microseconds.
    #[serde(rename = "own_us")]
    pub own: Option<u64>,
    /// How long it took, in microseconds.
    #[serde(rename = "total_us")]
    pub total: u64,
    /// What could not be said in the provider's protocol.
    pub lost: String,
    /// The tags.
    pub tags: String,
}

/// All that is known of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "WholeRequest")]
pub struct Whole {
    /// What a list tells too.
    #[serde(flatten)]
    pub brief: Brief,
    /// The method of the call.
    pub method: String,
    /// What was used, where that is known.
    pub tokens: Option<Tokens>,
    /// Who was asked, in order.
    pub tried: Vec<Tried>,
    /// What was said, where that is kept.
    pub content: Option<Content>,
}

/// Somebody who was asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "Attempt")]
pub struct Tried {
    /// `provider/model`.
    pub target: String,
    /// The first 8 hexadecimal digits of the SHA-256 of the provider's key.
    pub key: Option<String>,
    /// How it ended.
    pub outcome: String,
    /// The status of the answer, if there was one.
    pub status: Option<u64>,
    /// How long it took until the first content or the failure, in microseconds.
    #[serde(rename = "latency_us")]
    pub latency: Option<u64>,
    /// The provider's dialect, as it was asked.
    pub dialect: String,
    /// When it was asked, in microseconds after the request came.
    #[serde(rename = "begun_us")]
    pub begun: Option<u64>,
}

/// A row of an answer: the values of the columns by their names.
#[derive(Debug)]
pub struct Row(pub HashMap<String, Value<'static>>);

// === impl Row ===

impl Row {
    pub(super) fn integer(&self, column: &str) -> Option<i64> {
        match self.0.get(column) {
            Some(Value::Integer(number)) => Some(*number),
            _ => None,
        }
    }

    /// A number, if there is one. None of the ledger's is negative.
    pub(super) fn known(&self, column: &str) -> Option<u64> {
        self.integer(column).map(|number| u64::try_from(number).unwrap_or(0))
    }

    pub(super) fn count(&self, column: &str) -> u64 {
        self.known(column).unwrap_or(0)
    }

    fn is(&self, column: &str) -> bool {
        self.integer(column) == Some(1)
    }

    fn text_if_any(&self, column: &str) -> Option<String> {
        match self.0.get(column) {
            Some(Value::Text(text)) => Some(text.to_string()),
            _ => None,
        }
    }

    pub(super) fn text(&self, column: &str) -> String {
        self.text_if_any(column).unwrap_or_default()
    }
}

// === impl Usage ===

impl Usage {
    /// Out of the rows of [`super::question::usage`], in their order.
    pub(super) fn read(by: By, rows: &[Row]) -> Vec<Self> {
        match by {
            By::Tag => by_tag(rows),
            By::Day => rows
                .iter()
                .rev()
                .map(|row| Self::row(moment(row, 86_400_000, "%Y-%m-%d"), row))
                .collect(),
            By::Hour => rows
                .iter()
                .rev()
                .map(|row| Self::row(moment(row, 3_600_000, "%Y-%m-%dT%H:%MZ"), row))
                .collect(),
            By::Client | By::Model | By::Provider => rows.iter().map(|row| Self::row(row.text("name"), row)).collect(),
        }
    }

    fn row(name: String, row: &Row) -> Self {
        Self {
            name,
            requests: row.count("requests"),
            errors: row.count("errors"),
            input: row.count("input"),
            cached: row.count("cached"),
            cache_write: row.count("cache_write"),
            audio_input: row.count("audio_input"),
            image_input: row.count("image_input"),
            output: row.count("output"),
            reasoning: row.count("reasoning"),
            audio_output: row.count("audio_output"),
            images: row.count("images"),
            cost: row.count("cost"),
            from_cache: row.count("from_cache"),
            estimated: row.count("estimated"),
            unpriced: row.count("unpriced"),
        }
    }

    fn add(&mut self, other: &Self) {
        let pairs = [
            (&mut self.requests, other.requests),
            (&mut self.errors, other.errors),
            (&mut self.input, other.input),
            (&mut self.cached, other.cached),
            (&mut self.cache_write, other.cache_write),
            (&mut self.audio_input, other.audio_input),
            (&mut self.image_input, other.image_input),
            (&mut self.output, other.output),
            (&mut self.reasoning, other.reasoning),
            (&mut self.audio_output, other.audio_output),
            (&mut self.images, other.images),
            (&mut self.cost, other.cost),
            (&mut self.from_cache, other.from_cache),
            (&mut self.estimated, other.estimated),
            (&mut self.unpriced, other.unpriced),
        ];
        for (sum, more) in pairs {
            *sum = sum.saturating_add(more);
        }
    }
}

/// What was added up by all tags of a request at once, by each of them.
fn by_tag(rows: &[Row]) -> Vec<Usage> {
    let mut sums = HashMap::<String, Usage>::new();
    for row in rows {
        let usage = Usage::row(String::new(), row);
        let name = row.text("name");
        let mut tags: Vec<&str> = name.split(',').filter(|tag| !tag.is_empty()).collect();
        tags.sort_unstable();
        tags.dedup();
        if tags.is_empty() {
            tags.push("");
        }
        for tag in tags {
            sums.entry(tag.to_owned()).or_default().add(&usage);
        }
    }
    let named = sums.into_iter().map(|(name, sum)| Usage { name, ..sum });
    let mut sums: Vec<Usage> = named.collect();
    sums.sort_by(|one, other| (other.cost, other.requests, &one.name).cmp(&(one.cost, one.requests, &other.name)));
    sums
}

/// The beginning of a span of time, of which the row has the number since 1970.
fn moment(row: &Row, milliseconds: i64, format: &str) -> String {
    let number = row.integer("name").unwrap_or(0);
    let begins = Timestamp::from_millisecond(number.saturating_mul(milliseconds)).unwrap_or_default();
    begins.strftime(format).to_string()
}

// === impl Consumed, Spent ===

impl From<&Row> for Consumed {
    fn from(row: &Row) -> Self {
        Self {
            client: row.text("client"),
            group: row.text("client_group"),
            requests: row.count("requests"),
            tokens: row.count("tokens"),
            first: row.count("first"),
            last: row.count("last"),
        }
    }
}

impl From<&Row> for Spent {
    fn from(row: &Row) -> Self {
        Self {
            client: row.text("client"),
            group: row.text("client_group"),
            cost: row.count("cost"),
        }
    }
}

// === impl Brief, Whole, Tried ===

impl From<&Row> for Brief {
    fn from(row: &Row) -> Self {
        Self {
            id: row.integer("id").unwrap_or(0),
            request: row.text("request"),
            time: row.count("time"),
            client: row.text("client"),
            path: row.text("path"),
            dialect: row.text("dialect"),
            provider_dialect: row.text("provider_dialect"),
            streamed: row.is("streamed"),
            asked: row.text("asked"),
            route: row.text("route"),
            model: row.text("model"),
            provider: row.text("provider"),
            status: row.count("status"),
            error: row.text_if_any("error"),
            fault: row.text_if_any("fault"),
            attempts: row.count("attempts"),
            from_cache: row.is("from_cache"),
            prompt: row.known("prompt"),
            answer: row.known("answer"),
            estimated: row.is("estimated"),
            cost: row.known("cost"),
            waited: row.known("waited"),
            own: row.known("own"),
            total: row.count("total"),
            lost: row.text("lost"),
            tags: row.text("tags"),
        }
    }
}

impl Whole {
    /// Out of the row of a request, and those of its attempts.
    pub(super) fn read(row: &Row, attempts: &[Row], content: Option<&Row>) -> Self {
        let tokens = row.known("input").map(|input| Tokens {
            input,
            cached: row.count("cached"),
            cache_write: row.count("cache_write"),
            audio_input: row.count("audio_input"),
            image_input: row.count("image_input"),
            output: row.count("output"),
            reasoning: row.count("reasoning"),
            audio_output: row.count("audio_output"),
            images: row.count("images"),
        });
        Self {
            brief: row.into(),
            method: row.text("method"),
            tokens,
            tried: attempts.iter().map(Tried::from).collect(),
            content: content.map(|content| Content {
                prompt: content.text("prompt"),
                answer: content.text("answer"),
                is_cut: content.is("is_cut"),
            }),
        }
    }
}

impl From<&Row> for Tried {
    fn from(row: &Row) -> Self {
        Self {
            target: row.text("target"),
            key: row.text_if_any("key"),
            outcome: row.text("outcome"),
            status: row.known("status"),
            latency: row.known("latency"),
            dialect: row.text("dialect"),
            begun: row.known("begun"),
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn as_text<S: Serializer>(id: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}

#[expect(clippy::ref_option, reason = "serde calls it so")]
fn as_text_if_any<S: Serializer>(id: &Option<i64>, serializer: S) -> Result<S::Ok, S::Error> {
    match id {
        Some(id) => serializer.collect_str(id),
        None => serializer.serialize_none(),
    }
}
