//! Replies without what OpenAI puts around them: a text, or a vector.

use axum::body::{Body, to_bytes};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::Response;
use mynah_dialect::Dialect;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::answer::MAX_WHOLE;
use crate::config::replies::{ChatReply, EmbeddingsReply, Replies};
use crate::failure::Failure;
use crate::operation::Operation;

/// The header with which a caller asks for the whole reply.
static RESPONSE_FORMAT: HeaderName = HeaderName::from_static("x-response-format");

/// What is left of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `{"text": "…"}`.
    Text,
    /// `[0.1, …]`.
    Vector,
}

/// What is left of the replies to a request; `None` for all of them.
pub fn form(replies: &Replies, operation: Operation, headers: &HeaderMap) -> Option<Form> {
    let form = match operation.path {
        _ if *replies == Replies::default() => return None,
        "/v1/chat/completions" if replies.chat == ChatReply::Text => Form::Text,
        "/v1/embeddings" if replies.embeddings == EmbeddingsReply::Vector => Form::Vector,
        _ => return None,
    };
    let is_whole = headers
        .get(&RESPONSE_FORMAT)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"openai"));
    (!is_whole).then_some(form)
}

/// Strips a reply. Errors are left as they are.
pub async fn stripped(response: Response, form: Form) -> Response {
    if !response.status().is_success() {
        return response;
    }
    let (mut head, body) = response.into_parts();
    let stripped = match to_bytes(body, MAX_WHOLE).await {
        Ok(whole) => strip(&whole, form),
        Err(_) => None,
    };
    let Some(stripped) = stripped else {
        return Failure::broken_off("The provider's answer has another form than was expected.".to_owned())
            .reply_in(Dialect::OpenAi, "");
    };
    head.headers.remove(CONTENT_LENGTH);
    let json = HeaderValue::from_static("application/json");
    head.headers.insert(CONTENT_TYPE, json);
    Response::from_parts(head, Body::from(stripped))
}

/// Whether an answer has what is left of it.
pub fn has(whole: &[u8], form: Form) -> bool {
    strip(whole, form).is_some()
}

fn strip(whole: &[u8], form: Form) -> Option<Vec<u8>> {
    match form {
        Form::Text => {
            let completion: Completion = serde_json::from_slice(whole).ok()?;
            let content = completion.choices.into_iter().next()?.message.content;
            serde_json::to_vec(&json!({ "text": content })).ok()
        }
        Form::Vector => {
            let list: Vectors<'_> = serde_json::from_slice(whole).ok()?;
            let vectors: Vec<&RawValue> = list.data.iter().map(|entry| entry.embedding).collect();
            match vectors.as_slice() {
                [] => None,
                [one] => Some(one.get().into()),
                several => serde_json::to_vec(several).ok(),
            }
        }
    }
}

#[derive(Deserialize)]
struct Completion {
    choices: Vec<Choice>,
}

#[derive(Deserialize)]
struct Choice {
    message: Message,
}

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    content: Value,
}

#[derive(Deserialize)]
struct Vectors<'a> {
    #[serde(borrow)]
    data: Vec<Vector<'a>>,
}

#[derive(Deserialize)]
struct Vector<'a> {
    #[serde(borrow)]
    embedding: &'a RawValue,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stripped(whole: &str, form: Form) -> Option<String> {
        strip(whole.as_bytes(), form).map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn what_is_left() {
        for (form, whole, left) in [
            (
                Form::Text,
                r#"{"id":"x","choices":[{"index":0,"message":{"role":"assistant","content":"Hi \"you\""}}]}"#,
                Some(r#"{"text":"Hi \"you\""}"#),
            ),
            (
                Form::Text,
                r#"{"choices":[{"message":{"content":null,"tool_calls":[]}}]}"#,
                Some(r#"{"text":null}"#),
            ),
            (Form::Text, r#"{"choices":[]}"#, None),
            (
                Form::Vector,
                r#"{"data":[{"embedding":[0.10, -2e-1],"index":0}]}"#,
                Some("[0.10, -2e-1]"),
            ),
            (
                Form::Vector,
                r#"{"data":[{"embedding":[1]},{"embedding":[2]}]}"#,
                Some("[[1],[2]]"),
            ),
            (Form::Vector, r#"{"data":[]}"#, None),
        ] {
            assert_eq!(stripped(whole, form).as_deref(), left, "{whole}");
        }
    }
}
