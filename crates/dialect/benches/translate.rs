//! What a translation costs, for every protocol of callers with every protocol of providers.
//!
//! `cargo bench -p mynah-dialect --bench translate` prints it. All conversations are the same one and all answers the
//! same one: written once, and brought into the other protocols by translation, so that the pairs can be compared.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a benchmark that fails shall stop"
)]

use std::fmt;

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use mynah_dialect::Protocol;
use mynah_dialect::assembly::Assembly;
use mynah_dialect::codec::{Address, Asked, Memo, Outgoing, Target, client_side, upstream_side};
use mynah_dialect::ir::{Event, FinishReason, Request, Start};
use mynah_dialect::loss::Losses;
use mynah_dialect::quirks::Quirks;
use mynah_dialect::repair::repair;
use mynah_dialect::transcode::{Transcoder, streamed, translate_whole};
use mynah_dialect::tree::Node;
use serde_json::{Value, json};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ADDRESS: Address<'_> = Address {
    model: Some("asked-model"),
    stream: None,
    events: true,
};

/// The beginning of the system prompt.
const TASK: &str = "You mend programs. Read what you need before you answer, say in one sentence what you are going to \
                    do, and never change a file that you have not read. Answer in the language of the question.";

/// How many pieces of text a stream has.
const DELTAS: usize = 200;

fn main() {
    divan::main();
}

/// A request of 1 KB to the provider, and an answer of 1 KB back.
#[divan::bench(args = pairs())]
fn small(bencher: Bencher<'_, '_>, pair: &Pair) {
    both_directions(bencher, pair, &conversation(0, 1));
}

/// A request of 100 KB to the provider, and an answer of 1 KB back.
#[divan::bench(args = pairs())]
fn large(bencher: Bencher<'_, '_>, pair: &Pair) {
    both_directions(bencher, pair, &conversation(12, 24));
}

/// A stream, each event in a chunk of its own. Items are events.
#[divan::bench(args = pairs())]
fn stream(bencher: Bencher<'_, '_>, pair: &Pair) {
    let (asked, stream) = (asked(pair.client), stream_of(pair.upstream));
    let chunks: Vec<&[u8]> = stream.split_inclusive("\n\n").map(str::as_bytes).collect();
    let (upstream, client) = (upstream_side(pair.upstream), client_side(pair.client).unwrap());
    bencher.counter(ItemsCount::new(chunks.len())).bench(|| {
        let mut transcoder = Transcoder::new(upstream, client, Memo::default(), &asked);
        for chunk in &chunks {
            black_box(transcoder.push(chunk));
        }
        transcoder.finish()
    });
}

/// Reading alone, into a tree that borrows: an event of a stream, and the two requests.
#[divan::bench(args = ["event", "small", "large"])]
fn tree(bencher: Bencher<'_, '_>, what: &str) {
    let text = match what {
        "event" => stream_of(Protocol::OpenaiChat).split("\n\n").nth(9).unwrap()["data: ".len()..].to_owned(),
        "small" => conversation(0, 1).to_string(),
        _ => conversation(12, 24).to_string(),
    };
    bencher.bench(|| Node::parse_text(black_box(&text)).unwrap());
}

/// Who speaks to whom.
#[derive(Debug)]
struct Pair {
    client: Protocol,
    upstream: Protocol,
}

impl fmt::Display for Pair {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} to {}", self.client, self.upstream)
    }
}

fn pairs() -> Vec<Pair> {
    let clients = Protocol::ALL
        .into_iter()
        .filter(|client| client_side(*client).is_some());
    let pairs = clients.flat_map(|client| Protocol::ALL.map(|upstream| Pair { client, upstream }));
    pairs.collect()
}

fn asked(client: Protocol) -> Asked {
    let mut request = Request::new(client, "asked-model");
    request.include_usage = true;
    Asked {
        request,
        events: true,
        id: "bench".to_owned(),
        now: 1_700_000_000,
    }
}

fn both_directions(bencher: Bencher<'_, '_>, pair: &Pair, conversation: &Value) {
    let (body, answer, asked) = (
        body_of(pair.client, conversation),
        answer_of(pair.upstream),
        asked(pair.client),
    );
    let (upstream, client) = (upstream_side(pair.upstream), client_side(pair.client).unwrap());
    bencher.bench(|| {
        let outgoing = written(pair.client, black_box(&body), pair.upstream);
        let mut lost = Losses::new(pair.client);
        let translated = translate_whole(upstream, client, black_box(&answer), outgoing.memo, &asked, &mut lost);
        (outgoing.body, translated.unwrap())
    });
}

/// A request as the provider gets it.
fn written(client: Protocol, body: &[u8], upstream: Protocol) -> Outgoing {
    let mut request = client_side(client).unwrap().read_request(body, &ADDRESS).unwrap();
    let mut lost = Losses::new(client);
    repair(&mut request, &mut lost);
    let target = Target {
        provider: "bench",
        model: "model",
        quirks: &Quirks::default(),
    };
    upstream_side(upstream)
        .write_request(&request, &target, &mut lost)
        .unwrap()
}

