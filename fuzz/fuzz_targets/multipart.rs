//! A form of any bytes never panics, and the model that is found stands where it is said to stand.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use mynah_dialect::multipart::{peek, replace_model};
use mynah_dialect::splice::splice;

fuzz_target!(|input: (&str, &[u8])| {
    let (content_type, body) = input;
    if let Ok(Some(model)) = peek(content_type, body) {
        assert_eq!(model.name.as_bytes(), &body[model.span.clone()]);
        let edits = Vec::from_iter(replace_model(&model, "m"));
        let spliced = splice(&Bytes::copy_from_slice(body), edits).concat();
        assert_eq!(peek(content_type, &spliced).unwrap().unwrap().name, "m");
    }
});
