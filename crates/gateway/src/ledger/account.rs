//! What is noted of a request while it is under way.

use std::borrow::Cow;
use std::time::Duration;

use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use mynah_dialect::Dialect;
use tokio::time::Instant;

use super::attempts::{Attempts, UNDER_WAY, UnderWay};
use super::content::Capture;
use super::record::{ANSWERED, Attempt, Record, Tokens};
use super::{Ledger, unix_milliseconds};
use crate::answer::Answer;
use crate::ask::{Ask, Way};
use crate::caller::{Caller, KeyHash};
use crate::course::{Outcome, Turn};
use crate::failure::Blame;
use crate::keys::Reason;
use crate::limits::demand::Used;
use crate::limits::headers::Standing;
use crate::limits::permit::Permit;
use crate::line::Asked;
use crate::meter::Charge;
use crate::needs::TAGS;
use crate::prices::Counts;

/// The account of one request. It becomes a row when it is closed.
#[derive(Debug)]
pub struct Account {
    /// It becomes a row; else only limits want to know.
    is_kept: bool,
    /// How much is kept of each body, in bytes, where that is wanted.
    most_content: Option<usize>,
    /// In milliseconds since 1970.
    time: u64,
    method: Cow<'static, str>,
    dialect: Dialect,
    streamed: bool,
    route: String,
    group: String,
    tags: String,
    client_key: Option<KeyHash>,
    waited: Option<u64>,
    own: Option<u64>,
    from_cache: bool,
    attempts: Attempts,
    /// The bodies, where they are kept.
    capture: Option<Box<Capture>>,
    /// What the request was admitted with.
    permit: Option<Permit>,
}

/// What the line of the log knows too, at the end of a request.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the fields are the columns")]
pub struct Closing<'e> {
    pub taken: Duration,
    pub request: &'e str,
    pub path: &'e str,
    pub client: &'e str,
    pub asked: &'e str,
    pub model: &'e str,
    pub status: StatusCode,
    pub error: Option<&'static str>,
    pub charge: Charge,
    pub blame: Option<Blame>,
    pub lost: Option<&'e str>,
}

/// An attempt under way.
#[derive(Clone, Copy, Debug)]
pub struct Begun {
    /// When it began.
    pub at: Instant,
    /// Its place among those of the request.
    place: usize,
}

impl Account {
    /// Opens the account of a request, which becomes a row where there is a ledger.
    pub fn open(ledger: Option<&Ledger>, parts: &Parts, dialect: Dialect) -> Self {
        let tags = parts
            .headers
            .get_all(&TAGS)
            .iter()
            .filter_map(|tags| tags.to_str().ok());
        Self {
            is_kept: ledger.is_some(),
            most_content: ledger.and_then(|ledger| Some(ledger.config().content.as_ref()?.most)),
            time: unix_milliseconds(),
            method: match parts.method {
                Method::POST => "POST".into(),
                Method::GET => "GET".into(),
                ref other => other.as_str().to_owned().into(),
            },
            dialect,
            streamed: false,
            route: String::new(),
            group: String::new(),
            tags: tags.collect::<Vec<_>>().join(","),
            client_key: None,
            waited: None,
            own: None,
            from_cache: false,
            attempts: Attempts::default(),
            capture: None,
            permit: None,
        }
    }

    /// Notes who calls.
    pub fn called_by(&mut self, caller: &Caller) {
        self.client_key = caller.key;
        self.group.clone_from(&caller.group);
        self.tagged(&caller.tags);
    }

    /// Notes words of the caller's.
    pub fn tagged(&mut self, tags: &[String]) {
        for tag in tags {
            if !self.tags.is_empty() {
                self.tags.push(',');
            }
            self.tags.push_str(tag);
        }
    }

    /// Keeps what the request was admitted with until it is over. The row is counted from the moment at which it was admitted,
    /// so that both belong to the same day.
    pub fn hold(&mut self, permit: Permit) {
        self.time = permit.admitted.unix;
        self.permit = Some(permit);
    }

    /// How far the caller's limits are used up.
    pub fn standing(&self) -> Option<Standing> {
        self.permit.as_ref().map(Permit::standing)
    }

    /// Notes whether a stream is asked for.
    pub fn streams(&mut self, streamed: bool) {
        self.streamed = streamed;
    }

    /// Keeps the body of the request, if that is wanted.
    pub fn asked(&mut self, body: &[u8]) {
        if let Some(most) = self.most_content {
            let mut capture = Capture::new(most);
            capture.asked(body);
            self.capture = Some(Box::new(capture));
        }
    }

    /// Keeps a piece of the answer, if that is wanted.
    pub fn told(&mut self, piece: &[u8]) {
        if let Some(capture) = &mut self.capture {
            capture.answered(piece);
        }
    }

    /// Notes the name that leads to the targets.
    pub fn routed(&mut self, route: &str) {
        route.clone_into(&mut self.route);
    }

    /// Notes that the answer was kept from an earlier request.
    pub fn from_cache(&mut self) {
        self.from_cache = true;
    }

