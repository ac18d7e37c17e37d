//! Reading and writing requests.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::Protocol;
use crate::codec::Malformed;
use crate::ir::{
    CacheMark, Effort, Format, Function, Logprobs, Media, Message, Part, Reasoning, ReasoningStyle, Role, Show,
    Signature, Tool, ToolChoice,
};
use crate::raw::Raw;
use crate::repair::repair;

/// The conversation as a line of text.
fn shape(request: &Request) -> String {
    let part = |part: &Part| match &part.content {
        Content::Text { .. } => "text",
        Content::Refusal { .. } => "refusal",
        Content::Image { .. } => "image",
        Content::Document { .. } => "document",
        Content::Audio { .. } => "audio",
        Content::Reasoning { .. } => "reasoning",
        Content::ToolCall { .. } => "call",
        Content::ToolResult { .. } => "result",
        Content::Foreign { .. } => "foreign",
        Content::Video { .. } => "video",
    };
    let message = |message: &Message| {
        let parts: Vec<&str> = message.parts.iter().map(part).collect();
        format!("{:?}[{}]", message.role, parts.join(" "))
    };
    let messages: Vec<String> = request.messages.iter().map(message).collect();
    format!("{} {}", request.system.len(), messages.join(" "))
}

#[test]
fn items_become_messages() {
    let expected = [
        (
            "codex",
            "2 User[text] User[text] Assistant[reasoning text call call] User[result result] Assistant[call] User[result foreign]",
        ),
        ("easy-messages", "1 User[text] Assistant[text] User[text]"),
        (
            "hosted-tools",
            "0 User[text] Assistant[foreign text] User[foreign] Assistant[foreign] User[foreign] User[text]",
        ),
        (
            "parallel-calls",
            "0 User[text] Assistant[call call] User[result result]",
        ),
        (
            "reasoning",
            "0 User[text] Assistant[reasoning text] User[text] Assistant[reasoning call] User[result]",
        ),
        (
            "sloppy",
            "0 User[text] Assistant[text] User[text image] Assistant[call] User[result] User[text]",
        ),
        ("system", "2 User[text] Assistant[text] System[text] User[text]"),
        ("text", "0 User[text]"),
    ];
    for (name, line) in expected {
        assert_eq!(shape(&read(&one("requests", name))), line, "{name}");
    }
}

#[test]
fn every_golden_request_survives() {
    for (name, body) in golden("requests") {
        let request = read(&body);
        let mut mended = request.clone();
        repair(&mut mended, &mut Losses::new(request.from));
        let (written, _) = sent(&mended);
        let again = read(written.to_string().as_bytes());
        let mut again = again;
        repair(&mut again, &mut Losses::new(request.from));
        let (twice, _) = sent(&again);
        assert_eq!(written, twice, "{name}");
    }
}

#[test]
fn the_form_that_the_provider_wants() {
    let (body, lost) = sent(&read(&one("requests", "codex")));
    assert_eq!(lost, Vec::<String>::new());
    let text = body.to_string();
    for piece in [
        r#""instructions":"You are Codex, based on GPT-5.\n\n<permissions instructions>""#,
        r#"{"type":"reasoning","summary":[{"type":"summary_text","text":"**Looking**"}],"encrypted_content":"gAAAAABn"}"#,
        r#"{"type":"message","role":"assistant","content":[{"type":"output_text","text":"I look first."}],"phase":"commentary"}"#,
        r#"{"type":"function_call","call_id":"call_b","name":"spawn","namespace":"multi_agent_v1","arguments":"{}"}"#,
        r#"{"type":"custom_tool_call","call_id":"call_c","name":"apply_patch","input":"*** Begin Patch"}"#,
        r#"{"type":"custom_tool_call_output","call_id":"call_c","output":"Done"}"#,
        r#"{"type":"namespace","name":"multi_agent_v1","description":"Agents","tools":[{"type":"function","name":"spawn","parameters":{"type":"object","properties":{}},"strict":false}]}"#,
        r#""format":{"type":"grammar","syntax":"lark","definition":"start: begin"}"#,
        r#""include":["reasoning.encrypted_content"],"store":false"#,
        r#""client_metadata":{"x-codex-installation-id":"1"}"#,
        r#"{"type":"compaction","encrypted_content":"enc"}"#,
    ] {
        assert!(text.contains(piece), "{piece} in {text}");
    }
}

