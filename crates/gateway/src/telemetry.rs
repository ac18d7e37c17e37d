//! The log, on standard error.

use std::io::IsTerminal as _;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing_subscriber::EnvFilter;

use crate::config::env::Env;
use crate::config::file::{Log, LogFormat};

/// The target under which requests are logged.
pub const REQUESTS: &str = "mynah::requests";

static LOGS_REQUESTS: AtomicBool = AtomicBool::new(false);

/// Whether each request is logged: asked once per request, before anything is collected for it.
pub fn logs_requests() -> bool {
    LOGS_REQUESTS.load(Ordering::Relaxed)
}

/// Reads a filter such as `info` or `info,hyper=debug`.
pub fn filter(text: &str) -> Result<EnvFilter, String> {
    EnvFilter::builder()
        .parse(text)
        .map_err(|error| format!("`{text}` is not a log filter: {error}"))
}

/// Starts logging. `MYNAH_LOG` in the environment goes before the configured level.
pub fn start(log: &Log, env: &Env) -> Result<(), String> {
    let filter = filter(env.get("MYNAH_LOG").unwrap_or(&log.level))?;
    let terminal = std::io::stderr().is_terminal();
    LOGS_REQUESTS.store(log.requests.unwrap_or(terminal), Ordering::Relaxed);
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(terminal);
    match log.format {
        LogFormat::Text => builder.with_target(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    }
    .map_err(|error| error.to_string())
}
