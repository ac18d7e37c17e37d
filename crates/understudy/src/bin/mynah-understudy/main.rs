//! The understudy as a process.

mod arguments;

use std::io::Write;

use anyhow::Context;
use clap::Parser;
use mynah_understudy::{Builder, Received, Script, Understudy, bench};

use crate::arguments::{Arguments, Command, Serve};

fn main() -> anyhow::Result<()> {
    let Command::Serve(arguments) = Arguments::parse().command;
    // One thread is the cheapest, and enough for most: what an understudy does is little.
    let runtime = if arguments.threads.get() == 1 {
        tokio::runtime::Builder::new_current_thread().enable_all().build()?
    } else {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(arguments.threads.get())
            .enable_all()
            .build()?
    };
    runtime.block_on(serve(&arguments))
}

async fn serve(arguments: &Serve) -> anyhow::Result<()> {
    let understudy = builder(arguments)?
        .start()
        .await
        .with_context(|| format!("cannot listen on {}", arguments.listen))?;
    writeln!(std::io::stdout(), "listening on {}", understudy.url())?;
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => Ok(interrupted?),
        _ = terminate.recv() => Ok(()),
    }
}

fn builder(arguments: &Serve) -> anyhow::Result<Builder> {
    let mut builder = Understudy::builder()
        .listen(arguments.listen)
        .persona(arguments.persona)
        .script(script(arguments)?)
        .with_control();
    if let (Some(certificate), Some(key)) = (&arguments.tls_cert, &arguments.tls_key) {
        builder = builder.tls(arguments::read(certificate)?, arguments::read(key)?);
    }
    if arguments.no_record || arguments.is_bench() {
        builder = builder.without_record();
    }
    if arguments.http1_only {
        builder = builder.http1_only();
    }
    if arguments.log {
        builder = builder.observe(log);
    }
    Ok(builder)
}

fn script(arguments: &Serve) -> anyhow::Result<Script> {
    if arguments.is_bench() {
        let stream = arguments
            .bench_stream
            .map(|events| bench::stream(events, arguments.bench_pace));
        return Ok(bench::script(
            bench::completion(arguments.bench_reply_bytes.unwrap_or(1024)),
            stream,
        ));
    }
    let Some(file) = &arguments.script else {
        return Ok(Script::new());
    };
    Script::from_toml(&arguments::read(file)?).with_context(|| file.display().to_string())
}

fn log(received: &Received) {
    let Ok(line) = serde_json::to_string(received) else {
        return;
    };
    // Nobody reads it any more: no reason to stop serving.
    let _ = writeln!(std::io::stdout(), "{line}");
}
