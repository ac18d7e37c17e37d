//! Any chunking of any bytes gives the same events, and together the blocks are the bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mynah_dialect::frame::{Frame, Splitter};

fuzz_target!(|chunks: Vec<&[u8]>| {
    let whole = chunks.concat();
    let (blocks, events) = split(&chunks);
    assert_eq!(blocks, whole);
    assert_eq!(events, split(&[&whole]).1);
});

type Event = (Vec<u8>, Vec<u8>);

fn split(chunks: &[&[u8]]) -> (Vec<u8>, Vec<Event>) {
    let (mut splitter, mut bytes, mut events) = (Splitter::default(), Vec::new(), Vec::new());
    let mut note = |block: &[u8]| {
        bytes.extend_from_slice(block);
        let frame = Frame::parse(block);
        events.extend(frame.data.map(|data| (frame.event.to_vec(), data.into_owned())));
    };
    for chunk in chunks {
        splitter.push(chunk).expect("fuzz inputs are small");
        while let Some(block) = splitter.next_block() {
            note(&block);
        }
    }
    note(&splitter.take_rest());
    (bytes, events)
}
