//! The built-in model's answers: directly on OpenAI's routes, and by translation to conversations in other protocols.

use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use bytes::Bytes;
use mynah_dialect::Protocol;
use serde_json::Value;

use crate::answer::{Answer, AnswerBody};
use crate::ask::{Ask, AskBody, unix_time};
use crate::echo;
use crate::failure::Failure;
use crate::line::no_content;
use crate::operation::Speech;
use crate::route::Target;
use crate::translated::Interpreter;

/// Has the built-in model answer.
pub async fn answer<'a>(ask: &Ask<'_>, target: &'a Target) -> Result<Answer<'a>, Failure> {
    match echo(ask, target)? {
        Echo::Direct(answer) => Ok(answer),
        Echo::Translated(interpreter, headers, body) => {
            let answer = interpreter.answer(StatusCode::OK, &headers, body).await;
            answer.map_err(|reason| no_content(target, &reason))
        }
    }
}

/// What the built-in model says.
enum Echo<'a, 'c> {
    /// To a route of OpenAI's.
    Direct(Answer<'a>),
    /// To a conversation in another protocol.
    Translated(Interpreter<'a, 'c>, HeaderMap, AnswerBody),
}

/// OpenAI's routes are answered as they are asked, conversations in other protocols by translation.
fn echo<'a, 'c>(ask: &'c Ask<'_>, target: &'a Target) -> Result<Echo<'a, 'c>, Failure> {
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
