//! The clients that are not in the file, as they are kept: their settings, and the hashes of their keys. Every call waits for the
//! database, so it is for threads that may.

use std::collections::HashMap;
use std::time::Duration;

use super::database::Database;
use super::findings::Row;
use super::question::Query;
use super::{Error, Value};
use crate::caller::KeyHash;
use crate::config::StoreConfig;
use crate::config::access::{from_hex, to_hex};
use crate::config::clients::Client;

/// How long to wait for another process that writes. Rows of the ledger are written many at a time.
const PATIENCE: Duration = Duration::from_secs(5);

/// A client that is not in the file.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredClient {
    /// What `[[clients]]` would say of it, but for the key.
    pub settings: Client,
    /// When it was created, in milliseconds since 1970.
    pub created: u64,
    /// Its keys, the oldest first.
    pub keys: Vec<StoredKey>,
}

/// A key of such a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredKey {
    /// Its hash.
    pub hash: KeyHash,
    /// How it begins; empty when it was made elsewhere.
    pub prefix: String,
    /// When it was created, in milliseconds since 1970.
    pub created: u64,
    /// When it is refused from, in milliseconds since 1970; `None` when its client says so.
    pub ends: Option<u64>,
}

/// A change of the tables.
#[derive(Debug)]
pub struct Change {
    /// What is changed.
    pub query: Query,
    /// Without this, nothing else is changed either.
    pub must: bool,
}

/// The tables of clients, open.
#[derive(Debug)]
pub struct Clients {
    database: Database,
}

impl Clients {
    /// Opens the database of a configuration, makes it if it is not there, and brings its tables up to date.
    pub fn open(config: &StoreConfig) -> Result<Self, Error> {
        // A key that was shown must not be gone after a power cut, nor one that was revoked be back.
        let database = Database::open_durably(config, PATIENCE)?;
        Ok(Self { database })
    }

    /// Opens the database of a configuration to look at it.
    pub fn open_to_read(config: &StoreConfig) -> Result<Self, Error> {
        Ok(Self {
            database: Database::open_to_read(config)?,
        })
    }

    /// A number that grows with every change.
    pub fn version(&self) -> Result<u64, Error> {
        let rows = self.select("SELECT number FROM client_changes")?;
        Ok(rows.first().map_or(0, |row| row.count("number")))
    }

    /// All of them, by name.
    pub fn all(&self) -> Result<Vec<StoredClient>, Error> {
        let mut keys: HashMap<String, Vec<StoredKey>> = HashMap::new();
        for row in self.select("SELECT hash, client, prefix, created, ends FROM client_keys ORDER BY created")? {
            if let Some(key) = StoredKey::read(&row) {
                keys.entry(row.text("client")).or_default().push(key);
            }
        }
        let rows = self.select("SELECT name, created, settings FROM clients ORDER BY name")?;
        let client = |row: &Row| {
            let name = row.text("name");
            let settings = serde_json::from_str(&row.text("settings"));
            let settings =
                settings.map_err(|error| tracing::error!(client = name, %error, "a stored client is refused"));
            Some(StoredClient {
                settings: settings.ok()?,
                created: row.count("created"),
                keys: keys.remove(&name).unwrap_or_default(),
            })
        };
        Ok(rows.iter().filter_map(client).collect())
    }

    /// Adds a client with a key. Returns whether there was none of this name, and no such key.
    pub fn create(&mut self, settings: &Client, key: &StoredKey) -> Result<bool, Error> {
        let client = "INSERT INTO clients (name, created, settings) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
        let values = vec![text(&settings.name), Value::count(key.created), json(settings)];
        self.change([must(client, values), key.insert(&settings.name)])
    }

    /// Replaces what is said of a client. Returns whether there is one of its name.
    pub fn set(&mut self, settings: &Client) -> Result<bool, Error> {
        let client = "UPDATE clients SET settings = $2 WHERE name = $1";
        self.change([must(client, vec![text(&settings.name), json(settings)])])
    }

    /// Adds a key to a client, whose other keys are refused from a moment on (in milliseconds since 1970). Returns whether there
    /// is a client of this name.
    pub fn rotate(&mut self, name: &str, key: &StoredKey, others_end: u64) -> Result<bool, Error> {
        let ended = "DELETE FROM client_keys WHERE client = $1 AND ends <= $2";
        let others = "UPDATE client_keys SET ends = $2 WHERE client = $1 AND (ends IS NULL OR ends > $2)";
        self.change([
            may(others, vec![text(name), Value::count(others_end)]),
            may(ended, vec![text(name), Value::count(key.created)]),
            key.insert(name),
        ])
    }

    /// Deletes a client with its keys. Returns whether there was one of this name.
    pub fn revoke(&mut self, name: &str) -> Result<bool, Error> {
        self.change([
            must("DELETE FROM clients WHERE name = $1", vec![text(name)]),
            may("DELETE FROM client_keys WHERE client = $1", vec![text(name)]),
        ])
    }

