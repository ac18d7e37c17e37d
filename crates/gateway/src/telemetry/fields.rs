//! The message and the fields of a line in text, in which no control character stays as it is: a line break would begin a
//! line of its own, and an escape tells the terminal what to do.

use std::fmt::{self, Debug, Write};

use tracing::field::{Field, Visit};
use tracing_subscriber::field::{RecordFields, VisitOutput as _};
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::{DefaultVisitor, Writer};

/// Writes fields as they are written otherwise, with what is said above.
#[derive(Debug)]
pub(super) struct PlainFields;

impl<'writer> FormatFields<'writer> for PlainFields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut visitor = Guarded(DefaultVisitor::new(writer, true));
        fields.record(&mut visitor);
        visitor.0.finish()
    }
}

struct Guarded<'writer>(DefaultVisitor<'writer>);

impl Visit for Guarded<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.record_debug(field, &Plain(value));
    }
}

/// A value whose control characters are escaped.
struct Plain<'a>(&'a dyn Debug);

impl Debug for Plain<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaping(formatter), "{:?}", self.0)
    }
}

struct Escaping<'a, 'f>(&'a mut fmt::Formatter<'f>);

impl Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut pieces = text.split_inclusive(char::is_control);
        pieces.try_for_each(|piece| match piece.char_indices().next_back() {
            Some((at, last)) if last.is_control() => {
                write!(self.0, "{}{}", &piece[..at], last.escape_debug())
            }
            _ => self.0.write_str(piece),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

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

    /// What a log with these events looks like.
    fn told(events: impl FnOnce(), fields: impl for<'writer> FormatFields<'writer> + Send + Sync + 'static) -> String {
        let lines = Lines::default();
        let output = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .event_format(Format::default().with_target(false).without_time())
            .fmt_fields(fields)
            .with_writer(move || output.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, events);
        let log = lines.0.lock().unwrap().clone();
        String::from_utf8(log).unwrap()
    }

    #[test]
    fn control_characters_are_escaped_wherever_they_are() {
        let text = "a\nb\r\u{1b}[2J\u{9b}\u{7}ü";
        let events = || {
            tracing::info!(shown = %text, quoted = text, "{text}");
            tracing::info!(error = %io::Error::other(text), list = ?[text]);
        };
        let plain = r"a\nb\r\u{1b}[2J\u{9b}\u{7}ü";
        assert_eq!(
            told(events, PlainFields),
            format!(" INFO {plain} shown={plain} quoted=\"{plain}\"\n INFO error={plain} list=[\"{plain}\"]\n")
        );
    }

    #[test]
    fn everything_else_stays_as_it_is() {
        let events = || {
            tracing::warn!(
                number = 3,
                missing = None::<u64>,
                text = "a \"b\" \\ü",
                flag = true,
                "refused"
            );
            tracing::info!(float = 0.5, shown = %"a b", pair = ?("a", 1));
        };
        let usual = told(events, tracing_subscriber::fmt::format::DefaultFields::new());
        assert_eq!(told(events, PlainFields), usual);
    }
}
