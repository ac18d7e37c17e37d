//! What holds across the files of this folder, on the golden inputs and on generated ones.

mod answers;
mod requests;
mod streams;

use std::path::PathBuf;

use super::OpenaiResponses;
use crate::assembly::tests::check;
use crate::codec::{Address, Asked, ClientSide, Memo, Target, UpstreamSide};
use crate::ir::{Content, Event, Request, Response, ToolInput};
use crate::loss::{Losses, Unsayable};
use crate::quirks::Quirks;
use crate::transcode::{Listener, collected, events_of};

/// The golden inputs of one kind, by name.
fn golden(kind: &str) -> Vec<(String, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(kind)
        .join("openai-responses");
    let read = |path: PathBuf| {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        (name, std::fs::read(path).unwrap())
    };
    let entries = std::fs::read_dir(folder).unwrap();
    let mut files: Vec<_> = entries.map(|entry| read(entry.unwrap().path())).collect();
    files.sort();
    files
}

fn one(kind: &str, name: &str) -> Vec<u8> {
    golden(kind).into_iter().find(|(other, _)| other == name).unwrap().1
}

fn read(body: &[u8]) -> Request {
    OpenaiResponses.read_request(body, &Address::default()).unwrap()
}

/// The request as it is sent to a provider, and the losses.
fn sent(request: &Request) -> (serde_json::Value, Vec<String>) {
    let (body, losses, _) = try_sent(request, &Quirks::default()).unwrap();
    (body, losses)
}

fn try_sent(request: &Request, quirks: &Quirks) -> Result<(serde_json::Value, Vec<String>, Memo), Unsayable> {
    let target = Target {
        provider: "openai",
        model: &request.model,
        quirks,
    };
    let mut lost = Losses::new(request.from);
    let outgoing = OpenaiResponses.write_request(request, &target, &mut lost)?;
    assert_eq!(outgoing.path, "/responses");
    let listed = lost
        .listed()
        .iter()
        .map(|loss| format!("{}: {}", loss.field, loss.reason));
    Ok((
        serde_json::from_slice(&outgoing.body).unwrap(),
        listed.collect(),
        outgoing.memo,
    ))
}

fn memo() -> Memo {
    Memo {
        provider: "openai".into(),
        ..Memo::default()
    }
}

fn asked(request: Request) -> Asked {
    Asked {
        request,
        events: true,
        id: "0199".into(),
        now: 1_700_000_005,
    }
}

/// The events of a stream that comes in these chunks.
fn heard<'c>(chunks: impl IntoIterator<Item = &'c [u8]>) -> Vec<Event> {
    let mut listener = Listener::new(&OpenaiResponses, memo(), "s");
    let mut events = Vec::new();
    for chunk in chunks {
        events.extend(listener.push(chunk));
    }
    events.extend(listener.finish());
    check(&events).unwrap();
    events
}

fn whole(body: &[u8]) -> Vec<Event> {
    let events = events_of(&OpenaiResponses, body, memo(), "s").unwrap();
    check(&events).unwrap();
    events
}

/// The answer as a line of text.
fn told(events: Vec<Event>) -> String {
    match collected(events) {
        Ok(response) => line(&response),
        Err(error) => format!("error {:?}: {}", error.class, error.message),
    }
}

fn line(response: &Response) -> String {
    let candidate = &response.candidates[0];
    let shown = candidate.parts.iter().map(|part| match &part.content {
        Content::Text { text, citations } if citations.is_empty() => format!("text {text:?}"),
        Content::Text { text, citations } => format!("text {text:?} citing {}", citations.len()),
        Content::Refusal { text } => format!("refusal {text:?}"),
        Content::Reasoning { text, style, .. } => {
            let proof = part.signature.as_ref();
            let proof = proof.map_or(String::new(), |proof| {
                format!(" {}/{}", proof.item.as_deref().unwrap_or("-"), proof.data)
            });
            format!("{style:?} {text:?}{proof}")
        }
        Content::ToolCall {
            id,
            name,
            namespace,
            input,
        } => {
            let space = namespace.as_ref().map_or(String::new(), |space| format!("{space}/"));
            match input {
                ToolInput::Json(text) => format!("call {id} {space}{name} {text}"),
                ToolInput::Text(text) => format!("free {id} {space}{name} {text:?}"),
            }
        }
        Content::Image { .. } => "image".into(),
        Content::Foreign { kind, .. } => format!("foreign {kind}"),
        _ => "other".into(),
    });
    let parts: Vec<String> = shown.collect();
    format!("{}; {:?}", parts.join(", "), candidate.finish.reason)
}
