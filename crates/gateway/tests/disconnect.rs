//! A client that goes away takes its request with it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing helper is a failing test"
)]

mod support;

use mynah_understudy::{Reply, Understudy};
use support::{Gateway, Request, read_head};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

async fn up(reply: Reply) -> (Understudy, Gateway) {
    let understudy = Understudy::start(reply).await.unwrap();
    let gateway = Gateway::start(&format!(
        "[providers.up]\nbase_url = '{}'\nmodels = ['m']\n",
        understudy.url()
    ));
    (understudy, gateway)
}

#[tokio::test]
async fn hanging_up_cancels_a_call_that_has_not_answered() {
    for path in ["/v1/chat/completions", "/v1/embeddings", "/v1/images/generations"] {
        let (understudy, gateway) = up(Reply::hang()).await;
        let mut stream = gateway.connect().await;
        stream
            .write_all(&Request::post(path, r#"{"model":"m","messages":[]}"#).bytes())
            .await
            .unwrap();
        understudy.wait_received(1).await;
        drop(stream);
        understudy.wait_aborted(1).await;
    }
}

#[tokio::test]
async fn hanging_up_cancels_a_stream() {
    let event = "data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n";
    let (understudy, gateway) = up(Reply::stream([event, event]).hang_after(event.len())).await;
    let mut stream = gateway.connect().await;
    stream
        .write_all(&Request::chat(r#"{"model":"m","stream":true}"#).bytes())
        .await
        .unwrap();
    read_head(&mut stream).await.unwrap();
    stream.read_u8().await.unwrap();
    drop(stream);
    understudy.wait_aborted(1).await;
}

#[tokio::test]
async fn hanging_up_stops_the_search_for_another_target() {
    let second = Understudy::start(Reply::json(&serde_json::json!({}))).await.unwrap();
    let (first, _) = up(Reply::hang()).await;
    let gateway = Gateway::start(&format!(
        "[providers.first]\nbase_url = '{}'\ntimeouts = {{ first_token = '500ms' }}\n[providers.second]\nbase_url = '{}'\n\
         [models.m]\ntargets = ['first/a', 'second/b']\n",
        first.url(),
        second.url()
    ));
    let mut stream = gateway.connect().await;
    stream
        .write_all(&Request::chat(r#"{"model":"m"}"#).bytes())
        .await
        .unwrap();
    first.wait_received(1).await;
    drop(stream);
    first.wait_aborted(1).await;
    // A later request reaches the second target first, so that nothing of the earlier one can be under way.
    assert_eq!(gateway.chat(r#"{"model":"second/later"}"#).await.status, 200);
    let models: Vec<Option<String>> = second
        .received()
        .iter()
        .filter(|r| r.method == "POST")
        .map(mynah_understudy::Received::model)
        .collect();
    assert_eq!(models, [Some("later".to_owned())]);
}
