//! What came in is recorded byte by byte.
#![cfg(test)]

mod support;

use bytes::Bytes;
use mynah_understudy::{Outcome, Reading, Reply, Rule, Understudy};
use serde_json::json;
use support::Client;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

#[tokio::test]
async fn a_request_is_recorded_as_it_stood() {
    let understudy = Understudy::start(Reply::default()).await.unwrap();
    let mut client = Client::new(&understudy).await;
    client
        .send(b"PATCH /a%2Fb?q=1 HTTP/1.1\r\nX-Odd-SPELLING: \xe9\xff\r\nhost: h\r\nx-odd-spelling: 2\r\n")
        .await;
    client
        .send(b"transfer-encoding: chunked\r\n\r\n3\r\na\x00b\r\n2;e=1\r\ncd\r\n0\r\n\r\n")
        .await;
    client.answer().await;

    let received = &understudy.wait_received(1).await[0];
    assert_eq!(
        (&received.method[..], &received.target[..], received.version),
        ("PATCH", "/a%2Fb?q=1", "HTTP/1.1")
    );
    let headers: Vec<(&str, &[u8])> = received
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_ref()))
        .collect();
    assert_eq!(
        headers,
        [
            ("X-Odd-SPELLING", &b"\xe9\xff"[..]),
            ("host", b"h"),
            ("x-odd-spelling", b"2"),
            ("transfer-encoding", b"chunked"),
        ]
    );
    assert_eq!(received.body, Bytes::from_static(b"a\x00bcd"));
    assert!(received.body_complete);
    assert_eq!((received.path(), received.query()), ("/a%2Fb", Some("q=1")));
    assert_eq!(received.header_values("X-ODD-spelling").count(), 2);
}

#[tokio::test]
async fn reuse_of_a_connection_shows() {
    let understudy = Understudy::start(Reply::bytes("x")).await.unwrap();
    let mut first = Client::new(&understudy).await;
    first.get("/1").await;
    first.get("/2").await;
    Client::new(&understudy).await.get("/3").await;
    let connections: Vec<u64> = understudy
        .received()
        .iter()
        .map(|received| received.connection)
        .collect();
    assert_eq!(connections, [1, 1, 2]);
    assert_eq!(understudy.counters().connections, 2);
    understudy.wait_completed(3).await;
}

#[tokio::test]
async fn requests_may_be_sent_ahead() {
    let understudy = Understudy::start([Reply::bytes("1"), Reply::bytes("2")]).await.unwrap();
    let mut client = Client::new(&understudy).await;
    client.send("GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n").await;
    assert_eq!(client.answer().await.text(), "1");
    assert_eq!(client.answer().await.text(), "2");
}

#[tokio::test]
async fn a_client_that_hangs_up_is_noticed_at_once() {
    let understudy = Understudy::start(Reply::hang()).await.unwrap();
    let mut client = Client::new(&understudy).await;
    client.send("GET / HTTP/1.1\r\n\r\n").await;
    assert_eq!(understudy.wait_received(1).await[0].outcome, Outcome::Open);
    drop(client);
    understudy.wait_aborted(1).await;
    assert_eq!(understudy.received()[0].outcome, Outcome::Aborted);
    assert_eq!(understudy.counters().completed, 0);
}

