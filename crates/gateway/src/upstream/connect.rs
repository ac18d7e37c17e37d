//! Connections to an origin: directly or through an HTTP proxy, in clear or over TLS.

use std::sync::{Arc, LazyLock};

use axum::http::uri::{Authority, Scheme};
use axum::http::{HeaderValue, Uri};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;
use tower::ServiceExt as _;

use super::stream::Stream;
use super::tls;
use crate::config::file::HttpVersion;
use crate::config::{NetworkConfig, Proxies};

/// Scheme, host and port: what a connection leads to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    /// `http` or `https`.
    pub scheme: Scheme,
    /// Host and port.
    pub authority: Authority,
    /// The HTTP version that is to be spoken.
    pub version: HttpVersion,
}

/// A fresh connection.
#[derive(Debug)]
pub struct Connection {
    /// It.
    pub stream: Stream,
    /// HTTP/2 was agreed on.
    pub agreed_on_http2: bool,
    /// The proxy that relays the requests in clear, if there is one.
    pub proxy: Option<ForwardProxy>,
}

/// A proxy that relays requests in clear, which carry the whole URL.
#[derive(Clone, Debug)]
pub struct ForwardProxy {
    /// `Proxy-Authorization`.
    pub authorization: Option<HeaderValue>,
}

/// How connections are made.
pub struct Network {
    config: NetworkConfig,
    proxies: LazyLock<Matcher, Box<dyn FnOnce() -> Matcher + Send>>,
    tcp: HttpConnector,
    tls: [OnceCell<Arc<ClientConfig>>; 3],
}

impl Network {
    /// Nothing is read or connected yet.
    pub fn new(config: NetworkConfig) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let Proxies { http, https, all, no } = config.proxies.clone();
        let proxies: Box<dyn FnOnce() -> Matcher + Send> = Box::new(move || {
            let builder = Matcher::builder()
                .all(all.unwrap_or_default())
                .no(no.unwrap_or_default());
            builder
                .http(http.unwrap_or_default())
                .https(https.unwrap_or_default())
                .build()
        });
        Self {
            config,
            proxies: LazyLock::new(proxies),
            tcp,
            tls: Default::default(),
        }
    }

    /// The settings.
    pub fn config(&self) -> &NetworkConfig {
        &self.config
    }

    /// Connects. The message of a failure names no address and no credential.
    pub async fn connect(&self, origin: &Origin) -> Result<Connection, String> {
        let port = origin
            .authority
            .port_u16()
            .unwrap_or(if origin.scheme == Scheme::HTTPS { 443 } else { 80 });
        let host = origin.authority.host();
        let target = Uri::builder()
            .scheme(origin.scheme.clone())
            .authority(format!("{host}:{port}"))
            .path_and_query("/")
            .build()
            .map_err(|error| error.to_string())?;
        let proxy = if is_loopback(host) {
            None
        } else {
            self.proxies.intercept(&target)
        };
        if origin.scheme == Scheme::HTTPS {
            let tcp = self.tunnel(target, proxy).await?;
            return self.encrypt(origin, host, tcp).await;
        }
        let forward = proxy.as_ref().map(|proxy| ForwardProxy {
            authorization: proxy.basic_auth().cloned(),
        });
        let first = proxy.map_or(target, |proxy| proxy.uri().clone());
        Ok(Connection {
            stream: Stream::Plain(self.tcp(first).await?.into_inner()),
            agreed_on_http2: false,
            proxy: forward,
        })
    }

    async fn tcp(&self, target: Uri) -> Result<TokioIo<TcpStream>, String> {
        self.tcp.clone().oneshot(target).await.map_err(|error| causes(&error))
    }

    async fn tunnel(&self, target: Uri, proxy: Option<Intercept>) -> Result<TokioIo<TcpStream>, String> {
        let Some(proxy) = proxy else {
            return self.tcp(target).await;
        };
        let mut tunnel = Tunnel::new(proxy.uri().clone(), self.tcp.clone());
        if let Some(authorization) = proxy.basic_auth() {
            tunnel = tunnel.with_auth(authorization.clone());
        }
        tunnel
            .oneshot(target)
            .await
            .map_err(|error| format!("through the proxy: {}", causes(&error)))
    }

    async fn encrypt(&self, origin: &Origin, host: &str, tcp: TokioIo<TcpStream>) -> Result<Connection, String> {
        let config = self.tls_config(origin.version).await?;
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned()).map_err(|error| error.to_string())?;
        let stream = TlsConnector::from(config)
            .connect(name, tcp.into_inner())
            .await
            .map_err(|error| format!("TLS: {error}"))?;
        Ok(Connection {
            agreed_on_http2: stream.get_ref().1.alpn_protocol() == Some(b"h2"),
            stream: Stream::Tls(Box::new(stream)),
            proxy: None,
        })
    }

    async fn tls_config(&self, version: HttpVersion) -> Result<Arc<ClientConfig>, String> {
        let (cell, protocols): (_, &'static [&[u8]]) = match version {
            HttpVersion::Auto => (&self.tls[0], &[b"h2", b"http/1.1"]),
            HttpVersion::Http1 => (&self.tls[1], &[b"http/1.1"]),
            HttpVersion::Http2 => (&self.tls[2], &[b"h2"]),
        };
        let extra = self.config.ca.clone();
        #[expect(
            clippy::disallowed_methods,
            reason = "reads the certificate files once, at the first TLS connection"
        )]
        let build = || async move {
            let built = tokio::task::spawn_blocking(move || tls::client_config(&extra, protocols)).await;
            built.map_err(|error| error.to_string())?.map(Arc::new)
        };
        cell.get_or_try_init(build).await.cloned()
    }
}

impl std::fmt::Debug for Network {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Network").finish_non_exhaustive()
    }
}

fn is_loopback(host: &str) -> bool {
    let address: Result<std::net::IpAddr, _> = host.trim_matches(['[', ']']).parse();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

/// An error and what caused it, in one line.
pub fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
