use proptest::prelude::*;

use super::streams::{check_as_sdk, heard};
use super::*;
use crate::assembly::{Assembly, Call};
use crate::ir::{Citation, FinishReason, Message, ReasoningStyle, Role, Sampling, Signature, Tool, ToolChoice};
use crate::raw::Raw;
use crate::transcode::streamed;
use crate::tree::Node;

/// JSON of the words that the protocol knows, in places where they may or may not belong.
fn json() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "contents",
        "parts",
        "text",
        "role",
        "user",
        "model",
        "functionCall",
        "functionResponse",
        "name",
        "args",
        "id",
        "inlineData",
        "mime_type",
        "data",
        "thought",
        "thoughtSignature",
        "tools",
        "functionDeclarations",
        "parameters",
        "type",
        "STRING",
        "OBJECT",
        "properties",
        "generationConfig",
        "topK",
        "thinkingConfig",
        "thinkingBudget",
        "systemInstruction",
        "candidates",
        "content",
        "finishReason",
        "STOP",
        "promptFeedback",
        "blockReason",
        "usageMetadata",
        "promptTokenCount",
        "groundingMetadata",
        "groundingSupports",
        "segment",
        "endIndex",
        "error",
        "toolConfig",
        "functionCallingConfig",
        "mode",
        "responseSchema",
        "fileData",
        "fileUri",
        "response",
        "index",
    ]);
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|value| value.to_string()),
        any::<i32>().prop_map(|value| value.to_string()),
        words.clone().prop_map(|word| format!("\"{word}\"")),
        "[a-zäß ]{0,5}".prop_map(|text| format!("\"{text}\"")),
    ];
    leaf.prop_recursive(7, 60, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec((words.clone(), inner), 0..5).prop_map(|members| {
                let members: Vec<String> = members
                    .into_iter()
                    .map(|(key, value)| format!("\"{key}\":{value}"))
                    .collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

fn part(role: Role) -> impl Strategy<Value = Part> {
    let signature =
        prop::option::of("[a-z]{4}").prop_map(|data| data.map(|data| Signature::open(Protocol::Gemini, &data)));
    let text = (".{1,8}", signature.clone()).prop_map(|(text, signature)| Part {
        signature,
        ..Part::text(text)
    });
    let image = Just(Content::Image {
        source: Media::Data {
            mime: Some("image/png".into()),
            data: "AAAA".into(),
            filename: None,
        },
        detail: None,
    });
    let thought = (".{1,8}", "[a-z]{4}").prop_map(|(text, data)| Part {
        signature: Some(Signature::open(Protocol::Gemini, &data)),
        ..Content::Reasoning {
            text,
            style: ReasoningStyle::Summary,
            redacted: None,
        }
        .into()
    });
    let call = ("[a-z_]{1,8}", "[a-z0-9]{6}", -9i64..9, signature).prop_map(|(name, id, number, signature)| Part {
        signature,
        ..Content::ToolCall {
            id,
            name,
            namespace: None,
            input: ToolInput::Json(format!("{{\"n\":{number}.50}}")),
        }
        .into()
    });
    match role {
        Role::Assistant => prop_oneof![text, thought, call].boxed(),
        _ => prop_oneof![text, image.prop_map(Part::from)].boxed(),
    }
}

fn request() -> impl Strategy<Value = Request> {
    let turn = (
        prop::collection::vec(part(Role::User), 1..3),
        prop::collection::vec(part(Role::Assistant), 1..4),
    );
    let sampling = (
        prop::option::of(0.0..2.0f64),
        prop::option::of(0u64..100),
        prop::option::of(any::<i32>()),
    );
    let rest = (
        prop::option::of(0u64..10_000),
        prop::collection::vec("[a-z]{1,4}", 0..5),
        ".{0,8}",
        any::<bool>(),
    );
    (prop::collection::vec(turn, 1..3), sampling, rest).prop_map(
        |(turns, (temperature, top_k, seed), (max_tokens, stop, system, tools))| {
            let mut request = Request::new(Protocol::Gemini, "gemini-2.5-flash");
            for (user, model) in turns {
                request.messages.push(Message::new(Role::User, user));
                request.messages.push(Message::new(Role::Assistant, model));
            }
            request.messages.push(Message::new(Role::User, vec![Part::text("end")]));
            request.sampling = Sampling {
                temperature,
                top_k,
                seed: seed.map(i64::from),
                ..Sampling::default()
            };
            request.max_tokens = max_tokens;
            request.stop = stop;
            request.system = Some(Part::text(&*system))
                .into_iter()
                .filter(|_| !system.is_empty())
                .collect();
            if tools {
                request.tools = vec![Tool::Function(crate::ir::Function {
                    name: "f".into(),
                    schema: Some(Raw::parse(r#"{"type":"object"}"#).unwrap()),
                    ..crate::ir::Function::default()
                })];
                request.tool_choice = Some(ToolChoice::Required);
            }
            repair(&mut request, &mut Losses::new(Protocol::Gemini));
            request
        },
    )
}

/// The request as it is read: what the model said in pieces is one.
fn as_one(mut request: Request) -> Request {
    let is_bare = |part: &Part| part.signature.is_none() && matches!(part.content, Content::Text { .. });
    for message in request
        .messages
        .iter_mut()
        .filter(|message| message.role == Role::Assistant)
    {
        let mut parts: Vec<Part> = Vec::new();
        for part in message.parts.drain(..) {
            match (parts.last_mut().filter(|last| is_bare(last)), &part.content) {
                (Some(last), Content::Text { text: more, .. }) => {
                    let Content::Text { text, .. } = &mut last.content else {
                        unreachable!("it is bare")
                    };
                    text.push_str(more);
                    last.signature = part.signature;
                }
                _ => parts.push(part),
            }
        }
        message.parts = parts;
    }
    request
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let piece = (
        0..2u32,
        0..9u8,
        0..3u64,
        prop_oneof![Just("{}".to_owned()), Just("{\r\n\n}".to_owned()), ".{1,4}"],
    );
    (prop::collection::vec(piece, 0..30), 0..3u8).prop_map(|(pieces, end)| {
        let mut assembly = Assembly::new(memo(), "s");
        for (candidate, kind, key, text) in pieces {
            let proof = Signature::made_by(Protocol::Anthropic, "a", text.clone());
            match kind {
                0 | 1 => assembly.text(candidate, text),
                2 => assembly.reasoning(candidate, ReasoningStyle::Full, text),
                3 => assembly.signature(candidate, proof),
                4 => assembly.call(
                    candidate,
                    key,
                    Call {
                        name: "f".into(),
                        signature: Some(proof),
                        ..Call::default()
                    },
                ),
                5 => assembly.arguments(candidate, key, text),
                6 => assembly.citation(
                    candidate,
                    Citation {
                        url: Some(text),
                        start: Some(key),
                        ..Citation::default()
                    },
                ),
                7 => assembly.whole(
                    candidate,
                    Content::Image {
                        source: Media::Data {
                            mime: None,
                            data: "AAAA".into(),
                            filename: None,
                        },
                        detail: None,
                    }
                    .into(),
                ),
                _ => assembly.refusal(candidate, text),
            }
        }
        if end == 0 {
            assembly.error(crate::ir::Error::new(crate::ir::Class::Overloaded, "full"));
        } else {
            assembly.finish(0, FinishReason::Stop);
            assembly.finish(1, FinishReason::ContentFilter);
        }
        assembly.close();
        assembly.take()
    })
}

proptest! {
    #[test]
    fn any_json_is_read_or_refused(body in json(), as_contents in any::<bool>()) {
        let address = Address { model: Some("m"), ..Address::default() };
        let body = if as_contents { format!(r#"{{"contents":{body},"generationConfig":{body},"tools":{body}}}"#) } else { body };
        if let Ok(mut request) = Gemini.read_request(body.as_bytes(), &address) {
            repair(&mut request, &mut Losses::new(Protocol::Gemini));
            for model in ["gemini-3-pro", "gemini-1.5-pro"] {
                let target = Target { provider: "google", model, quirks: &Quirks::default() };
                if let Ok(outgoing) = Gemini.write_request(&request, &target, &mut Losses::new(Protocol::Gemini)) {
                    prop_assert!(Node::parse(&outgoing.body).is_ok());
                }
            }
        }
    }

    #[test]
    fn any_answer_is_read_or_an_error(body in json(), wrapped in any::<bool>()) {
        let body = if wrapped { format!(r#"{{"candidates":[{{"content":{{"parts":[{body}]}},"groundingMetadata":{body},"finishReason":"STOP"}}]}}"#) } else { body };
        if let Ok(events) = crate::transcode::events_of(&Gemini, body.as_bytes(), memo(), "s") {
            prop_assert_eq!(crate::assembly::tests::check(&events), Ok(()));
        }
        let events = heard(&[format!("data: {body}\n\n").as_bytes()]);
        prop_assert_eq!(crate::assembly::tests::check(&events), Ok(()));
    }

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Gemini.read_request(&bytes, &Address::default());
        let events = heard(&[&bytes]);
        prop_assert!(matches!(events.last(), Some(Event::Error(_))));
    }

    #[test]
    fn chunks_do_not_matter(which in 0usize..18, cuts in prop::collection::vec(0usize..2000, 0..8)) {
        let (_, stream) = golden("streams").swap_remove(which);
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(stream.len())).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let chunks: Vec<&[u8]> = cuts.windows(2).map(|pair| &stream[pair[0]..pair[1]]).collect();
        prop_assert_eq!(heard(&chunks), heard(&[&stream]));
    }

    #[test]
    fn a_request_survives_its_own_protocol(request in request()) {
        let mut again = read(written(&request).as_bytes());
        repair(&mut again, &mut Losses::new(Protocol::Gemini));
        prop_assert_eq!(again, as_one(request));
    }

    #[test]
    fn whatever_is_told_the_sdk_understands(events in events()) {
        crate::assembly::tests::check(&events).unwrap();
        let body = streamed(&Gemini, &events, &asked(true)).1;
        let (chunks, failed) = check_as_sdk(std::str::from_utf8(&body).unwrap()).unwrap();
        prop_assert_eq!(failed, matches!(events.last(), Some(Event::Error(_))));
        prop_assert!(chunks > 0);
        let array = streamed(&Gemini, &events, &asked(false)).1;
        prop_assert_eq!(Node::parse(&array).unwrap().items().len(), chunks);
    }
}
