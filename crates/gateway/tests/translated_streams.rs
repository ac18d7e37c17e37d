//! A translated stream is bound to its caller and to its provider like one that is relayed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing helper is a failing test"
)]

mod support;

use std::time::Duration;

use mynah_understudy::{Reply, Script, Understudy};
use serde_json::{Value, json};
use support::dialects::{CALLERS, KEY, ask, error, provider, stream, strict, told};
use support::{Gateway, Request, read_head};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const KINDS: [&str; 4] = ["chat", "responses", "anthropic", "gemini"];

async fn up(kind: &str, settings: &str) -> (Understudy, Gateway) {
    let understudy = strict(Script::new()).await;
    let config = provider("up", kind, &understudy.url());
    let gateway = Gateway::start(&format!("[log]\nrequests = true\n{config}{settings}\n"));
    (understudy, gateway)
}

/// The JSON of the last event of a stream.
fn last_event(text: &str) -> Value {
    let data = text.rsplit("data: ").next().unwrap();
    serde_json::from_str(data).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// That a stream ends in an error of its caller's protocol, and what that error says.
fn ends_in_error(caller: &str, text: &str) -> String {
    let last = last_event(text);
    let message = match caller {
        "responses" => {
            assert!(text.contains("event: response.failed\n"), "{text}");
            assert!(!text.contains("response.completed"), "{text}");
            // After the event that Codex reads there may be the one on which OpenAI's SDKs raise.
            let failed = [&last["response"]["error"], &last["error"], &last];
            let failed = failed.into_iter().find(|error| error["message"].is_string()).unwrap();
            failed["message"].clone()
        }
        "anthropic" => {
            assert!(
                text.contains("event: error\n") && !text.contains("message_stop"),
                "{text}"
            );
            assert_eq!(last["type"], "error");
            last["error"]["message"].clone()
        }
        "chat" => {
            assert!(!text.contains("[DONE]"), "{text}");
            last["error"]["message"].clone()
        }
        _ => {
            assert!(
                last["error"]["code"].is_number() && !text.contains("finishReason"),
                "{text}"
            );
            last["error"]["message"].clone()
        }
    };
    message
        .as_str()
        .unwrap_or_else(|| panic!("{caller}: {text}"))
        .to_owned()
}

#[tokio::test]
async fn an_event_does_not_wait_for_the_next() {
    for kind in KINDS {
        let (understudy, gateway) = up(kind, "").await;
        let events = told(kind);
        let first = (events.text)("one \u{1f99c}");
        let there = events.opening.len() + first.len();
        for caller in CALLERS {
            understudy.set_script(stream([&events.opening, &first, &events.ending]).hang_after(there));
            let mut connection = gateway.connect().await;
            connection
                .write_all(&ask(caller, "up/m", "hello", true).bytes())
                .await
                .unwrap();
            assert_eq!(
                read_head(&mut connection).await.unwrap().status,
                200,
                "{kind} for {caller}"
            );
            let mut seen = Vec::new();
            while !String::from_utf8_lossy(&seen).contains("one \u{1f99c}") {
                seen.push(connection.read_u8().await.unwrap());
            }
        }
    }
}

#[tokio::test]
async fn a_stream_that_breaks_off_ends_in_the_callers_error() {
    for kind in KINDS {
        let (understudy, gateway) = up(kind, "timeouts = { idle = '300ms' }").await;
        let events = told(kind);
        let (one, two) = ((events.text)("one"), (events.text)("two"));
        let there = events.opening.len() + one.len() + two.len() / 2;
        let whole = || stream([&events.opening, &one, &two, &events.ending]);
        for (name, broken) in [
            ("cut", whole().cut_at(there)),
            ("reset", whole().reset_at(there)),
            ("stalled", whole().hang_after(there)),
            ("ended early", stream([&events.opening, &one]).until_close()),
            ("failed", stream([&events.opening, &one, &events.error])),
        ] {
            understudy.set_script(broken);
            for caller in CALLERS {
                let relayed = caller == kind;
                if relayed && (name == "failed" || (name == "ended early" && kind == "gemini")) {
                    continue; // These are passed on as they are.
                }
                let reply = gateway.send(&ask(caller, "up/m", "hello", true)).await;
                let text = reply.text();
                assert!(
                    reply.whole && text.contains("one") && !text.contains("two"),
                    "{name}, {kind}: {text}"
                );
                let message = ends_in_error(caller, text);
                assert!(!message.is_empty(), "{name}, {kind} for {caller}: {text}");
            }
        }
    }
}

#[tokio::test]
async fn hanging_up_cancels_the_call_and_is_logged_with_its_usage() {
    let (understudy, gateway) = up("anthropic", "").await;
    let events = told("anthropic");
    let first = (events.text)("one");
    let there = events.opening.len() + first.len();
    for (count, caller) in (1..).zip(["chat", "responses", "gemini"]) {
        understudy.set_script(stream([&events.opening, &first, &events.ending]).hang_after(there));
        let mut connection = gateway.connect().await;
        connection
            .write_all(&ask(caller, "up/m", "hello", true).bytes())
            .await
            .unwrap();
        read_head(&mut connection).await.unwrap();
        connection.read_u8().await.unwrap();
        drop(connection);
        understudy.wait_aborted(count).await;
    }
    let printed = || gateway.printed.lock().unwrap().clone();
    let logged = || printed().lines().filter(|line| line.contains("caller_hung_up")).count();
    support::until(|| logged() == 3, printed).await;
    for line in printed().lines().filter(|line| line.contains("caller_hung_up")) {
        assert!(line.contains("input_tokens=13"), "{line}");
    }
}

#[tokio::test]
async fn our_key_is_taken_out_of_what_a_provider_says_of_it() {
    let message = format!("the key {KEY} is not good enough");
    for kind in KINDS {
        let (understudy, gateway) = up(kind, "").await;
        let said =
            json!({"type": "error", "error": {"type": "invalid_request_error", "code": 400, "message": message}});
        let as_event = format!("event: error\ndata: {said}\n\n");
        for (name, refusal, streamed) in [
            ("refused", Reply::status(400).body(said.to_string()), false),
            ("refused", Reply::status(400).body(said.to_string()), true),
            ("a stream", stream([&told(kind).opening, &as_event]), true),
            ("in place of an answer", Reply::json(&said), false),
        ] {
            understudy.set_script(refusal);
            for caller in CALLERS {
                if caller == kind && name == "in place of an answer" {
                    continue; // It is passed on as it is.
                }
                let reply = gateway.send(&ask(caller, "up/m", "hello", streamed)).await;
                assert!(reply.status >= 400, "{name}, {kind} for {caller}: {}", reply.text());
                assert!(
                    !reply.text().contains(KEY),
                    "{name}, {kind} for {caller}: {}",
                    reply.text()
                );
                assert!(reply.text().contains("[redacted] is not good"), "{}", reply.text());
                if caller != kind {
                    error(caller, &reply);
                }
            }
        }
        // The same for what is not a conversation.
        if kind == "gemini" {
            understudy.set_script(Reply::status(400).body(said.to_string()));
            let embed = Request::post("/v1/embeddings", r#"{"model":"up/m","input":"x"}"#);
            let reply = gateway.send(&embed).await;
            assert!(
                reply.text().contains("[redacted]") && !reply.text().contains(KEY),
                "{}",
                reply.text()
            );
        }
    }
}

#[tokio::test]
async fn a_slow_reader_holds_up_the_provider_and_not_our_memory() {
    const DELTAS: usize = 10_000;
    let events = told("anthropic");
    let delta = (events.text)(&"x".repeat(3000));
    let mut all = vec![events.opening.clone()];
    all.extend(vec![delta; DELTAS]);
    all.push(events.ending.clone());
    let total: u64 = all.iter().map(|event| event.len() as u64).sum();
    let understudy = Understudy::builder()
        .send_buffer(64 * 1024)
        .script(Reply::stream(all))
        .start()
        .await
        .unwrap();
    let gateway = Gateway::start(&provider("up", "anthropic", &understudy.url()));
    // Gemini's citations are told by their place, so what was said to its callers is kept, once.
    for (caller, kept_texts) in [("chat", 0), ("gemini", 2)] {
        let (before, peak_before) = (understudy.counters().bytes_sent, gateway.peak_memory());
        // With a small buffer of its own, so that the system does not read in its place.
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(64 * 1024).unwrap();
        let mut connection = socket.connect(gateway.address.parse().unwrap()).await.unwrap();
        connection
            .write_all(&ask(caller, "up/m", "hello", true).bytes())
            .await
            .unwrap();
        read_head(&mut connection).await.unwrap();
        // Nothing is read: what the provider has sent stops growing, far below the whole.
        let mut sent = 0;
        loop {
            tokio::time::sleep(Duration::from_millis(200)).await;
            let now = understudy.counters().bytes_sent - before;
            if now == sent && now > 0 {
                break;
            }
            sent = now;
        }
        assert!(sent < total / 2, "{caller}: {sent} of {total} bytes were taken");
        // Then all of it comes.
        let (mut count, mut kept, mut buffer) = (0, Vec::new(), vec![0; 64 * 1024]);
        let read = async {
            while count < DELTAS {
                let read = connection.read(&mut buffer).await.unwrap();
                assert!(read > 0, "{caller}: {count} deltas");
                kept.extend_from_slice(&buffer[..read]);
                let ends = memchr::memmem::find_iter(&kept, b"xx\"")
                    .map(|at| at + 3)
                    .collect::<Vec<_>>();
                count += ends.len();
                if let Some(end) = ends.last() {
                    kept.drain(..end);
                }
            }
        };
        tokio::time::timeout(support::PATIENCE, read).await.unwrap();
        drop(connection);
        // The system may not tell.
        let (Some(peak), Some(peak_before)) = (gateway.peak_memory(), peak_before) else {
            continue;
        };
        let grown = peak - peak_before;
        assert!(
            grown < total / 2 + kept_texts * total,
            "{caller}: {grown} bytes for a stream of {total}"
        );
    }
}