/// The conversation as a caller sends it.
fn body_of(client: Protocol, conversation: &Value) -> Vec<u8> {
    written(Protocol::OpenaiChat, conversation.to_string().as_bytes(), client).body
}

/// An agent's conversation after some rounds of calls, in OpenAI Chat.
fn conversation(more_tools: usize, rounds: usize) -> Value {
    let code = "    let path = folder.join(\"src\");\n\tif !path.exists() {\n        return Err(\"missing\");\n    }\n";
    let mut messages = vec![
        json!({"role": "system", "content": format!("{TASK} {}", code.repeat(more_tools * 6))}),
        json!({"role": "user", "content": "Why does the build fail? Look at the file and tell me."}),
    ];
    for round in 0..rounds {
        let id = format!("call_{round}");
        let arguments = json!({"path": format!("src/part_{round}.rs"), "limit": 200}).to_string();
        let function = json!({"name": "read_file", "arguments": arguments});
        messages.push(json!({"role": "assistant", "content": "I look at the next file.",
            "tool_calls": [{"id": id, "type": "function", "function": function}]}));
        let result = code.repeat(if rounds == 1 { 1 } else { 33 });
        messages.push(json!({"role": "tool", "tool_call_id": id, "content": result}));
    }
    let names = std::iter::once("read_file".to_owned()).chain((0..more_tools).map(|number| format!("tool_{number}")));
    let tools: Vec<Value> = names.map(|name| tool(&name)).collect();
    json!({"model": "asked-model", "messages": messages, "tools": tools, "temperature": 0.2, "max_tokens": 1024})
}

fn tool(name: &str) -> Value {
    let parameters = json!({"type": "object", "properties": {
        "path": {"type": "string", "description": "The file, from the top of the tree."},
        "limit": {"type": "integer", "minimum": 1}}, "required": ["path"]});
    json!({"type": "function", "function": {
        "name": name, "description": "Reads a file and returns its lines.", "parameters": parameters}})
}

/// An answer of about 1 KB with text and a call.
fn answer_of(upstream: Protocol) -> Vec<u8> {
    let text = "The build fails because the folder \"src\" is missing.\n".repeat(10);
    let usage = json!({"prompt_tokens": 300, "completion_tokens": 120, "total_tokens": 420});
    let function = json!({"name": "read_file", "arguments": "{\"path\":\"Cargo.toml\"}"});
    let calls = json!([{"id": "call_9", "type": "function", "function": function}]);
    let body = if upstream == Protocol::Cohere {
        json!({"id": "a1", "message": {"role": "assistant", "content": [{"type": "text", "text": text}],
            "tool_calls": calls}, "finish_reason": "TOOL_CALL",
            "usage": {"tokens": {"input_tokens": 300, "output_tokens": 120}}})
    } else {
        let message = json!({"role": "assistant", "content": text, "tool_calls": calls});
        json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 1_700_000_000, "model": "model",
            "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}], "usage": usage})
    };
    let body = body.to_string().into_bytes();
    let Some(codec) = client_side(upstream) else {
        return body;
    };
    let (chat, asked, mut lost) = (
        upstream_side(Protocol::OpenaiChat),
        asked(upstream),
        Losses::new(upstream),
    );
    translate_whole(chat, codec, &body, Memo::default(), &asked, &mut lost)
        .unwrap()
        .1
}

/// A streamed answer of many short pieces of text.
fn stream_of(upstream: Protocol) -> String {
    if let Some(codec) = client_side(upstream) {
        let stream = streamed(codec, &said(), &asked(upstream)).1;
        return String::from_utf8(stream.to_vec()).unwrap();
    }
    let event = |kind: &str, rest: &str| format!("event: {kind}\ndata: {{\"type\":\"{kind}\",{rest}}}\n\n");
    let delta = |text: &str| format!("\"index\":0,\"delta\":{{\"message\":{{\"content\":{{{text}}}}}}}");
    let mut stream = event(
        "message-start",
        "\"id\":\"1\",\"delta\":{\"message\":{\"role\":\"assistant\"}}",
    );
    stream += &event("content-start", &delta("\"type\":\"text\",\"text\":\"\""));
    for _ in 0..DELTAS {
        stream += &event("content-delta", &delta("\"text\":\" word\""));
    }
    stream += &event("content-end", "\"index\":0");
    stream + &event("message-end", "\"delta\":{\"finish_reason\":\"COMPLETE\"}")
}

fn said() -> Vec<Event> {
    let mut assembly = Assembly::new(Memo::default(), "bench");
    assembly.start(Start {
        id: "chatcmpl-AbCdEfGhIjKlMnOpQrStUvWxYz012".to_owned(),
        model: "model-2026-01-01".to_owned(),
        ..Start::default()
    });
    for _ in 0..DELTAS {
        assembly.text(0, " word");
    }
    assembly.finish(0, FinishReason::Stop);
    assembly.close();
    assembly.take()
}
