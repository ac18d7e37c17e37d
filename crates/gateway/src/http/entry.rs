//! What is noted of a request from its beginning to its end: a line of the log, a row of the ledger, and what it used.

use std::sync::Arc;
use std::time::Duration;

use axum::http::request::Parts;
use axum::http::response::Parts as ResponseParts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use http_body::Frame;
use mynah_dialect::Dialect;
use mynah_dialect::gauge::Seen;
use mynah_dialect::usage::Body;
use tokio::time::Instant;

use super::reply::{ATTEMPTS, MODEL, REQUEST_ID};
use crate::answer::Answer;
use crate::app::App;
use crate::ask::{Ask, unix_time};
use crate::caller::Caller;
use crate::continuation::Rest;
use crate::failure::{Blame, Failure};
use crate::ledger::account::{Account, Closing};
use crate::ledger::record::Attempt;
use crate::limits::permit::Permit;
use crate::meter::{Charge, Ending, Meter};
use crate::translated::LOSSY;

/// One line of the request log and one row of the ledger, written when the request is over in whatever way.
#[derive(Debug, Default)]
pub struct Entry {
    begun: Option<Instant>,
    method: Method,
    path: String,
    pub(super) id: String,
    client: String,
    asked: String,
    model: String,
    /// `None` until there is a reply.
    status: Option<StatusCode>,
    attempts: u32,
    pub(super) error: Option<&'static str>,
    /// What was seen of the answer.
    pub(super) seen: Option<Seen>,
    /// Whose fault it is that there is no answer.
    blame: Option<Blame>,
    lost: Option<HeaderValue>,
    /// Who has gone on with the answer, one after the other.
    continued: Option<String>,
    /// The answer was kept from an earlier request.
    from_cache: bool,
    meter: Option<Box<Meter>>,
    account: Option<Account>,
}

/// The status of a request whose caller did not wait for a reply, as nginx has it.
const HUNG_UP: u16 = 499;

impl Entry {
    /// A request that begins now; empty when requests are not logged.
    pub fn new(parts: &Parts) -> Self {
        Self::kept(parts, crate::telemetry::logs_requests())
    }

    /// The same for one that may cost something, with an account in the ledger if there is one.
    pub fn with_account(parts: &Parts, app: &Arc<App>, dialect: Dialect) -> Self {
        let ledger = app.process.ledger.as_ref();
        let kept = ledger.is_some() || crate::telemetry::logs_requests();
        let mut entry = Self::kept(parts, kept);
        if kept {
            entry.measure(app);
        }
        entry.account = ledger.map(|ledger| Account::open(Some(ledger), parts, dialect));
        entry
    }

    fn kept(parts: &Parts, kept: bool) -> Self {
        if !kept {
            return Self::default();
        }
        let id = parts
            .headers
            .get(&REQUEST_ID)
            .and_then(|id| id.to_str().ok())
            .unwrap_or_default()
            .to_owned();
        // The query may hold a key.
        let path = parts.uri.path().to_owned();
        let mut entry = Self::default();
        (entry.begun, entry.method, entry.path, entry.id) = (Some(Instant::now()), parts.method.clone(), path, id);
        entry
    }

    /// Moves the entry to where the request ends.
    #[must_use]
    pub fn take(&mut self) -> Self {
        std::mem::take(self)
    }

    /// Whether there is somebody to read it.
    fn is_kept(&self) -> bool {
        self.begun.is_some()
    }

    /// Measures what the request uses, since somebody wants to know: the ledger, the log, or limits.
    pub fn measure(&mut self, app: &Arc<App>) {
        self.meter.get_or_insert_with(|| Box::new(Meter::new(app)));
    }

    /// What the answer consists of, where it is measured what it uses.
    pub(super) fn body(&self) -> Option<Body> {
        self.meter.as_ref().and_then(|meter| meter.body())
    }

