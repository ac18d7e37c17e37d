//! Every seed of the fuzz targets goes through every parser, whole and byte by byte.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing helper is a failing test"
)]

#[path = "../../../fuzz/laws/requests.rs"]
mod requests;
#[path = "../../../fuzz/laws/streams.rs"]
mod streams;

use std::path::Path;

use bytes::Bytes;
use mynah_dialect::closing::Finale;
use mynah_dialect::frame::{Frame, Splitter};
use mynah_dialect::opening::{Opening, Overture};
use mynah_dialect::peek::{Name, peek};
use mynah_dialect::relay::Relay;
use mynah_dialect::splice::splice;
use mynah_dialect::{
    multipart,
    usage::{Body, UsageTap},
};

const SEEDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/seeds");

#[test]
fn every_parser_takes_every_seed() {
    let mut count = 0;
    for target in std::fs::read_dir(SEEDS).unwrap() {
        for bytes in seeds_in(&target.unwrap().path()) {
            through_requests(&bytes);
            assert_eq!(
                through_stream(&[&bytes]),
                through_stream(&bytes.chunks(1).collect::<Vec<_>>())
            );
            count += 1;
        }
    }
    assert!(count >= 10, "only {count} seeds were found");
}

/// The first bytes of these choose the protocols.
#[test]
fn every_translation_takes_its_seeds() {
    for seed in seeds_in(&Path::new(SEEDS).join("requests")) {
        requests::check(&seed);
    }
    for seed in seeds_in(&Path::new(SEEDS).join("streams")) {
        streams::check(&seed);
    }
}

fn seeds_in(folder: &Path) -> Vec<Vec<u8>> {
    let seeds = std::fs::read_dir(folder).unwrap();
    seeds.map(|seed| std::fs::read(seed.unwrap().path()).unwrap()).collect()
}

fn through_requests(bytes: &[u8]) {
    if let Ok(gist) = peek(bytes) {
        let edits = Vec::from_iter(
            gist.model
                .as_ref()
                .and_then(|model| model.replaced_by(&Name::from("other"))),
        );
        let spliced = splice(&Bytes::copy_from_slice(bytes), edits).concat();
        assert_eq!(peek(&spliced).unwrap().model.is_some(), gist.model.is_some());
    }
    let _ = multipart::peek("multipart/form-data; boundary=b0", bytes);
}

/// What a stream amounts to: its events, what is relayed, and the usage with how it begins and ends.
fn through_stream(chunks: &[&[u8]]) -> (Vec<Vec<u8>>, Vec<u8>, String) {
    let (mut splitter, mut events, mut relayed) = (Splitter::default(), Vec::new(), Vec::new());
    let (mut relay, mut tap) = (Relay::events_without_usage(), UsageTap::events(Body::Text));
    let (mut overture, mut opening, mut finale) = (Overture::default(), Opening::Waiting, Finale::default());
    for chunk in chunks {
        splitter.push(chunk).unwrap();
        while let Some(block) = splitter.next_block() {
            events.extend(Frame::parse(&block).data.map(std::borrow::Cow::into_owned));
        }
        relayed.extend_from_slice(&relay.push(Bytes::copy_from_slice(chunk)));
        tap.push(chunk);
        finale.push(chunk);
        if opening == Opening::Waiting {
            opening = overture.push(chunk);
        }
    }
    if opening == Opening::Waiting {
        opening = overture.finish();
    }
    relayed.extend_from_slice(&relay.finish());
    (
        events,
        relayed,
        format!("{:?} {opening:?} {}", tap.usage(), finale.seen()),
    )
}
