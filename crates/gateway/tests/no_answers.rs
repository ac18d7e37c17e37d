//! A status of 200 is not yet an answer: what is not what its protocol says is a failure, and a stream that is not finished
//! ends in an error.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing helper is a failing test"
)]

mod support;

use mynah_understudy::{Reply, Script, Understudy};
use serde_json::json;
use support::Gateway;
use support::dialects::{CALLERS, ask, model, provider, stream, strict, told};

/// A gateway whose model `m` has two targets of one protocol.
fn two(kind: &str, first: &Understudy, second: &Understudy) -> Gateway {
    let model = model(kind);
    Gateway::start(&format!(
        "{}{}[models.m]\ntargets = ['first/{model}', 'second/{model}']\n",
        provider("first", kind, &first.url()),
        provider("second", kind, &second.url()),
    ))
}

/// What comes in place of a stream, and is none.
fn no_streams(kind: &str) -> Vec<(&'static str, Reply)> {
    let events = told(kind);
    let text = (events.text)("half");
    let answer = json!({"choices": [{"message": {"content": "whole"}}], "content": [], "candidates": [], "output": []});
    let of_type = |kind: &str, body: &str| Reply::bytes(body.to_owned()).header("content-type", kind);
    vec![
        ("an answer that is no stream", Reply::json(&answer)),
        ("a page", of_type("text/html", "<html></html>")),
        (
            "a page called a stream",
            of_type("text/event-stream", "<html>\n\n</html>\n\n"),
        ),
        ("text", of_type("text/plain", "ERROR: out of memory")),
        (
            "text called a stream",
            of_type("text/event-stream", "ERROR: out of memory\n\n"),
        ),
        (
            "an error",
            Reply::json(&json!({"error": {"message": "overloaded", "type": "server_error"}})),
        ),
        (
            "an error called a stream",
            of_type(
                "text/event-stream",
                r#"{"error":{"message":"overloaded","type":"server_error"}}"#,
            ),
        ),
        ("nothing", Reply::bytes("")),
        ("nothing called a stream", stream([])),
        ("nothing but comments", stream([": hello\n\n", ": hello\n\n"])),
        ("nothing but the end", stream(["data: [DONE]\n\n"])),
        (
            "a malformed event",
            stream([&events.opening, "data: {\"cho\n\n", &text]),
        ),
        ("a malformed event at once", stream(["data: oh no\n\n", &text])),
        ("an error as the first event", stream([&events.error, &text])),
        ("an error after the opening", stream([&events.opening, &events.error])),
        (
            "half an event",
            stream([&events.opening, &text]).cut_at(events.opening.len() + 9),
        ),
        ("an opening alone", stream([&events.opening])),
    ]
}

