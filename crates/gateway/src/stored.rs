//! Clients that are not in the file: they are created while the gateway runs, and kept in the store beside the ledger.
//!
//! Who calls is always looked up in memory. A thread looks at the store for changes, which other nodes or a command may
//! have made, and has the callers made anew. What the file says goes before what the store says.

pub mod editing;
pub mod key;

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::app::{App, Process};
use crate::caller::KeyHash;
use crate::config::StoreConfig;
use crate::config::access::{AccessConfig, ClientConfig};
use crate::http::listen::Site;
use crate::ledger::past::past;
use crate::store::Error;
use crate::store::clients::{Clients, StoredClient};

/// How often the store is looked at.
const INTERVAL: Duration = Duration::from_millis(200);

/// How long a store is left alone that could not be read.
const REST: Duration = Duration::from_secs(1);

/// What is known of the stored clients.
#[derive(Debug, Default)]
pub struct Stored(ArcSwap<State>);

/// What is known of them.
#[derive(Debug, Default)]
enum State {
    /// There is no store.
    #[default]
    None,
    /// They could not be read yet.
    Unread,
    /// They are these.
    Read {
        clients: Vec<StoredClient>,
        /// There was one at some time, so callers need a key, also when the last of them is revoked.
        ever_any: bool,
    },
}

/// Keeps what is known of the stored clients up to date.
pub struct Keeper {
    config: StoreConfig,
    process: Arc<Process>,
    /// What is served, once it is.
    site: OnceLock<Arc<ArcSwap<Site>>>,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    clients: Option<Clients>,
    /// The number of changes that are known.
    version: Option<u64>,
    /// The log has said that the store cannot be read.
    is_told: bool,
}

// === impl Stored ===

impl Stored {
    /// Nothing is known yet of the clients of a store, if there is one.
    pub fn new(has_store: bool) -> Self {
        let state = if has_store { State::Unread } else { State::None };
        Self(ArcSwap::from_pointee(state))
    }

    /// The clients that are known, whatever the file says; `None` when they could not be read yet.
    pub fn clients(&self) -> Option<Vec<StoredClient>> {
        match &**self.0.load() {
            State::None => Some(Vec::new()),
            State::Unread => None,
            State::Read { clients, .. } => Some(clients.clone()),
        }
    }

    /// Who may call: those of the file, and those of the store that are not in its way.
    pub fn beside(&self, file: &AccessConfig) -> AccessConfig {
        let mut access = file.clone();
        match &**self.0.load() {
            State::None => {}
            State::Unread => access.is_incomplete = true,
            State::Read { clients, ever_any } => {
                for client in clients {
                    match standing(client, file) {
                        Ok(config) => access.clients.extend(keys(client, &config, file)),
                        Err(reason) => {
                            tracing::warn!(client = client.settings.name, reason, "a stored client is refused");
                        }
                    }
                }
                if *ever_any && !file.allow_anonymous {
                    access.anonymous = None;
                }
            }
        }
        access
    }
}

/// A stored client with all that its groups give it, or why it is refused.
pub fn standing(client: &StoredClient, file: &AccessConfig) -> Result<ClientConfig, String> {
    let name = &client.settings.name;
    if file.all().any(|other| other.name == *name) {
        return Err("the file has a client of this name".to_owned());
    }
    ClientConfig::of(&client.settings, &file.groups).map_err(|wrong| {
        let wrong: Vec<String> = wrong
            .iter()
            .map(|(field, message)| format!("`{field}`: {message}"))
            .collect();
        wrong.join("; ")
    })
}

/// One entry for each key, with its own end.
fn keys(client: &StoredClient, config: &ClientConfig, file: &AccessConfig) -> Vec<(KeyHash, ClientConfig)> {
    let is_files = |hash: &KeyHash| file.clients.iter().any(|(other, _)| other == hash);
    let keys = client.keys.iter().filter(|key| !is_files(&key.hash));
    keys.map(|key| {
        let expires = config.expires.into_iter().chain(key.ends).min();
        (
            key.hash,
            ClientConfig {
                expires,
                ..config.clone()
            },
        )
    })
    .collect()
}

// === impl Keeper ===

impl Keeper {
    /// Reads the stored clients for the first time. When that fails, they are read later.
    pub fn new(config: StoreConfig, process: Arc<Process>) -> Arc<Self> {
        let keeper = Arc::new(Self {
            config,
            process,
            site: OnceLock::new(),
            open: Mutex::default(),
        });
        keeper.look();
        keeper
    }

