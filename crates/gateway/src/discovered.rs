//! What the providers said that they serve, and whether they still say so.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use mynah_dialect::handle::Handle;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::prices::Price;
use crate::provider::Provider;

/// A model as its provider lists it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Listed {
    /// The provider's name for it.
    pub id: String,
    /// Unix time, where the provider says so.
    pub created: Option<u64>,
    /// Who made it, in the provider's words.
    pub owner: Option<String>,
    /// The family that it belongs to, where a remote list says so.
    pub family: Option<String>,
    /// Tokens that fit into it.
    pub context: Option<u64>,
    /// Where a remote list says that it is called.
    pub handle: Option<Arc<Handle>>,
    /// What it costs.
    pub price: Option<Arc<Price>>,
    /// The service of an OCF network that serves it, as it stands in a path.
    pub service: Option<Arc<str>>,
    /// What it runs on, such as `4x NVIDIA GH200`.
    pub device: Option<String>,
}

/// What is known about a provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "ProviderState")]
pub enum State {
    /// It was not asked yet, or it answers and has never given a list.
    #[default]
    Unknown,
    /// It is not asked: the operator said what it serves, or it has no list.
    Configured,
    /// It gave its list when it was asked last.
    Up,
    /// It answers, but no longer with its list; the last one is kept.
    Stale,
    /// It could not be reached when it was asked last; its list, if it ever gave one, is kept.
    Down,
}

/// Why there is no list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unlisted {
    /// Nobody answered, or somebody in front of the provider.
    pub unreachable: bool,
    /// What happened. Holds no secret.
    pub message: String,
}

/// A moment on two clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The monotonic one.
    pub instant: Instant,
    /// Unix time, in seconds.
    pub unix: i64,
}

/// What is known about one provider.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    /// What it serves, each id once.
    pub models: Arc<[Listed]>,
    /// What stands before their ids where they are asked for.
    pub prefix: Option<Arc<str>>,
    /// How it is.
    pub state: State,
    /// Since when; `None` until it was asked.
    pub since: Option<Moment>,
    /// When it gave its list last.
    pub last_success: Option<Moment>,
    /// What went wrong since then.
    pub last_error: Option<String>,
}

/// What the providers said that they serve. Outlives a change of configuration.
#[derive(Debug)]
pub struct Discovered {
    snapshot: ArcSwap<Snapshot>,
    complete: watch::Sender<bool>,
}

/// What is known about models, by provider and id.
type ByModel<T> = HashMap<String, HashMap<String, T>>;

/// What is known at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// What is known about each provider.
    pub by_provider: BTreeMap<String, Arc<Record>>,
    /// The names of the providers that serve an id, those that are down included.
    pub by_id: Arc<HashMap<String, Vec<String>>>,
    /// What models cost whose providers say so.
    pub prices: Arc<ByModel<Arc<Price>>>,
    /// Below which services of OCF networks models are called.
    pub services: Arc<ByModel<Arc<str>>>,
    /// Where models are called whose providers have a handle for each.
    pub handles: Arc<ByModel<Arc<Handle>>>,
    /// The names of the providers that are down.
    pub down: BTreeSet<String>,
}

// === impl Listed, Record ===

impl Listed {
    /// What its kind is chosen by: its family, or its id where it has none.
    pub fn kind(&self) -> &str {
        self.family.as_deref().unwrap_or(&self.id)
    }
}

impl Record {
    /// A provider that nobody has asked.
    fn new(provider: &Provider) -> Self {
        let listed = |id: &String| Listed {
            id: id.clone(),
            ..Listed::default()
        };
        Self {
            models: provider.models.iter().flatten().map(listed).collect(),
            prefix: provider.prefix.clone(),
            state: if provider.is_asked_for_models() {
                State::Unknown
            } else {
                State::Configured
            },
            ..Self::default()
        }
    }

    /// What is known once the provider was asked again.
    fn after(&self, answer: &Result<Vec<Listed>, Unlisted>, now: Moment) -> Self {
        let state = match answer {
            Ok(_) => State::Up,
            Err(unlisted) if unlisted.unreachable => State::Down,
            Err(_) if self.last_success.is_some() => State::Stale,
            Err(_) => State::Unknown,
        };
        let since = self.since.filter(|_| state == self.state).or(Some(now));
        match answer {
            Ok(models) => Self {
                // The same list keeps its place in memory, so that a change can be told from none.
                models: if *models == *self.models {
                    self.models.clone()
                } else {
                    models.as_slice().into()
                },
                prefix: self.prefix.clone(),
                state,
                since,
                last_success: Some(now),
                last_error: None,
            },
            Err(unlisted) => Self {
                models: self.models.clone(),
                prefix: self.prefix.clone(),
                state,
                since,
                last_success: self.last_success,
                last_error: Some(unlisted.message.clone()),
            },
        }
    }

