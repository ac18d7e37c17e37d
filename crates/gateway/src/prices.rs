//! What models cost and what they can do: the rows of `catalog/prices.toml`, and what a request comes to.
//!
//! Money is counted in whole pico-dollars (10⁻¹² USD) per unit, and a request's cost in whole nano-dollars (10⁻⁹ USD), so
//! that sums over many requests do not drift.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, LazyLock};

use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// A request that stands for all others where models are ranked by price: three parts of prompt, one of answer, and one of
/// whatever else is billed.
const TYPICAL: Counts = Counts {
    input: 3_000,
    cached: 0,
    cached_audio: 0,
    cached_image: 0,
    cache_write: 0,
    cache_write_1h: 0,
    audio_input: 0,
    image_input: 0,
    output: 1_000,
    reasoning: 0,
    audio_output: 0,
    image_output: 0,
    requests: 1,
    images: 1,
    seconds: 60,
    characters: 4_000,
};

/// How a date at the end of a model's name is spelled; a 9 stands for any digit.
const DATES: [&str; 3] = ["-2099-99-99", "-20999999", "@20999999"];

/// The price of a million units, kept in pico-dollars per unit. Read from USD.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PerMillion(u64);

/// The price of one unit, kept in pico-dollars. Read from USD.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PerUnit(u64);

/// What a model costs and can do. The fields are explained at the top of `catalog/prices.toml`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Price {
    /// Tokens of the prompt.
    pub input: Option<PerMillion>,
    /// Of the prompt, tokens read from the cache.
    pub cached: Option<PerMillion>,
    /// Of those read from the cache, tokens of sound.
    pub cached_audio: Option<PerMillion>,
    /// Of those read from the cache, tokens of pictures.
    pub cached_image: Option<PerMillion>,
    /// Of the prompt, tokens written to the cache.
    pub cache_write: Option<PerMillion>,
    /// Of the prompt, tokens written to the cache for an hour.
    pub cache_write_1h: Option<PerMillion>,
    /// Of the prompt, tokens of sound.
    pub audio_input: Option<PerMillion>,
    /// Of the prompt, tokens of pictures.
    pub image_input: Option<PerMillion>,
    /// Tokens of the answer.
    pub output: Option<PerMillion>,
    /// Of the answer, tokens of reasoning.
    pub reasoning: Option<PerMillion>,
    /// Of the answer, tokens of sound.
    pub audio_output: Option<PerMillion>,
    /// Of the answer, tokens of pictures.
    pub image_output: Option<PerMillion>,
    /// Other prices for larger prompts, the smallest first.
    pub tiers: Vec<Tier>,
    /// A request.
    pub request: Option<PerUnit>,
    /// A picture that is made.
    pub image: Option<PerUnit>,
    /// The same by quality and size, as they are asked for: `hd 1024x1792`, `1024x1792` or `hd`.
    pub images: BTreeMap<String, PerUnit>,
    /// A minute of sound that is heard.
    pub minute: Option<PerUnit>,
    /// Characters that are spoken.
    pub character: Option<PerMillion>,
    /// Tokens of prompt and answer together.
    pub context: Option<u64>,
    /// Tokens of the answer.
    pub max_output: Option<u64>,
    /// What is understood beside text.
    pub abilities: Vec<Ability>,
    /// Other names of the same model.
    pub also: Vec<String>,
}

/// What differs for a request with a large prompt.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tier {
    /// It counts for prompts of more tokens than these, cached ones included.
    pub above: u64,
    /// In place of the price of that name.
    pub input: Option<PerMillion>,
    /// In place of the price of that name.
    pub cached: Option<PerMillion>,
    /// In place of the price of that name.
    pub cache_write: Option<PerMillion>,
    /// In place of the price of that name.
    pub cache_write_1h: Option<PerMillion>,
    /// In place of the price of that name.
    pub output: Option<PerMillion>,
    /// In place of the price of that name.
    pub reasoning: Option<PerMillion>,
}

/// Something that not every model understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ability {
    /// Pictures in the prompt.
    Vision,
    /// Tools that it may call.
    Tools,
    /// An answer that follows a JSON schema.
    JsonSchema,
    /// Thinking before it answers.
    Reasoning,
    /// Sound in the prompt.
    Audio,
}

/// What was used, in buckets of which none includes another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Tokens of the prompt that are in no other bucket.
    pub input: u64,
    /// Tokens of text read from the cache.
    pub cached: u64,
    /// Tokens of sound read from the cache.
    pub cached_audio: u64,
    /// Tokens of pictures read from the cache.
    pub cached_image: u64,
    /// Tokens written to the cache for the usual time.
    pub cache_write: u64,
    /// Tokens written to the cache for an hour.
    pub cache_write_1h: u64,
    /// Tokens of sound in the prompt.
    pub audio_input: u64,
    /// Tokens of pictures in the prompt.
    pub image_input: u64,
    /// Tokens of the answer that are in no other bucket.
    pub output: u64,
    /// Tokens of reasoning.
    pub reasoning: u64,
    /// Tokens of sound in the answer.
    pub audio_output: u64,
    /// Tokens of pictures in the answer.
    pub image_output: u64,
    /// Requests, or searches of a reranker.
    pub requests: u64,
    /// Pictures that were made.
    pub images: u64,
    /// Seconds of sound that were heard.
    pub seconds: u64,
    /// Characters that were spoken.
    pub characters: u64,
}

