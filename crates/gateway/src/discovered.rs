//! What the providers said that they serve.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use tokio::sync::watch;

/// A model as its provider lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The provider's name for it.
    pub id: String,
    /// Unix time, where the provider says so.
    pub created: u64,
}

/// What the providers said that they serve. Outlives a change of configuration.
#[derive(Debug)]
pub struct Discovered {
    snapshot: ArcSwap<Snapshot>,
    complete: watch::Sender<bool>,
}

/// What is known at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// What each provider serves.
    pub by_provider: BTreeMap<String, Vec<Listed>>,
    /// The names of the providers that serve an id.
    pub by_id: HashMap<String, Vec<String>>,
}

impl Default for Discovered {
    fn default() -> Self {
        Self {
            snapshot: ArcSwap::default(),
            complete: watch::Sender::new(false),
        }
    }
}

impl Discovered {
    /// Notes what a provider serves.
    pub fn note(&self, provider: &str, models: &[Listed]) {
        self.snapshot.rcu(|known| {
            let mut by_provider = known.by_provider.clone();
            by_provider.insert(provider.to_owned(), models.to_vec());
            let mut by_id: HashMap<String, Vec<String>> = HashMap::new();
            for (provider, models) in &by_provider {
                for listed in models {
                    by_id.entry(listed.id.clone()).or_default().push(provider.clone());
                }
            }
            Snapshot { by_provider, by_id }
        });
    }

    /// What is known now.
    pub fn snapshot(&self) -> Guard<Arc<Snapshot>> {
        self.snapshot.load()
    }

    /// Whether x
    pub fn is_down(&self, _provider: &str) -> bool {
        false
    }

    /// How many models a provider serves.
    pub fn count(&self, provider: &str) -> usize {
        self.snapshot.load().by_provider.get(provider).map_or(0, Vec::len)
    }

    /// Says that every provider has been asked once.
    pub fn set_complete(&self) {
        self.complete.send_replace(true);
    }

    /// Whether every provider has been asked once.
    pub fn is_complete(&self) -> bool {
        *self.complete.borrow()
    }

    /// Waits until every provider has been asked once.
    pub async fn completed(&self) {
        // The sender lives as long as `self`, so this ends only with the value.
        let _ = self.complete.subscribe().wait_for(|complete| *complete).await;
    }
}
