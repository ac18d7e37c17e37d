//! What is kept of a request: the row of it, and those of its attempts.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::content::Content;
use crate::caller::KeyHash;
use crate::prices::Counts;

/// The longest text that is kept, in bytes. A caller may ask for a model whose name has megabytes.
const LONGEST: usize = 256;

/// The outcome of an attempt that answered.
pub const ANSWERED: &str = "answered";

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
    pub client_group: Cow<'a, str>,
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
    pub attempts: Cow<'a, [Attempt<'a>]>,
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

impl Record<'_> {
    /// Cuts off what is too long to be kept.
    pub fn shorten(&mut self) {
        let texts = [
            &mut self.request,
            &mut self.client,
            &mut self.client_group,
            &mut self.path,
            &mut self.asked,
            &mut self.model,
            &mut self.lost,
            &mut self.tags,
            &mut self.route,
        ];
        texts.into_iter().for_each(shorten);
        if self.attempts.iter().any(|attempt| attempt.target.len() > LONGEST) {
            let targets = self.attempts.to_mut().iter_mut().map(|attempt| &mut attempt.target);
            targets.for_each(shorten);
        }
    }
}

fn shorten(text: &mut Cow<'_, str>) {
    if text.len() > LONGEST {
        let end = text.floor_char_boundary(LONGEST);
        *text = part(text, |text| text.get(..end).unwrap_or_default());
    }
}

/// A part of a text, which is somebody else's if the text is.
pub(super) fn part<'a>(text: &Cow<'a, str>, of: impl FnOnce(&str) -> &str) -> Cow<'a, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(of(text)),
        Cow::Owned(text) => Cow::Owned(of(text).to_owned()),
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
