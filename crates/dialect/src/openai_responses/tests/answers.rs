//! Reading answers.

use proptest::prelude::*;

use super::*;
use crate::ir::Class;

#[test]
fn whole_answers_are_understood() {
    let expected = [
        (
            "citations",
            r#"foreign web_search_call, text "See here." citing 2; Stop"#,
        ),
        ("content-filter", "; ContentFilter"),
        (
            "error-in-200",
            "error RateLimited: Too many requests. Please try again in 1.5s.",
        ),
        ("failed", "error Server: It broke."),
        ("image", r#"image, text "A dot."; Stop"#),
        ("logprobs", r#"text "Hi"; Stop"#),
        ("max-tokens", r#"text "Half a sent"; Length"#),
        ("minimal", r#"text "ok"; Stop"#),
        ("reasoning", r#"Summary "One\n\nTwo" rs_1/gAAA, text "Done"; Stop"#),
        ("reasoning-open", r#"Full "raw", text "Done"; Stop"#),
        ("refusal", r#"refusal "I will not."; Refusal"#),
        ("text", r#"text "Hello 😀"; Stop"#),
        (
            "tool-calls",
            r#"Full "" rs_1/gAAA, text "Let me see.", call call_1 weather {"city":"Bern","n":12345678901234567890}, call call_2 agents/spawn {}, free call_3 apply_patch "*** Begin"; ToolCalls"#,
        ),
    ];
    let files = golden("responses");
    assert_eq!(files.len(), expected.len());
    for ((name, body), (case, line)) in files.iter().zip(expected) {
        assert_eq!((name.as_str(), told(whole(body)).as_str()), (case, line));
    }
}

#[test]
fn streams_are_understood() {
    let thoughts = r#"Summary "Think\n\nmore" rs_1/gAAA, text "Hi""#;
    let expected = [
        (
            "changing-ids",
            r#"call call_1 f {"x":1}, text "Hi"; ToolCalls"#.to_owned(),
        ),
        (
            "citations",
            r#"foreign web_search_call, text "See here." citing 1; Stop"#.to_owned(),
        ),
        (
            "custom-tool",
            r#"free call_1 apply_patch "*** Begin\n{"; ToolCalls"#.to_owned(),
        ),
        (
            "cut",
            "error Server: The provider's answer broke off before its end.".to_owned(),
        ),
        ("error-flat", "error Server: It broke.".to_owned()),
        ("error-nested", "error ContextTooLong: Too long.".to_owned()),
        (
            "failed",
            "error RateLimited: Rate limit reached. Please try again in 1.5s.".to_owned(),
        ),
        ("image", "image; Stop".to_owned()),
        ("logprobs", r#"text "Hi"; Stop"#.to_owned()),
        ("max-tokens", r#"text "Half a"; Length"#.to_owned()),
        ("odd", r#"text "a😀b"; Stop"#.to_owned()),
        (
            "only-completed",
            format!("{thoughts}, call call_2 ns/g {{}}; ToolCalls"),
        ),
        (
            "only-items-done",
            format!("{thoughts}, call call_2 ns/g {{}}; ToolCalls"),
        ),
        (
            "parallel-calls",
            r#"call call_1 f {"x":1}, call call_2 ns/g {}; ToolCalls"#.to_owned(),
        ),
        ("reasoning", format!("{thoughts}; Stop")),
        ("reasoning-open", r#"Full "raw thoughts", text "Hi"; Stop"#.to_owned()),
        ("refusal", r#"refusal "No way."; Refusal"#.to_owned()),
        ("text", r#"text "Hello 😀"; Stop"#.to_owned()),
        ("text-with-done-marker-crlf", r#"text "Hello 😀"; Stop"#.to_owned()),
    ];
    let files = golden("streams");
    assert_eq!(files.len(), expected.len());
    for ((name, body), (case, line)) in files.iter().zip(expected) {
        assert_eq!((name.as_str(), told(heard([body.as_slice()]))), (case, line));
    }
}

#[test]
fn probabilities_are_told_once() {
    let response = collected(heard([one("streams", "logprobs").as_slice()])).unwrap();
    let logprobs = &response.candidates[0].logprobs;
    assert_eq!((logprobs.len(), logprobs[0].chosen.logprob), (1, -0.25));
    let whole = collected(whole(&one("responses", "logprobs"))).unwrap();
    assert_eq!(whole.candidates[0].logprobs[0].top.len(), 2);
}

#[test]
fn what_only_the_last_event_tells_is_not_lost_and_not_doubled() {
    let item = |id: &str, text: &str| {
        format!(r#"{{"type":"message","id":"{id}","content":[{{"type":"output_text","text":"{text}"}}]}}"#)
    };
    let (first, second) = (item("a", "one"), item("b", "two"));
    let stream = format!(
        concat!(
            "data: {{\"type\":\"response.output_item.done\",\"output_index\":0,\"item\":{b}}}\n\n",
            "data: {{\"type\":\"response.completed\",\"response\":{{\"output\":[{a},{b}]}}}}\n\n"
        ),
        a = first,
        b = second
    );
    assert_eq!(told(heard([stream.as_bytes()])), r#"text "two", text "one"; Stop"#);
}

#[test]
fn events_without_ids_and_places_are_understood() {
    let stream = concat!(
        "data: {\"type\":\"response.reasoning_text.delta\",\"delta\":\"hm\"}\n\n",
        "data: {\"type\":\"response.output_text.delta\",\"delta\":\"a\"}\n\n",
        "data: {\"type\":\"response.output_text.delta\",\"delta\":\"b\"}\n\n",
        "data: {\"type\":\"response.output_text.done\",\"text\":\"ab\"}\n\n",
        "data: {\"type\":\"response.completed\",\"response\":{}}\n\n",
    );
    assert_eq!(told(heard([stream.as_bytes()])), r#"Full "hm", text "ab"; Stop"#);
}

#[test]
fn the_head_and_the_counts_are_read() {
    let response = collected(heard([one("streams", "text").as_slice()])).unwrap();
    assert_eq!(
        (response.id.as_str(), response.model.as_str(), response.created),
        ("resp_1", "gpt-5", Some(1_700_000_000))
    );
    let usage = response.usage.unwrap();
    assert_eq!(
        (usage.input, usage.cache_read, usage.output, usage.reasoning),
        (Some(10), Some(4), Some(5), Some(2))
    );
}

#[test]
fn renamed_tools_get_their_names_back() {
    let mut request = Request::new(crate::Protocol::OpenaiChat, "m");
    request.tools.push(crate::ir::Tool::Function(crate::ir::Function {
        name: "a.b".into(),
        ..Default::default()
    }));
    request.messages.push(crate::ir::Message::new(
        crate::ir::Role::User,
        vec![crate::ir::Part::text("x")],
    ));
    let (body, lost, memo) = try_sent(&request, &Quirks::default()).unwrap();
    assert_eq!(body["tools"][0]["name"], "a_b");
    assert_eq!(lost, ["tools.function.name: renamed for the provider"]);
    let answer = br#"{"output":[{"type":"function_call","call_id":"c","name":"a_b","arguments":"{}"}]}"#;
    let events = events_of(&OpenaiResponses, answer, memo, "s").unwrap();
    assert_eq!(told(events), "call c a.b {}; ToolCalls");
}

#[test]
fn what_is_no_answer_is_said_so() {
    for body in ["", "[]", "{}", "null", r#"{"output":{}}"#] {
        assert!(
            events_of(&OpenaiResponses, body.as_bytes(), memo(), "s").is_err(),
            "{body}"
        );
    }
    let queued = br#"{"status":"queued","output":[]}"#;
    assert_eq!(
        told(whole(queued)),
        "error Server: The provider has not finished the answer."
    );
}

#[test]
fn errors_have_their_classes() {
    for (name, body) in golden("errors") {
        let status: u16 = name[..3].parse().unwrap();
        let error = OpenaiResponses.read_error(status, &body);
        let expected = match &name[4..] {
            "context-too-long" => Class::ContextTooLong,
            "parameter" => Class::BadRequest,
            "key" => Class::Authentication,
            "model" => Class::NotFound,
            "quota" => Class::Billing,
            "rate-limit" => Class::RateLimited,
            "overloaded" => Class::Overloaded,
            "detail" => Class::Unprocessable,
            _ => Class::Server,
        };
        assert_eq!(error.class, expected, "{name}");
        assert_eq!(error.retry_after.is_some(), name == "429-rate-limit");
    }
}

#[test]
fn a_stream_that_is_cut_anywhere_never_ends_well() {
    for (name, body) in golden("streams") {
        let text = String::from_utf8(body).unwrap();
        let end = text.find("\"type\":\"response.completed\"").unwrap_or(0);
        let end = end.max(text.find("\"type\": \"response.completed\"").unwrap_or(0));
        for cut in (0..end).step_by(7) {
            let events = heard([&text.as_bytes()[..cut]]);
            assert!(matches!(events.last(), Some(Event::Error(_))), "{name} at {cut}");
        }
    }
}

proptest! {
    #[test]
    fn chunking_does_not_matter(which in 0..19usize, cuts in prop::collection::vec(0..4000usize, 0..12)) {
        let (_, body) = golden("streams").swap_remove(which);
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(body.len())).collect();
        cuts.extend([0, body.len()]);
        cuts.sort_unstable();
        let chunks = cuts.windows(2).map(|pair| &body[pair[0]..pair[1]]);
        prop_assert_eq!(heard(chunks), heard([body.as_slice()]));
    }

    #[test]
    fn whatever_comes_the_events_are_well_formed(events in prop::collection::vec(event(), 0..30)) {
        let stream = format!("data: {}\n\n", events.join("\n\ndata: "));
        let events = heard([stream.as_bytes()]);
        prop_assert!(matches!(events.last(), Some(Event::End | Event::Error(_))));
    }

    #[test]
    fn garbage_ends_in_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let events = heard([bytes.as_slice()]);
        prop_assert!(matches!(events.last(), Some(Event::Error(_))));
    }
}

/// One event that may or may not fit the others.
fn event() -> impl Strategy<Value = String> {
    let kind = prop::sample::select(vec![
        "response.created",
        "response.output_item.added",
        "response.output_item.done",
        "response.content_part.done",
        "response.output_text.delta",
        "response.output_text.done",
        "response.refusal.delta",
        "response.reasoning_text.delta",
        "response.reasoning_summary_text.delta",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.output_text.annotation.added",
        "response.in_progress",
        "response.completed",
        "unknown",
    ]);
    let item = prop::sample::select(vec![
        r#"{"type":"message","id":"a","content":[{"type":"output_text","text":"abc"}]}"#,
        r#"{"type":"reasoning","id":"b","summary":[{"text":"x"}],"encrypted_content":"s"}"#,
        r#"{"type":"function_call","id":"c","call_id":"k","name":"f","arguments":"{}"}"#,
        r#"{"type":"custom_tool_call","call_id":"l","name":"g","input":"x"}"#,
        r#"{"type":"web_search_call"}"#,
        "null",
    ]);
    let value = prop::sample::select(vec![r#""x""#, r#""{}""#, "null", "1", r#""\ud83d""#, r#""""#]);
    (kind, item, value, 0..3u8, prop::sample::select(vec!["a", "b", "c", ""])).prop_map(
        |(kind, item, value, index, id)| {
            format!(
                r#"{{"type":"{kind}","output_index":{index},"item_id":"{id}","content_index":{index},"item":{item},"part":{item},"delta":{value},"text":{value},"arguments":{value},"annotation":{{}},"response":{{"id":"r","output":[{item}]}}}}"#
            )
        },
    )
}
