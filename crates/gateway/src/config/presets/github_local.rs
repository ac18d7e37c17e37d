//! The preset `github-local`: GitHub's models first, and a local LM Studio when they fail.

use serde_json::json;

use super::{Made, Preset, Sources, always_asked, literal};
use crate::config::problem::Problem;
use crate::known::KNOWN;

/// What GitHub is asked for, whatever callers name.
const REMOTE: &str = "openai/gpt-4.1-nano";
/// What LM Studio is asked for when callers name nothing.
const LOCAL_CHAT: &str = "qwen/qwen3-vl-4b";
const LOCAL_EMBEDDINGS: &str = "text-embedding-jina-embeddings-v2-base-de";

pub(super) const PRESET: Preset = Preset {
    name: "github-local",
    number: "000",
    summary: "GitHub Models first, LM Studio on this machine when they fail; bare texts and vectors as replies",
    make,
    signature,
};

fn make(sources: &Sources<'_>) -> Result<Made, Vec<Problem>> {
    let env = sources.env;
    if env.get("GITHUB_TOKEN").is_none() {
        let message = "preset github-local: the variable GITHUB_TOKEN is not set; write a token for GitHub Models into the environment or into .env";
        return Err(vec![Problem::without_place(message)]);
    }
    let url = |names: [&str; 2]| names.into_iter().find_map(|name| env.get(name)).map(literal);
    let remote = url(["GITHUB_MODELS_URL", "GITHUB_BASE_URL"]);
    let local = url(["LM_STUDIO_URL", "LMSTUDIO_BASE_URL"]);
    let is_plain = env.get("RESPONSE_FORMAT") == Some("openai");
    let replies = (!is_plain).then(|| json!({ "chat": "text", "embeddings": "vector" }));
    Ok(Made {
        settings: json!({
            "server": {
                "listen": "0.0.0.0:8001",
                "allow_anonymous": true,
                "detect": false,
                "replies": replies,
            },
            "routing": {
                "configured_only": true,
                // Who fails is asked again only where nobody else is left, and there is not much to wait for.
                "retries": 1,
                "default_models": { "chat": LOCAL_CHAT, "embeddings": LOCAL_EMBEDDINGS },
            },
            "providers": {
                "github": always_asked(json!({
                    "base_url": remote,
                    "api_key": "${GITHUB_TOKEN}",
                    "models": [REMOTE],
                    // Whoever has no network is not to wait for long.
                    "timeouts": { "connect": "5s" },
                })),
                "lmstudio": always_asked(json!({ "base_url": local, "api_key": "lm-studio" })),
            },
            "models": { "*": {
                "targets": [
                    { "target": format!("github/{REMOTE}"), "routes": ["chat"] },
                    "lmstudio/*",
                ],
                "hand_over": "any",
            }},
        }),
        ..Made::default()
    })
}

/// A token for GitHub is set in many places for other reasons: it says something only where no other provider has a key.
fn signature(sources: &Sources<'_>) -> Option<String> {
    let env = sources.env;
    let is_set = |name: &String| name != "GITHUB_TOKEN" && !env.numbered(name).is_empty();
    let others = KNOWN.iter().any(|(_, known)| known.env.iter().any(is_set));
    let automatic = ["CI", "GITHUB_ACTIONS"].iter().any(|name| env.get(name).is_some());
    (env.get("GITHUB_TOKEN").is_some() && !others && !automatic).then(|| "GITHUB_TOKEN is set".to_owned())
}
