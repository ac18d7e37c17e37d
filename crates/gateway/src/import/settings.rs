//! `router_settings`, `litellm_settings` and `general_settings`: what holds for all models, and who may call.

use super::deployments::{literal_key, milliseconds, variables};
use super::yaml::Node;
use super::{Fields, Notes, cache};

/// More rounds than this are refused by the check of a configuration.
const MAX_RETRIES: u64 = 10;

/// What `litellm_settings` and `router_settings` have that says nothing about routing here, or is as it is here.
const SILENT: [&str; 13] = [
    "drop_params",
    "modify_params",
    "set_verbose",
    "telemetry",
    "turn_off_message_logging",
    "redact_user_api_key_info",
    "enable_pre_call_checks",
    "enable_pre_call_check",
    "enable_tag_filtering",
    "routing_strategy_args",
    "suppress_debug_info",
    "check_provider_endpoint",
    "debug_level",
];

/// What `general_settings` has of that kind.
const SILENT_GENERAL: [&str; 12] = [
    "store_model_in_db",
    "store_prompts_in_spend_logs",
    "disable_spend_logs",
    "disable_spend_updates",
    "disable_reset_budget",
    "disable_master_key_return",
    "database_connection_pool_limit",
    "database_connection_timeout",
    "proxy_batch_write_at",
    "user_api_key_cache_ttl",
    "health_check_interval",
    "background_health_checks",
];

/// What holds for all models, and who may call.
#[derive(Debug, Default)]
pub(super) struct Settings<'n> {
    pub(super) strategy: Option<&'static str>,
    pub(super) retries: Option<u64>,
    /// Failures before a target is left alone.
    pub(super) failures: Option<u64>,
    /// How long it is left alone, in milliseconds.
    pub(super) rest: Option<u64>,
    /// How long to wait for content, in milliseconds.
    pub(super) patience: Option<u64>,
    /// Other names of models.
    pub(super) aliases: Vec<(&'n str, &'n Node)>,
    /// Who is asked when a model fails: its name and their list.
    pub(super) fallbacks: Vec<(&'n str, &'n Node)>,
    /// The same for prompts that are too long.
    pub(super) for_long_prompts: Vec<(&'n str, &'n Node)>,
    /// Who is asked for models without fallbacks of their own.
    pub(super) default_fallbacks: Option<&'n Node>,
    /// How long answers are kept, in milliseconds.
    pub(super) cache: Option<u64>,
    /// The key of callers, as it is written in `mynah.toml`.
    pub(super) key: Option<String>,
    /// US dollars, and the period.
    pub(super) budget: Option<(f64, &'static str)>,
    pub(super) keeps_ledger: bool,
    /// How old a row may get, as LiteLLM writes it.
    pub(super) max_age: Option<&'n str>,
    pub(super) max_body: Option<u64>,
    pub(super) max_requests: Option<u64>,
    pub(super) logs_json: bool,
}

impl<'n> Settings<'n> {
    pub(super) fn read(top: &mut Fields<'n>, notes: &mut Notes) -> Self {
        let mut settings = Self::default();
        // What the router says goes before what the module says.
        for table in ["router_settings", "litellm_settings"] {
            if let Some(node) = top.take(table) {
                settings.read_routing(node, table, notes);
            }
        }
        if let Some(node) = top.take("general_settings") {
            settings.read_general(node, notes);
        }
        settings
    }

    fn read_routing(&mut self, node: &'n Node, table: &str, notes: &mut Notes) {
        let mut fields = Fields::of(node, table);
        if let Some(strategy) = fields.take("routing_strategy") {
            self.strategy = self.strategy.or(strategy_of(strategy, &fields, notes));
        }
        if let Some(retries) = fields.take("num_retries") {
            if retries.count().is_some_and(|count| count > MAX_RETRIES) {
                notes.add(retries, &fields.path("num_retries"), "10 rounds are the most");
            }
            self.retries = self.retries.or(retries.count().map(|count| count.min(MAX_RETRIES)));
        }
        let count = |node: Option<&Node>| node.and_then(Node::count);
        let time = |node: Option<&Node>| node.and_then(Node::number).map(milliseconds);
        self.failures = self
            .failures
            .or(count(fields.take("allowed_fails")).map(|allowed| allowed + 1));
        self.rest = self.rest.or(time(fields.take("cooldown_time")));
        self.patience = self.patience.or(time(fields.take("timeout")));
        self.patience = self.patience.or(time(fields.take("request_timeout")));
        for name in ["model_group_alias", "model_alias_map"] {
            let aliases = fields.take(name).map(Node::members).unwrap_or_default();
            self.aliases
                .extend(aliases.iter().map(|(alias, model)| (alias.as_str(), model)));
        }
        self.fallbacks.extend(pairs(fields.take("fallbacks")));
        self.for_long_prompts
            .extend(pairs(fields.take("context_window_fallbacks")));
        self.default_fallbacks = self.default_fallbacks.or(fields.take("default_fallbacks"));
        if let Some(fallbacks) = fields.take("content_policy_fallbacks") {
            let path = fields.path("content_policy_fallbacks");
            notes.add(
                fallbacks,
                &path,
                "no counterpart: a refusal for its content is an answer, and is passed on",
            );
        }
        self.cache = cache::read(&mut fields, notes).or(self.cache);
        self.read_budget(&mut fields, notes);
        self.logs_json |= fields.take("json_logs").is_some_and(Node::is_true);
        fields.rest(&SILENT, notes);
    }

