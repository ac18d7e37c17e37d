//! How long is waited for a provider, as it is set for the provider, for a model, or by the caller.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing helper is a failing test"
)]

mod support;

use std::time::Duration;

use mynah_understudy::{Reply, Script, Understudy};
use serde_json::json;
use support::dialects::{CALLERS, ask, error, model, of, provider, strict, told};
use support::{Gateway, Request};

fn good() -> Reply {
    Reply::json(&json!({"choices": []}))
}

/// A gateway whose model `m` has two targets, and `own` with timeouts of its own.
fn gateway(first: &str, provider: &str, own: &str) -> Gateway {
    Gateway::start(&format!(
        "[routing]\nretries = 0\n[providers.first]\nbase_url = '{first}'\nmodels = []\n{provider}\n\
         [models.m]\ntargets = ['first/a', 'mynah/echo']\n\
         [models.own]\ntargets = ['first/a', 'mynah/echo']\n{own}\n"
    ))
}

fn chat(model: &str) -> Request {
    Request::chat(&format!(
        r#"{{"model":"{model}","messages":[{{"role":"user","content":"hello"}}]}}"#
    ))
}

#[tokio::test]
async fn a_provider_that_is_late_is_given_up() {
    let text = (told("chat").text)("hello");
    let stalling = Reply::stream([told("chat").opening, text]).hang_after(told("chat").opening.len());
    for (name, reply, timeouts) in [
        ("no head", Reply::hang(), "first_token = '200ms'"),
        (
            "no body",
            good().head_then_wait(Duration::from_mins(1)),
            "first_token = '200ms'",
        ),
        ("half a body", good().hang_after(3), "first_token = '200ms'"),
        ("half a body", good().hang_after(3), "idle = '200ms'"),
        ("no content", stalling.clone(), "first_token = '200ms'"),
        ("no content", stalling, "idle = '200ms'"),
    ] {
        let first = Understudy::start(reply).await.unwrap();
        for (gateway, model) in [
            (gateway(&first.url(), &format!("timeouts = {{ {timeouts} }}"), ""), "m"),
            (
                gateway(&first.url(), "", &format!("timeouts = {{ {timeouts} }}")),
                "own",
            ),
            // What a model says goes before what the provider has.
            (
                gateway(
                    &first.url(),
                    "timeouts = { first_token = '100s', idle = '100s' }",
                    &format!("timeouts = {{ {timeouts} }}"),
                ),
                "own",
            ),
        ] {
            let reply = gateway.send(&chat(model)).await;
            assert_eq!(
                (reply.status, reply.header("x-mynah-model")),
                (200, Some("mynah/echo")),
                "{name}, {timeouts}, {model}"
            );
        }
    }
}

#[tokio::test]
async fn the_whole_time_of_an_attempt_is_the_providers() {
    let first = Understudy::start(Reply::hang()).await.unwrap();
    let gateway = gateway(&first.url(), "timeout = '200ms'", "");
    let reply = gateway.send(&chat("m")).await;
    assert_eq!((reply.status, reply.header("x-mynah-model")), (200, Some("mynah/echo")));
}

#[tokio::test]
async fn a_connection_that_is_not_made_in_time_is_given_up() {
    // It takes connections, but says nothing in the handshake.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", silent.local_addr().unwrap());
    for (gateway, model) in [
        (gateway(&url, "timeouts = { connect = '200ms' }", ""), "m"),
        (gateway(&url, "", "timeouts = { connect = '200ms' }"), "own"),
    ] {
        let reply = gateway.send(&chat(model)).await;
        assert_eq!((reply.status, reply.header("x-mynah-model")), (200, Some("mynah/echo")));
        let reply = gateway.send(&chat("first/a").header("x-mynah-timeout", "500ms")).await;
        assert_eq!((reply.status, reply.error_code().as_str()), (504, "upstream_timeout"));
    }
}

/// The time of a request is for all attempts together: nobody else is asked when it is over.
#[tokio::test]
async fn the_whole_time_of_a_request_ends_it() {
    let first = Understudy::start(Reply::hang()).await.unwrap();
    let by_model = gateway(&first.url(), "", "timeout = '300ms'");
    let by_routing = Gateway::start(&format!(
        "[routing]\ntimeout = '300ms'\n[providers.first]\nbase_url = '{}'\nmodels = []\n",
        first.url()
    ));
    for (gateway, request) in [
        (&by_model, chat("own")),
        (&by_routing, chat("first/a")),
        (&by_model, chat("m").header("x-mynah-timeout", "300ms")),
        // A caller may give less time, or more.
        (&by_routing, chat("first/a").header("x-mynah-timeout", "0.2")),
        (&by_model, chat("own").header("x-mynah-timeout", "500ms")),
    ] {
        let reply = gateway.send(&request).await;
        assert_eq!((reply.status, reply.error_code().as_str()), (504, "upstream_timeout"));
        assert_eq!(reply.header("x-mynah-attempts"), Some("1"));
    }
}

#[tokio::test]
async fn who_has_time_left_gets_the_next_target() {
    let first = Understudy::start(Reply::hang()).await.unwrap();
    let gateway = gateway(&first.url(), "timeouts = { first_token = '200ms' }", "");
    let reply = gateway.send(&chat("m").header("x-mynah-timeout", "15")).await;
    assert_eq!((reply.status, reply.header("x-mynah-attempts")), (200, Some("2")));
}

