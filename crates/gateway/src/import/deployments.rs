//! `model_list`: deployments, each of them a model at a provider under a name for clients.

use std::collections::BTreeMap;

use mynah_dialect::Dialect;

use super::kinds::{Kind, kind};
use super::yaml::Node;
use super::{Fields, Notes};
use crate::known::KNOWN;

/// Members of `litellm_params` that say nothing about routing here.
const SILENT: [&str; 9] = [
    "drop_params",
    "modify_params",
    "max_parallel_requests_per_deployment",
    "merge_reasoning_content_in_choices",
    "use_in_pass_through",
    "cache_control_injection_points",
    "supports_system_message",
    "custom_llm_provider",
    "litellm_credential_name",
];

/// What is told of a key that is copied as it is.
const IN_CLEAR: &str = "a key in clear, which is now in mynah.toml too; better write `${NAME}` and set NAME";

/// A model at a provider, under a name for clients.
#[derive(Clone, Debug)]
pub(super) struct Deployment {
    /// What clients ask for. It may have a `*`.
    pub(super) name: String,
    /// The id by which fallbacks may name it.
    pub(super) id: Option<String>,
    /// Where it is.
    pub(super) at: At,
    /// The model as its provider knows it.
    pub(super) model: String,
    /// The key, as it is written in `mynah.toml`.
    pub(super) key: Option<String>,
    /// Its part of the load.
    pub(super) weight: Option<f64>,
    /// Those with a lower number go first.
    pub(super) order: u64,
    /// US dollars for a million tokens of prompt and answer.
    pub(super) price: Option<(f64, f64)>,
    /// How many tokens it can hold.
    pub(super) context: Option<u64>,
    /// Words by which requests choose.
    pub(super) tags: Vec<String>,
    /// Where it stands.
    pub(super) node: Node,
}

/// Where a deployment is, but for the key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct At {
    /// The row of the catalog.
    pub(super) kind: &'static str,
    /// The address, as it is written in `mynah.toml`.
    pub(super) base_url: Option<String>,
    /// Azure's.
    pub(super) api_version: Option<String>,
    /// Headers of every call.
    pub(super) headers: BTreeMap<String, String>,
    /// What conversations are given that have none of their own, as numbers of `mynah.toml`.
    pub(super) defaults: BTreeMap<&'static str, String>,
    /// How long to wait for content, in milliseconds.
    pub(super) patience: Option<u64>,
}

impl Deployment {
    pub(super) fn read_all(list: &Node, credentials: Option<&Node>, notes: &mut Notes) -> Vec<Self> {
        let read = |(number, node): (usize, &Node)| Self::read(node, number, credentials, notes);
        list.items().iter().enumerate().filter_map(read).collect()
    }

    /// A deployment; `None` with a note where it has no counterpart.
    fn read(node: &Node, number: usize, credentials: Option<&Node>, notes: &mut Notes) -> Option<Self> {
        let path = format!("model_list.{number}");
        let mut fields = Fields::of(node, &path);
        let name = fields.take("model_name").and_then(Node::text);
        let params = fields.take("litellm_params");
        let info = fields.take("model_info");
        fields.rest(&[], notes);
        let (Some(name), Some(params)) = (name, params) else {
            notes.add(node, &path, "left out: it needs `model_name` and `litellm_params`");
            return None;
        };
        let path = format!("{path}.litellm_params");
        let shared = params.get("litellm_credential_name").and_then(Node::text);
        let shared = shared.and_then(|name| credential(credentials?, name));
        let mut params = Params {
            fields: Fields::of(params, &path),
            shared,
        };
        let Some(model) = params.take("model").and_then(Node::text) else {
            notes.add(node, &path, format!("`{name}` is left out: it names no `model`"));
            return None;
        };
        let stated = params.own("custom_llm_provider").and_then(Node::text);
        let base = params.take("api_base").or_else(|| params.take("base_url"));
        let (kind, model) = match kind(model, stated, base.is_some()) {
            Kind::Known(kind, model) => (kind, model),
            Kind::Everything => ("*", "*"),
            Kind::Guessed(model) => {
                notes.add(node, &path, format!("`{name}` is taken for a model with OpenAI's API"));
                ("openai", model)
            }
            Kind::Absent(reason) => {
                notes.add(node, &path, format!("`{name}` is left out: {reason}"));
                return None;
            }
        };
        let mut deployment = Self {
            name: name.to_owned(),
            id: None,
            at: params.at(kind, base, notes),
            model: model.to_owned(),
            key: params
                .take("api_key")
                .and_then(|key| literal_key(key, &path, notes))
                .or_else(|| usual_key(kind, base.is_some())),
            weight: params.weight(notes),
            order: params.take("order").and_then(Node::count).unwrap_or(0),
            price: None,
            context: None,
            tags: params.take("tags").map(texts).unwrap_or_default(),
            node: node.clone(),
        };
        params.price(&mut deployment);
        params.fields.rest(&SILENT, notes);
        if let Some(info) = info {
            deployment.informed(info);
        }
        Some(deployment)
    }