    fn change<const N: usize>(&mut self, changes: [Change; N]) -> Result<bool, Error> {
        let counted = must("UPDATE client_changes SET number = number + 1", Vec::new());
        let changes: Vec<Change> = changes.into_iter().chain([counted]).collect();
        self.database.change(&changes)
    }

    fn select(&self, sql: &str) -> Result<Vec<Row>, Error> {
        self.database.select(&Query {
            sql: sql.to_owned(),
            values: Vec::new(),
        })
    }
}

impl StoredKey {
    fn read(row: &Row) -> Option<Self> {
        Some(Self {
            hash: from_hex(&row.text("hash"))?,
            prefix: row.text("prefix"),
            created: row.count("created"),
            ends: row.known("ends"),
        })
    }

    /// Only where there is a client of this name, and no such key.
    fn insert(&self, client: &str) -> Change {
        let sql = "INSERT INTO client_keys (hash, client, prefix, created)
            SELECT $1, name, $3, CAST($4 AS BIGINT) FROM clients WHERE name = $2 ON CONFLICT DO NOTHING";
        let prefix = Value::Text(self.prefix.clone().into());
        let values = vec![
            text(&to_hex(&self.hash)),
            text(client),
            prefix,
            Value::count(self.created),
        ];
        must(sql, values)
    }
}

fn must(sql: &str, values: Vec<Value<'static>>) -> Change {
    let sql = sql.to_owned();
    let query = Query { sql, values };
    Change { query, must: true }
}

fn may(sql: &str, values: Vec<Value<'static>>) -> Change {
    Change {
        must: false,
        ..must(sql, values)
    }
}

fn text(text: &str) -> Value<'static> {
    Value::Text(text.to_owned().into())
}

fn json(settings: &Client) -> Value<'static> {
    Value::Text(serde_json::to_string(settings).unwrap_or_default().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::hash;
    use crate::store::sqlite::Sqlite;

    fn key(text: &str, created: u64) -> StoredKey {
        StoredKey {
            hash: hash(text.as_bytes()),
            prefix: "sk-".to_owned(),
            created,
            ends: None,
        }
    }

    fn named(name: &str) -> Client {
        Client {
            name: name.to_owned(),
            requests_per_minute: Some(5),
            ..Client::default()
        }
    }

    fn open() -> (tempfile::TempDir, Clients) {
        let directory = tempfile::tempdir().unwrap();
        let database = Sqlite::open(
            &directory.path().join("m.db"),
            false,
            crate::store::sqlite::Contents::LEDGER,
        )
        .unwrap();
        let database = Database::Sqlite(database);
        (directory, Clients { database })
    }

    #[test]
    fn a_client_lives_from_its_creation_to_its_revocation() {
        let (_directory, mut clients) = open();
        assert!(clients.create(&named("team"), &key("one", 1)).unwrap());
        let before = clients.version().unwrap();
        assert!(
            !clients.create(&named("team"), &key("two", 2)).unwrap(),
            "the same name"
        );
        assert!(
            !clients.create(&named("other"), &key("one", 2)).unwrap(),
            "the same key"
        );
        assert_eq!((clients.version().unwrap(), clients.all().unwrap().len()), (before, 1));
        let settings = Client {
            requests_per_minute: Some(9),
            ..named("team")
        };
        assert!(clients.set(&settings).unwrap() && !clients.set(&named("nobody")).unwrap());
        assert!(clients.version().unwrap() > before);
        let all = clients.all().unwrap();
        assert_eq!((&all[0].settings, &all[0].keys), (&settings, &vec![key("one", 1)]));
        assert!(clients.revoke("team").unwrap() && !clients.revoke("team").unwrap());
        assert!(clients.all().unwrap().is_empty());
        assert!(
            clients.create(&named("team"), &key("one", 9)).unwrap(),
            "nothing is left of it"
        );
    }

    #[test]
    fn a_new_key_ends_the_old_ones() {
        let (_directory, mut clients) = open();
        assert!(!clients.rotate("team", &key("x", 5), 5).unwrap());
        clients.create(&named("team"), &key("one", 1)).unwrap();
        assert!(clients.rotate("team", &key("two", 10), 50).unwrap());
        let keys = |clients: &Clients| -> Vec<(u64, Option<u64>)> {
            let all = clients.all().unwrap();
            all[0].keys.iter().map(|key| (key.created, key.ends)).collect()
        };
        assert_eq!(keys(&clients), [(1, Some(50)), (10, None)]);
        // A later end does not give an old key a longer life.
        clients.rotate("team", &key("three", 20), 90).unwrap();
        assert_eq!(keys(&clients), [(1, Some(50)), (10, Some(90)), (20, None)]);
        clients.rotate("team", &key("four", 30), 30).unwrap();
        assert_eq!(keys(&clients), [(30, None)]);
    }
}
