//! A request of any bytes, in every protocol of callers, for every protocol of providers.
#![no_main]

#[path = "../laws/requests.rs"]
mod requests;

libfuzzer_sys::fuzz_target!(|input: &[u8]| requests::check(input));
