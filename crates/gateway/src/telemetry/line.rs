//! The lines of the request log, which look like all others and take a tenth of the time.

use std::time::Duration;

use super::REQUESTS;

/// The length of most lines.
const USUAL: usize = 512;

/// The capacity that is kept for the next line.
const MOST_KEPT: usize = 16 * 1024;

/// What the log tells of a request.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the fields are those of the line")]
pub struct RequestLine<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub status: u16,
    pub asked: &'a str,
    pub model: &'a str,
    pub client: &'a str,
    pub attempts: u32,
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub estimated: bool,
    pub milliseconds: u64,
    pub lost: Option<&'a str>,
    pub continued: Option<&'a str>,
    pub from_cache: bool,
    pub error: Option<&'a str>,
    pub id: &'a str,
}

impl RequestLine<'_> {
    /// Has it written as all other lines are, with the same fields in the same order as [`RequestLine::write`].
    pub(super) fn tell(&self) {
        tracing::info!(
            target: REQUESTS,
            method = %self.method,
            path = self.path,
            status = self.status,
            asked = self.asked,
            model = self.model,
            client = self.client,
            attempts = self.attempts,
            input_tokens = self.input_tokens,
            output_tokens = self.output_tokens,
            estimated = self.estimated.then_some(true),
            milliseconds = self.milliseconds,
            lost = self.lost,
            continued = self.continued,
            from_cache = self.from_cache.then_some(true),
            error = self.error,
            id = self.id,
        );
    }

    /// Writes it in place of what `line` holds. `now` is the time since 1970.
    pub(super) fn write(&self, line: &mut Line, now: Duration, is_json: bool) {
        line.begin(now, is_json);
        if is_json {
            self.fields::<true>(line);
        } else {
            self.fields::<false>(line);
        }
    }

    /// Each name as it is in text and in JSON, with what stands around it: constants are stored without a call.
    fn fields<const JSON: bool>(&self, line: &mut Line) {
        let name = |line: &mut Line, in_text: &'static str, in_json: &'static str| {
            line.text
                .extend_from_slice(if JSON { in_json } else { in_text }.as_bytes());
        };
        name(line, "Z  INFO method=", "Z\",\"level\":\"INFO\",\"method\":\"");
        if JSON {
            line.string(self.method);
        } else {
            line.text.extend_from_slice(self.method.as_bytes());
        }
        name(line, " path=\"", ",\"path\":\"");
        line.string(self.path);
        name(line, " status=", ",\"status\":");
        line.number(self.status.into());
        name(line, " asked=\"", ",\"asked\":\"");
        line.string(self.asked);
        name(line, " model=\"", ",\"model\":\"");
        line.string(self.model);
        name(line, " client=\"", ",\"client\":\"");
        line.string(self.client);
        name(line, " attempts=", ",\"attempts\":");
        line.number(self.attempts.into());
        name(line, " input_tokens=", ",\"input_tokens\":");
        line.number(self.input_tokens);
        name(line, " output_tokens=", ",\"output_tokens\":");
        line.number(self.output_tokens);
        if self.estimated {
            name(line, " estimated=true", ",\"estimated\":true");
        }
        name(line, " milliseconds=", ",\"milliseconds\":");
        line.number(self.milliseconds);
        if let Some(lost) = self.lost {
            name(line, " lost=\"", ",\"lost\":\"");
            line.string(lost);
        }
        if let Some(continued) = self.continued {
            name(line, " continued=\"", ",\"continued\":\"");
            line.string(continued);
        }
        if self.from_cache {
            name(line, " from_cache=true", ",\"from_cache\":true");
        }
        if let Some(error) = self.error {
            name(line, " error=\"", ",\"error\":\"");
            line.string(error);
        }
        name(line, " id=\"", ",\"id\":\"");
        line.string(self.id);
        name(line, "\n", ",\"target\":\"mynah::requests\"}\n");
    }
}

/// A line, and the memory for the next.
#[derive(Debug)]
pub(super) struct Line {
    text: Vec<u8>,
    is_json: bool,
    /// The second of the time at the beginning, which most lines share with the one before.
    second: Option<u64>,
    /// Where that ends.
    beginning: usize,
}

impl Line {
    /// A line that has not begun.
    pub(super) const fn new() -> Self {
        Self {
            text: Vec::new(),
            is_json: false,
            second: None,
            beginning: 0,
        }
    }

