//! What happens to an answer's bytes on their way to the caller.

use bytes::Bytes;
use mynah_dialect::gauge::Seen;
use mynah_dialect::ir::{Class, Error};
use mynah_dialect::relay::Relay;
use mynah_dialect::transcode::{Sequel, Transcoder};

/// How the bytes pass.
#[derive(Debug)]
pub enum Passage {
    /// Unseen.
    Plain,
    /// Unchanged, but read along.
    Relay(Box<Relay>),
    /// Translated, as they come.
    Transcode(Box<Transcoder>),
}

impl Passage {
    /// What a piece becomes, which may be nothing.
    pub fn push(&mut self, piece: Bytes) -> Bytes {
        match self {
            Self::Plain => piece,
            Self::Relay(relay) => relay.push(piece),
            Self::Transcode(transcoder) => transcoder.push(&piece),
        }
    }

    /// Why an answer was cut that may go on, and its text so far.
    pub fn cut(&self) -> Option<(&Error, &str)> {
        match self {
            Self::Transcode(transcoder) => transcoder.cut(),
            Self::Plain | Self::Relay(_) => None,
        }
    }

    /// Goes on with the rest of an answer that was cut, by somebody of whom it may be known that they repeat what they were
    /// given.
    pub fn go_on(&mut self, sequel: Sequel, by: &str, repeats: bool) -> Bytes {
        match self {
            Self::Transcode(transcoder) => transcoder.go_on(sequel, by, repeats),
            Self::Plain | Self::Relay(_) => Bytes::new(),
        }
    }

    /// Ends an answer that was cut in its error.
    pub fn give_up(&mut self) -> Bytes {
        match self {
            Self::Transcode(transcoder) => transcoder.give_up(),
            Self::Plain | Self::Relay(_) => Bytes::new(),
        }
    }

    /// What is left at the end.
    pub fn finish(&mut self) -> Bytes {
        match self {
            Self::Plain => Bytes::new(),
            Self::Relay(relay) => relay.finish(),
            Self::Transcode(transcoder) if transcoder.is_over() => Bytes::new(),
            Self::Transcode(transcoder) => transcoder.finish(),
        }
    }

    /// Whether something is held back.
    pub fn holds(&self) -> bool {
        match self {
            Self::Plain => false,
            Self::Relay(relay) => relay.holds(),
            Self::Transcode(transcoder) => !transcoder.is_over(),
        }
    }

    /// Whether all of an answer was translated: what comes now is of no interest.
    pub fn is_over(&self) -> bool {
        matches!(self, Self::Transcode(transcoder) if transcoder.is_over())
    }

    /// The end of a stream that broke off, in the words of the caller's protocol. Empty when the answer was whole before;
    /// `None` where nothing that is said now would be understood. `relayed` writes the event for what is only relayed.
    pub fn break_off(&mut self, message: &str, relayed: impl FnOnce() -> Vec<u8>) -> Option<Bytes> {
        match self {
            Self::Relay(relay) if relay.is_between_events() => Some(Bytes::from(relayed())),
            Self::Plain | Self::Relay(_) => None,
            Self::Transcode(transcoder) => Some(transcoder.fail(Error::new(Class::Server, message))),
        }
    }

    /// What kind of error the answer has ended in, if it has and that was not asked for before.
    pub fn take_failure(&mut self) -> Option<Class> {
        match self {
            Self::Plain => None,
            Self::Relay(relay) => relay.take_failure(),
            Self::Transcode(transcoder) => transcoder.take_failure(),
        }
    }

    /// What was seen so far, if somebody has looked.
    pub fn seen(&self) -> Option<Seen> {
        match self {
            Self::Plain => None,
            Self::Relay(relay) => Some(relay.seen()),
            Self::Transcode(transcoder) => Some(transcoder.seen()),
        }
    }
}
