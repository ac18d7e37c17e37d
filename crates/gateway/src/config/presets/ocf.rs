//! The preset `ocf`: heads of OCF networks and OpenAI-like servers, each model spread over all that serve it.

mod endpoints;

use std::time::Duration;

use serde_json::{Map, Value, json};

use self::endpoints::{Endpoint, Found};
use super::{Made, Preset, Sources, always_asked};
use crate::config::env::Env;
use crate::config::problem::Problem;
use crate::config::units::Span;

/// The port, unless `PORT` says otherwise.
const PORT: u16 = 8000;
/// How long an endpoint may take, unless `TIMEOUT` says otherwise.
const TIMEOUT: Duration = Duration::from_mins(1);
/// For a connection alone.
const CONNECT: Duration = Duration::from_secs(10);
/// Models of a network come and go with its nodes.
const ASKED_EVERY: &str = "5s";

pub(super) const PRESET: Preset = Preset {
    name: "ocf",
    number: "001",
    summary: "OCF networks and OpenAI-like servers of config.py or ENDPOINTS; each model is spread over all that serve it",
    make,
    signature,
};

fn make(sources: &Sources<'_>) -> Result<Made, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut take = |read: Result<Value, String>| {
        let read = read.map_err(|message| problems.push(Problem::without_place(message)));
        read.unwrap_or_default()
    };
    let listen = take(port(sources.env).map(|port| json!(format!("0.0.0.0:{port}"))));
    let timeouts = take(timeouts(sources.env));
    let found = endpoints::find(sources).map_err(|mut more| problems.append(&mut more));
    let Ok(Found {
        endpoints,
        files,
        notes,
    }) = found
    else {
        return Err(problems);
    };
    if !problems.is_empty() {
        return Err(problems);
    }
    // A head puts what names no model to nobody.
    let default = endpoints
        .iter()
        .position(|endpoint| !endpoint.is_ocf)
        .unwrap_or_default();
    let is_only = endpoints.len() == 1;
    let providers = endpoints.iter().enumerate().map(|(index, endpoint)| {
        let provider = provider(endpoint, &timeouts);
        let provider = if is_only { always_asked(provider) } else { provider };
        (name(index), provider)
    });
    let providers: Map<String, Value> = providers.collect();
    Ok(Made {
        settings: json!({
            "server": {
                "listen": listen,
                "allow_anonymous": true,
                "built_in": false,
                "default_provider": name(default),
                "pass_through": true,
            },
            "routing": { "plain_ids": true },
            "providers": providers,
        }),
        files,
        notes,
        ..Made::default()
    })
}

fn name(index: usize) -> String {
    format!("endpoint-{}", index + 1)
}

fn provider(endpoint: &Endpoint, timeouts: &Value) -> Value {
    // What is sent is what the caller wrote.
    let quirks = if endpoint.is_ocf {
        json!({ "stream_usage": false, "omits_done": true, "error_prefix": "ERROR: " })
    } else {
        json!({ "stream_usage": false, "omits_done": true })
    };
    json!({
        "kind": if endpoint.is_ocf { "ocf" } else { "openai" },
        "base_url": endpoint.url,
        "api_key": endpoint.key,
        "prefix": endpoint.prefix,
        "discovery": { "every": ASKED_EVERY },
        "timeouts": timeouts,
        "quirks": quirks,
    })
}

fn port(env: &Env) -> Result<u16, String> {
    let Some(text) = env.get("PORT") else { return Ok(PORT) };
    let wrong = |_| format!("PORT: `{text}` is not a port; write a number such as {PORT}");
    text.trim().parse().map_err(wrong)
}

/// How long to wait for an endpoint: until it begins to answer, and then between two pieces of its answer, so that a long
/// stream is not cut.
fn timeouts(env: &Env) -> Result<Value, String> {
    let timeout = match env.get("TIMEOUT") {
        None => TIMEOUT,
        Some(text) => {
            let seconds = text.trim().parse().ok().filter(|seconds: &f64| *seconds >= 0.001);
            let timeout = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
            timeout.ok_or_else(|| format!("TIMEOUT: `{text}` is not a number of seconds; write one such as 60"))?
        }
    };
    let timeout = Duration::from_millis(u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX));
    let text = |duration: Duration| Span(duration).to_string();
    Ok(json!({
        "connect": text(timeout.min(CONNECT)),
        "first_token": text(timeout),
        "idle": text(timeout),
    }))
}

fn signature(sources: &Sources<'_>) -> Option<String> {
    let variable = ["ENDPOINTS", "TARGET_OPENAI_URL"];
    let set = variable.iter().find(|name| sources.env.get(name).is_some());
    set.map(|name| format!("{name} is set"))
        .or_else(|| endpoints::has_python(sources).then(|| "config.py lists endpoints".to_owned()))
}