    /// The line.
    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }

    fn begin(&mut self, now: Duration, is_json: bool) {
        if self.second != Some(now.as_secs()) || self.is_json != is_json || self.text.capacity() > MOST_KEPT {
            (self.second, self.is_json) = (Some(now.as_secs()), is_json);
            self.begin_anew();
        }
        self.text.truncate(self.beginning);
        self.digits(now.subsec_micros().into(), 6);
    }

    #[cold]
    fn begin_anew(&mut self) {
        let second = self.second.and_then(|second| i64::try_from(second).ok());
        let second = jiff::Timestamp::from_second(second.unwrap_or_default()).unwrap_or_default();
        let before = if self.is_json { "{\"timestamp\":\"" } else { "" };
        self.text = Vec::with_capacity(USUAL);
        self.text.extend_from_slice(before.as_bytes());
        let second = second.strftime("%Y-%m-%dT%H:%M:%S.").to_string();
        self.text.extend_from_slice(second.as_bytes());
        self.beginning = self.text.len();
    }

    /// Appends a text and the quote after it; the one before it is there already.
    fn string(&mut self, text: &str) {
        let is_plain = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
        // All of them are looked at, which many can be at a time.
        if text.bytes().fold(true, |plain, byte| plain & is_plain(byte)) {
            self.text.extend_from_slice(text.as_bytes());
            self.text.push(b'"');
        } else {
            self.escaped(text);
        }
    }

    #[cold]
    fn escaped(&mut self, text: &str) {
        let quoted = if self.is_json {
            serde_json::Value::from(text).to_string()
        } else {
            format!("{text:?}")
        };
        self.text.extend(quoted.bytes().skip(1));
    }

    fn number(&mut self, number: u64) {
        self.digits(number, 1);
    }

    /// Appends at least so many digits. Formatting macros would take several times as long.
    fn digits(&mut self, mut number: u64, least: usize) {
        let mut digits = [b'0'; 20];
        let mut count = 0;
        for digit in digits.iter_mut().rev() {
            if number == 0 && count >= least {
                break;
            }
            *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
            number /= 10;
            count += 1;
        }
        let (_, digits) = digits.split_at(digits.len() - count);
        self.text.extend_from_slice(digits);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use tracing::Dispatch;
    use tracing_subscriber::fmt::format::Format;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    const REQUEST: RequestLine<'_> = RequestLine {
        method: "POST",
        path: "/v1/chat/completions",
        status: 200,
        asked: "smart",
        model: "up/m",
        client: "a",
        attempts: 1,
        input_tokens: 1_204_567,
        output_tokens: 0,
        estimated: false,
        milliseconds: 12,
        lost: None,
        continued: None,
        from_cache: false,
        error: None,
        id: "0123456789abcdef0123456789abcdef",
    };

    const ODD: RequestLine<'_> = RequestLine {
        asked: "a \"b\"\n\\ü\u{1b}",
        model: "",
        input_tokens: u64::MAX,
        estimated: true,
        lost: Some("seed"),
        continued: Some("up/n, up/o"),
        from_cache: true,
        error: Some("upstream_broken"),
        ..REQUEST
    };

    /// What a log looks like whose lines others write, less the digits of its times.
    fn told(start: impl FnOnce(Lines) -> Dispatch) -> String {
        let lines = Lines::default();
        tracing::dispatcher::with_default(&start(lines.clone()), || {
            REQUEST.tell();
            ODD.tell();
        });
        let log = lines.0.lock().unwrap().clone();
        log.split_inclusive(|byte| *byte == b'\n').map(timeless).collect()
    }

    /// The same of one that is written here.
    fn written(is_json: bool) -> String {
        let (mut line, now) = (Line::new(), Duration::from_micros(1_700_000_000_000_042));
        let mut log = String::new();
        for (request, later) in [(REQUEST, 0), (ODD, 1)] {
            request.write(&mut line, now + Duration::from_millis(later), is_json);
            log += &timeless(line.text());
        }
        log
    }

    fn timeless(line: &[u8]) -> String {
        let line = std::str::from_utf8(line).unwrap();
        let (time, line) = line.split_at(45);
        time.replace(|letter: char| letter.is_ascii_digit(), "0") + line
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
            written(false),
            told(|lines| builder(lines).event_format(text()).finish().into())
        );
        let json = || Format::default().json().flatten_event(true);
        assert_eq!(
            written(true),
            told(|lines| builder(lines).json().event_format(json()).finish().into())
        );
    }

    #[test]
    fn they_tell_the_time() {
        let mut line = Line::new();
        let mut begins_with = |microseconds, time: &str| {
            REQUEST.write(&mut line, Duration::from_micros(microseconds), false);
            let text = std::str::from_utf8(line.text()).unwrap();
            assert!(text.starts_with(time) && text.ends_with("def\"\n"), "{text}");
        };
        begins_with(
            1_700_000_000_000_042,
            "2023-11-14T22:13:20.000042Z  INFO method=POST path=",
        );
        begins_with(
            1_700_000_000_999_999,
            "2023-11-14T22:13:20.999999Z  INFO method=POST path=",
        );
        begins_with(
            1_700_000_001_000_000,
            "2023-11-14T22:13:21.000000Z  INFO method=POST path=",
        );
    }
}