    /// Notes what is asked.
    pub fn asks(&mut self, ask: &Ask<'_>) {
        if let (Some(meter), Some(operation), Some(body)) = (&mut self.meter, ask.operation, ask.body.held()) {
            meter.asks(operation, body);
        }
    }

    /// Notes who is calling.
    pub fn called_by(&mut self, caller: &Caller) {
        if self.is_kept() {
            self.client.clone_from(&caller.name);
        }
        if let Some(account) = &mut self.account {
            account.called_with(caller.key);
            account.tagged(&caller.tags);
        }
    }

    /// Keeps what the request was admitted with. It is settled when the request is over, also where nothing else is kept.
    pub fn hold(&mut self, permit: Permit, parts: &Parts, app: &Arc<App>, dialect: Dialect) {
        self.measure(app);
        self.begun.get_or_insert_with(Instant::now);
        let account = self.account.get_or_insert_with(|| Account::open(None, parts, dialect));
        account.hold(permit);
    }

    /// Tells how far the caller's limits are used up.
    pub(super) fn tell_standing(&self, dialect: Dialect, headers: &mut HeaderMap) {
        if let Some(standing) = self.account.as_ref().and_then(Account::standing) {
            standing.write(dialect, unix_time().saturating_mul(1000), headers);
        }
    }

    /// Notes what is asked for.
    pub fn asked(&mut self, model: &str) {
        if self.is_kept() {
            model.clone_into(&mut self.asked);
        }
    }

    /// Notes whether a stream is asked for.
    pub fn streams(&mut self, streamed: bool) {
        if let Some(account) = &mut self.account {
            account.streams(streamed);
        }
    }

    /// Keeps the body of the request, where that is wanted.
    pub fn said(&mut self, body: &[u8]) {
        if let Some(account) = &mut self.account {
            account.asked(body);
        }
    }

    /// Keeps what the caller is told, where that is wanted.
    pub(super) fn told<E>(&mut self, frame: Option<&Result<Frame<Bytes>, E>>) {
        if let (Some(account), Some(Ok(frame))) = (&mut self.account, frame)
            && let Some(piece) = frame.data_ref()
        {
            account.told(piece);
        }
    }

    /// Notes the name that leads to the targets.
    pub fn routed(&mut self, route: &str) {
        if let Some(account) = &mut self.account {
            account.routed(route);
        }
    }

    /// Where attempts are noted, if there is a ledger.
    pub fn attempts(&mut self) -> Option<&mut Vec<Attempt>> {
        self.account.as_mut().map(Account::attempts)
    }

    /// Notes that the gateway itself has answered.
    pub fn answered_here(&mut self) {
        self.status = Some(StatusCode::OK);
    }

    /// Notes that the answer was kept from an earlier request.
    pub fn from_cache(&mut self) {
        self.from_cache = true;
        if let Some(account) = &mut self.account {
            account.from_cache();
        }
    }

    /// Notes how many times somebody was asked.
    pub fn tried(&mut self, attempts: u32) {
        self.attempts = attempts;
    }

    /// The reply to a request that ends without an answer. It tells how often somebody was asked.
    pub fn in_vain(&mut self, failure: Failure, dialect: Dialect, id: &str) -> Response {
        let mut response = self.failed(failure).reply_in(dialect, id);
        if self.attempts > 0 {
            let attempts = HeaderValue::from(self.attempts);
            response.headers_mut().insert(ATTEMPTS.clone(), attempts);
        }
        response
    }

    /// Notes that the request ends without an answer.
    pub fn failed(&mut self, failure: Failure) -> Failure {
        self.status = Some(failure.status);
        (self.error, self.blame) = (failure.code, Some(failure.blame));
        failure
    }

