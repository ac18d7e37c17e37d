//! Requests of any bytes over HTTP/1.1.
#![no_main]

#[path = "../laws/calls.rs"]
mod calls;

libfuzzer_sys::fuzz_target!(|input: &[u8]| calls::check(input));