    fn read_budget(&mut self, fields: &mut Fields<'n>, notes: &mut Notes) {
        let (budget, duration) = (fields.take("max_budget"), fields.take("budget_duration"));
        let Some(usd) = budget.and_then(Node::number) else {
            return;
        };
        let period = match duration.and_then(Node::text) {
            None => Some("total"),
            Some("1h" | "60m" | "3600s") => Some("hour"),
            Some("24h" | "1d" | "86400s") => Some("day"),
            Some("7d" | "1w") => Some("week"),
            Some("30d" | "31d" | "1mo") => Some("month"),
            Some(_) => None,
        };
        self.budget = self.budget.or(period.map(|period| (usd, period)));
        if let Some(duration) = duration {
            let message = match period {
                Some(_) => {
                    "budgets follow the calendar: they begin anew on the hour, at midnight, on Monday, or on the first (UTC)"
                }
                None => {
                    "no counterpart, and so the budget is left out: budgets are per hour, day, week, month or in total"
                }
            };
            notes.add(duration, &fields.path("budget_duration"), message);
        }
    }

    fn read_general(&mut self, node: &'n Node, notes: &mut Notes) {
        let mut fields = Fields::of(node, "general_settings");
        self.key = fields
            .take("master_key")
            .and_then(|key| literal_key(key, "general_settings", notes));
        if let Some(database) = fields.take("database_url") {
            self.keeps_ledger = true;
            let message = "the ledger is a database of its own; keys, teams and spend that are in LiteLLM's are not read: give their \
                           owners keys in [[clients]]";
            notes.add(database, &fields.path("database_url"), message);
        }
        self.max_age = fields.take("maximum_spend_logs_retention_period").and_then(Node::text);
        fields.take("maximum_spend_logs_retention_interval");
        let mebibytes = fields.take("max_request_size_mb").and_then(Node::count);
        self.max_body = mebibytes.filter(|&size| (1..=4096).contains(&size));
        let requests = fields.take("global_max_parallel_requests").and_then(Node::count);
        self.max_requests = requests.filter(|&count| (1..=1_000_000).contains(&count));
        self.read_budget(&mut fields, notes);
        fields.rest(&SILENT_GENERAL, notes);
    }
}

fn strategy_of(node: &Node, fields: &Fields<'_>, notes: &mut Notes) -> Option<&'static str> {
    let path = fields.path("routing_strategy");
    match node.text()? {
        "simple-shuffle" => Some("weighted"),
        "least-busy" => Some("least-pending"),
        "latency-based-routing" => Some("lowest-latency"),
        "cost-based-routing" => Some("cheapest"),
        "usage-based-routing" | "usage-based-routing-v2" => {
            notes.add(
                node,
                &path,
                "the target with the fewest requests under way is taken, not the one with the fewest tokens",
            );
            Some("least-pending")
        }
        _ => {
            notes.add(node, &path, "not known here; targets are chosen by weight");
            None
        }
    }
}

/// A list of maps, or a map, as pairs.
fn pairs(node: Option<&Node>) -> Vec<(&str, &Node)> {
    let Some(node) = node else { return Vec::new() };
    let maps = node.items().iter().flat_map(Node::members);
    let pairs = maps.chain(node.members());
    pairs.map(|(name, list)| (name.as_str(), list)).collect()
}

/// A name in a list of fallbacks.
pub(super) fn names(list: &Node) -> Vec<(&Node, String)> {
    let texts = list.items().iter().chain(list.text().map(|_| list));
    texts.filter_map(|node| Some((node, variables(node.text()?)))).collect()
}
