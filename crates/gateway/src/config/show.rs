//! The effective configuration as TOML, with the origin of every value and without secrets.

use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::document::{Document, join};
use super::effective::Effective;
use super::secret::Secret;
use super::store::is_postgres;

/// Renders what takes effect. Every value is followed by a comment that says where it comes from.
pub fn show(effective: &Effective, document: &Document) -> String {
    let root = serde_json::to_value(&effective.file).unwrap_or_default();
    let mut show = Show {
        effective,
        document,
        out: String::new(),
    };
    show.table("", &root);
    show.out
}

/// A setting as it takes effect.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub struct Setting {
    /// Where it stands, such as `providers.openai.base_url`.
    pub path: String,
    /// Its value; in place of a secret, a fingerprint.
    pub value: Value,
    /// Where the value comes from.
    pub origin: String,
}

/// The same as a list.
pub fn settings(effective: &Effective, document: &Document) -> Vec<Setting> {
    let root = serde_json::to_value(&effective.file).unwrap_or_default();
    let show = Show {
        effective,
        document,
        out: String::new(),
    };
    let mut settings = Vec::new();
    show.list("", &root, &mut settings);
    settings
}

struct Show<'a> {
    effective: &'a Effective,
    document: &'a Document,
    out: String,
}

impl Show<'_> {
    /// Plain values first, then tables, as TOML demands.
    fn table(&mut self, path: &str, value: &Value) {
        let Some(members) = value.as_object() else { return };
        let (tables, values): (Vec<_>, Vec<_>) = members.iter().partition(|(_, value)| is_table(value));
        for (key, value) in values {
            let path = join(path, key);
            let line = format!("{} = {}", quoted(key), inline(&self.shown(&path, value)));
            let origin = self.origin(&path, value);
            let _ = writeln!(self.out, "{line:<60} # {origin}");
        }
        for (key, value) in tables {
            let path = join(path, key);
            if let Some(items) = value.as_array() {
                for (index, item) in items.iter().enumerate() {
                    let _ = writeln!(self.out, "\n[[{}]]", header(&path));
                    self.table(&join(&path, &index.to_string()), item);
                }
            } else if !value.as_object().is_some_and(serde_json::Map::is_empty) {
                let origin = self
                    .effective
                    .origins
                    .get(&path)
                    .map(|origin| format!("  # {origin}"))
                    .unwrap_or_default();
                let _ = writeln!(self.out, "\n[{}]{origin}", header(&path));
                self.table(&path, value);
            }
        }
    }

    fn list(&self, path: &str, value: &Value, settings: &mut Vec<Setting>) {
        let members: Vec<(String, &Value)> = match value {
            Value::Object(members) => members.iter().map(|(key, value)| (join(path, key), value)).collect(),
            Value::Array(items) if is_table(value) => {
                let items = items.iter().enumerate();
                items
                    .map(|(index, item)| (join(path, &index.to_string()), item))
                    .collect()
            }
            _ => {
                let (value, origin) = (self.shown(path, value), self.origin(path, value));
                let path = path.to_owned();
                return settings.push(Setting { path, value, origin });
            }
        };
        for (path, value) in members {
            self.list(&path, value, settings);
        }
    }

    /// A value; one of a header that the operator set may be a credential.
    fn shown(&self, path: &str, value: &Value) -> Value {
        match value.as_str() {
            Some(text) if path.contains(".headers.") && self.document.contains(path) => {
                Value::from(Secret::new(text).fingerprint())
            }
            // It may hold a password.
            Some(url) if path == "store.url" && is_postgres(url) => Value::from(Secret::new(url).fingerprint()),
            _ => value.clone(),
        }
    }

    fn origin(&self, path: &str, value: &Value) -> String {
        if let Some(origin) = self.nearest_origin(path) {
            return origin.clone();
        }
        if let Some(items) = value.as_array().filter(|items| !items.is_empty()) {
            let mut origins: Vec<String> = (0..items.len())
                .map(|index| self.origin(&join(path, &index.to_string()), &Value::Null))
                .collect();
            origins.dedup();
            return origins.join(", ");
        }
        // `api_key` is shown among `api_keys`.
        let written = path.replace(".api_keys.0", ".api_key");
        let path = if self.document.contains(path) {
            path
        } else {
            written.as_str()
        };
        match self.document.place(path).filter(|_| self.document.contains(path)) {
            Some(place) => match self.document.variables(path) {
                [] => place,
                names => format!("{place}, environment: {}", names.join(", ")),
            },
            None => "default".to_owned(),
        }
    }

    /// The origin noted for a path or for what holds it, down to single settings of a provider. Why there is a provider
    /// at all says nothing about its settings.
    fn nearest_origin(&self, path: &str) -> Option<&String> {
        let is_provider = |path: &str| {
            path.strip_prefix("providers.")
                .is_some_and(|name| self.effective.rows.contains_key(name))
        };
        let mut path = path;
        while path.contains('.') && !is_provider(path) {
            if let Some(origin) = self.effective.origins.get(path) {
                return Some(origin);
            }
            path = &path[..path.rfind('.')?];
        }
        None
    }
}

