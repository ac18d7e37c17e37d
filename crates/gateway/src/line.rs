//! A line to one target: an address of its provider and one of its keys. Over a line a target is asked once.

use axum::http::header::CONTENT_ENCODING;
use axum::http::{HeaderMap, Method, StatusCode};
use http_body::Body as _;
use mynah_dialect::Protocol;
use mynah_dialect::codec::Outgoing;
use mynah_dialect::verdict::Verdict;
use tokio::time::Instant;

use crate::alarm::after;
use crate::answer::{Answer, AnswerBody, NoContent, is_events};
use crate::app::App;
use crate::ask::{Ask, Expects, Way, at, since_1970};
use crate::built_in;
use crate::exchange::{self, Exchange, Question};
use crate::failure::Failure;
use crate::http::bare;
use crate::http::body::BrokenBody;
use crate::judgement::Judgement;
use crate::operation::Operation;
use crate::provider::Endpoint;
use crate::route::{Rules, Target};
use crate::translated::{Interpreter, exchanged, joined};
use crate::translation::Conversation;
use crate::upstream::call_headers::CallHeaders;
use crate::upstream::call_path::CallPath;
use crate::upstream::headers::{to_caller, to_upstream, translated};
use crate::upstream::send::{BodyError, Call, CallBody, Patience, Reply, SendError, send};

/// How a target answered. In a box, as it goes through many hands.
pub type Asked<'a> = Result<Box<Answer<'a>>, Failure>;

/// The status and the headers of a provider's answer.
type Head = (StatusCode, HeaderMap);

/// A line to one target.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a, 'p> {
    /// Connections and what else there is one of.
    pub app: &'p App,
    /// Who is asked.
    pub target: &'a Target,
    /// How far the request may go.
    pub rules: &'a Rules,
    /// With which of the provider's keys.
    pub key: Option<usize>,
    /// When it is asked: its patience counts from here.
    pub begun: Instant,
}

