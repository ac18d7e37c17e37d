use proptest::prelude::*;

use super::*;
use crate::codec::ToolName;
use crate::ir::{Content, Delta, FinishReason, Opened, ToolInput};
use crate::transcode::collected;

fn named(name: &str) -> Call {
    Call {
        id: format!("id_{name}"),
        name: name.to_owned(),
        ..Call::default()
    }
}

/// The answer as a line of text.
fn told(assembly: &mut Assembly) -> String {
    assembly.close();
    let events = assembly.take();
    check(&events).unwrap();
    let response = match collected(events) {
        Ok(response) => response,
        Err(error) => return format!("error: {}", error.message),
    };
    let candidate = &response.candidates[0];
    let shown = candidate.parts.iter().map(|part| match &part.content {
        Content::Text { text, .. } => format!("text {text:?}"),
        Content::Refusal { text } => format!("refusal {text:?}"),
        Content::Reasoning { text, .. } => format!(
            "reasoning {text:?}{}",
            if part.signature.is_some() { " signed" } else { "" }
        ),
        Content::ToolCall {
            id,
            name,
            input,
            namespace,
        } => {
            let input = match input {
                ToolInput::Json(text) => text.clone(),
                ToolInput::Text(text) => format!("free {text:?}"),
            };
            format!(
                "call {id} {}{name} {input}",
                namespace.as_ref().map_or(String::new(), |space| format!("{space}/"))
            )
        }
        _ => "other".into(),
    });
    let parts: Vec<String> = shown.collect();
    format!("{}; {:?}", parts.join(", "), candidate.finish.reason)
}

/// What [`Event`] promises.
pub(crate) fn check(events: &[Event]) -> Result<(), String> {
    use std::collections::HashMap;
    let mut open: HashMap<u32, Option<(u32, bool)>> = HashMap::new();
    let mut next: HashMap<u32, u32> = HashMap::new();
    let mut finished: Vec<u32> = Vec::new();
    for (at, event) in events.iter().enumerate() {
        let fail = |what: &str| Err(format!("{what} at {at}: {event:?}"));
        let last = at + 1 == events.len();
        match event {
            Event::Error(_) if at == 0 && last => return Ok(()),
            Event::Start(_) if at == 0 => {}
            Event::Start(_) => return fail("second start"),
            _ if at == 0 => return fail("no start"),
            Event::PartStart {
                candidate,
                part,
                opened,
            } => {
                if open.get(candidate).is_some_and(Option::is_some) || finished.contains(candidate) {
                    return fail("part is open");
                }
                if *part != *next.get(candidate).unwrap_or(&0) {
                    return fail("part out of order");
                }
                if let Opened::ToolCall { id, name, .. } = opened
                    && (id.is_empty() || name.is_empty())
                {
                    return fail("call without id or name");
                }
                open.insert(*candidate, Some((*part, matches!(opened, Opened::ToolCall { .. }))));
            }
            Event::Delta { candidate, part, delta } => match open.get(candidate).copied().flatten() {
                Some((number, call)) if number == *part && call == matches!(delta, Delta::Arguments(_)) => {}
                _ => return fail("delta without its part"),
            },
            Event::PartEnd { candidate, part } => {
                if open.get(candidate).copied().flatten().map(|(number, _)| number) != Some(*part) {
                    return fail("end without its part");
                }
                open.insert(*candidate, None);
                next.insert(*candidate, part + 1);
            }
            Event::Finish { candidate, .. } => {
                if open.get(candidate).is_some_and(Option::is_some) || finished.contains(candidate) {
                    return fail("finish too early or twice");
                }
                finished.push(*candidate);
            }
            Event::Usage(_) | Event::Ping => {}
            Event::Error(_) | Event::End if !last => return fail("something follows the end"),
            Event::End if next.keys().any(|candidate| !finished.contains(candidate)) => return fail("no finish"),
            Event::Error(_) | Event::End => return Ok(()),
        }
    }
    Err("no end".into())
}

#[test]
fn a_change_of_kind_ends_a_part_and_loses_nothing() {
    let mut assembly = Assembly::new(Memo::default(), "s");
    assembly.reasoning(0, ReasoningStyle::Full, "hm");
    assembly.signature(0, Signature::made_by(crate::Protocol::Anthropic, "p", "sig"));
    assembly.text(0, "a");
    assembly.text(0, "b");
    assembly.call(0, 0, named("f"));
    assembly.arguments(0, 0, "{\"x\":");
    assembly.arguments(0, 0, "1}");
    assembly.finish(0, FinishReason::Stop);
    assert_eq!(
        told(&mut assembly),
        r#"reasoning "hm" signed, text "ab", call id_f f {"x":1}; ToolCalls"#
    );
}

#[test]
fn calls_that_come_interleaved_are_told_one_after_the_other() {
    let mut assembly = Assembly::new(Memo::default(), "s");
    assembly.call(0, 0, named("f"));
    assembly.call(0, 1, named("g"));
    assembly.arguments(0, 1, "{\"y\"");
    assembly.arguments(0, 0, "{\"x\":1");
    assembly.text(0, "then");
    assembly.arguments(0, 1, ":2}");
    assembly.arguments(0, 0, "}");
    assembly.finish(0, FinishReason::ToolCalls);
    assert_eq!(
        told(&mut assembly),
        r#"call id_f f {"x":1}, call id_g g {"y":2}, text "then"; ToolCalls"#
    );
}

