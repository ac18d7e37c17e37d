//! Nothing that a client sends, or does not send, takes the gateway down or ties it up.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing helper is a failing test"
)]

mod support;

use mynah_understudy::{Reading, Reply, Rule, Understudy};
use support::{Gateway, Request, read_reply};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

async fn up(server: &str) -> (Understudy, Gateway) {
    let understudy = Understudy::start(Reply::json(&serde_json::json!({"ok": 1})))
        .await
        .unwrap();
    let gateway = Gateway::start(&format!(
        "[server]\n{server}\n[providers.up]\nbase_url = '{}'\nmodels = ['m']\n",
        understudy.url()
    ));
    (understudy, gateway)
}

#[tokio::test]
async fn every_error_is_json_in_the_callers_dialect() {
    let (_understudy, gateway) = up("").await;
    for (request, status, code) in [
        (Request::new("GET", "/"), 200, ""),
        (Request::new("GET", "/nothing"), 404, "unknown_url"),
        (Request::new("GET", "/v1/nothing"), 404, "unknown_url"),
        (
            Request::new("POST", "/v1/chat/completion").body(b"{}"),
            404,
            "unknown_url",
        ),
        (Request::new("GET", "/v1/chat/completions"), 405, "method_not_supported"),
        (
            Request::new("PUT", "/v1/embeddings").body(b"{}"),
            405,
            "method_not_supported",
        ),
        (
            Request::new("POST", "/v1/models").body(b"{}"),
            405,
            "method_not_supported",
        ),
        (Request::new("POST", "/health").body(b"{}"), 405, "method_not_supported"),
        (Request::chat(""), 400, "invalid_body"),
        (Request::chat("[]"), 400, "invalid_body"),
        (Request::chat("{\"model\":\"m\","), 400, "invalid_body"),
        (Request::chat("{\"model\":7}"), 400, "invalid_body"),
        (Request::chat("{}"), 200, ""),
        (Request::chat("{\"model\":\"unknown\"}"), 404, "model_not_found"),
        (
            Request::chat("{\"model\":\"m\"}").header("content-encoding", "br"),
            415,
            "unsupported_encoding",
        ),
        (
            Request::post("/v1/images/generations", "{\"model\":\"mynah/echo\"}"),
            400,
            "unsupported_operation",
        ),
        (Request::new("GET", "/v1/models/unknown"), 404, "model_not_found"),
        (Request::new("GET", "/v1/models/%ff"), 400, "invalid_path"),
        (
            Request::new("POST", "/v1/audio/translations")
                .header("content-type", "multipart/form-data; boundary=x")
                .body(b"--y"),
            400,
            "invalid_body",
        ),
    ] {
        let reply = gateway.send(&request).await;
        assert_eq!(reply.status, status, "{}", reply.text());
        assert_eq!(reply.header("content-type"), Some("application/json"));
        assert!(reply.header("x-request-id").is_some());
        if status != 200 {
            assert_eq!(reply.error_code(), code);
        }
        if status == 405 {
            assert!(reply.header("allow").is_some());
        }
    }
}

