//! What the codec promises, on the inputs of the golden suite and on generated ones.

mod answers;
mod fitting;
mod laws;
mod read_requests;
mod streams;
mod write_requests;

use std::path::PathBuf;

use super::Anthropic;
use crate::codec::{Address, Asked, ClientSide as _, Memo, Outgoing, Target, UpstreamSide as _};
use crate::ir::{Error, Event, Part, Request, Response};
use crate::loss::{Losses, Unsayable};
use crate::protocol::Protocol;
use crate::quirks::Quirks;
use crate::repair::repair;
use crate::transcode::{Listener, collected, events_of};

fn folder(kind: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(kind)
        .join("anthropic")
}

/// One input of the golden suite.
fn golden(kind: &str, name: &str) -> Vec<u8> {
    std::fs::read(folder(kind).join(name)).unwrap()
}

/// All inputs of a kind, by name.
fn all_golden(kind: &str) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = std::fs::read_dir(folder(kind))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
        .into_iter()
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, std::fs::read(path).unwrap())
        })
        .collect()
}

fn read(body: &[u8]) -> Request {
    Anthropic.read_request(body, &Address::default()).unwrap()
}

fn read_golden(name: &str) -> Request {
    read(&golden("requests", name))
}

/// A request written for a model, and its losses as `field=reason`.
fn write_for(model: &str, request: &Request) -> (Result<Outgoing, Unsayable>, Vec<String>) {
    let quirks = Quirks::default();
    let target = Target {
        provider: "up",
        model,
        quirks: &quirks,
    };
    let mut request = request.clone();
    let mut lost = Losses::new(request.from);
    repair(&mut request, &mut lost);
    let written = Anthropic.write_request(&request, &target, &mut lost);
    let losses = lost
        .listed()
        .iter()
        .map(|loss| format!("{}={}", loss.field, loss.reason));
    (written, losses.collect())
}

/// The body of a request for a model.
fn body_for(model: &str, request: &Request) -> (String, Vec<String>) {
    let (written, losses) = write_for(model, request);
    (String::from_utf8(written.unwrap().body).unwrap(), losses)
}

fn asked() -> Asked {
    Asked {
        request: Request::new(Protocol::Anthropic, "asked-model"),
        events: true,
        id: "id1".into(),
        now: 0,
    }
}

fn memo() -> Memo {
    Memo {
        provider: "up".into(),
        ..Memo::default()
    }
}

/// The events of a stream that comes in chunks of that size.
fn listen(stream: &[u8], size: usize) -> Vec<Event> {
    let mut listener = Listener::new(&Anthropic, memo(), "s");
    let mut events: Vec<Event> = stream.chunks(size).flat_map(|chunk| listener.push(chunk)).collect();
    events.extend(listener.finish());
    crate::assembly::tests::check(&events).unwrap();
    events
}

/// A whole answer, read.
fn answer(body: &[u8]) -> Result<Response, Error> {
    let events = events_of(&Anthropic, body, memo(), "s").unwrap();
    crate::assembly::tests::check(&events).unwrap();
    collected(events)
}

/// A whole answer, written.
fn written(response: &Response) -> (String, Vec<String>) {
    let mut lost = Losses::new(Protocol::Anthropic);
    let body = Anthropic.write_response(response, &asked(), &mut lost);
    let losses = lost
        .listed()
        .iter()
        .map(|loss| format!("{}={}", loss.field, loss.reason));
    (String::from_utf8(body).unwrap(), losses.collect())
}

/// A request of a caller of another protocol, with one text.
fn foreign(from: Protocol) -> Request {
    let mut request = Request::new(from, "m");
    request.messages = vec![crate::ir::Message::new(
        crate::ir::Role::User,
        vec![Part::text("Hello")],
    )];
    request
}
