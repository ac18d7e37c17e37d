//! Turns an answer in the provider's protocol into one in the caller's, as it comes.

use bytes::Bytes;

use crate::assembly::Assembly;
use crate::codec::{Asked, ClientSide, EventReader, EventWriter, Malformed, Memo, UpstreamSide};
use crate::collect::Collector;
use crate::continuation::Thread;
use crate::frame::{Frame, Splitter};
use crate::gauge::Seen;
use crate::generated::Generated;
use crate::ir::{self, Class, Delta, Error, Event, Opened, Response};
use crate::loss::Losses;
use crate::usage::Usage;

/// Understands a stream of a provider: bytes in, events out.
pub struct Listener {
    splitter: Splitter,
    reader: Box<dyn EventReader>,
    assembly: Assembly,
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Listener")
            .field("assembly", &self.assembly)
            .finish_non_exhaustive()
    }
}

impl Listener {
    /// Listens to the answer of the request that `memo` is of.
    pub fn new(upstream: &dyn UpstreamSide, memo: Memo, seed: &str) -> Self {
        Self {
            splitter: Splitter::default(),
            reader: upstream.event_reader(&memo),
            assembly: Assembly::new(memo, seed),
        }
    }

    /// The events that a chunk completes.
    pub fn push(&mut self, chunk: &[u8]) -> Vec<Event> {
        if self.splitter.push(chunk).is_err() {
            self.assembly.error(Error::new(
                Class::Server,
                "The provider sent an event that is too large.",
            ));
        }
        while !self.assembly.is_over()
            && let Some(block) = self.splitter.next_block()
        {
            self.reader.read(&Frame::parse(&block), &mut self.assembly);
        }
        self.assembly.take()
    }

    /// The events at the end of the connection.
    pub fn finish(&mut self) -> Vec<Event> {
        let rest = self.splitter.take_rest();
        if !self.assembly.is_over() && !rest.is_empty() {
            self.reader.read(&Frame::parse(&rest), &mut self.assembly);
        }
        self.reader.end(&mut self.assembly);
        self.assembly.close();
        self.assembly.take()
    }

    /// The events when the answer breaks off for a reason that is known.
    pub fn fail(&mut self, error: Error) -> Vec<Event> {
        self.assembly.error(error);
        self.assembly.take()
    }

    /// The counts so far.
    pub fn usage(&self) -> Option<&ir::Usage> {
        self.assembly.counted()
    }

    /// Whether the answer has ended, well or not.
    pub fn is_over(&self) -> bool {
        self.assembly.is_over()
    }

    /// Whether the provider has said why the answer ends.
    pub fn is_concluded(&self) -> bool {
        self.assembly.is_concluded()
    }
}

/// What a streamed answer amounts to so far.
#[derive(Clone, Debug, PartialEq)]
pub enum Standing {
    /// There is no content yet: nothing is lost by asking somebody else.
    Waiting,
    /// There is content, or it has ended well without any.
    Content,
    /// It failed before there was any content.
    Failed(Error),
}

impl Standing {
    fn learn(&mut self, event: &Event) {
        if *self != Self::Waiting {
            return;
        }
        match event {
            Event::Delta {
                delta: Delta::Text(_) | Delta::Arguments(_) | Delta::Citation(_),
                ..
            }
            | Event::PartStart {
                opened: Opened::Whole(_) | Opened::ToolCall { .. },
                ..
            }
            | Event::Finish { .. }
            | Event::End => *self = Self::Content,
            Event::Error(error) => *self = Self::Failed(error.clone()),
            _ => {}
        }
    }
}

/// An answer that shall go on with another, up to its first content: until then, somebody else can be asked.
#[derive(Debug)]
pub struct Sequel {
    listener: Listener,
    events: Vec<Event>,
    standing: Standing,
}

impl Sequel {
    /// Listens to the answer of the request that `memo` is of.
    pub fn new(upstream: &dyn UpstreamSide, memo: Memo, seed: &str) -> Self {
        Self {
            listener: Listener::new(upstream, memo, seed),
            events: Vec::new(),
            standing: Standing::Waiting,
        }
    }

    /// Takes a chunk.
    pub fn push(&mut self, chunk: &[u8]) {
        let events = self.listener.push(chunk);
        self.keep(events);
    }

    /// Takes the end of the connection.
    pub fn finish(&mut self) {
        let events = self.listener.finish();
        self.keep(events);
    }

    /// What the answer amounts to so far.
    pub fn standing(&self) -> &Standing {
        &self.standing
    }

