//! An answer of a provider in the protocol of its caller.

use std::collections::VecDeque;

use axum::http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use bytes::Bytes;
use mynah_dialect::codec::{ClientSide, UpstreamSide, caller_side, upstream_side};
use mynah_dialect::gauge::Seen;
use mynah_dialect::ir::{Error, Event};
use mynah_dialect::loss::Losses;
use mynah_dialect::transcode::{Listener, Sequel, Standing, Transcoder, collected, events_of, streamed, unreadable};
use mynah_dialect::{Dialect, Protocol};

use crate::answer::{Answer, AnswerBody, MAX_WHOLE, NoContent, is_events};
use crate::ask::since_1970;
use crate::exchange::{Exchange, Question};
use crate::judgement::Judgement;
use crate::route::Target;
use crate::translation::{Conversation, Translation};

/// The header that declares what was lost.
pub static LOSSY: HeaderName = HeaderName::from_static("x-mynah-lossy");

/// The header that says that token counts are estimates.
static ESTIMATED: HeaderName = HeaderName::from_static("x-mynah-usage-estimated");

static ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Headers of a provider that mean the same in every protocol.
const KEPT: [&str; 3] = ["x-request-id", "request-id", "retry-after"];

/// An answer that is being translated.
pub struct Interpreter<'a, 'c> {
    target: &'a Target,
    conversation: &'c Conversation,
    translation: Translation,
    upstream: &'static dyn UpstreamSide,
    client: &'c dyn ClientSide,
}

impl<'a, 'c> Interpreter<'a, 'c> {
    /// For the answer of a target to a conversation; `None` when nobody speaks the caller's protocol.
    pub fn new(target: &'a Target, conversation: &'c Conversation, translation: Translation) -> Option<Self> {
        Some(Self {
            target,
            conversation,
            upstream: upstream_side(translation.protocol),
            client: conversation.client()?,
            translation,
        })
    }

