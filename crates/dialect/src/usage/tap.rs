//! Finds the usage objects in replies that pass by, without holding or parsing the replies.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::nesting::Nesting;
use super::pictures::Pictures;
use super::{Usage, report::Report};

/// The beginning of the key that is looked for: `"usage"`, or Gemini's `"usageMetadata"`. A quote inside a JSON string is
/// always escaped, so these bytes can only be a key.
const USAGE: Key = Key {
    beginning: b"\"usage",
    ends: &[b"\"", b"Metadata\"", b"_metadata\""],
};

/// Cohere's embeddings and rankings tell their usage here.
const META: Key = Key {
    beginning: b"\"meta",
    ends: &[b"\""],
};

/// Transcriptions say how much was heard.
const DURATION: &[u8] = b"\"duration\":";

/// Built once: for a small reply that takes longer than the search itself.
static USAGE_FINDER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(USAGE.beginning));
static META_FINDER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(META.beginning));
static DURATION_FINDER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(DURATION));

/// The longest member that is read, from its key to its last brace.
const MAX_MEMBER: usize = 4 * 1024;

/// What an answer consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// Text, above all.
    Text,
    /// Pictures that were made.
    Pictures,
    /// What was heard in a piece of sound.
    Transcript,
    /// Something else: vectors, rankings.
    Data,
}

/// Watches a reply for the usage objects in it, in chunks of any size.
///
/// The members of a caller's schema or of a call's arguments may be called like a usage. So only those count that stand where
/// providers have theirs (`nesting.rs`), and of those in one event, or in a body that is no stream, only the last. In a stream, a
/// later event completes the earlier ones.
///
/// It copies only what may be a usage object that has not ended.
#[derive(Debug)]
pub struct UsageTap {
    usage: Search,
    meta: Option<Search>,
    pictures: Option<Box<Pictures>>,
    /// Seconds, of a transcript.
    duration: Option<Duration>,
}

impl UsageTap {
    /// For a stream of events.
    pub fn events(body: Body) -> Self {
        Self {
            usage: Search::new(&USAGE, &USAGE_FINDER, true),
            meta: None,
            pictures: (body == Body::Pictures).then(|| Box::new(Pictures::events())),
            duration: None,
        }
    }

    /// For a body that is one JSON text.
    pub fn json(body: Body) -> Self {
        Self {
            usage: Search::new(&USAGE, &USAGE_FINDER, false),
            meta: Some(Search::new(&META, &META_FINDER, false)),
            pictures: (body == Body::Pictures).then(Box::default),
            duration: (body == Body::Transcript).then(Duration::default),
        }
    }

    /// Looks at the next chunk. Returns whether it told how long the answer is.
    pub fn push(&mut self, chunk: &[u8]) -> bool {
        if let Some(pictures) = &mut self.pictures {
            pictures.push(chunk);
        }
        if let Some(duration) = &mut self.duration {
            duration.push(chunk);
        }
        let told = self.usage.push(chunk);
        // Nobody asks any more what stands in its place.
        let meta = self.meta.as_mut().filter(|_| self.usage.line.is_none());
        told || meta.is_some_and(|meta| meta.push(chunk))
    }

    /// What was told so far.
    pub fn usage(&self) -> Option<Usage> {
        let told = self.usage.told();
        let report = told.or_else(|| self.meta.as_ref().and_then(Search::told));
        let mut usage = report.map(|report| Usage::from(&report.counts()));
        let images = self.pictures.as_ref().map_or(0, |pictures| pictures.count());
        if images > 0 {
            usage.get_or_insert_default().images = images;
        }
        let seconds = self.duration.as_ref().and_then(Duration::seconds);
        if let Some(seconds) = seconds {
            let heard = &mut usage.get_or_insert_default().seconds;
            *heard = seconds.max(*heard);
        }
        usage
    }
}

/// What a body tells that is one JSON text and all there: the same as [`UsageTap::json`] finds under its first key. `None` when
/// that is nothing, stands elsewhere, or leaves out how long a text is.
pub fn told_by(body: Body, text: &[u8]) -> Option<Usage> {
    let mut search = Search::new(&USAGE, &USAGE_FINDER, false);
    search.push(text);
    let told = search.told();
    let told = told.filter(|report| body == Body::Data || report.states_output());
    told.map(|report| Usage::from(&report.counts()))
}

/// A key by its beginning, which is searched for, and what may follow that.
#[derive(Debug)]
struct Key {
    beginning: &'static [u8],
    ends: &'static [&'static [u8]],
}

/// The search for one key.
#[derive(Debug)]
struct Search {
    key: &'static Key,
    finder: &'static Finder<'static>,
    /// What is on one line is one event.
    lines: bool,
    /// What may be the beginning of a member: a part of the key, or the key and what follows it.
    held: Vec<u8>,
    /// What is open where that begins: of the present line, or of all.
    nesting: Nesting,
    /// What the lines told that have ended.
    ended: Option<Report>,
    /// The last that the present line told.
    line: Option<Report>,
}

impl Search {
    fn new(key: &'static Key, finder: &'static Finder<'static>, lines: bool) -> Self {
        Self {
            key,
            finder,
            lines,
            held: Vec::new(),
            nesting: Nesting::default(),
            ended: None,
            line: None,
        }
    }

    /// Returns whether it was told how long the answer is.
    fn push(&mut self, chunk: &[u8]) -> bool {
        if self.held.is_empty() {
            return self.search(chunk);
        }
        let mut window = std::mem::take(&mut self.held);
        window.extend_from_slice(chunk);
        self.search(&window)
    }