#[tokio::test]
async fn what_is_no_stream_hands_over() {
    let mut wrong = Vec::new();
    for kind in CALLERS {
        let events = told(kind);
        let text = (events.text)("hello");
        let whole = [&events.opening, &text, &events.ending].map(String::as_str);
        let (first, second) = (strict(Script::new()).await, strict(stream(whole)).await);
        for (name, reply) in no_streams(kind) {
            first.set_script(reply);
            // A gateway for each, since what fails is passed over the next time.
            let gateway = two(kind, &first, &second);
            let reply = gateway.send(&ask(kind, "m", "hello", true)).await;
            let seen = (reply.status, reply.header("x-mynah-attempts"), reply.text());
            if seen != (200, Some("2"), whole.concat().as_str()) {
                wrong.push(format!("{kind}, {name}: {seen:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Who did not ask for a stream cannot read one, whatever it tells.
#[tokio::test]
async fn a_stream_in_place_of_an_answer_hands_over() {
    for kind in CALLERS {
        let events = told(kind);
        let text = (events.text)("hello");
        let whole = stream([&events.opening, &text, &events.ending]);
        let (first, second) = (strict(whole).await, strict(Script::new()).await);
        let reply = two(kind, &first, &second).send(&ask(kind, "m", "hello", false)).await;
        let seen = (reply.status, reply.header("x-mynah-attempts"));
        assert_eq!(seen, (200, Some("2")), "{kind}: {}", reply.text());
        assert_eq!(reply.header("content-type"), Some("application/json"), "{kind}");

        let config = format!("[routing]\nretries = 0\n{}", provider("up", kind, &first.url()));
        let alone = Gateway::start(&config);
        let asked = ask(kind, &format!("up/{}", model(kind)), "hello", false);
        let reply = alone.send(&asked).await;
        assert_eq!(reply.status, 502, "{kind}: {}", reply.text());
        // An error in it is still an error.
        first.set_script(stream([&events.error]));
        let reply = alone.send(&asked).await;
        let is_told = reply.status >= 500 && reply.text().contains("overloaded");
        assert!(is_told, "{kind}: {} {}", reply.status, reply.text());
    }
}

/// The providers' types are not always right, and what is a stream is one, however it is cut.
#[tokio::test]
async fn a_stream_of_another_type_is_a_stream() {
    for kind in CALLERS {
        let events = told(kind);
        let whole = [events.opening.clone(), (events.text)("hello"), events.ending.clone()].concat();
        for prefix in ["", ": hello\n\n", "\n\n", "retry: 100\n\n", "\u{feff}"] {
            for (called, sizes) in [
                (Some("text/plain"), vec![usize::MAX]),
                (Some("application/json"), vec![usize::MAX]),
                (Some("application/octet-stream"), vec![1]),
                (None, vec![3]),
            ] {
                let body = format!("{prefix}{whole}");
                let mut reply = Reply::bytes(body.clone()).chunked();
                if sizes != [usize::MAX] {
                    reply = reply.split(sizes);
                }
                if let Some(called) = called {
                    reply = reply.header("content-type", called);
                }
                let up = strict(reply).await;
                let gateway = Gateway::start(&format!("[routing]\nretries = 0\n{}", provider("up", kind, &up.url())));
                let reply = gateway
                    .send(&ask(kind, &format!("up/{}", model(kind)), "hello", true))
                    .await;
                let case = format!("{kind}, {prefix:?}, {called:?}: {}", reply.text());
                assert_eq!((reply.status, reply.text()), (200, body.as_str()), "{case}");
                assert_eq!(reply.header("content-type"), Some("text/event-stream"), "{case}");
            }
        }
    }
}

/// After content a stream must say that it is over, in whichever protocol, relayed or translated.
#[tokio::test]
async fn a_stream_that_does_not_say_that_it_is_over_ends_in_an_error() {
    for caller in CALLERS {
        for kind in CALLERS {
            let events = told(kind);
            let text = (events.text)("half an answer");
            let half = format!("{}{text}", events.opening);
            for (name, reply) in [
                ("ends", stream([&half])),
                ("ends at once", stream([&half]).with_length()),
                ("ends in an event", stream([format!("{half}{text}").trim_end()])),
                ("ends with its connection", stream([&half]).until_close()),
                ("is cut", stream([&half, &events.ending]).cut_at(half.len())),
                (
                    "is shorter than it says",
                    stream([&half, &events.ending]).with_length().cut_at(half.len()),
                ),
                (
                    "is cut in an event",
                    stream([&half, &events.ending]).cut_at(half.len() + 12),
                ),
                ("is reset", stream([&half, &events.ending]).reset_at(half.len() + 12)),
                ("tells of an error", stream([&half, &events.error])),
            ] {
                let up = strict(reply).await;
                let gateway = Gateway::start(&provider("up", kind, &up.url()));
                let reply = gateway
                    .send(&ask(caller, &format!("up/{}", model(kind)), "hello", true))
                    .await;
                let case = format!("{caller} from {kind}, {name}: {}", reply.text());
                assert!(reply.status == 200 && reply.whole, "{case}");
                // A reset may overtake what was sent before it.
                assert!(name == "is reset" || reply.text().contains("half an answer"), "{case}");
                assert!(is_error(caller, reply.text()), "{case}");
                for end in ["[DONE]", "message_stop", "response.completed", "\"STOP\"", "\"stop\""] {
                    assert!(!reply.text().contains(end), "{case}");
                }
                assert_eq!(up.counters().requests, 1, "{case}");
            }
        }
    }
}

/// Whether the last event is an error of the caller's protocol.
fn is_error(caller: &str, text: &str) -> bool {
    let last = text.trim_end().rsplit("\n\n").next().unwrap_or_default();
    let data = last
        .lines()
        .find_map(|line| line.strip_prefix("data: "))
        .unwrap_or_default();
    let json: serde_json::Value = serde_json::from_str(data).unwrap_or_default();
    match caller {
        "anthropic" => json["type"] == "error" && json["error"]["type"].is_string(),
        "responses" => json["type"] == "response.failed" || json["type"] == "error" || json["error"].is_object(),
        _ => json["error"]["message"].is_string(),
    }
}

#[tokio::test]
async fn every_usual_end_of_a_stream_is_one() {
    let text = (told("chat").text)("hello");
    let finish = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"length\"}]}\n\n";
    let last = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"!\"},\"finish_reason\":\"stop\"}]}\n\n";
    let usage = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}}\n\n";
    for events in [
        vec![text.as_str(), "data: [DONE]\n\n"],
        vec![&text, finish],
        vec![&text, last],
        vec![&text, finish, usage],
        vec![&text, finish, "data: [DONE]"],
        vec![
            &text,
            "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}",
        ],
    ] {
        let owned = || events.iter().map(|event| (*event).to_owned());
        for reply in [Reply::stream(owned()), Reply::stream(owned()).until_close()] {
            let up = Understudy::start(reply).await.unwrap();
            let gateway = Gateway::start(&provider("up", "chat", &up.url()));
            let ask = r#"{"model":"up/m","stream":true,"stream_options":{"include_usage":true}}"#;
            assert_eq!(gateway.chat(ask).await.text(), events.concat());
        }
    }
}

/// What is not streamed is held until it is whole, up to a size.
#[tokio::test]
async fn a_whole_answer_that_is_cut_anywhere_is_asked_for_again() {
    let body = json!({"choices": [{"message": {"content": "a long answer"}}], "usage": {}}).to_string();
    let second = Understudy::start(Reply::json(&json!({"choices": ["second"]})))
        .await
        .unwrap();
    let first = Understudy::start(Reply::hang()).await.unwrap();
    let gateway = Gateway::start(&format!(
        "{}breaker = {{ failures = 100000, rate = 1.0, volume = 100000 }}\n{}[models.m]\ntargets = ['first/a', 'second/b']\n",
        provider("first", "chat", &first.url()),
        provider("second", "chat", &second.url()),
    ));
    for cut in 0..body.len() {
        let whole = Reply::bytes(body.clone()).header("content-type", "application/json");
        for cut_off in [
            whole.clone().cut_at(cut),
            whole.clone().chunked().cut_at(cut),
            // Nothing but the JSON tells that something is missing.
            Reply::bytes(body[..cut].to_owned()).until_close(),
        ] {
            first.set_script(cut_off);
            let reply = gateway.chat(r#"{"model":"m"}"#).await;
            assert_eq!(
                (reply.status, reply.text()),
                (200, r#"{"choices":["second"]}"#),
                "{cut}"
            );
        }
    }
}

/// A provider may compress without being asked to. What is in it cannot be judged.
#[tokio::test]
async fn a_compressed_stream_is_passed_on() {
    let packed = b"\x1f\x8b\x08 whatever is in it".to_vec();
    for kind in ["text/event-stream", "application/octet-stream"] {
        let reply = Reply::bytes(packed.clone())
            .header("content-encoding", "gzip")
            .header("content-type", kind);
        let up = Understudy::start(reply).await.unwrap();
        let gateway = Gateway::start(&provider("up", "chat", &up.url()));
        let reply = gateway.chat(r#"{"model":"up/m","stream":true}"#).await;
        assert!(reply.status == 200 && reply.body == packed, "{kind}: {:?}", reply.body);
        assert_eq!(reply.header("content-encoding"), Some("gzip"));
    }
}

#[tokio::test]
async fn an_answer_that_is_odd_is_still_one() {
    for body in [
        r#"{"choices":[{"message":{"content":"ERROR: <html>"}}]}"#,
        r#"{"choices":[{"message":{"content":""}}],"error":null}"#,
        "\u{feff}{\"choices\":[]}\n\n",
        r#"[{"choices":[]}]"#,
        "{}",
    ] {
        let up = Understudy::start(Reply::bytes(body.to_owned())).await.unwrap();
        let gateway = Gateway::start(&provider("up", "chat", &up.url()));
        let reply = gateway.chat(r#"{"model":"up/m"}"#).await;
        assert_eq!((reply.status, reply.text()), (200, body));
    }
}
