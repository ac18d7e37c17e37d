//! What the clients of a storm ask, in the words of their protocols.

use bytes::Bytes;
use serde_json::json;

use super::protocol::Caller;

/// In a prompt: the provider is to take its time, so that there is somebody to hang up on.
pub(super) const SLOWLY: &[u8] = b"slowly";

/// One request.
#[derive(Clone, Debug)]
pub(super) struct Question {
    pub(super) caller: Caller,
    /// The model that is asked for.
    pub(super) model: String,
    /// Whether the answer is to be a stream.
    pub(super) streams: bool,
    /// What its answer is recognised by.
    pub(super) nonce: u64,
    /// Whether the provider is to take its time.
    pub(super) slowly: bool,
}

impl Question {
    /// The very bytes of the request.
    pub(super) fn bytes(&self) -> Bytes {
        let Self {
            caller,
            model,
            streams,
            nonce,
            slowly,
        } = self;
        let pace = if *slowly { " slowly" } else { "" };
        let messages = json!([{"role": "user", "content": format!("Count{pace}, please. nonce={nonce};")}]);
        let (path, body) = match caller {
            Caller::Chat => (
                "/v1/chat/completions".to_owned(),
                json!({"model": model, "messages": messages, "stream": streams}),
            ),
            Caller::Responses => (
                "/v1/responses".to_owned(),
                json!({"model": model, "input": messages, "stream": streams}),
            ),
            Caller::Anthropic => (
                "/v1/messages".to_owned(),
                json!({"model": model, "messages": messages, "max_tokens": 1000, "stream": streams}),
            ),
            Caller::Gemini => {
                let method = if *streams {
                    "streamGenerateContent?alt=sse"
                } else {
                    "generateContent"
                };
                let parts = json!([{"text": messages[0]["content"]}]);
                (
                    format!("/v1beta/models/{model}:{method}"),
                    json!({"contents": [{"role": "user", "parts": parts}]}),
                )
            }
        };
        let body = body.to_string();
        let length = body.len();
        let own = match caller {
            Caller::Anthropic => "anthropic-version: 2023-06-01\r\n",
            Caller::Gemini => "x-goog-api-key: any\r\n",
            Caller::Chat | Caller::Responses => "authorization: Bearer any\r\n",
        };
        format!(
            "POST {path} HTTP/1.1\r\nhost: gateway\r\ncontent-type: application/json\r\n{own}content-length: {length}\r\n\r\n{body}"
        )
        .into()
    }
}

/// What a request was marked with, as the provider sees it.
pub(super) fn nonce_in(body: &[u8]) -> Option<u64> {
    let mark = b"nonce=";
    let begin = memchr::memmem::find(body, mark)? + mark.len();
    let digits = body.get(begin..)?.split(|byte| *byte == b';').next()?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_is_found() {
        for caller in Caller::ALL {
            let question = Question {
                caller,
                model: "m".to_owned(),
                streams: true,
                nonce: 42,
                slowly: false,
            };
            assert_eq!(nonce_in(&question.bytes()), Some(42));
        }
    }
}
