use super::*;
use crate::codec::EventWriter;
use crate::ir::{Class, Delta, Error, FinishReason, Opened, ReasoningStyle, Signature, Start, Usage};
use crate::transcode::{Listener, streamed};
use crate::tree::Node;

pub(super) fn heard(chunks: &[&[u8]]) -> Vec<Event> {
    let mut listener = Listener::new(&Gemini, memo(), "s");
    let mut events: Vec<Event> = chunks.iter().flat_map(|chunk| listener.push(chunk)).collect();
    events.extend(listener.finish());
    events
}

#[test]
fn streams_are_read() {
    let cases = [
        ("text", r#"text "Hi thére"; Stop"#),
        ("no-last-line-end", r#"text "Hi you"; Stop"#),
        (
            "call-and-stop",
            r#"call call_s0n0 f {"x":1} signed c2ln, call call_s0n1 g {}; ToolCalls"#,
        ),
        (
            "call-then-stop",
            r#"text "I look.", call call_s0n0 f {"x":1}; ToolCalls"#,
        ),
        (
            "thinking",
            r#"reasoning "Hm, so.", text "Hi", reasoning "" signed c2ln; Stop"#,
        ),
        ("signature-on-thought", r#"reasoning "Hm" signed c2ln, text "Hi"; Stop"#),
        ("blocked-prompt", "; ContentFilter (The prompt was blocked: SAFETY.)"),
        ("blocked-answer", r#"text "Half"; ContentFilter"#),
        ("max-tokens-empty", "; Length"),
        ("malformed-call", "; MalformedToolCall (Malformed function call)"),
        ("error", "error Overloaded None: The model is overloaded."),
        ("error-first", "error RateLimited Some(3.0): slow"),
        (
            "broken-off",
            "error Server None: The provider's answer broke off before its end.",
        ),
        ("malformed-line", r#"text "Hi!"; Stop"#),
        ("two-candidates", r#"text "ab"; Stop | call call_s1n0 f {}; ToolCalls"#),
        ("surrogates", r#"text "a😀b"; Stop"#),
        ("grounding", r#"text "Käse ja" [0-4 https://a]; Stop"#),
        ("image", r#"text "Here", image image/png iVBO; Stop"#),
    ];
    assert_eq!(cases.len(), golden("streams").len());
    for (name, expected) in cases {
        let stream = golden_file("streams", name);
        let events = heard(&[&stream]);
        crate::assembly::tests::check(&events).unwrap();
        let single: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(heard(&single), events, "{name}");
        assert_eq!(told_events(events), expected, "{name}");
    }
}

#[test]
fn the_last_counts_are_told() {
    let events = heard(&[&golden_file("streams", "thinking")]);
    let counts = events.iter().filter_map(|event| match event {
        Event::Usage(usage) => Some((usage.input, usage.output, usage.reasoning)),
        _ => None,
    });
    assert_eq!(counts.collect::<Vec<_>>(), [(Some(3), Some(7), Some(5))]);
    assert!(matches!(&events[0], Event::Start(start) if start.id == "r1" && start.model == "m"));
}

fn example() -> Vec<Event> {
    let candidate = 0;
    let start = |part, opened| Event::PartStart {
        candidate,
        part,
        opened,
    };
    let delta = |part, delta| Event::Delta { candidate, part, delta };
    let end = |part| Event::PartEnd { candidate, part };
    vec![
        Event::Start(Start {
            id: "r".into(),
            model: "m".into(),
            ..Start::default()
        }),
        start(
            0,
            Opened::Reasoning {
                style: ReasoningStyle::Full,
            },
        ),
        delta(0, Delta::Text("hm".into())),
        delta(0, Delta::Signature(Signature::made_by(Protocol::Anthropic, "a", "sig"))),
        end(0),
        Event::Ping,
        start(1, Opened::Text),
        delta(1, Delta::Text("Hi".into())),
        end(1),
        start(
            2,
            Opened::ToolCall {
                id: "c".into(),
                name: "f".into(),
                namespace: None,
                custom: false,
                signature: None,
            },
        ),
        delta(2, Delta::Arguments("{\"x\":".into())),
        delta(2, Delta::Arguments("1.10}".into())),
        end(2),
        Event::Usage(Usage {
            input: Some(3),
            output: Some(5),
            reasoning: Some(2),
            ..Usage::default()
        }),
        Event::Finish {
            candidate,
            finish: FinishReason::ToolCalls.into(),
        },
        Event::End,
    ]
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn a_stream_is_written_as_gemini_does() {
    let (kind, body) = streamed(&Gemini, &example(), &asked(true));
    assert_eq!(kind, "text/event-stream; charset=utf-8");
    let proof = Signature::made_by(Protocol::Anthropic, "a", "sig").enclose(Protocol::Gemini);
    let chunk = |part: &str| {
        format!(
            r#"data: {{"candidates":[{{"content":{{"role":"model","parts":[{part}]}},"index":0}}],"modelVersion":"m","responseId":"r"}}"#
        ) + "\n\n"
    };
    let expected = [
        chunk(r#"{"text":"hm","thought":true}"#),
        chunk(&format!(r#"{{"text":"","thought":true,"thoughtSignature":"{proof}"}}"#)),
        chunk(r#"{"text":"Hi"}"#),
        chunk(r#"{"functionCall":{"id":"c","name":"f","args":{"x":1.10}}}"#),
        r#"data: {"candidates":[{"content":{"role":"model","parts":[{"text":""}]},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":3,"thoughtsTokenCount":2,"totalTokenCount":8},"modelVersion":"m","responseId":"r"}"#.to_owned() + "\n\n",
    ];
    assert_eq!(text(&body), expected.concat());
}

#[test]
fn without_events_a_stream_is_an_array() {
    let (kind, body) = streamed(&Gemini, &example(), &asked(false));
    assert_eq!(kind, "application/json");
    let node_text = text(&body);
    assert_eq!(Node::parse_text(&node_text).unwrap().items().len(), 5);
    let mut cut = example();
    cut.truncate(3);
    cut.push(Event::Error(Error::new(Class::Overloaded, "full")));
    cut.push(Event::End);
    let body = text(&streamed(&Gemini, &cut, &asked(false)).1);
    assert!(
        body.ends_with("\n,\n{\"error\":{\"code\":503,\"message\":\"full\",\"status\":\"UNAVAILABLE\"}}\n]"),
        "{body}"
    );
    assert_eq!(Node::parse_text(&body).unwrap().items().len(), 2);
    let body = text(&streamed(&Gemini, &[Event::Error(Error::new(Class::Server, "x"))], &asked(false)).1);
    assert_eq!(Node::parse_text(&body).unwrap().items().len(), 1);
}

#[test]
fn an_error_is_the_first_member_and_the_last_event() {
    let mut cut = example();
    cut.truncate(8);
    cut.push(Event::Error(Error {
        retry_after: Some(2.0),
        ..Error::new(Class::RateLimited, "slow")
    }));
    let body = text(&streamed(&Gemini, &cut, &asked(true)).1);
    let last = body.trim_end().rsplit("\n\n").next().unwrap();
    assert!(
        last.starts_with(r#"data: {"error":{"code":429,"message":"slow","status":"RESOURCE_EXHAUSTED","details":["#),
        "{last}"
    );
}

#[test]
fn a_blocked_prompt_and_hidden_thoughts() {
    let blocked = [
        Event::Start(Start::default()),
        Event::Finish {
            candidate: 0,
            finish: FinishReason::ContentFilter.into(),
        },
        Event::End,
    ];
    let body = text(&streamed(&Gemini, &blocked, &asked(true)).1);
    assert_eq!(
        body,
        "data: {\"promptFeedback\":{\"blockReason\":\"SAFETY\"},\"modelVersion\":\"gemini-2.5-flash\",\"responseId\":\"req1\"}\n\n"
    );
    let mut hiding = asked(true);
    hiding.request.reasoning = Some(crate::ir::Reasoning {
        show: crate::ir::Show::Nothing,
        ..crate::ir::Reasoning::default()
    });
    let body = text(&streamed(&Gemini, &example(), &hiding).1);
    assert!(
        !body.contains("hm") && !body.contains("\"thought\"") && body.contains("thoughtSignature"),
        "{body}"
    );
}

#[test]
fn what_clients_put_together_from_a_stream_can_be_sent_back() {
    let body = text(&streamed(&Gemini, &example(), &asked(true)).1);
    let parts: Vec<String> = body
        .split("\n\n")
        .filter_map(|event| event.strip_prefix("data: "))
        .flat_map(|data| {
            let node = Node::parse_text(data).unwrap();
            let parts = node.get("candidates").items()[0].get("content").get("parts");
            parts
                .items()
                .iter()
                .map(|part| part.raw().to_owned())
                .collect::<Vec<_>>()
        })
        .collect();
    let request = format!(
        r#"{{"contents":[{{"parts":[{{"text":"q"}}]}},{{"role":"model","parts":[{}]}},{{"parts":[{{"functionResponse":{{"id":"c","name":"f","response":{{"output":"ok"}}}}}}]}}]}}"#,
        parts.join(",")
    );
    let request = read(request.as_bytes());
    assert_eq!(
        told_conversation(&request),
        r#"User[text "q"] Assistant[reasoning "hm" signed sig, text "Hi", call c f {"x":1.10}] User[result c f None [text "ok"]]"#
    );
    assert_eq!(
        request.messages[1].parts[0].signature.as_ref().unwrap().protocol,
        Protocol::Anthropic
    );
}

/// What Google's SDK makes of a stream: the number of chunks, and whether it ends in an error.
pub(super) fn check_as_sdk(body: &str) -> Result<(usize, bool), String> {
    let mut chunks = 0;
    let mut failed = false;
    for event in body.split_terminator("\n\n") {
        let data = event
            .strip_prefix("data: ")
            .ok_or_else(|| format!("no event: {event}"))?;
        if failed || data.contains('\n') {
            return Err(format!("something follows an error, or a line is broken: {event}"));
        }
        let node = Node::parse_text(data).map_err(|fault| format!("{fault}: {data}"))?;
        let first = node.members().first().map(|(name, _)| name.as_ref());
        failed = first == Some("error");
        if !failed && !node.get("error").is_null() {
            return Err("the error is overlooked".into());
        }
        for candidate in node.get("candidates").items() {
            if candidate.get("index").u64().is_none() {
                return Err("no index".into());
            }
            for part in candidate.get("content").get("parts").items() {
                let proof = part.get("thoughtSignature");
                if !proof.is_null() && crate::media::decode_base64(proof.text_or_empty()).is_none() {
                    return Err("a proof is not base64".into());
                }
                if !part.get("functionCall").is_null() && !part.get("functionCall").get("args").is_object() {
                    return Err("arguments are no object".into());
                }
            }
        }
        chunks += 1;
    }
    Ok((chunks, failed))
}

#[test]
fn a_writer_says_nothing_after_the_end() {
    let mut writer = super::super::write_stream::Writer::new(&asked(true));
    let mut out = Vec::new();
    writer.write(&Event::End, &mut out);
    writer.write(&Event::Ping, &mut out);
    writer.write(&Event::Error(Error::new(Class::Server, "late")), &mut out);
    assert!(out.is_empty());
}
