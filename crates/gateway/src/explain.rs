//! What would happen to a request: where it would go, what exactly would be sent, and what would be lost. Nobody is called.

use axum::http::{HeaderMap, HeaderValue, Uri};
use bytes::Bytes;
use indexmap::IndexMap;
use mynah_dialect::Dialect;
use mynah_dialect::codec::Outgoing;
use mynah_dialect::loss::Losses;
use mynah_dialect::tree::Node;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::app::App;
use crate::ask::{Ask, Way, at};
use crate::attempt::fit;
use crate::caller::Caller;
use crate::course::Fit;
use crate::directions::Directions;
use crate::exchange::Exchange;
use crate::failure::Failure;
use crate::holds::Hold;
use crate::needs::Needs;
use crate::operation::Operation;
use crate::outlook::{Outlook, TargetOutlook, TierOutlook, outlook};
use crate::pipeline::{self, Asking};
use crate::provider::Endpoint;
use crate::route::Target;
use crate::upstream::auth::Credential;
use crate::upstream::call_headers::CallHeaders;
use crate::upstream::headers::{to_upstream, translated};

/// What stands in place of a key.
const REDACTED: &str = "[redacted]";

static REDACTED_VALUE: HeaderValue = HeaderValue::from_static(REDACTED);

/// What would happen to a request.
#[derive(Debug, Serialize)]
pub struct Explanation {
    /// The path of the request that is explained.
    path: String,
    /// The name that was asked for.
    model: String,
    /// Whether losses are refused.
    strict: bool,
    /// Who would be asked, in this order, and why somebody would be passed over now.
    tiers: Vec<TierOutlook>,
    /// What would happen at each of them, in the same order.
    targets: Vec<Explained>,
}

/// What would happen at one target.
#[derive(Debug, Serialize)]
struct Explained {
    /// `provider/model`.
    target: String,
    /// `relay`, `translate`, `built-in` or `none`.
    way: &'static str,
    /// The protocol that is spoken there, where the request is translated.
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol: Option<&'static str>,
    /// What would be sent.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    requests: Vec<Sent>,
    /// What would not reach the provider as it was meant.
    losses: Vec<Lost>,
    /// Why this target cannot be asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<String>,
}

/// A request as it would be sent.
#[derive(Debug, Serialize)]
struct Sent {
    method: String,
    url: String,
    headers: IndexMap<String, String>,
    body: Box<RawValue>,
}

#[derive(Debug, Serialize)]
struct Lost {
    field: String,
    reason: &'static str,
}

/// A request that is to be explained.
#[derive(Debug)]
pub struct Hypothetical<'a> {
    /// Its path, and query.
    pub uri: Uri,
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// Its body.
    pub body: Bytes,
}

/// The path that a body is most likely meant for.
pub fn likely_path(body: &[u8], headers: &HeaderMap) -> String {
    let node = Node::parse(body).unwrap_or_default();
    let has = |name: &str| !node.get(name).is_null();
    match () {
        () if has("contents") => {
            let model = node.get("model").text_or_empty();
            format!("/v1beta/models/{model}:generateContent")
        }
        () if has("messages") && pipeline::dialect_of(headers) == Dialect::Anthropic => "/v1/messages".to_owned(),
        () if has("messages") => "/v1/chat/completions".to_owned(),
        () if has("documents") => "/v1/rerank".to_owned(),
        () if has("prompt") => "/v1/completions".to_owned(),
        () => "/v1/responses".to_owned(),
    }
}

/// Explains a request of a caller.
pub async fn explain(app: &App, caller: &Caller, asked: &Hypothetical<'_>) -> Result<Explanation, Failure> {
    let path = asked.uri.path();
    let unknown = || Failure::route_unknown("POST", path);
    let (operation, model) = Operation::at(path).ok_or_else(unknown)?;
    let body = pipeline::read_gist(asked.headers, &asked.body)?;
    let named = model
        .as_deref()
        .or_else(|| body.model().map(|model| model.name.as_ref()));
    let named = named.ok_or_else(Failure::model_missing)?;
    let directions = Directions::of(asked.headers);
    let pinned = directions.provider()?;
    let route = app.catalog.resolve(named, pinned, caller).await?;
    let strict = caller.strict || route.strict || directions.is_strict();
    let query = pipeline::without_key(asked.uri.query().unwrap_or_default());
    let asking = Asking {
        operation,
        model: model.as_deref(),
        strict,
        query: &query,
        headers: asked.headers,
        id: "explained",
        begun: Instant::now(),
        timeout: directions.timeout()?,
        has_tags: directions.has_tags,
    };
    let mut ask = asking.ask(body);
    ask.heed(&route.rules);
    let needs = Needs::of(&route, &ask);
    let now = Instant::now();
    let why = |target: &Target| match (needs.unmet_by(target), app.process.holds.over(target, now)) {
        (Some(unmet), _) => unmet.to_string(),
        (None, Some(hold)) => held(hold, now),
        (None, None) => "the request cannot be put to it".to_owned(),
    };
    let outlook = outlook(&route, needs.conversation, |target| fit(app, target, &needs, &ask), why);
    let tiers = outlook.tiers.iter().zip(&route.tiers);
    let in_order = tiers.flat_map(|(outlook, tier)| {
        let target = |wanted: &TargetOutlook| tier.targets.iter().find(|target| target.name == wanted.target);
        outlook.targets.iter().filter_map(target)
    });
    Ok(Explanation {
        path: path.to_owned(),
        model: route.name.clone(),
        strict,
        targets: in_order.map(|target| at_target(app, target, &ask)).collect(),
        tiers: outlook.tiers,
    })
}

