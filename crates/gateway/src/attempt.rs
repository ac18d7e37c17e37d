//! Asks one target after the other until one answers. The only home of the rule when another is asked.

use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use axum::http::response::Parts;
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Version};
use bytes::Bytes;
use mynah_dialect::verdict::Verdict;
use mynah_dialect::{Dialect, Protocol};
use serde_json::Value;
use tokio::time::Instant;

use crate::alarm::after;
use crate::answer::{Answer, AnswerBody, NoContent};
use crate::app::App;
use crate::ask::{Ask, AskBody, TargetBody, Way, at, unix_time};
use crate::catalog::{Route, Target};
use crate::echo;
use crate::exchange::{Exchange, Question};
use crate::failure::Failure;
use crate::http::body::BrokenBody;
use crate::operation::Speech;
use crate::provider::Endpoint;
use crate::translated::{Interpreter, exchanged, joined};
use crate::translation::Conversation;
use crate::upstream::headers::{to_caller, to_upstream, translated};
use crate::upstream::send::{BodyError, Call, Patience, SendError, UpstreamBody, send};

static ANTHROPIC_VERSION: HeaderName = HeaderName::from_static("anthropic-version");

/// No request is tried more often than this, however many targets and keys there are.
const MAX_ATTEMPTS: u32 = 16;

/// What came of asking once.
enum Outcome<'a> {
    /// An answer that the caller should get.
    Answered(Answer<'a>),
    /// An answer that makes us ask somebody else; the caller gets it if there is nobody.
    Refused(Answer<'a>, Verdict),
    /// No answer.
    Failed(Failure),
}

/// What those who were asked so far had to say.
#[derive(Default)]
struct Refusals<'a> {
    worst: Option<(Answer<'a>, Verdict)>,
    failure: Option<Failure>,
}

/// Asks the targets of a route in order: each key of a target while the keys are at fault, then the next target.
pub async fn first_success<'a>(app: &App, route: &'a Route, ask: &mut Ask<'_>) -> Result<Answer<'a>, Failure> {
    let started = Instant::now();
    let mut refusals = Refusals::default();
    let outcome = 'asked: {
        for target in &route.targets {
            if target.provider.is_built_in() {
                ask.attempts += 1;
                break 'asked match built_in(ask, target) {
                    Ok(Echo::Direct(answer)) => Ok(answer),
                    Ok(Echo::Translated(interpreter, headers, body)) => {
                        let answer = interpreter.answer(StatusCode::OK, &headers, body).await;
                        answer.map_err(|reason| no_content(target, &reason))
                    }
                    Err(failure) => Err(failure),
                };
            }
            let Some(mut way) = ask.way_to(&target.provider) else {
                let cannot = || Failure::cannot_translate(&route.name, ask.path);
                refusals.failure.get_or_insert_with(cannot);
                continue;
            };
            for key in target.provider.turns.in_turn() {
                if ask.attempts == MAX_ATTEMPTS || (ask.attempts > 0 && !ask.can_be_sent_again()) {
                    break 'asked refusals.answer(route);
                }
                ask.attempts += 1;
                let mut outcome = ask_once(app, target, way, key, ask).await;
                if let Some(other) = other_way(&outcome, target, way, ask) {
                    way = other;
                    outcome = ask_once(app, target, way, key, ask).await;
                }
                match outcome {
                    Outcome::Answered(answer) => break 'asked Ok(answer),
                    Outcome::Refused(answer, verdict) => {
                        refusals.refused(answer, verdict, ask.id);
                        if !verdict.is_the_keys() {
                            break;
                        }
                    }
                    Outcome::Failed(failure) => {
                        refusals.failed(failure, target, ask.id);
                        break;
                    }
                }
            }
        }
        refusals.answer(route)
    };
    outcome.map(|mut answer| {
        (answer.attempts, answer.waited) = (ask.attempts, started.elapsed());
        answer
    })
}

/// Where an answer shows that there is a better way to ask the same target, that way: around an address that a provider
/// does not have after all, or without the proofs of reasoning that it refuses (they are bound to an account, or were
/// altered on their way).
fn other_way<'p>(outcome: &Outcome<'_>, target: &'p Target, way: Way<'p>, ask: &mut Ask<'_>) -> Option<Way<'p>> {
    let Outcome::Answered(answer) = outcome else {
        return None;
    };
    if let Way::Translate(..) = way {
        return (answer.refuses_proofs() && ask.leave_out_reasoning()).then_some(way);
    }
    if !answer.says_that_there_is_no_such_address() {
        return None;
    }
    let apis = &target.provider.apis;
    let is_news = match ask.operation?.speech {
        Speech::Conversation(Protocol::OpenaiResponses) => apis.note_no_responses(),
        Speech::Completions => apis.note_no_completions(),
        _ => false,
    };
    if is_news { ask.way_to(&target.provider) } else { None }
}