    /// What is asked for to get a model of this id.
    pub fn name_of(&self, id: &str) -> String {
        [self.prefix.as_deref().unwrap_or_default(), id].concat()
    }

    /// Something that worked does so no more.
    pub fn is_degraded(&self) -> bool {
        matches!(self.state, State::Stale | State::Down)
    }
}

// === impl Snapshot ===

impl Snapshot {
    fn index(&mut self) {
        let mut by_id: HashMap<String, Vec<String>> = HashMap::new();
        let mut prices = ByModel::<Arc<Price>>::new();
        let mut services = ByModel::<Arc<str>>::new();
        let mut handles = ByModel::<Arc<Handle>>::new();
        for (provider, record) in &self.by_provider {
            for listed in &*record.models {
                if let Some(price) = &listed.price {
                    let own = prices.entry(provider.clone()).or_default();
                    own.insert(listed.id.clone(), price.clone());
                }
                if let Some(handle) = &listed.handle {
                    let own = handles.entry(provider.clone()).or_default();
                    own.insert(listed.id.clone(), handle.clone());
                }
                if let Some(service) = &listed.service {
                    let own = services.entry(provider.clone()).or_default();
                    own.insert(listed.id.clone(), service.clone());
                }
                let serving = by_id.entry(record.name_of(&listed.id)).or_default();
                if serving.last() != Some(provider) {
                    serving.push(provider.clone());
                }
            }
        }
        (self.by_id, self.prices) = (Arc::new(by_id), Arc::new(prices));
        (self.services, self.handles) = (Arc::new(services), Arc::new(handles));
    }
}

// === impl Discovered ===

impl Default for Discovered {
    fn default() -> Self {
        Self {
            snapshot: ArcSwap::default(),
            complete: watch::Sender::new(false),
        }
    }
}

impl Discovered {
    /// Takes up the providers of a configuration, and forgets all others. What is known about one that is still asked is
    /// kept.
    pub fn configure(&self, providers: &[Arc<Provider>]) {
        self.snapshot.rcu(|known| {
            let record = |provider: &Arc<Provider>| {
                let kept = known.by_provider.get(&provider.name);
                let kept = kept.filter(|record| provider.is_asked_for_models() && record.state != State::Configured);
                let record = match kept {
                    Some(record) => Record {
                        prefix: provider.prefix.clone(),
                        ..Record::clone(record)
                    },
                    None => Record::new(provider),
                };
                (provider.name.clone(), Arc::new(record))
            };
            let by_provider: BTreeMap<_, _> = providers.iter().map(record).collect();
            let down = by_provider.iter().filter(|(_, record)| record.state == State::Down);
            let mut snapshot = Snapshot {
                down: down.map(|(name, _)| name.clone()).collect(),
                by_provider,
                ..Snapshot::default()
            };
            snapshot.index();
            snapshot
        });
    }

    /// Notes what a provider answered. Returns the state that it had before.
    pub fn note(&self, provider: &str, answer: &Result<Vec<Listed>, Unlisted>, now: Moment) -> State {
        let before = self.snapshot.rcu(|known| {
            let mut snapshot = Snapshot::clone(known);
            // One that is no longer configured was asked in vain.
            let Some(record) = snapshot.by_provider.get_mut(provider) else {
                return snapshot;
            };
            let models = record.models.clone();
            *record = Arc::new(record.after(answer, now));
            if record.state == State::Down {
                snapshot.down.insert(provider.to_owned());
            } else {
                snapshot.down.remove(provider);
            }
            if !Arc::ptr_eq(&models, &record.models) {
                snapshot.index();
            }
            snapshot
        });
        before
            .by_provider
            .get(provider)
            .map(|record| record.state)
            .unwrap_or_default()
    }

    /// What is known now.
    pub fn snapshot(&self) -> Guard<Arc<Snapshot>> {
        self.snapshot.load()
    }

    /// What is known about a provider.
    pub fn record(&self, provider: &str) -> Arc<Record> {
        let snapshot = self.snapshot.load();
        snapshot.by_provider.get(provider).cloned().unwrap_or_default()
    }

    /// Whether a provider could not be reached when it was asked last. Fit for every request: one read, and mostly an
    /// empty set.
    pub fn is_down(&self, provider: &str) -> bool {
        self.snapshot.load().down.contains(provider)
    }

    /// What a model costs, as its provider says.
    pub fn price(&self, provider: &str, model: &str) -> Option<Arc<Price>> {
        self.snapshot.load().prices.get(provider)?.get(model).cloned()
    }

