//! Tells whether a body that came with status 200 is an answer at all.
//!
//! Only its outermost members are looked at, and no tree is built. What a proper answer says is not judged.

use crate::json::{JsonFault, Scanner};
use crate::stream_error::{StreamError, UNEXPLAINED, error_status};

/// What a whole body is.
#[derive(Clone, Debug, PartialEq)]
pub enum Whole {
    /// An answer, or something that is not for us to judge.
    Fine,
    /// An error whose status was wrong.
    Error(StreamError),
    /// Not what a provider answers; the text says what it is instead.
    NotAnAnswer(&'static str),
}

/// Whether a member, whose key this is in quotes, is one that only answers have: whoever has one is an answer, also if it
/// tells of an error.
pub(crate) fn is_of_answers(key: &[u8]) -> bool {
    matches!(
        key,
        b"\"choices\""
            | b"\"content\""
            | b"\"candidates\""
            | b"\"output\""
            | b"\"data\""
            | b"\"results\""
            | b"\"embedding\""
            | b"\"embeddings\""
            | b"\"predictions\""
    )
}

/// Judges the body of an answer with a status of success, on a route whose answers are JSON. It must not be compressed.
///
/// A media type that is neither JSON nor text (sound, lines of JSON) is not for us to judge.
pub fn judge(content_type: Option<&str>, body: &[u8]) -> Whole {
    if content_type.is_some_and(|kind| !may_be_json(kind)) {
        return Whole::Fine;
    }
    let body = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body).trim_ascii();
    let Some(first) = body.first() else {
        return Whole::NotAnAnswer("nothing");
    };
    let read = match first {
        b'{' => members(body),
        b'[' => items(body),
        b'<' => return Whole::NotAnAnswer("a page"),
        _ => return Whole::NotAnAnswer("text, but no JSON object"),
    };
    match read {
        Ok(Members {
            error: true,
            answer: false,
        }) => misplaced(body),
        Ok(_) => Whole::Fine,
        Err(fault) if fault.at >= body.len() => Whole::NotAnAnswer("JSON that breaks off"),
        Err(_) => Whole::NotAnAnswer("something that is not JSON"),
    }
}

fn may_be_json(content_type: &str) -> bool {
    if content_type == "application/json" {
        return true;
    }
    let kind = content_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    kind.is_empty()
        || kind == "application/json"
        || kind.ends_with("+json")
        || kind.starts_with("text/") && kind != "text/event-stream"
}

/// What the outermost members of a body say.
#[derive(Default)]
struct Members {
    /// One may tell of an error.
    error: bool,
    /// One belongs to an answer.
    answer: bool,
}

fn members(body: &[u8]) -> Result<Members, JsonFault> {
    let mut scanner = Scanner::new(body);
    let members = members_at(&mut scanner, body)?;
    scanner.end()?;
    Ok(members)
}

/// Of an array (of Gemini's chunks, of results) the first item is looked at.
fn items(body: &[u8]) -> Result<Members, JsonFault> {
    let mut scanner = Scanner::new(body);
    scanner.open_array()?;
    let mut members = Members::default();
    let mut first = true;
    while scanner.next_item(first)? {
        if first && scanner.next_byte() == Some(b'{') {
            members = members_at(&mut scanner, body)?;
        } else {
            scanner.value()?;
        }
        first = false;
    }
    scanner.end()?;
    Ok(members)
}

fn members_at(scanner: &mut Scanner<'_>, body: &[u8]) -> Result<Members, JsonFault> {
    let mut members = Members::default();
    scanner.open_object()?;
    let mut first = true;
    while let Some(key) = scanner.next_key(first)? {
        first = false;
        let key = body.get(key).unwrap_or_default();
        let value = body.get(scanner.value()?).unwrap_or_default();
        members.error |= match key {
            b"\"error\"" => value != b"null",
            b"\"type\"" | b"\"object\"" => value == b"\"error\"",
            _ => false,
        };
        members.answer |= is_of_answers(key) && value != b"null";
    }
    Ok(members)
}

