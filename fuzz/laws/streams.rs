//! Whatever a provider sends: the chunks do not matter, the caller gets JSON, and the answer ends as well for him as for us.

use mynah_dialect::codec::{Asked, Memo, client_side, upstream_side};
use mynah_dialect::ir::{Event, Request};
use mynah_dialect::transcode::{Listener, Transcoder, translate_whole};
use mynah_dialect::{Protocol, frame::Frame, loss::Losses, tree::Node};

/// The first bytes choose the provider's protocol, the caller's, the size of the chunks, and whether the caller wants
/// events, all from the digit 0 on; the rest is the stream.
pub(crate) fn check(input: &[u8]) {
    let [from, to, size, array, stream @ ..] = input else {
        return;
    };
    let [from, to, size, array] = [from, to, size, array].map(|byte| usize::from(byte.wrapping_sub(b'0')));
    let (from, to, events) = (Protocol::ALL[from % 5], Protocol::ALL[to % 4], array % 2 == 0);
    let (upstream, client) = (upstream_side(from), client_side(to).unwrap());
    let (mut request, id, now) = (Request::new(to, "asked"), "fuzz".to_owned(), 0);
    (request.stream, request.include_usage) = (true, true);
    let asked = Asked {
        request,
        events,
        id,
        now,
    };
    let transcoded = |size: usize| {
        let mut transcoder = Transcoder::new(upstream, client, Memo::default(), &asked);
        let mut out: Vec<u8> = stream.chunks(size).flat_map(|chunk| transcoder.push(chunk)).collect();
        out.extend_from_slice(&transcoder.finish());
        out
    };
    let out = transcoded(stream.len().max(1));
    assert_eq!(out, transcoded(size + 1), "the chunks matter");
    assert!(out.len() <= 128 * input.len() + 64 * 1024, "{} bytes", out.len());
    if events {
        assert!(out.split(|byte| *byte == b'\n').all(is_fine), "not JSON");
        assert_eq!(ends_well(from, stream), ends_well(to, &out), "{from} to {to}");
    } else if to == Protocol::Gemini {
        assert!(Node::parse(&out).is_ok(), "{}", String::from_utf8_lossy(&out));
    }
    let whole = translate_whole(upstream, client, stream, Memo::default(), &asked, &mut Losses::new(to));
    let body = whole.map_or_else(|error| client.write_error(&error, "req_fuzz").1, |(_, body)| body);
    assert!(Node::parse(&body).is_ok(), "{}", String::from_utf8_lossy(&body));
}

fn is_fine(line: &[u8]) -> bool {
    let data = Frame::parse(line).data;
    data.is_none_or(|data| data.as_ref() == b"[DONE]" || Node::parse(&data).is_ok())
}

fn ends_well(protocol: Protocol, stream: &[u8]) -> bool {
    let mut listener = Listener::new(upstream_side(protocol), Memo::default(), "fuzz");
    let mut events = listener.push(stream);
    events.extend(listener.finish());
    let ends = |event: &Event| matches!(event, Event::End | Event::Error(_));
    assert_eq!(events.iter().position(ends), Some(events.len() - 1), "{events:?}");
    events.last() == Some(&Event::End)
}
