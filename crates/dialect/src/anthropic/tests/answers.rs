use super::*;
use crate::ir::{
    Candidate, Citation, Class, Content, FinishReason, Media, ReasoningStyle, Signature, ToolInput, Usage,
};
use crate::raw::Raw;
use crate::tree::Node;

fn read_answer(name: &str) -> Response {
    answer(&golden("responses", name)).unwrap()
}

fn response(parts: Vec<Part>) -> Response {
    Response {
        id: "chatcmpl-1".into(),
        model: String::new(),
        created: None,
        candidates: vec![Candidate {
            index: 0,
            parts,
            finish: FinishReason::Stop.into(),
            logprobs: vec![],
        }],
        usage: None,
        service_tier: None,
    }
}

/// The content of a whole answer, written.
fn content(parts: Vec<Part>) -> (String, Vec<String>) {
    let (body, losses) = written(&response(parts));
    let node = Node::parse_text(&body).unwrap();
    (node.get("content").raw().to_owned(), losses)
}

#[test]
fn every_golden_answer_is_written_as_it_was() {
    for (name, body) in all_golden("responses") {
        let Ok(response) = answer(&body) else {
            assert_eq!(name, "error-with-status-200.json");
            continue;
        };
        let (again, losses) = written(&response);
        assert!(losses.is_empty(), "{name}");
        let (before, after) = (Node::parse(&body).unwrap(), Node::parse_text(&again).unwrap());
        for key in ["stop_reason", "stop_sequence"] {
            let (before, after) = (before.get(key), after.get(key));
            let normal = before.is_null() && name == "bare.json" || before.text() == Some("something_new");
            assert!(before.raw() == after.raw() || normal, "{name}: {key}");
        }
        let counted = |node: &Node<'_>, key: &str| node.get("usage").get(key).u64().unwrap_or(0);
        for key in [
            "input_tokens",
            "output_tokens",
            "cache_read_input_tokens",
            "cache_creation_input_tokens",
        ] {
            assert_eq!(counted(&before, key), counted(&after, key), "{name}: {key}");
        }
        let kinds = |node: &Node<'_>| -> Vec<String> {
            let blocks = node.get("content").items().iter();
            blocks.map(|block| block.get("type").string().unwrap()).collect()
        };
        assert_eq!(kinds(&before), kinds(&after), "{name}");
    }
}

#[test]
fn reasons_and_words_about_them_are_read() {
    for (name, reason) in [
        ("text.json", FinishReason::Stop),
        ("tool-calls.json", FinishReason::ToolCalls),
        ("refusal.json", FinishReason::Refusal),
        ("max-tokens.json", FinishReason::Length),
        ("context-window.json", FinishReason::ContextWindow),
        ("stop-sequence.json", FinishReason::StopSequence),
        ("pause-turn.json", FinishReason::Pause),
        ("unknown-blocks.json", FinishReason::Other),
        ("bare.json", FinishReason::ToolCalls),
    ] {
        assert_eq!(read_answer(name).candidates[0].finish.reason, reason, "{name}");
    }
    let refusal = read_answer("refusal.json").candidates.remove(0).finish;
    assert_eq!(refusal.message.as_deref(), Some("I must not."));
    let stop = read_answer("stop-sequence.json").candidates.remove(0).finish;
    assert_eq!(stop.stop_sequence.as_deref(), Some("three"));
    assert_eq!(
        read_answer("cache-usage.json").service_tier.as_deref(),
        Some("priority")
    );
    assert_eq!(read_answer("cache-usage.json").usage.unwrap().input, Some(123));
    let error = answer(&golden("responses", "error-with-status-200.json")).unwrap_err();
    assert_eq!(error.class, Class::Overloaded);
}