    fn told(&self) -> Option<Report> {
        let mut told = self.ended;
        if let Some(line) = &self.line {
            told.get_or_insert_default().merge(line);
        }
        told
    }

    fn search(&mut self, mut window: &[u8]) -> bool {
        let mut told = false;
        while let Some(start) = self.finder.find(window) {
            let (before, member) = window.split_at(start);
            self.pass(before);
            let passed = match self.key.value_in(member) {
                Value::Report(report, length) => {
                    if self.nesting.is_place_of_usage() && !report.is_empty() {
                        self.line = Some(report);
                        told |= report.states_output();
                    }
                    // All that is opened in it is closed in it.
                    length
                }
                Value::Unfinished if member.len() <= MAX_MEMBER => {
                    self.held = member.to_vec();
                    return told;
                }
                Value::Unfinished | Value::Other => {
                    self.nesting.read(self.key.beginning);
                    self.key.beginning.len()
                }
            };
            window = member.get(passed..).unwrap_or_default();
        }
        let held = beginning_at_end(self.key.beginning, window);
        self.pass(window.get(..window.len() - held.len()).unwrap_or_default());
        self.held = held.to_vec();
        told
    }

    /// Notes where lines end, and what is open.
    fn pass(&mut self, mut bytes: &[u8]) {
        if self.lines
            && let Some(end) = memchr::memrchr2(b'\n', b'\r', bytes)
        {
            if let Some(line) = self.line.take() {
                self.ended.get_or_insert_default().merge(&line);
            }
            self.nesting = Nesting::default();
            bytes = bytes.get(end + 1..).unwrap_or_default();
        }
        self.nesting.read(bytes);
    }
}

#[expect(clippy::large_enum_variant, reason = "it is taken apart where it is returned")]
enum Value {
    /// An object, and where it ends, from the beginning of its key.
    Report(Report, usize),
    Other,
    /// The window ends before this can be told.
    Unfinished,
}

impl Key {
    /// What the member is whose key begins here.
    fn value_in(&self, member: &[u8]) -> Value {
        let after_beginning = member.get(self.beginning.len()..).unwrap_or_default();
        let Some(after_key) = self.ends.iter().find_map(|end| after_beginning.strip_prefix(*end)) else {
            let may_go_on = self.ends.iter().any(|end| end.starts_with(after_beginning));
            return if may_go_on { Value::Unfinished } else { Value::Other };
        };
        let mut rest = after_key.trim_ascii_start();
        match rest.split_first() {
            None => return Value::Unfinished,
            Some((b':', after_colon)) => rest = after_colon.trim_ascii_start(),
            Some(_) => return Value::Other,
        }
        match rest.first() {
            None => return Value::Unfinished,
            Some(b'{') => {}
            Some(_) => return Value::Other,
        }
        match Report::read(rest) {
            Ok((report, length)) => {
                let length = member.len() - rest.len() + length;
                if length > MAX_MEMBER {
                    return Value::Other;
                }
                Value::Report(report, length)
            }
            Err(_) if is_open(rest) => Value::Unfinished,
            Err(_) => Value::Other,
        }
    }
}

/// The longest tail of a window that may be the beginning of a key. Keys begin with a quote.
fn beginning_at_end<'a>(key: &[u8], window: &'a [u8]) -> &'a [u8] {
    let shortest = window.len().saturating_sub(key.len().saturating_sub(1));
    let last = window.get(shortest..).unwrap_or_default();
    let tails = last.iter().enumerate().filter(|(_, byte)| **byte == b'"');
    tails
        .filter_map(|(at, _)| last.get(at..))
        .find(|tail| key.starts_with(tail))
        .unwrap_or_default()
}

/// The search for how much was heard: the first number of that name.
#[derive(Debug, Default)]
struct Duration {
    /// What may be the beginning of the member.
    held: Vec<u8>,
    /// What follows the name, once that was found.
    value: Option<Vec<u8>>,
}

impl Duration {
    /// The longest number that is read.
    const LONGEST: usize = 32;

    fn push(&mut self, chunk: &[u8]) {
        let mut found = chunk;
        if self.value.is_none() {
            let mut window = std::mem::take(&mut self.held);
            window.extend_from_slice(chunk);
            let Some(start) = DURATION_FINDER.find(&window) else {
                self.held = beginning_at_end(DURATION, &window).to_vec();
                return;
            };
            self.value = window
                .get(start + DURATION.len()..)
                .map(|rest| first(rest, Self::LONGEST).to_vec());
            found = &[];
        }
        if let Some(value) = &mut self.value {
            value.extend_from_slice(first(found, Self::LONGEST.saturating_sub(value.len())));
        }
    }

    /// Whole seconds, the last one rounded up as it is billed.
    fn seconds(&self) -> Option<u64> {
        let text = std::str::from_utf8(self.value.as_deref()?).ok()?;
        let text = text.trim_start().trim_start_matches('"');
        let end = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let seconds: f64 = text.get(..end)?.parse().ok()?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it has digits alone, and is bounded on the same line"
        )]
        let whole = seconds.ceil().min(1e9) as u64;
        Some(whole)
    }
}

fn first(bytes: &[u8], count: usize) -> &[u8] {
    bytes.get(..count).unwrap_or(bytes)
}

/// Whether the object at the start of `bytes` does not end in them.
fn is_open(bytes: &[u8]) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in bytes.iter().take(MAX_MEMBER) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' if !in_string => depth += 1,
            b'}' if !in_string => {
                depth -= 1;
                if depth == 0 {
                    return false;
                }
            }
            _ => {}
        }
    }
    true
}
