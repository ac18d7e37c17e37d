//! Tests of the whole codec, with the golden suite's inputs.

mod answers;
mod laws;
mod requests;
mod upstream;

use super::OpenaiChat;
use crate::Protocol;
use crate::codec::{Address, Asked, ClientSide as _, Memo, Target, UpstreamSide as _};
use crate::ir::{Event, Request};
use crate::loss::Losses;
use crate::quirks::Quirks;
use crate::repair::repair;
use crate::transcode::Listener;

/// The inputs of the golden suite of one kind: name and bytes.
fn golden(kind: &str) -> Vec<(String, Vec<u8>)> {
    let folder = format!("{}/tests/golden/{kind}/openai-chat", env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    let read = |path: std::path::PathBuf| {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        (name, std::fs::read(path).unwrap())
    };
    files.into_iter().map(read).collect()
}

fn case(kind: &str, name: &str) -> Vec<u8> {
    let extension = if kind == "streams" { "sse" } else { "json" };
    let folder = env!("CARGO_MANIFEST_DIR");
    std::fs::read(format!("{folder}/tests/golden/{kind}/openai-chat/{name}.{extension}")).unwrap()
}

fn request(name: &str) -> Request {
    let body = case("requests", name);
    OpenaiChat.read_request(&body, &Address::default()).unwrap()
}

fn read(text: &str) -> Request {
    OpenaiChat.read_request(text.as_bytes(), &Address::default()).unwrap()
}

/// What was written for a provider.
struct Written {
    body: String,
    losses: Vec<String>,
    memo: Memo,
}

/// Writes a request as the gateway does: mended, for the provider `up`.
fn write(request: &Request, model: &str, quirks: &Quirks) -> Result<Written, String> {
    let mut request = request.clone();
    let mut lost = Losses::new(request.from);
    repair(&mut request, &mut lost);
    let target = Target {
        provider: "up",
        model,
        quirks,
    };
    let outgoing = OpenaiChat
        .write_request(&request, &target, &mut lost)
        .map_err(|refused| refused.to_string())?;
    assert_eq!(outgoing.path, "/chat/completions");
    Ok(Written {
        body: String::from_utf8(outgoing.body).unwrap(),
        losses: lost
            .listed()
            .iter()
            .map(|loss| format!("{}: {}", loss.field, loss.reason))
            .collect(),
        memo: outgoing.memo,
    })
}

fn written(request: &Request) -> Written {
    write(request, &request.model, &Quirks::default()).unwrap()
}

/// The question to an answer, with these members beside model and messages.
fn asked(members: &str) -> Asked {
    let comma = if members.is_empty() { "" } else { "," };
    Asked {
        request: read(&format!(r#"{{"model":"asked","messages":[]{comma}{members}}}"#)),
        events: true,
        id: "seed".into(),
        now: 1000,
    }
}

fn memo() -> Memo {
    Memo {
        provider: "up".into(),
        ..Memo::default()
    }
}

/// The events of a stream that comes in chunks of this size.
fn listened(stream: &[u8], size: usize) -> Vec<Event> {
    let mut listener = Listener::new(&OpenaiChat, memo(), "seed");
    let mut events = Vec::new();
    for chunk in stream.chunks(size.max(1)) {
        events.extend(listener.push(chunk));
    }
    events.extend(listener.finish());
    events
}

fn lost() -> Losses {
    Losses::new(Protocol::OpenaiChat)
}
