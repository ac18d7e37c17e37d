//! The gateway under test: the real binary, with a configuration made for the occasion.

use std::fmt::Write as _;
use std::io::{self, BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use super::protocol::Protocol;
use super::target::NAMES;
use crate::load::Usage;

/// A running gateway.
#[derive(Debug)]
pub(super) struct Gateway {
    child: Child,
    pub(super) address: SocketAddr,
    /// Holds its configuration.
    _directory: tempfile::TempDir,
    /// Where it prints: kept open, and never so much that nobody needs to read it.
    _out: BufReader<ChildStdout>,
}

impl Gateway {
    /// Starts the binary; its log of this level goes to standard error.
    pub(super) fn start(binary: &Path, configuration: &str, log: &str) -> io::Result<Self> {
        let directory = tempfile::tempdir()?;
        let file = directory.path().join("mynah.toml");
        std::fs::write(&file, configuration)?;
        let mut child = Command::new(binary)
            .args(["--listen", "127.0.0.1:0", "--config"])
            .arg(&file)
            .env_clear()
            .env("MYNAH_LOG", log)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut first = String::new();
        let out = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let mut out = BufReader::new(out);
        out.read_line(&mut first)?;
        let address = first
            .trim()
            .rsplit("://")
            .next()
            .and_then(|address| address.parse().ok());
        let address = address.ok_or_else(|| io::Error::other(format!("the gateway did not start: {first:?}")))?;
        Ok(Self {
            child,
            address,
            _directory: directory,
            _out: out,
        })
    }

    /// The memory that it holds, in kilobytes.
    pub(super) fn resident(&self) -> u64 {
        Usage::of(&[self.child.id()]).resident
    }

    /// Whether it is still there.
    pub(super) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A configuration that is being written.
#[derive(Debug, Default)]
pub(super) struct Configuration {
    text: String,
    models: Vec<String>,
}

impl Configuration {
    /// A provider of each protocol at each of these addresses, called `NAME-PROTOCOL`. `more` is added to each.
    pub(super) fn with_providers(addresses: &[SocketAddr], more: &str) -> Self {
        let mut configuration = Self::default();
        for (name, address) in NAMES.iter().zip(addresses) {
            for protocol in Protocol::ALL {
                configuration.provider(name, *address, protocol, more);
            }
        }
        configuration
    }

    fn provider(&mut self, name: &str, address: SocketAddr, protocol: Protocol, more: &str) {
        let protocol_name = protocol.name();
        let kind = match protocol {
            Protocol::Chat | Protocol::Responses => format!("kind = 'openai'\napis = ['{protocol_name}']"),
            Protocol::Anthropic | Protocol::Gemini | Protocol::Cohere => format!("kind = '{protocol_name}'"),
        };
        // Writing to a string does not fail.
        let _ = writeln!(
            self.text,
            "[providers.{name}-{protocol_name}]\n{kind}\nbase_url = 'http://{address}'\nmodels = []\n\
             api_keys = ['sk-first-of-{name}', 'sk-second-of-{name}']\n{more}\n"
        );
    }

    /// A model with these targets (`NAME-PROTOCOL`). `more` is added.
    pub(super) fn model(&mut self, name: impl Into<String>, targets: &[String], more: &str) {
        let name = name.into();
        let targets: Vec<String> = targets.iter().map(|target| format!("'{target}/m'")).collect();
        let targets = targets.join(", ");
        // Writing to a string does not fail.
        let _ = writeln!(self.text, "[models.{name}]\ntargets = [{targets}]\n{more}\n");
        self.models.push(name);
    }

    /// The file.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The names of its models.
    pub(super) fn models(&self) -> &[String] {
        &self.models
    }
}
