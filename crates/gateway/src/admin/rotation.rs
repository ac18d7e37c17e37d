//! Takes providers, models and keys out of the rotation, and puts them back.

use axum::response::Response;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::call::Call;
use super::providers::unknown;
use crate::app::App;
use crate::config::secret::Secret;
use crate::config::units::Span;
use crate::failure::Failure;
use crate::holds::Hold;
use crate::http::health::whole_seconds;
use crate::http::routes::json_reply;
use crate::provider::Provider;

/// What is meant: a provider, or one of its models, or one of its keys.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Subject {
    /// The provider's name.
    provider: String,
    /// A model, as the provider calls it.
    #[serde(default)]
    model: Option<String>,
    /// A key, by the first 8 hexadecimal digits of its SHA-256.
    #[serde(default)]
    key: Option<String>,
}

/// What is meant, and for how long.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rest {
    /// The provider's name.
    provider: String,
    /// A model, as the provider calls it.
    #[serde(default)]
    model: Option<String>,
    /// A key, by the first 8 hexadecimal digits of its SHA-256.
    #[serde(default)]
    key: Option<String>,
    /// For how long.
    r#for: Span,
}

/// How it stands now.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Standing {
    /// `provider`, `provider/model`, or `provider key 0a1b2c3d`.
    name: String,
    /// Whether it is out of the rotation.
    held: bool,
    /// For how much longer, in seconds; `null` until it is enabled again.
    seconds: Option<u64>,
}

/// What the operator has taken out of the rotation.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Rotation {
    /// Providers and models, by name; then keys.
    held: Vec<Standing>,
}

/// `GET /api/rotation`.
pub fn list(call: &Call) -> Result<Response, Failure> {
    let now = Instant::now();
    let holds = call.app.process.holds.all(now).into_iter();
    let holds = holds.map(|(name, hold)| Standing::new(name, Some(hold), now));
    let providers = call.app.catalog.providers().iter();
    let keys = providers.flat_map(|provider| {
        let held = provider.keys.holds(now).into_iter();
        held.filter_map(|(index, hold)| {
            let secret = provider.secrets.get(index)?;
            let name = name_of_key(provider, secret.fingerprint_number());
            Some(Standing::new(name, Some(hold), now))
        })
    });
    let held = holds.chain(keys).collect();
    Ok(json_reply(&Rotation { held }))
}

/// `POST /api/rotation/rest`.
pub fn rest(call: &Call) -> Result<Response, Failure> {
    let rest: Rest = call.json()?;
    let now = Instant::now();
    let until = now.checked_add(rest.r#for.0).filter(|until| *until > now);
    let until = until.ok_or_else(|| Failure::field_refused("for".to_owned(), "This is not a time to rest."))?;
    let subject = Subject {
        provider: rest.provider,
        model: rest.model,
        key: rest.key,
    };
    change(&call.app, &subject, Some(Hold { until: Some(until) }), now)
}

/// `POST /api/rotation/drain`.
pub fn drain(call: &Call) -> Result<Response, Failure> {
    change(&call.app, &call.json()?, Some(Hold { until: None }), Instant::now())
}

/// `POST /api/rotation/enable`.
pub fn enable(call: &Call) -> Result<Response, Failure> {
    change(&call.app, &call.json()?, None, Instant::now())
}

fn change(app: &App, subject: &Subject, hold: Option<Hold>, now: Instant) -> Result<Response, Failure> {
    let providers = app.catalog.providers();
    let provider = providers.iter().find(|provider| provider.name == subject.provider);
    let provider = provider.ok_or_else(|| unknown(app, &subject.provider))?;
    let name = match (&subject.model, &subject.key) {
        (Some(_), Some(_)) => {
            let message = "Name a model or a key: a key cannot be held for one model alone.";
            return Err(Failure::field_refused("key".to_owned(), message));
        }
        (None, Some(key)) => return change_key(provider, key, hold, now),
        (Some(model), None) => format!("{}/{model}", provider.name),
        (None, None) => provider.name.clone(),
    };
    match hold {
        Some(hold) if !app.process.holds.hold(&name, hold, now) => {
            return Err(Failure::conflict("As much is held already as can be held at a time."));
        }
        Some(_) => {
            if subject.model.is_some() {
                // So that it is listed, also if nobody has asked for it.
                app.process.conditions.of_target(&name, provider.breaker);
            }
        }
        None => {
            app.process.holds.lift(&name, now);
        }
    }
    Ok(told(name, hold, now))
}

fn change_key(provider: &Provider, key: &str, hold: Option<Hold>, now: Instant) -> Result<Response, Failure> {
    let fingerprints = provider.secrets.iter().map(Secret::fingerprint_number).enumerate();
    let mut meant = fingerprints.filter(|(_, one)| format!("{one:08x}").eq_ignore_ascii_case(key));
    match meant.next() {
        Some((index, fingerprint)) if provider.keys.hold(index, hold) => {
            Ok(told(name_of_key(provider, fingerprint), hold, now))
        }
        _ => Err(Failure::not_found(format!(
            "The provider `{}` has no key `{key}`. GET /api/providers/{0} lists its keys.",
            provider.name
        ))),
    }
}

fn name_of_key(provider: &Provider, fingerprint: u32) -> String {
    format!("{} key {fingerprint:08x}", provider.name)
}

fn told(name: String, hold: Option<Hold>, now: Instant) -> Response {
    let standing = Standing::new(name, hold, now);
    tracing::warn!(
        name = standing.name,
        held = standing.held,
        seconds = standing.seconds,
        "the operator has changed the rotation"
    );
    json_reply(&standing)
}

impl Standing {
    fn new(name: String, hold: Option<Hold>, now: Instant) -> Self {
        let left = hold.and_then(|hold| hold.left(now));
        Self {
            name,
            held: hold.is_some(),
            seconds: left.map(whole_seconds),
        }
    }
}