#[test]
fn parts_are_read_in_their_order() {
    let thinking = read_answer("thinking.json").candidates.remove(0).parts;
    let proof = thinking[0].signature.as_ref().unwrap();
    assert_eq!(
        (proof.data.as_str(), proof.provider.as_deref()),
        ("EqQBCgIYAhIM", Some("up"))
    );
    assert!(matches!(&thinking[1].content, Content::Reasoning { redacted: Some(data), .. } if data == "EmwKAhgB"));
    let bare = read_answer("bare.json").candidates.remove(0).parts;
    assert!(matches!(&bare[0].content, Content::Text { text, .. } if text == "Hi 😀"));
    let Content::ToolCall { id, input, .. } = &bare[1].content else {
        panic!("{bare:?}");
    };
    assert!(!id.is_empty());
    assert_eq!(
        input,
        &ToolInput::Json(r#"{"n":123456789012345678901234567890,"z":1.10}"#.into())
    );
    let cited = read_answer("citations.json").candidates.remove(0).parts;
    assert_eq!(cited.len(), 2);
    assert!(matches!(&cited[0].content, Content::Text { citations, .. } if citations.len() == 2));
    let server = read_answer("server-tools.json").candidates.remove(0).parts;
    assert!(matches!(&server[0].content, Content::Foreign { kind, .. } if kind == "server_tool_use"));
}

#[test]
fn an_answer_of_another_provider_has_this_protocols_shape() {
    let mut response = response(vec![Part::text("Hi")]);
    response.usage = Some(Usage {
        input: Some(50),
        cache_read: Some(40),
        output: Some(2),
        ..Usage::default()
    });
    let (body, _) = written(&response);
    assert_eq!(
        body,
        r#"{"id":"msg_id1","type":"message","role":"assistant","model":"asked-model","content":[{"type":"text","text":"Hi"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":10,"cache_creation_input_tokens":0,"cache_read_input_tokens":40,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},"output_tokens":2,"service_tier":"standard"}}"#
    );
    response.candidates[0].finish.reason = FinishReason::Error;
    assert!(written(&response).0.contains(r#""stop_reason":null"#));
    response.candidates[0].finish = FinishReason::ContentFilter.into();
    assert!(written(&response).0.contains(r#""stop_reason":"refusal","stop_sequence":null,"stop_details":{"type":"refusal","category":null,"explanation":null}"#));
}

#[test]
fn proofs_travel_in_envelopes_and_come_back() {
    let proof = Signature::made_by(Protocol::Gemini, "google", "G1");
    let reasoning = |text: &str, signature: Option<Signature>| Part {
        signature,
        ..Content::Reasoning {
            text: text.into(),
            style: ReasoningStyle::Full,
            redacted: None,
        }
        .into()
    };
    let call = Part {
        signature: Some(proof.clone()),
        ..Content::ToolCall {
            id: "c1".into(),
            name: "f".into(),
            namespace: None,
            input: ToolInput::Json(String::new()),
        }
        .into()
    };
    let (content, losses) = content(vec![
        reasoning("hm", Some(proof.clone())),
        reasoning("so", None),
        reasoning("", None),
        call,
    ]);
    assert!(losses.is_empty());
    let envelope = proof.enclose(Protocol::Anthropic);
    let begin = format!(
        r#"[{{"type":"thinking","thinking":"hm","signature":"{envelope}"}},{{"type":"thinking","thinking":"so","signature":""}},{{"type":"thinking","thinking":"","signature":"mynah1."#
    );
    assert!(content.starts_with(&begin), "{content}");
    let body = format!(
        r#"{{"model":"m","messages":[{{"role":"user","content":"q"}},{{"role":"assistant","content":{content}}},{{"role":"user","content":[{{"type":"tool_result","tool_use_id":"c1"}}]}}]}}"#
    );
    let mut request = read(body.as_bytes());
    repair(&mut request, &mut Losses::new(Protocol::Anthropic));
    let parts = &request.messages[1].parts;
    assert_eq!(parts[0].signature.as_ref(), Some(&proof));
    assert_eq!((parts[1].signature.as_ref(), parts.len()), (None, 3));
    assert_eq!(parts[2].signature.as_ref(), Some(&proof));
}

#[test]
fn thoughts_that_are_not_told_come_back_to_their_provider_only() {
    let (body, _) = written(&read_answer("thinking.json"));
    let content = Node::parse_text(&body).unwrap().get("content").raw().to_owned();
    let body = format!(
        r#"{{"model":"m","messages":[{{"role":"user","content":"q"}},{{"role":"assistant","content":{content}}},{{"role":"user","content":"r"}}]}}"#
    );
    let request = read(body.as_bytes());
    let (body, losses) = body_for("claude-opus-4-6", &request);
    assert!(
        body.contains(r#""signature":"EqQBCgIYAhIM"},{"type":"redacted_thinking","data":"EmwKAhgB"}"#),
        "{body}"
    );
    assert!(losses.is_empty());
    let quirks = Quirks::default();
    let target = Target {
        provider: "other",
        model: "claude-opus-4-6",
        quirks: &quirks,
    };
    let mut lost = Losses::new(Protocol::Anthropic);
    let body = Anthropic.write_request(&request, &target, &mut lost).unwrap().body;
    assert!(!String::from_utf8(body).unwrap().contains("thinking"));
    assert_eq!(lost.listed().len(), 1);
}

#[test]
fn what_has_no_block_is_told_or_noted() {
    let image = |source| Content::Image { source, detail: None }.into();
    let url = Media::Url {
        url: "https://a/b.png".into(),
        mime: None,
    };
    let data = Media::Data {
        mime: None,
        data: "AAAA".into(),
        filename: None,
    };
    let foreign = Content::Foreign {
        protocol: Protocol::OpenaiResponses,
        kind: "web_search_call".into(),
        raw: Raw::parse("{}").unwrap(),
    };
    let free = Content::ToolCall {
        id: "c".into(),
        name: "patch".into(),
        namespace: Some("files".into()),
        input: ToolInput::Text("a\"b".into()),
    };
    let cited = Content::Text {
        text: "t".into(),
        citations: vec![Citation::default()],
    };
    let refusal = Content::Refusal { text: "No.".into() };
    let (content, losses) = content(vec![
        Part::text(""),
        image(url),
        image(data),
        foreign.into(),
        free.into(),
        cited.into(),
        refusal.into(),
    ]);
    assert_eq!(
        content,
        r#"[{"type":"text","text":"![image](https://a/b.png)"},{"type":"text","text":"[an image]"},{"type":"tool_use","id":"c","name":"files__patch","input":{"input":"a\"b"}},{"type":"text","text":"t"},{"type":"text","text":"No."}]"#
    );
    assert_eq!(losses.len(), 3, "{losses:?}");
}

#[test]
fn every_golden_error_is_understood() {
    let expected = [
        ("400-context-limit.json", Class::ContextTooLong),
        ("400-credit-balance.json", Class::Billing),
        ("400-invalid-request.json", Class::BadRequest),
        ("400-prompt-too-long.json", Class::ContextTooLong),
        ("401-authentication.json", Class::Authentication),
        ("402-billing.json", Class::Billing),
        ("403-permission.json", Class::Forbidden),
        ("404-model.json", Class::NotFound),
        ("413-too-large.json", Class::TooLarge),
        ("429-rate-limit.json", Class::RateLimited),
        ("500-api.json", Class::Server),
        ("502-html.json", Class::Server),
        ("503-empty.json", Class::Overloaded),
        ("504-timeout.json", Class::Timeout),
        ("529-overloaded.json", Class::Overloaded),
    ];
    let all = all_golden("errors");
    assert_eq!(all.len(), expected.len());
    for ((name, body), (known, class)) in all.into_iter().zip(expected) {
        let error = Anthropic.read_error(name[..3].parse().unwrap(), &body);
        assert_eq!((name.as_str(), error.class), (known, class));
        assert_eq!(error.retry_after, (class == Class::RateLimited).then_some(12.0));
    }
}

#[test]
fn what_is_no_answer_is_malformed() {
    for body in ["", "[]", "{}", r#"{"content":"text"}"#, "<html>"] {
        assert!(events_of(&Anthropic, body.as_bytes(), memo(), "s").is_err(), "{body}");
    }
}

#[test]
fn structured_answers_of_a_forced_tool_are_text() {
    let memo = Memo {
        answer_tool: Some("answer".into()),
        ..memo()
    };
    let body =
        br#"{"content":[{"type":"tool_use","id":"t","name":"answer","input":{"a":1}}],"stop_reason":"tool_use"}"#;
    let response = collected(events_of(&Anthropic, body, memo, "s").unwrap()).unwrap();
    let candidate = &response.candidates[0];
    assert!(matches!(&candidate.parts[0].content, Content::Text { text, .. } if text == r#"{"a":1}"#));
    assert_eq!(candidate.finish.reason, FinishReason::Stop);
}
