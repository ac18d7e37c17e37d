//! No client gets more than its limits, and each is told so in its own dialect.
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
use support::dialects::{CALLERS, ask, error, of};
use support::{Gateway, Request};
use tokio::io::AsyncWriteExt as _;

fn completion() -> Reply {
    Reply::json(&json!({
        "id": "c", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hi"}}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
    }))
    .header("x-ratelimit-remaining-requests", "9999")
    .header("x-ratelimit-limit-tokens", "8888")
}

/// A gateway whose clients `a` and `b` have the keys `key-a` and `key-b` and these further lines.
async fn up(script: impl Into<Script>, a: &str, b: &str, more: &str) -> (Understudy, Gateway) {
    let understudy = Understudy::start(script).await.unwrap();
    let config = config(&understudy, a, b, more);
    (understudy, Gateway::start(&config))
}

fn config(understudy: &Understudy, a: &str, b: &str, more: &str) -> String {
    format!(
        "[providers.up]\nbase_url = '{}'\nmodels = ['m']\n[[clients]]\nname = 'a'\nkey = 'key-a'\n{a}\n\
         [[clients]]\nname = 'b'\nkey = 'key-b'\n{b}\n{more}\n",
        understudy.url()
    )
}

fn chat(client: &str, more: &str) -> Request {
    let body = format!(r#"{{"model":"up/m","messages":[{{"role":"user","content":"hi"}}]{more}}}"#);
    Request::chat(&body).header("authorization", &format!("Bearer key-{client}"))
}

#[tokio::test]
async fn requests_are_counted_and_their_rest_is_told() {
    let (understudy, gateway) = up(completion(), "requests_per_minute = 3", "", "").await;
    for left in ["2", "1", "0"] {
        let reply = gateway.send(&chat("a", "")).await;
        assert_eq!(reply.status, 200);
        assert_eq!(reply.header("x-ratelimit-limit-requests"), Some("3"));
        assert_eq!(reply.header("x-ratelimit-remaining-requests"), Some(left));
        // A provider's own limits are not told where there are ours.
        assert_eq!(reply.header("x-ratelimit-limit-tokens"), None);
        let names = reply
            .headers
            .iter()
            .filter(|(name, _)| name == "x-ratelimit-remaining-requests");
        assert_eq!(names.count(), 1);
    }
    let reply = gateway.send(&chat("a", "")).await;
    assert_eq!(
        (reply.status, reply.error_code().as_str()),
        (429, "rate_limit_exceeded")
    );
    assert!(
        reply
            .text()
            .contains("Rate limit exceeded: 3/3 requests per minute for the client `a`")
    );
    let wait: u64 = reply.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    assert_eq!(reply.header("x-ratelimit-remaining-requests"), Some("0"));
    assert!(reply.header("x-ratelimit-reset-requests").unwrap().ends_with('s'));
    assert_eq!(understudy.received().len(), 3);
    // Others have limits of their own, or none, and then what the provider says comes through.
    let reply = gateway.send(&chat("b", "")).await;
    assert_eq!(
        (reply.status, reply.header("x-ratelimit-remaining-requests")),
        (200, Some("9999"))
    );
}

#[tokio::test]
async fn every_dialect_is_told_in_its_own_words() {
    let (_understudy, gateway) = up(completion(), "requests_per_minute = 1", "", "").await;
    assert_eq!(gateway.send(&chat("a", "")).await.status, 200);
    for caller in CALLERS {
        let request = of(caller, ask(caller, "up/m", "hi", false));
        let reply = gateway.send(&request.header("authorization", "Bearer key-a")).await;
        let (class, message) = error(caller, &reply);
        let expected = match caller {
            "gemini" => "RESOURCE_EXHAUSTED",
            _ => "rate_limit_error",
        };
        assert_eq!((reply.status, class.as_str()), (429, expected), "{caller}");
        assert!(message.contains("1/1 requests per minute"), "{message}");
        assert!(reply.header("retry-after").is_some());
        let (limit, reset) = match caller {
            "anthropic" => (
                "anthropic-ratelimit-requests-limit",
                "anthropic-ratelimit-requests-reset",
            ),
            _ => ("x-ratelimit-limit-requests", "x-ratelimit-reset-requests"),
        };
        assert_eq!(reply.header(limit), Some("1"), "{caller}");
        assert_eq!(reply.header(reset).unwrap().ends_with('Z'), caller == "anthropic");
    }
}

#[tokio::test]
async fn a_group_is_limited_as_a_whole_and_refused_requests_consume_nothing() {
    let group = "[[groups]]\nname = 'all'\nrequests_per_minute = 4\n[[groups]]\nname = 'team'\ngroup = 'all'\n\
                 tokens_per_minute = 100000";
    let (understudy, gateway) = up(
        completion(),
        "group = 'team'\nrequests_per_minute = 3",
        "group = 'all'\nrequests_per_minute = 10",
        group,
    )
    .await;
    for (client, status) in [
        ("a", 200),
        ("a", 200),
        ("a", 200),
        ("a", 429),
        ("a", 429),
        ("b", 200),
        ("b", 429),
    ] {
        assert_eq!(gateway.send(&chat(client, "")).await.status, status, "{client}");
    }
    let reply = gateway.send(&chat("b", "")).await;
    assert!(
        reply.text().contains("4/4 requests per minute for the group `all`"),
        "{}",
        reply.text()
    );
    assert_eq!(reply.header("x-ratelimit-limit-requests"), Some("4"));
    assert_eq!(understudy.received().len(), 4);
}

#[tokio::test]
async fn tokens_are_admitted_by_estimate_and_settled_by_usage() {
    let (_understudy, gateway) = up(completion(), "tokens_per_minute = 1000", "", "").await;
    // Each is thought to need 900, and needs 15.
    for _ in 0..10 {
        let reply = gateway.send(&chat("a", r#","max_tokens":800"#)).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
    }
    let reply = gateway.send(&chat("a", r#","max_tokens":860"#)).await;
    assert_eq!(
        (reply.status, reply.error_code().as_str()),
        (429, "rate_limit_exceeded")
    );
    assert!(reply.text().contains("150/1000 tokens per minute"), "{}", reply.text());
    assert_eq!(reply.header("x-ratelimit-remaining-tokens"), Some("850"));
    // Without a limit for the answer, one as usual is expected.
    assert_eq!(gateway.send(&chat("a", "")).await.status, 200);
    // What can never be had is not worth another try.
    let reply = gateway.send(&chat("a", r#","max_tokens":1000"#)).await;
    assert_eq!(
        (reply.status, reply.error_code().as_str()),
        (400, "request_exceeds_limit")
    );
    assert_eq!(reply.header("retry-after"), None);
}

#[tokio::test]
async fn a_place_is_free_when_its_request_is_over_in_whatever_way() {
    let event = "data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n";
    let endless = Reply::stream([event, event]).hang_after(event.len());
    let script = Script::new()
        .rule(Rule::any().asks_for_stream().reply(endless))
        .rule(Rule::any().reply(completion()));
    let (understudy, gateway) = up(script, "max_concurrent = 1", "", "").await;
    for round in 1..=3 {
        let mut stream = gateway.connect().await;
        stream.write_all(&chat("a", r#","stream":true"#).bytes()).await.unwrap();
        support::read_head(&mut stream).await.unwrap();
        let reply = gateway.send(&chat("a", "")).await;
        assert_eq!(
            (reply.status, reply.error_code().as_str()),
            (429, "rate_limit_exceeded")
        );
        assert_eq!(reply.header("retry-after"), Some("1"));
        drop(stream);
        understudy.wait_aborted(round).await;
        while gateway.send(&chat("a", "")).await.status != 200 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

#[tokio::test]
async fn every_route_to_a_provider_counts_and_no_other() {
    let (_understudy, gateway) = up(completion(), "requests_per_minute = 4", "", "").await;
    let as_a = |request: Request| request.header("authorization", "Bearer key-a");
    for free in [
        "/v1/models",
        "/v1/endpoints",
        "/v1/explain?model=up/m",
        "/health/detailed",
    ] {
        assert_eq!(
            gateway.send(&as_a(Request::new("GET", free))).await.status,
            200,
            "{free}"
        );
    }
    let explained = Request::post("/v1/explain", r#"{"model":"up/m","messages":[]}"#);
    assert_eq!(gateway.send(&as_a(explained)).await.status, 200);
    for request in [
        Request::new("GET", "/v1/files"),
        Request::post("/v1/embeddings", r#"{"model":"up/m","input":"x"}"#),
        Request::post("/v1/moderations", r#"{"model":"up/m","input":"x"}"#),
        Request::post("/v1/responses/input_tokens", r#"{"model":"up/m","input":"x"}"#),
    ] {
        assert_ne!(gateway.send(&as_a(request)).await.status, 429);
    }
    assert_eq!(gateway.send(&as_a(Request::new("GET", "/v1/files"))).await.status, 429);
}

#[tokio::test]
async fn counters_survive_a_change_of_the_configuration() {
    let (understudy, gateway) = up(completion(), "requests_per_minute = 3", "", "").await;
    for _ in 0..2 {
        assert_eq!(gateway.send(&chat("a", "")).await.status, 200);
    }
    gateway.rewrite(&config(&understudy, "requests_per_minute = 4\n", "", ""));
    gateway.printed("the changed configuration is in use").await;
    let reply = gateway.send(&chat("a", "")).await;
    assert_eq!(reply.header("x-ratelimit-remaining-requests"), Some("1"));
}

#[tokio::test]
async fn callers_without_a_key_can_be_limited_too() {
    let understudy = Understudy::start(completion()).await.unwrap();
    let gateway = Gateway::start(&format!(
        "[providers.up]\nbase_url = '{}'\nmodels = []\n[[clients]]\nname = 'anonymous'\nrequests_per_minute = 1\n",
        understudy.url()
    ));
    let request = Request::chat(r#"{"model":"up/m","messages":[]}"#);
    assert_eq!(gateway.send(&request).await.status, 200);
    let reply = gateway.send(&request).await;
    assert!(reply.status == 429 && reply.text().contains("client `anonymous`"));
}
