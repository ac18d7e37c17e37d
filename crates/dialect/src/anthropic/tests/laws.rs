use proptest::prelude::*;

use super::streams::accumulated;
use super::*;
use crate::assembly::{Assembly, Call};
use crate::ir::{
    CacheMark, Class, Content, Delta, Effort, FinishReason, Format, Function, Media, Message, Opened, Reasoning,
    ReasoningStyle, Role, Signature, Tool, ToolChoice, ToolInput,
};
use crate::raw::Raw;
use crate::transcode::streamed;

fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("1.50".to_owned()),
        Just("-3".to_owned()),
        Just(r#""user""#.to_owned()),
        Just(r#""text""#.to_owned()),
        Just(r#""tool_use""#.to_owned()),
        Just(r#""enabled""#.to_owned()),
        "\"[a-z\\p{L}]{0,5}\"".prop_map(|text| text),
    ];
    let key = prop::sample::select(vec![
        "type",
        "role",
        "content",
        "text",
        "source",
        "data",
        "url",
        "id",
        "name",
        "input",
        "system",
        "messages",
        "model",
        "tools",
        "thinking",
        "tool_choice",
        "cache_control",
        "output_config",
        "metadata",
        "x",
    ]);
    leaf.prop_recursive(5, 60, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec((key.clone(), inner), 0..6).prop_map(|members| {
                let members: Vec<String> = members
                    .into_iter()
                    .map(|(key, value)| format!("\"{key}\":{value}"))
                    .collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

fn word() -> impl Strategy<Value = String> {
    "[a-zA-Z\\p{L}\"\\\\\n]{1,8}[a-z]"
}

fn mark() -> impl Strategy<Value = Option<CacheMark>> {
    prop_oneof![9 => Just(None), 1 => Just(Some(CacheMark { ttl: Some("5m".into()) }))]
}

fn said() -> impl Strategy<Value = Part> {
    let media = || {
        prop_oneof![
            Just(Media::Url {
                url: "https://a/b".into(),
                mime: None
            }),
            Just(Media::Data {
                mime: Some("image/png".into()),
                data: "AAAA".into(),
                filename: None
            }),
            Just(Media::File {
                protocol: Protocol::Anthropic,
                id: "file_1".into()
            }),
        ]
    };
    let document =
        (word(), prop::option::of(word()), any::<bool>()).prop_map(|(text, title, citations)| Content::Document {
            source: Media::Text { text, filename: None },
            title,
            context: None,
            citations,
        });
    let content = prop_oneof![
        word().prop_map(|text| Content::Text {
            text,
            citations: vec![]
        }),
        media().prop_map(|source| Content::Image { source, detail: None }),
        document,
    ];
    (content, mark()).prop_map(|(content, cache)| Part {
        cache,
        ..content.into()
    })
}

/// Turns of the assistant, each with the user's next message; calls are answered.
fn turn() -> impl Strategy<Value = Vec<Message>> {
    let thought = (word(), any::<bool>()).prop_map(|(text, hidden)| {
        let mut signature = Signature::open(Protocol::Anthropic, "EqQB");
        signature.item = hidden.then(|| "redacted_thinking".to_owned());
        let (text, redacted) = if hidden {
            (String::new(), Some("EqQB".to_owned()))
        } else {
            (text, None)
        };
        Part {
            signature: Some(signature),
            ..Content::Reasoning {
                text,
                style: ReasoningStyle::Full,
                redacted,
            }
            .into()
        }
    });
    let calls = prop::collection::vec(("[a-z_]{1,9}", word(), prop::option::of(any::<bool>())), 0..3);
    (
        prop::option::of(thought),
        word(),
        calls,
        prop::collection::vec(said(), 1..3),
        any::<u32>(),
    )
        .prop_map(|(thought, text, calls, after, number)| {
            let mut parts: Vec<Part> = thought.into_iter().chain([Part::text(text)]).collect();
            let mut results = Vec::new();
            for (index, (name, word, failed)) in calls.into_iter().enumerate() {
                let id = format!("toolu_{number}_{index}");
                let input = crate::writer::raw_object(|it| it.text(&name, &word))
                    .as_str()
                    .to_owned();
                parts.push(
                    Content::ToolCall {
                        id: id.clone(),
                        name: name.clone(),
                        namespace: None,
                        input: ToolInput::Json(input),
                    }
                    .into(),
                );
                results.push(Part::from(Content::ToolResult {
                    id,
                    name: Some(name),
                    content: vec![Part::text(word)],
                    is_error: failed.filter(|failed| *failed),
                    custom: false,
                }));
            }
            results.extend(after);
            vec![Message::new(Role::Assistant, parts), Message::new(Role::User, results)]
        })
}

prop_compose! {
    fn request()(
        first in prop::collection::vec(said(), 1..3),
        turns in prop::collection::vec(turn(), 0..3),
        system in prop::collection::vec(word(), 0..3),
        tools in prop::collection::vec(("[a-zA-Z_-]{1,9}", prop::option::of(word())), 0..3),
        choice in prop::option::of(0..4u8),
        serial: bool,
        (stream, max_tokens, stop, user) in (any::<bool>(), 5000..9000u64, prop::collection::vec(word(), 0..3), prop::option::of(word())),
        (temperature, thinking, schema) in (prop::option::of(0.0..1.0f64), 0..5u8, any::<bool>()),
    ) -> Request {
        let mut request = Request::new(Protocol::Anthropic, "some-model");
        request.stream = stream;
        request.max_tokens = Some(max_tokens);
        request.stop = stop;
        request.user = user;
        request.system = system.into_iter().map(Part::text).collect();
        request.messages = std::iter::once(Message::new(Role::User, first)).chain(turns.into_iter().flatten()).collect();
        request.tools = tools.into_iter().enumerate().map(|(index, (name, description))| Tool::Function(Function {
            name: format!("{name}{index}"),
            description,
            schema: Some(Raw::parse(r#"{"type":"object","properties":{"n":{"maximum":1.0}}}"#).unwrap()),
            ..Function::default()
        })).collect();
        if !request.tools.is_empty() {
            request.tool_choice = choice.map(|choice| match choice {
                0 => ToolChoice::Auto,
                1 => ToolChoice::None,
                2 => ToolChoice::Required,
                _ => match &request.tools[0] {
                    Tool::Function(function) => ToolChoice::Tool { name: function.name.clone() },
                    _ => ToolChoice::Auto,
                },
            });
            let can_be_serial = request.tool_choice.as_ref().is_some_and(|choice| *choice != ToolChoice::None);
            request.parallel_tools = (serial && can_be_serial).then_some(false);
        }
        let forced = matches!(request.tool_choice, Some(ToolChoice::Required | ToolChoice::Tool { .. }));
        request.reasoning = match thinking {
            0 => Some(Reasoning { enabled: Some(false), ..Reasoning::default() }),
            1 if !forced => Some(Reasoning { enabled: Some(true), adaptive: true, ..Reasoning::default() }),
            2 => Some(Reasoning { effort: Some(Effort::Max), ..Reasoning::default() }),
            _ => None,
        };
        if request.reasoning.as_ref().is_none_or(|reasoning| !reasoning.adaptive) {
            request.sampling.temperature = temperature;
        }
        if schema {
            request.format = Format::JsonSchema {
                name: None,
                description: None,
                schema: Raw::parse(r#"{"type":"object","additionalProperties":false}"#).unwrap(),
                strict: None,
            };
        }
        request
    }
}

fn pieces() -> impl Strategy<Value = Vec<(u32, u8, u64, String)>> {
    let text = prop_oneof![
        Just(String::new()),
        Just("{".to_owned()),
        Just("}".to_owned()),
        "[a-z\"]{1,3}"
    ];
    prop::collection::vec((0..2u32, 0..13u8, 0..3u64, text), 0..40)
}

/// Some well-formed sequence of events.
fn events(pieces: Vec<(u32, u8, u64, String)>, closed: bool) -> Vec<Event> {
    let mut assembly = Assembly::new(memo(), "s");
    for (candidate, kind, key, text) in pieces {
        let call = || Call {
            name: if text.is_empty() { "f".into() } else { "g".into() },
            signature: text.is_empty().then(|| Signature::made_by(Protocol::Gemini, "p", "s")),
            free_text: text == "}",
            ..Call::default()
        };
        match kind {
            0 | 1 => assembly.text(candidate, text),
            2 => assembly.refusal(candidate, text),
            3 => assembly.reasoning(candidate, ReasoningStyle::Summary, text),
            4 => assembly.signature(candidate, Signature::made_by(Protocol::Gemini, "p", text)),
            5 => assembly.part_end(candidate),
            6 | 7 => assembly.call(candidate, key, call()),
            8 | 9 => assembly.arguments(candidate, key, text),
            10 => assembly.call_end(candidate, key),
            11 => assembly.ping(),
            _ => assembly.whole(candidate, Part::text(text)),
        }
    }
    if closed {
        assembly.finish(0, FinishReason::Stop);
        assembly.finish(1, FinishReason::Length);
    }
    assembly.close();
    assembly.take()
}

proptest! {
    #[test]
    fn reading_a_request_never_panics(text in json(), bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        let _ = Anthropic.read_request(&bytes, &Address::default());
        let whole = format!(r#"{{"model":"m","messages":[{{"role":"user","content":{text}}}],"system":{text}}}"#);
        for body in [text, whole] {
            if let Ok(request) = Anthropic.read_request(body.as_bytes(), &Address::default()) {
                for model in ["claude-opus-4-7", "claude-sonnet-4", "m"] {
                    if let (Ok(written), _) = write_for(model, &request) {
                        prop_assert!(Anthropic.read_request(&written.body, &Address::default()).is_ok());
                    }
                }
            }
        }
    }

    #[test]
    fn reading_an_answer_never_panics(text in json(), bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        let whole = format!(r#"{{"content":[{text},{text}],"stop_reason":"end_turn","usage":{text}}}"#);
        for body in [bytes, text.into_bytes(), whole.into_bytes()] {
            if let Ok(events) = events_of(&Anthropic, &body, memo(), "s") {
                prop_assert_eq!(crate::assembly::tests::check(&events), Ok(()));
            }
        }
    }

    #[test]
    fn what_is_written_is_read_again(request in request()) {
        let (body, losses) = body_for(&request.model, &request);
        let mut expected = request;
        repair(&mut expected, &mut Losses::new(Protocol::Anthropic));
        let mut again = read(body.as_bytes());
        repair(&mut again, &mut Losses::new(Protocol::Anthropic));
        if losses.is_empty() {
            prop_assert_eq!(again, expected);
        }
    }

    #[test]
    fn requests_of_others_are_written_as_they_are_accepted(request in request(), from in 0..4usize) {
        let request = Request { from: Protocol::ALL[from], ..request };
        for model in ["claude-opus-4-7", "claude-sonnet-4", "claude-3-haiku"] {
            let (body, _) = body_for(model, &request);
            let node = crate::tree::Node::parse_text(&body).unwrap();
            let messages = node.get("messages").items();
            prop_assert_eq!(messages[0].get("role").text(), Some("user"));
            prop_assert!(messages.windows(2).all(|pair| pair[0].get("role") != pair[1].get("role")));
            let limit = node.get("max_tokens").u64().unwrap();
            prop_assert!(node.get("thinking").get("budget_tokens").u64().unwrap_or(1024) < limit.max(1025));
            prop_assert!(body.matches("\"cache_control\"").count() <= 4);
        }
    }

    #[test]
    fn chunks_do_not_matter(which in 0..25usize, size in 1..40usize) {
        let (_, stream) = &all_golden("streams")[which];
        prop_assert_eq!(listen(stream, size), listen(stream, stream.len()));
    }

    #[test]
    fn a_stream_that_is_cut_or_garbled_ends_in_an_error(which in 0..25usize, at in any::<prop::sample::Index>(), garbage in prop::collection::vec(any::<u8>(), 0..30)) {
        let (_, stream) = &all_golden("streams")[which];
        let at = at.index(stream.len());
        let garbled = [&stream[..at], &garbage].concat();
        let events = listen(&garbled, 64);
        let reason = b"\"stop_reason\":\"";
        if memchr::memmem::find(&garbled, reason).is_none() && memchr::memmem::find(&garbled, b"message_stop").is_none() {
            let is_error = matches!(events.last(), Some(Event::Error(_)));
            prop_assert!(is_error);
        }
    }

    #[test]
    fn whatever_is_told_the_sdks_can_put_together(pieces in pieces(), closed: bool, cut in prop::option::of(any::<prop::sample::Index>())) {
        let mut events = events(pieces, closed);
        prop_assert_eq!(crate::assembly::tests::check(&events), Ok(()));
        if let Some(cut) = cut {
            events.truncate(cut.index(events.len()));
            events.push(Event::Error(Error::new(Class::Server, "cut")));
        }
        let (_, stream) = streamed(&Anthropic, &events, &asked());
        let message = accumulated(&stream);
        prop_assert!(message.is_ok(), "{:?}: {}", message, String::from_utf8_lossy(&stream));
        let message = message.unwrap();
        let failed = matches!(events.last(), Some(Event::Error(_)));
        prop_assert_eq!((message.error.is_some(), message.stopped), (failed, !failed));
        let mut kinds = std::collections::HashMap::new();
        let mut said = String::new();
        for event in &events {
            match event {
                Event::PartStart { candidate: 0, part, opened } => {
                    if let Opened::Whole(Part { content: Content::Text { text, .. }, .. }) = opened {
                        said.push_str(text);
                    }
                    kinds.insert(*part, matches!(opened, Opened::Text | Opened::Refusal));
                }
                Event::Delta { candidate: 0, part, delta: Delta::Text(text) } if kinds[part] => said.push_str(text),
                _ => {}
            }
        }
        let heard: String = message.blocks.iter().filter(|(kind, _)| kind == "text").map(|(_, text)| text.as_str()).collect();
        prop_assert_eq!(heard, said);
    }
}
