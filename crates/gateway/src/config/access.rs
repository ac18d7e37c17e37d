//! The part of the check that is about clients: who they are, what they inherit from their groups, and which limits hold
//! for them.

use std::collections::BTreeMap;

use super::check::{Check, listen_address};
use super::clients::{ANONYMOUS, Budget, Client, Group};
use super::problem::did_you_mean;
use crate::caller::{KeyHash, hash};
use crate::limits::{BudgetLimit, Limits, MOST_LEVELS};
use crate::operation::Kind;

/// Sums above this are mistakes, and would not fit.
const LARGEST_BUDGET: f64 = 1e9;

/// Who may call. Plain data: what was counted is known by the names of the levels, and outlives it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AccessConfig {
    /// Those with keys.
    pub clients: Vec<(KeyHash, ClientConfig)>,
    /// Callers without a key, where they are let in.
    pub anonymous: Option<ClientConfig>,
    /// They are let in also beside clients with keys.
    pub allow_anonymous: bool,
    /// There may be others with keys who are not known yet.
    pub is_incomplete: bool,
    /// The groups, also for clients that are not in the file.
    pub groups: Vec<Group>,
}

/// One who may call, with all that was inherited.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClientConfig {
    /// The name.
    pub name: String,
    /// The group that it belongs to itself.
    pub group: Option<String>,
    /// Patterns of the models that may be asked for; `None` for all.
    pub models: Option<Vec<String>>,
    /// What may be asked of them; `None` for everything.
    pub routes: Option<Vec<Kind>>,
    /// Words for the ledger.
    pub tags: Vec<String>,
    /// Nothing may be lost in translation.
    pub strict: bool,
    /// When the key is refused from, in milliseconds since 1970.
    pub expires: Option<u64>,
    /// Where its requests are counted: by itself, and by each of its groups.
    pub levels: Vec<LevelConfig>,
}

/// Something that counts requests: a client or a group.
#[derive(Clone, Debug, PartialEq)]
pub struct LevelConfig {
    /// What its counters are known by: `client:NAME` or `group:NAME`.
    pub scope: String,
    /// What they may come to.
    pub limits: Limits,
}

/// What is wrong with a client or a group: the field, and what to write.
pub type Wrong = (&'static str, String);

impl AccessConfig {
    /// All clients.
    pub fn all(&self) -> impl Iterator<Item = &ClientConfig> {
        self.clients.iter().map(|(_, client)| client).chain(&self.anonymous)
    }

    /// All limits, those of groups once for each of their clients.
    pub fn limits(&self) -> impl Iterator<Item = &Limits> {
        self.all().flat_map(|client| &client.levels).map(|level| &level.limits)
    }

    /// The scopes of a group and of those above it.
    pub fn scopes_of(&self, group: &Group) -> Vec<String> {
        let chain = chain(Some(&group.name), &self.groups).unwrap_or_default();
        chain.into_iter().map(group_scope).collect()
    }

    /// Whether nobody is limited.
    pub fn is_unlimited(&self) -> bool {
        self.limits().all(Limits::is_empty)
    }
}

impl ClientConfig {
    /// A client with all that its groups give it.
    pub fn of(client: &Client, groups: &[Group]) -> Result<Self, Vec<Wrong>> {
        let mut wrong = Vec::new();
        let own = limits(Said::from(client), &mut wrong);
        wrong.extend(client.tags.iter().flatten().filter_map(|tag| wrong_tag(tag)));
        let chain = chain(client.group.as_deref(), groups).map_err(|message| wrong.push(("group", message)));
        let chain = chain.unwrap_or_default();
        if client.name.is_empty() {
            wrong.push(("name", "is empty".to_owned()));
        }
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let mut levels = vec![LevelConfig {
            scope: format!("client:{}", client.name),
            limits: own,
        }];
        levels.extend(chain.iter().map(|group| LevelConfig {
            scope: group_scope(group),
            // What is wrong with them is told where they are checked themselves.
            limits: limits(Said::from(*group), &mut Vec::new()),
        }));
        let from_group = chain.iter();
        Ok(Self {
            name: client.name.clone(),
            group: client.group.clone(),
            models: client
                .models
                .clone()
                .or_else(|| from_group.clone().find_map(|group| group.models.clone())),
            routes: client
                .routes
                .clone()
                .or_else(|| from_group.clone().find_map(|group| group.routes.clone())),
            tags: client
                .tags
                .clone()
                .or_else(|| from_group.clone().find_map(|group| group.tags.clone()))
                .unwrap_or_default(),
            strict: client
                .strict
                .or_else(|| from_group.clone().find_map(|group| group.strict))
                .unwrap_or(false),
            expires: client.expires.map(super::clients::Expiry::milliseconds),
            levels,
        })
    }
}

fn group_scope(group: &Group) -> String {
    format!("group:{}", group.name)
}

/// What is wrong with a tag, if something is. Tags are parted by commas wherever they are written, and spaces do not count there.
pub(super) fn wrong_tag(tag: &str) -> Option<Wrong> {
    let parts = |letter: char| letter == ',' || letter.is_whitespace();
    let is_wrong = tag.is_empty() || tag.contains(parts);
    is_wrong.then(|| {
        (
            "tags",
            format!("`{tag}` is not a tag: write one word, without spaces and commas"),
        )
    })
}

/// The groups of a client, from its own to the one above all.
fn chain<'g>(group: Option<&str>, groups: &'g [Group]) -> Result<Vec<&'g Group>, String> {
    let mut chain: Vec<&Group> = Vec::new();
    let mut next = group;
    while let Some(name) = next {
        let found = groups.iter().find(|group| group.name == name).ok_or_else(|| {
            let hint = did_you_mean(name, groups.iter().map(|group| group.name.as_str()));
            format!("there is no group `{name}`{hint}")
        })?;
        if chain.iter().any(|group| group.name == name) {
            return Err(format!("the group `{name}` belongs to itself, by way of its own group"));
        }
        chain.push(found);
        if chain.len() >= MOST_LEVELS {
            return Err(format!("groups may lie in {} levels at most", MOST_LEVELS - 1));
        }
        next = found.group.as_deref();
    }
    Ok(chain)
}

