//! What all connections of an understudy share.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use crate::control;
use crate::persona::{Cast, Persona};
use crate::received::{Outcome, Received};
use crate::record::Record;
use crate::reply::{Plan, Reply, Request};
use crate::script::{Reading, Script};

/// Called with each request as it enters the record.
pub(crate) type Observer = Box<dyn Fn(&Received) + Send + Sync>;

/// Called with each request when its exchange has ended.
pub(crate) type EndObserver = Box<dyn Fn(&Received, Outcome) + Send + Sync>;

/// What all connections of an understudy share.
pub(crate) struct Stage {
    pub(crate) record: Record,
    pub(crate) serves_http2: bool,
    serves_control: bool,
    script: RwLock<Arc<Script>>,
    cast: Cast,
    observer: Option<Observer>,
    end_observer: Option<EndObserver>,
    requests: AtomicU64,
}

/// What is to be answered.
#[derive(Debug)]
pub(crate) enum Answer {
    /// A reply that a script holds.
    Fixed(Arc<FixedReply>),
    /// A reply made for this request.
    Fresh(Box<Reply>),
}

/// A reply of a script, with its plan once one was made.
#[derive(Debug)]
pub(crate) struct FixedReply {
    reply: Reply,
    plan: OnceLock<Arc<Plan>>,
}

// === impl Stage ===

impl Stage {
    pub(crate) fn new(script: Script, record: Record, serves_http2: bool) -> Self {
        Self {
            record,
            serves_http2,
            serves_control: false,
            script: RwLock::new(Arc::new(script)),
            cast: Cast::default(),
            observer: None,
            end_observer: None,
            requests: AtomicU64::new(0),
        }
    }

    pub(crate) fn with_control(self, serves_control: bool) -> Self {
        Self { serves_control, ..self }
    }

    pub(crate) fn with_persona(self, persona: Persona) -> Self {
        Self {
            cast: Cast::new(persona),
            ..self
        }
    }

    pub(crate) fn with_observer(self, observer: Option<Observer>) -> Self {
        Self { observer, ..self }
    }

    pub(crate) fn with_end_observer(self, end_observer: Option<EndObserver>) -> Self {
        Self { end_observer, ..self }
    }

    pub(crate) fn set_script(&self, script: Script) {
        *self.script.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(script);
    }

    pub(crate) fn script(&self) -> Arc<Script> {
        Arc::clone(&self.script.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// How the body of the request with this head is read.
    pub(crate) fn reading(&self, head: &Received) -> Reading {
        if self.is_control(head) {
            Reading::Whole
        } else {
            self.script().reading(head)
        }
    }

    /// Whether the request is for the understudy itself: such a one is not recorded.
    pub(crate) fn is_control(&self, received: &Received) -> bool {
        self.serves_control && control::is_for(received)
    }

    /// Numbers the request and enters it into the record.
    pub(crate) fn enter(&self, received: &mut Received) {
        received.number = self.requests.fetch_add(1, Ordering::Relaxed) + 1;
        self.record.enter(received);
        if let Some(observer) = &self.observer {
            observer(received);
        }
    }

    /// Notes how the exchange ended.
    pub(crate) fn leave(&self, received: &Received, outcome: Outcome) {
        self.record.finish(received.number, outcome);
        if let Some(observer) = &self.end_observer {
            observer(received, outcome);
        }
    }

    /// What is to be answered to this request.
    pub(crate) fn answer(&self, received: &Received) -> Answer {
        if self.is_control(received) {
            return Answer::Fresh(Box::new(control::answer(self, received)));
        }
        match self.script().answer(received) {
            Some(answer) if answer.reply().persona => {
                Answer::Fresh(Box::new(answer.reply().laid_over(self.cast.answer(received))))
            }
            Some(answer) => answer,
            None => Answer::Fresh(Box::new(self.cast.answer(received))),
        }
    }
}

impl fmt::Debug for Stage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Stage")
            .field("script", &self.script)
            .finish_non_exhaustive()
    }
}

// === impl Answer ===

impl Answer {
    pub(crate) fn reply(&self) -> &Reply {
        match self {
            Self::Fixed(fixed) => &fixed.reply,
            Self::Fresh(reply) => reply,
        }
    }

    /// The plan of the reply; that of a script's reply is made once.
    pub(crate) fn plan(&self, request: Request) -> Arc<Plan> {
        match self {
            Self::Fixed(fixed) if request == Request::USUAL => {
                Arc::clone(fixed.plan.get_or_init(|| Arc::new(Plan::new(&fixed.reply, request))))
            }
            _ => Arc::new(Plan::new(self.reply(), request)),
        }
    }
}

// === impl FixedReply ===

impl FixedReply {
    pub(crate) fn new(reply: Reply) -> Self {
        Self {
            reply,
            plan: OnceLock::new(),
        }
    }
}
