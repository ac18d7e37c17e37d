//! What is answered to whom.

mod file;
mod rule;

pub use file::ScriptError;
pub use rule::{Reading, Rule};

use crate::received::Received;
use crate::reply::Reply;
use crate::stage::Answer;

/// Rules, tried in order; the first that matches a request answers it.
///
/// Where none matches, the built-in persona answers.
#[derive(Debug, Default)]
pub struct Script {
    rules: Vec<Rule>,
}

impl Script {
    /// A script without rules: the built-in persona answers everything.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a rule after those that there are.
    #[must_use]
    pub fn rule(mut self, rule: Rule) -> Self {
        self.rules.push(rule);
        self
    }

    /// Reads a script from TOML. An unknown key is an error.
    pub fn from_toml(text: &str) -> Result<Self, ScriptError> {
        file::parse(text)
    }

    /// How the body of this request is to be read; only its head is known yet.
    pub(crate) fn reading(&self, head: &Received) -> Reading {
        self.rules
            .iter()
            .find(|rule| rule.matches_head(head))
            .map_or(Reading::Whole, |rule| rule.reading)
    }

    /// The answer to this request, if a rule matches it.
    pub(crate) fn answer(&self, received: &Received) -> Option<Answer> {
        self.rules.iter().find(|rule| rule.matches(received))?.answer(received)
    }
}

impl From<Rule> for Script {
    fn from(rule: Rule) -> Self {
        Self::new().rule(rule)
    }
}

/// This reply to every request.
impl From<Reply> for Script {
    fn from(reply: Reply) -> Self {
        Rule::any().reply(reply).into()
    }
}

/// These replies in turn, the last one repeated.
impl<const COUNT: usize> From<[Reply; COUNT]> for Script {
    fn from(replies: [Reply; COUNT]) -> Self {
        Rule::any().replies(replies).into()
    }
}
