use std::fmt::Write as _;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::estimate::text_tokens;
use crate::relay::Relay;
use crate::usage::Body;

fn of_events(stream: &str) -> u64 {
    let mut generated = Generated::default();
    generated.events(stream.as_bytes());
    generated.tokens()
}

fn of_json(body: &str) -> u64 {
    let mut generated = Generated::default();
    generated.json(body.as_bytes());
    generated.tokens()
}

/// 14 letters of ASCII.
const WORDS: &str = "Good morning. ";

#[test]
fn the_text_of_every_dialect_counts_once() {
    let streams = [
        r#"data: {"id":"chatcmpl-1","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"role":"assistant","content":"Good morning. "},"logprobs":{"content":[{"token":"Good","bytes":[71]}]},"finish_reason":null}],"obfuscation":"xxxxxxxxxxxxxxxx"}"#,
        r#"data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"f","arguments":"Good morning. "}}]}}]}"#,
        r#"data: {"choices":[{"index":0,"delta":{"content":"","reasoning":"Good morning. ","reasoning_details":[{"type":"reasoning.text","text":"Good morning. "}]}}]}"#,
        r#"data: {"type":"response.output_text.delta","item_id":"msg_1","output_index":0,"delta":"Good morning. ","obfuscation":"xxxxxx"}

data: {"type":"response.output_text.done","item_id":"msg_1","text":"Good morning. "}

data: {"type":"response.completed","response":{"output":[{"content":[{"type":"output_text","text":"Good morning. "}]}]}}"#,
        r#"data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}

data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Good morning. "}}"#,
        r#"data: {"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"Good morning. "}}"#,
        r#"data: {"candidates":[{"content":{"parts":[{"text":"Good morning. "}],"role":"model"},"index":0}],"modelVersion":"gemini-2.0-flash"}"#,
        r#"data: {"type":"content-delta","index":0,"delta":{"message":{"content":{"text":"Good morning. "}}}}"#,
        r#"data: {"choices":[{"text":"Good morning. ","index":0}],"id":"cmpl-1","object":"text_completion"}"#,
        r#"data: {"object":"text_completion","choices":[{"index":0,"text":"Good morning. "}]}"#,
    ];
    for stream in streams {
        assert_eq!(of_events(stream), text_tokens(WORDS), "{stream}");
    }
    let bodies = [
        r#"{"id":"1","choices":[{"index":0,"message":{"role":"assistant","content":"Good morning. "}}]}"#,
        r#"{"output":[{"type":"message","content":[{"type":"output_text","text":"Good morning. "}]}],"text":{"format":{"type":"text"}}}"#,
        r#"{"content":[{"type":"text", "text" : "Good morning. "}]}"#,
        r#"{"candidates":[{"content":{"parts":[{"text":"Good morning. "}]}}]}"#,
    ];
    for body in bodies {
        assert_eq!(of_json(body), text_tokens(WORDS), "{body}");
    }
}

#[test]
fn an_escape_is_one_letter() {
    assert_eq!(of_json(r#"{"text":"\u65e5\u672c\u8a9e"}"#), text_tokens("日本語"));
    assert_eq!(of_json(r#"{"text":"日本語"}"#), text_tokens("日本語"));
    assert_eq!(of_json(r#"{"text":"a\"b\\\n\t"}"#), text_tokens("a\"b\\\n\t"));
}

#[test]
fn what_broke_off_counts_as_far_as_it_came() {
    assert_eq!(
        of_events("data: {\"choices\":[{\"delta\":{\"content\":\"Good mor"),
        text_tokens("Good mor")
    );
    let mut generated = Generated::default();
    generated.events(b"data: {\"delta\":\"Good \n\n");
    generated.events(b"data: {\"delta\":\"morning. \"}\n\n");
    assert_eq!(generated.tokens(), text_tokens(WORDS));
}

#[test]
fn events_of_a_translation_count() {
    let delta = |delta| Event::Delta {
        candidate: 0,
        part: 0,
        delta,
    };
    let mut generated = Generated::default();
    generated.event(&delta(Delta::Text("Good ".to_owned())));
    generated.event(&delta(Delta::Arguments("morning. ".to_owned())));
    generated.event(&Event::End);
    assert_eq!(generated.tokens(), text_tokens(WORDS));
}

#[test]
fn what_was_told_is_not_counted_again() {
    let word = b"data: {\"delta\":\"Good morning. \"}\n\n";
    let mut generated = Generated::default();
    generated.told();
    generated.events(word);
    assert_eq!(
        generated.untold_tokens(1),
        text_tokens(WORDS) - 1,
        "the first tokens were counted before they came"
    );
    generated.told();
    assert_eq!(generated.untold_tokens(50), 0, "there may be thoughts that nobody sees");
    generated.events(word);
    assert_eq!(generated.untold_tokens(50), text_tokens(WORDS));
}

#[test]
fn of_a_long_stream_a_part_stands_for_all() {
    let words = ["a ", "longer ", "and ", "then ", "an ", "even longer ", "word "];
    let (mut generated, mut text) = (Generated::default(), String::new());
    for word in words.iter().cycle().take(3_000) {
        text += word;
        let event = format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{word}\"}}}}]}}\n\n");
        generated.events(event.as_bytes());
    }
    let exact = text_tokens(&text);
    assert!(
        generated.tokens().abs_diff(exact) < exact / 5,
        "{} of {exact}",
        generated.tokens()
    );
    generated.told();
    assert_eq!(generated.untold_tokens(exact), 0);
}

proptest! {
    #[test]
    fn chunking_does_not_matter(words in prop::collection::vec(r#"[a-zé日"\\\n:{ ]{0,12}"#, 0..8), cuts in prop::collection::vec(0_usize..800, 0..20)) {
        let stream = words.iter().fold(String::new(), |mut stream, text| {
            let event = serde_json::json!({"choices": [{"index": 0, "delta": {"content": text}}]});
            write!(stream, "data: {event}\n\n").unwrap();
            stream
        });
        let mut cuts: Vec<usize> = cuts.into_iter().filter(|cut| *cut < stream.len()).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let (mut events, mut json) = (Relay::events().metered(Body::Text), Generated::default());
        for pair in cuts.windows(2) {
            let chunk = &stream.as_bytes()[pair[0]..pair[1]];
            events.push(Bytes::copy_from_slice(chunk));
            json.json(chunk);
        }
        prop_assert_eq!(events.seen().generated, text_tokens(&words.concat()));
        prop_assert_eq!(json.tokens(), text_tokens(&words.concat()));
    }

    #[test]
    fn garbage_does_no_harm(pieces in prop::collection::vec(prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        r#"("delta"|"text"|"candidates"|:|"|\\|\\u12|\n|\{|x){0,12}"#.prop_map(String::into_bytes),
    ], 0..20)) {
        let (mut events, mut json, mut whole) = (Generated::default(), Generated::default(), Generated::default());
        for piece in &pieces {
            events.events(piece);
            json.json(piece);
        }
        whole.json(&pieces.concat());
        prop_assert_eq!(json.tokens(), whole.tokens());
    }
}
