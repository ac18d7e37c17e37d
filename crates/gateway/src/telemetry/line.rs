//! The lines of the request log, which look like all others and take a tenth of the time.

use std::fmt::{self, Debug};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::REQUESTS;

/// Writes the lines about requests itself, and has all others written by `F`.
pub(super) struct RequestLine<F> {
    others: F,
    is_json: bool,
}

impl<F> RequestLine<F> {
    /// Lines of text.
    pub(super) fn text(others: F) -> Self {
        Self { others, is_json: false }
    }

    /// Lines of JSON.
    pub(super) fn json(others: F) -> Self {
        Self { others, is_json: true }
    }
}

impl<S, N, F> FormatEvent<S, N> for RequestLine<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        if event.metadata().target() != REQUESTS || writer.has_ansi_escapes() {
            return self.others.format_event(context, writer, event);
        }
        let (begin, middle, end) = if self.is_json {
            (
                "{\"timestamp\":\"",
                "\",\"level\":\"INFO\"",
                ",\"target\":\"mynah::requests\"}\n",
            )
        } else {
            ("", "  INFO", "\n")
        };
        writer.write_str(begin)?;
        SystemTime.format_time(&mut writer)?;
        writer.write_str(middle)?;
        let mut fields = Fields {
            writer: &mut writer,
            is_json: self.is_json,
            result: Ok(()),
        };
        event.record(&mut fields);
        fields.result?;
        writer.write_str(end)
    }
}

/// Writes the fields of a line.
struct Fields<'a, 'w> {
    writer: &'a mut Writer<'w>,
    is_json: bool,
    result: fmt::Result,
}

impl Fields<'_, '_> {
    fn field(&mut self, field: &Field, value: impl FnOnce(&mut Self) -> fmt::Result) {
        if self.result.is_ok() {
            self.result = self.name(field.name()).and_then(|()| value(self));
        }
    }

    fn name(&mut self, name: &str) -> fmt::Result {
        let (before, after) = if self.is_json { (",\"", "\":") } else { (" ", "=") };
        self.writer.write_str(before)?;
        self.writer.write_str(name)?;
        self.writer.write_str(after)
    }

    fn quoted(&mut self, text: &str) -> fmt::Result {
        let is_plain = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
        if text.bytes().all(is_plain) {
            self.writer.write_char('"')?;
            self.writer.write_str(text)?;
            self.writer.write_char('"')
        } else if self.is_json {
            write!(self.writer, "{}", serde_json::Value::from(text))
        } else {
            write!(self.writer, "{text:?}")
        }
    }
}

impl Visit for Fields<'_, '_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.field(field, |fields| fields.quoted(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.field(field, |fields| write!(fields.writer, "{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.field(field, |fields| {
            if fields.is_json {
                fields.quoted(&format!("{value:?}"))
            } else {
                write!(fields.writer, "{value:?}")
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use tracing::Dispatch;
    use tracing_subscriber::fmt::format::Format;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What a log looks like, less the digits of its times.
    fn log(start: impl FnOnce(Lines) -> Dispatch) -> String {
        let lines = Lines::default();
        tracing::dispatcher::with_default(&start(lines.clone()), || {
            let (error, none) = (Some("a \"b\"\n\\ü\u{1b}"), None::<u64>);
            let (method, status, path) = ("POST", 200_u16, "/v1/chat");
            tracing::info!(target: REQUESTS, %method, path, status, error, none);
            tracing::warn!(path, "something else");
        });
        let log = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        log.lines()
            .map(|line| line.split_at(45))
            .map(|(time, line)| time.replace(|letter: char| letter.is_ascii_digit(), "0") + line)
            .collect()
    }

    #[test]
    fn they_look_like_all_others() {
        let builder = |lines: Lines| {
            tracing_subscriber::fmt()
                .with_ansi(false)
                .with_writer(move || lines.clone())
        };
        let text = || Format::default().with_target(false);
        assert_eq!(
            log(|lines| builder(lines).event_format(RequestLine::text(text())).finish().into()),
            log(|lines| builder(lines).event_format(text()).finish().into())
        );
        let json = || Format::default().json().flatten_event(true);
        assert_eq!(
            log(|lines| builder(lines)
                .json()
                .event_format(RequestLine::json(json()))
                .finish()
                .into()),
            log(|lines| builder(lines).json().event_format(json()).finish().into())
        );
    }
}
