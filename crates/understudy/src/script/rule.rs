//! One rule of a script: which requests it is for, and what it answers.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::received::Received;
use crate::reply::Reply;
use crate::stage::{Answer, FixedReply};

/// One rule of a script. All conditions must hold.
///
/// A rule without replies leaves its requests to the built-in persona.
#[derive(Debug)]
pub struct Rule {
    method: Option<String>,
    path: Option<PathPattern>,
    model: Option<String>,
    headers: Vec<(String, Option<Vec<u8>>)>,
    key: Option<String>,
    asks_for_stream: bool,
    pub(super) reading: Reading,
    source: Source,
    turn: AtomicUsize,
    cycles: bool,
}

/// How the body of a request is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reading {
    /// As fast as it comes.
    #[default]
    Whole,
    /// About so many bytes at a time, each after a pause.
    Slowly {
        /// How many bytes at a time.
        bytes: usize,
        /// How long the pause is.
        every: Duration,
    },
    /// Up to so many bytes: then the reply comes, and the rest is not read. Zero: the body is not read at all.
    UpTo(usize),
}

#[derive(Debug)]
enum PathPattern {
    Exact(String),
    Prefix(String),
}

type Answering = dyn Fn(&Received) -> Reply + Send + Sync;

enum Source {
    Replies(Vec<Arc<FixedReply>>),
    Function(Box<Answering>),
}

/// Choosing the requests.
impl Rule {
    /// A rule for every request.
    pub fn any() -> Self {
        Self {
            method: None,
            path: None,
            model: None,
            headers: Vec::new(),
            key: None,
            asks_for_stream: false,
            reading: Reading::Whole,
            source: Source::Replies(Vec::new()),
            turn: AtomicUsize::new(0),
            cycles: false,
        }
    }

    /// A rule for requests to this path; one that ends in `*` stands for all that begin like it.
    pub fn path(pattern: &str) -> Self {
        Self::any().at_path(pattern)
    }

    /// Only requests to this path; one that ends in `*` stands for all that begin like it.
    #[must_use]
    pub fn at_path(mut self, pattern: &str) -> Self {
        self.path = Some(match pattern.strip_suffix('*') {
            Some(prefix) => PathPattern::Prefix(prefix.to_owned()),
            None => PathPattern::Exact(pattern.to_owned()),
        });
        self
    }

    /// Only requests with this method.
    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        self.method = Some(method.to_owned());
        self
    }

    /// Only requests for this model, named in a JSON body or in a field of a form.
    #[must_use]
    pub fn model(mut self, model: &str) -> Self {
        self.model = Some(model.to_owned());
        self
    }

    /// Only requests with this header.
    #[must_use]
    pub fn header(mut self, name: &str) -> Self {
        self.headers.push((name.to_owned(), None));
        self
    }

    /// Only requests with this header and value.
    #[must_use]
    pub fn header_is(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_owned(), Some(value.as_ref().to_vec())));
        self
    }

    /// Only requests that present this key (see [`Received::key`]).
    #[must_use]
    pub fn key(mut self, key: &str) -> Self {
        self.key = Some(key.to_owned());
        self
    }

    /// Only requests whose body asks for a stream: `"stream":true` stands somewhere in it.
    #[must_use]
    pub fn asks_for_stream(mut self) -> Self {
        self.asks_for_stream = true;
        self
    }
}

/// Choosing the answer.
impl Rule {
    /// Answers with this reply, after those that were given before; the last one is repeated.
    #[must_use]
    pub fn reply(self, reply: Reply) -> Self {
        self.replies([reply])
    }

    /// Answers with these replies in turn, after those that were given before; the last one is repeated.
    #[must_use]
    pub fn replies(mut self, replies: impl IntoIterator<Item = Reply>) -> Self {
        let added = replies.into_iter().map(|reply| Arc::new(FixedReply::new(reply)));
        match &mut self.source {
            Source::Replies(present) => present.extend(added),
            Source::Function(_) => self.source = Source::Replies(added.collect()),
        }
        self
    }

    /// Begins again with the first reply after the last.
    #[must_use]
    pub fn cycle(mut self) -> Self {
        self.cycles = true;
        self
    }

    /// Answers with what this function returns.
    #[must_use]
    pub fn answer_with(mut self, function: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Self {
        self.source = Source::Function(Box::new(function));
        self
    }

    /// Reads the body of the request like this.
    ///
    /// The choice is made when only the head is known: by the first rule whose conditions hold, that on the model aside.
    #[must_use]
    pub fn reading(mut self, reading: Reading) -> Self {
        self.reading = reading;
        self
    }
}

impl Rule {
    pub(super) fn matches_head(&self, head: &Received) -> bool {
        self.method.as_ref().is_none_or(|method| *method == head.method)
            && self.path.as_ref().is_none_or(|pattern| pattern.matches(head.path()))
            && self.key.as_ref().is_none_or(|key| head.key() == Some(key))
            && self.headers.iter().all(|(name, wanted)| {
                head.header_values(name)
                    .any(|value| wanted.as_ref().is_none_or(|wanted| wanted == value))
            })
    }

    pub(super) fn matches(&self, received: &Received) -> bool {
        self.matches_head(received)
            && self
                .model
                .as_ref()
                .is_none_or(|model| received.model().as_ref() == Some(model))
            && (!self.asks_for_stream || asks_for_stream(&received.body))
    }

    pub(super) fn answer(&self, received: &Received) -> Option<Answer> {
        match &self.source {
            Source::Function(function) => Some(Answer::Fresh(Box::new(function(received)))),
            Source::Replies(replies) => {
                let last = replies.len().checked_sub(1)?;
                let turn = self.turn.fetch_add(1, Ordering::Relaxed);
                let place = if self.cycles {
                    turn % replies.len()
                } else {
                    turn.min(last)
                };
                replies.get(place).cloned().map(Answer::Fixed)
            }
        }
    }
}

/// Looks at the bytes rather than parse them: benches ask this of every request.
fn asks_for_stream(body: &[u8]) -> bool {
    let key = b"\"stream\":";
    memchr::memmem::find_iter(body, key).any(|place| body[place + key.len()..].trim_ascii_start().starts_with(b"true"))
}

impl PathPattern {
    fn matches(&self, path: &str) -> bool {
        match self {
            Self::Exact(exact) => exact == path,
            Self::Prefix(prefix) => path.starts_with(prefix),
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Replies(replies) => formatter.debug_tuple("Replies").field(replies).finish(),
            Self::Function(_) => formatter.write_str("Function"),
        }
    }
}
