//! Puts what a provider says, in whatever order, into a well-formed sequence of events.
//!
//! Readers of protocols report what they see, piece by piece, to an [`Assembly`]. It opens and closes parts, keeps pieces
//! of calls that come interleaved until their turn, invents ids where a provider gives none, gives tools their callers'
//! names back, and says how the answer ends from the whole of it. So every reader can be naive and every writer can rely on
//! what [`Event`] promises.

mod progress;
mod speaker;

use crate::codec::Memo;
use crate::ir::{Citation, Class, Error, Event, Finish, Part, ReasoningStyle, Signature, Start, TokenLogprob, Usage};
use speaker::{Piece, Speaker};

/// More candidates than this are not listened to.
const MAX_CANDIDATES: usize = 128;

/// The most bytes of pieces that wait for their turn.
const MAX_WAITING: usize = 16 * 1024 * 1024;

/// The most calls of tools in one answer.
const MAX_CALLS: usize = 1024;

/// How a call begins, as far as the provider has said.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Call {
    /// The provider's id; may be empty.
    pub id: String,
    /// The tool's name on the wire; may be empty when it comes later.
    pub name: String,
    /// The provider's proof of the call.
    pub signature: Option<Signature>,
    /// Its input is free text on the wire too (a custom tool of OpenAI).
    pub free_text: bool,
    /// The namespace on the wire (OpenAI Responses).
    pub namespace: Option<String>,
}

/// An answer that is being put together.
#[derive(Debug)]
pub struct Assembly {
    memo: Memo,
    seed: String,
    events: Vec<Event>,
    speakers: Vec<Speaker>,
    usage: Option<Usage>,
    started: bool,
    over: bool,
}

impl Assembly {
    /// An answer to the request that `memo` is of. `seed` (letters and digits) makes ids that are invented here distinct.
    pub fn new(memo: Memo, seed: &str) -> Self {
        Self {
            memo,
            seed: seed.to_owned(),
            events: Vec::new(),
            speakers: Vec::new(),
            usage: None,
            started: false,
            over: false,
        }
    }

