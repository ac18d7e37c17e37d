//! The preset `model-proxy`: providers and models in JSON files below `config/`, with keys from the environment.

mod files;
mod models;
mod providers;
mod values;

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use self::files::{Folder, ModelFile, ProviderFile, folder};
use self::models::Models;
use self::providers::Providers;
use super::{Made, Preset, Sources, literal};
use crate::config::env::Env;
use crate::config::problem::Problem;

/// How long a key rests that failed, in seconds.
const COOLDOWN: f64 = 300.0;
/// Where the request log is.
const DATABASE: &str = "sqlite:///./sql_app.db";
/// The hash of no key.
const NOBODY: &str = "0000000000000000000000000000000000000000000000000000000000000000";

pub(super) const PRESET: Preset = Preset {
    name: "model-proxy",
    number: "003",
    summary: "models with fallbacks and key pools out of config/providers/*.json and config/models/*.json, with a request log in SQLite",
    make,
    signature,
};

fn make(sources: &Sources<'_>) -> Result<Made, Vec<Problem>> {
    let env = sources.env;
    let mut notes = Vec::new();
    // What the other proxy calls a failed validation: told at the start, or the end of it.
    let mut failures = Vec::new();
    let directory = sources.directory.join("config");
    let provider_files: Folder<ProviderFile> = folder(&directory.join("providers"));
    let model_files: Folder<ModelFile> = folder(&directory.join("models"));
    let flat = directory.join("models.json");
    let files = [provider_files.paths, model_files.paths, vec![flat.clone()]].concat();
    let mut faults = [provider_files.problems, model_files.problems].concat();

    let mut number = |name: &str, default: f64| number(env, name, default, &mut notes);
    let cooldown = number("KEY_COOLDOWN_SECONDS", COOLDOWN);
    let requests = number("RATE_LIMIT_REQUESTS_PER_MINUTE", 60.0);
    let tokens = number("RATE_LIMIT_TOKENS_PER_MINUTE", 100_000.0);

    let mut providers = Providers::new(env, &provider_files.files, cooldown);
    let mut models = Models::new(&mut providers);
    models.add(&model_files.files);
    models.add_flat(&flat, &mut faults);
    let models = models.into_settings(&mut notes);
    for (name, file) in &provider_files.files {
        if !file.has_address() {
            let message = format!("provider `{name}`: its file has no `endpoints.base_url`");
            failures.push(Problem::without_place(message));
        }
    }
    if provider_files.files.is_empty() {
        failures.push(missing(&directory.join("providers"), "a provider NAME.json"));
    }
    if providers.add_unused() == 0 {
        let message =
            "no provider has a key; set OPENAI_API_KEY, ANTHROPIC_API_KEY, or what your providers' files name";
        failures.push(Problem::without_place(message));
    }
    if models.is_empty() {
        failures.push(missing(&directory.join("models"), "a model NAME.json"));
    }
    notes.append(&mut providers.notes);

    let (store, failure) = store(env, sources.directory);
    failures.extend(failure);
    let client = client(env, (requests, tokens), &mut failures, &mut notes);
    if is_true(env, "FAIL_ON_STARTUP_VALIDATION") && !(faults.is_empty() && failures.is_empty()) {
        return Err([faults, failures].concat());
    }
    if is_true(env, "REQUIRE_CLIENT_API_KEY") && env.get("CLIENT_API_KEY").is_none() {
        return Err(vec![no_client_key()]);
    }
    notes.extend(failures.iter().map(ToString::to_string));
    Ok(Made {
        settings: json!({
            "server": {
                "listen": "127.0.0.1:9876",
                "detect": false,
                "built_in": false,
                "docs": true,
                "cors_origins": origins(env),
                "replies": { "health": "components", "model": "asked", "unknown_model": "invalid" },
            },
            "log": level(env).map(|level| json!({ "level": level })),
            "routing": { "configured_only": true },
            "providers": providers.into_settings(),
            "models": models,
            "clients": [client],
            "store": store,
        }),
        files,
        notes,
        faults,
    })
}

/// The files of the proxy, or the key that its callers need.
fn signature(sources: &Sources<'_>) -> Option<String> {
    let models = sources.directory.join("config").join("models");
    if models.is_dir() {
        return Some("config/models is there".to_owned());
    }
    let key = sources.env.get("CLIENT_API_KEY");
    key.map(|_| "CLIENT_API_KEY is set".to_owned())
}

