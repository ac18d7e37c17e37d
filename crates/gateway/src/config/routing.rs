//! The part of the check that is about models: where they lead, and how far a request may go.

use std::sync::Arc;
use std::time::Duration;

use super::access::wrong_tag;
use super::check::Check;
use super::document::join;
use super::file::BreakerTable;
use super::models::{self, HedgeTable, ModelCache, ModelCacheTable};
use super::problem::did_you_mean;
use super::{ModelConfig, TargetConfig};
use crate::breaker::BreakerRules;
use crate::cache::CacheRule;
use crate::hedge::Hedge;
use crate::provider::{BUILT_IN, Probe};
use crate::retry::Backoff;
use crate::route::{OwnPatience, Rules};
use crate::upstream::call_path::CallPath;

/// Extra requests of a hedge, where the operator does not say how many.
const HEDGED: f64 = 0.05;

/// Nobody is asked more often than this.
const SHORTEST_PROBE: Duration = Duration::from_millis(100);

/// More rounds than this are no help to anybody.
const MAX_RETRIES: u32 = 10;

impl Check<'_> {
    /// The settings that hold for all models.
    pub(super) fn routing(&mut self) {
        let routing = &self.file.routing;
        self.retries("routing.retries", routing.retries);
        if routing.max_backoff.0 < routing.backoff.0 {
            self.report("routing.max_backoff", "must not be shorter than `routing.backoff`");
        }
        self.not_zero("routing.timeout", routing.timeout);
        for (kind, model) in &routing.default_models {
            if model.is_empty() {
                self.report(&format!("routing.default_models.{}", kind.name()), "must name a model");
            }
        }
    }

    /// The models with their targets.
    pub(super) fn models(&mut self) -> Vec<ModelConfig> {
        let file = self.file;
        let mut models = Vec::new();
        for (name, model) in &file.models {
            let path = join("models", name);
            let mut targets = Vec::new();
            for (index, target) in model.targets.iter().enumerate() {
                targets.extend(self.target(&format!("{path}.targets.{index}"), target));
            }
            for (index, fallback) in model.fallback.iter().enumerate() {
                let known = self.fallback(fallback);
                self.take(&format!("{path}.fallback.{index}"), known);
            }
            let rules = self.own_rules(&path, model);
            models.push(ModelConfig {
                name: name.clone(),
                targets,
                strategy: model.strategy,
                fallback: model.fallback.clone(),
                strict: model.strict,
                owner: model.owned_by.clone(),
                listed: model.listed.unwrap_or(true),
                rules,
            });
        }
        models
    }

    fn target(&mut self, path: &str, target: &models::Target) -> Option<TargetConfig> {
        let named = self.target_name(target.name());
        let (provider, model) = self.take(path, named)?;
        let mut config = TargetConfig {
            price: None,
            provider,
            model,
            weight: 1.0,
            context: None,
            abilities: None,
            routes: None,
            tags: Vec::new(),
        };
        if let models::Target::Table(table) = target {
            let weight = table.weight.unwrap_or(1.0);
            if !(weight.is_finite() && weight > 0.0) {
                self.report(
                    &join(path, "weight"),
                    "must be greater than 0; leave a target out that should get nothing",
                );
            }
            if table.context == Some(0) {
                self.report(&join(path, "context"), "must be at least 1");
            }
            (config.weight, config.context) = (weight, table.context);
            (config.abilities, config.tags) = (table.abilities.clone(), table.tags.clone());
            for (field, message) in table.tags.iter().filter_map(|tag| wrong_tag(tag)) {
                self.report(&join(path, field), message);
            }
            config.routes.clone_from(&table.routes);
            let price = table.price.as_ref();
            config.price = price
                .and_then(|price| self.price(&join(path, "price"), price))
                .map(Arc::new);
        }
        Some(config)
    }

    /// A provider and its model, as `provider/model`.
    pub(super) fn target_name(&self, target: &str) -> Result<(String, String), String> {
        let Some((provider, model)) = target.split_once('/').filter(|(_, model)| !model.is_empty()) else {
            return Err(format!("`{target}` must be written as `provider/model`"));
        };
        let is_built_in = provider == BUILT_IN && self.file.server.built_in;
        if !is_built_in && !self.file.providers.contains_key(provider) {
            let hint = did_you_mean(provider, self.file.providers.keys().map(String::as_str));
            return Err(format!(
                "there is no provider `{provider}`{hint}; add [providers.{provider}]"
            ));
        }
        Ok((provider.to_owned(), model.to_owned()))
    }

    fn fallback(&self, name: &str) -> Result<(), String> {
        if self.file.models.contains_key(name) {
            return Ok(());
        }
        if name.contains('/') {
            return self.target_name(name).map(drop);
        }
        let hint = did_you_mean(name, self.file.models.keys().map(String::as_str));
        Err(format!(
            "there is no model `{name}`{hint}; name one of [models], or `provider/model`"
        ))
    }

    /// What holds for names that are not configured.
    pub(super) fn common_rules(&self) -> Rules {
        let routing = &self.file.routing;
        Rules {
            retries: routing.retries,
            backoff: Backoff {
                first: routing.backoff.0,
                longest: routing.max_backoff.0,
            },
            max_wait: routing.max_wait.0,
            timeout: routing.timeout.map(|timeout| timeout.0),
            patience: OwnPatience::default(),
            max_held: usize::try_from(routing.max_held.0).unwrap_or(usize::MAX),
            hedge: None,
            hand_over: models::HandOver::Faults,
            on_cut: models::OnCut::Error,
            single_flight: false,
            cache: None,
        }
    }

    fn own_rules(&mut self, path: &str, model: &models::Model) -> Rules {
        let common = self.common_rules();
        let retries = model.retries.unwrap_or(common.retries);
        self.retries(&join(path, "retries"), retries);
        self.not_zero(&join(path, "timeout"), model.timeout);
        let patience = OwnPatience {
            connect: model.timeouts.connect.map(|span| span.0),
            first_token: model.timeouts.first_token.map(|span| span.0),
            idle: model.timeouts.idle.map(|span| span.0),
        };
        Rules {
            retries,
            max_wait: model.max_wait.map_or(common.max_wait, |wait| wait.0),
            timeout: model.timeout.map(|timeout| timeout.0).or(common.timeout),
            patience,
            hedge: self.hedge(&join(path, "hedge"), model.hedge.as_ref()),
            hand_over: model.hand_over,
            on_cut: model.on_cut,
            single_flight: model.single_flight,
            cache: self.cache_of(&join(path, "cache"), model.cache),
            ..common
        }
    }

    fn hedge(&mut self, path: &str, hedge: Option<&models::Hedge>) -> Option<Arc<Hedge>> {
        let table = match hedge? {
            models::Hedge::Switch(false) => return None,
            models::Hedge::Switch(true) => HedgeTable {
                after: None,
                max_share: None,
            },
            models::Hedge::Table(table) => *table,
        };
        let share = table.max_share.unwrap_or(HEDGED);
        if !(share > 0.0 && share <= 1.0) {
            self.report(
                &join(path, "max_share"),
                "must be a share of the requests, greater than 0 and at most 1",
            );
        }
        Some(Arc::new(Hedge::new(table.after.map(|after| after.0), share)))
    }

    /// How much room there is for answers that are kept.
    pub(super) fn cache(&mut self) {
        let cache = self.file.cache;
        if cache.max_answer.0 == 0 {
            self.report("cache.max_answer", "must be at least 1 byte");
        }
        if cache.max_size.0 < cache.max_answer.0.saturating_mul(2) {
            self.report("cache.max_size", "must be at least twice `cache.max_answer`");
        }
        if cache.cluster == Some(true) && self.file.cluster.is_none() {
            self.report(
                "cache.cluster",
                "there is no table [cluster], which says where Redis is: add one, or leave this out to keep answers in memory",
            );
        }
    }

    fn cache_of(&mut self, path: &str, cache: Option<ModelCache>) -> Option<CacheRule> {
        let table = match cache? {
            ModelCache::Age(ttl) => ModelCacheTable { ttl, shared: false },
            ModelCache::Table(table) => table,
        };
        if table.ttl.0.is_zero() {
            self.report(path, "must be longer than nothing; leave it out to keep no answers");
        }
        Some(CacheRule {
            ttl: table.ttl.0,
            shared: table.shared,
            max_answer: usize::try_from(self.file.cache.max_answer.0).unwrap_or(usize::MAX),
        })
    }

    /// When the models of a provider are left alone.
    pub(super) fn breaker(&mut self, path: &str, table: &BreakerTable) -> BreakerRules {
        let path = join(path, "breaker");
        if table.failures == 0 {
            self.report(&join(&path, "failures"), "must be at least 1");
        }
        if !(table.rate > 0.0 && table.rate <= 1.0) {
            self.report(&join(&path, "rate"), "must be a share, greater than 0 and at most 1");
        }
        if table.window.0 < Duration::from_secs(1) {
            self.report(&join(&path, "window"), "must be at least 1s");
        }
        BreakerRules {
            failures: table.failures,
            rate: table.rate,
            volume: table.volume,
            window: table.window.0,
            rest: table.rest.0,
            max_rest: table.max_rest.0.max(table.rest.0),
            slow_start: table.slow_start.0,
        }
    }

    /// How the recovery of a provider is looked for.
    pub(super) fn probe(&mut self, path: &str, table: &BreakerTable) -> Option<Probe> {
        let asked = table.probe.as_ref()?;
        let path = join(path, "breaker");
        if table.probe_every.0 < SHORTEST_PROBE {
            self.report(&join(&path, "probe_every"), "must be at least 100ms");
        }
        let place = CallPath::new(asked.clone()).ok_or_else(|| format!("`{asked}` is not a path such as /health"));
        let place = self.take(&join(&path, "probe"), place)?;
        Some(Probe {
            path: place,
            every: table.probe_every.0,
        })
    }

    fn retries(&mut self, path: &str, retries: u32) {
        if retries > MAX_RETRIES {
            self.report(path, format!("must be at most {MAX_RETRIES}"));
        }
    }

    pub(super) fn not_zero(&mut self, path: &str, span: Option<super::units::Span>) {
        if span.is_some_and(|span| span.0.is_zero()) {
            self.report(path, "must be longer than nothing; leave it out for no limit");
        }
    }
}