async fn ask_once<'a>(
    app: &App,
    target: &'a Target,
    way: Way<'_>,
    key: Option<usize>,
    ask: &mut Ask<'_>,
) -> Outcome<'a> {
    let asked = match way {
        Way::Relay(endpoint) => relay(app, target, endpoint, key, ask).await,
        Way::Translate(endpoint, protocol) => {
            let to = (target, endpoint, key);
            match (ask.conversation(), ask.question()) {
                (Ok(Some(conversation)), _) => translate(app, to, protocol, conversation, ask.headers).await,
                (Ok(None), Some(question)) => exchange(app, to, question, ask.dialect, ask.headers).await,
                (Ok(None), None) => Err(Failure::cannot_translate(&target.name, ask.path)),
                (Err(failure), _) => Err(failure),
            }
        }
    };
    asked.unwrap_or_else(Outcome::Failed)
}

/// Passes the request on as it is.
async fn relay<'a>(
    app: &App,
    target: &'a Target,
    endpoint: &Endpoint,
    key: Option<usize>,
    ask: &mut Ask<'_>,
) -> Result<Outcome<'a>, Failure> {
    let path = ask.path_for(target, endpoint, endpoint.credential(key))?;
    let (body, withholds_usage) = ask.body.for_target(target, ask.operation);
    let (method, asked) = (ask.method.clone(), ask.headers);
    let headers = || to_upstream(asked, &app.process.via);
    let response = put(app, (target, endpoint, key), method, path, headers, body).await?;
    Ok(judge(target, response.into_parts(), withholds_usage).await)
}

/// Puts the conversation to a provider in another protocol, and its answer into the caller's.
async fn translate<'a>(
    app: &App,
    (target, endpoint, key): (&'a Target, &Endpoint, Option<usize>),
    protocol: Protocol,
    conversation: &Conversation,
    asked: &HeaderMap,
) -> Result<Outcome<'a>, Failure> {
    let mut translation = conversation.put_to(target, protocol)?;
    let (path, query) = translation
        .outgoing
        .path
        .split_once('?')
        .unwrap_or((&translation.outgoing.path, ""));
    let path = at(target, endpoint, endpoint.credential(key), path, query)?;
    let body = TargetBody::Held(vec![std::mem::take(&mut translation.outgoing.body).into()]);
    let own = std::mem::take(&mut translation.outgoing.headers);
    let headers = || translated(asked, &own, &app.process.via);
    let response = put(app, (target, endpoint, key), Method::POST, path, headers, body).await?;
    let (head, rest) = response.into_parts();
    let body = AnswerBody {
        rest: Some(rest),
        ..AnswerBody::default()
    };
    let interpreter = Interpreter::new(target, conversation, translation)
        .ok_or_else(|| Failure::cannot_translate(&target.name, protocol.name()))?;
    let answer = interpreter.answer(head.status, &head.headers, body).await;
    answer.map(Outcome::of).map_err(|reason| no_content(target, &reason))
}

/// Puts another question to a provider of another dialect, in as many calls as it takes.
async fn exchange<'a>(
    app: &App,
    (target, endpoint, key): (&'a Target, &Endpoint, Option<usize>),
    question: Question<'_>,
    dialect: Dialect,
    asked: &HeaderMap,
) -> Result<Outcome<'a>, Failure> {
    let mut exchange = Exchange::plan(&question, target)?;
    let mut bodies = Vec::with_capacity(exchange.calls.len());
    for call in &mut exchange.calls {
        let (path, query) = call.path.split_once('?').unwrap_or((&call.path, ""));
        let path = at(target, endpoint, endpoint.credential(key), path, query)?;
        let body = TargetBody::Held(vec![std::mem::take(&mut call.body).into()]);
        let headers = || translated(asked, &call.headers, &app.process.via);
        let response = put(app, (target, endpoint, key), Method::POST, path, headers, body).await?;
        let (head, rest) = response.into_parts();
        let body = AnswerBody {
            rest: Some(rest),
            ..AnswerBody::default()
        };
        let read = exchanged(target, dialect, &question, exchange.protocol, &head, body).await;
        match read.map_err(|reason| no_content(target, &reason))? {
            Ok(body) => bodies.push(body),
            Err(refusal) => return Ok(Outcome::of(refusal)),
        }
    }
    Ok(Outcome::of(joined(target, dialect, &question, &exchange, &bodies)))
}

/// Sends a request to a target.
async fn put(
    app: &App,
    (target, endpoint, key): (&Target, &Endpoint, Option<usize>),
    method: Method,
    path: PathAndQuery,
    headers: impl Fn() -> HeaderMap,
    mut body: TargetBody,
) -> Result<Response<UpstreamBody>, Failure> {
    let timeouts = target.provider.timeouts;
    let patience = Patience {
        connect: timeouts.connect,
        deadline: after(Instant::now(), timeouts.first_byte),
        between_bytes: timeouts.between_bytes,
    };
    let credential = endpoint.credential(key);
    let call = || {
        let mut headers = headers();
        for (name, value) in &target.provider.headers {
            headers.insert(name.clone(), value.clone());
        }
        if endpoint.dialect == Dialect::Anthropic && !headers.contains_key(&ANTHROPIC_VERSION) {
            headers.insert(ANTHROPIC_VERSION.clone(), HeaderValue::from_static("2023-06-01"));
        }
        credential.extend_headers(&mut headers);
        Some(Call {
            method: method.clone(),
            base: &endpoint.base,
            path: path.clone(),
            headers,
            body: body.again()?,
        })
    };
    let pool = endpoint.pool(&app.pools, target.provider.http_version);
    send(pool, call, patience)
        .await
        .map_err(|error| sending_failed(target, &error))
}

