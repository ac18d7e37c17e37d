use std::path::Path;

use proptest::prelude::*;

use crate::assembly::tests::check;
use crate::codec::Memo;
use crate::cohere::Cohere;
use crate::ir::*;
use crate::transcode::{Listener, collected, events_of};

fn golden(path: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(path)).unwrap()
}

/// An answer as a line of text.
fn told(events: Vec<Event>) -> String {
    check(&events).unwrap();
    let response = match collected(events) {
        Ok(response) => response,
        Err(error) => return format!("{:?}: {}", error.class, error.message),
    };
    let candidate = &response.candidates[0];
    let parts = candidate.parts.iter().map(|part| match &part.content {
        Content::Text { text, citations } if citations.is_empty() => format!("text {text:?}"),
        Content::Text { text, citations } => {
            let cited: Vec<_> = citations
                .iter()
                .map(|it| (it.title.as_deref(), it.start, it.end))
                .collect();
            format!("text {text:?} {cited:?}")
        }
        Content::Reasoning { text, .. } => format!("thought {text:?}"),
        Content::ToolCall { id, name, input, .. } => format!("call {id} {name} {}", input.to_text()),
        other => format!("{other:?}"),
    });
    let parts: Vec<String> = parts.collect();
    let mut line = vec![parts.join(", "), format!("{:?}", candidate.finish.reason)];
    let usage = response.usage.as_ref();
    line.extend(usage.map(|usage| format!("{:?}/{:?}", usage.input, usage.output)));
    let chosen = candidate.logprobs.iter().map(|it| &it.chosen);
    line.extend(chosen.map(|chosen| format!("{:?} {}", chosen.token, chosen.logprob)));
    line.join("; ")
}

fn whole(name: &str) -> String {
    told(
        events_of(
            &Cohere,
            &golden(&format!("responses/cohere/{name}.json")),
            Memo::default(),
            "s",
        )
        .unwrap(),
    )
}

fn listened(chunks: &[&[u8]]) -> Vec<Event> {
    let mut listener = Listener::new(&Cohere, Memo::default(), "s");
    let mut events: Vec<Event> = chunks.iter().flat_map(|chunk| listener.push(chunk)).collect();
    events.extend(listener.finish());
    events
}

fn streamed(name: &str) -> String {
    told(listened(&[&golden(&format!("streams/cohere/{name}.sse"))]))
}

