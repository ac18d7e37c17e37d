//! Laws that hold for every pair of protocols, over generated answers.
//!
//! A protocol's writer for callers also makes what its providers send, so that every protocol can stand at both ends; what
//! a caller understands is found out with that protocol's own reader.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing helper is a failing test"
)]

use mynah_dialect::Protocol;
use mynah_dialect::assembly::{Assembly, Call};
use mynah_dialect::codec::{Asked, Memo, client_side, upstream_side};
use mynah_dialect::ir::{Content, Event, FinishReason, ReasoningStyle, Request, Response, Signature, ToolInput, Usage};
use mynah_dialect::transcode::{Listener, Transcoder, collected, streamed};
use proptest::prelude::*;

const CLIENTS: [Protocol; 4] = [
    Protocol::OpenaiChat,
    Protocol::OpenaiResponses,
    Protocol::Anthropic,
    Protocol::Gemini,
];

/// A piece of an answer.
#[derive(Clone, Debug)]
enum Said {
    Text(Vec<String>),
    Thought(Vec<String>, bool),
    Called(String, Vec<(String, i64)>),
}

fn words() -> impl Strategy<Value = Vec<String>> {
    let word = prop_oneof![
        "[a-z ]{1,6}",
        Just("😀".to_owned()),
        Just("é\u{301}\n\"\\".to_owned()),
        Just("data: x\n\n".to_owned())
    ];
    prop::collection::vec(word, 1..4)
}

fn said() -> impl Strategy<Value = Vec<Said>> {
    let piece = prop_oneof![
        words().prop_map(Said::Text),
        (words(), any::<bool>()).prop_map(|(words, signed)| Said::Thought(words, signed)),
        ("[a-z]{1,8}", prop::collection::vec(("[a-z]{1,4}", any::<i64>()), 0..3))
            .prop_map(|(name, arguments)| Said::Called(name, arguments)),
    ];
    prop::collection::vec(piece, 1..6)
}

/// The events of an answer that says this.
fn events(pieces: &[Said], reason: FinishReason) -> Vec<Event> {
    let memo = Memo {
        provider: "maker".into(),
        ..Memo::default()
    };
    let mut assembly = Assembly::new(memo, "law");
    for (key, piece) in (0..).zip(pieces) {
        match piece {
            Said::Text(words) => words.iter().for_each(|word| assembly.text(0, word.as_str())),
            Said::Thought(words, signed) => {
                for word in words {
                    assembly.reasoning(0, ReasoningStyle::Full, word.as_str());
                }
                if *signed {
                    assembly.signature(0, Signature::made_by(Protocol::Cohere, "maker", "c2ln"));
                }
                assembly.part_end(0);
            }
            Said::Called(name, arguments) => {
                let arguments: Vec<String> = arguments
                    .iter()
                    .map(|(key, number)| format!("\"{key}\":{number}"))
                    .collect();
                let call = Call {
                    id: format!("call_{key}"),
                    name: name.clone(),
                    ..Call::default()
                };
                assembly.whole_call(0, key, call, format!("{{{}}}", arguments.join(",")));
            }
        }
    }
    assembly.usage(&Usage {
        input: Some(13),
        cache_read: Some(4),
        output: Some(9),
        ..Usage::default()
    });
    assembly.finish(0, reason);
    assembly.close();
    assembly.take()
}

fn asked(client: Protocol) -> Asked {
    let mut request = Request::new(client, "m");
    request.stream = true;
    request.include_usage = true;
    Asked {
        request,
        events: true,
        id: "law".into(),
        now: 1_700_000_000,
    }
}

fn memo() -> Memo {
    Memo {
        provider: "maker".into(),
        ..Memo::default()
    }
}

fn stream_of(protocol: Protocol, events: &[Event]) -> Vec<u8> {
    streamed(client_side(protocol).unwrap(), events, &asked(protocol))
        .1
        .to_vec()
}

/// What a reader of the protocol makes of a stream.
fn understood(protocol: Protocol, stream: &[u8]) -> Result<Response, String> {
    let mut listener = Listener::new(upstream_side(protocol), memo(), "law");
    let mut events = listener.push(stream);
    events.extend(listener.finish());
    collected(events).map_err(|error| error.message)
}

fn transcoded(from: Protocol, to: Protocol, chunks: &[&[u8]]) -> Vec<u8> {
    let mut transcoder = Transcoder::new(upstream_side(from), client_side(to).unwrap(), memo(), &asked(to));
    let mut out: Vec<u8> = chunks.iter().flat_map(|chunk| transcoder.push(chunk)).collect();
    out.extend_from_slice(&transcoder.finish());
    out
}

