//! Whatever a caller sends as HTTP/1.1: how it is split does not matter, and no more comes out than went in.

use bytes::Bytes;
use mynah::http::server1::head::HeadReader;
use mynah::http1::body::{Decoder, Step};

/// The first byte chooses the size of the pieces; the rest is what the caller sends until it closes the connection.
pub(crate) fn check(input: &[u8]) {
    let [choice, text @ ..] = input else {
        return;
    };
    let whole = read(text, text.len().max(1));
    let split = read(text, usize::from(*choice) + 1);
    // What is wrong may be noticed sooner or later, but it is always noticed, and by nobody taken for a request.
    assert_eq!(whole, split, "the pieces matter");
}

/// The requests until something is wrong: the head of each, and its body as far as it came.
fn read(text: &[u8], size: usize) -> Vec<(String, Vec<u8>)> {
    let mut pieces = text.chunks(size).map(Bytes::copy_from_slice);
    let mut requests = Vec::new();
    let mut come = Bytes::new();
    let mut taken = 0;
    loop {
        let mut reader = HeadReader::default();
        let (head, rest) = loop {
            if come.is_empty() {
                let Some(piece) = pieces.next() else {
                    return requests;
                };
                come = piece;
            }
            match reader.push(std::mem::take(&mut come)) {
                Ok(Some(read)) => break read,
                Ok(None) => {}
                Err(_) => return requests,
            }
        };
        come = rest;
        let (mut decoder, mut body) = (Decoder::new(head.framing), Vec::new());
        let is_whole = loop {
            match decoder.next(&mut come) {
                Ok(Step::Data(piece)) => body.extend_from_slice(&piece),
                Ok(Step::End) => break true,
                Ok(Step::Wanting) => match pieces.next() {
                    Some(piece) => come = piece,
                    None => break false,
                },
                Err(_) => break false,
            }
        };
        taken += body.len();
        assert!(taken <= text.len());
        requests.push((format!("{:?}", head.parts), body));
        if !is_whole {
            return requests;
        }
    }
}