    /// From now on, what is served is kept up to date.
    pub fn start(self: Arc<Self>, site: Arc<ArcSwap<Site>>) -> std::io::Result<()> {
        let _ = self.site.set(site);
        let thread = std::thread::Builder::new().name("clients".to_owned());
        thread.spawn(move || {
            loop {
                let pause = if self.look() { INTERVAL } else { REST };
                #[expect(
                    clippy::disallowed_methods,
                    reason = "a thread of its own, which has nothing else to do"
                )]
                std::thread::sleep(pause);
            }
        })?;
        Ok(())
    }

    /// Does something with the store. What it has changed holds here when this returns.
    pub fn edit<T, E: From<Error>>(&self, edit: impl FnOnce(&mut Clients) -> Result<T, E>) -> Result<T, E> {
        let mut open = self.lock();
        let done = edit(open.clients(&self.config)?)?;
        self.read(&mut open)?;
        Ok(done)
    }

    /// Looks whether something has changed. Returns whether the store could be read.
    fn look(&self) -> bool {
        let mut open = self.lock();
        let read = self.read(&mut open);
        match &read {
            Err(error) if !open.is_told => {
                tracing::error!(%error, "the clients of the store cannot be read; those that are known may call");
            }
            Ok(()) if open.is_told => tracing::info!("the clients of the store can be read again"),
            _ => {}
        }
        open.is_told = read.is_err();
        if open.is_told {
            open.clients = None;
        }
        read.is_ok()
    }

    fn read(&self, open: &mut Open) -> Result<(), Error> {
        let known = open.version;
        let clients = open.clients(&self.config)?;
        // What changes after this is read once too often, and not missed.
        let version = clients.version()?;
        if known == Some(version) {
            return Ok(());
        }
        let clients = clients.all()?;
        let is_late = known.is_none() && self.site.get().is_some();
        let ever_any = version > 0;
        self.process.stored.0.store(Arc::new(State::Read { clients, ever_any }));
        open.version = Some(version);
        if let Some(site) = self.site.get() {
            let app = site.load().app.clone();
            app.renew_callers();
            if is_late {
                self.restore(&app);
            }
        }
        Ok(())
    }

    /// Counts what those have consumed who could not be known at the start.
    fn restore(&self, app: &App) {
        let mut late = self.process.stored.beside(&app.access);
        late.clients
            .retain(|(hash, _)| app.access.clients.iter().all(|(other, _)| other != hash));
        late.anonymous = None;
        let now = self.process.scopes.clock().now();
        past(&self.config, &late, now).restore(&self.process.scopes, &late, now);
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn clients(&mut self, config: &StoreConfig) -> Result<&mut Clients, Error> {
        let clients = match self.clients.take() {
            Some(clients) => clients,
            None => Clients::open(config)?,
        };
        Ok(self.clients.insert(clients))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::hash;
    use crate::config::clients::{Client, Group};
    use crate::store::clients::StoredKey;

    fn stored(name: &str, group: Option<&str>, keys: &[(&str, Option<u64>)]) -> StoredClient {
        StoredClient {
            settings: Client {
                name: name.to_owned(),
                group: group.map(str::to_owned),
                ..Client::default()
            },
            created: 0,
            keys: keys
                .iter()
                .map(|(key, ends)| StoredKey {
                    hash: hash(key.as_bytes()),
                    prefix: String::new(),
                    created: 0,
                    ends: *ends,
                })
                .collect(),
        }
    }

    fn file() -> AccessConfig {
        let named = |name: &str| ClientConfig {
            name: name.to_owned(),
            ..ClientConfig::default()
        };
        AccessConfig {
            clients: vec![(hash(b"of the file"), named("file"))],
            anonymous: Some(named("anonymous")),
            groups: vec![Group {
                name: "team".to_owned(),
                strict: Some(true),
                ..Group::default()
            }],
            ..AccessConfig::default()
        }
    }

    fn beside(clients: Vec<StoredClient>, file: &AccessConfig) -> AccessConfig {
        let ever_any = !clients.is_empty();
        Stored(ArcSwap::from_pointee(State::Read { clients, ever_any })).beside(file)
    }

    #[test]
    fn the_file_goes_before_the_store() {
        let access = beside(
            vec![
                stored("file", None, &[("of the store", None)]),
                stored("thief", None, &[("of the file", None), ("own", Some(7))]),
                stored("lost", Some("nobody"), &[("lost", None)]),
                stored("member", Some("team"), &[("member", None)]),
            ],
            &file(),
        );
        let found: Vec<(&str, bool, Option<u64>)> = access
            .clients
            .iter()
            .map(|(_, client)| (client.name.as_str(), client.strict, client.expires))
            .collect();
        assert_eq!(
            found,
            [("file", false, None), ("thief", false, Some(7)), ("member", true, None)]
        );
        assert_eq!(access.clients[1].0, hash(b"own"));
    }

    #[test]
    fn as_soon_as_there_was_a_key_callers_need_one() {
        let mut file = file();
        file.clients.clear();
        assert!(beside(Vec::new(), &file).anonymous.is_some());
        let team = stored("team", None, &[("key", None)]);
        assert!(beside(vec![team.clone()], &file).anonymous.is_none());
        let revoked = Stored(ArcSwap::from_pointee(State::Read {
            clients: Vec::new(),
            ever_any: true,
        }));
        assert!(revoked.beside(&file).anonymous.is_none());
        file.allow_anonymous = true;
        assert!(beside(vec![team], &file).anonymous.is_some());
        assert!(Stored::new(true).beside(&file).is_incomplete && !Stored::new(false).beside(&file).is_incomplete);
    }
}
