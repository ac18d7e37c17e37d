//! What the caller gets: the answer's head with what the gateway adds, and its body as it comes.

use std::collections::VecDeque;
use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::Response;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use mynah_dialect::Dialect;
use mynah_dialect::closing::Finale;
use mynah_dialect::gauge::Seen;
use mynah_dialect::relay::Relay;
use mynah_dialect::verdict::Verdict;
use tokio::time::{Instant, Sleep, sleep_until};

use super::entry::Entry;
use crate::answer::{Answer, AnswerBody, is_events};
use crate::app::InFlight;
use crate::condition::Pending;
use crate::continuation::Continuation;
use crate::failure::{Blame, Failure};
use crate::http::passage::Passage;
use crate::upstream::send::{BodyError, UpstreamBody};

/// The header by which the gateway knows a request; the listener puts it on every request.
pub static REQUEST_ID: HeaderName = HeaderName::from_static("x-mynah-request-id");

/// Who has answered.
pub(super) static MODEL: HeaderName = HeaderName::from_static("x-mynah-model");
/// How many times somebody was asked.
pub(super) static ATTEMPTS: HeaderName = HeaderName::from_static("x-mynah-attempts");
static SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// The reply to a caller, in its dialect (and whether it is one of OpenAI Responses).
pub fn reply(
    mut answer: Box<Answer<'_>>,
    (dialect, responses): (Dialect, bool),
    mut entry: Entry,
    permit: InFlight,
) -> Response {
    let events = is_events(&answer.headers);
    entry.answered(&answer, events);
    // What was read already is not read again.
    let metered = entry.body().filter(|_| answer.seen.is_none());
    let ends_with_done = answer.ends_with_done && events && !answer.headers.contains_key(CONTENT_ENCODING);
    let read = |relay: Relay| {
        let relay = if ends_with_done {
            relay.ending_with_done()
        } else {
            relay
        };
        match metered {
            Some(body) => Passage::Relay(Box::new(relay.metered(body))),
            None => Passage::Relay(Box::new(relay)),
        }
    };
    let passage = match answer.body.transcoder.take() {
        Some(transcoder) => Passage::Transcode(transcoder),
        None if events && answer.withholds_usage => read(Relay::events_without_usage()),
        None if events => read(Relay::events()),
        None => match (metered.filter(|_| is_json(&answer.headers)), answer.body.all()) {
            (Some(body), Some(text)) => {
                entry.saw(|| Some(Seen::whole(body, text)));
                Passage::Plain
            }
            (Some(_), None) => read(Relay::bytes()),
            (None, _) => Passage::Plain,
        },
    };
    entry.tell_standing(dialect, &mut answer.headers);
    let finale = (events && answer.must_finish).then(Finale::default);
    let AnswerBody {
        held,
        rest,
        continuation,
        ..
    } = answer.body;
    let until = answer.until.filter(|_| rest.is_some());
    let body = ReplyBody {
        held,
        rest,
        until: until.map(|until| Box::pin(sleep_until(until))),
        pending: answer.pending.take(),
        passage,
        dialect,
        responses,
        events,
        finale,
        continuation,
        ends_in_error: false,
        entry,
        permit,
    };
    let mut response = Response::new(Body::new(body));
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    let headers = response.headers_mut();
    if let Ok(timing) = HeaderValue::from_maybe_shared(timing(answer.ours, answer.waited)) {
        headers.insert(SERVER_TIMING.clone(), timing);
    }
    if let Some(label) = &answer.target.label {
        headers.insert(MODEL.clone(), label.clone());
    }
    let attempts = match answer.attempts {
        1 => HeaderValue::from_static("1"),
        more => HeaderValue::from(more),
    };
    headers.insert(ATTEMPTS.clone(), attempts);
    response
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    kind.is_some_and(|kind| kind.starts_with(b"application/json"))
}

fn timing(ours: Duration, waited: Duration) -> Bytes {
    let mut text = Vec::with_capacity(48);
    text.extend_from_slice(b"gateway;dur=");
    push_milliseconds(&mut text, ours);
    text.extend_from_slice(b", upstream;dur=");
    push_milliseconds(&mut text, waited);
    Bytes::from(text)
}

/// Appends milliseconds with three decimals. Formatting macros would take longer than all other headers together.
fn push_milliseconds(text: &mut Vec<u8>, duration: Duration) {
    let mut digits = [b'0'; 24];
    let mut left = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    let mut at = digits.len();
    while left > 0 || digits.len() - at < 5 {
        at -= 1;
        if digits.len() - at == 4 {
            digits[at] = b'.';
        } else {
            digits[at] = b'0' + u8::try_from(left % 10).unwrap_or(0);
            left /= 10;
        }
    }
    text.extend_from_slice(&digits[at..]);
}

