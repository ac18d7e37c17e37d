//! A reply in the caller's own dialect: bytes out are bytes in.
//!
//! One exception is what the gateway itself caused: when it asked for a usage event that the caller did not ask
//! for, that event is withheld again. The other is an end that is missing, where the operator says that it may be.
//! Reading along cannot fail and cannot alter anything.
//!
//! Events are passed on whole: half an event is of no use to a reader, and when the sender breaks off in the middle of
//! one, the reader must not take that half for an event.

use bytes::{Buf as _, Bytes, BytesMut};
use memchr::memmem;

use crate::frame::{Frame, Splitter};
use crate::gauge::{Gauge, Seen};
use crate::ir::Class;
use crate::stream_error::error_among;
use crate::usage::Body;

/// A partial event larger than this is passed on rather than held.
const MAX_HELD: usize = 64 * 1024;

/// Passes a reply on, and reads along if somebody wants to know what it used.
#[derive(Debug, Default)]
pub struct Relay {
    gauge: Option<Box<Gauge>>,
    events: Option<Events>,
    /// The error in which a stream of events has ended, until somebody asks.
    failure: Option<Class>,
    /// Sees to the last event of a stream that may lack it.
    closing: Option<Closing>,
}

impl Relay {
    /// A relay for a body that is not a stream of events.
    pub fn bytes() -> Self {
        Self::default()
    }

    /// A relay for a stream of events.
    pub fn events() -> Self {
        Self {
            events: Some(Events::default()),
            ..Self::default()
        }
    }

    /// A relay for a stream of events that leaves out the event that carries only the usage.
    pub fn events_without_usage() -> Self {
        Self {
            events: Some(Events {
                withholds_usage: true,
                ..Events::default()
            }),
            ..Self::default()
        }
    }

    /// The same relay, which ends the stream with `data: [DONE]` where the sender has left that out.
    #[must_use]
    pub fn ending_with_done(self) -> Self {
        Self {
            closing: Some(Closing::default()),
            ..self
        }
    }

    /// The same relay, which reads along in a reply of this kind.
    #[must_use]
    pub fn metered(self, body: Body) -> Self {
        let gauge = match self.events {
            Some(_) => Gauge::events(body),
            None => Gauge::json(body),
        };
        Self {
            gauge: Some(Box::new(gauge)),
            ..self
        }
    }

    /// Takes a chunk and returns what can be sent on now (which may be nothing).
    pub fn push(&mut self, chunk: Bytes) -> Bytes {
        let told = self.gauge.as_mut().is_some_and(|gauge| gauge.read(&chunk));
        let passed = match &mut self.events {
            Some(events) => events.push(chunk),
            None => chunk,
        };
        if self.events.is_some()
            && let Some(status) = error_among(&passed)
        {
            self.failure = Some(Class::of_status(status));
        }
        if let Some(gauge) = &mut self.gauge {
            gauge.count(&passed, told);
        }
        if let Some(closing) = &mut self.closing {
            closing.note(&passed);
        }
        passed
    }

    /// What is left at the end of the stream.
    pub fn finish(&mut self) -> Bytes {
        let rest = self.events.as_mut().map(Events::rest).unwrap_or_default();
        match self.closing.take() {
            Some(closing) => closing.close(rest),
            None => rest,
        }
    }

    /// What kind of error was passed on, if one was and it was not asked for before.
    pub fn take_failure(&mut self) -> Option<Class> {
        self.failure.take()
    }

    /// Whether something is held back.
    pub fn holds(&self) -> bool {
        self.closing.is_some() || self.events.as_ref().is_some_and(|events| events.splitter.held() > 0)
    }

    /// Whether everything that was passed on ends with a whole event.
    pub fn is_between_events(&self) -> bool {
        self.events.as_ref().is_some_and(|events| !events.passing)
    }

    /// What the reply used so far, as far as that was to be read.
    pub fn seen(&self) -> Seen {
        self.gauge.as_ref().map(|gauge| gauge.seen()).unwrap_or_default()
    }
}

/// Holds back an event until it is whole, and drops it when it is the usage event.
#[derive(Debug, Default)]
struct Events {
    withholds_usage: bool,
    /// The event that has begun and not ended.
    splitter: Splitter,
    /// The event that has begun is already being passed on, because it is too long to be held.
    passing: bool,
    /// The last event was dropped and ended in CR: an LF that follows is the rest of its line end.
    half_dropped: bool,
}

