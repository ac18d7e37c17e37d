//! From the name that a caller asks for to the places where it may be answered.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use indexmap::IndexMap;

use crate::balance::Strategy;
use crate::caller::Caller;
use crate::condition::Conditions;
use crate::config::problem::did_you_mean;
use crate::config::replies::UnknownModelReply;
use crate::config::{Config, ModelConfig, TargetConfig};
use crate::discovered::Discovered;
use crate::failure::Failure;
use crate::operation::{Kind, Operation};
use crate::prices::Price;
use crate::provider::{BUILT_IN, BUILT_IN_MODEL, BUILT_IN_NAME, Provider};
use crate::route::{ANY, Route, Rules, Target, Tier};

/// An unknown model's name is repeated in the error up to this many characters.
const MAX_SHOWN: usize = 200;

/// Everything that can be asked for.
#[derive(Debug)]
pub struct Catalog {
    providers: Vec<Arc<Provider>>,
    routes: HashMap<String, Arc<Route>>,
    default_provider: Option<String>,
    /// The models of requests that name none.
    default_models: IndexMap<Kind, String>,
    /// Only configured names can be asked for.
    configured_only: bool,
    /// What nobody lists may be put to the default provider.
    passes_on: bool,
    /// Models are listed by their providers' ids alone.
    plain_ids: bool,
    /// How configured names are listed.
    listing: HashMap<String, Listing>,
    /// What is replied when a name leads nowhere.
    unknown_model: UnknownModelReply,
    /// What holds for names that are not configured.
    rules: Rules,
    discovered: Arc<Discovered>,
    conditions: Arc<Conditions>,
}

/// How a configured name is listed, where that is not as usual.
#[derive(Debug)]
struct Listing {
    owner: Option<String>,
    is_listed: bool,
}

/// One line of the model list.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    /// What to ask for.
    pub id: String,
    /// Unix time: as its provider says, or when that listed it last; 0 when nobody says anything.
    pub created: u64,
    /// The provider, or `mynah` for configured names.
    pub owner: String,
    /// What it runs on, where that is known.
    pub device: Option<String>,
}

impl Catalog {
    /// The routes of a configuration.
    pub fn new(config: &mut Config, discovered: Arc<Discovered>, conditions: Arc<Conditions>) -> Self {
        let mut providers: Vec<Arc<Provider>> = Vec::with_capacity(config.providers.len() + 1);
        for mut provider in config.providers.drain(..) {
            provider.remember_keys(&conditions);
            conditions.set_rules(&provider.name, provider.breaker);
            providers.push(Arc::new(provider));
        }
        if config.built_in {
            providers.push(Arc::new(Provider::built_in()));
        }
        discovered.configure(&providers);
        let mut catalog = Self {
            providers,
            routes: HashMap::new(),
            default_provider: config.default_provider.clone(),
            default_models: std::mem::take(&mut config.default_models),
            configured_only: config.configured_only,
            passes_on: config.server.pass_through,
            plain_ids: config.plain_ids,
            listing: HashMap::new(),
            unknown_model: config.server.replies.unknown_model,
            rules: config.rules.clone(),
            discovered,
            conditions,
        };
        for model in &config.models {
            let mut tiers = Vec::new();
            catalog.add_tiers(&model.name, &config.models, &mut HashSet::new(), &mut tiers);
            let route = Route {
                name: model.name.clone(),
                tiers,
                strict: model.strict,
                rules: model.rules.clone(),
            };
            let route = match model.name.as_str() {
                ANY => route,
                name => route.named(name, &catalog.conditions),
            };
            catalog.routes.insert(model.name.clone(), Arc::new(route));
            if model.owner.is_some() || !model.listed {
                let listing = Listing {
                    owner: model.owner.clone(),
                    is_listed: model.listed,
                };
                catalog.listing.insert(model.name.clone(), listing);
            }
        }
        catalog
    }

