//! Requests of other protocols, written for providers of this one.

use super::*;
use crate::ir::{
    Audio, CacheMark, Content, Effort, Format, Function, Media, Message, Part, Reasoning, ReasoningStyle, Role,
    Signature, Tool, ToolChoice, ToolInput,
};
use crate::quirks::MaxTokensName;
use crate::raw::Raw;

fn foreign() -> Request {
    let mut request = Request::new(Protocol::Anthropic, "m");
    request.messages = vec![Message::new(Role::User, vec![Part::text("q")])];
    request
}

fn data(mime: &str, data: &str) -> Media {
    Media::Data {
        mime: Some(mime.into()),
        data: data.into(),
        filename: None,
    }
}

fn call(id: &str, name: &str, input: ToolInput) -> Part {
    Content::ToolCall {
        id: id.into(),
        name: name.into(),
        namespace: None,
        input,
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

fn function(name: &str) -> Tool {
    Tool::Function(Function {
        name: name.into(),
        ..Function::default()
    })
}

fn image() -> Part {
    Content::Image {
        source: data("image/png", "QUJD"),
        detail: None,
    }
    .into()
}

/// The messages of what was written.
fn messages(request: &Request) -> String {
    let body = written(request).body;
    let node = crate::tree::Node::parse_text(&body).unwrap();
    node.get("messages").raw().to_owned()
}

#[test]
fn blocks_of_instructions_become_one_text() {
    let mut request = foreign();
    request.system = vec![
        Part::text("One."),
        Part {
            cache: Some(CacheMark { ttl: Some("1h".into()) }),
            ..Part::text("Two.")
        },
    ];
    let plain = written(&request);
    assert!(
        plain.body.contains(r#"{"role":"system","content":"One.\n\nTwo."}"#),
        "{}",
        plain.body
    );
    assert_eq!(plain.losses, ["cache_control: not supported"]);
    let marked = write(&request, "gpt-5.6", &Quirks::default()).unwrap();
    let expected = r#"[{"type":"text","text":"One."},{"type":"text","text":"Two.","prompt_cache_breakpoint":{"mode":"explicit"}}]"#;
    assert!(marked.body.contains(expected), "{}", marked.body);
}

#[test]
fn results_are_messages_of_their_own_and_pictures_follow() {
    let mut request = foreign();
    request.messages.push(Message::new(
        Role::Assistant,
        vec![
            Part::text("ok"),
            call("functions.f:0", "f", ToolInput::Json(String::new())),
            call("b", "g", ToolInput::Json("{\"x\":1}".into())),
        ],
    ));
    request.messages.push(Message::new(
        Role::User,
        vec![
            result("functions.f:0", vec![Part::text("a"), image()], None),
            result("b", vec![Part::text("bad")], Some(true)),
            Part::text("and now?"),
        ],
    ));
    request.tools = vec![function("f"), function("g")];
    let id = crate::tool_names::portable_id("functions.f:0");
    let expected = [
        r#"{"role":"user","content":"q"}"#.to_owned(),
        format!(
            r#"{{"role":"assistant","content":"ok","tool_calls":[{{"id":"{id}","type":"function","function":{{"name":"f","arguments":"{{}}"}}}},{{"id":"b","type":"function","function":{{"name":"g","arguments":"{{\"x\":1}}"}}}}]}}"#
        ),
        format!(r#"{{"role":"tool","tool_call_id":"{id}","content":"a"}}"#),
        r#"{"role":"tool","tool_call_id":"b","content":"{\"error\":\"bad\"}"}"#.to_owned(),
        r#"{"role":"user","content":[{"type":"text","text":"[Result of tool call functions.f:0]"},{"type":"image_url","image_url":{"url":"data:image/png;base64,QUJD"}},{"type":"text","text":"and now?"}]}"#.to_owned(),
    ];
    assert_eq!(messages(&request), format!("[{}]", expected.join(",")));
    let losses = written(&request).losses;
    assert_eq!(
        losses,
        [
            "tool_result.content: moved to the next message",
            "tool_result.is_error: told in the text"
        ]
    );
}

#[test]
fn proofs_go_only_to_who_made_them() {
    let thought = |signature: Option<Signature>| Part {
        signature,
        ..Content::Reasoning {
            text: "hm".into(),
            style: ReasoningStyle::Full,
            redacted: None,
        }
        .into()
    };
    let detail = r#"{"type":"reasoning.text","signature":"s","index":0}"#;
    let cases = [
        (
            Some(Signature::made_by(Protocol::OpenaiChat, "up", detail)),
            r#","reasoning_details":[{"type":"reasoning.text","text":"hm","signature":"s","index":0}]"#,
            0,
        ),
        (Some(Signature::made_by(Protocol::OpenaiChat, "other", detail)), "", 1),
        (Some(Signature::made_by(Protocol::Anthropic, "up", "s")), "", 1),
        (None, "", 1),
    ];
    for (signature, expected, losses) in cases {
        let mut request = foreign();
        request
            .messages
            .push(Message::new(Role::Assistant, vec![thought(signature), Part::text("a")]));
        let expected = format!(r#"[{{"role":"user","content":"q"}},{{"role":"assistant","content":"a"{expected}}}]"#);
        assert_eq!(messages(&request), expected);
        let noted = written(&request).losses;
        let prefill = "messages[assistant]: the model may begin anew";
        assert_eq!(noted.iter().filter(|loss| *loss != prefill).count(), losses);
    }
    let mut request = foreign();
    let mut signed = call("a", "f", ToolInput::Json("{}".into()));
    signed.signature = Some(Signature::made_by(Protocol::OpenaiChat, "up", "AbC"));
    request
        .messages
        .push(Message::new(Role::Assistant, vec![signed.clone()]));
    assert!(messages(&request).contains(r#""extra_content":{"google":{"thought_signature":"AbC"}}"#));
    signed.signature = Some(Signature::made_by(Protocol::Gemini, "up", "AbC"));
    request.messages[1] = Message::new(Role::Assistant, vec![signed]);
    assert!(!written(&request).body.contains("AbC"));
}

#[test]
fn custom_tools_and_groups_of_tools_are_functions() {
    let mut request = foreign();
    request.tools = vec![
        Tool::Custom {
            name: "patch".into(),
            namespace: None,
            description: Some("Patches.".into()),
            format: Some(
                Raw::parse(r#"{"type":"grammar","grammar":{"definition":"start: x","syntax":"lark"}}"#).unwrap(),
            ),
            extra: crate::ir::Extra::default(),
        },
        Tool::Function(Function {
            name: "read".into(),
            namespace: Some("files".into()),
            strict: Some(true),
            ..Function::default()
        }),
        Tool::Foreign {
            protocol: Protocol::Anthropic,
            kind: "web_search".into(),
            raw: Raw::parse("{}").unwrap(),
        },
    ];
    request.tool_choice = Some(ToolChoice::Tool { name: "read".into() });
    request.parallel_tools = Some(false);
    request.messages.push(Message::new(
        Role::Assistant,
        vec![call("a", "patch", ToolInput::Text("x".into()))],
    ));
    let written = written(&request);
    let expected = r#""tools":[{"type":"function","function":{"name":"patch","description":"Patches.\n\n`input` must satisfy this lark grammar:\nstart: x","parameters":{"type":"object","properties":{"input":{"type":"string"}},"required":["input"],"additionalProperties":false}}},{"type":"function","function":{"name":"files__read","parameters":{"type":"object","properties":{}},"strict":true}}],"tool_choice":{"type":"function","function":{"name":"files__read"}},"parallel_tool_calls":false}"#;
    assert!(written.body.ends_with(expected), "{}", written.body);
    assert!(written.body.contains(r#""arguments":"{\"input\":\"x\"}""#));
    assert!(written.memo.tools["patch"].custom);
    assert_eq!(written.memo.tools["files__read"].namespace.as_deref(), Some("files"));
    let expected = [
        "tools[custom]: offered as a function",
        "tools: not supported",
        "messages[assistant]: the model may begin anew",
    ];
    assert_eq!(written.losses, expected);
}

#[test]
fn quirks_are_respected() {
    let mut request = foreign();
    request.stream = true;
    request.max_tokens = Some(5);
    request.sampling.seed = Some(1);
    request.sampling.top_k = Some(4);
    request.sampling.temperature = Some(3.0);
    request.logprobs = Some(crate::ir::Logprobs { top: Some(2) });
    request.format = Format::JsonSchema {
        name: Some("a b".into()),
        description: None,
        schema: Raw::parse("{}").unwrap(),
        strict: Some(true),
    };
    request.tools = vec![Tool::Function(Function {
        name: "f".into(),
        strict: Some(true),
        ..Function::default()
    })];
    request.tool_choice = Some(ToolChoice::Required);
    request.parallel_tools = Some(true);
    request.user = Some("u".into());
    let fixed = write(&request, "o3", &Quirks::default()).unwrap();
    let reasons = "fixed in reasoning models";
    let unknown = "top_k: not supported by the provider".to_owned();
    assert_eq!(
        fixed.losses,
        [
            format!("temperature: {reasons}"),
            unknown.clone(),
            format!("logprobs: {reasons}")
        ]
    );
    request.sampling.temperature = None;
    let full = write(&request, "gpt-5.2", &Quirks::default()).unwrap();
    assert_eq!(
        full.body,
        r#"{"model":"gpt-5.2","messages":[{"role":"user","content":"q"}],"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{}},"strict":true}}],"tool_choice":"required","parallel_tool_calls":true,"max_completion_tokens":5,"seed":1,"logprobs":true,"top_logprobs":2,"response_format":{"type":"json_schema","json_schema":{"name":"a_b","schema":{},"strict":true}},"safety_identifier":"u","stream":true,"stream_options":{"include_usage":true}}"#
    );
    assert_eq!(full.losses, [unknown]);
    let poor = Quirks {
        stream_usage: false,
        max_tokens: Some(MaxTokensName::MaxTokens),
        parallel_tool_calls: false,
        logprobs: false,
        json_schema: false,
        strict_tools: false,
        seed: false,
        tool_choice_required: false,
        unsupported: vec!["user".into()],
        ..Quirks::default()
    };
    let least = write(&request, "gpt-5.2", &poor).unwrap();
    assert_eq!(
        least.body,
        r#"{"model":"gpt-5.2","messages":[{"role":"system","content":"Answer with a JSON object that satisfies this JSON Schema, and nothing else:\n{}"},{"role":"user","content":"q"}],"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{}}}}],"max_tokens":5,"response_format":{"type":"json_object"},"stream":true}"#
    );
    assert_eq!(least.losses.len(), 8, "{:?}", least.losses);
    request.sampling.temperature = Some(3.0);
    let clamped = write(&request, "llama", &Quirks::default()).unwrap();
    assert!(clamped.body.contains(r#""max_tokens":5,"temperature":2.0"#) && clamped.body.contains(r#""user":"u""#));
}

#[test]
fn effort_is_told_in_words() {
    let cases = [
        (
            Reasoning {
                effort: Some(Effort::Max),
                ..Reasoning::default()
            },
            "gpt-5.2",
            Some("xhigh"),
        ),
        (
            Reasoning {
                enabled: Some(true),
                budget: Some(2000),
                ..Reasoning::default()
            },
            "gpt-5",
            Some("low"),
        ),
        (
            Reasoning {
                enabled: Some(false),
                ..Reasoning::default()
            },
            "qwen3",
            Some("none"),
        ),
        (
            Reasoning {
                enabled: Some(false),
                ..Reasoning::default()
            },
            "gpt-5",
            Some("minimal"),
        ),
        (
            Reasoning {
                enabled: Some(false),
                ..Reasoning::default()
            },
            "gpt-4o",
            None,
        ),
        (
            Reasoning {
                effort: Some(Effort::High),
                ..Reasoning::default()
            },
            "gpt-4o",
            None,
        ),
        (
            Reasoning {
                adaptive: true,
                ..Reasoning::default()
            },
            "gpt-5",
            None,
        ),
    ];
    for (reasoning, model, effort) in cases {
        let mut request = foreign();
        request.reasoning = Some(reasoning);
        let body = write(&request, model, &Quirks::default()).unwrap().body;
        let expected = effort.map(|effort| format!(r#""reasoning_effort":"{effort}""#));
        assert_eq!(body.contains("reasoning_effort"), expected.is_some(), "{body}");
        assert!(expected.is_none_or(|expected| body.contains(&expected)), "{body}");
    }
}

#[test]
fn documents_are_files_or_texts() {
    let document = |source: Media| {
        let mut request = foreign();
        let content = Content::Document {
            source,
            title: Some("Paper".into()),
            context: None,
            citations: false,
        };
        request.messages[0].parts = vec![content.into()];
        request
    };
    let pdf = messages(&document(data("application/pdf", "JVBERi0=")));
    assert_eq!(
        pdf,
        r#"[{"role":"user","content":[{"type":"file","file":{"filename":"Paper.pdf","file_data":"data:application/pdf;base64,JVBERi0="}}]}]"#
    );
    let text = messages(&document(Media::Text {
        text: "t".into(),
        filename: None,
    }));
    assert_eq!(text, r#"[{"role":"user","content":"Paper\n\nt"}]"#);
    let plain = messages(&document(data("text/plain", "aGk=")));
    assert_eq!(plain, r#"[{"role":"user","content":"Paper\n\nhi"}]"#);
    let own = messages(&document(Media::File {
        protocol: Protocol::OpenaiResponses,
        id: "file-1".into(),
    }));
    assert!(own.contains(r#""file":{"file_id":"file-1""#));
}

#[test]
fn what_the_model_would_not_see_is_refused() {
    let with = |content: Content| {
        let mut request = foreign();
        request.messages[0].parts.push(content.into());
        request
    };
    let url = || Media::Url {
        url: "https://x/y".into(),
        mime: None,
    };
    let file = || Media::File {
        protocol: Protocol::Anthropic,
        id: "f".into(),
    };
    let document = |source| Content::Document {
        source,
        title: None,
        context: None,
        citations: false,
    };
    let mut many = foreign();
    many.candidates = Some(2);
    let mut stored = Request {
        from: Protocol::OpenaiResponses,
        ..foreign()
    };
    stored.extra.keep("previous_response_id", Raw::parse("\"r\"").unwrap());
    let mut nothing = foreign();
    nothing.max_tokens = Some(0);
    let mut speaks = foreign();
    speaks.audio = Some(Audio {
        voice: None,
        format: None,
    });
    let cases = [
        with(document(url())),
        with(document(file())),
        with(Content::Image {
            source: file(),
            detail: None,
        }),
        with(Content::Audio {
            source: url(),
            format: None,
            transcript: None,
            id: None,
        }),
        with(Content::Video { source: url() }),
        many,
        stored,
        nothing,
        speaks,
    ];
    let quirks = Quirks {
        multiple_choices: false,
        unsupported: vec!["audio".into()],
        ..Quirks::default()
    };
    for case in cases {
        assert!(write(&case, "m", &quirks).is_err(), "{case:?}");
    }
}

#[test]
fn a_choice_without_tools_is_left_out() {
    let mut request = foreign();
    request.tool_choice = Some(ToolChoice::Auto);
    request.parallel_tools = Some(false);
    assert_eq!(
        written(&request).body,
        r#"{"model":"m","messages":[{"role":"user","content":"q"}]}"#
    );
}

#[test]
fn a_choice_among_some_tools_is_made_by_leaving_out_the_others() {
    let mut request = foreign();
    request.tools = vec![function("f"), function("g")];
    request.tool_choice = Some(ToolChoice::Allowed {
        names: vec!["g".into()],
        required: true,
    });
    let body = written(&request).body;
    assert!(
        !body.contains(r#""name":"f""#) && body.contains(r#""tool_choice":"required""#),
        "{body}"
    );
    let native = write(&request, "gpt-5", &Quirks::default()).unwrap().body;
    assert!(native.contains(r#""tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"required","tools":[{"type":"function","function":{"name":"g"}}]}}"#), "{native}");
}

#[test]
fn thoughts_go_back_to_who_told_them_in_the_clear() {
    let thought = |provider: &str, name: &str| Part {
        signature: Some(Signature {
            item: Some(crate::signature::PLAIN.to_owned()),
            ..Signature::made_by(Protocol::OpenaiChat, provider, name)
        }),
        ..Content::Reasoning {
            text: "hm".into(),
            style: ReasoningStyle::Full,
            redacted: None,
        }
        .into()
    };
    let called = || vec![call("1", "f", ToolInput::Json("{}".into()))];
    let said = || vec![Part::text("a")];
    // who told them, under which name, what comes after them, what is sent
    let cases = [
        ("up", "reasoning_content", called(), Some(r#""reasoning_content":"hm""#)),
        ("up", "reasoning", called(), Some(r#""reasoning":"hm""#)),
        // Not a name that thoughts are told under, whoever says so.
        ("up", "role", called(), Some(r#""reasoning_content":"hm""#)),
        ("up", "reasoning_content", said(), None),
        ("other", "reasoning_content", called(), None),
    ];
    for (provider, name, after, sent) in cases {
        let mut request = foreign();
        let mut parts = vec![thought(provider, name)];
        parts.extend(after);
        request.messages.push(Message::new(Role::Assistant, parts));
        request.messages.push(Message::new(Role::User, vec![Part::text("on")]));
        let written = write(&request, "m", &Quirks::default()).unwrap();
        assert_eq!(written.body.contains("\"hm\""), sent.is_some(), "{}", written.body);
        assert!(sent.is_none_or(|sent| written.body.contains(sent)), "{}", written.body);
        let is_lost = written.losses.iter().any(|loss| loss.contains("[thinking]"));
        assert_eq!(is_lost, provider != "up", "{:?}", written.losses);
    }
}
