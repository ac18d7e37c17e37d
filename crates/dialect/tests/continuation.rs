//! An answer that is cut anywhere and goes on elsewhere is, for its client, the answer that was not cut.
//!
//! Every protocol stands at all three ends: the provider that breaks off, the one that goes on, and the client.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing helper is a failing test"
)]

use mynah_dialect::Protocol;
use mynah_dialect::assembly::{Assembly, Call};
use mynah_dialect::codec::{Asked, Memo, Target, client_side, upstream_side};
use mynah_dialect::continuation::{asked_again, is_possible};
use mynah_dialect::ir::{
    Class, Content, Error, Event, FinishReason, Format, Logprobs, Message, Part, ReasoningStyle, Request, Response,
    Role, Usage,
};
use mynah_dialect::loss::Losses;
use mynah_dialect::quirks::{Prefill, Quirks};
use mynah_dialect::transcode::{Listener, Sequel, Standing, Transcoder, collected, streamed};
use proptest::prelude::*;
use proptest::sample::Index;

const PROTOCOLS: [Protocol; 4] = [
    Protocol::OpenaiChat,
    Protocol::OpenaiResponses,
    Protocol::Anthropic,
    Protocol::Gemini,
];

/// What a provider makes of the beginning that it is given.
#[derive(Clone, Copy, Debug)]
enum Manner {
    /// It goes on.
    GoesOn,
    /// It repeats the beginning, as is known of it.
    Repeats,
    /// It does so, which is not known of it.
    RepeatsUnknown,
    /// It goes on, without the white space with which that would begin.
    Trims,
}

fn asked(client: Protocol) -> Asked {
    let mut request = Request::new(client, "m");
    (request.stream, request.include_usage) = (true, true);
    Asked {
        request,
        events: true,
        id: "law".into(),
        now: 1_700_000_000,
    }
}

fn memo() -> Memo {
    Memo {
        provider: "maker".into(),
        ..Memo::default()
    }
}

/// The stream of a provider that thinks and says this, in pieces of a few letters.
fn stream_of(protocol: Protocol, thought: Option<&str>, text: &str, called: bool) -> Vec<u8> {
    let mut assembly = Assembly::new(memo(), "law");
    if let Some(thought) = thought {
        assembly.reasoning(0, ReasoningStyle::Full, thought);
        assembly.part_end(0);
    }
    let letters: Vec<char> = text.chars().collect();
    for (size, piece) in letters.chunks(9).zip([3, 8, 1, 5].into_iter().cycle()) {
        let (one, other) = size.split_at(piece.min(size.len()));
        assembly.text(0, one.iter().collect::<String>());
        assembly.text(0, other.iter().collect::<String>());
    }
    if called {
        let call = Call {
            id: "call_1".into(),
            name: "look".into(),
            ..Call::default()
        };
        assembly.whole_call(0, 0, call, r#"{"at":"that"}"#);
    }
    assembly.usage(&Usage {
        input: Some(13),
        output: Some(9),
        ..Usage::default()
    });
    assembly.finish(0, FinishReason::Stop);
    assembly.close();
    streamed(client_side(protocol).unwrap(), &assembly.take(), &asked(protocol))
        .1
        .to_vec()
}

fn transcoder(from: Protocol, to: Protocol) -> Transcoder {
    let mut transcoder = Transcoder::new(upstream_side(from), client_side(to).unwrap(), memo(), &asked(to));
    transcoder.hold_together();
    transcoder
}

/// Where in a stream of any protocol its content is told.
fn content(stream: &[u8]) -> std::ops::Range<usize> {
    let place = |mark: &str| memchr::memmem::find(stream, mark.as_bytes());
    let end = [
        "event: response.output_text.done",
        "\"finish_reason\":\"",
        "event: content_block_stop",
        "\"finishReason\"",
    ];
    let begin = [
        "event: response.output_text.delta",
        "\"content\":\"",
        "event: content_block_delta",
        "\"parts\":",
    ];
    let first = |marks: [&str; 4]| marks.into_iter().find_map(place).unwrap();
    first(begin)..first(end)
}

/// Breaks off, in one of the ways in which connections do.
fn cut(transcoder: &mut Transcoder, out: &mut Vec<u8>, silently: bool) {
    out.extend_from_slice(&if silently {
        transcoder.finish()
    } else {
        transcoder.fail(Error::new(Class::Server, "cut"))
    });
}

/// What a provider answers when it is given the beginning of `text` that was told.
fn rest(text: &str, told: &str, manner: Manner) -> (String, bool) {
    let beginning = told.trim_end();
    let rest = &text[beginning.len()..];
    let is_trimmed = text[told.len()..].starts_with(char::is_whitespace);
    match manner {
        Manner::Repeats => (text.to_owned(), true),
        Manner::RepeatsUnknown if beginning.len() >= 32 => (text.to_owned(), false),
        Manner::Trims if !is_trimmed => (rest.trim_start().to_owned(), false),
        _ => (rest.to_owned(), false),
    }
}

fn understood(protocol: Protocol, stream: &[u8]) -> Result<Response, String> {
    let mut listener = Listener::new(upstream_side(protocol), memo(), "law");
    let mut events = listener.push(stream);
    events.extend(listener.finish());
    collected(events).map_err(|error| error.message)
}

/// The texts and the thoughts of an answer, part by part.
fn parts(response: &Response) -> (Vec<String>, String) {
    let (mut texts, mut thoughts) = (Vec::new(), String::new());
    for part in &response.candidates[0].parts {
        match &part.content {
            Content::Text { text, .. } => texts.push(text.clone()),
            Content::Reasoning { text, .. } => thoughts.push_str(text),
            _ => {}
        }
    }
    (texts, thoughts)
}

/// That an answer begins once, ends once, and closes what it opens.
fn is_well_formed(protocol: Protocol, stream: &str) {
    let once: &[&str] = match protocol {
        Protocol::OpenaiChat => &["\"role\":\"assistant\"", "\"finish_reason\":\"", "data: [DONE]"],
        Protocol::OpenaiResponses => &["event: response.created", "event: response.completed"],
        Protocol::Anthropic => &["event: message_start", "event: message_delta", "event: message_stop"],
        _ => &["\"finishReason\":"],
    };
    for mark in once {
        assert_eq!(stream.matches(mark).count(), 1, "{mark} in {stream}");
    }
    for (begins, ends) in [
        ("event: content_block_start", "event: content_block_stop"),
        ("event: response.output_item.added", "event: response.output_item.done"),
        (
            "event: response.content_part.added",
            "event: response.content_part.done",
        ),
    ] {
        assert_eq!(
            stream.matches(begins).count(),
            stream.matches(ends).count(),
            "{begins} in {stream}"
        );
    }
    let comments = stream
        .lines()
        .filter(|line| line.starts_with(": mynah continued by"))
        .count();
    assert!((comments > 0) == (protocol != Protocol::Gemini), "{stream}");
}

fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[a-z]{1,12}",
        "[ \n\t]{1,3}",
        Just("\u{1f99c}".to_owned()),
        Just("é\u{301}日本\"\\".to_owned()),
        Just("data: x\n\n".to_owned()),
    ];
    prop::collection::vec(piece, 1..7).prop_map(|pieces| pieces.concat())
}