    /// Below which service of an OCF network a model is called, as its head says.
    pub fn service(&self, provider: &str, model: &str) -> Option<Arc<str>> {
        self.snapshot.load().services.get(provider)?.get(model).cloned()
    }

    /// Where a model is called, where its provider has a handle for each.
    pub fn handle(&self, provider: &str, model: &str) -> Option<Arc<Handle>> {
        self.snapshot.load().handles.get(provider)?.get(model).cloned()
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn list(ids: &[&str]) -> Vec<Listed> {
        let listed = |id: &&str| Listed {
            id: (*id).to_owned(),
            ..Listed::default()
        };
        ids.iter().map(listed).collect()
    }

    fn failure(unreachable: bool) -> Unlisted {
        Unlisted {
            unreachable,
            message: "because".to_owned(),
        }
    }

    /// The built-in provider under another name, so that it is asked.
    fn provider(name: &str) -> Arc<Provider> {
        let mut provider = Provider::built_in();
        provider.name = name.to_owned();
        provider.models = None;
        provider.list.shape = crate::known::Discovery::OpenAi;
        Arc::new(provider)
    }

    fn moments() -> impl FnMut() -> Moment {
        let start = Instant::now();
        let mut unix = 0_i64;
        move || {
            unix += 1;
            Moment {
                instant: start + Duration::from_secs(unix.unsigned_abs()),
                unix,
            }
        }
    }

    #[test]
    fn a_list_is_kept_through_every_failure() {
        let discovered = Discovered::default();
        discovered.configure(&[provider("a"), provider("b")]);
        let mut now = moments();
        let mut after = |answer, expected: State, since: i64, success: Option<i64>| {
            discovered.note("a", &answer, now());
            let record = discovered.record("a");
            assert_eq!(record.state, expected);
            assert_eq!(record.since.map(|moment| moment.unix), Some(since));
            assert_eq!(record.last_success.map(|moment| moment.unix), success);
            assert_eq!(record.last_error.is_some(), answer.is_err());
            assert_eq!(discovered.is_down("a"), expected == State::Down);
            discovered.snapshot().by_id.contains_key("m")
        };
        assert!(!after(Err(failure(true)), State::Down, 1, None));
        assert!(!after(Err(failure(false)), State::Unknown, 2, None));
        assert!(after(Ok(list(&["m"])), State::Up, 3, Some(3)));
        assert!(after(Ok(list(&["m"])), State::Up, 3, Some(4)));
        assert!(after(Err(failure(false)), State::Stale, 5, Some(4)));
        assert!(after(Err(failure(true)), State::Down, 6, Some(4)));
        assert!(after(Err(failure(true)), State::Down, 6, Some(4)));
        assert!(!after(Ok(list(&[])), State::Up, 8, Some(8)));
    }

    #[test]
    fn a_model_is_found_at_everybody_who_lists_it() {
        let discovered = Discovered::default();
        discovered.configure(&[provider("b"), provider("a")]);
        let mut now = moments();
        discovered.note("a", &Ok(list(&["m", "m"])), now());
        discovered.note("b", &Ok(list(&["m", "n"])), now());
        assert_eq!(discovered.snapshot().by_id["m"], ["a", "b"]);
        assert_eq!(discovered.snapshot().by_id["n"], ["b"]);
        discovered.note("b", &Ok(list(&["n"])), now());
        assert_eq!(discovered.snapshot().by_id["m"], ["a"]);
    }

    #[test]
    fn another_configuration_keeps_what_is_still_asked() {
        let discovered = Discovered::default();
        let stated = || Provider {
            name: "stated".to_owned(),
            ..Provider::built_in()
        };
        let asked = provider("stated");
        discovered.configure(&[provider("a"), provider("gone"), Arc::new(stated())]);
        assert_eq!(discovered.record("stated").state, State::Configured);
        assert!(discovered.snapshot().by_id.contains_key("echo"));
        let mut now = moments();
        discovered.note("a", &Ok(list(&["m"])), now());
        discovered.note("gone", &Err(failure(true)), now());
        discovered.configure(&[provider("a"), asked]);
        assert_eq!(discovered.record("a").models.len(), 1);
        assert_eq!(discovered.record("stated").state, State::Unknown);
        assert!(!discovered.is_down("gone") && !discovered.snapshot().by_id.contains_key("echo"));
        discovered.note("gone", &Ok(list(&["x"])), now());
        assert!(!discovered.snapshot().by_id.contains_key("x"));
        discovered.note("stated", &Err(failure(true)), now());
        assert!(discovered.is_down("stated"));
        discovered.configure(&[Arc::new(stated())]);
        assert!(!discovered.is_down("stated"), "it is not asked any more");
    }
}
