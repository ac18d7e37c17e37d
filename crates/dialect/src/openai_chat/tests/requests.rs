//! Requests of clients, read and written for a provider of the same protocol.

use proptest::prelude::*;

use super::*;
use crate::ir::{Content, Effort, Format, Media, Part, Role, Tool, ToolChoice, ToolInput};

/// What a request amounts to for a provider: what is not told apart on the wire made the same.
fn normal(mut request: Request) -> Request {
    request.include_usage = request.stream;
    request.candidates = request.candidates.filter(|wanted| *wanted != 1);
    let streams = request.stream;
    request.extra.0.retain(|(name, _)| match name.as_str() {
        super::super::read_request::LEGACY => false,
        // Options of a stream that is not asked for mean nothing.
        "stream_options" => streams,
        _ => true,
    });
    request
}

/// Requests that say more on the wire than they did: names that are not allowed, failures told as text, missing names of
/// files and schemas and missing results filled in, nothing left out and no arguments spelled out.
const AMENDED: &[&str] = &[
    "tool-names-odd",
    "tool-result-error",
    "tool-result-missing",
    "tool-result-image",
    "documents",
    "empty-content",
    "json-schema-beside",
];

#[test]
fn a_request_written_for_its_own_protocol_means_the_same() {
    for (name, body) in golden("requests") {
        let mut once = OpenaiChat.read_request(&body, &Address::default()).unwrap();
        let written = written(&once);
        let mut again = read(&written.body);
        for request in [&mut once, &mut again] {
            repair(request, &mut lost());
        }
        if !AMENDED.contains(&name.as_str()) {
            assert_eq!(written.losses, Vec::<String>::new(), "{name}");
            assert_eq!(normal(again), normal(once), "{name}: {}", written.body);
        }
    }
}

#[test]
fn the_simplest_request_stays_simple() {
    let written = written(&request("text"));
    assert_eq!(
        written.body,
        r#"{"model":"gpt-4o","messages":[{"role":"user","content":"Hi"}]}"#
    );
}

#[test]
fn instructions_at_the_beginning_stand_apart() {
    let request = request("system-late");
    assert_eq!(request.system, [Part::text("Be brief.")]);
    let roles: Vec<Role> = request.messages.iter().map(|message| message.role).collect();
    assert_eq!(roles, [Role::User, Role::Assistant, Role::System, Role::User]);
}

#[test]
fn sampling_and_administration_are_understood() {
    let request = request("sampling");
    let sampling = &request.sampling;
    assert_eq!(
        (sampling.temperature, sampling.top_p, sampling.seed),
        (Some(0.7), Some(0.9), Some(42))
    );
    assert_eq!(request.stop, ["\n\n", "END"]);
    assert_eq!((request.candidates, request.max_tokens), (Some(2), Some(100)));
    assert_eq!(request.logprobs.unwrap().top, Some(3));
    let unofficial = super::request("sampling-unofficial");
    assert_eq!((unofficial.sampling.top_k, unofficial.max_tokens), (Some(40), None));
    assert!(unofficial.extra.get("chat_template_kwargs").is_some());
    let administration = super::request("administration");
    assert_eq!(administration.user.as_deref(), Some("new"));
    assert!(administration.extra.get("prediction").is_some());
}

#[test]
fn duplicate_members_and_halves_of_pairs_do_no_harm() {
    let request = request("duplicate-keys");
    assert_eq!((request.model.as_str(), request.sampling.temperature), ("m", Some(0.5)));
    let halves = super::request("surrogates");
    assert_eq!(halves.messages[0].parts, [Part::text("😀 and a half \u{fffd}")]);
}

#[test]
fn numbers_are_carried_as_they_are_spelled() {
    let written = written(&request("tool-arguments-big-numbers"));
    for spelled in [
        r#"{\"z\":12345678901234567890123,\"a\":1.10}"#,
        r#""maximum":123456789012345678901234567890"#,
        r#""default":1.10"#,
        r#""metadata":{"b":"1","a":"2"}"#,
    ] {
        assert!(written.body.contains(spelled), "{spelled} in {}", written.body);
    }
}

