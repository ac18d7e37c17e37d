//! What models cost, as the operator says: the table `prices`.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::check::Check;
use super::document::join;
use crate::prices::Price;

/// The highest price that is believed, in USD.
const HIGHEST: f64 = 10_000.0;

/// What a model costs, in US dollars: for a million tokens, where nothing else is said.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PriceTable {
    /// Tokens of the prompt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<f64>,
    /// Of the prompt, tokens read from the cache. Default: `input`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cached: Option<f64>,
    /// Of those read from the cache, tokens of sound. Default: `cached`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cached_audio: Option<f64>,
    /// Of those read from the cache, tokens of pictures. Default: `cached`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cached_image: Option<f64>,
    /// Of the prompt, tokens written to the cache. Default: `input`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<f64>,
    /// Of the prompt, tokens written to the cache for an hour. Default: `cache_write`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_write_1h: Option<f64>,
    /// Of the prompt, tokens of sound. Default: `input`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio_input: Option<f64>,
    /// Of the prompt, tokens of pictures. Default: `input`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_input: Option<f64>,
    /// Tokens of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<f64>,
    /// Of the answer, tokens of reasoning. Default: `output`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<f64>,
    /// Of the answer, tokens of sound. Default: `output`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio_output: Option<f64>,
    /// Of the answer, tokens of pictures. Default: `output`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_output: Option<f64>,
    /// Other prices for larger prompts, the smallest first: `[{ above = 200_000, input = 2.5, output = 15 }]`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tiers: Vec<TierTable>,
    /// A request, or a search of a reranker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<f64>,
    /// A picture that is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<f64>,
    /// The same by quality and size: `{ "hd 1024x1792" = 0.12, "hd" = 0.08 }`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub images: BTreeMap<String, f64>,
    /// A minute of sound that is heard.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minute: Option<f64>,
    /// A million characters that are spoken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub character: Option<f64>,
}

/// What differs for a request with a large prompt.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TierTable {
    /// It counts for prompts of more tokens than these, cached ones included.
    pub above: u64,
    /// In place of the price of that name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<f64>,
    /// In place of the price of that name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached: Option<f64>,
    /// In place of the price of that name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<f64>,
    /// In place of the price of that name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write_1h: Option<f64>,
    /// In place of the price of that name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<f64>,
    /// In place of the price of that name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<f64>,
}

/// Prices by provider, and by model there; `*` for all other models.
pub(super) type OwnPrices = HashMap<String, HashMap<String, Arc<Price>>>;

impl Check<'_> {
    /// The table `prices`.
    pub(super) fn prices(&mut self) -> OwnPrices {
        let file = self.file;
        let mut prices = OwnPrices::new();
        for (name, table) in &file.prices {
            let path = join("prices", name);
            let target = self.target_name(name);
            if let (Some((provider, model)), Some(price)) = (self.take(&path, target), self.price(&path, table)) {
                prices.entry(provider).or_default().insert(model, Arc::new(price));
            }
        }
        prices
    }

    /// One row.
    pub(super) fn price(&mut self, path: &str, table: &PriceTable) -> Option<Price> {
        if *table == PriceTable::default() {
            self.report(path, "needs a price, such as `input` and `output`");
        }
        if !table.tiers.is_sorted_by(|one, next| one.above < next.above) {
            self.report(&join(path, "tiers"), "must begin with the smallest `above`");
        }
        let value = serde_json::to_value(table).ok()?;
        let mut is_fine = true;
        self.sums(path, &value, &mut is_fine);
        is_fine.then(|| serde_json::from_value(value).ok()).flatten()
    }

    fn sums(&mut self, path: &str, value: &Value, is_fine: &mut bool) {
        match value {
            Value::Object(members) => {
                for (name, member) in members.iter().filter(|(name, _)| *name != "above") {
                    self.sums(&join(path, name), member, is_fine);
                }
            }
            Value::Array(items) => {
                for (at, item) in items.iter().enumerate() {
                    self.sums(&join(path, &at.to_string()), item, is_fine);
                }
            }
            // What is no number in JSON is written as null.
            value if value.as_f64().is_some_and(|usd| (0.0..=HIGHEST).contains(&usd)) => {}
            _ => {
                *is_fine = false;
                self.report(path, "must be US dollars, from 0 to 10000");
            }
        }
    }
}
