//! The endpoints: those of `config.py`, which is read and never executed, or of a file of the same shape, or else those of
//! the environment.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value as Json;

use crate::config::env::Env;
use crate::config::presets::{Sources, literal};
use crate::config::problem::{Problem, did_you_mean};
use crate::config::python_literal::{self, Literal, Value};
use crate::import::yaml;
use crate::upstream::base::BaseUrl;

/// The files, the first of which that lists endpoints counts.
const FILES: [&str; 5] = ["config.py", "config.yaml", "config.yml", "config.json", "config.toml"];
/// What the list is called in them.
const NAMES: [&str; 2] = ["endpoints", "available_endpoints"];
/// Larger files are not read, in bytes.
const MAX_FILE: u64 = 1024 * 1024;
/// What an endpoint has.
const MEMBERS: [&str; 4] = ["url", "type", "api_key", "prefix"];
/// Where requests go when nothing is said.
const USUAL_URL: &str = "https://api.openai.com";

/// One endpoint, in the words of `mynah.toml`.
#[derive(Debug, PartialEq)]
pub(super) struct Endpoint {
    pub(super) url: String,
    /// The head of an OCF network; else a server that speaks OpenAI's dialect.
    pub(super) is_ocf: bool,
    pub(super) key: Option<String>,
    /// What stands before its models' ids.
    pub(super) prefix: Option<String>,
}

/// All endpoints, at least one.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) endpoints: Vec<Endpoint>,
    /// Where they may stand.
    pub(super) files: Vec<PathBuf>,
    pub(super) notes: Vec<String>,
}

/// Finds the endpoints: a file that has some goes before the environment.
pub(super) fn find(sources: &Sources<'_>) -> Result<Found, Vec<Problem>> {
    let files: Vec<PathBuf> = FILES.iter().map(|name| sources.directory.join(name)).collect();
    for (name, path) in FILES.iter().zip(&files) {
        let Some(text) = read_text(path)? else { continue };
        let list = list_of(name, &text).map_err(|problem| vec![problem])?;
        let Some(list) = list else { continue };
        let mut reader = Reader::new(sources.env, name, &text);
        let endpoints = reader.endpoints(&list)?;
        if endpoints.is_empty() {
            continue;
        }
        let mut notes = reader.notes;
        let unused = ["ENDPOINTS", "TARGET_OPENAI_URL"];
        if let Some(unused) = unused.iter().find(|name| sources.env.get(name).is_some()) {
            notes.push(format!("{unused} is not used, as {name} lists endpoints"));
        }
        return Ok(Found {
            endpoints,
            files,
            notes,
        });
    }
    let mut reader = Reader::new(sources.env, "ENDPOINTS", "");
    let endpoints = reader.of_environment()?;
    let mut notes = reader.notes;
    if endpoints
        .iter()
        .all(|endpoint| endpoint.key.is_none() && endpoint.url == USUAL_URL)
    {
        notes.push(format!(
            "{USUAL_URL} wants a key; set API_KEY, or name other endpoints in config.py or ENDPOINTS"
        ));
    }
    Ok(Found {
        endpoints,
        files,
        notes,
    })
}

/// Whether there is a `config.py` with endpoints.
pub(super) fn has_python(sources: &Sources<'_>) -> bool {
    let [name, ..] = FILES;
    let text = read_text(&sources.directory.join(name)).ok().flatten();
    let list = text.and_then(|text| list_of(name, &text).ok().flatten());
    list.is_some_and(|list| matches!(&list.value, Value::List(items) if !items.is_empty()))
}

/// The text of a file; `None` when it is not there.
fn read_text(path: &Path) -> Result<Option<String>, Vec<Problem>> {
    let Ok(about) = path.metadata() else { return Ok(None) };
    let problem = |message: String| vec![Problem::without_place(format!("{}: {message}", path.display()))];
    if !about.is_file() {
        return Ok(None);
    }
    if about.len() > MAX_FILE {
        return Err(problem(format!("is larger than {MAX_FILE} bytes")));
    }
    std::fs::read_to_string(path)
        .map(Some)
        .map_err(|error| problem(format!("cannot be read: {error}")))
}

