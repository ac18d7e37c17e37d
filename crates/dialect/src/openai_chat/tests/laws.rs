//! What holds for every input.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::assembly::tests::check;
use crate::assembly::{Assembly, Call};
use crate::frame::Frame;
use crate::ir::{
    Citation, Class, Content, Error, FinishReason, Media, Part, ReasoningStyle, Signature, TokenChance, TokenLogprob,
    Usage,
};
use crate::transcode::streamed;
use crate::tree::Node;

/// What the SDKs' accumulators insist on. Gives back the text of each choice.
fn accepted(stream: &[u8], include_usage: bool, broken: bool) -> Result<Vec<String>, String> {
    let text = std::str::from_utf8(stream).map_err(|error| error.to_string())?;
    let blocks: Vec<&str> = text.split("\n\n").filter(|block| !block.is_empty()).collect();
    let mut choices: Vec<Seen> = Vec::new();
    let mut identity = None;
    let mut usage_seen = false;
    for (at, block) in blocks.iter().enumerate() {
        if block.starts_with(':') {
            continue;
        }
        let frame = Frame::parse(block.as_bytes());
        let data = frame.data.ok_or_else(|| format!("no data: {block}"))?;
        let last = at + 1 == blocks.len();
        if data.as_ref() == b"[DONE]" {
            let finished = choices.iter().all(|choice| choice.finished);
            return match (last, finished, broken) {
                (true, true, false) => Ok(choices.into_iter().map(|choice| choice.text).collect()),
                other => Err(format!("[DONE] in the wrong place: {other:?}")),
            };
        }
        let node = Node::parse(&data).map_err(|error| error.to_string())?;
        if !node.get("error").is_null() {
            return if last {
                Ok(choices.into_iter().map(|choice| choice.text).collect())
            } else {
                Err("something follows an error".into())
            };
        }
        if usage_seen {
            return Err("a chunk follows the usage".into());
        }
        let same = ["id", "object", "created", "model"].map(|key| node.get(key).raw().to_owned());
        if same.contains(&"null".to_owned()) || *identity.get_or_insert_with(|| same.clone()) != same {
            return Err(format!("identity: {same:?}"));
        }
        if node.get("choices").items().is_empty() {
            usage_seen = include_usage && node.get("usage").is_object();
            if !usage_seen {
                return Err("no choices".into());
            }
        }
        for choice in node.get("choices").items() {
            hear(&mut choices, choice)?;
        }
    }
    Err("no end".into())
}

#[derive(Default)]
struct Seen {
    text: String,
    finished: bool,
    calls: u64,
    lists: HashMap<&'static str, u64>,
}

fn hear(choices: &mut Vec<Seen>, node: &Node<'_>) -> Result<(), String> {
    let index = usize::try_from(node.get("index").u64().ok_or("no index")?).map_err(|error| error.to_string())?;
    let delta = node.get("delta");
    let role = delta.get("role").text();
    if index == choices.len() {
        choices.push(Seen::default());
        if role != Some("assistant") {
            return Err("no role".into());
        }
    } else if role.is_some() {
        return Err("second role".into());
    }
    let choice = choices.get_mut(index).ok_or("gap in the choices")?;
    if choice.finished {
        return Err("something follows the finish".into());
    }
    choice.text.push_str(delta.get("content").text_or_empty());
    for call in delta.get("tool_calls").items() {
        let number = call.get("index").u64().ok_or("call without index")?;
        let begins = call.get("id").is_text();
        if begins != (number == choice.calls) || number > choice.calls {
            return Err(format!("call {number} of {}", choice.calls));
        }
        let kind = if call.get("custom").is_object() {
            "custom"
        } else {
            "function"
        };
        if begins != call.get("type").is_text() || begins != call.get(kind).get("name").is_text() {
            return Err("id, type and name belong together".into());
        }
        if begins {
            choice.calls += 1;
        }
    }
    for key in ["annotations", "images", "reasoning_details"] {
        for item in delta.get(key).items() {
            let next = choice.lists.entry(key).or_default();
            let number = item.get("index").u64().ok_or("entry without index")?;
            if number != *next && number + 1 != *next {
                return Err(format!("{key} {number} of {next}"));
            }
            *next = number + 1;
        }
    }
    if let Some(word) = node.get("finish_reason").text() {
        choice.finished = true;
        let known = ["stop", "length", "tool_calls", "content_filter", "function_call"];
        if !known.contains(&word) || !delta.members().is_empty() {
            return Err(format!("finish {word}"));
        }
    }
    Ok(())
}

