//! An answer of a provider, of which a part is held until it is certain that the caller gets it.

mod in_json;

use std::collections::VecDeque;
use std::future::poll_fn;
use std::time::Duration;

use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use bytes::{Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt as _;
use memchr::memmem;
use mynah_dialect::closing::Finale;
use mynah_dialect::envelope;
use mynah_dialect::gauge::Seen;
use mynah_dialect::opening::{Opening, Overture, StreamError};
use mynah_dialect::transcode::{Sequel, Transcoder};
use mynah_dialect::whole::{self, Whole};
use tokio::time::Instant;

use crate::ask::{Expects, since_1970};
use crate::condition::Pending;
use crate::config::secret::Secret;
use crate::continuation::Continuation;
use crate::course::Past;
use crate::http::decode::Encoding;
use crate::judgement::Judgement;
use crate::route::Target;
use crate::upstream::headers::to_caller;
use crate::upstream::send::{BodyError, UpstreamBody};

/// An error's body is read up to this size before the next target is asked.
const MAX_ERROR: usize = 256 * 1024;

/// One that came compressed is unpacked up to this size.
const MAX_UNPACKED: usize = 4 * MAX_ERROR;

/// How events begin (WHATWG, "Server-sent events", section 9.2.6).
const EVENT_FIELDS: [&[u8]; 5] = [b"data:", b"event:", b"id:", b"retry:", b":"];

/// It may come before everything else.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// More blank space than this does not come before events.
const MAX_BLANK: usize = 1024;

/// The largest answer that is held until it is whole because it has to be read.
pub const MAX_WHOLE: usize = 64 * 1024 * 1024;

/// A key shorter than this is a word (`none`, `ollama`), not a secret.
const MIN_REDACTED: usize = 12;

/// An answer whose first content has come.
#[derive(Debug)]
pub struct Answer<'a> {
    /// The status.
    pub status: StatusCode,
    /// The headers that the caller gets.
    pub headers: HeaderMap,
    /// The body.
    pub body: AnswerBody,
    /// The usage event is ours, and is withheld from the caller.
    pub withholds_usage: bool,
    /// A stream that ends with `data: [DONE]`, which its provider may leave out.
    pub ends_with_done: bool,
    /// A stream that must say itself that it is over: HTTP's end of it is not enough.
    pub must_finish: bool,
    /// Who answered.
    pub target: &'a Target,
    /// How many times somebody was asked.
    pub attempts: u32,
    /// The time that was spent waiting for providers.
    pub waited: Duration,
    /// The time that the gateway itself took before.
    pub ours: Duration,
    /// What it used, where that was read already.
    pub seen: Option<Box<Seen>>,
    /// What it says about who failed.
    pub judgement: Judgement,
    /// By when all of it must be there.
    pub until: Option<Instant>,
    /// The request's presence at the target, until the answer is over.
    pub pending: Option<Pending>,
    /// Who was asked before, for an answer that goes on when it is cut.
    pub past: Option<Box<Past>>,
}

/// A body of which a part has come.
#[derive(Debug, Default)]
pub struct AnswerBody {
    /// What has come.
    pub held: VecDeque<Bytes>,
    /// What is still to come.
    pub rest: Option<Box<UpstreamBody>>,
    /// Translates what is still to come.
    pub transcoder: Option<Box<Transcoder>>,
    /// What has come of the rest of an answer that was cut.
    pub sequel: Option<Box<Sequel>>,
    /// Asks for the rest when it is cut.
    pub continuation: Option<Box<Continuation>>,
}

