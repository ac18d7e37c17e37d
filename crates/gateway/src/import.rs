//! `mynah import`: the configuration of another gateway, as a `mynah.toml`.
//!
//! What it says is read from YAML with places (`yaml`), gathered (`deployments`, `settings`), and written
//! (`written`). Whatever has no counterpart is noted with its place: nothing is passed over in silence.

mod cache;
pub mod command;
mod deployments;
mod fields;
mod kinds;
mod settings;
mod targets;
mod written;
pub mod yaml;

use std::fmt;

use self::deployments::Deployment;
use self::fields::Fields;
use self::settings::Settings;
use self::targets::Plan;
use self::yaml::Node;

/// What an import came to.
#[derive(Debug)]
pub struct Imported {
    /// The `mynah.toml`. The notes stand at its top, as comments.
    pub toml: String,
    /// What has no counterpart, or is different, by its place.
    pub notes: Vec<Note>,
}

/// Something that has no counterpart, or is different.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Where it stands: `config.yaml:12:5`.
    pub place: String,
    /// What it is, such as `router_settings.num_retries`.
    pub path: String,
    /// What is to be known about it. Never a value that may be a credential.
    pub message: String,
    /// The line and column, by which notes are sorted.
    at: (usize, usize),
}

/// The notes of an import under way.
#[derive(Debug)]
struct Notes {
    name: String,
    notes: Vec<Note>,
}

/// Reads the configuration of LiteLLM's proxy. `name` is how the notes call the file. An error when it is no YAML, or none
/// of LiteLLM's.
pub fn litellm(name: &str, text: &str) -> Result<Imported, String> {
    let root = Node::parse(text).map_err(|error| format!("{name}: {error}"))?;
    let mut notes = Notes {
        name: name.to_owned(),
        notes: Vec::new(),
    };
    let mut top = Fields::of(&root, "");
    let list = top.take("model_list");
    let Some(list) = list.filter(|list| !list.items().is_empty()) else {
        return Err(format!(
            "{name}: there is no `model_list`, so this is no configuration of LiteLLM's proxy"
        ));
    };
    let credentials = top.take("credential_list");
    let settings = Settings::read(&mut top, &mut notes);
    top.rest(&[], &mut notes);
    let deployments = Deployment::read_all(list, credentials, &mut notes);
    let plan = Plan::new(deployments, &settings, &mut notes);
    notes.notes.sort_by_key(|note| note.at);
    let toml = written::toml(name, &plan, &settings, &notes.notes);
    Ok(Imported {
        toml,
        notes: notes.notes,
    })
}

impl Notes {
    fn add(&mut self, node: &Node, path: &str, message: impl Into<String>) {
        self.notes.push(Note {
            place: format!("{}:{}:{}", self.name, node.line, node.column),
            path: path.to_owned(),
            message: message.into(),
            at: (node.line, node.column),
        });
    }
}

impl fmt::Display for Note {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: `{}`: {}", self.place, self.path, self.message)
    }
}
