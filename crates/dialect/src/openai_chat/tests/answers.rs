//! Answers of providers, read and written for clients.

use super::*;
use crate::ir::{Class, Content, Finish, FinishReason, Part, Response, Signature, ToolInput};
use crate::transcode::{collected, events_of};

fn response(name: &str) -> Response {
    let body = case("responses", name);
    collected(events_of(&OpenaiChat, &body, memo(), "seed").unwrap()).unwrap()
}

fn streamed(name: &str) -> Response {
    collected(listened(&case("streams", name), 7)).unwrap()
}

fn answered(response: &Response, members: &str) -> String {
    String::from_utf8(OpenaiChat.write_response(response, &asked(members), &mut lost())).unwrap()
}

fn text_of(response: &Response) -> String {
    let texts = response.candidates[0]
        .parts
        .iter()
        .filter_map(|part| match &part.content {
            Content::Text { text, .. } => Some(text.as_str()),
            _ => None,
        });
    texts.collect()
}

/// The calls of the first candidate: id, name, arguments.
fn calls(response: &Response) -> Vec<String> {
    let call = |part: &Part| match &part.content {
        Content::ToolCall {
            id,
            name,
            input: ToolInput::Json(text) | ToolInput::Text(text),
            ..
        } => Some(format!("{id} {name} {text}")),
        _ => None,
    };
    response.candidates[0].parts.iter().filter_map(call).collect()
}

fn thoughts(response: &Response) -> String {
    let text = response.candidates[0]
        .parts
        .iter()
        .filter_map(|part| match &part.content {
            Content::Reasoning { text, .. } => Some(text.as_str()),
            _ => None,
        });
    text.collect()
}

/// A case, and what it tells: text, calls, thoughts, and why it ends.
type Told = (
    &'static str,
    &'static str,
    &'static [&'static str],
    &'static str,
    FinishReason,
);

fn is_told(response: &Response, (name, text, expected_calls, thought, reason): Told) {
    assert_eq!(text_of(response), text, "{name}");
    assert_eq!(calls(response), expected_calls, "{name}");
    assert_eq!(thoughts(response), thought, "{name}");
    assert_eq!(response.candidates[0].finish.reason, reason, "{name}");
}

#[test]
fn a_plain_answer_comes_out_in_full() {
    assert_eq!(
        answered(&response("text"), ""),
        r#"{"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"gpt-4o-2024","choices":[{"index":0,"message":{"role":"assistant","content":"Hi","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15,"prompt_tokens_details":{"cached_tokens":4,"cache_write_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":2,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}},"service_tier":"default","system_fingerprint":null}"#
    );
}

#[test]
fn answers_are_read_whatever_their_shape() {
    let cases: [Told; 20] = [
        (
            "tool-call",
            "",
            &["call_1 get_weather {\"city\":\"Paris\"}"],
            "",
            FinishReason::ToolCalls,
        ),
        (
            "tool-calls-parallel",
            "Let me see",
            &["call_1 f {\"x\":12345678901234567890,\"y\":1.10}", "call_2 g {}"],
            "",
            FinishReason::ToolCalls,
        ),
        (
            "tool-call-stop",
            "",
            &["call_seed0n0 f {}"],
            "",
            FinishReason::ToolCalls,
        ),
        (
            "tool-arguments-object",
            "",
            &["c f {\"a b\":[1,2.50,\"x \\\" y\"]}"],
            "",
            FinishReason::ToolCalls,
        ),
        (
            "custom-call",
            "",
            &["c apply_patch *** Begin"],
            "",
            FinishReason::ToolCalls,
        ),
        (
            "function-call-legacy",
            "",
            &["call_seed0n0 f {\"a\":1}"],
            "",
            FinishReason::ToolCalls,
        ),
        ("refusal", "", &[], "", FinishReason::Refusal),
        ("max-tokens", "cut of", &[], "", FinishReason::Length),
        ("content-filter", "", &[], "", FinishReason::ContentFilter),
        ("reasoning", "42", &[], "hm", FinishReason::Stop),
        ("reasoning-twice", "42", &[], "hm", FinishReason::Stop),
        ("reasoning-only", "", &[], "hm", FinishReason::Length),
        ("reasoning-mistral", "42", &[], "hm", FinishReason::Stop),
        ("citations", "Rust is fast.", &[], "", FinishReason::Stop),
        ("pictures", "Here", &[], "", FinishReason::Stop),
        ("usage-missing", "x", &[], "", FinishReason::Stop),
        ("finish-odd", "x", &[], "", FinishReason::Stop),
        ("finish-missing", "x", &[], "", FinishReason::Stop),
        ("stop-sequence", "x", &[], "", FinishReason::StopSequence),
        ("unicode", "Grüße 世界 😀\u{2028}", &[], "", FinishReason::Stop),
    ];
    for case in cases {
        is_told(&response(case.0), case);
    }
    let both = response("candidates");
    assert_eq!(
        (both.candidates.len(), both.candidates[1].finish.reason),
        (2, FinishReason::Length)
    );
    assert_eq!(response("usage-deepseek").usage.unwrap().cache_read, Some(8));
}