    fn keep(&mut self, events: Vec<Event>) {
        for event in &events {
            self.standing.learn(event);
        }
        self.events.extend(events);
    }
}

/// Translates one streamed answer.
pub struct Transcoder {
    listener: Listener,
    writer: Box<dyn EventWriter>,
    /// What the provider has said amounts to.
    said: Standing,
    /// What the caller would get of it amounts to.
    standing: Standing,
    /// What was told, of an answer that goes on when it is cut.
    thread: Option<Thread>,
    /// Why it was cut, until it goes on.
    cut: Option<Error>,
    /// The error that the caller was told, until somebody asks.
    failure: Option<Class>,
    generated: Generated,
}

impl std::fmt::Debug for Transcoder {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Transcoder")
            .field("listener", &self.listener)
            .finish_non_exhaustive()
    }
}

impl Transcoder {
    /// Translates the answer of the request that `memo` is of, for the caller who asked for it.
    pub fn new(upstream: &dyn UpstreamSide, client: &dyn ClientSide, memo: Memo, asked: &Asked) -> Self {
        Self {
            listener: Listener::new(upstream, memo, &asked.id),
            writer: client.event_writer(asked),
            said: Standing::Waiting,
            standing: Standing::Waiting,
            thread: None,
            cut: None,
            failure: None,
            generated: Generated::default(),
        }
    }

    /// Holds the error back in which the answer would end, where it can go on instead ([`Transcoder::cut`]).
    pub fn hold_together(&mut self) {
        self.thread = Some(Thread::default());
    }

    /// What a chunk becomes.
    pub fn push(&mut self, chunk: &[u8]) -> Bytes {
        let events = self.listener.push(chunk);
        self.write(events)
    }

    /// What the end of the connection becomes.
    pub fn finish(&mut self) -> Bytes {
        let events = self.listener.finish();
        self.write(events)
    }

    /// What a failure of the connection becomes.
    pub fn fail(&mut self, error: Error) -> Bytes {
        // What only its last words are missing of is not asked for again.
        let events = if self.thread.is_some() && self.listener.is_concluded() {
            self.listener.finish()
        } else {
            self.listener.fail(error)
        };
        self.write(events)
    }

    /// Why the answer was cut, and its text so far, when it can go on: with [`Transcoder::go_on`], or not
    /// ([`Transcoder::give_up`]).
    pub fn cut(&self) -> Option<(&Error, &str)> {
        let thread = self.thread.as_ref()?;
        self.cut.as_ref().map(|error| (error, thread.text()))
    }

    /// Goes on with another answer. `by` is who gives it; `repeats`: they are known to repeat what they were given.
    pub fn go_on(&mut self, sequel: Sequel, by: &str, repeats: bool) -> Bytes {
        self.cut = None;
        self.listener = sequel.listener;
        if let Some(thread) = &mut self.thread {
            thread.go_on(repeats);
        }
        self.generated = Generated::default();
        let mut out = Vec::new();
        self.writer.remark(&format!("mynah continued by {by}"), &mut out);
        out.extend_from_slice(&self.write(sequel.events));
        Bytes::from(out)
    }

    /// Ends an answer that was cut in the error that was held back.
    pub fn give_up(&mut self) -> Bytes {
        let mut out = Vec::new();
        if let Some(error) = self.cut.take() {
            self.tell(Event::Error(error), &mut out);
        }
        Bytes::from(out)
    }

    /// What kind of error the caller was told, if one was and it was not asked for before. An end that is missing is one too.
    pub fn take_failure(&mut self) -> Option<Class> {
        self.failure.take()
    }

    /// What the caller would get of the answer so far amounts to.
    pub fn standing(&self) -> &Standing {
        &self.standing
    }

    /// Whether the provider has sent content. The caller may not get any of it yet: some protocols say a call only when it is
    /// whole.
    pub fn has_begun(&self) -> bool {
        self.said == Standing::Content
    }

    /// What was seen so far of the answer of the provider at hand: of one that went on, without what was before.
    pub fn seen(&self) -> Seen {
        let told = self.listener.usage().map(Usage::from);
        let generated = self.generated.untold_tokens(told.map_or(0, |told| told.output));
        Seen { told, generated }
    }

    /// Whether the answer has ended: what comes from the provider now is of no interest.
    pub fn is_over(&self) -> bool {
        self.cut.is_none() && self.listener.is_over()
    }

