use super::*;
use crate::anthropic::count_tokens::{write_count, write_count_request};
use crate::field::Field;
use crate::ir::{
    CacheMark, Content, Effort, Function, Media, Message, Reasoning, ReasoningStyle, Role, Signature, Tool, ToolInput,
};
use crate::raw::Raw;

const OLD: &str = "claude-sonnet-4-20250514";
const NEW: &str = "claude-opus-4-7";

fn text(content: Content) -> Part {
    Part::from(content)
}

fn call(id: &str, name: &str, input: &str) -> Part {
    text(Content::ToolCall {
        id: id.into(),
        name: name.into(),
        namespace: None,
        input: ToolInput::Json(input.into()),
    })
}

fn result(id: &str, content: Vec<Part>, is_error: Option<bool>) -> Part {
    text(Content::ToolResult {
        id: id.into(),
        name: None,
        content,
        is_error,
        custom: false,
    })
}

fn function(name: &str, schema: &str) -> Tool {
    Tool::Function(Function {
        name: name.into(),
        schema: Some(Raw::parse(schema).unwrap()),
        ..Function::default()
    })
}

fn with_messages(messages: Vec<(Role, Vec<Part>)>) -> Request {
    let mut request = foreign(Protocol::OpenaiChat);
    request.messages = messages
        .into_iter()
        .map(|(role, parts)| Message::new(role, parts))
        .collect();
    request
}

