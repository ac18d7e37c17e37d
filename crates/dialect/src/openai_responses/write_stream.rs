//! Writes streams. Whole answers are what the events of a stream amount to.

use super::echo::{Echo, Head, Standing};
use super::words::{Outcome, failure, outcome, refusal_text};
use super::write_items::{Teller, emit};
use super::{error, items};
use crate::codec::{Asked, EventWriter};
use crate::ir::{Error, Event, Finish, FinishReason, Start, Usage};
use crate::writer::Object;

/// Speaks one answer.
#[derive(Debug)]
pub(super) struct Writer {
    /// Tells the items.
    pub(super) teller: Teller,
    echo: Echo,
    head: Head,
    id_seed: String,
    asked_model: String,
    now: u64,
    started: bool,
    over: bool,
    /// The one candidate that is told.
    candidate: Option<u32>,
    usage: Option<Usage>,
    finish: Option<Finish>,
}

impl EventWriter for Writer {
    fn write(&mut self, event: &Event, out: &mut Vec<u8>) {
        if self.over {
            return;
        }
        match event {
            Event::Start(start) => self.begin(start, out),
            Event::PartStart { candidate, opened, .. } if self.is_told(*candidate) => {
                self.teller.part_start(opened, out);
            }
            Event::Delta { candidate, delta, .. } if self.is_told(*candidate) => self.teller.delta(delta, out),
            Event::PartEnd { candidate, .. } if self.is_told(*candidate) => self.teller.part_end(out),
            Event::Finish { candidate, finish } if self.is_told(*candidate) => self.finish = Some(finish.clone()),
            Event::Usage(usage) => self.usage.get_or_insert_default().merge(usage),
            // Codex counts events, not comments, to see whether anybody is there.
            Event::Ping => self.progress("response.in_progress", out),
            Event::Error(error) => self.fail(error, out),
            Event::End => self.end(out),
            _ => {}
        }
    }
}

impl Writer {
    /// A writer for one answer.
    pub(super) fn new(asked: &Asked) -> Self {
        Self {
            teller: Teller::new(asked),
            echo: Echo::new(asked),
            head: Head::default(),
            id_seed: items::seed_of(&asked.id),
            asked_model: asked.request.model.clone(),
            now: asked.now,
            started: false,
            over: false,
            candidate: None,
            usage: None,
            finish: None,
        }
    }

    /// The answer as it stands at its end: the members of the response object.
    pub(super) fn conclude(&mut self, it: &mut Object<'_>, start: &Start, finish: Option<&Finish>) {
        let mut scratch = Vec::new();
        self.learn(start);
        self.finish = finish.cloned();
        self.usage.clone_from(&start.usage);
        let outcome = self.close_all(&mut scratch);
        self.write_end(it, &outcome);
    }

    fn is_told(&mut self, candidate: u32) -> bool {
        *self.candidate.get_or_insert(candidate) == candidate
    }

    fn learn(&mut self, start: &Start) {
        self.started = true;
        self.head = Head {
            id: items::response_id(&start.id, &self.id_seed),
            model: match start.model.as_str() {
                "" => self.asked_model.clone(),
                model => model.to_owned(),
            },
            created: start.created.unwrap_or(self.now),
            service_tier: start.service_tier.clone(),
        };
    }

    fn begin(&mut self, start: &Start, out: &mut Vec<u8>) {
        self.learn(start);
        self.usage.clone_from(&start.usage);
        self.progress("response.created", out);
        self.progress("response.in_progress", out);
    }

    fn progress(&mut self, kind: &str, out: &mut Vec<u8>) {
        emit(&mut self.teller.sequence, out, kind, |it| {
            it.object("response", |it| self.echo.write(it, &self.head, Standing::BEGUN));
        });
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        if !self.started {
            self.begin(&Start::default(), out);
        }
        let outcome = self.close_all(out);
        let kind = match outcome {
            Outcome::Completed => "response.completed",
            Outcome::Incomplete(_) => "response.incomplete",
            Outcome::Failed => "response.failed",
        };
        self.over = true;
        let mut sequence = self.teller.sequence;
        emit(&mut sequence, out, kind, |it| {
            it.object("response", |it| self.write_end(it, &outcome));
        });
    }

    /// Closes what is open in view of why the answer ends.
    fn close_all(&mut self, out: &mut Vec<u8>) -> Outcome {
        let finish = self.finish.clone().unwrap_or_else(|| FinishReason::Stop.into());
        if finish.reason == FinishReason::Refusal && !self.teller.refused {
            self.teller.open_text(true, out);
            self.teller.add_text(refusal_text(&finish), out);
        }
        let outcome = outcome(&finish);
        self.teller.close(outcome.item_status(), out);
        outcome
    }

    fn write_end(&self, it: &mut Object<'_>, outcome: &Outcome) {
        let failure = (*outcome == Outcome::Failed)
            .then_some(self.finish.as_ref())
            .flatten()
            .map(failure);
        let standing = Standing {
            status: outcome.status(),
            completed: (*outcome == Outcome::Completed).then_some(self.now),
            error: failure
                .as_ref()
                .map(|error| (error::failure_code(error.class), error.message.as_str())),
            incomplete: match outcome {
                Outcome::Incomplete(reason) => Some(reason),
                _ => None,
            },
            output: &self.teller.output,
            usage: self.usage.as_ref(),
        };
        self.echo.write(it, &self.head, standing);
    }

    /// The answer breaks off: what there is of it is told, but never as complete.
    fn fail(&mut self, error: &Error, out: &mut Vec<u8>) {
        if !self.started {
            self.begin(&Start::default(), out);
        }
        self.over = true;
        self.teller.give_up();
        let message = error::failure_message(error);
        let standing = Standing {
            status: "failed",
            completed: None,
            error: Some((error::failure_code(error.class), &message)),
            incomplete: None,
            output: &self.teller.output,
            usage: self.usage.as_ref(),
        };
        emit(&mut self.teller.sequence, out, "response.failed", |it| {
            it.object("response", |it| self.echo.write(it, &self.head, standing));
        });
    }
}
