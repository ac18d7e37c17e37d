//! What can be said on the command line.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use mynah_understudy::{Persona, duration};

/// A scripted fake provider, for tests, benches and demonstrations.
#[derive(Debug, Parser)]
#[command(name = "mynah-understudy", version)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Answer requests until stopped.
    ///
    /// What arrived can be read at GET /__understudy/received and forgotten with DELETE; GET /__understudy/counters counts, and
    /// PUT /__understudy/script takes a new script.
    Serve(Serve),
}

#[derive(Args, Debug)]
pub(crate) struct Serve {
    /// Where to listen; port 0 takes a free one, which is printed.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9900")]
    pub(crate) listen: SocketAddr,
    /// Who answers what the script does not: any (all of them, by path), strict (the same, and OpenAI strict too), openai,
    /// openai-chat, openai-responses, anthropic, gemini, cohere or jina. A path that begins with /as/NAME says so itself.
    #[arg(long, value_name = "NAME", default_value_t)]
    pub(crate) persona: Persona,
    /// What to answer; without it the persona does.
    #[arg(long, value_name = "FILE")]
    pub(crate) script: Option<PathBuf>,
    /// Do not keep what arrives.
    #[arg(long)]
    pub(crate) no_record: bool,
    /// Print each request as a line of JSON.
    #[arg(long)]
    pub(crate) log: bool,
    /// Serve TLS with this certificate chain (PEM).
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The key of the certificate (PEM).
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Do not offer HTTP/2.
    #[arg(long)]
    pub(crate) http1_only: bool,
    /// How many threads to use.
    #[arg(long, value_name = "COUNT", default_value = "1")]
    pub(crate) threads: NonZeroUsize,
    /// Answer every POST with a chat completion of about so many bytes, and record nothing.
    #[arg(long, value_name = "BYTES", conflicts_with = "script")]
    pub(crate) bench_reply_bytes: Option<usize>,
    /// Answer every POST that asks for a stream with so many chunks of about 200 bytes, and record nothing.
    #[arg(long, value_name = "EVENTS", conflicts_with = "script")]
    pub(crate) bench_stream: Option<usize>,
    /// Wait before each of these chunks.
    #[arg(long, value_name = "DURATION", default_value = "20ms", value_parser = duration::parse)]
    pub(crate) bench_pace: Duration,
}

impl Serve {
    /// Whether it is to serve a bench.
    pub(crate) fn is_bench(&self) -> bool {
        self.bench_reply_bytes.is_some() || self.bench_stream.is_some()
    }
}

/// Reads a file that was named on the command line.
pub(crate) fn read(file: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}
