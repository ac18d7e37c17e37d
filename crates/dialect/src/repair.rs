//! Mends a conversation so that every protocol accepts it.
//!
//! Callers of lenient providers send what strict ones refuse: two messages of the same speaker in a row, calls without
//! results, results without calls. Every translated request passes through here once, so that writers can rely on it:
//! speakers alternate (but for instructions in between), and the results of an assistant's calls stand at the beginning of
//! the very next message, one for each call, in the order of the calls.

use crate::field::Field;
use crate::ir::{Content, Message, Part, Request, Role, Signature};
use crate::loss::Losses;

/// What a tool is said to have answered when its answer is missing.
const NO_RESULT: &str = "The tool gave no result.";

/// Mends the conversation of a request.
pub fn repair(request: &mut Request, lost: &mut Losses) {
    let mut mended: Vec<Message> = Vec::with_capacity(request.messages.len());
    let mut held: Vec<Message> = Vec::new();
    let mut pending: Vec<Pending> = Vec::new();
    for mut message in merged(std::mem::take(&mut request.messages)) {
        match message.role {
            // An instruction between a call and its result comes after the result.
            Role::System if !pending.is_empty() => {
                held.push(message);
                continue;
            }
            Role::System => {}
            Role::Assistant => {
                give_calls_their_proofs(&mut message);
                answer(&mut pending, None, &mut mended, lost);
                mended.append(&mut held);
                pending = calls_of(&message);
            }
            Role::User => {
                answer(&mut pending, Some(&mut message), &mut mended, lost);
                if message.parts.is_empty() {
                    mended.append(&mut held);
                    continue;
                }
            }
        }
        push(&mut mended, message);
        mended.append(&mut held);
    }
    mended.append(&mut held);
    request.messages = mended;
}

/// A call that has no result yet.
struct Pending {
    id: String,
    name: String,
    custom: bool,
}

fn calls_of(message: &Message) -> Vec<Pending> {
    let call = |part: &Part| match &part.content {
        Content::ToolCall { id, name, input, .. } => Some(Pending {
            id: id.clone(),
            name: name.clone(),
            custom: matches!(input, crate::ir::ToolInput::Text(_)),
        }),
        _ => None,
    };
    message.parts.iter().filter_map(call).collect()
}

/// Puts the results of the pending calls at the beginning of the user's message, or in a message of their own.
fn answer(pending: &mut Vec<Pending>, message: Option<&mut Message>, mended: &mut Vec<Message>, lost: &mut Losses) {
    let mut results: Vec<Option<Part>> = pending.iter().map(|_| None).collect();
    let mut others = Vec::new();
    let has_message = message.is_some();
    let mut nobody = Message::new(Role::User, Vec::new());
    let message = message.unwrap_or(&mut nobody);
    for mut part in std::mem::take(&mut message.parts) {
        let Content::ToolResult { id, name, .. } = &mut part.content else {
            others.push(part);
            continue;
        };
        match pending.iter().position(|call| call.id == *id) {
            Some(at) if results[at].is_none() => {
                name.get_or_insert_with(|| pending[at].name.clone());
                results[at] = Some(part);
            }
            Some(_) => lost.note(Field::Messages, "second result of a tool call dropped"),
            None => {
                lost.note(Field::Messages, "result without a tool call told as text");
                others.extend(told(part));
            }
        }
    }
    let complete = pending.drain(..).zip(results).map(|(call, result)| {
        result.unwrap_or_else(|| {
            lost.note(Field::Messages, "missing result of a tool call filled in");
            missing(call)
        })
    });
    message.parts = complete.collect();
    message.parts.extend(others);
    if !has_message && !nobody.parts.is_empty() {
        push(mended, nobody);
    }
}

fn missing(call: Pending) -> Part {
    Content::ToolResult {
        id: call.id,
        name: Some(call.name),
        content: vec![Part::text(NO_RESULT)],
        is_error: Some(true),
        custom: call.custom,
    }
    .into()
}

/// A result that belongs to no call, as something that the user says.
fn told(part: Part) -> Vec<Part> {
    let Content::ToolResult { id, content, .. } = part.content else {
        return vec![part];
    };
    let mut parts = vec![Part::text(format!("[Result of tool call {id}]"))];
    parts.extend(content);
    parts
}

/// Joins messages of the same speaker that follow one another.
fn merged(messages: Vec<Message>) -> Vec<Message> {
    let mut joined: Vec<Message> = Vec::with_capacity(messages.len());
    for message in messages {
        push(&mut joined, message);
    }
    joined
}

fn push(messages: &mut Vec<Message>, message: Message) {
    match messages.last_mut() {
        Some(last) if last.role == message.role && last.name == message.name && message.role != Role::System => {
            last.parts.extend(message.parts);
            last.extra.0.extend(message.extra.0);
        }
        _ => messages.push(message),
    }
}

