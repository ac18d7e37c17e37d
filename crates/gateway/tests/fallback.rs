//! A target that fails before its first content hands over to the next.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing helper is a failing test"
)]

mod support;

use mynah_understudy::{Reply, Rule, Script, Understudy};
use support::{Gateway, Request};

fn good() -> Reply {
    Reply::json(&serde_json::json!({"who": "second"}))
}

/// A gateway whose model `m` has two targets, with short timeouts.
fn gateway(first: &str, second: &str) -> Gateway {
    Gateway::start(&format!(
        "[providers.first]\nbase_url = '{first}'\nmodels = []\ntimeouts = {{ connect = '2s', first_token = '300ms', idle = '300ms' }}\n\
         [providers.second]\nbase_url = '{second}'\nmodels = []\n\
         [models.m]\ntargets = ['first/a', 'second/b']\n"
    ))
}

#[tokio::test]
async fn every_failure_before_content_hands_over() {
    let role = "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n";
    let failures = [
        ("408", Reply::status(408)),
        ("429", Reply::status(429).header("retry-after", "1")),
        ("401", Reply::status(401)),
        ("402", Reply::status(402)),
        ("403", Reply::status(403)),
        (
            "a page in place of the route",
            Reply::status(404).body(b"<html>default backend</html>".to_vec()),
        ),
        ("nothing in place of the route", Reply::status(404)),
        (
            "a text in place of the route",
            Reply::status(410).body(b"404 page not found".to_vec()),
        ),
        ("another method", Reply::status(405)),
        ("500", Reply::status(500)),
        ("502", Reply::status(502).body(b"<html>bad gateway</html>".to_vec())),
        ("529", Reply::status(529)),
        ("hang", Reply::hang()),
        ("hang up", Reply::hang_up()),
        ("reset", Reply::reset()),
        ("garbage", Reply::raw(b"\x00\x01\x02 this is not HTTP\r\n\r\n".to_vec())),
        ("head cut off", good().cut_head_at(20)),
        ("cut before the body", good().cut_at(0)),
        (
            "stream cut after the role",
            Reply::stream([role, "data: x\n\n"]).cut_at(role.len()),
        ),
        (
            "stream that stalls after the role",
            Reply::stream([role, "data: x\n\n"]).hang_after(role.len()),
        ),
        ("stream that ends after the role", Reply::stream([role])),
        (
            "error in place of a stream",
            Reply::stream([role, "data: {\"error\":{\"message\":\"overloaded\",\"code\":503}}\n\n"]),
        ),
        ("empty stream", Reply::stream(Vec::<&str>::new())),
    ];
    let second = Understudy::start(good()).await.unwrap();
    for (name, failure) in failures {
        let first = Understudy::start(failure).await.unwrap();
        let gateway = gateway(&first.url(), &second.url());
        let reply = gateway.chat(r#"{"model":"m","messages":[],"stream":false}"#).await;
        assert_eq!((reply.status, reply.text()), (200, r#"{"who":"second"}"#), "{name}");
        assert_eq!(reply.header("x-mynah-model"), Some("second/b"), "{name}");
        assert_eq!(reply.header("x-mynah-attempts"), Some("2"), "{name}");
        assert_eq!(second.received().last().unwrap().json().unwrap()["model"], "b");
    }
}

#[tokio::test]
async fn nobody_listening_hands_over() {
    let second = Understudy::start(good()).await.unwrap();
    let gone = Understudy::start(good()).await.unwrap().url();
    let reply = gateway(&gone, &second.url()).chat(r#"{"model":"m"}"#).await;
    assert_eq!(reply.header("x-mynah-model"), Some("second/b"));
}

#[tokio::test]
async fn the_callers_own_fault_does_not_hand_over() {
    let second = Understudy::start(good()).await.unwrap();
    for status in [400, 404, 409, 413, 415, 422] {
        let first = Understudy::start(Reply::status(status).body(b"{\"error\":{}}".to_vec()))
            .await
            .unwrap();
        let reply = gateway(&first.url(), &second.url()).chat(r#"{"model":"m"}"#).await;
        assert_eq!((reply.status, reply.text()), (status, "{\"error\":{}}"));
    }
    assert_eq!(second.received().len(), 0);
}

#[tokio::test]
async fn when_all_fail_the_caller_gets_the_refusal_that_tells_most() {
    let throttled = Understudy::start(
        Reply::status(429)
            .header("retry-after", "9")
            .body(br#"{"error":"slow down"}"#.to_vec()),
    )
    .await
    .unwrap();
    let rejected = Understudy::start(Reply::status(401).body(b"no".to_vec()))
        .await
        .unwrap();
    for (first, second) in [(&throttled, &rejected), (&rejected, &throttled)] {
        let reply = gateway(&first.url(), &second.url()).chat(r#"{"model":"m"}"#).await;
        assert_eq!(
            (reply.status, reply.text(), reply.header("retry-after")),
            (429, r#"{"error":"slow down"}"#, Some("9"))
        );
        assert_eq!(reply.header("x-mynah-attempts"), Some("2"));
    }
    let hanging = Understudy::start(Reply::hang()).await.unwrap();
    let gateway = Gateway::start(&format!(
        "[providers.up]\nbase_url = '{}'\ntimeouts = {{ first_token = '200ms' }}\n",
        hanging.url()
    ));
    let reply = gateway.chat(r#"{"model":"up/m"}"#).await;
    assert_eq!((reply.status, reply.error_code().as_str()), (504, "upstream_timeout"));
}

#[tokio::test]
async fn an_unreachable_provider_is_a_502_that_names_it() {
    let gone = Understudy::start(good()).await.unwrap().url();
    let gateway = Gateway::start(&format!("[providers.up]\nbase_url = '{gone}'\n"));
    let reply = gateway.chat(r#"{"model":"up/m"}"#).await;
    assert_eq!(
        (reply.status, reply.error_code().as_str()),
        (502, "upstream_unreachable")
    );
    assert!(reply.text().contains("up/m"), "{}", reply.text());
}

#[tokio::test]
async fn an_error_in_place_of_a_stream_has_its_true_status() {
    let error =
        "{\"error\":{\"message\":\"slow down\",\"type\":\"rate_limit_error\",\"code\":\"rate_limit_exceeded\"}}";
    let up = Understudy::start(Reply::stream([format!("data: {error}\n\n")]))
        .await
        .unwrap();
    let gateway = Gateway::start(&format!("[providers.up]\nbase_url = '{}'\n", up.url()));
    let reply = gateway.chat(r#"{"model":"up/m","stream":true}"#).await;
    assert_eq!((reply.status, reply.text()), (429, error));
    assert_eq!(reply.header("content-type"), Some("application/json"));
}

/// As a reply of Anthropic's has it.
#[tokio::test]
async fn an_overload_in_place_of_anthropics_stream_is_529() {
    let error = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
    let up = Understudy::start(Reply::stream([format!("event: error\ndata: {error}\n\n")]))
        .await
        .unwrap();
    let config = format!(
        "[routing]\nretries = 0\n[providers.up]\nkind = 'anthropic'\nbase_url = '{}'\n",
        up.url()
    );
    let gateway = Gateway::start(&config);
    let body = r#"{"model":"up/m","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"hello"}]}"#;
    let reply = gateway.send(&Request::post("/v1/messages", body)).await;
    assert_eq!((reply.status, reply.text()), (529, error));
}

#[tokio::test]
async fn a_response_that_fails_at_once_is_an_error_of_openais() {
    let events = [
        r#"{"type":"response.created","response":{"id":"resp_1","error":null}}"#,
        r#"{"type":"response.failed","response":{"id":"resp_1","error":{"code":"rate_limit_exceeded","message":"slow down"}}}"#,
    ];
    let up = Understudy::start(Reply::stream(events.map(|event| format!("data: {event}\n\n"))))
        .await
        .unwrap();
    let gateway = Gateway::start(&format!("[providers.up]\nkind = 'openai'\nbase_url = '{}'\n", up.url()));
    let request = Request::post("/v1/responses", r#"{"model":"up/m","input":"hello","stream":true}"#);
    let reply = gateway.send(&request).await;
    let expected =
        r#"{"error":{"message":"slow down","type":"rate_limit_error","param":null,"code":"rate_limit_exceeded"}}"#;
    assert_eq!((reply.status, reply.text()), (429, expected));
}

#[tokio::test]
async fn keys_are_used_in_turn_and_a_bad_one_is_passed_over() {
    let script = Script::new()
        .rule(Rule::any().key("sk-bad").reply(Reply::status(401)))
        .rule(Rule::any().key("sk-busy").reply(Reply::status(429)))
        .rule(Rule::any().reply(good()));
    let up = Understudy::start(script).await.unwrap();
    let keys = |keys: &str| {
        Gateway::start(&format!(
            "[providers.up]\nbase_url = '{}'\nmodels = []\napi_keys = [{keys}]\n",
            up.url()
        ))
    };
    let gateway = keys("'sk-1', 'sk-2', 'sk-3'");
    for _ in 0..6 {
        assert_eq!(gateway.chat(r#"{"model":"up/m"}"#).await.status, 200);
    }
    let used: Vec<String> = up
        .received()
        .iter()
        .filter_map(|received| received.key().map(str::to_owned))
        .collect();
    assert_eq!(used, ["sk-1", "sk-2", "sk-3", "sk-1", "sk-2", "sk-3"]);
    let gateway = keys("'sk-bad', 'sk-busy', 'sk-good'");
    for _ in 0..3 {
        let reply = gateway.chat(r#"{"model":"up/m"}"#).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
    }
}

#[tokio::test]
async fn a_kept_connection_that_the_provider_closed_is_no_failure() {
    let up = Understudy::start(good().then_drop_next()).await.unwrap();
    let gateway = Gateway::start(&format!("[providers.up]\nbase_url = '{}'\n", up.url()));
    for _ in 0..5 {
        let reply = gateway.chat(r#"{"model":"up/m"}"#).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert_eq!(reply.header("x-mynah-attempts"), Some("1"));
        assert_eq!(gateway.get("/v1/files").await.status, 200);
    }
}

#[tokio::test]
async fn an_upload_that_was_sent_is_not_sent_to_another() {
    let up = Understudy::start(Reply::status(500).body(b"broken".to_vec()))
        .await
        .unwrap();
    let gateway = Gateway::start(&format!(
        "[providers.up]\nbase_url = '{}'\nmodels = []\napi_keys = ['a', 'b']\n",
        up.url()
    ));
    let reply = gateway.send(&Request::new("POST", "/v1/files").body(b"upload")).await;
    assert_eq!((reply.status, reply.text()), (500, "broken"));
    assert_eq!(up.received().len(), 1);
}
