//! Presets: configurations that are made from the environment and the files of another proxy, so that Mynah takes its place
//! without a file of its own.
//!
//! A preset says what it has to say in the words of `mynah.toml`. Nothing else in the gateway knows its name.

mod github_local;
mod model_list;
mod model_proxy;
mod ocf;
mod single_target;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::env::Env;
use super::problem::Problem;

/// The variable with the database of the ledger, for presets that keep none.
const STORE: &str = "MYNAH_STORE";

/// What a preset is made from.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a> {
    /// The environment, with what `.env` adds.
    pub env: &'a Env,
    /// Where the files of the other proxy are.
    pub directory: &'a Path,
}

/// What a preset amounts to.
#[derive(Debug, Default)]
pub struct Made {
    /// The `mynah.toml`, as values. `${NAME}` in a text stands for a variable, as there; members that are null are left out.
    pub settings: Value,
    /// The files that it was made from, or would be if they were there: it is made anew when they change.
    pub files: Vec<PathBuf>,
    /// What is probably not meant.
    pub notes: Vec<String>,
    /// Files that cannot be read. A gateway starts without them, but none of its models is lost for one: a change that brings
    /// such a file is not used.
    pub faults: Vec<Problem>,
}

/// Another proxy whose place Mynah takes.
#[derive(Debug)]
pub struct Preset {
    /// Its name.
    pub name: &'static str,
    /// The number that it can be called by too.
    pub number: &'static str,
    /// What it is, in a line.
    pub summary: &'static str,
    /// Makes the configuration, or says what is missing.
    pub make: fn(&Sources<'_>) -> Result<Made, Vec<Problem>>,
    /// What shows that the other proxy was run here, in words; `None` where nothing does.
    pub signature: fn(&Sources<'_>) -> Option<String>,
}

/// All presets.
pub static PRESETS: [Preset; 5] = [
    github_local::PRESET,
    ocf::PRESET,
    model_list::PRESET,
    model_proxy::PRESET,
    single_target::PRESET,
];

impl Preset {
    /// The preset of a name or number.
    pub fn named(name: &str) -> Option<&'static Self> {
        PRESETS
            .iter()
            .find(|preset| preset.name == name || preset.number == name)
    }
}

impl Made {
    /// Listens elsewhere: at another port, or at another address and port.
    pub fn listen_at(&mut self, listen: &str) {
        let own = self.settings["server"]["listen"].as_str().unwrap_or_default();
        let listen = match (listen.parse::<u16>(), own.rsplit_once(':')) {
            (Ok(port), Some((host, _))) => format!("{host}:{port}"),
            _ => listen.to_owned(),
        };
        self.settings["server"]["listen"] = listen.into();
    }

    /// Listens for this machine alone, if callers need no key.
    pub fn stay_near(&mut self) {
        if self.settings["server"]["allow_anonymous"] == true {
            let own = self.settings["server"]["listen"].as_str().unwrap_or_default();
            let port = own.rsplit_once(':').map_or("8080", |(_, port)| port);
            self.settings["server"]["listen"] = format!("127.0.0.1:{port}").into();
        }
    }

    /// Keeps a ledger, where `MYNAH_STORE` says where and none is kept yet.
    pub fn keep_ledger(&mut self, env: &Env) {
        if env.get(STORE).is_some() && self.settings["store"].is_null() {
            self.settings["store"] = json!({ "url": format!("${{{STORE}}}") });
        }
    }

    /// The text of the `mynah.toml`.
    pub fn text(&self) -> Result<String, Problem> {
        toml::to_string(&without_nulls(&self.settings)).map_err(|error| Problem::without_place(error.to_string()))
    }
}

/// The presets whose proxies were run here, each with what shows it.
pub fn found(sources: &Sources<'_>) -> Vec<(&'static Preset, String)> {
    let found = PRESETS
        .iter()
        .filter_map(|preset| Some((preset, (preset.signature)(sources)?)));
    found.collect()
}

/// A text that holds no variables, whatever it looks like.
pub fn literal(text: &str) -> String {
    text.replace("${", "$${")
}

/// `${NAME}` if the variable is set, else the text.
fn variable_or(env: &Env, name: &str, otherwise: &str) -> String {
    match env.get(name) {
        Some(_) => format!("${{{name}}}"),
        None => otherwise.to_owned(),
    }
}

/// A number of requests that no breaker ever counts.
const NEVER: u32 = 1_000_000_000;

/// The rules of a provider that is asked with every request, as there is nobody to take its place, or nobody as good: its keys do
/// not rest, and no model of it is left alone.
fn always_asked(mut provider: Value) -> Value {
    provider["cooldown"] = "0s".into();
    provider["breaker"] = json!({ "failures": NEVER, "volume": NEVER });
    provider
}

/// TOML has no word for nothing.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(members) => members
            .iter()
            .filter(|(_, member)| !member.is_null())
            .map(|(key, member)| (key.clone(), without_nulls(member)))
            .collect(),
        Value::Array(items) => items.iter().filter(|item| !item.is_null()).map(without_nulls).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load;

    /// Everything that any preset asks for.
    fn env() -> Env {
        Env::from([
            ("GITHUB_TOKEN", "github-secret"),
            ("DASHSCOPE_API_KEY", "target-secret"),
            ("MODEL_LIST_URL", "https://api.example.com/models"),
            ("MODEL_LIST_AUTH_TOKEN", "list-secret"),
            ("URL", "http://127.0.0.1:1234/v1/"),
            ("TARGET_MODEL", "gemma1b"),
            ("VERIFY_API_KEY", "client-secret"),
            ("TARGET_OPENAI_URL", "http://127.0.0.1:1234"),
            ("API_KEY", "endpoint-secret"),
        ])
    }

    #[test]
    fn every_preset_is_a_configuration_without_secrets() {
        let directory = tempfile::tempdir().unwrap();
        let env = env();
        let sources = Sources {
            env: &env,
            directory: directory.path(),
        };
        for preset in &PRESETS {
            let text = (preset.make)(&sources).unwrap().text().unwrap();
            let loaded = load(preset.name, &text, &env, None);
            assert!(loaded.is_ok(), "{}: {:?}\n{text}", preset.name, loaded.err());
            assert!(!text.contains("-secret"), "{text}");
        }
    }

    #[test]
    fn names_and_numbers_are_distinct() {
        for preset in &PRESETS {
            assert!(std::ptr::eq(Preset::named(preset.name).unwrap(), preset));
            assert!(std::ptr::eq(Preset::named(preset.number).unwrap(), preset));
        }
        assert!(Preset::named("other").is_none());
    }

    #[test]
    fn another_address() {
        let made = |listen: &str| {
            let settings = serde_json::json!({ "server": { "listen": "0.0.0.0:8000", "allow_anonymous": true } });
            let mut made = Made {
                settings,
                ..Made::default()
            };
            made.listen_at(listen);
            made
        };
        assert_eq!(made("8010").settings["server"]["listen"], "0.0.0.0:8010");
        assert_eq!(made("[::1]:1").settings["server"]["listen"], "[::1]:1");
        let mut near = made("8010");
        near.stay_near();
        assert_eq!(near.settings["server"]["listen"], "127.0.0.1:8010");
    }

    #[test]
    fn texts_of_other_files_hold_no_variables() {
        let env = Env::from([("HOME", "/root")]);
        let text = format!("[log]\nlevel = \"{}\"", literal("${HOME}"));
        let document = crate::config::document::Document::parse("f", &text, &env).unwrap();
        assert_eq!(document.root["log"]["level"], "${HOME}");
    }
}
