use super::*;
use crate::ir::{Candidate, Citation, FinishReason, ReasoningStyle, Signature, Usage};
use crate::transcode::{collected, events_of};

fn answer(name: &str) -> Response {
    let events = events_of(&Gemini, &golden_file("responses", name), memo(), "s").unwrap();
    crate::assembly::tests::check(&events).unwrap();
    collected(events).unwrap()
}

#[test]
fn answers_are_read() {
    let cases = [
        ("text", r#"text "Hi there"; Stop"#),
        (
            "thinking",
            r#"reasoning "Hm.", text "Hi", reasoning "" signed c2ln; Stop"#,
        ),
        (
            "calls",
            r#"call call_s0n0 f {"x":1.10,"n":12345678901234567890} signed c2ln, call call_s0n1 f {"x":2}, call call_s0n2 g {}; ToolCalls"#,
        ),
        ("call-with-id", r#"text "I look.", call fc-1 f {}; ToolCalls"#),
        (
            "blocked-prompt",
            "; ContentFilter (The prompt was blocked: PROHIBITED_CONTENT.)",
        ),
        ("blocked-answer", "; ContentFilter"),
        ("no-content", "; Stop"),
        ("no-parts", "; Other"),
        ("no-finish", r#"text "Hi"; Other"#),
        ("max-tokens-thinking", "; Length"),
        ("malformed-call", "; MalformedToolCall (Malformed function call: f(x)"),
        ("recitation", r#"text "Half"; ContentFilter"#),
        ("empty-text-signature", r#"text "Hi", reasoning "" signed c2ln; Stop"#),
        ("two-candidates", r#"text "a"; Stop | call call_s1n0 f {}; ToolCalls"#),
        (
            "grounding",
            r#"text "Käse is good. It is old." [0-13 https://a] [14-24 https://a] [14-24 https://b]; Stop"#,
        ),
        ("citations", r#"text "Quoted words" [0-6 https://a]; Stop"#),
        ("image", r#"text "Here", image image/png iVBO; Stop"#),
        ("audio", "audio audio/l16;rate=24000 AAAA; Stop"),
        (
            "code-execution",
            r#"foreign executableCode, foreign codeExecutionResult, text "1"; Stop"#,
        ),
        ("made-up-finish", "call call_s0n0 f {}; ToolCalls"),
    ];
    for (name, expected) in cases {
        assert_eq!(told(&answer(name)), expected, "{name}");
    }
}

#[test]
fn counts_are_inclusive() {
    let usage = answer("thinking").usage.unwrap();
    assert_eq!(
        (usage.input, usage.output, usage.reasoning),
        (Some(3), Some(9), Some(7))
    );
    let usage = answer("cached").usage.unwrap();
    assert_eq!(
        (usage.input, usage.cache_read, usage.input_audio),
        (Some(105), Some(90), Some(40))
    );
    assert_eq!(answer("logprobs").candidates[0].logprobs[0].top.len(), 2);
}

#[test]
fn an_error_as_a_whole_answer_is_one() {
    let events = events_of(
        &Gemini,
        br#"[{"error":{"code":503,"message":"m","status":"UNAVAILABLE"}}]"#,
        memo(),
        "s",
    )
    .unwrap();
    assert_eq!(told_events(events), "error Overloaded None: m");
    assert!(events_of(&Gemini, b"<html>", memo(), "s").is_err());
    assert!(told_events(events_of(&Gemini, b"{}", memo(), "s").unwrap()).starts_with("error Server"));
}

#[test]
fn what_is_written_can_be_read() {
    // An answer of which nothing is left is told as a blocked prompt.
    for (name, _) in golden("responses")
        .into_iter()
        .filter(|(name, _)| name != "blocked-answer")
    {
        let response = answer(&name);
        let mut lost = Losses::new(Protocol::Gemini);
        let body = Gemini.write_response(&response, &asked(true), &mut lost);
        assert!(lost.is_empty(), "{name}");
        let again = collected(events_of(&Gemini, &body, memo(), "s").unwrap()).unwrap();
        let opened = |mut response: Response| {
            for part in response
                .candidates
                .iter_mut()
                .flat_map(|candidate| &mut candidate.parts)
            {
                part.signature = part
                    .signature
                    .take()
                    .map(|signature| Signature::open(Protocol::Gemini, &signature.data));
            }
            told(&response)
        };
        assert_eq!(
            opened(again),
            opened(response),
            "{name} {}",
            String::from_utf8_lossy(&body)
        );
    }
}

#[test]
fn an_answer_of_another_provider_is_written() {
    let mut answer = Response {
        id: "msg_1".into(),
        model: "claude".into(),
        created: None,
        candidates: vec![Candidate {
            index: 0,
            parts: vec![
                Part {
                    signature: Some(Signature::made_by(Protocol::Anthropic, "anthropic", "sig")),
                    ..Content::Reasoning {
                        text: "hm".into(),
                        style: ReasoningStyle::Full,
                        redacted: None,
                    }
                    .into()
                },
                Content::Text {
                    text: "ä x".into(),
                    citations: vec![Citation {
                        url: Some("u".into()),
                        start: Some(0),
                        end: Some(1),
                        ..Citation::default()
                    }],
                }
                .into(),
                Content::ToolCall {
                    id: "c1".into(),
                    name: "f".into(),
                    namespace: None,
                    input: ToolInput::Json("{broken".into()),
                }
                .into(),
            ],
            finish: FinishReason::ToolCalls.into(),
            logprobs: Vec::new(),
        }],
        usage: Some(Usage {
            input: Some(10),
            output: Some(9),
            reasoning: Some(4),
            cache_read: Some(3),
            ..Usage::default()
        }),
        service_tier: None,
    };
    let mut lost = Losses::new(Protocol::Gemini);
    let body = String::from_utf8(Gemini.write_response(&answer, &asked(true), &mut lost)).unwrap();
    let proof = Signature::made_by(Protocol::Anthropic, "anthropic", "sig").enclose(Protocol::Gemini);
    assert!(crate::media::decode_base64(&proof).is_some());
    assert_eq!(
        body,
        format!(
            r#"{{"candidates":[{{"content":{{"role":"model","parts":[{{"text":"hm","thought":true,"thoughtSignature":"{proof}"}},{{"text":"ä x"}},{{"functionCall":{{"id":"c1","name":"f","args":{{"_raw":"{{broken"}}}}}}]}},"finishReason":"STOP","index":0,"citationMetadata":{{"citationSources":[{{"startIndex":0,"endIndex":2,"uri":"u"}}]}}}}],"usageMetadata":{{"promptTokenCount":10,"candidatesTokenCount":5,"thoughtsTokenCount":4,"cachedContentTokenCount":3,"totalTokenCount":19}},"modelVersion":"claude","responseId":"msg_1"}}"#
        )
    );
    assert_eq!(lost.listed().len(), 1);
    answer.candidates[0].parts.clear();
    answer.candidates[0].finish = FinishReason::ContentFilter.into();
    let body = String::from_utf8(Gemini.write_response(&answer, &asked(true), &mut lost)).unwrap();
    assert!(
        body.starts_with(r#"{"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata""#),
        "{body}"
    );
}

#[test]
fn errors_are_read() {
    for (name, body) in golden("errors") {
        let status: u16 = name[..3].parse().unwrap();
        let error = Gemini.read_error(status, &body);
        assert!(!error.message.is_empty(), "{name}");
        let (_, again) = Gemini.write_error(&error, "r");
        assert!(again.starts_with(b"{\"error\":{\"code\":"), "{name}");
    }
    let error = Gemini.read_error(429, &golden_file("errors", "429-rate-limit"));
    assert_eq!(error.retry_after, Some(34.074_824_224));
}

#[test]
fn probabilities_of_a_call_open_no_text() {
    let body = br#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f"}}]},"finishReason":"STOP",
        "logprobsResult":{"chosenCandidates":[{"token":"f","logProbability":-0.1}]}}]}"#;
    let events = events_of(&Gemini, body, memo(), "s").unwrap();
    assert_eq!(told_events(events), "call call_s0n0 f {}; ToolCalls");
}

#[test]
fn a_picture_that_was_only_thought_of_is_not_the_answer() {
    let body =
        br#"{"candidates":[{"content":{"parts":[{"thought":true,"inlineData":{"mimeType":"image/png","data":"AAAA"}},
        {"inlineData":{"mimeType":"image/png","data":"BBBB"},"thoughtSignature":"c2ln"}]},"finishReason":"STOP"}]}"#;
    let events = events_of(&Gemini, body, memo(), "s").unwrap();
    assert_eq!(
        told_events(events),
        "foreign inlineData, image image/png BBBB signed c2ln; Stop"
    );
}