/// Who may call. Without a key nobody may.
fn client(env: &Env, (requests, tokens): (f64, f64), failures: &mut Vec<Problem>, notes: &mut Vec<String>) -> Value {
    // Written without a fraction: a number of requests.
    let limit = |limit: f64| {
        format!("{:.0}", limit.floor())
            .parse::<u64>()
            .ok()
            .filter(|limit| *limit > 0)
    };
    let mut client = json!({
        "name": "client",
        "requests_per_minute": limit(requests),
        "tokens_per_minute": limit(tokens),
    });
    if env.get("CLIENT_API_KEY").is_some() {
        client["key"] = "${CLIENT_API_KEY}".into();
    } else {
        client["key_sha256"] = NOBODY.into();
        if is_true(env, "REQUIRE_CLIENT_API_KEY") {
            failures.push(no_client_key());
        } else {
            notes.push("CLIENT_API_KEY is not set, so that every request is refused with 401".to_owned());
        }
    }
    client
}

fn no_client_key() -> Problem {
    Problem::without_place(
        "REQUIRE_CLIENT_API_KEY is true, and CLIENT_API_KEY is not set; set it to the key that callers need",
    )
}

/// Where the ledger and the request log are, and whether they can be there.
fn store(env: &Env, directory: &Path) -> (Map<String, Value>, Option<Problem>) {
    let name = ["DATABASE_URL", "SQLALCHEMY_DATABASE_URL"]
        .into_iter()
        .find(|name| env.get(name).is_some());
    let url = name.and_then(|name| env.get(name)).unwrap_or(DATABASE);
    let (scheme, rest) = url.split_once("://").unwrap_or((url, ""));
    match scheme.split('+').next() {
        Some("sqlite") => {
            let file = rest.strip_prefix('/').unwrap_or(rest);
            let file = file.split('?').next().unwrap_or_default();
            let file = if file.is_empty() || file == ":memory:" {
                "sql_app.db"
            } else {
                file
            };
            let store =
                json!({ "url": format!("sqlite://{}", literal(file)), "request_logs": true, "max_content": "1MiB" });
            let parent = directory.join(file);
            let parent = parent.parent().filter(|parent| !parent.is_dir());
            let problem = parent.map(|parent| {
                Problem::without_place(format!(
                    "the directory of the database, {}, is not there",
                    parent.display()
                ))
            });
            (store.as_object().cloned().unwrap_or_default(), problem)
        }
        // It is a variable that holds it, since the default is none.
        Some("postgres" | "postgresql") => {
            let url = format!("${{{}}}", name.unwrap_or_default());
            (Map::from_iter([("url".to_owned(), url.into())]), None)
        }
        _ => {
            let message = "the database must be sqlite:///FILE or postgresql://…; sql_app.db is used";
            let store = json!({ "url": "sqlite://sql_app.db", "request_logs": true, "max_content": "1MiB" });
            (
                store.as_object().cloned().unwrap_or_default(),
                Some(Problem::without_place(message)),
            )
        }
    }
}

/// Origins of web pages that may call, from a list with commas.
fn origins(env: &Env) -> Vec<String> {
    let origins = env.get("CORS_ORIGINS").unwrap_or("*").split(',');
    let origins = origins.map(|origin| literal(origin.trim().trim_end_matches('/')));
    origins.filter(|origin| !origin.is_empty()).collect()
}

/// What is logged, in Python's words for it.
fn level(env: &Env) -> Option<&'static str> {
    Some(match env.get("LOG_LEVEL")?.to_lowercase().as_str() {
        "debug" => "debug",
        "warning" | "warn" => "warn",
        "error" | "critical" => "error",
        _ => "info",
    })
}

/// A number of the environment.
fn number(env: &Env, name: &str, default: f64, notes: &mut Vec<String>) -> f64 {
    let Some(text) = env.get(name) else { return default };
    match text.trim().parse::<f64>() {
        Ok(number) if number.is_finite() => number,
        _ => {
            notes.push(format!("{name} is no number, so that it is {default}"));
            default
        }
    }
}

fn is_true(env: &Env, name: &str) -> bool {
    env.get(name)
        .is_some_and(|value| value.trim().eq_ignore_ascii_case("true"))
}

fn missing(folder: &Path, what: &str) -> Problem {
    Problem::without_place(format!(
        "there is nothing in {}; write {what} there",
        PathBuf::from(folder).display()
    ))
}

#[cfg(test)]
mod tests;
