//! TLS, and HTTP/2 in clear and over TLS.
#![cfg(test)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::SendRequest;
use hyper_util::client::legacy::Client as PooledClient;
use hyper_util::rt::{TokioExecutor, TokioIo};
use mynah_understudy::{Outcome, Reply, Rule, Script, Understudy};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use support::Client;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

struct Certificate {
    certificate: String,
    key: String,
}

fn certificate() -> Certificate {
    let made = rcgen::generate_simple_self_signed(["fake.test".to_owned()]).unwrap();
    Certificate {
        certificate: made.cert.pem(),
        key: made.signing_key.serialize_pem(),
    }
}

async fn secure(script: impl Into<Script>, protocol: &[u8]) -> (Understudy, TlsStream<TcpStream>) {
    let Certificate { certificate, key } = certificate();
    let understudy = Understudy::builder()
        .tls(&certificate, key)
        .script(script)
        .start()
        .await
        .unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    let stream = TcpStream::connect(understudy.address()).await.unwrap();
    let name = ServerName::try_from("fake.test").unwrap();
    let stream = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
        .unwrap();
    (understudy, stream)
}

async fn http2(stream: impl hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static) -> SendRequest<Full<Bytes>> {
    let (sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream)
        .await
        .unwrap();
    tokio::spawn(connection);
    sender
}

async fn clear(script: impl Into<Script>) -> (Understudy, SendRequest<Full<Bytes>>) {
    let understudy = Understudy::start(script).await.unwrap();
    let stream = TcpStream::connect(understudy.address()).await.unwrap();
    (understudy, http2(TokioIo::new(stream)).await)
}

fn post(body: &'static str) -> Request<Full<Bytes>> {
    Request::post("http://fake.test/v1/x?q=1")
        .header("X-Team", "blue")
        .body(Full::from(body))
        .unwrap()
}

async fn text(response: Response<Incoming>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

#[tokio::test]
async fn http_1_1_is_served_over_tls() {
    let (understudy, stream) = secure(Reply::bytes("secret"), b"http/1.1").await;
    assert!(understudy.url().starts_with("https://127.0.0.1:"));
    let mut client = Client::over(stream);
    assert_eq!(client.get("/").await.text(), "secret");
    let received = &understudy.received()[0];
    assert!(received.tls);
    assert_eq!(received.server_name.as_deref(), Some("fake.test"));
    assert_eq!(received.version, "HTTP/1.1");
}

#[tokio::test]
async fn resets_work_over_tls() {
    let (_understudy, stream) = secure(Reply::reset(), b"http/1.1").await;
    let mut client = Client::over(stream);
    client.send("GET / HTTP/1.1\r\n\r\n").await;
    assert_eq!(client.rest().await, (String::new(), false));
}

#[tokio::test]
async fn http_2_is_served_over_tls() {
    let (understudy, stream) = secure(Reply::bytes("secret"), b"h2").await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let mut client = http2(TokioIo::new(stream)).await;
    assert_eq!(text(client.send_request(post("hi")).await.unwrap()).await, "secret");
    assert!(understudy.received()[0].tls);
}

#[tokio::test]
async fn http_2_is_not_offered_if_it_is_not_wanted() {
    let Certificate { certificate, key } = certificate();
    let understudy = Understudy::builder().tls(certificate, key).http1_only().start().await;
    assert!(understudy.is_ok());
    let clear = Understudy::builder().http1_only().start().await.unwrap();
    let mut client = Client::new(&clear).await;
    client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    assert!(client.rest().await.0.starts_with("HTTP/1.1 400 "));
}

#[tokio::test]
async fn bad_certificates_are_refused() {
    assert!(
        Understudy::builder()
            .tls("no certificate", "no key")
            .start()
            .await
            .is_err()
    );
}

#[tokio::test]
async fn http_2_requests_are_recorded() {
    let (understudy, mut client) = clear(Reply::json(&serde_json::json!({})).header("connection", "close")).await;
    let response = client.send_request(post("hi")).await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(text(response).await, "{}");
    understudy.wait_completed(1).await;
    let received = &understudy.received()[0];
    assert_eq!(
        (&received.method[..], &received.target[..], received.version),
        ("POST", "/v1/x?q=1", "HTTP/2.0")
    );
    assert_eq!(received.header(":authority"), Some(&b"fake.test"[..]));
    assert_eq!(received.header("x-team"), Some(&b"blue"[..]));
    assert_eq!((&received.body[..], received.body_complete), (&b"hi"[..], true));
    assert_eq!(received.outcome, Outcome::Completed);
}

#[tokio::test]
async fn a_pooled_client_is_served_with_either_version() {
    for is_http2 in [false, true] {
        let understudy = Understudy::start(Script::new()).await.unwrap();
        let client: PooledClient<_, Full<Bytes>> = PooledClient::builder(TokioExecutor::new())
            .http2_only(is_http2)
            .build_http();
        for _ in 0..2 {
            let body = r#"{"messages":[{"role":"user","content":"hi"}],"model":"m","stream":true}"#;
            let request = Request::post(format!("{}/v1/chat/completions", understudy.url()));
            let response = client.request(request.body(Full::from(body)).unwrap()).await.unwrap();
            assert!(text(response).await.ends_with("data: [DONE]\n\n"));
        }
        let received = understudy.received();
        assert_eq!(received[1].version, if is_http2 { "HTTP/2.0" } else { "HTTP/1.1" });
        assert_eq!(received[0].connection, received[1].connection);
    }
}

#[tokio::test]
async fn streams_are_cut_by_a_reset() {
    let (understudy, mut client) = clear(Reply::stream(["abc", "def"]).cut_at(4)).await;
    let mut body = client.send_request(post("")).await.unwrap().into_body();
    let mut seen = Vec::new();
    let error = loop {
        match body.frame().await.expect("no orderly end") {
            Ok(frame) => seen.extend(frame.into_data().unwrap()),
            Err(error) => break error,
        }
    };
    assert_eq!(seen, b"abcd");
    assert!(error.to_string().contains("error reading a body"), "{error}");
    understudy.wait_completed(1).await;
    understudy.set_script(Reply::reset());
    assert!(client.send_request(post("")).await.is_err());
}

#[tokio::test]
async fn a_cancelled_request_is_noticed() {
    let script = Script::new()
        .rule(Rule::any().header("x-late").reply(Reply::stream(["abc"]).hang_after(3)))
        .rule(Rule::any().reply(Reply::hang()));
    let (understudy, mut client) = clear(script).await;
    let pending = tokio::spawn(client.send_request(post("")));
    understudy.wait_received(1).await;
    pending.abort();
    understudy.wait_aborted(1).await;
    let request = Request::post("http://fake.test/")
        .header("x-late", "1")
        .body(Full::from(""))
        .unwrap();
    let mut body = client.send_request(request).await.unwrap().into_body();
    body.frame().await.unwrap().unwrap();
    drop(body);
    understudy.wait_aborted(2).await;
    assert_eq!(understudy.received()[1].outcome, Outcome::Aborted);
}

#[tokio::test(start_paused = true)]
async fn delays_are_kept_over_http_2() {
    let second = Duration::from_secs(1);
    let reply = Reply::stream(["a", "b"]).first_after(second).pace(second);
    let (_understudy, mut client) = clear(reply).await;
    let begin = tokio::time::Instant::now();
    let response = client.send_request(post("")).await.unwrap();
    assert!(begin.elapsed() >= second);
    assert_eq!(text(response).await, "ab");
    assert!(begin.elapsed() >= second * 3);
}