/// Moves proofs that reasoning parts carried for calls to those calls.
fn give_calls_their_proofs(message: &mut Message) {
    let mut carried: Option<Signature> = None;
    message
        .parts
        .retain_mut(|part| match (&part.content, &mut part.signature) {
            (Content::Reasoning { .. }, Some(signature)) if signature.for_call => {
                signature.for_call = false;
                carried = part.signature.take();
                false
            }
            (Content::ToolCall { .. }, signature @ None) => {
                *signature = carried.take();
                true
            }
            _ => true,
        });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Protocol;
    use crate::ir::ToolInput;

    fn call(id: &str) -> Part {
        Content::ToolCall {
            id: id.into(),
            name: format!("tool_{id}"),
            namespace: None,
            input: ToolInput::Json("{}".into()),
        }
        .into()
    }

    fn result(id: &str) -> Part {
        Content::ToolResult {
            id: id.into(),
            name: None,
            content: vec![Part::text(format!("answer {id}"))],
            is_error: None,
            custom: false,
        }
        .into()
    }

    /// The conversation as a line of text, and the losses.
    fn repaired(messages: Vec<(Role, Vec<Part>)>) -> (String, Vec<&'static str>) {
        let mut request = Request::new(Protocol::OpenaiChat, "m");
        request.messages = messages
            .into_iter()
            .map(|(role, parts)| Message::new(role, parts))
            .collect();
        let mut lost = Losses::new(Protocol::OpenaiChat);
        repair(&mut request, &mut lost);
        let shown = |part: &Part| match &part.content {
            Content::Text { text, .. } => text.clone(),
            Content::ToolCall { id, .. } => format!("call {id}"),
            Content::ToolResult { id, is_error, .. } => {
                format!("{} {id}", if *is_error == Some(true) { "error" } else { "result" })
            }
            _ => "other".into(),
        };
        let line = request.messages.iter().map(|message| {
            let parts: Vec<String> = message.parts.iter().map(shown).collect();
            format!("{:?}[{}]", message.role, parts.join(", "))
        });
        (
            line.collect::<Vec<_>>().join(" "),
            lost.listed().iter().map(|loss| loss.reason).collect(),
        )
    }

    #[test]
    fn results_come_first_in_the_order_of_the_calls() {
        let (line, lost) = repaired(vec![
            (Role::User, vec![Part::text("q")]),
            (Role::Assistant, vec![call("a")]),
            (Role::Assistant, vec![call("b")]),
            (Role::User, vec![Part::text("and"), result("b")]),
            (Role::User, vec![result("a")]),
        ]);
        assert_eq!(line, "User[q] Assistant[call a, call b] User[result a, result b, and]");
        assert!(lost.is_empty());
    }

    #[test]
    fn a_call_without_a_result_gets_one() {
        let (line, lost) = repaired(vec![
            (Role::User, vec![Part::text("q")]),
            (Role::Assistant, vec![call("a"), call("b")]),
            (Role::User, vec![result("b")]),
            (Role::Assistant, vec![call("c")]),
            (Role::User, vec![Part::text("never mind")]),
        ]);
        assert_eq!(
            line,
            "User[q] Assistant[call a, call b] User[error a, result b] Assistant[call c] User[error c, never mind]"
        );
        assert_eq!(lost, ["missing result of a tool call filled in"]);
    }

    #[test]
    fn a_call_at_the_very_end_is_left_open() {
        let (line, lost) = repaired(vec![
            (Role::User, vec![Part::text("q")]),
            (Role::Assistant, vec![call("a")]),
        ]);
        assert_eq!((line.as_str(), lost.len()), ("User[q] Assistant[call a]", 0));
    }

    #[test]
    fn orphans_are_told_and_second_results_dropped() {
        let (line, lost) = repaired(vec![
            (Role::User, vec![result("x")]),
            (Role::Assistant, vec![call("a")]),
            (Role::User, vec![result("a"), result("a")]),
        ]);
        assert_eq!(
            line,
            "User[[Result of tool call x], answer x] Assistant[call a] User[result a]"
        );
        assert_eq!(lost.len(), 2);
    }

    #[test]
    fn an_instruction_between_a_call_and_its_result_moves_behind() {
        let (line, _) = repaired(vec![
            (Role::Assistant, vec![call("a")]),
            (Role::System, vec![Part::text("rule")]),
            (Role::User, vec![result("a")]),
        ]);
        assert_eq!(line, "Assistant[call a] User[result a] System[rule]");
    }

    #[test]
    fn a_proof_that_was_carried_for_a_call_returns_to_it() {
        let mut proof = Signature::made_by(Protocol::Gemini, "google", "sig");
        proof.for_call = true;
        let carrier = Part {
            signature: Some(proof),
            ..Content::Reasoning {
                text: String::new(),
                style: crate::ir::ReasoningStyle::Full,
                redacted: None,
            }
            .into()
        };
        let mut message = Message::new(Role::Assistant, vec![carrier, call("a")]);
        give_calls_their_proofs(&mut message);
        assert_eq!(message.parts.len(), 1);
        assert_eq!(message.parts[0].signature.as_ref().unwrap().data, "sig");
    }
}
