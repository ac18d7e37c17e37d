//! `mynah keys`: the clients of the store. It works on the store itself, whether a gateway runs or not.

use std::fmt::Write as _;

use clap::{Args, Subcommand, ValueEnum};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::config::access::AccessConfig;
use crate::config::clients::{Budget, Budgets, Client, Expiry};
use crate::config::units::Span;
use crate::config::{Config, Place, StoreConfig};
use crate::ledger::unix_milliseconds;
use crate::operation::Kind;
use crate::store::clients::{Clients, StoredClient};
use crate::stored::editing;

/// How keys are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Table,
    /// For programs.
    Json,
}

/// What is done with them.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Create a client and print its key, which is told only this once
    Create(Box<Create>),
    /// List the clients of the store
    List {
        /// How they are written
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Give a client another key and print it
    Rotate {
        /// The client
        name: String,
        /// How long the old keys are still accepted, such as 24h
        #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = Span::parse)]
        grace: Span,
        /// How it is written
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Delete a client; its keys are refused within a second by every gateway of this store
    Revoke {
        /// The client
        name: String,
    },
}

/// A client as it is to be. What is not said is as in `[[clients]]`.
#[derive(Debug, Args)]
pub struct Create {
    /// A name for the log, the ledger and the counters
    name: String,
    /// The key is refused from then on: a date (its end, UTC), or a date and time with its zone
    #[arg(long, value_name = "DATE", value_parser = Expiry::parse)]
    expires: Option<Expiry>,
    /// The group of the file that it belongs to
    #[arg(long, value_name = "NAME")]
    group: Option<String>,
    /// The models that may be asked for, separated by commas; * stands for any text
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    models: Option<Vec<String>>,
    /// What may be asked of them, separated by commas: chat, embeddings, images, ...
    #[arg(long, value_name = "KINDS", value_delimiter = ',', value_parser = kind)]
    routes: Option<Vec<Kind>>,
    /// Words that stand in the ledger beside every request, separated by commas
    #[arg(long, value_name = "WORDS", value_delimiter = ',')]
    tags: Option<Vec<String>>,
    /// Refuse losses in translation
    #[arg(long)]
    strict: bool,
    /// Requests in any 60 seconds
    #[arg(long, value_name = "NUMBER")]
    requests_per_minute: Option<u64>,
    /// Tokens in any 60 seconds
    #[arg(long, value_name = "NUMBER")]
    tokens_per_minute: Option<u64>,
    /// Requests in any 24 hours
    #[arg(long, value_name = "NUMBER")]
    requests_per_day: Option<u64>,
    /// Tokens in any 24 hours
    #[arg(long, value_name = "NUMBER")]
    tokens_per_day: Option<u64>,
    /// Requests under way at the same time
    #[arg(long, value_name = "NUMBER")]
    max_concurrent: Option<u32>,
    /// What may be spent, such as 50/month (hour, day, week, month, total); several may be given
    #[arg(long, value_name = "USD/PERIOD", value_parser = budget)]
    budget: Vec<Budget>,
    /// The SHA-256 of a key that was made elsewhere, instead of a new one
    #[arg(long, value_name = "HEX")]
    key_sha256: Option<String>,
    /// How it is written
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Does it. Returns what is to be printed.
pub fn run(command: &KeysCommand, config: &Config) -> anyhow::Result<String> {
    let (store, file) = (config.store.as_ref(), &config.access);
    let store = store
        .ok_or_else(|| anyhow::anyhow!("there is nowhere to keep keys: the configuration has no table [store]"))?;
    let now = unix_milliseconds();
    match command {
        KeysCommand::Create(create) => {
            let settings = create.settings();
            let key = editing::create(&mut open(store)?, file, settings, now)?;
            Ok(told(&create.name, key.as_deref(), create.format))
        }
        KeysCommand::List { format } => {
            // One that is not there yet has no keys, and is not made for that.
            let clients = match &store.place {
                Place::Sqlite(path) if !path.exists() => Vec::new(),
                _ => open(store)?.all()?,
            };
            Ok(match format {
                Format::Table => table(&clients, file, now),
                Format::Json => listed(&clients, file, now)? + "\n",
            })
        }
        KeysCommand::Rotate { name, grace, format } => {
            let key = editing::rotate(&mut open(store)?, file, name, grace.0, now)?;
            Ok(told(name, Some(&key), *format))
        }
        KeysCommand::Revoke { name } => {
            editing::revoke(&mut open(store)?, file, name)?;
            Ok(format!("`{name}` is revoked.\n"))
        }
    }
}

/// The clients of the store as comments below the configuration, where there are any.
pub fn comments(config: &Config) -> String {
    let clients = config
        .store
        .as_ref()
        .and_then(|store| Clients::open_to_read(store).ok()?.all().ok());
    let clients = clients.unwrap_or_default();
    if clients.is_empty() {
        return String::new();
    }
    let lines = table(&clients, &config.access, unix_milliseconds());
    let lines = lines.lines().map(|line| format!("#   {line}\n"));
    format!(
        "\n# Clients of the store (`mynah keys list`):\n{}",
        lines.collect::<Vec<_>>().concat()
    )
}

impl Create {
    fn settings(&self) -> Client {
        Client {
            name: self.name.clone(),
            key: None,
            key_sha256: self.key_sha256.clone(),
            expires: self.expires,
            group: self.group.clone(),
            models: self.models.clone(),
            routes: self.routes.clone(),
            tags: self.tags.clone(),
            strict: self.strict.then_some(true),
            requests_per_minute: self.requests_per_minute,
            tokens_per_minute: self.tokens_per_minute,
            requests_per_day: self.requests_per_day,
            tokens_per_day: self.tokens_per_day,
            max_concurrent: self.max_concurrent,
            budget: Budgets::Several(self.budget.clone()),
        }
    }
}

fn open(store: &StoreConfig) -> anyhow::Result<Clients> {
    let place = &store.place;
    Clients::open(store).map_err(|error| anyhow::anyhow!("cannot use {place}: {error}"))
}

fn told(name: &str, key: Option<&str>, format: Format) -> String {
    match (format, key) {
        (Format::Json, key) => format!("{}\n", json!({"name": name, "key": key})),
        (Format::Table, Some(key)) => format!("The key of `{name}`, which is told only this once:\n\n{key}\n"),
        (Format::Table, None) => format!("`{name}` is created.\n"),
    }
}

fn table(clients: &[StoredClient], file: &AccessConfig, now: u64) -> String {
    if clients.is_empty() {
        return "The store has no clients.\n".to_owned();
    }
    let mut lines = vec![["client", "key", "created", "ends", "state"].map(str::to_owned)];
    for client in clients {
        let state = editing::state(client, file, now);
        let name = &client.settings.name;
        for key in &client.keys {
            let ends = client
                .settings
                .expires
                .map(Expiry::milliseconds)
                .into_iter()
                .chain(key.ends)
                .min();
            let prefix = if key.prefix.is_empty() {
                "-".to_owned()
            } else {
                format!("{}…", key.prefix)
            };
            let ends = ends.map_or_else(|| "-".to_owned(), date);
            lines.push([name.clone(), prefix, date(key.created), ends, state.clone()]);
        }
    }
    let width = |at: usize| lines.iter().map(|line| line[at].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..4).map(width).collect();
    let mut text = String::new();
    for [name, key, created, ends, state] in &lines {
        let [a, b, c, d] = [0, 1, 2, 3].map(|at| widths.get(at).copied().unwrap_or(0));
        let _ = writeln!(text, "{name:<a$}  {key:<b$}  {created:<c$}  {ends:<d$}  {state}");
    }
    text
}

fn listed(clients: &[StoredClient], file: &AccessConfig, now: u64) -> serde_json::Result<String> {
    let client = |client: &StoredClient| {
        let mut value = serde_json::to_value(&client.settings)?;
        let keys = client
            .keys
            .iter()
            .map(|key| json!({"prefix": key.prefix, "created": date(key.created), "ends": key.ends.map(date)}));
        value["state"] = editing::state(client, file, now).into();
        value["created"] = date(client.created).into();
        value["keys"] = keys.collect();
        Ok(value)
    };
    let clients: serde_json::Result<Vec<Value>> = clients.iter().map(client).collect();
    serde_json::to_string_pretty(&clients?)
}

fn date(milliseconds: u64) -> String {
    let seconds = i64::try_from(milliseconds / 1000).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds).unwrap_or_default().to_string()
}

fn kind(text: &str) -> Result<Kind, String> {
    serde_json::from_value(text.into()).map_err(|error| error.to_string())
}

/// `50/month`.
fn budget(text: &str) -> Result<Budget, String> {
    let wrong = || format!("`{text}` is not a budget; write one as 50/month");
    let (usd, per) = text.split_once('/').ok_or_else(wrong)?;
    let usd = usd.trim_start_matches('$').parse().map_err(|_| wrong())?;
    let per = serde_json::from_value(per.into()).map_err(|_| wrong())?;
    Ok(Budget { usd, per })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::clients::Period;

    #[test]
    fn budgets_are_sums_for_a_time() {
        let expected = Budget {
            usd: 2.5,
            per: Period::Day,
        };
        assert_eq!((budget("2.5/day"), budget("$2.5/day")), (Ok(expected), Ok(expected)));
        for wrong in ["50", "50/year", "x/day", "/day", ""] {
            assert!(budget(wrong).is_err(), "{wrong}");
        }
    }
}
