//! Whatever a provider sends as HTTP/1.1: how it is split does not matter, and no more comes out than went in.

use bytes::Bytes;
use http::Method;
use mynah::http1::Malformed;
use mynah::http1::body::{Decoder, Step};
use mynah::upstream::http1::head::HeadReader;

/// The first byte chooses the method and the size of the pieces; the rest is what the provider sends until it closes the
/// connection.
pub(crate) fn check(input: &[u8]) {
    let [choice, text @ ..] = input else {
        return;
    };
    let method = if choice % 2 == 0 { Method::POST } else { Method::HEAD };
    let whole = read(&method, text, text.len().max(1));
    let split = read(&method, text, usize::from(choice / 2) + 1);
    match (&whole, &split) {
        (Ok(whole), Ok(split)) => assert_eq!(whole, split, "the pieces matter"),
        // What is wrong may be noticed sooner or later, but it is always noticed.
        _ => assert!(whole.is_err() && split.is_err(), "{whole:?} {split:?}"),
    }
}

/// The head, the body, and what came after it.
fn read(method: &Method, text: &[u8], size: usize) -> Result<(String, Vec<u8>, usize), Malformed> {
    let mut pieces = text.chunks(size).map(Bytes::copy_from_slice);
    let mut reader = HeadReader::new(method);
    let (head, mut come) = loop {
        let piece = pieces.next().ok_or(Malformed::Cut)?;
        if let Some(read) = reader.push(piece)? {
            break read;
        }
    };
    let (mut decoder, mut body) = (Decoder::new(head.framing), Vec::new());
    loop {
        match decoder.next(&mut come)? {
            Step::Data(piece) => body.extend_from_slice(&piece),
            Step::End => break,
            Step::Wanting => match pieces.next() {
                Some(piece) => come = piece,
                None => break decoder.close()?,
            },
        }
    }
    let left = come.len() + pieces.map(|piece| piece.len()).sum::<usize>();
    assert!(body.len() + left <= text.len());
    Ok((format!("{head:?}"), body, left))
}
