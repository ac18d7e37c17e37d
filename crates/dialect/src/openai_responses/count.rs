//! Counting the tokens of a request, `POST /v1/responses/input_tokens`.

use crate::codec::Outgoing;
use crate::tree::Node;
use crate::writer;

/// What a request for a count has in common with the request itself.
const COUNTED: [&str; 8] = [
    "model",
    "input",
    "instructions",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "reasoning",
    "text",
];

/// The request for a count, from the request that would be sent.
pub(super) fn write_count_request(outgoing: Outgoing) -> Outgoing {
    let mut body = Vec::new();
    let request = Node::parse(&outgoing.body).unwrap_or_default();
    writer::object(&mut body, |it| {
        for (name, value) in request.members() {
            if COUNTED.contains(&name.as_ref()) {
                it.raw(name, &value.to_raw());
            }
        }
    });
    Outgoing {
        path: "/responses/input_tokens".to_owned(),
        body,
        ..outgoing
    }
}

/// Reads a provider's count.
pub(super) fn read_count(body: &[u8]) -> Option<u64> {
    Node::parse(body).ok()?.get("input_tokens").u64()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Memo;

    #[test]
    fn only_what_is_counted_is_sent() {
        let outgoing = Outgoing {
            path: "/responses".into(),
            headers: Vec::new(),
            body: br#"{"model":"m","input":[],"store":false,"max_output_tokens":16,"tools":[1.10]}"#.to_vec(),
            memo: Memo::default(),
        };
        let count = write_count_request(outgoing);
        assert_eq!(count.path, "/responses/input_tokens");
        assert_eq!(count.body, br#"{"model":"m","input":[],"tools":[1.10]}"#);
        assert_eq!(
            read_count(br#"{"object":"response.input_tokens","input_tokens":13}"#),
            Some(13)
        );
    }
}