#[test]
fn functions_from_before_there_were_tools_are_tools() {
    let request = request("functions-legacy");
    assert_eq!(
        request.tool_choice,
        Some(ToolChoice::Tool {
            name: "get_weather".into()
        })
    );
    assert_eq!(request.parallel_tools, Some(false));
    let Content::ToolCall { id, .. } = &request.messages[1].parts[0].content else {
        panic!()
    };
    let Content::ToolResult { id: answered, name, .. } = &request.messages[2].parts[0].content else {
        panic!()
    };
    assert_eq!((id, name.as_deref()), (answered, Some("get_weather")));
}

#[test]
fn thoughts_come_first_and_once() {
    let request = request("reasoning-openrouter");
    let reasoning = request.reasoning.as_ref().unwrap();
    assert!(reasoning.encrypted);
    assert_eq!(reasoning.budget, Some(2000));
    let parts = &request.messages[1].parts;
    assert_eq!(parts.len(), 3);
    assert!(parts[0].signature.is_some() && parts[1].signature.is_some());
    let both = read(
        r#"{"model":"m","messages":[{"role":"assistant","content":"a","reasoning":"hm","reasoning_content":"hm"}],"reasoning_effort":"xhigh"}"#,
    );
    assert_eq!(both.messages[0].parts.len(), 2);
    assert_eq!(both.reasoning.unwrap().effort, Some(Effort::XHigh));
}

#[test]
fn media_are_understood() {
    let parts = &request("documents").messages[0].parts;
    let Content::Document {
        source: Media::Data { mime, filename, .. },
        ..
    } = &parts[0].content
    else {
        panic!()
    };
    assert_eq!(
        (mime.as_deref(), filename.as_deref()),
        (Some("application/pdf"), Some("a.pdf"))
    );
    let Content::Document {
        source: Media::Data { mime, .. },
        ..
    } = &parts[1].content
    else {
        panic!()
    };
    assert_eq!(mime.as_deref(), Some("application/pdf"));
    assert!(matches!(&parts[2].content, Content::Document { source: Media::File { id, .. }, .. } if id == "file-123"));
    // The bytes of the picture know better than its label.
    let Content::Image { source, .. } = &request("image-data").messages[0].parts[0].content else {
        panic!()
    };
    assert!(matches!(source, Media::Data { mime: Some(mime), .. } if mime == "image/png"));
    assert_eq!(request("image-sloppy").messages[0].parts.len(), 3);
}

#[test]
fn tools_of_all_kinds_are_understood() {
    let custom = request("custom-tools");
    assert!(matches!(&custom.tools[0], Tool::Custom { name, .. } if name == "apply_patch"));
    let call = &custom.messages[1].parts[0].content;
    assert!(matches!(call, Content::ToolCall { input: ToolInput::Text(text), .. } if text.contains("+x")));
    assert!(matches!(
        &custom.messages[2].parts[0].content,
        Content::ToolResult { custom: true, .. }
    ));
    let cursor = request("agent-cursor");
    assert!(matches!(&cursor.tools[0], Tool::Function(function) if function.schema.is_some()));
    assert_eq!(cursor.tool_choice, Some(ToolChoice::Auto));
    let unknown = request("unknown-parts");
    assert!(matches!(&unknown.tools[0], Tool::Foreign { kind, .. } if kind == "web_search"));
    assert!(matches!(&unknown.messages[0].parts[1].content, Content::Foreign { .. }));
    assert!(matches!(
        request("json-schema-beside").format,
        Format::JsonSchema { name: None, .. }
    ));
}

#[test]
fn a_call_without_text_has_no_text() {
    let request = request("empty-content");
    assert_eq!(request.messages[1].parts.len(), 1);
}