    /// Takes what `model_info` says about prices and room. The rest of it is for people.
    fn informed(&mut self, info: &Node) {
        let costs = |name: &str| info.get(name).and_then(Node::number);
        let price = costs("input_cost_per_token").zip(costs("output_cost_per_token"));
        self.price = self.price.or(price.map(per_million));
        self.context = info
            .get("max_input_tokens")
            .and_then(Node::count)
            .filter(|&room| room > 0);
        self.id = info.get("id").and_then(Node::text).map(str::to_owned);
    }
}

/// `litellm_params`, with what a shared credential adds.
struct Params<'n> {
    fields: Fields<'n>,
    shared: Option<&'n Node>,
}

impl<'n> Params<'n> {
    fn own(&mut self, name: &str) -> Option<&'n Node> {
        self.fields.take(name)
    }

    fn take(&mut self, name: &str) -> Option<&'n Node> {
        let own = self.own(name);
        own.or_else(|| self.shared?.get(name).filter(|node| !node.is_empty()))
    }

    fn at(&mut self, kind: &'static str, base: Option<&Node>, notes: &mut Notes) -> At {
        let mut at = At { kind, ..At::default() };
        let base = base.and_then(Node::text).map(variables);
        at.api_version = self.take("api_version").and_then(Node::text).map(variables);
        if let Some(base) = base {
            let (base, version) = address(&base, kind);
            at.base_url = Some(base);
            at.api_version = at.api_version.take().or(version);
        }
        if kind != "azure" {
            at.api_version = None;
        }
        for name in ["extra_headers", "headers", "default_headers"] {
            for (header, value) in self.take(name).map(Node::members).unwrap_or_default() {
                let text = variables(value.text().unwrap_or_default());
                if may_be_credential(header) && is_in_clear(&text) {
                    notes.add(value, &format!("{}.{header}", self.fields.path(name)), IN_CLEAR);
                }
                at.headers.insert(header.to_ascii_lowercase(), text);
            }
        }
        if let Some(organization) = self.take("organization") {
            if let Some(text) = organization.text() {
                at.headers.insert("openai-organization".into(), variables(text));
            } else {
                let path = self.fields.path("organization");
                notes.add(
                    organization,
                    &path,
                    "no counterpart for several; write a provider for each",
                );
            }
        }
        at.defaults = self.defaults(kind);
        let (timeout, streams) = (self.take("timeout"), self.take("stream_timeout"));
        at.patience = timeout.or(streams).and_then(Node::number).map(milliseconds);
        if let (Some(_), Some(streams)) = (timeout, streams) {
            let path = self.fields.path("stream_timeout");
            notes.add(
                streams,
                &path,
                "no counterpart: `timeout` holds for streams too, for each pause",
            );
        }
        at
    }

    /// The parameters that mean the same at all routes of a provider, and so can stand in its `defaults`.
    fn defaults(&mut self, kind: &str) -> BTreeMap<&'static str, String> {
        let names: &[&'static str] = match KNOWN.get(kind).map(|known| known.dialect) {
            Some(Dialect::OpenAi) => &["temperature", "top_p"],
            Some(Dialect::Anthropic) => &["temperature", "top_p", "max_tokens"],
            _ => &[],
        };
        let number = |name: &&'static str| Some((*name, self.take(name)?.number()?.to_string()));
        names.iter().filter_map(number).collect()
    }

    /// The share of the load. Limits are taken for shares, as LiteLLM does it too.
    fn weight(&mut self, notes: &mut Notes) -> Option<f64> {
        let weight = self.take("weight").and_then(Node::number);
        let (rpm, tpm) = (self.take("rpm"), self.take("tpm"));
        if let Some((limit, name)) = rpm.map(|rpm| (rpm, "rpm")).or(tpm.map(|tpm| (tpm, "tpm"))) {
            let path = self.fields.path(name);
            notes.add(
                limit,
                &path,
                "taken for its share of the load; a target has no limit of its own, but its key rests when the provider says so",
            );
        }
        let stated = weight.or(rpm.and_then(Node::number)).or(tpm.and_then(Node::number));
        stated.filter(|&weight| weight > 0.0)
    }

    fn price(&mut self, deployment: &mut Deployment) {
        let input = self.take("input_cost_per_token").and_then(Node::number);
        let output = self.take("output_cost_per_token").and_then(Node::number);
        deployment.price = input.zip(output).map(per_million);
    }
}

