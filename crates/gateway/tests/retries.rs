//! What failed is tried again, but only where that may help, and never without end.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing helper is a failing test"
)]

mod support;

use std::fmt::Write as _;
use std::time::Duration;

use mynah_understudy::{Reply, Script, Understudy};
use serde_json::json;
use support::dialects::{CALLERS, ask, model, provider, stream, strict, told};
use support::{Gateway, Request};

const ASK: &str = r#"{"model":"up/m"}"#;

fn good() -> Reply {
    Reply::json(&json!({"choices": []}))
}

async fn up(script: impl Into<Script>, routing: &str) -> (Understudy, Gateway) {
    let understudy = Understudy::start(script).await.unwrap();
    let gateway = Gateway::start(&format!(
        "[routing]\nbackoff = '1ms'\n{routing}\n[providers.up]\nbase_url = '{}'\nmodels = []\n\
         timeouts = {{ first_token = '1s', idle = '300ms' }}\nbreaker = {{ failures = 100000, rate = 1.0, volume = 100000 }}\n",
        understudy.url()
    ));
    (understudy, gateway)
}

#[tokio::test]
async fn what_may_pass_is_tried_again_as_often_as_allowed() {
    let failures = [
        ("500", Reply::status(500)),
        ("502", Reply::status(502)),
        ("503", Reply::status(503)),
        ("529", Reply::status(529)),
        ("hang up", Reply::hang_up()),
        ("reset", Reply::reset()),
        ("a body that is cut", good().cut_at(3)),
        ("nothing", Reply::bytes("")),
        ("a page", Reply::bytes("<html>")),
    ];
    for (name, failure) in failures {
        let script = [failure.clone(), failure.clone(), good()];
        let (understudy, gateway) = up(script, "").await;
        let reply = gateway.chat(ASK).await;
        assert_eq!(
            (reply.status, reply.header("x-mynah-attempts")),
            (200, Some("3")),
            "{name}"
        );
        // Not beyond.
        for (routing, requests) in [("retries = 0", 1), ("retries = 1", 2), ("", 3)] {
            let (understudy, gateway) = up(failure.clone(), routing).await;
            assert!(gateway.chat(ASK).await.status >= 500, "{name}");
            assert_eq!(understudy.counters().requests, requests, "{name}, {routing}");
        }
        assert_eq!(understudy.counters().requests, 3, "{name}");
    }
}

#[tokio::test]
async fn what_will_not_pass_is_not_tried_again() {
    for (name, failure, status) in [
        ("501", Reply::status(501), 501),
        ("505", Reply::status(505), 505),
        ("400", Reply::status(400), 400),
        ("404", Reply::status(404), 404),
        ("hang", Reply::hang(), 504),
        ("a body that stalls", good().hang_after(3), 504),
        (
            "a head without a body",
            good().head_then_wait(Duration::from_mins(1)),
            504,
        ),
    ] {
        let (understudy, gateway) = up(failure, "").await;
        let reply = gateway.chat(ASK).await;
        assert_eq!(reply.status, status, "{name}: {}", reply.text());
        if status == 504 {
            assert_eq!(reply.error_code(), "upstream_timeout", "{name}");
        }
        assert_eq!(understudy.counters().requests, 1, "{name}");
    }
}

#[tokio::test]
async fn a_stream_that_fails_before_its_first_content_is_tried_again() {
    for caller in CALLERS {
        let events = told(caller);
        let text = (events.text)("hello");
        let whole = [&events.opening, &text, &events.ending].map(String::as_str);
        for failure in [
            stream([&events.opening, &events.error]),
            stream([&events.opening]),
            stream(whole).cut_at(events.opening.len()),
            stream([&events.opening, "data: {\"this is\n\n"]),
        ] {
            let understudy = strict([failure, stream(whole)]).await;
            let gateway = Gateway::start(&format!(
                "[routing]\nbackoff = '1ms'\n{}",
                provider("up", caller, &understudy.url())
            ));
            let request = ask(caller, &format!("up/{}", model(caller)), "hello", true);
            let reply = gateway.send(&request).await;
            assert_eq!(
                (reply.status, reply.header("x-mynah-attempts"), reply.text()),
                (200, Some("2"), whole.concat().as_str()),
                "{caller}"
            );
        }
    }
}

