//! A reply goes out as the script says, byte by byte and at its time.
#![cfg(test)]

mod support;

use std::time::Duration;

use mynah_understudy::{Reply, Script, Understudy};
use serde_json::json;
use support::Client;
use tokio::time::Instant;

const GET: &str = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";
const SECOND: Duration = Duration::from_secs(1);

async fn client_of(script: impl Into<Script>) -> (Understudy, Client) {
    let understudy = Understudy::start(script).await.unwrap();
    let mut client = Client::new(&understudy).await;
    client.send(GET).await;
    (understudy, client)
}

/// All that is written for one request, and whether the connection ended in an orderly way.
async fn written(reply: Reply) -> (String, bool) {
    let (understudy, mut client) = client_of(reply).await;
    let rest = client.rest().await;
    understudy.wait_completed(1).await;
    rest
}

#[tokio::test]
async fn headers_keep_order_spelling_and_bytes() {
    let reply = Reply::status(201)
        .header("X-B", "2")
        .header("a", b"\xff")
        .header("x-b", "1")
        .body("hi")
        .close();
    let (_understudy, mut client) = client_of(reply).await;
    let mut bytes = Vec::new();
    tokio::io::AsyncReadExt::read_to_end(&mut client.stream, &mut bytes)
        .await
        .unwrap();
    let expected =
        b"HTTP/1.1 201 Created\r\nX-B: 2\r\na: \xff\r\nx-b: 1\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi";
    assert_eq!(bytes, expected);
}

#[tokio::test]
async fn json_says_so() {
    let (_understudy, mut client) = client_of(Reply::json(&json!({"a": 1})).with_status(400)).await;
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.json()), (400, json!({"a": 1})));
    assert!(answer.head.contains("content-type: application/json\r\n"));
}

#[tokio::test]
async fn a_stream_has_a_chunk_per_event() {
    let (text, _) = written(Reply::stream(["data: 1\n\n", "data: 22\n\n"]).close()).await;
    assert!(text.contains("content-type: text/event-stream"));
    assert!(
        text.ends_with("\r\n\r\n9\r\ndata: 1\n\n\r\na\r\ndata: 22\n\n\r\n0\r\n\r\n"),
        "{text}"
    );
}

#[tokio::test]
async fn bodies_can_end_with_the_connection() {
    assert_eq!(
        written(Reply::bytes("hello").until_close()).await,
        ("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhello".to_owned(), true)
    );
}

#[tokio::test]
async fn cuts_fall_where_they_should() {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n";
    assert_eq!(
        written(Reply::bytes("hello").cut_at(3)).await,
        (format!("{head}hel"), true)
    );
    assert_eq!(written(Reply::bytes("hello").cut_at(0)).await, (head.to_owned(), true));
    assert_eq!(
        written(Reply::bytes("hello").cut_head_at(12)).await,
        (head[..12].to_owned(), true)
    );
    let (text, _) = written(Reply::stream(["hello", "world"]).cut_at(7)).await;
    assert!(text.ends_with("\r\n\r\n5\r\nhello\r\n2\r\nwo\r\n"), "{text}");
    assert_eq!(written(Reply::hang_up()).await, (String::new(), true));
}

#[tokio::test]
async fn resets_are_no_orderly_end() {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n";
    assert_eq!(written(Reply::reset()).await, (String::new(), false));
    assert_eq!(
        written(Reply::bytes("hello").reset_at(2)).await,
        (format!("{head}he"), false)
    );
    assert_eq!(
        written(Reply::bytes("hello").reset_head_at(5)).await,
        (head[..5].to_owned(), false)
    );
}

#[tokio::test]
async fn garbage_is_sent_as_it_is() {
    assert_eq!(written(Reply::raw("\u{1}what?")).await, ("\u{1}what?".to_owned(), true));
}

#[tokio::test]
async fn a_hang_keeps_the_connection() {
    let (understudy, mut client) = client_of(Reply::bytes("hello").hang_after(2)).await;
    assert!(client.some().await.ends_with("\r\n\r\nhe"));
    let mut byte = [0];
    let more = tokio::time::timeout(
        Duration::ZERO,
        tokio::io::AsyncReadExt::read(&mut client.stream, &mut byte),
    )
    .await;
    assert!(more.is_err(), "it said more, or closed");
    drop(client);
    understudy.wait_aborted(1).await;
}

