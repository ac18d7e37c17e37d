//! From deployments to providers and models, as `mynah.toml` has them.

use super::deployments::{At, Deployment};
use super::settings::{Settings, names};
use super::yaml::Node;
use super::{Fields, Notes};

/// What is written.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) providers: Vec<Provider>,
    pub(super) models: Vec<Model>,
    /// Providers are to be found by the keys in the environment.
    pub(super) detects: bool,
}

/// A provider: an address with keys.
#[derive(Debug)]
pub(super) struct Provider {
    pub(super) name: String,
    pub(super) at: At,
    /// As they are written in `mynah.toml`. None: those of the environment.
    pub(super) keys: Vec<String>,
    /// Whether all of its models can be asked for by name, and are listed.
    pub(super) is_open: bool,
}

/// A name for clients.
#[derive(Clone, Debug)]
pub(super) struct Model {
    pub(super) name: String,
    pub(super) targets: Vec<Target>,
    pub(super) fallback: Vec<String>,
    /// It can be asked for, but is not listed.
    pub(super) is_hidden: bool,
}

/// Where a model is found.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// `provider/model`.
    pub(super) name: String,
    pub(super) weight: Option<f64>,
    pub(super) price: Option<(f64, f64)>,
    pub(super) context: Option<u64>,
    pub(super) tags: Vec<String>,
}

impl Plan {
    pub(super) fn new(deployments: Vec<Deployment>, settings: &Settings<'_>, notes: &mut Notes) -> Self {
        let mut plan = Self::default();
        let (open, named): (Vec<_>, Vec<_>) = deployments.into_iter().partition(|it| it.name.contains('*'));
        // Those first whose names are given.
        for group in merged(open) {
            plan.open(&group, notes);
        }
        let ids: Vec<(String, String)> = named
            .iter()
            .filter_map(|it| Some((it.id.clone()?, it.name.clone())))
            .collect();
        for group in merged(named) {
            plan.add(&group);
        }
        let aliases = plan.alias(settings, notes);
        plan.fall_back(settings, &ids, notes);
        for (alias, of) in aliases {
            plan.fall_back_alike(alias, &of);
        }
        plan
    }

    /// Deployments whose name has a `*`.
    fn open(&mut self, group: &Group, notes: &mut Notes) {
        let it = &group.deployment;
        let path = "model_list";
        if it.at.kind == "*" {
            self.detects = true;
            let message = "providers are those whose keys are in the environment, as `provider/model`, or by the names that they list";
            notes.add(&it.node, path, format!("`{}`: {message}", it.name));
            return;
        }
        let prefix = it.name.strip_suffix("/*").filter(|prefix| is_name(prefix));
        if it.model != "*" || (prefix.is_none() && it.name != "*") {
            let message = "no counterpart: names are given one by one; the models that the provider lists can be asked for by their own names";
            notes.add(&it.node, path, format!("`{}`: {message}", it.name));
        } else if it.name == "*" {
            let message =
                "any model that the provider lists can be asked for by its name, and any other as `provider/model`";
            notes.add(&it.node, path, format!("`*`: {message}"));
        }
        let wanted = prefix.unwrap_or(it.at.kind);
        let name = self.provider(group, wanted);
        if let Some(provider) = self.providers.iter_mut().find(|provider| provider.name == name) {
            provider.is_open = true;
        }
        if prefix.is_some_and(|prefix| prefix != name) {
            let message = format!(
                "`{}`: the provider is called `{name}`, since the name is taken",
                it.name
            );
            notes.add(&it.node, path, message);
        }
    }

    /// A deployment with a name of its own.
    fn add(&mut self, group: &Group) {
        let it = &group.deployment;
        let wanted = provider_name(&it.at);
        let provider = self.provider(group, &wanted);
        let target = Target {
            name: format!("{provider}/{}", it.model),
            weight: group.weight,
            price: it.price,
            context: it.context,
            tags: it.tags.clone(),
        };
        let name = match it.order {
            0 | 1 => it.name.clone(),
            order => format!("{} (order {order})", it.name),
        };
        if name != it.name && !self.has(&it.name) {
            // Nobody goes before it.
            return self.push(&it.name, target);
        }
        if name != it.name
            && let Some(first) = self.models.iter_mut().find(|model| model.name == it.name)
            && !first.fallback.contains(&name)
        {
            first.fallback.push(name.clone());
            first.fallback.sort();
        }
        self.push(&name, target);
    }

