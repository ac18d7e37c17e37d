//! A usage object as any provider spells it, and what it amounts to.
//!
//! One reader for all protocols, since compatible servers mix the names up, and only `input_tokens` means two things: what
//! stands beside it tells which. What is no count (a negative number, a word, a number that no answer comes to) is as good as
//! not said.

use crate::ir;
use crate::json::{JsonFault, Scanner};
use crate::tree::Node;

/// The largest number that is believed: a bound that no answer reaches, and far from where sums overflow.
const MOST: f64 = 1e15;

/// xAI tells costs in ticks, of which 10¹⁰ are a dollar.
const TICKS_PER_NANO_DOLLAR: f64 = 10.0;

/// What usage objects state, name by name.
///
/// Some providers tell their usage with every event, so it is made to be read and merged often: what is not stated takes no
/// time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Report {
    /// A bit for each count that is stated.
    stated: u32,
    counts: [u64; Count::ALL],
}

/// What the names mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Count {
    /// `prompt_tokens`, with everything that was cached; Gemini's `promptTokenCount`.
    Prompt,
    /// `input_tokens`, with everything that was cached where it is OpenAI's, without it where it is Anthropic's.
    Input,
    /// Gemini: what tools brought in, beside the prompt.
    ToolPrompt,
    /// `cached_tokens` among the details of the prompt; Gemini's `cachedContentTokenCount`.
    Cached,
    /// The same beside the totals: DeepSeek, Moonshot, Cohere.
    CachedBeside,
    CachedAudio,
    CachedImage,
    CacheWritten,
    /// Anthropic: beside `input_tokens`.
    CacheRead,
    /// Anthropic: beside `input_tokens`.
    CacheCreated,
    Created5m,
    Created1h,
    InputAudio,
    InputImage,
    /// `completion_tokens`; Gemini's `candidatesTokenCount`.
    Completion,
    /// `output_tokens`.
    Output,
    /// Gemini: beside the candidates.
    Thoughts,
    Reasoning,
    /// The same beside the totals.
    ReasoningBeside,
    OutputAudio,
    OutputImage,
    AcceptedPrediction,
    RejectedPrediction,
    /// Cohere: what is paid for, which stands in for what the model saw and said.
    BilledInput,
    BilledImage,
    BilledOutput,
    Searches,
    /// Seconds of sound.
    Seconds,
    Total,
    /// Nano-dollars.
    Cost,
}

impl Count {
    /// How many there are.
    const ALL: usize = Self::Cost as usize + 1;

    fn bit(self) -> u32 {
        1 << self as u32
    }
}

impl Report {
    /// Reads the object at the beginning of `bytes`, and says where it ends.
    pub(crate) fn read(bytes: &[u8]) -> Result<(Self, usize), JsonFault> {
        let mut walk = Walk {
            bytes,
            scanner: Scanner::new(bytes),
            report: Self::default(),
        };
        walk.object(Group::Whole)?;
        Ok((walk.report, walk.scanner.position()))
    }

    /// What an object states; `None` when that is nothing.
    pub(crate) fn of(node: &Node<'_>) -> Option<Self> {
        let (report, _) = Self::read(node.raw().as_bytes()).ok()?;
        (!report.is_empty()).then_some(report)
    }

    /// Whether nothing is stated.
    pub(crate) fn is_empty(&self) -> bool {
        self.stated == 0
    }

    /// Whether it is stated how long the answer is. Gemini tells the prompt with every event, and the answer with the last.
    pub(crate) fn states_output(&self) -> bool {
        self.stated_output().is_some()
    }

    /// Takes over what a later object states, zeros included: Anthropic tells the prompt at the beginning and the answer at
    /// the end. Sums count only together with what they are of, so those of the last object do: a cost that something
    /// earlier was made to state (a caller's schema, echoed in the answer) outlives no report.
    pub(crate) fn merge(&mut self, later: &Self) {
        self.stated &= !(Count::Total.bit() | Count::Cost.bit());
        self.stated |= later.stated;
        let mut left = later.stated;
        while left != 0 {
            let at = left.trailing_zeros() as usize;
            if let (Some(count), Some(stated)) = (self.counts.get_mut(at), later.counts.get(at)) {
                *count = *stated;
            }
            left &= left - 1;
        }
    }