/// Waits for the first content, and says whether the answer is one that the caller should get.
async fn judge(target: &Target, (head, rest): (Parts, UpstreamBody), withholds_usage: bool) -> Outcome<'_> {
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
        Err(reason) => return Outcome::Failed(no_content(target, &reason)),
        Ok(Some(error)) => Answer::in_place_of_stream(error, headers, target),
        Ok(None) => Answer {
            withholds_usage,
            ends_with_connection,
            ..Answer::new(status, headers, body, target)
        },
    };
    answer.fit_length();
    Outcome::of(answer)
}

impl<'a> Outcome<'a> {
    fn of(answer: Answer<'a>) -> Self {
        let verdict = answer.verdict();
        if verdict.hands_over() {
            Self::Refused(answer, verdict)
        } else {
            Self::Answered(answer)
        }
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

fn no_content(target: &Target, reason: &NoContent) -> Failure {
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

/// What the built-in model says.
enum Echo<'a, 'c> {
    /// To a route of OpenAI's.
    Direct(Answer<'a>),
    /// To a conversation in another protocol.
    Translated(Interpreter<'a, 'c>, HeaderMap, AnswerBody),
}

/// The built-in model answers OpenAI's routes by itself, and conversations in other protocols by translation.
fn built_in<'a, 'c>(ask: &'c Ask<'_>, target: &'a Target) -> Result<Echo<'a, 'c>, Failure> {
    let cannot = || Failure::echo_cannot(ask.path);
    let AskBody::Json(bytes, _) = &ask.body else {
        return Err(cannot());
    };
    let operation = ask.operation.ok_or_else(cannot)?;
    let Speech::Conversation(Protocol::Anthropic | Protocol::Gemini) = operation.speech else {
        let mut body: Value = serde_json::from_slice(bytes).unwrap_or_default();
        if operation.streamed {
            body["stream"] = Value::Bool(true);
        }
        let (headers, body) = echoed(operation.below, &body, ask.id).ok_or_else(cannot)?;
        return Ok(Echo::Direct(Answer::new(StatusCode::OK, headers, body, target)));
    };
    let conversation = ask.conversation()?.ok_or_else(cannot)?;
    let translation = conversation.put_to(target, Protocol::OpenaiChat)?;
    let body: Value = serde_json::from_slice(&translation.outgoing.body).unwrap_or_default();
    let (headers, body) = echoed(&translation.outgoing.path, &body, ask.id).ok_or_else(cannot)?;
    let interpreter = Interpreter::new(target, conversation, translation).ok_or_else(cannot)?;
    Ok(Echo::Translated(interpreter, headers, body))
}

fn echoed(operation: &str, body: &Value, id: &str) -> Option<(HeaderMap, AnswerBody)> {
    let (content_type, held) = match echo::answer(operation, body, id, unix_time())? {
        echo::Answer::Json(body) => ("application/json", vec![Bytes::from(body.to_string())]),
        echo::Answer::Events(events) => ("text/event-stream; charset=utf-8", events),
    };
    let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(content_type))]);
    let body = AnswerBody {
        held: held.into(),
        ..AnswerBody::default()
    };
    Some((headers, body))
}

// === impl Refusals ===

impl<'a> Refusals<'a> {
    fn refused(&mut self, answer: Answer<'a>, verdict: Verdict, id: &str) {
        let (model, status) = (&answer.target.name, answer.status.as_u16());
        tracing::warn!(model, status, id, "refused");
        let before = self.worst.as_ref().map(|(_, before)| says_more(*before));
        if before.is_none_or(|before| says_more(verdict) >= before) {
            self.worst = Some((answer, verdict));
        }
    }

    fn failed(&mut self, failure: Failure, target: &Target, id: &str) {
        tracing::warn!(model = target.name, reason = %failure.message, id, "failed");
        self.failure = Some(failure);
    }

    /// What the caller gets when nobody else can be asked.
    fn answer(self, route: &Route) -> Result<Answer<'a>, Failure> {
        match (self.worst, self.failure) {
            (Some((answer, _)), _) => Ok(answer),
            (None, Some(failure)) => Err(failure),
            (None, None) => Err(Failure::model_unknown(&route.name, "")),
        }
    }
}

/// Of several refusals the caller gets the one that tells most about what to do: wait, try again, or nothing.
fn says_more(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Throttled => 2,
        Verdict::Faulty => 1,
        _ => 0,
    }
}