impl<'a> Line<'a, '_> {
    /// Asks once. The answer is one whose first content has come, or an error of the provider's.
    pub async fn ask(self, ask: &Ask<'_>) -> Asked<'a> {
        if self.target.provider.is_built_in() {
            return Box::pin(built_in::answer(ask, self.target)).await.map(Box::new);
        }
        let (endpoint, protocol) = match ask.way_to(self.target) {
            Some(Way::Relay(endpoint)) => return self.relay(endpoint, ask).await,
            Some(Way::Translate(endpoint, protocol)) => (endpoint, protocol),
            None => return Err(self.cannot_translate()),
        };
        // In boxes, as they are several times as large as what requests that are relayed have to carry.
        if let Some(conversation) = ask.conversation()? {
            return Box::pin(self.translate(endpoint, protocol, conversation, ask)).await;
        }
        let question = ask.question().ok_or_else(|| self.cannot_translate())?;
        Box::pin(self.exchange((endpoint, protocol), question, ask)).await
    }

    /// Passes the request on as it is.
    async fn relay(self, endpoint: &Endpoint, ask: &Ask<'_>) -> Asked<'a> {
        if self.target.handle.is_some() {
            exchange::check(ask)?;
        }
        let base = self.target.base(endpoint, &self.app.process.discovered);
        let path = ask.path_for(self.target, &base, endpoint.credential(self.key))?;
        let (body, withholds_usage) = ask.body.for_target(self.target, ask.operation);
        let headers = to_upstream(ask.headers, &self.app.process.via);
        let (reply, end) = self
            .put(endpoint, (&ask.method, path), headers, body, ask.until)
            .await?;
        let mut answer = self.judge(reply, ask, withholds_usage).await?;
        if let Some(form) = ask.form.filter(|_| answer.status.is_success())
            && !bare::has(&answer.body.whole(), form)
        {
            let reason = NoContent::Malformed("an answer of another form");
            return Err(no_content(self.target, &reason));
        }
        answer.ends_with_done =
            self.target.provider.quirks.omits_done && ask.operation.is_some_and(Operation::streams_end_with_done);
        answer.until = end;
        Ok(answer)
    }

    /// Puts the conversation to a provider in another protocol, and its answer into the caller's.
    async fn translate(
        self,
        endpoint: &Endpoint,
        protocol: Protocol,
        conversation: &Conversation,
        ask: &Ask<'_>,
    ) -> Asked<'a> {
        let mut translation = conversation.put_to(self.target, protocol)?;
        let ((status, headers), body, end) = self.call(endpoint, &mut translation.outgoing, ask).await?;
        let interpreter =
            Interpreter::new(self.target, conversation, translation).ok_or_else(|| self.cannot_translate())?;
        let answer = interpreter.answer(status, &headers, body).await;
        let answer = answer.map_err(|reason| no_content(self.target, &reason))?;
        Ok(Box::new(Answer { until: end, ..answer }))
    }

    /// Puts another question to a provider of another dialect, in as many calls as it takes.
    async fn exchange(
        self,
        (endpoint, protocol): (&Endpoint, Protocol),
        question: Question<'_>,
        ask: &Ask<'_>,
    ) -> Asked<'a> {
        let mut exchange = Exchange::plan(&question, self.target, protocol)?;
        let mut bodies = Vec::with_capacity(exchange.calls.len());
        for at in 0..exchange.calls.len() {
            let line = Self {
                begun: Instant::now(),
                ..self
            };
            let (head, body, _) = line.call(endpoint, &mut exchange.calls[at], ask).await?;
            let read = exchanged(self.target, ask.dialect, &question, exchange.protocol, &head, body).await;
            match read.map_err(|reason| no_content(self.target, &reason))? {
                Ok(body) => bodies.push(body),
                Err(_) if matches!(head.0.as_u16(), 404 | 405 | 501) && exchange.do_without_provider() => {}
                Err(refusal) => return Ok(Box::new(refusal)),
            }
        }
        let answer = joined(self.target, ask.dialect, &question, &exchange, &bodies);
        Ok(Box::new(answer))
    }

    /// Sends a request that was written here.
    async fn call(
        self,
        endpoint: &Endpoint,
        outgoing: &mut Outgoing,
        ask: &Ask<'_>,
    ) -> Result<(Head, AnswerBody, Option<Instant>), Failure> {
        let (path, query) = outgoing.path.split_once('?').unwrap_or((&outgoing.path, ""));
        let base = self.target.base(endpoint, &self.app.process.discovered);
        let path = at(self.target, &base, endpoint.credential(self.key), path, query)?;
        let body = CallBody::Held(vec![std::mem::take(&mut outgoing.body).into()]);
        let headers = translated(ask.headers, &outgoing.headers, &self.app.process.via);
        let (reply, end) = self
            .put(
                endpoint,
                (&Method::POST, path),
                CallHeaders::from(&headers),
                body,
                ask.until,
            )
            .await?;
        let body = AnswerBody {
            rest: Some(reply.body),
            ..AnswerBody::default()
        };
        Ok(((reply.status, reply.headers), body, end))
    }

    /// Sends a request and waits for the head of its answer. Returns it with the time by which all of it must be there.
    async fn put(
        self,
        endpoint: &Endpoint,
        (method, path): (&Method, CallPath),
        mut headers: CallHeaders<'_>,
        mut body: CallBody,
        until: Option<Instant>,
    ) -> Result<(Reply, Option<Instant>), Failure> {
        let provider = &self.target.provider;
        let timeouts = self.rules.patience.with(provider.timeouts);
        let end = earlier(until, provider.timeout.map(|timeout| after(self.begun, timeout)));
        let first_token = after(self.begun, timeouts.first_token);
        let patience = Patience {
            connect: timeouts.connect,
            deadline: end.map_or(first_token, |end| end.min(first_token)),
            between_bytes: timeouts.idle,
        };
        headers.extend(&provider.headers);
        headers.extend_with_version(endpoint);
        endpoint.credential(self.key).extend_headers(&mut headers);
        let call = Call {
            method,
            base: &endpoint.base,
            path: &path,
            headers: &headers,
            body: &mut body,
        };
        let pool = endpoint.pool(&self.app.pools, provider.http_version);
        let reply = send(pool, call, patience).await;
        reply
            .map(|reply| (reply, end))
            .map_err(|error| sending_failed(self.target, &error))
    }

    /// Waits for the first content, or all of an answer that is not streamed, and judges it.
    async fn judge(self, reply: Reply, ask: &Ask<'_>, withholds_usage: bool) -> Asked<'a> {
        let Reply {
            status,
            mut headers,
            body: rest,
        } = reply;
        let (ends_with_connection, announced) = (rest.ends_with_connection(), rest.size_hint().exact());
        let target = self.target;
        let envelope = target.provider.quirks.envelope.as_deref();
        let mut body = AnswerBody {
            rest: Some(rest),
            ..AnswerBody::default()
        };
        let failed = |reason: NoContent| no_content(target, &reason);
        if Verdict::of_status(status.as_u16()) != Verdict::Healthy {
            body.hold_error().await.map_err(failed)?;
            if body.unpack_error(&headers) {
                headers.remove(CONTENT_ENCODING);
            }
            body.open(envelope);
            let (whole, now) = (body.whole(), since_1970());
            let judgement = match ask.operation {
                Some(_) => Judgement::of(status, &headers, &whole, now),
                None => Judgement::of_passed(status, &headers, &whole, now),
            };
            body.redact(&target.provider.secrets);
            let mut answer = Box::new(Answer::new(status, to_caller(headers), body, target));
            answer.judgement = judgement;
            answer.fit_length(announced);
            return Ok(answer);
        }
        // A redirect, or whatever else is neither an error nor an answer, is not for us to judge.
        let expects = if status.is_success() {
            ask.expects()
        } else {
            Expects::Anything
        };
        let is_small = announced.is_some_and(|length| length <= self.rules.max_held as u64);
        let held = match expects {
            // Small answers mostly come with their heads.
            Expects::Json if is_small && !is_events(&headers) && body.hold_what_came() => {
                body.read_whole(&headers, envelope)
            }
            _ => {
                let limits = (self.rules.max_held, envelope);
                body.hold_until_content(&mut headers, expects, limits).await
            }
        };
        let error = held.map_err(failed)?;
        let prefix = target.provider.quirks.error_prefix.as_ref();
        if prefix.is_some_and(|prefix| body.begins_with(prefix.as_bytes())) {
            return Err(failed(NoContent::Malformed("an error as text")));
        }
        let mut answer = Box::new(match error {
            Some(error) => Answer::in_place_of_stream(error, headers, target),
            None => Answer {
                withholds_usage,
                must_finish: ends_with_connection || expects == Expects::Events,
                ..Answer::new(status, to_caller(headers), body, target)
            },
        });
        answer.fit_length(announced);
        Ok(answer)
    }

    fn cannot_translate(self) -> Failure {
        Failure::cannot_translate(&self.target.name, "this route")
    }
}

fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

fn sending_failed(target: &Target, error: &SendError) -> Failure {
    let message = format!("{} did not answer: {error}.", target.name);
    match error {
        SendError::Unreachable(_) => Failure::unreachable(message),
        SendError::ConnectTimeout(_) => Failure::timed_out(message),
        SendError::Late => late(target),
        SendError::Broken(_) => Failure::broken_off(message),
        SendError::Callers(BrokenBody::TooLarge(limit)) => Failure::body_too_large(*limit),
        SendError::Callers(BrokenBody::Stalled) => Failure::body_stalled(),
        SendError::Callers(BrokenBody::Read(error)) => {
            Failure::body_unreadable(format!("The request body broke off: {error}."), None)
        }
    }
}

/// The failure of a target that sent no content.
pub fn no_content(target: &Target, reason: &NoContent) -> Failure {
    match reason {
        NoContent::Broken(BodyError::Late) => late(target),
        NoContent::Broken(BodyError::Stalled(_)) => {
            Failure::timed_out(format!("{} did not answer: {reason}.", target.name))
        }
        _ => Failure::broken_off(format!("{} did not answer: {reason}.", target.name)),
    }
}

fn late(target: &Target) -> Failure {
    Failure::timed_out(format!("{} did not answer in time.", target.name))
}