fn misplaced(body: &[u8]) -> Whole {
    let status = match serde_json::from_slice(body) {
        Ok(error) => error_status(&error),
        // Well formed, but of a kind that is not read (not UTF-8).
        Err(_) => Some(UNEXPLAINED),
    };
    match status {
        Some(status) => Whole::Error(StreamError {
            status,
            body: body.to_vec(),
        }),
        None => Whole::Fine,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const JSON: Option<&str> = Some("application/json; charset=utf-8");

    #[test]
    fn answers_are_fine_whatever_they_say() {
        for body in [
            r#"{"choices":[{"message":{"content":"ERROR: <html>"}}]}"#,
            r#"{"error":null,"output":[]}"#,
            r#"{"error":{"code":"server_error"},"status":"failed","output":[]}"#,
            r#" {"error":null} "#,
            r#"{"error":false,"text":"x"}"#,
            r#"{"type":"message","content":[]}"#,
            r#"{"text":"error"}"#,
            r#"[{"candidates":[]},{"usageMetadata":{}}]"#,
            "[[0.1,0.2]]",
            "[]",
            "{}",
            "\u{feff}{\"data\":[]}",
        ] {
            assert_eq!(judge(JSON, body.as_bytes()), Whole::Fine, "{body}");
            assert_eq!(judge(None, body.as_bytes()), Whole::Fine, "{body}");
        }
        assert_eq!(judge(JSON, b"{\"text\":\"\xff\"}"), Whole::Fine);
        for kind in [
            "audio/mpeg",
            "application/x-ndjson",
            "text/event-stream",
            "image/png",
            "application/octet-stream",
        ] {
            assert_eq!(judge(Some(kind), b"\xff\xf3"), Whole::Fine, "{kind}");
        }
    }

    #[test]
    fn errors_have_the_status_that_they_should_have_had() {
        for (body, expected) in [
            (r#"{"error":{"message":"m","code":429}}"#, 429),
            (
                r#"{"error":{"message":"m","type":"authentication_error"},"choices":null}"#,
                401,
            ),
            (r#"{"type":"error","error":{"type":"overloaded_error"}}"#, 529),
            (r#"{"object":"error","message":"m","code":400}"#, 400),
            (r#"{"error":"ERROR: out of memory"}"#, 502),
            (r#"[{"error":{"code":503,"status":"UNAVAILABLE"}}]"#, 503),
        ] {
            let error = StreamError {
                status: expected,
                body: body.as_bytes().to_vec(),
            };
            assert_eq!(judge(JSON, body.as_bytes()), Whole::Error(error), "{body}");
        }
        assert!(matches!(
            judge(JSON, b"{\"error\":\"\xff\"}"),
            Whole::Error(StreamError { status: 502, .. })
        ));
    }

    #[test]
    fn what_is_no_answer_is_told() {
        for (body, what) in [
            ("", "nothing"),
            (" \r\n", "nothing"),
            ("<html><body>200</body></html>", "a page"),
            ("ERROR: out of memory", "text, but no JSON object"),
            ("\"ERROR: out of memory\"", "text, but no JSON object"),
            ("null", "text, but no JSON object"),
            ("{\"choices\":[{\"message\":{\"content\":\"x", "JSON that breaks off"),
            ("{\"choices\":[]", "JSON that breaks off"),
            ("[1,", "JSON that breaks off"),
            ("{\"choices\":[]}{", "something that is not JSON"),
            ("{'choices':[]}", "something that is not JSON"),
        ] {
            assert_eq!(judge(JSON, body.as_bytes()), Whole::NotAnAnswer(what), "{body}");
        }
        assert_eq!(
            judge(Some("text/plain"), b"oops"),
            Whole::NotAnAnswer("text, but no JSON object")
        );
    }

    proptest! {
        /// An answer that is cut off anywhere is no answer.
        #[test]
        fn a_cut_is_seen_wherever_it_is(at in any::<prop::sample::Index>()) {
            let body = r#"{"id":"1","choices":[{"index":0,"message":{"content":"say \"h\u00e9\" {"},"finish_reason":"stop"}],"usage":{"prompt_tokens":12.5e3},"error":null}"#;
            prop_assert_eq!(judge(JSON, body.as_bytes()), Whole::Fine);
            let cut = &body.as_bytes()[..at.index(body.len())];
            prop_assert!(matches!(judge(JSON, cut), Whole::NotAnAnswer(_)));
        }

        /// Whether a body is JSON is judged as serde_json does.
        #[test]
        fn what_is_json_is_agreed_on(body in r#"(\{|\}|\[|\]|"a"|"error"|:|,|1|null| ){0,12}"#) {
            let is_json = serde_json::from_str::<serde_json::Value>(&body).is_ok_and(|value| value.is_object() || value.is_array());
            prop_assert_eq!(!matches!(judge(None, body.as_bytes()), Whole::NotAnAnswer(_)), is_json);
        }

        #[test]
        fn every_body_is_judged(body in prop::collection::vec(any::<u8>(), 0..60)) {
            judge(None, &body);
        }
    }
}
