//! A target that fails is left alone for a while, and comes back when it has recovered.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing helper is a failing test"
)]

mod support;

use std::time::Duration;

use mynah_understudy::{Reply, Rule, Script, Understudy};
use serde_json::json;
use support::dialects::{strict, told};
use support::{Gateway, Reply as Replied, Request, read_reply};
use tokio::io::AsyncWriteExt as _;

const ASK: &str = r#"{"model":"m"}"#;

fn good() -> Reply {
    Reply::json(&json!({"choices": []}))
}

fn config(breaker: &str, first: &Understudy, second: &Understudy, retries: u32) -> String {
    format!(
        "[routing]\nretries = {retries}\n\
         [providers.first]\nbase_url = '{}'\nmodels = []\nbreaker = {{ {breaker} }}\ncooldown = '1ms'\n\
         [providers.second]\nbase_url = '{}'\nmodels = []\n\
         [models.m]\ntargets = ['first/a', 'second/b']\n",
        first.url(),
        second.url()
    )
}

async fn two(breaker: &str, first: impl Into<Script>) -> (Understudy, Understudy, Gateway) {
    let first = Understudy::start(first).await.unwrap();
    let second = Understudy::start(good()).await.unwrap();
    let gateway = Gateway::start(&config(breaker, &first, &second, 0));
    (first, second, gateway)
}

fn answered_by(reply: &Replied) -> &str {
    reply.header("x-mynah-model").unwrap_or_default()
}

async fn asked_of_the_second(gateway: &Gateway, count: usize) {
    for _ in 0..count {
        let reply = gateway.chat(ASK).await;
        assert_eq!((reply.status, answered_by(&reply)), (200, "second/b"));
    }
}

