use super::*;
use crate::ir::{Effort, Format, Function, Reasoning, Show, Tool, ToolChoice};
use crate::raw::Raw;

const OLD: &str = "claude-sonnet-4-20250514";
const NEW: &str = "claude-opus-4-7";

fn function(name: &str, schema: &str) -> Tool {
    Tool::Function(Function {
        name: name.into(),
        schema: Some(Raw::parse(schema).unwrap()),
        ..Function::default()
    })
}

#[test]
fn how_hard_to_think_is_told_as_the_model_wants_it() {
    let with = |reasoning: Reasoning, max_tokens: Option<u64>| {
        let mut request = foreign(Protocol::OpenaiResponses);
        request.reasoning = Some(reasoning);
        request.max_tokens = max_tokens;
        request
    };
    let effort = |effort| Reasoning {
        effort: Some(effort),
        ..Reasoning::default()
    };
    let budget = |budget| Reasoning {
        budget: Some(budget),
        ..Reasoning::default()
    };
    let cases = [
        (
            OLD,
            with(effort(Effort::Low), None),
            r#""max_tokens":64000"#,
            r#""thinking":{"type":"enabled","budget_tokens":2048}"#,
        ),
        (
            OLD,
            with(effort(Effort::High), Some(8000)),
            r#""max_tokens":8000"#,
            r#""budget_tokens":6976"#,
        ),
        (
            OLD,
            with(effort(Effort::High), Some(500)),
            r#""max_tokens":2048"#,
            r#""budget_tokens":1024"#,
        ),
        (
            OLD,
            with(budget(9000), Some(4000)),
            r#""max_tokens":10024"#,
            r#""budget_tokens":9000"#,
        ),
        (
            OLD,
            with(budget(100), None),
            r#""max_tokens":64000"#,
            r#""budget_tokens":1024"#,
        ),
        (
            OLD,
            with(budget(999_999), None),
            r#""max_tokens":64000"#,
            r#""budget_tokens":63999"#,
        ),
        (
            OLD,
            with(effort(Effort::None), None),
            "",
            r#""messages":[{"role":"user","content":"Hello"}]}"#,
        ),
        (
            "claude-opus-4-6",
            with(effort(Effort::None), None),
            "",
            r#""thinking":{"type":"disabled"}"#,
        ),
        (
            "claude-opus-4-6",
            with(effort(Effort::XHigh), None),
            r#""thinking":{"type":"adaptive"}"#,
            r#""output_config":{"effort":"high"}"#,
        ),
        (
            NEW,
            with(effort(Effort::Minimal), None),
            r#""thinking":{"type":"adaptive"}"#,
            r#""output_config":{"effort":"low"}"#,
        ),
        (
            NEW,
            with(budget(30_000), None),
            r#""thinking":{"type":"adaptive"}"#,
            r#""output_config":{"effort":"xhigh"}"#,
        ),
        (
            "kimi-k2",
            with(effort(Effort::Low), None),
            r#""max_tokens":8192"#,
            r#""thinking":{"type":"enabled","budget_tokens":2048}"#,
        ),
    ];
    for (model, request, one, other) in cases {
        let (body, _) = body_for(model, &request);
        assert!(body.contains(one) && body.contains(other), "{model}: {body}");
    }
    let mut shown = effort(Effort::High);
    shown.show = Show::Summary("auto".into());
    let (body, _) = body_for(NEW, &with(shown, None));
    assert!(body.contains(r#"{"type":"adaptive","display":"summarized"}"#), "{body}");
    let (_, losses) = body_for("claude-3-haiku", &with(effort(Effort::High), None));
    assert_eq!(losses, ["reasoning.effort=this model cannot think"]);
}

#[test]
fn own_requests_are_fitted_to_other_models() {
    let request = read_golden("thinking-signed-history.json");
    let (body, losses) = body_for(NEW, &request);
    assert!(
        body.contains(r#""thinking":{"type":"adaptive"},"output_config":{"effort":"low"}"#),
        "{body}"
    );
    assert_eq!(losses, ["thinking.budget_tokens=told as an effort"]);
    let request = read_golden("thinking-adaptive.json");
    let (body, _) = body_for(OLD, &request);
    assert!(
        body.contains(r#""thinking":{"type":"enabled","budget_tokens":1024,"display":"summarized"}"#),
        "{body}"
    );
    assert!(
        body.contains(r#""max_tokens":2048"#) && !body.contains("effort"),
        "{body}"
    );
}

#[test]
fn sampling_is_fitted_to_the_model_and_to_thinking() {
    let mut request = foreign(Protocol::OpenaiChat);
    request.sampling.temperature = Some(1.7);
    request.sampling.top_p = Some(0.5);
    request.sampling.top_k = Some(10);
    request.sampling.seed = Some(1);
    request.sampling.presence_penalty = Some(0.0);
    let (body, losses) = body_for(OLD, &request);
    assert!(body.ends_with(r#""temperature":1.0,"top_p":0.5,"top_k":10}"#), "{body}");
    assert_eq!(losses, ["temperature=clamped to 0..1", "seed=not supported"]);
    let (body, _) = body_for("claude-sonnet-4-5", &request);
    assert!(body.ends_with(r#""temperature":1.0,"top_k":10}"#), "{body}");
    let (body, losses) = body_for(NEW, &request);
    assert!(body.ends_with(r#""content":"Hello"}]}"#), "{body}");
    assert!(losses.contains(&"top_k=not accepted by this model".to_owned()));
    request.reasoning = Some(Reasoning {
        budget: Some(2000),
        ..Reasoning::default()
    });
    request.sampling.temperature = Some(0.2);
    let (body, losses) = body_for(OLD, &request);
    assert!(!body.contains("top_") && !body.contains("temperature"), "{body}");
    assert_eq!(
        losses
            .iter()
            .filter(|loss| loss.ends_with("while the model thinks"))
            .count(),
        3
    );
}

#[test]
fn a_forced_tool_does_not_go_with_thinking() {
    let mut request = foreign(Protocol::OpenaiChat);
    request.tools = vec![function("f", "{}")];
    request.tool_choice = Some(ToolChoice::Tool { name: "f".into() });
    request.reasoning = Some(Reasoning {
        effort: Some(Effort::High),
        ..Reasoning::default()
    });
    request.parallel_tools = Some(false);
    let (body, losses) = body_for(OLD, &request);
    assert!(body.contains(r#""tools":[{"name":"f","input_schema":{"type":"object","properties":{}}}],"tool_choice":{"type":"tool","name":"f","disable_parallel_tool_use":true}"#), "{body}");
    assert!(!body.contains("thinking"));
    assert_eq!(losses, ["reasoning_effort=no thinking when a tool is forced"]);
    let (body, losses) = body_for("claude-mythos-5", &request);
    assert!(
        body.contains(r#""tool_choice":{"type":"auto","#) && body.contains("adaptive"),
        "{body}"
    );
    assert_eq!(losses, ["tool_choice=a model that always thinks cannot be forced"]);
}

#[test]
fn tools_are_offered_under_names_that_are_accepted() {
    let mut request = foreign(Protocol::OpenaiResponses);
    let long = "x".repeat(130);
    request.tools = vec![
        function("a.b", r#"{"type":"object"}"#),
        Tool::Custom {
            name: "patch".into(),
            namespace: Some("files".into()),
            description: Some("Patches.".into()),
            format: Some(
                Raw::parse(r#"{"type":"grammar","grammar":{"definition":"start: x","syntax":"lark"}}"#).unwrap(),
            ),
            extra: crate::ir::Extra::default(),
        },
        function(&long, r#"{"type":"object"}"#),
        Tool::Foreign {
            protocol: Protocol::OpenaiResponses,
            kind: "web_search".into(),
            raw: Raw::parse("{}").unwrap(),
        },
    ];
    request.tool_choice = Some(ToolChoice::Allowed {
        names: vec!["patch".into(), "a.b".into()],
        required: true,
    });
    let (written, losses) = write_for(OLD, &request);
    let written = written.unwrap();
    let body = String::from_utf8(written.body).unwrap();
    assert!(body.contains(r#""tools":[{"name":"a_b","input_schema":{"type":"object"}},{"name":"files__patch","description":"Patches.\n\nThe text in `input` must match this lark grammar:\nstart: x","input_schema":{"type":"object","properties":{"input":{"type":"string"}},"required":["input"],"additionalProperties":false}}],"tool_choice":{"type":"any"}"#), "{body}");
    assert!(written.memo.tools["files__patch"].custom);
    assert_eq!(written.memo.tools["a_b"].name, "a.b");
    assert_eq!(losses.len(), 5, "{losses:?}");
    request.tool_choice = Some(ToolChoice::Tool { name: "a.b".into() });
    assert!(body_for(OLD, &request).0.contains(r#"{"type":"tool","name":"a_b"}"#));
    request.tools.clear();
    request.parallel_tools = Some(false);
    let (body, _) = body_for(OLD, &request);
    assert!(!body.contains("tool"), "{body}");
}

#[test]
fn a_schema_for_the_answer_is_sent_or_emulated() {
    let mut request = foreign(Protocol::OpenaiChat);
    let schema = r#"{"type":"object","properties":{"n":{"type":"integer","minimum":1}},"required":["n"]}"#;
    let of = |schema: &str| Format::JsonSchema {
        name: Some("number".into()),
        description: Some("A number.".into()),
        schema: Raw::parse(schema).unwrap(),
        strict: Some(true),
    };
    request.format = of(schema);
    let (body, losses) = body_for(NEW, &request);
    assert!(body.contains(r#""output_config":{"format":{"type":"json_schema","schema":{"type":"object","properties":{"n":{"type":"integer"}},"required":["n"],"additionalProperties":false}}}"#), "{body}");
    assert_eq!(
        losses,
        ["response_format.json_schema=constraints that are not accepted left out"]
    );
    let (written, losses) = write_for(OLD, &request);
    let written = written.unwrap();
    assert_eq!(written.memo.answer_tool.as_deref(), Some("answer"));
    let body = String::from_utf8(written.body).unwrap();
    assert!(body.contains(&format!(r#""input_schema":{schema}}}],"tool_choice":{{"type":"tool","name":"answer","disable_parallel_tool_use":true}}"#)), "{body}");
    assert_eq!(losses, ["response_format.json_schema=emulated by a tool"]);
    request.tools = vec![function("answer", "{}")];
    let (written, _) = write_for(OLD, &request);
    let written = written.unwrap();
    assert_eq!(written.memo.answer_tool.as_deref(), Some("answer_"));
    assert!(
        String::from_utf8(written.body)
            .unwrap()
            .contains(r#""tool_choice":{"type":"any","#)
    );
    request.format = of(r#"{"type":"array"}"#);
    assert!(write_for(OLD, &request).0.is_err());
    request.format = Format::JsonObject;
    let (body, losses) = body_for(OLD, &request);
    assert!(
        body.contains(r#""system":[{"type":"text","text":"Answer with one JSON object"#),
        "{body}"
    );
    assert_eq!(losses, ["response_format=emulated by an instruction"]);
}
