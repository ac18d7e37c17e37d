//! The log, on standard error.

mod buffer;
pub mod level;
mod line;

use std::io::IsTerminal as _;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing_subscriber::fmt::format::Format;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

use self::buffer::Buffer;
use self::line::RequestLine;
use crate::config::env::Env;
use crate::config::file::{Log, LogFormat};

/// The target under which requests are logged.
pub const REQUESTS: &str = "mynah::requests";

static LOGS_REQUESTS: AtomicBool = AtomicBool::new(false);

/// What was logged and is not written yet; a terminal needs none.
static BUFFER: OnceLock<Buffer> = OnceLock::new();

/// Whether each request is logged: asked once per request, before anything is collected for it.
pub fn logs_requests() -> bool {
    LOGS_REQUESTS.load(Ordering::Relaxed)
}

/// Starts logging. `MYNAH_LOG` in the environment goes before the configured level.
pub fn start(log: &Log, env: &Env) -> Result<(), String> {
    let level = env.get("MYNAH_LOG").unwrap_or(&log.level);
    let filter = level::filter(level)?;
    let terminal = std::io::stderr().is_terminal();
    LOGS_REQUESTS.store(log.requests.unwrap_or(terminal), Ordering::Relaxed);
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer(terminal)?)
        .with_ansi(terminal);
    match log.format {
        LogFormat::Text => {
            let others = Format::default().with_target(false).with_ansi(terminal);
            let builder = builder.event_format(RequestLine::text(others));
            let builder = builder.with_filter_reloading();
            level::keep(level, builder.reload_handle());
            builder.try_init()
        }
        LogFormat::Json => {
            let others = Format::default().json().flatten_event(true);
            let builder = builder.json().event_format(RequestLine::json(others));
            let builder = builder.with_filter_reloading();
            level::keep(level, builder.reload_handle());
            builder.try_init()
        }
    }
    .map_err(|error| error.to_string())
}

/// Writes what was logged so far.
pub fn flush() {
    if let Some(buffer) = BUFFER.get() {
        buffer.flush();
    }
}

/// Somebody who looks at a terminal sees each line at once. Elsewhere, a request does not wait for its line to be written.
fn writer(terminal: bool) -> Result<BoxMakeWriter, String> {
    if terminal {
        return Ok(BoxMakeWriter::new(std::io::stderr));
    }
    let buffer = BUFFER.get_or_init(Buffer::default);
    buffer
        .start()
        .map_err(|error| format!("cannot start logging: {error}"))?;
    Ok(BoxMakeWriter::new(buffer))
}
