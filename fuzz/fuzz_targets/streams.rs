//! A stream or a whole answer of any bytes, in every protocol of providers, for every protocol of callers.
#![no_main]

#[path = "../laws/streams.rs"]
mod streams;

libfuzzer_sys::fuzz_target!(|input: &[u8]| streams::check(input));