#[test]
fn every_stream_of_the_suite_is_read_the_same_at_any_chunking_and_spoken_well() {
    for (name, stream) in golden("streams") {
        let events = listened(&stream, stream.len());
        check(&events).unwrap_or_else(|fault| panic!("{name}: {fault}"));
        for size in [1, 2, 3, 7, 64] {
            assert_eq!(listened(&stream, size), events, "{name} in chunks of {size}");
        }
        let broken = matches!(events.last(), Some(Event::Error(_)));
        for members in [
            "",
            r#""stream_options":{"include_usage":true},"reasoning":{}"#,
            r#""functions":[]"#,
        ] {
            let (_, out) = streamed(&OpenaiChat, &events, &asked(members));
            let accepted = accepted(&out, members.contains("usage"), broken);
            accepted.unwrap_or_else(|fault| panic!("{name} {members}: {fault}\n{}", String::from_utf8_lossy(&out)));
        }
    }
}

#[test]
fn a_stream_that_is_cut_anywhere_is_an_error() {
    for name in ["text", "tool-call", "reasoning", "unicode"] {
        let stream = case("streams", name);
        let finish = b"\"finish_reason\": \"";
        let safe = memchr::memmem::find(&stream, finish).unwrap() + finish.len();
        for cut in 0..safe {
            let events = listened(&stream[..cut], cut.max(1));
            assert!(matches!(events.last(), Some(Event::Error(_))), "{name} at {cut}");
        }
    }
}

