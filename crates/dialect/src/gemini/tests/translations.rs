use super::*;
use crate::ir::{
    CacheMark, Effort, Format, Function, Message, Reasoning, ReasoningStyle, Role, Show, Signature, Tool, ToolChoice,
};
use crate::raw::Raw;

#[test]
fn the_order_of_results_is_that_of_the_calls_and_they_stand_alone() {
    let request = read(&golden_file("requests", "calls-without-ids"));
    let (_, body, _, _) = written_for(&request, "gemini-2.5-flash");
    let order: Vec<usize> = ["first", "second", "third"]
        .iter()
        .map(|word| body.find(word).unwrap())
        .collect();
    assert!(order.is_sorted(), "{body}");
    assert!(!body.contains("call_by_order"), "{body}");
    let mut other = Request::new(Protocol::Anthropic, "m");
    other.messages = vec![
        Message::new(Role::User, vec![Part::text("go")]),
        Message::new(Role::Assistant, vec![call("a", "f"), call("b", "g")]),
        Message::new(
            Role::User,
            vec![result("b", "two"), result("a", "one"), Part::text("and then?")],
        ),
    ];
    assert_eq!(
        written(&other),
        r#"{"contents":[{"role":"user","parts":[{"text":"go"}]},{"role":"model","parts":[{"functionCall":{"name":"f","args":{}}},{"functionCall":{"name":"g","args":{}}}]},{"role":"user","parts":[{"functionResponse":{"name":"f","response":{"output":"one"}}},{"functionResponse":{"name":"g","response":{"output":"two"}}}]},{"role":"user","parts":[{"text":"and then?"}]}]}"#
    );
}

