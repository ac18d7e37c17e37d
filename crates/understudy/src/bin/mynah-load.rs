//! Puts load on a server that speaks OpenAI's dialect, and prints as one JSON object how it bore it.

use std::io::Write;
use std::num::NonZeroUsize;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use mynah_understudy::duration;
use mynah_understudy::load::{self, Course, Kind, Target};

/// Puts load on a server that speaks OpenAI's dialect, and prints as one JSON object how it bore it.
#[derive(Debug, Parser)]
#[command(name = "mynah-load", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// One request after another on each connection.
    Closed {
        /// How many connections.
        #[arg(long, default_value_t = 64)]
        connections: usize,
        #[command(flatten)]
        common: Common,
    },
    /// Requests that are due at fixed times; latency counts from then, whenever they could be sent.
    Open {
        /// How many requests per second.
        #[arg(long, value_parser = parse_rate)]
        rate: f64,
        /// Over how many connections.
        #[arg(long, default_value_t = 128)]
        connections: usize,
        #[command(flatten)]
        common: Common,
    },
    /// Streams of events, so many at the same time.
    Streams {
        /// How many streams.
        #[arg(long, default_value_t = 500)]
        streams: usize,
        #[command(flatten)]
        common: Common,
    },
}

#[derive(Args, Debug)]
struct Common {
    /// Where the requests go; without a path: to /v1/chat/completions.
    #[arg(long)]
    url: String,
    /// How long to measure.
    #[arg(long, default_value = "5s", value_parser = duration::parse)]
    duration: Duration,
    /// How long to run before anything is measured.
    #[arg(long, default_value = "1s", value_parser = duration::parse)]
    warmup: Duration,
    /// About how long the body of a request is.
    #[arg(long, default_value_t = 1024)]
    body_bytes: usize,
    /// The model to ask for.
    #[arg(long, default_value = "bench")]
    model: String,
    /// A header to send, as NAME:VALUE; may be given several times.
    #[arg(long = "header", value_name = "NAME:VALUE", value_parser = parse_header)]
    headers: Vec<(String, String)>,
    /// A process whose use of the processor is measured, with all its descendants; may be given several times.
    #[arg(long = "pid", value_name = "PID")]
    processes: Vec<u32>,
    /// How many threads to use.
    #[arg(long, default_value = "1")]
    threads: NonZeroUsize,
}

fn main() -> anyhow::Result<()> {
    let (kind, common) = match Arguments::parse().command {
        Command::Closed { connections, common } => (Kind::Closed { connections }, common),
        Command::Open {
            rate,
            connections,
            common,
        } => (Kind::Open { rate, connections }, common),
        Command::Streams { streams, common } => (Kind::Streams { streams }, common),
    };
    let is_stream = matches!(kind, Kind::Streams { .. });
    let target = Target::new(
        &common.url,
        &common.headers,
        &load::body(common.body_bytes, &common.model, is_stream),
    )?;
    let course = Course {
        warmup: common.warmup,
        duration: common.duration,
        processes: common.processes,
    };
    let runtime = if common.threads.get() == 1 {
        tokio::runtime::Builder::new_current_thread().enable_all().build()?
    } else {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(common.threads.get())
            .enable_all()
            .build()?
    };
    let report = runtime.block_on(load::run(kind, &target, &course));
    writeln!(std::io::stdout(), "{}", serde_json::to_string(&report)?)?;
    Ok(())
}

fn parse_header(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text.split_once(':').ok_or("expected NAME:VALUE")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

fn parse_rate(text: &str) -> Result<f64, &'static str> {
    text.parse()
        .ok()
        .filter(|rate| (0.01..=1e6).contains(rate))
        .ok_or("expected a number from 0.01 to a million")
}
