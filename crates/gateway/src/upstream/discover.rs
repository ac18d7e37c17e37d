//! Asks providers which models they serve.

use std::sync::Arc;
use std::time::Duration;

use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, HeaderValue, Method};
use http_body_util::{BodyExt as _, Limited};
use mynah_dialect::Dialect;
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::pool::Pools;
use super::send::{Call, Outgoing, Patience, send};
use crate::alarm::after;
use crate::discovered::{Discovered, Listed};
use crate::known::Discovery;
use crate::provider::Provider;

/// How long a list may take to arrive.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long a server may take that nobody asked for.
const PROBE_TIMEOUT: Duration = Duration::from_millis(500);
/// The largest list that is read.
const MAX_LIST: usize = 16 * 1024 * 1024;

/// Asks every provider that has a list, all at the same time, and notes what each says. Returns what went wrong, by
/// provider.
pub async fn discover(
    providers: &[Arc<Provider>],
    pools: &Arc<Pools>,
    discovered: &Arc<Discovered>,
) -> Vec<(Arc<Provider>, String)> {
    let mut asked = JoinSet::new();
    for provider in providers.iter().filter(|provider| provider.models.is_none()) {
        if provider.discovery == Discovery::None {
            continue;
        }
        let (provider, pools, discovered) = (provider.clone(), pools.clone(), discovered.clone());
        asked.spawn(async move {
            let patience = if provider.probed { PROBE_TIMEOUT } else { TIMEOUT };
            let listed = tokio::time::timeout(patience, ask(&provider, &pools)).await;
            let listed = listed.unwrap_or_else(|_| Err(format!("no model list within {patience:?}")));
            match listed {
                Ok(models) => {
                    discovered.note(&provider.name, &models);
                    None
                }
                Err(message) => Some((provider, message)),
            }
        });
    }
    asked.join_all().await.into_iter().flatten().collect()
}

async fn ask(provider: &Provider, pools: &Pools) -> Result<Vec<Listed>, String> {
    let endpoint = provider.endpoints.first().ok_or("it has no address")?;
    let mut query = match provider.discovery {
        Discovery::Anthropic => "limit=1000".to_owned(),
        Discovery::Gemini => "pageSize=1000".to_owned(),
        _ => String::new(),
    };
    let credential = endpoint.credential((!provider.secrets.is_empty()).then_some(0));
    credential.extend_query(&mut query);
    let path = match &provider.models_url {
        None => endpoint
            .base
            .call("/models", &query)
            .map_err(|error| error.to_string())?,
        Some(path) => rooted(path, &query).ok_or("the place of its model list is not a path")?,
    };
    let call = || {
        let mut headers = provider.headers.iter().cloned().collect::<HeaderMap>();
        if endpoint.dialect == Dialect::Anthropic {
            headers.insert("anthropic-version", HeaderValue::from_static("2023-06-01"));
        }
        credential.extend_headers(&mut headers);
        let body = Outgoing::held(Vec::new());
        Some(Call {
            method: Method::GET,
            base: &endpoint.base,
            path: path.clone(),
            headers,
            body,
        })
    };
    let pool = endpoint.pool(pools, provider.http_version);
    let patience = Patience {
        connect: provider.timeouts.connect,
        deadline: after(Instant::now(), TIMEOUT),
        between_bytes: TIMEOUT,
    };
    let response = send(pool, call, patience).await.map_err(|error| error.to_string())?;
    let status = response.status();
    if !status.is_success() {
        return Err(format!("its model list answers {status}"));
    }
    let body = Limited::new(response.into_body(), MAX_LIST)
        .collect()
        .await
        .map_err(|error| error.to_string())?;
    read_list(provider.discovery, &body.to_bytes()).ok_or_else(|| "its model list is not what it should be".to_owned())
}

