//! Token counts.

/// Token counts of one answer. The totals are inclusive: `input` counts what was read from and written to the cache,
/// `output` counts reasoning. `None` means that the provider did not say, which is not zero.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// All tokens of the prompt.
    pub input: Option<u64>,
    /// Of these, read from the cache.
    pub cache_read: Option<u64>,
    /// Of those read, tokens of sound.
    pub cache_read_audio: Option<u64>,
    /// Of those read, tokens of pictures.
    pub cache_read_image: Option<u64>,
    /// Of the prompt, written to the cache.
    pub cache_write: Option<u64>,
    /// Of those written, the ones kept for five minutes.
    pub cache_write_5m: Option<u64>,
    /// Of those written, the ones kept for an hour.
    pub cache_write_1h: Option<u64>,
    /// Of the prompt, tokens of sound, cached ones included.
    pub input_audio: Option<u64>,
    /// Of the prompt, tokens of pictures, cached ones included.
    pub input_image: Option<u64>,
    /// All tokens of the answer.
    pub output: Option<u64>,
    /// Of these, reasoning.
    pub reasoning: Option<u64>,
    /// Of these, tokens of sound.
    pub output_audio: Option<u64>,
    /// Of these, tokens of pictures.
    pub output_image: Option<u64>,
    /// Predicted tokens that were used.
    pub accepted_prediction: Option<u64>,
    /// Predicted tokens that were thrown away.
    pub rejected_prediction: Option<u64>,
    /// Of the prompt, what is paid for, where the provider says so (Cohere).
    pub billed_input: Option<u64>,
    /// Of the answer, what is paid for.
    pub billed_output: Option<u64>,
    /// Searches: of a reranker, or for an answer.
    pub searches: Option<u64>,
    /// Seconds of sound that were heard.
    pub seconds: Option<u64>,
    /// Prompt and answer together, as the provider says itself.
    pub stated_total: Option<u64>,
    /// What the provider says that the answer cost, in nano-dollars (10⁻⁹ USD).
    pub cost: Option<u64>,
}

impl Usage {
    /// Takes over every count that a later report states, zeros included. A sum counts only together with what it is of:
    /// those of the last report do.
    pub fn merge(&mut self, later: &Self) {
        let counts = [
            (&mut self.input, later.input),
            (&mut self.cache_read, later.cache_read),
            (&mut self.cache_read_audio, later.cache_read_audio),
            (&mut self.cache_read_image, later.cache_read_image),
            (&mut self.cache_write, later.cache_write),
            (&mut self.cache_write_5m, later.cache_write_5m),
            (&mut self.cache_write_1h, later.cache_write_1h),
            (&mut self.input_audio, later.input_audio),
            (&mut self.input_image, later.input_image),
            (&mut self.output, later.output),
            (&mut self.reasoning, later.reasoning),
            (&mut self.output_audio, later.output_audio),
            (&mut self.output_image, later.output_image),
            (&mut self.accepted_prediction, later.accepted_prediction),
            (&mut self.rejected_prediction, later.rejected_prediction),
            (&mut self.billed_input, later.billed_input),
            (&mut self.billed_output, later.billed_output),
            (&mut self.searches, later.searches),
            (&mut self.seconds, later.seconds),
        ];
        for (count, later) in counts {
            *count = later.or(*count);
        }
        (self.stated_total, self.cost) = (later.stated_total, later.cost);
    }

    /// Adds the counts of another call.
    pub fn add(&mut self, other: &Self) {
        let known = |one: Option<u64>, other: Option<u64>| Some(one?.saturating_add(other?));
        // What is known of one alone says nothing about both.
        self.stated_total = known(self.stated_total, other.stated_total);
        self.cost = known(self.cost, other.cost);
        let counts = [
            (&mut self.input, other.input),
            (&mut self.cache_read, other.cache_read),
            (&mut self.cache_read_audio, other.cache_read_audio),
            (&mut self.cache_read_image, other.cache_read_image),
            (&mut self.cache_write, other.cache_write),
            (&mut self.cache_write_5m, other.cache_write_5m),
            (&mut self.cache_write_1h, other.cache_write_1h),
            (&mut self.input_audio, other.input_audio),
            (&mut self.input_image, other.input_image),
            (&mut self.output, other.output),
            (&mut self.reasoning, other.reasoning),
            (&mut self.output_audio, other.output_audio),
            (&mut self.output_image, other.output_image),
            (&mut self.accepted_prediction, other.accepted_prediction),
            (&mut self.rejected_prediction, other.rejected_prediction),
            (&mut self.billed_input, other.billed_input),
            (&mut self.billed_output, other.billed_output),
            (&mut self.searches, other.searches),
            (&mut self.seconds, other.seconds),
        ];
        for (count, other) in counts {
            *count = match (*count, other) {
                (Some(count), Some(other)) => Some(count.saturating_add(other)),
                (count, other) => count.or(other),
            };
        }
    }

    /// Prompt and answer together.
    pub fn total(&self) -> u64 {
        self.input.unwrap_or(0).saturating_add(self.output.unwrap_or(0))
    }

    /// The tokens of the prompt that were neither read from nor written to the cache (Anthropic's `input_tokens`).
    pub fn uncached_input(&self) -> u64 {
        let cached = self
            .cache_read
            .unwrap_or(0)
            .saturating_add(self.cache_write.unwrap_or(0));
        self.input.unwrap_or(0).saturating_sub(cached)
    }
}
