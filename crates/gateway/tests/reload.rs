//! A changed file takes effect without a restart, and without touching what is under way; SIGTERM ends in peace.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing helper is a failing test"
)]

mod support;

use mynah_understudy::{Reply, Understudy};
use support::{Gateway, Request, read_head, read_reply, until};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const EVENT: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n";

fn config(url: &str, model: &str) -> String {
    format!("[providers.up]\nbase_url = '{url}'\nmodels = []\n[models.m]\ntargets = ['up/{model}']\n")
}

/// Asks until the answer comes from a model.
async fn asks(gateway: &Gateway, expected: &str) {
    let answered = tokio::time::timeout(support::PATIENCE, async {
        while gateway.chat(r#"{"model":"m"}"#).await.header("x-mynah-model") != Some(expected) {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    });
    answered
        .await
        .unwrap_or_else(|_| panic!("{expected} never answered: {}", gateway.printed.lock().unwrap()));
}

#[tokio::test]
async fn a_changed_file_is_swapped_in_and_a_bad_one_is_not() {
    let up = Understudy::start(Reply::json(&serde_json::json!({}))).await.unwrap();
    let gateway = Gateway::start(&config(&up.url(), "one"));
    asks(&gateway, "up/one").await;
    gateway.rewrite(&config(&up.url(), "two"));
    asks(&gateway, "up/two").await;
    gateway.rewrite("[providers.up]\nbase_urll = 'x'\n");
    gateway.printed("did you mean `base_url`").await;
    assert_eq!(
        gateway.chat(r#"{"model":"m"}"#).await.header("x-mynah-model"),
        Some("up/two")
    );
    gateway.rewrite(&config(&up.url(), "three"));
    asks(&gateway, "up/three").await;
}

#[tokio::test]
async fn a_request_in_flight_keeps_the_configuration_that_it_began_with() {
    let up = Understudy::start(Reply::stream([EVENT, EVENT]).hang_after(EVENT.len()))
        .await
        .unwrap();
    let gateway = Gateway::start(&config(&up.url(), "one"));
    let mut stream = gateway.connect().await;
    stream
        .write_all(&Request::chat(r#"{"model":"m","stream":true}"#).bytes())
        .await
        .unwrap();
    assert_eq!(
        read_head(&mut stream).await.unwrap().header("x-mynah-model"),
        Some("up/one")
    );
    let other = Understudy::start(Reply::json(&serde_json::json!({}))).await.unwrap();
    gateway.rewrite(&config(&other.url(), "two"));
    gateway.printed("the changed configuration is in use").await;
    asks(&gateway, "up/two").await;
    // Still open: a byte arrives, and nobody has cancelled the call.
    stream.read_u8().await.unwrap();
    assert_eq!(up.counters().aborted, 0);
}

#[tokio::test]
async fn no_request_fails_while_the_file_changes() {
    let up = Understudy::start(Reply::json(&serde_json::json!({}))).await.unwrap();
    let gateway = std::sync::Arc::new(Gateway::start(&config(&up.url(), "v0")));
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let (load, stopped) = (gateway.clone(), stop.clone());
    let asking = tokio::spawn(async move {
        let mut stream = load.connect().await;
        let mut count = 0;
        while !stopped.load(std::sync::atomic::Ordering::Relaxed) {
            stream
                .write_all(&Request::chat(r#"{"model":"m"}"#).bytes())
                .await
                .unwrap();
            assert_eq!(
                read_reply(&mut stream).await.expect("the connection is kept").status,
                200
            );
            count += 1;
        }
        count
    });
    for version in 1..4 {
        gateway.rewrite(&config(&up.url(), &format!("v{version}")));
        gateway.signal("HUP");
        asks(&gateway, &format!("up/v{version}")).await;
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    assert!(asking.await.unwrap() > 0);
}

#[tokio::test]
async fn a_file_that_was_not_there_may_come_and_go() {
    let up = Understudy::start(Reply::json(&serde_json::json!({}))).await.unwrap();
    let gateway = Gateway::start_in(tempfile::tempdir().unwrap(), &[]);
    assert_eq!(gateway.chat(r#"{"model":"m"}"#).await.status, 404);
    gateway.rewrite(&config(&up.url(), "one"));
    asks(&gateway, "up/one").await;
    gateway.remove_file();
    gateway.printed("the changed configuration is in use").await;
    until(
        || gateway.printed.lock().unwrap().matches("is in use").count() == 2,
        || "a file that is gone is not noticed".to_owned(),
    )
    .await;
    assert_eq!(gateway.chat(r#"{"model":"m"}"#).await.status, 404);
}

#[tokio::test]
async fn a_signal_to_stop_lets_streams_finish() {
    let mut events = vec![EVENT; 19];
    events.push("data: [DONE]\n\n");
    let up = Understudy::start(Reply::stream(events).pace(std::time::Duration::from_millis(50)))
        .await
        .unwrap();
    let mut gateway = Gateway::start(&config(&up.url(), "one"));
    let mut stream = gateway.connect().await;
    let mut idle = gateway.connect().await;
    idle.write_all(&Request::new("GET", "/health").bytes()).await.unwrap();
    assert_eq!(read_reply(&mut idle).await.unwrap().status, 200);
    stream
        .write_all(&Request::chat(r#"{"model":"m","stream":true}"#).bytes())
        .await
        .unwrap();
    let head = read_head(&mut stream).await.unwrap();
    assert_eq!(head.status, 200);
    gateway.signal("TERM");
    gateway.printed("stopping").await;
    let address = gateway.address.clone();
    until(
        || std::net::TcpStream::connect(&address).is_err(),
        || "new connections are still accepted".to_owned(),
    )
    .await;
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&rest).matches("data: ").count(), 20);
    assert!(rest.ends_with(b"0\r\n\r\n"), "the stream came to its end");
    assert_eq!(gateway.ended().await, Some(0));
}

#[tokio::test]
async fn draining_has_an_end() {
    let up = Understudy::start(Reply::stream([EVENT, EVENT]).hang_after(EVENT.len()))
        .await
        .unwrap();
    let mut gateway = Gateway::start(&format!("[server]\ndrain = '200ms'\n{}", config(&up.url(), "one")));
    let mut stream = gateway.connect().await;
    stream
        .write_all(&Request::chat(r#"{"model":"m","stream":true}"#).bytes())
        .await
        .unwrap();
    read_head(&mut stream).await.unwrap();
    gateway.signal("TERM");
    assert_eq!(gateway.ended().await, Some(0));
}
