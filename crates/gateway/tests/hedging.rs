//! A second target is asked when the first takes its time, and whoever begins first is heard.
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
use support::{Gateway, Reply as Replied, Request};
use tokio::io::AsyncWriteExt as _;

const ASK: &str = r#"{"model":"m"}"#;

fn good() -> Reply {
    Reply::json(&json!({"choices": []}))
}

fn gateway(hedge: &str, understudies: &[&Understudy]) -> Gateway {
    let mut config = "[routing]\nretries = 0\n".to_owned();
    let mut targets = Vec::new();
    for (number, understudy) in understudies.iter().enumerate() {
        let url = understudy.url();
        writeln!(config, "[providers.p{number}]\nbase_url = '{url}'\nmodels = []").unwrap();
        config += "breaker = { failures = 2, rest = '60s' }\n";
        targets.push(format!("'p{number}/m'"));
    }
    let targets = targets.join(", ");
    writeln!(config, "[models.m]\ntargets = [{targets}]\nhedge = {hedge}").unwrap();
    Gateway::start(&config)
}

async fn up(script: impl Into<Script>) -> Understudy {
    Understudy::start(script).await.unwrap()
}

fn seen(reply: &Replied) -> (u16, Option<&str>, Option<&str>) {
    (
        reply.status,
        reply.header("x-mynah-model"),
        reply.header("x-mynah-attempts"),
    )
}

#[tokio::test]
async fn the_second_answers_when_the_first_is_slow_and_the_first_is_hung_up_on() {
    for slow in [
        Reply::hang(),
        good().head_then_wait(Duration::from_mins(1)),
        good().hang_after(5),
    ] {
        let (first, second) = (up(slow).await, up(good()).await);
        let gateway = gateway("{ after = '100ms', max_share = 1.0 }", &[&first, &second]);
        for count in 1..=3 {
            let reply = gateway.chat(ASK).await;
            assert_eq!(seen(&reply), (200, Some("p1/m"), Some("2")));
            first.wait_aborted(count).await;
        }
        assert_eq!(second.counters().aborted, 0);
    }
}

#[tokio::test]
async fn the_first_may_still_win() {
    let (first, second) = (
        up(good().first_after(Duration::from_millis(600))).await,
        up(Reply::hang()).await,
    );
    let gateway = gateway("{ after = '100ms', max_share = 1.0 }", &[&first, &second]);
    let reply = gateway.chat(ASK).await;
    assert_eq!(seen(&reply), (200, Some("p0/m"), Some("2")));
    second.wait_aborted(1).await;
}

#[tokio::test]
async fn streams_are_raced_for_their_first_content() {
    for kind in CALLERS {
        let events = told(kind);
        let text = (events.text)("hello");
        let whole = [&events.opening, &text, &events.ending].map(String::as_str);
        let first = strict(stream(whole).hang_after(events.opening.len())).await;
        let second = strict(stream(whole)).await;
        let gateway = Gateway::start(&format!(
            "{}{}[models.m]\ntargets = ['p0/{2}', 'p1/{2}']\nhedge = {{ after = '100ms', max_share = 1.0 }}\n",
            provider("p0", kind, &first.url()),
            provider("p1", kind, &second.url()),
            model(kind),
        ));
        let reply = gateway.send(&ask(kind, "m", "hello", true)).await;
        assert_eq!((reply.status, reply.text()), (200, whole.concat().as_str()), "{kind}");
        first.wait_aborted(1).await;
    }
}

#[tokio::test]
async fn who_answers_in_time_is_not_hedged() {
    let (first, second) = (up(good()).await, up(good()).await);
    let gateway = gateway("{ after = '15s', max_share = 1.0 }", &[&first, &second]);
    for _ in 0..5 {
        assert_eq!(seen(&gateway.chat(ASK).await), (200, Some("p0/m"), Some("1")));
    }
    assert_eq!(second.counters().requests, 0);
}

