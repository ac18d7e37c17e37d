//! The models of the proxy's files, each by its logical name and by the name of its file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Map, Value, json};

use super::files::{ModelFile, RouteFile, file};
use super::providers::{Providers, Wishes};
use crate::config::presets::literal;
use crate::config::problem::Problem;

/// More rounds are not made.
const MOST_RETRIES: u32 = 10;

/// The models so far.
pub(super) struct Models<'p, 'a> {
    providers: &'p mut Providers<'a>,
    settings: Map<String, Value>,
    notes: Vec<String>,
}

impl<'p, 'a> Models<'p, 'a> {
    pub(super) fn new(providers: &'p mut Providers<'a>) -> Self {
        Self {
            providers,
            settings: Map::new(),
            notes: Vec::new(),
        }
    }

    /// Adds the models of files, by the names of these.
    pub(super) fn add(&mut self, files: &BTreeMap<String, ModelFile>) {
        let mut by_name: BTreeMap<&str, (&str, &ModelFile)> = BTreeMap::new();
        for (stem, model) in files {
            let name = model.logical_name.as_deref().unwrap_or(stem);
            if let Some((other, _)) = by_name.get(name) {
                let note =
                    format!("config/models/{stem}.json and {other}.json are both for `{name}`; the latter holds");
                self.notes.push(note);
            } else {
                by_name.insert(name, (stem, model));
            }
        }
        let stems: BTreeMap<&str, &str> = by_name.iter().map(|(name, (stem, _))| (*stem, *name)).collect();
        for (name, (stem, model)) in &by_name {
            let settings = self.model(name, model, |fallback| {
                let named = by_name.get_key_value(fallback).map(|(name, _)| *name);
                named.or_else(|| stems.get(fallback).copied())
            });
            if stem != name && !by_name.contains_key(stem) {
                let mut alias = settings.clone();
                alias["listed"] = false.into();
                self.settings.insert((*stem).to_owned(), alias);
            }
            self.settings.insert((*name).to_owned(), settings);
        }
    }

    /// Adds the models of the older file, in which each name has one place: `{"NAME": {"provider": …, "provider_model": …}}`.
    pub(super) fn add_flat(&mut self, path: &Path, faults: &mut Vec<Problem>) {
        if !path.is_file() {
            return;
        }
        let entries: Map<String, Value> = match file(path) {
            Ok(entries) => entries,
            Err(problem) => return faults.push(problem),
        };
        for (name, entry) in &entries {
            let text = |member: &str| entry[member].as_str().map(str::to_owned);
            let (Some(provider), false) = (text("provider"), self.settings.contains_key(name)) else {
                continue;
            };
            let route = RouteFile {
                provider,
                model: text("provider_model")
                    .or_else(|| text("model"))
                    .unwrap_or_else(|| name.clone()),
                ..RouteFile::default()
            };
            let model = ModelFile {
                logical_name: None,
                timeout_seconds: None,
                default_cooldown_seconds: None,
                model_routings: vec![route],
                fallback_model_routings: None,
            };
            let settings = self.model(name, &model, |_| None);
            self.settings.insert(name.clone(), settings);
        }
    }

    fn model<'f>(&mut self, name: &str, model: &'f ModelFile, known: impl Fn(&'f str) -> Option<&'f str>) -> Value {
        let mut targets: Vec<String> = Vec::new();
        for (index, route) in model.model_routings.iter().enumerate() {
            match self.providers.target(route, self.wishes(model, route)) {
                Ok(target) => targets.push(literal(&target)),
                Err(reason) => {
                    let number = (index + 1).to_string();
                    let id = route.id.as_deref().unwrap_or(&number);
                    self.notes
                        .push(format!("model `{name}`, route {id} is left out: {reason}"));
                }
            }
        }
        let mut fallback = BTreeSet::new();
        let mut in_order = Vec::new();
        for wanted in model.fallback_model_routings.iter().flatten() {
            match known(wanted) {
                Some(other) if other == name => {}
                Some(other) => in_order.extend(fallback.insert(other).then(|| literal(other))),
                None => self
                    .notes
                    .push(format!("model `{name}`: there is no model `{wanted}` to fall back to")),
            }
        }
        let owner = model.model_routings.first().map(|route| literal(&route.provider));
        json!({
            "targets": targets,
            "fallback": (!in_order.is_empty()).then_some(in_order),
            "hand_over": "any",
            "retries": self.retries(model),
            "owned_by": owner,
        })
    }

    /// What a route wants: its own wishes go before those of its model, and these before those of its provider.
    fn wishes(&self, model: &ModelFile, route: &RouteFile) -> Wishes {
        let of_provider = || {
            let (_, file) = self.providers.file(&route.provider)?;
            file.models.as_ref()?.get(&route.model)?["cooldown_seconds"].as_f64()
        };
        Wishes {
            timeout: route.timeout_seconds.or(model.timeout_seconds),
            cooldown: route
                .cooldown_seconds
                .or_else(of_provider)
                .or(model.default_cooldown_seconds),
        }
    }

    /// The most rounds that one of its providers wants.
    fn retries(&self, model: &ModelFile) -> Option<u32> {
        let of = |route: &RouteFile| {
            self.providers
                .file(&route.provider)?
                .1
                .request_config
                .as_ref()?
                .max_retries
        };
        let most = model.model_routings.iter().filter_map(of).max()?;
        Some(most.min(MOST_RETRIES))
    }

    /// All of them, as they stand in a `mynah.toml`.
    pub(super) fn into_settings(mut self, notes: &mut Vec<String>) -> Map<String, Value> {
        notes.append(&mut self.notes);
        self.settings
    }
}