    fn get(&self, count: Count) -> Option<u64> {
        let stated = self.counts.get(count as usize).copied();
        stated.filter(|_| self.stated & count.bit() != 0)
    }

    fn set(&mut self, count: Count, number: u64) {
        if let Some(place) = self.counts.get_mut(count as usize) {
            *place = number;
            self.stated |= count.bit();
        }
    }

    /// The counts with totals that include their parts.
    pub(crate) fn counts(&self) -> ir::Usage {
        let get = |count| self.get(count);
        let created = get(Count::CacheCreated).or(added(get(Count::Created5m), get(Count::Created1h)));
        let input = self.whole_input(created);
        ir::Usage {
            input,
            cache_read: get(Count::Cached)
                .max(get(Count::CachedBeside))
                .or(get(Count::CacheRead)),
            cache_read_audio: get(Count::CachedAudio),
            cache_read_image: get(Count::CachedImage),
            cache_write: get(Count::CacheWritten).or(created),
            cache_write_5m: get(Count::Created5m),
            cache_write_1h: get(Count::Created1h),
            input_audio: get(Count::InputAudio),
            input_image: get(Count::InputImage).or(get(Count::BilledImage)),
            output: self.whole_output(input),
            reasoning: get(Count::Reasoning)
                .or(get(Count::ReasoningBeside))
                .or(get(Count::Thoughts)),
            output_audio: get(Count::OutputAudio),
            output_image: get(Count::OutputImage),
            accepted_prediction: get(Count::AcceptedPrediction),
            rejected_prediction: get(Count::RejectedPrediction),
            billed_input: added(get(Count::BilledInput), get(Count::BilledImage)),
            billed_output: get(Count::BilledOutput),
            searches: get(Count::Searches),
            seconds: get(Count::Seconds),
            stated_total: get(Count::Total),
            cost: get(Count::Cost),
        }
    }

    /// All tokens of the prompt. `created` is what Anthropic's names say was written to the cache.
    fn whole_input(&self, created: Option<u64>) -> Option<u64> {
        let beside = added(self.get(Count::CacheRead), created);
        let is_named_within = self.get(Count::Cached).is_some();
        // What is less than its own parts does not contain them.
        let prompt = self.get(Count::Prompt).map(|prompt| match beside {
            Some(beside) if beside > prompt && !is_named_within => prompt.saturating_add(beside),
            _ => prompt,
        });
        let input = match self.get(Count::Input) {
            Some(input) if !is_named_within => added(Some(input), beside),
            Some(input) => Some(input),
            None if prompt.is_none() => beside,
            None => None,
        };
        // Some servers state both, and one of them as zero.
        let stated = added(prompt.max(input), self.get(Count::ToolPrompt));
        let billed = added(self.get(Count::BilledInput), self.get(Count::BilledImage));
        stated.or(billed).or_else(|| {
            // Embeddings and rerankers: there is nothing but a prompt.
            let has_answer = self.stated_output().is_some();
            self.get(Count::Total).filter(|_| !has_answer)
        })
    }

    /// All tokens of the answer.
    fn whole_output(&self, input: Option<u64>) -> Option<u64> {
        let stated = self.stated_output();
        let output = added(stated, self.get(Count::Thoughts))?;
        // xAI, and Gemini where it speaks OpenAI's dialect, count reasoning only in the total.
        let apart = self
            .get(Count::Total)
            .and_then(|total| total.checked_sub(input?)?.checked_sub(output));
        Some(output.saturating_add(apart.unwrap_or(0)))
    }

    fn stated_output(&self) -> Option<u64> {
        let stated = self.get(Count::Completion).max(self.get(Count::Output));
        stated.or(self.get(Count::BilledOutput))
    }
}

fn added(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    match (one, other) {
        (None, None) => None,
        _ => Some(one.unwrap_or(0).saturating_add(other.unwrap_or(0))),
    }
}

/// An object, or a list, in which names have a meaning.
#[derive(Clone, Copy)]
enum Group {
    Whole,
    InputDetails,
    CachedDetails,
    OutputDetails,
    CacheCreation,
    /// Cohere.
    Tokens,
    /// Cohere.
    BilledUnits,
    /// Perplexity.
    Cost,
    /// Gemini: lists of a modality and its count.
    PromptModalities,
    CachedModalities,
    AnswerModalities,
}