#[tokio::test]
async fn a_typo_gets_a_hint() {
    let (_understudy, gateway) = up("").await;
    let reply = gateway.chat(r#"{"model":"mynah/ehco"}"#).await;
    assert_eq!(reply.status, 404);
    let long = gateway
        .chat(&format!(r#"{{"model":"{}"}}"#, "x".repeat(1_000_000)))
        .await;
    assert_eq!(long.status, 404);
    assert!(long.body.len() < 1000);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused() {
    let (understudy, gateway) = up("max_body = '1KiB'\nmax_upload = '2KiB'").await;
    let announced = gateway
        .chat(&format!(r#"{{"model":"m","x":"{}"}}"#, "x".repeat(1024)))
        .await;
    assert_eq!(
        (announced.status, announced.error_code().as_str()),
        (413, "request_too_large")
    );

    let mut stream = gateway.connect().await;
    stream
        .write_all(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
        .await
        .unwrap();
    for _ in 0..5 {
        let _ = stream
            .write_all(&[b"100\r\n", "x".repeat(256).as_bytes(), b"\r\n"].concat())
            .await;
    }
    assert_eq!(read_reply(&mut stream).await.unwrap().status, 413);

    let upload = gateway
        .send(&Request::new("POST", "/v1/files").body(&[b'x'; 2049]))
        .await;
    assert_eq!(upload.status, 413);
    assert_eq!(
        gateway
            .send(&Request::new("POST", "/v1/files").body(&[b'x'; 2048]))
            .await
            .status,
        200
    );
    assert_eq!(understudy.received().len(), 1);

    let mut stream = gateway.connect().await;
    stream
        .write_all(b"POST /v1/files HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
        .await
        .unwrap();
    for _ in 0..9 {
        let _ = stream
            .write_all(&[b"100\r\n", "x".repeat(256).as_bytes(), b"\r\n"].concat())
            .await;
    }
    assert_eq!(read_reply(&mut stream).await.unwrap().status, 413);
}

#[tokio::test]
async fn a_head_that_does_not_come_is_given_up() {
    let (_understudy, gateway) = up("header_timeout = '200ms'\nkeep_alive = '10m'").await;
    let mut stream = gateway.connect().await;
    stream
        .write_all(b"POST /v1/chat/completions HTTP/1.1\r\nx-slow: ")
        .await
        .unwrap();
    let mut rest = Vec::new();
    // The connection ends, with or without an answer.
    let _ = tokio::time::timeout(support::PATIENCE, stream.read_to_end(&mut rest))
        .await
        .expect("closed in time");
    // One that is merely idle stays.
    let mut idle = gateway.connect().await;
    for _ in 0..2 {
        idle.write_all(&Request::new("GET", "/health").bytes()).await.unwrap();
        assert_eq!(read_reply(&mut idle).await.unwrap().status, 200);
        tokio::time::sleep(std::time::Duration::from_millis(400)).await;
    }
    idle.write_all(&Request::new("GET", "/health").bytes()).await.unwrap();
    assert_eq!(read_reply(&mut idle).await.unwrap().status, 200);
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_its_time() {
    let (_understudy, gateway) = up("keep_alive = '200ms'").await;
    let mut stream = gateway.connect().await;
    stream.write_all(&Request::new("GET", "/health").bytes()).await.unwrap();
    assert_eq!(read_reply(&mut stream).await.unwrap().status, 200);
    let mut rest = Vec::new();
    let _ = tokio::time::timeout(support::PATIENCE, stream.read_to_end(&mut rest))
        .await
        .expect("closed in time");
    assert!(rest.is_empty());
}

#[tokio::test]
async fn a_body_that_stops_coming_is_given_up() {
    let (understudy, gateway) = up("body_timeout = '200ms'").await;
    let mut stream = gateway.connect().await;
    stream
        .write_all(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{\"model\"")
        .await
        .unwrap();
    let reply = read_reply(&mut stream).await.unwrap();
    assert_eq!((reply.status, reply.error_code().as_str()), (408, "request_timeout"));
    assert_eq!(understudy.received().len(), 0);
}

#[tokio::test]
async fn requests_at_a_time_are_bounded() {
    let understudy = Understudy::start(Reply::hang()).await.unwrap();
    let gateway = Gateway::start(&format!(
        "[server]\nmax_requests = 2\n[providers.up]\nbase_url = '{}'\nmodels = ['m']\n",
        understudy.url()
    ));
    let mut streams = Vec::new();
    for _ in 0..2 {
        let mut stream = gateway.connect().await;
        stream
            .write_all(&Request::chat(r#"{"model":"m"}"#).bytes())
            .await
            .unwrap();
        streams.push(stream);
    }
    understudy.wait_received(2).await;
    let reply = gateway.chat(r#"{"model":"m"}"#).await;
    assert_eq!((reply.status, reply.error_code().as_str()), (503, "server_overloaded"));
    assert_eq!(reply.header("retry-after"), Some("1"));
    // A place is free again when a caller goes away.
    drop(streams);
    understudy.wait_aborted(2).await;
    understudy.set_script(Reply::json(&serde_json::json!({})));
    assert_eq!(gateway.chat(r#"{"model":"m"}"#).await.status, 200);
}

#[tokio::test]
async fn what_is_no_request_gets_an_error_and_ends_the_connection() {
    let (understudy, gateway) = up("").await;
    let post = "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n";
    let hidden = "GET /hidden HTTP/1.1\r\nhost: x\r\n\r\n";
    let large = format!("x: {}\r\n", "x".repeat(70_000));
    let many = "x: y\r\n".repeat(101);
    for (head, status, code) in [
        ("GET / HTTP/9.9\r\n", 400, "invalid_request"),
        ("GET /a b HTTP/1.1\r\n", 400, "invalid_request"),
        (&format!("{post}x: y\r\n z\r\n"), 400, "invalid_request"),
        (&format!("{post}x : y\r\n"), 400, "invalid_request"),
        (&format!("{post}x: a\rb\r\n"), 400, "invalid_request"),
        (
            &format!("{post}content-length: 5\r\ncontent-length: 6\r\n"),
            400,
            "invalid_request",
        ),
        (&format!("{post}content-length: +5\r\n"), 400, "invalid_request"),
        (
            &format!("{post}content-length: 5\r\ntransfer-encoding: chunked\r\n"),
            400,
            "invalid_request",
        ),
        (
            &format!("{post}transfer-encoding: x, chunked\r\n"),
            400,
            "invalid_request",
        ),
        (&format!("{post}{large}"), 431, "request_head_too_large"),
        (&format!("{post}{many}"), 431, "request_head_too_large"),
    ] {
        let mut stream = gateway.connect().await;
        stream
            .write_all(format!("{head}\r\n{hidden}").as_bytes())
            .await
            .unwrap();
        let reply = read_reply(&mut stream).await.unwrap();
        let head: String = head.chars().take(200).collect();
        assert_eq!((reply.status, reply.error_code().as_str()), (status, code), "{head}");
        assert_eq!(reply.header("connection"), Some("close"));
        assert!(reply.header("x-request-id").is_some());
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        assert!(rest.is_empty(), "{head}");
    }
    assert_eq!(understudy.received().len(), 0);
}

#[tokio::test]
async fn a_chunk_of_nonsense_is_told_from_a_request() {
    let (understudy, gateway) = up("").await;
    let body = r#"{"model":"m"}"#;
    for size in ["xx", "-d", "0xd", "d d", "10000000000000000d", "d\n"] {
        let mut stream = gateway.connect().await;
        let text = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n{size}\r\n{body}\r\n0\r\n\r\n"
        );
        stream.write_all(text.as_bytes()).await.unwrap();
        let reply = read_reply(&mut stream).await.unwrap();
        assert_eq!(
            (reply.status, reply.error_code().as_str()),
            (400, "invalid_body"),
            "{size}"
        );
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        assert!(rest.is_empty(), "{size}");
    }
    assert_eq!(understudy.received().len(), 0);
}

#[tokio::test]
async fn garbage_on_the_wire_does_no_harm() {
    let (_understudy, gateway) = up("").await;
    for garbage in [
        b"\x16\x03\x01\x02\x00\x01\x00".as_slice(),
        b"GET",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nZZ\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00garbage",
    ] {
        let mut stream = gateway.connect().await;
        stream.write_all(garbage).await.unwrap();
        drop(stream);
        assert_eq!(gateway.get("/health").await.status, 200);
    }
    let nested = format!(r#"{{"model":"m","x":{}}}"#, "[".repeat(500_000));
    assert_eq!(gateway.chat(&nested).await.status, 400);
}

#[tokio::test]
async fn a_request_that_comes_back_is_stopped() {
    let directory = tempfile::tempdir().unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let config = format!(
        "[server]\nlisten = '127.0.0.1:{port}'\n[providers.me]\nbase_url = 'http://127.0.0.1:{port}/v1'\nmodels = ['me/m']\n[models.m]\ntargets = ['me/m']\n"
    );
    std::fs::write(directory.path().join("mynah.toml"), config).unwrap();
    let gateway = Gateway::start_in(directory, &[]);
    let reply = gateway.chat(r#"{"model":"me/m"}"#).await;
    assert_eq!((reply.status, reply.error_code().as_str()), (508, "loop_detected"));
}

#[tokio::test]
async fn a_request_that_goes_round_through_another_gateway_is_stopped() {
    let directory = tempfile::tempdir().unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let other = Gateway::start(&format!(
        "[providers.b]\nbase_url = 'http://127.0.0.1:{port}/v1'\nmodels = []\n"
    ));
    let config = format!(
        "[server]\nlisten = '127.0.0.1:{port}'\n[providers.a]\nbase_url = 'http://{}'\nmodels = []\n[models.'x']\ntargets = ['a/b/x']\n",
        other.address
    );
    std::fs::write(directory.path().join("mynah.toml"), config).unwrap();
    let gateway = Gateway::start_in(directory, &[]);
    let reply = gateway.chat(r#"{"model":"x"}"#).await;
    assert_eq!((reply.status, reply.error_code().as_str()), (508, "loop_detected"));
}

#[tokio::test]
async fn request_ids_are_kept_when_they_are_sane() {
    let (_understudy, gateway) = up("").await;
    let with = |id: &str| Request::chat(r#"{"model":"mynah/echo"}"#).header("x-request-id", id);
    assert_eq!(
        gateway.send(&with("abc-123")).await.header("x-request-id"),
        Some("abc-123")
    );
    for id in ["", "a b", "<script>", &"x".repeat(500)] {
        let reply = gateway.send(&with(id)).await;
        assert_eq!(reply.header("x-request-id").unwrap().len(), 36, "{id}");
    }
}

#[tokio::test]
async fn an_upload_is_not_read_faster_than_the_provider_takes_it() {
    let script = Rule::any().reading(Reading::UpTo(0)).reply(Reply::hang());
    let understudy = Understudy::builder()
        .receive_buffer(64 * 1024)
        .script(script)
        .start()
        .await
        .unwrap();
    let gateway = Gateway::start(&format!(
        "[providers.up]\nbase_url = '{}'\nmodels = []\n",
        understudy.url()
    ));
    let mut stream = gateway.connect().await;
    let size = 512 * 1024 * 1024_usize;
    stream
        .write_all(format!("POST /v1/files HTTP/1.1\r\nhost: x\r\ncontent-length: {size}\r\n\r\n").as_bytes())
        .await
        .unwrap();
    let piece = vec![b'x'; 1024 * 1024];
    let mut taken = 0;
    while taken < size
        && tokio::time::timeout(std::time::Duration::from_millis(500), stream.write_all(&piece))
            .await
            .is_ok_and(|r| r.is_ok())
    {
        taken += piece.len();
    }
    assert!(
        taken < size / 4,
        "{taken} bytes were taken for a provider that reads nothing"
    );
}

#[tokio::test]
async fn a_name_of_a_model_cannot_forge_a_line_of_the_log() {
    let gateway =
        Gateway::start("[routing]\nretries = 0\n[providers.up]\nbase_url = 'http://127.0.0.1:1'\nmodels = []\n");
    let body = r#"{"model":"up/x\n2026-01-01T00:00:00Z  INFO client=\"admin\"\u001b[2J\u009b"}"#;
    assert_eq!(gateway.chat(body).await.status, 502);
    gateway.printed(" failed ").await;
    let printed = gateway.printed.lock().unwrap();
    let told = r#"reason="up/x\n2026-01-01T00:00:00Z  INFO client=\"admin\"\u{1b}[2J\u{9b} did not answer"#;
    assert!(printed.contains(told), "{printed}");
    assert!(printed.lines().all(|line| !line.starts_with("2026-01-01")), "{printed}");
}