/// The list of endpoints in a file; `None` when it has none.
fn list_of(name: &str, text: &str) -> Result<Option<Arc<Literal>>, Problem> {
    let problem = |place: String, message: String| Problem {
        place,
        ..Problem::without_place(message)
    };
    let unplaced = |error: String| problem(name.to_owned(), error);
    let json: Json = match name.rsplit('.').next() {
        Some("py") => {
            let assigned = python_literal::read(text);
            let mut assigned = assigned.map_err(|fault| problem(place(name, text, fault.at), fault.message))?;
            return Ok(NAMES.iter().find_map(|name| assigned.remove(*name)));
        }
        Some("json") => serde_json::from_str(text).map_err(|error| unplaced(error.to_string()))?,
        Some("toml") => toml::from_str(text).map_err(|error| unplaced(error.to_string()))?,
        _ => yaml::read(text).map_err(unplaced)?,
    };
    let list = NAMES.iter().find_map(|name| json.get(*name));
    let list = list.or(Some(&json).filter(|json| json.is_array()));
    Ok(list.map(|list| Arc::new(literal_of(list))))
}

fn place(name: &str, text: &str, at: usize) -> String {
    let (line, column) = python_literal::line_and_column(text, at);
    format!("{name}:{line}:{column}")
}

/// A value that stands in no Python file.
fn literal_of(json: &Json) -> Literal {
    let value = match json {
        Json::Null => Value::None,
        Json::Bool(is) => Value::Bool(*is),
        Json::Number(number) => Value::Number(number.to_string().into()),
        Json::String(text) => Value::Text(text.as_str().into()),
        Json::Array(items) => Value::List(items.iter().map(literal_of).collect()),
        Json::Object(members) => {
            let member = |(key, value): (&String, &Json)| (literal_of(&Json::from(key.as_str())), literal_of(value));
            Value::Dict(members.iter().map(member).collect())
        }
    };
    Literal { at: 0, value }
}

/// A text that was written, or that a variable holds.
struct Said {
    /// What it is.
    text: String,
    /// As `mynah.toml` has it: without the values of variables.
    setting: String,
}

/// Reads endpoints, and notes what is wrong with them.
struct Reader<'a> {
    env: &'a Env,
    /// What they are read from.
    name: &'a str,
    text: &'a str,
    problems: Vec<Problem>,
    notes: Vec<String>,
}

impl<'a> Reader<'a> {
    fn new(env: &'a Env, name: &'a str, text: &'a str) -> Self {
        Self {
            env,
            name,
            text,
            problems: Vec::new(),
            notes: Vec::new(),
        }
    }