#[test]
fn streams_are_read_whatever_their_shape() {
    let cases: [Told; 27] = [
        ("text", "Hi there", &[], "", FinishReason::Stop),
        ("tool-call", "", &["call_1 get {\"a\":1}"], "", FinishReason::ToolCalls),
        (
            "tool-calls-parallel",
            "",
            &["call_1 f {\"x\":1}", "call_2 g {}"],
            "",
            FinishReason::ToolCalls,
        ),
        (
            "tool-calls-interleaved",
            "",
            &["a f {\"x\":1}", "b g {\"y\":2}"],
            "",
            FinishReason::ToolCalls,
        ),
        (
            "tool-call-no-index",
            "",
            &["a f {\"x\":1}", "b g {}"],
            "",
            FinishReason::ToolCalls,
        ),
        (
            "tool-call-same-index",
            "",
            &["a f {\"x\":1}", "b g {}"],
            "",
            FinishReason::ToolCalls,
        ),
        (
            "tool-call-id-repeated",
            "",
            &["a f {\"x\":1}"],
            "",
            FinishReason::ToolCalls,
        ),
        (
            "tool-call-id-missing",
            "",
            &["call_seed0n0 f {}"],
            "",
            FinishReason::ToolCalls,
        ),
        (
            "tool-call-and-finish",
            "",
            &["a f {\"x\":1}"],
            "",
            FinishReason::ToolCalls,
        ),
        (
            "custom-call",
            "",
            &["c apply_patch *** Begin {\n+x"],
            "",
            FinishReason::ToolCalls,
        ),
        (
            "function-call-legacy",
            "",
            &["call_seed0n0 f {\"a\":1}"],
            "",
            FinishReason::ToolCalls,
        ),
        ("reasoning", "Hi", &[], "Let me think", FinishReason::Stop),
        ("reasoning-openrouter", "42", &[], "hm", FinishReason::Stop),
        ("reasoning-mistral", "42", &[], "hm", FinishReason::Stop),
        ("refusal", "", &[], "", FinishReason::Refusal),
        ("max-tokens", "cut", &[], "", FinishReason::Length),
        ("azure", "Hi", &[], "", FinishReason::Stop),
        ("done-missing", "Hi", &[], "", FinishReason::Stop),
        ("finish-empty", "Hi you", &[], "", FinishReason::Stop),
        ("finish-missing", "Hi you", &[], "", FinishReason::Stop),
        ("finish-with-content", "Hi", &[], "", FinishReason::Stop),
        ("usage-repeated", "Hi!", &[], "", FinishReason::Stop),
        ("tool-calls-null", "Hi!", &[], "", FinishReason::Stop),
        ("malformed-line", "Hi", &[], "", FinishReason::Stop),
        ("line-ends", "Hi!", &[], "", FinishReason::Stop),
        ("surrogates", "a😀b", &[], "", FinishReason::Stop),
        ("unicode", "Grüße 世界 😀", &[], "", FinishReason::Stop),
    ];
    for case in cases {
        is_told(&streamed(case.0), case);
    }
}