#[tokio::test]
async fn the_number_of_attempts_is_bounded() {
    let understudy = Understudy::start(Reply::status(503)).await.unwrap();
    let mut config = "[routing]\nbackoff = '1ms'\nretries = 10\n".to_owned();
    let mut targets = Vec::new();
    for number in 0..6 {
        let url = understudy.url();
        writeln!(config, "[providers.p{number}]\nbase_url = '{url}'\nmodels = []").unwrap();
        targets.push(format!("'p{number}/m'"));
    }
    writeln!(config, "[models.m]\ntargets = [{}]", targets.join(", ")).unwrap();
    let gateway = Gateway::start(&config);
    let reply = gateway.chat(r#"{"model":"m"}"#).await;
    assert_eq!((reply.status, reply.header("x-mynah-attempts")), (503, Some("16")));
    assert_eq!(understudy.counters().requests, 16);
}

#[tokio::test]
async fn a_target_that_is_down_is_not_asked_many_times_over() {
    let (understudy, gateway) = up(Reply::status(503), "retries = 10").await;
    for _ in 0..50 {
        assert_eq!(gateway.chat(ASK).await.status, 503);
    }
    let requests = understudy.counters().requests;
    // Ten at once, and one for every five requests.
    assert!((55..=70).contains(&requests), "{requests}");
}

#[tokio::test]
async fn a_model_has_its_own_number_of_rounds() {
    let understudy = Understudy::start(Reply::status(503)).await.unwrap();
    let gateway = Gateway::start(&format!(
        "[routing]\nbackoff = '1ms'\nretries = 1\n[providers.up]\nbase_url = '{}'\nmodels = []\n\
         [models.none]\ntargets = ['up/a']\nretries = 0\n[models.three]\ntargets = ['up/b']\nretries = 3\n",
        understudy.url()
    ));
    for (model, attempts) in [("none", "1"), ("three", "4"), ("up/c", "2")] {
        let reply = gateway.chat(&format!(r#"{{"model":"{model}"}}"#)).await;
        assert_eq!(reply.header("x-mynah-attempts"), Some(attempts), "{model}");
    }
}

#[tokio::test]
async fn a_pause_that_does_not_fit_is_not_made() {
    for (routing, timeout) in [
        ("backoff = '1h'\nmax_backoff = '1h'\nmax_wait = '2h'", "5"),
        ("backoff = '1h'\nmax_backoff = '1h'\nmax_wait = '5s'", "1h"),
    ] {
        let understudy = Understudy::start(Reply::status(503)).await.unwrap();
        let gateway = Gateway::start(&format!(
            "[routing]\n{routing}\n[providers.up]\nbase_url = '{}'\nmodels = []\n",
            understudy.url()
        ));
        let reply = gateway
            .send(&Request::chat(ASK).header("x-mynah-timeout", timeout))
            .await;
        assert_eq!((reply.status, understudy.counters().requests), (503, 1));
    }
}

/// How often somebody was asked is said also when it was in vain.
#[tokio::test]
async fn a_failure_tells_how_often_somebody_was_asked() {
    let (understudy, gateway) = up(Reply::hang_up(), "").await;
    for caller in CALLERS {
        let before = understudy.counters().requests;
        let reply = gateway.send(&ask(caller, "up/m", "hello", false)).await;
        let asked = (understudy.counters().requests - before).to_string();
        assert_eq!(
            (reply.status, reply.header("x-mynah-attempts")),
            (502, Some(asked.as_str())),
            "{caller}"
        );
    }
}