    /// Notes an answer that another request has asked for.
    pub(super) fn shares(&mut self, head: &ResponseParts) {
        if self.is_kept() {
            self.status = Some(head.status);
            let model = head.headers.get(&MODEL).and_then(|model| model.to_str().ok());
            model.unwrap_or_default().clone_into(&mut self.model);
            self.lost = head.headers.get(&LOSSY).cloned();
        }
        if let Some(meter) = &mut self.meter {
            meter.shares();
        }
    }

    /// Notes that another target goes on with the answer, of which that much was seen.
    pub(super) fn continued(&mut self, rest: &mut Rest, seen: Option<Seen>) {
        if let Some(meter) = &mut self.meter {
            meter.goes_on(rest.price.take(), seen.unwrap_or_default());
        }
        if self.is_kept() {
            self.attempts = rest.attempts;
            let before = self.continued.take().map(|before| before + ", ");
            self.continued = Some(before.unwrap_or_default() + &rest.by);
        }
        if let Some(account) = &mut self.account {
            account.attempts().append(&mut rest.noted);
        }
    }

    /// Who gives the answer now.
    pub(super) fn speaker(&self) -> &str {
        let last = self.continued.as_deref().and_then(|names| names.rsplit(", ").next());
        last.unwrap_or(&self.model)
    }

    /// Notes an answer of a provider, and whether it is a stream.
    pub(super) fn answered(&mut self, answer: &Answer<'_>, is_stream: bool, ours: Duration) {
        if self.is_kept() {
            self.status = Some(answer.status);
            self.attempts = answer.attempts;
            self.model.clone_from(&answer.target.name);
            self.lost = answer.headers.get(&LOSSY).cloned();
        }
        if let Some(meter) = &mut self.meter {
            meter.answered(is_stream);
            // The log has no costs.
            if self.account.is_some() {
                meter.is_paid_to(answer.target);
            }
        }
        if let Some(account) = &mut self.account {
            account.answered(answer, ours);
        }
    }

    /// What the request comes to.
    fn charge(&self) -> Charge {
        let Some(meter) = &self.meter else {
            return Charge::default();
        };
        meter.close(match self.status {
            Some(status) => Ending::Answered(status, self.seen.unwrap_or_default()),
            None => Ending::HungUp(self.account.as_ref().and_then(Account::under_way)),
        })
    }

    fn log(
        &self,
        (taken, status): (Duration, StatusCode),
        error: Option<&'static str>,
        lost: Option<&str>,
        charge: &Charge,
    ) {
        let usage = charge.usage.unwrap_or_default();
        tracing::info!(
            target: crate::telemetry::REQUESTS,
            method = %self.method,
            path = self.path,
            status = status.as_u16(),
            asked = self.asked,
            model = self.model,
            client = self.client,
            attempts = self.attempts,
            input_tokens = usage.input,
            output_tokens = usage.output,
            estimated = usage.estimated.then_some(true),
            milliseconds = u64::try_from(taken.as_millis()).unwrap_or(u64::MAX),
            lost,
            continued = self.continued.as_deref(),
            from_cache = self.from_cache.then_some(true),
            error,
            id = self.id,
        );
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let Some(begun) = self.begun else { return };
        let (status, error) = match self.status {
            Some(status) => (status, self.error),
            None => (
                StatusCode::from_u16(HUNG_UP).unwrap_or_default(),
                Some("caller_hung_up"),
            ),
        };
        let (charge, taken) = (self.charge(), begun.elapsed());
        let lost = self.lost.take();
        let lost = lost.as_ref().and_then(|lost| lost.to_str().ok());
        if crate::telemetry::logs_requests() {
            self.log((taken, status), error, lost, &charge);
        }
        if let Some(account) = self.account.take() {
            account.close(Closing {
                taken,
                request: std::mem::take(&mut self.id),
                path: std::mem::take(&mut self.path),
                client: std::mem::take(&mut self.client),
                asked: std::mem::take(&mut self.asked),
                model: std::mem::take(&mut self.model),
                status,
                error,
                charge,
                blame: self.blame,
                lost,
            });
        }
    }
}