#[test]
fn what_cannot_be_meant_is_refused_by_name() {
    let cases = [
        ("[]", "`body` must be an object"),
        ("{}", "`model` is missing"),
        (r#"{"model":1,"messages":[]}"#, "`model` must be a string"),
        (r#"{"model":"m"}"#, "`messages` is missing"),
        (r#"{"model":"m","messages":{}}"#, "`messages` must be a list"),
        (r#"{"model":"m","messages":[1]}"#, "`messages[0]` must be an object"),
        (
            r#"{"model":"m","messages":[{"role":"user","content":1}]}"#,
            "`messages[0].content` must be a string or a list of parts",
        ),
        (
            r#"{"model":"m","messages":[{"role":"user","content":[{"type":"text"}]}]}"#,
            "`messages[0].content[0].text` must be a string",
        ),
        (
            r#"{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:x"}}]}]}"#,
            "`messages[0].content[0].image_url.url` must be a URL or a data URI in base64",
        ),
        (
            r#"{"model":"m","messages":[{"role":"tool","content":"x"}]}"#,
            "`messages[0].tool_call_id` is missing",
        ),
        (
            r#"{"model":"m","messages":[{"role":"assistant","tool_calls":[{"id":"x"}]}]}"#,
            "`messages[0].tool_calls[0].function.name` must be a string",
        ),
        (
            r#"{"model":"m","messages":[],"temperature":"hot"}"#,
            "`temperature` must be a number",
        ),
        (
            r#"{"model":"m","messages":[],"stop":[1]}"#,
            "`stop` must be a string or a list of strings",
        ),
        (
            r#"{"model":"m","messages":[],"tools":[{"type":"function"}]}"#,
            "`tools[0].function.name` must be a string that is not empty",
        ),
        (
            r#"{"model":"m","messages":[],"tool_choice":"f"}"#,
            "`tool_choice` must be `none`, `auto`, `required` or an object",
        ),
        (
            r#"{"model":"m","messages":[],"response_format":{"type":"json_schema"}}"#,
            "`response_format.json_schema` must be an object",
        ),
    ];
    for (body, expected) in cases {
        let malformed = OpenaiChat
            .read_request(body.as_bytes(), &Address::default())
            .unwrap_err();
        assert_eq!(malformed.to_string(), expected);
    }
    let role = r#"{"model":"m","messages":[{"role":"robot","content":"x"}]}"#;
    assert!(OpenaiChat.read_request(role.as_bytes(), &Address::default()).is_err());
}

#[test]
fn options_of_a_stream_that_is_not_asked_for_are_left_out() {
    let request = read(r#"{"model":"m","messages":[],"stream_options":{"include_obfuscation":false}}"#);
    let written = written(&request);
    assert_eq!(written.body, r#"{"model":"m","messages":[]}"#);
    assert_eq!(written.losses, ["stream_options: no stream is asked for"]);
}

/// The members of a request that is made of several of the suite: the later one's, and the messages of all.
fn combined(chosen: &[usize]) -> String {
    let suite: Vec<_> = golden("requests")
        .into_iter()
        .filter(|(name, _)| !AMENDED.contains(&name.as_str()) && name != "functions-legacy" && name != "duplicate-keys")
        .collect();
    let mut members = serde_json::Map::new();
    let mut messages = Vec::new();
    for at in chosen {
        let body: serde_json::Value = match serde_json::from_slice(&suite[at % suite.len()].1) {
            Ok(body) => body,
            // It does not know halves of pairs.
            Err(_) => continue,
        };
        messages.extend(body["messages"].as_array().unwrap().clone());
        members.extend(body.as_object().unwrap().clone());
    }
    members.insert("model".into(), "m".into());
    members.insert("messages".into(), messages.into());
    serde_json::Value::Object(members).to_string()
}

proptest! {
    #[test]
    fn whatever_is_asked_for_means_the_same_when_written(chosen in prop::collection::vec(0..100usize, 1..5)) {
        let mut once = read(&combined(&chosen));
        let written = written(&once);
        let mut again = read(&written.body);
        for request in [&mut once, &mut again] {
            repair(request, &mut lost());
            if request.tools.is_empty() {
                // Says nothing then, and is refused.
                request.parallel_tools = None;
            }
        }
        prop_assert_eq!(normal(again), normal(once), "{}", written.body);
    }
}
