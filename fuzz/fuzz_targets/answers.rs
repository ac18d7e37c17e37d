//! Answers of any bytes over HTTP/1.1.
#![no_main]

#[path = "../laws/answers.rs"]
mod answers;

libfuzzer_sys::fuzz_target!(|input: &[u8]| answers::check(input));
