//! What a configuration allows and probably does not mean. Nothing of it keeps the gateway from starting.

use std::collections::BTreeSet;

use super::access::ClientConfig;
use super::document::{Document, join};
use super::file::File;
use super::problem::Problem;
use super::{Config, ModelConfig};
use crate::caller::matches;
use crate::prices;

/// As many names are told; what follows from them is the same for the others.
const NAMES: usize = 3;

/// What is probably not meant, with its place and what would help.
pub(super) fn advice(config: &Config, file: &File, document: &Document) -> Vec<Problem> {
    let deserted = config
        .models
        .iter()
        .filter(|model| model.targets.is_empty() && model.fallback.is_empty());
    let message = "there is nobody to answer: every request gets 503";
    let deserted = deserted.map(|model| document.problem(&join("models", &model.name), message));
    let mut advice: Vec<Problem> = deserted.collect();
    let Some(budget) = first_budget(file) else {
        return advice;
    };
    if config.store.is_none() {
        let message = "without a table [store], what was spent is forgotten when the gateway stops: add one";
        advice.push(document.problem(&budget, message));
    }
    let unpriced = unpriced(config);
    if !unpriced.is_empty() {
        let message = format!(
            "no price is known of {}: what is asked of them is not counted as spent, unless [prices] has it",
            named(&unpriced)
        );
        advice.push(document.problem(&budget, message));
    }
    advice
}

/// Where the first budget of the file stands.
fn first_budget(file: &File) -> Option<String> {
    let clients = file.clients.iter().map(|client| &client.budget);
    let groups = file.groups.iter().map(|group| &group.budget);
    let mut all = clients
        .enumerate()
        .map(|(index, budget)| (format!("clients.{index}.budget"), budget))
        .chain(
            groups
                .enumerate()
                .map(|(index, budget)| (format!("groups.{index}.budget"), budget)),
        );
    all.find(|(_, budget)| !budget.all().is_empty()).map(|(path, _)| path)
}

/// The targets without a price that clients with a budget may ask, as far as they are known beforehand.
fn unpriced(config: &Config) -> BTreeSet<String> {
    let has_budget = |client: &&ClientConfig| client.levels.iter().any(|level| !level.limits.budgets.is_empty());
    let clients = config.access.all().filter(has_budget);
    let unpriced = clients.flat_map(|client| {
        let named = reachable(config, client).into_iter().flat_map(|model| &model.targets);
        let named = named.filter(|target| target.price.is_none());
        let named = named.map(|target| (target.provider.as_str(), target.model.as_str()));
        let listed = config.providers.iter().flat_map(|provider| {
            let models = provider.models.iter().flatten();
            models.map(|model| (provider.name.as_str(), model.as_str()))
        });
        let listed = listed.filter(|(provider, model)| may_use(client, &format!("{provider}/{model}")));
        named.chain(listed).filter(|(name, model)| {
            let mut providers = config.providers.iter();
            let provider = providers.find(|provider| provider.name == *name);
            provider.is_some_and(|it| it.price(model).is_none() && prices::of(&it.kind, model).is_none())
        })
    });
    unpriced
        .map(|(provider, model)| format!("{provider}/{model}"))
        .collect()
}

fn may_use(client: &ClientConfig, name: &str) -> bool {
    let patterns = client.models.as_ref();
    patterns.is_none_or(|patterns| patterns.iter().any(|pattern| matches(pattern, name)))
}

/// The models that a client may ask for, and those that answer in their place.
fn reachable<'c>(config: &'c Config, client: &ClientConfig) -> Vec<&'c ModelConfig> {
    let models = config.models.iter();
    let mut reached: Vec<&ModelConfig> = models.filter(|model| may_use(client, &model.name)).collect();
    let mut next = 0;
    while let Some(model) = reached.get(next) {
        let fallback = model.fallback.iter();
        let further: Vec<_> = fallback
            .filter_map(|name| config.models.iter().find(|model| model.name == *name))
            .filter(|model| reached.iter().all(|other| other.name != model.name))
            .collect();
        reached.extend(further);
        next += 1;
    }
    reached
}

/// Names, for a sentence.
fn named(names: &BTreeSet<String>) -> String {
    let told: Vec<String> = names.iter().take(NAMES).map(|name| format!("`{name}`")).collect();
    match names.len().saturating_sub(NAMES) {
        0 => told.join(", "),
        more => format!("{} and {more} more", told.join(", ")),
    }
}
