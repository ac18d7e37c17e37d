//! A line to one target: an address of its provider and one of its keys. Over a line a target is asked once.

use axum::http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use axum::http::response::Parts;
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, Method, Response, Version};
use mynah_dialect::codec::Outgoing;
use mynah_dialect::verdict::Verdict;
use mynah_dialect::{Dialect, Protocol};
use tokio::time::Instant;

use crate::alarm::after;
use crate::answer::{Answer, AnswerBody, NoContent};
use crate::app::App;
use crate::ask::{Ask, TargetBody, Way, at};
use crate::catalog::Target;
use crate::exchange::{Exchange, Question};
use crate::failure::Failure;
use crate::http::body::BrokenBody;
use crate::provider::Endpoint;
use crate::translated::{Interpreter, exchanged, joined};
use crate::translation::Conversation;
use crate::upstream::headers::{extend_with_version, to_caller, to_upstream, translated};
use crate::upstream::send::{BodyError, Call, Patience, SendError, UpstreamBody, send};

/// A line to one target.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a, 'p> {
    /// Connections and what else there is one of.
    pub app: &'p App,
    /// Who is asked.
    pub target: &'a Target,
    /// How: at which address, and in which words.
    pub way: Way<'p>,
    /// With which of the provider's keys.
    pub key: Option<usize>,
}

impl<'a> Line<'a, '_> {
    /// Asks once. The answer is one whose first content has come, or an error of the provider's.
    pub async fn ask(self, ask: &mut Ask<'_>) -> Result<Answer<'a>, Failure> {
        let (endpoint, protocol) = match self.way {
            Way::Relay(endpoint) => return self.relay(endpoint, ask).await,
            Way::Translate(endpoint, protocol) => (endpoint, protocol),
        };
        if let Some(conversation) = ask.conversation()? {
            return self.translate(endpoint, protocol, conversation, ask.headers).await;
        }
        let question = ask.question().ok_or_else(|| self.cannot_translate())?;
        self.exchange(endpoint, question, ask.dialect, ask.headers).await
    }

    /// Passes the request on as it is.
    async fn relay(self, endpoint: &Endpoint, ask: &mut Ask<'_>) -> Result<Answer<'a>, Failure> {
        let path = ask.path_for(self.target, endpoint, endpoint.credential(self.key))?;
        let (body, withholds_usage) = ask.body.for_target(self.target, ask.operation);
        let (method, asked) = (ask.method.clone(), ask.headers);
        let headers = || to_upstream(asked, &self.app.process.via);
        let response = self.put(endpoint, (method, path), headers, body).await?;
        judge(self.target, response.into_parts(), withholds_usage).await
    }

    /// Puts the conversation to a provider in another protocol, and its answer into the caller's.
    async fn translate(
        self,
        endpoint: &Endpoint,
        protocol: Protocol,
        conversation: &Conversation,
        asked: &HeaderMap,
    ) -> Result<Answer<'a>, Failure> {
        let mut translation = conversation.put_to(self.target, protocol)?;
        let (head, body) = self.call(endpoint, &mut translation.outgoing, asked).await?;
        let interpreter =
            Interpreter::new(self.target, conversation, translation).ok_or_else(|| self.cannot_translate())?;
        let answer = interpreter.answer(head.status, &head.headers, body).await;
        answer.map_err(|reason| no_content(self.target, &reason))
    }

    /// Puts another question to a provider of another dialect, in as many calls as it takes.
    async fn exchange(
        self,
        endpoint: &Endpoint,
        question: Question<'_>,
        dialect: Dialect,
        asked: &HeaderMap,
    ) -> Result<Answer<'a>, Failure> {
        let mut exchange = Exchange::plan(&question, self.target)?;
        let mut bodies = Vec::with_capacity(exchange.calls.len());
        for at in 0..exchange.calls.len() {
            let (head, body) = self.call(endpoint, &mut exchange.calls[at], asked).await?;
            let read = exchanged(self.target, dialect, &question, exchange.protocol, &head, body).await;
            match read.map_err(|reason| no_content(self.target, &reason))? {
                Ok(body) => bodies.push(body),
                Err(_) if matches!(head.status.as_u16(), 404 | 405 | 501) && exchange.do_without_provider() => {}
                Err(refusal) => return Ok(refusal),
            }
        }
        Ok(joined(self.target, dialect, &question, &exchange, &bodies))
    }

    /// Sends a request that was written here.
    async fn call(
        self,
        endpoint: &Endpoint,
        outgoing: &mut Outgoing,
        asked: &HeaderMap,
    ) -> Result<(Parts, AnswerBody), Failure> {
        let (path, query) = outgoing.path.split_once('?').unwrap_or((&outgoing.path, ""));
        let path = at(self.target, endpoint, endpoint.credential(self.key), path, query)?;
        let body = TargetBody::Held(vec![std::mem::take(&mut outgoing.body).into()]);
        let headers = || translated(asked, &outgoing.headers, &self.app.process.via);
        let response = self.put(endpoint, (Method::POST, path), headers, body).await?;
        let (head, rest) = response.into_parts();
        let body = AnswerBody {
            rest: Some(rest),
            ..AnswerBody::default()
        };
        Ok((head, body))
    }

    /// Sends a request and waits for the head of its answer.
    async fn put(
        self,
        endpoint: &Endpoint,
        (method, path): (Method, PathAndQuery),
        headers: impl Fn() -> HeaderMap,
        mut body: TargetBody,
    ) -> Result<Response<UpstreamBody>, Failure> {
        let provider = &self.target.provider;
        let patience = Patience {
            connect: provider.timeouts.connect,
            deadline: after(Instant::now(), provider.timeouts.first_byte),
            between_bytes: provider.timeouts.between_bytes,
        };
        let call = || {
            let mut headers = headers();
            for (name, value) in &provider.headers {
                headers.insert(name.clone(), value.clone());
            }
            extend_with_version(endpoint, &mut headers);
            endpoint.credential(self.key).extend_headers(&mut headers);
            Some(Call {
                method: method.clone(),
                base: &endpoint.base,
                path: path.clone(),
                headers,
                body: body.again()?,
            })
        };
        let pool = endpoint.pool(&self.app.pools, provider.http_version);
        send(pool, call, patience)
            .await
            .map_err(|error| sending_failed(self.target, &error))
    }

    fn cannot_translate(self) -> Failure {
        Failure::cannot_translate(&self.target.name, "this route")
    }
}

