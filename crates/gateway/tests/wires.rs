//! HTTP/1.1 and HTTP/2, in clear and over TLS, on both sides; and a proxy in between.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing helper is a failing test"
)]

mod support;

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use mynah_understudy::{Reply, Understudy};
use rcgen::CertifiedKey;
use support::{Gateway, Request, read_reply};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;

struct Certificate {
    pem: String,
    key: String,
}

fn certificate(name: &str) -> Certificate {
    let CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(vec![name.to_owned(), "127.0.0.1".to_owned()]).unwrap();
    Certificate {
        pem: cert.pem(),
        key: signing_key.serialize_pem(),
    }
}

/// A TLS connection that trusts one certificate.
async fn connect(
    gateway: &Gateway,
    trusted: &Certificate,
    protocols: &[&[u8]],
) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    use rustls::pki_types::pem::PemObject as _;
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(rustls::pki_types::CertificateDer::from_pem_slice(trusted.pem.as_bytes()).unwrap())
        .unwrap();
    let mut config = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    let name = "localhost".try_into().unwrap();
    TlsConnector::from(Arc::new(config))
        .connect(name, TcpStream::connect(&gateway.address).await?)
        .await
}

async fn http2(io: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static) -> u16 {
    let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(io))
        .await
        .unwrap();
    tokio::spawn(connection);
    let body = Full::new(Bytes::from(
        r#"{"model":"mynah/echo","messages":[{"role":"user","content":"over two"}]}"#,
    ));
    let request =
        hyper::Request::post("http://localhost/v1/chat/completions").header("content-type", "application/json");
    let response = sender.send_request(request.body(body).unwrap()).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&body).contains("over two"));
    status
}

#[tokio::test]
async fn clients_may_speak_http2_in_clear() {
    let gateway = Gateway::start("");
    assert_eq!(http2(gateway.connect().await).await, 200);
}

#[tokio::test]
async fn tls_serves_both_versions_and_its_files_are_read_again() {
    let directory = tempfile::tempdir().unwrap();
    let write = |certificate: &Certificate| {
        std::fs::write(directory.path().join("key.pem"), &certificate.key).unwrap();
        std::fs::write(directory.path().join("cert.pem"), &certificate.pem).unwrap();
    };
    let first = certificate("localhost");
    write(&first);
    let path = directory.path().display();
    let gateway = Gateway::start(&format!(
        "[server]\ntls = {{ cert = '{path}/cert.pem', key = '{path}/key.pem' }}\n"
    ));
    assert_eq!(http2(connect(&gateway, &first, &[b"h2"]).await.unwrap()).await, 200);
    let mut one = connect(&gateway, &first, &[b"http/1.1"]).await.unwrap();
    one.write_all(&Request::new("GET", "/health").bytes()).await.unwrap();
    assert_eq!(read_reply(&mut one).await.unwrap().status, 200);

    let second = certificate("localhost");
    write(&second);
    let renewed = tokio::time::timeout(support::PATIENCE, async {
        while connect(&gateway, &second, &[b"h2"]).await.is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    });
    renewed.await.expect("the new certificate is served");
    // The connection with the old one goes on.
    one.write_all(&Request::new("GET", "/health").bytes()).await.unwrap();
    assert_eq!(read_reply(&mut one).await.unwrap().status, 200);
}