impl Group {
    /// The group that a member is.
    fn below(self, key: &[u8]) -> Option<Self> {
        Some(match (self, key) {
            // Transcriptions say `input_token_details`.
            (Self::Whole, b"prompt_tokens_details" | b"input_tokens_details" | b"input_token_details") => {
                Self::InputDetails
            }
            (Self::Whole, b"completion_tokens_details" | b"output_tokens_details" | b"output_token_details") => {
                Self::OutputDetails
            }
            (Self::InputDetails, b"cached_tokens_details") => Self::CachedDetails,
            (Self::Whole, b"cache_creation") => Self::CacheCreation,
            (Self::Whole, b"tokens") => Self::Tokens,
            (Self::Whole, b"billed_units") => Self::BilledUnits,
            (Self::Whole, b"cost") => Self::Cost,
            (Self::Whole, b"promptTokensDetails") => Self::PromptModalities,
            (Self::Whole, b"cacheTokensDetails") => Self::CachedModalities,
            (Self::Whole, b"candidatesTokensDetails") => Self::AnswerModalities,
            _ => return None,
        })
    }
}

/// Goes through an object once.
struct Walk<'a> {
    bytes: &'a [u8],
    scanner: Scanner<'a>,
    report: Report,
}

impl Walk<'_> {
    fn object(&mut self, group: Group) -> Result<(), JsonFault> {
        self.scanner.open_object()?;
        let mut is_first = true;
        while let Some(key) = self.scanner.next_key(is_first)? {
            is_first = false;
            let key = self.bytes.get(key.start + 1..key.end - 1).unwrap_or_default();
            // Most values are numbers, whose names are not those of groups.
            let begins = self.scanner.next_byte().filter(|byte| matches!(byte, b'{' | b'['));
            match begins.and_then(|byte| Some((byte, group.below(key)?))) {
                Some((b'{', inner)) => self.object(inner)?,
                Some((_, inner)) => self.modalities(inner)?,
                None => {
                    let value = self.scanner.value()?;
                    self.note(group, key, self.bytes.get(value).unwrap_or_default());
                }
            }
        }
        Ok(())
    }

    fn note(&mut self, group: Group, key: &[u8], value: &[u8]) {
        let Some(count) = group.count(key) else {
            return;
        };
        let number = match count {
            Count::Cost if key == b"cost_in_usd_ticks" => number(value, 1.0 / TICKS_PER_NANO_DOLLAR),
            Count::Cost => number(value, 1e9),
            _ => whole(value),
        };
        if let Some(number) = number {
            self.report.set(count, number);
        }
    }

    /// Reads a list of objects, each with a modality and its count.
    fn modalities(&mut self, group: Group) -> Result<(), JsonFault> {
        self.scanner.open_array()?;
        let mut is_first = true;
        while self.scanner.next_item(is_first)? {
            is_first = false;
            if self.scanner.next_byte() == Some(b'{') {
                self.modality(group)?;
            } else {
                self.scanner.value()?;
            }
        }
        Ok(())
    }

    fn modality(&mut self, group: Group) -> Result<(), JsonFault> {
        let (mut name, mut tokens): (&[u8], _) = (b"", None);
        self.scanner.open_object()?;
        let mut is_first = true;
        while let Some(key) = self.scanner.next_key(is_first)? {
            is_first = false;
            let value = self.scanner.value()?;
            let (key, value) = (
                self.bytes.get(key).unwrap_or_default(),
                self.bytes.get(value).unwrap_or_default(),
            );
            match key {
                b"\"modality\"" => name = value,
                b"\"tokenCount\"" | b"\"token_count\"" => tokens = whole(value),
                _ => {}
            }
        }
        let count = match (group, name) {
            (Group::PromptModalities, b"\"AUDIO\"") => Count::InputAudio,
            (Group::PromptModalities, b"\"IMAGE\"") => Count::InputImage,
            (Group::CachedModalities, b"\"AUDIO\"") => Count::CachedAudio,
            (Group::CachedModalities, b"\"IMAGE\"") => Count::CachedImage,
            (Group::AnswerModalities, b"\"AUDIO\"") => Count::OutputAudio,
            (Group::AnswerModalities, b"\"IMAGE\"") => Count::OutputImage,
            _ => return Ok(()),
        };
        if let Some(tokens) = tokens {
            self.report.set(count, tokens);
        }
        Ok(())
    }
}

