use super::requests::{attempt, members, refused, request};
use crate::Protocol;
use crate::ir::*;
use crate::raw::Raw;

fn function(name: &str) -> Function {
    Function {
        name: name.into(),
        ..Function::default()
    }
}

fn with_tools(choice: Option<ToolChoice>) -> Request {
    let mut request = request();
    request.tools = vec![
        Tool::Function(Function {
            description: Some("d".into()),
            schema: Some(Raw::parse(r#"{"type":"object","z":1.0,"a":2}"#).unwrap()),
            ..function("f")
        }),
        Tool::Function(function("g")),
    ];
    request.tool_choice = choice;
    request
}

const F: &str =
    r#"{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object","z":1.0,"a":2}}}"#;
const G: &str = r#"{"type":"function","function":{"name":"g","parameters":{"type":"object","properties":{}}}}"#;

#[test]
fn tools_are_offered_with_their_schemas_as_they_are() {
    assert_eq!(members(&with_tools(None)), (format!(r#""tools":[{F},{G}]"#), vec![]));
    assert_eq!(
        members(&with_tools(Some(ToolChoice::Auto))).0,
        format!(r#""tools":[{F},{G}]"#)
    );
    let required = members(&with_tools(Some(ToolChoice::Required)));
    assert_eq!(
        required,
        (format!(r#""tools":[{F},{G}],"tool_choice":"REQUIRED""#), vec![])
    );
    let none = members(&with_tools(Some(ToolChoice::None)));
    assert_eq!(none, (format!(r#""tools":[{F},{G}],"tool_choice":"NONE""#), vec![]));
}

/// Case 116.
#[test]
fn some_tools_are_chosen_by_offering_no_others() {
    let named = |name: &str| Some(ToolChoice::Tool { name: name.into() });
    assert_eq!(
        members(&with_tools(named("g"))),
        (
            format!(r#""tools":[{G}],"tool_choice":"REQUIRED""#),
            vec!["tool_choice: only the chosen tool is offered".to_owned()]
        )
    );
    assert_eq!(
        refused(&with_tools(named("h"))),
        "`tool_choice`: names a tool that is not offered"
    );
    let allowed = |required| ToolChoice::Allowed {
        names: vec!["f".into()],
        required,
    };
    assert_eq!(
        members(&with_tools(Some(allowed(false)))).0,
        format!(r#""tools":[{F}]"#)
    );
    assert_eq!(
        members(&with_tools(Some(allowed(true)))).0,
        format!(r#""tools":[{F}],"tool_choice":"REQUIRED""#)
    );
}

#[test]
fn a_choice_without_tools_is_not_sent() {
    let mut request = request();
    request.tool_choice = Some(ToolChoice::Required);
    request.parallel_tools = Some(false);
    assert_eq!(members(&request), (String::new(), vec![]));
}

#[test]
fn names_that_do_not_fit_lead_back() {
    let mut request = request();
    request.tools = vec![
        Tool::Function(Function {
            namespace: Some("mcp".into()),
            ..function("read.file")
        }),
        Tool::Custom {
            name: "patch".into(),
            namespace: None,
            description: Some("d".into()),
            format: Some(
                Raw::parse(r#"{"type":"grammar","grammar":{"definition":"start: x","syntax":"lark"}}"#).unwrap(),
            ),
            extra: Extra::default(),
        },
        Tool::Foreign {
            protocol: Protocol::OpenaiResponses,
            kind: "web_search".into(),
            raw: Raw::parse("{}").unwrap(),
        },
    ];
    let (outgoing, lost) = attempt(&request);
    let outgoing = outgoing.unwrap();
    let body = String::from_utf8(outgoing.body).unwrap();
    assert!(body.contains(r#"{"name":"mcp__read_file","parameters""#), "{body}");
    assert!(body.contains(
        r#"{"name":"patch","description":"d\n\nThe input must follow this grammar (lark):\nstart: x","parameters":{"type":"object","properties":{"input":{"type":"string"}},"required":["input"]}}"#
    ));
    assert_eq!(outgoing.memo.tools["mcp__read_file"].name, "read.file");
    assert!(outgoing.memo.tools["patch"].custom);
    assert_eq!(
        lost,
        [
            "tools[namespace]: joined to the name",
            "tools.custom: offered as a function",
            "tools: not supported"
        ]
    );
}

#[test]
fn strictness_is_of_all_tools() {
    let mut request = with_tools(None);
    let strict = |tool: &mut Tool| {
        if let Tool::Function(function) = tool {
            function.strict = Some(true);
        }
    };
    strict(&mut request.tools[0]);
    request.parallel_tools = Some(false);
    let (body, lost) = members(&request);
    assert!(body.ends_with(r#"],"strict_tools":true"#), "{body}");
    assert_eq!(
        lost,
        [
            "parallel_tool_calls: not supported",
            "tools.function.strict: applied to all tools"
        ]
    );
    request.parallel_tools = None;
    strict(&mut request.tools[1]);
    assert!(members(&request).1.is_empty());
}

/// Case 113.
#[test]
fn numbers_are_brought_into_their_ranges() {
    let mut request = request();
    request.max_tokens = Some(100);
    request.sampling = Sampling {
        temperature: Some(-0.5),
        top_p: Some(1.0),
        top_k: Some(1000),
        frequency_penalty: Some(-2.0),
        presence_penalty: Some(1.5),
        seed: Some(-7),
        ..Sampling::default()
    };
    request.stop = ["a", "", "b", "c", "d", "e", "f"].map(str::to_owned).to_vec();
    let (body, lost) = members(&request);
    assert_eq!(
        body,
        r#""max_tokens":100,"temperature":0.0,"p":0.99,"k":500,"frequency_penalty":0.0,"presence_penalty":1.0,"seed":7,"stop_sequences":["a","b","c","d","e"]"#
    );
    assert_eq!(lost.len(), 7, "{lost:?}");
    request.sampling = Sampling {
        temperature: Some(0.3),
        top_p: Some(0.0),
        seed: Some(7),
        ..Sampling::default()
    };
    request.stop.clear();
    let (body, lost) = members(&request);
    assert_eq!(body, r#""max_tokens":100,"temperature":0.3,"p":0.01,"seed":7"#);
    assert_eq!(lost, ["top_p: clamped to 0.01 to 0.99"]);
}

#[test]
fn thinking_is_switched_and_bounded() {
    let thinking = |reasoning: Reasoning| {
        let mut request = request();
        request.reasoning = Some(reasoning);
        members(&request)
    };
    let effort = |effort| Reasoning {
        effort: Some(effort),
        ..Reasoning::default()
    };
    assert_eq!(thinking(Reasoning::default()), (String::new(), vec![]));
    assert_eq!(thinking(effort(Effort::None)).0, r#""thinking":{"type":"disabled"}"#);
    let off = Reasoning {
        enabled: Some(false),
        budget: Some(10),
        ..Reasoning::default()
    };
    assert_eq!(thinking(off), (r#""thinking":{"type":"disabled"}"#.to_owned(), vec![]));
    let budget = Reasoning {
        budget: Some(1500),
        ..Reasoning::default()
    };
    assert_eq!(
        thinking(budget),
        (
            r#""thinking":{"type":"enabled","token_budget":1500}"#.to_owned(),
            vec![]
        )
    );
    assert_eq!(
        thinking(effort(Effort::Low)),
        (
            r#""thinking":{"type":"enabled","token_budget":2048}"#.to_owned(),
            vec!["reasoning_effort: sent as a budget of tokens".to_owned()]
        )
    );
    let adaptive = Reasoning {
        adaptive: true,
        ..Reasoning::default()
    };
    assert_eq!(thinking(adaptive).0, r#""thinking":{"type":"enabled"}"#);
    let mut request = request();
    request.max_tokens = Some(1001);
    request.reasoning = Some(effort(Effort::High));
    assert_eq!(
        members(&request).0,
        r#""max_tokens":1001,"thinking":{"type":"enabled","token_budget":501}"#
    );
}

#[test]
fn json_is_asked_for_unless_there_are_tools() {
    let schema = Format::JsonSchema {
        name: Some("answer".into()),
        description: None,
        schema: Raw::parse(r#"{"type":"object","b":1,"a":1.50}"#).unwrap(),
        strict: Some(true),
    };
    let mut plain = request();
    plain.format = Format::JsonObject;
    assert_eq!(
        members(&plain),
        (r#""response_format":{"type":"json_object"}"#.to_owned(), vec![])
    );
    plain.format = schema.clone();
    let asked = r#""response_format":{"type":"json_object","json_schema":{"type":"object","b":1,"a":1.50}}"#;
    assert_eq!(members(&plain), (asked.to_owned(), vec![]));

    let mut tooled = with_tools(None);
    tooled.format = Format::JsonObject;
    let (body, lost) = members(&tooled);
    assert!(!body.contains("response_format"));
    assert_eq!(lost, ["response_format: not supported together with tools"]);
    tooled.format = schema;
    assert!(refused(&tooled).starts_with("`response_format.json_schema`: "));
    tooled.tool_choice = Some(ToolChoice::None);
    assert_eq!(members(&tooled), (asked.to_owned(), vec![]));
}

#[test]
fn contracts_that_cannot_be_kept_are_refused() {
    let mut many = request();
    many.candidates = Some(2);
    assert!(refused(&many).starts_with("`n`: "));
    many.candidates = Some(1);
    assert!(attempt(&many).0.is_ok());
    let mut sound = request();
    sound.audio = Some(Audio {
        voice: None,
        format: None,
    });
    assert!(refused(&sound).starts_with("`modalities`: "));
    let mut nothing = request();
    nothing.max_tokens = Some(0);
    assert!(refused(&nothing).starts_with("`max_completion_tokens`: "));
    let mut stored = request();
    stored
        .extra
        .keep("previous_response_id", Raw::parse("\"resp_1\"").unwrap());
    assert!(refused(&stored).starts_with("`previous_response_id`: "));
}

#[test]
fn everything_else_is_noted() {
    let mut request = request();
    request.sampling.min_p = Some(0.1);
    request.sampling.repetition_penalty = Some(1.1);
    request.sampling.logit_bias = Some(Raw::parse("{}").unwrap());
    request.verbosity = Some("low".into());
    request.user = Some("u".into());
    request.metadata = Some(Raw::parse("{}").unwrap());
    request.cache_key = Some("k".into());
    request.cache = Some(CacheMark { ttl: None });
    request.store = Some(true);
    request.logprobs = Some(Logprobs { top: Some(3) });
    request.service_tier = Some("flex".into());
    request.extra.keep("prediction", Raw::parse("{}").unwrap());
    request.messages[0].name = Some("ann".into());
    request.messages[0].extra.keep("phase", Raw::parse("1").unwrap());
    request.messages[0].parts[0].extra.keep("x", Raw::parse("1").unwrap());
    let (body, lost) = members(&request);
    assert_eq!(body, r#""logprobs":true,"priority":999"#);
    for field in [
        "min_p",
        "repetition_penalty",
        "logit_bias",
        "verbosity",
        "safety_identifier",
        "metadata",
        "prompt_cache_key",
        "prompt_cache_breakpoint",
        "store",
        "logprobs",
        "service_tier",
        "prediction",
        "messages.name",
        "messages.phase",
        "messages.content.x",
    ] {
        assert!(
            lost.iter().any(|loss| loss.starts_with(&format!("{field}: "))),
            "{field} in {lost:?}"
        );
    }
}
