//! Every seed of the fuzz target for requests over HTTP/1.1 keeps its law, however it is split.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing helper is a failing test"
)]

#[path = "../../../fuzz/laws/calls.rs"]
mod calls;

const SEEDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/seeds/calls");

#[test]
fn every_seed_keeps_the_law() {
    let mut count = 0;
    for seed in std::fs::read_dir(SEEDS).unwrap() {
        let mut input = std::fs::read(seed.unwrap().path()).unwrap();
        for choice in 0..=u8::MAX {
            input[0] = choice;
            calls::check(&input);
        }
        count += 1;
    }
    assert!(count >= 5, "only {count} seeds were found");
}
