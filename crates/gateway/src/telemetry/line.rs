//! The lines of the request log, which look like all others and take a tenth of the time.

use std::cell::RefCell;
use std::fmt::{self, Debug, Write as _};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::REQUESTS;

/// The length of most lines.
const USUAL: usize = 512;

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
        // In one piece, as the writer takes longer to be called than most pieces take to be written.
        let mut line = String::with_capacity(USUAL);
        line.push_str(begin);
        push_time(&mut line);
        line.push_str(middle);
        let mut fields = Fields {
            line: &mut line,
            is_json: self.is_json,
            result: Ok(()),
        };
        event.record(&mut fields);
        fields.result?;
        line.push_str(end);
        writer.write_str(&line)
    }
}

thread_local! {
    /// The second that was written last, and how it is written.
    static SECOND: RefCell<(i64, String)> = const { RefCell::new((i64::MIN, String::new())) };
}

/// Appends the time of day, of which all but the fraction of a second is formatted once in a second.
fn push_time(line: &mut String) {
    let now = jiff::Timestamp::now();
    SECOND.with_borrow_mut(|(second, text)| {
        if *second != now.as_second() {
            *second = now.as_second();
            *text = now.strftime("%Y-%m-%dT%H:%M:%S").to_string();
        }
        line.push_str(text);
    });
    line.push('.');
    let microseconds = now.subsec_microsecond().unsigned_abs();
    for unit in [100_000, 10_000, 1000, 100, 10, 1] {
        push_digit(line, u64::from(microseconds / unit));
    }
    line.push('Z');
}

/// Appends a number. Formatting macros would take several times as long.
fn push_number(line: &mut String, number: u64) {
    if number >= 10 {
        push_number(line, number / 10);
    }
    push_digit(line, number);
}

/// Appends the last digit of a number.
fn push_digit(line: &mut String, number: u64) {
    line.extend(char::from_digit(u32::try_from(number % 10).unwrap_or(0), 10));
}

/// Writes the fields of a line.
struct Fields<'a> {
    line: &'a mut String,
    is_json: bool,
    result: fmt::Result,
}

impl Fields<'_> {
    fn name(&mut self, name: &str) {
        // Each way in full, as constants are stored where they belong without a call.
        if self.is_json {
            self.line.push_str(",\"");
            self.line.push_str(name);
            self.line.push_str("\":");
        } else {
            self.line.push(' ');
            self.line.push_str(name);
            self.line.push('=');
        }
    }

    fn quoted(&mut self, text: &str) -> fmt::Result {
        let is_plain = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
        // All of them are looked at, which many can be at a time.
        if text.bytes().fold(true, |plain, byte| plain & is_plain(byte)) {
            self.line.push('"');
            self.line.push_str(text);
            self.line.push('"');
            Ok(())
        } else if self.is_json {
            write!(self.line, "{}", serde_json::Value::from(text))
        } else {
            write!(self.line, "{text:?}")
        }
    }
}

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.name(field.name());
        self.result = self.result.and_then(|()| self.quoted(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.name(field.name());
        push_number(self.line, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.name(field.name());
        self.result = self.result.and_then(|()| {
            if self.is_json {
                self.quoted(&format!("{value:?}"))
            } else {
                write!(self.line, "{value:?}")
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
