//! A key that is refused rests: for as long as its provider says, where it says so, and nobody asks with it meanwhile.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing helper is a failing test"
)]

mod support;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mynah_understudy::{Reply, Rule, Script, Understudy};
use serde_json::json;
use support::dialects::{CALLERS, ask, error, of};
use support::{Gateway, Request, read_reply};
use tokio::io::AsyncWriteExt as _;

const KEYS: &str = "'key-one', 'key-two'";

fn good() -> Reply {
    Reply::json(&json!({"choices": []}))
}

/// A provider that refuses the first key.
fn refusing(refusal: Reply) -> Script {
    Script::new()
        .rule(Rule::any().key("key-one").reply(refusal))
        .rule(Rule::any().reply(good()))
}

async fn up(script: impl Into<Script>, keys: &str, routing: &str) -> (Understudy, Gateway) {
    let understudy = Understudy::start(script).await.unwrap();
    let gateway = Gateway::start(&config(&understudy.url(), keys, routing));
    (understudy, gateway)
}

fn config(url: &str, keys: &str, routing: &str) -> String {
    format!("[routing]\n{routing}\n[providers.up]\nbase_url = '{url}'\nmodels = []\napi_keys = [{keys}]\n")
}

fn chat(model: &str) -> Request {
    Request::chat(&format!(r#"{{"model":"up/{model}"}}"#))
}

/// How often each of the two keys was used.
fn used(understudy: &Understudy) -> (usize, usize) {
    let received = understudy.received();
    let count = |key| received.iter().filter(|one| one.key() == Some(key)).count();
    (count("key-one"), count("key-two"))
}

#[tokio::test]
async fn a_rejected_key_rests_everywhere_and_the_others_are_used() {
    for status in [401, 403] {
        let (understudy, gateway) = up(refusing(Reply::status(status)), KEYS, "").await;
        for number in 0..8 {
            let reply = gateway.send(&chat(["a", "b", "c"][number % 3])).await;
            assert_eq!(reply.status, 200, "{status}: {}", reply.text());
        }
        assert_eq!(used(&understudy), (1, 8), "{status}");
    }
}

#[tokio::test]
async fn a_throttled_key_rests_for_its_model() {
    let (understudy, gateway) = up(refusing(Reply::status(429).header("retry-after", "60")), KEYS, "").await;
    for _ in 0..4 {
        for model in ["a", "b"] {
            assert_eq!(gateway.send(&chat(model)).await.status, 200);
        }
    }
    assert_eq!(used(&understudy), (2, 8));
}

#[tokio::test]
async fn the_callers_own_fault_rests_nothing() {
    for status in [400, 404, 409, 413, 415, 422] {
        let fault = Reply::status(status).body(r#"{"error":{"message":"not like this"}}"#);
        let (understudy, gateway) = up(fault, KEYS, "").await;
        for _ in 0..6 {
            let reply = gateway.send(&chat("m")).await;
            assert_eq!((reply.status, reply.header("x-mynah-attempts")), (status, Some("1")));
        }
        assert_eq!(used(&understudy), (3, 3), "{status}");
    }
}

/// Nobody is asked while all rest, and the caller hears how long that is, in its own words.
#[tokio::test]
async fn when_all_rest_the_caller_is_told_how_long() {
    for caller in CALLERS {
        for streamed in [false, true] {
            let throttled = Reply::status(429).header("retry-after", "60");
            let (understudy, gateway) = up(throttled, KEYS, "").await;
            assert_eq!(gateway.send(&ask(caller, "up/m", "hello", streamed)).await.status, 429);
            let asked = understudy.counters().requests;
            assert_eq!(asked, 2, "{caller}");
            let request = of(caller, ask(caller, "up/m", "hello", streamed));
            let reply = gateway.send(&request).await;
            assert_eq!(reply.status, 429, "{caller}: {}", reply.text());
            let (class, message) = error(caller, &reply);
            let expected = match caller {
                "gemini" => "RESOURCE_EXHAUSTED",
                _ => "rate_limit_error",
            };
            assert_eq!(class, expected, "{message}");
            let left: u32 = reply.header("retry-after").unwrap().parse().unwrap();
            assert!((30..=60).contains(&left), "{caller}: {left}");
            assert_eq!(understudy.counters().requests, asked, "{caller}: somebody was asked");
        }
    }
}

/// In whichever way a provider says when to come back, it is heard: the seconds that are left for the next caller.
#[tokio::test]
async fn every_way_to_say_how_long_is_heard() {
    #[expect(clippy::disallowed_methods, reason = "providers give dates")]
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let refusal = || Reply::status(429);
    let body = |text: &str| refusal().body(text.to_owned());
    let info = r#"{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","message":"slow down","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"100s"}]}}"#;
    for (name, refusal, at_most) in [
        ("seconds", refusal().header("retry-after", "100"), 100),
        ("milliseconds", refusal().header("retry-after-ms", "100000"), 100),
        (
            "both",
            refusal()
                .header("retry-after-ms", "100000")
                .header("retry-after", "7000"),
            100,
        ),
        (
            "a reset",
            refusal()
                .header("x-ratelimit-remaining-requests", "0")
                .header("x-ratelimit-reset-requests", "1m40s"),
            100,
        ),
        (
            "a time",
            refusal().header("x-ratelimit-reset", (unix + 100).to_string()),
            100,
        ),
        ("RetryInfo", body(info), 100),
        (
            "words",
            body(r#"{"error":{"message":"Rate limit reached. Please try again in 1m40s."}}"#),
            100,
        ),
    ] {
        let (understudy, gateway) = up(refusal, "'key-one'", "max_wait = '1ms'").await;
        gateway.send(&chat("m")).await;
        let reply = gateway.send(&chat("m")).await;
        let left: u64 = reply.header("retry-after").unwrap_or("0").parse().unwrap();
        // A slow machine may take its time.
        assert!((at_most - 40..=at_most).contains(&left), "{name}: {left}");
        assert_eq!((reply.status, understudy.counters().requests), (429, 1), "{name}");
    }
}

/// Where a provider does not say how long, nobody is sent away for a guess: its own refusal comes back.
#[tokio::test]
async fn a_rest_that_is_guessed_holds_only_while_there_is_another_key() {
    let quota = r#"{"error":{"message":"You exceeded your current quota","code":"insufficient_quota"}}"#;
    for refusal in [
        Reply::status(429).body("slow down"),
        Reply::status(429).body(quota),
        Reply::status(402).body("no credit"),
    ] {
        let (understudy, gateway) = up(refusal.clone(), "'key-one'", "max_wait = '1ms'").await;
        for asked in 1..4 {
            let reply = gateway.send(&chat("m")).await;
            assert!(
                matches!(reply.status, 402 | 429) && !reply.text().contains("rests"),
                "{}",
                reply.text()
            );
            assert_eq!(understudy.counters().requests, asked);
        }
        understudy.set_script(good());
        assert_eq!(gateway.send(&chat("m")).await.status, 200);
    }
}

#[tokio::test]
async fn a_rest_that_is_short_is_waited_for() {
    let script = [Reply::status(429).header("retry-after-ms", "100"), good()];
    let (understudy, gateway) = up(script, "'key-one'", "").await;
    let reply = gateway.send(&chat("m")).await;
    assert_eq!((reply.status, reply.header("x-mynah-attempts")), (200, Some("2")));
    assert_eq!(understudy.counters().requests, 2);
}

#[tokio::test]
async fn a_rest_that_does_not_fit_is_not_waited_for() {
    let refusal = || Reply::status(429).header("retry-after", "30");
    // Longer than the operator allows, and longer than the caller has time.
    for (routing, timeout) in [("max_wait = '1s'", "100"), ("max_wait = '90s'", "2s")] {
        let (understudy, gateway) = up(refusal(), "'key-one'", routing).await;
        for _ in 0..3 {
            let reply = gateway.send(&chat("m").header("x-mynah-timeout", timeout)).await;
            let left: u32 = reply.header("retry-after").unwrap().parse().unwrap();
            assert!(reply.status == 429 && (10..=30).contains(&left), "{left}");
        }
        assert_eq!(understudy.counters().requests, 1, "{routing}");
    }
}

#[tokio::test]
async fn a_single_key_that_is_rejected_is_still_asked() {
    let (understudy, gateway) = up(
        Reply::status(401).body(r#"{"error":{"message":"no such key"}}"#),
        "'key-one'",
        "",
    )
    .await;
    for count in 1..=4 {
        let reply = gateway.send(&chat("m")).await;
        assert!(reply.status == 401 && reply.text().contains("no such key"));
        assert_eq!(understudy.counters().requests, count);
    }
    understudy.set_script(good());
    for _ in 0..2 {
        let reply = gateway.send(&chat("m")).await;
        assert_eq!((reply.status, reply.header("x-mynah-attempts")), (200, Some("1")));
    }
}

#[tokio::test]
async fn a_rejected_key_is_not_asked_while_another_one_is_only_throttled() {
    let script = Script::new()
        .rule(Rule::any().key("key-one").reply(Reply::status(401)))
        .rule(Rule::any().reply(Reply::status(429).header("retry-after", "60")));
    let (understudy, gateway) = up(script, KEYS, "").await;
    for _ in 0..3 {
        let reply = gateway.send(&chat("m")).await;
        let left: u32 = reply.header("retry-after").unwrap_or("0").parse().unwrap();
        assert!(reply.status == 429 && left > 20, "{}: {left}", reply.status);
    }
    assert_eq!(used(&understudy), (1, 1));
}

/// Which of two refusals comes first makes no difference: the caller is told when to come back.
#[tokio::test]
async fn a_key_that_is_both_rejected_and_throttled_is_known_to_rest() {
    let throttled = || Reply::status(429).header("retry-after", "60");
    let slow = Reply::status(401).first_after(Duration::from_millis(300));
    for (rejected, together) in [(Reply::status(401), false), (slow, true)] {
        let (understudy, gateway) = up([rejected, throttled()], "'key-one'", "max_wait = '1ms'").await;
        let mut first = gateway.connect().await;
        first.write_all(&chat("m").bytes()).await.unwrap();
        understudy.wait_received(1).await;
        if !together {
            assert_eq!(read_reply(&mut first).await.unwrap().status, 401);
        }
        assert_eq!(gateway.send(&chat("m")).await.status, 429);
        if together {
            assert_eq!(read_reply(&mut first).await.unwrap().status, 401);
        }
        let reply = gateway.send(&chat("m")).await;
        let left: u32 = reply.header("retry-after").unwrap_or("0").parse().unwrap();
        assert!(reply.status == 429 && (20..=60).contains(&left), "{}", reply.text());
        assert_eq!(understudy.counters().requests, 2);
    }
}

#[tokio::test]
async fn a_provider_that_says_now_is_not_asked_in_a_loop() {
    for name in ["retry-after", "retry-after-ms"] {
        let (understudy, gateway) = up(Reply::status(429).header(name, "0"), "'key-one'", "max_wait = '1ms'").await;
        assert_eq!(gateway.send(&chat("m")).await.status, 429);
        assert_eq!(understudy.counters().requests, 1, "{name}");
    }
}

/// An answer to a request from before a refusal says nothing about it.
#[tokio::test]
async fn an_older_answer_does_not_end_a_rest() {
    for refusal in [401, 429] {
        let (understudy, gateway) = up(Reply::hang(), KEYS, "max_wait = '1ms'").await;
        // The second key is out of the way.
        understudy.set_script(
            Script::new()
                .rule(
                    Rule::any()
                        .key("key-one")
                        .model("slow")
                        .reply(good().first_after(Duration::from_millis(700))),
                )
                .rule(
                    Rule::any()
                        .key("key-one")
                        .reply(Reply::status(refusal).header("retry-after", "60")),
                )
                .rule(Rule::any().reply(good())),
        );
        let mut stream = gateway.connect().await;
        stream.write_all(&chat("slow").bytes()).await.unwrap();
        understudy.wait_received(1).await;
        // All but the first go to both keys in turn.
        for _ in 0..2 {
            assert_eq!(gateway.send(&chat("m")).await.status, 200);
        }
        assert_eq!(read_reply(&mut stream).await.unwrap().status, 200);
        let before = used(&understudy).0;
        for _ in 0..6 {
            assert_eq!(gateway.send(&chat("m")).await.status, 200);
        }
        assert_eq!(used(&understudy).0, before, "{refusal}");
    }
}

/// After a rest one request finds out whether it is over. The others do not wait for the whole of a slow answer.
#[tokio::test]
async fn a_slow_answer_after_a_rest_does_not_hold_up_the_others() {
    let (understudy, gateway) = up(Reply::hang(), "'key-one'", "max_wait = '15s'").await;
    understudy.set_script(Script::new().rule(Rule::any().model("m").replies([
        Reply::status(429).header("retry-after-ms", "50"),
        Reply::hang(),
        good(),
    ])));
    let mut first = gateway.connect().await;
    first.write_all(&chat("m").bytes()).await.unwrap();
    understudy.wait_received(2).await;
    assert_eq!(gateway.send(&chat("m")).await.status, 200);
}

#[tokio::test]
async fn rests_outlive_a_change_of_configuration() {
    let (understudy, gateway) = up(refusing(Reply::status(429).header("retry-after", "60")), KEYS, "").await;
    for _ in 0..2 {
        assert_eq!(gateway.send(&chat("m")).await.status, 200);
    }
    assert_eq!(used(&understudy).0, 1);
    // The same keys in another order, and one more.
    let keys = "'key-three', 'key-two', 'key-one'";
    gateway.rewrite(&config(&understudy.url(), keys, "retries = 1"));
    gateway.printed("the changed configuration is in use").await;
    for _ in 0..6 {
        assert_eq!(gateway.send(&chat("m")).await.status, 200);
    }
    assert_eq!(used(&understudy).0, 1);
    let three = |received: &mynah_understudy::Received| received.key() == Some("key-three");
    assert!(understudy.received().iter().any(three));
}

#[tokio::test]
async fn who_hangs_up_while_waiting_asks_nobody_afterwards() {
    let failures = [
        ("a rest", Reply::status(429).header("retry-after-ms", "400")),
        ("a pause", Reply::status(503)),
    ];
    for (name, failure) in failures {
        let routing = "backoff = '800ms'\nmax_backoff = '1s'\nmax_wait = '10s'\n[log]\nrequests = true\n";
        let (understudy, gateway) = up([failure, good()], "'key-one'", routing).await;
        let mut stream = gateway.connect().await;
        stream.write_all(&chat("m").bytes()).await.unwrap();
        understudy.wait_completed(1).await;
        drop(stream);
        // The line in the log is written when nothing of the request is left.
        gateway.printed("asked=\"up/m\"").await;
        assert_eq!(understudy.counters().requests, 1, "{name}");
    }
}