#[tokio::test(start_paused = true)]
async fn delays_are_kept() {
    let begin = Instant::now();
    let (_understudy, mut client) = client_of(Reply::bytes("late").first_after(SECOND)).await;
    client.answer().await;
    assert!((SECOND..SECOND * 2).contains(&begin.elapsed()));
}

#[tokio::test(start_paused = true)]
async fn a_head_may_come_long_before_its_body() {
    let begin = Instant::now();
    let (_understudy, mut client) = client_of(Reply::bytes("late").head_then_wait(SECOND)).await;
    assert!(client.some().await.ends_with("\r\n\r\n"));
    assert!(begin.elapsed() < SECOND);
    assert_eq!(client.some().await, "late");
    assert!(begin.elapsed() >= SECOND);
}

#[tokio::test(start_paused = true)]
async fn each_event_has_its_time() {
    let (_understudy, mut client) = client_of(Reply::stream(["a", "b", "c"]).pace(SECOND)).await;
    let begin = Instant::now();
    assert!(client.some().await.ends_with("\r\n\r\n"));
    for (number, event) in ["a", "b", "c"].into_iter().enumerate() {
        assert!(client.some().await.starts_with(&format!("1\r\n{event}\r\n")));
        let due = SECOND * (u32::try_from(number).unwrap() + 1);
        assert!(
            (due..due + SECOND / 2).contains(&begin.elapsed()),
            "{:?}",
            begin.elapsed()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_split_body_comes_in_pieces() {
    let reply = Reply::bytes("abcdef").split([1, 2]).pace(Duration::from_millis(1));
    let (_understudy, mut client) = client_of(reply).await;
    client.some().await;
    for piece in ["a", "bc", "d", "ef"] {
        assert_eq!(client.some().await, piece);
    }
}

#[tokio::test]
async fn an_idle_connection_may_close_unannounced() {
    let (_understudy, mut client) = client_of(Reply::bytes("x").then_close_idle()).await;
    let (text, is_orderly) = client.rest().await;
    assert!(!text.contains("connection:"));
    assert!(is_orderly);
}

#[tokio::test]
async fn a_kept_connection_may_be_reset_by_the_next_request() {
    let (understudy, mut client) = client_of(Reply::bytes("x").then_drop_next()).await;
    assert_eq!(client.answer().await.text(), "x");
    client.send(GET).await;
    assert_eq!(client.rest().await, (String::new(), false));
    assert_eq!(understudy.counters().requests, 1);
}

#[tokio::test]
async fn clients_of_http_1_0_are_served() {
    let understudy = Understudy::start(Reply::stream(["data: 1\n\n"])).await.unwrap();
    let mut client = Client::new(&understudy).await;
    client.send("GET / HTTP/1.0\r\n\r\n").await;
    let (text, _) = client.rest().await;
    assert!(text.ends_with("connection: close\r\n\r\ndata: 1\n\n"), "{text}");
    assert_eq!(understudy.received()[0].version, "HTTP/1.0");
}

#[tokio::test]
async fn a_client_that_wants_to_close_may() {
    let understudy = Understudy::start(Reply::bytes("x")).await.unwrap();
    let mut client = Client::new(&understudy).await;
    client.send("GET / HTTP/1.1\r\nConnection: close\r\n\r\n").await;
    assert!(client.rest().await.0.ends_with("\r\n\r\nx"));
}

#[tokio::test]
async fn head_requests_get_no_body() {
    let understudy = Understudy::start(Reply::bytes("hello")).await.unwrap();
    let mut client = Client::new(&understudy).await;
    client.send("HEAD / HTTP/1.1\r\nconnection: close\r\n\r\n").await;
    assert!(client.rest().await.0.ends_with("content-length: 5\r\n\r\n"));
}

#[tokio::test]
async fn bytes_sent_are_counted() {
    let (understudy, mut client) = client_of(Reply::bytes("hello")).await;
    let answer = client.answer().await;
    understudy.wait_completed(1).await;
    assert_eq!(understudy.counters().bytes_sent, (answer.head.len() + 5) as u64);
}
