//! A peek accepts exactly the objects that `serde_json` accepts, and finds the same model in them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mynah_dialect::peek::{PeekError, peek};
use serde_json::Value;

fuzz_target!(|body: &[u8]| {
    let peeked = peek(body);
    // Strings that are only forwarded need not be UTF-8; for the comparison they must be.
    let Ok(text) = std::str::from_utf8(body) else { return };
    match (peeked, serde_json::from_str::<Value>(text)) {
        (Ok(gist), Ok(Value::Object(object))) => {
            // An empty name is none.
            let model = object.get("model").and_then(Value::as_str).filter(|name| !name.is_empty());
            assert_eq!(gist.model.as_ref().map(|model| model.name.as_ref()), model);
            if let Some(model) = gist.model {
                assert_eq!(serde_json::from_slice::<Value>(&body[model.span]).unwrap(), Value::from(model.name.as_ref()));
            }
        }
        (Ok(_), Ok(_)) => panic!("accepted something that is not an object"),
        // serde_json also refuses lone surrogates, numbers that no float can hold, and one level less of nesting.
        (Ok(_), Err(error)) => assert!(is_about_a_value(&error.to_string()), "{error}"),
        (Err(PeekError::Malformed(fault)), Ok(_)) => panic!("{fault}"),
        (Err(_), _) => {}
    }
});

fn is_about_a_value(error: &str) -> bool {
    ["surrogate", "recursion limit", "hex escape", "number out of range", "unicode code point"].iter().any(|known| error.contains(known))
}
