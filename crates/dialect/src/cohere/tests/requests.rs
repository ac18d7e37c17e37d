use proptest::prelude::*;

use crate::Protocol;
use crate::codec::{Outgoing, Target, UpstreamSide};
use crate::cohere::Cohere;
use crate::ir::*;
use crate::loss::{Losses, Unsayable};
use crate::quirks::Quirks;
use crate::raw::Raw;
use crate::tree::Node;

pub(super) fn request() -> Request {
    let mut request = Request::new(Protocol::OpenaiChat, "alias");
    request.messages = vec![Message::new(Role::User, vec![Part::text("Hi")])];
    request
}

pub(super) fn attempt(request: &Request) -> (Result<Outgoing, Unsayable>, Vec<String>) {
    let quirks = Quirks::default();
    let target = Target {
        provider: "cohere",
        model: "command-a",
        quirks: &quirks,
    };
    let mut lost = Losses::new(request.from);
    let outgoing = Cohere.write_request(request, &target, &mut lost);
    let lost = lost
        .listed()
        .iter()
        .map(|loss| format!("{}: {}", loss.field, loss.reason));
    (outgoing, lost.collect())
}

pub(super) fn written(request: &Request) -> (String, Vec<String>) {
    let (outgoing, lost) = attempt(request);
    let body = String::from_utf8(outgoing.unwrap().body).unwrap();
    Raw::parse(&body).unwrap();
    (body, lost)
}

/// The members of the body that are not always there.
pub(super) fn members(request: &Request) -> (String, Vec<String>) {
    let (body, lost) = written(request);
    let head = r#"{"model":"command-a","messages":[{"role":"user","content":"Hi"}],"stream":false"#;
    let rest = body.strip_prefix(head).unwrap_or_else(|| panic!("{body}"));
    let rest = rest.strip_suffix('}').unwrap();
    (rest.trim_start_matches(',').to_owned(), lost)
}

fn messages(messages: Vec<Message>) -> (String, Vec<String>) {
    let mut request = request();
    request.messages = messages;
    let (body, lost) = written(&request);
    (Node::parse_text(&body).unwrap().get("messages").raw().to_owned(), lost)
}

pub(super) fn refused(request: &Request) -> String {
    attempt(request).0.unwrap_err().to_string()
}

fn call(id: &str, name: &str, arguments: &str) -> Part {
    Content::ToolCall {
        id: id.into(),
        name: name.into(),
        namespace: None,
        input: ToolInput::Json(arguments.into()),
    }
    .into()
}

fn result(id: &str, content: Vec<Part>, is_error: Option<bool>) -> Part {
    Content::ToolResult {
        id: id.into(),
        name: None,
        content,
        is_error,
        custom: false,
    }
    .into()
}

fn thought(text: &str) -> Part {
    Content::Reasoning {
        text: text.into(),
        style: ReasoningStyle::Full,
        redacted: None,
    }
    .into()
}

fn image(source: Media, detail: Option<&str>) -> Part {
    let detail = detail.map(str::to_owned);
    Content::Image { source, detail }.into()
}

fn web(url: &str) -> Media {
    Media::Url {
        url: url.into(),
        mime: None,
    }
}

fn document(source: Media) -> Part {
    Content::Document {
        source,
        title: Some("Notes".into()),
        context: None,
        citations: false,
    }
    .into()
}

fn paper(text: &str) -> Media {
    Media::Text {
        text: text.into(),
        filename: None,
    }
}

#[test]
fn a_plain_request_has_nothing_but_what_was_said() {
    let mut request = request();
    request.stream = true;
    let (body, lost) = written(&request);
    assert_eq!(
        body,
        r#"{"model":"command-a","messages":[{"role":"user","content":"Hi"}],"stream":true}"#
    );
    assert!(lost.is_empty());
    let outgoing = attempt(&request).0.unwrap();
    assert_eq!(
        (outgoing.path.as_str(), outgoing.memo.provider.as_str()),
        ("/chat", "cohere")
    );
}