    fn push(&mut self, name: &str, target: Target) {
        match self.models.iter_mut().find(|model| model.name == name) {
            Some(model) => model.targets.push(target),
            None => self.models.push(Model {
                name: name.to_owned(),
                targets: vec![target],
                fallback: Vec::new(),
                is_hidden: false,
            }),
        }
    }

    /// The name of the provider at an address with these keys; a new one gets the name that is wanted, if it is free.
    fn provider(&mut self, group: &Group, wanted: &str) -> String {
        let at = &group.deployment.at;
        let known = self
            .providers
            .iter()
            .find(|provider| provider.at == *at && provider.keys == group.keys);
        if let Some(known) = known {
            return known.name.clone();
        }
        let is_free = |name: &String| self.providers.iter().all(|provider| provider.name != *name);
        let numbered = (2..).map(|number| format!("{wanted}-{number}"));
        let mut names = std::iter::once(wanted.to_owned()).chain(numbered);
        let name = names.find(is_free).unwrap_or_default();
        self.providers.push(Provider {
            name: name.clone(),
            at: at.clone(),
            keys: group.keys.clone(),
            is_open: false,
        });
        name
    }

    fn has(&self, name: &str) -> bool {
        self.models.iter().any(|model| model.name == name)
    }

    /// Whether a name can be asked for.
    fn knows(&self, name: &str) -> bool {
        let is_open = |prefix: &str| self.providers.iter().any(|it| it.is_open && it.name == prefix);
        self.has(name) || name.split_once('/').is_some_and(|(prefix, _)| is_open(prefix))
    }

    /// Other names: copies. Returns them, and what they are names of.
    fn alias<'n>(&mut self, settings: &Settings<'n>, notes: &mut Notes) -> Vec<(&'n str, String)> {
        let mut aliases = Vec::new();
        for (alias, node) in &settings.aliases {
            let path = format!("model_group_alias.{alias}");
            let mut fields = Fields::of(node, &path);
            let named = fields.take("model").and_then(Node::text);
            let is_hidden = fields.take("hidden").is_some_and(Node::is_true);
            fields.rest(&[], notes);
            let of = named.or(node.text()).unwrap_or_default();
            let found = self.models.iter().find(|model| model.name == of).cloned();
            match found {
                Some(model) if !self.has(alias) => {
                    aliases.push((*alias, model.name.clone()));
                    self.models.push(Model {
                        name: (*alias).to_owned(),
                        is_hidden,
                        ..model
                    });
                }
                Some(_) => notes.add(node, &path, "left out: there is a model of that name"),
                None => notes.add(node, &path, format!("left out: there is no model `{of}`")),
            }
        }
        aliases
    }

    /// Gives an alias the fallbacks of what it is a name of.
    fn fall_back_alike(&mut self, alias: &str, of: &str) {
        let fallback = self.models.iter().find(|model| model.name == of);
        let fallback: Vec<String> = fallback.map(|model| model.fallback.clone()).unwrap_or_default();
        for model in self.models.iter_mut().filter(|model| model.name == alias) {
            model.fallback = fallback.iter().filter(|name| *name != alias).cloned().collect();
        }
    }

    fn fall_back(&mut self, settings: &Settings<'_>, ids: &[(String, String)], notes: &mut Notes) {
        let lists = [
            ("fallbacks", &settings.fallbacks),
            ("context_window_fallbacks", &settings.for_long_prompts),
        ];
        for (kind, list) in lists {
            for (name, node) in list {
                let path = format!("{kind}.{name}");
                if *name == "*" {
                    self.fall_back_by_default(node, &path, ids, notes);
                } else if self.has(name) {
                    let fallback = self.known_names(node, &path, ids, notes);
                    self.extend(name, &fallback);
                    if kind == "context_window_fallbacks" {
                        let message = "asked also when nobody else answers, not for long prompts alone";
                        notes.add(node, &path, message);
                    }
                } else {
                    notes.add(node, &path, format!("left out: there is no model `{name}` in [models]"));
                }
            }
        }
        if let Some(node) = settings.default_fallbacks {
            self.fall_back_by_default(node, "default_fallbacks", ids, notes);
        }
    }

    /// Gives all models a fallback that have none.
    fn fall_back_by_default(&mut self, node: &Node, path: &str, ids: &[(String, String)], notes: &mut Notes) {
        let fallback = self.known_names(node, path, ids, notes);
        let without = |model: &&Model| model.fallback.iter().all(|name| name.contains(" (order "));
        let models: Vec<String> = self
            .models
            .iter()
            .filter(without)
            .map(|model| model.name.clone())
            .filter(|name| !fallback.contains(name) && !name.contains(" (order "))
            .collect();
        for name in models {
            self.extend(&name, &fallback);
        }
    }

    fn extend(&mut self, name: &str, fallback: &[String]) {
        for model in self.models.iter_mut().filter(|model| model.name == name) {
            for further in fallback {
                if further != name && !model.fallback.contains(further) {
                    model.fallback.push(further.clone());
                }
            }
        }
    }

    /// The names of a list that can be asked for. One may also be the id of a deployment.
    fn known_names(&self, list: &Node, path: &str, ids: &[(String, String)], notes: &mut Notes) -> Vec<String> {
        let mut known = Vec::new();
        for (node, name) in names(list) {
            let by_id = ids.iter().find(|(id, _)| *id == name).map(|(_, model)| model.clone());
            let found = Some(name.clone()).filter(|name| self.knows(name)).or(by_id);
            match found.filter(|name| self.knows(name)) {
                Some(name) => known.push(name),
                None => notes.add(node, path, format!("left out: there is no model `{name}`")),
            }
        }
        known
    }
}

