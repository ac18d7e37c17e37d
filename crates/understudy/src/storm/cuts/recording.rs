//! What is cut, and how.

use std::path::Path;
use std::{fs, io};

use bytes::Bytes;

use crate::received::Received;
use crate::reply::Reply;
use crate::storm::protocol::{Caller, Protocol};
use crate::storm::question::{Question, nonce_in};
use crate::storm::speech::Speech;

/// The streams that are cut: files below the folder of recordings.
const STREAMS: [(Protocol, &str); 15] = [
    (Protocol::Chat, "openai-chat/text"),
    (Protocol::Chat, "openai-chat/reasoning"),
    (Protocol::Chat, "openai-chat/tool-call"),
    (Protocol::Responses, "openai-responses/text"),
    (Protocol::Responses, "openai-responses/reasoning"),
    (Protocol::Responses, "openai-responses/parallel-calls"),
    (Protocol::Anthropic, "anthropic/text"),
    (Protocol::Anthropic, "anthropic/thinking"),
    (Protocol::Anthropic, "anthropic/parallel-tool-calls"),
    (Protocol::Gemini, "gemini/text"),
    (Protocol::Gemini, "gemini/thinking"),
    (Protocol::Gemini, "gemini/call-then-stop"),
    (Protocol::Cohere, "cohere/text"),
    (Protocol::Cohere, "cohere/thinking-then-text"),
    (Protocol::Cohere, "cohere/plan-and-parallel-calls"),
];

/// An answer to be cut.
#[derive(Debug)]
pub(super) struct Recording {
    pub(super) name: String,
    pub(super) protocol: Protocol,
    pub(super) streams: bool,
    pub(super) body: Bytes,
}

/// How an answer is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// The connection is closed before HTTP's end of the body.
    Close,
    /// The connection is reset.
    Reset,
    /// HTTP says that the body is complete.
    End,
    /// Not at all.
    Whole,
}

/// One cut, and who is to see it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    pub(super) recording: usize,
    pub(super) caller: Caller,
    pub(super) manner: Manner,
    pub(super) place: usize,
}

/// All of them, the streams from the files of this folder.
pub(super) fn all(folder: &Path) -> io::Result<Vec<Recording>> {
    let mut recordings = Vec::new();
    for (protocol, name) in STREAMS {
        let file = folder.join(name).with_extension("sse");
        let body =
            fs::read(&file).map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", file.display())))?;
        recordings.push(Recording {
            name: name.to_owned(),
            protocol,
            streams: true,
            body: body.into(),
        });
    }
    let speech = Speech {
        target: "alpha".to_owned(),
        nonce: 0,
        call: 0,
        words: 5,
    };
    recordings.extend(Protocol::ALL.map(|protocol| Recording {
        name: format!("{}, no stream", protocol.name()),
        protocol,
        streams: false,
        body: speech.whole(protocol).to_string().into(),
    }));
    Ok(recordings)
}

/// What the first target says: the recording, cut as the request is marked.
pub(super) fn play(received: &Received, recordings: &[Recording]) -> Reply {
    let marked = nonce_in(&received.body).and_then(Cut::marked);
    let Some((recording, manner, place)) = marked else {
        return Reply::status(404);
    };
    let Some(Recording { streams, body, .. }) = recordings.get(recording) else {
        return Reply::status(404);
    };
    let said = if manner == Manner::End {
        body.slice(..place.min(body.len()))
    } else {
        body.clone()
    };
    let reply = if *streams {
        Reply::stream([said])
    } else {
        Reply::bytes(said).header("content-type", "application/json")
    };
    match manner {
        Manner::Close => reply.cut_at(place),
        Manner::Reset => reply.reset_at(place),
        Manner::End | Manner::Whole => reply,
    }
}

impl Cut {
    /// The request, marked with what is to become of it.
    pub(super) fn question(self, recordings: &[Recording]) -> Question {
        let recording = recordings.get(self.recording);
        let protocol = recording.map_or(Protocol::Chat, |recording| recording.protocol);
        Question {
            caller: self.caller,
            model: protocol.name().to_owned(),
            streams: recording.is_some_and(|recording| recording.streams),
            nonce: self.mark(),
            slowly: false,
        }
    }

    fn mark(self) -> u64 {
        ((self.place as u64) << 16) | ((self.recording as u64) << 8) | self.manner as u64
    }

    fn marked(nonce: u64) -> Option<(usize, Manner, usize)> {
        let manners = [Manner::Close, Manner::Reset, Manner::End, Manner::Whole];
        let manner = manners.into_iter().find(|manner| *manner as u64 == nonce & 0xFF)?;
        let recording = usize::try_from((nonce >> 8) & 0xFF).ok()?;
        Some((recording, manner, usize::try_from(nonce >> 16).ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_is_read_from_its_mark() {
        let cut = Cut {
            recording: 17,
            caller: Caller::Chat,
            manner: Manner::End,
            place: 4700,
        };
        assert_eq!(Cut::marked(cut.mark()), Some((17, Manner::End, 4700)));
    }
}
