//! The command: from a file to a file.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::Subcommand;

use super::{Imported, litellm};

/// Whose configuration is imported.
#[derive(Debug, Subcommand)]
pub enum ImportCommand {
    /// Of LiteLLM's proxy. What has no counterpart is told, with its place, and stands at the top of the new file
    Litellm {
        /// LiteLLM's file
        #[arg(value_name = "CONFIG.YAML")]
        file: PathBuf,
        /// The new file, which must not be there yet [default: standard output]
        #[arg(short, long, value_name = "MYNAH.TOML")]
        output: Option<PathBuf>,
    },
}

impl ImportCommand {
    /// Runs the command.
    pub fn run(&self) -> anyhow::Result<()> {
        match self {
            Self::Litellm { file, output } => import_litellm(file, output.as_deref()),
        }
    }
}

/// Imports a file. The result goes to `output`, which must not be there yet, or to standard output; the notes to standard
/// error.
fn import_litellm(file: &Path, output: Option<&Path>) -> anyhow::Result<()> {
    let name = file.display().to_string();
    let text = std::fs::read_to_string(file).map_err(|error| anyhow::anyhow!("cannot read {name}: {error}"))?;
    let Imported { toml, notes } = litellm(&name, &text).map_err(anyhow::Error::msg)?;
    match output {
        Some(output) => write_new(output, &toml)?,
        None => std::io::stdout().write_all(toml.as_bytes())?,
    }
    let mut told = std::io::stderr().lock();
    for note in &notes {
        writeln!(told, "{note}")?;
    }
    if let Some(output) = output {
        let output = output.display();
        writeln!(
            told,
            "{output} is written. `mynah check --config {output}` says whether something is missing."
        )?;
    }
    Ok(())
}

/// There may be keys in it, so that it is for its owner alone.
fn write_new(output: &Path, toml: &str) -> anyhow::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let failed = |error| anyhow::anyhow!("cannot write {}: {error}", output.display());
    let mut file = options.open(output).map_err(failed)?;
    file.write_all(toml.as_bytes()).map_err(failed)
}
