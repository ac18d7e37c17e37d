//! Equal requests whose answers do not depend on chance share one call while it is under way.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use mynah_dialect::tree::Node;
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;

use crate::ask::{Ask, AskBody};
use crate::caller::Caller;
use crate::failure::Failure;
use crate::http::fan_out::{FanOut, Reader};
use crate::operation::Speech;

/// The header that says that an answer was asked for by somebody else.
static SHARED: HeaderName = HeaderName::from_static("x-mynah-shared");

/// Headers that tell requests apart and mean nothing to an answer. So do those that begin with `x-stainless-`.
const VOLATILE: [&str; 13] = [
    "authorization",
    "connection",
    "content-length",
    "host",
    "idempotency-key",
    "traceparent",
    "tracestate",
    "user-agent",
    "x-api-key",
    "api-key",
    "x-goog-api-key",
    "x-mynah-request-id",
    "x-request-id",
];

/// What equal requests have in common.
pub type Key = [u8; 32];

/// The calls under way that may be shared.
#[derive(Debug, Default)]
pub struct Flights {
    by_key: Mutex<HashMap<Key, watch::Receiver<Landing>>>,
}

/// How far a flight is.
#[derive(Clone, Debug)]
enum Landing {
    /// Nobody has answered yet.
    Waiting,
    /// The answer comes.
    Answered(Arc<Shared>),
    /// There will be none.
    Failed(Failure),
}

/// An answer that is shared.
#[derive(Debug)]
struct Shared {
    status: StatusCode,
    headers: HeaderMap,
    body: Arc<FanOut>,
}

/// A request's part in a flight.
#[derive(Debug)]
pub enum Seat {
    /// It asks, for all.
    Pilot(Pilot),
    /// It gets what another one asked for.
    Passenger(Box<Result<Response<Reader>, Failure>>),
}

/// The request that asks. Dropped without an answer, another one takes over.
#[derive(Debug)]
pub struct Pilot {
    flights: Arc<Flights>,
    key: Key,
    /// Until there is an answer. A flight without one whose sender is gone has lost its pilot.
    landing: Option<watch::Sender<Landing>>,
}

/// What a request has in common with those that may share its answer; `None` when its answer depends on chance.
pub fn key(ask: &Ask<'_>, caller: &Caller) -> Option<Key> {
    let AskBody::Json(body, _) = &ask.body else {
        return None;
    };
    let operation = ask.operation?;
    let is_fixed = match operation.speech {
        Speech::Embeddings(_) | Speech::Rerank { .. } | Speech::Count(_) => true,
        Speech::Conversation(_) | Speech::Completions => is_cold(body),
        Speech::Images | Speech::Plain(_) => false,
    };
    if !is_fixed {
        return None;
    }
    let mut hash = Sha256::new();
    let mut add = |part: &[u8]| {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    };
    for part in [
        &caller.name,
        operation.path,
        ask.model_in_path.unwrap_or_default(),
        ask.query,
    ] {
        add(part.as_bytes());
    }
    let mut headers: Vec<(&str, &[u8])> = ask
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()))
        .filter(|(name, _)| !VOLATILE.contains(name) && !name.starts_with("x-stainless-"))
        .collect();
    headers.sort_unstable();
    for (name, value) in headers {
        add(name.as_bytes());
        add(value);
    }
    add(body);
    Some(hash.finalize().into())
}

/// Whether a conversation is continued without chance.
fn is_cold(body: &[u8]) -> bool {
    let Ok(body) = Node::parse(body) else { return false };
    let config = body.any(&["generationConfig", "generation_config"]);
    let stated = [body.get("temperature"), config.get("temperature")];
    stated
        .into_iter()
        .filter_map(Node::f64)
        .any(|temperature| temperature == 0.0)
}

impl Flights {
    /// Takes a seat in the flight of a key: as its pilot, or as a passenger once the pilot has an answer.
    pub async fn board(self: &Arc<Self>, key: Key) -> Seat {
        loop {
            let mut landing = match self.seat(key) {
                Ok(pilot) => return Seat::Pilot(pilot),
                Err(landing) => landing,
            };
            let arrived = landing.wait_for(|landing| !matches!(landing, Landing::Waiting)).await;
            let arrived = arrived.map(|landing| landing.clone());
            match arrived {
                Ok(Landing::Failed(failure)) => return Seat::Passenger(Box::new(Err(failure))),
                Ok(Landing::Answered(shared)) => {
                    if let Some(response) = shared.response() {
                        return Seat::Passenger(Box::new(Ok(response)));
                    }
                    self.end(&key);
                }
                // The pilot was dropped.
                Ok(Landing::Waiting) | Err(_) => self.end(&key),
            }
        }
    }

    fn seat(self: &Arc<Self>, key: Key) -> Result<Pilot, watch::Receiver<Landing>> {
        let mut flights = self.lock();
        if let Some(landing) = flights.get(&key)
            && landing.has_changed().is_ok()
        {
            return Err(landing.clone());
        }
        let (sender, receiver) = watch::channel(Landing::Waiting);
        flights.insert(key, receiver);
        Ok(Pilot {
            flights: self.clone(),
            key,
            landing: Some(sender),
        })
    }

    /// Forgets a flight that is over.
    fn end(&self, key: &Key) {
        let mut flights = self.lock();
        let is_over = |landing: &watch::Receiver<Landing>| {
            landing.has_changed().is_err() || !matches!(*landing.borrow(), Landing::Waiting)
        };
        if flights.get(key).is_some_and(is_over) {
            flights.remove(key);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, watch::Receiver<Landing>>> {
        self.by_key.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    /// The answer for one more; `None` when it is too late for its beginning.
    fn response(&self) -> Option<Response<Reader>> {
        let mut response = Response::new(self.body.clone().join()?);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers.clone();
        response
            .headers_mut()
            .insert(SHARED.clone(), HeaderValue::from_static("true"));
        Some(response)
    }
}

impl Pilot {
    /// Shares the answer. Returns it as the pilot's own client gets it.
    pub fn land(mut self, response: Response) -> Response {
        let Some(landing) = self.landing.take() else {
            return response;
        };
        let landing = Arc::new(landing);
        let (head, body) = response.into_parts();
        let (flights, key, kept) = (self.flights.clone(), self.key, landing.clone());
        let reader = FanOut::of(body, move || {
            flights.end(&key);
            drop(kept);
        });
        let shared = Shared {
            status: head.status,
            headers: head.headers.clone(),
            body: reader.body(),
        };
        landing.send_replace(Landing::Answered(Arc::new(shared)));
        Response::from_parts(head, Body::new(reader))
    }

    /// Tells all passengers that there is no answer.
    pub fn crash(mut self, failure: Failure) -> Failure {
        if let Some(landing) = self.landing.take() {
            landing.send_replace(Landing::Failed(failure.clone()));
            self.flights.end(&self.key);
        }
        failure
    }
}

impl Drop for Pilot {
    fn drop(&mut self) {
        if self.landing.is_some() {
            self.flights.lock().remove(&self.key);
        }
    }
}