#[tokio::test]
async fn a_client_that_hangs_up_in_its_body_is_noticed() {
    let understudy = Understudy::start(Reply::default()).await.unwrap();
    let mut client = Client::new(&understudy).await;
    client.send("POST / HTTP/1.1\r\ncontent-length: 10\r\n\r\n12345").await;
    understudy.wait_until(|counters| counters.heads == 1).await;
    drop(client);
    understudy.wait_aborted(1).await;
    let received = &understudy.received()[0];
    assert_eq!((&received.body[..], received.body_complete), (&b"12345"[..], false));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_hangs_up_between_events_is_noticed() {
    let hour = std::time::Duration::from_hours(1);
    let understudy = Understudy::start(Reply::stream(["a", "b"]).head_then_wait(hour).pace(hour))
        .await
        .unwrap();
    let mut client = Client::new(&understudy).await;
    client.send("GET / HTTP/1.1\r\n\r\n").await;
    client.some().await;
    drop(client);
    understudy.wait_aborted(1).await;
}

#[tokio::test]
async fn a_body_that_is_not_read_presses_back() {
    let rule = Rule::any().reading(Reading::UpTo(0)).reply(Reply::hang());
    let understudy = Understudy::builder()
        .receive_buffer(4096)
        .script(rule)
        .start()
        .await
        .unwrap();
    let client = TcpStream::connect(understudy.address()).await.unwrap();
    client
        .try_write(b"POST / HTTP/1.1\r\ncontent-length: 1000000000\r\n\r\n")
        .unwrap();
    understudy.wait_received(1).await;
    assert!(!understudy.received()[0].body_complete);
    // The buffers of both sides fill up, and then nothing more is taken.
    let mut written = 0;
    while let Ok(count) = client.try_write(&[0; 8192]) {
        written += count;
        assert!(written < 100_000_000, "somebody reads this");
    }
}

#[tokio::test]
async fn a_body_may_be_left_unread_behind_a_reply() {
    let rule = Rule::any().reading(Reading::UpTo(3)).reply(Reply::status(413));
    let understudy = Understudy::start(rule).await.unwrap();
    let mut client = Client::new(&understudy).await;
    client
        .send("POST / HTTP/1.1\r\ncontent-length: 10\r\n\r\n1234567890")
        .await;
    assert_eq!(client.answer().await.status, 413);
    assert_eq!(client.rest().await, (String::new(), true));
    assert_eq!(&understudy.received()[0].body[..], b"123");
}

#[tokio::test(start_paused = true)]
async fn a_body_may_be_read_slowly() {
    let every = std::time::Duration::from_secs(1);
    let rule = Rule::any()
        .reading(Reading::Slowly { bytes: 10, every })
        .reply(Reply::default());
    let understudy = Understudy::start(rule).await.unwrap();
    let mut client = Client::new(&understudy).await;
    let begin = tokio::time::Instant::now();
    client.send("POST / HTTP/1.1\r\ncontent-length: 100\r\n\r\n").await;
    understudy.wait_until(|counters| counters.heads == 1).await;
    client.send([b'x'; 100]).await;
    client.answer().await;
    assert!(begin.elapsed() >= every * 10);
    assert_eq!(understudy.received()[0].body.len(), 100);
}

#[tokio::test]
async fn expectations_are_met() {
    let understudy = Understudy::start(Reply::bytes("done")).await.unwrap();
    let mut client = Client::new(&understudy).await;
    client
        .send("POST / HTTP/1.1\r\ncontent-length: 2\r\nexpect: 100-continue\r\n\r\n")
        .await;
    assert_eq!(client.some().await, "HTTP/1.1 100 Continue\r\n\r\n");
    client.send("ok").await;
    assert_eq!(client.answer().await.text(), "done");
}

#[tokio::test]
async fn what_is_no_request_is_refused() {
    let understudy = Understudy::start(Reply::default()).await.unwrap();
    let mut client = Client::new(&understudy).await;
    client.send("nonsense\r\n\r\n").await;
    assert!(client.rest().await.0.starts_with("HTTP/1.1 400 "));
    assert!(understudy.received().is_empty());
}

#[tokio::test]
async fn clearing_begins_anew() {
    let understudy = Understudy::start(Reply::default()).await.unwrap();
    let mut client = Client::new(&understudy).await;
    client.get("/").await;
    understudy.wait_completed(1).await;
    understudy.clear();
    assert!(understudy.received().is_empty());
    client.get("/").await;
    assert_eq!(understudy.wait_received(1).await[0].number, 2);
}

#[tokio::test]
async fn nothing_is_kept_without_a_record() {
    let understudy = Understudy::builder().without_record().start().await.unwrap();
    Client::new(&understudy).await.get("/").await;
    assert!(understudy.wait_received(1).await.is_empty());
}

#[tokio::test]
async fn dropping_it_closes_everything() {
    let understudy = Understudy::start(Reply::hang()).await.unwrap();
    let address = understudy.address();
    let mut client = Client::new(&understudy).await;
    client.send("GET / HTTP/1.1\r\n\r\n").await;
    understudy.wait_received(1).await;
    drop(understudy);
    assert!(TcpStream::connect(address).await.is_err());
    let mut byte = [0];
    assert!(matches!(client.stream.read(&mut byte).await, Ok(0) | Err(_)));
}

#[tokio::test]
async fn the_record_can_be_had_over_http() {
    let understudy = Understudy::builder().with_control().start().await.unwrap();
    let mut client = Client::new(&understudy).await;
    client
        .post(
            "/v1/chat/completions",
            &json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]}),
        )
        .await;
    client.post_bytes("/x", "application/octet-stream", b"\xff").await;
    let seen = client.get("/__understudy/received").await.json();
    assert_eq!(seen[0]["target"], "/v1/chat/completions");
    assert_eq!(seen[0]["headers"][0], json!(["host", "x"]));
    assert!(seen[0]["body_text"].as_str().unwrap().contains("\"hi\""));
    assert_eq!(seen[1]["body_base64"], "/w==");
    client.send("DELETE /__understudy/received HTTP/1.1\r\n\r\n").await;
    assert_eq!(client.answer().await.status, 204);
    assert!(understudy.received().is_empty());
    assert_eq!(client.get("/__understudy/counters").await.json()["requests"], 0);
}

#[tokio::test]
async fn the_script_can_be_changed_over_http() {
    let understudy = Understudy::builder().with_control().start().await.unwrap();
    let mut client = Client::new(&understudy).await;
    let put = |script: &str| {
        format!(
            "PUT /__understudy/script HTTP/1.1\r\ncontent-length: {}\r\n\r\n{script}",
            script.len()
        )
    };
    client.send(put("[[rule]]\nreplies = [{ status = 418 }]")).await;
    assert_eq!(client.answer().await.status, 204);
    assert_eq!(client.get("/").await.status, 418);
    client.send(put("[[rule]]\nrepliez = []")).await;
    let refused = client.answer().await;
    assert_eq!(refused.status, 400);
    assert!(refused.text().contains("repliez"), "{}", refused.text());
}

#[tokio::test]
async fn observers_see_each_request() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let observer = move |received: &mynah_understudy::Received| sender.send(received.target.clone()).unwrap();
    let understudy = Understudy::builder().observe(observer).start().await.unwrap();
    Client::new(&understudy).await.get("/seen").await;
    assert_eq!(receiver.recv().unwrap(), "/seen");
}