    /// The tiers of a name: its own targets, then those of each fallback with all of its own. None comes twice.
    fn add_tiers<'c>(
        &self,
        name: &'c str,
        models: &'c [ModelConfig],
        seen: &mut HashSet<&'c str>,
        tiers: &mut Vec<Tier>,
    ) {
        if !seen.insert(name) {
            return;
        }
        let Some(model) = models.iter().find(|model| model.name == name) else {
            let target = name
                .split_once('/')
                .and_then(|(provider, model)| Some(Target::new(self.provider(provider)?, model, &self.conditions)));
            tiers.extend(target.map(|target| tier_of(name, vec![target])));
            return;
        };
        let target = |target: &TargetConfig| {
            Some(Target::configured(
                self.provider(&target.provider)?,
                target,
                &self.conditions,
            ))
        };
        tiers.push(Tier {
            model: model.name.clone(),
            strategy: model.strategy,
            targets: model.targets.iter().filter_map(target).collect(),
        });
        for fallback in &model.fallback {
            self.add_tiers(fallback, models, seen, tiers);
        }
    }

    /// All providers, the built-in one last.
    pub fn providers(&self) -> &[Arc<Provider>] {
        &self.providers
    }

    /// The configured names, in alphabetical order.
    pub fn configured(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.routes.keys().map(String::as_str).collect();
        names.sort_unstable();
        names
    }

    /// A model to try: the built-in one, which always answers, where it can be asked for.
    pub fn example(&self) -> &str {
        if !self.configured_only && self.provider(BUILT_IN).is_some() {
            return BUILT_IN_NAME;
        }
        let configured = || self.configured().into_iter().find(|name| *name != ANY);
        let own = self.default_models.get(&Kind::Chat).map(String::as_str);
        own.or_else(configured).unwrap_or("MODEL")
    }

    /// What a target costs, by its name `provider/model`. What a model's configuration says of it alone does not count.
    pub fn price_of(&self, target: &str) -> Option<Arc<Price>> {
        let (provider, model) = target.split_once('/')?;
        Target::new(self.provider(provider)?, model, &self.conditions).price(&self.discovered)
    }

    /// The model of a request that names none.
    pub fn default_model(&self, operation: Operation) -> Option<&str> {
        if self.default_models.is_empty() {
            return None;
        }
        self.default_models.get(&Kind::of(operation.below)?).map(String::as_str)
    }

    fn provider(&self, name: &str) -> Option<&Arc<Provider>> {
        self.providers.iter().find(|provider| provider.name == name)
    }

    /// Where a model may be answered for this caller. `pinned` is the provider that the caller insists on.
    pub async fn resolve(&self, model: &str, pinned: Option<&str>, caller: &Caller) -> Result<Arc<Route>, Failure> {
        loop {
            if let Some(route) = self.resolve_now(model, pinned, caller)? {
                return Ok(route);
            }
            self.discovered.completed().await;
        }
    }

    /// The same; `None` as long as a list that has not come yet may have it.
    pub fn resolve_now(
        &self,
        model: &str,
        pinned: Option<&str>,
        caller: &Caller,
    ) -> Result<Option<Arc<Route>>, Failure> {
        let pinned = pinned.map(|name| self.pinned(name)).transpose()?;
        // Asked first: the lists may come while the name is looked for.
        let is_complete = self.discovered.is_complete();
        let Some(route) = self.find(model, pinned) else {
            return if is_complete {
                Err(self.nothing_known().unwrap_or_else(|| self.unknown(model)))
            } else {
                Ok(None)
            };
        };
        let route = self.with_handles(route);
        // A name that is allowed leads where it is configured to lead; with a provider of the caller's choice it is
        // that provider's model that must be allowed.
        let route = if pinned.is_none() {
            permitted(route, caller)
        } else {
            permitted_targets(&route, caller)
        };
        route.map(Some)
    }

    /// Where a route that names no model goes for this caller.
    pub fn resolve_without_model(&self, pinned: Option<&str>, caller: &Caller) -> Result<Arc<Route>, Failure> {
        let provider = match (pinned, &self.default_provider) {
            (Some(name), _) => self.pinned(name)?,
            (None, Some(name)) => self.provider(name).ok_or_else(Failure::provider_missing)?,
            (None, None) => return Err(Failure::provider_missing()),
        };
        if !caller.may_use_all_of(&provider.name) {
            return Err(Failure::model_forbidden(&format!("{}/*", provider.name)));
        }
        let target = Target::new(provider, "", &self.conditions);
        Ok(self.route(&provider.name, vec![target]))
    }

    /// A route to targets that are not configured: the load is spread over all of them.
    fn route(&self, name: &str, targets: Vec<Target>) -> Arc<Route> {
        Arc::new(Route {
            name: name.to_owned(),
            tiers: vec![tier_of(name, targets)],
            strict: false,
            rules: self.rules.clone(),
        })
    }

    fn pinned(&self, name: &str) -> Result<&Arc<Provider>, Failure> {
        self.provider(name).ok_or_else(|| {
            let hint = did_you_mean(name, self.providers.iter().map(|provider| provider.name.as_str()));
            Failure::provider_unknown(name, hint.trim_end_matches('?'))
        })
    }

    /// A configured name, then `provider/model`, then what discovery found, then what is configured for all others, then
    /// whoever may serve what nobody lists.
    fn find(&self, model: &str, pinned: Option<&Arc<Provider>>) -> Option<Arc<Route>> {
        if let Some(route) = self.routes.get(model).filter(|_| pinned.is_none() && model != ANY) {
            return Some(route.clone());
        }
        let other = if self.configured_only {
            None
        } else {
            self.find_unconfigured(model, pinned)
        };
        let other = other.or_else(|| {
            let any = self.routes.get(ANY).filter(|_| pinned.is_none() && !model.is_empty())?;
            let named = any.named(model, &self.conditions);
            let may_be_there = |target: &Target| {
                let provider = &target.provider;
                !provider.has_handles() || self.discovered.handle(&provider.name, &target.model).is_some()
            };
            let leads_somewhere = named.targets().any(may_be_there);
            leads_somewhere.then(|| Arc::new(named))
        });
        other.or_else(|| {
            let provider = self.unlisted()?;
            Some(self.route(model, vec![Target::new(provider, model, &self.conditions)]))
        })
    }

    fn find_unconfigured(&self, model: &str, pinned: Option<&Arc<Provider>>) -> Option<Arc<Route>> {
        let route = |targets: Vec<Target>| Some(self.route(model, targets));
        let prefixed = model.split_once('/').filter(|(_, rest)| !rest.is_empty());
        let exists = |provider: &Arc<Provider>, rest: &str| {
            if provider.has_handles() {
                return self.discovered.handle(&provider.name, rest).is_some();
            }
            !provider.is_built_in() || rest == BUILT_IN_MODEL
        };
        if let Some(provider) = pinned {
            let own = prefixed
                .filter(|(prefix, _)| *prefix == provider.name)
                .map_or(model, |(_, rest)| rest);
            let target = || Target::new(provider, own, &self.conditions);
            return (!provider.has_handles() || exists(provider, own))
                .then(target)
                .and_then(|target| route(vec![target]));
        }
        if let Some((provider, rest)) = prefixed.and_then(|(prefix, rest)| Some((self.provider(prefix)?, rest))) {
            return exists(provider, rest)
                .then(|| Target::new(provider, rest, &self.conditions))
                .and_then(|target| route(vec![target]));
        }
        let discovered = self.discovered.snapshot();
        let serving = discovered.by_id.get(model)?;
        let serves = |provider: &&Arc<Provider>| serving.contains(&provider.name);
        let targets: Vec<Target> = self
            .providers
            .iter()
            .filter(serves)
            .map(|provider| Target::new(provider, provider.own_id(model), &self.conditions))
            .collect();
        if targets.is_empty() { None } else { route(targets) }
    }

    /// Who may serve what nobody lists: the default provider, where everything is passed on and it has never given a list.
    fn unlisted(&self) -> Option<&Arc<Provider>> {
        if !self.passes_on || self.configured_only || !self.discovered.is_complete() {
            return None;
        }
        let provider = self.provider(self.default_provider.as_deref()?)?;
        let record = self.discovered.record(&provider.name);
        let is_known = record.last_success.is_some() || provider.models.is_some();
        (!is_known).then_some(provider)
    }

    /// A route with the handles that its targets have now.
    fn with_handles(&self, route: Arc<Route>) -> Arc<Route> {
        if !route.targets().any(|target| target.provider.has_handles()) {
            return route;
        }
        let mut tiers = route.tiers.clone();
        for target in tiers.iter_mut().flat_map(|tier| &mut tier.targets) {
            target.handle = self.discovered.handle(&target.provider.name, &target.model);
        }
        Arc::new(Route {
            name: route.name.clone(),
            tiers,
            strict: route.strict,
            rules: route.rules.clone(),
        })
    }

    /// The failure as long as no list of any provider has come, of those that the operator named.
    pub fn nothing_known(&self) -> Option<Failure> {
        let mut waited_for = None;
        for provider in self.providers.iter().filter(|provider| !provider.is_built_in()) {
            let record = self.discovered.record(&provider.name);
            if !record.models.is_empty() || record.last_success.is_some() {
                return None;
            }
            if provider.has_handles() && waited_for.is_none() {
                let reason = record.last_error.as_deref().unwrap_or("it is being asked");
                waited_for = Some(Failure::models_unknown(&provider.name, reason));
            }
        }
        waited_for
    }

    /// The configured names that are listed, in alphabetical order.
    pub fn listed(&self) -> impl Iterator<Item = &str> {
        let is_listed = |name: &&str| *name != ANY && self.listing.get(*name).is_none_or(|listing| listing.is_listed);
        self.configured().into_iter().filter(is_listed)
    }

    fn unknown(&self, model: &str) -> Failure {
        let model: String = model.chars().take(MAX_SHOWN).collect();
        if self.unknown_model == UnknownModelReply::Invalid {
            return Failure::model_not_routed(&model, self.listed());
        }
        let discovered = self.discovered.snapshot();
        let ids = discovered.by_id.keys().map(String::as_str);
        let ids = ids.filter(|_| !self.configured_only);
        let hint = did_you_mean(&model, self.routes.keys().map(String::as_str).chain(ids));
        Failure::model_unknown(&model, hint.trim_end_matches('?'))
    }

    /// Whether what a provider lists can be asked for.
    fn leads_to_all_of(&self, provider: &Arc<Provider>) -> bool {
        let is_its = |target: &Target| target.model == ANY && Arc::ptr_eq(&target.provider, provider);
        !self.configured_only || self.routes.get(ANY).is_some_and(|any| any.targets().any(is_its))
    }

    /// Every name that a caller may ask for: configured ones, then what discovery found. An id that several providers
    /// serve, or that is also a configured name, is listed once as it is and once for each further provider as
    /// `provider/id`.
    pub fn list(&self, caller: &Caller) -> Vec<Entry> {
        let owner = |name: &str| self.listing.get(name)?.owner.clone();
        let configured = self.listed().map(|name| Entry {
            id: name.to_owned(),
            created: 0,
            owner: owner(name).unwrap_or_else(|| BUILT_IN.into()),
            device: None,
        });
        let mut entries: Vec<Entry> = configured.collect();
        let mut seen: HashSet<String> = entries.iter().map(|entry| entry.id.clone()).collect();
        let discovered = self.discovered.snapshot();
        for provider in self.providers.iter().filter(|provider| self.leads_to_all_of(provider)) {
            let Some(record) = discovered.by_provider.get(&provider.name) else {
                continue;
            };
            let told = record.last_success.and_then(|told| u64::try_from(told.unix).ok());
            for listed in record.models.iter().filter(|listed| !provider.list.hides(listed)) {
                let name = record.name_of(&listed.id);
                let bare = (self.configured_only || !provider.is_built_in()) && seen.insert(name.clone());
                if self.plain_ids && !bare && !provider.is_built_in() {
                    continue;
                }
                let id = if bare {
                    name
                } else {
                    format!("{}/{}", provider.name, listed.id)
                };
                entries.push(Entry {
                    id,
                    created: listed.created.or(told).unwrap_or(0),
                    // Behind handles are many makers' models.
                    owner: listed
                        .owner
                        .clone()
                        .filter(|_| provider.has_handles())
                        .unwrap_or_else(|| provider.name.clone()),
                    device: listed.device.clone(),
                });
            }
        }
        entries.retain(|entry| {
            self.find(&entry.id, None)
                .is_some_and(|route| permitted(route, caller).is_ok())
        });
        entries
    }
}

/// The part of a route that a caller may use: all of it when its name is allowed, else the targets that are.
fn permitted(route: Arc<Route>, caller: &Caller) -> Result<Arc<Route>, Failure> {
    if caller.may_use(&route.name) {
        return Ok(route);
    }
    permitted_targets(&route, caller)
}

fn permitted_targets(route: &Route, caller: &Caller) -> Result<Arc<Route>, Failure> {
    let mut tiers = route.tiers.clone();
    for tier in &mut tiers {
        tier.targets.retain(|target| caller.may_use(&target.name));
    }
    tiers.retain(|tier| !tier.targets.is_empty());
    if tiers.is_empty() {
        return Err(Failure::model_forbidden(&route.name));
    }
    Ok(Arc::new(Route {
        name: route.name.clone(),
        tiers,
        strict: route.strict,
        rules: route.rules.clone(),
    }))
}

fn tier_of(name: &str, targets: Vec<Target>) -> Tier {
    Tier {
        model: name.to_owned(),
        strategy: Strategy::LeastPending,
        targets,
    }
}