/// The price of a model: by the provider's kind, as in `catalog/providers.toml`, and its own name for the model. `None` when it
/// is not known, which is not zero.
pub fn of(kind: &str, model: &str) -> Option<&'static Arc<Price>> {
    TABLE.row(kind, model).or_else(|| {
        let beginnings = TABLE.like.get(kind)?;
        beginnings
            .iter()
            .find_map(|(beginning, other)| TABLE.row(other, model.strip_prefix(beginning.as_str())?))
    })
}

// === impl Price ===

impl Price {
    /// The price of what costs nothing.
    pub fn free() -> Self {
        Self {
            input: Some(PerMillion(0)),
            output: Some(PerMillion(0)),
            request: Some(PerUnit(0)),
            ..Self::default()
        }
    }

    /// What a request costs, in nano-dollars (10⁻⁹ USD); `None` where something was used that has no price. `image` is the
    /// price of a picture of the kind that was asked for, where that differs.
    pub fn cost(&self, counts: &Counts, image: Option<PerUnit>) -> Option<u64> {
        self.covers(counts, image).then(|| self.sum(counts, image))
    }

    /// The price of a picture of a quality and a size, where it has one of its own.
    pub fn picture(&self, quality: &str, size: &str) -> Option<PerUnit> {
        let both = format!("{quality} {size}");
        let price = [both.as_str(), size, quality]
            .into_iter()
            .find_map(|name| self.images.get(name));
        price.copied()
    }

    /// Whether it is for pictures or characters, of which a request says how many it is about.
    pub fn is_by_the_piece(&self) -> bool {
        self.image.is_some() || !self.images.is_empty() || self.character.is_some()
    }

    /// Whether what was used has a price: what is counted in other units pays for the tokens too.
    fn covers(&self, counts: &Counts, image: Option<PerUnit>) -> bool {
        let by_unit = (counts.requests > 0 && self.request.is_some())
            || (counts.images > 0 && (image.is_some() || self.image.is_some()))
            || (counts.seconds > 0 && self.minute.is_some())
            || (counts.characters > 0 && self.character.is_some());
        let (prompt, answer) = (counts.prompt(), counts.answer());
        let by_token = (prompt == 0 || self.input.is_some()) && (answer == 0 || self.output.is_some());
        by_unit || (by_token && (prompt > 0 || answer > 0))
    }

    fn sum(&self, counts: &Counts, image: Option<PerUnit>) -> u64 {
        let tier = self.tiers.iter().rev().find(|tier| counts.prompt() > tier.above);
        let rate = |base: Option<PerMillion>, instead: fn(&Tier) -> Option<PerMillion>| {
            tier.and_then(instead).or(base).map(|price| price.0)
        };
        let input = rate(self.input, |tier| tier.input).unwrap_or(0);
        let cached = rate(self.cached, |tier| tier.cached).unwrap_or(input);
        let cache_write = rate(self.cache_write, |tier| tier.cache_write).unwrap_or(input);
        let cache_write_1h = rate(self.cache_write_1h, |tier| tier.cache_write_1h).unwrap_or(cache_write);
        let output = rate(self.output, |tier| tier.output).unwrap_or(0);
        let reasoning = rate(self.reasoning, |tier| tier.reasoning).unwrap_or(output);
        let parts = [
            (counts.input, input),
            (counts.cached, cached),
            (counts.cached_audio, self.cached_audio.map_or(cached, |price| price.0)),
            (counts.cached_image, self.cached_image.map_or(cached, |price| price.0)),
            (counts.cache_write, cache_write),
            (counts.cache_write_1h, cache_write_1h),
            (counts.audio_input, self.audio_input.map_or(input, |price| price.0)),
            (counts.image_input, self.image_input.map_or(input, |price| price.0)),
            (counts.output, output),
            (counts.reasoning, reasoning),
            (counts.audio_output, self.audio_output.map_or(output, |price| price.0)),
            (counts.image_output, self.image_output.map_or(output, |price| price.0)),
            (counts.requests, self.request.map_or(0, |price| price.0)),
            (counts.images, image.or(self.image).map_or(0, |price| price.0)),
            (counts.characters, self.character.map_or(0, |price| price.0)),
        ];
        let heard = u128::from(counts.seconds) * u128::from(self.minute.map_or(0, |price| price.0)) / 60;
        let pico = parts.iter().fold(heard, |sum, (count, price)| {
            sum.saturating_add(u128::from(*count) * u128::from(*price))
        });
        u64::try_from(pico.saturating_add(500) / 1000).unwrap_or(u64::MAX)
    }

