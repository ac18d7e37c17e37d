//! The numbers of tokens that all personas report: the same in meaning, whatever the protocol.

use super::act::Block;
use super::scenario::Scenario;

/// How many tokens were used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Numbers {
    /// All of the input, what was read from or written to a cache included: 13.
    pub(super) input: u64,
    /// Of these, read from a cache: 4 where `usage-cache` is played.
    pub(super) cached: u64,
    /// Of these, written to a cache: 2 where `usage-cache` is played.
    pub(super) written: u64,
    /// All of the output, reasoning included: 9.
    pub(super) output: u64,
    /// Of these, reasoning: 3 where there is reasoning, and where `usage-cache` is played.
    pub(super) reasoning: u64,
}

impl Numbers {
    /// The numbers for what is played.
    pub(super) fn of(scenario: Option<Scenario>, blocks: &[Block]) -> Self {
        let is_cached = scenario == Some(Scenario::UsageCache);
        let is_reasoned = blocks
            .iter()
            .any(|block| matches!(block, Block::Thinking(_) | Block::Redacted));
        let where_cached = |count| if is_cached { count } else { 0 };
        Self {
            input: 13,
            cached: where_cached(4),
            written: where_cached(2),
            output: 9,
            reasoning: if is_reasoned || is_cached { 3 } else { 0 },
        }
    }

    /// Input and output.
    pub(super) fn total(&self) -> u64 {
        self.input + self.output
    }
}