/// What every protocol can say of an answer: its text, its thoughts, its calls, why it ended, what it cost.
fn gist(response: &Response) -> (String, String, Vec<(String, String)>, FinishReason, Option<u64>) {
    let candidate = &response.candidates[0];
    let (mut text, mut thoughts, mut calls) = (String::new(), String::new(), Vec::new());
    for part in &candidate.parts {
        match &part.content {
            Content::Text { text: more, .. } => text.push_str(more),
            Content::Reasoning { text: more, .. } => thoughts.push_str(more),
            Content::ToolCall { name, input, .. } => {
                let (ToolInput::Json(input) | ToolInput::Text(input)) = input;
                // A member that is there twice is read by some protocols as one.
                let input: serde_json::Value = serde_json::from_str(input).unwrap();
                calls.push((name.clone(), input.to_string()));
            }
            _ => {}
        }
    }
    let usage = response.usage.as_ref().map(Usage::total);
    // Where a protocol has one place for all thoughts, a blank line stands between them.
    let thoughts = thoughts.replace('\n', "");
    (text, thoughts, calls, candidate.finish.reason, usage)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn an_answer_means_the_same_in_every_protocol(pieces in said(), length: bool) {
        let reason = if length { FinishReason::Length } else { FinishReason::Stop };
        let events = events(&pieces, reason);
        let expected = gist(&collected(events.clone()).unwrap());
        for protocol in CLIENTS {
            let stream = stream_of(protocol, &events);
            let response = understood(protocol, &stream).unwrap();
            prop_assert_eq!(gist(&response), expected.clone(), "{} {}", protocol, String::from_utf8_lossy(&stream));
        }
    }

    #[test]
    fn an_answer_survives_every_translation_at_any_chunking(pieces in said(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12)) {
        let events = events(&pieces, FinishReason::Stop);
        let expected = gist(&collected(events.clone()).unwrap());
        for from in CLIENTS {
            let stream = stream_of(from, &events);
            let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len())).collect();
            places.extend([0, stream.len()]);
            places.sort_unstable();
            let chunks: Vec<&[u8]> = places.windows(2).map(|pair| &stream[pair[0]..pair[1]]).collect();
            for to in CLIENTS {
                let out = transcoded(from, to, &chunks);
                let whole = transcoded(from, to, &[&stream]);
                prop_assert_eq!(&out, &whole, "{} to {}: the chunking matters", from, to);
                let response = understood(to, &out).unwrap();
                prop_assert_eq!(gist(&response), expected.clone(), "{} to {}: {}", from, to, String::from_utf8_lossy(&out));
            }
        }
    }

    #[test]
    fn what_is_cut_never_ends_well(pieces in said(), cut: prop::sample::Index) {
        let events = events(&pieces, FinishReason::Stop);
        for from in CLIENTS {
            let stream = stream_of(from, &events);
            // Up to the last event that says that the answer is over.
            let end = last_word(from, &stream);
            let kept = &stream[..cut.index(end)];
            for to in CLIENTS {
                let out = transcoded(from, to, &[kept]);
                let understood = understood(to, &out);
                prop_assert!(understood.is_err(), "{} to {}: {}", from, to, String::from_utf8_lossy(&out));
                let text = String::from_utf8(out).unwrap();
                prop_assert!(text.contains("error"), "{} to {}: a bare close: {}", from, to, text);
                prop_assert!(!text.contains("[DONE]") && !text.contains("message_stop"), "{}", text);
            }
        }
    }

    #[test]
    fn garbage_is_an_error_in_every_protocol(garbage in prop::collection::vec(any::<u8>(), 0..300)) {
        for from in Protocol::ALL {
            for to in CLIENTS {
                let out = transcoded(from, to, &[&garbage]);
                prop_assert!(understood(to, &out).is_err());
            }
        }
    }

    #[test]
    fn near_misses_never_panic(stream in r#"(data: |event: |[{}\[\]",:]|\n|\n\n|type|choices|delta|content|error|candidates|parts|text|null|0|1|message_start|content_block_delta|response\.completed|tool_calls|function|index){0,60}"#) {
        for from in Protocol::ALL {
            for to in CLIENTS {
                transcoded(from, to, &[stream.as_bytes()]);
            }
        }
    }
}

/// Where the event begins that says why the answer ended.
fn last_word(protocol: Protocol, stream: &[u8]) -> usize {
    let text = std::str::from_utf8(stream).unwrap();
    let mark = match protocol {
        Protocol::OpenaiChat => "\"finish_reason\":\"",
        Protocol::OpenaiResponses => "event: response.completed",
        Protocol::Anthropic => "\"stop_reason\":\"",
        _ => "\"finishReason\":\"",
    };
    text.rfind(mark).unwrap_or_else(|| panic!("no {mark} in {text}"))
}