/// Deployments of one name that differ in their keys alone.
#[derive(Debug)]
struct Group {
    deployment: Deployment,
    keys: Vec<String>,
    weight: Option<f64>,
}

/// Deployments of one name, at one address and of one model, are one target whose provider has several keys. Those with
/// other shares of the load stay apart, as keys have equal shares.
fn merged(deployments: Vec<Deployment>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for it in deployments {
        let same = |group: &&mut Group| {
            let other = &group.deployment;
            (&other.name, &other.at, &other.model, other.order) == (&it.name, &it.at, &it.model, it.order)
                && (other.weight, &other.tags) == (it.weight, &it.tags)
                && other.key.is_some() == it.key.is_some()
        };
        match groups.iter_mut().find(same) {
            Some(group) => {
                let key = it.key.filter(|key| !group.keys.contains(key));
                if key.is_some() {
                    group.weight = group.weight.zip(it.weight).map(|(sum, more)| sum + more);
                }
                group.keys.extend(key);
            }
            None => groups.push(Group {
                keys: it.key.iter().cloned().collect(),
                weight: it.weight,
                deployment: it,
            }),
        }
    }
    groups
}

/// How a provider is called: by its kind, or by its host.
fn provider_name(at: &At) -> String {
    let host = at
        .base_url
        .as_deref()
        .filter(|base| !base.contains("${"))
        .and_then(host);
    match host {
        Some(host) if is_name(&host) => host,
        _ => at.kind.to_owned(),
    }
}

/// The part of an address that tells it from others: the resource of Azure's, or host and port.
fn host(base: &str) -> Option<String> {
    let authority = base.split_once("://")?.1.split('/').next()?;
    let resource = authority
        .strip_suffix(".openai.azure.com")
        .or_else(|| authority.strip_suffix(".cognitiveservices.azure.com"))
        .or_else(|| authority.strip_suffix(".services.ai.azure.com"));
    Some(
        resource
            .unwrap_or(authority)
            .replace(['.', ':'], "-")
            .to_ascii_lowercase(),
    )
}

/// Whether a text may be the name of a provider.
fn is_name(text: &str) -> bool {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
    !text.is_empty() && text != "mynah" && text.chars().all(is_plain)
}