/// Cases 111, 114, 117, 118, 119 and 130 for whole answers.
#[test]
fn whole_answers_are_understood() {
    for (name, expected) in [
        ("text", r#"text "Hello! 😀 Grüß dich."; Stop; Some(70)/Some(9)"#),
        (
            "parallel-calls-with-plan",
            r#"text "I will look up both.", call f_kqxv1 weather {"city":"Bern","big":12345678901234567890.10}, call g_1w9z clock {}; ToolCalls; Some(1210)/Some(76)"#,
        ),
        ("thinking", r#"thought "2 and 2 …", text "4"; Stop; Some(5)/Some(20)"#),
        (
            "thinking-then-call",
            r#"thought "I need the clock.", call call_s0n0 clock {"zone":"CET"}; ToolCalls"#,
        ),
        (
            "citations",
            r#"text "The tallest are emperor penguins." [(Some("Tall penguins"), Some(16), Some(32)), (Some("search_1:0"), Some(16), Some(32))]; Stop; Some(300)/Some(12)"#,
        ),
        (
            "max-tokens-logprobs",
            r#"text "Once upon"; Length; Some(4)/Some(2); "Once" -0.25; " upon" -0.01"#,
        ),
        (
            "plan-with-citation",
            r#"text "Rome is next." [(Some("g_1:0"), Some(0), Some(4))], call f_1 f {}; ToolCalls"#,
        ),
        ("stop-sequence", r#"text "one, two"; StopSequence"#),
        ("string-content", r#"text "plain"; Stop"#),
        ("error", "Server: The provider failed while answering."),
        ("error-with-status-200", "Server: model is overloaded"),
    ] {
        assert_eq!(whole(name), expected, "{name}");
    }
}

/// Cases 3, 4, 8, 111, 112, 114, 115, 118, 119 and 141 for streams.
#[test]
fn streams_are_understood() {
    for (name, expected) in [
        ("text", r#"text "Hi 😀"; Stop; Some(70)/Some(1)"#),
        (
            "text-without-event-lines-and-done",
            r#"text "Hi"; Stop; Some(70)/Some(1)"#,
        ),
        (
            "plan-and-parallel-calls",
            r#"text "I will call both.", call f_abc f {"x":1}, call g_def g {}; ToolCalls; Some(70)/Some(1)"#,
        ),
        (
            "call-without-plan",
            r#"call f_abc f {"x":1}; ToolCalls; Some(70)/Some(1)"#,
        ),
        (
            "thinking-then-text",
            r#"thought "hmm", text "4"; Stop; Some(70)/Some(1)"#,
        ),
        (
            "citations",
            r#"text "emperor penguins" [(Some("Tall penguins"), Some(0), Some(16))]; Stop; Some(70)/Some(1)"#,
        ),
        (
            "citation-after-the-call",
            r#"text "Rome." [(Some("g_1:0"), Some(0), Some(4))], call f_1 f {}; ToolCalls"#,
        ),
        ("logprobs", r#"text "Hi"; Length; Some(70)/Some(1); "Hi" -0.5"#),
        ("error-at-the-end", "Server: internal failure"),
        ("error-event", "Server: server is busy"),
        (
            "list-of-calls-without-index",
            r#"call a f {"x":1}, call b f {}; ToolCalls; Some(70)/Some(1)"#,
        ),
        (
            "unknown-events-and-broken-lines",
            r#"text "Hi"; Stop; Some(70)/Some(1)"#,
        ),
        ("cut", "Server: The provider's answer broke off before its end."),
        ("surrogates-cut-in-two", r#"text "a😀b"; Stop; Some(70)/Some(1)"#),
    ] {
        assert_eq!(streamed(name), expected, "{name}");
    }
}

/// Law 5 and cases 1, 2 and 14 of the field: no stream that was cut ends well.
#[test]
fn a_stream_that_is_cut_anywhere_is_an_error() {
    let stream = golden("streams/cohere/plan-and-parallel-calls.sse");
    let end = memchr::memmem::rfind(&stream, b"}").unwrap();
    for cut in 0..end {
        let events = listened(&[&stream[..cut]]);
        check(&events).unwrap();
        assert!(matches!(events.last(), Some(Event::Error(_))), "{cut}");
    }
}

fn streams() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/streams/cohere");
    let files = std::fs::read_dir(folder).unwrap();
    files.map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect()
}

#[test]
fn chunks_of_single_bytes_change_nothing() {
    for stream in streams() {
        let bytes: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(listened(&bytes), listened(&[&stream]));
    }
}

/// A stream out of events of Cohere in any order.
fn any_stream() -> impl Strategy<Value = Vec<u8>> {
    let pieces: Vec<Vec<u8>> = streams()
        .iter()
        .flat_map(|stream| {
            let text = String::from_utf8_lossy(stream).replace("\r\n", "\n");
            text.split_inclusive("\n\n")
                .map(|block| block.as_bytes().to_vec())
                .collect::<Vec<_>>()
        })
        .collect();
    prop::collection::vec(prop::sample::select(pieces), 0..14).prop_map(|blocks| blocks.concat())
}

proptest! {
    #[test]
    fn any_order_of_events_is_well_formed(stream in any_stream(), at in 1..40_usize) {
        let events = listened(&[&stream]);
        prop_assert_eq!(check(&events), Ok(()));
        let chunks: Vec<&[u8]> = stream.chunks(at).collect();
        prop_assert_eq!(events, listened(&chunks));
    }

    #[test]
    fn garbage_is_an_error(bytes in prop::collection::vec(any::<u8>(), 0..80), text in r#"(data: |event: |[{}":a-z\n]){0,30}"#) {
        for stream in [bytes.as_slice(), text.as_bytes()] {
            let events = listened(&[stream]);
            prop_assert_eq!(check(&events), Ok(()));
            prop_assert!(matches!(events.last(), Some(Event::Error(_))));
            let _ = events_of(&Cohere, stream, Memo::default(), "s");
        }
    }
}
