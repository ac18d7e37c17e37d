//! A stream reaches its client event by event, and one that breaks off never looks as if it had ended.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing helper is a failing test"
)]

mod support;

use std::time::Duration;

use mynah_understudy::{Reply, Understudy};
use support::{Gateway, Request, read_head, read_reply};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const ROLE: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n";
const ONE: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"one \u{1f99c}\"}}]}\n\n";
const TWO: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"two\"}}]}\n\n";
const DONE: &str = "data: [DONE]\n\n";
const ASK: &str = r#"{"model":"up/m","stream":true,"stream_options":{"include_usage":true}}"#;

async fn up(reply: Reply) -> (Understudy, Gateway) {
    let understudy = Understudy::start(reply).await.unwrap();
    let gateway = Gateway::start(&format!(
        "[providers.up]\nbase_url = '{}'\nmodels = []\ntimeouts = {{ idle = '300ms' }}\n",
        understudy.url()
    ));
    (understudy, gateway)
}

#[tokio::test]
async fn an_event_does_not_wait_for_the_next() {
    // The second event never comes, so the first can only arrive if it is passed on at once.
    let (_understudy, gateway) = up(Reply::stream([ROLE, ONE, TWO]).hang_after(ROLE.len() + ONE.len())).await;
    let mut stream = gateway.connect().await;
    stream.write_all(&Request::chat(ASK).bytes()).await.unwrap();
    let head = read_head(&mut stream).await.unwrap();
    assert_eq!(
        (head.status, head.header("content-type").unwrap()),
        (200, "text/event-stream; charset=utf-8")
    );
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains("one \u{1f99c}") {
        seen.push(stream.read_u8().await.unwrap());
    }
}

#[tokio::test]
async fn any_chunking_gives_the_same_bytes() {
    let whole = [ROLE, ONE, TWO, DONE].concat();
    for size in [1, 2, 3, 7, 50] {
        let sizes = vec![size; whole.len() / size + 1];
        let (_understudy, gateway) = up(Reply::stream([whole.clone()]).split(sizes)).await;
        assert_eq!(gateway.chat(ASK).await.text(), whole);
        let without_usage = ASK.replace("true}}", "false}}");
        assert_eq!(gateway.chat(&without_usage).await.text(), whole);
    }
}

#[tokio::test]
async fn a_stream_that_is_cut_at_any_byte_ends_in_an_error() {
    let whole = [ROLE, ONE, TWO].concat();
    let first_content = ROLE.len() + ONE.len();
    let (understudy, gateway) = up(Reply::hang()).await;
    for cut in first_content..whole.len() {
        understudy.set_script(Reply::stream([whole.clone()]).cut_at(cut));
        let reply = gateway.chat(ASK).await;
        assert!(reply.whole, "cut at {cut}");
        let text = reply.text();
        let error = text
            .strip_prefix(&[ROLE, ONE].concat())
            .expect("the whole events are passed on");
        let error = error
            .strip_prefix("data: ")
            .unwrap_or_else(|| panic!("cut at {cut}: {text}"));
        let error: serde_json::Value = serde_json::from_str(error).unwrap();
        assert_eq!(error["error"]["code"], "upstream_broken");
        assert!(!text.contains("[DONE]"));
    }
}

#[tokio::test]
async fn a_stream_that_ends_must_say_that_it_is_over() {
    let finish = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
    for (events, whole) in [
        (vec![ONE, TWO], false),
        (vec![ONE, finish], true),
        (vec![ONE, DONE], true),
    ] {
        let stream = Reply::stream(events.clone());
        for stream in [stream.clone().until_close(), stream.clone().with_length(), stream] {
            let (_understudy, gateway) = up(stream).await;
            let reply = gateway.chat(ASK).await;
            let rest = reply.text().strip_prefix(&events.concat()).unwrap();
            assert_eq!(rest.is_empty(), whole, "{}", reply.text());
            assert!(whole || rest.contains("upstream_broken"));
        }
    }
}