/// Waits for the first content, and says whether the answer is one that the caller should get.
async fn judge(
    target: &Target,
    (head, rest): (Parts, UpstreamBody),
    withholds_usage: bool,
) -> Result<Answer<'_>, Failure> {
    let ends_with_connection = head.version < Version::HTTP_2
        && !head.headers.contains_key(CONTENT_LENGTH)
        && !head.headers.contains_key(TRANSFER_ENCODING);
    let status = head.status;
    let mut body = AnswerBody {
        rest: Some(rest),
        ..AnswerBody::default()
    };
    let headers = to_caller(head.headers);
    let opening = if Verdict::of_status(status.as_u16()) == Verdict::Healthy {
        body.hold_until_content(&headers).await
    } else {
        body.hold_error()
            .await
            .map(|()| body.redact(&target.provider.keys))
            .map(|()| None)
    };
    let mut answer = match opening {
        Err(reason) => return Err(no_content(target, &reason)),
        Ok(Some(error)) => Answer::in_place_of_stream(error, headers, target),
        Ok(None) => Answer {
            withholds_usage,
            ends_with_connection,
            ..Answer::new(status, headers, body, target)
        },
    };
    answer.fit_length();
    Ok(answer)
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
        _ => Failure::broken_off(format!("{} did not answer: {reason}.", target.name)),
    }
}

fn late(target: &Target) -> Failure {
    Failure::timed_out(format!(
        "{} did not answer within {:?}.",
        target.name, target.provider.timeouts.first_byte
    ))
}