impl Group {
    /// What a number of that name counts.
    fn count(self, key: &[u8]) -> Option<Count> {
        match self {
            Self::Whole => match key {
                b"prompt_tokens" | b"promptTokenCount" | b"prompt_token_count" => Some(Count::Prompt),
                b"input_tokens" => Some(Count::Input),
                b"completion_tokens" | b"candidatesTokenCount" | b"candidates_token_count" => Some(Count::Completion),
                b"output_tokens" => Some(Count::Output),
                b"total_tokens" | b"totalTokenCount" | b"total_token_count" => Some(Count::Total),
                b"cachedContentTokenCount" | b"cached_content_token_count" => Some(Count::Cached),
                b"cached_tokens" | b"prompt_cache_hit_tokens" => Some(Count::CachedBeside),
                b"cache_read_input_tokens" => Some(Count::CacheRead),
                b"cache_creation_input_tokens" => Some(Count::CacheCreated),
                b"thoughtsTokenCount" | b"thoughts_token_count" => Some(Count::Thoughts),
                b"toolUsePromptTokenCount" | b"tool_use_prompt_token_count" => Some(Count::ToolPrompt),
                b"reasoning_tokens" => Some(Count::ReasoningBeside),
                // Transcriptions of OpenAI and Mistral.
                b"seconds" | b"prompt_audio_seconds" => Some(Count::Seconds),
                b"cost" | b"cost_in_usd_ticks" => Some(Count::Cost),
                _ => None,
            },
            Self::InputDetails => match key {
                b"cached_tokens" => Some(Count::Cached),
                b"cache_write_tokens" | b"cache_creation_tokens" => Some(Count::CacheWritten),
                b"audio_tokens" => Some(Count::InputAudio),
                b"image_tokens" => Some(Count::InputImage),
                _ => None,
            },
            Self::CachedDetails => match key {
                b"audio_tokens" => Some(Count::CachedAudio),
                b"image_tokens" => Some(Count::CachedImage),
                _ => None,
            },
            Self::OutputDetails => match key {
                b"reasoning_tokens" | b"thinking_tokens" => Some(Count::Reasoning),
                b"audio_tokens" => Some(Count::OutputAudio),
                b"image_tokens" => Some(Count::OutputImage),
                b"accepted_prediction_tokens" => Some(Count::AcceptedPrediction),
                b"rejected_prediction_tokens" => Some(Count::RejectedPrediction),
                _ => None,
            },
            Self::CacheCreation => match key {
                b"ephemeral_5m_input_tokens" => Some(Count::Created5m),
                b"ephemeral_1h_input_tokens" => Some(Count::Created1h),
                _ => None,
            },
            Self::Tokens => match key {
                b"input_tokens" => Some(Count::Input),
                b"output_tokens" => Some(Count::Output),
                _ => None,
            },
            Self::BilledUnits => match key {
                b"input_tokens" => Some(Count::BilledInput),
                b"image_tokens" => Some(Count::BilledImage),
                b"output_tokens" => Some(Count::BilledOutput),
                b"search_units" => Some(Count::Searches),
                _ => None,
            },
            Self::Cost => (key == b"total_cost").then_some(Count::Cost),
            Self::PromptModalities | Self::CachedModalities | Self::AnswerModalities => None,
        }
    }
}

/// A count: some servers send floats, and some strings.
fn whole(value: &[u8]) -> Option<u64> {
    // By far the most.
    if value.len() <= 15 && value.iter().all(u8::is_ascii_digit) {
        return Some(
            value
                .iter()
                .fold(0, |number, digit| number * 10 + u64::from(digit - b'0')),
        );
    }
    number(value, 1.0)
}

/// A number that is not negative, times `factor`, as the nearest integer.
fn number(value: &[u8], factor: f64) -> Option<u64> {
    let text = value.strip_prefix(b"\"").and_then(|text| text.strip_suffix(b"\""));
    let number: f64 = std::str::from_utf8(text.unwrap_or(value)).ok()?.parse().ok()?;
    let scaled = (number * factor).round();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the range is checked on the same line, and an integer below 2⁵³ is exact"
    )]
    (number >= 0.0 && scaled <= MOST).then_some(scaled as u64)
}