/// A path from the root of the host, with a query of its own or ours.
fn rooted(path: &str, query: &str) -> Option<PathAndQuery> {
    let separator = match (query.is_empty(), path.contains('?')) {
        (true, _) => "",
        (false, true) => "&",
        (false, false) => "?",
    };
    [path, separator, query].concat().parse().ok()
}

/// Reads a model list; `None` when the text is something else. Entries that make no sense are passed over.
pub fn read_list(shape: Discovery, text: &[u8]) -> Option<Vec<Listed>> {
    let list: Value = serde_json::from_slice(text).ok()?;
    if shape == Discovery::Ocf {
        return ocf_table(&list);
    }
    let entries = list
        .as_array()
        .or_else(|| list["data"].as_array())
        .or_else(|| list["models"].as_array())?;
    let listed = |entry: &Value| {
        let name = ["id", "model", "name"].iter().find_map(|key| entry[key].as_str())?;
        let id = if shape == Discovery::Gemini {
            name.strip_prefix("models/").unwrap_or(name)
        } else {
            name
        };
        let created = entry["created"].as_u64().unwrap_or(0);
        (!id.is_empty()).then(|| Listed {
            id: id.to_owned(),
            created,
        })
    };
    Some(entries.iter().filter_map(listed).collect())
}

/// The node table of an OCF head: nodes by peer id, each with services whose identity groups name models. Nodes that
/// say that they are not connected are left out.
fn ocf_table(table: &Value) -> Option<Vec<Listed>> {
    let mut ids: Vec<&str> = Vec::new();
    for node in table.as_object()?.values().filter(|node| node["connected"] != false) {
        for service in node["service"].as_array().into_iter().flatten() {
            for identity in service["identity_group"].as_array().into_iter().flatten() {
                let model = identity.as_str().and_then(|identity| identity.strip_prefix("model="));
                ids.extend(model.filter(|model| !model.is_empty() && *model != "*"));
            }
        }
    }
    ids.sort_unstable();
    ids.dedup();
    Some(
        ids.into_iter()
            .map(|id| Listed {
                id: id.to_owned(),
                created: 0,
            })
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(shape: Discovery, text: &str) -> Option<String> {
        let list = read_list(shape, text.as_bytes())?;
        Some(
            list.iter()
                .map(|listed| listed.id.as_str())
                .collect::<Vec<_>>()
                .join(" "),
        )
    }

    #[test]
    fn every_shape_of_list_is_read() {
        for (shape, text, expected) in [
            (
                Discovery::OpenAi,
                r#"{"object":"list","data":[{"id":"a","created":7},{"id":"org/b"},{"x":1}]}"#,
                "a org/b",
            ),
            (Discovery::OpenAi, r#"[{"id":"a"}]"#, "a"),
            (
                Discovery::Anthropic,
                r#"{"data":[{"type":"model","id":"claude"}],"has_more":false}"#,
                "claude",
            ),
            (Discovery::Gemini, r#"{"models":[{"name":"models/gemini"}]}"#, "gemini"),
            (Discovery::Cohere, r#"{"models":[{"name":"command"}]}"#, "command"),
            (
                Discovery::Ollama,
                r#"{"models":[{"name":"l:8b","model":"l:8b"}]}"#,
                "l:8b",
            ),
            (
                Discovery::Ocf,
                r#"{"/A":{"connected":true,"service":[{"name":"llm","identity_group":["model=org/m=1","model=*","all"]}]},
                    "/B":{"connected":false,"service":[{"identity_group":["model=gone"]}]},
                    "/C":{"service":null},"/D":{"service":[{"identity_group":null},{"identity_group":["model=org/m=1"]}]}}"#,
                "org/m=1",
            ),
        ] {
            assert_eq!(ids(shape, text).as_deref(), Some(expected), "{shape:?}");
        }
    }

    #[test]
    fn something_else_is_no_list() {
        for text in ["", "<html>", "{}", "7", r#"{"data":{}}"#] {
            assert_eq!(ids(Discovery::OpenAi, text), None, "{text}");
        }
    }
}