#[tokio::test]
async fn every_spelling_of_a_time_is_read_and_a_bad_one_is_named() {
    let up = Understudy::start(good()).await.unwrap();
    let gateway = Gateway::start(&format!("[providers.up]\nbase_url = '{}'\nmodels = []\n", up.url()));
    for good in ["15", "15.5", " 15 ", "15s", "15000ms", "2m", "1h"] {
        let reply = gateway.send(&chat("up/m").header("x-mynah-timeout", good)).await;
        assert_eq!(reply.status, 200, "{good}: {}", reply.text());
    }
    assert!(up.received().iter().all(|one| one.header("x-mynah-timeout").is_none()));
    let asked = up.counters().requests;
    for bad in [
        "0",
        "0s",
        "-1",
        "soon",
        "",
        "1 2",
        "NaN",
        "inf",
        "-inf",
        "1e400",
        "5 parsecs",
        "s",
        "1,5",
    ] {
        for caller in CALLERS {
            let request = of(caller, ask(caller, "up/m", "hello", false));
            let reply = gateway.send(&request.header("x-mynah-timeout", bad)).await;
            assert_eq!(reply.status, 400, "{bad}, {caller}: {}", reply.text());
            let (_, message) = error(caller, &reply);
            assert!(message.contains("x-mynah-timeout"), "{bad}, {caller}: {message}");
        }
        let upload = Request::new("POST", "/v1/files")
            .header("x-mynah-timeout", bad)
            .body(b"x");
        assert_eq!(gateway.send(&upload).await.status, 400, "{bad}");
    }
    assert_eq!(up.counters().requests, asked);
}

/// Whether the end of a stream tells of an error, in the words of a caller's protocol.
fn ends_in_error(caller: &str, text: &str) -> bool {
    let last = text.trim_end().rsplit("\n\n").next().unwrap_or_default();
    let data = last
        .lines()
        .find_map(|line| line.strip_prefix("data: "))
        .unwrap_or_default();
    let json: serde_json::Value = serde_json::from_str(data).unwrap_or_default();
    match caller {
        "anthropic" => {
            last.starts_with("event: error\n") && json["type"] == "error" && json["error"]["type"].is_string()
        }
        "responses" => text.contains("\"type\":\"response.failed\"") || json["type"] == "error",
        "gemini" => json["error"]["code"].is_number() && json["error"]["status"].is_string(),
        _ => json["error"]["message"].is_string(),
    }
}

/// In the middle of a stream the end of the time is an error of its protocol, whoever set the time, relayed or translated.
#[tokio::test]
async fn the_end_of_the_time_in_a_stream_is_a_typed_error() {
    let callers = CALLERS.map(|caller| tokio::spawn(breaks_off_for(caller)));
    for caller in callers {
        caller.await.unwrap();
    }
}

async fn breaks_off_for(caller: &str) {
    for kind in CALLERS {
        let events = told(kind);
        let (text, half) = ((events.text)("half an answer"), events.opening.len());
        let halved = Reply::stream([events.opening, text.clone(), events.ending]).hang_after(half + text.len());
        let up = strict(Script::from(halved)).await;
        for (settings, own, header) in [
            ("timeout = '500ms'\n", "", None),
            ("", "timeout = '500ms'\n", None),
            ("", "", Some("500ms")),
            ("timeouts = { idle = '500ms' }\n", "", None),
            ("", "timeouts = { idle = '500ms' }\n", None),
        ] {
            let gateway = Gateway::start(&format!(
                "[routing]\nretries = 0\n{}{settings}[models.m]\ntargets = ['up/{}']\n{own}",
                provider("up", kind, &up.url()),
                model(kind),
            ));
            let mut request = ask(caller, "m", "hello", true);
            if let Some(time) = header {
                request = request.header("x-mynah-timeout", time);
            }
            let reply = gateway.send(&request).await;
            let case = format!("{caller} from {kind}, {settings}{own}{header:?}");
            assert!(reply.status == 200 && reply.whole, "{case}: {}", reply.text());
            assert!(reply.text().contains("half an answer"), "{case}: {}", reply.text());
            assert!(ends_in_error(caller, reply.text()), "{case}: {}", reply.text());
            assert!(!reply.text().contains("[DONE]"), "{case}");
        }
        up.wait_aborted(5).await;
    }
}

/// A caller that reads slowly is not late, and a stream that goes on is not idle.
#[tokio::test]
async fn a_stream_that_goes_on_may_take_longer_than_any_pause() {
    let events = told("chat");
    let mut all = vec![events.opening];
    all.extend((0..12).map(|number| (events.text)(&number.to_string())));
    all.push(events.ending);
    let whole = all.concat();
    let up = Understudy::start(Reply::stream(all).pace(Duration::from_millis(100)))
        .await
        .unwrap();
    let timeouts = "timeouts = { first_token = '1s', idle = '1s' }";
    let gateway = gateway(&up.url(), timeouts, "");
    let reply = gateway.chat(r#"{"model":"first/a","stream":true}"#).await;
    assert_eq!(reply.text(), whole);
}
