//! A relay passes on what it gets; one that withholds the usage leaves out whole events and nothing else, at any
//! chunking.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use mynah_dialect::closing::Finale;
use mynah_dialect::opening::{Opening, Overture};
use mynah_dialect::relay::Relay;
use mynah_dialect::usage::{Body, Usage};

fuzz_target!(|chunks: Vec<&[u8]>| {
    let whole = chunks.concat();
    let (passed, usage) = relayed(Relay::events(), &chunks);
    assert_eq!(passed, whole);
    assert_eq!(usage, relayed(Relay::events(), &[&whole]).1);
    assert_eq!(relayed(Relay::bytes(), &chunks), relayed(Relay::bytes(), &[&whole]));
    let (kept, _) = relayed(Relay::events_without_usage(), &chunks);
    assert!(kept.len() <= whole.len());
    assert_eq!(outcome(&chunks), outcome(&[&whole]));
});

/// How a stream begins, and whether it says that it is over.
fn outcome(chunks: &[&[u8]]) -> (Opening, bool) {
    let (mut overture, mut finale) = (Overture::default(), Finale::default());
    let mut opening = Opening::Waiting;
    for chunk in chunks {
        finale.push(chunk);
        if opening == Opening::Waiting {
            opening = overture.push(chunk);
        }
    }
    if opening == Opening::Waiting {
        opening = overture.finish();
    }
    (opening, finale.seen())
}

fn relayed(relay: Relay, chunks: &[&[u8]]) -> (Vec<u8>, Option<Usage>) {
    let (mut relay, mut out) = (relay.metered(Body::Text), Vec::new());
    for chunk in chunks {
        out.extend_from_slice(&relay.push(Bytes::copy_from_slice(chunk)));
    }
    out.extend_from_slice(&relay.finish());
    (out, relay.seen().told)
}