/// A body on its way to the caller. It is read as fast as the caller reads, and dropping it cancels the call.
struct ReplyBody {
    held: VecDeque<Bytes>,
    rest: Option<Box<UpstreamBody>>,
    /// When all of it must be there.
    until: Option<Pin<Box<Sleep>>>,
    /// The request's presence at its target.
    pending: Option<Pending>,
    passage: Passage,
    dialect: Dialect,
    /// The answer is one of OpenAI Responses.
    responses: bool,
    events: bool,
    /// Looks for the end of a stream of which HTTP does not tell the end.
    finale: Option<Finale>,
    /// Asks for the rest when the answer is cut.
    continuation: Option<Box<Continuation>>,
    /// The provider broke off, and the error that says so was sent.
    ends_in_error: bool,
    entry: Entry,
    permit: InFlight,
}

impl ReplyBody {
    fn relayed(&mut self, piece: Bytes) -> Bytes {
        if let Some(finale) = &mut self.finale {
            finale.push(&piece);
        }
        self.passage.push(piece)
    }

    /// A stream that breaks off must not look as if it had ended: it ends in an error event, in place of an event that
    /// was not whole. Any other body, and an event of which a part was passed on, is cut off, so that the caller's HTTP
    /// library notices. `None` when the answer may go on, or nothing is missing but the end of its body.
    fn broken_off(&mut self, error: BodyError) -> Option<Result<Frame<Bytes>, BodyError>> {
        self.rest = None;
        if self.is_complete() {
            return None;
        }
        self.has_failed(&error, !matches!(error, BodyError::Late));
        let failure = match &error {
            BodyError::Stalled(_) | BodyError::Late => {
                Failure::timed_out("The provider stopped in the middle of its answer.".to_owned())
            }
            BodyError::Cut(_) => Failure::broken_off("The provider broke off in the middle of its answer.".to_owned()),
        };
        let last = self.last_words(&failure);
        if self.passage.cut().is_some() {
            return None;
        }
        self.entry.broke_off(Blame::Upstream);
        self.ends_in_error = last.is_some();
        Some(last.map(Frame::data).ok_or(error))
    }

    /// The event in which a stream ends that failed; `None` where it would not be understood.
    fn last_words(&mut self, failure: &Failure) -> Option<Bytes> {
        let (dialect, responses) = (self.dialect, self.responses);
        self.passage
            .break_off(&failure.message, || failure.event_in(dialect, responses))
    }

    /// The end of an answer for which the gateway, which stops, does not wait any longer.
    fn cut_off(&mut self) -> Result<Frame<Bytes>, BodyError> {
        self.held.clear();
        self.rest = None;
        let mut last = self.last_words(&Failure::shutting_down());
        if self.passage.cut().is_some() {
            last = Some(self.passage.give_up());
        }
        self.entry.was_left();
        self.ends_in_error = true;
        last.map(Frame::data)
            .ok_or_else(|| BodyError::Cut("the gateway stops".to_owned()))
    }

    /// Notes that an error has taken the place of the rest, which came from the provider, or is told where an end is missing.
    fn note_failure(&mut self) {
        let failure = self.passage.take_failure().filter(|_| !self.ends_in_error);
        let Some(class) = failure else { return };
        let verdict = Verdict::of_status(class.status());
        // As with a status: what a key is refused for, or a caller, says nothing of the target.
        self.has_failed(
            &format_args!("the stream ended in an error ({class:?})"),
            verdict == Verdict::Faulty,
        );
        self.entry.broke_off(match verdict {
            Verdict::CallersFault => Blame::Caller,
            _ => Blame::Upstream,
        });
    }

    /// Notes that the provider at hand has failed in the middle of its answer.
    fn has_failed(&mut self, reason: &dyn std::fmt::Display, is_its_fault: bool) {
        let (model, id) = (self.entry.speaker(), self.entry.id());
        tracing::warn!(model, id, error = %reason, "answer broke off");
        if let Some(pending) = self.pending.take()
            && is_its_fault
        {
            pending.broke_off(Instant::now(), fastrand::u64(..));
        }
    }

    /// What the rest of an answer that was cut becomes, or the error that it ends in when nobody gives it.
    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<Bytes> {
        let Some((error, told)) = self.passage.cut() else {
            return Poll::Ready(Bytes::new());
        };
        if self.pending.is_some() {
            // It was not the connection that broke.
            let reason = error.message.clone();
            self.rest = None;
            self.has_failed(&reason, true);
            return self.poll_rest(cx);
        }
        let rest = match &mut self.continuation {
            Some(continuation) => ready!(continuation.poll(told, cx)),
            None => None,
        };
        let Some(mut rest) = rest else {
            self.entry.broke_off(Blame::Upstream);
            self.ends_in_error = true;
            return Poll::Ready(self.passage.give_up());
        };
        self.entry.continued(&mut rest, self.passage.seen());
        self.until = rest.until.map(|until| Box::pin(sleep_until(until)));
        (self.rest, self.pending) = (rest.body, rest.pending);
        Poll::Ready(self.passage.go_on(*rest.sequel, &rest.by, rest.repeats))
    }

