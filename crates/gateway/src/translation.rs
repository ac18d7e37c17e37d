//! A conversation as it is put to providers that speak another protocol than its caller.

use std::sync::OnceLock;

use mynah_dialect::Protocol;
use mynah_dialect::codec::{
    Address, Asked, ClientSide, Malformed, Outgoing, Target as Addressee, client_side, upstream_side,
};
use mynah_dialect::completions;
use mynah_dialect::continuation::asked_again;
use mynah_dialect::field::Field;
use mynah_dialect::ir::{Content, Request};
use mynah_dialect::loss::Losses;
use mynah_dialect::repair::repair;
use mynah_dialect::stored;

use crate::completing::Completing;
use crate::exchange::Question;
use crate::failure::Failure;
use crate::operation::Speech;
use crate::route::Target;

/// A conversation that was read into the common vocabulary.
#[derive(Debug)]
pub struct Conversation {
    /// By what its request is known.
    pub id: String,
    /// What is needed to write its answer.
    pub asked: Asked,
    /// As it came.
    request: Request,
    /// What was lost in reading it.
    lost: Losses,
    /// As every provider accepts it, and what had to be changed for that; once it was put to one of another protocol.
    mended: OnceLock<(Request, Losses)>,
    /// It is the continuation of a text, to be answered as such.
    completion: Option<Completing>,
    strict: bool,
    /// The reasoning of earlier turns was left out.
    left_out: bool,
    /// Its answer goes on when it is cut.
    goes_on: bool,
    /// The beginning of the answer, of which the rest is asked for.
    told: Option<String>,
}

/// A conversation as one target gets it.
#[derive(Debug)]
pub struct Translation {
    /// The protocol that the target is asked in.
    pub protocol: Protocol,
    /// What is sent.
    pub outgoing: Outgoing,
    /// What could not be said.
    pub lost: Losses,
}

impl Conversation {
    /// Reads a question; `None` when it is none that is put as a conversation.
    pub fn read(question: &Question<'_>, address: &Address<'_>) -> Result<Option<Self>, Failure> {
        let (mut request, lost, completion) = match question.speech {
            Speech::Conversation(protocol) => {
                let codec = client_side(protocol).ok_or_else(|| Failure::cannot_translate(protocol.name(), ""))?;
                let request = codec.read_request(question.body, address).map_err(malformed)?;
                (request, Losses::new(protocol), None)
            }
            Speech::Completions => {
                let mut lost = Losses::new(Protocol::OpenaiChat);
                let completion = completions::read_request(question.body, &mut lost).map_err(malformed)?;
                let [request] = completion.requests.as_slice() else {
                    return Ok(None);
                };
                (request.clone(), lost, Some(Completing::new(completion, question)))
            }
            _ => return Ok(None),
        };
        if let Some(stream) = address.stream {
            request.stream = stream;
        }
        let messages = std::mem::take(&mut request.messages);
        let head = request.clone();
        request.messages = messages;
        Ok(Some(Self {
            id: question.id.to_owned(),
            asked: Asked {
                request: head,
                events: address.events,
                id: question.id.chars().filter(char::is_ascii_alphanumeric).collect(),
                now: question.now,
            },
            request,
            lost,
            mended: OnceLock::new(),
            completion,
            strict: question.strict,
            left_out: false,
            goes_on: false,
            told: None,
        }))
    }

    /// Who writes the answer for the caller.
    pub fn client(&self) -> Option<&dyn ClientSide> {
        match &self.completion {
            Some(completing) => Some(completing),
            None => client_side(self.request.from).map(|codec| codec as &dyn ClientSide),
        }
    }

    /// The conversation in another protocol, for a target.
    pub fn put_to(&self, target: &Target, protocol: Protocol) -> Result<Translation, Failure> {
        let (request, mut lost) = if protocol == self.request.from && self.completion.is_none() {
            (&self.request, Losses::new(protocol))
        } else {
            if let Some(field) = stored::reference(&self.request) {
                return Err(Failure::stored_elsewhere(field, protocol));
            }
            let (mended, lost) = self.mended();
            (mended, lost.clone())
        };
        let rest = self.told.as_ref().map(|told| asked_again(request, told));
        let request = rest.as_ref().unwrap_or(request);
        let defaults = &target.provider.defaults;
        // Some protocols demand a limit, and have words of their own for it.
        let limit = defaults.max_tokens().filter(|_| request.max_tokens.is_none());
        let limited = limit.map(|limit| Request {
            max_tokens: Some(limit),
            ..request.clone()
        });
        let request = limited.as_ref().unwrap_or(request);
        if self.left_out {
            lost.note(Field::ReasoningHistory, "refused by the provider and left out");
        }
        let addressee = Addressee {
            provider: &target.provider.name,
            model: &target.model,
            quirks: &target.provider.quirks,
        };
        let mut outgoing = upstream_side(protocol)
            .write_request(request, &addressee, &mut lost)
            .map_err(|unsayable| Failure::unsayable(&target.name, &unsayable))?;
        if !defaults.is_empty() {
            outgoing.body = defaults.fill(outgoing.body);
        }
        if self.strict
            && let Some(losses) = lost.header()
        {
            return Err(Failure::lossy(&target.name, &losses));
        }
        Ok(Translation {
            protocol,
            outgoing,
            lost,
        })
    }

    /// Its answer is to go on when it is cut.
    pub fn hold_together(&mut self) {
        self.goes_on = true;
    }

    /// Whether its answer goes on when it is cut.
    pub fn goes_on(&self) -> bool {
        self.goes_on
    }

    /// From now on, the rest of the answer is asked for that begins like this.
    pub fn resume(&mut self, told: &str) {
        self.told = Some(told.to_owned());
    }

    /// Whether the rest of an answer is asked for.
    pub fn resumes(&self) -> bool {
        self.told.is_some()
    }

    /// As it was asked.
    pub fn request(&self) -> &Request {
        &self.request
    }

    fn mended(&self) -> &(Request, Losses) {
        self.mended.get_or_init(|| {
            let (mut mended, mut lost) = (self.request.clone(), self.lost.clone());
            repair(&mut mended, &mut lost);
            (mended, lost)
        })
    }

    /// Leaves out the reasoning of earlier turns, with its proofs. Returns whether there was any.
    pub fn leave_out_reasoning(&mut self) -> bool {
        self.left_out = without_reasoning(&mut self.request);
        self.mended = OnceLock::new();
        self.left_out
    }
}

fn without_reasoning(request: &mut Request) -> bool {
    let mut found = false;
    for message in &mut request.messages {
        message.parts.retain_mut(|part| {
            let is_reasoning = matches!(part.content, Content::Reasoning { .. });
            found |= is_reasoning || part.signature.take().is_some();
            !is_reasoning
        });
    }
    request.messages.retain(|message| !message.parts.is_empty());
    found
}

/// The failure to read a body.
pub fn malformed(malformed: Malformed) -> Failure {
    let message = format!("The request cannot be read: {malformed}.");
    match malformed {
        Malformed::NotJson(_) => Failure::body_unreadable(message, None),
        Malformed::Field { field, .. } => Failure::body_unreadable(message, Some(field.into())),
    }
}