/// What stands after `"messages":` in the body for an old model.
fn messages_of(request: &Request) -> String {
    let (body, _) = body_for(OLD, request);
    body.split_once(r#""messages":"#).unwrap().1.to_owned()
}

#[test]
fn a_plain_request_needs_only_a_limit() {
    let (written, losses) = write_for("claude-3-5-haiku-latest", &foreign(Protocol::OpenaiChat));
    let written = written.unwrap();
    assert_eq!(written.path, "/messages");
    assert_eq!(written.headers, [("anthropic-version", "2023-06-01".to_owned())]);
    assert_eq!(
        String::from_utf8(written.body).unwrap(),
        r#"{"model":"claude-3-5-haiku-latest","max_tokens":8192,"messages":[{"role":"user","content":"Hello"}]}"#
    );
    assert!(losses.is_empty());
    assert_eq!(written.memo.provider, "up");
}

#[test]
fn results_of_tools_stand_in_one_message_before_other_words() {
    let request = with_messages(vec![
        (Role::User, vec![Part::text("q")]),
        (
            Role::Assistant,
            vec![Part::text(" \n"), call("functions.f:0", "f.g", "")],
        ),
        (Role::Assistant, vec![call("b", "g", "[1]"), call("c", "g", "{oops")]),
        (Role::User, vec![result("b", vec![], Some(true))]),
        (Role::User, vec![result("functions.f:0", vec![Part::text("ok")], None)]),
        (
            Role::User,
            vec![Part::text("and?"), result("c", vec![Part::text("")], Some(false))],
        ),
    ]);
    let id = crate::tool_names::portable_id("functions.f:0");
    let expected = format!(
        r#"[{{"role":"user","content":"q"}},{{"role":"assistant","content":[{{"type":"tool_use","id":"{id}","name":"f_g","input":{{}}}},{{"type":"tool_use","id":"b","name":"g","input":{{"value":[1]}}}},{{"type":"tool_use","id":"c","name":"g","input":{{"_raw":"{{oops"}}}}]}},{{"role":"user","content":[{{"type":"tool_result","tool_use_id":"{id}","content":"ok"}},{{"type":"tool_result","tool_use_id":"b","content":"The tool failed.","is_error":true}},{{"type":"tool_result","tool_use_id":"c","is_error":false}},{{"type":"text","text":"and?"}}]}}]}}"#
    );
    assert_eq!(messages_of(&request), expected);
    let (_, losses) = body_for(OLD, &request);
    assert_eq!(losses, ["tool_calls.function.arguments=wrapped as an object"]);
}

#[test]
fn ids_that_come_again_are_made_distinct() {
    let turn = |id: &str| {
        vec![
            (Role::Assistant, vec![call(id, "f", "{}")]),
            (Role::User, vec![result(id, vec![Part::text("r")], None)]),
        ]
    };
    let mut messages = vec![(Role::User, vec![Part::text("q")])];
    messages.extend(turn("call_0"));
    messages.extend(turn("call_0"));
    let body = messages_of(&with_messages(messages));
    let second = crate::tool_names::portable_id("call_0#2");
    assert_eq!(body.matches(r#""call_0""#).count(), 2, "{body}");
    assert_eq!(body.matches(&second).count(), 2, "{body}");
}

#[test]
fn both_ends_of_the_conversation_are_mended() {
    let request = with_messages(vec![
        (Role::Assistant, vec![Part::text("Welcome")]),
        (Role::User, vec![Part::text("Hi")]),
        (Role::System, vec![Part::text("French!")]),
        (Role::Assistant, vec![Part::text("Bon  \n")]),
    ]);
    let expected = r#"[{"role":"user","content":"(continue)"},{"role":"assistant","content":"Welcome"},{"role":"user","content":[{"type":"text","text":"Hi"},{"type":"text","text":"<system-reminder>\nFrench!\n</system-reminder>"}]},{"role":"assistant","content":"Bon"}]}"#;
    assert_eq!(messages_of(&request), expected);
    let (body, losses) = body_for(NEW, &request);
    assert!(
        body.contains(r#"{"role":"assistant","content":"Bon"},{"role":"user","content":"(continue)"}]"#),
        "{body}"
    );
    assert_eq!(
        losses,
        [
            "messages[system]=told as a reminder by the user",
            "messages=the user is made to speak first",
            "messages[assistant]=white space at its end cut off",
            "messages[assistant]=not supported by this model, the user asks to go on",
        ]
    );
    let nothing = with_messages(vec![]);
    assert_eq!(messages_of(&nothing), r#"[{"role":"user","content":"(continue)"}]}"#);
}

#[test]
fn thoughts_go_back_only_to_whom_they_came_from() {
    let thought = |signature: Option<Signature>| Part {
        signature,
        ..text(Content::Reasoning {
            text: "hm".into(),
            style: ReasoningStyle::Full,
            redacted: None,
        })
    };
    let own = Signature::made_by(Protocol::Anthropic, "up", "S1");
    let others = [
        Some(Signature::made_by(Protocol::Anthropic, "other", "S2")),
        Some(Signature::made_by(Protocol::Gemini, "up", "S3")),
        None,
    ];
    let conversation = |thoughts: Vec<Part>| {
        let mut parts = vec![Part::text("So")];
        parts.extend(thoughts);
        parts.push(call("a", "f", "{}"));
        let mut request = with_messages(vec![
            (Role::User, vec![Part::text("q")]),
            (Role::Assistant, parts),
            (
                Role::User,
                vec![result("a", vec![Part::text("r")], None), Part::text("reminder")],
            ),
        ]);
        request.tools = vec![function("f", r#"{"type":"object"}"#)];
        request.reasoning = Some(Reasoning {
            effort: Some(Effort::High),
            ..Reasoning::default()
        });
        request
    };
    let (body, losses) = body_for(OLD, &conversation(vec![thought(Some(own.clone()))]));
    assert!(
        body.contains(r#""content":[{"type":"thinking","thinking":"hm","signature":"S1"},{"type":"text","text":"So"}"#),
        "{body}"
    );
    assert!(
        body.contains(r#""thinking":{"type":"enabled","budget_tokens":24576}"#),
        "{body}"
    );
    assert!(losses.is_empty(), "{losses:?}");
    let (body, losses) = body_for(OLD, &conversation(others.into_iter().map(thought).collect()));
    assert!(!body.contains("thinking") && !body.contains("hm"), "{body}");
    assert_eq!(
        losses,
        [
            "messages.reasoning_content=thoughts without this provider's proof dropped",
            "reasoning_effort=no thinking since the thoughts of this turn are missing",
        ]
    );
    // Adaptive thinking does not demand them.
    let (body, _) = body_for(NEW, &conversation(vec![]));
    assert!(body.contains(r#""thinking":{"type":"adaptive"}"#), "{body}");
}

#[test]
fn what_the_model_would_not_see_is_refused() {
    let refused = |content: Content| {
        let request = with_messages(vec![(Role::User, vec![text(content)])]);
        write_for(OLD, &request).0.unwrap_err().field
    };
    let data = |mime: &str| Media::Data {
        mime: Some(mime.into()),
        data: "AAAA".into(),
        filename: None,
    };
    let image = |source| Content::Image { source, detail: None };
    let document = |source| Content::Document {
        source,
        title: None,
        context: None,
        citations: false,
    };
    assert_eq!(
        refused(image(data("image/bmp"))),
        Field::ImageData.spelled(Protocol::OpenaiChat)
    );
    let gs = Media::Url {
        url: "gs://bucket/a.png".into(),
        mime: None,
    };
    assert_eq!(refused(image(gs)), "image_url");
    let file = Media::File {
        protocol: Protocol::OpenaiChat,
        id: "file-1".into(),
    };
    assert_eq!(refused(document(file)), "file.file_id");
    assert_eq!(refused(document(data("application/msword"))), "file");
    assert_eq!(
        refused(Content::Video {
            source: data("video/mp4")
        }),
        "video"
    );
    let audio = Content::Audio {
        source: data("audio/wav"),
        format: None,
        transcript: None,
        id: None,
    };
    assert_eq!(refused(audio), "input_audio");
    let mut several = foreign(Protocol::OpenaiChat);
    several.candidates = Some(2);
    assert_eq!(write_for(OLD, &several).0.unwrap_err().field, "n");
    let mut stored = foreign(Protocol::OpenaiResponses);
    stored
        .extra
        .keep("previous_response_id", Raw::parse("\"resp_1\"").unwrap());
    assert_eq!(write_for(OLD, &stored).0.unwrap_err().field, "previous_response_id");
    let mut sound = foreign(Protocol::OpenaiChat);
    sound.audio = Some(crate::ir::Audio {
        voice: None,
        format: None,
    });
    assert_eq!(write_for(OLD, &sound).0.unwrap_err().field, "modalities");
}

#[test]
fn what_has_no_place_is_noted() {
    let mut request = foreign(Protocol::OpenaiChat);
    request.verbosity = Some("low".into());
    request.cache_key = Some("k".into());
    request.store = Some(true);
    request.metadata = Some(Raw::parse("{}").unwrap());
    request.logprobs = Some(crate::ir::Logprobs { top: None });
    request.service_tier = Some("flex".into());
    request.user = Some("u".into());
    request.stop = vec!["\n".into(), "END".into()];
    request.extra.keep("prediction", Raw::parse("{}").unwrap());
    request.messages[0].name = Some("Ann".into());
    let (body, losses) = body_for(OLD, &request);
    assert!(
        body.ends_with(r#""stop_sequences":["END"],"metadata":{"user_id":"u"},"service_tier":"auto"}"#),
        "{body}"
    );
    assert_eq!(losses.len(), 9, "{losses:?}");
    assert!(losses.contains(&"prediction=no counterpart".to_owned()));
}

#[test]
fn marks_stand_only_where_they_are_accepted() {
    let mut request = read_golden("four-breakpoints-exceeded.json");
    let (body, losses) = body_for(OLD, &request);
    assert_eq!(body.matches("cache_control").count(), 4);
    assert!(
        body.contains(r#"[{"type":"text","text":"Part 0"},{"type":"text","text":"Part 1","cache_control""#),
        "{body}"
    );
    assert_eq!(losses.len(), 1);
    request.system.clear();
    request.messages[0].parts.push(Part {
        cache: Some(CacheMark { ttl: None }),
        ..Part::text(" ")
    });
    let (body, losses) = body_for(OLD, &request);
    assert!(!body.contains("cache_control"), "{body}");
    assert_eq!(losses, ["cache_control=the block under it is not sent"]);
}

#[test]
fn documents_and_images_of_other_callers_are_sent() {
    let part = |mime: &str, data: &str| {
        text(Content::Document {
            source: Media::Data {
                mime: Some(mime.into()),
                data: data.into(),
                filename: Some("notes".into()),
            },
            title: None,
            context: None,
            citations: false,
        })
    };
    let request = with_messages(vec![(
        Role::User,
        vec![part("application/pdf", "AAAA"), part("text/csv", "YSxi")],
    )]);
    assert_eq!(
        messages_of(&request),
        r#"[{"role":"user","content":[{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"AAAA"},"title":"notes"},{"type":"document","source":{"type":"text","media_type":"text/plain","data":"a,b"},"title":"notes"}]}]}"#
    );
}

#[test]
fn the_wrong_media_type_of_an_image_is_mended() {
    let (body, losses) = body_for("claude-opus-4-6", &read_golden("images.json"));
    assert!(body.contains(r#""media_type":"image/png""#) && !body.contains("image/jpeg"));
    assert!(body.contains(r#"{"type":"file","file_id":"file_1"}"#) && losses.is_empty());
}

#[test]
fn the_whole_of_foreign_extras_is_left_out() {
    // A caller of another protocol cannot smuggle the header in.
    let mut request = foreign(Protocol::OpenaiChat);
    request
        .extra
        .keep(crate::anthropic::BILLING_HEADER, Raw::parse("{}").unwrap());
    let (body, losses) = body_for(OLD, &request);
    assert!(!body.contains("billing") && !body.contains("system"), "{body}");
    assert_eq!(losses.len(), 1);
}

#[test]
fn a_count_is_asked_for_without_saying_how_to_answer() {
    let quirks = Quirks::default();
    let target = Target {
        provider: "up",
        model: "claude-opus-4-6",
        quirks: &quirks,
    };
    let mut lost = Losses::new(Protocol::Anthropic);
    let written = write_count_request(&read_golden("count-tokens.json"), &target, &mut lost).unwrap();
    assert_eq!(written.path, "/messages/count_tokens");
    let body = String::from_utf8(written.body).unwrap();
    assert!(
        body.starts_with(r#"{"model":"claude-opus-4-6","system":["#) && body.contains("tools"),
        "{body}"
    );
    let written = write_count_request(&read_golden("claude-code.json"), &target, &mut lost).unwrap();
    let body = String::from_utf8(written.body).unwrap();
    for absent in ["max_tokens", "stream", "metadata", "speed", "diagnostics"] {
        assert!(!body.contains(&format!("\"{absent}\"")), "{absent}: {body}");
    }
    assert!(body.contains("context_management") && body.contains("adaptive"));
    assert_eq!(write_count(12), br#"{"input_tokens":12}"#);
}
