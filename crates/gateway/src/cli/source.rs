//! Where the configuration comes from: a file, a preset, several presets, or nothing but the environment.

use std::path::{Path, PathBuf};

use clap::Args;

use super::{environment, report_all};
use crate::config::document::Document;
use crate::config::env::Env;
use crate::config::presets::{self, Made, PRESETS, Preset, Sources};
use crate::config::problem::{Problem, did_you_mean};
use crate::config::{self, Loaded, StoreConfig};

/// The file that is read when none is named.
const DEFAULT_FILE: &str = "mynah.toml";
/// In place of a preset: none, also where one would be found.
const NO_PRESET: &str = "none";

/// The options that say where the configuration is.
#[derive(Clone, Debug, Args)]
pub struct Source {
    /// The configuration file [default: mynah.toml, if there is one]
    #[arg(short, long, global = true, value_name = "FILE", env = "MYNAH_CONFIG")]
    config: Option<PathBuf>,
    /// Listen here instead of where the file says
    #[arg(short, long, global = true, value_name = "ADDRESS:PORT", env = "MYNAH_LISTEN")]
    listen: Option<String>,
    /// Take the place of another proxy, by its environment and its files: github-local, ocf, model-list, model-proxy,
    /// single-target, or 000 to 004. Several are served at a time, each at its own port; NAME=PORT or NAME=ADDRESS:PORT
    /// chooses another
    #[arg(
        short,
        long,
        global = true,
        value_name = "NAME",
        env = "MYNAH_PRESET",
        value_delimiter = ','
    )]
    preset: Vec<String>,
}

/// One configuration.
#[derive(Clone, Debug)]
pub struct Origin {
    text: Text,
    /// Where to listen, whatever else is said.
    listen: Option<String>,
    /// It was not asked for, but found.
    found: Option<String>,
}

#[derive(Clone, Debug)]
enum Text {
    /// A file that was named.
    File(PathBuf),
    /// The default file, if it is there. It may come and go.
    Default,
    Preset(&'static Preset),
}

/// A configuration that was read.
pub type Read = Result<(Document, Loaded), Vec<Problem>>;

impl Source {
    /// The only configuration.
    pub fn origin(&self) -> anyhow::Result<Origin> {
        let mut origins = self.origins()?;
        match (origins.pop(), origins.is_empty()) {
            (Some(origin), true) => Ok(origin),
            _ => anyhow::bail!("this is about one configuration: name one preset"),
        }
    }

    /// All configurations, at least one.
    pub fn origins(&self) -> anyhow::Result<Vec<Origin>> {
        match (&self.config, self.preset.as_slice()) {
            (Some(_), [_, ..]) => {
                anyhow::bail!("a configuration file and a preset exclude each other: leave one of them out")
            }
            (Some(file), []) if file.is_file() => Ok(vec![self.origin_of(Text::File(file.clone()))]),
            (Some(file), []) => anyhow::bail!("there is no configuration file {}", file.display()),
            (None, [only]) if only == NO_PRESET => Ok(vec![self.without_preset()]),
            (None, []) => self.found(),
            (None, [only]) => Ok(vec![preset(only, self.listen.clone())?]),
            (None, _) if self.listen.is_some() => {
                anyhow::bail!("several presets cannot listen at one address: write --preset NAME=ADDRESS:PORT for each")
            }
            (None, several) => several.iter().map(|name| preset(name, None)).collect(),
        }
    }

    fn origin_of(&self, text: Text) -> Origin {
        Origin {
            text,
            listen: self.listen.clone(),
            found: None,
        }
    }

    fn without_preset(&self) -> Origin {
        self.origin_of(Text::Default)
    }

    /// Without a file, one preset that has left its signs here.
    fn found(&self) -> anyhow::Result<Vec<Origin>> {
        let plain = self.without_preset();
        if Path::new(DEFAULT_FILE).is_file() {
            return Ok(vec![plain]);
        }
        let env = environment()?;
        let found = presets::found(&Sources {
            env: &env,
            directory: Path::new("."),
        });
        let origin = match found.as_slice() {
            [] => plain,
            [(preset, sign)] => Origin {
                found: Some(sign.clone()),
                ..self.origin_of(Text::Preset(preset))
            },
            several => {
                let signs: Vec<String> = several
                    .iter()
                    .map(|(preset, sign)| format!("{sign} ({})", preset.name))
                    .collect();
                let signs = signs.join(", ");
                Origin {
                    found: Some(format!(
                        "There are signs of several presets, so none is taken: {signs}. `--preset NAME` takes one."
                    )),
                    ..plain
                }
            }
        };
        Ok(vec![origin])
    }