#[tokio::test]
async fn half_an_event_at_the_end_is_no_first_content() {
    let half = Understudy::start(Reply::stream([ROLE, ONE.trim_end()])).await.unwrap();
    let good = Understudy::start(Reply::stream([ROLE, TWO, DONE])).await.unwrap();
    let gateway = Gateway::start(&format!(
        "[providers.half]\nbase_url = '{}'\nmodels = []\n[providers.good]\nbase_url = '{}'\nmodels = []\n\
         [models.m]\ntargets = ['half/m', 'good/m']\n",
        half.url(),
        good.url()
    ));
    let reply = gateway.chat(&ASK.replace("up/m", "m")).await;
    assert_eq!(reply.text(), [ROLE, TWO, DONE].concat());
    assert_eq!(reply.header("x-mynah-attempts"), Some("2"));
}

#[tokio::test]
async fn a_stream_that_stalls_ends_in_an_error() {
    let (_understudy, gateway) = up(Reply::stream([ROLE, ONE, TWO]).hang_after(ROLE.len() + ONE.len())).await;
    let reply = gateway.chat(ASK).await;
    let error = reply.text().strip_prefix(&[ROLE, ONE].concat()).unwrap();
    assert!(error.contains("\"code\":\"upstream_timeout\""), "{error}");
    assert!(reply.whole);
}

#[tokio::test]
async fn a_body_that_is_not_a_stream_is_cut_off_visibly() {
    let body = format!("{{\"choices\":[],\"x\":\"{}\"}}", "x".repeat(1000)).into_bytes();
    for reply in [
        Reply::bytes(body.clone()).cut_at(500),
        Reply::bytes(body.clone()).chunked().cut_at(500),
    ] {
        let reply = reply.header("content-type", "application/json");
        let understudy = Understudy::start(reply).await.unwrap();
        let url = understudy.url();
        // One that is held until it is whole, and one that is too large for that.
        for (held, status, length) in [("4KiB", 502, None), ("100B", 200, Some(500))] {
            let gateway = Gateway::start(&format!(
                "[routing]\nmax_held = '{held}'\n[providers.up]\nbase_url = '{url}'\nmodels = []\n"
            ));
            let reply = gateway.chat(r#"{"model":"up/m"}"#).await;
            assert_eq!((reply.status, reply.whole), (status, length.is_none()));
            assert!(length.is_none_or(|length| reply.body.len() == length));
        }
    }
}

#[tokio::test]
async fn garbage_in_a_stream_is_passed_on() {
    let mut garbage = ONE.as_bytes().to_vec();
    garbage.extend((0..=255).cycle().take(10_000));
    garbage.extend(b"\n\ndata: [DONE]\n\n");
    let reply = Reply::bytes(garbage.clone())
        .header("content-type", "text/event-stream")
        .chunked();
    let (_understudy, gateway) = up(reply).await;
    assert!(gateway.chat(ASK).await.body == garbage);
}

#[tokio::test]
async fn a_client_that_does_not_read_slows_the_provider_down() {
    let event = format!(
        "data: {{\"choices\":[{{\"delta\":{{\"content\":\"{}\"}}}}]}}\n\n",
        "x".repeat(64 * 1024)
    );
    let total = 4096 * event.len() as u64;
    let understudy = Understudy::builder()
        .send_buffer(64 * 1024)
        .script(Reply::stream(vec![event; 4096]))
        .start()
        .await
        .unwrap();
    let gateway = Gateway::start(&format!(
        "[providers.up]\nbase_url = '{}'\nmodels = []\n",
        understudy.url()
    ));
    let mut stream = gateway.connect().await;
    stream.write_all(&Request::chat(ASK).bytes()).await.unwrap();
    read_head(&mut stream).await.unwrap();
    // The provider stops being read: what it has sent does not grow any more, far below the whole.
    let mut sent = understudy.counters().bytes_sent;
    loop {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let now = understudy.counters().bytes_sent;
        if now == sent && now > 0 {
            break;
        }
        sent = now;
    }
    assert!(
        sent < total / 4,
        "{sent} of {total} bytes were taken for a client that reads nothing"
    );
}

#[tokio::test]
async fn a_kept_connection_serves_streams_one_after_the_other() {
    let (understudy, gateway) = up(Reply::stream([ROLE, ONE, DONE])).await;
    let mut stream = gateway.connect().await;
    for _ in 0..5 {
        stream.write_all(&Request::chat(ASK).bytes()).await.unwrap();
        assert_eq!(
            read_reply(&mut stream).await.unwrap().text(),
            [ROLE, ONE, DONE].concat()
        );
    }
    assert_eq!(understudy.counters().connections, 1);
}
