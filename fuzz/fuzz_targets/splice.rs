//! A splice changes its spans and nothing else, and what was JSON stays JSON.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use mynah_dialect::peek::{Name, peek};
use mynah_dialect::splice::splice;

fuzz_target!(|input: (&[u8], &str)| {
    let (body, name) = input;
    let other = Name::from(name);
    let Ok(gist) = peek(body) else { return };
    let body = Bytes::copy_from_slice(body);
    assert_eq!(splice(&body, Vec::new()).concat(), body);
    let mut edits = Vec::from_iter(gist.model.as_ref().and_then(|model| model.replaced_by(&other)));
    edits.extend(gist.include_usage());
    edits.sort_by_key(|edit| edit.span.start);
    let spliced = splice(&body, edits.clone()).concat();
    let (mut from, mut to) = (0, 0);
    for edit in &edits {
        let kept = edit.span.start - from;
        assert_eq!(body[from..edit.span.start], spliced[to..to + kept]);
        assert_eq!(edit.text, spliced[to + kept..to + kept + edit.text.len()]);
        from = edit.span.end;
        to += kept + edit.text.len();
    }
    assert_eq!(body[from..], spliced[to..]);
    if let Some(model) = &gist.model {
        let again = peek(&spliced).expect("what was well formed stays so");
        let named = if model.replaced_by(&other).is_some() { name } else { &model.name };
        // An empty name is none.
        let named = Some(named).filter(|name| !name.is_empty());
        assert_eq!(again.model.as_ref().map(|model| model.name.as_ref()), named);
    }
});