    /// The events since the last time.
    pub fn take(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// Whether the answer has ended, well or not.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// Whether the provider has said of every candidate why it ends, so that nothing more of them is to come.
    pub fn is_concluded(&self) -> bool {
        !self.speakers.is_empty() && self.speakers.iter().all(|speaker| speaker.finish.is_some())
    }

    /// What was noted about the request.
    pub fn memo(&self) -> &Memo {
        &self.memo
    }

    /// The counts so far.
    pub fn counted(&self) -> Option<&Usage> {
        self.usage.as_ref()
    }

    /// The answer begins. Only the first time counts, so it may be called for every chunk.
    pub fn start(&mut self, start: Start) {
        if self.started || self.over {
            return;
        }
        self.started = true;
        if let Some(usage) = &start.usage {
            self.usage.get_or_insert_default().merge(usage);
        }
        self.events.push(Event::Start(start));
    }

    /// Whether the answer has begun.
    pub fn is_started(&self) -> bool {
        self.started
    }

    /// Text of the answer.
    pub fn text(&mut self, candidate: u32, text: impl Into<String>) {
        self.say(candidate, Piece::Text(text.into()));
    }

    /// Words with which the model declines.
    pub fn refusal(&mut self, candidate: u32, text: impl Into<String>) {
        self.say(candidate, Piece::Refusal(text.into()));
    }

    /// Thoughts.
    pub fn reasoning(&mut self, candidate: u32, style: ReasoningStyle, text: impl Into<String>) {
        self.say(candidate, Piece::Reasoning(style, text.into()));
    }

    /// The proof of the thoughts that were told last; on its own, of thoughts that are not told.
    pub fn signature(&mut self, candidate: u32, signature: Signature) {
        self.say(candidate, Piece::Signature(signature));
    }

    /// What the text rests on.
    pub fn citation(&mut self, candidate: u32, citation: Citation) {
        self.say(candidate, Piece::Citation(citation));
    }

    /// How likely the tokens of the text were.
    pub fn logprobs(&mut self, candidate: u32, logprobs: Vec<TokenLogprob>) {
        if !logprobs.is_empty() {
            self.say(candidate, Piece::Logprobs(logprobs));
        }
    }

    /// The part that is open ends here: what follows is another, even if it is of the same kind.
    pub fn part_end(&mut self, candidate: u32) {
        self.say(candidate, Piece::PartEnd);
    }

    /// A part that comes as a whole.
    pub fn whole(&mut self, candidate: u32, part: Part) {
        self.say(candidate, Piece::Whole(Box::new(part)));
    }

    /// A call begins, or more becomes known about it. `key` tells the candidate's calls apart.
    pub fn call(&mut self, candidate: u32, key: u64, call: Call) {
        self.say(candidate, Piece::Call(key, Box::new(call)));
    }

    /// A piece of a call's arguments.
    pub fn arguments(&mut self, candidate: u32, key: u64, text: impl Into<String>) {
        self.say(candidate, Piece::Arguments(key, text.into()));
    }

    /// A call is complete.
    pub fn call_end(&mut self, candidate: u32, key: u64) {
        self.say(candidate, Piece::CallEnd(key));
    }

    /// A call at once.
    pub fn whole_call(&mut self, candidate: u32, key: u64, call: Call, arguments: impl Into<String>) {
        self.call(candidate, key, call);
        self.arguments(candidate, key, arguments);
        self.call_end(candidate, key);
    }

    /// A candidate ends. What comes for it afterwards is still taken; the first reason counts.
    pub fn finish(&mut self, candidate: u32, finish: impl Into<Finish>) {
        self.begin();
        if let Some(at) = self.place_of(candidate) {
            self.speakers[at].finish.get_or_insert_with(|| finish.into());
        }
    }

    /// Counts. Each report takes over what it states.
    pub fn usage(&mut self, usage: &Usage) {
        if self.over {
            return;
        }
        self.begin();
        self.usage.get_or_insert_default().merge(usage);
    }

    /// The provider is still there.
    pub fn ping(&mut self) {
        if self.started && !self.over {
            self.events.push(Event::Ping);
        }
    }

    /// The answer breaks off.
    pub fn error(&mut self, error: Error) {
        if !self.over {
            self.over = true;
            self.events.push(Event::Error(error));
        }
    }

    /// The stream has ended: tells the rest, or that the answer is not whole.
    pub fn close(&mut self) {
        if self.over {
            return;
        }
        if !self.is_concluded() {
            return self.error(Error::new(
                Class::Server,
                "The provider's answer broke off before its end.",
            ));
        }
        for index in 0..self.speakers.len() {
            let speaker = &mut self.speakers[index];
            speaker.close(&self.memo, &self.seed, &mut self.events);
            if speaker.has_unnamed_call() {
                return self.error(Error::new(
                    Class::Server,
                    "The provider called a tool without naming it.",
                ));
            }
        }
        if let Some(usage) = &self.usage {
            self.events.push(Event::Usage(usage.clone()));
        }
        for speaker in &self.speakers {
            self.events.push(Event::Finish {
                candidate: speaker.index,
                finish: speaker.conclusion(),
            });
        }
        self.over = true;
        self.events.push(Event::End);
    }

    fn begin(&mut self) {
        self.start(Start::default());
    }

    fn say(&mut self, candidate: u32, piece: Piece) {
        if self.over {
            return;
        }
        self.begin();
        let Some(at) = self.place_of(candidate) else {
            return;
        };
        let speaker = &mut self.speakers[at];
        speaker.hear(piece, &self.memo, &self.seed, &mut self.events);
        if speaker.waiting() > MAX_WAITING || speaker.calls() > MAX_CALLS {
            self.error(Error::new(
                Class::Server,
                "The provider's answer interleaves more than can be held.",
            ));
        }
    }

    /// Where the candidate stands among the speakers; a new one is added. `None` when there are too many.
    fn place_of(&mut self, candidate: u32) -> Option<usize> {
        let known = self.speakers.iter().position(|speaker| speaker.index == candidate);
        if known.is_none() && self.speakers.len() < MAX_CANDIDATES {
            self.speakers.push(Speaker::new(candidate));
            return Some(self.speakers.len() - 1);
        }
        known
    }
}

#[cfg(test)]
pub(crate) mod tests;