fn manner() -> impl Strategy<Value = Manner> {
    prop_oneof![
        Just(Manner::GoesOn),
        Just(Manner::Repeats),
        Just(Manner::RepeatsUnknown),
        Just(Manner::Trims)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, max_shrink_iters: 100, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_cut_goes_on(
        text in text(),
        thinks: bool,
        (from, next, to) in (0..4_usize, 0..4_usize, 0..4_usize),
        (first, second) in (manner(), manner()),
        again: Index,
        silently: bool,
    ) {
        let (from, next, to) = (PROTOCOLS[from], PROTOCOLS[next], PROTOCOLS[to]);
        let thought = thinks.then_some("hm");
        let stream = stream_of(from, thought, &text, false);
        let content = content(&stream);
        // Every byte where something is told; around it are long events of which a sample will do.
        for place in (0..stream.len()).filter(|place| content.contains(place) || place % 29 == 0) {
            let mut transcoder = transcoder(from, to);
            let mut out = transcoder.push(&stream[..place]).to_vec();
            cut(&mut transcoder, &mut out, silently);
            let mut went_on = 0;
            while let Some((_, told)) = transcoder.cut() {
                prop_assert!(text.starts_with(told), "{told:?} is not the beginning");
                let (answer, repeats) = rest(&text, told, if went_on == 0 { first } else { second });
                let stream = stream_of(next, thought, &answer, false);
                // The second answer is cut too, if it says anything before.
                let kept = if went_on == 0 { again.index(stream.len()) } else { stream.len() };
                let mut sequel = Sequel::new(upstream_side(next), memo(), "law");
                sequel.push(&stream[..kept]);
                if *sequel.standing() != Standing::Content {
                    sequel = Sequel::new(upstream_side(next), memo(), "law");
                    sequel.push(&stream);
                }
                out.extend_from_slice(&transcoder.go_on(sequel, "up/m", repeats));
                cut(&mut transcoder, &mut out, silently);
                went_on += 1;
                prop_assert!(went_on < 4, "it goes on for ever");
            }
            let written = String::from_utf8(out).unwrap();
            let context = format!("{from} to {next} for {to}, cut at {place}, {first:?}, {second:?}: {written}");
            prop_assert!(transcoder.is_over(), "{}", context);
            match understood(to, written.as_bytes()) {
                Ok(response) => {
                    let (texts, thoughts) = parts(&response);
                    prop_assert_eq!(texts, [text.as_str()], "{}", context);
                    if went_on > 0 {
                        is_well_formed(to, &written);
                        // Nothing is thought twice.
                        prop_assert!(thoughts.len() <= 2, "{}", context);
                        // The last provider may have broken off before it told its counts, but after all else.
                        if let Some(usage) = response.usage {
                            prop_assert!(usage.input <= Some(13) && usage.output > Some(0), "{:?} {}", usage, context);
                        }
                    }
                }
                // Before the first letter, nobody goes on.
                Err(_) => prop_assert!(went_on == 0 && !written.contains(": mynah"), "{}", context),
            }
        }
    }

    #[test]
    fn a_call_is_never_made_twice(text in text(), (from, to) in (0..4_usize, 0..4_usize)) {
        let (from, to) = (PROTOCOLS[from], PROTOCOLS[to]);
        let stream = stream_of(from, None, &text, true);
        let name = memchr::memmem::find(&stream, b"look").unwrap();
        for place in name + 40..stream.len() {
            let mut transcoder = transcoder(from, to);
            let mut out = transcoder.push(&stream[..place]).to_vec();
            cut(&mut transcoder, &mut out, false);
            if memchr::memmem::find(&out, b"look").is_some() {
                prop_assert!(transcoder.cut().is_none(), "{}", String::from_utf8_lossy(&out));
            }
        }
    }

    /// After the text, a provider that goes on may call tools.
    #[test]
    fn a_sequel_may_call(text in text(), place: Index, (from, next, to) in (0..4_usize, 0..4_usize, 0..4_usize)) {
        let (from, next, to) = (PROTOCOLS[from], PROTOCOLS[next], PROTOCOLS[to]);
        let stream = stream_of(from, None, &text, false);
        let mut transcoder = transcoder(from, to);
        let mut out = transcoder.push(&stream[..place.index(stream.len())]).to_vec();
        cut(&mut transcoder, &mut out, false);
        let Some((_, told)) = transcoder.cut() else { return Ok(()) };
        let (answer, _) = rest(&text, told, Manner::GoesOn);
        let mut sequel = Sequel::new(upstream_side(next), memo(), "law");
        sequel.push(&stream_of(next, Some("hm"), &answer, true));
        out.extend_from_slice(&transcoder.go_on(sequel, "up/m", false));
        out.extend_from_slice(&transcoder.finish());
        let response = understood(to, &out).unwrap();
        let candidate = &response.candidates[0];
        prop_assert_eq!(parts(&response), (vec![text], String::new()));
        prop_assert_eq!(candidate.parts.len(), 2);
        prop_assert_eq!(candidate.finish.reason, FinishReason::ToolCalls);
    }
}

fn request(from: Protocol) -> Request {
    let mut request = Request::new(from, "m");
    request.stream = true;
    request.max_tokens = Some(100);
    request.messages.push(Message::new(Role::User, vec![Part::text("hi")]));
    request
}

/// The body that is sent to have an answer go on; `None` where that is refused.
fn sent(protocol: Protocol, model: &str, prefill: Prefill, from: Protocol) -> Option<serde_json::Value> {
    let quirks = Quirks {
        prefill,
        ..Quirks::default()
    };
    let target = Target {
        provider: "up",
        model,
        quirks: &quirks,
    };
    let again = asked_again(&request(from), "One, two \n");
    let mut lost = Losses::new(from);
    let outgoing = upstream_side(protocol).write_request(&again, &target, &mut lost).ok()?;
    let lost: Vec<_> = lost.listed().iter().map(|loss| &loss.field).collect();
    assert!(!lost.iter().any(|field| field.contains('[')), "{lost:?}");
    Some(serde_json::from_slice(&outgoing.body).unwrap())
}

#[test]
fn every_provider_is_told_in_its_own_way() {
    for from in PROTOCOLS {
        let chat = |prefill| sent(Protocol::OpenaiChat, "m", prefill, from);
        assert_eq!(chat(Prefill::None), None);
        let last = chat(Prefill::Last).unwrap();
        assert_eq!(last["messages"][1]["content"], "One, two");
        assert_eq!(last["messages"][1].as_object().unwrap().len(), 2);
        assert!(last["max_tokens"].as_u64().unwrap() < 100);
        assert_eq!(chat(Prefill::Prefix).unwrap()["messages"][1]["prefix"], true);
        assert_eq!(chat(Prefill::Partial).unwrap()["messages"][1]["partial"], true);
        let final_message = chat(Prefill::ContinueFinalMessage).unwrap();
        assert_eq!(final_message["continue_final_message"], true);
        assert_eq!(final_message["add_generation_prompt"], false);

        let anthropic = |model, prefill| sent(Protocol::Anthropic, model, prefill, from);
        let older = anthropic("claude-sonnet-4-5", Prefill::Last).unwrap();
        assert_eq!(older["messages"].as_array().unwrap().len(), 2);
        assert_eq!(older["messages"][1]["content"], "One, two");
        assert_eq!(anthropic("claude-opus-4-6", Prefill::Last), None);
        assert_eq!(anthropic("claude-sonnet-4-5", Prefill::None), None);

        let gemini = sent(Protocol::Gemini, "gemini-2.5-pro", Prefill::Last, from).unwrap();
        assert_eq!(gemini["contents"][1]["parts"][0]["text"], "One, two");
        assert_eq!(gemini["contents"][1]["role"], "model");
        assert_eq!(sent(Protocol::Gemini, "gemini-2.5-pro", Prefill::None, from), None);
        assert_eq!(sent(Protocol::OpenaiResponses, "m", Prefill::Last, from), None);
        assert_eq!(sent(Protocol::Cohere, "m", Prefill::Last, from), None);
    }
}

#[test]
fn nothing_but_plain_text_goes_on() {
    let changed = |change: fn(&mut Request)| {
        let mut request = request(Protocol::OpenaiChat);
        change(&mut request);
        is_possible(&request)
    };
    assert!(changed(|_| {}));
    assert!(changed(|it| it.candidates = Some(1)));
    assert!(!changed(|it| it.candidates = Some(2)));
    assert!(!changed(|it| it.stream = false));
    assert!(!changed(|it| it.logprobs = Some(Logprobs { top: None })));
    assert!(!changed(|it| it.format = Format::JsonObject));
    assert!(!changed(|it| {
        let begun = Message::new(Role::Assistant, vec![Part::text("Sure")]);
        it.messages.push(begun);
    }));
}

#[test]
fn an_error_of_the_callers_ends_the_answer() {
    let events = |class| {
        let mut transcoder = transcoder(Protocol::OpenaiChat, Protocol::OpenaiChat);
        let stream = stream_of(Protocol::OpenaiChat, None, "text", false);
        let end = memchr::memmem::find(&stream, b"\"finish_reason\":\"").unwrap();
        let begin = memchr::memmem::rfind(&stream[..end], b"data: ").unwrap();
        transcoder.push(&stream[..begin]);
        let out = transcoder.fail(Error::new(class, "no"));
        (transcoder.cut().is_some(), out.is_empty())
    };
    assert_eq!(events(Class::Overloaded), (true, true));
    assert_eq!(events(Class::BadRequest), (false, false));
}

#[test]
fn giving_up_tells_the_error() {
    let stream = stream_of(Protocol::Anthropic, None, "one two", false);
    let told = memchr::memmem::find(&stream, b"event: content_block_stop").unwrap();
    for to in PROTOCOLS {
        let mut transcoder = transcoder(Protocol::Anthropic, to);
        let mut out = transcoder.push(&stream[..told]).to_vec();
        cut(&mut transcoder, &mut out, false);
        assert!(transcoder.cut().is_some() && !transcoder.is_over());
        out.extend_from_slice(&transcoder.give_up());
        assert!(transcoder.is_over() && transcoder.finish().is_empty());
        assert!(understood(to, &out).is_err());
    }
}

/// The counts of all that was asked.
#[test]
fn every_provider_is_paid() {
    let stream = stream_of(Protocol::Anthropic, None, &"word ".repeat(20), false);
    let mut transcoder = transcoder(Protocol::Anthropic, Protocol::Anthropic);
    transcoder.push(&stream[..stream.len() * 3 / 4]);
    transcoder.fail(Error::new(Class::Server, "cut"));
    let first = transcoder.seen();
    assert!(first.generated > 9, "{first:?}");
    let mut sequel = Sequel::new(upstream_side(Protocol::OpenaiChat), memo(), "law");
    sequel.push(&stream_of(Protocol::OpenaiChat, None, "end", false));
    transcoder.go_on(sequel, "up/m", false);
    let second = transcoder.seen();
    assert!(second.told.unwrap().output == 9 && second.generated == 0, "{second:?}");
}

/// A sequence of events stays well formed whatever comes in it.
#[test]
fn a_refusal_does_not_go_on() {
    let mut assembly = Assembly::new(memo(), "law");
    assembly.text(0, "I");
    assembly.refusal(0, "won't");
    let events: Vec<Event> = assembly.take();
    let stream = streamed(
        client_side(Protocol::OpenaiChat).unwrap(),
        &events,
        &asked(Protocol::OpenaiChat),
    )
    .1;
    let mut transcoder = transcoder(Protocol::OpenaiChat, Protocol::Anthropic);
    transcoder.push(&stream);
    assert!(!transcoder.fail(Error::new(Class::Server, "cut")).is_empty());
    assert!(transcoder.cut().is_none());
}