    /// The media type of what is written.
    pub fn content_type(&self) -> &'static str {
        self.writer.content_type()
    }

    fn write(&mut self, events: Vec<Event>) -> Bytes {
        let mut out = Vec::new();
        for event in events {
            self.generated.event(&event);
            self.said.learn(&event);
            let is_end = matches!(event, Event::Finish { .. } | Event::End);
            if let (Standing::Waiting, Event::Error(error)) = (&self.standing, &event) {
                self.standing = Standing::Failed(error.clone());
            }
            let before = out.len();
            match (&event, &self.thread) {
                (Event::Error(error), Some(thread)) if thread.can_go_on(error) => self.cut = Some(error.clone()),
                _ => self.tell(event, &mut out),
            }
            let is_heard = is_end || (self.has_begun() && out.len() > before);
            if is_heard && self.standing == Standing::Waiting {
                self.standing = Standing::Content;
            }
        }
        Bytes::from(out)
    }

    fn tell(&mut self, event: Event, out: &mut Vec<u8>) {
        if let Event::Error(error) = &event {
            self.failure = Some(error.class);
        }
        let Some(thread) = &mut self.thread else {
            return self.writer.write(&event, out);
        };
        let mut events = Vec::new();
        thread.pass(event, &mut events);
        for event in &events {
            self.writer.write(event, out);
        }
    }
}

/// The events of a whole answer, for a caller who wants a stream or for [`collected`].
pub fn events_of(upstream: &dyn UpstreamSide, body: &[u8], memo: Memo, seed: &str) -> Result<Vec<Event>, Malformed> {
    let noted = memo.clone();
    let mut assembly = Assembly::new(memo, seed);
    upstream.read_response(body, &noted, &mut assembly)?;
    assembly.close();
    Ok(assembly.take())
}

/// A whole answer from its events.
pub fn collected(events: impl IntoIterator<Item = Event>) -> Result<Response, Error> {
    let mut collector = Collector::default();
    for event in events {
        collector.push(event);
    }
    collector.finish()
}

/// Events as a stream for the caller.
pub fn streamed(client: &dyn ClientSide, events: &[Event], asked: &Asked) -> (&'static str, Bytes) {
    let mut writer = client.event_writer(asked);
    let mut out = Vec::new();
    for event in events {
        writer.write(event, &mut out);
    }
    (writer.content_type(), Bytes::from(out))
}

/// A whole answer translated into a whole answer.
pub fn translate_whole(
    upstream: &dyn UpstreamSide,
    client: &dyn ClientSide,
    body: &[u8],
    memo: Memo,
    asked: &Asked,
    lost: &mut Losses,
) -> Result<(Response, Vec<u8>), Error> {
    let events = events_of(upstream, body, memo, &asked.id).map_err(|malformed| unreadable(&malformed))?;
    let response = collected(events)?;
    let body = client.write_response(&response, asked, lost);
    Ok((response, body))
}

/// The error of a provider that answers with something else than its protocol.
pub fn unreadable(malformed: &Malformed) -> Error {
    Error::new(
        Class::Server,
        format!("The provider's answer cannot be read: {malformed}."),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Protocol;
    use crate::codec::{client_side, upstream_side};
    use crate::ir::Request;

    const CALL: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"tool_calls\":[{\"index\":0,\"id\":\"call_1\",\
                        \"function\":{\"name\":\"get\",\"arguments\":\"{\\\"a\\\":\"}}]}}]}\n\n";
    const ARGUMENTS: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"1}\"}}]}}]}\n\n";
    const FINISH: &str =
        "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\ndata: [DONE]\n\n";

    fn from_chat(to: Protocol) -> Transcoder {
        let asked = Asked {
            request: Request::new(to, "m"),
            events: true,
            id: "id".to_owned(),
            now: 0,
        };
        let upstream = upstream_side(Protocol::OpenaiChat);
        Transcoder::new(upstream, client_side(to).unwrap(), Memo::default(), &asked)
    }

    #[test]
    fn what_the_caller_does_not_get_yet_is_no_content() {
        let mut transcoder = from_chat(Protocol::Gemini);
        assert!(transcoder.push(CALL.as_bytes()).is_empty());
        assert!(transcoder.has_begun());
        assert_eq!(*transcoder.standing(), Standing::Waiting);
        transcoder.push(ARGUMENTS.as_bytes());
        transcoder.push(FINISH.as_bytes());
        assert_eq!(*transcoder.standing(), Standing::Content);

        let mut cut = from_chat(Protocol::Gemini);
        cut.push(CALL.as_bytes());
        cut.finish();
        assert!(matches!(cut.standing(), Standing::Failed(_)));

        let mut told_at_once = from_chat(Protocol::Anthropic);
        told_at_once.push(CALL.as_bytes());
        assert_eq!(*told_at_once.standing(), Standing::Content);
    }
}