#[test]
fn a_call_is_streamed_while_the_one_before_it_is_complete() {
    let mut assembly = Assembly::new(Memo::default(), "s");
    assembly.call(0, 0, named("f"));
    assembly.arguments(0, 0, "{}");
    assembly.call(0, 1, named("g"));
    assembly.arguments(0, 1, "{\"y\"");
    let events = assembly.take();
    assert!(
        matches!(events.last(), Some(Event::Delta { part: 1, delta: Delta::Arguments(text), .. }) if text == "{\"y\"")
    );
}

#[test]
fn a_call_without_arguments_has_an_empty_object() {
    let mut assembly = Assembly::new(Memo::default(), "s");
    assembly.call(0, 0, named("f"));
    assembly.call(
        0,
        1,
        Call {
            id: String::new(),
            ..named("g")
        },
    );
    assembly.finish(0, FinishReason::ToolCalls);
    assert_eq!(told(&mut assembly), "call id_f f {}, call call_s0n1 g {}; ToolCalls");
}

#[test]
fn ids_are_distinct_and_names_may_come_late() {
    let mut assembly = Assembly::new(Memo::default(), "s");
    assembly.whole_call(0, 0, named("f"), "{}");
    assembly.whole_call(0, 1, named("f"), "{}");
    assembly.call(
        0,
        2,
        Call {
            id: "id_h".into(),
            ..Call::default()
        },
    );
    assembly.arguments(0, 2, "{");
    assembly.call(
        0,
        2,
        Call {
            name: "h".into(),
            ..Call::default()
        },
    );
    assembly.arguments(0, 2, "}");
    assembly.finish(0, FinishReason::Stop);
    assert_eq!(
        told(&mut assembly),
        "call id_f f {}, call call_s0n1 f {}, call id_h h {}; ToolCalls"
    );
}

#[test]
fn tools_get_their_callers_names_back() {
    let mut memo = Memo {
        answer_tool: Some("answer".into()),
        ..Memo::default()
    };
    let known = |custom| ToolName {
        name: "patch".into(),
        namespace: Some("files".into()),
        custom,
    };
    memo.tools.insert("files__patch".into(), known(true));
    memo.tools.insert("files__plain".into(), known(false));
    let mut assembly = Assembly::new(memo, "s");
    assembly.whole_call(0, 0, named("files__patch"), "{\"input\":\"a\\nb\"}");
    assembly.whole_call(0, 1, named("files__plain"), "{}");
    assembly.whole_call(0, 2, named("answer"), "{\"a\":1}");
    assembly.finish(0, FinishReason::ToolCalls);
    assert_eq!(
        told(&mut assembly),
        r#"call id_files__patch files/patch free "a\nb", call id_files__plain files/patch {}, text "{\"a\":1}"; ToolCalls"#
    );
}

#[test]
fn an_answer_that_is_the_forced_tools_arguments_simply_stops() {
    let mut assembly = Assembly::new(
        Memo {
            answer_tool: Some("answer".into()),
            ..Memo::default()
        },
        "s",
    );
    assembly.whole_call(0, 0, named("answer"), "{\"a\":1}");
    assembly.finish(0, FinishReason::ToolCalls);
    assert_eq!(told(&mut assembly), r#"text "{\"a\":1}"; Stop"#);
}

#[test]
fn what_breaks_off_is_an_error() {
    let mut assembly = Assembly::new(Memo::default(), "s");
    assembly.text(0, "half");
    assert_eq!(
        told(&mut assembly),
        "error: The provider's answer broke off before its end."
    );
    assert_eq!(
        told(&mut Assembly::new(Memo::default(), "s")),
        "error: The provider's answer broke off before its end."
    );
}

fn pieces() -> impl Strategy<Value = Vec<(u32, u8, u64, String)>> {
    let text = prop_oneof![
        Just(String::new()),
        Just("{".to_owned()),
        Just("}".to_owned()),
        "[a-z\"]{1,3}"
    ];
    prop::collection::vec((0..2u32, 0..12u8, 0..3u64, text), 0..40)
}

proptest! {
    #[test]
    fn whatever_comes_the_events_are_well_formed(pieces in pieces(), closed: bool) {
        let mut assembly = Assembly::new(Memo::default(), "s");
        let mut said: [String; 2] = Default::default();
        for (candidate, kind, key, text) in pieces {
            match kind {
                0 | 1 => { said[candidate as usize].push_str(&text); assembly.text(candidate, text) }
                2 => assembly.refusal(candidate, text),
                3 => assembly.reasoning(candidate, ReasoningStyle::Full, text),
                4 => assembly.signature(candidate, Signature::made_by(crate::Protocol::Gemini, "p", text)),
                5 => assembly.part_end(candidate),
                6 | 7 => assembly.call(candidate, key, named(if text.is_empty() { "f" } else { "g" })),
                8 | 9 => assembly.arguments(candidate, key, text),
                10 => assembly.call_end(candidate, key),
                _ => assembly.whole(candidate, Part::text(text)),
            }
        }
        if closed {
            assembly.finish(0, FinishReason::Stop);
            assembly.finish(1, FinishReason::Length);
        }
        assembly.close();
        let events = assembly.take();
        prop_assert_eq!(check(&events), Ok(()));
        let mut heard: [String; 2] = Default::default();
        let mut kinds = std::collections::HashMap::new();
        for event in events {
            match event {
                Event::PartStart { candidate, part, opened } => { kinds.insert((candidate, part), opened); }
                Event::Delta { candidate, part, delta: Delta::Text(text) } if kinds[&(candidate, part)] == Opened::Text => {
                    heard[candidate as usize].push_str(&text);
                }
                Event::Error(error) => { prop_assert!(!closed || error.message.contains("naming")); return Ok(()); }
                _ => {}
            }
        }
        prop_assert_eq!(heard, said);
    }
}
