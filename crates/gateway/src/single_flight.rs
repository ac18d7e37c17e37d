//! Equal requests whose answers do not depend on chance share one call while it is under way.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use mynah_dialect::tree::Node;
use tokio::sync::watch;

use crate::ask::{Ask, AskBody};
use crate::digest::Digest;
use crate::failure::Failure;
use crate::http::fan_out::{FanOut, Reader};
use crate::operation::Speech;

/// The header that says that an answer was asked for by somebody else.
static SHARED: HeaderName = HeaderName::from_static("x-mynah-shared");

/// The calls under way that may be shared.
#[derive(Debug, Default)]
pub struct Flights {
    by_key: Mutex<HashMap<Digest, watch::Receiver<Landing>>>,
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
    key: Digest,
    /// Until there is an answer. A flight without one whose sender is gone has lost its pilot.
    landing: Option<watch::Sender<Landing>>,
}

/// Whether the answer to a request does not depend on chance, so that equal requests may share it.
pub fn is_possible(ask: &Ask<'_>) -> bool {
    let AskBody::Json(body, _) = &ask.body else {
        return false;
    };
    match ask.operation.map(|operation| operation.speech) {
        Some(Speech::Embeddings(_) | Speech::Rerank { .. } | Speech::Count(_)) => true,
        Some(Speech::Conversation(_) | Speech::Completions) => is_cold(body),
        Some(Speech::Images | Speech::Plain(_)) | None => false,
    }
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
    pub async fn board(self: &Arc<Self>, key: Digest) -> Seat {
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

    fn seat(self: &Arc<Self>, key: Digest) -> Result<Pilot, watch::Receiver<Landing>> {
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
    fn end(&self, key: &Digest) {
        let mut flights = self.lock();
        let is_over = |landing: &watch::Receiver<Landing>| {
            landing.has_changed().is_err() || !matches!(*landing.borrow(), Landing::Waiting)
        };
        if flights.get(key).is_some_and(is_over) {
            flights.remove(key);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Digest, watch::Receiver<Landing>>> {
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