    /// Where the ledger is.
    pub fn ledger(&self) -> anyhow::Result<StoreConfig> {
        let (_, loaded) = self.load()?;
        let store = loaded.config.store;
        store.ok_or_else(|| anyhow::anyhow!("no ledger is kept: the configuration has no table [store]"))
    }

    /// Reads the only configuration, or tells all that is wrong with it.
    pub fn load(&self) -> anyhow::Result<(Document, Loaded)> {
        let env = environment()?;
        self.origin()?.load(&env).map_err(|problems| report_all(&problems))
    }
}

/// A preset by its name or number, perhaps with where it is to listen: `ocf`, `ocf=8010`, `001=127.0.0.1:8010`.
fn preset(choice: &str, listen: Option<String>) -> anyhow::Result<Origin> {
    let (name, own) = match choice.split_once('=') {
        Some((name, own)) => (name, Some(own)),
        None => (choice, None),
    };
    let Some(preset) = Preset::named(name.trim()) else {
        let names = PRESETS.iter().map(|preset| preset.name);
        let hint = did_you_mean(name, names.clone());
        let all: Vec<String> = PRESETS
            .iter()
            .map(|preset| format!("{} ({})", preset.name, preset.number))
            .collect();
        anyhow::bail!("there is no preset `{name}`{hint}; there are {}", all.join(", "));
    };
    Ok(Origin {
        text: Text::Preset(preset),
        listen: own.map(str::to_owned).or(listen),
        found: None,
    })
}

impl Origin {
    /// What problems call it.
    pub fn name(&self) -> String {
        match &self.text {
            Text::File(file) => file.display().to_string(),
            Text::Default if Path::new(DEFAULT_FILE).is_file() => DEFAULT_FILE.to_owned(),
            Text::Default => "the environment".to_owned(),
            Text::Preset(preset) => format!("preset {}", preset.name),
        }
    }

    /// What is to be told at the start: of a preset, or of the signs of several.
    pub fn told(&self) -> Option<String> {
        let Text::Preset(preset) = &self.text else {
            return self.found.clone();
        };
        let told = match &self.found {
            None => format!("Preset {}: {}.", preset.name, preset.summary),
            Some(sign) => format!(
                "{sign}, and there is no {DEFAULT_FILE}: this is the preset {0}, {1}.\n`--preset none` does without it; `--preset {0}` always takes it, also for callers on other machines.",
                preset.name, preset.summary
            ),
        };
        Some(told)
    }

    /// Reads it.
    pub fn load(&self, env: &Env) -> Read {
        match &self.text {
            Text::File(file) => self.load_file(file, env),
            Text::Default => {
                let file = Path::new(DEFAULT_FILE);
                if file.is_file() {
                    self.load_file(file, env)
                } else {
                    self.load_text("", "", env, file)
                }
            }
            Text::Preset(preset) => self.load_preset(preset, env),
        }
    }

    /// The text of the configuration that a preset makes.
    pub fn preset_text(&self, env: &Env) -> Option<Result<String, Vec<Problem>>> {
        let Text::Preset(preset) = &self.text else { return None };
        let text = |made: Made| made.text().map_err(|problem| vec![problem]);
        Some(self.made(preset, env).and_then(text))
    }

    fn load_file(&self, file: &Path, env: &Env) -> Read {
        let name = file.display().to_string();
        let text = std::fs::read_to_string(file)
            .map_err(|error| vec![Problem::without_place(format!("cannot read {name}: {error}"))])?;
        self.load_text(&name, &text, env, file)
    }

    fn load_text(&self, name: &str, text: &str, env: &Env, file: &Path) -> Read {
        let (document, mut loaded) = config::load(name, text, env, self.listen.as_deref())?;
        loaded.files = vec![file.to_path_buf()];
        Ok((document, loaded))
    }

    fn load_preset(&self, preset: &Preset, env: &Env) -> Read {
        let made = self.made(preset, env)?;
        let text = made.text().map_err(|problem| vec![problem])?;
        let name = self.name();
        let (document, mut loaded) = config::load(&name, &text, env, None)?;
        let notes = made.notes.into_iter();
        let notes = notes.map(|note| Problem::without_place(format!("{name}: {note}")));
        loaded.advice.extend(notes.chain(made.faults.clone()));
        (loaded.files, loaded.faults) = (made.files, made.faults);
        Ok((document, loaded))
    }

    fn made(&self, preset: &Preset, env: &Env) -> Result<Made, Vec<Problem>> {
        let mut made = (preset.make)(&Sources {
            env,
            directory: Path::new("."),
        })?;
        match &self.listen {
            Some(listen) => made.listen_at(listen),
            // Nobody asked for it: it is not opened to other machines.
            None if self.found.is_some() => made.stay_near(),
            None => {}
        }
        made.keep_ledger(env);
        Ok(made)
    }
}