#[test]
fn the_rest_of_a_stream_is_read_too() {
    assert_eq!(streamed("azure").id, "chatcmpl-1");
    let usage = streamed("usage-repeated").usage.unwrap();
    assert_eq!((usage.output, usage.cache_read), (Some(2), Some(1)));
    let audio = streamed("audio");
    assert!(
        matches!(&audio.candidates[0].parts[0].content, Content::Audio { transcript: Some(text), source: crate::ir::Media::Data { data, .. }, .. } if text == "Hi" && data == "UklGRg==")
    );
    assert_eq!(streamed("logprobs").candidates[0].logprobs.len(), 1);
    assert_eq!(
        calls(&Response {
            candidates: vec![streamed("candidates").candidates[1].clone()],
            ..streamed("candidates")
        }),
        ["x f {}"]
    );
}

#[test]
fn proofs_are_kept_with_their_maker() {
    let thoughts = streamed("reasoning-openrouter");
    let signature = thoughts.candidates[0].parts[0].signature.clone().unwrap();
    assert!(signature.belongs_to(Protocol::OpenaiChat, "up") && signature.data.contains("anthropic-claude-v1"));
    let call = streamed("thought-signature");
    let expected = Signature::made_by(Protocol::OpenaiChat, "up", "AbCd==");
    assert_eq!(call.candidates[0].parts[0].signature.as_ref(), Some(&expected));
    let body = answered(&call, "");
    let sent = format!(
        r#""extra_content":{{"google":{{"thought_signature":"{}"}}}}"#,
        expected.enclose(Protocol::OpenaiChat)
    );
    assert!(body.contains(&sent), "{body}");
    // What the client sends back reaches the provider as it was.
    let message = crate::raw::Raw::parse(&body).unwrap();
    let message = message.node();
    let message = message.get("choices").items()[0].get("message").raw().to_owned();
    let back = read(&format!(
        r#"{{"model":"m","messages":[{message},{{"role":"tool","tool_call_id":"c","content":"x"}}]}}"#
    ));
    assert!(
        written(&back)
            .body
            .contains(r#""extra_content":{"google":{"thought_signature":"AbCd=="}}"#)
    );
}

#[test]
fn errors_inside_answers_are_errors() {
    let body = case("responses", "error-within");
    let error = collected(events_of(&OpenaiChat, &body, memo(), "seed").unwrap()).unwrap_err();
    assert_eq!(
        (error.class, error.message.as_str()),
        (Class::Server, "upstream overloaded")
    );
    let error = collected(listened(&case("streams", "error-first"), 9)).unwrap_err();
    assert_eq!((error.class, error.retry_after), (Class::RateLimited, Some(2.0)));
    let error = collected(listened(&case("streams", "error-within"), 9)).unwrap_err();
    assert_eq!(error.class, Class::Overloaded);
    assert!(collected(listened(&case("streams", "cut"), 9)).is_err());
    for text in [
        "",
        "nonsense",
        "data: 1\n\n",
        "data: [DONE]\n\n",
        "data: {\"choices\":[]}\n\ndata: [DONE]\n\n",
    ] {
        assert!(collected(listened(text.as_bytes(), 3)).is_err(), "{text}");
    }
    for body in ["", "[]", "{}", r#"{"choices":[]}"#, "<html>"] {
        assert!(events_of(&OpenaiChat, body.as_bytes(), memo(), "s").is_err(), "{body}");
    }
}

#[test]
fn every_error_of_the_suite_is_read() {
    for (name, body) in golden("errors") {
        let status: u16 = name[..3].parse().unwrap();
        let error = OpenaiChat.read_error(status, &body);
        let expected = match &name[4..] {
            "context-length" | "vllm-context" => Class::ContextTooLong,
            "google-key" => Class::Authentication,
            "balance" | "quota" => Class::Billing,
            _ => Class::of_status(status),
        };
        assert_eq!(error.class, expected, "{name}");
        let (status, body) = OpenaiChat.write_error(&error, "r");
        assert!(status >= 400 && body.starts_with(br#"{"error":{"message":"#), "{name}");
    }
}

#[test]
fn clients_get_what_they_know() {
    let call = response("tool-call");
    let body = answered(&call, "");
    assert!(body.contains(r#""content":null,"refusal":null,"annotations":[],"tool_calls":[{"id":"call_1","type":"function","function":{"name":"get_weather","arguments":"{\"city\":\"Paris\"}"}}]},"logprobs":null,"finish_reason":"tool_calls""#), "{body}");
    let legacy = answered(&call, r#""functions":[{"name":"get_weather"}]"#);
    assert!(legacy.contains(r#""function_call":{"name":"get_weather","arguments":"{\"city\":\"Paris\"}"}},"logprobs":null,"finish_reason":"function_call""#), "{legacy}");
    let custom = answered(&response("custom-call"), "");
    assert!(custom.contains(r#"{"id":"c","type":"custom","custom":{"name":"apply_patch","input":"*** Begin"}}"#));
    let thought = response("reasoning-twice");
    let plain = answered(&thought, "");
    assert!(plain.contains(r#""reasoning_content":"hm""#) && !plain.contains("reasoning_details"));
    let detailed = answered(&thought, r#""reasoning":{}"#);
    assert!(
        detailed
            .contains(r#""reasoning_details":[{"index":0,"type":"reasoning.text","text":"hm","signature":"mynah1."#),
        "{detailed}"
    );
    assert!(!answered(&thought, r#""reasoning":{"exclude":true}"#).contains("hm\""));
    let cited = answered(&response("citations"), "");
    assert!(cited.contains(r#""annotations":[{"type":"url_citation","url_citation":{"start_index":0,"end_index":13,"title":"Rust","url":"https://rust-lang.org"}}]"#), "{cited}");
    let likely = answered(&response("logprobs"), "");
    assert!(likely.contains(r#""logprobs":{"content":[{"token":"Hi","logprob":-0.25,"bytes":[72,105],"top_logprobs":[{"token":"Hi","logprob":-0.25,"bytes":[72,105]},{"token":"Yo","logprob":-1.5,"bytes":null}]}],"refusal":null}"#), "{likely}");
    let refused = answered(&response("refusal"), "");
    assert!(
        refused.contains(r#""content":null,"refusal":"I cannot.""#) && refused.contains(r#""finish_reason":"stop""#)
    );
    let sound = answered(&response("audio"), "");
    assert!(
        sound.contains(r#""audio":{"id":"audio_1","data":""#)
            && sound.contains(r#""expires_at":4600,"transcript":"Hi"}"#),
        "{sound}"
    );
    assert!(answered(&response("pictures"), "").contains(r#""images":[{"index":0,"type":"image_url""#));
}

#[test]
fn an_answer_without_anything_is_still_one() {
    let mut response = response("content-filter");
    response.id.clear();
    response.model.clear();
    response.candidates[0].finish = Finish {
        message: Some("Blocked.".into()),
        ..FinishReason::ContentFilter.into()
    };
    let body = answered(&response, "");
    assert!(body.starts_with(r#"{"id":"chatcmpl-seed","#) && body.contains(r#""model":"asked""#));
    assert!(
        body.contains(r#""content":null,"refusal":"Blocked.""#) && body.contains(r#""finish_reason":"content_filter""#),
        "{body}"
    );
}
