//! Databases: the rows of the ledger as they are kept, and what is asked about them.

pub mod migrations;
pub mod sqlite;

use std::borrow::Cow;

use serde::Serialize;

/// What a row has in a column.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// Nothing, or it is not known.
    Null,
    /// A number, a moment (milliseconds since 1970), or a truth (0 or 1).
    Integer(i64),
    /// Text.
    Text(Cow<'a, str>),
}

/// By what usage is added up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum By {
    /// Who called.
    Client,
    /// Who answered, as `provider/model`.
    #[default]
    Model,
    /// Who answered, without the model.
    Provider,
    /// The day on which the request came, in UTC.
    Day,
}

/// What some requests came to. Tokens are in buckets of which none includes another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// The client, model, provider or day; empty for requests that have none.
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
    /// Requests that were answered, and whose price is not known.
    pub unpriced: u64,
}

/// A request as `mynah requests tail` tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Brief {
    /// The row's id.
    pub id: i64,
    /// When it came, in milliseconds since 1970.
    pub time: u64,
    /// Who called.
    pub client: String,
    /// The model asked for.
    pub asked: String,
    /// Who answered, as `provider/model`.
    pub model: String,
    /// The status of the reply.
    pub status: u16,
    /// Why it failed.
    pub error: Option<String>,
    /// How many times somebody was asked.
    pub attempts: u32,
    /// Tokens of the prompt, where they are known.
    pub prompt: Option<u64>,
    /// Tokens of the answer, where they are known.
    pub answer: Option<u64>,
    /// In nano-dollars, where that is known.
    pub cost: Option<u64>,
    /// How long it took, in microseconds.
    pub total: u64,
}

// === impl Value ===

impl Value<'_> {
    /// A count. What no database can hold is as much as it can.
    pub fn count(count: u64) -> Self {
        Self::Integer(i64::try_from(count).unwrap_or(i64::MAX))
    }

    /// A count, if there is one.
    pub fn counted(count: Option<u64>) -> Self {
        count.map_or(Self::Null, Self::count)
    }
}

impl<'a> Value<'a> {
    /// A text; an empty one is nothing.
    pub fn text(text: &'a str) -> Self {
        if text.is_empty() {
            Self::Null
        } else {
            Self::Text(text.into())
        }
    }
}
