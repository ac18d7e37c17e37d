//! What a request says only by naming something that a provider has stored.

use crate::ir::Request;

/// Members that lead to it. Nobody but the caller's own provider can follow them, and an answer without them would be an
/// answer to something else.
const STORED: [&str; 7] = [
    "thread",
    "previous_response_id",
    "conversation",
    "prompt",
    "background",
    "cachedContent",
    "cached_content",
];

/// The member of a request that refers to something stored, if there is one.
pub fn reference(request: &Request) -> Option<&'static str> {
    let is_set = |name: &&str| {
        let value = request.extra.get(name).map(crate::raw::Raw::as_str);
        value.is_some_and(|value| !matches!(value, "null" | "false"))
    };
    STORED.into_iter().find(is_set)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Protocol;
    use crate::raw::Raw;

    #[test]
    fn only_what_is_set_refers_to_anything() {
        let mut request = Request::new(Protocol::OpenaiResponses, "m");
        request.extra.keep("background", Raw::parse("false").unwrap());
        request.extra.keep("conversation", Raw::parse("null").unwrap());
        assert_eq!(reference(&request), None);
        request.extra.keep("prompt", Raw::parse("{}").unwrap());
        assert_eq!(reference(&request), Some("prompt"));
    }
}
