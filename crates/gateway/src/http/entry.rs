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

use super::reply::{ATTEMPTS, MODEL};
use crate::answer::Answer;
use crate::app::{App, Process};
use crate::ask::{Ask, unix_time};
use crate::caller::Caller;
use crate::continuation::Rest;
use crate::failure::{Blame, Failure};
use crate::ledger::account::{Account, Closing};
use crate::ledger::attempts::Attempts;
use crate::limits::permit::Permit;
use crate::meter::{Charge, Ending, Meter};
use crate::pipeline::request_id;
use crate::telemetry::{self, RequestLine};
use crate::translated::LOSSY;

/// One line of the request log and one row of the ledger, written when the request is over in whatever way.
///
/// What it says is in a box, as it goes through many hands, and most of them have nothing to do with it.
#[derive(Debug, Default)]
pub struct Entry {
    /// How many times somebody was asked.
    attempts: u32,
    /// `None` when nobody wants to know more.
    kept: Option<Box<Kept>>,
}

/// What is noted.
#[derive(Debug)]
struct Kept {
    begun: Instant,
    method: Method,
    path: String,
    id: String,
    client: String,
    asked: String,
    model: String,
    /// `None` until there is a reply.
    status: Option<StatusCode>,
    error: Option<&'static str>,
    /// What was seen of the answer.
    seen: Option<Seen>,
    /// Whose fault it is that there is no answer.
    blame: Option<Blame>,
    lost: Option<HeaderValue>,
    /// Who has gone on with the answer, one after the other.
    continued: Option<String>,
    /// The answer was kept from an earlier request.
    from_cache: bool,
    meter: Option<Meter>,
    account: Option<Account>,
    /// Knows whether the gateway stops.
    process: Option<Arc<Process>>,
}

/// The status of a request whose caller did not wait for a reply, as nginx has it.
const HUNG_UP: u16 = 499;

impl Entry {
    /// A request that begins now; empty when requests are not logged.
    pub fn new(parts: &Parts) -> Self {
        Self::kept_if(telemetry::logs_requests(), parts)
    }

    /// The same for one that may cost something, with an account in the ledger if there is one.
    pub fn with_account(parts: &Parts, app: &Arc<App>, dialect: Dialect) -> Self {
        let ledger = app.process.ledger.as_deref();
        let mut entry = Self::kept_if(ledger.is_some() || telemetry::logs_requests(), parts);
        if let Some(kept) = &mut entry.kept {
            kept.process = Some(app.process.clone());
            let meter = kept.meter.insert(Meter::default());
            // The log has no costs.
            if let Some(ledger) = ledger {
                meter.prices(app);
                kept.account = Some(Account::open(Some(ledger), parts, dialect));
            }
        }
        entry
    }

    fn kept_if(wanted: bool, parts: &Parts) -> Self {
        Self {
            attempts: 0,
            kept: wanted.then(|| Box::new(Kept::new(request_id(parts).to_owned(), parts))),
        }
    }

    /// Moves the entry to where the request ends.
    #[must_use]
    pub fn take(&mut self) -> Self {
        std::mem::take(self)
    }

    /// When the request came.
    pub fn begun(&self) -> Instant {
        self.kept.as_ref().map_or_else(Instant::now, |kept| kept.begun)
    }

    fn account(&mut self) -> Option<&mut Account> {
        self.kept.as_mut()?.account.as_mut()
    }

    /// The id of the request, where it is kept.
    pub(super) fn id(&self) -> &str {
        self.kept.as_ref().map_or("", |kept| &kept.id)
    }

    /// What the answer consists of, where it is measured what it uses.
    pub(super) fn body(&self) -> Option<Body> {
        self.kept.as_ref()?.meter.as_ref()?.body()
    }

    /// Notes what is asked.
    pub fn asks(&mut self, ask: &Ask<'_>) {
        if let Some(Kept { meter: Some(meter), .. }) = self.kept.as_deref_mut()
            && let Some(operation) = ask.operation
        {
            meter.asks(operation, ask);
        }
    }

    /// Notes who is calling.
    pub fn called_by(&mut self, caller: &Caller) {
        if let Some(kept) = &mut self.kept {
            kept.client.clone_from(&caller.name);
        }
        if let Some(account) = self.account() {
            account.called_by(caller);
        }
    }

