use super::*;
use crate::codec::Malformed;
use crate::ir::{Logprobs, Tool, ToolChoice};

#[test]
fn what_is_read_and_written_means_the_same() {
    // What is changed in these is tested below: a turn that the API demands, the order of results and of tools, a name
    // that is too long.
    let changed = ["system-only", "calls-without-ids", "search-and-functions", "agent"];
    for (name, body) in golden("requests") {
        let mut request = read(&body);
        let model = if name == "thinking-level" {
            "gemini-3-flash"
        } else {
            "gemini-2.5-flash"
        };
        let (_, again, _, losses) = written_for(&request, model);
        repair(&mut request, &mut Losses::new(Protocol::Gemini));
        let mut second = read(again.as_bytes());
        repair(&mut second, &mut Losses::new(Protocol::Gemini));
        if !changed.contains(&name.as_str()) {
            assert_eq!(second, request, "{name}\n{again}");
            assert_eq!(losses, expected_losses(&name), "{name}");
        }
    }
}

fn expected_losses(name: &str) -> Vec<String> {
    match name {
        "image-url" => vec!["fileData: sent as an address, which the provider fetches only if it is public".into()],
        _ => Vec::new(),
    }
}

#[test]
fn conversations_are_read() {
    let cases = [
        ("no-role", r#"User[text "Hello"]"#),
        ("bare-strings", r#"User[text "Hello"]"#),
        (
            "multi-turn",
            r#"User[text "1+1?"] Assistant[text "2"] User[text "and +1?"]"#,
        ),
        (
            "calls-without-ids",
            r#"User[text "Twice?"] Assistant[call call_by_order_0 f {"n":1}, call call_by_order_1 f {"n":2}, call call_by_order_2 g {}] User[result call_by_order_2 g None [text "third"], result call_by_order_0 f None [text "first"], result call_by_order_1 f None [text "second"]] Assistant[call call_by_order_3 f {"n":3}] User[result call_by_order_3 f None [text "again"]]"#,
        ),
        (
            "thought-history",
            r#"User[text "Go"] Assistant[reasoning "I should call f.", text "I look.", reasoning "" signed c2lnMQ==, call c1 f {} signed c2lnMg==] User[result c1 f None [text "ok"]]"#,
        ),
        (
            "tool-error",
            r#"User[text "Go"] Assistant[call call_by_order_0 f {}] User[result call_by_order_0 f Some(true) [text "no such file"]]"#,
        ),
        (
            "code-execution",
            r#"User[text "Compute"] Assistant[foreign executableCode signed c2ln, foreign codeExecutionResult, text "1"] User[text "again"]"#,
        ),
        ("python-sdk", r#"User[text "What is it?", image image/png //77]"#),
        (
            "video",
            r#"User[video at https://www.youtube.com/watch?v=x, text "Sum it up"]"#,
        ),
        (
            "file-uri",
            r#"User[document file https://generativelanguage.googleapis.com/v1beta/files/abc, text "Sum it up"]"#,
        ),
    ];
    for (name, expected) in cases {
        let request = read(&golden_file("requests", name));
        assert_eq!(told_conversation(&request), expected, "{name}");
    }
}

#[test]
fn every_field_in_either_spelling() {
    let request = read(&golden_file("requests", "python-sdk"));
    assert_eq!(request.model, "gemini-2.5-flash");
    assert_eq!(request.max_tokens, Some(50));
    assert_eq!(request.stop, ["x"]);
    assert_eq!(request.tool_choice, Some(ToolChoice::Tool { name: "f".into() }));
    assert_eq!(request.reasoning.as_ref().unwrap().budget, Some(100));
    let schemas: Vec<String> = request
        .tools
        .iter()
        .map(|tool| match tool {
            Tool::Function(function) => function.schema.as_ref().unwrap().as_str().replace([' ', '\n'], ""),
            _ => String::new(),
        })
        .collect();
    assert_eq!(
        schemas,
        [
            r#"{"type":"object","properties":{"snake_case":{"type":"string"}}}"#,
            r#"{"type":"object","properties":{"any_of":{"type":"array","minItems":1,"items":{"type":"string"}}}}"#,
        ]
    );
    let sampling = read(&golden_file("requests", "sampling"));
    assert_eq!(sampling.sampling.top_k, Some(40));
    assert_eq!(
        (sampling.candidates, sampling.logprobs),
        (Some(2), Some(Logprobs { top: Some(3) }))
    );
}

#[test]
fn what_cannot_be_meant_is_malformed() {
    let cases = [
        ("{}", "contents"),
        (r#"{"contents":[]}"#, "contents"),
        (r#"{"contents":[3]}"#, "contents[0]"),
        (
            r#"{"contents":[{"role":"robot","parts":[{"text":"x"}]}]}"#,
            "contents[0].role",
        ),
        (
            r#"{"contents":[{"parts":[{"text":"x"},{"text":3}]}]}"#,
            "contents[0].parts[1].text",
        ),
        (
            r#"{"contents":[{"parts":[{"functionCall":{"args":{}}}]}]}"#,
            "contents[0].parts[0].functionCall.name",
        ),
        (
            r#"{"contents":[{"parts":[{"inlineData":{"mimeType":"image/png","data":"%"}}]}]}"#,
            "contents[0].parts[0].inlineData",
        ),
        (
            r#"{"contents":"x","generationConfig":{"temperature":"hot"}}"#,
            "generationConfig.temperature",
        ),
        (r#"{"contents":"x","generationConfig":[]}"#, "generationConfig"),
        (
            r#"{"contents":"x","generationConfig":{"maxOutputTokens":-1}}"#,
            "generationConfig.maxOutputTokens",
        ),
        (
            r#"{"contents":"x","tools":[{"functionDeclarations":[{}]}]}"#,
            "tools[0].functionDeclarations[0].name",
        ),
        (
            r#"{"contents":"x","systemInstruction":{"parts":[{"inlineData":{}}]}}"#,
            "systemInstruction",
        ),
    ];
    for (body, expected) in cases {
        match Gemini.read_request(
            body.as_bytes(),
            &Address {
                model: Some("m"),
                ..Address::default()
            },
        ) {
            Err(Malformed::Field { field, .. }) => assert_eq!(field, expected, "{body}"),
            other => panic!("{body}: {other:?}"),
        }
    }
    assert!(matches!(
        Gemini.read_request(b"[", &Address::default()),
        Err(Malformed::NotJson(_))
    ));
}

#[test]
fn what_the_model_said_in_pieces_is_one_again() {
    // As Google's own chat sends back what it streamed.
    let request = read(
        br#"{"contents":[{"role":"user","parts":[{"text":"a"},{"text":"b"}]},{"role":"model","parts":[{"text":"Hel"}]},
            {"role":"model","parts":[{"text":"lo"}]},{"role":"model","parts":[{"text":"\n\n"}]},
            {"role":"model","parts":[{"text":"World","thoughtSignature":"c2ln"}]},{"role":"user","parts":[{"text":"c"}]}]}"#,
    );
    let texts = |message: &crate::ir::Message| -> Vec<String> {
        let text = |part: &Part| match &part.content {
            Content::Text { text, .. } => text.clone(),
            other => panic!("{other:?}"),
        };
        message.parts.iter().map(text).collect()
    };
    let all: Vec<_> = request.messages.iter().map(texts).collect();
    assert_eq!(all, [vec!["a", "b"], vec!["Hello\n\nWorld"], vec!["c"]]);
    assert!(request.messages[1].parts[0].signature.is_some());
}
