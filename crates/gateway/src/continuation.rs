//! Has an answer go on that was cut: while its client waits, the next target is asked for the rest.
//!
//! A body outlives the request that it answers, so all that is needed to ask again goes with it. Only answers of models
//! with `on_cut = "continue"` carry that.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::http::{HeaderMap, Method};
use bytes::Bytes;
use mynah_dialect::continuation::MAX_CONTINUATIONS;
use mynah_dialect::transcode::Sequel;
use tokio::time::Instant;

use crate::answer::Answer;
use crate::app::App;
use crate::ask::{Ask, AskBody};
use crate::attempt::rest_of;
use crate::condition::Pending;
use crate::course::Past;
use crate::directions::Directions;
use crate::ledger::attempts::Attempts;
use crate::operation::Operation;
use crate::prices::Price;
use crate::route::Route;
use crate::translation::Conversation;
use crate::upstream::send::UpstreamBody;

/// Asks for the rest of one answer, each time that it is cut.
pub struct Continuation {
    state: State,
    /// How often it may still go on.
    left: u32,
}

/// Somebody is asked, and the means come back with what they say.
type Asking = dyn Future<Output = (Box<Means>, Option<Rest>)> + Send;

enum State {
    /// The answer comes.
    Idle(Box<Means>),
    /// Somebody is being asked.
    Asking(Pin<Box<Asking>>),
    /// Nobody can be asked.
    Over,
}

/// The rest of an answer, from its first content on.
pub struct Rest {
    /// Who gives it.
    pub by: String,
    /// They are known to repeat what they were given.
    pub repeats: bool,
    /// What they cost.
    pub price: Option<Arc<Price>>,
    /// What has come.
    pub sequel: Box<Sequel>,
    /// What is still to come.
    pub body: Option<Box<UpstreamBody>>,
    /// By when all of it must be there.
    pub until: Option<Instant>,
    /// The request's presence at the target.
    pub pending: Option<Pending>,
    /// How many times somebody was asked so far, for all of the answer.
    pub attempts: u32,
    /// Those who were asked for this rest, where there is a ledger.
    pub noted: Attempts,
}

/// A request, as much of it as is needed to ask again.
struct Means {
    app: Arc<App>,
    route: Arc<Route>,
    conversation: Option<Box<Conversation>>,
    past: Past,
    operation: Operation,
    strict: bool,
    headers: HeaderMap,
    /// Tells how long the request is.
    body: Bytes,
    id: String,
    begun: Instant,
    timeout: Option<Duration>,
    until: Option<Instant>,
}

impl std::fmt::Debug for Continuation {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Continuation")
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}

impl Continuation {
    /// Takes from a request what is needed to have its answer go on; `None` for one that does not.
    pub fn of(app: &Arc<App>, route: &Arc<Route>, ask: &mut Ask<'_>, answer: &mut Answer<'_>) -> Option<Box<Self>> {
        let past = *answer.past.take()?;
        answer.body.transcoder.as_ref()?;
        let AskBody::Json(body, _) = &ask.body else { return None };
        let means = Means {
            app: app.clone(),
            route: route.clone(),
            conversation: ask.conversation.take().flatten(),
            past,
            operation: ask.operation?,
            strict: ask.strict,
            headers: ask.headers.clone(),
            body: Bytes::clone(body),
            id: ask.id.to_owned(),
            begun: ask.begun,
            timeout: ask.timeout,
            until: ask.until,
        };
        Some(Box::new(Self {
            state: State::Idle(Box::new(means)),
            left: MAX_CONTINUATIONS,
        }))
    }

    /// Asks for the rest of an answer that begins with `told`. `None` when nobody gives it.
    pub fn poll(&mut self, told: &str, cx: &mut Context<'_>) -> Poll<Option<Rest>> {
        loop {
            match std::mem::replace(&mut self.state, State::Over) {
                State::Over => return Poll::Ready(None),
                State::Idle(_) if self.left == 0 => {}
                State::Idle(mut means) => {
                    self.left -= 1;
                    if let Some(conversation) = &mut means.conversation {
                        conversation.resume(told);
                    }
                    self.state = State::Asking(Box::pin(means.ask()));
                }
                State::Asking(mut asking) => {
                    let Poll::Ready((means, rest)) = asking.as_mut().poll(cx) else {
                        self.state = State::Asking(asking);
                        return Poll::Pending;
                    };
                    if rest.is_some() {
                        self.state = State::Idle(means);
                    }
                    return Poll::Ready(rest);
                }
            }
        }
    }
}

impl Means {
    async fn ask(mut self: Box<Self>) -> (Box<Self>, Option<Rest>) {
        let (route, headers, body, id) = (
            self.route.clone(),
            std::mem::take(&mut self.headers),
            std::mem::take(&mut self.body),
            std::mem::take(&mut self.id),
        );
        let mut ask = Ask {
            method: Method::POST,
            path: self.operation.below,
            operation: Some(self.operation),
            dialect: self.operation.dialect(),
            // It is written for each target anew, with its own model.
            model_in_path: None,
            strict: self.strict,
            query: "",
            headers: &headers,
            body: AskBody::Opaque(&body),
            id: &id,
            form: None,
            attempts: self.past.asked(),
            begun: self.begun,
            timeout: self.timeout,
            has_tags: Directions::of(&headers).has_tags,
            until: self.until,
            conversation: OnceLock::from(self.conversation.take()),
        };
        let mut noted = Attempts::default();
        let attempts = self.app.process.ledger.is_some().then_some(&mut noted);
        let answer = rest_of(&self.app, &route, &mut ask, &mut self.past, attempts).await;
        let rest = answer.and_then(|mut answer| {
            Some(Rest {
                by: answer.target.name.clone(),
                repeats: answer.target.provider.quirks.repeats_prefill,
                price: answer.target.price(&self.app.process.discovered),
                sequel: answer.body.sequel.take()?,
                body: answer.body.rest.take(),
                until: answer.until,
                pending: answer.pending.take(),
                attempts: self.past.asked(),
                noted,
            })
        });
        self.conversation = ask.conversation.take().flatten();
        drop(ask);
        (self.headers, self.body, self.id) = (headers, body, id);
        (self, rest)
    }
}
