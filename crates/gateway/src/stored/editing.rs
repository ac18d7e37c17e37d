//! Creating, changing, rotating and revoking clients of the store, by whoever may: the admin API, or a command.

use std::time::Duration;

use super::key::fresh;
use super::standing;
use crate::config::access::{AccessConfig, ClientConfig, key_hash};
use crate::config::clients::{ANONYMOUS, Client};
use crate::config::problem::did_you_mean;
use crate::store::Error;
use crate::store::clients::{Clients, StoredClient, StoredKey};

/// The longest name of a client: the ledger would cut off more.
const LONGEST_NAME: usize = 128;

/// Why something is not done.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// A field is not as it should be.
    #[error("`{0}`: {1}")]
    Field(&'static str, String),
    /// It contradicts what is there.
    #[error("{0}")]
    Conflict(String),
    /// There is no such client.
    #[error("{0}")]
    Missing(String),
    /// The store has failed.
    #[error("the store cannot be used: {0}")]
    Store(#[from] Error),
}

/// Adds a client. Returns its key, which nobody will be told again; `None` where `key_sha256` says which it is. `now` is in
/// milliseconds since 1970.
pub fn create(
    clients: &mut Clients,
    file: &AccessConfig,
    mut settings: Client,
    now: u64,
) -> Result<Option<String>, Refused> {
    let (key, kept) = if settings.key_sha256.is_some() {
        let hash = key_hash(&settings).map_err(|message| Refused::Field("key_sha256", message))?;
        settings.key_sha256 = None;
        let kept = StoredKey {
            hash,
            prefix: String::new(),
            created: now,
            ends: None,
        };
        (None, kept)
    } else {
        let (key, kept) = fresh(now).map_err(|message| Refused::Field("key", message))?;
        (Some(key), kept)
    };
    check(&settings, file)?;
    if file.clients.iter().any(|(hash, _)| *hash == kept.hash) {
        return Err(Refused::Conflict("The file has a client with this key.".to_owned()));
    }
    if !clients.create(&settings, &kept)? {
        let name = &settings.name;
        return Err(Refused::Conflict(format!(
            "There is a client `{name}` already, or one with this key."
        )));
    }
    Ok(key)
}

/// Replaces what is said of a client; its keys stay.
pub fn set(clients: &mut Clients, file: &AccessConfig, settings: &Client) -> Result<(), Refused> {
    if settings.key_sha256.is_some() {
        return Err(Refused::Field(
            "key_sha256",
            "a key is replaced by rotating it".to_owned(),
        ));
    }
    check(settings, file)?;
    if clients.set(settings)? {
        Ok(())
    } else {
        Err(missing(clients, file, &settings.name))
    }
}

/// Gives a client another key, which nobody will be told again. The old ones are accepted for as long as `grace`.
pub fn rotate(
    clients: &mut Clients,
    file: &AccessConfig,
    name: &str,
    grace: Duration,
    now: u64,
) -> Result<String, Refused> {
    let (key, kept) = fresh(now).map_err(|message| Refused::Field("key", message))?;
    let grace = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
    if clients.rotate(name, &kept, now.saturating_add(grace))? {
        Ok(key)
    } else {
        Err(missing(clients, file, name))
    }
}

/// Deletes a client with its keys.
pub fn revoke(clients: &mut Clients, file: &AccessConfig, name: &str) -> Result<(), Refused> {
    if clients.revoke(name)? {
        Ok(())
    } else {
        Err(missing(clients, file, name))
    }
}

fn check(settings: &Client, file: &AccessConfig) -> Result<(), Refused> {
    if settings.key.is_some() {
        let message = "keys are made here; for one that was made elsewhere, give its `key_sha256`";
        return Err(Refused::Field("key", message.to_owned()));
    }
    let name = &settings.name;
    if name == ANONYMOUS {
        let message = "callers without a key are a matter of the file".to_owned();
        return Err(Refused::Field("name", message));
    }
    if name.len() > LONGEST_NAME || name.trim() != name || name.chars().any(char::is_control) {
        let message = format!("has at most {LONGEST_NAME} bytes, without space around them");
        return Err(Refused::Field("name", message));
    }
    if file.all().any(|other| other.name == *name) {
        let message = format!("The file has a client `{name}`, and what it names is changed there.");
        return Err(Refused::Conflict(message));
    }
    ClientConfig::of(settings, &file.groups).map(drop).map_err(|wrong| {
        let (field, message) = wrong.into_iter().next().unwrap_or(("", "is wrong".to_owned()));
        Refused::Field(field, message)
    })
}

fn missing(clients: &Clients, file: &AccessConfig, name: &str) -> Refused {
    if file.all().any(|other| other.name == name) {
        let message = format!("The client `{name}` is in the file, and is changed there.");
        return Refused::Conflict(message);
    }
    let all = clients.all().unwrap_or_default();
    let hint = did_you_mean(name, all.iter().map(|client| client.settings.name.as_str()));
    Refused::Missing(format!(
        "There is no client `{name}` in the store{}.",
        hint.trim_end_matches('?')
    ))
}

/// In a word how a client of the store stands: `active`, `expired`, or why it is refused.
pub fn state(client: &StoredClient, file: &AccessConfig, now: u64) -> String {
    match standing(client, file) {
        Err(reason) => format!("refused: {reason}"),
        Ok(config) => {
            let ends = |key: &StoredKey| config.expires.into_iter().chain(key.ends).min();
            let lives = |key: &StoredKey| ends(key).is_none_or(|end| end > now);
            let state = if client.keys.iter().any(lives) {
                "active"
            } else {
                "expired"
            };
            state.to_owned()
        }
    }
}
