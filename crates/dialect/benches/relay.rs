//! What it costs to watch an answer that is relayed.
//!
//! `cargo bench -p mynah-dialect --bench relay` prints it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a benchmark that fails shall stop"
)]

use bytes::Bytes;
use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use mynah_dialect::closing::Finale;
use mynah_dialect::relay::Relay;
use mynah_dialect::usage::Body;
use mynah_dialect::whole::{Whole, judge};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How many events a stream has.
const EVENTS: usize = 1000;

/// Events as they come in the middle of a stream.
const DELTAS: [(&str, &str); 5] = [
    (
        "chat",
        "data: {\"id\":\"chatcmpl-AbCdEfGhIjKlMnOpQrStUvWxYz012\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"gpt-4o-mini\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" word\"},\"finish_reason\":null}]}\n\n",
    ),
    (
        "chat with usage",
        "data: {\"id\":\"chatcmpl-AbCdEfGhIjKlMnOpQrStUvWxYz012\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"some/model\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" word\"},\"finish_reason\":null}],\"usage\":{\"prompt_tokens\":117,\"total_tokens\":202,\"completion_tokens\":85}}\n\n",
    ),
    (
        "responses",
        "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"sequence_number\":12,\"item_id\":\"msg_0123456789abcdef0123456789abcdef\",\"output_index\":0,\"content_index\":0,\"delta\":\" word\"}\n\n",
    ),
    (
        "anthropic",
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\" some words of an answer, and some more, so that it is as long as others are\"}}\n\n",
    ),
    (
        "gemini",
        "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\" word\"}],\"role\":\"model\"},\"index\":0}],\"usageMetadata\":{\"promptTokenCount\":10,\"totalTokenCount\":12},\"modelVersion\":\"gemini-2.0-flash\"}\n\n",
    ),
];

fn main() {
    divan::main();
}

/// Passing a stream on while its usage is read, each event in a chunk of its own. Items are events.
#[divan::bench(args = DELTAS.map(|(name, _)| name))]
fn relay(bencher: Bencher<'_, '_>, name: &str) {
    let event = Bytes::from_static(event(name).as_bytes());
    bencher.counter(ItemsCount::new(EVENTS)).bench(|| {
        let mut relay = Relay::events().metered(Body::Text);
        for _ in 0..EVENTS {
            black_box(relay.push(black_box(event.clone())));
        }
        relay.seen()
    });
}

/// The same where nobody wants to know the usage.
#[divan::bench(args = DELTAS.map(|(name, _)| name))]
fn relay_unmetered(bencher: Bencher<'_, '_>, name: &str) {
    let event = Bytes::from_static(event(name).as_bytes());
    bencher.counter(ItemsCount::new(EVENTS)).bench(|| {
        let mut relay = Relay::events();
        for _ in 0..EVENTS {
            black_box(relay.push(black_box(event.clone())));
        }
        relay.seen()
    });
}

/// With chunks of 1,000 bytes, in which events begin and end anywhere.
#[divan::bench(args = DELTAS.map(|(name, _)| name))]
fn relay_unaligned(bencher: Bencher<'_, '_>, name: &str) {
    let stream = Bytes::from(event(name).repeat(EVENTS));
    bencher.counter(ItemsCount::new(EVENTS)).bench(|| {
        let mut relay = Relay::events().metered(Body::Text);
        let mut rest = stream.clone();
        while !rest.is_empty() {
            black_box(relay.push(rest.split_to(rest.len().min(1000))));
        }
        relay.seen()
    });
}

/// Reading along in a short answer that is no stream.
#[divan::bench]
fn answer(bencher: Bencher<'_, '_>) {
    let answer = "{\"id\":\"chatcmpl-AbCdEfGhIjKlMnOpQrStUvWxYz012\",\"object\":\"chat.completion\",\"created\":1700000000,\"model\":\"gpt-4o\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"Good morning. How can I help you today?\",\"refusal\":null,\"annotations\":[]},\"logprobs\":null,\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":19,\"completion_tokens\":10,\"total_tokens\":29,\"prompt_tokens_details\":{\"cached_tokens\":0,\"audio_tokens\":0},\"completion_tokens_details\":{\"reasoning_tokens\":0,\"audio_tokens\":0,\"accepted_prediction_tokens\":0,\"rejected_prediction_tokens\":0}},\"service_tier\":\"default\",\"system_fingerprint\":\"fp_0123456789\"}";
    let answer = Bytes::from_static(answer.as_bytes());
    bencher.bench(|| {
        let mut relay = Relay::bytes().metered(Body::Text);
        black_box(relay.push(black_box(answer.clone())));
        relay.seen()
    });
}

/// Looking for the end of a stream, each event in a chunk of its own. Items are events.
#[divan::bench(args = DELTAS.map(|(name, _)| name))]
fn finale(bencher: Bencher<'_, '_>, name: &str) {
    let event = event(name).as_bytes();
    bencher.counter(ItemsCount::new(EVENTS)).bench(|| {
        let mut finale = Finale::default();
        for _ in 0..EVENTS {
            finale.push(black_box(event));
        }
        finale.seen()
    });
}

/// The same with chunks of 1,000 bytes, in which events begin and end anywhere.
#[divan::bench(args = DELTAS.map(|(name, _)| name))]
fn finale_unaligned(bencher: Bencher<'_, '_>, name: &str) {
    let stream = event(name).repeat(EVENTS);
    bencher.counter(ItemsCount::new(EVENTS)).bench(|| {
        let mut finale = Finale::default();
        for chunk in stream.as_bytes().chunks(1000) {
            finale.push(black_box(chunk));
        }
        finale.seen()
    });
}

/// Judging a whole answer of a megabyte.
#[divan::bench]
fn whole(bencher: Bencher<'_, '_>) {
    let text = "The build fails because the folder \\\"src\\\" is missing.\\n".repeat(18_000);
    let body = format!("{{\"choices\":[{{\"message\":{{\"content\":\"{text}\"}}}}],\"error\":null}}");
    let counter = BytesCount::new(body.len());
    bencher.counter(counter).bench(|| {
        assert_eq!(judge(Some("application/json"), black_box(body.as_bytes())), Whole::Fine);
    });
}

fn event(name: &str) -> &'static str {
    DELTAS.iter().find(|(delta, _)| *delta == name).unwrap().1
}
