//! Has an answer that was cut go on, by another provider or the same.
//!
//! The conversation is asked again, with the text that was told so far as the beginning of the assistant's turn
//! ([`asked_again`]). A [`Thread`] runs through all answers of which the one that the client sees is made: it keeps what
//! was told, says whether it can go on from there, and joins what comes next to it.
//!
//! Only plain text goes on. A call that was begun may have been made by the time it would be repeated, thoughts carry
//! proofs, and what is held to a grammar would begin it anew.

mod seam;
mod tally;

use crate::estimate::text_tokens;
use crate::ir::{Delta, Error, Event, Format, Message, Opened, Part, Request, Role};
use crate::protocol::Protocol;
use crate::quirks::{Prefill, Quirks};
use crate::stored;
use crate::verdict::Verdict;
use seam::Seam;
use tally::Tally;

/// The most often that one answer goes on.
pub const MAX_CONTINUATIONS: u32 = 3;

/// The longest text that is sent back as the beginning of an answer, in bytes. A longer answer does not go on.
const MAX_TEXT: usize = 1024 * 1024;

/// Whether the answer to a request may go on when it is cut: it is streamed, one candidate of plain text, whose tokens are
/// not told one by one, and begins with nothing that the caller has put into the assistant's mouth.
pub fn is_possible(request: &Request) -> bool {
    request.stream
        && request.candidates.is_none_or(|count| count <= 1)
        && request.logprobs.is_none()
        && request.audio.is_none()
        && request.format == Format::Text
        && request.messages.last().is_some_and(|last| last.role != Role::Assistant)
        && stored::reference(request).is_none()
}

/// Whether a provider that is asked in this protocol can be told to go on with the beginning of an answer. Some of its
/// models may refuse all the same.
pub fn takes_prefill(protocol: Protocol, quirks: &Quirks) -> bool {
    match protocol {
        Protocol::OpenaiChat => quirks.prefill != Prefill::None,
        Protocol::Anthropic | Protocol::Gemini => quirks.prefill == Prefill::Last,
        Protocol::OpenaiResponses | Protocol::Cohere => false,
    }
}

/// The request for the rest of an answer of which `told` is the beginning.
///
/// White space at its end is not sent: Anthropic refuses it, and models go on badly from there. What was thought is not
/// thought again, and the limit on the length is that of what is left, as far as that can be estimated.
pub fn asked_again(request: &Request, told: &str) -> Request {
    let mut again = request.clone();
    let beginning = told.trim_end();
    if beginning.is_empty() {
        return again;
    }
    again
        .messages
        .push(Message::new(Role::Assistant, vec![Part::text(beginning)]));
    again.prefilled = true;
    again.reasoning = None;
    let spent = text_tokens(beginning);
    again.max_tokens = again.max_tokens.map(|most| most.saturating_sub(spent).max(1));
    again
}

/// What the client sees of an answer that may go on. Takes the events of one provider after the other, and gives those of
/// one answer.
#[derive(Debug, Default)]
pub struct Thread {
    /// The candidate, as the first provider numbers it.
    candidate: u32,
    /// The candidate, as the provider at hand numbers it, once it has spoken.
    heard: Option<u32>,
    /// How many parts were begun.
    parts: u32,
    /// The part that is open for the client.
    open: Option<Kind>,
    /// The provider has ended that part. The client is told when it is certain that it does not go on.
    is_ended: bool,
    /// What the provider says now is not told.
    is_muted: bool,
    /// The text so far.
    text: String,
    /// Something was told that cannot go on.
    is_barred: bool,
    /// Where the answer at hand is joined to the one before it.
    seam: Option<Seam>,
    tally: Tally,
}

/// What a part is, as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Reasoning,
    Other,
}

impl Thread {
    /// The text that was told so far.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether the answer can go on after an error.
    pub fn can_go_on(&self, error: &Error) -> bool {
        let is_in_text = !matches!(self.open, Some(Kind::Reasoning | Kind::Other));
        is_in_text && !self.is_barred && !self.text.is_empty() && Verdict::of_status(error.class.status()).hands_over()
    }

    /// Another provider goes on. `repeats`: it is known to repeat what it was given.
    pub fn go_on(&mut self, repeats: bool) {
        self.tally.next(&self.text);
        self.seam = Some(Seam::new(&self.text, repeats));
        self.heard = None;
        self.is_muted = false;
    }