    /// Keeps what the request was admitted with. It is settled when the request is over, also where nothing else is kept.
    pub fn hold(&mut self, permit: Permit, parts: &Parts, app: &Arc<App>, dialect: Dialect) {
        let kept = self
            .kept
            .get_or_insert_with(|| Box::new(Kept::new(String::new(), parts)));
        kept.meter.get_or_insert_default().prices(app);
        let account = kept.account.get_or_insert_with(|| Account::open(None, parts, dialect));
        account.hold(permit);
    }

    /// Tells how far the caller's limits are used up.
    pub(super) fn tell_standing(&self, dialect: Dialect, headers: &mut HeaderMap) {
        let account = self.kept.as_ref().and_then(|kept| kept.account.as_ref());
        if let Some(standing) = account.and_then(Account::standing) {
            standing.write(dialect, unix_time().saturating_mul(1000), headers);
        }
    }

    /// Notes what is asked for.
    pub fn asked(&mut self, model: &str) {
        if let Some(kept) = &mut self.kept {
            model.clone_into(&mut kept.asked);
        }
    }

    /// Notes whether a stream is asked for.
    pub fn streams(&mut self, streamed: bool) {
        if let Some(account) = self.account() {
            account.streams(streamed);
        }
    }

    /// Keeps the body of the request, where that is wanted.
    pub fn said(&mut self, body: &[u8]) {
        if let Some(account) = self.account() {
            account.asked(body);
        }
    }

    /// Keeps what the caller is told, where that is wanted.
    pub(super) fn told<E>(&mut self, frame: Option<&Result<Frame<Bytes>, E>>) {
        if let (Some(account), Some(Ok(frame))) = (self.account(), frame)
            && let Some(piece) = frame.data_ref()
        {
            account.told(piece);
        }
    }

    /// Notes the name that leads to the targets.
    pub fn routed(&mut self, route: &str) {
        if let Some(account) = self.account() {
            account.routed(route);
        }
    }

    /// Where attempts are noted, if there is a ledger.
    pub fn attempts(&mut self) -> Option<&mut Attempts> {
        self.account().map(Account::attempts)
    }

    /// Notes that the gateway itself has answered.
    pub fn answered_here(&mut self) {
        if let Some(kept) = &mut self.kept {
            kept.status = Some(StatusCode::OK);
        }
    }

    /// Notes that the answer was kept from an earlier request.
    pub fn from_cache(&mut self) {
        if let Some(kept) = &mut self.kept {
            kept.from_cache = true;
        }
        if let Some(account) = self.account() {
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
        if let Some(kept) = &mut self.kept {
            (kept.status, kept.error, kept.blame) = (Some(failure.status), failure.code, Some(failure.blame));
        }
        failure
    }

    /// Notes an answer that another request has asked for.
    pub(super) fn shares(&mut self, head: &ResponseParts) {
        let Some(kept) = &mut self.kept else { return };
        kept.status = Some(head.status);
        let model = head.headers.get(&MODEL).and_then(|model| model.to_str().ok());
        model.unwrap_or_default().clone_into(&mut kept.model);
        kept.lost = head.headers.get(&LOSSY).cloned();
        if let Some(meter) = &mut kept.meter {
            meter.shares();
        }
    }

    /// Notes that another target goes on with the answer, of which that much was seen.
    pub(super) fn continued(&mut self, rest: &mut Rest, seen: Option<Seen>) {
        let Some(kept) = &mut self.kept else { return };
        if let Some(meter) = &mut kept.meter {
            meter.goes_on(rest.price.take(), seen.unwrap_or_default());
        }
        self.attempts = rest.attempts;
        let before = kept.continued.take().map(|before| before + ", ");
        kept.continued = Some(before.unwrap_or_default() + &rest.by);
        if let Some(account) = &mut kept.account {
            account.attempts().append(std::mem::take(&mut rest.noted));
        }
    }

    /// Who gives the answer now.
    pub(super) fn speaker(&self) -> &str {
        let Some(kept) = &self.kept else { return "" };
        let last = kept.continued.as_deref().and_then(|names| names.rsplit(", ").next());
        last.unwrap_or(&kept.model)
    }

    /// Notes an answer of a provider, and whether it is a stream.
    pub(super) fn answered(&mut self, answer: &Answer<'_>, is_stream: bool) {
        let Some(kept) = &mut self.kept else { return };
        kept.status = Some(answer.status);
        self.attempts = answer.attempts;
        kept.model.clone_from(&answer.target.name);
        kept.lost = answer.headers.get(&LOSSY).cloned();
        kept.seen = answer.seen.as_deref().copied();
        if let Some(meter) = &mut kept.meter {
            meter.answered(is_stream);
            meter.is_paid_to(answer.target);
        }
        if let Some(account) = &mut kept.account {
            account.answered(answer);
        }
    }

    /// Notes what was seen of an answer that is over, unless that is known.
    pub(super) fn saw(&mut self, seen: impl FnOnce() -> Option<Seen>) {
        if let Some(kept) = &mut self.kept {
            kept.seen = kept.seen.or_else(seen);
        }
    }

    /// Notes that the answer broke off, and whose fault that is.
    pub(super) fn broke_off(&mut self, blame: Blame) {
        if let Some(kept) = &mut self.kept {
            (kept.error, kept.blame) = (Some("upstream_broken"), Some(blame));
        }
    }

    /// Notes that the caller did not wait for the end, or the gateway did not, unless the answer failed before.
    pub(super) fn was_left(&mut self) {
        if let Some(kept) = &mut self.kept
            && kept.error.is_none()
        {
            let (error, blame) = kept.why_left();
            (kept.error, kept.blame) = (Some(error), Some(blame));
        }
    }
}

impl Kept {
    fn new(id: String, parts: &Parts) -> Self {
        Self {
            begun: Instant::now(),
            method: parts.method.clone(),
            // The query may hold a key.
            path: parts.uri.path().to_owned(),
            id,
            client: String::new(),
            asked: String::new(),
            model: String::new(),
            status: None,
            error: None,
            seen: None,
            blame: None,
            lost: None,
            continued: None,
            from_cache: false,
            meter: None,
            account: None,
            process: None,
        }
    }

