//! Puts the gateway through a storm, and prints as tables how it bore it.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use mynah_understudy::duration;
use mynah_understudy::storm::{Cuts, Report, Storm, cuts, storm};

/// Puts the gateway through a storm: providers that fail in every way, and clients that look at every answer. Prints as tables
/// how it bore it, and `N passed, M failed` at the end.
#[derive(Debug, Parser)]
#[command(name = "mynah-storm", version)]
struct Arguments {
    /// The gateway's binary.
    #[arg(long, value_name = "FILE")]
    binary: PathBuf,
    /// How long the storm lasts; 0 for none.
    #[arg(long, default_value_t = 300)]
    seconds: u64,
    /// How many clients ask at the same time.
    #[arg(long, default_value_t = 200)]
    clients: u64,
    /// What everything that is left to chance comes from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How long a fault lasts.
    #[arg(long, default_value = "4s", value_parser = duration::parse)]
    spell: Duration,
    /// A call may outlive its client by no more than this.
    #[arg(long, default_value = "100ms", value_parser = duration::parse)]
    cancelled_within: Duration,
    /// Recorded answers are cut at each so many bytes; 0 for not at all.
    #[arg(long, default_value_t = 1, value_name = "BYTES")]
    cut_every: usize,
    /// The folder with the recorded streams.
    #[arg(long, default_value = "crates/dialect/tests/golden/streams", value_name = "FOLDER")]
    recordings: PathBuf,
    /// The level of the gateway's log, which goes to standard error.
    #[arg(long, default_value = "error")]
    log: String,
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let report = runtime.block_on(run(arguments))?;
    write!(std::io::stdout(), "{}", report.text())?;
    Ok(if report.is_kept() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn run(arguments: Arguments) -> std::io::Result<Report> {
    let mut report = Report::default();
    if arguments.cut_every > 0 {
        let what = Cuts {
            binary: arguments.binary.clone(),
            log: arguments.log.clone(),
            recordings: arguments.recordings,
            every: arguments.cut_every,
        };
        report.add(cuts(&what).await?);
    }
    if arguments.seconds > 0 {
        let what = Storm {
            binary: arguments.binary,
            log: arguments.log,
            duration: Duration::from_secs(arguments.seconds),
            clients: arguments.clients,
            seed: arguments.seed,
            spell: arguments.spell,
            cancelled_within: arguments.cancelled_within,
        };
        report.add(storm(&what).await?);
    }
    Ok(report)
}
