//! Beginnings of streams, and what they amount to.

use proptest::prelude::*;

use super::*;

fn opening(stream: &str) -> Opening {
    Overture::default().push(stream.as_bytes())
}

fn status(stream: &str) -> u16 {
    match opening(stream) {
        Opening::Error(error) => error.status,
        other => panic!("{other:?}"),
    }
}

#[test]
fn lifecycle_events_are_not_content() {
    let role = "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null}}]}\n\n";
    let created = "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"error\":null}}\n\n";
    for stream in [
        "",
        ": ping\n\n",
        role,
        created,
        "data: {\"choices\":[],\"prompt_filter_results\":[]}\n\n",
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":1}}}\n\n",
        "data: {\"type\":\"content_block_start\",\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
        "data: {\"type\":\"response.reasoning_summary_part.added\",\"part\":{\"type\":\"summary_text\",\"text\":\"\"}}\n\n",
        "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"\"}]}}],\"usageMetadata\":{}}\n\n",
        "data: {\"usageMetadata\":{\"promptTokenCount\":3}}\n\n",
        "data: {\"cho",
    ] {
        assert_eq!(opening(stream), Opening::Waiting, "{stream}");
    }
}

#[test]
fn content_is_whatever_a_reader_would_see() {
    for data in [
        r#"{"choices":[{"delta":{"content":"x"}}]}"#,
        r#"{"choices":[{"delta":{"tool_calls":[{"index":0}]}}]}"#,
        r#"{"choices":[{"delta":{"reasoning_content":"x"}}]}"#,
        r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#,
        r#"{"choices":[{"text":"x"}]}"#,
        r#"{"choices":[],"usage":{"prompt_tokens":1}}"#,
        r#"{"type":"response.output_text.delta","delta":"x"}"#,
        r#"{"type":"content_block_start","content_block":{"type":"tool_use"}}"#,
        r#"{"type":"content_block_delta","delta":{"type":"text_delta","text":"x"}}"#,
        r#"{"candidates":[{"content":{"parts":[{"text":"x"}]}}]}"#,
        r#"{"candidates":[{"finishReason":"SAFETY"}]}"#,
        r#"{"promptFeedback":{"blockReason":"SAFETY"}}"#,
        r#"{"something":"else"}"#,
        r#"{"choices":[{"delta":{"content":"\ud83d"}}]}"#,
        r#"{"something":1e999}"#,
    ] {
        assert_eq!(opening(&format!("data: {data}\n\n")), Opening::Content, "{data}");
    }
}