impl Events {
    fn push(&mut self, chunk: Bytes) -> Bytes {
        // By far the most chunks: whole events without usage, with nothing held before them.
        let at_start = self.splitter.held() == 0 && !self.passing && !self.half_dropped;
        if at_start && ends_an_event(&chunk) && !(self.withholds_usage && may_hold_usage(&chunk)) {
            return chunk;
        }
        let mut out = BytesMut::with_capacity(self.splitter.held() + chunk.len());
        if self.splitter.push(&chunk).is_err() {
            out.extend_from_slice(&self.splitter.take_rest());
            out.extend_from_slice(&chunk);
            return out.freeze();
        }
        while let Some(event) = self.splitter.next_block() {
            let event = self.without_dropped_half(event);
            if self.passing || !self.withholds_usage || !is_usage_event(&event) {
                out.extend_from_slice(&event);
            } else {
                if event.starts_with(b"\n") {
                    // The rest of the line end before, from which a chunk boundary had parted it.
                    out.extend_from_slice(b"\n");
                }
                self.half_dropped = event.ends_with(b"\r");
            }
            self.passing = false;
        }
        if self.splitter.held() > 0 && (self.passing || self.splitter.held() > MAX_HELD) {
            self.passing = true;
            out.extend_from_slice(&self.rest());
        }
        out.freeze()
    }

    fn rest(&mut self) -> Bytes {
        let rest = self.splitter.take_rest();
        self.without_dropped_half(rest)
    }

    fn without_dropped_half(&mut self, mut bytes: Bytes) -> Bytes {
        if std::mem::take(&mut self.half_dropped) && bytes.starts_with(b"\n") {
            bytes.advance(1);
        }
        bytes
    }
}

/// The last event of OpenAI's streams.
const DONE: &[u8] = b"data: [DONE]\n\n";

/// Remembers the end of what was passed on.
#[derive(Debug, Default)]
struct Closing {
    /// The last bytes that were no line ends: of an event as it may be written, enough.
    tail: Vec<u8>,
}

impl Closing {
    fn note(&mut self, passed: &[u8]) {
        let passed = passed.trim_ascii_end();
        let (_, last) = passed.split_at(passed.len().saturating_sub(DONE.len()));
        self.tail.extend_from_slice(last);
        self.tail.drain(..self.tail.len().saturating_sub(DONE.len()));
    }

    /// What is left to be sent, with the end if it is missing.
    fn close(mut self, rest: Bytes) -> Bytes {
        self.note(&rest);
        if self.tail.ends_with(b"[DONE]") {
            return rest;
        }
        let gap: &[u8] = if rest.is_empty() { b"" } else { b"\n\n" };
        [&rest, gap, DONE].concat().into()
    }
}

fn ends_an_event(chunk: &[u8]) -> bool {
    chunk.ends_with(b"\n\n") || chunk.ends_with(b"\r\n\r\n")
}

/// Whether a chunk names a usage that is not null.
fn may_hold_usage(chunk: &[u8]) -> bool {
    memmem::find_iter(chunk, b"\"usage\"").any(|at| {
        let value = chunk[at + 7..]
            .trim_ascii_start()
            .strip_prefix(b":")
            .unwrap_or_default()
            .trim_ascii_start();
        !value.starts_with(b"null")
    })
}