#[test]
fn extras_come_back_at_their_places() {
    let (body, _) = sent(&read(&one("requests", "reasoning")));
    assert_eq!(
        body["reasoning"],
        json!({"effort":"high","summary":"detailed","context":"all_turns"})
    );
    assert_eq!(
        body["include"],
        json!(["web_search_call.action.sources", "reasoning.encrypted_content"])
    );
    assert_eq!(body["input"][1]["id"], "rs_1");
    let (body, _) = sent(&read(&one("requests", "sampling")));
    assert_eq!(body["max_output_tokens"], 16);
    assert_eq!(
        (&body["safety_identifier"], &body["user"]),
        (&json!("s1"), &json!("u1"))
    );
    assert_eq!(body["include"], json!(["message.output_text.logprobs"]));
    assert_eq!(
        (&body["truncation"], &body["max_tool_calls"]),
        (&json!("auto"), &json!(3))
    );
    let (body, _) = sent(&read(&one("requests", "stateful")));
    assert_eq!(
        (&body["previous_response_id"], &body["store"]),
        (&json!("resp_1"), &json!(true))
    );
    let (body, lost) = sent(&read(&one("requests", "reasoning-open")));
    assert!(!body.to_string().contains("raw thoughts") && lost.len() == 1);
    let (body, _) = sent(&read(&one("requests", "caching")));
    assert_eq!(body["instructions"], Value::Null);
    assert_eq!(body["input"][0]["role"], "developer");
    assert_eq!(
        body["input"][1]["content"][0]["prompt_cache_breakpoint"],
        json!({"mode":"explicit"})
    );
    let (body, _) = sent(&read(&one("requests", "hosted-tools")));
    assert_eq!(body["tools"][0]["search_context_size"], "low");
    assert_eq!(body["tool_choice"], json!({"type":"web_search"}));
}

