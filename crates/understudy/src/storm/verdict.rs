//! Whether what a client got keeps the promises.

use std::io;

use super::client::Answer;
use super::heard::{Ending, Heard};
use super::question::Question;
use super::speech::Speech;

/// What an answer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// All that one target said, well formed, to its end.
    Whole,
    /// The beginning of what a target said that broke off after its first content, and an error that says so.
    BrokenOff,
    /// A promise is broken, as the text says.
    Broken(Promise, String),
}

/// What clients are promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Promise {
    /// They get an answer while a target is healthy.
    Answered,
    /// It is one that one target gave, to this request.
    NotStitched,
    /// It does not end as if it were complete when it is not.
    NotTruncated,
    /// It is well formed.
    WellFormed,
}

impl Promise {
    pub(super) const ALL: [Self; 4] = [Self::Answered, Self::NotStitched, Self::NotTruncated, Self::WellFormed];

    /// How it is called when it is broken, in the report.
    pub(super) fn breach(self) -> &'static str {
        match self {
            Self::Answered => "failures seen by clients",
            Self::NotStitched => "stitched answers",
            Self::NotTruncated => "truncated answers that look complete",
            Self::WellFormed => "malformed answers",
        }
    }
}

/// Judges an answer. `was_broken`: a target that was asked broke off after its first content.
pub(super) fn judge(question: &Question, answer: io::Result<&Answer>, was_broken: bool) -> Verdict {
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => return Verdict::Broken(Promise::Answered, format!("no answer: {error}")),
    };
    if answer.status != 200 {
        return broken(Promise::Answered, "no answer", answer);
    }
    if !answer.is_whole {
        return broken(Promise::WellFormed, "HTTP breaks off", answer);
    }
    let heard = match Heard::read(question.caller, question.streams, &answer.body) {
        Ok(heard) => heard,
        Err(reason) => return broken(Promise::WellFormed, &reason, answer),
    };
    let speech = Speech::of(&heard.text);
    let said = speech.as_ref().map(Speech::text).unwrap_or_default();
    let is_own = speech.as_ref().is_some_and(|speech| is_own(speech, question, answer));
    match heard.ending {
        Ending::Finished(_) if is_own && heard.text == said => Verdict::Whole,
        Ending::Error(_) if was_broken && is_own && said.starts_with(&heard.text) => Verdict::BrokenOff,
        _ if heard.text.is_empty() => broken(Promise::Answered, "nothing was said", answer),
        _ if !is_own || !said.starts_with(&heard.text) => broken(Promise::NotStitched, "another text", answer),
        Ending::Error(_) => broken(Promise::Answered, "an error, but nobody broke off", answer),
        Ending::Open | Ending::Finished(_) => broken(Promise::NotTruncated, "an end that is none", answer),
    }
}

/// Whether the text was said to this request, by the target that the gateway names.
fn is_own(speech: &Speech, question: &Question, answer: &Answer) -> bool {
    let names = |model: &str| model.split('-').next() == Some(speech.target.as_str());
    speech.nonce == question.nonce && answer.header("x-mynah-model").is_some_and(names)
}

fn broken(promise: Promise, reason: &str, answer: &Answer) -> Verdict {
    let text = String::from_utf8_lossy(&answer.body);
    let shown: String = text.chars().take(2000).collect();
    let model = answer.header("x-mynah-model").unwrap_or("-");
    Verdict::Broken(
        promise,
        format!(
            "{reason}: status {}, model {model}, attempts {}\n{shown}",
            answer.status,
            answer.attempts()
        ),
    )
}