#[tokio::test]
async fn providers_are_called_over_tls_with_the_version_that_is_agreed_on() {
    let certificate = certificate("localhost");
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("ca.pem"), &certificate.pem).unwrap();
    let ca = directory.path().join("ca.pem");
    let start = |only_http1: bool| {
        let builder = Understudy::builder()
            .tls(certificate.pem.clone(), certificate.key.clone())
            .script(Reply::persona());
        if only_http1 { builder.http1_only() } else { builder }
    };
    for (only_http1, setting, expected) in [
        (false, "auto", "HTTP/2"),
        (true, "auto", "HTTP/1.1"),
        (false, "1.1", "HTTP/1.1"),
        (false, "2", "HTTP/2"),
    ] {
        let understudy = start(only_http1).start().await.unwrap();
        let url = format!("https://localhost:{}", understudy.address().port());
        let config = format!(
            "[network]\nca = ['{}']\n[providers.up]\nbase_url = '{url}'\nmodels = []\nhttp_version = '{setting}'\n",
            ca.display()
        );
        let gateway = Gateway::start(&config);
        for stream in ["false", "true"] {
            let body = format!(r#"{{"model":"up/m","stream":{stream},"messages":[{{"role":"user","content":"hi"}}]}}"#);
            let reply = gateway.chat(&body).await;
            assert_eq!(reply.status, 200, "{}", reply.text());
            assert!(reply.whole);
        }
        let received = understudy.received();
        assert!(
            received
                .iter()
                .all(|received| received.version.to_string().starts_with(expected)),
            "{setting}: {:?}",
            received[0].version
        );
        assert_eq!(
            understudy.counters().connections,
            1,
            "{setting}: the connection is kept"
        );
        // Without the authority, the provider is not trusted.
        let gateway = Gateway::start(&format!("[providers.up]\nbase_url = '{url}'\nmodels = []\n"));
        let reply = gateway.chat(r#"{"model":"up/m"}"#).await;
        assert_eq!(
            (reply.status, reply.error_code().as_str()),
            (502, "upstream_unreachable")
        );
    }
}

#[tokio::test]
async fn providers_are_called_over_http2_in_clear_when_told_so() {
    let understudy = Understudy::start(Reply::persona()).await.unwrap();
    let gateway = Gateway::start(&format!(
        "[providers.up]\nbase_url = '{}'\nmodels = []\nhttp_version = '2'\n",
        understudy.url()
    ));
    for _ in 0..3 {
        assert_eq!(
            gateway
                .chat(r#"{"model":"up/m","messages":[{"role":"user","content":"hi"}]}"#)
                .await
                .status,
            200
        );
    }
    assert_eq!(understudy.counters().connections, 1);
}

/// A proxy that notes what it is asked for and connects to one address.
async fn proxy(target: std::net::SocketAddr) -> (std::net::SocketAddr, tokio::sync::mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (heads, noted) = tokio::sync::mpsc::channel(10);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let heads = heads.clone();
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(client.read_u8().await.unwrap());
                }
                let text = String::from_utf8(head.clone()).unwrap();
                let mut upstream = TcpStream::connect(target).await.unwrap();
                if text.starts_with("CONNECT ") {
                    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
                } else {
                    upstream.write_all(&head).await.unwrap();
                }
                heads.send(text).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut client, &mut upstream).await;
            });
        }
    });
    (address, noted)
}

#[tokio::test]
async fn a_proxy_is_used_for_other_machines_and_not_for_this_one() {
    let understudy = Understudy::start(Reply::persona()).await.unwrap();
    let (address, mut noted) = proxy(understudy.address()).await;
    let gateway = Gateway::start(&format!(
        "[network]\nproxy = 'http://user:secret@{address}'\n\
         [providers.far]\nbase_url = 'http://far.invalid:1234'\nmodels = []\n\
         [providers.near]\nbase_url = '{}'\nmodels = []\n\
         [providers.tls]\nbase_url = 'https://tls.invalid'\nmodels = []\ntimeouts = {{ connect = '1s' }}\n",
        understudy.url()
    ));
    assert_eq!(
        gateway
            .chat(r#"{"model":"near/m","messages":[{"role":"user","content":"hi"}]}"#)
            .await
            .status,
        200
    );
    assert!(noted.try_recv().is_err());
    assert_eq!(
        gateway
            .chat(r#"{"model":"far/m","messages":[{"role":"user","content":"hi"}]}"#)
            .await
            .status,
        200
    );
    let head = noted.recv().await.unwrap();
    assert!(
        head.starts_with("POST http://far.invalid:1234/v1/chat/completions HTTP/1.1\r\n"),
        "{head}"
    );
    assert!(
        head.to_lowercase()
            .contains("proxy-authorization: basic dxnlcjpzzwnyzxq="),
        "{head}"
    );
    // Over TLS it is asked for a tunnel. (What is at its end here does not speak TLS.)
    assert!(matches!(gateway.chat(r#"{"model":"tls/m"}"#).await.status, 502 | 504));
    let head = noted.recv().await.unwrap();
    assert!(head.starts_with("CONNECT tls.invalid:443 HTTP/1.1\r\n"), "{head}");
}