/// Where any request for a model would go now.
pub async fn explain_model(app: &App, caller: &Caller, model: &str) -> Result<Outlook, Failure> {
    let route = app.catalog.resolve(model, None, caller).await?;
    let is_down = |target: &Target| app.process.discovered.is_down(&target.provider.name);
    let now = Instant::now();
    let hold = |target: &Target| app.process.holds.over(target, now);
    let fit = |target: &Target| match () {
        () if hold(target).is_some() => Fit::Unfit,
        () if is_down(target) => Fit::Down,
        () => Fit::Native,
    };
    let why = |target: &Target| hold(target).map_or_else(String::new, |hold| held(hold, now));
    Ok(outlook(&route, None, fit, why))
}

/// Why a target that the operator has taken out of the rotation is passed over.
fn held(hold: Hold, now: Instant) -> String {
    let left = match hold.left(now) {
        Some(left) => format!("for {:.1} s", left.as_secs_f64()),
        None => "until it is enabled again".to_owned(),
    };
    format!("the operator has taken it out of the rotation {left}")
}

fn at_target(app: &App, target: &Target, ask: &Ask<'_>) -> Explained {
    let way = ask.way_to(target);
    let mut explained = Explained {
        target: target.name.clone(),
        way: match way {
            _ if target.provider.is_built_in() => "built-in",
            Some(Way::Relay(_)) => "relay",
            Some(Way::Translate(..)) => "translate",
            None => "none",
        },
        protocol: None,
        requests: Vec::new(),
        losses: Vec::new(),
        refused: None,
    };
    let planned = match way {
        _ if target.provider.is_built_in() => return explained,
        None => Err(Failure::cannot_translate(&target.name, ask.path)),
        Some(Way::Relay(endpoint)) => relayed(app, target, endpoint, ask).map(|sent| explained.requests.push(sent)),
        Some(Way::Translate(endpoint, protocol)) => {
            explained.protocol = Some(protocol.name());
            put(target, ask, protocol).and_then(|(calls, lost)| {
                explained.losses = losses(&lost);
                for call in calls {
                    explained.requests.push(sent(app, target, endpoint, &call, ask)?);
                }
                Ok(())
            })
        }
    };
    explained.refused = planned.err().map(|failure| failure.message.into_owned());
    explained
}

/// The request in another protocol.
fn put(target: &Target, ask: &Ask<'_>, protocol: mynah_dialect::Protocol) -> Result<(Vec<Outgoing>, Losses), Failure> {
    if let Some(conversation) = ask.conversation()? {
        let translation = conversation.put_to(target, protocol)?;
        return Ok((vec![translation.outgoing], translation.lost));
    }
    let question = ask
        .question()
        .ok_or_else(|| Failure::cannot_translate(&target.name, ask.path))?;
    let exchange = Exchange::plan(&question, target, protocol)?;
    Ok((exchange.calls, exchange.lost))
}

fn relayed(app: &App, target: &Target, endpoint: &Endpoint, ask: &Ask<'_>) -> Result<Sent, Failure> {
    let (pieces, _) = ask.body.for_target(target, ask.operation);
    let body = pieces.held().concat();
    let base = target.base(endpoint, &app.process.discovered);
    let path = ask.path_for(target, &base, &hidden(endpoint))?;
    let headers = to_upstream(ask.headers, &app.process.via);
    Ok(Sent {
        method: ask.method.to_string(),
        url: endpoint.base.told(&path),
        headers: shown(target, endpoint, headers),
        body: raw(&body),
    })
}

fn sent(app: &App, target: &Target, endpoint: &Endpoint, call: &Outgoing, ask: &Ask<'_>) -> Result<Sent, Failure> {
    let (path, query) = call.path.split_once('?').unwrap_or((&call.path, ""));
    let base = target.base(endpoint, &app.process.discovered);
    let path = at(target, &base, &hidden(endpoint), path, query)?;
    let headers = translated(ask.headers, &call.headers, &app.process.via);
    Ok(Sent {
        method: "POST".to_owned(),
        url: endpoint.base.told(&path),
        headers: shown(target, endpoint, CallHeaders::from(&headers)),
        body: raw(&call.body),
    })
}

/// A credential like the endpoint's, without its secret.
fn hidden(endpoint: &Endpoint) -> Credential {
    match endpoint.credential(Some(0)) {
        Credential::Query(pair) => {
            let name = pair.split('=').next().unwrap_or_default();
            Credential::Query(format!("{name}=redacted"))
        }
        Credential::Header(name, _) => Credential::Header(name.clone(), HeaderValue::from_static(REDACTED)),
        Credential::None => Credential::None,
    }
}

fn shown(target: &Target, endpoint: &Endpoint, headers: CallHeaders<'_>) -> IndexMap<String, String> {
    let (mut headers, credential) = (headers, hidden(endpoint));
    for (name, _) in &target.provider.headers {
        // What an operator sends with every call may be a secret too.
        headers.insert(name, &REDACTED_VALUE);
    }
    headers.extend_with_version(endpoint);
    credential.extend_headers(&mut headers);
    let readable = |value: &HeaderValue| value.to_str().unwrap_or("…").to_owned();
    let mut shown: IndexMap<String, String> = IndexMap::new();
    for (name, value) in headers.iter() {
        let values = shown.entry(name.to_string()).or_default();
        if !values.is_empty() {
            values.push_str(", ");
        }
        values.push_str(&readable(value));
    }
    shown
}

fn raw(body: &[u8]) -> Box<RawValue> {
    let text = String::from_utf8_lossy(body).into_owned();
    RawValue::from_string(text).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

fn losses(lost: &Losses) -> Vec<Lost> {
    lost.listed()
        .iter()
        .map(|loss| Lost {
            field: loss.field.clone(),
            reason: loss.reason,
        })
        .collect()
}
