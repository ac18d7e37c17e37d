//! The log, on standard error.

mod buffer;
mod fields;
pub mod level;
mod line;

use std::cell::RefCell;
use std::io::IsTerminal as _;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing::Level;
use tracing_subscriber::fmt::format::Format;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

use self::buffer::Buffer;
use self::fields::PlainFields;
use self::line::Line;
pub use self::line::RequestLine;
use crate::ask::since_1970;
use crate::config::env::Env;
use crate::config::file::{Log, LogFormat};

/// The target under which requests are logged.
const REQUESTS: &str = "mynah::requests";

/// Requests are to be logged, as far as the filter lets them through.
static WANTS_REQUESTS: AtomicBool = AtomicBool::new(false);

/// Requests are logged.
static LOGS_REQUESTS: AtomicBool = AtomicBool::new(false);

/// Where the log goes that nobody looks at while it is written; a terminal needs none.
static OUTPUT: OnceLock<Output> = OnceLock::new();

struct Output {
    /// What was logged and is not written yet.
    buffer: Buffer,
    format: LogFormat,
}

thread_local! {
    static LINE: RefCell<Line> = const { RefCell::new(Line::new()) };
}

/// Whether each request is logged: asked once per request, before anything is collected for it.
pub fn logs_requests() -> bool {
    LOGS_REQUESTS.load(Ordering::Relaxed)
}

/// Logs a request.
pub fn log_request(request: &RequestLine<'_>) {
    let Some(output) = OUTPUT.get() else {
        return request.tell();
    };
    // A thread that ends has no requests.
    let _ = LINE.try_with(|line| {
        let mut line = line.borrow_mut();
        request.write(&mut line, since_1970(), output.format == LogFormat::Json);
        output.buffer.push(line.text(), false);
    });
}

/// Asks the filter whether it lets requests through: once, since each of them would get the same answer.
fn ask_filter() {
    let passes = tracing::enabled!(target: REQUESTS, Level::INFO);
    LOGS_REQUESTS.store(passes && WANTS_REQUESTS.load(Ordering::Relaxed), Ordering::Relaxed);
}

/// Starts logging. `MYNAH_LOG` in the environment goes before the configured level.
pub fn start(log: &Log, env: &Env) -> Result<(), String> {
    let level = env.get("MYNAH_LOG").unwrap_or(&log.level);
    let filter = level::filter(level)?;
    let terminal = std::io::stderr().is_terminal();
    WANTS_REQUESTS.store(log.requests.unwrap_or(terminal), Ordering::Relaxed);
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer(log.format, terminal)?)
        .with_ansi(terminal);
    match log.format {
        LogFormat::Text => {
            let text = Format::default().with_target(false).with_ansi(terminal);
            let builder = builder
                .event_format(text)
                .fmt_fields(PlainFields)
                .with_filter_reloading();
            level::keep(level, builder.reload_handle());
            builder.try_init()
        }
        LogFormat::Json => {
            let json = Format::default().json().flatten_event(true);
            let builder = builder.json().event_format(json).with_filter_reloading();
            level::keep(level, builder.reload_handle());
            builder.try_init()
        }
    }
    .map_err(|error| error.to_string())?;
    ask_filter();
    Ok(())
}

/// Writes what was logged so far.
pub fn flush() {
    if let Some(output) = OUTPUT.get() {
        output.buffer.flush();
    }
}

/// Somebody who looks at a terminal sees each line at once. Elsewhere, a request does not wait for its line to be written.
fn writer(format: LogFormat, terminal: bool) -> Result<BoxMakeWriter, String> {
    if terminal {
        return Ok(BoxMakeWriter::new(std::io::stderr));
    }
    let output = OUTPUT.get_or_init(|| Output {
        buffer: Buffer::default(),
        format,
    });
    let buffer = &output.buffer;
    buffer
        .start()
        .map_err(|error| format!("cannot start logging: {error}"))?;
    Ok(BoxMakeWriter::new(buffer))
}