/// The limits as a client or a group says them.
#[derive(Clone, Copy)]
struct Said<'a> {
    requests_per_minute: Option<u64>,
    requests_per_day: Option<u64>,
    tokens_per_minute: Option<u64>,
    tokens_per_day: Option<u64>,
    max_concurrent: Option<u32>,
    budgets: &'a [Budget],
}

impl<'a> From<&'a Client> for Said<'a> {
    fn from(client: &'a Client) -> Self {
        Self {
            requests_per_minute: client.requests_per_minute,
            requests_per_day: client.requests_per_day,
            tokens_per_minute: client.tokens_per_minute,
            tokens_per_day: client.tokens_per_day,
            max_concurrent: client.max_concurrent,
            budgets: client.budget.all(),
        }
    }
}

impl<'a> From<&'a Group> for Said<'a> {
    fn from(group: &'a Group) -> Self {
        Self {
            requests_per_minute: group.requests_per_minute,
            requests_per_day: group.requests_per_day,
            tokens_per_minute: group.tokens_per_minute,
            tokens_per_day: group.tokens_per_day,
            max_concurrent: group.max_concurrent,
            budgets: group.budget.all(),
        }
    }
}

fn limits(said: Said<'_>, wrong: &mut Vec<Wrong>) -> Limits {
    for (field, value) in [
        ("requests_per_minute", said.requests_per_minute),
        ("requests_per_day", said.requests_per_day),
        ("tokens_per_minute", said.tokens_per_minute),
        ("tokens_per_day", said.tokens_per_day),
        ("max_concurrent", said.max_concurrent.map(u64::from)),
    ] {
        if value == Some(0) {
            wrong.push((field, "must be at least 1; without it there is no limit".to_owned()));
        }
    }
    let mut budgets: Vec<BudgetLimit> = Vec::new();
    for budget in said.budgets {
        if budgets.iter().any(|other| other.period == budget.per) {
            let message = format!("has two budgets per {}", budget.per.name());
            wrong.push(("budget", message));
        }
        match nano_dollars(budget.usd) {
            Some(nano) => budgets.push(BudgetLimit {
                period: budget.per,
                nano,
            }),
            None => wrong.push((
                "budget",
                format!("`usd = {}` is not a sum: write one above 0, such as 50", budget.usd),
            )),
        }
    }
    Limits {
        requests_per_minute: said.requests_per_minute,
        requests_per_day: said.requests_per_day,
        tokens_per_minute: said.tokens_per_minute,
        tokens_per_day: said.tokens_per_day,
        max_concurrent: said.max_concurrent,
        budgets,
    }
}