    /// Where attempts are noted.
    pub fn attempts(&mut self) -> &mut Attempts {
        &mut self.attempts
    }

    /// Who is being asked now.
    pub fn under_way(&self) -> Option<UnderWay<'_>> {
        self.attempts.under_way()
    }

    /// Notes how long it took until somebody answered.
    pub fn answered(&mut self, answer: &Answer<'_>) {
        (self.own, self.waited) = (Some(microseconds(answer.ours)), Some(microseconds(answer.waited)));
    }

    /// Settles what the request was admitted with, and hands the row over to the ledger.
    pub fn close(self, ledger: Option<&Ledger>, closing: Closing<'_>) {
        let usage = closing.charge.usage;
        let mut record = Record {
            request: closing.request.into(),
            time: self.time,
            client: closing.client.into(),
            client_group: self.group.as_str().into(),
            method: self.method,
            path: closing.path.into(),
            dialect: self.dialect.name().into(),
            streamed: self.streamed,
            asked: closing.asked.into(),
            model: closing.model.into(),
            status: closing.status.as_u16(),
            error: closing.error.map(Into::into),
            tokens: usage.map(|usage| Tokens::from(&Counts::from(usage))),
            estimated: usage.is_some_and(|usage| usage.estimated),
            cost: closing.charge.cost,
            waited: self.waited,
            own: self.own,
            total: microseconds(closing.taken),
            lost: closing.lost.unwrap_or_default().into(),
            tags: self.tags.as_str().into(),
            route: self.route.as_str().into(),
            fault: fault(closing.status, closing.error, closing.blame).into(),
            from_cache: self.from_cache,
            client_key: self.client_key,
            attempts: self.attempts.rows().into(),
            ..Record::default()
        };
        record.shorten();
        if let Some(permit) = self.permit {
            let now = permit.now();
            permit.settle(used(&record), now);
        }
        if let Some(ledger) = ledger.filter(|_| self.is_kept) {
            ledger.push(&record, self.capture);
        }
    }
}

/// Notes that somebody is asked. What is never noted as settled was hung up on.
pub fn begin(attempts: Option<&mut Attempts>, turn: &Turn<'_>, ask: &Ask<'_>, now: Instant) -> Begun {
    let Some(attempts) = attempts else {
        return Begun { at: now, place: 0 };
    };
    let secret = turn.key().and_then(|key| turn.target.provider.secrets.get(key));
    let attempt = Attempt {
        target: turn.target.name.clone().into(),
        key: secret.map(crate::config::secret::Secret::fingerprint_number),
        outcome: UNDER_WAY.into(),
        dialect: dialect(turn, ask),
        begun: Some(microseconds(now.saturating_duration_since(ask.begun))),
        ..Attempt::default()
    };
    let place = attempts.push(attempt, turn.target.own_price.clone());
    Begun { at: now, place }
}

/// Notes how somebody answered who was asked.
pub fn settle(attempts: Option<&mut Attempts>, begun: Begun, taken: Duration, outcome: Outcome, asked: &Asked<'_>) {
    if let Some(attempt) = attempts.and_then(|attempts| attempts.get_mut(begun.place)) {
        attempt.outcome = name(outcome).into();
        attempt.status = asked.as_ref().ok().map(|answer| answer.status.as_u16());
        attempt.latency = Some(microseconds(taken));
    }
}

/// What limits count of a row.
fn used(record: &Record<'_>) -> Used {
    let tokens = record.tokens.unwrap_or_default();
    let answer = record.tokens.map(|tokens| tokens.answer());
    Used::new(
        tokens.prompt().saturating_add(tokens.answer()),
        answer,
        record.cost.unwrap_or(0),
    )
}

/// In which dialect somebody is asked.
fn dialect(turn: &Turn<'_>, ask: &Ask<'_>) -> Cow<'static, str> {
    match ask.way_to(turn.target) {
        Some(Way::Relay(endpoint) | Way::Translate(endpoint, _)) => endpoint.dialect.name().into(),
        None => Cow::default(),
    }
}

/// Whose fault it is that a request was not answered well; nobody's if it was.
fn fault(status: StatusCode, error: Option<&str>, blame: Option<Blame>) -> &'static str {
    match (blame, error) {
        (Some(Blame::Caller), _) => "caller",
        (Some(Blame::Upstream), _) | (None, Some(_)) => "provider",
        (Some(Blame::Gateway), _) => "gateway",
        // What a provider says is passed on.
        (None, None) if status.is_client_error() => "caller",
        (None, None) if status.is_server_error() => "provider",
        (None, None) => "",
    }
}

fn name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Answered(_) => ANSWERED,
        Outcome::Faulty { .. } => "faulty",
        Outcome::Resting(reason, _) => Reason::name(reason),
        Outcome::Unsuited => "unsuited",
        Outcome::CallersFault => "callers_fault",
        Outcome::Unasked => "unasked",
    }
}

fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
