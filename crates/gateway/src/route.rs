//! Where a name leads: targets in tiers, and how far a request may go to be answered.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::http::HeaderValue;
use mynah_dialect::handle::Handle;
use mynah_dialect::peek::Name;

use crate::balance::Strategy;
use crate::cache::CacheRule;
use crate::condition::{Condition, Conditions};
use crate::config::TargetConfig;
use crate::config::models::{Ability, HandOver, OnCut};
use crate::discovered::Discovered;
use crate::hedge::Hedge;
use crate::known::PathStyle;
use crate::operation::Kind;
use crate::prices::{self, Price};
use crate::provider::{Endpoint, Provider, Timeouts};
use crate::retry::Backoff;
use crate::upstream::base::BaseUrl;

/// The name in `[models]` for whatever leads nowhere else, and the model of a target that is called as it was asked for.
pub const ANY: &str = "*";

/// A provider, and a model as that provider calls it.
#[derive(Clone, Debug)]
pub struct Target {
    /// The provider.
    pub provider: Arc<Provider>,
    /// The model; empty for a route that names none.
    pub model: String,
    /// `provider/model`, or the provider alone.
    pub name: String,
    /// The model as it is named in a request, where there is no handle.
    asked_as: Name,
    /// Where it is called, at a provider that has a handle for each of its models. As known when the request came.
    pub handle: Option<Arc<Handle>>,
    /// The name as a header's value, where it can be one.
    pub label: Option<HeaderValue>,
    /// How it is doing.
    pub condition: Arc<Condition>,
    /// Its part of the load, relative to the other targets of its tier.
    pub weight: f64,
    /// How many tokens of prompt and answer it can hold, where the operator says so.
    pub context: Option<u64>,
    /// What it can do; everything when `None`.
    pub abilities: Option<Vec<Ability>>,
    /// What it is asked for; everything when `None`.
    pub routes: Option<Vec<Kind>>,
    /// Words by which requests choose.
    pub tags: Vec<String>,
    /// What it costs, where the operator says so for this target alone.
    pub own_price: Option<Arc<Price>>,
    /// What it costs by the built-in list, once somebody has looked.
    listed_price: OnceLock<Option<&'static Arc<Price>>>,
    /// What a typical request costs, for comparison only; `None` when that is not known.
    pub price: Option<u64>,
}

impl Target {
    /// A model of a provider; an empty `model` for a route that names none.
    pub fn new(provider: &Arc<Provider>, model: &str, conditions: &Conditions) -> Self {
        let separator = if model.is_empty() { "" } else { "/" };
        let name = [&provider.name, separator, model].concat();
        Self {
            provider: provider.clone(),
            model: model.to_owned(),
            asked_as: Name::from(model),
            label: HeaderValue::try_from(name.as_str()).ok(),
            condition: conditions.of_target(&name, provider.breaker),
            name,
            handle: None,
            weight: 1.0,
            context: None,
            abilities: None,
            routes: None,
            tags: Vec::new(),
            own_price: None,
            listed_price: OnceLock::new(),
            price: None,
        }
    }

    /// A target as it is configured.
    pub fn configured(provider: &Arc<Provider>, config: &TargetConfig, conditions: &Conditions) -> Self {
        let own = config.price.as_ref().or_else(|| provider.price(&config.model));
        let price = own.or_else(|| prices::of(&provider.kind, &config.model));
        Self {
            weight: config.weight,
            context: config.context,
            abilities: config.abilities.clone(),
            routes: config.routes.clone(),
            tags: config.tags.clone(),
            own_price: config.price.clone(),
            price: price.map(|price| price.blended()),
            ..Self::new(provider, &config.model, conditions)
        }
    }

    /// The same with the name that was asked for, where it stands for any.
    fn named(&self, name: &str, conditions: &Conditions) -> Self {
        if self.model != ANY {
            return self.clone();
        }
        let plain = Self::new(&self.provider, name, conditions);
        Self {
            model: plain.model,
            asked_as: plain.asked_as,
            name: plain.name,
            label: plain.label,
            condition: plain.condition,
            listed_price: plain.listed_price,
            ..self.clone()
        }
    }