#[test]
fn instructions_keep_their_place() {
    let mut request = request();
    request.system = vec![Part::text("one"), Part::text(""), Part::text("two")];
    request
        .messages
        .push(Message::new(Role::Assistant, vec![Part::text("Hello")]));
    request
        .messages
        .push(Message::new(Role::System, vec![Part::text("be brief")]));
    request
        .messages
        .push(Message::new(Role::User, vec![Part::text("And?")]));
    let (body, lost) = written(&request);
    assert!(body.contains(
        r#"[{"role":"system","content":[{"type":"text","text":"one"},{"type":"text","text":"two"}]},{"role":"user","content":"Hi"},{"role":"assistant","content":"Hello"},{"role":"system","content":"be brief"},{"role":"user","content":"And?"}]"#
    ));
    assert!(lost.is_empty());
}

#[test]
fn pictures_are_addresses() {
    let data = Media::Data {
        mime: Some("image/jpeg".into()),
        data: "/9j/".into(),
        filename: None,
    };
    let user = vec![
        Part::text("see"),
        image(web("https://a/b.png"), Some("low")),
        image(data, Some("original")),
    ];
    let (body, lost) = messages(vec![Message::new(Role::User, user)]);
    assert_eq!(
        body,
        r#"[{"role":"user","content":[{"type":"text","text":"see"},{"type":"image_url","image_url":{"url":"https://a/b.png","detail":"low"}},{"type":"image_url","image_url":{"url":"data:image/jpeg;base64,/9j/","detail":"high"}}]}]"#
    );
    assert_eq!(lost, ["image_url.detail: sent as high"]);
}

#[test]
fn what_the_model_would_not_see_is_refused() {
    let file = || Media::File {
        protocol: Protocol::OpenaiChat,
        id: "file-1".into(),
    };
    let pdf = Media::Data {
        mime: Some("application/pdf".into()),
        data: "JVBERi0=".into(),
        filename: None,
    };
    let sound = Content::Audio {
        source: web("https://a"),
        format: None,
        transcript: None,
        id: None,
    };
    let movie = Content::Video {
        source: web("https://a"),
    };
    for (part, field) in [
        (image(file(), None), "file.file_id"),
        (document(file()), "file.file_id"),
        (document(pdf), "file"),
        (document(web("https://a/b.pdf")), "file"),
        (sound.into(), "input_audio"),
        (movie.into(), "video"),
    ] {
        let mut request = request();
        request.messages[0].parts.push(part);
        assert!(
            refused(&request).starts_with(&format!("`{field}`: ")),
            "{field}: {}",
            refused(&request)
        );
    }
}

#[test]
fn documents_are_told_as_text() {
    let encoded = Media::Data {
        mime: Some("text/plain".into()),
        data: "aGV5".into(),
        filename: None,
    };
    let user = vec![document(paper("a\nb")), document(encoded)];
    let (body, lost) = messages(vec![Message::new(Role::User, user)]);
    assert_eq!(
        body,
        r#"[{"role":"user","content":[{"type":"text","text":"Notes\n\na\nb"},{"type":"text","text":"Notes\n\nhey"}]}]"#
    );
    assert_eq!(lost, ["file: told as text"]);
}

/// Case 111.
#[test]
fn what_is_said_before_calls_is_their_plan() {
    let assistant = vec![
        thought("hm"),
        Part::text("I will look."),
        call("f.1:0", "f", "{\"x\":12345678901234567890.10}"),
        call("g_1", "g", ""),
    ];
    let results = vec![
        result("f.1:0", vec![Part::text("1")], None),
        result("g_1", vec![], Some(true)),
        Part::text("go on"),
    ];
    let (body, lost) = messages(vec![
        Message::new(Role::Assistant, assistant),
        Message::new(Role::User, results),
    ]);
    let id = crate::tool_names::portable_id("f.1:0");
    assert_eq!(
        body,
        format!(
            r#"[{{"role":"assistant","content":[{{"type":"thinking","thinking":"hm"}}],"tool_plan":"I will look.","tool_calls":[{{"id":"{id}","type":"function","function":{{"name":"f","arguments":"{{\"x\":12345678901234567890.10}}"}}}},{{"id":"g_1","type":"function","function":{{"name":"g","arguments":"{{}}"}}}}]}},{{"role":"tool","tool_call_id":"{id}","content":"1"}},{{"role":"tool","tool_call_id":"g_1","content":"Error:"}},{{"role":"user","content":"go on"}}]"#
        )
    );
    assert_eq!(lost, ["messages[tool].is_error: told as text"]);
}