fn nano_dollars(usd: f64) -> Option<u64> {
    let nano = (usd * 1e9).round();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a whole number that was just seen to be neither negative nor large"
    )]
    (nano >= 1.0 && usd <= LARGEST_BUDGET).then_some(nano as u64)
}

impl Check<'_> {
    /// Who may call.
    pub(super) fn access(&mut self) -> AccessConfig {
        self.groups();
        let file = self.file;
        let mut keyed: BTreeMap<KeyHash, ClientConfig> = BTreeMap::new();
        let mut nobody = None;
        for (index, client) in file.clients.iter().enumerate() {
            let path = format!("clients.{index}");
            let config = ClientConfig::of(client, &file.groups).map_err(|wrong| self.report_in(&path, wrong));
            if client.name == ANONYMOUS {
                if client.key.is_some() || client.key_sha256.is_some() || client.expires.is_some() {
                    let message = "stands for callers without a key: it has no key, and does not expire";
                    self.report(&path, message);
                }
                if nobody.is_some() {
                    self.report(&path, "is there twice");
                }
                nobody = config.ok();
                continue;
            }
            let Some(hash) = self.take(&path, key_hash(client)) else {
                continue;
            };
            let Ok(config) = config else { continue };
            if let Some(other) = keyed.insert(hash, config) {
                self.report(&path, format!("has the same key as the client `{}`", other.name));
            }
        }
        let nobody = nobody.unwrap_or_else(|| ClientConfig {
            name: ANONYMOUS.to_owned(),
            ..ClientConfig::default()
        });
        let allow_anonymous = file.server.allow_anonymous;
        // Who can be reached from elsewhere has clients in the store.
        let is_loopback = listen_address(&file.server.listen).is_ok_and(|listen| listen.ip().is_loopback());
        let lets_in = allow_anonymous || !have_keys(&file.clients) && is_loopback;
        AccessConfig {
            clients: keyed.into_iter().collect(),
            anonymous: lets_in.then_some(nobody),
            allow_anonymous,
            is_incomplete: false,
            groups: file.groups.clone(),
        }
    }

    fn groups(&mut self) {
        let groups = &self.file.groups;
        for (index, group) in groups.iter().enumerate() {
            let path = format!("groups.{index}");
            let mut wrong = Vec::new();
            limits(Said::from(group), &mut wrong);
            wrong.extend(group.tags.iter().flatten().filter_map(|tag| wrong_tag(tag)));
            if let Err(message) = chain(Some(&group.name), groups) {
                wrong.push(("group", message));
            }
            if group.name.is_empty() {
                wrong.push(("name", "is empty".to_owned()));
            }
            if groups[..index].iter().any(|other| other.name == group.name) {
                wrong.push(("name", format!("there is another group `{}`", group.name)));
            }
            self.report_in(&path, wrong);
        }
    }

    fn report_in(&mut self, path: &str, wrong: Vec<Wrong>) {
        for (field, message) in wrong {
            self.report(&format!("{path}.{field}"), message);
        }
    }
}

/// Whether any client has a key.
pub fn have_keys(clients: &[Client]) -> bool {
    clients.iter().any(|client| client.name != ANONYMOUS)
}

/// The hash under which a client's key is kept.
pub fn key_hash(client: &Client) -> Result<KeyHash, String> {
    match (&client.key, &client.key_sha256) {
        (Some(key), None) if key.expose().trim().is_empty() => Err("`key` is empty".to_owned()),
        (Some(key), None) => Ok(hash(key.expose().trim().as_bytes())),
        (None, Some(hex)) => from_hex(hex).ok_or_else(|| "`key_sha256` must be 64 hexadecimal digits".to_owned()),
        _ => Err("needs either `key` or `key_sha256`; only the client `anonymous` has none".to_owned()),
    }
}

/// A hash as it is written.
pub fn to_hex(hash: &KeyHash) -> String {
    let digit = |number: u8| char::from_digit(number.into(), 16).unwrap_or('0');
    hash.iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

/// The hash of a key as it is written.
pub fn from_hex(hex: &str) -> Option<KeyHash> {
    let mut hash = KeyHash::default();
    if hex.len() != 64 || !hex.is_ascii() {
        return None;
    }
    for (index, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hex[index * 2..index * 2 + 2], 16).ok()?;
    }
    Some(hash)
}
