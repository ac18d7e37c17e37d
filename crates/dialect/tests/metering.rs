//! What is read from an answer that is relayed is what is read from it when it is translated, for every golden answer.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing helper is a failing test"
)]

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use mynah_dialect::Protocol;
use mynah_dialect::codec::{Memo, upstream_side};
use mynah_dialect::ir::Event;
use mynah_dialect::relay::Relay;
use mynah_dialect::transcode::{Listener, events_of};
use mynah_dialect::usage::{Body, Usage};

#[test]
fn streams() {
    let mut counted = 0;
    for (protocol, path) in answers("streams") {
        let stream = fs::read(&path).unwrap();
        let mut listener = Listener::new(upstream_side(protocol), Memo::default(), "metering");
        listener.push(&stream);
        listener.finish();
        let relayed = relayed(Relay::events(), &stream);
        assert_eq!(relayed, listener.usage().map(Usage::from), "{}", path.display());
        counted += usize::from(relayed.is_some());
    }
    assert!(counted > 40, "only {counted} streams told their usage");
}

#[test]
fn whole_answers() {
    let mut counted = 0;
    for (protocol, path) in answers("responses") {
        let body = fs::read(&path).unwrap();
        let events = events_of(upstream_side(protocol), &body, Memo::default(), "metering").unwrap_or_default();
        let translated = events.iter().rev().find_map(|event| match event {
            Event::Usage(usage) => Some(Usage::from(usage)),
            _ => None,
        });
        let relayed = relayed(Relay::bytes(), &body);
        // An answer that is refused tells nothing, but was paid for.
        if translated.is_some() {
            assert_eq!(relayed, translated, "{}", path.display());
        }
        counted += usize::from(translated.is_some());
    }
    assert!(counted > 30, "only {counted} answers told their usage");
}

fn relayed(relay: Relay, body: &[u8]) -> Option<Usage> {
    let mut relay = relay.metered(Body::Text);
    relay.push(Bytes::copy_from_slice(body));
    relay.finish();
    relay.seen().told
}

fn answers(kind: &str) -> Vec<(Protocol, PathBuf)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(kind);
    let mut answers = Vec::new();
    for protocol in Protocol::ALL {
        for entry in fs::read_dir(folder.join(protocol.name())).unwrap() {
            answers.push((protocol, entry.unwrap().path()));
        }
    }
    answers
}
