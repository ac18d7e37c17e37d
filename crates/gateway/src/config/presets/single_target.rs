//! The preset `single-target`: one server, one model, one key for all callers.

use serde_json::json;

use super::{Made, Preset, Sources, always_asked, literal, variable_or};
use crate::config::problem::Problem;

/// The key that callers need when nobody has set another.
const DEFAULT_KEY: &str = "123456";

pub(super) const PRESET: Preset = Preset {
    name: "single-target",
    number: "004",
    summary: "one server of your choice, asked for one model whatever callers name, behind one key",
    make,
    signature,
};

fn make(sources: &Sources<'_>) -> Result<Made, Vec<Problem>> {
    let env = sources.env;
    let mut problems = Vec::new();
    let mut required = |name: &str, example: &str| {
        let value = env.get(name);
        if value.is_none() {
            problems.push(Problem::without_place(format!(
                "preset single-target: the variable {name} is not set; write it into the environment or into .env, such as {name}={example}"
            )));
        }
        value.unwrap_or_default().to_owned()
    };
    // `URL` alone is a name that may well stand for something else.
    let url = env.get("TARGET_URL").map(str::to_owned);
    let url = url.unwrap_or_else(|| required("URL", "http://127.0.0.1:1234/v1/"));
    let model = required("TARGET_MODEL", "gemma1b");
    if !problems.is_empty() {
        return Err(problems);
    }
    let target = literal(&format!("target/{model}"));
    let keys: Vec<&str> = env
        .get("DASHSCOPE_API_KEY")
        .map(|_| "${DASHSCOPE_API_KEY}")
        .into_iter()
        .collect();
    let mut notes = Vec::new();
    if env.get("VERIFY_API_KEY").is_none() {
        notes.push(format!(
            "callers need the key {DEFAULT_KEY}, which everybody knows; set VERIFY_API_KEY"
        ));
    }
    Ok(Made {
        settings: json!({
            "server": { "listen": "0.0.0.0:8000", "detect": false },
            "routing": {
                "configured_only": true,
                "default_models": {
                    "chat": literal(&model), "completions": literal(&model), "embeddings": literal(&model),
                },
            },
            "providers": { "target": always_asked(json!({
                "kind": "openai",
                "base_url": literal(&url),
                "api_keys": keys,
                "models": [literal(&model)],
            }))},
            "models": {
                literal(&model): { "targets": [target] },
                "*": { "targets": [target] },
            },
            "clients": [{ "name": "client", "key": variable_or(env, "VERIFY_API_KEY", DEFAULT_KEY) }],
        }),
        notes,
        ..Made::default()
    })
}

fn signature(sources: &Sources<'_>) -> Option<String> {
    ["VERIFY_API_KEY", "TARGET_MODEL"]
        .into_iter()
        .find(|name| sources.env.get(name).is_some())
        .map(|name| format!("{name} is set"))
}