    /// What a typical request costs, in nano-dollars: to rank models, not to bill them.
    pub fn blended(&self) -> u64 {
        self.sum(&TYPICAL, None)
    }
}

// === impl Counts ===

impl Counts {
    /// All tokens of the prompt.
    pub fn prompt(&self) -> u64 {
        [
            self.cached,
            self.cached_audio,
            self.cached_image,
            self.cache_write,
            self.cache_write_1h,
            self.audio_input,
            self.image_input,
        ]
        .iter()
        .fold(self.input, |sum, count| sum.saturating_add(*count))
    }

    /// All tokens of the answer.
    pub fn answer(&self) -> u64 {
        [self.reasoning, self.audio_output, self.image_output]
            .iter()
            .fold(self.output, |sum, count| sum.saturating_add(*count))
    }
}

impl From<mynah_dialect::usage::Usage> for Counts {
    /// What is said of the cache goes first: a token of sound that was read from it is a cached one.
    fn from(usage: mynah_dialect::usage::Usage) -> Self {
        let buckets = usage.buckets();
        Self {
            input: buckets.input,
            cached: buckets.cached,
            cached_audio: buckets.cached_audio,
            cached_image: buckets.cached_image,
            cache_write: buckets.cache_write,
            cache_write_1h: buckets.cache_write_1h,
            audio_input: buckets.audio_input,
            image_input: buckets.image_input,
            output: buckets.output,
            reasoning: buckets.reasoning,
            audio_output: buckets.audio_output,
            image_output: buckets.image_output,
            requests: usage.searches.max(1),
            images: usage.images,
            seconds: usage.seconds,
            characters: 0,
        }
    }
}

// === The table ===

/// The rows by kind and name, other names included. The text is part of the binary and a test reads it, so that it always
/// parses.
static TABLE: LazyLock<Table> =
    LazyLock::new(|| toml::from_str(include_str!("catalog/prices.toml")).unwrap_or_default());

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    /// By kind: beginnings of names, and the kind whose rows count for the rest of the name.
    like: HashMap<String, BTreeMap<String, String>>,
    /// By kind and name.
    #[serde(deserialize_with = "by_every_name")]
    models: Rows,
}

impl Table {
    fn row(&self, kind: &str, model: &str) -> Option<&Arc<Price>> {
        let rows = self.models.get(kind)?;
        rows.get(model).or_else(|| rows.get(undated(model)?))
    }
}

/// The name without a date or `-latest` at its end; `None` when it has neither.
fn undated(model: &str) -> Option<&str> {
    let dated = || {
        DATES.iter().find_map(|form| {
            let (base, end) = model.split_at_checked(model.len().checked_sub(form.len())?)?;
            let fits = |(is, form): (u8, u8)| if form == b'9' { is.is_ascii_digit() } else { is == form };
            end.bytes().zip(form.bytes()).all(fits).then_some(base)
        })
    };
    model.strip_suffix("-latest").or_else(dated)
}

/// Rows by kind and name.
type Rows = HashMap<String, HashMap<String, Arc<Price>>>;

fn by_every_name<'de, D: Deserializer<'de>>(from: D) -> Result<Rows, D::Error> {
    let models = HashMap::<String, HashMap<String, Price>>::deserialize(from)?;
    let shared = |(name, price): (String, Price)| {
        let price = Arc::new(price);
        let names: Vec<String> = price.also.iter().cloned().chain([name]).collect();
        names.into_iter().map(move |name| (name, price.clone()))
    };
    let by_name = |(kind, rows): (String, HashMap<String, Price>)| (kind, rows.into_iter().flat_map(shared).collect());
    Ok(models.into_iter().map(by_name).collect())
}

impl PerUnit {
    /// A price in USD; `None` when it is none.
    pub fn usd(usd: f64) -> Option<Self> {
        pico(usd, 1e12).ok().map(Self)
    }
}

impl PerMillion {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// A price in USD for so many units; `None` when it is none.
    pub fn usd(usd: f64, units: f64) -> Option<Self> {
        pico(usd / units, 1e12).ok().map(Self)
    }
}

impl<'de> Deserialize<'de> for PerMillion {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        pico(f64::deserialize(from)?, 1e6).map(Self).map_err(D::Error::custom)
    }
}

impl<'de> Deserialize<'de> for PerUnit {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        pico(f64::deserialize(from)?, 1e12).map(Self).map_err(D::Error::custom)
    }
}

/// A sum of USD in units so many of which are one, as the nearest whole number.
fn pico(usd: f64, units: f64) -> Result<u64, String> {
    let whole = (usd * units).round();
    if !(0.0..=1e16).contains(&whole) {
        return Err(format!("{usd} is no price: expected a number of USD from 0 to 10000"));
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a whole number that was just seen to be neither negative nor large"
    )]
    Ok(whole as u64)
}

#[cfg(test)]
mod tests;