#[test]
fn numbers_and_spelling_survive() {
    let request = read(&one("requests", "unicode"));
    let quirks = Quirks::default();
    let target = Target {
        provider: "p",
        model: "m",
        quirks: &quirks,
    };
    let outgoing = OpenaiResponses
        .write_request(&request, &target, &mut Losses::new(request.from))
        .unwrap();
    let text = String::from_utf8(outgoing.body).unwrap();
    assert!(text.contains(r#"\"n\":12345678901234567890,\"d\":1.10}"#));
    let request = read(&one("requests", "structured-output"));
    let Format::JsonSchema {
        schema,
        strict: Some(true),
        ..
    } = &request.format
    else {
        panic!("no schema");
    };
    assert!(schema.as_str().contains("12345678901234567890"));
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let cases = [
        ("[]", "body"),
        (r#"{"input":"x"}"#, "model"),
        (r#"{"model":"m"}"#, "input"),
        (r#"{"model":"m","input":7}"#, "input"),
        (r#"{"model":"m","input":[{}]}"#, "input[0].type"),
        (
            r#"{"model":"m","input":[{"role":"robot","content":"x"}]}"#,
            "input[0].role",
        ),
        (
            r#"{"model":"m","input":[{"role":"user","content":7}]}"#,
            "input[0].content",
        ),
        (
            r#"{"model":"m","input":[{"type":"item_reference","id":"rs_1"}]}"#,
            "input[0]",
        ),
        (
            r#"{"model":"m","input":[{"type":"function_call","name":"f","arguments":"{}"}]}"#,
            "input[0].call_id",
        ),
        (
            r#"{"model":"m","input":[{"role":"user","content":[{"type":"input_image"}]}]}"#,
            "input[0].content[0].image_url",
        ),
        (
            r#"{"model":"m","input":"x","tools":[{"type":"function"}]}"#,
            "tools[0].name",
        ),
        (r#"{"model":"m","input":"x","tools":{}}"#, "tools"),
        (r#"{"model":"m","input":"x","temperature":"hot"}"#, "temperature"),
        (
            r#"{"model":"m","input":"x","text":{"format":{"type":"json_schema"}}}"#,
            "text.format.schema",
        ),
        (r#"{"model":"m","input":"x","tool_choice":"maybe"}"#, "tool_choice"),
    ];
    for (body, expected) in cases {
        match OpenaiResponses.read_request(body.as_bytes(), &Address::default()) {
            Err(Malformed::Field { field, .. }) => assert_eq!(field, expected, "{body}"),
            other => panic!("{body}: {other:?}"),
        }
    }
}

fn from_elsewhere(parts: Vec<Part>) -> Request {
    let mut request = Request::new(Protocol::Anthropic, "gpt-5");
    request.messages.push(Message::new(Role::User, parts));
    request
}

#[test]
fn requests_from_elsewhere_lose_only_what_is_noted() {
    let mut request = from_elsewhere(vec![Part::text("Hi")]);
    request.system = vec![
        Part {
            cache: Some(CacheMark { ttl: None }),
            ..Part::text("Rules")
        },
        Part::text("More"),
    ];
    request.sampling.top_k = Some(5);
    request.stop = vec!["END".into()];
    request.reasoning = Some(Reasoning {
        budget: Some(8000),
        ..Reasoning::default()
    });
    request.tools.push(Tool::Function(Function {
        name: "f".into(),
        ..Function::default()
    }));
    request.parallel_tools = Some(false);
    request.user = Some("u".repeat(100));
    request.extra.keep("context_management", Raw::parse("{}").unwrap());
    let (body, lost) = sent(&request);
    assert_eq!(
        body.to_string(),
        concat!(
            r#"{"model":"gpt-5","instructions":"Rules\n\nMore","input":[{"type":"message","role":"user","content":[{"type":"input_text","text":"Hi"}]}],"#,
            r#""tools":[{"type":"function","name":"f","parameters":{"type":"object","properties":{}},"strict":false}],"parallel_tool_calls":false,"#,
            r#""reasoning":{"effort":"medium"},"include":["reasoning.encrypted_content"],"store":false,"#,
            r#""safety_identifier":"cfc08dc0b9b0b2cba2c5d50bdf7eba20d3bd5d7c11f5a7d1c7a1a2b6ae2a5b19"}"#
        )
        .replace(
            "cfc08dc0b9b0b2cba2c5d50bdf7eba20d3bd5d7c11f5a7d1c7a1a2b6ae2a5b19",
            body["safety_identifier"].as_str().unwrap()
        )
    );
    assert_eq!(body["safety_identifier"].as_str().unwrap().len(), 64);
    assert_eq!(lost.len(), 5, "{lost:?}");
}

#[test]
fn what_others_know_is_dropped_and_noted() {
    let raw = Raw::parse("{}").unwrap();
    let kind = "server_tool_use".to_owned();
    let part = Content::Foreign {
        protocol: Protocol::Anthropic,
        kind: kind.clone(),
        raw: raw.clone(),
    };
    let mut request = from_elsewhere(vec![Part::text("x"), part.into()]);
    request.tools.push(Tool::Foreign {
        protocol: Protocol::Anthropic,
        kind,
        raw: raw.clone(),
    });
    request.tool_choice = Some(ToolChoice::Foreign {
        protocol: Protocol::Anthropic,
        raw,
    });
    let (body, lost) = sent(&request);
    assert_eq!(
        body.to_string(),
        r#"{"model":"gpt-5","input":[{"type":"message","role":"user","content":[{"type":"input_text","text":"x"}]}],"store":false}"#
    );
    assert_eq!(lost.len(), 2, "{lost:?}");
}

#[test]
fn what_the_model_would_not_see_is_refused() {
    let sound = Content::Audio {
        source: Media::Data {
            mime: None,
            data: "aGk=".into(),
            filename: None,
        },
        format: None,
        transcript: None,
        id: None,
    };
    let video = Content::Video {
        source: Media::Url {
            url: "https://e.com".into(),
            mime: None,
        },
    };
    let file = Content::Image {
        source: Media::File {
            protocol: Protocol::Anthropic,
            id: "f".into(),
        },
        detail: None,
    };
    for content in [sound, video, file] {
        assert!(try_sent(&from_elsewhere(vec![content.into()]), &Quirks::default()).is_err());
    }
    let mut several = from_elsewhere(vec![Part::text("x")]);
    several.candidates = Some(2);
    assert!(try_sent(&several, &Quirks::default()).is_err());
    assert_eq!(
        sent(&read(&one("requests", "audio"))).0["input"][0]["content"][0]["input_audio"]["format"],
        "wav"
    );
}

#[test]
fn results_that_failed_and_pictures_in_results() {
    let call = |id: &str| {
        Part::from(Content::ToolCall {
            id: id.into(),
            name: "f".into(),
            namespace: None,
            input: ToolInput::Json(String::new()),
        })
    };
    let result = |id: &str, content: Vec<Part>| {
        Part::from(Content::ToolResult {
            id: id.into(),
            name: None,
            content,
            is_error: Some(true),
            custom: false,
        })
    };
    let image = Part::from(Content::Image {
        source: Media::Url {
            url: "https://e.com/a.png".into(),
            mime: None,
        },
        detail: None,
    });
    let mut request = from_elsewhere(vec![Part::text("q")]);
    request
        .messages
        .push(Message::new(Role::Assistant, vec![call("functions.f:0"), call("b")]));
    let results = vec![
        result("functions.f:0", vec![Part::text("no"), Part::text("way")]),
        result("b", vec![image]),
    ];
    request.messages.push(Message::new(Role::User, results));
    let (body, _) = sent(&request);
    assert_eq!(body["input"][1]["call_id"], body["input"][3]["call_id"]);
    assert_eq!(body["input"][1]["arguments"], "{}");
    assert_eq!(body["input"][3]["output"], "Error: no\nway");
    assert_eq!(
        body["input"][4]["output"],
        json!([{"type":"input_text","text":"Error:"},{"type":"input_image","image_url":"https://e.com/a.png"}])
    );
}

#[test]
fn proofs_of_others_are_not_sent() {
    let thought = |signature: Option<Signature>| Part {
        signature,
        ..Content::Reasoning {
            text: "t".into(),
            style: ReasoningStyle::Summary,
            redacted: None,
        }
        .into()
    };
    let mut own = Signature::made_by(Protocol::OpenaiResponses, "openai", "mine");
    own.item = Some("rs_1".into());
    let others = Signature::made_by(Protocol::OpenaiResponses, "azure", "theirs");
    let foreign = Signature::made_by(Protocol::Anthropic, "openai", "x");
    let mut request = from_elsewhere(vec![Part::text("q")]);
    let parts = vec![
        thought(Some(own)),
        thought(Some(others)),
        thought(Some(foreign)),
        thought(None),
        Part::text("a"),
    ];
    request.messages.push(Message::new(Role::Assistant, parts));
    request.messages.push(Message::new(Role::User, vec![Part::text("on")]));
    let (body, lost) = sent(&request);
    assert_eq!(body["input"].as_array().unwrap().len(), 4);
    assert_eq!(
        body["input"][1].to_string(),
        r#"{"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"t"}],"encrypted_content":"mine"}"#
    );
    assert_eq!(lost.len(), 1);
}

#[test]
fn thoughts_of_the_provider_go_back_as_their_summary() {
    let mut request = from_elsewhere(vec![Part::text("q")]);
    // As Anthropic's clients bring them back, who do not know of summaries.
    let thought = Part {
        signature: Some(Signature::made_by(Protocol::OpenaiResponses, "openai", "mine")),
        ..Content::Reasoning {
            text: "t".into(),
            style: ReasoningStyle::Full,
            redacted: None,
        }
        .into()
    };
    request.messages.push(Message::new(Role::Assistant, vec![thought]));
    request.messages.push(Message::new(Role::User, vec![Part::text("on")]));
    assert_eq!(
        sent(&request).0["input"][1].to_string(),
        r#"{"type":"reasoning","summary":[{"type":"summary_text","text":"t"}],"encrypted_content":"mine"}"#
    );
}

#[test]
fn a_model_is_asked_for_what_it_takes() {
    // name, effort, effort that is told, whether the temperature is, how many losses are declared
    let cases = [
        ("gpt-4.1", Some(Effort::High), None, true, 1),
        ("gpt-4.1", Some(Effort::None), None, true, 0),
        ("gpt-5", None, None, false, 1),
        ("gpt-5", Some(Effort::None), Some("minimal"), false, 2),
        ("o3", Some(Effort::Minimal), Some("low"), false, 2),
        ("gpt-5.1", Some(Effort::Minimal), Some("low"), false, 2),
        ("gpt-5.1", Some(Effort::None), Some("none"), true, 0),
        ("gpt-5.6", Some(Effort::Max), Some("max"), false, 1),
        ("qwen3", Some(Effort::Max), Some("max"), true, 0),
    ];
    for (model, effort, told, is_free, losses) in cases {
        let mut request = from_elsewhere(vec![Part::text("q")]);
        request.model = model.to_owned();
        request.sampling.temperature = Some(0.5);
        request.reasoning = effort.map(|effort| Reasoning {
            effort: Some(effort),
            ..Reasoning::default()
        });
        let (body, lost) = sent(&request);
        assert_eq!(body["reasoning"]["effort"].as_str(), told, "{model} {effort:?}");
        assert_eq!(body.get("temperature").is_some(), is_free, "{model} {effort:?}");
        assert_eq!(body.get("include").is_some(), told.is_some(), "{model} {effort:?}");
        assert_eq!(lost.len(), losses, "{model} {effort:?} {lost:?}");
    }
}

#[test]
fn providers_that_can_do_less_get_less() {
    let quirks = Quirks {
        json_schema: false,
        strict_tools: false,
        parallel_tool_calls: false,
        tool_choice_required: false,
        developer_role: false,
        unsupported: vec!["store".into(), "include".into()],
        ..Quirks::default()
    };
    let mut request = read(&one("requests", "structured-output"));
    request.tools = vec![Tool::Function(Function {
        name: "f".into(),
        ..Function::default()
    })];
    request.tool_choice = Some(ToolChoice::Required);
    request.parallel_tools = Some(true);
    request.reasoning = Some(Reasoning::default());
    request
        .messages
        .insert(0, Message::new(Role::System, vec![Part::text("s")]));
    let (body, lost, _) = try_sent(&request, &quirks).unwrap();
    assert_eq!(body["text"]["format"], json!({"type":"json_object"}));
    assert!(body["instructions"].as_str().unwrap().contains("12345678901234567890"));
    assert_eq!(body["input"][0]["role"], "system");
    assert_eq!(body["tool_choice"], "auto");
    for absent in ["store", "include", "parallel_tool_calls"] {
        assert!(body.get(absent).is_none(), "{absent}");
    }
    assert!(body["tools"][0].get("strict").is_none());
    assert_eq!(lost.len(), 4, "{lost:?}");
}

/// A request of this protocol with any of its features.
fn requests() -> impl Strategy<Value = Request> {
    let text = "[a-zé \\n]{1,6}";
    let user = prop_oneof![
        text.prop_map(Part::text),
        Just(Part::from(Content::Image {
            source: Media::Url {
                url: "https://e.com/a.png".into(),
                mime: None
            },
            detail: Some("low".into()),
        })),
        Just(Part::from(Content::Document {
            source: Media::File {
                protocol: Protocol::OpenaiResponses,
                id: "file-1".into()
            },
            title: None,
            context: None,
            citations: false,
        })),
    ];
    let turn = (prop::collection::vec(user, 1..3), 0..5u8, text);
    let conversation = prop::collection::vec(turn, 1..4).prop_map(|turns| {
        let mut messages = Vec::new();
        for (number, (parts, kind, text)) in turns.into_iter().enumerate() {
            messages.push(Message::new(Role::User, parts));
            messages.extend(answered(number, kind, text));
        }
        messages
    });
    let choice = prop::option::of(prop::sample::select(vec![
        ToolChoice::Auto,
        ToolChoice::None,
        ToolChoice::Required,
        ToolChoice::Tool { name: "f".into() },
        ToolChoice::Allowed {
            names: vec!["f".into(), "patch".into()],
            required: true,
        },
    ]));
    let options = (
        prop::option::of(16..5000u64),
        prop::option::of(0.0..2.0f64),
        prop::option::of(any::<bool>()),
        prop::option::of(prop::sample::select(Effort::ALL.to_vec())),
        prop::option::of(1..20u32),
        any::<bool>(),
    );
    (conversation, choice, options, 0..3u8).prop_map(|(messages, choice, options, format)| {
        let (max, temperature, parallel, effort, top, stream) = options;
        let mut request = Request::new(Protocol::OpenaiResponses, "gpt-5");
        request.messages = messages;
        request.system = vec![Part::text("Be brief.")];
        request.tools = tools();
        request.tool_choice = choice;
        request.parallel_tools = parallel;
        request.max_tokens = max;
        request.sampling.temperature = temperature;
        request.logprobs = top.map(|top| Logprobs { top: Some(top) });
        request.stream = stream;
        request.store = Some(false);
        request.reasoning = Some(Reasoning {
            enabled: (effort == Some(Effort::None)).then_some(false),
            effort,
            show: if stream {
                Show::Summary("auto".into())
            } else {
                Show::Default
            },
            encrypted: true,
            ..Reasoning::default()
        });
        request.format = match format {
            0 => Format::Text,
            1 => Format::JsonObject,
            _ => Format::JsonSchema {
                name: Some("n".into()),
                description: None,
                schema: Raw::parse(r#"{"type":"object","maximum":1.0}"#).unwrap(),
                strict: Some(stream),
            },
        };
        request.extra.keep("truncation", Raw::parse("\"auto\"").unwrap());
        request
    })
}

/// What the model says in a turn, and what its tools answer.
fn answered(number: usize, kind: u8, text: String) -> Vec<Message> {
    let proof = Signature {
        item: Some("rs_1".into()),
        ..Signature::open(Protocol::OpenaiResponses, "gAAA")
    };
    let thought = Part {
        signature: Some(proof),
        ..Content::Reasoning {
            text: text.clone(),
            style: ReasoningStyle::Summary,
            redacted: None,
        }
        .into()
    };
    let id = format!("call_{number}");
    let (input, custom) = match kind {
        3 => (ToolInput::Text(text.clone()), true),
        _ => (ToolInput::Json("{\"a\":1.0}".into()), false),
    };
    let call = Part::from(Content::ToolCall {
        id: id.clone(),
        name: if custom { "patch" } else { "f" }.into(),
        namespace: (kind == 2).then(|| "space".into()),
        input,
    });
    let result = Part::from(Content::ToolResult {
        id,
        name: None,
        content: vec![Part::text("done")],
        is_error: None,
        custom,
    });
    match kind {
        0 => Vec::new(),
        1 => vec![Message::new(Role::Assistant, vec![thought, Part::text(text)])],
        _ => vec![
            Message::new(Role::Assistant, vec![thought, call]),
            Message::new(Role::User, vec![result]),
        ],
    }
}

fn tools() -> Vec<Tool> {
    let function = |name: &str, namespace: Option<&str>| {
        Tool::Function(Function {
            name: name.into(),
            namespace: namespace.map(str::to_owned),
            schema: Some(Raw::parse(r#"{"type":"object","properties":{}}"#).unwrap()),
            strict: Some(false),
            ..Function::default()
        })
    };
    let custom = Tool::Custom {
        name: "patch".into(),
        namespace: None,
        description: Some("d".into()),
        format: Some(Raw::parse(r#"{"type":"grammar","grammar":{"syntax":"lark","definition":"x"}}"#).unwrap()),
        extra: crate::ir::Extra::default(),
    };
    vec![function("f", None), function("f", Some("space")), custom]
}

/// A golden request in which one thing, somewhere, is something else.
fn spoiled() -> impl Strategy<Value = Value> {
    let other = prop::sample::select(vec![
        json!(null),
        json!(1),
        json!("x"),
        json!([]),
        json!({}),
        json!([[{}]]),
        json!(true),
    ]);
    (
        any::<prop::sample::Index>(),
        prop::collection::vec(any::<prop::sample::Index>(), 1..6),
        other,
    )
        .prop_map(|(which, path, other)| {
            let bodies: Vec<_> = golden("requests");
            let mut body: Value = serde_json::from_slice(&bodies[which.index(bodies.len())].1).unwrap();
            let mut place = &mut body;
            for step in path {
                let length = place
                    .as_array()
                    .map_or(place.as_object().map_or(0, serde_json::Map::len), Vec::len);
                if length == 0 {
                    break;
                }
                let at = step.index(length);
                place = match place {
                    Value::Array(items) => &mut items[at],
                    other => other.as_object_mut().unwrap().iter_mut().nth(at).unwrap().1,
                };
            }
            *place = other;
            body
        })
}

proptest! {
    #[test]
    fn what_is_written_reads_the_same(request in requests()) {
        let quirks = Quirks::default();
        let target = Target { provider: "openai", model: "gpt-5", quirks: &quirks };
        let mut lost = Losses::new(request.from);
        let outgoing = OpenaiResponses.write_request(&request, &target, &mut lost).unwrap();
        prop_assert!(lost.is_empty(), "{:?}", lost);
        prop_assert_eq!(read(&outgoing.body), request);
    }

    #[test]
    fn reading_never_panics(body in spoiled()) {
        if let Ok(mut request) = OpenaiResponses.read_request(body.to_string().as_bytes(), &Address::default()) {
            repair(&mut request, &mut Losses::new(Protocol::OpenaiResponses));
            let _ = try_sent(&request, &Quirks::default());
        }
    }

    #[test]
    fn reading_bytes_never_panics(body in prop::collection::vec(any::<u8>(), 0..100)) {
        let _ = OpenaiResponses.read_request(&body, &Address::default());
    }
}