    /// Where it is called, at an address of its provider: in an OCF network, below the service that serves it now.
    pub fn base<'e>(&self, endpoint: &'e Endpoint, discovered: &Discovered) -> Cow<'e, BaseUrl> {
        if self.provider.path_style != PathStyle::OcfServices {
            return Cow::Borrowed(&endpoint.base);
        }
        let service = discovered.service(&self.provider.name, &self.model);
        let base = service.and_then(|service| endpoint.base.with_service(&service));
        base.map_or(Cow::Borrowed(&endpoint.base), Cow::Owned)
    }

    /// The model as it is named in a request.
    pub fn name_on_the_wire(&self) -> Cow<'_, Name> {
        match &self.handle {
            Some(handle) => Cow::Owned(Name::from(handle.model(&self.model))),
            None => Cow::Borrowed(&self.asked_as),
        }
    }

    /// What it costs: as the operator says, as its provider's own list says, or as the built-in list says, in this order.
    pub fn price(&self, discovered: &Discovered) -> Option<Arc<Price>> {
        let (provider, model) = (&self.provider, self.model.as_str());
        let own = self.own_price.as_ref().or_else(|| provider.price(model)).cloned();
        let listed = || *self.listed_price.get_or_init(|| prices::of(&provider.kind, model));
        own.or_else(|| discovered.price(&provider.name, model))
            .or_else(|| listed().cloned())
    }
}

/// Targets that are as good as one another, but for the order that the strategy gives them.
#[derive(Clone, Debug)]
pub struct Tier {
    /// The name of the model whose targets they are.
    pub model: String,
    /// How they are chosen from.
    pub strategy: Strategy,
    /// The targets.
    pub targets: Vec<Target>,
}

/// A name, and the targets that answer to it.
#[derive(Debug)]
pub struct Route {
    /// The name that was asked for.
    pub name: String,
    /// Where it may go: to a later tier when none of the earlier ones has answered.
    pub tiers: Vec<Tier>,
    /// Nothing may be lost in translation.
    pub strict: bool,
    /// How far a request may go.
    pub rules: Rules,
}

impl Route {
    /// All targets, tier by tier.
    pub fn targets(&self) -> impl Iterator<Item = &Target> {
        self.tiers.iter().flat_map(|tier| &tier.targets)
    }

    /// The same for a name that it stands for.
    #[must_use]
    pub fn named(&self, name: &str, conditions: &Conditions) -> Self {
        let named = |tier: &Tier| {
            let is_open = tier.model == ANY || tier.model.ends_with("/*");
            let name = if is_open { name } else { &tier.model };
            Tier {
                model: name.to_owned(),
                strategy: tier.strategy,
                targets: tier
                    .targets
                    .iter()
                    .map(|target| target.named(name, conditions))
                    .collect(),
            }
        };
        Self {
            name: name.to_owned(),
            tiers: self.tiers.iter().map(named).collect(),
            strict: self.strict,
            rules: self.rules.clone(),
        }
    }
}

/// How far a request may go to be answered.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Further rounds of attempts.
    pub retries: u32,
    /// The pauses between them.
    pub backoff: Backoff,
    /// How long it may wait in all.
    pub max_wait: Duration,
    /// How long it may take, to the end of its answer.
    pub timeout: Option<Duration>,
    /// What replaces the providers' own patience.
    pub patience: OwnPatience,
    /// The largest answer that is held until it is whole, in bytes.
    pub max_held: usize,
    /// When a second target is asked beside the first.
    pub hedge: Option<Arc<Hedge>>,
    /// After which errors the next target is asked.
    pub hand_over: HandOver,
    /// What happens to a stream that breaks off.
    pub on_cut: OnCut,
    /// Equal requests are sent once.
    pub single_flight: bool,
    /// How answers are kept, if they are.
    pub cache: Option<CacheRule>,
}

/// How long to wait for targets, where a model has its own opinion.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OwnPatience {
    /// For a connection.
    pub connect: Option<Duration>,
    /// For the first content.
    pub first_token: Option<Duration>,
    /// Between two pieces of an answer.
    pub idle: Option<Duration>,
}

impl OwnPatience {
    /// The patience with a provider.
    pub fn with(self, provider: Timeouts) -> Timeouts {
        Timeouts {
            connect: self.connect.unwrap_or(provider.connect),
            first_token: self.first_token.unwrap_or(provider.first_token),
            idle: self.idle.unwrap_or(provider.idle),
        }
    }
}