    /// Why nobody waits any longer, and whose fault that is.
    fn why_left(&self) -> (&'static str, Blame) {
        match &self.process {
            Some(process) if process.is_cutting_off() => ("shutting_down", Blame::Gateway),
            _ => ("caller_hung_up", Blame::Caller),
        }
    }

    /// What the request comes to.
    fn charge(&self) -> Charge {
        let Some(meter) = &self.meter else {
            return Charge::default();
        };
        meter.close(match self.status {
            Some(status) => Ending::Answered(status, self.seen.as_ref()),
            None => Ending::HungUp(self.account.as_ref().and_then(Account::under_way)),
        })
    }

    fn log(
        &self,
        attempts: u32,
        (taken, status): (Duration, StatusCode),
        error: Option<&'static str>,
        lost: Option<&str>,
        charge: &Charge,
    ) {
        let usage = charge.usage.unwrap_or_default();
        telemetry::log_request(&RequestLine {
            method: self.method.as_str(),
            path: &self.path,
            status: status.as_u16(),
            asked: &self.asked,
            model: &self.model,
            client: &self.client,
            attempts,
            input_tokens: usage.input,
            output_tokens: usage.output,
            estimated: usage.estimated,
            milliseconds: u64::try_from(taken.as_millis()).unwrap_or(u64::MAX),
            lost,
            continued: self.continued.as_deref(),
            from_cache: self.from_cache,
            error,
            id: &self.id,
        });
    }

    /// The request is over, after so many attempts.
    fn close(self: Box<Self>, attempts: u32) {
        let (status, error, blame) = if let Some(status) = self.status {
            (status, self.error, self.blame)
        } else {
            let (error, blame) = self.why_left();
            (
                StatusCode::from_u16(HUNG_UP).unwrap_or_default(),
                Some(error),
                Some(blame),
            )
        };
        let (charge, taken) = (self.charge(), self.begun.elapsed());
        let lost = self.lost.as_ref().and_then(|lost| lost.to_str().ok());
        if telemetry::logs_requests() {
            self.log(attempts, (taken, status), error, lost, &charge);
        }
        if let Some(account) = self.account {
            let ledger = self.meter.as_ref().and_then(Meter::ledger);
            let closing = Closing {
                taken,
                request: &self.id,
                path: &self.path,
                client: &self.client,
                asked: &self.asked,
                model: &self.model,
                status,
                error,
                charge,
                blame,
                lost,
            };
            account.close(ledger, closing);
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if let Some(kept) = self.kept.take() {
            kept.close(self.attempts);
        }
    }
}
