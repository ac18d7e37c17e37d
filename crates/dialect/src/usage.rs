//! What an answer used, in buckets of which none includes another, and how that is read from replies that pass by.

mod nesting;
mod pictures;
mod report;
mod tap;

#[cfg(test)]
mod tests;

pub(crate) use report::Report;
pub use tap::{Body, UsageTap, told_by};

use crate::ir;

/// What an answer used. `input` and `output` are the totals of prompt and answer, as the request log tells them; the counts
/// after each of them are parts of it, of which none includes another. [`Usage::buckets`] has the rest, and sees to it that the
/// sum is right, whatever the provider said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// All tokens of the prompt.
    pub input: u64,
    /// Of these, tokens read from the provider's cache.
    pub cached: u64,
    /// Of those read from the cache, tokens of sound.
    pub cached_audio: u64,
    /// Of those read from the cache, tokens of pictures.
    pub cached_image: u64,
    /// Of the prompt, tokens written to the cache for the usual time (at Anthropic: five minutes).
    pub cache_write: u64,
    /// Of the prompt, tokens written to the cache for an hour.
    pub cache_write_1h: u64,
    /// Of the prompt, tokens of sound that did not come from the cache.
    pub audio_input: u64,
    /// Of the prompt, tokens of pictures that did not come from the cache.
    pub image_input: u64,
    /// All tokens of the answer.
    pub output: u64,
    /// Of these, tokens of reasoning.
    pub reasoning: u64,
    /// Of these, tokens of sound.
    pub audio_output: u64,
    /// Of these, tokens of pictures.
    pub image_output: u64,
    /// Prompt and answer together, where the provider says so itself.
    pub total: Option<u64>,
    /// What the provider says that it costs, in nano-dollars (10⁻⁹ USD).
    pub cost: Option<u64>,
    /// Of the prompt, tokens that are not paid for (Cohere's own part of it).
    pub unbilled_input: u64,
    /// Of the answer, tokens that are not paid for.
    pub unbilled_output: u64,
    /// Searches: of a reranker, or for an answer.
    pub searches: u64,
    /// Seconds of sound that were heard.
    pub seconds: u64,
    /// Pictures that were made.
    pub images: u64,
    /// Some of it was not told but estimated.
    pub estimated: bool,
}

/// Tokens in buckets of which none includes another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Buckets {
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
}

// === impl Usage ===

impl Usage {
    /// Takes the totals apart. The sum of the buckets is that of `input` and `output`: parts that are more than the whole are
    /// cut, those of the cache last.
    pub fn buckets(&self) -> Buckets {
        let (mut input, mut output) = (self.input, self.output);
        let mut cached = take(&mut input, self.cached);
        Buckets {
            cached_audio: take(&mut cached, self.cached_audio),
            cached_image: take(&mut cached, self.cached_image),
            cached,
            cache_write_1h: take(&mut input, self.cache_write_1h),
            cache_write: take(&mut input, self.cache_write),
            audio_input: take(&mut input, self.audio_input),
            image_input: take(&mut input, self.image_input),
            input,
            reasoning: take(&mut output, self.reasoning),
            audio_output: take(&mut output, self.audio_output),
            image_output: take(&mut output, self.image_output),
            output,
        }
    }

    /// What two answers used together. Nothing is said of a total or a cost that is known of one of them only.
    #[must_use]
    pub fn and(self, more: Self) -> Self {
        let known = |one: Option<u64>, other: Option<u64>| Some(one?.saturating_add(other?));
        Self {
            input: self.input.saturating_add(more.input),
            cached: self.cached.saturating_add(more.cached),
            cached_audio: self.cached_audio.saturating_add(more.cached_audio),
            cached_image: self.cached_image.saturating_add(more.cached_image),
            cache_write: self.cache_write.saturating_add(more.cache_write),
            cache_write_1h: self.cache_write_1h.saturating_add(more.cache_write_1h),
            audio_input: self.audio_input.saturating_add(more.audio_input),
            image_input: self.image_input.saturating_add(more.image_input),
            output: self.output.saturating_add(more.output),
            reasoning: self.reasoning.saturating_add(more.reasoning),
            audio_output: self.audio_output.saturating_add(more.audio_output),
            image_output: self.image_output.saturating_add(more.image_output),
            total: known(self.total, more.total),
            cost: known(self.cost, more.cost),
            unbilled_input: self.unbilled_input.saturating_add(more.unbilled_input),
            unbilled_output: self.unbilled_output.saturating_add(more.unbilled_output),
            searches: self.searches.saturating_add(more.searches),
            seconds: self.seconds.saturating_add(more.seconds),
            images: self.images.saturating_add(more.images),
            estimated: self.estimated || more.estimated,
        }
    }

    /// What an answer used that broke off, or whose provider did not tell all of it: what is missing in `told` is taken from
    /// estimates of the prompt (`crate::estimate`) and of the text that was not counted in it ([`crate::generated::Generated`]),
    /// in tokens.
    #[must_use]
    pub fn estimated(told: Option<Self>, prompt: u64, generated: u64) -> Self {
        let is_complete = told.is_some_and(|told| told.input > 0 && generated == 0);
        let told = told.unwrap_or_default();
        if is_complete {
            return told;
        }
        let input = if told.input == 0 { prompt } else { told.input };
        let output = told.output.saturating_add(generated);
        Self {
            input,
            output,
            total: None,
            cost: None,
            estimated: true,
            ..told
        }
    }
}

/// Takes up to `wanted` out of what is left, and says how many were taken.
fn take(left: &mut u64, wanted: u64) -> u64 {
    let taken = wanted.min(*left);
    *left -= taken;
    taken
}

impl From<&ir::Usage> for Usage {
    fn from(usage: &ir::Usage) -> Self {
        let count = |count: Option<u64>| count.unwrap_or(0);
        let unbilled = |all: Option<u64>, billed: Option<u64>| count(all).saturating_sub(billed.unwrap_or(count(all)));
        let (short, long) = (count(usage.cache_write_5m), count(usage.cache_write_1h));
        let written = usage.cache_write.unwrap_or(short.saturating_add(long));
        let cache_write_1h = long.min(written);
        Self {
            input: count(usage.input),
            cached: count(usage.cache_read),
            cached_audio: count(usage.cache_read_audio),
            cached_image: count(usage.cache_read_image),
            cache_write: written - cache_write_1h,
            cache_write_1h,
            audio_input: count(usage.input_audio).saturating_sub(count(usage.cache_read_audio)),
            image_input: count(usage.input_image).saturating_sub(count(usage.cache_read_image)),
            output: count(usage.output),
            reasoning: count(usage.reasoning),
            audio_output: count(usage.output_audio),
            image_output: count(usage.output_image),
            total: usage.stated_total,
            cost: usage.cost,
            unbilled_input: unbilled(usage.input, usage.billed_input),
            unbilled_output: unbilled(usage.output, usage.billed_output),
            searches: count(usage.searches),
            seconds: count(usage.seconds),
            images: 0,
            estimated: false,
        }
    }
}