/// Case 117.
#[test]
fn tools_answer_in_texts_and_documents() {
    let content = vec![
        Part::text("see"),
        document(paper("long")),
        image(web("https://a"), None),
    ];
    let (body, lost) = messages(vec![Message::new(Role::User, vec![result("c", content, Some(true))])]);
    assert_eq!(
        body,
        r#"[{"role":"tool","tool_call_id":"c","content":[{"type":"text","text":"Error: see"},{"type":"document","document":{"data":{"title":"Notes","text":"long"}}},{"type":"text","text":"[image]"}]}]"#
    );
    assert_eq!(
        lost,
        [
            "messages[tool].content: picture replaced by a placeholder",
            "messages[tool].is_error: told as text"
        ]
    );
}

/// Case 118.
#[test]
fn thoughts_are_sent_back_without_their_proofs() {
    let signed = Part {
        signature: Some(Signature::made_by(Protocol::Anthropic, "anthropic", "sig")),
        ..thought("hm")
    };
    let hidden = Content::Reasoning {
        text: String::new(),
        style: ReasoningStyle::Full,
        redacted: Some("xyz".into()),
    };
    let assistant = vec![signed, hidden.into(), Part::text("4")];
    let (body, lost) = messages(vec![
        Message::new(Role::Assistant, assistant),
        Message::new(Role::User, vec![Part::text("why?")]),
    ]);
    assert_eq!(
        body,
        r#"[{"role":"assistant","content":[{"type":"thinking","thinking":"hm"},{"type":"text","text":"4"}]},{"role":"user","content":"why?"}]"#
    );
    assert_eq!(
        lost,
        [
            "messages.reasoning_content: proof of another provider dropped",
            "messages.reasoning_content: hidden thoughts dropped"
        ]
    );
}

fn any_part() -> impl Strategy<Value = Part> {
    prop_oneof![
        ".{0,8}".prop_map(Part::text),
        "[a-z]{0,4}".prop_map(|text| thought(&text)),
        ("[a-z.]{0,3}", "[a-zA-Z. ]{1,70}", "[{}a-z\"]{0,6}")
            .prop_map(|(id, name, arguments)| call(&id, &name, &arguments)),
        (
            "[a-z.]{0,3}",
            prop::collection::vec(".{0,4}".prop_map(Part::text), 0..3),
            any::<Option<bool>>()
        )
            .prop_map(|(id, content, is_error)| result(&id, content, is_error)),
        Just(image(web("https://a/b"), None)),
        Just(document(paper("text"))),
        ".{0,4}".prop_map(|text| Content::Refusal { text }.into()),
    ]
}

fn any_message() -> impl Strategy<Value = Message> {
    let role = prop_oneof![Just(Role::User), Just(Role::Assistant), Just(Role::System)];
    (role, prop::collection::vec(any_part(), 0..4)).prop_map(|(role, parts)| Message::new(role, parts))
}

proptest! {
    #[test]
    fn every_request_becomes_json(messages in prop::collection::vec(any_message(), 0..6), stream: bool) {
        let mut request = request();
        request.messages = messages;
        request.stream = stream;
        let mut lost = Losses::new(request.from);
        crate::repair::repair(&mut request, &mut lost);
        if let Ok(outgoing) = attempt(&request).0 {
            let node = Node::parse(&outgoing.body).unwrap();
            let calls: usize = node.get("messages").items().iter().map(|it| it.get("tool_calls").items().len()).sum();
            let results = node.get("messages").items().iter().filter(|it| it.get("role").text() == Some("tool")).count();
            prop_assert!(calls >= results);
            prop_assert_eq!(node.get("stream").bool(), Some(stream));
        }
    }
}