#[test]
fn an_error_that_comes_first_has_a_status() {
    for (data, expected) in [
        (r#"{"error":{"message":"m","code":429}}"#, 429),
        (r#"{"error":{"message":"m","code":"503"}}"#, 503),
        (r#"{"error":{"message":"m","type":"rate_limit_error"}}"#, 429),
        (r#"{"error":"overloaded"}"#, 502),
        (
            r#"{"type":"error","error":{"type":"overloaded_error","message":"m"}}"#,
            529,
        ),
        (
            r#"{"type":"error","error":{"type":"not_found_error","message":"m"}}"#,
            404,
        ),
        (r#"{"error":{"code":503,"message":"m","status":"UNAVAILABLE"}}"#, 503),
        (
            r#"{"error":{"code":"context_length_exceeded","type":"invalid_request_error"}}"#,
            400,
        ),
        (r#"{"type":"error","code":"server_is_overloaded","message":"m"}"#, 503),
        (
            r#"{"type":"response.failed","response":{"error":{"code":"rate_limit_exceeded"}}}"#,
            429,
        ),
    ] {
        assert_eq!(status(&format!(": ping\n\ndata: {data}\n\n")), expected, "{data}");
    }
}

/// An error of the Responses API has another form in an event than in a reply; all others have the same.
#[test]
fn an_error_that_comes_first_is_told_as_a_reply_tells_it() {
    for (data, expected) in [
        (
            r#"{"type":"response.failed","response":{"status":"failed","error":{"code":"rate_limit_exceeded","message":"m"}}}"#,
            r#"{"error":{"message":"m","type":"rate_limit_error","param":null,"code":"rate_limit_exceeded"}}"#,
        ),
        (
            r#"{"type":"response.failed","response":{"error":{"code":"server_error","message":"m"}}}"#,
            r#"{"error":{"message":"m","type":"server_error","param":null,"code":"server_error"}}"#,
        ),
        (
            r#"{"type":"error","code":"invalid_prompt","message":"m","param":"input","sequence_number":1}"#,
            r#"{"error":{"message":"m","type":"invalid_request_error","param":"input","code":"invalid_prompt"}}"#,
        ),
        (
            r#"{"type":"error", "error":{"type":"overloaded_error","message":"m"}}"#,
            r#"{"type":"error", "error":{"type":"overloaded_error","message":"m"}}"#,
        ),
        (
            r#"{"error": {"code":503,"message":"m"}}"#,
            r#"{"error": {"code":503,"message":"m"}}"#,
        ),
    ] {
        match opening(&format!("data: {data}\n\n")) {
            Opening::Error(error) => assert_eq!(String::from_utf8(error.body).unwrap(), expected),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn an_error_may_be_told_by_the_name_of_the_event_alone() {
    assert_eq!(
        status("event: error\ndata: {\"message\":\"m\",\"status\":429}\n\n"),
        429
    );
    assert_eq!(status("event: error\ndata: \"out of memory\"\n\n"), 502);
    assert_eq!(status("data: [{\"error\":{\"code\":503}}]\n\n"), 503);
}

#[test]
fn what_is_no_event_is_a_failure() {
    for (stream, what) in [
        ("data: garbage\n\n", "an event that is not JSON"),
        (": ping\n\ndata: ERROR: no memory\n\n", "an event that is not JSON"),
        ("data: {\"choices\":[{\"delta\"\n\n", "an event that is not JSON"),
        ("event: error\ndata: no memory\n\n", "an event that is not JSON"),
        ("data: \"ERROR: no memory\"\n\n", "an event that is no object"),
        ("ERROR: no memory", "text, but no events"),
        ("Internal Server Error\n\n", "text, but no events"),
        ("<!DOCTYPE html>\n<html>", "a page"),
        (
            "{\"choices\":[{\"message\":{\"content\":\"x\"}}]}",
            "JSON, but no events",
        ),
        ("{\n \"choices\": [", "JSON, but no events"),
    ] {
        assert_eq!(outcome(&[stream.as_bytes()]), Opening::Malformed(what), "{stream}");
    }
    for stream in [
        "{\"error\":{\"code\":503}}",
        "\n[{\n \"error\": {\n  \"code\": 503\n }\n}]\n",
        "{\"object\":\"error\",\"code\":503}\n\n",
    ] {
        assert!(
            matches!(
                outcome(&[stream.as_bytes()]),
                Opening::Error(StreamError { status: 503, .. })
            ),
            "{stream}"
        );
    }
}

#[test]
fn an_end_without_content_is_empty() {
    for stream in [
        "",
        ": ping\n\n",
        "data: [DONE]\n\n",
        "data: [DONE]",
        "data:\n\ndata: {\"choices\":[]}\n\ndata: [DONE]\n\n",
        "data: {\"choices\":[{\"delta\":{\"content\":\"x",
        "data: ERR",
        "dat",
        "event: message_start\nda",
    ] {
        assert_eq!(outcome(&[stream.as_bytes()]), Opening::Empty, "{stream}");
    }
    let unended = "data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}";
    assert_eq!(outcome(&[unended.as_bytes()]), Opening::Content);
}

#[test]
fn waiting_is_bounded_and_ends_with_the_stream() {
    let mut overture = Overture::default();
    assert_eq!(overture.push("data: ".as_bytes()), Opening::Waiting);
    assert_eq!(overture.push("x".repeat(MAX_HELD - 6).as_bytes()), Opening::Waiting);
    assert_eq!(overture.push(b"x"), Opening::Content);
    let page = format!("<html>{}", "x".repeat(MAX_HELD));
    assert_eq!(opening(&page), Opening::Malformed("a page"));
    // What comes after the bound is not judged, however it is cut.
    let late = format!(": {}\n\ndata: {{\"error\":{{}}}}\n\n", "x".repeat(MAX_HELD - 10));
    assert_eq!(opening(&late), Opening::Content);
    let mut overture = Overture::default();
    overture.push(br#"data: {"error":{"code":500}}"#);
    assert!(matches!(
        overture.finish(),
        Opening::Error(StreamError { status: 500, .. })
    ));
}

/// What a stream amounts to when all of it has come.
fn outcome(chunks: &[&[u8]]) -> Opening {
    let mut overture = Overture::default();
    let mut openings = chunks.iter().map(|chunk| overture.push(chunk));
    let opening = openings.find(|opening| *opening != Opening::Waiting);
    opening.unwrap_or_else(|| overture.finish())
}

const PIECES: [&str; 12] = [
    ": ping\n\n",
    "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\"}}]}\n\n",
    "event: response.created\ndata: {\"type\":\"response.created\"}\n\n",
    "data: {\"choices\":[{\"delta\":{\"content\":\"h\u{e9}\"}}]}\n\n",
    "data: {\"error\":\ndata: {\"code\":503}}\n\n",
    "data: [DONE]\n\n",
    "data: ERROR\n\n",
    "data:\n\n",
    "<html>\n\n</html>",
    "{\"error\":{}}",
    "\u{feff}",
    "\n",
];

proptest! {
    /// Law 2: any split of a stream into chunks gives the same opening.
    #[test]
    fn chunking_does_not_matter(
        order in prop::collection::vec(0..PIECES.len(), 0..6),
        end in prop_oneof![Just("\n"), Just("\r\n"), Just("\r")],
        filling in prop_oneof![9 => Just(0), 1 => MAX_HELD - 40..MAX_HELD + 10],
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let stream: String = order.into_iter().map(|piece| PIECES[piece]).collect();
        let stream = format!(":{}\n\n{stream}", "x".repeat(filling)).replace('\n', end).into_bytes();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len())).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let chunks: Vec<&[u8]> = cuts.windows(2).map(|pair| &stream[pair[0]..pair[1]]).collect();
        let bytes: Vec<&[u8]> = stream.chunks(1).collect();
        let expected = outcome(&[&stream]);
        prop_assert_eq!(outcome(&chunks), expected.clone());
        if stream.len() < 1000 {
            prop_assert_eq!(outcome(&bytes), expected);
        }
    }
}
