//! Connections from their first byte to their last.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{Response, StatusCode};
use bytes::Bytes;
use http_body::Frame;
use http_body_util::BodyExt as _;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::body::Incoming;
use super::connection::{Ended, Limits, serve};
use super::head::Refused;
use crate::http::body::read_whole;

const LIMITS: Limits = Limits {
    head: Duration::from_secs(10),
    idle: Duration::from_mins(1),
};

/// What a scripted answer sends.
#[derive(Clone)]
struct Pieces {
    left: VecDeque<Option<&'static str>>,
    /// How often it was asked.
    asked: Arc<AtomicUsize>,
}

/// `None` is an error; after the last piece it waits for ever unless that is `""`.
fn pieces(pieces: &[Option<&'static str>]) -> Pieces {
    let left = pieces.iter().copied().collect();
    let asked = Arc::default();
    Pieces { left, asked }
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        match self.left.pop_front() {
            None => Poll::Pending,
            Some(None) => Poll::Ready(Some(Err("broken"))),
            Some(Some("")) => Poll::Ready(None),
            Some(Some(piece)) => Poll::Ready(Some(Ok(Frame::data(Bytes::from(piece))))),
        }
    }
}

/// Tells when it is dropped.
struct Guard(Arc<Notify>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

/// What the answers of a test have in common.
#[derive(Clone, Default)]
struct Stage {
    streamed: Option<Pieces>,
    dropped: Arc<Notify>,
}

impl Stage {
    async fn answer(self, parts: Box<Parts>, body: Incoming) -> Response<Body> {
        let guard = Guard(self.dropped);
        let mut answer = Response::new(Body::empty());
        match parts.uri.path() {
            "/echo" => match read_whole(body, 100_000, Duration::from_secs(5)).await {
                Ok(body) => *answer.body_mut() = Body::from(body),
                Err(failure) => *answer.status_mut() = failure.status,
            },
            "/unread" => *answer.body_mut() = Body::from("unread"),
            "/hang" => {
                drop(body.collect().await);
                std::future::pending::<()>().await;
            }
            "/stream" => *answer.body_mut() = Body::new(self.streamed.unwrap()),
            "/both" => *answer.body_mut() = Body::new(body),
            "/target" => *answer.body_mut() = Body::from(parts.uri.to_string()),
            path => *answer.status_mut() = path[1..].parse().unwrap(),
        }
        drop(guard);
        answer
    }
}

fn refuse(refused: Refused) -> Response<Body> {
    let mut answer = Response::new(Body::from("no"));
    *answer.status_mut() = refused.failure().status;
    answer
}

struct Client {
    io: DuplexStream,
    serving: JoinHandle<Result<(), Ended>>,
}

impl Client {
    fn new(room: usize, stage: &Stage) -> Self {
        let (io, other) = tokio::io::duplex(room);
        let stage = stage.clone();
        let serving = tokio::spawn(async move {
            let stopping = AtomicBool::new(false);
            let answer = |parts, body| stage.clone().answer(parts, body);
            serve(other, Bytes::new(), LIMITS, &stopping, answer, refuse).await
        });
        Self { io, serving }
    }

    async fn says(&mut self, text: &str) {
        self.io.write_all(text.as_bytes()).await.unwrap();
    }

    /// The next bytes, which must be these.
    async fn hears(&mut self, expected: &str) {
        let mut heard = String::new();
        while heard != expected {
            let byte = timeout(Duration::from_secs(1), self.io.read_u8()).await;
            let Ok(Ok(byte)) = byte else {
                panic!("{byte:?} after {heard:?}, not {expected:?}")
            };
            heard.push(char::from(byte));
            heard = without_dates(&heard);
        }
    }

    /// Everything that comes until the connection ends, and how it ends.
    async fn ends(mut self) -> (String, Result<(), Ended>) {
        let mut heard = Vec::new();
        self.io.read_to_end(&mut heard).await.unwrap();
        drop(self.io);
        let heard = without_dates(&String::from_utf8_lossy(&heard));
        (heard, self.serving.await.unwrap())
    }
}

/// What is answered to a text, after which the client sends nothing more.
async fn answers(text: &str) -> String {
    let mut client = Client::new(1 << 20, &Stage::default());
    client.says(text).await;
    client.ends().await.0
}

fn without_dates(text: &str) -> String {
    let lines = text.split_inclusive("\r\n");
    lines
        .filter(|line| !(line.starts_with("date: ") && line.ends_with("GMT\r\n")))
        .collect()
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

fn last(body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
}

const BYE: &str = "GET /204 HTTP/1.1\r\nConnection: close\r\n\r\n";
const GONE: &str = "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n";

#[tokio::test(start_paused = true)]
async fn requests_are_answered_in_order() {
    let text = [
        "GET /echo HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST /echo HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello\r\n",
        "POST /echo HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n2;x\r\nab\r\n1\r\nc\r\n0\r\nTrailer: x\r\n\r\n",
        "POST /unread HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello",
        "POST /both HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
        BYE,
    ];
    let both = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n";
    let expected = [&ok(""), &ok("hello"), &ok("abc"), &ok("unread"), both, GONE].concat();
    assert_eq!(answers(&text.concat()).await, expected);
    for size in [1, 2, 7, 50] {
        let mut client = Client::new(1 << 20, &Stage::default());
        for piece in text.concat().as_bytes().chunks(size) {
            client.io.write_all(piece).await.unwrap();
            tokio::task::yield_now().await;
        }
        assert_eq!(client.ends().await.0, expected, "{size}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_large_body_arrives_whole() {
    for size in [16 * 1024, 99_999] {
        let body: String = (0..size)
            .map(|at| char::from(b'a' + u8::try_from(at % 23).unwrap()))
            .collect();
        let chunks: String = body.as_bytes().chunks(3000).fold(String::new(), |text, chunk| {
            format!("{text}{:x}\r\n{}\r\n", chunk.len(), std::str::from_utf8(chunk).unwrap())
        });
        let text = format!(
            "POST /echo HTTP/1.1\r\nContent-Length: {size}\r\n\r\n{body}POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n{BYE}"
        );
        let expected = [&ok(&body), &ok(&body), GONE].concat();
        assert!(answers(&text).await == expected);
    }
}

#[tokio::test(start_paused = true)]
async fn versions_and_methods() {
    for (text, expected) in [
        (
            "GET /echo HTTP/1.0\r\n\r\n",
            "HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n".to_owned(),
        ),
        (
            "POST /both HTTP/1.0\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nabGET /204 HTTP/1.0\r\n\r\n",
            "HTTP/1.0 200 OK\r\ncontent-length: 2\r\nconnection: keep-alive\r\n\r\nabHTTP/1.0 204 No Content\r\n\r\n"
                .to_owned(),
        ),
        (
            "HEAD /unread HTTP/1.1\r\nConnection: close\r\n\r\n",
            last("      ").trim_end_matches(' ').to_owned(),
        ),
        (
            "GET /304 HTTP/1.1\r\nConnection: close\r\n\r\n",
            "HTTP/1.1 304 Not Modified\r\nconnection: close\r\n\r\n".to_owned(),
        ),
        (
            "GET http://x/target?a=b HTTP/1.1\r\nConnection: close\r\n\r\n",
            last("http://x/target?a=b"),
        ),
        (
            "\r\n\r\nGET /target HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade, close\r\n\r\n",
            last("/target"),
        ),
    ] {
        assert_eq!(answers(text).await, expected, "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_ambiguous_is_refused_and_the_connection_ends() {
    for (head, status) in [
        ("POST /echo HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2", 400),
        ("POST /echo HTTP/1.1\r\nContent-Length: 1, 2", 400),
        ("POST /echo HTTP/1.1\r\nContent-Length: -1", 400),
        (
            "POST /echo HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked",
            400,
        ),
        (
            "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            400,
        ),
        ("POST /echo HTTP/1.1\r\nTransfer-Encoding: gzip, chunked", 400),
        ("POST /echo HTTP/1.1\r\nTransfer-Encoding: identity", 400),
        ("POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked", 400),
        ("GET /echo HTTP/1.1\r\nA: b\r\n folded", 400),
        ("GET /echo HTTP/2.0", 400),
        ("GET /a b HTTP/1.1", 400),
        ("GET nonsense:: HTTP/1.1", 400),
        ("\u{16}\u{3}\u{1}", 400),
    ] {
        let mut client = Client::new(1 << 20, &Stage::default());
        client.says(&format!("{head}\r\n\r\n{BYE}")).await;
        let (heard, ended) = client.ends().await;
        let reason = StatusCode::from_u16(status).unwrap();
        let expected = format!("HTTP/1.1 {reason}\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno");
        assert_eq!(heard, expected, "{head}");
        assert!(matches!(ended, Err(Ended::Refused(_))), "{ended:?}");
    }
    // It does not matter in which pieces it comes, nor whether it ever ends.
    let mut client = Client::new(1 << 20, &Stage::default());
    client.says("!!#").await;
    tokio::task::yield_now().await;
    client.says("!\u{13440}").await;
    assert!(client.ends().await.0.starts_with("HTTP/1.1 400 "));
    for head in [
        format!("GET / HTTP/1.1{}", "\r\na: b".repeat(101)),
        "GET / HTTP/1.1\r\na: ".to_owned() + &"b".repeat(100_000),
    ] {
        let mut client = Client::new(1 << 20, &Stage::default());
        client.says(&format!("{head}\r\n\r\n")).await;
        let (heard, ended) = client.ends().await;
        assert!(heard.starts_with("HTTP/1.1 431 "), "{heard}");
        assert!(matches!(ended, Err(Ended::Refused(Refused::TooLarge))), "{ended:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_waits_for_a_word_gets_it_when_the_body_is_wanted() {
    let mut client = Client::new(1 << 20, &Stage::default());
    let head = "HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-Continue\r\n\r\n";
    client.says(&format!("POST /echo {head}")).await;
    client.hears("HTTP/1.1 100 Continue\r\n\r\n").await;
    client.says("ab").await;
    client.hears(&ok("ab")).await;
    // One that does not wait for it does not need it.
    client.says(&format!("POST /echo {head}ab")).await;
    client.hears(&ok("ab")).await;
    // Whether the body comes nobody knows.
    client.says(&format!("POST /unread {head}")).await;
    assert_eq!(client.ends().await.0, last("unread"));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_nobody_wanted_is_read_within_bounds() {
    let mut client = Client::new(1 << 20, &Stage::default());
    client
        .says("POST /unread HTTP/1.1\r\nContent-Length: 60000\r\n\r\n")
        .await;
    client.hears(&ok("unread")).await;
    client.says(&"x".repeat(60_000)).await;
    client
        .says("POST /unread HTTP/1.1\r\nContent-Length: 70000\r\n\r\nxx")
        .await;
    client.hears(&last("unread")).await;
    // The client can still write, and read the answer, for a while.
    client.says(&"x".repeat(60_000)).await;
    let begun = Instant::now();
    assert!(matches!(client.ends().await, (heard, Ok(())) if heard.is_empty()));
    assert!(begun.elapsed() < Duration::from_secs(5));

    let mut client = Client::new(1 << 20, &Stage::default());
    client
        .says("POST /unread HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await;
    client.hears(&ok("unread")).await;
    client
        .says(&format!("11000\r\n{}\r\n0\r\n\r\n{BYE}", "x".repeat(0x11000)))
        .await;
    assert_eq!(client.ends().await.0, "");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_goes_away_takes_its_request_with_it() {
    for head in [
        "GET /hang HTTP/1.1\r\n\r\n",
        "POST /hang HTTP/1.1\r\nContent-Length: 2\r\n\r\n",
    ] {
        let stage = Stage::default();
        let mut client = Client::new(1 << 20, &stage);
        client.says(head).await;
        if head.starts_with("POST") {
            tokio::task::yield_now().await;
            client.says("ab").await;
        }
        tokio::task::yield_now().await;
        drop(client.io);
        timeout(Duration::from_secs(1), stage.dropped.notified()).await.unwrap();
        assert!(matches!(client.serving.await.unwrap(), Err(Ended::Gone)));
    }
    let stage = Stage {
        streamed: Some(pieces(&[Some("a")])),
        ..Stage::default()
    };
    let mut client = Client::new(1 << 20, &stage);
    client.says("GET /stream HTTP/1.1\r\n\r\n").await;
    client
        .hears("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n")
        .await;
    drop(client.io);
    let ended = timeout(Duration::from_secs(1), client.serving).await;
    assert!(matches!(ended.unwrap().unwrap(), Err(Ended::Gone)));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_breaks_off_does_not_look_whole() {
    let stage = Stage {
        streamed: Some(pieces(&[Some("a"), None])),
        ..Stage::default()
    };
    let mut client = Client::new(1 << 20, &stage);
    client.says(&format!("GET /stream HTTP/1.1\r\n\r\n{BYE}")).await;
    let (heard, ended) = client.ends().await;
    assert_eq!(heard, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n");
    assert!(matches!(ended, Err(Ended::Broken(_))), "{ended:?}");
}

#[tokio::test(start_paused = true)]
async fn no_more_is_asked_for_than_the_client_takes() {
    let large: &'static str = String::leak("x".repeat(5000));
    let streamed = pieces(&[Some(large); 50]);
    let stage = Stage {
        streamed: Some(streamed.clone()),
        ..Stage::default()
    };
    let mut client = Client::new(1000, &stage);
    client.says("GET /stream HTTP/1.1\r\n\r\n").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(streamed.asked.load(Ordering::Relaxed), 1);
    let mut read = vec![0; 12_000];
    client.io.read_exact(&mut read).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(streamed.asked.load(Ordering::Relaxed), 3);
}

#[tokio::test(start_paused = true)]
async fn connections_do_not_wait_for_ever() {
    for (text, limit) in [("", LIMITS.idle), ("\r\n", LIMITS.idle), ("GET / HT", LIMITS.head)] {
        let mut client = Client::new(1 << 20, &Stage::default());
        // Each request has all the time.
        for _ in 0..3 {
            tokio::time::sleep(LIMITS.idle * 9 / 10).await;
            client.says("GET /echo HTTP/1.1\r\n\r\n").await;
            client.hears(&ok("")).await;
        }
        let begun = Instant::now();
        client.says(text).await;
        let (heard, ended) = client.ends().await;
        assert_eq!(heard, "");
        assert!(matches!(ended, Err(Ended::Late)), "{ended:?}");
        assert_eq!(begun.elapsed().as_secs(), limit.as_secs(), "{text:?}");
    }
    // A body that stops coming is the business of the one who reads it.
    let mut client = Client::new(1 << 20, &Stage::default());
    client.says("POST /echo HTTP/1.1\r\nContent-Length: 9\r\n\r\nab").await;
    let (heard, _) = client.ends().await;
    assert!(heard.starts_with("HTTP/1.1 408 "), "{heard}");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_no_body_ends_the_connection() {
    for text in ["2\r\nabc\r\n", "x", "2\r\nab\r\n0\r\nx"] {
        let mut client = Client::new(1 << 20, &Stage::default());
        client
            .says(&format!(
                "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{text}\r\n\r\r{BYE}"
            ))
            .await;
        let (heard, _) = client.ends().await;
        assert!(
            heard.starts_with("HTTP/1.1 400 ") && heard.contains("connection: close"),
            "{heard}"
        );
        assert!(!heard.contains("204"), "{heard}");
    }
}

#[tokio::test(start_paused = true)]
async fn when_the_gateway_stops_what_is_under_way_is_answered() {
    for (text, expected) in [
        ("", String::new()),
        ("GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n", last("done")),
    ] {
        let (mut io, other) = tokio::io::duplex(1 << 16);
        let (stopping, released) = (AtomicBool::new(false), Notify::new());
        let answer = |_, _| async {
            released.notified().await;
            Response::new(Body::from("done"))
        };
        let client = async {
            io.write_all(text.as_bytes()).await.unwrap();
            tokio::time::sleep(Duration::from_secs(1)).await;
            stopping.store(true, Ordering::Relaxed);
            released.notify_one();
            let mut heard = String::new();
            io.read_to_string(&mut heard).await.unwrap();
            drop(io);
            without_dates(&heard)
        };
        let (ended, heard) = tokio::join!(serve(other, Bytes::new(), LIMITS, &stopping, answer, refuse), client);
        assert!(ended.is_ok(), "{ended:?}");
        assert_eq!(heard, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_outlives_its_request_without_harm() {
    let kept = Arc::new(std::sync::Mutex::new(Vec::new()));
    let (mut io, other) = tokio::io::duplex(1 << 16);
    let keeping = kept.clone();
    let serving = tokio::spawn(async move {
        let answer = |_, body: Incoming| {
            keeping.lock().unwrap().push(body);
            async { Response::new(Body::empty()) }
        };
        serve(other, Bytes::new(), LIMITS, &AtomicBool::new(false), answer, refuse).await
    });
    let head = "POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\n";
    io.write_all(format!("{head}ab").as_bytes()).await.unwrap();
    tokio::task::yield_now().await;
    io.write_all(format!("cd{head}ef").as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1)).await;
    let first = kept.lock().unwrap().remove(0);
    assert!(first.collect().await.is_err());
    drop(io);
    serving.await.unwrap().unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nothing_that_comes_does_harm(
        text in "((GET|POST) /(echo|unread|204) HTTP/1\\.[01]\r\n((content-length|transfer-encoding|connection|x): ?(3|0|chunked|close|\\PC{0,3})\r\n){0,3}\r\n(3\r\nabc\r\n|0\r\n\r\n|abc|\\PC{0,5}){0,2}){1,4}",
        size in 1..60_usize,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let whole = answers(&text).await;
            let mut client = Client::new(1 << 20, &Stage::default());
            for piece in text.as_bytes().chunks(size) {
                if client.io.write_all(piece).await.is_err() {
                    break;
                }
                tokio::task::yield_now().await;
            }
            let split = client.ends().await.0;
            prop_assert_eq!(whole, split);
            Ok(())
        })?;
    }
}