    /// Ready when all of the answer should have been there.
    fn poll_overdue(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.until {
            Some(until) => until.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }

    /// Whether the last event has come, so that it does not matter how the body ends.
    fn is_complete(&mut self) -> bool {
        self.passage.is_over() || self.finale.as_mut().is_some_and(Finale::is_last)
    }

    /// The end of the provider's body: whether it is the end of the answer too.
    fn ended(&mut self) -> Result<(), BodyError> {
        if self.finale.take().is_none_or(|mut finale| finale.seen()) {
            return Ok(());
        }
        Err(BodyError::Cut("the connection ended before the stream".to_owned()))
    }
}

impl ReplyBody {
    /// The next piece of what the caller gets.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        loop {
            let piece = if let Some(piece) = self.held.pop_front() {
                if matches!(self.passage, Passage::Transcode(_)) {
                    if piece.is_empty() {
                        continue;
                    }
                    // It was translated when it was held.
                    return Poll::Ready(Some(Ok(Frame::data(piece))));
                }
                piece
            } else if self.passage.cut().is_some() {
                let piece = ready!(self.poll_rest(cx));
                if piece.is_empty() {
                    continue;
                }
                return Poll::Ready(Some(Ok(Frame::data(piece))));
            } else if let Some(rest) = &mut self.rest {
                let Poll::Ready(next) = Pin::new(rest).poll_frame(cx) else {
                    ready!(self.poll_overdue(cx));
                    match self.broken_off(BodyError::Late) {
                        Some(last) => return Poll::Ready(Some(last)),
                        None => continue,
                    }
                };
                match next {
                    Some(Ok(frame)) => match frame.into_data() {
                        Ok(piece) => piece,
                        Err(_trailers) => continue,
                    },
                    Some(Err(error)) => match self.broken_off(error) {
                        Some(last) => return Poll::Ready(Some(last)),
                        None => continue,
                    },
                    None => {
                        self.rest = None;
                        continue;
                    }
                }
            } else if self.ends_in_error {
                return Poll::Ready(None);
            } else if let Err(error) = self.ended() {
                match self.broken_off(error) {
                    Some(last) => return Poll::Ready(Some(last)),
                    None => continue,
                }
            } else {
                let remainder = self.passage.finish();
                if remainder.is_empty() && self.passage.cut().is_some() {
                    continue;
                }
                return Poll::Ready((!remainder.is_empty()).then(|| Ok(Frame::data(remainder))));
            };
            let piece = self.relayed(piece);
            if !piece.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(piece))));
            }
        }
    }
}

impl HttpBody for ReplyBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = if self.permit.is_cut_off() && !self.is_end_stream() && !self.ends_in_error {
            Some(self.cut_off())
        } else {
            ready!(self.poll_piece(cx))
        };
        self.note_failure();
        self.entry.told(frame.as_ref());
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        // The end of a stream that has to say it is looked at last.
        let more = self.finale.is_some() || self.rest.as_ref().is_some_and(|rest| !rest.is_end_stream());
        self.held.is_empty() && !more && !self.passage.holds()
    }

    fn size_hint(&self) -> SizeHint {
        if self.events {
            return SizeHint::default();
        }
        let held = self.held.iter().map(Bytes::len).sum::<usize>() as u64;
        match self.rest.as_ref().map_or(Some(0), |rest| rest.size_hint().exact()) {
            Some(rest) => SizeHint::with_exact(held + rest),
            None => SizeHint::default(),
        }
    }
}

impl Drop for ReplyBody {
    fn drop(&mut self) {
        self.entry.saw(|| self.passage.seen());
        if !self.is_end_stream() && !self.ends_in_error {
            self.entry.was_left();
        }
    }
}

/// The reply to a caller whose request was asked by another one too. It costs nothing of its own.
pub fn share<B>(response: Response<B>, dialect: Dialect, mut entry: Entry, permit: InFlight) -> Response
where
    B: HttpBody<Data = Bytes, Error: Into<axum::BoxError>> + Send + Unpin + 'static,
{
    let (mut head, body) = response.into_parts();
    entry.shares(&head);
    entry.tell_standing(dialect, &mut head.headers);
    let body = SharedBody {
        body,
        ended: false,
        entry,
        _permit: permit,
    };
    Response::from_parts(head, Body::new(body))
}

/// A shared body on its way to one of its callers.
struct SharedBody<B> {
    body: B,
    ended: bool,
    entry: Entry,
    _permit: InFlight,
}

impl<B: HttpBody<Data = Bytes> + Unpin> HttpBody for SharedBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        self.ended = !matches!(frame, Some(Ok(_))) || self.body.is_end_stream();
        self.entry.told(frame.as_ref());
        if matches!(frame, Some(Err(_))) {
            self.entry.broke_off(Blame::Upstream);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}

impl<B> Drop for SharedBody<B> {
    fn drop(&mut self) {
        if !self.ended {
            self.entry.was_left();
        }
    }
}
