//! Replies for benches: cheap to give, and as long as one likes.

use std::time::Duration;

use serde_json::json;

use crate::reply::Reply;
use crate::script::{Rule, Script};

/// About how long the chunks of [`stream`] are.
const CHUNK_BYTES: usize = 200;

/// A chat completion of about so many bytes.
pub fn completion(bytes: usize) -> Reply {
    let made = |content: String| {
        json!({
            "id": "chatcmpl-bench", "object": "chat.completion", "created": 1_700_000_000, "model": "bench",
            "choices": [{
                "index": 0, "message": {"role": "assistant", "content": content, "refusal": null},
                "logprobs": null, "finish_reason": "stop",
            }],
            "usage": {"prompt_tokens": 9, "completion_tokens": 12, "total_tokens": 21},
        })
    };
    let room = bytes.saturating_sub(made(String::new()).to_string().len());
    Reply::json(&made(padding(room)))
}

/// A stream of so many chunks of chat completions, and `[DONE]`; `pace` is waited before each.
pub fn stream(events: usize, pace: Duration) -> Reply {
    let chunk = |content: &str| {
        let chunk = json!({
            "id": "chatcmpl-bench", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "bench",
            "choices": [{"index": 0, "delta": {"content": content}, "finish_reason": null}],
        });
        format!("data: {chunk}\n\n")
    };
    let content = padding(CHUNK_BYTES.saturating_sub(chunk("").len()));
    let chunks = std::iter::repeat_n(chunk(&content), events);
    Reply::stream(chunks.chain(["data: [DONE]\n\n".to_owned()])).pace(pace)
}

/// A script that answers every `POST` that asks for a stream with `stream`, and every other one with `completion`.
///
/// Without a reply for streams, nobody looks at the requests.
pub fn script(completion: Reply, stream: Option<Reply>) -> Script {
    let script = match stream {
        Some(stream) => Script::new().rule(Rule::any().method("POST").asks_for_stream().reply(stream)),
        None => Script::new(),
    };
    script.rule(Rule::any().method("POST").reply(completion))
}

fn padding(bytes: usize) -> String {
    "The understudy knows every line of the play by heart. "
        .chars()
        .cycle()
        .take(bytes)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_as_asked_for() {
        assert_eq!(completion(1000).body_length(), 1000);
        assert_eq!(
            stream(10, Duration::ZERO).body_length(),
            10 * CHUNK_BYTES + "data: [DONE]\n\n".len()
        );
    }
}