#[test]
fn a_stream_is_written_to_the_letter() {
    let events = listened(&case("streams", "tool-call"), 11);
    let (_, out) = streamed(
        &OpenaiChat,
        &events,
        &asked(r#""stream_options":{"include_usage":true}"#),
    );
    let head = r#"data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"gpt-4o-2024","system_fingerprint":null,"choices":"#;
    let choices = [
        r#"[{"index":0,"delta":{"role":"assistant","content":null,"refusal":null},"logprobs":null,"finish_reason":null}]"#,
        r#"[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"get","arguments":""}}]},"logprobs":null,"finish_reason":null}]"#,
        r#"[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"a\":"}}]},"logprobs":null,"finish_reason":null}]"#,
        r#"[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"1}"}}]},"logprobs":null,"finish_reason":null}]"#,
        r#"[{"index":0,"delta":{},"logprobs":null,"finish_reason":"tool_calls"}]"#,
    ];
    let chunks = choices.map(|choices| [head, choices, ",\"usage\":null}\n\n"].concat());
    let mut expected = chunks.concat();
    expected.push_str("data: [DONE]\n\n");
    assert_eq!(String::from_utf8_lossy(&out), expected);
}

#[test]
fn usage_comes_last_and_only_when_asked_for() {
    let events = listened(&case("streams", "text"), 5);
    let (_, quiet) = streamed(&OpenaiChat, &events, &asked(""));
    assert!(!String::from_utf8_lossy(&quiet).contains("usage"));
    let (_, told) = streamed(
        &OpenaiChat,
        &events,
        &asked(r#""stream_options":{"include_usage":true}"#),
    );
    let text = String::from_utf8_lossy(&told);
    let last: Vec<&str> = text.trim_end().rsplit("\n\n").take(2).collect();
    assert_eq!(last[0], "data: [DONE]");
    assert!(
        last[1].contains(r#""choices":[],"usage":{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4,"#),
        "{}",
        last[1]
    );
}

#[test]
fn a_failure_is_told_and_nothing_follows() {
    let mut assembly = Assembly::new(memo(), "s");
    assembly.text(0, "half");
    assembly.error(Error::new(Class::Overloaded, "busy"));
    let (_, out) = streamed(&OpenaiChat, &assembly.take(), &asked(""));
    let text = String::from_utf8_lossy(&out);
    assert!(text.ends_with("data: {\"error\":{\"message\":\"busy\",\"type\":\"server_error\",\"param\":null,\"code\":\"overloaded\"}}\n\n"), "{text}");
    let mut failed = Assembly::new(memo(), "s");
    failed.text(0, "half");
    failed.finish(0, FinishReason::Error);
    failed.close();
    let (_, out) = streamed(&OpenaiChat, &failed.take(), &asked(""));
    let text = String::from_utf8_lossy(&out);
    assert!(text.contains(r#"{"error":"#) && !text.contains("[DONE]"), "{text}");
}

/// Some JSON, more often than not with the members of a request or an answer.
fn json() -> impl Strategy<Value = serde_json::Value> {
    let key = prop_oneof![
        prop::sample::select(vec![
            "model",
            "messages",
            "role",
            "content",
            "tool_calls",
            "function",
            "name",
            "arguments",
            "id",
            "type",
            "text",
            "tools",
            "choices",
            "delta",
            "message",
            "index",
            "finish_reason",
            "usage",
            "prompt_tokens",
            "error",
            "reasoning",
            "thinking",
            "reasoning_details",
            "image_url",
            "url",
            "file",
            "audio",
            "annotations",
            "logprobs",
            "response_format",
            "stop",
        ]),
        Just("other"),
    ];
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        prop::sample::select(vec![
            "user",
            "assistant",
            "tool",
            "system",
            "text",
            "function",
            "image_url",
            "stop",
            "m",
            "",
            "data:;base64,YQ"
        ])
        .prop_map(Into::into),
    ];
    leaf.prop_recursive(6, 60, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            prop::collection::vec((key.clone(), inner), 0..6).prop_map(|members| {
                serde_json::Value::Object(
                    members
                        .into_iter()
                        .map(|(key, value)| (key.to_owned(), value))
                        .collect(),
                )
            }),
        ]
    })
}

/// Steps of an answer, in any order.
fn steps() -> impl Strategy<Value = Vec<(u32, u8, u64, String)>> {
    prop::collection::vec((0..3u32, 0..14u8, 0..3u64, "[a-z{}\"\\\\é😀\n]{0,4}"), 0..40)
}

fn played(steps: Vec<(u32, u8, u64, String)>, end: u8) -> Vec<Event> {
    let mut assembly = Assembly::new(memo(), "s");
    let named = |free_text| Call {
        id: String::new(),
        name: "f".into(),
        free_text,
        ..Call::default()
    };
    for (candidate, kind, key, text) in steps {
        match kind {
            0 | 1 => assembly.text(candidate, text),
            2 => assembly.refusal(candidate, text),
            3 | 4 => assembly.reasoning(candidate, ReasoningStyle::Full, text),
            5 => assembly.signature(candidate, Signature::made_by(Protocol::Gemini, "p", text)),
            6 => assembly.part_end(candidate),
            7 | 8 => assembly.call(candidate, key, named(kind == 8)),
            9 => assembly.arguments(candidate, key, text),
            10 => assembly.citation(
                candidate,
                Citation {
                    url: Some(text),
                    ..Citation::default()
                },
            ),
            11 => assembly.whole(candidate, whole(key, text)),
            12 => {
                let chosen = TokenChance {
                    token: text,
                    logprob: -1.0,
                    bytes: None,
                };
                assembly.logprobs(
                    candidate,
                    vec![TokenLogprob {
                        chosen,
                        top: Vec::new(),
                    }],
                );
            }
            _ => {
                assembly.ping();
                assembly.usage(&Usage {
                    output: Some(key),
                    ..Usage::default()
                });
            }
        }
    }
    for candidate in 0..3 {
        assembly.finish(
            candidate,
            if end == 1 {
                FinishReason::MalformedToolCall
            } else {
                FinishReason::Stop
            },
        );
    }
    if end == 2 {
        assembly.error(Error::new(Class::Server, "cut"));
    }
    assembly.close();
    assembly.take()
}

fn whole(kind: u64, text: String) -> Part {
    let source = Media::Data {
        mime: None,
        data: "QUJD".into(),
        filename: None,
    };
    match kind {
        0 => Content::Image { source, detail: None }.into(),
        1 => Content::Audio {
            source,
            format: None,
            transcript: Some(text),
            id: None,
        }
        .into(),
        _ => Content::Reasoning {
            text: String::new(),
            style: ReasoningStyle::Full,
            redacted: Some(text),
        }
        .into(),
    }
}

proptest! {
    #[test]
    fn reading_requests_never_panics(value in json(), messages in json()) {
        let _ = OpenaiChat.read_request(value.to_string().as_bytes(), &Address::default());
        let body = format!(r#"{{"model":"m","messages":[{messages}],"tools":{value},"response_format":{value}}}"#);
        if let Ok(request) = OpenaiChat.read_request(body.as_bytes(), &Address::default()) {
            let written = written(&request);
            prop_assert!(Node::parse_text(&written.body).is_ok(), "{}", written.body);
        }
    }

    #[test]
    fn reading_bytes_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        let _ = OpenaiChat.read_request(&bytes, &Address::default());
        let mut assembly = Assembly::new(memo(), "s");
        let _ = OpenaiChat.read_response(&bytes, &memo(), &mut assembly);
        prop_assert_eq!(check(&listened(&bytes, 3)), Ok(()));
    }

    #[test]
    fn reading_answers_never_panics(values in prop::collection::vec(json(), 0..6), size in 1..50usize) {
        let chunk = |value: &serde_json::Value| {
            format!("data: {value}\n\ndata: {{\"id\":\"x\",\"choices\":[{{\"delta\":{value}}}]}}\n\n")
        };
        let stream = values.iter().map(chunk).collect::<Vec<_>>().concat();
        let events = listened(stream.as_bytes(), size);
        prop_assert_eq!(check(&events), Ok(()));
        prop_assert_eq!(listened(stream.as_bytes(), stream.len().max(1)), events);
        let mut assembly = Assembly::new(memo(), "s");
        let body = format!(r#"{{"choices":[{{"message":{}}}]}}"#, values.first().cloned().unwrap_or_default());
        let _ = OpenaiChat.read_response(body.as_bytes(), &memo(), &mut assembly);
        assembly.close();
        prop_assert_eq!(check(&assembly.take()), Ok(()));
    }

    #[test]
    fn whatever_is_said_clients_understand_it(steps in steps(), end in 0..3u8, wishes in 0..4usize) {
        let members = ["", r#""stream_options":{"include_usage":true}"#, r#""reasoning":{"effort":"low"}"#, r#""functions":[]"#][wishes];
        let events = played(steps, end);
        prop_assert_eq!(check(&events), Ok(()));
        let broken = matches!(events.last(), Some(Event::Error(_)));
        let (_, out) = streamed(&OpenaiChat, &events, &asked(members));
        let told = accepted(&out, wishes == 1, broken);
        prop_assert!(told.is_ok(), "{:?}\n{}", told, String::from_utf8_lossy(&out));
    }

    #[test]
    fn text_survives_the_way_through(texts in prop::collection::vec("\\PC{0,6}", 1..8), size in 1..40usize) {
        let mut assembly = Assembly::new(memo(), "s");
        for text in &texts {
            assembly.text(0, text.as_str());
        }
        assembly.finish(0, FinishReason::Stop);
        assembly.close();
        let (_, out) = streamed(&OpenaiChat, &assembly.take(), &asked(""));
        let told = accepted(&out, false, false).unwrap();
        prop_assert_eq!(&told[0], &texts.concat());
        let events = listened(&out, size);
        let heard: String = events.iter().filter_map(|event| match event {
            Event::Delta { delta: crate::ir::Delta::Text(text), .. } => Some(text.as_str()),
            _ => None,
        }).collect();
        prop_assert_eq!(heard, texts.concat());
    }
}

#[test]
fn an_answer_that_is_withheld_is_told_as_a_refusal() {
    let mut assembly = Assembly::new(memo(), "s");
    let finish = crate::ir::Finish {
        message: Some("Blocked.".into()),
        ..FinishReason::ContentFilter.into()
    };
    assembly.finish(0, finish);
    assembly.close();
    let (_, out) = streamed(&OpenaiChat, &assembly.take(), &asked(""));
    let text = String::from_utf8_lossy(&out);
    assert!(
        text.contains(r#"{"refusal":"Blocked."}"#) && text.contains(r#""finish_reason":"content_filter""#),
        "{text}"
    );
}