    fn endpoints(&mut self, list: &Literal) -> Result<Vec<Endpoint>, Vec<Problem>> {
        let mut endpoints = Vec::new();
        match &list.value {
            Value::None => {}
            Value::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    endpoints.extend(self.endpoint(&format!("endpoints[{index}]"), item));
                }
            }
            _ => self.report(list, "endpoints", "must be a list of dictionaries"),
        }
        self.done(endpoints)
    }

    fn done(&mut self, endpoints: Vec<Endpoint>) -> Result<Vec<Endpoint>, Vec<Problem>> {
        if self.problems.is_empty() {
            Ok(endpoints)
        } else {
            Err(std::mem::take(&mut self.problems))
        }
    }

    fn endpoint(&mut self, path: &str, item: &Literal) -> Option<Endpoint> {
        let Value::Dict(members) = &item.value else {
            self.report(
                item,
                path,
                "must be a dictionary such as {'url': 'http://host', 'type': 'openai', 'api_key': 'key'}",
            );
            return None;
        };
        for (key, _) in members {
            if let Value::Text(key) = &key.value
                && !MEMBERS.contains(&&**key)
            {
                let hint = did_you_mean(key, MEMBERS);
                self.notes
                    .push(format!("{}: `{path}.{key}` is not read{hint}", self.place(item)));
            }
        }
        let is_ocf = self.is_ocf(path, item);
        let (key, prefix) = (self.member(path, item, "api_key"), self.member(path, item, "prefix"));
        let Some(url) = self.member(path, item, "url") else {
            self.report(item, path, "needs a `url`");
            return None;
        };
        let url = self.url(item.get("url").unwrap_or(item), &format!("{path}.url"), &url)?;
        Some(Endpoint {
            url,
            is_ocf,
            key: key.map(|key| key.setting).or_else(|| self.usual_key()),
            prefix: prefix.map(|prefix| prefix.setting),
        })
    }

    fn is_ocf(&mut self, path: &str, item: &Literal) -> bool {
        let Some(kind) = self.member(path, item, "type") else {
            return false;
        };
        let kind = kind.text.to_ascii_lowercase();
        if !["ocf", "openai"].contains(&kind.as_str()) {
            let message = format!("`{kind}` is not a type; write 'ocf' or 'openai'");
            self.report(item.get("type").unwrap_or(item), &format!("{path}.type"), &message);
        }
        kind == "ocf"
    }

    /// A member that is a text and not empty.
    fn member(&mut self, path: &str, item: &Literal, key: &str) -> Option<Said> {
        let value = item.get(key)?;
        let said = self.said(value);
        if said.is_none() && !matches!(value.value, Value::None | Value::Variable { .. } | Value::Text(_)) {
            self.report(value, &format!("{path}.{key}"), "must be a text");
        }
        said.filter(|said| !said.text.trim().is_empty())
    }

    fn said(&self, value: &Literal) -> Option<Said> {
        match &value.value {
            Value::Text(text) => Some(Said {
                text: text.to_string(),
                setting: literal(text.trim()),
            }),
            Value::Variable { name, default } => match self.env.get(name) {
                Some(text) => Some(Said {
                    text: text.to_owned(),
                    setting: format!("${{{name}}}"),
                }),
                None => self.said(default.as_deref()?),
            },
            _ => None,
        }
    }

    /// A base URL that can be called.
    fn url(&mut self, at: &Literal, path: &str, said: &Said) -> Option<String> {
        match BaseUrl::parse(&said.text, "") {
            Ok(_) => Some(said.setting.clone()),
            Err(message) => {
                self.report(at, path, &message);
                None
            }
        }
    }

    fn usual_key(&self) -> Option<String> {
        self.env.get("API_KEY").map(|_| "${API_KEY}".to_owned())
    }

    /// What the environment says: `ENDPOINTS`, as JSON or separated by commas, or else one.
    fn of_environment(&mut self) -> Result<Vec<Endpoint>, Vec<Problem>> {
        let text = self.env.get("ENDPOINTS").unwrap_or_default().trim();
        let mut endpoints = Vec::new();
        if text.starts_with(['{', '[']) {
            match serde_json::from_str(text) {
                Ok(Json::Object(members)) => {
                    for (url, key) in &members {
                        endpoints.extend(self.keyed(url, key));
                    }
                }
                Ok(Json::Array(items)) => {
                    for (index, item) in items.iter().enumerate() {
                        endpoints.extend(match item {
                            Json::String(url) => self.keyed(url, &Json::Null),
                            item => self.endpoint(&format!("[{index}]"), &literal_of(item)),
                        });
                    }
                }
                Ok(_) => {}
                Err(error) => {
                    let message = format!(
                        "is not JSON: {error}; write {{\"https://host\":\"key\"}}, or URLs separated by commas"
                    );
                    self.report(&literal_of(&Json::Null), "", &message);
                }
            }
        } else {
            for url in text.split(',').map(str::trim).filter(|url| !url.is_empty()) {
                endpoints.extend(self.keyed(url, &Json::Null));
            }
        }
        if endpoints.is_empty() && self.problems.is_empty() {
            self.name = "TARGET_OPENAI_URL";
            let url = self.env.get(self.name).unwrap_or(USUAL_URL);
            endpoints.extend(self.keyed(url, &Json::Null));
        }
        self.done(endpoints)
    }

    /// An endpoint with a key, or with the usual one.
    fn keyed(&mut self, url: &str, key: &Json) -> Option<Endpoint> {
        let at = literal_of(&Json::Null);
        let key = match key {
            Json::Null => None,
            Json::String(key) => Some(key.trim()).filter(|key| !key.is_empty()),
            _ => {
                self.report(&at, url, "must have a key that is a text");
                None
            }
        };
        let url = url.trim();
        let said = Said {
            text: url.to_owned(),
            setting: literal(url),
        };
        Some(Endpoint {
            url: self.url(&at, "", &said)?,
            is_ocf: false,
            key: key.map(literal).or_else(|| self.usual_key()),
            prefix: None,
        })
    }

    fn report(&mut self, at: &Literal, path: &str, message: &str) {
        self.problems.push(Problem {
            place: self.place(at),
            path: path.to_owned(),
            message: message.to_owned(),
            at: at.at,
        });
    }

    fn place(&self, at: &Literal) -> String {
        if self.text.is_empty() || at.at == 0 {
            self.name.to_owned()
        } else {
            place(self.name, self.text, at.at)
        }
    }
}