#[tokio::test]
async fn no_more_than_the_share_is_sent_twice() {
    let slow = good().first_after(Duration::from_millis(150));
    let (first, second) = (up(slow).await, up(good()).await);
    let gateway = gateway("{ after = '10ms', max_share = 0.2 }", &[&first, &second]);
    for _ in 0..20 {
        assert_eq!(gateway.chat(ASK).await.status, 200);
    }
    assert_eq!(first.counters().requests, 20);
    assert_eq!(second.counters().requests, 4);
}

#[tokio::test]
async fn without_a_time_of_its_own_a_hedge_waits_until_enough_is_known() {
    let (first, second) = (up(good()).await, up(good()).await);
    // Five in a hundred of the quick ones are slower than the others and use up the usual share.
    let gateway = gateway("{ max_share = 1.0 }", &[&first, &second]);
    for _ in 0..30 {
        assert_eq!(gateway.chat(ASK).await.status, 200);
    }
    first.set_script(Reply::hang());
    let reply = gateway.chat(ASK).await;
    assert_eq!((reply.status, reply.header("x-mynah-model")), (200, Some("p1/m")));
}

#[tokio::test]
async fn a_failure_of_one_leaves_the_other() {
    let late = |reply: Reply| reply.first_after(Duration::from_millis(400));
    for failure in [
        Reply::status(500),
        Reply::status(401),
        Reply::status(429),
        Reply::hang_up(),
    ] {
        // The second fails while the first is still thinking, and the other way round.
        for (first, second, model) in [
            (late(good()), failure.clone(), "p0/m"),
            (
                late(failure.clone()),
                good().first_after(Duration::from_millis(800)),
                "p1/m",
            ),
        ] {
            let (first, second) = (up(first).await, up(second).await);
            let gateway = gateway("{ after = '50ms', max_share = 1.0 }", &[&first, &second]);
            assert_eq!(seen(&gateway.chat(ASK).await), (200, Some(model), Some("2")));
        }
    }
}

#[tokio::test]
async fn when_both_fail_the_next_is_asked() {
    let failing = || Reply::status(500).first_after(Duration::from_millis(300));
    let (first, second, third) = (up(failing()).await, up(failing()).await, up(good()).await);
    let gateway = gateway("{ after = '50ms', max_share = 1.0 }", &[&first, &second, &third]);
    assert_eq!(seen(&gateway.chat(ASK).await), (200, Some("p2/m"), Some("3")));
}

#[tokio::test]
async fn who_is_left_alone_is_no_second() {
    let (first, second, third) = (
        up(Reply::status(500)).await,
        up(Reply::status(500)).await,
        up(good()).await,
    );
    let gateway = gateway("{ after = '100ms', max_share = 1.0 }", &[&first, &second, &third]);
    // The second target is given up.
    for _ in 0..2 {
        gateway.chat(r#"{"model":"p1/m"}"#).await;
    }
    let asked = second.counters().requests;
    first.set_script(Reply::hang());
    assert_eq!(seen(&gateway.chat(ASK).await), (200, Some("p2/m"), Some("2")));
    assert_eq!(second.counters().requests, asked);
}

#[tokio::test]
async fn a_caller_that_hangs_up_ends_both() {
    let (first, second) = (up(Reply::hang()).await, up(Reply::hang()).await);
    let gateway = gateway("{ after = '50ms', max_share = 1.0 }", &[&first, &second]);
    let mut stream = gateway.connect().await;
    stream.write_all(&Request::chat(ASK).bytes()).await.unwrap();
    first.wait_received(1).await;
    second.wait_received(1).await;
    drop(stream);
    first.wait_aborted(1).await;
    second.wait_aborted(1).await;
}

/// The one that lost has neither failed nor answered.
#[tokio::test]
async fn who_loses_is_not_given_up() {
    let (first, second) = (up(Reply::hang()).await, up(good()).await);
    let gateway = gateway("{ after = '50ms', max_share = 1.0 }", &[&first, &second]);
    for _ in 0..5 {
        assert_eq!(gateway.chat(ASK).await.status, 200);
    }
    assert_eq!(first.counters().requests, 5);
    first.set_script(good());
    assert_eq!(seen(&gateway.chat(ASK).await), (200, Some("p0/m"), Some("1")));
}
