//! What a client hears: its answer, read as strictly as its protocol allows.

mod anthropic;
mod chat;
mod gemini;
mod responses;

use std::collections::BTreeMap;

use serde_json::Value;

use super::protocol::Caller;

/// What a client heard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Heard {
    pub(super) text: String,
    pub(super) reasoning: String,
    /// Calls of tools: name and arguments, by their places.
    pub(super) calls: BTreeMap<u64, String>,
    pub(super) ending: Ending,
}

/// How an answer ended, in the words of its protocol.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Ending {
    /// It did not: what came stops short.
    #[default]
    Open,
    /// It says that it is complete, and why it ended.
    Finished(String),
    /// It is, or ends in, an error of the protocol with this message.
    Error(String),
}

/// Why an answer is not one of its protocol.
pub(super) type Malformed = String;

impl Heard {
    /// Reads the body of an answer.
    pub(super) fn read(caller: Caller, streams: bool, body: &[u8]) -> Result<Self, Malformed> {
        let text = std::str::from_utf8(body).map_err(|error| error.to_string())?;
        if streams {
            return Self::read_stream(caller, text);
        }
        let value = serde_json::from_str(text).map_err(|error| format!("no JSON: {error}"))?;
        let mut heard = Self::default();
        match caller {
            Caller::Chat => chat::read_whole(&mut heard, &value),
            Caller::Responses => responses::read_whole(&mut heard, &value),
            Caller::Anthropic => anthropic::read_whole(&mut heard, &value),
            Caller::Gemini => gemini::read_event(&mut heard, &value),
        }?;
        Ok(heard)
    }

    fn read_stream(caller: Caller, text: &str) -> Result<Self, Malformed> {
        let mut heard = Self::default();
        let mut reader = Reader::new(caller);
        // Google ends its lines with both.
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        let (whole, rest) = text.rsplit_once("\n\n").unwrap_or(("", &text));
        // A last event without its blank line counts when all of it is there, as some providers leave that line out. Else it
        // is discarded (WHATWG, "Server-sent events", section 9.2.6).
        let rest = Some(rest).filter(|rest| is_readable(rest));
        for event in whole.split("\n\n").chain(rest) {
            let Some((name, data)) = fields(event)? else { continue };
            if let Ending::Error(message) = &heard.ending
                && !reader.repeats_errors()
            {
                return Err(format!("an event after the error {message:?}"));
            }
            let before = (heard.ending != Ending::Open).then(|| heard.said());
            reader.read(&mut heard, name, data)?;
            if before.is_some_and(|before| before != heard.said()) {
                return Err("content after the end".to_owned());
            }
        }
        Ok(heard)
    }

    /// How much was said.
    pub(super) fn said(&self) -> usize {
        self.text.len() + self.reasoning.len() + self.calls.values().map(String::len).sum::<usize>()
    }

    /// Whether this is the beginning of `whole`, or all of it, endings aside.
    pub(super) fn begins(&self, whole: &Self) -> bool {
        let begins = |(place, call): (&u64, &String)| {
            whole
                .calls
                .get(place)
                .is_some_and(|whole| whole.starts_with(call.as_str()))
        };
        whole.text.starts_with(&self.text)
            && whole.reasoning.starts_with(&self.reasoning)
            && self.calls.iter().all(begins)
    }

    fn fail(&mut self, error: &Value) -> Result<(), Malformed> {
        match error["message"].as_str() {
            Some(message) if !message.is_empty() => {
                self.ending = Ending::Error(message.to_owned());
                Ok(())
            }
            _ => Err(format!("an error without a message: {error}")),
        }
    }

    fn finish(&mut self, reason: &str) -> Result<(), Malformed> {
        match &self.ending {
            Ending::Finished(before) if before != reason => Err(format!("ended twice: {before}, {reason}")),
            Ending::Error(message) => Err(format!("an end after the error {message:?}")),
            Ending::Open | Ending::Finished(_) => {
                self.ending = Ending::Finished(reason.to_owned());
                Ok(())
            }
        }
    }
}

/// Reads the events of one stream.
enum Reader {
    Chat(chat::Reader),
    Responses(responses::Reader),
    Anthropic(anthropic::Reader),
    Gemini,
}

impl Reader {
    fn new(caller: Caller) -> Self {
        match caller {
            Caller::Chat => Self::Chat(chat::Reader::default()),
            Caller::Responses => Self::Responses(responses::Reader::default()),
            Caller::Anthropic => Self::Anthropic(anthropic::Reader::default()),
            Caller::Gemini => Self::Gemini,
        }
    }

    /// Whether an error may be said twice: of OpenAI's own clients, Codex reads `response.failed`, and the SDKs raise on a
    /// nameless event.
    fn repeats_errors(&self) -> bool {
        matches!(self, Self::Responses(_))
    }

    fn read(&mut self, heard: &mut Heard, name: Option<&str>, data: &str) -> Result<(), Malformed> {
        if let Self::Chat(reader) = self
            && data == "[DONE]"
        {
            return reader.done(heard);
        }
        let value: Value = serde_json::from_str(data).map_err(|error| format!("{error} in {data}"))?;
        let kind = value["type"].as_str();
        match self {
            Self::Chat(reader) => reader.read(heard, &value),
            Self::Gemini => gemini::read_event(heard, &value),
            Self::Responses(_) if matches!(heard.ending, Ending::Error(_)) => heard.fail(&value["error"]),
            Self::Responses(_) | Self::Anthropic(_) if name != kind => {
                Err(format!("the event {name:?} has the type {kind:?}"))
            }
            Self::Responses(reader) => reader.read(heard, &value),
            Self::Anthropic(reader) => reader.read(heard, &value),
        }
    }
}

fn is_readable(event: &str) -> bool {
    let is_json = |data: &str| serde_json::from_str::<Value>(data).is_ok();
    fields(event).is_ok_and(|fields| fields.is_some_and(|(_, data)| data == "[DONE]" || is_json(data)))
}

/// The name and the data of an event; `None` for a comment.
fn fields(event: &str) -> Result<Option<(Option<&str>, &str)>, Malformed> {
    let (mut name, mut data) = (None, None);
    for line in event.lines() {
        if let Some(value) = line.strip_prefix("event: ") {
            name = Some(value);
        } else if let Some(value) = line.strip_prefix("data: ") {
            if data.replace(value).is_some() {
                return Err(format!("an event with two lines of data: {event}"));
            }
        } else if !line.starts_with(':') {
            return Err(format!("a line that is no field: {line:?}"));
        }
    }
    match (name, data) {
        (name, Some(data)) => Ok(Some((name, data))),
        (Some(name), None) => Err(format!("the event {name} without data")),
        (None, None) => Ok(None),
    }
}

/// A text that must be there.
fn text<'a>(value: &'a Value, place: &str) -> Result<&'a str, Malformed> {
    let found = value.pointer(place).and_then(Value::as_str);
    found.ok_or_else(|| format!("{place} is missing in {value}"))
}

#[cfg(test)]
mod tests;
