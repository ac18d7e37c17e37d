//! What an answer costs that several providers had a part in.

use crate::estimate::text_tokens;
use crate::ir::Usage;

/// The counts of all of them.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Of those before, once there were any.
    before: Option<Usage>,
    /// What the first of them said of its prompt.
    prompt: Option<Usage>,
    /// Of the one at hand.
    now: Option<Usage>,
    /// Where in the text the one at hand began.
    from: usize,
}

impl Tally {
    /// The one at hand counts.
    pub(super) fn count(&mut self, usage: &Usage) {
        self.now.get_or_insert_default().merge(usage);
    }

    /// Another one goes on after this text. A provider that was cut off has not told what it wrote, or only what it had
    /// written when it began: then it is estimated.
    pub(super) fn next(&mut self, text: &str) {
        let wrote = text.get(self.from..).map_or(0, text_tokens);
        let mut usage = self.now.take().unwrap_or_default();
        usage.output = Some(usage.output.unwrap_or(0).max(wrote));
        if self.before.is_none() && usage.input.is_some() {
            self.prompt = Some(Usage {
                output: None,
                reasoning: None,
                output_audio: None,
                ..usage.clone()
            });
        }
        self.before.get_or_insert_default().add(&usage);
        self.from = text.len();
    }

    /// What the client is told: the prompt that it sent, and all that was written. `text` is all of it so far.
    pub(super) fn told(&self, text: &str) -> Usage {
        let mut now = self.now.clone().unwrap_or_default();
        let Some(before) = &self.before else {
            return now;
        };
        now.output
            .get_or_insert_with(|| text.get(self.from..).map_or(0, text_tokens));
        // Without what the first provider said, it is the prompt of the one at hand, less the text that was put into it.
        let sent_back = || text.get(..self.from).map_or(0, text_tokens);
        let prompt = self.prompt.clone().unwrap_or_else(|| Usage {
            input: now.input.map(|input| input.saturating_sub(sent_back())),
            ..now.clone()
        });
        let mut written = now;
        written.add(before);
        Usage {
            output: written.output,
            reasoning: written.reasoning,
            output_audio: written.output_audio,
            accepted_prediction: written.accepted_prediction,
            rejected_prediction: written.rejected_prediction,
            ..prompt
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(input: u64, output: u64) -> Usage {
        Usage {
            input: Some(input),
            output: Some(output),
            ..Usage::default()
        }
    }

    #[test]
    fn the_client_is_told_its_own_prompt_and_all_that_was_written() {
        let text = "a".repeat(35);
        let mut tally = Tally::default();
        tally.count(&usage(13, 1));
        assert_eq!(tally.told(&text), usage(13, 1));
        tally.next(&text);
        tally.count(&usage(24, 5));
        assert_eq!(tally.told(&text), usage(13, 15));
    }

    #[test]
    fn what_was_not_counted_is_estimated() {
        let text = "a".repeat(35);
        let mut tally = Tally::default();
        tally.next(&text);
        tally.count(&usage(24, 5));
        assert_eq!(tally.told(&text), usage(14, 15));
    }
}
