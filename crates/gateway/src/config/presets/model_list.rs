//! The preset `model-list`: one host with many makers' models, a list of them at a URL, and each at a path of its own there,
//! its handle. One token for the list and all calls.

use serde_json::json;

use super::{Made, Preset, Sources, always_asked, literal};
use crate::config::problem::Problem;

pub(super) const PRESET: Preset = Preset {
    name: "model-list",
    number: "002",
    summary: "models, handles and prices from MODEL_LIST_URL, asked for in OpenAI's dialect",
    make,
    signature,
};

/// Where the list is when nobody says otherwise.
const DEFAULT_URL: &str = "https://api.eliza.yandex.net/models";

/// Families of models that paint. They can be asked for and are not listed.
const PAINTERS: [&str; 3] = ["dall-e-3", "recraft", "ideogram"];

fn make(sources: &Sources<'_>) -> Result<Made, Vec<Problem>> {
    let url = sources.env.get("MODEL_LIST_URL").unwrap_or(DEFAULT_URL).trim();
    let (host, path) = parts(url).ok_or_else(|| wrong(url))?;
    let token = sources.env.get("MODEL_LIST_AUTH_TOKEN");
    Ok(Made {
        settings: json!({
            "server": {
                "listen": "0.0.0.0:8000",
                "allow_anonymous": true,
                "detect": false,
                // What is on the list, and nothing else.
                "built_in": false,
                "docs": true,
                "cors_models": true,
                "replies": { "health": "status" },
            },
            "routing": { "default_models": { "images": "dall-e-3" } },
            "log": { "level": level(sources.env.get("LOG_LEVEL")), "requests": true },
            "providers": {
                "model-list": always_asked(json!({
                    "base_url": literal(host),
                    "api_key": token.map(|_| "${MODEL_LIST_AUTH_TOKEN}"),
                    "timeouts": { "first_token": "180s" },
                    "discovery": { "url": literal(&path), "hide": PAINTERS },
                })),
            },
        }),
        ..Made::default()
    })
}

fn signature(sources: &Sources<'_>) -> Option<String> {
    let url = sources.env.get("MODEL_LIST_URL");
    url.map(|_| "MODEL_LIST_URL is set".to_owned())
}

/// The scheme and host of a URL, and its path with the query.
fn parts(url: &str) -> Option<(&str, String)> {
    let (scheme, rest) = url.split_once("://")?;
    if !matches!(scheme.to_ascii_lowercase().as_str(), "http" | "https") {
        return None;
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    if end == 0 {
        return None;
    }
    let (host, path) = url.split_at(scheme.len() + 3 + end);
    let path = path.split('#').next().unwrap_or_default();
    let slash = if path.starts_with('/') { "" } else { "/" };
    Some((host, [slash, path].concat()))
}

fn wrong(url: &str) -> Vec<Problem> {
    let message = format!(
        "preset model-list: the variable MODEL_LIST_URL is `{url}`, which is no URL; write one such as https://api.example.com/models"
    );
    vec![Problem::without_place(message)]
}

/// The levels of Python's logging, in any case; what is none of them is taken for INFO.
fn level(asked: Option<&str>) -> &'static str {
    match asked.unwrap_or_default().trim().to_ascii_uppercase().as_str() {
        "DEBUG" => "debug",
        "WARNING" | "WARN" => "warn",
        "ERROR" | "CRITICAL" | "FATAL" => "error",
        "NONE" => "off",
        _ => "info",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_a_host_and_the_place_of_the_list() {
        for (url, expected) in [
            (DEFAULT_URL, Some(("https://api.eliza.yandex.net", "/models"))),
            ("http://127.0.0.1:9/a/b?c=d#e", Some(("http://127.0.0.1:9", "/a/b?c=d"))),
            ("HTTPS://h", Some(("HTTPS://h", "/"))),
            ("https://h?all=1", Some(("https://h", "/?all=1"))),
            ("api.example.com/models", None),
            ("ftp://h/models", None),
            ("https:///models", None),
        ] {
            let found = parts(url);
            assert_eq!(
                found.as_ref().map(|(host, path)| (*host, path.as_str())),
                expected,
                "{url}"
            );
        }
    }

    #[test]
    fn levels_are_those_of_python_in_any_case() {
        for (asked, expected) in [
            (None, "info"),
            (Some("DEBUG"), "debug"),
            (Some("Warning"), "warn"),
            (Some("critical"), "error"),
            (Some("none"), "off"),
            (Some("LOUD"), "info"),
        ] {
            assert_eq!(level(asked), expected, "{asked:?}");
        }
    }
}
