//! The known providers: the rows of `catalog/providers.toml`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use mynah_dialect::Dialect;
use mynah_dialect::quirks::Quirks;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::file::{Api, Auth};

/// What is known about a provider. The fields are explained at the top of `catalog/providers.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Known {
    /// What people see.
    pub title: String,
    /// With the version segment; `None` where each customer has an address of their own.
    pub base_url: Option<String>,
    /// What is spoken at `base_url`.
    #[serde(default = "openai")]
    pub dialect: Dialect,
    /// How a key is sent.
    #[serde(default = "bearer")]
    pub auth: Auth,
    /// Variables that may hold the key.
    #[serde(default)]
    pub env: Vec<String>,
    /// Variables that replace `base_url`.
    #[serde(default)]
    pub base_url_env: Vec<String>,
    /// Where a provider of another dialect also speaks OpenAI's.
    pub openai_base_url: Option<String>,
    /// Where a provider of another dialect also speaks Anthropic's.
    pub anthropic_base_url: Option<String>,
    /// The version segment for base URLs that have none.
    pub version: Option<String>,
    /// The shape of the model list.
    pub discovery: Option<Discovery>,
    /// Where the model list is, if not at `base_url` + `/models`.
    pub models_url: Option<String>,
    /// Runs on the user's machine and needs no key.
    #[serde(default)]
    pub local: bool,
    /// Sent with every call.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// How the URL of a call is made.
    #[serde(default)]
    pub path_style: PathStyle,
    /// Which of OpenAI's two APIs for conversations it serves, the preferred one first; `None` where that is not known.
    pub apis: Option<Vec<Api>>,
    /// Known deviations.
    #[serde(default)]
    pub quirks: Quirks,
}

/// The shape of a list of models.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Discovery {
    /// `{"data":[{"id":…}]}`, or that array alone.
    OpenAi,
    /// The same with pages.
    Anthropic,
    /// `{"models":[{"name":"models/…"}]}` with pages.
    Gemini,
    /// `{"models":[{"name":…}]}` with pages.
    Cohere,
    /// `{"models":[{"model":…}]}`, at `/api/tags`.
    Ollama,
    /// The node table of an OCF head, at `/v1/dnt/table`.
    Ocf,
    /// `{"models":[{"model_version":…,"handle":…}]}`, or that array alone.
    #[serde(rename = "model-list")]
    ModelList,
    /// There is none.
    None,
}

/// How the URL of a call is made from the base URL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum PathStyle {
    /// The base URL and the operation.
    #[default]
    #[serde(rename = "plain")]
    Plain,
    /// Azure OpenAI: the model is the name of a deployment in the path.
    #[serde(rename = "azure-deployments")]
    AzureDeployments,
    /// OCF: the name of a service is in the path.
    #[serde(rename = "ocf-services")]
    OcfServices,
}

fn openai() -> Dialect {
    Dialect::OpenAi
}

fn bearer() -> Auth {
    Auth::Bearer
}

impl Discovery {
    /// Where a list of this shape is, from the root of the host; `None` for `/models` below the base URL.
    pub fn path(self) -> Option<&'static str> {
        match self {
            Self::Ollama => Some("/api/tags"),
            Self::Ocf => Some("/v1/dnt/table"),
            _ => None,
        }
    }
}

impl Known {
    /// The shape of the model list.
    pub fn discovery(&self) -> Discovery {
        self.discovery.unwrap_or(match self.dialect {
            Dialect::OpenAi => Discovery::OpenAi,
            Dialect::Anthropic => Discovery::Anthropic,
            Dialect::Gemini => Discovery::Gemini,
            Dialect::Cohere => Discovery::Cohere,
        })
    }

    /// The version segment for base URLs that have none; empty for none.
    pub fn version(&self) -> &str {
        self.version.as_deref().unwrap_or(self.dialect.version_segment())
    }
}

/// The catalog's rows by name. The text is part of the binary and a test reads it, so that it always parses.
pub static KNOWN: LazyLock<BTreeMap<String, Known>> =
    LazyLock::new(|| toml::from_str(include_str!("catalog/providers.toml")).unwrap_or_default());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalog_parses_and_holds_what_the_readme_promises() {
        let rows: BTreeMap<String, Known> = toml::from_str(include_str!("catalog/providers.toml")).unwrap();
        for name in [
            "openai",
            "azure",
            "anthropic",
            "gemini",
            "cohere",
            "github",
            "mistral",
            "groq",
            "deepseek",
            "together",
            "fireworks",
            "openrouter",
            "xai",
            "perplexity",
            "cerebras",
            "nvidia",
            "sambanova",
            "huggingface",
            "dashscope",
            "moonshot",
            "zhipu",
            "minimax",
            "novita",
            "hyperbolic",
            "deepinfra",
            "ideogram",
            "recraft",
            "jina",
            "voyage",
            "ollama",
            "lmstudio",
            "vllm",
            "sglang",
            "llamacpp",
            "litellm",
            "ocf",
        ] {
            assert!(rows.contains_key(name), "{name}");
        }
    }

    #[test]
    fn no_variable_names_two_providers() {
        let mut names: Vec<&String> = KNOWN
            .values()
            .flat_map(|row| row.env.iter().chain(&row.base_url_env))
            .collect();
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