    /// Translates an answer: whole, or up to its first content and from there on as it comes.
    pub async fn answer(
        mut self,
        status: StatusCode,
        headers: &HeaderMap,
        mut body: AnswerBody,
    ) -> Result<Answer<'a>, NoContent> {
        let asks = self.conversation.asked.request.stream && status.is_success();
        // Some forget to say what they send.
        let events =
            is_events(headers) || asks && !headers.contains_key(CONTENT_ENCODING) && body.begins_like_events().await?;
        let envelope = self.target.provider.quirks.envelope.as_deref();
        let mut kept = kept(headers);
        if self.conversation.asked.request.from == Protocol::Anthropic
            && let Ok(id) = HeaderValue::from_str(&self.conversation.id)
        {
            kept.insert("request-id", id);
        }
        if !status.is_success() {
            body.hold_error().await?;
            body.unpack_error(headers);
            body.open(envelope);
            let judgement = Judgement::of(status, headers, &body.whole(), since_1970());
            body.redact(&self.target.provider.secrets);
            let mut error = self.upstream.read_error(status.as_u16(), &body.whole());
            error.retry_after = error.retry_after.or(judgement.delay.map(|delay| delay.as_secs_f64()));
            let answer = self.error(&error, kept);
            return Ok(Answer {
                judgement,
                status: status_for(answer.status, status),
                ..answer
            });
        }
        if self.conversation.resumes() {
            return self.sequel(events, body).await;
        }
        if events && self.conversation.asked.request.stream {
            return self.stream(kept, body).await;
        }
        let whole = whole(&mut body, envelope).await?;
        let told = if events {
            let mut listener = Listener::new(
                self.upstream,
                self.translation.outgoing.memo.clone(),
                &self.conversation.asked.id,
            );
            let mut told = listener.push(&whole);
            told.extend(listener.finish());
            Ok(told)
        } else {
            let memo = self.translation.outgoing.memo.clone();
            events_of(self.upstream, &whole, memo, &self.conversation.asked.id)
        };
        match told {
            Ok(told) => Ok(self.whole(told, kept)),
            Err(malformed) => Ok(self.error(&unreadable(&malformed), kept)),
        }
    }

    /// An answer that is all there.
    fn whole(&mut self, told: Vec<Event>, mut headers: HeaderMap) -> Answer<'a> {
        if let Some(Event::Error(error)) = told.last() {
            return self.error(&error.clone(), headers);
        }
        let seen = Seen::of(&told);
        let (kind, written) = if self.conversation.asked.request.stream {
            streamed(self.client, &told, &self.conversation.asked)
        } else {
            match collected(told) {
                Err(error) => return self.error(&error, headers),
                Ok(response) => {
                    let written =
                        self.client
                            .write_response(&response, &self.conversation.asked, &mut self.translation.lost);
                    ("application/json", Bytes::from(written))
                }
            }
        };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        self.declare(&mut headers);
        Answer {
            seen: Some(Box::new(seen)),
            ..Answer::new(StatusCode::OK, headers, AnswerBody::held(written), self.target)
        }
    }

    /// A stream, up to its first content.
    async fn stream(mut self, mut headers: HeaderMap, mut body: AnswerBody) -> Result<Answer<'a>, NoContent> {
        let memo = std::mem::take(&mut self.translation.outgoing.memo);
        let mut transcoder = Transcoder::new(self.upstream, self.client, memo, &self.conversation.asked);
        if self.conversation.goes_on() {
            transcoder.hold_together();
        }
        let mut there = std::mem::take(&mut body.held);
        let mut held = VecDeque::new();
        loop {
            let piece = match there.pop_front() {
                Some(piece) => Some(piece),
                None => body.next_piece().await?,
            };
            let ended = piece.is_none();
            let written = match piece {
                Some(piece) => transcoder.push(&piece),
                None => transcoder.finish(),
            };
            if !written.is_empty() {
                held.push_back(written);
            }
            match transcoder.standing() {
                Standing::Waiting if !ended && transcoder.has_begun() => body.has_begun(),
                Standing::Waiting if !ended => {}
                Standing::Waiting => return Err(NoContent::Empty),
                Standing::Failed(error) => return Ok(self.error(&error.clone(), headers)),
                Standing::Content => break,
            }
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(transcoder.content_type()));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.insert(ACCEL_BUFFERING.clone(), HeaderValue::from_static("no"));
        self.declare(&mut headers);
        // What is there already needs no waiting for.
        held.extend(there.iter().map(|piece| transcoder.push(piece)));
        if body.rest.is_none() {
            held.push_back(transcoder.finish());
        }
        body.has_begun();
        body.held = held;
        body.transcoder = Some(Box::new(transcoder));
        Ok(Answer::new(StatusCode::OK, headers, body, self.target))
    }

    /// The rest of an answer that was cut, up to its first content.
    async fn sequel(mut self, events: bool, mut body: AnswerBody) -> Result<Answer<'a>, NoContent> {
        if !events {
            return Err(NoContent::Malformed("an answer in place of a stream"));
        }
        let memo = std::mem::take(&mut self.translation.outgoing.memo);
        let mut sequel = Sequel::new(self.upstream, memo, &self.conversation.asked.id);
        loop {
            let piece = body.next_piece().await?;
            match &piece {
                Some(piece) => sequel.push(piece),
                None => sequel.finish(),
            }
            match sequel.standing() {
                Standing::Waiting if piece.is_some() => {}
                Standing::Waiting => return Err(NoContent::Empty),
                Standing::Failed(error) => return Ok(self.error(error, HeaderMap::new())),
                Standing::Content => break,
            }
        }
        body.has_begun();
        body.sequel = Some(Box::new(sequel));
        Ok(Answer::new(StatusCode::OK, HeaderMap::new(), body, self.target))
    }

    fn error(&self, error: &Error, mut headers: HeaderMap) -> Answer<'a> {
        let (status, body) = self.client.write_error(error, &self.conversation.id);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(seconds) = error.retry_after
            && !headers.contains_key(RETRY_AFTER)
        {
            headers.insert(RETRY_AFTER, whole_seconds(seconds));
        }
        let mut answer_body = AnswerBody::held(Bytes::from(body));
        answer_body.redact(&self.target.provider.secrets);
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
        Answer {
            judgement: Judgement::of_error(error),
            ..Answer::new(status, headers, answer_body, self.target)
        }
    }

    fn declare(&self, headers: &mut HeaderMap) {
        declare(&self.translation.lost, headers);
    }
}

