//! What is logged: a level, or a filter, which the operator may change while the gateway runs.

use std::str::FromStr as _;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use schemars::JsonSchema;
use serde::Serialize;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::reload::{Error, Handle};

/// The filter of the process, once it logs.
static IN_USE: OnceLock<InUse> = OnceLock::new();

struct InUse {
    started_with: String,
    /// As it was written.
    text: Mutex<String>,
    replace: Box<dyn Fn(EnvFilter) -> Result<(), Error> + Send + Sync>,
}

/// What is logged.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "LogLevel")]
pub struct Level {
    /// The least level that is logged, or a filter.
    level: String,
    /// What the gateway started with.
    started_with: String,
}

/// Reads a filter such as `info` or `info,hyper=debug`.
pub fn filter(text: &str) -> Result<EnvFilter, String> {
    // To the parser, a word that is no level is a target, and nothing would be logged but for that.
    let is_no_level =
        |part: &&str| part.is_empty() || !part.contains(['=', '[']) && LevelFilter::from_str(part).is_err();
    if let Some(word) = text.split(',').find(is_no_level) {
        return Err(format!(
            "`{word}` is not a log level: write error, warn, info, debug, trace or off, or a filter such as \
             \"info,hyper=debug\""
        ));
    }
    EnvFilter::builder()
        .parse(text)
        .map_err(|error| format!("`{text}` is not a log filter: {error}"))
}

/// Remembers how the filter that is in use can be replaced.
pub(super) fn keep<S: 'static>(text: &str, handle: Handle<EnvFilter, S>) {
    IN_USE.get_or_init(|| InUse {
        started_with: text.to_owned(),
        text: Mutex::new(text.to_owned()),
        replace: Box::new(move |filter| handle.reload(filter)),
    });
}

/// What is logged; `None` before anything is.
pub fn level() -> Option<Level> {
    let in_use = IN_USE.get()?;
    Some(Level {
        level: in_use.text().clone(),
        started_with: in_use.started_with.clone(),
    })
}

/// Logs something else from now on, as far as `text` says what.
pub fn set(text: &str) -> Result<(), String> {
    let filter = filter(text)?;
    let in_use = IN_USE.get().ok_or("nothing is logged yet")?;
    let mut before = in_use.text();
    // Before it is changed: afterwards it might not be heard.
    tracing::warn!(level = text, before = *before, "the operator changes the log level");
    (in_use.replace)(filter).map_err(|error| error.to_string())?;
    super::ask_filter();
    text.clone_into(&mut before);
    Ok(())
}

impl InUse {
    fn text(&self) -> MutexGuard<'_, String> {
        self.text.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_level_is_refused() {
        for right in [
            "info",
            "INFO",
            "off",
            "info,hyper=debug",
            "hyper=debug",
            "info,[call{id=1}]=debug,[call]",
        ] {
            assert!(filter(right).is_ok(), "{right}");
        }
        for (wrong, named) in [
            ("loud", "`loud`"),
            ("info,wran", "`wran`"),
            ("", "``"),
            ("info,", "``"),
            ("hyper=loud", "`hyper=loud`"),
        ] {
            assert!(filter(wrong).unwrap_err().starts_with(named), "{wrong}");
        }
    }
}
