//! The names of things in Redis.

use uuid::Uuid;

use crate::config::clients::Period;
use crate::limits::refusal::What;

/// The names that one process uses. All of them have one hash tag, so that a script may touch any of them.
#[derive(Debug)]
pub struct Keys {
    /// What all of them begin with.
    prefix: String,
    /// The process.
    pub id: String,
    /// Whose ledger its spending is in: another process with the same ledger goes on where it ended.
    pub ledger: String,
    /// What is known of the process.
    pub process: String,
    /// What the process holds.
    pub held: String,
    /// All processes.
    pub processes: String,
    /// What this memory is called: another name means that it has forgotten everything.
    pub memory: String,
    /// The rests of providers' keys.
    pub rests: String,
    /// What the names of answers begin with.
    pub answers: String,
}

impl Keys {
    /// The names of a new process. `ledger` is what its ledger is called, if it has one.
    pub fn new(name: &str, ledger: Option<String>) -> Self {
        let prefix = format!("{{{name}}}:");
        let id = Uuid::now_v7().simple().to_string();
        Self {
            ledger: ledger.unwrap_or_else(|| id.clone()),
            process: format!("{prefix}process:{id}"),
            held: format!("{prefix}held:{id}"),
            processes: format!("{prefix}processes"),
            memory: format!("{prefix}memory"),
            rests: format!("{prefix}rests"),
            answers: format!("{prefix}answer:"),
            prefix,
            id,
        }
    }

    /// What the names begin with of what is known of a process, and of what it holds.
    pub fn of_processes(&self) -> [String; 2] {
        ["process:", "held:"].map(|kind| format!("{}{kind}", self.prefix))
    }

    /// What is counted for one limit of a scope; of a budget, in the period that began then.
    pub fn of(&self, scope: &str, what: What, begins: u64) -> Vec<u8> {
        let suffix = match what {
            What::Concurrent => ":concurrent",
            What::RequestsPerMinute => ":requests:minute",
            What::RequestsPerDay => ":requests:day",
            What::TokensPerMinute => ":tokens:minute",
            What::TokensPerDay => ":tokens:day",
            What::Budget(Period::Hour) => ":usd:hour:",
            What::Budget(Period::Day) => ":usd:day:",
            What::Budget(Period::Week) => ":usd:week:",
            What::Budget(Period::Month) => ":usd:month:",
            What::Budget(Period::Total) => ":usd:total",
        };
        let mut key = Vec::with_capacity(self.prefix.len() + scope.len() + 40);
        for part in [self.prefix.as_str(), scope, suffix] {
            key.extend_from_slice(part.as_bytes());
        }
        if matches!(what, What::Budget(period) if period != Period::Total) {
            key.extend_from_slice(begins.to_string().as_bytes());
        }
        key
    }
}