    /// Takes an event of the provider at hand, and adds what it means for the client.
    pub fn pass(&mut self, event: Event, out: &mut Vec<Event>) {
        match event {
            Event::Start(start) => {
                if let Some(usage) = &start.usage {
                    self.tally.count(usage);
                }
                if self.seam.is_none() {
                    out.push(Event::Start(start));
                }
            }
            Event::PartStart { candidate, opened, .. } if self.is_heard(candidate) => self.begin(opened, out),
            Event::Delta { candidate, delta, .. } if self.is_heard(candidate) => self.add(delta, out),
            Event::PartEnd { candidate, .. } if self.is_heard(candidate) => self.end(out),
            Event::Finish { candidate, finish } if self.is_heard(candidate) => {
                self.release(out);
                self.close(out);
                let candidate = self.candidate;
                out.push(Event::Finish { candidate, finish });
                if self.seam.is_some() {
                    // In case that the one at hand does not say: what the first one has said is not all.
                    out.push(Event::Usage(self.tally.told(&self.text)));
                }
            }
            Event::Usage(usage) => {
                self.tally.count(&usage);
                out.push(Event::Usage(self.tally.told(&self.text)));
            }
            Event::Error(error) => {
                if self.is_ended {
                    self.close(out);
                }
                out.push(Event::Error(error));
            }
            Event::Ping | Event::End => out.push(event),
            // Another candidate than the one that was asked for.
            Event::PartStart { .. } | Event::Delta { .. } | Event::PartEnd { .. } | Event::Finish { .. } => {
                self.is_barred = true;
                if self.seam.is_none() {
                    out.push(event);
                }
            }
        }
    }

    fn is_heard(&mut self, candidate: u32) -> bool {
        if self.heard.is_none() && self.seam.is_none() {
            self.candidate = candidate;
        }
        *self.heard.get_or_insert(candidate) == candidate
    }

    fn begin(&mut self, opened: Opened, out: &mut Vec<Event>) {
        let kind = match &opened {
            Opened::Text => Kind::Text,
            Opened::Reasoning { .. } => Kind::Reasoning,
            Opened::Refusal | Opened::ToolCall { .. } | Opened::Whole(_) => Kind::Other,
        };
        // An answer that has begun to speak is not told to think again.
        self.is_muted = kind == Kind::Reasoning && self.seam.as_ref().is_some_and(|seam| !seam.has_told());
        // Text goes on in the part that is open; whether there is any is known when it comes.
        let is_joined = kind == Kind::Text && self.seam.is_some();
        if self.is_muted || is_joined {
            return;
        }
        self.release(out);
        self.open(kind, opened, out);
    }

    fn open(&mut self, kind: Kind, opened: Opened, out: &mut Vec<Event>) {
        self.close(out);
        self.is_barred |= kind == Kind::Other;
        self.open = Some(kind);
        self.parts += 1;
        out.push(Event::PartStart {
            candidate: self.candidate,
            part: self.parts - 1,
            opened,
        });
    }

    fn add(&mut self, delta: Delta, out: &mut Vec<Event>) {
        if self.is_muted {
            return;
        }
        let is_text = matches!(self.open, None | Some(Kind::Text)) || self.is_ended;
        match delta {
            Delta::Text(text) if is_text => {
                let told = match &mut self.seam {
                    Some(seam) => seam.add(&text),
                    None => text,
                };
                self.tell(told, out);
            }
            Delta::Citation(citation) if is_text => {
                // Its places in the text, and those of all that follow, would have to be told anew.
                self.is_barred = true;
                let citation = match &self.seam {
                    Some(seam) => seam.moved(citation),
                    None => citation,
                };
                self.release(out);
                self.push(Delta::Citation(citation), out);
            }
            Delta::Logprobs(_) if self.seam.is_some() => {}
            delta => {
                self.is_barred |= matches!(delta, Delta::Logprobs(_));
                self.push(delta, out);
            }
        }
    }

    /// Tells text, in the part that is open if it is one of text.
    fn tell(&mut self, text: String, out: &mut Vec<Event>) {
        if text.is_empty() {
            return;
        }
        if self.open == Some(Kind::Text) {
            self.is_ended = false;
        } else {
            self.open(Kind::Text, Opened::Text, out);
        }
        if self.text.len() + text.len() > MAX_TEXT {
            self.is_barred = true;
            self.text = String::new();
        } else if !self.is_barred {
            self.text.push_str(&text);
        }
        self.push(Delta::Text(text), out);
    }

    fn push(&self, delta: Delta, out: &mut Vec<Event>) {
        if self.open.is_some() {
            out.push(Event::Delta {
                candidate: self.candidate,
                part: self.parts - 1,
                delta,
            });
        }
    }

    /// The provider has ended its part.
    fn end(&mut self, out: &mut Vec<Event>) {
        if std::mem::take(&mut self.is_muted) {
            return;
        }
        match self.open {
            Some(Kind::Text) => self.is_ended = true,
            _ => self.close(out),
        }
    }

    /// Tells what is held back.
    fn release(&mut self, out: &mut Vec<Event>) {
        if let Some(seam) = &mut self.seam {
            let rest = seam.release();
            self.tell(rest, out);
        }
    }

    /// Tells the end of the part that is open.
    fn close(&mut self, out: &mut Vec<Event>) {
        self.is_ended = false;
        if self.open.take().is_some() {
            out.push(Event::PartEnd {
                candidate: self.candidate,
                part: self.parts - 1,
            });
        }
    }
}