/// Why there is no content.
#[derive(Debug, thiserror::Error)]
pub enum NoContent {
    /// The body broke off.
    #[error(transparent)]
    Broken(#[from] BodyError),
    /// The stream ended.
    #[error("its stream ended before any content")]
    Empty,
    /// What came is no answer.
    #[error("it sent {0}")]
    Malformed(&'static str),
    /// There is more than can be translated.
    #[error("its answer is too large")]
    TooLarge,
}

// === impl Answer ===

impl<'a> Answer<'a> {
    /// An answer to the first attempt.
    pub fn new(status: StatusCode, headers: HeaderMap, body: AnswerBody, target: &'a Target) -> Self {
        Self {
            status,
            headers,
            body,
            withholds_usage: false,
            ends_with_done: false,
            must_finish: false,
            target,
            attempts: 1,
            waited: Duration::ZERO,
            ours: Duration::ZERO,
            seen: None,
            judgement: Judgement::HEALTHY,
            until: None,
            pending: None,
            past: None,
        }
    }

    /// An error that came as the first event of a stream, as the reply that it should have been.
    pub fn in_place_of_stream(error: StreamError, mut headers: HeaderMap, target: &'a Target) -> Self {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::BAD_GATEWAY);
        let judgement = Judgement::of(status, &headers, &error.body, since_1970());
        let mut body = AnswerBody::held(Bytes::from(error.body));
        body.redact(&target.provider.secrets);
        Self {
            judgement,
            ..Self::new(status, to_caller(headers), body, target)
        }
    }

    /// Whether the provider does not accept what is sent back to it as its own reasoning.
    pub fn refuses_proofs(&self) -> bool {
        let says = |words: &[u8]| self.body.held.iter().any(|piece| memmem::find(piece, words).is_some());
        self.status == StatusCode::BAD_REQUEST
            && (says(b"signature") || says(b"thinking block") || says(b"encrypted_content"))
    }

    /// Whether the provider says that it has no such route: a 404 that is not about the model.
    pub fn says_that_there_is_no_such_address(&self) -> bool {
        matches!(self.status.as_u16(), 404 | 405 | 501)
            && !self
                .body
                .held
                .iter()
                .any(|piece| memmem::find(piece, b"model").is_some())
    }

    /// Makes `Content-Length` true again where the gateway changes the length, which was `announced`, or leaves it out.
    pub fn fit_length(&mut self, announced: Option<u64>) {
        // A stream may also become longer, by the error in which it ends.
        let may_end_in_error = self.must_finish && self.body.rest.is_some();
        if (self.withholds_usage || may_end_in_error) && is_events(&self.headers) {
            self.headers.remove(CONTENT_LENGTH);
        } else if self.body.rest.is_none() && announced != Some(self.body.held_length() as u64) {
            self.headers
                .insert(CONTENT_LENGTH, HeaderValue::from(self.body.held_length()));
        }
    }
}

// === impl AnswerBody ===

impl AnswerBody {
    /// A body that is all there.
    pub fn held(piece: Bytes) -> Self {
        Self {
            held: VecDeque::from([piece]),
            ..Self::default()
        }
    }

    /// Whether what is held begins so.
    pub fn begins_with(&self, prefix: &[u8]) -> bool {
        self.held.front().is_some_and(|piece| piece.starts_with(prefix))
    }

    /// The next piece that has not been held yet; `None` at the end.
    pub async fn next_piece(&mut self) -> Result<Option<Bytes>, BodyError> {
        loop {
            let Some(rest) = &mut self.rest else { return Ok(None) };
            match rest.frame().await {
                None => {
                    self.rest = None;
                    return Ok(None);
                }
                Some(Err(error)) => {
                    self.rest = None;
                    return Err(error);
                }
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }

    /// Holds everything up to the first content. Returns an error that came in its place.
    pub async fn hold_until_content(
        &mut self,
        headers: &mut HeaderMap,
        expects: Expects,
        (max_held, envelope): (usize, Option<&str>),
    ) -> Result<Option<StreamError>, NoContent> {
        let error = match expects {
            Expects::Json if is_events(headers) => {
                let error = self.hold_opening(expects).await?;
                Some(error.ok_or(NoContent::Malformed("a stream in place of an answer"))?)
            }
            _ if is_events(headers) => self.hold_opening(expects).await?,
            Expects::Json => self.hold_whole(headers, max_held, envelope).await?,
            // It was compressed without our asking, and cannot be looked into.
            Expects::Events if headers.contains_key(CONTENT_ENCODING) => None,
            Expects::Events if self.begins_like_events().await? => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
                self.hold_opening(expects).await?
            }
            Expects::Events => Some(
                self.hold_whole(headers, max_held, envelope)
                    .await?
                    .ok_or(NoContent::Malformed("an answer in place of a stream"))?,
            ),
            Expects::Anything if self.rest.as_ref().is_some_and(Body::is_end_stream) => None,
            Expects::Anything => {
                let first = self.next_piece().await?;
                self.held.extend(first);
                None
            }
        };
        self.has_begun();
        Ok(error)
    }

    /// Holds all of the body, if it has come with its head; whether it has.
    pub fn hold_what_came(&mut self) -> bool {
        let whole = self.rest.as_mut().and_then(|rest| rest.whole());
        let is_there = whole.is_some();
        if is_there {
            self.held.extend(whole);
            self.rest = None;
        }
        is_there
    }

    /// Holds an answer that is JSON until all of it is there, unless it is too large for that; and takes it out of its
    /// envelope, for which all of it must be there.
    async fn hold_whole(
        &mut self,
        headers: &HeaderMap,
        max_held: usize,
        envelope: Option<&str>,
    ) -> Result<Option<StreamError>, NoContent> {
        let limit = envelope.map_or(max_held, |_| max_held.max(MAX_WHOLE));
        let is_all = self.hold_all(limit).await?;
        if !is_all && envelope.is_some() {
            return Err(NoContent::TooLarge);
        }
        if is_all {
            self.read_whole(headers, envelope)
        } else {
            Ok(None)
        }
    }

    /// Judges an answer that is JSON and all there, and takes it out of its envelope.
    pub fn read_whole(
        &mut self,
        headers: &HeaderMap,
        envelope: Option<&str>,
    ) -> Result<Option<StreamError>, NoContent> {
        if headers.contains_key(CONTENT_ENCODING) {
            return Ok(None);
        }
        self.open(envelope);
        let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let body = self.held.front().map(Bytes::as_ref).unwrap_or_default();
        match whole::judge(kind, body) {
            Whole::Fine => Ok(None),
            Whole::Error(error) => Ok(Some(error)),
            Whole::NotAnAnswer(reason) => Err(NoContent::Malformed(reason)),
        }
    }

    /// Holds all of the body, unless it is longer than `limit`, in one piece; whether it is all there.
    pub async fn hold_all(&mut self, limit: usize) -> Result<bool, BodyError> {
        if self.held.is_empty() {
            let first = self.next_piece().await?;
            self.held.extend(first);
        }
        if self.rest.as_ref().is_some_and(Body::is_end_stream) {
            self.rest = None;
        }
        if self.rest.is_none() && self.held.len() <= 1 {
            return Ok(self.held_length() <= limit);
        }
        let expected = self.rest.as_ref().map_or(0, |rest| rest.size_hint().lower());
        let expected = usize::try_from(expected)
            .unwrap_or(limit)
            .saturating_add(self.held_length());
        // One byte more, which shows whether there is more.
        let mut whole = BytesMut::with_capacity(expected.min(limit).saturating_add(1));
        self.held.drain(..).for_each(|piece| whole.extend_from_slice(&piece));
        let mut is_all = false;
        while whole.len() <= limit && !is_all {
            is_all = !self.next_into(&mut whole).await?;
        }
        self.held.push_back(whole.freeze());
        Ok(is_all)
    }

    /// Appends what has not been held yet to what there is; `false` at the end.
    async fn next_into(&mut self, whole: &mut BytesMut) -> Result<bool, BodyError> {
        let Some(rest) = &mut self.rest else { return Ok(false) };
        let next = poll_fn(|cx| rest.poll_into(whole, cx)).await;
        if !matches!(next, Some(Ok(()))) {
            self.rest = None;
        }
        Ok(next.transpose()?.is_some())
    }

    /// The body, if all of it is there in one piece.
    pub fn all(&self) -> Option<&Bytes> {
        let piece = self.held.front().filter(|_| self.held.len() == 1);
        piece.filter(|_| self.rest.is_none())
    }

    /// Takes an answer that is all there out of the envelope, if it came in one.
    pub fn open(&mut self, envelope: Option<&str>) {
        let Some(member) = envelope else { return };
        if self.held.len() != 1 {
            self.held = VecDeque::from([Bytes::from(self.whole())]);
        }
        if let Some(body) = self.held.front_mut()
            && let Some(inside) = envelope::inside(body, member)
        {
            *body = body.slice(inside);
        }
    }

    /// Whether the body looks like events whose type is not declared.
    pub async fn begins_like_events(&mut self) -> Result<bool, NoContent> {
        loop {
            let whole = self.whole();
            let begins = whole.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&whole).trim_ascii_start();
            if EVENT_FIELDS.iter().any(|field| begins.starts_with(field)) {
                return Ok(true);
            }
            let may_become = EVENT_FIELDS.iter().any(|field| field.starts_with(begins));
            if !(may_become || BYTE_ORDER_MARK.starts_with(begins)) || whole.len() > MAX_BLANK {
                return Ok(false);
            }
            match self.next_piece().await? {
                Some(piece) => self.held.push_back(piece),
                None => return Ok(false),
            }
        }
    }

    async fn hold_opening(&mut self, expects: Expects) -> Result<Option<StreamError>, NoContent> {
        let mut overture = Overture::default();
        let mut looked_at = 0;
        loop {
            if looked_at == self.held.len() {
                let next = self.next_piece().await?;
                self.held.extend(next);
            }
            let (opening, is_over) = match self.held.get(looked_at) {
                Some(piece) => (overture.push(piece), false),
                None => (overture.finish(), true),
            };
            looked_at += 1;
            match opening {
                Opening::Error(error) => return Ok(Some(error)),
                // Half an event at the end: readers discard it, unless all is said in it.
                Opening::Content if is_over && expects == Expects::Events && !self.has_finished() => {
                    return Err(NoContent::Empty);
                }
                Opening::Content => return Ok(None),
                Opening::Malformed(what) => return Err(NoContent::Malformed(what)),
                Opening::Empty => return Err(NoContent::Empty),
                Opening::Waiting if is_over => return Err(NoContent::Empty),
                Opening::Waiting => {}
            }
        }
    }

    /// Whether a stream that is all there says that it is over.
    fn has_finished(&self) -> bool {
        let mut finale = Finale::default();
        self.held.iter().for_each(|piece| finale.push(piece));
        finale.seen()
    }

    /// A copy of all that is held.
    pub fn whole(&self) -> Vec<u8> {
        let mut whole = Vec::with_capacity(self.held_length());
        self.held.iter().for_each(|piece| whole.extend_from_slice(piece));
        whole
    }

    /// Reads an error's body, so that the connection is free again. What is too long, or does not come, stays unread.
    pub async fn hold_error(&mut self) -> Result<(), NoContent> {
        while self.held_length() < MAX_ERROR {
            match self.next_piece().await {
                Ok(Some(piece)) => self.held.push_back(piece),
                Err(error @ BodyError::Late) => return Err(error.into()),
                Ok(None) | Err(_) => break,
            }
        }
        self.has_begun();
        Ok(())
    }

    /// Unpacks an error that is all there, and came compressed without our asking; whether that could be done.
    pub fn unpack_error(&mut self, headers: &HeaderMap) -> bool {
        let Ok(Some(encoding)) = Encoding::of(headers) else {
            return false;
        };
        if self.rest.is_some() {
            return false;
        }
        let plain = encoding.decode(Bytes::from(self.whole()), MAX_UNPACKED).ok();
        let is_unpacked = plain.is_some();
        if let Some(plain) = plain {
            self.held = VecDeque::from([plain]);
        }
        is_unpacked
    }

    /// Says that the first content has come: from now on only pauses are limited.
    pub fn has_begun(&mut self) {
        if let Some(rest) = &mut self.rest {
            rest.has_begun();
        }
    }

    /// Takes our keys out of an error that repeats them.
    pub fn redact(&mut self, keys: &[Secret]) {
        let long_enough = |key: &&Secret| key.expose().len() >= MIN_REDACTED;
        let mut text = self.whole();
        for key in keys.iter().filter(long_enough).map(|key| key.expose().as_bytes()) {
            let places: Vec<usize> = memmem::find_iter(&text, key).collect();
            for at in places.into_iter().rev() {
                text.splice(at..at + key.len(), b"[redacted]".iter().copied());
            }
        }
        if text.len() != self.held_length() {
            self.held = VecDeque::from([Bytes::from(text)]);
        }
    }

    fn held_length(&self) -> usize {
        self.held.iter().map(Bytes::len).sum()
    }
}

/// Whether a reply consists of server-sent events that can be read.
pub fn is_events(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    kind.len() >= 17 && kind[..17].eq_ignore_ascii_case(b"text/event-stream") && !headers.contains_key(CONTENT_ENCODING)
}
