//! The files of the proxy as they are written: `config/providers/*.json` and `config/models/*.json`. What is not named here
//! has no meaning for the proxy either.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::config::problem::Problem;

/// A provider, `config/providers/NAME.json`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ProviderFile {
    pub name: Option<String>,
    pub enabled: Option<bool>,
    pub endpoints: Option<Endpoints>,
    pub authentication: Option<Authentication>,
    pub api_keys: Option<ApiKeys>,
    pub api_key_env_patterns: Option<Texts>,
    pub request_config: Option<RequestConfig>,
    pub rate_limiting: Option<Cooldown>,
    pub models: Option<BTreeMap<String, Value>>,
    pub error_handling: Option<Map<String, Value>>,
    pub proxy_support: Option<ProxySupport>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Endpoints {
    pub base_url: Option<String>,
    pub completions: Option<String>,
    pub compatible_format: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Authentication {
    pub r#type: Option<String>,
    pub header_name: Option<String>,
    pub header_format: Option<String>,
    pub additional_headers: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ApiKeys {
    pub env_var_patterns: Option<Texts>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RequestConfig {
    pub timeout_seconds: Option<f64>,
    pub max_retries: Option<u32>,
    pub default_parameters: Option<Map<String, Value>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Cooldown {
    pub cooldown_seconds: Option<f64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ProxySupport {
    pub enabled: Option<bool>,
    pub base_url_override: Option<String>,
}

/// A model, `config/models/NAME.json`.
#[derive(Debug, Deserialize)]
pub(super) struct ModelFile {
    pub logical_name: Option<String>,
    pub timeout_seconds: Option<f64>,
    pub default_cooldown_seconds: Option<f64>,
    pub model_routings: Vec<RouteFile>,
    pub fallback_model_routings: Option<Vec<String>>,
}

/// One of the places where a model is found.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RouteFile {
    pub id: Option<String>,
    pub wire_protocol: Option<String>,
    pub provider: String,
    pub model: String,
    pub base_url: Option<String>,
    pub api_key_env: Option<Texts>,
    pub timeout_seconds: Option<f64>,
    pub cooldown_seconds: Option<f64>,
}

impl ProviderFile {
    /// Whether it says where the provider is.
    pub(super) fn has_address(&self) -> bool {
        let of_proxy = self
            .proxy_support
            .as_ref()
            .and_then(|proxy| proxy.base_url_override.as_ref());
        let own = self
            .endpoints
            .as_ref()
            .and_then(|endpoints| endpoints.base_url.as_ref());
        own.or(of_proxy).is_some()
    }
}

/// A text, or several.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Texts {
    One(String),
    Several(Vec<String>),
}

impl Texts {
    pub(super) fn all(&self) -> &[String] {
        match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::Several(texts) => texts,
        }
    }
}

/// Files that were read, by the part of their names before `.json`.
#[derive(Debug)]
pub(super) struct Folder<T> {
    pub files: BTreeMap<String, T>,
    /// The folder and its files.
    pub paths: Vec<PathBuf>,
    /// What cannot be read.
    pub problems: Vec<Problem>,
}

/// Reads all files of a folder. One that is not there is empty.
pub(super) fn folder<T: DeserializeOwned>(path: &Path) -> Folder<T> {
    let mut folder = Folder {
        files: BTreeMap::new(),
        paths: vec![path.to_owned()],
        problems: Vec::new(),
    };
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    for path in paths {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        match file(&path) {
            Ok(read) => drop(folder.files.insert(stem, read)),
            Err(problem) => folder.problems.push(problem),
        }
        folder.paths.push(path);
    }
    folder
}

/// Reads one file.
pub(super) fn file<T: DeserializeOwned>(path: &Path) -> Result<T, Problem> {
    let problem = |message: String| Problem {
        place: path.display().to_string(),
        ..Problem::without_place(message)
    };
    let text = std::fs::read(path).map_err(|error| problem(format!("cannot be read: {error}")))?;
    serde_json::from_slice(&text).map_err(|error| problem(error.to_string()))
}
