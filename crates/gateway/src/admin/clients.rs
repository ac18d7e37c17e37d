//! The clients: those of the file, and those that are created, changed, rotated and revoked here.

use std::time::Duration;

use axum::response::Response;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::call::Call;
use super::ledger::on_a_thread;
use crate::config::access::AccessConfig;
use crate::config::clients::Client;
use crate::config::problem::did_you_mean;
use crate::config::units::Span;
use crate::failure::Failure;
use crate::http::routes::json_reply;
use crate::ledger::unix_milliseconds;
use crate::store::clients::{Clients as Store, StoredClient, StoredKey};
use crate::stored::editing::{self, Refused};

/// All clients.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Clients {
    /// Those of the file in its order, then those of the store by name.
    clients: Vec<Known>,
}

/// A client.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "KnownClient")]
pub struct Known {
    /// What is said of it, but for keys.
    #[serde(flatten)]
    settings: Client,
    /// `file` or `store`.
    origin: &'static str,
    /// `active`, `expired`, or `refused: ` and why.
    state: String,
    /// When it was created, where it is in the store.
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<String>,
    /// Its keys, where it is in the store.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    keys: Vec<Key>,
}

/// A key of a client, by which it can be recognised.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ClientKey")]
pub struct Key {
    /// How it begins; empty when it was made elsewhere.
    prefix: String,
    /// When it was created.
    created: String,
    /// When it is refused from; `null` when its client says so.
    ends: Option<String>,
}

/// A client that was created.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Created {
    /// Its name.
    name: String,
    /// Its key, which is told only this once; `null` when it was made elsewhere.
    key: Option<String>,
}

/// How a key is replaced.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rotate {
    /// How long the old keys are still accepted. Default: not at all.
    #[serde(default)]
    grace: Option<Span>,
}

/// A client that was revoked.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Revoked {
    /// Its name.
    name: String,
    /// Its keys are refused on this node, and within a second on every other.
    revoked: bool,
}

/// `GET /api/clients`.
pub fn list(call: &Call) -> Result<Response, Failure> {
    let clients = all(call)?;
    Ok(json_reply(&Clients { clients }))
}

/// `GET /api/clients/{name}`.
pub fn one(call: &Call) -> Result<Response, Failure> {
    let (name, mut clients) = (&call.named, all(call)?);
    let hint = did_you_mean(name, clients.iter().map(|client| client.settings.name.as_str()));
    let at = clients.iter().position(|client| client.settings.name == *name);
    let message = || format!("There is no client `{name}`{}.", hint.trim_end_matches('?'));
    let at = at.ok_or_else(|| Failure::not_found(message()))?;
    Ok(json_reply(&clients.swap_remove(at)))
}

/// `POST /api/clients`.
pub async fn create(call: Call) -> Result<Response, Failure> {
    let settings: Client = call.json()?;
    let name = settings.name.clone();
    let now = unix_milliseconds();
    let key = edit(&call, move |store, file| editing::create(store, file, settings, now)).await?;
    Ok(json_reply(&Created { name, key }))
}

/// `PUT /api/clients/{name}`.
pub async fn set(call: Call) -> Result<Response, Failure> {
    let settings: Client = call.json()?;
    if settings.name != call.named {
        let message = "`name` must be that of the path: a client keeps its name, under which it is counted.";
        return Err(Failure::field_refused("name".to_owned(), message));
    }
    edit(&call, move |store, file| editing::set(store, file, &settings)).await?;
    one(&call)
}

/// `POST /api/clients/{name}/rotate`.
pub async fn rotate(call: Call) -> Result<Response, Failure> {
    let rotate: Rotate = call.json()?;
    let grace = rotate.grace.map_or(Duration::ZERO, |grace| grace.0);
    let (name, now) = (call.named.clone(), unix_milliseconds());
    let asked = name.clone();
    let key = edit(&call, move |store, file| {
        editing::rotate(store, file, &asked, grace, now)
    })
    .await?;
    Ok(json_reply(&Created { name, key: Some(key) }))
}

/// `DELETE /api/clients/{name}`.
pub async fn revoke(call: Call) -> Result<Response, Failure> {
    let name = call.named.clone();
    let asked = name.clone();
    edit(&call, move |store, file| editing::revoke(store, file, &asked)).await?;
    Ok(json_reply(&Revoked { name, revoked: true }))
}

fn all(call: &Call) -> Result<Vec<Known>, Failure> {
    let now = unix_milliseconds();
    let in_use = call.admin.in_use.load();
    let of_file = in_use
        .effective
        .file
        .clients
        .iter()
        .map(|client| Known::of_file(client, now));
    let stored = call.app.process.stored.clients().ok_or_else(Failure::clients_unread)?;
    let of_store = stored
        .iter()
        .map(|client| Known::of_store(client, &call.app.access, now));
    Ok(of_file.chain(of_store).collect())
}

impl Known {
    fn of_file(client: &Client, now: u64) -> Self {
        let is_over = client.expires.is_some_and(|expires| expires.milliseconds() <= now);
        Self {
            settings: Client {
                key: None,
                key_sha256: None,
                ..client.clone()
            },
            origin: "file",
            state: if is_over { "expired" } else { "active" }.to_owned(),
            created: None,
            keys: Vec::new(),
        }
    }

    fn of_store(client: &StoredClient, file: &AccessConfig, now: u64) -> Self {
        Self {
            settings: client.settings.clone(),
            origin: "store",
            state: editing::state(client, file, now),
            created: Some(date(client.created)),
            keys: client.keys.iter().map(Key::from).collect(),
        }
    }
}

impl From<&StoredKey> for Key {
    fn from(key: &StoredKey) -> Self {
        Self {
            prefix: key.prefix.clone(),
            created: date(key.created),
            ends: key.ends.map(date),
        }
    }
}

fn date(milliseconds: u64) -> String {
    let milliseconds = i64::try_from(milliseconds).unwrap_or(i64::MAX);
    let date = Timestamp::from_millisecond(milliseconds).unwrap_or_default();
    date.to_string()
}

/// Changes something in the store, on a thread that may wait for it. It holds on this node when this returns.
async fn edit<T: Send + 'static>(
    call: &Call,
    edit: impl FnOnce(&mut Store, &AccessConfig) -> Result<T, Refused> + Send + 'static,
) -> Result<T, Failure> {
    let none = || Failure::conflict("There is nowhere to keep clients: the configuration has no table [store].");
    let keeper = call.admin.keeper.clone().ok_or_else(none)?;
    let app = call.app.clone();
    let done = on_a_thread(move || keeper.edit(|store| edit(store, &app.access))).await?;
    done.map_err(|refused| match refused {
        Refused::Field(field, ref message) => Failure::field_refused(field.to_owned(), format!("`{field}` {message}.")),
        Refused::Conflict(message) => Failure::conflict(message),
        Refused::Missing(message) => Failure::not_found(message),
        Refused::Store(error) => Failure::store_unusable(&error),
    })
}