#[test]
fn gemini_3_gets_a_stand_in_for_the_proof_of_the_first_call() {
    let mut request = Request::new(Protocol::OpenaiChat, "m");
    let foreign = Part {
        signature: Some(Signature::made_by(Protocol::Anthropic, "anthropic", "theirs")),
        ..call("a", "f")
    };
    request.messages = vec![
        Message::new(Role::User, vec![Part::text("go")]),
        Message::new(Role::Assistant, vec![foreign, call("b", "g")]),
        Message::new(Role::User, vec![result("a", "one"), result("b", "two")]),
    ];
    let (_, body, _, _) = written_for(&request, "gemini-3-pro-preview");
    assert_eq!(body.matches("skip_thought_signature_validator").count(), 1);
    assert!(
        body.contains(r#""name":"f","args":{}},"thoughtSignature":"skip_thought"#),
        "{body}"
    );
    assert!(!body.contains("theirs"));
    assert!(!written(&request).contains("skip_thought"));
}

#[test]
fn own_thoughts_come_back_and_others_do_not() {
    let thought = |signature| Part {
        signature,
        ..Content::Reasoning {
            text: "hm".into(),
            style: ReasoningStyle::Full,
            redacted: None,
        }
        .into()
    };
    let mut request = Request::new(Protocol::Anthropic, "m");
    request.messages = vec![
        Message::new(Role::User, vec![Part::text("go")]),
        Message::new(
            Role::Assistant,
            vec![
                thought(Some(Signature::made_by(Protocol::Gemini, "google", "own"))),
                thought(Some(Signature::made_by(Protocol::Gemini, "vertex", "other"))),
                thought(None),
                Part::text("so"),
            ],
        ),
        Message::new(Role::User, vec![Part::text("on")]),
    ];
    let (_, body, _, losses) = written_for(&request, "gemini-2.5-flash");
    assert!(
        body.contains(
            r#"{"role":"model","parts":[{"text":"hm","thought":true,"thoughtSignature":"own"},{"text":"so"}]}"#
        ),
        "{body}"
    );
    assert_eq!(losses.len(), 2);
}

#[test]
fn tools_are_written_for_the_model() {
    let mut request = Request::new(Protocol::OpenaiResponses, "m");
    request.messages = vec![Message::new(Role::User, vec![Part::text("go")])];
    let schema = r#"{"type":"object","properties":{"x":{"type":["integer","null"]}},"additionalProperties":false}"#;
    request.tools = vec![
        Tool::Function(Function {
            name: "read.file".into(),
            namespace: Some("fs".into()),
            schema: Some(Raw::parse(schema).unwrap()),
            strict: Some(true),
            cache: Some(CacheMark { ttl: None }),
            ..Function::default()
        }),
        Tool::Function(Function {
            name: "noop".into(),
            schema: Some(Raw::parse(r#"{"type":"object","properties":{}}"#).unwrap()),
            ..Function::default()
        }),
        Tool::Custom {
            name: "patch".into(),
            namespace: None,
            description: Some("Edits.".into()),
            format: Some(
                Raw::parse(r#"{"type":"grammar","grammar":{"definition":"start: x","syntax":"lark"}}"#).unwrap(),
            ),
            extra: crate::ir::Extra::default(),
        },
        Tool::Foreign {
            protocol: Protocol::OpenaiResponses,
            kind: "web_search".into(),
            raw: Raw::parse("{}").unwrap(),
        },
    ];
    request.tool_choice = Some(ToolChoice::Tool { name: "patch".into() });
    request.parallel_tools = Some(false);
    let (_, body, memo, losses) = written_for(&request, "gemini-2.5-flash");
    let expected = format!(
        r#""tools":[{{"functionDeclarations":[{{"name":"fs__read_file","parametersJsonSchema":{schema}}},{{"name":"noop","parametersJsonSchema":{{"type":"object","properties":{{}}}}}},{{"name":"patch","description":"Edits.\n\nThe input must follow this grammar:\nstart: x","parametersJsonSchema":{{"type":"object","properties":{{"input":{{"type":"string"}}}},"required":["input"]}}}}]}}],"toolConfig":{{"functionCallingConfig":{{"mode":"ANY","allowedFunctionNames":["patch"]}}}}}}"#
    );
    assert!(body.ends_with(&expected), "{body}");
    assert_eq!(memo.tools["fs__read_file"].name, "read.file");
    assert!(memo.tools["patch"].custom);
    assert_eq!(losses.len(), 4, "{losses:?}");
    let (_, body, ..) = written_for(&request, "gemini-2.0-flash");
    assert!(body.contains(r#"{"name":"fs__read_file","parameters":{"type":"OBJECT","properties":{"x":{"type":"INTEGER","nullable":true}}}},{"name":"noop"},"#), "{body}");
    request.tool_choice = Some(ToolChoice::Allowed {
        names: vec!["noop".into()],
        required: false,
    });
    assert!(written(&request).contains(r#"{"mode":"VALIDATED","allowedFunctionNames":["noop"]}"#));
    let (_, body, ..) = written_for(&request, "gemini-1.5-pro");
    assert!(body.contains(r#""tools":[{"functionDeclarations":[{"name":"noop"}]}],"toolConfig":{"functionCallingConfig":{"mode":"AUTO"}}"#), "{body}");
    request.tools.truncate(1);
    request.tool_choice = None;
    assert!(written(&request).contains(r#""toolConfig":{"functionCallingConfig":{"mode":"VALIDATED"}}"#));
    request.tools.clear();
    request.tool_choice = Some(ToolChoice::Auto);
    assert!(!written(&request).contains("tool"));
}

#[test]
fn the_configuration_is_written() {
    let mut request = Request::new(Protocol::OpenaiChat, "m");
    request.messages = vec![Message::new(Role::User, vec![Part::text("go")])];
    request.sampling.temperature = Some(3.0);
    request.sampling.top_k = Some(40);
    request.sampling.seed = Some(1 << 40 | 5);
    request.sampling.min_p = Some(0.1);
    request.stop = (0..7).map(|n| n.to_string()).collect();
    request.candidates = Some(1);
    request.max_tokens = Some(9);
    request.format = Format::JsonSchema {
        name: Some("n".into()),
        description: None,
        schema: Raw::parse(r#"{"type":"object","properties":{"a":{"const":1.10}}}"#).unwrap(),
        strict: Some(true),
    };
    request.reasoning = Some(Reasoning {
        effort: Some(Effort::Low),
        show: Show::Nothing,
        ..Reasoning::default()
    });
    request.service_tier = Some("priority".into());
    request.user = Some("u".into());
    let (path, body, _, losses) = written_for(&request, "gemini-2.5-flash");
    assert_eq!(path, "/models/gemini-2.5-flash:generateContent");
    assert_eq!(
        body,
        r#"{"contents":[{"role":"user","parts":[{"text":"go"}]}],"generationConfig":{"temperature":2.0,"topK":40,"maxOutputTokens":9,"stopSequences":["0","1","2","3","4"],"seed":5,"responseMimeType":"application/json","responseJsonSchema":{"type":"object","properties":{"a":{"const":1.10}}},"thinkingConfig":{"thinkingBudget":2048}},"serviceTier":"priority"}"#
    );
    assert_eq!(losses.len(), 5, "{losses:?}");
    request.candidates = Some(9);
    assert!(refused(&request, "gemini-2.5-flash").contains("8 answers"));
    request.candidates = None;
    request.tools = vec![Tool::Function(Function {
        name: "f".into(),
        ..Function::default()
    })];
    let body = written(&request);
    assert!(
        body.starts_with(r#"{"systemInstruction":{"parts":[{"text":"Answer with JSON and nothing else."#)
            && !body.contains("responseMimeType")
    );
    assert!(written_for(&request, "gemini-3-flash").1.contains("responseMimeType"));
}

#[test]
fn a_conversation_begins_with_the_user_and_is_not_empty() {
    let mut request = Request::new(Protocol::OpenaiChat, "m");
    request.system = vec![Part::text("rule")];
    assert_eq!(
        written(&request),
        r#"{"systemInstruction":{"parts":[{"text":"rule"}]},"contents":[{"role":"user","parts":[{"text":" "}]}]}"#
    );
    request.messages = vec![
        Message::new(Role::Assistant, vec![Part::text("Roses")]),
        Message::new(Role::System, vec![Part::text("late")]),
    ];
    let (_, body, _, losses) = written_for(&request, "gemini-2.5-flash");
    assert!(body.contains(r#"[{"role":"user","parts":[{"text":" "}]},{"role":"model","parts":[{"text":"Roses"}]},{"role":"user","parts":[{"text":"<system-reminder>late</system-reminder>"}]}]"#), "{body}");
    assert_eq!(losses.len(), 2);
    request.messages.truncate(1);
    assert!(
        written_for(&request, "gemini-2.5-flash")
            .3
            .iter()
            .any(|loss| loss.contains("begin anew"))
    );
}

#[test]
fn the_model_stands_in_the_path() {
    let mut request = Request::new(Protocol::OpenaiChat, "m");
    request.messages = vec![Message::new(Role::User, vec![Part::text("go")])];
    request.stream = true;
    for (model, expected) in [
        ("gemini-2.5-pro", "/models/gemini-2.5-pro:streamGenerateContent?alt=sse"),
        (
            "models/gemini-2.5-pro",
            "/models/gemini-2.5-pro:streamGenerateContent?alt=sse",
        ),
        ("tunedModels/mine", "/tunedModels/mine:streamGenerateContent?alt=sse"),
        ("a/../b:c?d", "/models/a%2F..%2Fb%3Ac%3Fd:streamGenerateContent?alt=sse"),
    ] {
        assert_eq!(written_for(&request, model).0, expected);
    }
}

#[test]
fn search_beside_functions_is_announced_to_gemini_3() {
    let request = read(&golden_file("requests", "search-and-functions"));
    assert!(
        written_for(&request, "gemini-3-flash")
            .1
            .contains(r#""toolConfig":{"includeServerSideToolInvocations":true}"#)
    );
    assert!(!written(&request).contains("includeServerSide"));
}

#[test]
fn what_only_gemini_knows_is_noted_for_others_and_kept_for_itself() {
    let request = read(&golden_file("requests", "extras"));
    let mut lost = Losses::new(Protocol::Gemini);
    lost.note_extra("", &request.extra);
    let fields: Vec<_> = lost.listed().iter().map(|loss| loss.field.as_str()).collect();
    assert_eq!(
        fields,
        [
            "generationConfig.responseModalities",
            "generationConfig.mediaResolution",
            "generationConfig.imageConfig",
            "safetySettings",
            "cachedContent",
            "labels"
        ]
    );
    let body = written(&request);
    for member in [
        "safetySettings",
        "cachedContent",
        "labels",
        "imageConfig",
        r#""serviceTier":"flex""#,
        r#""store":false"#,
    ] {
        assert!(body.contains(member), "{member} {body}");
    }
    let answer = written(&read(&golden_file("requests", "enum")));
    assert!(answer.contains(r#""responseMimeType":"text/x.enum""#) && answer.contains("blue"));
}

#[test]
fn what_others_say_to_themselves_is_left_out() {
    let mut request = Request::new(Protocol::Anthropic, "m");
    let mut rule = Part::text("rule");
    rule.cache = Some(CacheMark { ttl: None });
    request.system = vec![rule];
    request.messages = vec![Message::new(Role::User, vec![Part::text("go")])];
    request.extra.keep("context_management", Raw::parse("{}").unwrap());
    let (_, body, _, losses) = written_for(&request, "gemini-2.5-flash");
    assert!(body.starts_with(r#"{"systemInstruction":{"parts":[{"text":"rule"}]},"contents""#));
    assert_eq!(
        losses,
        ["context_management: no counterpart", "cache_control: not supported"]
    );
}

#[test]
fn arguments_are_objects() {
    let mut request = Request::new(Protocol::OpenaiChat, "m");
    let given = |input: ToolInput| Content::ToolCall {
        id: "a".into(),
        name: "f".into(),
        namespace: None,
        input,
    };
    for (input, expected, losses) in [
        (ToolInput::Json(String::new()), "{}", 0),
        (
            ToolInput::Json(r#"{"n":12345678901234567890.10}"#.into()),
            r#"{"n":12345678901234567890.10}"#,
            0,
        ),
        (ToolInput::Json("[1]".into()), r#"{"value":[1]}"#, 1),
        (ToolInput::Json("{broken".into()), r#"{"_raw":"{broken"}"#, 1),
        (ToolInput::Text("free".into()), r#"{"input":"free"}"#, 0),
    ] {
        request.messages = vec![
            Message::new(Role::User, vec![Part::text("go")]),
            Message::new(Role::Assistant, vec![given(input).into()]),
            Message::new(Role::User, vec![result("a", "ok")]),
        ];
        let (_, body, _, noted) = written_for(&request, "gemini-2.5-flash");
        assert!(body.contains(&format!(r#""args":{expected}}}"#)), "{body}");
        assert_eq!(noted.len(), losses, "{noted:?}");
    }
}