#[tokio::test]
async fn a_target_is_left_alone_after_so_many_failures_in_a_row() {
    for failure in [
        Reply::status(500),
        Reply::status(503),
        Reply::hang_up(),
        Reply::bytes(""),
    ] {
        let (first, _second, gateway) = two("failures = 3, rest = '60s'", failure).await;
        asked_of_the_second(&gateway, 10).await;
        assert_eq!(first.counters().requests, 3);
        // Not its other models.
        assert_ne!(gateway.chat(r#"{"model":"first/b"}"#).await.status, 200);
        assert_eq!(first.counters().requests, 4);
    }
}

#[tokio::test]
async fn a_target_is_left_alone_when_too_large_a_share_fails() {
    let script = [good(), Reply::status(500), good(), Reply::status(500)];
    let (first, _second, gateway) = two("failures = 100, rate = 0.5, volume = 4, rest = '60s'", script).await;
    for _ in 0..10 {
        assert_eq!(gateway.chat(ASK).await.status, 200);
    }
    assert_eq!(first.counters().requests, 4);
}

#[tokio::test]
async fn streams_that_break_off_are_failures() {
    let chat = told("chat");
    let text = (chat.text)("half");
    let refusal = "data: {\"error\":{\"message\":\"too long\",\"code\":\"context_length_exceeded\"}}\n\n".to_owned();
    let cut = || Reply::stream([text.clone(), text.clone()]).cut_at(text.len() + 5);
    let whole = || Reply::stream([text.clone(), chat.ending.clone()]);
    let (in_a_row, share) = (
        "failures = 5, rest = '60s'",
        "failures = 100, rate = 0.5, volume = 6, rest = '60s'",
    );
    for (breaker, streams, asked, failures) in [
        (in_a_row, vec![cut()], 5, 5),
        (in_a_row, vec![Reply::stream([text.clone(), chat.error.clone()])], 5, 5),
        (in_a_row, vec![Reply::status(500), cut()], 5, 5),
        (
            in_a_row,
            vec![cut(), cut(), cut(), cut(), whole(), cut(), whole()],
            10,
            5,
        ),
        (share, vec![whole(), cut(), whole(), cut(), whole(), cut()], 6, 3),
        (share, vec![whole(), whole(), whole(), cut(), cut(), whole()], 10, 2),
        // Which is the caller's fault.
        (in_a_row, vec![Reply::stream([text.clone(), refusal])], 10, 0),
    ] {
        let (first, second, gateway) = two(breaker, Rule::any().replies(streams)).await;
        second.set_script(whole());
        for _ in 0..10 {
            gateway.chat(r#"{"model":"m","stream":true}"#).await;
        }
        assert_eq!(first.counters().requests, asked);
        let metrics = gateway.get("/metrics").await.text().to_owned();
        let told = format!("mynah_target_failures_total{{target=\"first/a\"}} {failures}\n");
        assert!(metrics.contains(&told), "{metrics}");
    }
}

#[tokio::test]
async fn what_is_not_the_targets_fault_does_not_count() {
    for status in [400, 401, 402, 403, 404, 413, 422, 429] {
        // Rests of the key are over at once, and are no matter of the breaker.
        let refusal = Reply::status(status).header("retry-after-ms", "1");
        let (first, _second, gateway) = two("failures = 3, rest = '1h', max_rest = '1h'", refusal).await;
        let asked = async {
            while first.counters().requests < 5 {
                gateway.chat(ASK).await;
            }
        };
        tokio::time::timeout(support::PATIENCE, asked)
            .await
            .unwrap_or_else(|_| panic!("{status}: it was left alone"));
        first.set_script(good());
        comes_back(&gateway).await;
    }
}

/// The time that one caller gives is no measure for the others.
#[tokio::test]
async fn a_caller_in_a_hurry_opens_no_breaker() {
    let slow = good().first_after(Duration::from_millis(400));
    let (first, second, gateway) = two("failures = 3, rest = '60s'", slow).await;
    for _ in 0..6 {
        let hurried = Request::chat(ASK).header("x-mynah-timeout", "100ms");
        assert_eq!(gateway.send(&hurried).await.status, 504);
    }
    let reply = gateway.chat(ASK).await;
    assert_eq!((reply.status, answered_by(&reply)), (200, "first/a"));
    assert!(first.counters().requests > 1);
    assert_eq!(second.counters().requests, 0);
}

#[tokio::test]
async fn one_request_finds_out_whether_it_has_recovered() {
    let failed = || Reply::status(500);
    let (first, second, gateway) = two(
        "failures = 2, rest = '50ms', max_rest = '50ms'",
        [failed(), failed(), Reply::hang()],
    )
    .await;
    asked_of_the_second(&gateway, 2).await;
    // Until one of them is the probe, and gets no answer.
    let mut held = Vec::new();
    while first.counters().requests < 3 {
        let before = first.counters().requests + second.counters().requests;
        let mut stream = gateway.connect().await;
        stream.write_all(&Request::chat(ASK).bytes()).await.unwrap();
        support::until(
            || first.counters().requests + second.counters().requests > before,
            || "nobody was asked".to_owned(),
        )
        .await;
        held.push(stream);
    }
    asked_of_the_second(&gateway, 5).await;
    assert_eq!(first.counters().requests, 3, "one probe at a time");
    // The probe ends without a result: another one is made.
    drop(held);
    first.wait_aborted(1).await;
    first.set_script(good());
    comes_back(&gateway).await;
}

/// Asks until the first target answers again.
async fn comes_back(gateway: &Gateway) {
    let asking = async { while answered_by(&gateway.chat(ASK).await) != "first/a" {} };
    tokio::time::timeout(support::PATIENCE, asking)
        .await
        .expect("it never came back");
}

#[tokio::test]
async fn who_has_recovered_is_asked_again() {
    let breaker = "failures = 2, rest = '100ms', slow_start = '0s'";
    let (first, _second, gateway) = two(breaker, Reply::status(500)).await;
    asked_of_the_second(&gateway, 4).await;
    first.set_script(good());
    comes_back(&gateway).await;
    for _ in 0..5 {
        assert_eq!(answered_by(&gateway.chat(ASK).await), "first/a");
    }
}

#[tokio::test]
async fn who_has_recovered_gets_its_share_slowly() {
    let breaker = "failures = 2, rest = '50ms', slow_start = '1h'";
    let (first, _second, gateway) = two(breaker, Reply::status(500)).await;
    asked_of_the_second(&gateway, 2).await;
    first.set_script(good());
    comes_back(&gateway).await;
    let mut firsts = 0;
    for _ in 0..60 {
        firsts += u32::from(answered_by(&gateway.chat(ASK).await) == "first/a");
    }
    assert!(firsts < 30, "{firsts} of 60, where a tenth is its share");
}

#[tokio::test]
async fn when_all_are_left_alone_they_are_asked_anyway() {
    let first = Understudy::start(Reply::status(500)).await.unwrap();
    let gateway = Gateway::start(&config("failures = 1, rest = '60s'", &first, &first, 0));
    // The second provider has its usual breaker.
    for _ in 0..8 {
        assert_eq!(gateway.chat(ASK).await.status, 500);
    }
    first.set_script(good());
    let reply = gateway.chat(ASK).await;
    assert_eq!(reply.status, 200, "{}", reply.text());

    let alone = Gateway::start(&format!(
        "[routing]\nretries = 0\n[providers.up]\nbase_url = '{}'\nmodels = []\nbreaker = {{ failures = 1, rest = '60s' }}\n",
        first.url()
    ));
    first.set_script(Reply::status(500));
    first.clear();
    for count in 1..=4 {
        assert_eq!(alone.chat(r#"{"model":"up/m"}"#).await.status, 500);
        assert_eq!(first.counters().requests, count);
    }
    first.set_script(good());
    assert_eq!(alone.chat(r#"{"model":"up/m"}"#).await.status, 200);
}

#[tokio::test]
async fn breakers_outlive_a_change_of_configuration() {
    let breaker = "failures = 2, rest = '60s'";
    let (first, second, gateway) = two(breaker, Reply::status(500)).await;
    asked_of_the_second(&gateway, 3).await;
    gateway.rewrite(&config(breaker, &first, &second, 1));
    gateway.printed("the changed configuration is in use").await;
    asked_of_the_second(&gateway, 5).await;
    assert_eq!(first.counters().requests, 2);
}

/// A request that was under way when its target was given up is heard to its end.
#[tokio::test]
async fn a_request_under_way_is_not_cut_by_a_breaker() {
    let first = strict(Script::new()).await;
    let second = Understudy::start(good()).await.unwrap();
    let gateway = Gateway::start(&config("failures = 1, rest = '60s'", &first, &second, 0));
    first.set_script(good().first_after(Duration::from_millis(300)));
    let mut stream = gateway.connect().await;
    stream.write_all(&Request::chat(ASK).bytes()).await.unwrap();
    first.wait_received(1).await;
    first.set_script(Reply::status(500));
    asked_of_the_second(&gateway, 3).await;
    let reply = read_reply(&mut stream).await.unwrap();
    assert_eq!((reply.status, answered_by(&reply)), (200, "first/a"));
}