fn is_table(value: &Value) -> bool {
    match value {
        Value::Object(_) => true,
        Value::Array(items) => !items.is_empty() && items.iter().all(Value::is_object),
        _ => false,
    }
}

/// A value on one line.
fn inline(value: &Value) -> String {
    match value {
        Value::String(text) => toml::Value::from(text.replace("${", "$${")).to_string(),
        Value::Array(items) => format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

fn quoted(key: &str) -> String {
    let bare = !key.is_empty()
        && key
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-'));
    if bare {
        key.to_owned()
    } else {
        toml::Value::from(key).to_string()
    }
}

fn header(path: &str) -> String {
    // Only names of providers and models may need quotes, and they stand in the second place.
    match path.split_once('.') {
        Some((section @ ("models" | "providers"), name)) => match name.rsplit_once('.') {
            Some((name, key @ ("headers" | "timeouts" | "quirks" | "auth" | "discovery"))) => {
                format!("{section}.{}.{key}", quoted(name))
            }
            _ => format!("{section}.{}", quoted(name)),
        },
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::env::Env;
    use crate::config::{effective, schema};

    #[test]
    fn every_value_has_an_origin_and_no_secret_is_shown() {
        let env = Env::from([("GROQ_API_KEY", "sk-groq-secret"), ("TEAM", "sk-team-secret")]);
        let text = "[server]\nlisten = '127.0.0.1:9000'\n[providers.groq]\n[providers.mine]\nbase_url='http://x/v1'\napi_key = 'sk-plain-secret'\nheaders = { x-token = 'header-secret' }\n[models.'smart.er']\ntargets = ['groq/a', 'mine/b']\n[[clients]]\nname = 'a'\nkey = '${TEAM}'\n[store]\nurl = 'postgres://u:url-secret@h/d'\npassword = 'store-secret'\n";
        let document = Document::parse("mynah.toml", text, &env).unwrap();
        let effective = effective::fill_in(schema::read(&document).unwrap(), &document, &env).unwrap();
        let shown = show(&effective, &document);
        assert!(!shown.contains("secret"), "{shown}");
        let squeezed: Vec<String> = shown
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        for line in [
            "listen = \"127.0.0.1:9000\" # mynah.toml:2:1",
            "drain = \"30s\" # default",
            "base_url = \"https://api.groq.com/openai/v1\" # catalog: groq",
            "base_url = \"http://x/v1\" # mynah.toml:5:1",
            "[models.\"smart.er\"]",
        ] {
            assert!(squeezed.iter().any(|found| found == line), "{line}\nin\n{shown}");
        }
        assert!(
            squeezed
                .iter()
                .any(|line| line.starts_with("api_keys") && line.ends_with("# environment: GROQ_API_KEY")),
            "{shown}"
        );
        assert!(
            squeezed
                .iter()
                .any(|line| line.starts_with("api_keys") && line.ends_with("# mynah.toml:6:1")),
            "{shown}"
        );
        assert!(
            squeezed
                .iter()
                .any(|line| line.starts_with("key =") && line.ends_with("mynah.toml:12:1, environment: TEAM")),
            "{shown}"
        );
        toml::from_str::<toml::Table>(&shown).unwrap();
        let all = settings(&effective, &document);
        let text = serde_json::to_string(&all).unwrap();
        assert!(!text.contains("secret"), "{text}");
        let listen = Setting {
            path: "server.listen".to_owned(),
            value: "127.0.0.1:9000".into(),
            origin: "mynah.toml:2:1".to_owned(),
        };
        assert!(all.contains(&listen), "{text}");
        assert!(all.iter().any(|setting| setting.path == "clients.0.name"), "{text}");
    }
}