/// The event that OpenAI appends for `include_usage`: no choices, and a usage object.
fn is_usage_event(event: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct Chunk<'a> {
        #[serde(borrow)]
        choices: Vec<&'a serde_json::value::RawValue>,
        #[serde(borrow)]
        usage: Option<&'a serde_json::value::RawValue>,
    }
    if !may_hold_usage(event) {
        return false;
    }
    let Some(data) = Frame::parse(event).data else {
        return false;
    };
    serde_json::from_slice::<Chunk<'_>>(&data).is_ok_and(|chunk| chunk.choices.is_empty() && chunk.usage.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::Usage;
    use proptest::prelude::*;

    const CONTENT: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"h\u{e9}\"}}],\"usage\":null}\n\n";
    const FINISH: &str =
        "data: {\"choices\":[{\"finish_reason\":\"stop\",\"delta\":{}}],\"usage\":{\"prompt_tokens\":3}}\n\n";
    const USAGE: &str =
        "data: {\"id\":\"c\",\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":1}}\n\n";
    const DONE: &str = "data: [DONE]\n\n";

    fn relayed(relay: Relay, chunks: &[&[u8]]) -> (Vec<u8>, Option<Usage>) {
        let (mut relay, mut out) = (relay.metered(Body::Text), Vec::new());
        for chunk in chunks {
            out.extend_from_slice(&relay.push(Bytes::copy_from_slice(chunk)));
        }
        out.extend_from_slice(&relay.finish());
        (out, relay.seen().told)
    }

    fn chunked(bytes: &[u8], mut cuts: Vec<usize>) -> Vec<&[u8]> {
        cuts.retain(|&cut| cut < bytes.len());
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
    }

    #[test]
    fn only_the_usage_event_is_withheld() {
        let stream = [CONTENT, ": ping\n\n", FINISH, USAGE, DONE].concat();
        let (out, usage) = relayed(Relay::events_without_usage(), &[stream.as_bytes()]);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            [CONTENT, ": ping\n\n", FINISH, DONE].concat()
        );
        assert_eq!(
            usage,
            Some(Usage {
                input: 3,
                output: 1,
                ..Usage::default()
            })
        );
    }

    #[test]
    fn crlf_streams_too() {
        let stream = [CONTENT, USAGE, DONE].concat().replace('\n', "\r\n");
        let (out, _) = relayed(Relay::events_without_usage(), &[stream.as_bytes()]);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            [CONTENT, DONE].concat().replace('\n', "\r\n")
        );
    }

    #[test]
    fn a_first_event_without_choices_is_kept() {
        let azure = "data: {\"choices\":[],\"prompt_filter_results\":[]}\n\n";
        let (out, _) = relayed(Relay::events_without_usage(), &[azure.as_bytes()]);
        assert_eq!(out, azure.as_bytes());
    }

    #[test]
    fn an_event_is_passed_on_when_it_is_whole() {
        let mut relay = Relay::events();
        let (begin, end) = CONTENT.split_at(20);
        assert_eq!(relay.push(Bytes::from([DONE, begin].concat())), DONE);
        assert!(relay.holds() && relay.is_between_events());
        assert_eq!(relay.push(Bytes::from(end)), CONTENT);
        assert!(!relay.holds());
    }

    #[test]
    fn an_end_that_is_missing_is_added_and_one_that_is_there_is_not() {
        let ended = |chunks: &[&str]| {
            let chunks: Vec<&[u8]> = chunks.iter().map(|chunk| chunk.as_bytes()).collect();
            let (out, _) = relayed(Relay::events_without_usage().ending_with_done(), &chunks);
            String::from_utf8(out).unwrap()
        };
        let whole = [CONTENT, FINISH, DONE].concat();
        assert_eq!(ended(&[CONTENT, FINISH]), whole);
        assert_eq!(ended(&[CONTENT, FINISH, USAGE]), whole);
        assert_eq!(ended(&[CONTENT, FINISH, DONE]), whole);
        assert_eq!(ended(&[CONTENT, FINISH, "data: [DO", "NE]\n", "\n"]), whole);
        assert_eq!(ended(&[CONTENT, FINISH.trim_end()]), whole);
        for end in ["data:[DONE]\r\n\r\n", "data: [DONE]", "data: [DONE]\n\n\n"] {
            assert_eq!(ended(&[CONTENT, end]), [CONTENT, end].concat());
        }
    }

    #[test]
    fn a_long_event_is_not_held() {
        let mut relay = Relay::events_without_usage();
        let sent = relay.push(Bytes::from(vec![b'x'; MAX_HELD + 1]));
        assert_eq!(sent.len(), MAX_HELD + 1);
        assert_eq!(relay.push(Bytes::from_static(b"y")).len(), 1);
        assert_eq!(relay.push(Bytes::from_static(b"\n\ndata: 1")), "\n\n".as_bytes());
    }

    proptest! {
        /// Law 6: relay output is relay input, garbage included.
        #[test]
        fn relaying_is_the_identity(chunks in prop::collection::vec(prop::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), any::<u8>()], 0..50), 0..10)) {
            let slices: Vec<&[u8]> = chunks.iter().map(Vec::as_slice).collect();
            prop_assert_eq!(relayed(Relay::bytes(), &slices).0, chunks.concat());
            prop_assert_eq!(relayed(Relay::events(), &slices).0, chunks.concat());
        }

        /// Law 6 for a withholding relay: without a usage event nothing changes.
        #[test]
        fn withholding_without_usage_is_the_identity(chunks in prop::collection::vec(r#"(\n|\r|data: |\{"choices":\[\]|"usage"|:null|[a-z]|\})*"#, 0..10)) {
            let slices: Vec<&[u8]> = chunks.iter().map(String::as_bytes).collect();
            prop_assert_eq!(relayed(Relay::events_without_usage(), &slices).0, chunks.concat().into_bytes());
        }

        /// Law 2: chunking does not change what comes out, nor the usage.
        #[test]
        fn chunking_does_not_matter(order in prop::collection::vec(0_usize..5, 0..8), cuts in prop::collection::vec(0_usize..600, 0..12), crlf in any::<bool>()) {
            let mut stream: String = order.into_iter().map(|kind| [CONTENT, FINISH, USAGE, DONE, ": ping\n\n"][kind]).collect();
            let mut expected = stream.replace(USAGE, "");
            if crlf {
                stream = stream.replace('\n', "\r\n");
                expected = expected.replace('\n', "\r\n");
            }
            let (out, usage) = relayed(Relay::events_without_usage(), &chunked(stream.as_bytes(), cuts));
            prop_assert_eq!(String::from_utf8(out).unwrap(), expected);
            prop_assert_eq!(usage, relayed(Relay::events(), &[stream.as_bytes()]).1);
        }
    }
}
