//! Asks a provider which models it serves.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use tokio::time::Instant;

use super::auth::Credential;
use super::base::BaseUrl;
use super::call_headers::CallHeaders;
use super::call_path::CallPath;
use super::connect::Origin;
use super::model_list::{each_once, read_page};
use super::pool::Pools;
use super::send::{Call, CallBody, Patience, SendError, send};
use crate::alarm::after;
use crate::discovered::{Listed, Unlisted};
use crate::known::Discovery;
use crate::provider::{Endpoint, Provider};

/// How long a list may take to arrive, all its pages together.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long a server may take that nobody asked for.
const PROBE_TIMEOUT: Duration = Duration::from_millis(500);
/// The largest list that is read, all its pages together, in bytes.
const MAX_LIST: usize = 16 * 1024 * 1024;
/// The most models that are taken from one provider.
const MAX_MODELS: usize = 10_000;
/// The most pages that are asked for.
const MAX_PAGES: usize = 100;

/// Asks a provider for its models, with one of its keys: another one at each `turn`.
pub async fn ask(provider: &Provider, pools: &Pools, turn: u32) -> Result<Vec<Listed>, Unlisted> {
    let patience = if provider.probed { PROBE_TIMEOUT } else { TIMEOUT };
    let listed = tokio::time::timeout(patience, pages(provider, pools, turn)).await;
    let listed = listed.unwrap_or_else(|_| Err(unreachable(format!("no model list within {patience:?}"))));
    listed.map_err(|unlisted| Unlisted {
        // A list elsewhere says nothing about whether the provider can be reached.
        unreachable: unlisted.unreachable && provider.list.base.is_none(),
        ..unlisted
    })
}

async fn pages(provider: &Provider, pools: &Pools, turn: u32) -> Result<Vec<Listed>, Unlisted> {
    let inquiry = Inquiry::new(provider, turn).ok_or_else(|| unlisted("it has no address"))?;
    let mut models = Vec::new();
    let mut room = MAX_LIST;
    let mut next = None;
    for _ in 0..MAX_PAGES {
        let text = inquiry.page(pools, next.as_deref(), room).await?;
        room -= text.len();
        let page = read_page(provider.list.shape, &text, MAX_MODELS - models.len())
            .ok_or_else(|| unlisted("its model list is not what it should be"))?;
        let nothing_new = page.models.is_empty();
        models.extend(page.models);
        next = page.next.filter(|_| !nothing_new && models.len() < MAX_MODELS);
        if next.is_none() {
            break;
        }
    }
    Ok(each_once(models))
}

fn unlisted(message: impl Into<String>) -> Unlisted {
    Unlisted {
        unreachable: false,
        message: message.into(),
    }
}

fn unreachable(message: impl Into<String>) -> Unlisted {
    Unlisted {
        unreachable: true,
        message: message.into(),
    }
}

/// What is asked of a provider for each page.
struct Inquiry<'a> {
    provider: &'a Provider,
    endpoint: &'a Endpoint,
    base: &'a BaseUrl,
    credential: &'a Credential,
}

impl<'a> Inquiry<'a> {
    /// `None` for a provider without an address.
    fn new(provider: &'a Provider, turn: u32) -> Option<Self> {
        let endpoint = provider.native()?;
        let base = provider.list.base.as_ref().unwrap_or(&endpoint.base);
        // The next key after a failure, which may have been the key's.
        let key = (turn as usize).checked_rem(provider.secrets.len());
        let key = key.filter(|_| provider.list.base.is_none());
        Some(Self {
            provider,
            endpoint,
            base,
            credential: endpoint.credential(key),
        })
    }

    /// The text of one page. `next` is what the query needs for any but the first.
    async fn page(&self, pools: &Pools, next: Option<&str>, room: usize) -> Result<Bytes, Unlisted> {
        let path = self
            .path(next)
            .ok_or_else(|| unlisted("the place of its model list is not a path"))?;
        let call = Call {
            method: &Method::GET,
            base: self.base,
            path: &path,
            headers: &self.headers(),
            body: &mut CallBody::nothing(),
        };
        let patience = Patience {
            connect: self.provider.timeouts.connect,
            deadline: after(Instant::now(), TIMEOUT),
            between_bytes: TIMEOUT,
        };
        let pool = pools.of(&Origin {
            scheme: self.base.scheme.clone(),
            authority: self.base.authority.clone(),
            version: self.provider.http_version,
        });
        let response = send(&pool, call, patience).await;
        let response = response.map_err(|error: SendError| unreachable(error.to_string()))?;
        let status = response.status;
        if !status.is_success() {
            return Err(Unlisted {
                unreachable: is_nobody(status),
                message: format!("its model list answers {status}"),
            });
        }
        let body = Limited::new(response.body, room).collect().await;
        Ok(body.map_err(|error| unlisted(error.to_string()))?.to_bytes())
    }

    fn path(&self, next: Option<&str>) -> Option<CallPath> {
        let shape = self.provider.list.shape;
        let mut query = match shape {
            Discovery::Anthropic => "limit=1000".to_owned(),
            Discovery::Gemini => "pageSize=1000".to_owned(),
            _ => String::new(),
        };
        self.credential.extend_query(&mut query);
        if let Some(next) = next {
            query.push_str(if query.is_empty() { "" } else { "&" });
            query.push_str(next);
        }
        match self.provider.list.path.as_deref().or(shape.path()) {
            None => self.base.call("/models", &query).ok(),
            Some(path) => rooted(path, &query),
        }
    }

    fn headers(&self) -> CallHeaders<'_> {
        let mut headers = CallHeaders::default();
        // The operator's headers may be credentials too.
        if self.provider.list.base.is_none() {
            headers.extend(&self.provider.headers);
        }
        headers.extend_with_version(self.endpoint);
        self.credential.extend_headers(&mut headers);
        headers
    }
}

/// Whether a status says that there is nobody behind whoever answers.
fn is_nobody(status: StatusCode) -> bool {
    [
        StatusCode::BAD_GATEWAY,
        StatusCode::SERVICE_UNAVAILABLE,
        StatusCode::GATEWAY_TIMEOUT,
    ]
    .contains(&status)
}

/// A path from the root of the host, with a query of its own or ours.
fn rooted(path: &str, query: &str) -> Option<CallPath> {
    let separator = match (query.is_empty(), path.contains('?')) {
        (true, _) => "",
        (false, true) => "&",
        (false, false) => "?",
    };
    CallPath::new([path, separator, query].concat())
}