/// The values of a shared credential.
fn credential<'n>(credentials: &'n Node, name: &str) -> Option<&'n Node> {
    let is_it = |item: &&Node| item.get("credential_name").and_then(Node::text) == Some(name);
    credentials.items().iter().find(is_it)?.get("credential_values")
}

/// A key as it is written in `mynah.toml`. One in clear works as it is, and is told.
pub(super) fn literal_key(node: &Node, path: &str, notes: &mut Notes) -> Option<String> {
    let key = variables(node.text()?);
    if is_in_clear(&key) {
        notes.add(node, &format!("{path}.{}", path_of_key(path)), IN_CLEAR);
    }
    Some(key)
}

/// Whether a text, as `mynah.toml` has it, is a key: neither a variable nor a word for none.
fn is_in_clear(text: &str) -> bool {
    let words = ["", "any", "dummy", "empty", "none", "no-key", "not-needed", "null"];
    !text.starts_with("${") && !words.contains(&text.to_ascii_lowercase().as_str())
}

/// Whether what a header says may be a credential, by its name.
fn may_be_credential(header: &str) -> bool {
    let header = header.to_ascii_lowercase();
    ["auth", "key", "token", "secret", "password", "cookie", "credential"]
        .iter()
        .any(|part| header.contains(part))
}

/// The variable in which the key of a provider is that has none, as `mynah.toml` has it. A server of one's own needs none.
fn usual_key(kind: &str, addressed: bool) -> Option<String> {
    let known = KNOWN.get(kind).filter(|_| !addressed || kind == "azure")?;
    known.env.first().map(|name| format!("${{{name}}}"))
}

fn path_of_key(path: &str) -> &'static str {
    if path == "general_settings" {
        "master_key"
    } else {
        "api_key"
    }
}

/// A text in which `os.environ/NAME` is `${NAME}`, as `mynah.toml` has it.
pub(super) fn variables(text: &str) -> String {
    match text.strip_prefix("os.environ/") {
        Some(name) => format!("${{{}}}", name.trim()),
        None => text.replace("${", "$${"),
    }
}

/// An address as it is written here, and the version that was in its query.
fn address(base: &str, kind: &str) -> (String, Option<String>) {
    let (base, query) = base.split_once('?').unwrap_or((base, ""));
    let version = query.split('&').find_map(|pair| pair.strip_prefix("api-version="));
    let mut base = base.trim_end_matches('/');
    for call in ["/chat/completions", "/completions", "/embeddings", "/v1/messages"] {
        base = base.strip_suffix(call).unwrap_or(base);
    }
    if kind == "azure"
        && let Some((resource, _)) = base.split_once("/openai/deployments/")
    {
        base = resource;
    }
    (base.to_owned(), version.map(str::to_owned))
}

fn texts(list: &Node) -> Vec<String> {
    list.items().iter().filter_map(Node::text).map(str::to_owned).collect()
}

/// LiteLLM tells the price of a token; rounded, since a binary fraction is not what was written.
fn per_million((input, output): (f64, f64)) -> (f64, f64) {
    let million = |price: f64| (price * 1e12).round() / 1e6;
    (million(input), million(output))
}

/// Seconds as milliseconds.
pub(super) fn milliseconds(seconds: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "within the limits that are set before"
    )]
    let milliseconds = (seconds.clamp(0.001, 86_400.0) * 1000.0) as u64;
    milliseconds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_bases() {
        for (given, kind, base, version) in [
            ("http://box:8000/v1/", "vllm", "http://box:8000/v1", None),
            ("http://box/v1/chat/completions", "openai", "http://box/v1", None),
            (
                "https://r.openai.azure.com/openai/deployments/d/chat/completions?api-version=2024-10-21",
                "azure",
                "https://r.openai.azure.com",
                Some("2024-10-21"),
            ),
        ] {
            assert_eq!(address(given, kind), (base.to_owned(), version.map(str::to_owned)));
        }
    }

    #[test]
    fn credentials_are_known_by_their_headers() {
        for header in ["Authorization", "X-Api-Key", "cookie", "x-auth-token"] {
            assert!(may_be_credential(header), "{header}");
        }
        assert!(!may_be_credential("X-Team"));
        assert!(is_in_clear("sk-1234") && !is_in_clear("${A_KEY}") && !is_in_clear("EMPTY"));
    }

    #[test]
    fn variables_are_written_as_they_are_read_here() {
        assert_eq!(variables("os.environ/A_KEY"), "${A_KEY}");
        assert_eq!(variables("sk-${x}"), "sk-$${x}");
    }
}
