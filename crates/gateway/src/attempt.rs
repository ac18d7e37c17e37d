//! Asks one target after the other until one answers. The only home of the rule when another is asked.

use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use bytes::Bytes;
use mynah_dialect::Protocol;
use mynah_dialect::verdict::Verdict;
use serde_json::Value;
use tokio::time::Instant;

use crate::answer::{Answer, AnswerBody};
use crate::app::App;
use crate::ask::{Ask, AskBody, Way, unix_time};
use crate::catalog::{Route, Target};
use crate::echo;
use crate::failure::Failure;
use crate::line::{Line, no_content};
use crate::operation::Speech;
use crate::translated::Interpreter;

/// No request is tried more often than this, however many targets and keys there are.
const MAX_ATTEMPTS: u32 = 16;

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
                let mut asked = Line { app, target, way, key }.ask(ask).await;
                if let Some(other) = other_way(&asked, target, way, ask) {
                    way = other;
                    asked = Line { app, target, way, key }.ask(ask).await;
                }
                match asked.map(|answer| (answer.verdict(), answer)) {
                    Ok((verdict, answer)) if !verdict.hands_over() => break 'asked Ok(answer),
                    Ok((verdict, answer)) => {
                        refusals.refused(answer, verdict, ask.id);
                        if !verdict.is_the_keys() {
                            break;
                        }
                    }
                    Err(failure) => {
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
fn other_way<'p>(
    asked: &Result<Answer<'_>, Failure>,
    target: &'p Target,
    way: Way<'p>,
    ask: &mut Ask<'_>,
) -> Option<Way<'p>> {
    let answer = asked.as_ref().ok()?;
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
