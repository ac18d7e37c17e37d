//! `[models]` as they are written, with what holds for all of them: `[routing]` and `[cache]`.

use std::time::Duration;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::file::{ModelTimeouts, is_default};
use super::price::PriceTable;
use super::units::{Size, Span};
use crate::balance::Strategy;
use crate::operation::Kind;

/// How an answer is found: what holds for every model that does not say otherwise.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Routing {
    /// Only the names of `[models]` can be asked for, not also `provider/model` and what providers list.
    pub configured_only: bool,
    /// The models of requests that name none, by what is asked for: `{ chat = "gpt-5.2", embeddings = "…" }`.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub default_models: IndexMap<Kind, String>,
    /// How many more rounds of attempts a request gets when nobody has answered. In each round everybody is asked who may
    /// do better.
    pub retries: u32,
    /// The pause before the second round; twice as long before each further one.
    pub backoff: Span,
    /// The longest pause between two rounds.
    pub max_backoff: Span,
    /// How long a request may wait in all, for pauses and for keys that rest. Beyond it, it is answered with 429 or the
    /// provider's error.
    pub max_wait: Span,
    /// How long a request may take, to the end of its answer. Default: as long as it takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
    /// List models by their providers' ids alone, each once: no further `provider/id` for those that several providers
    /// serve.
    pub plain_ids: bool,
    /// The largest answer that is held until it is whole, so that one that is cut off is asked for again; a larger one is
    /// passed on as it comes.
    pub max_held: Size,
}

impl Default for Routing {
    fn default() -> Self {
        Self {
            configured_only: false,
            default_models: IndexMap::new(),
            retries: 2,
            backoff: Span(Duration::from_millis(200)),
            max_backoff: Span::seconds(5),
            max_wait: Span::seconds(5),
            timeout: None,
            plain_ids: false,
            max_held: Size::mebibytes(4),
        }
    }
}

/// Where the answers are kept of models with a `cache`: in memory, and in a cluster also in Redis.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Cache {
    /// The most bytes that all of them take in memory. Those make room that were not asked for again.
    pub max_size: Size,
    /// The largest answer that is kept.
    pub max_answer: Size,
    /// Keep them in the Redis of `[cluster]` too, where the other nodes find them. Default: where there is a `[cluster]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<bool>,
}

impl Default for Cache {
    fn default() -> Self {
        Self {
            max_size: Size::mebibytes(64),
            max_answer: Size::mebibytes(1),
            cluster: None,
        }
    }
}

/// A name that clients ask for.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// `provider/model`: where it is found.
    pub targets: Vec<Target>,
    /// How the targets are chosen from. Default: `ordered`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub strategy: Strategy,
    /// Names that are asked for when no target answers, in this order: of other models, or `provider/model`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fallback: Vec<String>,
    /// How many more rounds of attempts a request gets when nobody has answered. Default: `routing.retries`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<u32>,
    /// How long a request may wait in all. Default: `routing.max_wait`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_wait: Option<Span>,
    /// How long a request may take, to the end of its answer. Default: `routing.timeout`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
    /// How long to wait for the targets.
    #[serde(default, skip_serializing_if = "is_default")]
    pub timeouts: ModelTimeouts,
    /// Ask a second target when the first takes its time, and take the answer that begins first. Costs twice the tokens
    /// where both answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hedge: Option<Hedge>,
    /// After which errors the next target is asked: `faults`, those of providers and their keys, or `any`, also those for
    /// which the request itself is to blame.
    #[serde(default, skip_serializing_if = "is_default")]
    pub hand_over: HandOver,
    /// What happens to a stream that breaks off in the middle: `error`, or `continue` with another target.
    #[serde(default, skip_serializing_if = "is_default")]
    pub on_cut: OnCut,
    /// Send equal requests only once, while the first of them is being answered: those whose answers do not depend on
    /// chance (embeddings, and conversations with `temperature` 0).
    #[serde(default, skip_serializing_if = "is_false")]
    pub single_flight: bool,
    /// Keep answers, and give them to equal requests of the same client, for so long: `"10m"`. Default: none are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<ModelCache>,
    /// Answer 400 rather than lose a part of a request in translation.
    #[serde(default, skip_serializing_if = "is_false")]
    pub strict: bool,
    /// Whose it is in lists of models. Default: `mynah`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owned_by: Option<String>,
    /// Whether it is in lists of models. Default: true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listed: Option<bool>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes the field by reference")]
fn is_false(value: &bool) -> bool {
    !value
}

/// One place where a model is found. The model `*` stands for the name that was asked for.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Target {
    /// `provider/model`.
    Name(String),
    /// The same as a table.
    Table(Box<TargetTable>),
}

/// One place where a model is found.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TargetTable {
    /// `provider/model`.
    pub target: String,
    /// Its part of the load, relative to the other targets. Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<f64>,
    /// How many tokens of prompt and answer it can hold. What is larger goes to a target that can hold it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<u64>,
    /// What it can do: `vision`, `tools`, `json-schema`, `reasoning`, `audio`. Requests that need something else go to
    /// other targets. Default: everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abilities: Option<Vec<Ability>>,
    /// What it is asked for. Default: everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routes: Option<Vec<Kind>>,
    /// Words by which requests choose, in the header `x-mynah-tags`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// What it costs, where the price list has no price or another: `{ input = 2.5, output = 10 }`, as in `[prices]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<PriceTable>,
}

/// What a target can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Ability {
    /// Look at pictures.
    Vision,
    /// Call tools.
    Tools,
    /// Answer in JSON that fits a schema.
    JsonSchema,
    /// Think before it answers.
    Reasoning,
    /// Hear or speak.
    Audio,
}

/// When a second target is asked.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Hedge {
    /// `true`: when the first content is later than 95 of 100 were, for at most one request in twenty.
    Switch(bool),
    /// The same with numbers of one's own.
    Table(HedgeTable),
}

/// When a second target is asked.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HedgeTable {
    /// After how long without content. Default: the time within which 95 of 100 answers of the first target began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Span>,
    /// The largest share of requests that is sent twice, between 0 and 1. Default: 0.05.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_share: Option<f64>,
}

/// How answers are kept.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ModelCache {
    /// For so long.
    Age(Span),
    /// The same with more to say.
    Table(ModelCacheTable),
}

/// How answers are kept.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelCacheTable {
    /// How long an answer is given again.
    pub ttl: Span,
    /// Give one client what another one has asked for. Default: false.
    #[serde(default, skip_serializing_if = "is_false")]
    pub shared: bool,
}

/// After which errors the next target is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum HandOver {
    /// Those of providers and their keys.
    #[default]
    Faults,
    /// Also those that the request itself is to blame for.
    Any,
}

/// What happens to a stream that breaks off after its first content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnCut {
    /// It ends in an error.
    #[default]
    Error,
    /// Another target goes on where it was cut, if it can.
    Continue,
}

impl Target {
    /// `provider/model`.
    pub fn name(&self) -> &str {
        match self {
            Self::Name(name) => name,
            Self::Table(table) => &table.target,
        }
    }
}