/// Reads the answer to one call of an exchange: its body, or the refusal for the caller.
pub async fn exchanged<'a>(
    target: &'a Target,
    dialect: Dialect,
    question: &Question<'_>,
    protocol: Protocol,
    (status, headers): &(StatusCode, HeaderMap),
    mut body: AnswerBody,
) -> Result<Result<Bytes, Answer<'a>>, NoContent> {
    let envelope = target.provider.quirks.envelope.as_deref();
    if status.is_success() {
        return whole(&mut body, envelope).await.map(Ok);
    }
    body.hold_error().await?;
    body.unpack_error(headers);
    body.open(envelope);
    let judgement = Judgement::of(*status, headers, &body.whole(), since_1970());
    body.redact(&target.provider.secrets);
    let mut error = upstream_side(protocol).read_error(status.as_u16(), &body.whole());
    error.retry_after = error.retry_after.or(judgement.delay.map(|delay| delay.as_secs_f64()));
    let answer = refusal(target, dialect, question, &error);
    Ok(Err(Answer {
        judgement,
        status: status_for(answer.status, *status),
        ..answer
    }))
}

/// The status of an error of a provider. What is 502 for the caller, because the provider failed, is what the provider called it.
fn status_for(written: StatusCode, given: StatusCode) -> StatusCode {
    if written == StatusCode::BAD_GATEWAY && given.is_server_error() {
        given
    } else {
        written
    }
}

/// The answer of an exchange, from the answers to its calls.
pub fn joined<'a>(
    target: &'a Target,
    dialect: Dialect,
    question: &Question<'_>,
    exchange: &Exchange,
    bodies: &[Bytes],
) -> Answer<'a> {
    let joined = match exchange.join(bodies, question) {
        Ok(joined) => joined,
        Err(error) => return refusal(target, dialect, question, &error),
    };
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(joined.content_type));
    if joined.estimated {
        headers.insert(ESTIMATED.clone(), HeaderValue::from_static("true"));
    }
    declare(&exchange.lost, &mut headers);
    Answer {
        seen: Some(Box::new(joined.seen)),
        ..Answer::new(StatusCode::OK, headers, AnswerBody::held(joined.body), target)
    }
}

fn refusal<'a>(target: &'a Target, dialect: Dialect, question: &Question<'_>, error: &Error) -> Answer<'a> {
    let (status, body) = caller_side(dialect).write_error(error, question.id);
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(seconds) = error.retry_after {
        headers.insert(RETRY_AFTER, whole_seconds(seconds));
    }
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    Answer {
        judgement: Judgement::of_error(error),
        ..Answer::new(status, headers, AnswerBody::held(Bytes::from(body)), target)
    }
}

/// Declares losses in the headers of an answer.
pub fn declare(lost: &Losses, headers: &mut HeaderMap) {
    if let Some(value) = lost.header().and_then(|value| HeaderValue::try_from(value).ok()) {
        headers.insert(LOSSY.clone(), value);
    }
}

fn kept(headers: &HeaderMap) -> HeaderMap {
    let mut kept = HeaderMap::with_capacity(8);
    for name in KEPT {
        if let Some(value) = headers.get(name) {
            // One of the two names of the same thing.
            let name = if name == "request-id" { "x-request-id" } else { name };
            kept.insert(HeaderName::from_static(name), value.clone());
        }
    }
    kept
}

fn whole_seconds(seconds: f64) -> HeaderValue {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "bounded on the same line"
    )]
    let seconds = seconds.ceil().clamp(0.0, 86_400.0) as u64;
    HeaderValue::from(seconds)
}

/// All of a body, out of its envelope.
async fn whole(body: &mut AnswerBody, envelope: Option<&str>) -> Result<Bytes, NoContent> {
    if !body.hold_all(MAX_WHOLE).await? {
        return Err(NoContent::TooLarge);
    }
    body.has_begun();
    body.open(envelope);
    Ok(body.held.pop_front().unwrap_or_default())
}
